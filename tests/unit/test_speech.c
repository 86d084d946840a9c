/* The data set speech_commands, on small corpora: tones as words. */
#include "../support/dataset.h"
#include "../support/folder.h"
#include "../support/trial.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/rng.h"
#include "data/corpus.h"
#include "data/features.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { RATE = 4000, WINDOW = 64, HOP = 50, BINS = 6, SPEAKERS = 24 };
enum { SOUND_MAX = 2 * RATE, FRAMES_MAX = 1 + SOUND_MAX / HOP };

static char folder[FOLDER_SIZE]; /* with a corpus: yes, no, maybe, two noises; fresh for every test */
static const char *const yes_no[] = {"yes", "no"};
static const struct gle_data_context plain = {.dt = 0.1, .seed = 7, .n_threads = 1};

/* Settings of a small corpus, with more of them. Static buffer. */
static const char *settings(const char *more)
{
    static char yaml[1024];

    snprintf(yaml, sizeof yaml,
             "{path: %s, sample_rate: 4000, features: {type: mel, bins: 6, window: 64, hop: 50}, "
             "split: {type: hashed, validation: 25, test: 25}, %s}", folder, more);
    return yaml;
}

static const char words[] = "task: {words: [yes, no]}";
static const char all_classes[] = "task: {words: [yes, no], unknown: true, silence: 0.2}";

static struct gle_corpus *list(bool unknown, double silence)
{
    const struct gle_corpus_settings how = {.path = folder, .words = yes_no, .n_words = 2, .unknown = unknown,
                                            .silence = silence, .validation = 25.0, .test = 25.0, .seed = plain.seed};
    struct gle_error err = {0};
    struct gle_corpus *corpus;

    if (gle_corpus_open(&corpus, &how, &err))
        fail_msg("%s", err.text);
    return corpus;
}

static struct gle_features *open_features(uint64_t coefficients)
{
    const struct gle_feature_settings how = {BINS, WINDOW, HOP, coefficients, RATE};
    struct gle_error err = {0};
    struct gle_features *f;

    if (gle_features_open(&f, &how, &err))
        fail_msg("%s", err.text);
    return f;
}

/* --- sounds --- */

/* n samples of a tone with a little noise, its own in every file. */
static void tone(int16_t *x, size_t n, double frequency, uint64_t seed)
{
    struct gle_rng rng;

    gle_rng_seed(&rng, seed);
    for (size_t i = 0; i < n; i++)
        x[i] = (int16_t)(3000.0 * sin(6.28318530717958648 * frequency * (double)i / RATE) +
                         300.0 * gle_numpy_rand(&rng));
}

static void put_tone(const char *name, size_t n, double frequency, uint64_t seed)
{
    int16_t x[SOUND_MAX];

    assert_true(n <= SOUND_MAX);
    tone(x, n, frequency, seed);
    folder_put_sound(folder, name, x, n, RATE);
}

/* Of different lengths; odd ones as FLAC. */
static void put_word(const char *word, double frequency)
{
    for (size_t i = 0; i < SPEAKERS; i++) {
        char name[64];
        snprintf(name, sizeof name, "%s/%08zx_nohash_0.%s", word, i, i % 2 ? "flac" : "wav");
        put_tone(name, 1000 + 10 * i, frequency, i);
    }
}

enum { SHORT_NOISE = 700, LONG_NOISE = 6000 };

static int make_corpus(void **state)
{
    (void)state;
    folder_make(folder);
    put_word("yes", 300.0);
    put_word("no", 500.0);
    put_word("maybe", 900.0);
    put_tone("_background_noise_/a.wav", SHORT_NOISE, 100.0, 100);
    put_tone("_background_noise_/b.wav", LONG_NOISE, 110.0, 101);
    return 0;
}

static int remove_corpus(void **state)
{
    (void)state;
    folder_remove(folder);
    return 0;
}

/* The samples of a file as put_word() wrote it. */
static size_t read_tone(int16_t x[SOUND_MAX], const char *file)
{
    const double frequency = *file == 'y' ? 300.0 : *file == 'n' ? 500.0 : 900.0;
    unsigned speaker;

    assert_int_equal(sscanf(strchr(file, '/') + 1, "%8x", &speaker), 1);
    tone(x, 1000 + 10 * speaker, frequency, speaker);
    return 1000 + 10 * speaker;
}

/* --- samples --- */

/* Makes one sample; returns its frames. */
static size_t make(float frames[FRAMES_MAX * BINS], const struct gle_data *data, enum gle_split split, uint32_t row,
                   uint64_t draw)
{
    const struct gle_maker *maker = &data->maker;
    void *desk = maker->open_desk(maker->state);

    assert_non_null(desk);
    assert_in_range(maker->length(maker->state, split, row), 1, maker->frames_max);
    assert_true(maker->frames_max <= FRAMES_MAX);
    maker->make(maker->state, desk, frames, split, row, draw);
    maker->close_desk(desk);
    return maker->length(maker->state, split, row);
}

