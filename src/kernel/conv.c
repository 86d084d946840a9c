/* Convolutions as products. What a row of W meets at a place of the target is a column of patches; those of a few
 * hundred places at a time are gathered into scratch memory, small enough for the second cache, and multiplied from
 * there. Padding becomes real: where there is any, samples are first copied into larger grids, so that no loop has to
 * look where a grid ends. */
#include "kernel/conv_plan.h"
#include "kernel/link_kernels.h"
#include "kernel/product.h"

#include <string.h>

#define INLINE static inline __attribute__((always_inline))

typedef float eight __attribute__((vector_size(32), aligned(4), may_alias));

/* Copies n floats in whole vectors: up to 7 beyond are read, and written. */
INLINE void copy_over(float *to, const float *from, size_t n)
{
    for (size_t i = 0; i < n; i += 8)
        *(eight *)(to + i) = *(const eight *)(from + i);
}

INLINE void add_to(float *to, const float *from, size_t n)
{
    size_t i = 0;

    for (; i + 8 <= n; i += 8)
        *(eight *)(to + i) += *(const eight *)(from + i);
    for (; i < n; i++)
        to[i] += from[i];
}

/* --- grids with their padding --- */

static void frame(float *image, const float *x, const struct gle_conv *c, const struct gle_conv_plan *p)
{
    memset(image, 0, p->image * sizeof *image);
    for (size_t k = 0; k < c->channels; k++)
        for (size_t i = 0; i < c->size[0]; i++)
            memcpy(image + k * p->plane + (i + c->padding[0]) * p->grid[1] + c->padding[1],
                   x + (k * c->size[0] + i) * c->size[1], c->size[1] * sizeof *x);
}

static void unframe(float *x, const float *image, const struct gle_conv *c, const struct gle_conv_plan *p)
{
    for (size_t k = 0; k < c->channels; k++)
        for (size_t i = 0; i < c->size[0]; i++)
            memcpy(x + (k * c->size[0] + i) * c->size[1],
                   image + k * p->plane + (i + c->padding[0]) * p->grid[1] + c->padding[1], c->size[1] * sizeof *x);
}

/* Samples with their padding: as they are if they have none, else copies in `room`, which ends up behind them. */
struct images {
    const float *first;
    size_t stride;
};

static struct images frame_all(float **room, const float *x, size_t ldx, size_t n, const struct gle_conv *c,
                               const struct gle_conv_plan *p)
{
    struct images images = {.first = x, .stride = ldx};

    if (p->padded) {
        for (size_t b = 0; b < n; b++)
            frame(*room + b * p->image, x + b * ldx, c, p);
        images = (struct images){.first = *room, .stride = p->image};
        *room += images_room(p, n);
    }
    return images;
}

/* --- places that lie side by side --- */

/* Places of a line of the target: from is where the first weight meets the source for the first of them. */
struct stretch {
    size_t from, n;
};

/* Cuts n places, counted from the first of the first sample on, into stretches; returns how many. */
static size_t cut(struct stretch *out, size_t first, size_t n, size_t stride, const struct gle_conv *c,
                  const struct gle_conv_plan *p)
{
    size_t count = 0;

    for (size_t at = first, end = first + n; at < end; count++) {
        const size_t sample = at / p->places, place = at % p->places;
        const size_t i = place / c->out[1], j = place % c->out[1];
        out[count].from = sample * stride + i * c->stride[0] * p->grid[1] + j * c->stride[1];
        out[count].n = least(c->out[1] - j, end - at);
        at += out[count].n;
    }
    return count;
}

/* Where the source lies that weight k of a neuron meets, from where its first one does. */
INLINE size_t offset_of(size_t k, const struct gle_conv *c, const struct gle_conv_plan *p)
{
    const size_t channel = k / p->taps, tap = k % p->taps;

    return channel * p->plane + tap / c->kernel[1] * p->grid[1] + tap % c->kernel[1];
}

static void clear_padding(float *s, size_t ld, size_t n, size_t n_rows)
{
    for (size_t b = 0; b < n_rows; b++)
        memset(s + b * ld + n, 0, (gle_padded(n) - n) * sizeof *s);
}

/* --- s = W x --- */

