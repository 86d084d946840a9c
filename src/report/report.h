/* report.h - the run directory: metrics.json, weights.npz, config.yaml, each written whole or not at all. */
#ifndef GLE_REPORT_REPORT_H
#define GLE_REPORT_REPORT_H

#include "data/data.h"
#include "graph/graph.h"
#include "report/inputs.h"
#include "report/provenance.h"
#include "solver/net.h"
#include "train/metrics.h"

/* Whose the files of the directory are: the states of a report, and the calls that lead from one to the next.
 *
 *   gle_report_of()
 *        |
 *     UNBEGUN --- gle_report_begin() ---+---------------------+----------------------+
 *                                       | nothing was there   | a run was there      | so was its checkpoint,
 *                                       |                     | (new, or from its    | and the run goes on
 *                                       |                     | beginning again)     | from it
 *                                       v                     v                      v
 *                                     FRESH <--- write --- REPLACES               RESUMES --- write ---> CONTINUED
 *
 * "write" is a gle_report_write() that succeeds. It leads from FRESH and CONTINUED back to them. A call that fails
 * leaves the state as it is.
 *
 * 1. In UNBEGUN, this process has changed no file that a report consists of, except that a failed gle_report_begin()
 *    may have removed a checkpoint that nobody goes on from.
 * 2. In FRESH and CONTINUED, config.yaml is this run's, to the byte. In RESUMES it describes the same run, but may do
 *    so in other words. In REPLACES it is the former run's.
 * 3. In REPLACES, the report, the recording and the confusion matrix of the former run are there as it left them, and
 *    no checkpoint is. The first write takes the place of all of them at once.
 * 4. In FRESH and REPLACES, no checkpoint of a former run is there. In RESUMES and CONTINUED, one is, until the run is
 *    over.
 * 5. In every state but UNBEGUN, `inputs` and `config_sha256` are known.
 *
 * Whether the directory is held (`lock`) is another matter: it can be held before gle_report_begin(), and cannot be
 * where the file system knows no locks. */
enum gle_report_state {
    GLE_REPORT_UNBEGUN,
    GLE_REPORT_FRESH,
    GLE_REPORT_REPLACES,
    GLE_REPORT_RESUMES,
    GLE_REPORT_CONTINUED,
};

/* A run and where it is reported. Pointers are borrowed. */
struct gle_report {
    /* What the report is of. */
    const struct gle_experiment *exp;
    const struct gle_graph *graph;
    const struct gle_data *data;
    struct gle_provenance *provenance;
    char dir[4096];

    bool anywhere; /* it may go on on another backend or device than the one that it was begun on */

    /* Where it is. */
    enum gle_report_state state;
    int lock; /* the directory, held against other processes; -1: it is not */
    bool lock_file;  /* held by a file, which goes with it */
    char stale[128]; /* whose file was found that is no more, "process 7 on node3"; "": nobody's */

    /* What the run was made from. */
    char weights_sha256[65];  /* of the weights.npz that is written last; "": none was */
    char config_sha256[65];   /* of config.yaml, but with relative paths as the config given has them; set by
                                 gle_report_find() or _begin() */
    struct gle_inputs inputs; /* set by gle_report_begin() or _check_inputs(); before, data_sha256 is "" */

    /* How often it is written. */
    bool tried;        /* gle_report_write() was called */
    double last, cost; /* gle_clock() after the last such call, and seconds that it took */
};

/* A report that is not begun, holds no directory and owns nothing. */
struct gle_report gle_report_of(const struct gle_experiment *exp);
/* Whether a former run is there, and whole; and whether the run goes on from a checkpoint. */
bool gle_report_replaces(const struct gle_report *report);
bool gle_report_resumes(const struct gle_report *report);

/* What is written after stages may take no more than 1 / GLE_RARITY of a run's time. */
enum { GLE_RARITY = 50 };

/* The directory of a run: <output>[/<variant>][/<sweep>]/seed_<n>, output NULL meaning results/<name>.
 * Errors: GLE_EWRITE (too long). */
GLE_MUST_CHECK int gle_report_dir(char *dir, size_t size, const char *output, const struct gle_experiment *exp,
                                  struct gle_error *err);

/* Takes hold of the run's directory, if there is one, until gle_report_release(): no two processes work in it at once.
 * Where the file system knows no locks (flock), or none that other machines see, a file `lock` in the directory holds
 * it, which says who does; that of a process of this machine that is no more is taken away (`stale`). Where the
 * directory cannot be opened, nothing is held. Errors: GLE_EWRITE (another process holds it). */
GLE_MUST_CHECK int gle_report_hold(struct gle_report *report, struct gle_error *err);
/* Lets it go, and frees what report owns. */
void gle_report_release(struct gle_report *report);
/* Whether some process holds the directory of a run. */
bool gle_report_is_held(const char *dir);

/* What there is of a run already: none; one of the same config, which was completed, diverged, or did not come to its
 * end; one of another config. */
