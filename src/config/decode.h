/* decode.h - the file's keys, as they are written; experiment.c makes a gle_experiment of them. */
#ifndef GLE_CONFIG_DECODE_H
#define GLE_CONFIG_DECODE_H

#include "config/claims.h"
#include "config/experiment.h"
#include "yaml/key.h"

/* A name as a regular expression; `extra` are characters that it may hold, but not begin with. */
#define GLE_NAME_PATTERN(extra) "^[A-Za-z0-9_-][A-Za-z0-9_" extra "-]{0,63}$"
/* One of a layer, which a repeat may have made longer by its number. */
#define GLE_LAYER_PATTERN "[A-Za-z0-9_-]+"

/* neurons: groups, unrolled to one time constant a neuron; or, of channels, whose sizes follow from what is read, to
 * one a channel, or to `each` a channel, in which case that must be its size */
struct gle_neurons {
    double *tau_m, *tau_r;
    size_t n;        /* of those */
    size_t channels; /* 0: these are neurons without channels */
    size_t each;
    const struct gle_node **tau_m_src, **tau_r_src; /* where each was written */
};

/* An entry of `from`. */
struct gle_source_keys {
    const char *layer, *name;
    double delay; /* if src has the key */
    struct gle_part connect, weight, feedback; /* weight.row NULL: the layer's */
    bool plastic; /* if src has the key */
    const struct gle_node *src;
};

struct gle_source_list {
    struct gle_source_keys *item;
    size_t n;
    const struct gle_node *src; /* NULL: absent */
};

/* noise, mismatch and quantize, of the network or of a layer. What src has not is absent. */
struct gle_noise_kind_keys {
    double std, tau;
    const struct gle_row *when;
};
struct gle_noise_keys {
    struct gle_noise_kind_keys input, membrane, rate;
    const struct gle_row *when; /* those that say nothing else have it already */
};
struct gle_mismatch_keys {
    double tau_m, tau_r, error_tau_m, error_tau_r;
};
struct gle_quantize_keys {
    struct gle_quantize_cfg weight; /* bits 0: none */
};
struct gle_hardware_keys {
    struct gle_noise_keys noise;
    struct gle_mismatch_keys mismatch;
    struct gle_quantize_keys quantize;
};

/* An entry of `errors_from`. */
struct gle_errors_keys {
    const char *layer;
    struct gle_part weight;
    const struct gle_node *src;
};

struct gle_errors_list {
    struct gle_errors_keys *item;
    size_t n;
};

struct gle_layer_keys {
    const char *name;
    uint64_t repeat;
    struct gle_neurons neurons;
    struct gle_part activation;
    struct gle_source_list from;
    struct gle_errors_list errors_from;
    struct gle_part weight, bias;
    struct gle_names plastic;
    const struct gle_row *reset;
    double gamma; /* if src has the key */
    struct gle_hardware_keys hardware;
    const struct gle_node *src;
};

struct gle_layer_list {
    struct gle_layer_keys *item;
    size_t n;
    const struct gle_node *src;
};

struct gle_network_keys {
    struct gle_shape input;
    const struct gle_row *integration;
    const char *output; /* NULL: the last layer */
    struct gle_layer_list layers;
    struct gle_part init; /* {file: ...}; row NULL: absent */
    struct gle_hardware_keys hardware;
};

struct gle_bounds_keys {
    struct gle_reals weight, bias, tau_m, tau_r;
};

struct gle_update_keys {
    uint64_t every; /* 0: absent */
};

struct gle_learning_keys {
    const struct gle_row *rule;
    struct gle_part loss;
    double beta, gamma, window, clip;
    struct gle_update_keys update;
    struct gle_names plastic;
    struct gle_bounds_keys bounds;
    struct gle_part optimizer, schedule;
};

/* A parameter and the value that it is put to, by a teacher or a phase. */
struct gle_setting_keys {
    const char *layer;              /* NULL: the key names none */
    const char *source;             /* of the layer; NULL: it names none */
    const struct gle_row *param;    /* of gle_recorded_params; NULL: none, or unknown */
    struct gle_part value;          /* row NULL: none, or wrong */
    bool nested;                    /* it stands in a map below its source, which is no place for it */
    const struct gle_node *src;     /* its key names the layer */
};