static void assert_features(const float *frames, size_t n_frames, const float *wave, size_t n, double tolerance)
{
    struct gle_features *f = open_features(0);
    struct gle_feature_desk *desk = gle_feature_desk_open(f);
    float want[FRAMES_MAX * BINS];

    assert_non_null(desk);
    assert_int_equal(n_frames, gle_features_frames(f, n));
    gle_features_make(want, f, desk, wave, n);
    for (size_t i = 0; i < n_frames * BINS; i++)
        if (!(fabs((double)frames[i] - (double)want[i]) <= tolerance))
            fail_msg("value %zu is %.9g, not %.9g", i, (double)frames[i], (double)want[i]);
    gle_feature_desk_close(desk);
    gle_features_close(f);
}

static void assert_plain(const float *frames, size_t n_frames, const char *file)
{
    int16_t x[SOUND_MAX];
    float wave[SOUND_MAX];
    const size_t n = read_tone(x, file);

    for (size_t i = 0; i < n; i++)
        wave[i] = (float)x[i] / 32768.0f;
    assert_features(frames, n_frames, wave, n, 0.0);
}

static void samples_are_listed_as_the_corpus_says(void **state)
{
    struct gle_data *data = open_data("speech_commands", settings(all_classes), 0.0, &plain);
    struct gle_corpus *corpus = list(true, 0.2);
    size_t longest = RATE; /* silence */

    (void)state;
    assert_int_equal(data->n_channels, BINS);
    assert_int_equal(data->n_targets, 4);
    assert_true(data->labelled && !data->balanced && !data->held && !data->target_moves);
    assert_string_equal(data->classes[0], "unknown");
    assert_string_equal(data->classes[1], "silence");
    assert_string_equal(data->classes[3], "no");
    for (enum gle_split s = 0; s < GLE_SPLITS; s++) {
        assert_int_equal(data->split[s].n, corpus->n[s]);
        assert_true(!data->split[s].x && !data->split[s].targets);
        for (size_t i = 0; i < corpus->n[s]; i++)
            assert_int_equal(data->split[s].labels[i], corpus->split[s][i].label);
    }
    assert_int_equal(data->maker.frames_max, 1 + longest / HOP);
    assert_int_equal(data->maker.upsample, 1);
    assert_int_equal(data->n_steps, data->maker.frames_max);
    assert_true(data->bytes > 2.0 * 1000 * (2 * SPEAKERS) && data->bytes < 4.0 * 2000 * (3 * SPEAKERS));
    assert_int_equal(data->n_skipped, 0);
    assert_string_equal(data->skipped, "");
    gle_corpus_close(corpus);
    gle_data_close(data);
}

static void samples_are_the_features_of_their_files(void **state)
{
    struct gle_data *data = open_data("speech_commands", settings(words), 0.0, &plain);
    struct gle_corpus *corpus = list(false, 0.0);
    float frames[FRAMES_MAX * BINS];

    (void)state;
    for (enum gle_split s = 0; s < GLE_SPLITS; s++)
        for (uint32_t i = 0; i < corpus->n[s]; i++)
            assert_plain(frames, make(frames, data, s, i, i), corpus->split[s][i].file);
    gle_corpus_close(corpus);
    gle_data_close(data);
}

static void silence_is_a_second_of_almost_nothing(void **state)
{
    struct gle_data *data = open_data("speech_commands", settings(all_classes), 0.0, &plain);
    float frames[FRAMES_MAX * BINS], wave[RATE];

    (void)state;
    for (size_t i = 0; i < RATE; i++)
        wave[i] = 1e-9f;
    for (enum gle_split s = 0; s < GLE_SPLITS; s++) {
        const uint32_t last = (uint32_t)data->split[s].n - 1;
        assert_int_equal(data->split[s].labels[last], 1);
        assert_features(frames, make(frames, data, s, last, 5), wave, RATE, 0.0);
    }
    gle_data_close(data);
}

static void the_full_task_needs_all_words(void **state)
{
    (void)state;
    assert_not_opened("speech_commands", settings("task: full"), 0.0, &plain, GLE_EDATA,
                      folder_text(folder, "there is no folder 'backward' in FOLDER"));
}

static void cepstra_have_so_many_channels(void **state)
{
    char yaml[512];
    struct gle_data *data;

    (void)state;
    snprintf(yaml, sizeof yaml, "{path: %s, task: {words: [yes, no]}, sample_rate: 4000, upsample: 3, balance: true, "
             "features: {type: mfcc, bins: 6, window: 64, hop: 50, coefficients: 4}}", folder);
    data = open_data("speech_commands", yaml, 0.0, &plain);
    assert_int_equal(data->n_channels, 4);
    assert_true(data->balanced);
    assert_int_equal(data->maker.upsample, 3);
    assert_int_equal(data->n_steps, 3 * data->maker.frames_max);
    gle_data_close(data);
}

static void sounds_of_another_rate_are_converted(void **state)
{
    struct gle_data *data, *half;
    char yaml[512];

    (void)state;
    snprintf(yaml, sizeof yaml, "{path: %s, task: {words: [yes, no]}, sample_rate: 2000, "
             "features: {type: mel, bins: 6, window: 64, hop: 50}}", folder);
    data = open_data("speech_commands", settings(words), 0.0, &plain);
    half = open_data("speech_commands", yaml, 0.0, &plain);
    assert_int_equal(half->maker.frames_max, 1 + (1000 + 10 * (SPEAKERS - 1)) / 2 / HOP);
    assert_int_equal(data->maker.frames_max, 1 + (1000 + 10 * (SPEAKERS - 1)) / HOP);
    gle_data_close(data);
    gle_data_close(half);
}

