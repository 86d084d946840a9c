#include "base/memory.h"
#include "data/images.h"
#include "data/sets.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

struct augment {
    bool flip;
    uint64_t shift;
};
struct cifar_params {
    const char *path;
    struct gle_images_params shown;
    bool standardize;
    struct augment augment;
};
_Static_assert(sizeof(struct cifar_params) <= GLE_DATASET_PARAMS_SIZE, "settings of cifar10");

/* The binary version: records of a label and an image, whose channels (red, green, blue) follow each other. */
enum {
    CHANNELS = 3,
    SIDE = 32,
    PIXELS = SIDE * SIDE,
    IMAGE = CHANNELS * PIXELS,
    RECORD = 1 + IMAGE,
    CLASSES = 10,
};
static const char *const class_names[CLASSES] = {"airplane", "automobile", "bird",  "cat",  "deer",
                                                 "dog",      "frog",       "horse", "ship", "truck"};

static const struct gle_key augment_keys[] = {
    GLE_KEY_BOOL(struct augment, flip, "false", "whether half of the training samples are turned left to right"),
    GLE_KEY_COUNT(struct augment, shift, "0", 0, SIDE - 1, "pixels",
                  "largest random shift of a training sample, in each direction; black pixels come in"),
    GLE_KEY_END,
};

const struct gle_key gle_cifar10_keys[] = {
    GLE_KEY_PATH(struct cifar_params, path, NULL,
                 "folder of the unpacked binary version, with data_batch_1.bin ... data_batch_5.bin and "
                 "test_batch.bin; datasets/fetch_cifar10 fetches it"),
    GLE_IMAGES_KEYS(struct cifar_params),
    GLE_KEY_BOOL(struct cifar_params, standardize, "true",
                 "whether each colour is shown less its mean, over its standard deviation, both over all pixels of the "
                 "training batches; if not, from 0 to 1"),
    GLE_KEY_MAP(struct cifar_params, augment, "{}", augment_keys,
                "random changes of a training sample, made anew whenever it is drawn"),
    GLE_KEY_END,
};

int gle_cifar10_check(const void *params, const char **key, const char **why)
{
    const struct cifar_params *p = params;

    return gle_data_check_window(&p->shown.target_window, key, why);
}

void gle_cifar10_shape(const void *params, size_t *n_channels, size_t *n_targets)
{
    const struct cifar_params *p = params;

    *n_channels = gle_images_channels(&p->shown, CHANNELS, SIDE, SIDE);
    *n_targets = CLASSES;
}

/* --- files --- */

static int cannot_read(const char *path, struct gle_error *err)
{
    return gle_fail_in(err, GLE_EDATA, path, NULL, "cannot read: %s%s", strerror(errno),
                       errno == ENOENT ? " (datasets/fetch_cifar10 fetches the binary version)" : "");
}

static int measure_file(size_t *n, const char *path, struct gle_error *err)
{
    struct stat info;

    if (stat(path, &info))
        return cannot_read(path, err);
    if (!S_ISREG(info.st_mode))
        return gle_fail_in(err, GLE_EDATA, path, NULL, "not a regular file");
    if (!info.st_size || info.st_size % RECORD)
        return gle_fail_in(err, GLE_EDATA, path, NULL, "has %lld bytes, where records of %d bytes are wanted: a label "
                           "and %d x %d x %d pixels", (long long)info.st_size, RECORD, CHANNELS, SIDE, SIDE);
    *n = (size_t)info.st_size / RECORD;
    return 0;
}

/* Puts n records behind those of the set. */
static int read_records(struct gle_images_set *set, FILE *file, size_t n, const char *path,
                        const struct gle_data_context *ctx, struct gle_error *err)
{
    for (size_t i = 0; i < n; i++, set->n++) {
        unsigned char *label = set->labels + set->n;
        if (i % 1000 == 0 && gle_data_tell(ctx, "reading images", i, n, err))
            return -1;
        if (fread(label, 1, 1, file) != 1 || fread(set->bytes + set->n * IMAGE, IMAGE, 1, file) != 1)
            return ferror(file) ? cannot_read(path, err)
                                : gle_fail_in(err, GLE_EDATA, path, NULL, "has become shorter while it was read");
        if (*label >= CLASSES)
            return gle_fail_in(err, GLE_EDATA, path, NULL, "record %zu (byte %zu) has the label %u, where labels are "
                               "0 ... %d", i, i * RECORD, *label, CLASSES - 1);
    }
    return 0;
}

