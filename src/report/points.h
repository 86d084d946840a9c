/* points.h - what the points of a sweep came to, as a table for people. */
#ifndef GLE_REPORT_POINTS_H
#define GLE_REPORT_POINTS_H

#include <stdio.h>

/* Prints a line for each point that dir/summary.json lists, in its order: how many of its runs are completed, and of
 * their last epochs, or phases, mean and standard deviation (over n) of accuracy (else NRMSE) and loss. They are those
 * of the test set; where no point has them, of the validation set or what comes next. Nothing where there are fewer
 * than two points, or where no run is completed. */
void gle_points_print(FILE *out, const char *dir);

#endif
