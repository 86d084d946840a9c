#include "base/memory.h"
#include "base/rng.h"
#include "base/unicode.h"
#include "data/corpus_sounds.h"
#include "data/features.h"
#include "data/sets.h"

#include <math.h>
#include <string.h>

static const double silence_value = 1e-9; /* of every sample of silence, which lasts a second; as published */
static const double full_scale = 32768.0; /* of 16-bit samples */

/* --- settings --- */

/* One of the named tasks, or words of one's own. */
struct task {
    const struct gle_row *named; /* NULL: words */
    struct gle_texts words;
    bool unknown;
    double silence;
};
struct hashed {
    double validation, test;
};
struct features {
    uint64_t bins, window, hop, coefficients;
};
struct augment {
    double noise_probability;
    struct gle_reals noise_levels;
    uint64_t shift;
};
struct speech_params {
    const char *path;
    struct task task;
    struct gle_part split, features;
    uint64_t sample_rate;
    double longest;
    uint64_t upsample;
    bool balance, skip_bad;
    struct augment augment;
};
_Static_assert(sizeof(struct speech_params) <= GLE_DATASET_PARAMS_SIZE, "settings of speech_commands");

/* What the named tasks stand for. */
struct known_task {
    struct gle_row row;
    const char *const *words;
    size_t n_words;
    bool unknown, silence_last;
    double silence;
};
static const char *const ten_words[] = {"yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go"};
static const char *const all_words[] = {
    "backward", "bed",   "bird",  "cat",   "dog",    "down", "eight", "five",   "follow", "forward", "four", "go",
    "happy",    "house", "learn", "left",  "marvin", "nine", "no",    "off",    "on",     "one",     "right", "seven",
    "sheila",   "six",   "stop",  "three", "tree",   "two",  "up",    "visual", "wow",    "yes",     "zero"};
#define WORDS(list) .words = list, .n_words = sizeof(list) / sizeof(list)[0]

static const struct known_task tasks[] = {
    {.row = {.name = "kw12", .help = "unknown, silence and ten words: yes, no, up, down, left, right, on, off, stop, "
                                     "go"},
     WORDS(ten_words), .unknown = true, .silence = 0.1},
    {.row = {.name = "full", .help = "the 35 words of version 2, and silence"},
     WORDS(all_words), .silence = 0.1, .silence_last = true},
    {.row = {.name = NULL}},
};
static const struct gle_table task_table = {"task", tasks, sizeof tasks[0]};

static const struct gle_key task_keys[] = {
    GLE_KEY_TEXTS(struct task, words, NULL, "words to tell apart, as the folders are called"),
    GLE_KEY_BOOL(struct task, unknown, "false", "whether samples of all other words make a class 'unknown'"),
    GLE_KEY_REAL(struct task, silence, "0.0", 0.0, 1.0, "",
                 "number of samples of a class 'silence', as a fraction of all others; 0: no such class"),
    GLE_KEY_END,
};

static const struct gle_key task_name = GLE_KEY_NAME(struct task, named, NULL, &task_table, "a task known by name");

/* The number of the first word that is the same as word i, in whatever form of Unicode; i + 1: no memory. */
static size_t find_same(const struct task *task, size_t i, struct gle_arena *arena)
{
    const char *word = gle_unicode_composed(arena, task->words.v[i]);

    for (size_t k = 0; word && k <= i; k++) {
        const char *other = gle_unicode_composed(arena, task->words.v[k]);
        if (!other)
            break;
        if (!strcmp(other, word))
            return k;
    }
    return i + 1;
}