/* columns (depth, ld): what each weight of a neuron meets at these places. */
static void gather(float *columns, size_t ld, const float *images, const struct stretch *stretches, size_t n,
                   const struct gle_conv *c, const struct gle_conv_plan *p)
{
    for (size_t k = 0; k < p->depth; k++) {
        const float *from = images + offset_of(k, c, p);
        float *to = columns + k * ld;
        for (size_t i = 0; i < n; i++) {
            const float *x = from + stretches[i].from;
            if (c->stride[1] == 1)
                copy_over(to, x, stretches[i].n);
            else
                for (size_t j = 0; j < stretches[i].n; j++)
                    to[j] = x[j * c->stride[1]];
            to += stretches[i].n;
        }
    }
}

/* The sums (out_channels, ld) of n places, put into the rows of their samples. */
static void spread(float *s, size_t ld_s, const float *sums, size_t ld, size_t first, size_t n,
                   const struct gle_conv *c, const struct gle_conv_plan *p)
{
    for (size_t at = first, end = first + n, more; at < end; at += more) {
        const size_t sample = at / p->places, place = at % p->places;
        more = least(p->places - place, end - at);
        for (size_t m = 0; m < c->out_channels; m++)
            memcpy(s + sample * ld_s + m * p->places + place, sums + m * ld + at - first, more * sizeof *s);
    }
}

void GLE_ISA_NAME(gle_conv_forward)(float *s, size_t ld, const float *x, size_t ldx, size_t n_rows, const float *w,
                                    size_t ld_w, const struct gle_conv *c, float *room)
{
    const struct gle_conv_plan p = plan_of(c);
    const size_t columns = forward_columns(&p), block = together(&p, columns);
    struct stretch stretches[MOST];

    for (size_t b = 0; b < n_rows; b += block) {
        const size_t rows = least(block, n_rows - b), n = rows * p.places;
        float *patches = room;
        const struct images images = frame_all(&patches, x + b * ldx, ldx, rows, c, &p);
        float *sums = patches + p.depth * columns;
        for (size_t at = 0; at < n; at += columns) {
            const size_t here = least(columns, n - at), wide = gle_padded(here);
            const size_t count = cut(stretches, at, here, images.stride, c, &p);
            gather(patches, wide, images.first, stretches, count, c, &p);
            GLE_ISA_NAME(gle_product)(sums, wide, w, ld_w, 1, patches, wide, c->out_channels, here, p.depth, 1.0f);
            spread(s + b * ld, ld, sums, wide, at, here, c, &p);
        }
    }
    clear_padding(s, ld, c->out_channels * p.places, n_rows);
}

/* --- x_bar = W^T e --- */

/* Adds columns (n_taps, ld), from weight k of a neuron on, to where they would have been gathered from. */
static void scatter(float *image, const float *columns, size_t ld, const struct stretch *stretches, size_t n, size_t k,
                    size_t n_taps, const struct gle_conv *c, const struct gle_conv_plan *p)
{
    for (size_t t = 0; t < n_taps; t++) {
        float *to = image + offset_of(k + t, c, p);
        const float *from = columns + t * ld;
        for (size_t i = 0; i < n; i++) {
            float *x = to + stretches[i].from;
            if (c->stride[1] == 1)
                add_to(x, from, stretches[i].n);
            else
                for (size_t j = 0; j < stretches[i].n; j++)
                    x[j * c->stride[1]] += from[j];
            from += stretches[i].n;
        }
    }
}

void GLE_ISA_NAME(gle_conv_back)(float *x_bar, size_t ldx, const float *e, size_t ld, size_t n_rows, const float *w,
                                 size_t ld_w, const struct gle_conv *c, float *room)
{
    const struct gle_conv_plan p = plan_of(c);
    const size_t wide = back_columns(&p), channels = back_channels(&p, c);
    float *columns = room + images_room(&p, 1);
    struct stretch stretches[MOST];

    for (size_t b = 0; b < n_rows; b++) {
        float *image = p.padded ? room : x_bar + b * ldx;
        memset(image, 0, p.image * sizeof *image);
        for (size_t at = 0; at < p.places; at += wide) {
            const size_t here = least(wide, p.places - at), count = cut(stretches, at, here, 0, c, &p);
            for (size_t k = 0; k < c->channels; k += channels) {
                const size_t taps = least(channels, c->channels - k) * p.taps;
                GLE_ISA_NAME(gle_product)(columns, wide, w + k * p.taps, 1, ld_w, e + b * ld + at, p.places, taps, here,
                                          c->out_channels, 1.0f);
                scatter(image, columns, wide, stretches, count, k * p.taps, taps, c, &p);
            }
        }
        if (p.padded)
            unframe(x_bar + b * ldx, image, c, &p);
    }
    clear_padding(x_bar, ldx, c->channels * c->size[0] * c->size[1], n_rows);
}

