#include "cli/session.h"
#include "base/clock.h"
#include "cli/jobs.h"
#include "cli/show.h"
#include "report/checkpoint.h"
#include "report/recording.h"
#include "report/report.h"
#include "train/measure.h"
#include "train/train.h"

#include <stdio.h>
#include <unistd.h>

static const double TELL_SECONDS = 0.2;

/* What one run holds; freed in one place. */
struct session {
    struct gle_data *data;
    struct gle_graph *graph;
    struct gle_net *net;
    struct gle_metrics metrics;
    struct gle_report report;
    struct gle_recorder *recorder; /* NULL: none */
    struct gle_checkpoint checkpoint;
    bool begun; /* steps were made, and metrics tell of them */
    struct gle_bar bar;
    const struct gle_session_how *how;
    int progress; /* as there, until nobody listens */
};

static int on_stage(void *ctx, const struct gle_metrics *metrics, struct gle_error *err)
{
    struct session *s = ctx;

    gle_bar_stage(&s->bar, metrics, s->report.exp);
    if (gle_metrics_complete(metrics, s->report.exp)) /* the last report comes with the end */
        return 0;
    return gle_report_due(&s->report) ? gle_report_write(&s->report, metrics, s->net, err) : 0;
}

static int on_moment(void *ctx, const struct gle_moment *moment, struct gle_error *err)
{
    return gle_recorder_moment(((struct session *)ctx)->recorder, moment, err);
}

static int on_window(void *ctx, const struct gle_closed_window *window, struct gle_error *err)
{
    return gle_recorder_window(((struct session *)ctx)->recorder, window, err);
}

/* No checkpoint stands beside the report of a former run. */
static int on_pause(void *ctx, struct gle_run *training, enum gle_pause when, struct gle_error *err)
{
    struct session *s = ctx;

    s->begun = true;
    if (!gle_checkpoint_due(&s->checkpoint, when))
        return 0;
    if (s->report.replaces && gle_report_write(&s->report, &s->metrics, s->net, err))
        return -1;
    return gle_checkpoint_write(&s->checkpoint, training, err);
}

static int on_resume(void *ctx, struct gle_run *training, struct gle_error *err)
{
    struct session *s = ctx;
    const struct gle_provenance *p = s->report.provenance;
    char now[GLE_MAKER];

    if (gle_checkpoint_read(&s->checkpoint, training, err))
        return -1;
    gle_provenance_maker(now, p);
    if (p->changed)
        fprintf(stderr, "glesim: %s: another instruction set or program goes on with it, so that its bits are those of "
                        "neither: %s; before: %s\n",
                s->report.dir, now, p->earlier[p->n_earlier - 1]);
    return 0;
}

static void on_progress(void *ctx, const struct gle_progress *progress)
{
    struct session *s = ctx;
    const struct gle_job_progress told = {
        .done = progress->done, .loss = progress->loss, .accuracy = progress->accuracy};

    if (s->progress < 0)
        gle_bar_progress(&s->bar, progress);
    else if (gle_clock() - s->bar.last >= TELL_SECONDS) {
        s->bar.last = gle_clock();
        if (write(s->progress, &told, sizeof told) < 0)
            s->progress = -1; /* nobody listens */
    }
}

static int on_reading(void *ctx, size_t done, size_t total)
{
    struct session *s = ctx;

    gle_bar_reading(&s->bar, done, total);
    return s->how->stop && *s->how->stop;
}

/* A word on what was not as it should be, and is not worth stopping for. */
static void print_skipped(const struct session *s, bool quiet)
{
    const struct gle_data *data = s->data;

    if (data->n_skipped && !quiet)
        fprintf(stderr, "glesim: %zu file%s left out; the first: %s\n", data->n_skipped,
                data->n_skipped > 1 ? "s" : "", data->skipped);
}

static int open_data(struct session *s, struct gle_error *err)
{
    const struct gle_experiment *exp = s->report.exp;
    const size_t threads = s->how->threads;
    const bool quiet = s->how->options->quiet;
    const struct gle_data_context context = {.dt = exp->dt,
                                             .seed = exp->seed,
                                             .n_steps = exp->n_steps,
                                             .has_teacher = exp->has_teacher,
                                             .n_threads = threads,
                                             .progress = on_reading,
                                             .ctx = s};
    const struct gle_dataset *set = (const struct gle_dataset *)exp->dataset.row;
    int rc;

    gle_bar_start(&s->bar, exp, quiet || s->progress >= 0);
    rc = gle_data_open(&s->data, set, exp->dataset.params, exp->validation, &context, err);
    gle_bar_clear(&s->bar);
    if (rc) {
        gle_node_place(err, exp->dataset.src, NULL);
        return -1;
    }
    s->report.data = s->data;
    return 0;
}

