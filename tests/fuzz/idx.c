/* Any bytes as a file of images, and as one of labels. */
#include "base/memory.h"
#include "data/idx_file.h"
#include "input.h"

static const struct gle_data_context plain = {.dt = 0.1};

static void read_as(const uint8_t *bytes, size_t size, size_t n_dims)
{
    struct gle_error err = {0};
    struct gle_idx file;
    size_t n = 1;
    long sum = 0;

    if (gle_idx_read(&file, fuzz_file(bytes, size), n_dims, &plain, &err)) {
        if (!err.text[0] || file.bytes)
            fuzz_fail("refused without an error, or with bytes");
        return;
    }
    for (size_t d = 0; d < n_dims; d++)
        n *= file.shape[d];
    for (size_t i = 0; i < n; i++)
        sum += file.bytes[i];
    if (!n || sum < 0)
        fuzz_fail("a file of nothing");
    gle_free(file.bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    read_as(bytes, size, GLE_IDX_DIMS);
    read_as(bytes, size, 1);
    return 0;
}
