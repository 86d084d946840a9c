/* images.h - pictures that stay bytes in memory, and become frames as they are shown: what data sets of images share,
 * whatever files they come from. */
#ifndef GLE_DATA_IMAGES_H
#define GLE_DATA_IMAGES_H

#include "data/data.h"
#include "data/sets.h"
#include "yaml/key.h"

/* How images are shown: settings that all such data sets have. */
struct gle_images_params {
    const struct gle_row *as; /* of gle_images_as_table */
    struct {
        bool given;
        uint64_t seed;
    } permute;
    double present; /* of each frame */
    struct gle_reals target_window;
};
extern const struct gle_table gle_images_as_table;
extern const struct gle_custom gle_images_permute_custom;

/* Their keys; S has a member `shown` of that type. */
#define GLE_IMAGES_KEYS(S) \
    {.name = "as", .kind = GLE_KEY_KIND_NAME, .offset = offsetof(S, shown.as), .fallback = "image", .unit = "", \
     .help = "what is shown at a time", .more = &gle_images_as_table}, \
    {.name = "permute", .kind = GLE_KEY_KIND_CUSTOM, .offset = offsetof(S, shown.permute), .fallback = "none", \
     .unit = "", .help = "seed of an order of the pixels, the same for all samples: torch.randperm(pixels) after " \
                         "torch.manual_seed(seed); none: as they stand", \
     .more = &gle_images_permute_custom}, \
    {.name = "present", .kind = GLE_KEY_KIND_REAL, .offset = offsetof(S, shown.present), .low = 1e-9, .high = 1e9, \
     .unit = "time", .help = "how long each pixel, row or image is shown", .steps = true}, \
    GLE_KEY_TARGET_WINDOW(S, shown.target_window)

enum { GLE_IMAGES_CHANNELS = 3 }; /* at most */

struct gle_images_as;

/* The state of a maker of images. */
struct gle_images {
    size_t channels, height, width;
    struct gle_images_set {
        size_t n;
        unsigned char *bytes;  /* (n, channels, height, width) */
        unsigned char *labels; /* (n) */
    } set[GLE_SPLITS];
    float value[GLE_IMAGES_CHANNELS][256]; /* that a byte of a channel is shown as */
    /* Training samples are turned left to right half of the time, and moved by up to so many pixels in each direction,
     * while bytes of 0 come in. */
    bool flip;
    uint32_t shift;
    uint64_t seed; /* of these draws */
    const struct gle_images_as *as;
    uint32_t *order; /* (height x width): the pixel that is shown in the place of each; NULL: itself */
};

/* Makes data a set of images, still without any: its maker's state is *out, whose sizes and sets are filled in by the
 * caller.
 * Owns:   *out belongs to data (gle_data_close), with the arrays (gle_calloc) that are put into it.
 * Errors: GLE_ENOMEM. */
GLE_MUST_CHECK int gle_images_begin(struct gle_images **out, struct gle_data *data, struct gle_error *err);

/* The rest, once sizes, sets and values are there: frames, order, rooms, labels and the checksum, which is that of
 * texts and bytes: "channels height width\n"; of each set its number of samples ("n\n"), the bytes of all its images,
 * and all its labels.
 * n_classes: of labels, which the caller has checked; 0: largest label + 1.
 * Errors: GLE_ERANGE (too many steps), GLE_ESTOPPED, GLE_ENOMEM. */
GLE_MUST_CHECK int gle_images_end(struct gle_data *data, struct gle_images *images, const struct gle_images_params *how,
                                  size_t n_classes, const struct gle_data_context *ctx, struct gle_error *err);

/* The number of channels that the network sees; 0: it depends on width and height, which are 0. */
size_t gle_images_channels(const struct gle_images_params *how, size_t channels, size_t height, size_t width);

#endif
