/* build.h - from keys to the parts of an experiment. Each function goes on after an error, to find them all, and passes
 * over what could not be decoded. Returns -1 if it added errors; memory is that of exp->doc. */
#ifndef GLE_CONFIG_BUILD_H
#define GLE_CONFIG_BUILD_H

#include "config/decode.h"

/* Decodes and checks doc, which it takes over, also after an error; variant (NULL: none) lives in doc's arena. NULL: it
 * added errors. Owns: the caller (gle_experiment_destroy). */
struct gle_experiment *gle_experiment_build(struct gle_doc *doc, const char *variant, const struct gle_sweep *sweep,
                                            struct gle_errors *errs);
void gle_experiment_destroy(struct gle_experiment *exp); /* NULL is fine */

/* Names become folders, array names and parts of dotted paths. `extra` are characters that one may hold, but not begin
 * with; src and key: where it stands, as for gle_node_error(). Errors: GLE_ECONFIG. */
GLE_MUST_CHECK int gle_name_check(const char *name, const char *extra, const struct gle_node *src, const char *key,
                                  struct gle_errors *errs);
/* Whether a key at the top of a file is for the reader, or holds anchors, so that nothing reads it. */
bool gle_is_note(const char *key);
/* The time under map's key in steps of dt; 0 after an error, or if time or dt could not be decoded.
 * Errors: GLE_ERANGE (less than one step, too many, no multiple of dt as far as rounding allows for). */
GLE_MUST_CHECK uint64_t gle_steps_in(double time, double dt, const struct gle_node *map, const char *key,
                                     struct gle_errors *errs);

extern const struct gle_table gle_integration_table;

/* Finds names that two layers have, repeats included; layers whose name could not be read are passed over.
 * Errors: GLE_ECONFIG, at the second one. */
GLE_MUST_CHECK int gle_layers_check_names(const struct gle_layer_list *list, struct gle_errors *errs);
/* What the map of a network or of a layer (NULL: there is none) says of noise. Errors: GLE_ERANGE (a tau below dt). */
GLE_MUST_CHECK int gle_hardware_check(const struct gle_node *map, const struct gle_hardware_keys *keys, double dt,
                                      struct gle_errors *errs);
/* The map `noise`, `mismatch` or `quantize` that is for all layers: the network's, or else the file's, which says the
 * same; NULL: there is none. */
const struct gle_node *gle_hardware_common(const struct gle_node *network, const char *map);
/* Errors: GLE_ECONFIG: both say something. */
GLE_MUST_CHECK int gle_hardware_check_twice(const struct gle_node *file, struct gle_errors *errs);
/* Noise, mismatch and quantized weights of a layer: its own words, else those for all layers. All were decoded. */
void gle_hardware_build(struct gle_layer_cfg *layer, const struct gle_layer_keys *keys,
                        const struct gle_file_keys *file);
/* exp->layers, of which there are exp->n_layers; NULL if there are too many, or no memory.
 * Errors: GLE_ERANGE (too many layers or weights), GLE_ESHAPE (values that do not fit), GLE_ENOMEM. */
GLE_MUST_CHECK int gle_layers_build(struct gle_experiment *exp, const struct gle_file_keys *file,
                                    struct gle_errors *errs);
/* What layers read, into their sources, of which the shapes of layers of channels follow; keys: of each layer. Where a
 * source or a shape is wrong, exp->layers becomes NULL, since nobody can rely on shapes.
 * Errors: GLE_ECONFIG (no such source, a name twice), GLE_ERANGE (delays), GLE_ESHAPE (what does not fit), GLE_EDATA,
 *         GLE_ENOMEM. */
GLE_MUST_CHECK int gle_sources_build(struct gle_experiment *exp, const struct gle_layer_keys *const *keys,
                                     const struct gle_file_keys *file, struct gle_errors *errs);
/* The layer of a name, written at node, or GLE_SOURCE_INPUT. Errors: GLE_ECONFIG: there is none. */
GLE_MUST_CHECK int gle_source_find(long *layer, const struct gle_experiment *exp, const char *name,
                                   const struct gle_node *node, struct gle_errors *errs);
