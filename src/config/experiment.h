/* experiment.h - what a config file says, checked and with its defaults filled in. Names are resolved to rows of the
 * parts' tables; nobody behind this reads a YAML string. */
#ifndef GLE_CONFIG_EXPERIMENT_H
#define GLE_CONFIG_EXPERIMENT_H

#include "base/error.h"
#include "parts/link.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gle_act;
struct gle_doc;
struct gle_key;
struct gle_node;
struct gle_feedback;
struct gle_loss;
struct gle_metric_row;
struct gle_rule;

/* Limits that keep sizes far from overflow. */
enum {
    GLE_NEURONS_MAX = 1 << 20,  /* in a layer */
    GLE_LAYERS_MAX = 4096,
    GLE_SOURCES_MAX = 4096,     /* of a layer */
    GLE_DELAY_MAX = 1 << 20,    /* steps */
    GLE_BATCH_MAX = 1 << 20,
    GLE_EXPERIMENTS_MAX = 10000, /* of a file: variants and combinations of a sweep */
};

/* Kinds of parameters: those that a config can have learn, set and record, of which row p of gle_params is kind p; and
 * others that a network has. */
enum gle_param {
    GLE_WEIGHT,
    GLE_BIAS,
    GLE_TAU_M,
    GLE_TAU_R,
    GLE_PARAMS,
    GLE_FEEDBACK = GLE_PARAMS, /* weights of their own through which errors go back */
    GLE_ERRORS_FROM,           /* those through which a layer gets errors from one that need not read it */
    GLE_TAU_M_FACTOR,          /* mismatch, in the order of enum gle_mismatch: what time constants are multiplied by */
    GLE_TAU_R_FACTOR,
    GLE_ERROR_TAU_M_FACTOR,
    GLE_ERROR_TAU_R_FACTOR,
    GLE_PARAM_KINDS,
    GLE_RECORDED_PARAMS = GLE_ERRORS_FROM + 1 /* those that can be recorded: row p of gle_recorded_params is kind p */
};
extern const struct gle_row gle_params[], gle_recorded_params[];
const char *gle_param_name(enum gle_param kind); /* of any kind */
/* Whether it is a time constant, which is never below gle_experiment.tau_least. */
static inline bool gle_param_is_tau(enum gle_param kind)
{
    return kind == GLE_TAU_M || kind == GLE_TAU_R;
}

/* Where noise enters a layer; in the order of their keys. */
enum gle_noise { GLE_NOISE_INPUT, GLE_NOISE_MEMBRANE, GLE_NOISE_RATE, GLE_NOISES };
struct gle_noise_cfg {
    double std;       /* 0: there is none */
    double tau;       /* time constant, at least dt; 0: white */
    bool train, test; /* when it is there: in training, and where the network is evaluated */
};

/* Whose mismatch: of the time constants of membranes, and of those that errors use; in the order of their keys. */
enum gle_mismatch { GLE_MISMATCH_TAU_M, GLE_MISMATCH_TAU_R, GLE_MISMATCH_ERROR_TAU_M, GLE_MISMATCH_ERROR_TAU_R,
                    GLE_MISMATCHES };
struct gle_mismatch_cfg {
    double std[GLE_MISMATCHES]; /* of the factor of a neuron, whose mean is 1; 0: all are 1 */
    bool own[GLE_MISMATCHES];   /* of errors: their time constants have factors of their own; else the neuron's */
};

/* What steps read of weights: the nearest of 2^bits - 1 numbers, at equal distances from -range to range. */
struct gle_quantize_cfg {
    uint64_t bits; /* 0: the weights themselves */
    double range;
};
/* Of these numbers, those above 0. */
static inline float gle_quantize_levels(const struct gle_quantize_cfg *quantize)
{
    return (float)((1u << (quantize->bits - 1)) - 1u);
}

/* When the test set is evaluated (training.test); in the order of their rows. */
enum gle_test { GLE_TEST_AUTO, GLE_TEST_EPOCHS, GLE_TEST_END };

/* What several ranks do (compute.ranks); in the order of their rows. */
enum gle_ranks_make { GLE_RANKS_MAKE_RUNS, GLE_RANKS_MAKE_ROWS };

