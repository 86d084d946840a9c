/* Any bytes as a config file. */
#include "input.h"
#include "load.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    fuzz_load(fuzz_file(bytes, size), NULL, 0);
    return 0;
}
