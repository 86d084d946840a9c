/* notes.h - what a user should know before a run, although nothing is wrong. */
#ifndef GLE_CLI_NOTES_H
#define GLE_CLI_NOTES_H

#include "config/experiment.h"
#include "data/data.h"

/* Writes a line each to standard error: files of the data set that were left out, arrays of its file and of the file of
 * initial weights that nothing uses, a batch that is larger than the training set. */
void gle_notes_print(const struct gle_experiment *exp, const struct gle_data *data);

#endif
