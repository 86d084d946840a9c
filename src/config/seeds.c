#include "config/seeds.h"
#include "base/memory.h"
#include "base/text.h"

#include <stdio.h>
#include <string.h>

static int add_one(uint64_t **seeds, size_t *n, uint64_t seed, struct gle_error *err)
{
    uint64_t *longer;

    for (size_t i = 0; i < *n; i++)
        if ((*seeds)[i] == seed)
            return gle_fail(err, GLE_EUSAGE, "%llu is there twice", (unsigned long long)seed);
    if (*n == GLE_SEEDS_MAX)
        return gle_fail(err, GLE_EUSAGE, "more than %d seeds", GLE_SEEDS_MAX);
    longer = gle_resize(*seeds, *n + 1, sizeof *longer);
    if (!longer)
        return gle_fail(err, GLE_ENOMEM, "no memory for the seeds");
    *seeds = longer;
    longer[(*n)++] = seed;
    return 0;
}

int gle_seeds_add(uint64_t **seeds, size_t *n, const char *text, struct gle_error *err)
{
    for (const char *at = text;; at++) {
        const size_t len = strcspn(at, ","), first_len = strcspn(at, "-,");
        char first[32], last[32];
        uint64_t low, high;

        snprintf(first, sizeof first, "%.*s", (int)first_len, at);
        snprintf(last, sizeof last, "%.*s", first_len < len ? (int)(len - first_len - 1) : (int)len,
                 first_len < len ? at + first_len + 1 : at);
        if (len >= sizeof first || gle_text_count(&low, first) || gle_text_count(&high, last) || low > high)
            return gle_fail(err, GLE_EUSAGE, "seeds and ranges are wanted, as in 0-9,12");
        for (uint64_t seed = low;; seed++) {
            if (add_one(seeds, n, seed, err))
                return -1;
            if (seed == high)
                break;
        }
        at += len;
        if (!*at)
            return 0;
    }
}