enum gle_found {
    GLE_FOUND_NOTHING,
    GLE_FOUND_COMPLETED,
    GLE_FOUND_DIVERGED,
    GLE_FOUND_BROKEN_OFF,
    GLE_FOUND_OTHER,
};
enum { GLE_DIFFERENCE = 400 };
/* what: of another config, the difference, or why its config cannot be read; "" if there is none.
 * Errors: GLE_EWRITE (a folder or a pipe in place of the report or the checkpoint), GLE_ENOMEM. */
GLE_MUST_CHECK int gle_report_find(enum gle_found *found, char what[GLE_DIFFERENCE], struct gle_report *report,
                                   struct gle_error *err);

/* Whether the run that is there was made from the data set and the files that there are now. inputs: these, if they are
 * known; NULL: report->data is open, and the files are read.
 * Errors: GLE_EDATA (it was made from others, which it names; a file cannot be read), GLE_ENOMEM. */
GLE_MUST_CHECK int gle_report_check_inputs(struct gle_report *report, const struct gle_inputs *inputs,
                                           struct gle_error *err);
/* The first of the data set and the files that the run which is there had with another checksum, in words; "" if there
 * is none. A report without checksums tells nothing. */
void gle_report_other_inputs(char what[GLE_DIFFERENCE], const struct gle_report *report,
                             const struct gle_inputs *inputs);

/* What may happen to a run that is there already. */
enum gle_start {
    GLE_START_NEW,     /* none may be there */
    GLE_START_REPLACE, /* it is replaced, and stays whole until a gle_report_write() succeeds */
    GLE_START_RESUME,  /* one that was broken off is gone on with, from its checkpoint if it has one; if not, anew */
};
/* Makes the directory, takes hold of it and sees to it that it can be written to: what is known to go wrong later goes
 * wrong here. Finds the checksums of files. Writes config.yaml there, unless a run is replaced. A checkpoint that the
 * run does not go on from is removed. report must be in GLE_REPORT_UNBEGUN.
 * Errors: GLE_EWRITE (also: there is a run already, or another process at work on it), GLE_EDATA (to be resumed, and of
 *         another config, which it names), GLE_ENOMEM. */
GLE_MUST_CHECK int gle_report_begin(struct gle_report *report, enum gle_start how, struct gle_error *err);

/* The text of config.yaml, at whose end stands what is claimed of this run: relative paths lead to their files from the
 * run's directory. Owns: gle_free(). NULL after an
 * error (GLE_ENOMEM). */
char *gle_report_config(const struct gle_report *report, struct gle_error *err);

/* What the config differs in from another one, given as such a text; "" if in nothing that matters to a result: a
 * description does not, nor claims, nor the backend `auto` in place of the one that it takes (nor any other, where the
 * run may go on anywhere), nor a device, nor a key that the other program did not know and that has its default.
 * Errors: GLE_EDATA (no such text), GLE_ENOMEM. */
GLE_MUST_CHECK int gle_report_compare(char what[GLE_DIFFERENCE], const struct gle_report *report, const char *config,
                                      size_t size, struct gle_error *err);

/* Whether such a difference is one of backends. */
bool gle_report_differs_in_backend(const char *what);

/* Removes the checkpoint, and the records beside it. Errors: GLE_EWRITE. */
GLE_MUST_CHECK int gle_report_remove_checkpoint(const struct gle_report *report, struct gle_error *err);

/* "dir/name" of a file of the run; the room that `path` needs. */
enum { GLE_REPORT_PATH = 4096 + 32 };
void gle_report_path(char path[GLE_REPORT_PATH], const struct gle_report *report, const char *name);
/* Their names. */
#define GLE_FILE_CHECKPOINT "checkpoint.npz"
#define GLE_FILE_RECORDING "recording.npz"
#define GLE_FILE_CONFUSION "confusion.npz" /* the confusion matrix of many classes */
#define GLE_FILE_CLOSED_LOOP "closed_loop.npz"
#define GLE_FILE_PREDICTIONS "predictions.npz"
#define GLE_FILE_BEST "best_weights.npz" /* parameters of the best epoch, as weights.npz has those of the last */
#define GLE_FILE_RECORDS "recording.part" /* the spool of the recording, while the run is not over */

/* Whether a report is due after a stage: the first one, and then so that writing them takes little of a run's time. */
bool gle_report_due(const struct gle_report *report);
/* Writes weights.npz, best_weights.npz if it is kept, and metrics.json, all or none, and with them this run's
 * config.yaml, if it is not there yet, and, once the run is over, a confusion matrix that is too large for
 * metrics.json, the traces of a closed loop, and predictions. The first time, the recording, the matrix, the traces,
 * the predictions and the best weights of a run that is being replaced are removed. Valid JSON always: null where a
 * number is not finite.
 * Errors: GLE_EWRITE, GLE_ENOMEM. */
GLE_MUST_CHECK int gle_report_write(struct gle_report *report, const struct gle_metrics *metrics,
                                    const struct gle_net *net, struct gle_error *err);
/* Writes metrics.json alone: for a run that ends because weights.npz cannot be written; one that is there is older. */
GLE_MUST_CHECK int gle_report_write_metrics(const struct gle_report *report, const struct gle_metrics *metrics,
                                            const struct gle_net *net, struct gle_error *err);

#endif
