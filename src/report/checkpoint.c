#include "report/checkpoint.h"
#include "base/archive.h"
#include "base/clock.h"
#include "base/memory.h"

#include <string.h>

/* One after a stage waits until all of them have taken no more than 1 / GLE_RARITY of the time. What the first one
 * takes is not known before. */
static const double FIRST_COST = 0.01;

void gle_checkpoint_start(struct gle_checkpoint *c, struct gle_report *report, struct gle_recorder *recorder)
{
    *c = (struct gle_checkpoint){
        .report = report, .recorder = recorder, .last = gle_clock(), .cost = FIRST_COST};
}

bool gle_checkpoint_due(const struct gle_checkpoint *c, enum gle_pause when)
{
    const double minutes = c->report->exp->checkpoint_minutes, passed = gle_clock() - c->last;

    return when == GLE_PAUSE_STOP || (when == GLE_PAUSE_STAGE && passed >= GLE_RARITY * c->cost) ||
           (minutes > 0.0 && passed >= 60.0 * minutes);
}

/* --- whose it is --- */

static int compare_config(const struct gle_checkpoint *c, struct gle_archive *a, struct gle_error *err)
{
    struct gle_error wrong = {0};
    char *there, what[GLE_DIFFERENCE];
    size_t n;
    int rc;

    if (gle_archive_length(&n, a, "config", err))
        return -1;
    there = gle_calloc(n + 1, 1);
    if (!there)
        return gle_fail(err, GLE_ENOMEM, "no memory for the config");
    rc = gle_archive_bytes(a, "config", there, n, err);
    if (!rc && gle_report_compare(what, c->report, there, n, &wrong))
        rc = wrong.code == GLE_ENOMEM ? gle_fail(err, GLE_ENOMEM, "%s", wrong.text)
                                      : gle_archive_fail(a, "config", err, "%s", wrong.text);
    else if (!rc && what[0])
        rc = gle_archive_fail(a, "config", err, "another one: %s%s", what,
                              gle_report_differs_in_backend(what) ? "; --anywhere goes on all the same" : "");
    gle_free(there);
    return rc;
}

static int visit_config(struct gle_checkpoint *c, struct gle_archive *a, struct gle_error *err)
{
    char *text;
    int rc;

    if (gle_archive_restores(a))
        return compare_config(c, a, err);
    text = gle_report_config(c->report, err);
    if (!text)
        return -1;
    rc = gle_archive_bytes(a, "config", text, strlen(text), err);
    gle_free(text);
    return rc;
}

static int visit_data(struct gle_checkpoint *c, struct gle_archive *a, struct gle_error *err)
{
    const char *now = c->report->data ? c->report->data->sha256 : c->report->inputs.data_sha256;
    char sha256[65];

    memcpy(sha256, now, sizeof sha256);
    if (gle_archive_bytes(a, "dataset", sha256, sizeof sha256 - 1, err))
        return -1;
    if (memcmp(sha256, now, sizeof sha256 - 1))
        return gle_archive_fail(a, "dataset", err, "another one: its checksum is %.12s... there, %.12s... here", sha256,
                                now);
    return 0;
}

/* Checksums of the files that values come from, one after the other. */
static int visit_inputs(struct gle_checkpoint *c, struct gle_archive *a, struct gle_error *err)
{
    enum { DIGITS = 64 };
    const struct gle_inputs *inputs = &c->report->inputs;
    char *there = gle_calloc(inputs->n + 1, DIGITS);
    int rc = there ? 0 : gle_fail(err, GLE_ENOMEM, "no memory for a checkpoint");

    for (size_t i = 0; !rc && i < inputs->n; i++)
        memcpy(there + i * DIGITS, inputs->file[i].sha256, DIGITS);
    rc = rc || gle_archive_bytes(a, "init", there, inputs->n * DIGITS, err);
    for (size_t i = 0; !rc && i < inputs->n; i++) {
        const char *sha256 = there + i * DIGITS, *now = inputs->file[i].sha256;
        if (memcmp(sha256, now, DIGITS))
            rc = gle_archive_fail(a, "init", err, "another %s: its checksum is %.12s... there, %.12s... here",
                                  inputs->file[i].path, sha256, now);
    }
    gle_free(there);
    return rc ? -1 : 0;
}

/* --- the whole --- */

