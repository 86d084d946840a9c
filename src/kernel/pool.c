/* Pooling. Windows do not overlap; lines and columns that fill no whole window are left out. Windows of two columns,
 * the most common ones, go through in vectors; up to GLE_SLACK floats beyond what is pooled are read. */
#include "kernel/kernel.h"
#include "kernel/link_kernels.h"

#include <string.h>

#define INLINE static inline __attribute__((always_inline))

/* VL windows go together. Every second of 2 VL floats, from the first or second on; and back. */
#ifdef __AVX2__
enum { VL = 8 };
#define EVEN(a, b) __builtin_shufflevector(a, b, 0, 2, 4, 6, 8, 10, 12, 14)
#define ODD(a, b) __builtin_shufflevector(a, b, 1, 3, 5, 7, 9, 11, 13, 15)
#define ZIP_LOW(a, b) __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11)
#define ZIP_HIGH(a, b) __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15)
#else
enum { VL = 4 };
#define EVEN(a, b) __builtin_shufflevector(a, b, 0, 2, 4, 6)
#define ODD(a, b) __builtin_shufflevector(a, b, 1, 3, 5, 7)
#define ZIP_LOW(a, b) __builtin_shufflevector(a, b, 0, 4, 1, 5)
#define ZIP_HIGH(a, b) __builtin_shufflevector(a, b, 2, 6, 3, 7)
#endif

typedef float vec __attribute__((vector_size(4 * VL)));
typedef int32_t mask __attribute__((vector_size(4 * VL)));
typedef float loose __attribute__((vector_size(4 * VL), aligned(4), may_alias));

/* The lanes of a where m, of b elsewhere. */
#define WHERE(m, a, b) ((vec)(((m) & (mask)(a)) | (~(m) & (mask)(b))))

INLINE void store_some(float *to, vec x, size_t n)
{
    union {
        vec whole;
        float each[VL];
    } lanes = {.whole = x};

    if (n >= VL)
        *(loose *)to = x;
    else
        for (size_t i = 0; i < n; i++)
            to[i] = lanes.each[i];
}

/* Column dx of VL windows side by side. */
INLINE vec column(const float *from, int dx)
{
    const vec a = *(const loose *)from, b = *(const loose *)(from + VL);

    return dx ? ODD(a, b) : EVEN(a, b);
}

/* Where in its window each maximum is, counted row by row, and what `values` has there. `line`: floats from one row of
 * the grid to the next. */
INLINE mask maxima(vec *taken, const float *by, const float *values, size_t height, size_t line)
{
    mask which = {0};
    vec best = column(by, 0);

    *taken = column(values, 0);
    for (size_t i = 1; i < 2 * height; i++) {
        const size_t at = i / 2 * line;
        const vec new = column(by + at, i % 2);
        const mask larger = new > best;
        best = WHERE(larger, new, best);
        *taken = WHERE(larger, column(values + at, i % 2), *taken);
        which = (larger & (int32_t)i) | (~larger & which);
    }
    return which;
}

/* A line of n windows side by side, of two columns. */
static void max_of_pairs(float *out, const float *values, const float *by, size_t n, size_t height, size_t line)
{
    vec taken;

    for (size_t j = 0; j < n; j += VL) {
        maxima(&taken, by + 2 * j, values + 2 * j, height, line);
        store_some(out + j, taken, n - j);
    }
}

static void mean_of_pairs(float *out, const float *values, size_t n, size_t height, size_t line, float scale)
{
    for (size_t j = 0; j < n; j += VL) {
        vec sum = {0};
        for (size_t i = 0; i < height; i++) {
            sum += column(values + i * line + 2 * j, 0);
            sum += column(values + i * line + 2 * j, 1);
        }
        store_some(out + j, sum * scale, n - j);
    }
}

INLINE void store_pairs(float *to, vec even, vec odd, size_t n)
{
    store_some(to, ZIP_LOW(even, odd), 2 * n);
    if (2 * n > VL)
        store_some(to + VL, ZIP_HIGH(even, odd), 2 * n - VL);
}

static void max_to_pairs(float *out, const float *e, const float *by, size_t n, size_t height, size_t line)
{
    vec taken;

    for (size_t j = 0; j < n; j += VL) {
        const mask which = maxima(&taken, by + 2 * j, by + 2 * j, height, line);
        const vec error = *(const loose *)(e + j);
        for (size_t i = 0; i < height; i++) {
            const mask even = which == (int32_t)(2 * i), odd = which == (int32_t)(2 * i + 1);
            store_pairs(out + i * line + 2 * j, (vec)(even & (mask)error), (vec)(odd & (mask)error), n - j);
        }
    }
}

static void mean_to_pairs(float *out, const float *e, size_t n, size_t height, size_t line, float scale)
{
    for (size_t j = 0; j < n; j += VL) {
        const vec error = scale * *(const loose *)(e + j);
        for (size_t i = 0; i < height; i++)
            store_pairs(out + i * line + 2 * j, error, error, n - j);
    }
}

