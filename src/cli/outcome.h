/* outcome.h - what a run says when it is over. */
#ifndef GLE_CLI_OUTCOME_H
#define GLE_CLI_OUTCOME_H

#include "report/report.h"

#include <stdio.h>

/* A line with the report's name, how far the run came and what it came to, and seconds that it took. */
void gle_outcome_print(FILE *out, const struct gle_report *report, const struct gle_metrics *m, double seconds);
/* Words on a run that came to its end, and to nothing, and on time constants that it has made the shortest. */
void gle_outcome_warn(FILE *to, const struct gle_report *report, const struct gle_metrics *m,
                      const struct gle_net *net);

#endif
