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
    char config_sha256[65]; /* of config.yaml, but with relative paths as the config given has them; set by
                               gle_report_find() or _begin() */
    bool config_written;    /* config.yaml there is this run's */
    bool replaces;          /* a former run is there, and whole; so is its config.yaml */
    bool resumes;           /* from the checkpoint that is there */
    int lock;               /* the directory, held against other processes; -1: it is not */
};

/* The directory of a run: <output>[/<variant>][/<sweep>]/seed_<n>, output NULL meaning results/<name>.
 * Errors: GLE_EWRITE (too long). */
GLE_MUST_CHECK int gle_report_dir(char *dir, size_t size, const char *output, const struct gle_experiment *exp,
                                  struct gle_error *err);

/* Takes hold of the run's directory, if there is one, until gle_report_release(): no two processes work in it at once.
 * Where the file system knows no locks (flock), or the directory cannot be opened, nothing is held.
 * Errors: GLE_EWRITE (another process holds it). */
GLE_MUST_CHECK int gle_report_hold(struct gle_report *report, struct gle_error *err);
void gle_report_release(struct gle_report *report);

/* What there is of a run already, by the same config. */
enum gle_found { GLE_FOUND_NOTHING, GLE_FOUND_COMPLETED, GLE_FOUND_DIVERGED };
/* NOTHING: also one that was broken off. Errors: GLE_ENOMEM. */
GLE_MUST_CHECK int gle_report_find(enum gle_found *found, struct gle_report *report, struct gle_error *err);

/* What may happen to a run that is there already. */
enum gle_start {
    GLE_START_NEW,     /* none may be there */
    GLE_START_REPLACE, /* it is replaced, and stays whole until a gle_report_write() succeeds */
    GLE_START_RESUME,  /* one that was broken off is gone on with, from its checkpoint if it has one; if not, anew */
};
/* Makes the directory, takes hold of it and sees to it that it can be written to: what is known to go wrong later goes
 * wrong here. Writes config.yaml there, unless a run is replaced. A checkpoint that the run does not go on from is
 * removed. Sets report->resumes.
 * Errors: GLE_EWRITE (also: there is a run already, or another process at work on it), GLE_EDATA (to be resumed, and of
 *         another config, which it names), GLE_ENOMEM. */
GLE_MUST_CHECK int gle_report_begin(struct gle_report *report, enum gle_start how, struct gle_error *err);

/* The text of config.yaml: relative paths lead to their files from the run's directory. Owns: gle_free(). NULL after an
 * error (GLE_ENOMEM). */
char *gle_report_config(const struct gle_report *report, struct gle_error *err);

/* What the config differs in from another one, given as such a text; "" if in nothing. Errors: GLE_EDATA (no such
 * text), GLE_ENOMEM. */
enum { GLE_DIFFERENCE = 400 };
GLE_MUST_CHECK int gle_report_compare(char what[GLE_DIFFERENCE], const struct gle_report *report, const char *config,
                                      size_t size, struct gle_error *err);

/* Removes the checkpoint, and the records beside it. Errors: GLE_EWRITE. */
GLE_MUST_CHECK int gle_report_remove_checkpoint(const struct gle_report *report, struct gle_error *err);

/* "dir/name" of a file of the run; the room that `path` needs. */
enum { GLE_REPORT_PATH = 4096 + 32 };
void gle_report_path(char path[GLE_REPORT_PATH], const struct gle_report *report, const char *name);
/* Their names. */
#define GLE_FILE_CHECKPOINT "checkpoint.npz"
#define GLE_FILE_RECORDING "recording.npz"
#define GLE_FILE_RECORDS "recording.part" /* the spool of the recording, while the run is not over */

/* Writes weights.npz and metrics.json, both or none, and with them, if it is not there yet, this run's config.yaml. The
 * first time, the recording of a run that is being replaced is removed. Valid JSON always: null where a number is not
 * finite.
 * Errors: GLE_EWRITE, GLE_ENOMEM. */
GLE_MUST_CHECK int gle_report_write(struct gle_report *report, const struct gle_metrics *metrics,
                                    const struct gle_net *net, struct gle_error *err);
/* Writes metrics.json alone: for a run that ends because weights.npz cannot be written; one that is there is older. */
GLE_MUST_CHECK int gle_report_write_metrics(const struct gle_report *report, const struct gle_metrics *metrics,
                                            const struct gle_net *net, struct gle_error *err);

#endif
