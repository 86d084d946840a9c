#include "../support/dataset.h"
#include "base/memory.h"
#include "base/npz.h"
#include "base/rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static char folder[] = "/tmp/glesim_test_data_XXXXXX";
static char archive[sizeof folder + 16];

static struct gle_data *open_with(const char *name, const char *yaml, double validation, double dt, uint64_t seed)
{
    const struct gle_data_context ctx = {.dt = dt, .seed = seed};

    return open_data(name, yaml, validation, &ctx);
}

static void assert_refused(const char *name, const char *yaml, double validation, enum gle_code code, const char *text)
{
    const struct gle_data_context ctx = {.dt = 0.5, .seed = 0};

    assert_not_opened(name, yaml, validation, &ctx, code, text);
}

static void assert_floats(const float *got, const float *want, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (fabs((double)got[i] - (double)want[i]) > 1e-5)
            fail_msg("value %zu is %.9g, not %.9g", i, (double)got[i], (double)want[i]);
}

static void assert_equal_floats(const float *got, const float *want, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (got[i] != want[i])
            fail_msg("value %zu is %.9g, not %.9g", i, (double)got[i], (double)want[i]);
}

/* --- archives --- */

enum { ARRAYS_MAX = 6, VALUES_MAX = 64 };

/* An array of an archive: double values, whole numbers where they are labels; 0, 1, 2, ... if values is NULL. */
struct stored {
    const char *name;
    size_t n_dims, shape[4];
    const double *values;
};

static void store(const struct stored *arrays)
{
    struct gle_npz_writer *w = gle_npz_create();
    struct gle_error err = {0};

    assert_non_null(w);
    for (const struct stored *a = arrays; a->name; a++) {
        double values[VALUES_MAX];
        size_t n = 1;
        for (size_t d = 0; d < a->n_dims; d++)
            n *= a->shape[d];
        assert_true(n <= VALUES_MAX);
        for (size_t i = 0; i < n; i++)
            values[i] = a->values ? a->values[i] : (double)i;
        assert_int_equal(gle_npz_add(w, a->name, GLE_NPY_F64, values, a->n_dims, a->shape, &err), 0);
    }
    assert_int_equal(gle_npz_write(w, archive, &err), 0);
    gle_npz_destroy(w);
}

/* "{file: ARCHIVE, more}" */
static const char *settings(char buf[256], const char *more)
{
    snprintf(buf, 256, "{file: %s%s%s}", archive, *more ? ", " : "", more);
    return buf;
}

static void assert_archive_refused_in(const struct gle_data_context *ctx, const struct stored *arrays, const char *more,
                                      enum gle_code code, const char *text)
{
    char buf[256];
    struct gle_error err;
    struct gle_data *data;

    store(arrays);
    assert_int_equal(try_open(&data, "npz", settings(buf, more), 0.0, ctx, &err), -1);
    assert_null(data);
    assert_string_equal(err.text, text);
    assert_string_equal(err.file, archive);
    assert_int_equal(err.code, code);
}

static void assert_archive_refused(const struct stored *arrays, const char *more, enum gle_code code, const char *text)
{
    const struct gle_data_context ctx = {.dt = 0.5, .seed = 0};

    assert_archive_refused_in(&ctx, arrays, more, code, text);
}

static struct gle_data *open_archive(const struct stored *arrays, const char *more, double validation)
{
    char buf[256];

    store(arrays);
    return open_with("npz", settings(buf, more), validation, 0.5, 0);
}

static const double three_labels[] = {2, 0, 1}, two_labels[] = {0, 2};

/* --- gathering --- */

static void moving_inputs_are_gathered_with_a_leading_dimension(void **state)
{
    static const struct stored arrays[] = {{"x", 3, {3, 4, 2}, NULL}, {"y", 1, {3}, three_labels}, {0}};
    static const float want[] = {20, 21, -1, 4, 5, -1}; /* rows 2 and 0 at step 2 */
    static const uint32_t rows[] = {2, 0};
    struct gle_data *data = open_archive(arrays, "", 0.0);
    float x[6] = {-1, -1, -1, -1, -1, -1};

    (void)state;
    assert_int_equal(data->n_steps, 4);
    assert_int_equal(data->n_channels, 2);
    assert_int_equal(data->n_targets, 3);
    assert_false(data->held);
    gle_data_input(x, 3, data, batch_of(data, GLE_TRAIN, rows, 2), 2);
    assert_equal_floats(x, want, COUNT(want));
    gle_data_close(data);
}

static void held_inputs_stay_the_same(void **state)
{
    static const struct stored arrays[] = {{"x", 2, {3, 2}, NULL}, {"y", 1, {3}, three_labels}, {0}};
    static const float want[] = {2, 3, 4, 5, 2, 3};
    static const uint32_t rows[] = {1, 2, 1};
    struct gle_data *data = open_archive(arrays, "present: 2.4", 0.0);

    (void)state;
    assert_true(data->held);
    assert_int_equal(data->n_steps, 5); /* 4.8 rounded */
    for (size_t t = 0; t < data->n_steps; t++) {
        float x[6];
        gle_data_input(x, 2, data, batch_of(data, GLE_TRAIN, rows, 3), t);
        assert_equal_floats(x, want, COUNT(want));
    }
    gle_data_close(data);
}

static void labels_become_one_hot_targets(void **state)
{
    static const struct stored arrays[] = {{"x", 2, {3, 2}, NULL}, {"y", 1, {3}, three_labels}, {0}};
    static const float want[] = {0, 1, 0, 0, -1, 0, 0, 1, 0, -1};
    static const uint32_t rows[] = {2, 0};
    struct gle_data *data = open_archive(arrays, "present: 1, classes: 4", 0.0);
    float y[10] = {[4] = -1, [9] = -1};

    (void)state;
    assert_int_equal(data->n_targets, 4);
    assert_true(data->labelled);
    gle_data_target(y, 5, data, batch_of(data, GLE_TRAIN, rows, 2), 1);
    assert_equal_floats(y, want, COUNT(want));
    gle_data_close(data);
}

static void targets_may_stay_or_move(void **state)
{
    static const struct stored stay[] = {{"x", 3, {2, 3, 1}, NULL}, {"targets", 2, {2, 2}, NULL}, {0}};
    static const struct stored move[] = {{"x", 3, {2, 3, 1}, NULL}, {"targets", 3, {2, 3, 2}, NULL}, {0}};
    static const float want_stay[] = {2, 3, -1, 0, 1, -1}, want_move[] = {10, 11, 4, 5};
    static const uint32_t rows[] = {1, 0};
    struct gle_data *data = open_archive(stay, "", 0.0);
    float y[6] = {-1, -1, -1, -1, -1, -1};

    (void)state;
    assert_false(data->target_moves);
    assert_false(data->labelled);
    gle_data_target(y, 3, data, batch_of(data, GLE_TRAIN, rows, 2), 2);
    assert_equal_floats(y, want_stay, COUNT(want_stay));
    gle_data_close(data);

    data = open_archive(move, "", 0.0);
    assert_true(data->target_moves);
    assert_int_equal(data->n_targets, 2);
    gle_data_target(y, 2, data, batch_of(data, GLE_TRAIN, rows, 2), 2);
    assert_equal_floats(y, want_move, COUNT(want_move));
    gle_data_close(data);
}