static void official_lists_divide(void **state)
{
    char yaml[512];
    struct gle_data *data;

    (void)state;
    snprintf(yaml, sizeof yaml, "{path: %s, task: {words: [yes, no]}, sample_rate: 4000, split: official, "
             "features: {type: mel, bins: 6, window: 64, hop: 50}}", folder);
    assert_not_opened("speech_commands", yaml, 0.0, &plain, GLE_EDATA, "cannot be read: No such file or directory");
    folder_put(folder, "validation_list.txt", "yes/00000000_nohash_0.wav\nno/00000001_nohash_0.flac\n");
    folder_put(folder, "testing_list.txt", "yes/00000003_nohash_0.flac\n");
    data = open_data("speech_commands", yaml, 0.0, &plain);
    assert_int_equal(data->split[GLE_VALIDATION].n, 2);
    assert_int_equal(data->split[GLE_TEST].n, 1);
    assert_int_equal(data->split[GLE_TRAIN].n, 2 * SPEAKERS - 3);
    gle_data_close(data);
}

/* --- files that cannot be used --- */

/* The file of a sample of the corpus. */
static const char *file_of(const struct gle_corpus *corpus, enum gle_split split, size_t i)
{
    assert_true(i < corpus->n[split]);
    return corpus->split[split][i].file;
}

static void assert_bad(const char *more, const char *file, const char *why)
{
    char whole[PATH_SIZE];

    for (size_t threads = 1; threads <= 4; threads++) {
        const struct gle_data_context ctx = {.dt = 0.1, .seed = 7, .n_threads = threads};
        struct gle_error err;
        struct gle_data *data;
        assert_int_equal(try_open(&data, "speech_commands", settings(more), 0.0, &ctx, &err), -1);
        assert_null(data);
        assert_int_equal(err.code, GLE_EDATA);
        snprintf(whole, sizeof whole, "%s/%s", folder, file);
        assert_string_equal(err.file, whole);
        assert_string_equal(err.text, why);
    }
}

static void a_bad_file_is_named_the_first_of_the_list(void **state)
{
    struct gle_corpus *corpus = list(false, 0.0);
    int16_t x[WINDOW / 2] = {0};

    (void)state;
    folder_put_sound(folder, file_of(corpus, GLE_TEST, 1), x, WINDOW / 2, RATE);
    assert_bad(words, file_of(corpus, GLE_TEST, 1),
               "32 samples at 4000 per second: too short, more than 32, half a window, are wanted");
    folder_put_sound(folder, file_of(corpus, GLE_TEST, 1), x, 1, RATE);
    assert_bad(words, file_of(corpus, GLE_TEST, 1),
               "1 sample at 4000 per second: too short, more than 32, half a window, are wanted");
    folder_put(folder, file_of(corpus, GLE_VALIDATION, 2), "not a sound at all");
    folder_put(folder, file_of(corpus, GLE_TRAIN, 5), "");
    folder_put(folder, file_of(corpus, GLE_TRAIN, 4), "");
    assert_bad(words, file_of(corpus, GLE_TRAIN, 4), "not a sound file: it is empty");
    gle_corpus_close(corpus);
}

static void a_long_file_is_bad_unless_it_is_noise(void **state)
{
    struct gle_corpus *corpus = list(false, 0.0);
    struct gle_data *data;

    (void)state;
    data = open_data("speech_commands",
                     settings("task: {words: [yes, no]}, longest: 1, augment: {noise_probability: 1}"), 0.0, &plain);
    gle_data_close(data);
    put_tone(file_of(corpus, GLE_VALIDATION, 0), LONG_NOISE, 200.0, 1);
    assert_bad("task: {words: [yes, no]}, longest: 1", file_of(corpus, GLE_VALIDATION, 0),
               "is 1.5 s long, where 1 s are allowed");
    gle_corpus_close(corpus);
}

static void sounds_of_no_sample_are_counted_with_the_bad_ones(void **state)
{
    struct gle_corpus *corpus = list(false, 0.0);
    char want[PATH_SIZE];
    struct gle_data *data;

    (void)state;
    folder_put(folder, file_of(corpus, GLE_TRAIN, 2), "");
    folder_put(folder, "yes/speaker.mp3", "");
    assert_bad(words, "yes/speaker.mp3", "is called neither .wav nor .flac; skip_bad: true leaves such files out");
    data = open_data("speech_commands", settings("task: {words: [yes, no]}, skip_bad: true"), 0.0, &plain);
    assert_int_equal(data->n_skipped, 2);
    snprintf(want, sizeof want, "%s/yes/speaker.mp3: is called neither .wav nor .flac", folder);
    assert_string_equal(data->skipped, want);
    gle_data_close(data);
    gle_corpus_close(corpus);
}