/* Where the network runs (compute.backend); in the order of their rows. */
enum gle_backend { GLE_BACKEND_AUTO, GLE_BACKEND_CPU, GLE_BACKEND_OPENCL };

enum { GLE_SOURCE_INPUT = -1 };

/* What a layer reads, and through what: an entry of its `from`, or the layer before it. */
struct gle_source_cfg {
    long layer;        /* its number, or GLE_SOURCE_INPUT */
    const char *name;  /* that of the source, or one of its own; unique in the layer */
    const char *label; /* what its weights are called by in files: "hidden", or "hidden.late" of a layer with several */
    uint64_t delay;    /* steps from the one that leaves a rate to the one that reads it: at least 1; of the input 0 */
    struct gle_part connect; /* row: struct gle_link */
    struct gle_link_plan plan; /* shapes that follow; the lists of synapses are the graph's */
    struct gle_part weight;  /* row: struct gle_init */
    const struct gle_feedback *feedback;
    const void *feedback_params;
    bool plastic;      /* the weights learn */
    const struct gle_node *src;
};

/* Whose errors a layer gets directly: an entry of its `errors_from`. */
struct gle_errors_cfg {
    size_t layer;            /* its number */
    const char *name;        /* its name */
    const char *label;       /* "hidden", or "hidden.readout" of a layer with several, in front of ".errors_from" */
    struct gle_part weight;  /* row: struct gle_init; (neurons, those of the other layer) */
    const struct gle_node *src;
};

/* One layer, repeats unrolled. */
struct gle_layer_cfg {
    const char *name;            /* unique; "lag_3" for the third of `name: lag, repeat: 5` */
    struct gle_shape shape;
    size_t n;                    /* neurons: all of the shape */
    const double *tau_m, *tau_r; /* (n), in the config's time unit, >= tau_least */
    const struct gle_act *act;
    const void *act_params;      /* its settings; NULL: it has none */
    struct gle_source_cfg *sources; /* at least one */
    size_t n_sources;
    struct gle_errors_cfg *errors_from;
    size_t n_errors_from;
    struct gle_part bias;        /* row: struct gle_init; NULL: no bias */
    bool plastic[GLE_PARAMS];    /* weight: of any source; bias only if there is one */
    double gamma;
    bool reset; /* state from zero with every batch */
    struct gle_noise_cfg noise[GLE_NOISES];
    struct gle_mismatch_cfg mismatch;
    struct gle_quantize_cfg quantize; /* of the weights of all its sources, W and B */
    const struct gle_node *src;
};

/* Numbers in its bias: one for each neuron, or for each channel. */
static inline size_t gle_layer_biases(const struct gle_layer_cfg *layer)
{
    return layer->shape.channels;
}

struct gle_bounds {
    double low, high; /* -INFINITY, INFINITY: none */
};

/* A parameter and the values that it is put to: of the teacher, or for a phase. */
struct gle_setting {
    size_t layer;
    size_t source; /* of the layer, whose weights W or B are meant, or of its errors_from; 0 of other parameters */
    enum gle_param param;
    struct gle_part value; /* row: struct gle_init; fits the parameter's shape, and a time constant is not too short */
};
struct gle_settings {
    struct gle_setting *item;
    size_t n;
};

/* A stretch of training by duration. */
struct gle_phase {
    double duration;  /* time units */
    uint64_t n_steps; /* duration / dt, rounded; at least 1 */
    bool learn;       /* the optimizer moves parameters; errors flow in any case */
    struct gle_settings set; /* values for this phase: such a parameter does not learn, and comes back after it */
    const struct gle_node *src;
};

/* Variables that can be recorded; row v of gle_variables is variable v. */
enum gle_variable {
    GLE_RECORD_U,
    GLE_RECORD_V,
    GLE_RECORD_R,
    GLE_RECORD_E,
    GLE_RECORD_PROSP_U,
    GLE_RECORD_R_PRIME,
    GLE_RECORD_E_INST,
    GLE_RECORD_E_BELOW,
    GLE_RECORD_LAMBDA,
    GLE_RECORD_VARS
};
/* A row: what the variable asks of a run that it is recorded from. */
struct gle_variable_row {
    struct gle_row row;
    bool derived;   /* steps keep it only where somebody wants to see it */
    bool of_errors; /* it follows from errors, which steps may leave out */
    bool windowed;  /* it is known under windowed rules alone, once a window is closed */
};
extern const struct gle_variable_row gle_variables[];