/* Each word is a folder's name, once, and its class has a name of its own. */
static int check_words(const struct task *task, struct gle_arena *arena, struct gle_errors *errs)
{
    const struct gle_node *words = task->words.src;
    int rc = 0;

    for (size_t i = 0; i < task->words.n; i++) {
        const char *word = task->words.v[i];
        const struct gle_node *node = words->items[i];
        const size_t before = find_same(task, i, arena);
        if (before > i)
            return gle_node_error(errs, GLE_ENOMEM, node, NULL, "no memory");
        if (*word == '_' || *word == '.')
            rc = gle_node_error(errs, GLE_ECONFIG, node, NULL,
                                "'%.60s' is no word: folders that begin with '_' or '.' hold something else", word);
        else if (before < i)
            rc = gle_node_error(errs, GLE_ECONFIG, node, NULL, "'%.60s' is in the list already", word);
        else if ((task->unknown && !strcmp(word, "unknown")) || (task->silence > 0.0 && !strcmp(word, "silence")))
            rc = gle_node_error(errs, GLE_ECONFIG, node, NULL,
                                "there is a class '%s' beside the words already (key '%s')", word, word);
    }
    return rc;
}

static int decode_task(void *field, struct gle_doc *doc, struct gle_node *node, struct gle_errors *errs)
{
    struct task *task = field;

    if (node->kind == GLE_NODE_LIST)
        return gle_node_error(errs, GLE_ECONFIG, node, NULL, "must be kw12, full or {words: [...]}");
    if (node->kind == GLE_NODE_SCALAR)
        return gle_decode_value(&task->named, &task_name, doc, node, errs);
    if (gle_decode(task, task_keys, doc, node, errs))
        return -1;
    if (!task->words.n)
        return gle_node_error(errs, GLE_ECONFIG, node, "words", "must name at least one word");
    if (task->words.n + task->unknown + (task->silence > 0.0) < 2)
        return gle_node_error(errs, GLE_ECONFIG, node, "words",
                              "makes one class only: name more words, or set unknown or silence");
    return check_words(task, doc->arena, errs);
}

static const struct gle_key own_task = {.name = "own_task", .kind = GLE_KEY_KIND_MAP, .unit = "", .more = task_keys};
static const struct gle_form task_forms[] = {
    {.kind = GLE_FORM_VALUE, .key = &task_name}, {.kind = GLE_FORM_VALUE, .key = &own_task}, {.kind = GLE_FORM_END}};
static const struct gle_custom task_custom = {.decode = decode_task, .type = "task", .forms = task_forms};

static const struct gle_key hashed_keys[] = {
    GLE_KEY_REAL(struct hashed, validation, "10", 0.0, 100.0, "%",
                 "share of the speakers whose samples are for validation"),
    GLE_KEY_REAL(struct hashed, test, "10", 0.0, 100.0, "%",
                 "share of the speakers whose samples are for the test; less than 100 % with validation"),
    GLE_KEY_END,
};
static const struct gle_row split_rows[] = {
    {.name = "hashed", .help = "by the SHA-1 of the speaker, so that all samples of a speaker are in one set",
     .keys = hashed_keys, .params_size = sizeof(struct hashed)},
    {.name = "official", .help = "by validation_list.txt and testing_list.txt in the folder"},
    {.name = NULL},
};
static const struct gle_table split_table = {"split", split_rows, sizeof split_rows[0]};

#define SPECTRUM_KEYS \
    GLE_KEY_COUNT(struct features, bins, "32", 1, 512, "", "number of mel filters"), \
    GLE_KEY_COUNT(struct features, window, "1024", 2, 65536, "samples", \
                  "length of the Fourier window, an even number"), \
    GLE_KEY_COUNT(struct features, hop, "400", 1, 65536, "samples", "distance from one frame to the next")

static const struct gle_key mel_keys[] = {SPECTRUM_KEYS, GLE_KEY_END};
static const struct gle_key mfcc_keys[] = {
    SPECTRUM_KEYS,
    GLE_KEY_COUNT(struct features, coefficients, "13", 1, 512, "",
                  "number of coefficients that are kept, from the lowest; at most bins"),
    GLE_KEY_END,
};
static const struct gle_row feature_rows[] = {
    {.name = "mel", .help = "logarithmic mel spectrogram, less its mean, over its standard deviation",
     .keys = mel_keys, .params_size = sizeof(struct features)},
    {.name = "mfcc", .help = "mel-frequency cepstral coefficients, less their mean, over their standard deviation",
     .keys = mfcc_keys, .params_size = sizeof(struct features)},
    {.name = NULL},
};
static const struct gle_table feature_table = {"type of features", feature_rows, sizeof feature_rows[0]};