/* --- validation --- */

/* Steps are counted in single precision, which tells neighbours apart below 2^24 only: still the last frame is the
 * last. */
static void a_very_long_sample_ends_with_its_last_frame(void **state)
{
    enum { N = (1 << 23) + 2 };
    const struct gle_data data = {.n_steps = N, .n_channels = 1, .maker = {.frames_max = N, .upsample = 1},
                                  .split = {{.n = 1}}};
    const size_t n_frames = N;
    const uint32_t row = 0;
    float *frames = gle_calloc(N + 1, sizeof *frames), x = -1.0f;
    const struct gle_batch batch = {.rows = &row, .B = 1, .n_steps = N, .frames = frames, .n_frames = &n_frames};

    (void)state;
    assert_non_null(frames);
    frames[N - 1] = 3.0f;
    frames[N] = 1e9f; /* another sample's */
    gle_data_input(&x, 1, &data, &batch, N - 1);
    assert_true(x == 3.0f);
    gle_free(frames);
}

static void validation_is_the_head_of_a_random_order(void **state)
{
    enum { N = 10, N_VALIDATION = 3 }; /* 0.25 of ten, rounded */
    static const double labels[N] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
    static const struct stored arrays[] = {{"x", 3, {N, 1, 2}, NULL}, {"y", 1, {N}, labels}, {0}};
    struct gle_data *data = open_archive(arrays, "", 0.25);
    const struct gle_samples *train = &data->split[GLE_TRAIN], *validation = &data->split[GLE_VALIDATION];
    uint32_t order[N];
    size_t n_train = 0, n_validation = 0;
    struct gle_rng rng;

    (void)state;
    gle_rng_seed(&rng, 0);
    gle_torch_randperm(&rng, order, N);
    assert_int_equal(validation->n, N_VALIDATION);
    assert_int_equal(train->n, N - N_VALIDATION);
    for (int i = 0; i < N; i++) {
        int chosen = 0;
        for (size_t k = 0; k < N_VALIDATION; k++)
            chosen |= order[k] == (uint32_t)i;
        const struct gle_samples *part = chosen ? validation : train;
        const size_t at = chosen ? n_validation++ : n_train++;
        assert_int_equal(part->labels[at], i);
        assert_true(part->x[2 * at] == (float)(2 * i) && part->x[2 * at + 1] == (float)(2 * i + 1));
    }
    gle_data_close(data);
}

static void validation_keeps_targets_with_inputs(void **state)
{
    static const struct stored arrays[] = {{"x", 3, {4, 2, 1}, NULL}, {"targets", 3, {4, 2, 1}, NULL}, {0}};
    struct gle_data *data = open_archive(arrays, "", 0.5);

    (void)state;
    for (int i = GLE_TRAIN; i <= GLE_VALIDATION; i++) {
        assert_int_equal(data->split[i].n, 2);
        assert_equal_floats(data->split[i].targets, data->split[i].x, 4);
    }
    gle_data_close(data);
}

static void the_choice_depends_on_the_seed_alone(void **state)
{
    const char *points = "{train: 50, test: 0}";
    struct gle_data *first = open_with("yinyang", points, 0.2, 0.1, 7);
    struct gle_data *same = open_with("yinyang", points, 0.2, 0.1, 7);
    struct gle_data *other = open_with("yinyang", points, 0.2, 0.1, 8);

    (void)state;
    assert_int_equal(first->split[GLE_VALIDATION].n, 10);
    assert_memory_equal(first->split[GLE_VALIDATION].x, same->split[GLE_VALIDATION].x, 40 * sizeof(float));
    assert_memory_not_equal(first->split[GLE_VALIDATION].x, other->split[GLE_VALIDATION].x, 40 * sizeof(float));
    assert_string_equal(first->sha256, same->sha256); /* which is of the whole, before the choice */
    assert_string_equal(first->sha256, other->sha256);
    gle_data_close(first);
    gle_data_close(same);
    gle_data_close(other);
}

static void a_validation_set_of_its_own_stays(void **state)
{
    struct gle_data *data = open_with("yinyang", "{train: 50, test: 0, validation: 5}", 0.2, 0.1, 7);

    (void)state;
    assert_int_equal(data->split[GLE_TRAIN].n, 50);
    assert_int_equal(data->split[GLE_VALIDATION].n, 5);
    assert_int_equal(data->split[GLE_TEST].n, 0);
    assert_true(data->own_validation);
    gle_data_close(data);
    data = open_with("yinyang", "{train: 50, test: 0}", 0.2, 0.1, 7);
    assert_false(data->own_validation);
    gle_data_close(data);
}

static void a_split_without_samples_is_an_error(void **state)
{
    (void)state;
    assert_refused("xor", "{repeat: 1}", 0.1, GLE_ERANGE,
                   "a fraction of 0.1 of 4 training samples leaves none for validation");
    assert_refused("xor", "{repeat: 1}", 0.9, GLE_ERANGE,
                   "a fraction of 0.9 of 4 training samples leaves none for training");
}

/* --- checksum --- */

static void the_checksum_is_that_of_the_bytes(void **state)
{
    /* Python: hashlib.sha256 of struct.pack('<6Q', 4 steps, 2 channels, 2 targets, held, not moving, labelled), then
     * for each split its size as '<Q', x as '<f4' and labels as '<i4'. */
    struct gle_data *data = open_with("xor", "{repeat: 1}", 0.0, 0.5, 0);

    (void)state;
    assert_string_equal(data->sha256, "62bd09d935f168060a3f0746dbd11bf9f4a912e975cc7ab1f21837478cfd4426");
    gle_data_close(data);
}

static void the_checksum_changes_with_the_data(void **state)
{
    static const char *const variants[] = {"{}", "{high: 2}", "{noise: 0.1}", "{noise: 0.1, seed: 1}", "{repeat: 2}",
                                           "{present: 4}"};
    struct gle_data *data[COUNT(variants)];

    (void)state;
    for (size_t i = 0; i < COUNT(variants); i++)
        data[i] = open_with("xor", variants[i], 0.0, 0.5, 0);
    for (size_t i = 0; i < COUNT(variants); i++)
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(data[i]->sha256, data[k]->sha256);
    for (size_t i = 0; i < COUNT(variants); i++)
        gle_data_close(data[i]);
}

/* --- xor --- */

