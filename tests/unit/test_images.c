/* The data sets idx and cifar10, on images of a few pixels: what is shown when, and what is said of bad files. */
#include "../support/dataset.h"
#include "../support/folder.h"
#include "../support/stored.h"
#include "../support/trial.h"
#include "base/memory.h"
#include "base/rng.h"
#include "data/feed.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <zlib.h>

#include <cmocka.h>

enum { HEAD = 16, H = 2, W = 3, PIXELS = H * W, TRAIN = 10, TEST = 4 };

static char folder[FOLDER_SIZE];
static void *state_of_folder = folder;
static const struct gle_data_context plain = {.dt = 0.1, .seed = 7};

/* --- files --- */

static void put(const char *name, const void *bytes, size_t n)
{
    FILE *file = fopen(folder_path(folder, name), "wb");

    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, n, file), n);
    assert_int_equal(fclose(file), 0);
}

static void put_packed(const char *name, const void *bytes, size_t n)
{
    gzFile file = gzopen(folder_path(folder, name), "wb");

    assert_non_null(file);
    assert_int_equal(gzwrite(file, bytes, (unsigned)n), n);
    assert_int_equal(gzclose(file), Z_OK);
}

/* Pixel p of image i of a set. */
static unsigned char pixel(enum gle_split split, size_t i, size_t p)
{
    return (unsigned char)(split == GLE_TRAIN ? 20 * i + p : 255 - 20 * i - p);
}

static unsigned char label(enum gle_split split, size_t i)
{
    return (unsigned char)(split == GLE_TRAIN ? i % 3 : 3 - i);
}

static size_t head_of(unsigned char *bytes, size_t n_dims, size_t n)
{
    const size_t shape[] = {n, H, W};

    memset(bytes, 0, HEAD);
    bytes[2] = 8;
    bytes[3] = (unsigned char)n_dims;
    for (size_t d = 0; d < n_dims; d++)
        bytes[7 + 4 * d] = (unsigned char)shape[d];
    return 4 + 4 * n_dims;
}

/* Images and labels of a set, into room for HEAD + 100 bytes each. Returns how many bytes images have. */
static size_t images_of(unsigned char *bytes, enum gle_split split, size_t n)
{
    size_t at = head_of(bytes, 3, n);

    for (size_t i = 0; i < n; i++)
        for (size_t p = 0; p < PIXELS; p++)
            bytes[at++] = pixel(split, i, p);
    return at;
}

static size_t labels_of(unsigned char *bytes, enum gle_split split, size_t n)
{
    size_t at = head_of(bytes, 1, n);

    for (size_t i = 0; i < n; i++)
        bytes[at++] = label(split, i);
    return at;
}

static int setup(void **state)
{
    unsigned char bytes[HEAD + 100];

    folder_setup(&state_of_folder);
    put("images", bytes, images_of(bytes, GLE_TRAIN, TRAIN));
    put("labels", bytes, labels_of(bytes, GLE_TRAIN, TRAIN));
    put_packed("images.gz", bytes, images_of(bytes, GLE_TRAIN, TRAIN));
    put_packed("labels.gz", bytes, labels_of(bytes, GLE_TRAIN, TRAIN));
    put("test_images", bytes, images_of(bytes, GLE_TEST, TEST));
    put("test_labels", bytes, labels_of(bytes, GLE_TEST, TEST));
    (void)state;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    return folder_teardown(&state_of_folder);
}

/* Settings of all files, with more of them. Static buffer. */
static const char *settings(const char *more)
{
    char yaml[512];

    snprintf(yaml, sizeof yaml, "{images: FOLDER/images, labels: FOLDER/labels, test_images: FOLDER/test_images, "
             "test_labels: FOLDER/test_labels, %s}", more);
    return folder_text(folder, yaml);
}

/* --- what is shown --- */

