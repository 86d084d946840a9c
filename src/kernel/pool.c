/* Pooling. Windows do not overlap; lines and columns that fill no whole window are left out. */
#include "kernel/kernel.h"
#include "kernel/link_kernels.h"

#include <string.h>

#define INLINE static inline __attribute__((always_inline))

enum { BLOCK = 64 }; /* windows side by side at a time */

/* Takes the largest of n windows side by side in one line of the grid, and what `values` has there. */
INLINE void largest(float *restrict best, float *restrict taken, const float *by, const float *values, size_t n,
                    const size_t width, size_t from)
{
    for (size_t dx = from; dx < width; dx++)
        for (size_t j = 0; j < n; j++) {
            const float new = by[j * width + dx], value = values[j * width + dx];
            const int larger = new > best[j];
            best[j] = larger ? new : best[j];
            taken[j] = larger ? value : taken[j];
        }
}

INLINE void max_windows(float *out, const float *values, const float *by, size_t n, const size_t width, size_t height,
                        size_t line)
{
    float best[BLOCK], taken[BLOCK];

    for (size_t j = 0; j < n; j++) {
        best[j] = by[j * width];
        taken[j] = values[j * width];
    }
    for (size_t dy = 0; dy < height; dy++)
        largest(best, taken, by + dy * line, values + dy * line, n, width, dy ? 0 : 1);
    memcpy(out, taken, n * sizeof *out);
}

INLINE void sum_windows(float *out, const float *values, size_t n, const size_t width, size_t height, size_t line,
                        float scale)
{
    float sum[BLOCK] = {0};

    for (size_t dy = 0; dy < height; dy++)
        for (size_t dx = 0; dx < width; dx++)
            for (size_t j = 0; j < n; j++)
                sum[j] += values[dy * line + j * width + dx];
    for (size_t j = 0; j < n; j++)
        out[j] = sum[j] * scale;
}

static float share(const struct gle_pool *p)
{
    return 1.0f / (float)(p->window[0] * p->window[1]);
}

static void clear_beyond(float *out, size_t n)
{
    memset(out + n, 0, (gle_padded(n) - n) * sizeof *out);
}

/* One sample; by NULL: the mean. */
INLINE void pool_sample(float *out, const float *values, const float *by, const struct gle_pool *p, const size_t width)
{
    const size_t line = p->size[1];

    for (size_t c = 0; c < p->channels; c++)
        for (size_t i = 0; i < p->out[0]; i++)
            for (size_t j = 0; j < p->out[1]; j += BLOCK) {
                const size_t n = p->out[1] - j < BLOCK ? p->out[1] - j : BLOCK;
                const size_t at = (c * p->size[0] + i * p->window[0]) * line + j * width;
                float *to = out + (c * p->out[0] + i) * p->out[1] + j;
                if (by)
                    max_windows(to, values + at, by + at, n, width, p->window[0], line);
                else
                    sum_windows(to, values + at, n, width, p->window[0], line, share(p));
            }
    clear_beyond(out, p->channels * p->out[0] * p->out[1]);
}

void GLE_ISA_NAME(gle_pool_mean)(float *out, size_t ld_out, const float *values, size_t ld, size_t n_rows,
                                 const struct gle_pool *pool)
{
    for (size_t b = 0; b < n_rows; b++)
        if (pool->window[1] == 2)
            pool_sample(out + b * ld_out, values + b * ld, NULL, pool, 2);
        else
            pool_sample(out + b * ld_out, values + b * ld, NULL, pool, pool->window[1]);
}

void GLE_ISA_NAME(gle_pool_max)(float *out, size_t ld_out, const float *values, const float *by, size_t ld,
                                size_t n_rows, const struct gle_pool *pool)
{
    for (size_t b = 0; b < n_rows; b++)
        if (pool->window[1] == 2)
            pool_sample(out + b * ld_out, values + b * ld, by + b * ld, pool, 2);
        else
            pool_sample(out + b * ld_out, values + b * ld, by + b * ld, pool, pool->window[1]);
}

/* --- back --- */

/* One window. */
INLINE void share_out(float *out, const float *by, float e, const struct gle_pool *p)
{
    size_t best = 0;

    for (size_t i = 0; i < p->window[0]; i++)
        for (size_t j = 0; j < p->window[1]; j++) {
            const size_t at = i * p->size[1] + j;
            if (by)
                best = by[at] > by[best] ? at : best;
            else
                out[at] = e;
        }
    if (by)
        out[best] = e;
}

static void back(float *out, size_t ld, const float *e, size_t ld_e, const float *by, size_t n_rows, float scale,
                 const struct gle_pool *p)
{
    const size_t plane = p->size[0] * p->size[1], n = p->channels * plane;

    for (size_t b = 0; b < n_rows; b++, out += ld, e += ld_e, by = by ? by + ld : by) {
        const float *error = e;
        memset(out, 0, gle_padded(n) * sizeof *out);
        for (size_t c = 0; c < p->channels; c++)
            for (size_t i = 0; i < p->out[0]; i++)
                for (size_t j = 0; j < p->out[1]; j++) {
                    const size_t at = c * plane + i * p->window[0] * p->size[1] + j * p->window[1];
                    share_out(out + at, by ? by + at : NULL, scale * *error++, p);
                }
    }
}

void GLE_ISA_NAME(gle_pool_mean_back)(float *out, size_t ld, const float *e, size_t ld_e, size_t n_rows,
                                      const struct gle_pool *pool)
{
    back(out, ld, e, ld_e, NULL, n_rows, share(pool), pool);
}

void GLE_ISA_NAME(gle_pool_max_back)(float *out, size_t ld, const float *e, size_t ld_e, const float *by,
                                     size_t n_rows, const struct gle_pool *pool)
{
    back(out, ld, e, ld_e, by, n_rows, 1.0f, pool);
}