static void bad_files_are_left_out_if_asked_for(void **state)
{
    struct gle_corpus *corpus = list(false, 0.0);
    char sha256[65] = "";

    (void)state;
    folder_put(folder, file_of(corpus, GLE_TRAIN, 2), "");
    folder_put(folder, file_of(corpus, GLE_TRAIN, 5), "not a sound at all");
    folder_put(folder, file_of(corpus, GLE_TEST, 0), "");
    for (size_t threads = 1; threads <= 4; threads++) {
        const struct gle_data_context ctx = {.dt = 0.1, .seed = 7, .n_threads = threads};
        struct gle_data *data =
            open_data("speech_commands", settings("task: {words: [yes, no]}, skip_bad: true"), 0.0, &ctx);
        float frames[FRAMES_MAX * BINS];
        char want[PATH_SIZE];
        assert_int_equal(data->n_skipped, 3);
        snprintf(want, sizeof want, "%s/%s: not a sound file: it is empty", folder, file_of(corpus, GLE_TRAIN, 2));
        assert_string_equal(data->skipped, want);
        for (enum gle_split s = 0; s < GLE_SPLITS; s++) {
            uint32_t row = 0;
            for (size_t i = 0; i < corpus->n[s]; i++) {
                const bool left_out = (s == GLE_TRAIN && (i == 2 || i == 5)) || (s == GLE_TEST && i == 0);
                if (left_out)
                    continue;
                assert_int_equal(data->split[s].labels[row], corpus->split[s][i].label);
                assert_plain(frames, make(frames, data, s, row, 0), file_of(corpus, s, i));
                row++;
            }
            assert_int_equal(data->split[s].n, row);
        }
        if (threads > 1)
            assert_string_equal(data->sha256, sha256);
        memcpy(sha256, data->sha256, sizeof sha256);
        gle_data_close(data);
    }
    gle_corpus_close(corpus);
}

static void something_must_be_left(void **state)
{
    static const char skip[] = "task: {words: [yes, no]}, skip_bad: true, augment: {noise_probability: 0.5}";
    struct gle_corpus *corpus = list(false, 0.0);
    char want[2][PATH_SIZE];
    size_t first = SIZE_MAX;

    (void)state;
    folder_put(folder, "_background_noise_/a.wav", "");
    folder_put(folder, "_background_noise_/b.wav", "");
    assert_not_opened("speech_commands", settings(skip), 0.0, &plain, GLE_EDATA,
                      folder_text(folder, "no recording of noise can be used; left out first: "
                                          "FOLDER/_background_noise_/a.wav: not a sound file: it is empty"));
    for (size_t i = 0; i < corpus->n[GLE_TRAIN]; i++)
        if (!corpus->split[GLE_TRAIN][i].label) {
            folder_put(folder, file_of(corpus, GLE_TRAIN, i), "");
            first = i < first ? i : first;
        }
    put_tone("_background_noise_/b.wav", 1, 100.0, 1); /* long enough for a noise */
    snprintf(want[0], sizeof want[0], "no file of 'yes' in the training set can be used; left out first: %s/%s: not a "
             "sound file: it is empty", folder, file_of(corpus, GLE_TRAIN, first));
    assert_not_opened("speech_commands", settings(skip), 0.0, &plain, GLE_EDATA, want[0]);
    for (size_t i = 0; i < corpus->n[GLE_TRAIN]; i++)
        if (!corpus->split[GLE_TRAIN][i].label)
            put_tone(file_of(corpus, GLE_TRAIN, i), RATE, 300.0, i);
    for (size_t i = 0; i < corpus->n[GLE_TEST]; i++)
        folder_put(folder, file_of(corpus, GLE_TEST, i), "");
    snprintf(want[1], sizeof want[1], "no file of the test set can be used; left out first: %s/%s: not a sound file: "
             "it is empty", folder, file_of(corpus, GLE_TEST, 0));
    assert_not_opened("speech_commands", settings(skip), 0.0, &plain, GLE_EDATA, want[1]);
    assert_not_opened("speech_commands", settings("task: {words: [yes, no], silence: 0.5}, skip_bad: true"), 0.0,
                      &plain, GLE_EDATA, want[1]);
    gle_corpus_close(corpus);
}

static void what_the_corpus_lacks_is_an_error(void **state)
{
    (void)state;
    assert_not_opened("speech_commands", settings("task: {words: [yess, no]}"), 0.0, &plain, GLE_EDATA,
                      folder_text(folder, "there is no folder 'yess' in FOLDER (did you mean 'yes'?)"));
    assert_not_opened("speech_commands", settings("task: kw12"), 0.0, &plain, GLE_EDATA,
                      folder_text(folder, "there is no folder 'up' in FOLDER"));
    assert_not_opened("speech_commands", "{path: /nowhere}", 0.0, &plain, GLE_EDATA,
                      "there is no such folder; datasets/README.md says how to get or make a corpus");
}

/* --- the same bits --- */