/* All steps of a row, (n_steps, n_channels), as a network gets them. Owns: gle_free(). */
static float *steps_of(const struct gle_data *data, enum gle_split split, uint32_t row)
{
    const struct gle_pass pass = {.split = split, .rows = &row, .n = 1, .batch_size = 1};
    float *x = gle_floats(data->n_steps * data->n_channels);
    struct gle_error err = {0};
    const struct gle_batch *batch;
    struct gle_feed *feed;
    double waited = 0.0;

    assert_non_null(x);
    assert_int_equal(gle_feed_open(&feed, data, 1, 2, &err), 0);
    assert_int_equal(gle_feed_add(feed, &pass, &err), 0);
    batch = gle_feed_next(feed, &waited);
    assert_int_equal(batch->n_steps, data->n_steps);
    for (size_t t = 0; t < data->n_steps; t++)
        gle_data_input(x + t * data->n_channels, data->n_channels, data, batch, t);
    gle_feed_close(feed);
    return x;
}

/* Channels and steps of each way, two steps a frame; pixels in the order `of`. */
static void check_shown(const char *more, size_t n_channels, const uint32_t *of)
{
    struct gle_data *data = open_data("idx", settings(more), 0.0, &plain);
    static const enum gle_split splits[] = {GLE_TRAIN, GLE_TEST};

    assert_int_equal(data->n_channels, n_channels);
    assert_int_equal(data->n_steps, 2 * PIXELS / n_channels);
    assert_int_equal(data->n_targets, 4); /* of the test set */
    assert_true(data->bytes >= (TRAIN + TEST) * PIXELS && data->bytes < 1000.0);
    for (size_t k = 0; k < 2; k++) {
        assert_int_equal(data->split[splits[k]].n, k ? TEST : TRAIN);
        for (uint32_t i = 0; i < data->split[splits[k]].n; i++) {
            float *x = steps_of(data, splits[k], i);
            assert_int_equal(data->split[splits[k]].labels[i], label(splits[k], i));
            for (size_t t = 0; t < data->n_steps; t++)
                for (size_t c = 0; c < n_channels; c++)
                    assert_true(x[t * n_channels + c] ==
                                (float)pixel(splits[k], i, of[t / 2 * n_channels + c]) / 255.0f);
            gle_free(x);
        }
    }
    gle_data_close(data);
}

static void images_are_shown_whole_by_rows_or_by_pixels(void **state)
{
    static const uint32_t in_order[PIXELS] = {0, 1, 2, 3, 4, 5};
    uint32_t permuted[PIXELS];
    struct gle_rng rng;

    (void)state;
    gle_rng_seed(&rng, 0);
    gle_torch_randperm(&rng, permuted, PIXELS);
    assert_memory_not_equal(permuted, in_order, sizeof permuted);
    check_shown("as: image, present: 0.2", PIXELS, in_order);
    check_shown("as: rows, present: 0.2", W, in_order);
    check_shown("as: pixels, present: 0.2", 1, in_order);
    check_shown("as: pixels, present: 0.2, permute: none", 1, in_order);
    check_shown("as: pixels, present: 0.2, permute: 0", 1, permuted);
    check_shown("as: rows, present: 0.2, permute: 0", W, permuted);
    check_shown("as: image, present: 0.2, permute: 0", PIXELS, permuted);
}

static void a_window_says_when_something_is_asked_for(void **state)
{
    struct gle_data *data = open_data("idx", settings("as: rows, present: 0.2, target_window: [0.1, 0.3]"), 0.0,
                                      &plain);
    struct gle_error err = {0};
    struct chosen c;

    (void)state;
    for (size_t t = 0; t < data->n_steps; t++)
        assert_int_equal(gle_data_asks(data, GLE_TEST, 1, t), t == 1 || t == 2);
    gle_data_close(data);
    assert_int_equal(choose(&c, "idx", settings("as: rows, present: 0.2, target_window: [0.1, 0.5]"), &err), 0);
    assert_int_equal(gle_data_open(&data, c.set, c.params, 0.0, &plain, &err), -1);
    assert_int_equal(err.code, GLE_ERANGE);
    assert_non_null(strstr(err.text, "target_window ends at 0.5, where samples last for 0.4"));
    forget(&c);
}

static void a_gzip_is_read_like_what_it_holds(void **state)
{
    struct gle_data *one = open_data("idx", folder_text(folder, "{images: FOLDER/images, labels: FOLDER/labels.gz, "
                                                                "present: 1}"), 0.0, &plain);
    struct gle_data *two = open_data("idx", folder_text(folder, "{images: FOLDER/images.gz, labels: FOLDER/labels, "
                                                                "present: 1, as: pixels, classes: 9}"), 0.0, &plain);
    struct gle_data *other = open_data("idx", settings("present: 1"), 0.0, &plain);

    (void)state;
    assert_int_equal(strlen(one->sha256), 64);
    assert_string_equal(one->sha256, two->sha256); /* of files, however they are shown */
    assert_string_not_equal(one->sha256, other->sha256);
    assert_int_equal(one->n_targets, 3);
    assert_int_equal(two->n_targets, 9);
    assert_int_equal(one->split[GLE_TEST].n, 0);
    gle_data_close(one);
    gle_data_close(two);
    gle_data_close(other);
}