static const char *const train_files[] = {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin",
                                          "data_batch_4.bin", "data_batch_5.bin"};
static const char *const test_files[] = {"test_batch.bin"};
enum { FILES_MAX = sizeof train_files / sizeof *train_files };

static int read_set(struct gle_images_set *set, const char *folder, const char *const *names, size_t n_files,
                    const struct gle_data_context *ctx, struct gle_error *err)
{
    size_t sizes[FILES_MAX], total = 0;
    const size_t room = strlen(folder) + 64;
    char *path = gle_calloc(room, 1);
    int rc = path ? 0 : gle_fail(err, GLE_ENOMEM, "no memory for the data set");

    for (size_t i = 0; i < n_files && !rc; i++) {
        snprintf(path, room, "%s/%s", folder, names[i]);
        rc = measure_file(&sizes[i], path, err);
        total += rc ? 0 : sizes[i];
    }
    if (!rc) {
        set->bytes = gle_calloc(total, IMAGE);
        set->labels = gle_calloc(total, 1);
        if (!set->bytes || !set->labels)
            rc = gle_fail(err, GLE_ENOMEM, "no memory for %zu images", total);
    }
    for (size_t i = 0; i < n_files && !rc; i++) {
        FILE *file;
        snprintf(path, room, "%s/%s", folder, names[i]);
        file = fopen(path, "rb");
        rc = file ? read_records(set, file, sizes[i], path, ctx, err) : cannot_read(path, err);
        if (file)
            fclose(file);
    }
    gle_free(path);
    return rc;
}

/* --- */

/* What each byte is shown as: (byte / 255 - mean) / deviation, or byte / 255. Sums of bytes are exact. */
static int find_values(struct gle_images *s, bool standardize, const struct gle_data_context *ctx,
                       struct gle_error *err)
{
    const struct gle_images_set *train = &s->set[GLE_TRAIN];
    uint64_t counts[CHANNELS][256] = {{0}};

    for (size_t i = 0; i < train->n && standardize; i++) {
        if (i % 1000 == 0 && gle_data_tell(ctx, "standardizing", i, train->n, err))
            return -1;
        for (size_t k = 0; k < IMAGE; k++)
            counts[k / PIXELS][train->bytes[i * IMAGE + k]]++;
    }
    for (size_t c = 0; c < CHANNELS; c++) {
        const double n = (double)train->n * PIXELS;
        double mean = 0.0, squares = 0.0, deviation = 1.0;
        for (size_t v = 0; v < 256 && standardize; v++)
            mean += (double)counts[c][v] * (double)v / 255.0 / n;
        for (size_t v = 0; v < 256 && standardize; v++)
            squares += (double)counts[c][v] * ((double)v / 255.0 - mean) * ((double)v / 255.0 - mean) / n;
        if (squares > 0.0) /* else all pixels are alike */
            deviation = sqrt(squares);
        for (size_t v = 0; v < 256; v++)
            s->value[c][v] = (float)(((double)v / 255.0 - mean) / deviation);
    }
    return 0;
}

int gle_cifar10_open(struct gle_data *data, const void *params, const struct gle_data_context *ctx,
                     struct gle_error *err)
{
    const struct cifar_params *p = params;
    struct gle_images *s;

    if (gle_images_begin(&s, data, err))
        return -1;
    data->classes = class_names;
    s->channels = CHANNELS;
    s->height = s->width = SIDE;
    s->flip = p->augment.flip;
    s->shift = (uint32_t)p->augment.shift;
    s->seed = ctx->seed;
    if (read_set(&s->set[GLE_TRAIN], p->path, train_files, FILES_MAX, ctx, err) ||
        read_set(&s->set[GLE_TEST], p->path, test_files, 1, ctx, err) ||
        find_values(s, p->standardize, ctx, err))
        return -1;
    return gle_images_end(data, s, &p->shown, CLASSES, ctx, err);
}
