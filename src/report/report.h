/* report.h - the run directory: metrics.json, weights.npz, config.yaml, each written whole or not at all. */
#ifndef GLE_REPORT_REPORT_H
#define GLE_REPORT_REPORT_H

#include "data/data.h"
#include "graph/graph.h"
#include "report/provenance.h"
#include "solver/net.h"
#include "train/metrics.h"

/* A run and where it is reported. Pointers are borrowed. */
struct gle_report {
    const struct gle_experiment *exp;
    const struct gle_graph *graph;
    const struct gle_data *data;
    struct gle_provenance *provenance;
    char dir[4096];
    char config_sha256[65]; /* of config.yaml; set by gle_report_begin() */
    bool replaces;          /* a former run is there, and whole; so is its config.yaml */
};

/* The directory of a run: <output>[/<variant>][/<sweep>]/seed_<n>, output NULL meaning results/<name>.
 * Errors: GLE_EWRITE (too long). */
GLE_MUST_CHECK int gle_report_dir(char *dir, size_t size, const char *output, const struct gle_experiment *exp,
                                  struct gle_error *err);

/* Whether the run is there already: completed, with the same resolved config. Errors: GLE_ENOMEM. */
GLE_MUST_CHECK int gle_report_done(bool *done, struct gle_report *report, struct gle_error *err);

/* Makes the directory and writes config.yaml there. A run that is there already is replaced only if `force`, and stays
 * whole, its config.yaml too, until the first gle_report_write() that succeeds.
 * Errors: GLE_EWRITE, GLE_ENOMEM. */
GLE_MUST_CHECK int gle_report_begin(struct gle_report *report, bool force, struct gle_error *err);

/* Writes weights.npz and metrics.json, both or none. The first time, a run that is being replaced goes: config.yaml
 * becomes this run's, a recording is removed. Valid JSON always: null where a number is not finite.
 * Errors: GLE_EWRITE, GLE_ENOMEM. */
GLE_MUST_CHECK int gle_report_write(struct gle_report *report, const struct gle_metrics *metrics,
                                    const struct gle_net *net, struct gle_error *err);

#endif