/* The number of the training image that a row shows. */
static size_t find_image(const struct gle_data *data, enum gle_split split, uint32_t row)
{
    float *x = steps_of(data, split, row);
    size_t i = 0;

    while (i < TRAIN && x[0] != (float)pixel(GLE_TRAIN, i, 0) / 255.0f)
        i++;
    assert_true(i < TRAIN);
    for (size_t p = 0; p < PIXELS; p++)
        assert_true(x[p] == (float)pixel(GLE_TRAIN, i, p) / 255.0f);
    assert_int_equal(data->split[split].labels[row], label(GLE_TRAIN, i));
    gle_free(x);
    return i;
}

static void a_part_is_taken_for_validation_by_the_seed(void **state)
{
    size_t first[2] = {0};

    (void)state;
    for (uint64_t k = 0; k < 2; k++) {
        const struct gle_data_context ctx = {.dt = 0.1, .seed = k ? 21 : 7};
        struct gle_data *data = open_data("idx", settings("present: 0.1"), 0.3, &ctx);
        bool seen[TRAIN] = {false};
        assert_int_equal(data->split[GLE_TRAIN].n, 7);
        assert_int_equal(data->split[GLE_VALIDATION].n, 3);
        assert_int_equal(data->split[GLE_TEST].n, TEST);
        for (uint32_t i = 0; i < TRAIN; i++) {
            const size_t image = find_image(data, i < 7 ? GLE_TRAIN : GLE_VALIDATION, i < 7 ? i : i - 7);
            assert_false(seen[image]);
            seen[image] = true;
            if (i >= 7)
                first[k] = 10 * first[k] + image;
        }
        for (uint32_t i = 0; i < TEST; i++) {
            float *x = steps_of(data, GLE_TEST, i);
            assert_true(x[1] == (float)pixel(GLE_TEST, i, 1) / 255.0f);
            gle_free(x);
        }
        gle_data_close(data);
    }
    assert_int_not_equal(first[0], first[1]);
}

/* --- what is said of bad files --- */

/* bytes in place of a file. */
static void check_file(const char *name, const void *bytes, size_t n, const char *text)
{
    struct gle_error err;
    struct gle_data *data;

    put(name, bytes, n);
    assert_int_equal(try_open(&data, "idx", settings("present: 0.1, classes: 4"), 0.0, &plain, &err), -1);
    assert_null(data);
    assert_string_equal(err.text, text);
    assert_int_equal(err.code, GLE_EDATA);
    assert_string_equal(err.file, folder_path(folder, name));
}

static void what_is_wrong_with_a_file_is_told(void **state)
{
    unsigned char bytes[HEAD + 100];
    const size_t n = images_of(bytes, GLE_TRAIN, TRAIN);

    (void)state;
    check_file("images", bytes, 0, "is no IDX file: it has 0 bytes");
    check_file("images", bytes, 3, "is no IDX file: it has 3 bytes");
    check_file("images", bytes, 10, "ends within its header, after 10 bytes");
    check_file("images", bytes, n - 1, "ends after 59 of the 60 values of its header");
    check_file("images", bytes, HEAD, "ends after 0 of the 60 values of its header");
    check_file("images", bytes, n + 1, "goes on after the 60 values of its header");
    check_file("images", "P5 3 2 255 ..........", 20, "is no IDX file, which begins with two bytes of 0");
    bytes[2] = 0xd;
    check_file("images", bytes, n, "has 32-bit floats, where unsigned bytes are wanted");
    bytes[2] = 0x77;
    check_file("images", bytes, n,
               "has values of an unknown type (byte 2 is 0x77), where unsigned bytes (0x08) are wanted");
    bytes[2] = 8;
    bytes[3] = 1;
    check_file("images", bytes, n, "has 1 dimension, where images have 3: (samples, rows, columns)");
    bytes[3] = 3;
    bytes[11] = 0;
    check_file("images", bytes, n, "is empty: size 1 of its header is 0");
    memset(bytes + 4, 0xff, 12);
    check_file("images", bytes, n,
               "has 76 bytes, too few for the 9223372036854775807 values of its header");
    memset(bytes + 8, 0, 8);
    bytes[11] = bytes[15] = 1;
    check_file("images", bytes, n, "has 76 bytes, too few for the 4294967295 values of its header");
}