static int open_session(struct session *s, struct gle_error *err)
{
    const struct gle_experiment *exp = s->report.exp;
    struct gle_graph_options options;

    if (open_data(s, err))
        return -1;
    print_skipped(s, s->how->options->quiet);
    if (gle_train_check(exp, s->data, err))
        return -1;
    options = gle_train_options(exp, s->data);
    if (gle_graph_build(&s->graph, exp, &options, err))
        return -1;
    return gle_net_build(&s->net, s->graph, s->how->threads, err);
}

static void close_session(struct session *s)
{
    gle_recorder_discard(s->recorder);
    gle_report_release(&s->report);
    gle_metrics_clear(&s->metrics);
    gle_net_destroy(s->net);
    gle_graph_destroy(s->graph);
    gle_data_close(s->data);
}

static void print_result(const struct session *s, double seconds)
{
    const struct gle_metrics *m = &s->metrics;
    const struct gle_experiment *exp = s->report.exp;
    const struct gle_epoch *last = m->n_epochs ? &m->epochs[m->n_epochs - 1] : NULL;
    char spent[32];

    gle_format_duration(spent, sizeof spent, seconds);
    printf("%s/metrics.json: %s", s->report.dir, gle_status_name(m->status));
    if (last && last->score[m->confusion_split].measured) {
        const struct gle_score *score = &last->score[m->confusion_split];
        printf(" after epoch %llu, loss %.4g", (unsigned long long)last->epoch, score->loss);
        if (m->n_classes)
            printf(", accuracy %.1f %%", 100.0 * score->accuracy);
    }
    if (m->n_phases) {
        uint64_t steps = 0;
        for (size_t i = 0; i < m->n_phases; i++)
            steps += m->phases[i].steps;
        printf(" after %g time units, loss %.4g in the last %llu steps", (double)steps * exp->dt,
               m->phases[m->n_phases - 1].last_loss, (unsigned long long)m->phases[m->n_phases - 1].last_steps);
    }
    printf(", %s\n", spent);
}

static int open_recorder(struct session *s, struct gle_error *err)
{
    char path[GLE_REPORT_PATH], spool[GLE_REPORT_PATH];

    if (!s->report.exp->record.every)
        return 0;
    gle_report_path(path, &s->report, GLE_FILE_RECORDING);
    gle_report_path(spool, &s->report, GLE_FILE_RECORDS);
    return gle_recorder_open(&s->recorder, path, spool, s->graph, err);
}

/* The recording goes between two reports: before it, one that is not final yet and takes away what a former run has
 * left; after it, the one that says how the run ended. Only then it can do without its checkpoint, if it is over. */
static int write_all(struct session *s, struct gle_error *err)
{
    struct gle_recorder *recorder = s->recorder;
    const enum gle_status status = s->metrics.status;

    if (recorder) {
        s->recorder = NULL;
        s->metrics.status = GLE_RUNNING;
        if (gle_report_write(&s->report, &s->metrics, s->net, err)) {
            gle_recorder_discard(recorder);
            return -1;
        }
        if (gle_recorder_close(recorder, err))
            return -1;
        s->metrics.status = status;
    }
    if (gle_report_write(&s->report, &s->metrics, s->net, err))
        return -1;
    return status == GLE_INTERRUPTED ? 0 : gle_report_remove_checkpoint(&s->report, err);
}

/* A run that cannot go on, or whose results cannot be written, is not left as if it were running, where that can be
 * written at all. */
static void report_failure(struct session *s, const struct gle_error *why)
{
    struct gle_error unwritten = {0};

    if (!s->begun && !s->report.resumes && gle_report_remove_checkpoint(&s->report, &unwritten))
        return;
    if (!s->begun || s->report.replaces)
        return;
    s->metrics.status = GLE_INTERRUPTED;
    gle_error_format(s->metrics.message, sizeof s->metrics.message, why);
    if (gle_report_write(&s->report, &s->metrics, s->net, &unwritten) &&
        gle_report_write_metrics(&s->report, &s->metrics, s->net, &unwritten))
        return;
}