static void threads_change_nothing(void **state)
{
    static const char noisy[] = "task: {words: [yes, no], unknown: true, silence: 0.2}, "
                                "augment: {noise_probability: 0.8, shift: 300}";
    float frames[2][FRAMES_MAX * BINS];
    struct gle_data *one = open_data("speech_commands", settings(noisy), 0.0, &plain);

    (void)state;
    for (size_t threads = 2; threads <= 8; threads *= 2) {
        const struct gle_data_context ctx = {.dt = 0.1, .seed = 7, .n_threads = threads};
        struct gle_data *data = open_data("speech_commands", settings(noisy), 0.0, &ctx);
        assert_string_equal(data->sha256, one->sha256);
        assert_true(data->bytes == one->bytes);
        for (enum gle_split s = 0; s < GLE_SPLITS; s++)
            for (uint32_t i = 0; i < data->split[s].n; i++) {
                const size_t n = make(frames[0], one, s, i, 1000 + i);
                assert_int_equal(make(frames[1], data, s, i, 1000 + i), n);
                assert_memory_equal(frames[0], frames[1], n * BINS * sizeof(float));
            }
        gle_data_close(data);
    }
    gle_data_close(one);
}

/* Whatever desk a thread is at, and whatever it made before. */
static void samples_can_be_made_side_by_side(void **state)
{
    enum { N = 16 };
    static float apart[N][FRAMES_MAX * BINS], beside[N][FRAMES_MAX * BINS];
    struct gle_data *data = open_data(
        "speech_commands", settings("task: {words: [yes, no]}, augment: {noise_probability: 0.5, shift: 50}"), 0.0,
        &plain);
    const struct gle_maker *maker = &data->maker;
    void *desks[4];
    size_t length[N];

    (void)state;
    for (uint32_t i = 0; i < N; i++)
        length[i] = make(apart[i], data, GLE_TRAIN, i, i);
    for (size_t k = 0; k < COUNT(desks); k++)
        assert_non_null(desks[k] = maker->open_desk(maker->state));
#pragma omp parallel for num_threads(4)
    for (uint32_t k = 0; k < COUNT(desks); k++)
        for (uint32_t i = N; i-- > 0;)
            if (i % COUNT(desks) == k)
                maker->make(maker->state, desks[k], beside[i], GLE_TRAIN, i, i);
    for (size_t i = 0; i < N; i++)
        assert_memory_equal(apart[i], beside[i], length[i] * BINS * sizeof(float));
    for (size_t k = 0; k < COUNT(desks); k++)
        maker->close_desk(desks[k]);
    maker->close_desk(NULL);
    gle_data_close(data);
}

static void add_digest(char *text, size_t size, const char *label, const char *file)
{
    const size_t len = strlen(text);
    struct gle_sha256 *sha = gle_sha256_start();
    int16_t x[SOUND_MAX];
    size_t n = SHORT_NOISE;
    char hex[65];

    assert_non_null(sha);
    if (*file == '_')
        tone(x, n, 100.0, 100);
    else
        n = read_tone(x, file);
    for (size_t i = 0; i < n; i++) {
        const unsigned char bytes[2] = {(unsigned char)(x[i] & 0xff), (unsigned char)((x[i] >> 8) & 0xff)};
        gle_sha256_add(sha, bytes, 2);
    }
    gle_sha256_end(sha, hex);
    snprintf(text + len, size - len, "%s%s\n", label, hex);
}

static void the_checksum_is_that_of_the_list(void **state)
{
    struct gle_data *data;
    struct gle_corpus *corpus = list(false, 0.1);
    static char text[1 << 16];
    struct gle_sha256 *sha = gle_sha256_start();
    char hex[65];

    (void)state;
    unlink(folder_path(folder, "_background_noise_/b.wav"));
    data = open_data("speech_commands",
                     settings("task: {words: [yes, no], silence: 0.1}, augment: {noise_probability: 0.5}"), 0.0,
                     &plain);
    assert_non_null(sha);
    snprintf(text, sizeof text, "3\nsilence\nyes\nno\n");
    for (enum gle_split s = 0; s < GLE_SPLITS; s++) {
        snprintf(text + strlen(text), sizeof text - strlen(text), "%zu\n", corpus->n[s]);
        for (size_t i = 0; i < corpus->n[s]; i++) {
            const struct gle_corpus_sample *sample = &corpus->split[s][i];
            if (sample->file)
                add_digest(text, sizeof text, sample->label == 1 ? "1 " : "2 ", sample->file);
            else
                strcat(text, "0 -\n");
        }
    }
    strcat(text, "1\n");
    add_digest(text, sizeof text, "", "_background_noise_/a.wav");
    gle_sha256_add(sha, text, strlen(text));
    gle_sha256_end(sha, hex);
    assert_string_equal(data->sha256, hex);
    gle_data_close(data);
    gle_corpus_close(corpus);
}

/* --- augmentation --- */

/* A training sample changed as the header of the draws says, in double. */
struct changed {
    bool noisy;
    double wave[SOUND_MAX];
    size_t n;
};

