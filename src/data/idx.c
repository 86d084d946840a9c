#include "base/memory.h"
#include "data/idx_file.h"
#include "data/images.h"
#include "data/sets.h"

#include <string.h>

struct idx_params {
    const char *images, *labels, *test_images, *test_labels;
    struct gle_images_params shown;
    uint64_t classes;
};
_Static_assert(sizeof(struct idx_params) <= GLE_DATASET_PARAMS_SIZE, "settings of idx");

enum { LABELS = 256 }; /* that a byte can be */

const struct gle_key gle_idx_keys[] = {
    GLE_KEY_PATH(struct idx_params, images, NULL,
                 "file of the training images, gzipped or not: unsigned bytes (samples, rows, columns)"),
    GLE_KEY_PATH(struct idx_params, labels, NULL, "file of their labels: unsigned bytes (samples)"),
    GLE_KEY_PATH(struct idx_params, test_images, GLE_ABSENT, "file of the test images; default: there is no test set"),
    GLE_KEY_PATH(struct idx_params, test_labels, GLE_ABSENT, "file of their labels"),
    GLE_IMAGES_KEYS(struct idx_params),
    GLE_KEY_COUNT(struct idx_params, classes, "0", 0, LABELS, "", "number of classes; 0: largest label + 1"),
    GLE_KEY_END,
};

int gle_idx_check(const void *params, const char **key, const char **why)
{
    const struct idx_params *p = params;

    if (!p->test_images == !p->test_labels)
        return gle_data_check_window(&p->shown.target_window, key, why);
    *key = p->test_images ? "test_images" : "test_labels";
    *why = p->test_images ? "needs test_labels beside it" : "needs test_images beside it";
    return -1;
}

void gle_idx_shape(const void *params, size_t *n_channels, size_t *n_targets)
{
    const struct idx_params *p = params;
    const size_t channels = gle_images_channels(&p->shown, 1, 0, 0);

    if (channels)
        *n_channels = channels;
    if (p->classes)
        *n_targets = (size_t)p->classes;
}

/* Labels of as many samples as there are images. */
static int read_labels(struct gle_images_set *set, const char *path, const char *images, const struct idx_params *p,
                       const struct gle_data_context *ctx, struct gle_error *err)
{
    const size_t n_classes = p->classes ? (size_t)p->classes : LABELS;
    struct gle_idx file;

    if (gle_idx_read(&file, path, 1, ctx, err))
        return -1;
    set->labels = file.bytes;
    if (file.shape[0] != set->n)
        return gle_fail_in(err, GLE_EDATA, path, NULL, "has %zu label%s, where %.200s has %zu image%s", file.shape[0],
                           file.shape[0] == 1 ? "" : "s", images, set->n, set->n == 1 ? "" : "s");
    for (size_t i = 0; i < set->n; i++)
        if (set->labels[i] >= n_classes)
            return gle_fail_in(err, GLE_EDATA, path, NULL, "label %zu is %u, where labels are 0 ... %zu", i,
                               set->labels[i], n_classes - 1);
    return 0;
}

static int read_set(struct gle_images *s, enum gle_split split, const char *images, const char *labels,
                    const struct idx_params *p, const struct gle_data_context *ctx, struct gle_error *err)
{
    struct gle_images_set *set = &s->set[split];
    struct gle_idx file;

    if (gle_idx_read(&file, images, GLE_IDX_DIMS, ctx, err))
        return -1;
    set->bytes = file.bytes;
    set->n = file.shape[0];
    if (split != GLE_TRAIN && (file.shape[1] != s->height || file.shape[2] != s->width))
        return gle_fail_in(err, GLE_EDATA, images, NULL, "has images of %zu x %zu pixels, where those of %.200s have "
                           "%zu x %zu", file.shape[1], file.shape[2], p->images, s->height, s->width);
    s->height = file.shape[1];
    s->width = file.shape[2];
    return read_labels(set, labels, images, p, ctx, err);
}

int gle_idx_open(struct gle_data *data, const void *params, const struct gle_data_context *ctx, struct gle_error *err)
{
    const struct idx_params *p = params;
    struct gle_images *s;

    if (gle_images_begin(&s, data, err))
        return -1;
    s->channels = 1;
    for (size_t v = 0; v < 256; v++)
        s->value[0][v] = (float)v / 255.0f;
    if (read_set(s, GLE_TRAIN, p->images, p->labels, p, ctx, err) ||
        (p->test_images && read_set(s, GLE_TEST, p->test_images, p->test_labels, p, ctx, err)))
        return -1;
    return gle_images_end(data, s, &p->shown, (size_t)p->classes, ctx, err);
}