static void files_that_do_not_fit_each_other_are_told(void **state)
{
    unsigned char bytes[HEAD + 100];
    char text[PATH_SIZE + 100];
    size_t n = labels_of(bytes, GLE_TRAIN, TRAIN - 1);

    (void)state;
    snprintf(text, sizeof text, "has 9 labels, where %s has 10 images", folder_path(folder, "images"));
    check_file("labels", bytes, n, text);
    n = labels_of(bytes, GLE_TRAIN, TRAIN);
    bytes[8 + 4] = 4;
    check_file("labels", bytes, n, "label 4 is 4, where labels are 0 ... 3");
    bytes[3] = 3;
    check_file("labels", bytes, n, "has 3 dimensions, where labels have 1: (samples)");
    put("labels", bytes, labels_of(bytes, GLE_TRAIN, TRAIN));
    n = images_of(bytes, GLE_TEST, TEST);
    bytes[11] = 3;
    bytes[15] = 2;
    snprintf(text, sizeof text, "has images of 3 x 2 pixels, where those of %s have 2 x 3",
             folder_path(folder, "images"));
    check_file("test_images", bytes, n, text);
}

/* A gzip of the training images, of which a byte is changed (at: from the end) or that is cut. */
static void check_gzip(size_t cut, size_t at, const char *text)
{
    unsigned char bytes[1000];
    FILE *file = fopen(folder_path(folder, "images.gz"), "rb");
    const size_t n = file ? fread(bytes, 1, sizeof bytes, file) : 0;

    assert_true(n > 40);
    fclose(file);
    bytes[n - 1 - at] ^= at ? 1 : 0;
    check_file("images", bytes, n - cut, text);
}

static void a_damaged_gzip_is_told(void **state)
{
    (void)state;
    check_gzip(30, 0, "cannot unpack: the gzip ends in its middle");
    check_gzip(1, 0, "cannot unpack: the gzip ends in its middle");
    check_gzip(0, 6, "cannot unpack: incorrect data check");
    check_gzip(0, 3, "cannot unpack: incorrect length check");
}

static void what_is_not_there_is_told_with_what_to_do(void **state)
{
    static const char names[][8] = {"x", "images", "x.gz"};

    (void)state;
    assert_not_opened("idx", folder_text(folder, "{images: FOLDER/x, labels: FOLDER/labels, present: 1}"), 0.0, &plain,
                      GLE_EDATA, "cannot read: No such file or directory");
    put_packed("x.gz", names, sizeof names);
    assert_not_opened("idx", folder_text(folder, "{images: FOLDER/x, labels: FOLDER/labels, present: 1}"), 0.0, &plain,
                      GLE_EDATA, "cannot read: No such file or directory (there is one with .gz)");
    put("y", names, sizeof names);
    assert_not_opened("idx", folder_text(folder, "{images: FOLDER/y.gz, labels: FOLDER/labels, present: 1}"), 0.0,
                      &plain, GLE_EDATA, "cannot read: No such file or directory (there is one without .gz)");
    assert_not_opened("idx", "{images: /usr/share/datasets/fashion-mnist/x, labels: y, present: 1}", 0.0, &plain,
                      GLE_EDATA, "cannot read: No such file or directory (tools/setup --packages dataset-fashion-mnist "
                      "installs it)");
    assert_not_opened("idx", folder_text(folder, "{images: FOLDER, labels: FOLDER/labels, present: 1}"), 0.0, &plain,
                      GLE_EDATA, "is a folder, not a file");
    assert_not_opened("idx", folder_text(folder, "{images: FOLDER/images, labels: FOLDER/labels, "
                      "test_images: FOLDER/x, present: 1}"), 0.0, &plain, GLE_ERANGE, "needs test_labels beside it");
    assert_not_opened("idx", folder_text(folder, "{images: FOLDER/images, labels: FOLDER/labels, "
                      "test_labels: FOLDER/x, present: 1}"), 0.0, &plain, GLE_ERANGE, "needs test_images beside it");
    assert_not_opened("idx", settings("present: 1e8"), 0.0, &(struct gle_data_context){.dt = 0.01}, GLE_ERANGE,
                      "present = 1e+08 is 1e+10 steps of dt = 0.01 (1 to 1e+09 are possible)");
    assert_not_opened("idx", settings("present: 1e8, as: pixels"), 0.0, &(struct gle_data_context){.dt = 0.2},
                      GLE_ERANGE,
                      "present = 1e+08 is 500000000 steps of each of 6 frames (1000000000 are possible in all)");
}

