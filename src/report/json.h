/* json.h - the report as JSON. */
#ifndef GLE_REPORT_JSON_H
#define GLE_REPORT_JSON_H

#include "report/report.h"

#include <jansson.h>

/* Begins a document: from here on jansson allocates through memory.h. Returns what gle_json_end() wants. */
size_t gle_json_begin(void);
/* The document as text ending in a newline, each level indented by so many spaces. jansson leaves out what it has no
 * memory for and does not tell; here that is an error. Takes root. Owns: the caller, gle_free(). NULL: no memory since
 * gle_json_begin(), or no root. */
enum { GLE_JSON_INDENT = 2 }; /* of reports */
char *gle_json_end(json_t *root, size_t indent, size_t begun);

/* metrics.json as text ending in a newline. Owns: the caller, gle_free(). NULL: no memory. */
char *gle_report_json(const struct gle_report *report, const struct gle_metrics *metrics, const struct gle_net *net);

/* A number; null: it is not finite. Owns: the caller. */
json_t *gle_json_real(double value);
/* A whole number. Owns: the caller. */
json_t *gle_json_count(uint64_t value);

/* The epochs that are over, or the phases, as the report has them, with their scores; and the last of them once more in
 * *last, which is left alone without any: of phases with the test set's score after it. Owns: both, the caller. */
json_t *gle_json_epochs(const struct gle_report *report, const struct gle_metrics *metrics, json_t **last);
json_t *gle_json_phases(const struct gle_report *report, const struct gle_metrics *metrics, json_t **last);
/* Evaluations on the way, of training by duration. Owns: the caller. */
json_t *gle_json_evaluations(const struct gle_report *report, const struct gle_metrics *metrics);
/* Where early stopping ended the run, and by what; null: it has not. Owns: the caller. */
json_t *gle_json_stopped_early(const struct gle_report *report, const struct gle_metrics *metrics);
/* The best epoch, and by what it was chosen; null: none was measured. Owns: the caller. */
json_t *gle_json_best(const struct gle_report *report, const struct gle_metrics *metrics);
/* How often gradients were clipped, where the config has them clipped. */
void gle_json_add_clipping(json_t *to, const struct gle_report *report, const struct gle_clipping *clipping);

/* What a rule's updates have in common with a gradient, as the report has it under "diagnostics"; null: the config does
 * not ask for it. Owns: the caller. */
json_t *gle_json_diagnostics(const struct gle_report *report, const struct gle_metrics *metrics);

/* Gives a layer of the report what its noise, mismatch and quantized weights are, where there are any. */
void gle_json_add_hardware(json_t *layer, const struct gle_graph *graph, const struct gle_population *population,
                           const struct gle_net *net);

/* Keys and values of a sweep at a run; null: the file has none. Owns: the caller. */
json_t *gle_json_sweep(const struct gle_sweep *sweep);

/* A resolved config, as the report in the folder dir has it. Owns: the caller. */
json_t *gle_json_config(const struct gle_experiment *exp, const char *dir);

/* What a run is made from, as the report has it under "dataset" and "init", as far as checksums go. Owns: the caller.
 */
json_t *gle_json_inputs(const struct gle_inputs *inputs);

/* Gives a config, as in a report, the keys that it lacks and that have their defaults in the resolved config `of`. */
void gle_json_add_defaults(json_t *config, const struct gle_node *of);

/* The object or list in a file, which is not waited for where a pipe lies in its place. Owns: the caller. NULL: it
 * cannot be read, or is no JSON. */
json_t *gle_json_load(const char *path);
/* The status word of the metrics.json at path, and the checksum of its config; "" if it cannot be read. */
void gle_report_status(char *status, size_t size, char config_sha256[65], const char *path);

/* Whether the confusion matrix has so many classes that it gets a file of its own, */
bool gle_json_large_matrix(const struct gle_metrics *metrics);
/* which is written with the report of a run that is over. */
bool gle_json_names_matrix(const struct gle_metrics *metrics);

#endif