static const struct gle_key augment_keys[] = {
    GLE_KEY_REAL(struct augment, noise_probability, "0.0", 0.0, 1.0, "",
                 "probability that a piece of background noise is added to a training sample"),
    GLE_KEY_REALS_WITH(struct augment, noise_levels, "[20, 10, 3]", -100.0, 100.0, "",
                       "signal over noise is exp(level / 10), one of these at random", "noise_probability"),
    GLE_KEY_COUNT(struct augment, shift, "0", 0, 1e6, "samples",
                  "largest random shift of a training sample, either way; zeros come in"),
    GLE_KEY_END,
};

const struct gle_key gle_speech_commands_keys[] = {
    GLE_KEY_PATH(struct speech_params, path, NULL, "folder of the unpacked archive, with one folder per word"),
    GLE_KEY_CUSTOM(struct speech_params, task, "kw12", &task_custom,
                   "which words are told apart: kw12 (unknown, silence and ten words), full (the 35 words of version "
                   "2, and silence), or a map with words of your own"),
    GLE_KEY_PART(struct speech_params, split, "hashed", &split_table,
                 "how samples are divided into training, validation and test"),
    GLE_KEY_PART(struct speech_params, features, "mel", &feature_table, "what the network is shown of the sound"),
    GLE_KEY_COUNT(struct speech_params, sample_rate, "16000", 1000, 192000, "1/s",
                  "rate of the sounds that features are made of; files of another rate are converted"),
    GLE_KEY_REAL(struct speech_params, longest, "10", 0.01, 600.0, "seconds",
                 "longest sound of a word that is accepted; a longer file is an error"),
    GLE_KEY_COUNT(struct speech_params, upsample, "1", 1, 1000, "steps",
                  "number of steps of each frame; between frames inputs are interpolated linearly"),
    GLE_KEY_BOOL(struct speech_params, balance, "false",
                 "whether training samples are drawn with equal class probability"),
    GLE_KEY_MAP(struct speech_params, augment, "{}", augment_keys,
                "random changes of a training sample, made anew whenever it is drawn"),
    GLE_KEY_BOOL(struct speech_params, skip_bad, "false",
                 "whether sound files that cannot be used are left out, and counted in the report; if not, they are "
                 "errors"),
    GLE_KEY_END,
};

static double rate_of(const struct speech_params *p)
{
    return (double)p->sample_rate;
}

static bool is_hashed(const struct speech_params *p)
{
    return p->split.row == &split_rows[0];
}

/* What is to be listed of the corpus. */
static struct gle_corpus_settings corpus_settings(const struct speech_params *p, uint64_t seed)
{
    const struct task *task = &p->task;
    const struct known_task *known = (const struct known_task *)task->named;
    struct gle_corpus_settings how = {
        .path = p->path, .official = !is_hashed(p), .seed = seed, .noise = p->augment.noise_probability > 0.0,
        .skip_bad = p->skip_bad};

    how.words = known ? known->words : task->words.v;
    how.n_words = known ? known->n_words : task->words.n;
    how.unknown = known ? known->unknown : task->unknown;
    how.silence = known ? known->silence : task->silence;
    how.silence_last = known && known->silence_last;
    if (is_hashed(p)) {
        const struct hashed *hashed = p->split.params;
        how.validation = hashed->validation;
        how.test = hashed->test;
    }
    return how;
}

int gle_speech_commands_check(const void *params, const char **key, const char **why)
{
    const struct speech_params *p = params;
    const struct features *f = p->features.params;
    const struct gle_corpus_settings how = corpus_settings(p, 0);
    const double half_window = (double)(f->window / 2);

    *key = "features.window";
    *why = "must be even";
    if (f->window % 2)
        return -1;
    *why = "a sound must be longer than half a window, and dataset.longest allows none that is";
    if (p->longest * rate_of(p) <= half_window)
        return -1;
    *why = "a sound must be longer than half a window, and silence, which lasts a second, is not";
    if (how.silence > 0.0 && rate_of(p) <= half_window)
        return -1;
    *key = "features.coefficients";
    *why = "must be at most bins, the number of mel filters";
    if (f->coefficients > f->bins)
        return -1;
    *key = "split";
    *why = "leaves nothing for training: validation and test must be below 100 percent together";
    if (how.validation + how.test >= 100.0)
        return -1;
    *key = "augment.noise_levels";
    *why = "is empty: at least one level is wanted";
    return p->augment.noise_levels.n ? 0 : -1;
}