static void xor_has_four_points_and_two_classes(void **state)
{
    static const float points[] = {-1, -1, -1, 2, 2, -1, 2, 2};
    static const int32_t labels[] = {0, 1, 1, 0};
    struct gle_data *data = open_with("xor", "{low: -1, high: 2, repeat: 3, present: 2.0}", 0.0, 0.5, 0);
    const struct gle_samples *train = &data->split[GLE_TRAIN], *test = &data->split[GLE_TEST];

    (void)state;
    assert_int_equal(data->n_steps, 4);
    assert_int_equal(data->n_targets, 2);
    assert_int_equal(train->n, 12);
    assert_int_equal(test->n, 4);
    assert_equal_floats(test->x, points, 8);
    assert_memory_equal(test->labels, labels, sizeof labels);
    for (size_t k = 0; k < 3; k++) {
        assert_equal_floats(train->x + 8 * k, points, 8);
        assert_memory_equal(train->labels + 4 * k, labels, sizeof labels);
    }
    gle_data_close(data);
}

static void xor_noise_is_on_the_training_inputs_only(void **state)
{
    struct gle_data *data = open_with("xor", "{repeat: 500, noise: 0.3}", 0.0, 0.5, 0);
    struct gle_data *clean = open_with("xor", "{repeat: 500}", 0.0, 0.5, 0);
    const size_t n = 2 * clean->split[GLE_TRAIN].n;
    double sum = 0.0, squares = 0.0;

    (void)state;
    for (size_t i = 0; i < n; i++) {
        const double noise = (double)data->split[GLE_TRAIN].x[i] - (double)clean->split[GLE_TRAIN].x[i];
        sum += noise;
        squares += noise * noise;
    }
    assert_true(fabs(sum / (double)n) < 0.02);
    assert_true(fabs(sqrt(squares / (double)n) - 0.3) < 0.02);
    assert_equal_floats(data->split[GLE_TEST].x, clean->split[GLE_TEST].x, 8);
    gle_data_close(data);
    gle_data_close(clean);
}

static void xor_refuses_what_makes_no_sense(void **state)
{
    (void)state;
    assert_refused("xor", "{low: 1, high: 1}", 0.0, GLE_ERANGE, "must be above low");
    assert_refused("xor", "{present: 0.2}", 0.0, GLE_ERANGE,
                   "present = 0.2 is 0 steps of dt = 0.5 (1 to 1e+09 are possible)");
    assert_refused("xor", "{present: 1e9}", 0.0, GLE_ERANGE,
                   "present = 1e+09 is 2e+09 steps of dt = 0.5 (1 to 1e+09 are possible)");
}

/* --- yinyang --- */

static void yinyang_is_the_published_one(void **state)
{
    /* The published algorithm in Python with numpy.random.RandomState(42): x, y, class. */
    static const struct {
        double x, y;
        int32_t label;
    } want[] = {
        {0.6803075385877797, 0.450499251969543, 2},
        {0.09767211400638387, 0.6842330265121569, 1},
        {0.7553614103176525, 0.4251558744912447, 2},
        {0.5978999788110851, 0.9218742350231168, 1},
        {0.32533033076326434, 0.388677289689482, 1},
        {0.27599918202254337, 0.2962735057040824, 1},
        {0.7722447692966574, 0.1987156815341724, 0},
        {0.24929222914887494, 0.41038292303562973, 2},
        {0.21876421957307024, 0.5581020020173412, 2},
        {0.06489224710898156, 0.2539154139343447, 0},
        {0.345071248026683, 0.6343513447013638, 1},
        {0.1448948720912231, 0.489452760277563, 1},
        {0.2420552715115004, 0.6721355474058786, 1},
        {0.8031397563798959, 0.4703006344460384, 2},
        {0.040775141554763916, 0.5908929431882418, 1},
        {0.3080607918523892, 0.5425402305548993, 2},
        {0.696029796674973, 0.570061170089365, 2},
        {0.14008401523652403, 0.5183296523637367, 1},
        {0.3225507642386005, 0.8486697949246744, 1},
        {0.7024840839871093, 0.35949115121975517, 0},
    };
    struct gle_data *data = open_with("yinyang", "{}", 0.0, 0.1, 0);
    const struct gle_samples *train = &data->split[GLE_TRAIN];

    (void)state;
    assert_int_equal(data->n_channels, 4);
    assert_int_equal(data->n_targets, 3);
    assert_int_equal(data->n_steps, 20);
    for (size_t i = 0; i < COUNT(want); i++) {
        const double x = want[i].x, y = want[i].y;
        const float point[] = {(float)x, (float)y, (float)(1.0 - x), (float)(1.0 - y)};
        assert_equal_floats(train->x + 4 * i, point, 4);
        assert_int_equal(train->labels[i], want[i].label);
    }
    gle_data_close(data);
}

static void yinyang_classes_are_balanced(void **state)
{
    /* Counted from the same Python code; seeds 42, 41, 40. */
    static const size_t want[GLE_SPLITS][3] = {
        [GLE_TRAIN] = {1681, 1702, 1617}, [GLE_VALIDATION] = {316, 336, 348}, [GLE_TEST] = {350, 316, 334}};
    struct gle_data *data = open_with("yinyang", "{validation: 1000}", 0.0, 0.1, 0);

    (void)state;
    for (int i = 0; i < GLE_SPLITS; i++) {
        size_t n[3] = {0};
        for (size_t k = 0; k < data->split[i].n; k++)
            n[data->split[i].labels[k]]++;
        for (size_t k = 0; k < 3; k++)
            assert_int_equal(n[k], want[i][k]);
    }
    gle_data_close(data);
}

static void yinyang_refuses_dots_that_leave_no_room(void **state)
{
    const char *why = "must be between a hundredth and a half of r_big";

    (void)state;
    assert_refused("yinyang", "{r_small: 0.3}", 0.0, GLE_ERANGE, why);
    assert_refused("yinyang", "{r_small: 0.001}", 0.0, GLE_ERANGE, why);
}

/* --- mnist1d (tests/parity holds it against the published numbers) --- */

static void mnist1d_is_split_as_asked(void **state)
{
    struct gle_data *data = open_with("mnist1d", "{samples: 55, train_split: 0.7, length: 8}", 0.0, 0.2, 0);

    (void)state;
    assert_int_equal(data->n_steps, 8);
    assert_int_equal(data->n_channels, 1);
    assert_int_equal(data->n_targets, 10);
    assert_int_equal(data->split[GLE_TRAIN].n, 35); /* five for each digit */
    assert_int_equal(data->split[GLE_TEST].n, 15);
    gle_data_close(data);
}

static void mnist1d_follows_all_its_settings(void **state)
{
    /* The published algorithm in Python with these arguments; a rotation by more than the grid leaves it as it is. */
    static const float want[] = {
        0.27041117f,  0.385650338f, 1.08966825f,   0.265739539f, -0.149485317f, -0.963727536f,
        0.507511242f, -1.22873523f, -1.75106029f,  1.40895018f,  -2.77210583f,  -1.18639501f,
        0.383575105f, 0.954367486f, -0.398283453f, 0.339705408f, -1.05743059f,  -0.428963444f};
    static const int32_t labels[] = {1, 6, 2, 8, 4, 2, 0, 0, 4, 8, 5, 7, 9, 3, 7, 6, 9, 3, 1, 5};
    struct gle_data *data = open_with("mnist1d",
                                      "{samples: 25, train_split: 1.0, padding: [3, 7], max_translation: 30,"
                                      " scale_coeff: 0.5, corr_noise_scale: 0.3, iid_noise_scale: 0.1,"
                                      " shear_scale: 0.9, shuffle_seq: true, length: 6, seed: 3}", 0.0, 0.2, 0);

    (void)state;
    assert_int_equal(data->split[GLE_TRAIN].n, COUNT(labels));
    assert_int_equal(data->split[GLE_TEST].n, 0);
    assert_floats(data->split[GLE_TRAIN].x, want, COUNT(want));
    assert_memory_equal(data->split[GLE_TRAIN].labels, labels, sizeof labels);
    gle_data_close(data);
}