/* The entries of `errors_from` of all layers, whose shapes are known; keys: of each layer.
 * Errors: GLE_ECONFIG (no such layer, a layer twice, or itself), GLE_ESHAPE, GLE_ENOMEM. */
GLE_MUST_CHECK int gle_errors_from_build(struct gle_experiment *exp, const struct gle_layer_keys *const *keys,
                                         struct gle_errors *errs);
/* Whether every layer leads to the output. Errors: GLE_ECONFIG, GLE_ENOMEM. */
GLE_MUST_CHECK int gle_unheard_check(const struct gle_experiment *exp, struct gle_errors *errs);
/* Whether rows of the batch can be spread over ranks, where that is asked for (compute.ranks). Errors: GLE_ECONFIG. */
GLE_MUST_CHECK int gle_rows_check(const struct gle_experiment *exp, struct gle_errors *errs);
/* Whether the network has neither loops nor delays where the adjoint equations are asked for. Left out where
 * exp->layers is NULL. Errors: GLE_ECONFIG, GLE_ENOMEM. */
GLE_MUST_CHECK int gle_ways_check(const struct gle_experiment *exp, struct gle_errors *errs);
/* Whether the values given for a parameter of (rows, cols) numbers, cols being 1 for a list, fit; value has a row.
 * Errors: GLE_ESHAPE. */
GLE_MUST_CHECK int gle_values_fit(const struct gle_part *value, enum gle_param param, size_t rows, size_t cols,
                                  struct gle_errors *errs);

/* What the teacher's and the phases' settings, evaluate, record and diagnose refer to. The checks that need layers,
 * rule or batch size are left out where exp->layers or exp->rule is NULL or exp->batch_size is 0.
 * Errors: GLE_ECONFIG (no such layer, no bias, twice the same, unsuitable), GLE_ESHAPE, GLE_ERANGE, GLE_ENOMEM. */
GLE_MUST_CHECK int gle_teacher_build(struct gle_experiment *exp, const struct gle_setting_list *keys,
                                     struct gle_errors *errs);
GLE_MUST_CHECK int gle_phases_build(struct gle_experiment *exp, const struct gle_phase_list *keys,
                                    struct gle_errors *errs);
GLE_MUST_CHECK int gle_evaluate_build(struct gle_experiment *exp, const struct gle_evaluate_keys *keys,
                                      struct gle_errors *errs);
GLE_MUST_CHECK int gle_record_build(struct gle_experiment *exp, const struct gle_record_keys *keys,
                                    struct gle_errors *errs);
GLE_MUST_CHECK int gle_diagnose_build(struct gle_experiment *exp, const struct gle_diagnose_keys *keys,
                                      struct gle_errors *errs);

/* Adds what does something else than it seems to, or nothing, each at its place. Errors: GLE_ECONFIG, GLE_ERANGE,
 * GLE_ENOMEM. */
void gle_hints_add(struct gle_errors *told, const struct gle_experiment *exp);

/* What of the training set is measured after each epoch: training.evaluate.train; whether anything is. */
bool gle_train_part_measured(const struct gle_part *part);
void gle_train_part_build(struct gle_experiment *exp, const struct gle_part *part);
/* Which outputs an answer is told from: training.decide. Errors: GLE_ERANGE. */
GLE_MUST_CHECK int gle_decide_build(struct gle_experiment *exp, const struct gle_part *decide, struct gle_errors *errs);

/* Writes "bptt and adjoint" into buf: the names of the rules that look at windows. Returns buf. */
const char *gle_windowed_rules(char *buf, size_t size);

/* Whether the loss and the activations have their `curvature` where exact gradients, the rule's or a diagnosis's, need
 * it: of the layers whose errors go on to a membrane. Left out where exp->layers or exp->loss is NULL.
 * Errors: GLE_ECONFIG, at the gamma of that layer. */
GLE_MUST_CHECK int gle_curvatures_check(const struct gle_experiment *exp, struct gle_errors *errs);

/* Whether weights B that move have weights to move with, and numbers that steps of dt can follow.
 * Left out where exp->layers is NULL. Errors: GLE_ECONFIG, GLE_ERANGE, at the source's feedback. */
GLE_MUST_CHECK int gle_feedback_check(const struct gle_experiment *exp, struct gle_errors *errs);

#endif