/* --- the gradient --- */

/* patches (places, wide): what `lines` lines of the kernel, from the first on, meet at each place. */
INLINE void gather_lines(float *patches, size_t wide, const float *images, const struct stretch *stretches, size_t n,
                         const size_t *offsets, size_t lines, size_t stride, const size_t taps)
{
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < stretches[i].n; j++, patches += wide) {
            const float *x = images + stretches[i].from + j * stride;
            for (size_t line = 0; line < lines; line++)
                copy_over(patches + line * taps, x + offsets[line], taps);
        }
}

/* The same for kernels of any width: short ones, which take one copy a line, have loops of their own. */
static void gather_patches(float *patches, size_t wide, const float *images, const struct stretch *stretches, size_t n,
                           size_t first, size_t lines, const struct gle_conv *c, const struct gle_conv_plan *p)
{
    size_t offsets[GRADIENT_COLUMNS];

    for (size_t line = 0; line < lines; line++)
        offsets[line] = offset_of((first + line) * c->kernel[1], c, p);
    switch (c->kernel[1]) {
    case 3: gather_lines(patches, wide, images, stretches, n, offsets, lines, c->stride[1], 3); break;
    case 5: gather_lines(patches, wide, images, stretches, n, offsets, lines, c->stride[1], 5); break;
    default: gather_lines(patches, wide, images, stretches, n, offsets, lines, c->stride[1], c->kernel[1]); break;
    }
}

/* Errors (n, wide) of `rows` samples side by side, from channel `first` on. */
static void gather_errors(float *out, size_t wide, const float *e, size_t ld, size_t rows, size_t first, size_t n,
                          const struct gle_conv_plan *p)
{
    for (size_t m = 0; m < n; m++)
        for (size_t b = 0; b < rows; b++)
            memcpy(out + m * wide + b * p->places, e + b * ld + (first + m) * p->places, p->places * sizeof *out);
}

static void add_columns(float *grad, size_t ld, const float *part, size_t wide, size_t n, size_t cols, bool resume)
{
    for (size_t m = 0; m < n; m++)
        if (resume)
            add_to(grad + m * ld, part + m * wide, cols);
        else
            memcpy(grad + m * ld, part + m * wide, cols * sizeof *grad);
}

void GLE_ISA_NAME(gle_conv_gradient)(float *grad, size_t ld_w, const float *e, size_t ld, const float *x, size_t ldx,
                                     size_t n_rows, float alpha, const struct gle_conv *c, size_t first, size_t n,
                                     float *room)
{
    const struct gle_conv_plan p = plan_of(c);
    const size_t most_places = gradient_places(&p, c), block = together(&p, most_places);
    const size_t most_lines = gradient_lines(&p, c), taps = c->kernel[1], all = p.depth / taps;
    const size_t wide = gle_padded(most_lines * taps);
    struct stretch stretches[MOST];

    for (size_t b = 0; b < n_rows; b += block) {
        const size_t rows = least(block, n_rows - b), places = rows * p.places;
        float *errors = room;
        const struct images images = frame_all(&errors, x + b * ldx, ldx, rows, c, &p);
        float *part = errors + most_places * gle_padded(c->out_channels), *patches = part + c->out_channels * wide;
        if (rows > 1)
            gather_errors(errors, places, e + b * ld, ld, rows, first, n, &p);
        for (size_t at = 0; at < places; at += most_places) {
            const size_t here = least(most_places, places - at);
            const size_t count = cut(stretches, at, here, images.stride, c, &p);
            const float *these = rows > 1 ? errors : e + b * ld + first * p.places + at;
            for (size_t line = 0; line < all; line += most_lines) {
                const size_t lines = least(most_lines, all - line);
                gather_patches(patches, wide, images.first, stretches, count, line, lines, c, &p);
                GLE_ISA_NAME(gle_product)(part, wide, these, places, 1, patches, wide, n, lines * taps, here, alpha);
                add_columns(grad + line * taps, ld_w, part, wide, n, lines * taps, b || at);
            }
        }
    }
    clear_padding(grad, ld_w, p.depth, n);
}