/* Images that are played by duration are to the bit what their frames in memory are. */
static void images_are_played_as_frames_in_memory_are(void **state)
{
    static const char network[] = "glesim: 1\nname: played\ndt: 0.1\nseed: 5\nnetwork: {input: 3, layers: [{name: b, "
                                  "neurons: {count: 4, tau_m: 0.7, tau_r: 0.5}}]}\nlearning: {loss: cross_entropy}\n"
                                  "training: {batch_size: 3, test_batch_size: 3, evaluate: {every: 1.1}, "
                                  "phases: [{duration: 2.5}, {duration: 1.7}]}\n";
    double x[2][TRAIN * PIXELS], y[2][TRAIN];
    const struct stored arrays[] = {{"x", 3, {TRAIN, H, W}, x[0]},     {"y", 1, {TRAIN}, y[0]},
                                    {"x_test", 3, {TEST, H, W}, x[1]}, {"y_test", 1, {TEST}, y[1]}, {0}};
    char yaml[2048];
    struct trial t[2];

    (void)state;
    for (int s = 0; s < 2; s++)
        for (size_t i = 0; i < (s ? TEST : TRAIN); i++) {
            y[s][i] = label(s ? GLE_TEST : GLE_TRAIN, i);
            for (size_t p = 0; p < PIXELS; p++)
                x[s][i * PIXELS + p] = (double)((float)pixel(s ? GLE_TEST : GLE_TRAIN, i, p) / 255.0f);
        }
    store_at(folder_path(folder, "frames.npz"), arrays);
    snprintf(yaml, sizeof yaml, "%sdataset: {type: npz, hold: 2, file: FOLDER/frames.npz, classes: 4}\n", network);
    t[0] = trial_of(folder_text(folder, yaml), 1);
    snprintf(yaml, sizeof yaml, "%sdataset: {type: idx, images: FOLDER/images, labels: FOLDER/labels, test_images: "
             "FOLDER/test_images, test_labels: FOLDER/test_labels, classes: 4, as: rows, present: 0.2}\n", network);
    t[1] = trial_of(folder_text(folder, yaml), 2);
    assert_true(same_params(&t[0].b, &t[1].b));
    for (size_t i = 0; i < 2; i++)
        assert_true(t[0].m.phases[i].loss == t[1].m.phases[i].loss &&
                    t[0].m.phases[i].accuracy == t[1].m.phases[i].accuracy);
    assert_int_equal(t[0].m.n_evaluations, 5);
    for (size_t i = 0; i < 5; i++)
        assert_true(t[0].m.evaluations[i].loss == t[1].m.evaluations[i].loss &&
                    t[0].m.evaluations[i].accuracy == t[1].m.evaluations[i].accuracy);
    trial_close(&t[1]);
    trial_close(&t[0]);
}

/* --- CIFAR-10 --- */

enum { SIDE = 32, PLANE = SIDE * SIDE, IMAGE = 3 * PLANE, RECORD = 1 + IMAGE, BATCHES = 5, EACH = 2 };

/* Byte p of image i of all, of which the last EACH are for the test. */
static unsigned char cifar_byte(size_t i, size_t p)
{
    return (unsigned char)((p * 7 + p / PLANE * 31 + p / SIDE * 5 + i * 13) % 251);
}

