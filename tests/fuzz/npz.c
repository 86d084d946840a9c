/* Any bytes as an archive of arrays; what does not begin like an archive becomes the one array of a whole archive,
 * since no checksum is hit by chance. */
#include "base/npz.h"
#include "input.h"

#include <stdlib.h>
#include <string.h>

enum { LOCAL_HEADER = 30, CENTRAL_HEADER = 46, END_RECORD = 22, NAME = 5 };
static const char name[] = "x.npy";

static uint32_t checksum(const uint8_t *bytes, size_t size)
{
    uint32_t crc = 0xffffffff;

    for (size_t i = 0; i < size; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
    }
    return ~crc;
}

static void put(uint8_t *at, uint32_t value, int n)
{
    for (int i = 0; i < n; i++)
        at[i] = (uint8_t)(value >> 8 * i);
}

/* What the two headers of an entry have in common, from the version that is needed to the length of the name. */
static void put_entry(uint8_t *at, uint32_t crc, uint32_t size)
{
    put(at, 20, 2);
    put(at + 10, crc, 4);
    put(at + 14, size, 4);
    put(at + 18, size, 4);
    put(at + 22, NAME, 2);
}

/* Owns: free(). */
static uint8_t *wrap(const uint8_t *bytes, size_t size, size_t *whole)
{
    const uint32_t crc = checksum(bytes, size), directory = (uint32_t)(LOCAL_HEADER + NAME + size);
    uint8_t *out, *at;

    *whole = LOCAL_HEADER + NAME + size + CENTRAL_HEADER + NAME + END_RECORD;
    out = at = calloc(*whole, 1);
    if (!out)
        fuzz_fail("no memory");
    put(at, 0x04034b50, 4);
    put_entry(at + 4, crc, (uint32_t)size);
    memcpy(at + LOCAL_HEADER, name, NAME);
    if (size)
        memcpy(at + LOCAL_HEADER + NAME, bytes, size);
    at += directory;
    put(at, 0x02014b50, 4);
    put_entry(at + 6, crc, (uint32_t)size);
    memcpy(at + CENTRAL_HEADER, name, NAME);
    at += CENTRAL_HEADER + NAME;
    put(at, 0x06054b50, 4);
    put(at + 8, 1, 2);
    put(at + 10, 1, 2);
    put(at + 12, CENTRAL_HEADER + NAME, 4);
    put(at + 16, directory, 4);
    return out;
}

static void read_all(const char *path)
{
    struct gle_error err = {0};
    struct gle_npz *npz;

    if (gle_npz_open(&npz, path, &err)) {
        if (!err.text[0])
            fuzz_fail("refused without an error");
        return;
    }
    for (size_t i = 0; i < gle_npz_count(npz); i++) {
        struct gle_array array;
        double sum = 0.0;
        int64_t value;
        err = (struct gle_error){0};
        if (gle_npz_read(&array, npz, gle_npz_name(npz, i), &err))
            continue;
        for (size_t k = 0; k < array.n; k++)
            sum += gle_array_real(&array, k) + (gle_array_int(&value, &array, k) ? 0.0 : (double)value);
        if (sum > 0.0 && !array.n)
            fuzz_fail("a sum of nothing");
        gle_array_clear(&array);
    }
    gle_npz_close(npz);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    size_t whole;
    uint8_t *archive;

    if (size >= 2 && !memcmp(bytes, "PK", 2)) {
        read_all(fuzz_file(bytes, size));
        return 0;
    }
    archive = wrap(bytes, size, &whole);
    read_all(fuzz_file(archive, whole));
    free(archive);
    return 0;
}
