/* Data sets that this version knows by name: their settings are checked, their samples not made yet. */
#include "data/sets.h"

/* A word of a fixed choice has no settings. */
static const struct gle_row task_rows[] = {
    {"kw12", "ten words, unknown and silence", NULL, 0, false},
    {"full", "all words and silence", NULL, 0, false},
    {NULL, NULL, NULL, 0, false},
};
static const struct gle_row split_rows[] = {
    {"hashed", "by the SHA-1 of the speaker, 80/10/10", NULL, 0, false},
    {"official", "by the lists in the archive", NULL, 0, false},
    {NULL, NULL, NULL, 0, false},
};
static const struct gle_row feature_rows[] = {
    {"mel", "logarithmic mel spectrogram", NULL, 0, false},
    {"mfcc", "mel-frequency cepstral coefficients", NULL, 0, false},
    {NULL, NULL, NULL, 0, false},
};
static const struct gle_table task_table = {"task", task_rows, sizeof task_rows[0]};
static const struct gle_table split_table = {"split", split_rows, sizeof split_rows[0]};
static const struct gle_table feature_table = {"type of features", feature_rows, sizeof feature_rows[0]};

/* One of the named tasks, or words of one's own. */
struct task {
    const struct gle_row *named; /* NULL: words */
    struct gle_texts words;
    bool unknown;
    double silence;
};
struct features {
    const struct gle_row *type;
    uint64_t bins, window, hop;
};
struct augment {
    double noise_probability;
    struct gle_reals noise_levels;
    uint64_t shift;
};
struct speech_params {
    const char *path;
    struct task task;
    const struct gle_row *split;
    struct features features;
    uint64_t upsample;
    bool balance;
    struct augment augment;
    bool skip_bad;
};
_Static_assert(sizeof(struct speech_params) <= GLE_DATASET_PARAMS_SIZE, "settings of speech_commands");

static const struct gle_key task_keys[] = {
    GLE_KEY_TEXTS(struct task, words, NULL, "words to tell apart, as the folders are called"),
    GLE_KEY_BOOL(struct task, unknown, "false", "whether all other words make a class 'unknown'"),
    GLE_KEY_REAL(struct task, silence, "0.0", 0.0, 1.0, "",
                 "samples of a class 'silence', as a fraction of those of the words; 0: no such class"),
    GLE_KEY_END,
};

static const struct gle_key task_name = GLE_KEY_NAME(struct task, named, NULL, &task_table, "a task known by name");

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
    return 0;
}

static const struct gle_custom task_custom = {decode_task, "kw12, full, or a map with words", task_keys};

static const struct gle_key feature_keys[] = {
    GLE_KEY_NAME(struct features, type, "mel", &feature_table, "what is computed of the sound"),
    GLE_KEY_COUNT(struct features, bins, "32", 1, 512, "", "mel filters"),
    GLE_KEY_COUNT(struct features, window, "1024", 2, 16000, "samples", "length of the Fourier window"),
    GLE_KEY_COUNT(struct features, hop, "400", 1, 16000, "samples", "from one window to the next"),
    GLE_KEY_END,
};

static const struct gle_key augment_keys[] = {
    GLE_KEY_REAL(struct augment, noise_probability, "0.0", 0.0, 1.0, "",
                 "probability that background noise is added to a training sample"),
    GLE_KEY_REALS(struct augment, noise_levels, "[20, 10, 3]", -100.0, 100.0, "",
                  "signal over noise is exp(level / 10), one of these at random"),
    GLE_KEY_COUNT(struct augment, shift, "0", 0, 16000, "samples", "largest random shift, either way"),
    GLE_KEY_END,
};

const struct gle_key gle_speech_commands_keys[] = {
    GLE_KEY_PATH(struct speech_params, path, NULL, "folder of the unpacked archive, with one folder per word"),
    GLE_KEY_CUSTOM(struct speech_params, task, "kw12", &task_custom, "which words are told apart"),
    GLE_KEY_NAME(struct speech_params, split, "hashed", &split_table,
                 "how samples are divided into training, validation and test"),
    GLE_KEY_MAP(struct speech_params, features, "{}", feature_keys, "what the network is shown of the sound"),
    GLE_KEY_COUNT(struct speech_params, upsample, "1", 1, 1000, "", "steps that each frame of features is held"),
    GLE_KEY_BOOL(struct speech_params, balance, "false",
                 "whether training samples are drawn with equal class probability"),
    GLE_KEY_MAP(struct speech_params, augment, "{}", augment_keys, "random changes of the training samples"),
    GLE_KEY_BOOL(struct speech_params, skip_bad, "false", "whether unreadable sound files are left out"),
    GLE_KEY_END,
};