static void put_cifar(void)
{
    static unsigned char bytes[EACH * RECORD];

    for (size_t b = 0; b <= BATCHES; b++) {
        char name[32];
        for (size_t i = 0; i < EACH; i++) {
            bytes[i * RECORD] = (unsigned char)((b * EACH + i) % 10);
            for (size_t p = 0; p < IMAGE; p++)
                bytes[i * RECORD + 1 + p] = cifar_byte(b * EACH + i, p);
        }
        snprintf(name, sizeof name, b < BATCHES ? "data_batch_%zu.bin" : "test_batch.bin", b + 1);
        put(name, bytes, sizeof bytes);
    }
}

static const char *cifar(const char *more)
{
    char yaml[512];

    snprintf(yaml, sizeof yaml, "{path: FOLDER, %s}", more);
    return folder_text(folder, yaml);
}

/* The frames of a row, as its maker makes them. Owns: gle_free(). */
static float *frames_of(const struct gle_data *data, enum gle_split split, uint32_t row, uint64_t draw)
{
    const struct gle_maker *maker = &data->maker;
    float *frames = gle_floats(maker->frames_max * data->n_channels);
    void *desk = maker->open_desk(maker->state);

    assert_non_null(frames);
    assert_non_null(desk);
    maker->make(maker->state, desk, frames, split, gle_data_number(data, split, row), draw);
    maker->close_desk(desk);
    return frames;
}

static void photographs_are_shown_in_three_colours(void **state)
{
    static const struct {
        const char *as;
        size_t n_channels, by_colour, by_row, by_pixel;
    } ways[] = {
        {"as: image, standardize: false, present: 1", IMAGE, PLANE, SIDE, 1},
        {"as: rows, standardize: false, present: 1", 3 * SIDE, SIDE, 3 * SIDE, 1},
        {"as: pixels, standardize: false, present: 1", 3, 1, 3 * SIDE, 3},
    };

    (void)state;
    put_cifar();
    for (size_t k = 0; k < sizeof ways / sizeof *ways; k++) {
        struct gle_data *data = open_data("cifar10", cifar(ways[k].as), 0.0, &plain);
        assert_int_equal(data->n_channels, ways[k].n_channels);
        assert_int_equal(data->maker.frames_max, IMAGE / ways[k].n_channels);
        assert_int_equal(data->n_targets, 10);
        assert_string_equal(data->classes[1], "automobile");
        for (uint32_t i = 0; i < (BATCHES + 1) * EACH; i++) {
            const bool test = i >= BATCHES * EACH;
            const enum gle_split split = test ? GLE_TEST : GLE_TRAIN;
            const uint32_t row = test ? i - BATCHES * EACH : i;
            float *x = frames_of(data, split, row, 0);
            assert_int_equal(data->split[split].labels[row], i % 10);
            for (size_t p = 0; p < IMAGE; p++)
                assert_true(x[p / PLANE * ways[k].by_colour + p % PLANE / SIDE * ways[k].by_row +
                              p % SIDE * ways[k].by_pixel] == (float)(cifar_byte(i, p) / 255.0));
            gle_free(x);
        }
        gle_data_close(data);
    }
}

static void colours_are_standardized_over_the_training_batches(void **state)
{
    struct gle_data *data;

    (void)state;
    put_cifar();
    data = open_data("cifar10", cifar("present: 1"), 0.3, &plain); /* before some are taken for validation */
    for (size_t c = 0; c < 3; c++) {
        double sum = 0.0, squares = 0.0;
        for (uint32_t i = 0; i < BATCHES * EACH; i++) {
            const uint32_t n = (uint32_t)data->split[GLE_TRAIN].n;
            float *x = i < n ? frames_of(data, GLE_TRAIN, i, 0) : frames_of(data, GLE_VALIDATION, i - n, 0);
            for (size_t p = 0; p < PLANE; p++) {
                sum += (double)x[c * PLANE + p];
                squares += (double)x[c * PLANE + p] * (double)x[c * PLANE + p];
            }
            gle_free(x);
        }
        assert_true(fabs(sum / (BATCHES * EACH * PLANE)) < 1e-6);
        assert_true(fabs(squares / (BATCHES * EACH * PLANE) - 1.0) < 1e-6);
    }
    gle_data_close(data);
}

