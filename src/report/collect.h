/* collect.h - the runs that lie below a folder, whoever has made them. */
#ifndef GLE_REPORT_COLLECT_H
#define GLE_REPORT_COLLECT_H

#include "report/summary.h"

#include <stdbool.h>

enum { GLE_STATUS_SIZE = 24 };

/* A folder seed_<n>. */
struct gle_collected_run {
    uint64_t seed;
    char status[GLE_STATUS_SIZE]; /* by gle_folder_status(); "": it has no report */
};

/* A folder with such folders, of a config, of a variant or of a point of a sweep. */
struct gle_collected {
    char dir[4096];
    struct gle_collected_run *all; /* (n_all), in the order of their seeds */
    size_t n_all;
    struct gle_seed_run *runs; /* (n_runs): those that came to a report of the config of the first of them */
    size_t n_runs;             /* 0: none did, and there is no experiment */
    struct gle_experiments list;
    struct gle_experiment *exps; /* (n_runs): as the first one's config.yaml has it, with variant and sweep */
    struct gle_sweep_value *values;
    char *variant, *label; /* NULL: it is none of a variant; of a sweep */
};

/* Those below dir, three levels down at most, in the order of their names.
 * Owns: *out (*n), gle_collected_clear(), also after an error.
 * Errors: GLE_EDATA (no run there), GLE_ENOMEM; and what is wrong with the config.yaml of a run. */
GLE_MUST_CHECK int gle_collect(struct gle_collected **out, size_t *n, const char *dir, struct gle_errors *errs);
void gle_collected_clear(struct gle_collected *folders, size_t n);

#endif
