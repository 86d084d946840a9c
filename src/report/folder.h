/* folder.h - what lies in the folder above the runs of several seeds: their reports, and whose they are. */
#ifndef GLE_REPORT_FOLDER_H
#define GLE_REPORT_FOLDER_H

#include "config/experiment.h"

#include <jansson.h>

/* The seeds whose runs have a report in dir, in their order. Owns: *seeds (*n), gle_free(). Errors: GLE_ENOMEM. */
GLE_MUST_CHECK int gle_folder_seeds(uint64_t **seeds, size_t *n, const char *dir, struct gle_error *err);
/* The report of a run, or the summary, in dir. Owns: the caller. NULL: none that can be read. */
json_t *gle_folder_report(const char *dir);
json_t *gle_folder_summary(const char *dir);

/* Whether two resolved configs, as in reports, make runs that may be averaged: they are the same but for seed,
 * description, and what changes no result. A report of an older program lacks keys that came later; it means their
 * defaults, which exp has. */
bool gle_folder_same_config(const json_t *a, const json_t *b, const struct gle_experiment *exp);
/* The same but for the values of these dotted keys, too; both NULL-safe, objects by key as in the reports' "sweep". */
bool gle_folder_same_base(const json_t *a, const json_t *b, const struct gle_experiment *exp, const json_t *keys,
                          const json_t *more_keys);
/* Whether two reports are of the same data; of data that every seed draws anew nobody can tell. */
bool gle_folder_same_data(const json_t *a, const json_t *b, const struct gle_experiment *exp);
/* Whether two reports of points of sweeps are of data, or files, that changed in between: what both configs ask for
 * alike has another checksum. What they ask for otherwise may differ. */
bool gle_folder_changed_data(const json_t *a, const json_t *b, const struct gle_experiment *exp);
/* What a config has at a dotted key; NULL: nothing. Borrowed. */
json_t *gle_folder_value(json_t *config, const char *key);

/* How the run in dir ended, by its report: the report's word; "broken off" if that says that it is running, but no
 * process holds the folder. */
const char *gle_folder_status(const json_t *report, const char *dir);

#endif
