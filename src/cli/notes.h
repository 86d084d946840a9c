/* notes.h - what a user should know before a run, although nothing is wrong. */
#ifndef GLE_CLI_NOTES_H
#define GLE_CLI_NOTES_H

#include "config/experiment.h"
#include "data/data.h"

#include <stdio.h>

/* Writes a line each to `to`: files of the data set that were left out, arrays of its file and of the file of
 * initial weights that nothing uses, batches that are larger than their sets, comparisons with gradients that never
 * begin, an optimizer that never steps, delays beyond the samples, samples of few steps, initial values outside their
 * bounds. again: a run of another seed has told of samples of few steps. */
void gle_notes_print(FILE *to, const struct gle_experiment *exp, const struct gle_data *data, bool again);
/* Likewise, to standard error, settings of a file's configs that change nothing whatever the data are, each once. */
void gle_notes_print_settings(const struct gle_experiments *list);

#endif