/* Whether x is image i, turned or not, and moved. */
static bool is_moved(const float *x, size_t i, bool turned, int down, int right)
{
    for (int p = 0; p < IMAGE; p++) {
        const int y = p % PLANE / SIDE - down, column = p % SIDE - right;
        const bool inside = y >= 0 && y < SIDE && column >= 0 && column < SIDE;
        const int from = p / PLANE * PLANE + y * SIDE + (turned ? SIDE - 1 - column : column);
        if (x[p] != (inside ? (float)(cifar_byte(i, (size_t)from) / 255.0) : 0.0f))
            return false;
    }
    return true;
}

/* Which of all ways it is moved in. */
static size_t find_way(const float *x, size_t i, int shift)
{
    size_t way = 0;

    for (int turned = 0; turned < 2; turned++)
        for (int down = -shift; down <= shift; down++)
            for (int right = -shift; right <= shift; right++, way++)
                if (is_moved(x, i, turned, down, right))
                    return way;
    fail_msg("an image that is none of ours");
    return 0;
}

static void training_samples_are_turned_and_moved_by_the_draw(void **state)
{
    enum { DRAWS = 300, WAYS = 2 * 3 * 3 };
    const struct gle_data_context other_seed = {.dt = 0.1, .seed = 8};
    struct gle_data *data, *other;
    size_t seen[WAYS] = {0}, alike = 0;

    (void)state;
    put_cifar();
    data = open_data("cifar10", cifar("present: 1, standardize: false, augment: {flip: true, shift: 1}"), 0.2, &plain);
    other = open_data("cifar10", cifar("present: 1, standardize: false, augment: {flip: true, shift: 1}"), 0.2,
                      &other_seed);
    for (uint64_t draw = 0; draw < DRAWS; draw++) {
        const uint32_t row = (uint32_t)draw % 8;
        float *x = frames_of(data, GLE_TRAIN, row, draw), *again = frames_of(data, GLE_TRAIN, row, draw);
        float *elsewhere = frames_of(other, GLE_TRAIN, 0, draw);
        const size_t way = find_way(x, gle_data_number(data, GLE_TRAIN, row), 1);
        assert_memory_equal(x, again, IMAGE * sizeof *x);
        alike += way == find_way(elsewhere, gle_data_number(other, GLE_TRAIN, 0), 1);
        seen[way]++;
        gle_free(x);
        gle_free(again);
        gle_free(elsewhere);
    }
    for (size_t way = 0; way < WAYS; way++)
        assert_in_range(seen[way], DRAWS / WAYS / 4, 3 * DRAWS / WAYS);
    assert_in_range(alike, 1, DRAWS / 4); /* the other seed draws otherwise */
    for (uint32_t row = 0; row < 2; row++) { /* what is measured stays as it is */
        static const enum gle_split splits[] = {GLE_VALIDATION, GLE_TEST};
        for (size_t k = 0; k < 2; k++) {
            float *x = frames_of(data, splits[k], row, row);
            assert_true(is_moved(x, gle_data_number(data, splits[k], row), false, 0, 0));
            gle_free(x);
        }
    }
    gle_data_close(data);
    gle_data_close(other);
}

static void what_is_wrong_with_a_batch_is_told(void **state)
{
    static unsigned char bytes[EACH * RECORD];

    (void)state;
    assert_not_opened("cifar10", cifar("present: 1"), 0.0, &plain, GLE_EDATA,
                      "cannot read: No such file or directory (datasets/fetch_cifar10 fetches the binary version)");
    put_cifar();
    put("data_batch_4.bin", bytes, RECORD + 5);
    assert_not_opened("cifar10", cifar("present: 1"), 0.0, &plain, GLE_EDATA,
                      "has 3078 bytes, where records of 3073 bytes are wanted: a label and 3 x 32 x 32 pixels");
    put("data_batch_4.bin", bytes, 0);
    assert_not_opened("cifar10", cifar("present: 1"), 0.0, &plain, GLE_EDATA,
                      "has 0 bytes, where records of 3073 bytes are wanted: a label and 3 x 32 x 32 pixels");
    bytes[RECORD] = 10;
    put("data_batch_4.bin", bytes, sizeof bytes);
    assert_not_opened("cifar10", cifar("present: 1"), 0.0, &plain, GLE_EDATA,
                      "record 1 (byte 3073) has the label 10, where labels are 0 ... 9");
    put_cifar();
    assert_int_equal(remove(folder_path(folder, "test_batch.bin")), 0);
    assert_not_opened("cifar10", cifar("present: 1"), 0.0, &plain, GLE_EDATA,
                      "cannot read: No such file or directory (datasets/fetch_cifar10 fetches the binary version)");
}