static const double templates[] = {0, 1, 0, 1, 0, -1, 0.5, 0.5, 0}, template_labels[] = {3, 0, 3};
static const char template_settings[] = "{template: %s, samples: 7, train_split: 0.7, template_length: 3,"
                                        " padding: [1, 2], max_translation: 4, length: 5, seed: 9}";

static void mnist1d_takes_templates_from_a_file(void **state)
{
    static const float want[] = {-0.163570917f,  -0.896778365f, -0.300001956f,  1.41726975f,    0.824252479f,
                                 -0.768661026f,  1.90456968f,   0.22607194f,    -1.31961559f,   -1.72543358f,
                                 2.04907152f,    0.241811409f,  -1.57353068f,   -2.09924958f,   -0.314785474f,
                                 -0.170128941f,  -0.32625609f,  0.674130987f,   0.437070236f,   -0.678254496f};
    static const float want_test[] = {0.468504491f,  -0.154667066f, -0.0814232204f, 0.621208459f,   0.550059473f,
                                      -0.224286173f, 1.95058204f,   -0.288513719f,  -0.0794341713f, -0.200011409f};
    static const int32_t labels[] = {3, 0, 0, 3}, test_labels[] = {3, 3};
    static const struct stored arrays[] = {{"x", 2, {3, 3}, templates}, {"y", 1, {3}, template_labels}, {0}};
    struct gle_data *data;
    char yaml[512];

    (void)state;
    store(arrays);
    snprintf(yaml, sizeof yaml, template_settings, archive);
    data = open_with("mnist1d", yaml, 0.0, 0.2, 0);
    assert_int_equal(data->n_targets, 4);
    assert_int_equal(data->split[GLE_TRAIN].n, COUNT(labels));
    assert_floats(data->split[GLE_TRAIN].x, want, COUNT(want));
    assert_floats(data->split[GLE_TEST].x, want_test, COUNT(want_test));
    assert_memory_equal(data->split[GLE_TRAIN].labels, labels, sizeof labels);
    assert_memory_equal(data->split[GLE_TEST].labels, test_labels, sizeof test_labels);
    gle_data_close(data);
}

static void assert_templates_refused(const struct stored *arrays, const char *more, enum gle_code code,
                                     const char *text)
{
    char yaml[512];

    store(arrays);
    snprintf(yaml, sizeof yaml, "{template: %s, length: 5%s}", archive, more);
    assert_refused("mnist1d", yaml, 0.0, code, text);
}

static void mnist1d_refuses_templates_it_cannot_use(void **state)
{
    static const double holes[] = {0, 1, 0, 1, NAN, -1}, negative[] = {0, -1}, halves[] = {0, 0.5}, zeros[6] = {0};
    static const struct stored flat[] = {{"x", 1, {6}, NULL}, {0}};
    static const struct stored nan_x[] = {{"x", 2, {2, 3}, holes}, {0}};
    static const struct stored long_y[] = {{"x", 2, {2, 3}, NULL}, {"y", 1, {3}, NULL}, {0}};
    static const struct stored negative_y[] = {{"x", 2, {2, 3}, NULL}, {"y", 1, {2}, negative}, {0}};
    static const struct stored half_y[] = {{"x", 2, {2, 3}, NULL}, {"y", 1, {2}, halves}, {0}};
    static const struct stored silent[] = {{"x", 2, {2, 3}, zeros}, {0}};

    (void)state;
    assert_templates_refused(flat, "", GLE_EDATA, "x must have the shape (templates, points)");
    assert_templates_refused(nan_x, "", GLE_EDATA, "x[1, 1] = nan is not finite");
    assert_templates_refused(long_y, "", GLE_EDATA, "y must hold one label for each of the 2 templates in x");
    assert_templates_refused(negative_y, "", GLE_EDATA, "y[1] = -1 is no label (0 ... 1000000)");
    assert_templates_refused(half_y, "", GLE_EDATA, "y[1] = 0.5 is no label (0 ... 1000000)");
    assert_templates_refused(silent, ", corr_noise_scale: 0, iid_noise_scale: 0, shear_scale: 0, scale_coeff: 0,"
                                     " padding: [0, 0]", GLE_ERANGE,
                             "the samples cannot be standardised: all alike, or too large");
    assert_refused("mnist1d", "{template: /nonexistent.npz}", 0.0, GLE_EDATA,
                   "cannot read: No such file or directory");
}

static void mnist1d_refuses_settings_that_make_no_sense(void **state)
{
    const char *padding = "must be two whole numbers, fewest and most";

    (void)state;
    assert_refused("mnist1d", "{padding: 3}", 0.0, GLE_ERANGE, padding);
    assert_refused("mnist1d", "{padding: [3]}", 0.0, GLE_ERANGE, padding);
    assert_refused("mnist1d", "{padding: [1, 2, 3]}", 0.0, GLE_ERANGE, padding);
    assert_refused("mnist1d", "{padding: [5, 4]}", 0.0, GLE_ERANGE, padding);
    assert_refused("mnist1d", "{padding: [1.5, 4]}", 0.0, GLE_ERANGE, padding);
    assert_refused("mnist1d", "{train_split: 0}", 0.0, GLE_ERANGE, "leaves no training sample");
    assert_refused("mnist1d", "{samples: 9, train_split: 1}", 0.0, GLE_ERANGE,
                   "samples = 9 is less than one for each of the 10 templates");
    assert_refused("mnist1d", "{samples: 19, train_split: 0.06}", 0.0, GLE_ERANGE,
                   "train_split = 0.06 of 10 samples leaves none for training");
}

/* --- npz --- */

static void npz_reads_all_sets(void **state)
{
    static const struct stored arrays[] = {{"x", 3, {3, 2, 1}, NULL}, {"y", 1, {3}, three_labels},
                                           {"x_test", 3, {2, 2, 1}, NULL}, {"y_test", 1, {2}, two_labels},
                                           {"x_validation", 3, {1, 2, 1}, NULL}, {"y_validation", 1, {1}, NULL}, {0}};
    struct gle_data *data = open_archive(arrays, "", 0.3);

    (void)state;
    assert_int_equal(data->split[GLE_TRAIN].n, 3);
    assert_int_equal(data->split[GLE_TEST].n, 2);
    assert_int_equal(data->split[GLE_VALIDATION].n, 1);
    assert_int_equal(data->split[GLE_TEST].labels[1], 2);
    gle_data_close(data);
}