/* By whom it was made. Another device computes other bits than those that the run would have had. */
static int visit_provenance(struct gle_checkpoint *c, struct gle_archive *a, struct gle_error *err)
{
    struct gle_provenance *p = c->report->provenance;
    char now[GLE_MAKER];

    if (gle_provenance_archive(p, a, err))
        return -1;
    gle_provenance_maker(now, p);
    return p->moved && !c->report->anywhere
               ? gle_archive_fail(a, "maker", err, "another backend or device: %s there, %s here; --anywhere goes on "
                                  "all the same, to bits that are those of neither", p->earlier[p->n_earlier - 1], now)
               : 0;
}

static int visit(struct gle_checkpoint *c, struct gle_archive *a, struct gle_run *run, struct gle_error *err)
{
    return visit_config(c, a, err) || visit_data(c, a, err) || visit_inputs(c, a, err) ||
                   visit_provenance(c, a, err) || gle_run_archive(run, a, err) ||
                   (c->recorder && gle_recorder_archive(c->recorder, a, gle_run_steps(run), err)) ||
                   gle_archive_end(a, err)
               ? -1
               : 0;
}

int gle_checkpoint_write(struct gle_checkpoint *c, struct gle_run *run, struct gle_error *err)
{
    const double start = gle_clock();
    char path[GLE_REPORT_PATH];
    struct gle_archive *a;
    int rc;

    gle_report_path(path, c->report, GLE_FILE_CHECKPOINT);
    if (gle_archive_create(&a, err))
        return -1;
    rc = visit(c, a, run, err) || gle_archive_write(a, path, err) ? -1 : 0;
    gle_archive_destroy(a);
    c->last = gle_clock();
    c->cost = c->last - start;
    return rc;
}

/* What is read of it: restore(...). */
typedef int restorer(struct gle_checkpoint *c, struct gle_archive *a, struct gle_run *run, struct gle_error *err);

static int restore_all(struct gle_checkpoint *c, struct gle_archive *a, struct gle_run *run, struct gle_error *err)
{
    return visit(c, a, run, err) ? -1 : gle_provenance_resume(c->report->provenance, err);
}

static int restore_run(struct gle_checkpoint *c, struct gle_archive *a, struct gle_run *run, struct gle_error *err)
{
    (void)c;
    return gle_run_archive(run, a, err);
}

static int read_with(struct gle_checkpoint *c, restorer *restore, struct gle_run *run, struct gle_error *err)
{
    char path[GLE_REPORT_PATH];
    struct gle_archive *a;
    int rc;

    gle_report_path(path, c->report, GLE_FILE_CHECKPOINT);
    if (gle_archive_open(&a, path, err))
        return -1;
    rc = restore(c, a, run, err);
    gle_archive_destroy(a);
    return rc;
}

int gle_checkpoint_read(struct gle_checkpoint *c, struct gle_run *run, struct gle_error *err)
{
    return read_with(c, restore_all, run, err);
}

int gle_checkpoint_follow(struct gle_checkpoint *c, struct gle_run *run, struct gle_error *err)
{
    return read_with(c, restore_run, run, err);
}

int gle_checkpoint_maker(char maker[GLE_MAKER], const struct gle_report *report, struct gle_error *err)
{
    struct gle_error unread = {0};
    char path[GLE_REPORT_PATH];
    struct gle_archive *a;

    memset(maker, 0, GLE_MAKER);
    gle_report_path(path, report, GLE_FILE_CHECKPOINT);
    if (!gle_archive_open(&a, path, &unread) && gle_archive_text(a, "maker", maker, GLE_MAKER, &unread))
        maker[0] = '\0';
    gle_archive_destroy(a);
    return unread.code == GLE_ENOMEM ? gle_fail(err, GLE_ENOMEM, "%s", unread.text) : 0;
}

int gle_checkpoint_other_inputs(char what[GLE_DIFFERENCE], const struct gle_report *report,
                                const struct gle_inputs *inputs, struct gle_error *err)
{
    struct gle_report now = gle_report_of(report->exp);
    struct gle_checkpoint c = {.report = &now};
    struct gle_error wrong = {0};
    char path[GLE_REPORT_PATH];
    struct gle_archive *a;

    what[0] = '\0';
    now.inputs = *inputs; /* borrowed: now is never released */
    gle_report_path(path, report, GLE_FILE_CHECKPOINT);
    if (!gle_archive_open(&a, path, &wrong) && (visit_data(&c, a, &wrong) || visit_inputs(&c, a, &wrong)))
        gle_error_format(what, GLE_DIFFERENCE, &wrong);
    gle_archive_destroy(a);
    return wrong.code == GLE_ENOMEM ? gle_fail(err, GLE_ENOMEM, "%s", wrong.text) : 0;
}