/* --- windows of any size, one by one --- */

/* Where the maximum of a window is, from its first float on. */
INLINE size_t maximum(const float *by, const struct gle_pool *p)
{
    size_t best = 0;

    for (size_t i = 0; i < p->window[0]; i++)
        for (size_t j = 0; j < p->window[1]; j++)
            best = by[i * p->size[1] + j] > by[best] ? i * p->size[1] + j : best;
    return best;
}

INLINE float mean(const float *values, const struct gle_pool *p, float scale)
{
    float sum = 0.0f;

    for (size_t i = 0; i < p->window[0]; i++)
        for (size_t j = 0; j < p->window[1]; j++)
            sum += values[i * p->size[1] + j];
    return sum * scale;
}

INLINE void share_out(float *out, float e, const struct gle_pool *p)
{
    for (size_t i = 0; i < p->window[0]; i++)
        for (size_t j = 0; j < p->window[1]; j++)
            out[i * p->size[1] + j] = e;
}

/* --- samples --- */

static float share(const struct gle_pool *p)
{
    return 1.0f / (float)(p->window[0] * p->window[1]);
}

/* Where line i of the windows of a channel begins, in the grid. */
static size_t line_at(size_t channel, size_t i, const struct gle_pool *p)
{
    return (channel * p->size[0] + i * p->window[0]) * p->size[1];
}

/* A line of windows; by NULL: the mean. */
static void pool_line(float *out, const float *values, const float *by, const struct gle_pool *p)
{
    if (p->window[1] == 2 && by)
        max_of_pairs(out, values, by, p->out[1], p->window[0], p->size[1]);
    else if (p->window[1] == 2)
        mean_of_pairs(out, values, p->out[1], p->window[0], p->size[1], share(p));
    else
        for (size_t j = 0; j < p->out[1]; j++) {
            const size_t at = j * p->window[1];
            out[j] = by ? values[at + maximum(by + at, p)] : mean(values + at, p, share(p));
        }
}

static void pool_rows(float *out, size_t ld_out, const float *values, const float *by, size_t ld, size_t n_rows,
                      const struct gle_pool *p)
{
    const size_t n = p->channels * p->out[0] * p->out[1];

    for (size_t b = 0; b < n_rows; b++) {
        float *to = out + b * ld_out;
        for (size_t c = 0; c < p->channels; c++)
            for (size_t i = 0; i < p->out[0]; i++, to += p->out[1]) {
                const size_t at = b * ld + line_at(c, i, p);
                pool_line(to, values + at, by ? by + at : NULL, p);
            }
        memset(to, 0, (gle_padded(n) - n) * sizeof *out);
    }
}

void GLE_ISA_NAME(gle_pool_mean)(float *out, size_t ld_out, const float *values, size_t ld, size_t n_rows,
                                 const struct gle_pool *pool)
{
    pool_rows(out, ld_out, values, NULL, ld, n_rows, pool);
}

void GLE_ISA_NAME(gle_pool_max)(float *out, size_t ld_out, const float *values, const float *by, size_t ld,
                                size_t n_rows, const struct gle_pool *pool)
{
    pool_rows(out, ld_out, values, by, ld, n_rows, pool);
}

/* out is zero. */
static void back_line(float *out, const float *e, const float *by, const struct gle_pool *p)
{
    if (p->window[1] == 2 && by)
        max_to_pairs(out, e, by, p->out[1], p->window[0], p->size[1]);
    else if (p->window[1] == 2)
        mean_to_pairs(out, e, p->out[1], p->window[0], p->size[1], share(p));
    else
        for (size_t j = 0; j < p->out[1]; j++) {
            const size_t at = j * p->window[1];
            if (by)
                out[at + maximum(by + at, p)] = e[j];
            else
                share_out(out + at, e[j] * share(p), p);
        }
}

static void back_rows(float *out, size_t ld, const float *e, size_t ld_e, const float *by, size_t n_rows,
                      const struct gle_pool *p)
{
    for (size_t b = 0; b < n_rows; b++) {
        const float *error = e + b * ld_e;
        memset(out + b * ld, 0, gle_padded(p->channels * p->size[0] * p->size[1]) * sizeof *out);
        for (size_t c = 0; c < p->channels; c++)
            for (size_t i = 0; i < p->out[0]; i++, error += p->out[1]) {
                const size_t at = b * ld + line_at(c, i, p);
                back_line(out + at, error, by ? by + at : NULL, p);
            }
    }
}

void GLE_ISA_NAME(gle_pool_mean_back)(float *out, size_t ld, const float *e, size_t ld_e, size_t n_rows,
                                      const struct gle_pool *pool)
{
    back_rows(out, ld, e, ld_e, NULL, n_rows, pool);
}

void GLE_ISA_NAME(gle_pool_max_back)(float *out, size_t ld, const float *e, size_t ld_e, const float *by,
                                     size_t n_rows, const struct gle_pool *pool)
{
    back_rows(out, ld, e, ld_e, by, n_rows, pool);
}