void gle_speech_commands_shape(const void *params, size_t *n_channels, size_t *n_targets)
{
    const struct speech_params *p = params;
    const struct features *f = p->features.params;
    const struct gle_corpus_settings how = corpus_settings(p, 0);

    *n_channels = (size_t)(f->coefficients ? f->coefficients : f->bins);
    *n_targets = how.n_words + (how.unknown ? 1 : 0) + (how.silence > 0.0 ? 1 : 0);
}

/* --- making samples --- */

struct speech {
    struct gle_corpus *corpus; /* has the names of the classes */
    struct gle_features *features;
    struct gle_corpus_sounds sounds;
    uint64_t seed;
    double noise_probability;
    double *noise_levels;
    uint32_t n_levels, shift;
};

struct desk {
    struct gle_feature_desk *features;
    float *wave; /* (longest) */
};

static void close_desk(void *state)
{
    struct desk *desk = state;

    if (!desk)
        return;
    gle_feature_desk_close(desk->features);
    gle_free(desk->wave);
    gle_free(desk);
}

static void *open_desk(const void *state)
{
    const struct speech *s = state;
    struct desk *desk = gle_calloc(1, sizeof *desk);

    if (!desk)
        return NULL;
    desk->features = gle_feature_desk_open(s->features);
    desk->wave = gle_floats(s->sounds.longest);
    if (desk->features && desk->wave)
        return desk;
    close_desk(desk);
    return NULL;
}

static size_t length(const void *state, enum gle_split split, uint32_t row)
{
    const struct speech *s = state;
    return gle_features_frames(s->features, s->sounds.split[split][row].n);
}

static double value(const struct gle_sound *sound, size_t i)
{
    return sound->x ? sound->x[i] / full_scale : silence_value;
}

/* wave = (s x + n) / 2 with s = exp(level / 10) |n| / |x|, |.| the Euclidean norm; n / 2 where |x| is 0. n: the noise
 * from `start` on, over and over. As published, but that there s is never without a value. */
static void add_noise(float *wave, const struct gle_sound *x, const struct gle_sound *noise, size_t start,
                      double level)
{
    double x_squares = 0.0, n_squares = 0.0, scale;

    for (size_t i = 0; i < x->n; i++) {
        const double n = value(noise, (start + i) % noise->n);
        x_squares += value(x, i) * value(x, i);
        n_squares += n * n;
    }
    scale = x_squares > 0.0 ? exp(level / 10.0) * sqrt(n_squares) / sqrt(x_squares) : 0.0;
    for (size_t i = 0; i < x->n; i++)
        wave[i] = (float)((scale * value(x, i) + value(noise, (start + i) % noise->n)) / 2.0);
}

/* As torch.roll, with zeros in place of what comes round: later by `by` samples. */
static void shift(float *wave, size_t n, int64_t by)
{
    const size_t amount = (size_t)(by < 0 ? -by : by), zeros = amount < n ? amount : n, kept = n - zeros;

    memmove(by < 0 ? wave : wave + zeros, by < 0 ? wave + zeros : wave, kept * sizeof *wave);
    memset(by < 0 ? wave + kept : wave, 0, zeros * sizeof *wave);
}

/* Draws, in this order: whether there is noise; if so, which recording, from which sample on, at which level; the
 * shift. A recording that is shorter than the sample may begin anywhere, and is repeated. */