static int open_run(struct session *s, struct gle_error *err)
{
    const struct gle_options *o = s->how->options;
    const enum gle_start how = o->resume ? GLE_START_RESUME : o->force ? GLE_START_REPLACE : GLE_START_NEW;

    if (gle_metrics_init(&s->metrics, s->graph->exp, s->data, err) || gle_report_begin(&s->report, how, err) ||
        open_recorder(s, err))
        return -1;
    gle_checkpoint_start(&s->checkpoint, &s->report, s->recorder);
    return 0;
}

/* Trains, and writes the report however it ends. */
static int train(struct session *s, struct gle_provenance *provenance, struct gle_error *err)
{
    const bool quiet = s->how->options->quiet;
    const bool records = s->report.exp->record.every > 0;
    struct gle_observer observer = {.ctx = s,
                                    .stage = on_stage,
                                    .progress = on_progress,
                                    .moment = records ? on_moment : NULL,
                                    .window = records ? on_window : NULL,
                                    .pause = on_pause};
    struct gle_error write_err = {0};
    const double start = gle_clock();
    int rc;

    s->report.graph = s->graph;
    s->report.provenance = provenance;
    if (open_run(s, err))
        return -1;
    if (s->report.resumes)
        observer.resume = on_resume;
    gle_bar_start(&s->bar, s->graph->exp, quiet || s->progress >= 0);
    rc = gle_train(&s->metrics, s->net, s->graph, s->data, &observer, s->how->stop, err);
    gle_bar_clear(&s->bar);
    if (rc && err->code != GLE_EDIVERGED) {
        report_failure(s, err);
        return -1;
    }
    gle_provenance_now(provenance->end);
    if (write_all(s, &write_err)) {
        if (rc)
            gle_show_error(err);
        *err = write_err;
        report_failure(s, err);
        return -1;
    }
    if (!quiet)
        print_result(s, gle_clock() - start);
    return rc;
}

static int dry_run(struct session *s, struct gle_error *err)
{
    static const double SECONDS = 0.5;
    struct gle_costs costs;
    double record;

    if (gle_train_measure(&costs, s->net, s->graph, s->data, SECONDS, 0.0, err) ||
        gle_recorder_measure(&record, s->graph, err))
        return -1;
    gle_show_plan(s->graph, s->data, gle_net_threads(s->net), &costs, record);
    return 0;
}

/* Whether a run among many, or one to be resumed, is there already, so that it need not be made again. Errors: also
 * GLE_EDATA, where it was made of other data than there are now, and GLE_EDIVERGED, where it is to be resumed. */
static int is_there(bool *there, struct session *s, const struct gle_options *o, struct gle_error *err)
{
    struct gle_report *report = &s->report;
    enum gle_found found;

    *there = false;
    if (o->force || o->action != GLE_RUN || (!o->resume && !o->n_seeds && !report->exp->sweep.label))
        return 0;
    if (gle_report_find(&found, report, err))
        return -1;
    if (found == GLE_FOUND_DIVERGED && o->resume)
        return gle_fail(err, GLE_EDIVERGED, "it has diverged before; --force runs it again");
    *there = found == GLE_FOUND_COMPLETED;
    if (*there && (open_data(s, err) || gle_report_check_inputs(report, err) ||
                   gle_report_remove_checkpoint(report, err)))
        return -1;
    if (*there && !o->quiet)
        printf("%s/metrics.json: there already\n", report->dir);
    return 0;
}

int gle_session_run(const struct gle_experiment *exp, const struct gle_session_how *how, struct gle_error *err)
{
    struct session s = {.report = {.exp = exp, .lock = -1}, .how = how, .progress = how->progress};
    const bool trains = how->options->action == GLE_RUN;
    struct gle_provenance provenance;
    bool there = false;
    int rc;

    gle_provenance_collect(&provenance, how->command);
    rc = gle_report_dir(s.report.dir, sizeof s.report.dir, how->options->output, exp, err) ||
         (trains && gle_report_hold(&s.report, err)) || is_there(&there, &s, how->options, err);
    if (!rc && !there)
        rc = open_session(&s, err);
    if (!rc && !there) {
        provenance.threads = gle_net_threads(s.net);
        rc = trains ? train(&s, &provenance, err) : dry_run(&s, err);
    }
    close_session(&s);
    gle_provenance_clear(&provenance);
    if (rc && err->code == GLE_EDIVERGED)
        gle_error_place(err, s.report.dir, 0, 0, NULL);
    return rc ? -1 : 0;
}