/* Numbers in the order written. */
struct gle_indices {
    size_t *v;
    size_t n;
};

/* What a run, or the mean of several, is claimed to come to. */
struct gle_claim {
    const char *path; /* of a number in the report; NULL: */
    const char *weights; /* it is the SHA-256 of weights.npz */
    double value, tolerance;
    const uint64_t *seeds; /* (n_seeds) */
    size_t n_seeds;
    const char *variant, *point; /* that it is of; NULL: of each */
    const struct gle_node *src;
};

/* What goes into recording.npz. */
struct gle_record {
    uint64_t every;  /* steps; 0: nothing is recorded */
    uint64_t offset; /* the first step that is recorded */
    struct gle_indices layers; /* at least one */
    struct gle_indices neurons, sequences; /* n == 0: all */
    bool variables[GLE_RECORD_VARS], parameters[GLE_RECORDED_PARAMS], gradients[GLE_PARAMS];
    const struct gle_node *src;
};

/* How close the rule's updates are to an exact gradient, measured now and then. */
struct gle_diagnose {
    uint64_t every;   /* learning steps from the beginning of one comparison to that of the next; 0: none */
    uint64_t n_steps; /* of a comparison, at most `every` */
    const struct gle_rule *gradient; /* a windowed rule */
    const struct gle_node *src;
};

/* One combination of a sweep. */
struct gle_sweep_value {
    const char *key; /* dotted */
    const struct gle_node *value;
};
struct gle_sweep {
    const char *label; /* "lr=0.001,gamma=0", fit for a folder; NULL: the file has no sweep */
    struct gle_sweep_value *values;
    size_t n;
};

/* The output becomes the input (training.evaluate.closed_loop): steps of a test sample. */
struct gle_closed_cfg {
    uint64_t after;   /* with inputs of its own */
    uint64_t n_steps; /* without; 0: it is not asked for */
    uint64_t horizon; /* how many steps targets are ahead of inputs; 0: as the data set says */
    const struct gle_node *src;
};

/* training.evaluate.train: the training set, or its first samples, after each epoch. */
struct gle_train_after_cfg {
    const struct gle_row *row; /* NULL: it is not measured */
    uint64_t samples;          /* 0: all */
    const struct gle_node *src;
};

/* training.stop: an epoch improves if its metric is better than that of the last epoch that did by more than min_delta;
 * the run ends after `patience` epochs in a row that do not. The untrained network does not count. */
struct gle_stop_cfg {
    const struct gle_metric_row *metric; /* NULL: the file does not say, and all epochs are made */
    uint64_t patience;                   /* at least 1 */
    double min_delta;                    /* in units of the metric */
    const struct gle_node *src;
};

struct gle_experiment {
    const char *name, *description;
    const char *variant; /* NULL: the file has none */
    struct gle_sweep sweep;
    uint64_t seed;
    double dt;
    bool exponential; /* network.integration: u and v go by 1 - exp(-dt / tau) of the way in a step, not dt / tau */
    double tau_least; /* the shortest time constant */
    struct gle_part dataset; /* row: struct gle_dataset */

    struct gle_shape input_shape;
    size_t n_input; /* all of it */
    struct gle_layer_cfg *layers;
    size_t n_layers;
    size_t output; /* the layer that targets are held against */
    const char *init_file; /* network.init.file: parameters of all layers; NULL: none */

    const struct gle_rule *rule;
    const struct gle_loss *loss;
    const void *loss_params; /* its settings; NULL: it has none */
    double beta;
    struct gle_bounds bounds[GLE_PARAMS];
    struct gle_part optimizer; /* row: struct gle_optimizer */
    struct gle_part schedule;  /* row: struct gle_schedule */
    uint64_t window_steps;     /* learning.window in steps, for a windowed rule; else 0 */
    uint64_t update_every;     /* learning steps whose gradients are averaged for one step of the optimizer; at least 1,
                                  and 1 under a windowed rule */
    double clip;               /* the largest norm of what the optimizer follows, over all parameters; 0: any */

    bool has_teacher;
    struct gle_settings teacher; /* what it has instead of the network's initial parameters */

