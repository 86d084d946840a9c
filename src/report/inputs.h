/* inputs.h - what a run is made from beside its config: the data set, and the files that initial values, a teacher's
 * and those of phases come from. A run is the same one only if they hold the same. */
#ifndef GLE_REPORT_INPUTS_H
#define GLE_REPORT_INPUTS_H

#include "config/experiment.h"

struct gle_input {
    const char *path; /* borrowed from the experiment, as is src, */
    const struct gle_node *src; /* where it is asked for */
    char sha256[65];
};

struct gle_inputs {
    char data_sha256[65]; /* as struct gle_data has it */
    /* Each file once, in the order in which the config names them: layers, teacher, phases. */
    struct gle_input *file;
    size_t n;
};

/* Lists the files, without checksums.
 * Owns:   out->file belongs to the caller (gle_inputs_clear), also after an error. Errors: GLE_ENOMEM. */
GLE_MUST_CHECK int gle_inputs_list(struct gle_inputs *out, const struct gle_experiment *exp, struct gle_error *err);
/* Reads a file for its checksum. Errors: GLE_EDATA (it cannot be read; with where it was asked for), GLE_ENOMEM. */
GLE_MUST_CHECK int gle_input_read(struct gle_input *input, struct gle_error *err);
/* Lists the files and reads all of them. data_sha256: of the data set, which somebody has opened. Owns, errors: as
 * both. */
GLE_MUST_CHECK int gle_inputs_hash(struct gle_inputs *out, const struct gle_experiment *exp,
                                   const char data_sha256[65], struct gle_error *err);
void gle_inputs_clear(struct gle_inputs *inputs);

#endif