struct gle_setting_list {
    struct gle_setting_keys *item;
    size_t n;
};

struct gle_phase_keys {
    double duration;
    bool learn;
    struct gle_setting_list set;
    const struct gle_node *src;
};

struct gle_phase_list {
    struct gle_phase_keys *item;
    size_t n;
    const struct gle_node *src;
};

/* Numbers of neurons or sequences, each with its node; what is no such number is left out. */
struct gle_index_keys {
    struct gle_indices list;
    const struct gle_node **item;
};

struct gle_record_keys {
    uint64_t every, offset;
    struct gle_texts layers;
    struct gle_index_keys neurons, sequences;
    struct gle_names variables, parameters, gradients;
};

struct gle_diagnose_keys {
    const struct gle_row *gradient;
    double window;
    uint64_t every;
};

struct gle_closed_keys {
    double after, length, horizon;
};

struct gle_evaluate_keys {
    double every;
    bool predictions;
    struct gle_part train;
    struct gle_closed_keys closed_loop;
};

/* Of evaluate.train: first. */
struct gle_train_first_keys {
    uint64_t samples;
};

/* Of decide: window. */
struct gle_decide_keys {
    double length;
};

struct gle_stop_keys {
    const struct gle_row *metric;
    uint64_t patience;
    double min_delta;
};

struct gle_training_keys {
    uint64_t epochs, batch_size, test_batch_size;
    double validation;
    const struct gle_row *state, *test, *best;
    struct gle_part decide;
    struct gle_phase_list phases;
    struct gle_evaluate_keys evaluate;
    struct gle_stop_keys stop;
};

struct gle_checkpoint_keys {
    double minutes;
};

struct gle_compute_keys {
    const struct gle_row *backend;
    const char *device; /* NULL: absent */
    const struct gle_row *ranks;
};

struct gle_file_keys {
    uint64_t glesim;
    const char *name, *description;
    uint64_t seed;
    double dt;
    struct gle_part dataset;
    struct gle_network_keys network;
    struct gle_hardware_keys hardware;
    struct gle_setting_list teacher;
    struct gle_learning_keys learning;
    struct gle_training_keys training;
    struct gle_record_keys record;
    struct gle_diagnose_keys diagnose;
    struct gle_checkpoint_keys checkpoint;
    struct gle_compute_keys compute;
    struct gle_claims expect;
};

/* Of decode_from.c */
extern const struct gle_custom gle_from_custom, gle_errors_custom, gle_input_custom;

/* Of decode_compute.c */
extern const struct gle_key gle_compute_key_table[];
extern const struct gle_table gle_backend_table, gle_ranks_table;

/* Of decode_hardware.c */
extern const struct gle_key gle_noise_key_table[], gle_mismatch_key_table[], gle_quantize_key_table[];
extern const struct gle_table gle_when_table;
/* The keys of all three: of struct S, which has a member `hardware`. */
#define GLE_HARDWARE_KEY(S, field, keys, help_)                                                                        \
    {.name = #field, .kind = GLE_KEY_KIND_MAP, .offset = offsetof(S, hardware.field), .fallback = GLE_ABSENT,          \
     .unit = "", .help = help_, .more = keys}
#define GLE_HARDWARE_KEYS(S, of)                                                                                       \
    GLE_HARDWARE_KEY(S, noise, gle_noise_key_table, "noise, drawn anew for each step, sample and neuron; " of),        \
        GLE_HARDWARE_KEY(S, mismatch, gle_mismatch_key_table,                                                          \
                         "time constants that are off: standard deviations of factors whose mean is 1, drawn once "    \
                         "for each neuron; " of),                                                                      \
        GLE_HARDWARE_KEY(S, quantize, gle_quantize_key_table,                                                          \
                         "weights of a few bits where steps read them, of which the optimizer keeps whole ones; " of)

/* Of decode_run.c */
extern const struct gle_custom gle_teacher_custom, gle_phases_custom;
extern const struct gle_key gle_evaluate_key_table[], gle_record_key_table[], gle_diagnose_key_table[];
extern const struct gle_table gle_variable_table, gle_decide_table, gle_train_part_table;

/* What people take for parameters. */
extern const struct gle_table gle_param_table, gle_recorded_table, gle_state_table, gle_test_table, gle_reset_table;

#endif