static void change(struct changed *c, const int16_t *x, size_t n, uint64_t seed, uint64_t draw, double probability,
                   const double *levels, uint32_t n_levels, uint32_t shift)
{
    const uint32_t key[4] = {(uint32_t)seed, (uint32_t)(seed >> 32), (uint32_t)draw, (uint32_t)(draw >> 32)};
    double plain_wave[SOUND_MAX], noise[SOUND_MAX] = {0}, squares = 0.0, noise_squares = 0.0, s = 0.0;
    struct gle_rng rng;
    long by;

    gle_rng_seed_words(&rng, key, 4);
    for (size_t i = 0; i < n; i++)
        squares += pow(plain_wave[i] = x[i] / 32768.0, 2.0);
    c->n = n;
    c->noisy = gle_python_rand(&rng) < probability;
    if (c->noisy) {
        const bool first = gle_python_below(&rng, 2) == 0;
        const size_t len = first ? SHORT_NOISE : LONG_NOISE;
        const size_t start = gle_python_below(&rng, (uint32_t)(len < n ? len : len - n + 1));
        int16_t y[SOUND_MAX];
        tone(y, len, first ? 100.0 : 110.0, first ? 100 : 101);
        for (size_t i = 0; i < n; i++)
            noise_squares += pow(noise[i] = y[(start + i) % len] / 32768.0, 2.0);
        if (squares > 0.0)
            s = exp(levels[gle_python_below(&rng, n_levels)] / 10.0) * sqrt(noise_squares / squares);
        else
            (void)gle_python_below(&rng, n_levels);
        for (size_t i = 0; i < n; i++)
            plain_wave[i] = 0.5 * (s * plain_wave[i] + noise[i]);
    }
    by = (long)gle_python_below(&rng, 2 * shift + 1) - (long)shift;
    for (size_t i = 0; i < n; i++) {
        const long from = (long)i - by;
        c->wave[i] = from >= 0 && from < (long)n ? plain_wave[from] : 0.0;
    }
}

/* Returns how many of the samples have noise. */
static size_t assert_changed(const char *more, uint64_t seed, double probability, uint32_t shift, size_t draws)
{
    static const double levels[] = {20.0, 10.0, 3.0};
    const struct gle_data_context ctx = {.dt = 0.1, .seed = seed, .n_threads = 1};
    const struct gle_corpus_settings how = {.path = folder, .words = yes_no, .n_words = 2, .validation = 25.0,
                                            .test = 25.0, .seed = seed};
    struct gle_data *data = open_data("speech_commands", settings(more), 0.0, &ctx);
    struct gle_error err = {0};
    struct gle_corpus *corpus;
    size_t noisy = 0;

    assert_int_equal(gle_corpus_open(&corpus, &how, &err), 0);
    for (uint64_t draw = 0; draw < draws; draw++) {
        const uint32_t row = (uint32_t)(draw % corpus->n[GLE_TRAIN]);
        const uint64_t number = draw % 2 ? draw : draw << 33; /* all of it counts */
        float frames[FRAMES_MAX * BINS], wave[SOUND_MAX];
        int16_t x[SOUND_MAX];
        struct changed c;
        size_t n = read_tone(x, file_of(corpus, GLE_TRAIN, row));
        change(&c, x, n, seed, number, probability, levels, 3, shift);
        for (size_t i = 0; i < n; i++)
            wave[i] = (float)c.wave[i];
        n = make(frames, data, GLE_TRAIN, row, number);
        assert_features(frames, n, wave, c.n, 1e-4);
        noisy += c.noisy;
    }
    gle_corpus_close(corpus);
    gle_data_close(data);
    return noisy;
}

static void noise_is_mixed_as_published(void **state)
{
    (void)state;
    assert_int_equal(assert_changed("task: {words: [yes, no]}, augment: {noise_probability: 1}", 7, 1.0, 0, 40), 40);
}

static void noise_comes_with_its_probability(void **state)
{
    size_t noisy;

    (void)state;
    noisy = assert_changed("task: {words: [yes, no]}, augment: {noise_probability: 0.8}", 1, 0.8, 0, 300);
    assert_in_range(noisy, 215, 265);
}

static void samples_are_shifted_either_way(void **state)
{
    (void)state;
    assert_int_equal(assert_changed("task: {words: [yes, no]}, augment: {shift: 160}", 7, 0.0, 160, 40), 0);
    assert_changed("task: {words: [yes, no]}, augment: {noise_probability: 0.5, shift: 5000}", UINT64_C(7) << 40, 0.5,
                   5000, 60);
}

/* A sound of zeros has no level: what is left is half the noise. */
static void nothing_becomes_half_the_noise(void **state)
{
    struct gle_corpus *corpus = list(false, 0.0);
    const int16_t x[RATE] = {0};
    const double level = 20.0;
    float frames[FRAMES_MAX * BINS], wave[RATE];
    struct changed c;
    struct gle_data *data;

    (void)state;
    folder_put_sound(folder, file_of(corpus, GLE_TRAIN, 0), x, RATE, RATE);
    data = open_data("speech_commands",
                     settings("task: {words: [yes, no]}, augment: {noise_probability: 1, noise_levels: 20}"), 0.0,
                     &plain);
    change(&c, x, RATE, plain.seed, 3, 1.0, &level, 1, 0);
    for (size_t i = 0; i < RATE; i++)
        wave[i] = (float)c.wave[i];
    assert_features(frames, make(frames, data, GLE_TRAIN, 0, 3), wave, RATE, 1e-4);
    gle_data_close(data);
    gle_corpus_close(corpus);
}

