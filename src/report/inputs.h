/* inputs.h - the files that initial values, a teacher's and those of phases come from: a run is the same one only if
 * they hold the same. */
#ifndef GLE_REPORT_INPUTS_H
#define GLE_REPORT_INPUTS_H

#include "config/experiment.h"

struct gle_input {
    const char *path; /* borrowed from the experiment */
    char sha256[65];
};

/* Each file once, in the order in which the config names them: layers, teacher, phases. */
struct gle_inputs {
    struct gle_input *file;
    size_t n;
};

/* Reads them for their checksums.
 * Owns:   out->file belongs to the caller (gle_inputs_clear), also after an error.
 * Errors: GLE_EDATA (one that cannot be read, with where it was asked for), GLE_ENOMEM. */
GLE_MUST_CHECK int gle_inputs_hash(struct gle_inputs *out, const struct gle_experiment *exp, struct gle_error *err);
void gle_inputs_clear(struct gle_inputs *inputs);

#endif
