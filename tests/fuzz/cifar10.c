/* Any bytes as each file of CIFAR-10, again and again, as long as the first two bytes say, or just as they are. */
#define _GNU_SOURCE /* mkdtemp */
#include "base/file.h"
#include "input.h"
#include "sets.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

enum { RECORD = 3073, FILES = 6, RECORDS_MAX = 3 };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static char folder[] = "/tmp/glesim_fuzz_XXXXXX";
    static bool made;
    static uint8_t whole[RECORDS_MAX * RECORD];
    const size_t repeated = size > 2 ? bytes[0] % (RECORDS_MAX + 1) * RECORD : 0;
    struct gle_error err = {0};
    char yaml[200];

    if (!made && !mkdtemp(folder))
        fuzz_fail("no folder");
    made = true;
    for (size_t i = 0; i < repeated; i++)
        whole[i] = bytes[2 + i % (size - 2)];
    for (size_t k = 0; k < FILES; k++) {
        const bool as_is = !repeated || (size > 2 && bytes[1] == k);
        char path[100];
        snprintf(path, sizeof path, k ? "%s/data_batch_%zu.bin" : "%s/test_batch.bin", folder, k);
        if (gle_file_write(path, as_is ? bytes : whole, as_is ? size : repeated, &err))
            fuzz_fail(err.text);
    }
    snprintf(yaml, sizeof yaml, "{path: %s, present: 0.1, as: %s, augment: {flip: true, shift: %u}}", folder,
             size % 2 ? "pixels" : "rows", size > 1 ? bytes[1] % 32u : 0u);
    fuzz_open("cifar10", yaml);
    return 0;
}