static void a_draw_is_a_sample(void **state)
{
    static const char noisy[] = "task: {words: [yes, no]}, augment: {noise_probability: 1, shift: 10}";
    const struct gle_data_context other_seed = {.dt = 0.1, .seed = 8, .n_threads = 1};
    struct gle_data *data = open_data("speech_commands", settings(noisy), 0.0, &plain);
    struct gle_data *other = open_data("speech_commands", settings(noisy), 0.0, &other_seed);
    float first[FRAMES_MAX * BINS], frames[FRAMES_MAX * BINS];
    const size_t n = make(first, data, GLE_TRAIN, 0, 5), size = n * BINS * sizeof(float);

    (void)state;
    make(frames, data, GLE_TRAIN, 0, 6);
    assert_memory_not_equal(first, frames, size);
    make(frames, data, GLE_TRAIN, 0, UINT64_C(5) + (UINT64_C(1) << 32));
    assert_memory_not_equal(first, frames, size);
    make(frames, data, GLE_TRAIN, 0, 5);
    assert_memory_equal(first, frames, size);
    make(first, data, GLE_TEST, 0, 5);
    make(frames, data, GLE_TEST, 0, 6);
    assert_memory_equal(first, frames, BINS * sizeof(float));
    assert_string_not_equal(data->sha256, other->sha256); /* another order */
    gle_data_close(data);
    gle_data_close(other);
}

/* --- progress --- */

struct told {
    size_t calls, last, total, stop_at;
};

static int tell(void *ctx, const char *what, size_t done, size_t total)
{
    struct told *told = ctx;

    assert_string_equal(what, "reading files");
    assert_true(done >= told->last && done <= total);
    told->calls++;
    told->last = done;
    told->total = total;
    return told->calls == told->stop_at;
}

static void progress_is_told_and_may_stop(void **state)
{
    for (size_t threads = 1; threads <= 4; threads *= 2) {
        struct told told = {0};
        struct gle_data_context ctx = {.dt = 0.1, .seed = 7, .n_threads = threads, .progress = tell, .ctx = &told};
        struct gle_data *data = open_data("speech_commands", settings(all_classes), 0.0, &ctx);
        assert_true(told.calls > 1);
        assert_int_equal(told.last, told.total);
        assert_in_range(told.total, 2 * SPEAKERS + 1, 3 * SPEAKERS);
        gle_data_close(data);
        for (size_t stop = 1; stop <= 2; stop++) {
            told = (struct told){.stop_at = stop};
            assert_not_opened("speech_commands", settings(all_classes), 0.0, &ctx, GLE_ESTOPPED,
                              "stopped while reading files");
            assert_int_equal(told.calls, stop);
        }
    }
    (void)state;
}

/* --- a run --- */

static void a_network_learns_to_tell_tones(void **state)
{
    static const char head[] = "glesim: 1\nname: tones\nseed: 7\ndt: 0.2\ndataset: {type: speech_commands, ";
    static const char tail[] =
        "network:\n  input: 6\n  layers:\n"
        "    - {name: hidden, neurons: {count: 12, tau_m: 0.4, tau_r: 0.4}, activation: tanh}\n"
        "    - {name: readout, neurons: {count: 2, tau_m: 0.4, tau_r: 0.4}}\n"
        "learning: {loss: cross_entropy, optimizer: {type: adam, lr: 3.0e-3}}\n"
        "training: {epochs: 3, batch_size: 8, test_batch_size: 20}\n";
    char yaml[4096];
    struct trial one, two;

    (void)state;
    snprintf(yaml, sizeof yaml, "%s%s\n%s", head,
             settings("task: {words: [yes, no]}, upsample: 5, balance: true, "
                      "augment: {noise_probability: 0.5, shift: 200}") + 1, tail);
    one = trial_of(yaml, 1);
    two = trial_of(yaml, 2);
    assert_true(same_params(&one.b, &two.b));
    assert_true(one.m.epochs[3].score[GLE_VALIDATION].accuracy > 0.9);
    assert_true(one.m.epochs[3].score[GLE_TEST].accuracy > 0.9);
    trial_close(&one);
    trial_close(&two);
}

/* --- settings --- */

static void assert_setting(const char *yaml, enum gle_code code, const char *text)
{
    assert_not_opened("speech_commands", yaml, 0.0, &plain, code, text);
}