static void npz_counts_classes_in_all_sets(void **state)
{
    static const struct stored arrays[] = {{"x", 3, {1, 2, 1}, NULL}, {"y", 1, {1}, NULL},
                                           {"x_test", 3, {2, 2, 1}, NULL}, {"y_test", 1, {2}, two_labels}, {0}};
    struct gle_data *data = open_archive(arrays, "", 0.0);

    (void)state;
    assert_int_equal(data->n_targets, 3);
    gle_data_close(data);
}

static void npz_refuses_shapes_that_do_not_fit(void **state)
{
    static const struct stored flat[] = {{"x", 1, {3}, NULL}, {"y", 1, {3}, NULL}, {0}};
    static const struct stored deep[] = {{"x", 4, {3, 1, 1, 1}, NULL}, {"y", 1, {3}, NULL}, {0}};
    static const struct stored empty[] = {{"x", 3, {0, 5, 2}, NULL}, {"y", 1, {0}, NULL}, {0}};
    static const struct stored short_y[] = {{"x", 3, {3, 2, 1}, NULL}, {"y", 1, {2}, NULL}, {0}};
    static const struct stored flat_y[] = {{"x", 3, {3, 2, 1}, NULL}, {"y", 2, {3, 1}, NULL}, {0}};
    static const struct stored steps[] = {{"x", 3, {3, 2, 1}, NULL}, {"targets", 3, {3, 4, 1}, NULL}, {0}};
    static const struct stored one_target[] = {{"x", 3, {3, 2, 1}, NULL}, {"targets", 1, {3}, NULL}, {0}};
    static const struct stored test_x[] = {{"x", 3, {4, 5, 3}, NULL}, {"y", 1, {4}, NULL},
                                           {"x_test", 3, {2, 5, 2}, NULL}, {"y_test", 1, {2}, NULL}, {0}};
    static const struct stored test_y[] = {{"x", 3, {2, 2, 1}, NULL}, {"targets", 2, {2, 2}, NULL},
                                           {"x_test", 3, {2, 2, 1}, NULL}, {"targets_test", 2, {2, 3}, NULL}, {0}};
    static const struct stored test_n[] = {{"x", 3, {2, 2, 1}, NULL}, {"y", 1, {2}, NULL},
                                           {"x_test", 3, {2, 2, 1}, NULL}, {"y_test", 1, {3}, NULL}, {0}};

    (void)state;
    assert_archive_refused(flat, "", GLE_EDATA,
                           "x has shape (3); (samples, steps, channels) or (samples, channels) is needed");
    assert_archive_refused(deep, "", GLE_EDATA,
                           "x has shape (3, 1, 1, 1); (samples, steps, channels) or (samples, channels) is needed");
    assert_archive_refused(empty, "", GLE_EDATA, "x has shape (0, 5, 2), which is empty");
    assert_archive_refused(short_y, "", GLE_EDATA, "y has shape (2) where x has (3, 2, 1)");
    assert_archive_refused(flat_y, "", GLE_EDATA,
                           "y has shape (3, 1); (samples) is needed (targets of a regression are called targets)");
    assert_archive_refused(steps, "", GLE_EDATA,
                           "targets has shape (3, 4, 1); (samples, outputs) or (samples, 2 steps, outputs) is needed");
    assert_archive_refused(one_target, "", GLE_EDATA,
                           "targets has shape (3); (samples, outputs) or (samples, 2 steps, outputs) is needed");
    assert_archive_refused(test_x, "", GLE_EDATA, "x_test has shape (2, 5, 2) where x has (4, 5, 3)");
    assert_archive_refused(test_y, "", GLE_EDATA, "targets_test has shape (2, 3) where targets has (2, 2)");
    assert_archive_refused(test_n, "", GLE_EDATA, "y_test has shape (3) where x_test has (2, 2, 1)");
}

static void npz_refuses_arrays_that_are_missing_or_unknown(void **state)
{
    static const struct stored no_x[] = {{"y", 1, {3}, NULL}, {0}};
    static const struct stored unnamed[] = {{"arr_0", 3, {3, 2, 1}, NULL}, {"arr_1", 1, {3}, NULL}, {0}};
    static const struct stored no_y[] = {{"x", 3, {3, 2, 1}, NULL}, {"labels", 1, {3}, NULL}, {0}};
    static const struct stored other_test[] = {{"x", 3, {3, 2, 1}, NULL}, {"y", 1, {3}, NULL},
                                               {"x_test", 3, {3, 2, 1}, NULL}, {"y_test", 1, {3}, NULL},
                                               {"targets_test", 2, {3, 1}, NULL}, {0}};
    static const struct stored both[] = {{"x", 3, {3, 2, 1}, NULL}, {"y", 1, {3}, NULL}, {"targets", 2, {3, 1}, NULL},
                                         {0}};
    static const struct stored no_test_x[] = {{"x", 3, {3, 2, 1}, NULL}, {"y", 1, {3}, NULL}, {"y_test", 1, {3}, NULL},
                                              {0}};
    static const struct stored no_test_y[] = {{"x", 3, {3, 2, 1}, NULL}, {"targets", 2, {3, 1}, NULL},
                                              {"x_test", 3, {3, 2, 1}, NULL}, {0}};
    static const struct stored misspelt_beside[] = {{"x", 3, {3, 2, 1}, NULL}, {"y", 1, {3}, NULL},
                                                    {"x_test", 3, {3, 2, 1}, NULL}, {"x_tset", 1, {3}, NULL}, {0}};
    static const struct stored misspelt_y[] = {{"x", 3, {3, 2, 1}, NULL}, {"y", 1, {3}, NULL},
                                               {"y_tset", 1, {3}, NULL}, {0}};
    static const struct stored misspelt[] = {{"x", 3, {3, 2, 1}, NULL}, {"y", 1, {3}, NULL}, {"x_tset", 1, {3}, NULL},
                                             {0}};

    (void)state;
    assert_archive_refused(no_x, "", GLE_EDATA, "has no array x: it has y");
    assert_archive_refused(unnamed, "", GLE_EDATA, "has no array x: it has arr_0 and arr_1 (numpy.savez(file, x=..., "
                                                   "y=...) gives names)");
    assert_archive_refused(no_y, "", GLE_EDATA, "has neither labels y nor targets: it has labels and x");
    assert_archive_refused(both, "", GLE_EDATA, "has both y and targets; labels or targets are needed");
    assert_archive_refused(other_test, "", GLE_EDATA, "has both y and targets_test; labels or targets are needed");
    assert_archive_refused(no_test_x, "", GLE_EDATA, "has y_test but no x_test");
    assert_archive_refused(no_test_y, "", GLE_EDATA, "has x_test but no targets_test");
    assert_archive_refused(misspelt, "", GLE_EDATA, "x_tset is none of x, x_validation and x_test (did you mean "
                                                    "'x_test'?)");
    assert_archive_refused(misspelt_beside, "", GLE_EDATA, "x_tset is none of x, x_validation and x_test");
    assert_archive_refused(misspelt_y, "", GLE_EDATA, "y_tset is none of y, y_validation and y_test (did you mean "
                                                      "'y_test'?)");
}