    struct gle_phase *phases; /* training by duration; NULL: by epochs */
    size_t n_phases;
    uint64_t n_steps; /* of all phases */
    uint64_t evaluate_steps; /* from one evaluation of the test set to the next, in training by duration; 0: none */
    struct gle_closed_cfg closed;
    struct gle_train_after_cfg train_after;
    bool predictions; /* training.evaluate.predictions: what each sample of evaluated sets is answered is kept */
    uint64_t epochs, batch_size, test_batch_size;
    double validation; /* fraction taken off the training set */
    bool reset_state;  /* training.state: reset */
    enum gle_test test;
    const struct gle_metric_row *best; /* training.best; NULL: the file does not say, and no weights are kept */
    struct gle_stop_cfg stop;
    struct gle_part decide; /* training.decide; row NULL: the file does not say */
    uint64_t decide_steps;  /* the last steps of an answer over which outputs are summed; 0: all of it */

    struct gle_record record;
    struct gle_diagnose diagnose;
    struct gle_claim *claims; /* (n_claims): all that the file makes, also of other variants and points */
    size_t n_claims;
    const struct gle_node *expect; /* a map with the section of those that are of this one, no part of src; or NULL */
    double checkpoint_minutes; /* from one checkpoint to the next, beside those after stages; 0: none */

    enum gle_backend backend;
    const char *device; /* its number, or a part of its name; NULL: any */
    enum gle_ranks_make ranks;

    struct gle_doc *doc;        /* the resolved tree; owns all of the above */
    const struct gle_node *src; /* its root */
    const struct gle_node *network_src, *training_src, *compute_src;
};

/* In place of %s: "0.05 is below %s = 0.1". */
static inline const char *gle_tau_least_text(bool exponential)
{
    return exponential ? "dt / 100" : "dt";
}
static inline double gle_tau_least(double dt, bool exponential)
{
    return exponential ? dt / 100.0 : dt;
}

/* A change to the file's tree before it is decoded: --set a.b=c. `where` names it in messages ("--set a.b=c"). */
struct gle_override {
    const char *path, *value, *where;
};

/* The experiments of a file: one, or one for each of its variants, and of each for each combination of its sweep. */
struct gle_experiments {
    struct gle_experiment **item;
    size_t n;
};

/* Makes the experiments of a file that was read: changes a copy of it by each variant, the overrides (which may change
 * variants and sweep, too) and each combination of the sweep, decodes and checks.
 * only: names of variants to load (n_only of them), or n_only 0 for all.
 * seed:   stands for the file's, and no override or variant may set one then; or NULL.
 * Owns:   out->item and its members belong to the caller (gle_experiments_clear); they do not need `file` any more.
 * Errors: all that is wrong in the file, in errs (GLE_ECONFIG, GLE_ERANGE, GLE_ESHAPE, GLE_ENOMEM); *out is
 *         then empty. */
GLE_MUST_CHECK int gle_experiments_build(struct gle_experiments *out, const struct gle_doc *file,
                                         const struct gle_override *overrides, size_t n_overrides,
                                         const char *const *only, size_t n_only, const uint64_t *seed,
                                         struct gle_errors *errs);
/* The same, without a seed, of a file that is read for it, once. */
GLE_MUST_CHECK int gle_experiments_load(struct gle_experiments *out, const char *path,
                                        const struct gle_override *overrides, size_t n_overrides,
                                        const char *const *only, size_t n_only, struct gle_errors *errs);
void gle_experiments_clear(struct gle_experiments *list);

/* Places an error where the config has what it is about (src of a part, a source, a layer), if it has no place yet. */
void gle_experiment_place(struct gle_error *err, const struct gle_node *src);

/* The output. */
static inline const struct gle_layer_cfg *gle_experiment_top(const struct gle_experiment *exp)
{
    return &exp->layers[exp->output];
}

/* What the schedule watches; NULL: nothing. */
const struct gle_metric_row *gle_experiment_watches(const struct gle_experiment *exp);

/* Adds what was written in the file, or on the command line, and changes nothing in this experiment, each at its place
 * and with the reason: "has no effect: ...". Defaults are passed over, and what only the data can tell. */
void gle_experiment_unused(const struct gle_experiment *exp, struct gle_errors *told);

#endif
