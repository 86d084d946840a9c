/* Any bytes as a file of spikes. */
#include "input.h"
#include "sets.h"

#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    char yaml[200];

    snprintf(yaml, sizeof yaml, "{train: %s, units: 7, units_per_channel: 3, second: 10, bin: 0.2}",
             fuzz_file(bytes, size));
    fuzz_open("events", yaml);
    return 0;
}