/* A set under another name would be missed in silence. */
static void npz_refuses_sets_under_other_names(void **state)
{
    static const char *const names[][2] = {
        {"X_test", "x_test"},        {"Y_TEST", "y_test"},     {"testX", "x_test"},      {"xtest", "x_test"},
        {"Xtrain", "x"},             {"x_train", "x"},         {"y_val", "y_validation"}, {"yval", "y_validation"},
        {"valid_x", "x_validation"}, {"dev_labels", "y_validation"}, {"test_images", "x_test"},
        {"target_test", "targets_test"}, {"TestTargets", "targets_test"}, {"training-data", "x"}, {"X", "x"},
        {"target", "targets"},       {"Targets", "targets"},   {"xTest", "x_test"},      {"x.test", "x_test"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(names); i++) {
        const struct stored arrays[] = {{"x", 3, {3, 2, 1}, NULL}, {"y", 1, {3}, NULL}, {names[i][0], 1, {3}, NULL},
                                        {0}};
        char want[160];
        snprintf(want, sizeof want,
                 !strcmp(names[i][1], "x") || !strcmp(names[i][1], "y")
                     ? "nothing uses an array '%s': %s, which it seems to be, is there, too; leave one of them out"
                     : "nothing uses an array '%s' (did you mean '%s'?)", names[i][0], names[i][1]);
        assert_archive_refused(arrays, "", GLE_EDATA, want);
    }
}

static void assert_note(const struct stored *arrays, const struct gle_data_context *ctx, const char *want)
{
    char buf[256], whole[512];
    struct gle_data *data;

    store(arrays);
    data = open_data("npz", settings(buf, ""), 0.0, ctx);
    snprintf(whole, sizeof whole, "%s%s%s", *want ? archive : "", *want ? ": nothing uses " : "", want);
    assert_string_equal(data->note, whole);
    gle_data_close(data);
}

static void npz_notes_what_nothing_uses(void **state)
{
    static const char usual[] =
        "x, y or targets, mask and lengths, and the same with _validation and _test are used";
    static const char taught[] = "x, x_validation and x_test are used; the teacher's output is the target";
    static const struct stored none[] = {{"x", 3, {3, 2, 1}, NULL}, {"y", 1, {3}, NULL},
                                         {"x_test", 3, {3, 2, 1}, NULL}, {"y_test", 1, {3}, NULL}, {0}};
    static const struct stored some[] = {{"x", 3, {3, 2, 1}, NULL}, {"y", 1, {3}, NULL}, {"latest", 1, {3}, NULL},
                                         {"mean", 1, {1}, NULL}, {"test_index", 1, {3}, NULL}, {"z", 1, {1}, NULL},
                                         {0}};
    static const struct gle_data_context plain = {.dt = 0.5}, teacher = {.dt = 0.5, .has_teacher = true};
    char want[512];

    (void)state;
    assert_note(none, &plain, "");
    snprintf(want, sizeof want, "'latest', 'mean', 'test_index', 'z' (%s)", usual);
    assert_note(some, &plain, want);
    snprintf(want, sizeof want, "'y', 'y_test' (%s)", taught);
    assert_note(none, &teacher, want);
}

/* As many names as there is room for, and the number of the others. */
static void npz_notes_end_in_time(void **state)
{
    static const char long_name[] = "a_name_that_goes_on_as_if_there_were_no_end_to_the_room_for_it_%032d";
    static char names[4][128];
    const struct stored arrays[] = {{"x", 3, {3, 2, 1}, NULL}, {"y", 1, {3}, NULL}, {names[0], 1, {3}, NULL},
                                    {names[1], 1, {3}, NULL}, {names[2], 1, {3}, NULL}, {names[3], 1, {3}, NULL}, {0}};
    const struct gle_data_context ctx = {.dt = 0.5};
    char want[512];

    (void)state;
    for (int i = 0; i < 4; i++)
        snprintf(names[i], sizeof names[i], long_name, i);
    snprintf(want, sizeof want, "'%s', '%s', '%s' and 1 more (x, y or targets, mask and lengths, and the same with "
             "_validation and _test are used)", names[0], names[1], names[2]);
    assert_note(arrays, &ctx, want);
}

static void mnist1d_notes_what_nothing_uses_of_templates(void **state)
{
    static const struct stored images[] = {{"x", 2, {3, 3}, templates}, {"labels", 1, {3}, template_labels}, {0}};
    struct gle_data *data;
    char yaml[512], want[512];

    (void)state;
    store(images);
    snprintf(yaml, sizeof yaml, template_settings, archive);
    data = open_with("mnist1d", yaml, 0.0, 0.5, 0);
    snprintf(want, sizeof want, "%s: nothing uses 'labels' (x and y are used)", archive);
    assert_string_equal(data->note, want);
    gle_data_close(data);
}

static void npz_refuses_values_that_are_no_data(void **state)
{
    static const double nan_x[] = {0, 1, 2, NAN, 4, 5}, large_x[] = {1e300, 1, 2, 3, 4, 5}, inf_y[] = {0, -INFINITY, 1};
    static const double negative[] = {0, 1, -1}, half[] = {0.5, 1, 2}, huge[] = {0, 1, 1e6};
    static const struct stored x_nan[] = {{"x", 3, {3, 2, 1}, nan_x}, {"y", 1, {3}, NULL}, {0}};
    static const struct stored x_large[] = {{"x", 3, {3, 2, 1}, large_x}, {"y", 1, {3}, NULL}, {0}};
    static const struct stored y_inf[] = {{"x", 3, {3, 2, 1}, NULL}, {"targets", 2, {3, 1}, inf_y}, {0}};
    static const struct stored y_negative[] = {{"x", 3, {3, 2, 1}, NULL}, {"y", 1, {3}, negative}, {0}};
    static const struct stored y_half[] = {{"x", 3, {3, 2, 1}, NULL}, {"y", 1, {3}, half}, {0}};
    static const struct stored y_huge[] = {{"x", 3, {3, 2, 1}, NULL}, {"y", 1, {3}, huge}, {0}};
    static const struct stored good[] = {{"x", 3, {3, 2, 1}, NULL}, {"y", 1, {3}, three_labels}, {0}};

    (void)state;
    assert_archive_refused(x_nan, "", GLE_EDATA, "x[1, 1, 0] = nan is not a finite number in single precision");
    assert_archive_refused(x_large, "", GLE_EDATA, "x[0, 0, 0] = 1e+300 is not a finite number in single precision");
    assert_archive_refused(y_inf, "", GLE_EDATA, "targets[1, 0] = -inf is not a finite number in single precision");
    assert_archive_refused(y_negative, "", GLE_EDATA, "y[2] = -1, where labels are 0 ... 999999");
    assert_archive_refused(y_half, "", GLE_EDATA, "y[0] = 0.5 is not a whole number, as labels are "
                                              "(targets of a regression are called targets)");
    assert_archive_refused(y_huge, "", GLE_EDATA, "y[2] = 1000000, where labels are 0 ... 999999");
    assert_archive_refused(good, "classes: 2", GLE_EDATA, "y[0] = 2, where labels are 0 ... 1");
}

static void npz_refuses_settings_that_do_not_go_with_the_file(void **state)
{
    static const struct stored points[] = {{"x", 2, {3, 2}, NULL}, {"y", 1, {3}, NULL}, {0}};
    static const struct stored courses[] = {{"x", 3, {3, 2, 1}, NULL}, {"y", 1, {3}, NULL}, {0}};
    static const struct stored reals[] = {{"x", 3, {3, 2, 1}, NULL}, {"targets", 2, {3, 1}, NULL}, {0}};

    (void)state;
    assert_archive_refused(points, "", GLE_ECONFIG,
                           "x has shape (3, 2), so 'present' must say how long each point is held");
    assert_archive_refused(courses, "present: 2", GLE_ECONFIG,
                           "x has shape (3, 2, 1) with steps of its own, so 'present' does not apply");
    assert_archive_refused(reals, "classes: 2", GLE_ECONFIG,
                           "has targets, not labels, so 'classes' does not apply");
    assert_refused("npz", "{}", 0.0, GLE_ECONFIG, "needs the key 'file' (the .npz file, as numpy.savez writes it)");
    assert_refused("npz", "{file: /nonexistent.npz}", 0.0, GLE_EDATA, "cannot read: No such file or directory");
}

static const struct gle_data_context with_teacher = {.dt = 0.5, .seed = 0, .has_teacher = true};

static void npz_needs_no_targets_where_a_teacher_has_them(void **state)
{
    static const struct stored arrays[] = {{"x", 3, {4, 2, 1}, NULL}, {"x_test", 3, {2, 2, 1}, NULL}, {0}};
    static const float want[] = {5, 1}; /* rows 2 and 0 at step 1 */
    static const uint32_t rows[] = {2, 0};
    struct gle_data *data;
    char buf[256];
    float x[2];

    (void)state;
    store(arrays);
    data = open_data("npz", settings(buf, ""), 0.0, &with_teacher);
    assert_int_equal(data->n_targets, 0);
    assert_false(data->labelled);
    assert_int_equal(data->split[GLE_TRAIN].n, 4);
    assert_int_equal(data->split[GLE_TEST].n, 2);
    for (int i = 0; i < GLE_SPLITS; i++) {
        assert_null(data->split[i].labels);
        assert_null(data->split[i].targets);
    }
    gle_data_input(x, 1, data, batch_of(data, GLE_TRAIN, rows, 2), 1);
    assert_equal_floats(x, want, 2);
    gle_data_close(data);

    data = open_data("npz", settings(buf, ""), 0.25, &with_teacher);
    assert_int_equal(data->split[GLE_TRAIN].n, 3);
    assert_int_equal(data->split[GLE_VALIDATION].n, 1);
    assert_null(data->split[GLE_VALIDATION].targets);
    gle_data_close(data);
}

static void npz_keeps_targets_beside_a_teacher(void **state)
{
    static const struct stored arrays[] = {{"x", 3, {3, 2, 1}, NULL}, {"y", 1, {3}, three_labels}, {0}};
    struct gle_data *data;
    char buf[256];

    (void)state;
    store(arrays);
    data = open_data("npz", settings(buf, ""), 0.0, &with_teacher);
    assert_int_equal(data->n_targets, 3);
    assert_non_null(data->split[GLE_TRAIN].labels);
    gle_data_close(data);
}

static void npz_refuses_targets_of_some_sets_only(void **state)
{
    static const struct stored test_y[] = {{"x", 3, {3, 2, 1}, NULL}, {"x_test", 3, {2, 2, 1}, NULL},
                                           {"y_test", 1, {2}, two_labels}, {0}};
    static const struct stored lone[] = {{"x", 3, {3, 2, 1}, NULL}, {"targets_validation", 2, {2, 1}, NULL}, {0}};
    static const struct stored train_y[] = {{"x", 3, {3, 2, 1}, NULL}, {"y", 1, {3}, NULL},
                                            {"x_test", 3, {2, 2, 1}, NULL}, {0}};
    static const struct stored none[] = {{"x", 3, {3, 2, 1}, NULL}, {0}};

    (void)state;
    assert_archive_refused_in(&with_teacher, test_y, "", GLE_EDATA, "has y_test but no y");
    assert_archive_refused_in(&with_teacher, lone, "", GLE_EDATA, "has targets_validation but no targets");
    assert_archive_refused_in(&with_teacher, train_y, "", GLE_EDATA, "has x_test but no y_test");
    assert_archive_refused_in(&with_teacher, none, "classes: 2", GLE_ECONFIG,
                              "has no labels, so 'classes' does not apply");
}

/* --- signals --- */

struct told {
    size_t calls, stop_at;
    const char *counted; /* calls are counted that tell this; NULL: all */
    char what[64];
};

static int count_progress(void *ctx, const char *what, size_t done, size_t total)
{
    struct told *told = ctx;

    assert_true(done <= total);
    snprintf(told->what, sizeof told->what, "%s", what);
    told->calls += !told->counted || !strcmp(told->counted, what);
    return told->stop_at && told->calls == told->stop_at;
}

/* Every so many values, so that nobody waits, whatever the data set is at. */
static void long_work_asks_often(void **state)
{
    static const struct {
        const char *name, *yaml, *what;
        size_t calls;
    } sets[] = {
        {"mnist1d", "{samples: 5000, length: 1000}", "making samples", 5000},
        {"mnist1d", "{samples: 5000, length: 1000}", "ordering samples", 5000 / 17},
        {"mnist1d", "{samples: 5000, length: 1000}", "measuring samples", 2 * 5000 * 1000 / 131072},
        {"mnist1d", "{samples: 5000, length: 1000}", "standardising samples", 5000 / 17},
        {"mnist1d", "{samples: 5000, length: 1000}", "taking samples", 5000 / 17},
        {"mnist1d", "{samples: 5000, length: 1000, shuffle_seq: true}", "shuffling steps of samples", 5000 / 17},
        {"mnist1d", "{samples: 50000, length: 1}", "shuffling samples", 50000 / 16384},
        {"yinyang", "{train: 20000, test: 5000}", "making samples", 25000 / 256},
        {"yinyang", "{train: 100000, test: 0}", "choosing validation samples", 50000 / 16384},
        {"yinyang", "{train: 100000, test: 0}", "taking samples for validation", 100000 / 4096},
        {"yinyang", "{train: 100000, test: 0}", "making the checksum", 500000 / 16384},
        {"xor", "{repeat: 50000, noise: 0.1}", "making noise", 400000 / 16384},
        {"delayed_xor", "{samples: 100000}", "shuffling samples", 100000 / 16384},
        {"delayed_xor", "{samples: 100000}", "making samples", 12 * 100000 / 16384 - 1},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(sets); i++) {
        struct told told = {.counted = sets[i].what};
        const struct gle_data_context ctx = {.dt = 0.5, .progress = count_progress, .ctx = &told};
        struct gle_data *data = open_data(sets[i].name, sets[i].yaml, 0.5, &ctx);
        if (told.calls < sets[i].calls)
            fail_msg("%s asks %zu times while %s", sets[i].name, told.calls, sets[i].what);
        gle_data_close(data);
    }
}

/* Reading an array, taking its values and labels, and what follows. */
static void npz_stops_wherever_it_is(void **state)
{
    static const struct stored arrays[] = {{"x", 3, {3, 2, 1}, NULL}, {"y", 1, {3}, three_labels}, {0}};
    static const char *const at[] = {"reading bytes", "reading bytes", "taking values", "taking labels",
                                     "making the checksum", "making the checksum"};
    struct told told;
    const struct gle_data_context ctx = {.dt = 0.5, .progress = count_progress, .ctx = &told};
    char buf[256], want[128];

    (void)state;
    store(arrays);
    for (size_t i = 0; i < COUNT(at); i++) {
        struct gle_error err;
        struct gle_data *data;
        told = (struct told){.stop_at = i + 1};
        assert_int_equal(try_open(&data, "npz", settings(buf, ""), 0.0, &ctx, &err), -1);
        assert_null(data);
        assert_int_equal(err.code, GLE_ESTOPPED);
        assert_string_equal(told.what, at[i]);
        snprintf(want, sizeof want, "stopped while %s", i < 2 ? "it was read" : at[i]);
        assert_string_equal(err.text, want);
    }
}

/* --- memory --- */

static void every_failed_allocation_is_survived(void **state)
{
    static const struct stored arrays[] = {{"x", 3, {3, 2, 1}, NULL}, {"y", 1, {3}, three_labels},
                                           {"x_test", 3, {2, 2, 1}, NULL}, {"y_test", 1, {2}, two_labels}, {0}};
    static const struct stored inputs[] = {{"x", 3, {3, 2, 1}, NULL}, {0}};
    static const double ones[] = {1, 1, 1, 1, 1, 1};
    static const struct stored masked[] = {{"x", 3, {3, 2, 1}, NULL}, {"y", 1, {3}, three_labels},
                                           {"mask", 2, {3, 2}, ones}, {"lengths", 1, {3}, ones}, {0}};
    static const struct stored images[] = {{"x", 2, {3, 3}, templates}, {"y", 1, {3}, template_labels}, {0}};
    static const struct {
        const char *name, *yaml;
        const struct stored *arrays;
    } sets[] = {{"npz", "{file: %s}", arrays},
                {"npz", "{file: %s}", inputs},
                {"npz", "{file: %s, upsample: 2}", masked},
                {"mnist1d", template_settings, images},
                {"mnist1d", "{samples: 20, length: 5}", NULL},
                {"yinyang", "{train: 20, test: 5, validation: 0}", NULL},
                {"xor", "{repeat: 2}", NULL},
                {"delayed_xor", "{samples: 8, test_samples: 4}", NULL}};

    static const struct gle_data_context alone = {.dt = 0.5};

    (void)state;
    for (size_t i = 0; i < COUNT(sets); i++) {
        struct gle_error err = {0};
        struct gle_data *data = NULL;
        struct chosen c;
        char yaml[512];
        size_t k;
        if (sets[i].arrays)
            store(sets[i].arrays);
        snprintf(yaml, sizeof yaml, sets[i].arrays ? sets[i].yaml : "%s", sets[i].arrays ? archive : sets[i].yaml);
        assert_int_equal(choose(&c, sets[i].name, yaml, &err), 0);
        for (k = 0; !data; k++) {
            int status;
            err = (struct gle_error){0};
            gle_memory_fail_after(k);
            status = gle_data_open(&data, c.set, c.params, 0.4, sets[i].arrays == masked ? &alone : &with_teacher,
                                   &err);
            gle_memory_fail_after((size_t)-1);
            assert_int_equal(status, data ? 0 : -1);
            assert_int_equal(err.code, data ? GLE_OK : GLE_ENOMEM);
        }
        assert_true(k > 5);
        gle_data_close(data);
        forget(&c);
    }
}

static int make_folder(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    snprintf(archive, sizeof archive, "%s/data.npz", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(archive);
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(moving_inputs_are_gathered_with_a_leading_dimension),
        cmocka_unit_test(held_inputs_stay_the_same),
        cmocka_unit_test(labels_become_one_hot_targets),
        cmocka_unit_test(targets_may_stay_or_move),
        cmocka_unit_test(a_very_long_sample_ends_with_its_last_frame),
        cmocka_unit_test(validation_is_the_head_of_a_random_order),
        cmocka_unit_test(validation_keeps_targets_with_inputs),
        cmocka_unit_test(the_choice_depends_on_the_seed_alone),
        cmocka_unit_test(a_validation_set_of_its_own_stays),
        cmocka_unit_test(a_split_without_samples_is_an_error),
        cmocka_unit_test(the_checksum_is_that_of_the_bytes),
        cmocka_unit_test(the_checksum_changes_with_the_data),
        cmocka_unit_test(xor_has_four_points_and_two_classes),
        cmocka_unit_test(xor_noise_is_on_the_training_inputs_only),
        cmocka_unit_test(xor_refuses_what_makes_no_sense),
        cmocka_unit_test(yinyang_is_the_published_one),
        cmocka_unit_test(yinyang_classes_are_balanced),
        cmocka_unit_test(yinyang_refuses_dots_that_leave_no_room),
        cmocka_unit_test(mnist1d_is_split_as_asked),
        cmocka_unit_test(mnist1d_follows_all_its_settings),
        cmocka_unit_test(mnist1d_takes_templates_from_a_file),
        cmocka_unit_test(mnist1d_refuses_templates_it_cannot_use),
        cmocka_unit_test(mnist1d_refuses_settings_that_make_no_sense),
        cmocka_unit_test(npz_reads_all_sets),
        cmocka_unit_test(npz_counts_classes_in_all_sets),
        cmocka_unit_test(npz_refuses_shapes_that_do_not_fit),
        cmocka_unit_test(npz_refuses_arrays_that_are_missing_or_unknown),
        cmocka_unit_test(npz_refuses_sets_under_other_names),
        cmocka_unit_test(npz_notes_what_nothing_uses),
        cmocka_unit_test(npz_notes_end_in_time),
        cmocka_unit_test(mnist1d_notes_what_nothing_uses_of_templates),
        cmocka_unit_test(npz_refuses_values_that_are_no_data),
        cmocka_unit_test(npz_refuses_settings_that_do_not_go_with_the_file),
        cmocka_unit_test(npz_needs_no_targets_where_a_teacher_has_them),
        cmocka_unit_test(npz_keeps_targets_beside_a_teacher),
        cmocka_unit_test(npz_refuses_targets_of_some_sets_only),
        cmocka_unit_test(long_work_asks_often),
        cmocka_unit_test(npz_stops_wherever_it_is),
        cmocka_unit_test(every_failed_allocation_is_survived),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