static void wrong_settings_are_refused(void **state)
{
    (void)state;
    assert_setting("{path: /sounds, task: kw21}", GLE_ECONFIG, "unknown task 'kw21' (did you mean 'kw12'?)");
    assert_setting("{path: /sounds, task: [yes, no]}", GLE_ECONFIG, "must be kw12, full or {words: [...]}");
    assert_setting("{path: /sounds, task: {words: []}}", GLE_ECONFIG, "must name at least one word");
    assert_setting("{path: /sounds, task: {words: [yes]}}", GLE_ECONFIG,
                   "makes one class only: name more words, or set unknown or silence");
    assert_setting("{path: /sounds, task: {words: [yes, no, yes]}}", GLE_ECONFIG, "'yes' is in the list already");
    assert_setting("{path: /sounds, task: {words: [yes, _background_noise_]}}", GLE_ECONFIG,
                   "'_background_noise_' is no word: folders that begin with '_' or '.' hold something else");
    assert_setting("{path: /sounds, task: {words: [yes, silence], silence: 0.1}}", GLE_ECONFIG,
                   "there is a class 'silence' beside the words already (key 'silence')");
    assert_setting("{path: /sounds, split: oficial}", GLE_ECONFIG,
                   "unknown split 'oficial' (did you mean 'official'?)");
    assert_setting("{path: /sounds, split: {type: hashed, validation: 60, test: 40}}", GLE_ERANGE,
                   "leaves nothing for training: validation and test must be below 100 percent together");
    assert_setting("{path: /sounds, features: {type: mel, window: 401}}", GLE_ERANGE, "must be even");
    assert_setting("{path: /sounds, features: {type: mfcc, bins: 12}}", GLE_ERANGE,
                   "must be at most bins, the number of mel filters");
    assert_setting("{path: /sounds, augment: {noise_levels: []}}", GLE_ERANGE,
                   "is empty: at least one level is wanted");
    assert_setting("{path: /sounds, longest: 0.03}", GLE_ERANGE,
                   "a sound must be longer than half a window, and dataset.longest allows none that is");
    assert_setting("{path: /sounds, sample_rate: 1000, features: {type: mel, window: 2000}}", GLE_ERANGE,
                   "a sound must be longer than half a window, and silence, which lasts a second, is not");
    assert_setting("{path: /sounds, features: {type: mel, bins: 512}}", GLE_ERANGE,
                   "mel filter 1 of 512 is narrower than the distance of two frequencies, and so always empty: fewer "
                   "bins or a longer window are wanted");
}

static void sizes_are_foretold(void **state)
{
    static const struct {
        const char *yaml;
        size_t channels, targets;
    } known[] = {
        {"{path: /sounds}", 32, 12},
        {"{path: /sounds, task: full, features: mfcc}", 13, 36},
        {"{path: /sounds, task: {words: [a, b, c], unknown: true}, features: {type: mel, bins: 20}}", 20, 4},
        {"{path: /sounds, task: {words: [a], silence: 0.5}}", 32, 2},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(known); i++) {
        struct gle_error err = {0};
        size_t channels = 0, targets = 0;
        struct chosen c;
        assert_int_equal(choose(&c, "speech_commands", known[i].yaml, &err), 0);
        c.set->shape(c.params, &channels, &targets);
        assert_int_equal(channels, known[i].channels);
        assert_int_equal(targets, known[i].targets);
        forget(&c);
    }
}

/* --- memory --- */

static void every_failed_allocation_is_survived(void **state)
{
    static const char noisy[] = "task: {words: [yes, no], unknown: true, silence: 0.2}, skip_bad: true, "
                                "augment: {noise_probability: 1}";
    struct gle_corpus *corpus = list(false, 0.0);

    (void)state;
    folder_put(folder, file_of(corpus, GLE_TRAIN, 2), "");
    for (size_t threads = 1; threads <= 2; threads++) {
        const struct gle_data_context ctx = {.dt = 0.1, .seed = 7, .n_threads = threads};
        struct gle_error err = {0};
        struct gle_data *data = NULL;
        struct chosen c;
        void *desk = NULL;
        size_t k;
        assert_int_equal(choose(&c, "speech_commands", settings(noisy), &err), 0);
        for (k = 0; !data; k++) {
            int status;
            err = (struct gle_error){0};
            gle_memory_fail_after(k);
            status = gle_data_open(&data, c.set, c.params, 0.0, &ctx, &err);
            gle_memory_fail_after((size_t)-1);
            assert_int_equal(status, data ? 0 : -1);
            assert_int_equal(err.code, data ? GLE_OK : GLE_ENOMEM);
        }
        assert_true(k > 50);
        for (k = 0; !desk; k++) {
            gle_memory_fail_after(k);
            desk = data->maker.open_desk(data->maker.state);
            gle_memory_fail_after((size_t)-1);
        }
        assert_true(k > 2);
        data->maker.close_desk(desk);
        gle_data_close(data);
        forget(&c);
    }
    gle_corpus_close(corpus);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_corpus, remove_corpus)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(samples_are_listed_as_the_corpus_says),
        TEST(samples_are_the_features_of_their_files),
        TEST(silence_is_a_second_of_almost_nothing),
        TEST(the_full_task_needs_all_words),
        TEST(cepstra_have_so_many_channels),
        TEST(sounds_of_another_rate_are_converted),
        TEST(official_lists_divide),
        TEST(a_bad_file_is_named_the_first_of_the_list),
        TEST(a_long_file_is_bad_unless_it_is_noise),
        TEST(sounds_of_no_sample_are_counted_with_the_bad_ones),
        TEST(bad_files_are_left_out_if_asked_for),
        TEST(something_must_be_left),
        TEST(what_the_corpus_lacks_is_an_error),
        TEST(threads_change_nothing),
        TEST(samples_can_be_made_side_by_side),
        TEST(the_checksum_is_that_of_the_list),
        TEST(noise_is_mixed_as_published),
        TEST(noise_comes_with_its_probability),
        TEST(samples_are_shifted_either_way),
        TEST(nothing_becomes_half_the_noise),
        TEST(a_draw_is_a_sample),
        TEST(progress_is_told_and_may_stop),
        TEST(a_network_learns_to_tell_tones),
        cmocka_unit_test(wrong_settings_are_refused),
        cmocka_unit_test(sizes_are_foretold),
        TEST(every_failed_allocation_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
