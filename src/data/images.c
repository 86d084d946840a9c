#include "data/images.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/rng.h"

#include <stdio.h>
#include <string.h>

/* --- settings --- */

/* Where pixel (c, y, x) of an image (C, H, W) goes in its frames, which follow each other: a frame has channels for
 * all that it shows at a time. */
struct gle_images_as {
    struct gle_row row;
    bool by_row, by_pixel;
};
static const struct gle_images_as ways[] = {
    {.row = {.name = "pixels", .help = "one pixel after the other, row by row: a channel for each colour"},
     .by_row = true,
     .by_pixel = true},
    {.row = {.name = "rows", .help = "one row after the other, from the top: (colours, columns) channels"},
     .by_row = true},
    {.row = {.name = "image", .help = "all at once: (colours, rows, columns) channels, as a convolution reads them"}},
    {.row = {.name = NULL}},
};
const struct gle_table gle_images_as_table = {"way to show an image", ways, sizeof ways[0]};

static const struct gle_key seed_key =
    {.name = "permute", .kind = GLE_KEY_KIND_COUNT, .low = 0.0, .high = 4294967295.0, .unit = "",
     .help = "seed of an order"};
static const struct gle_form permute_forms[] = {
    {.kind = GLE_FORM_WORD, .word = "none", .help = "pixels stay as they stand"},
    {.kind = GLE_FORM_VALUE, .key = &seed_key},
    {.kind = GLE_FORM_END},
};

static int decode_permute(void *field, struct gle_doc *doc, struct gle_node *node, struct gle_errors *errs)
{
    struct gle_images_params *p = (void *)((char *)field - offsetof(struct gle_images_params, permute));

    if (node->kind == GLE_NODE_SCALAR && !strcmp(node->text, "none")) {
        node->as = GLE_SCALAR_TEXT;
        return 0;
    }
    p->permute.given = true;
    return gle_decode_value(&p->permute.seed, &seed_key, doc, node, errs);
}
const struct gle_custom gle_images_permute_custom = {
    .decode = decode_permute, .type = "seed, or none", .forms = permute_forms};

static const struct gle_images_as *way_of(const struct gle_images_params *how)
{
    return (const struct gle_images_as *)how->as;
}

size_t gle_images_channels(const struct gle_images_params *how, size_t channels, size_t height, size_t width)
{
    const struct gle_images_as *as = way_of(how);

    return channels * (as->by_pixel ? 1 : width) * (as->by_row ? 1 : height);
}

/* --- making samples --- */

static size_t n_pixels(const struct gle_images *s)
{
    return s->height * s->width;
}

static size_t length(const void *state, enum gle_split split, uint32_t row)
{
    const struct gle_images *s = state;

    (void)split;
    (void)row;
    return s->as->by_pixel ? n_pixels(s) : s->as->by_row ? s->height : 1;
}

/* Samples are numbered through the sets. */
static const unsigned char *image_at(const struct gle_images *s, size_t number)
{
    size_t k = 0;

    while (number >= s->set[k].n)
        number -= s->set[k++].n;
    return s->set[k].bytes + number * s->channels * n_pixels(s);
}

/* Row y of a channel, which is `from`, moved to the right by `by` pixels, and turned round before that. */
static void move_row(unsigned char *to, const unsigned char *from, size_t width, int64_t by, bool turned)
{
    for (size_t x = 0; x < width; x++) {
        const int64_t at = (int64_t)x - by;
        const bool inside = at >= 0 && at < (int64_t)width;
        to[x] = inside ? from[turned ? width - 1 - (size_t)at : (size_t)at] : 0;
    }
}

/* Draws, in this order: whether the image is turned, if images are; how far it moves down and to the right, if they
 * move. */
static void augment(unsigned char *to, const struct gle_images *s, const unsigned char *from, uint64_t draw)
{
    const uint32_t key[4] = {(uint32_t)s->seed, (uint32_t)(s->seed >> 32), (uint32_t)draw, (uint32_t)(draw >> 32)};
    bool turned = false;
    int64_t down = 0, right = 0;
    struct gle_rng rng;

    gle_rng_seed_words(&rng, key, 4);
    if (s->flip)
        turned = gle_python_below(&rng, 2);
    if (s->shift) {
        down = (int64_t)gle_python_below(&rng, 2 * s->shift + 1) - s->shift;
        right = (int64_t)gle_python_below(&rng, 2 * s->shift + 1) - s->shift;
    }
    for (size_t c = 0; c < s->channels; c++)
        for (size_t y = 0; y < s->height; y++) {
            const int64_t at = (int64_t)y - down;
            unsigned char *row = to + (c * s->height + y) * s->width;
            if (at >= 0 && at < (int64_t)s->height)
                move_row(row, from + (c * s->height + (size_t)at) * s->width, s->width, right, turned);
            else
                memset(row, 0, s->width);
        }
}

static void make(const void *state, void *desk, float *frames, enum gle_split split, uint32_t row, uint64_t draw)
{
    const struct gle_images *s = state;
    const size_t C = s->channels, H = s->height, W = s->width;
    /* Floats from a channel, a row and a column to the next. */
    const size_t by_c = s->as->by_pixel ? 1 : s->as->by_row ? W : H * W;
    const size_t by_y = s->as->by_row ? W * C : W, by_x = s->as->by_pixel ? C : 1;
    const unsigned char *image = image_at(s, row);

    if (split == GLE_TRAIN && draw != GLE_NO_DRAW && (s->flip || s->shift)) {
        augment(desk, s, image, draw);
        image = desk;
    }
    for (size_t c = 0; c < C; c++, image += H * W)
        for (size_t y = 0; y < H; y++) {
            float *out = frames + c * by_c + y * by_y;
            for (size_t x = 0; x < W; x++)
                out[x * by_x] = s->value[c][image[s->order ? s->order[y * W + x] : y * W + x]];
        }
}

