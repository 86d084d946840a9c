/* checkpoint.h - checkpoint.npz in the run directory: all that a run needs to go on in another process, to the bits
 * that it would have had. */
#ifndef GLE_REPORT_CHECKPOINT_H
#define GLE_REPORT_CHECKPOINT_H

#include "report/recording.h"
#include "report/report.h"
#include "train/observer.h"

/* Pointers are borrowed. */
struct gle_checkpoint {
    struct gle_report *report;
    struct gle_recorder *recorder; /* NULL: none */
    double last; /* gle_clock() when the last one was written, or at the start */
    double cost; /* seconds that it took */
};

/* Before the run starts. */
void gle_checkpoint_start(struct gle_checkpoint *c, struct gle_report *report, struct gle_recorder *recorder);
/* For struct gle_observer's pause: whether one is due, so that writing them takes little of a run's time. Always when
 * the run ends early. */
bool gle_checkpoint_due(const struct gle_checkpoint *c, enum gle_pause when);
/* Writes it, whole or not at all; the one before stays until then. Errors: GLE_EWRITE, GLE_ENOMEM. */
GLE_MUST_CHECK int gle_checkpoint_write(struct gle_checkpoint *c, struct gle_run *run, struct gle_error *err);
/* For struct gle_observer's resume: restores the run, the recorder and the report's provenance.
 * Errors: GLE_EDATA (damaged, of another format, config or data set, for other shapes: the error says which and what is
 *         different), GLE_ENOMEM. */
GLE_MUST_CHECK int gle_checkpoint_read(struct gle_checkpoint *c, struct gle_run *run, struct gle_error *err);

/* The same of the run alone, on a rank that makes it together with another one, which looks at the rest. Errors: as
 * above. */
GLE_MUST_CHECK int gle_checkpoint_follow(struct gle_checkpoint *c, struct gle_run *run, struct gle_error *err);

/* Who has written the checkpoint that is there, as gle_provenance_maker() has it; "" if there is none that can be read.
 * Errors: GLE_ENOMEM. */
GLE_MUST_CHECK int gle_checkpoint_maker(char maker[GLE_MAKER], const struct gle_report *report, struct gle_error *err);

/* Whether the checkpoint of a run that has no report yet was made from another data set or other files; what: which, in
 * words; "" if it was not, or is none that can be read. Errors: GLE_ENOMEM. */
GLE_MUST_CHECK int gle_checkpoint_other_inputs(char what[GLE_DIFFERENCE], const struct gle_report *report,
                                               const struct gle_inputs *inputs, struct gle_error *err);

#endif