/* Images of one colour have no deviation, and no batch is turned into infinities. */
static void photographs_that_are_all_alike_are_zeros(void **state)
{
    static unsigned char bytes[RECORD];
    struct gle_data *data;
    float *x;

    (void)state;
    put_cifar();
    memset(bytes + 1, 77, IMAGE);
    for (size_t b = 1; b <= BATCHES; b++) {
        char name[32];
        snprintf(name, sizeof name, "data_batch_%zu.bin", b);
        put(name, bytes, sizeof bytes);
    }
    data = open_data("cifar10", cifar("present: 1"), 0.0, &plain);
    x = frames_of(data, GLE_TRAIN, 0, 0);
    for (size_t p = 0; p < IMAGE; p++)
        assert_true(fabsf(x[p]) < 1e-6f);
    gle_free(x);
    gle_data_close(data);
}

/* --- both --- */

static int count(void *ctx, const char *what, size_t done, size_t total)
{
    size_t *calls = ctx; /* how many there were, and how many there may be */

    assert_true(strlen(what) > 0 && done <= total);
    return ++calls[0] == calls[1];
}

static void opening_stops_when_it_is_told_to(void **state)
{
    static const char *const names[] = {"idx", "cifar10"};

    (void)state;
    put_cifar();
    for (size_t k = 0; k < 2; k++) {
        size_t calls[2] = {0};
        struct gle_data_context ctx = plain;
        const char *const yaml = k ? cifar("present: 1") : settings("present: 1, permute: 3");
        struct gle_error err;
        struct gle_data *data;
        size_t all;
        ctx.progress = count;
        ctx.ctx = calls;
        gle_data_close(open_data(names[k], yaml, 0.2, &ctx));
        all = calls[0];
        assert_true(all > 5);
        for (size_t stop = 1; stop <= all; stop++) {
            calls[0] = 0;
            calls[1] = stop;
            assert_int_equal(try_open(&data, names[k], yaml, 0.2, &ctx, &err), -1);
            assert_int_equal(err.code, GLE_ESTOPPED);
            assert_int_equal(calls[0], stop);
        }
    }
}

static void every_allocation_that_fails_is_told(void **state)
{
    static const char *const names[] = {"idx", "cifar10"};

    (void)state;
    put_cifar();
    for (size_t k = 0; k < 2; k++) {
        const char *const yaml = k ? cifar("present: 1") : settings("present: 1, permute: 3");
        struct gle_data *data = NULL;
        struct chosen c;
        struct gle_error err = {0};
        assert_int_equal(choose(&c, names[k], yaml, &err), 0);
        for (size_t n = 0; !data; n++) {
            int rc;
            err = (struct gle_error){0};
            gle_memory_fail_after(n);
            rc = gle_data_open(&data, c.set, c.params, 0.2, &plain, &err);
            gle_memory_fail_after((size_t)-1);
            assert_true(n < 1000);
            if (rc)
                assert_int_equal(err.code, GLE_ENOMEM);
        }
        gle_data_close(data);
        forget(&c);
    }
}

#define OF_FILES(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        OF_FILES(images_are_shown_whole_by_rows_or_by_pixels),
        OF_FILES(a_window_says_when_something_is_asked_for),
        OF_FILES(a_gzip_is_read_like_what_it_holds),
        OF_FILES(a_part_is_taken_for_validation_by_the_seed),
        OF_FILES(what_is_wrong_with_a_file_is_told),
        OF_FILES(files_that_do_not_fit_each_other_are_told),
        OF_FILES(a_damaged_gzip_is_told),
        OF_FILES(what_is_not_there_is_told_with_what_to_do),
        OF_FILES(images_are_played_as_frames_in_memory_are),
        OF_FILES(photographs_are_shown_in_three_colours),
        OF_FILES(colours_are_standardized_over_the_training_batches),
        OF_FILES(training_samples_are_turned_and_moved_by_the_draw),
        OF_FILES(what_is_wrong_with_a_batch_is_told),
        OF_FILES(photographs_that_are_all_alike_are_zeros),
        OF_FILES(opening_stops_when_it_is_told_to),
        OF_FILES(every_allocation_that_fails_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