/* Room for an image that is turned or moved. */
static void *open_desk(const void *state)
{
    const struct gle_images *s = state;

    return gle_calloc(s->channels, n_pixels(s));
}

static void close_images(void *state)
{
    struct gle_images *s = state;

    if (!s)
        return;
    for (size_t k = 0; k < GLE_SPLITS; k++) {
        gle_free(s->set[k].bytes);
        gle_free(s->set[k].labels);
    }
    gle_free(s->order);
    gle_free(s);
}

int gle_images_begin(struct gle_images **out, struct gle_data *data, struct gle_error *err)
{
    *out = gle_calloc(1, sizeof **out);
    if (!*out)
        return gle_fail(err, GLE_ENOMEM, "no memory for the data set");
    data->maker = (struct gle_maker){.state = *out, .holds = true, .alike = true, .numbered = true, .length = length,
                                     .make = make, .open_desk = open_desk, .close_desk = gle_free,
                                     .close = close_images};
    data->labelled = 1;
    return 0;
}

/* --- the data set --- */

static int find_order(struct gle_images *s, uint64_t seed, const struct gle_data_context *ctx, struct gle_error *err)
{
    const size_t n = n_pixels(s);
    struct gle_rng rng;

    s->order = gle_calloc(n, sizeof *s->order);
    if (!s->order)
        return gle_fail(err, GLE_ENOMEM, "no memory for the order of pixels");
    for (size_t i = 0; i < n; i++)
        s->order[i] = (uint32_t)i;
    gle_rng_seed(&rng, seed);
    for (size_t i = 0; i < n; i += GLE_DATA_TELL) {
        if (gle_data_tell(ctx, "ordering pixels", i, n, err))
            return -1;
        gle_torch_permute(&rng, s->order, n, i, n - i < GLE_DATA_TELL ? n : i + GLE_DATA_TELL);
    }
    return 0;
}

/* Steps and channels. */
static int size_frames(struct gle_data *data, struct gle_images *s, const struct gle_images_params *how,
                       const struct gle_data_context *ctx, struct gle_error *err)
{
    const size_t frames = length(s, GLE_TRAIN, 0), steps_max = 1000000000;

    data->maker.frames_max = frames;
    data->n_channels = gle_images_channels(how, s->channels, s->height, s->width);
    if (gle_data_steps(&data->maker.upsample, "present", how->present, ctx->dt, err))
        return -1;
    if (data->maker.upsample > steps_max / frames)
        return gle_fail(err, GLE_ERANGE, "present = %g is %zu steps of each of %zu frames (%zu are possible in all)",
                        how->present, data->maker.upsample, frames, steps_max);
    data->n_steps = frames * data->maker.upsample;
    data->held = frames == 1;
    return gle_data_ask_in(data, &how->target_window, ctx, err);
}

static int take_labels(struct gle_data *data, struct gle_images *s, size_t n_classes, struct gle_error *err)
{
    data->n_targets = n_classes;
    for (int k = 0; k < GLE_SPLITS; k++) {
        struct gle_images_set *set = &s->set[k];
        if (!set->n)
            continue;
        if (gle_data_room(data, (enum gle_split)k, set->n, err))
            return -1;
        for (size_t i = 0; i < set->n; i++) {
            data->split[k].labels[i] = set->labels[i];
            if (!n_classes && set->labels[i] >= data->n_targets)
                data->n_targets = set->labels[i] + 1u;
        }
    }
    return 0;
}

static int hash_bytes(struct gle_sha256 *sha, const struct gle_images *s, const struct gle_data_context *ctx,
                      struct gle_error *err)
{
    enum { PIECE = 1 << 20 };
    char line[80];

    gle_sha256_add(sha, line,
                   (size_t)snprintf(line, sizeof line, "%zu %zu %zu\n", s->channels, s->height, s->width));
    for (size_t k = 0; k < GLE_SPLITS; k++) {
        const struct gle_images_set *set = &s->set[k];
        const size_t size = set->n * s->channels * n_pixels(s);
        gle_sha256_add(sha, line, (size_t)snprintf(line, sizeof line, "%zu\n", set->n));
        for (size_t at = 0; at < size; at += PIECE) {
            if (gle_data_tell(ctx, "making the checksum", at, size, err))
                return -1;
            gle_sha256_add(sha, set->bytes + at, size - at < PIECE ? size - at : PIECE);
        }
        if (set->n)
            gle_sha256_add(sha, set->labels, set->n);
    }
    return 0;
}

static int hash_images(struct gle_data *data, const struct gle_images *s, const struct gle_data_context *ctx,
                       struct gle_error *err)
{
    struct gle_sha256 *sha = gle_sha256_start();
    int rc;

    if (!sha)
        return gle_fail(err, GLE_ENOMEM, "no memory for the checksum of the data");
    rc = hash_bytes(sha, s, ctx, err);
    gle_sha256_end(sha, data->sha256);
    return rc;
}

int gle_images_end(struct gle_data *data, struct gle_images *s, const struct gle_images_params *how, size_t n_classes,
                   const struct gle_data_context *ctx, struct gle_error *err)
{
    s->as = way_of(how);
    if (size_frames(data, s, how, ctx, err) ||
        (how->permute.given && find_order(s, how->permute.seed, ctx, err)) ||
        take_labels(data, s, n_classes, err) || hash_images(data, s, ctx, err))
        return -1;
    for (size_t k = 0; k < GLE_SPLITS; k++) {
        data->bytes += (double)s->set[k].n * (double)(s->channels * n_pixels(s));
        gle_free(s->set[k].labels); /* data has them now */
        s->set[k].labels = NULL;
    }
    return 0;
}
