/* trouble.h - warnings of networks that can hardly learn as they are set up. */
#ifndef GLE_CLI_TROUBLE_H
#define GLE_CLI_TROUBLE_H

#include "config/experiment.h"
#include "data/data.h"
#include "solver/net.h"

#include <stdio.h>

/* Warns on standard error, with the place in the file, of layers one behind the other whose errors look far ahead, and
 * of layers that learn tau_m and begin with the shortest. Each once for a variant: at the first point of a sweep where
 * it is so, with the number of others. Says nothing where initial values cannot be had, as from a file that is not
 * there: the run will. */
void gle_trouble_warn(const struct gle_experiments *list);

/* Adds a warning if samples have fewer steps than it takes to learn through so many layers. */
void gle_trouble_note_steps(struct gle_errors *told, const struct gle_experiment *exp, const struct gle_data *data);

/* Writes a line to `to` if layers have learned, in the run of that folder, the shortest tau_m. */
void gle_trouble_note_learned(FILE *to, const char *dir, const struct gle_net *net);

#endif
