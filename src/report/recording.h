/* recording.h - recording.npz: traces of chosen variables over time. */
#ifndef GLE_REPORT_RECORDING_H
#define GLE_REPORT_RECORDING_H

#include "graph/graph.h"
#include "train/observer.h"

struct gle_archive;
struct gle_recorder;

/* Starts a recording of what exp->record asks for, which will stand at path: one record for each moment told, each
 * array with the records along its first axis:
 *   time (step * dt), step, loss; phase, or epoch and split (0 train, 1 validation, 2 test);
 *   input (sequences, channels), target, output (sequences, outputs): what the step read;
 *   <layer>.<variable> (sequences, neurons): what the step left, e_inst: what it used; e_below (sequences, inputs);
 *   <layer>.<parameter> (neurons), weights (neurons, inputs): after the step;
 *   <layer>.grad_<parameter>, likewise: the gradient that the optimizer followed, if it made a step.
 * NaN: a sequence that a smaller batch does not have; lambda outside of windows; errors that were not computed
 * (gle_net_has_var()); gradients of steps that did not learn, and of parameters that did not.
 * Sequences: those chosen, or all of the largest batch (graph->max_batch).
 * Memory does not grow with the number of records, which are kept in the file `spool` until then, and stay there.
 * Owns:   *out belongs to the caller (gle_recorder_close or _discard); borrows graph. On error *out is NULL.
 * Errors: GLE_EWRITE, GLE_ENOMEM. */
GLE_MUST_CHECK int gle_recorder_open(struct gle_recorder **out, const char *path, const char *spool,
                                     const struct gle_graph *graph, struct gle_error *err);
/* *bytes: that a record takes in the file; 0 if nothing is recorded. Errors: GLE_ENOMEM. */
GLE_MUST_CHECK int gle_recorder_measure(double *bytes, const struct gle_graph *graph, struct gle_error *err);
/* For struct gle_observer's hooks. Errors: GLE_EWRITE, GLE_ENOMEM. */
GLE_MUST_CHECK int gle_recorder_moment(struct gle_recorder *r, const struct gle_moment *moment, struct gle_error *err);
GLE_MUST_CHECK int gle_recorder_window(struct gle_recorder *r, const struct gle_closed_window *window,
                                       struct gle_error *err);
/* Saves how much there is, with the spool safely on the disk; or goes back to where a recorder of the same run was,
 * whose spool is still there. steps: of the run so far. Errors: as base/archive.h, and GLE_EWRITE; GLE_EDATA also: the
 * spool has fewer records, or others. */
GLE_MUST_CHECK int gle_recorder_archive(struct gle_recorder *r, struct gle_archive *a, uint64_t steps,
                                        struct gle_error *err);
/* Writes the file, whole or not at all, and frees r, also on error. Errors: GLE_EWRITE, GLE_ENOMEM. */
GLE_MUST_CHECK int gle_recorder_close(struct gle_recorder *r, struct gle_error *err);
/* Drops everything but the spool. NULL is fine. */
void gle_recorder_discard(struct gle_recorder *r);

#endif