static void augment(float *wave, const struct speech *s, const struct gle_sound *x, uint64_t draw)
{
    const uint32_t key[4] = {(uint32_t)s->seed, (uint32_t)(s->seed >> 32), (uint32_t)draw, (uint32_t)(draw >> 32)};
    struct gle_rng rng;

    gle_rng_seed_words(&rng, key, 4);
    if (gle_python_rand(&rng) < s->noise_probability) {
        const struct gle_sound *noise = &s->sounds.noises[gle_python_below(&rng, (uint32_t)s->sounds.n_noises)];
        const size_t starts = noise->n >= x->n ? noise->n - x->n + 1 : noise->n;
        const size_t start = gle_python_below(&rng, (uint32_t)starts);
        add_noise(wave, x, noise, start, s->noise_levels[gle_python_below(&rng, s->n_levels)]);
    }
    shift(wave, x->n, (int64_t)gle_python_below(&rng, 2 * s->shift + 1) - s->shift);
}

static void make(const void *state, void *desk_, float *frames, enum gle_split split, uint32_t row, uint64_t draw)
{
    const struct speech *s = state;
    struct desk *desk = desk_;
    const struct gle_sound *x = &s->sounds.split[split][row];

    for (size_t i = 0; i < x->n; i++)
        desk->wave[i] = (float)value(x, i);
    if (split == GLE_TRAIN && draw != GLE_NO_DRAW)
        augment(desk->wave, s, x, draw);
    gle_features_make(frames, s->features, desk->features, desk->wave, x->n);
}

/* --- */

static void close_speech(void *state)
{
    struct speech *s = state;

    if (!s)
        return;
    gle_corpus_sounds_free(&s->sounds);
    gle_free(s->noise_levels);
    gle_features_close(s->features);
    gle_corpus_close(s->corpus);
    gle_free(s);
}

static int no_memory(struct gle_error *err)
{
    return gle_fail(err, GLE_ENOMEM, "no memory for the data set");
}

static int prepare(struct speech *s, const struct speech_params *p, const struct gle_data_context *ctx,
                   struct gle_error *err)
{
    const struct features *f = p->features.params;
    const struct gle_feature_settings features = {f->bins, f->window, f->hop, f->coefficients, rate_of(p)};
    const struct gle_corpus_settings corpus = corpus_settings(p, ctx->seed);
    const struct gle_reals *levels = &p->augment.noise_levels;

    if (gle_features_open(&s->features, &features, err) || gle_corpus_open(&s->corpus, &corpus, err))
        return -1;
    s->seed = ctx->seed;
    s->noise_probability = p->augment.noise_probability;
    s->shift = (uint32_t)p->augment.shift;
    s->n_levels = (uint32_t)levels->n;
    s->noise_levels = gle_calloc(levels->n, sizeof *levels->v);
    if (!s->noise_levels)
        return no_memory(err);
    memcpy(s->noise_levels, levels->v, levels->n * sizeof *levels->v);
    return 0;
}

int gle_speech_commands_open(struct gle_data *data, const void *params, const struct gle_data_context *ctx,
                             struct gle_error *err)
{
    const struct speech_params *p = params;
    const struct features *f = p->features.params;
    const struct gle_corpus_sounds_settings how = {
        p->path, (uint32_t)p->sample_rate, p->longest, (size_t)(f->window / 2), p->skip_bad};
    struct speech *s = gle_calloc(1, sizeof *s);

    if (!s)
        return no_memory(err);
    data->maker = (struct gle_maker){.state = s, .upsample = (size_t)p->upsample, .length = length, .make = make,
                                     .open_desk = open_desk, .close_desk = close_desk, .close = close_speech};
    data->labelled = 1;
    data->balanced = p->balance;
    if (prepare(s, p, ctx, err))
        return -1;
    data->n_channels = gle_features_channels(s->features);
    data->n_targets = s->corpus->n_classes;
    data->classes = (const char *const *)s->corpus->classes;
    if (gle_corpus_sounds_read(&s->sounds, data, s->corpus, &how, ctx, err))
        return -1;
    data->maker.frames_max = gle_features_frames(s->features, s->sounds.longest);
    data->n_steps = data->maker.frames_max * data->maker.upsample;
    return 0;
}
