#include "cli/session.h"
#include "backend/device.h"
#include "base/clock.h"
#include "cli/choice.h"
#include "cli/forecast.h"
#include "cli/jobs.h"
#include "cli/limits.h"
#include "cli/loops.h"
#include "cli/notes.h"
#include "cli/outcome.h"
#include "cli/show.h"
#include "cli/together.h"
#include "report/checkpoint.h"
#include "report/recording.h"
#include "report/report.h"
#include "solver/fleet.h"
#include "solver/rows.h"
#include "train/measure.h"
#include "train/train.h"
#include "yaml/node.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Between two words to the parent process. Data that are made in less time are made in spite of a signal, too. */
static const double TELL_SECONDS = 0.2;
/* How long to wait for a process that is still at work on a run that is to be resumed: the orphan of a command that was
 * killed a moment ago writes its checkpoint. */
static const double ORPHAN_SECONDS = 5.0;

/* What one run holds; freed in one place. */
struct session {
    struct gle_data *data;
    struct gle_graph *graph;
    char former[GLE_MAKER];    /* who has written the checkpoint to be resumed; "": it is none, or does not matter */
    struct gle_choice choice;
    struct gle_fleet *fleet;   /* of how->accelerator; NULL: the processors, */
    bool aside;                /* while others that go on beside it are on the device */
    struct gle_net *net;
    struct gle_metrics metrics;
    struct gle_report report;
    struct gle_recorder *recorder; /* NULL: none */
    struct gle_checkpoint checkpoint;
    bool begun; /* steps were made, and metrics tell of them */
    bool agreed; /* all ranks know of what has failed */
    struct gle_bar bar;
    const struct gle_session_how *how;
    int progress; /* as there, until nobody listens */
};
enum { NOBODY = -1 };

/* Whether this process writes files: the only one, or the first of those that make the run together. */
static bool leads(const struct session *s)
{
    return !s->how->comm || !s->how->comm->rank;
}

/* As gle_together(), within a run. */
static int tell_all(struct session *s, int rc, struct gle_error *err)
{
    rc = gle_together(s->how->comm, rc, err);
    s->agreed = rc && err->code != GLE_EDEVICE;
    return rc;
}

static int on_stage(void *ctx, const struct gle_metrics *metrics, struct gle_error *err)
{
    struct session *s = ctx;
    int rc = 0;

    gle_bar_stage(&s->bar, metrics, s->report.exp);
    if (gle_metrics_complete(metrics, s->report.exp)) /* the last report comes with the end */
        return 0;
    if (leads(s) && gle_report_due(&s->report))
        rc = gle_report_write(&s->report, metrics, s->net, err);
    return tell_all(s, rc, err);
}

static void on_evaluated(void *ctx, const struct gle_metrics *metrics)
{
    struct session *s = ctx;

    gle_bar_evaluated(&s->bar, metrics, s->report.exp);
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
    bool due = gle_checkpoint_due(&s->checkpoint, when);
    int rc = 0;

    s->begun = true;
    if (gle_together_follow(s->how->comm, &due, err))
        return -1;
    if (!due)
        return 0;
    if (gle_net_unite(s->net, err))
        return -1;
    if (leads(s))
        rc = (gle_report_replaces(&s->report) && gle_report_write(&s->report, &s->metrics, s->net, err)) ||
             gle_checkpoint_write(&s->checkpoint, training, err);
    gle_net_divide(s->net);
    return tell_all(s, rc ? -1 : 0, err);
}

static int on_resume(void *ctx, struct gle_run *training, struct gle_error *err)
{
    struct session *s = ctx;
    const struct gle_provenance *p = s->report.provenance;
    const int rc = leads(s) ? gle_checkpoint_read(&s->checkpoint, training, err)
                            : gle_checkpoint_follow(&s->checkpoint, training, err);
    char now[GLE_MAKER];

    if (tell_all(s, rc, err))
        return -1;
    gle_provenance_maker(now, p);
    if (leads(s) && p->changed)
        fprintf(s->how->err, "glesim: %s: another %s goes on with it, so that its bits are those of neither: %s; "
                             "before: %s\n",
                s->report.dir, p->recounted ? "number of ranks" : "device, instruction set or program", now,
                p->earlier[p->n_earlier - 1]);
    return 0;
}

/* To the process that shows many runs as one. */
static void tell_parent(struct session *s, const struct gle_progress *progress)
{
    struct gle_job_progress told;
    struct gle_score *live;

    if (gle_clock() - s->bar.last < TELL_SECONDS)
        return;
    if (s->bar.begun_at <= 0.0)
        s->bar.begun = progress->done;
    s->bar.begun_at = s->bar.last = gle_clock();
    memset(&told, 0, sizeof told); /* also what lies between its members */
    told.done = progress->done;
    told.begun = s->bar.begun;
    told.by_phases = progress->by_phases;
    memcpy(told.score, s->bar.newest, sizeof told.score);
    live = &told.score[progress->split];
    if (progress->split == GLE_TRAIN || !live->measured)
        *live = (struct gle_score){.measured = true, .loss = progress->loss, .accuracy = progress->accuracy,
                                   .nrmse = progress->nrmse};
    if (write(s->progress, &told, sizeof told) < 0)
        s->progress = NOBODY;
}

static void on_progress(void *ctx, const struct gle_progress *progress)
{
    struct session *s = ctx;

    if (s->how->progress < 0)
        gle_bar_progress(&s->bar, progress);
    else if (s->progress != NOBODY)
        tell_parent(s, progress);
}

/* A signal that comes while data are made ends the run without a report, since there is nothing to report; so data that
 * take no time are made all the same, and leave a run that can be resumed. */
static int on_making(void *ctx, const char *what, size_t done, size_t total)
{
    struct session *s = ctx;

    gle_bar_making(&s->bar, what, done, total);
    return s->how->stop && *s->how->stop && gle_clock() - s->bar.start > TELL_SECONDS;
}

static int open_data(struct session *s, struct gle_error *err)
{
    const struct gle_experiment *exp = s->report.exp;
    const size_t threads = gle_limits_threads(s->how->threads);
    const bool quiet = s->how->options->quiet;
    const struct gle_data_context context = {.dt = exp->dt,
                                             .seed = exp->seed,
                                             .n_steps = exp->n_steps,
                                             .has_teacher = exp->has_teacher,
                                             .n_threads = threads,
                                             .progress = on_making,
                                             .ctx = s};
    const struct gle_dataset *set = (const struct gle_dataset *)exp->dataset.row;
    int rc;

    gle_bar_start(&s->bar, exp, quiet || s->progress >= 0);
    rc = gle_data_open(&s->data, set, exp->dataset.params, exp->validation, &context, err);
    gle_bar_clear(&s->bar);
    if (rc) {
        const bool fraction = !strcmp(err->path, GLE_DATA_VALIDATION);
        gle_node_place(err, fraction ? exp->src : exp->dataset.src, fraction ? GLE_DATA_VALIDATION : NULL);
        return -1;
    }
    s->report.data = s->data;
    return 0;
}

/* Opens what the run may take beside the processors, before data are read. */
static int open_device(struct session *s, struct gle_error *err)
{
    char former[GLE_MAKER_DEVICE + 1];
    const struct gle_auto may = {.looks = s->how->races, .resumes = *s->former != '\0', .former = former};

    gle_provenance_device_name(former, s->former);
    if (gle_accelerator_open(&s->fleet, s->how->accelerator, s->report.exp, &may, err))
        return -1;
    s->aside = !s->fleet;
    if (s->aside)
        gle_accelerator_leave(s->how->accelerator);
    return 0;
}

/* Takes a backend. A device that `auto` leaves is closed, since it holds memory and threads. */
static int choose_backend(struct session *s, size_t threads, struct gle_error *err)
{
    struct gle_accelerator *a = s->how->accelerator;
    const struct gle_candidate candidate = {
        .fleet = s->fleet,
        .why = a->why,
        .taken = s->fleet && !a->is_shared ? gle_device_get_taken(gle_fleet_device(s->fleet)) : 0.0, /* else it fits */
        .races = s->report.exp->backend == GLE_BACKEND_AUTO && s->how->races && !*s->former};

    if (gle_choice_make(&s->choice, &candidate, s->graph, s->data, threads, err))
        return -1;
    if (s->fleet && !s->choice.fleet)
        gle_accelerator_drop(a);
    s->fleet = s->choice.fleet;
    if (!s->how->options->quiet)
        gle_choice_tell(s->how->err, &s->choice);
    return 0;
}

static int open_session(struct session *s, struct gle_error *err)
{
    const struct gle_experiment *exp = s->report.exp;
    const size_t threads = gle_limits_threads(s->how->threads);
    struct gle_graph_options options;

    if ((!s->how->comm && open_device(s, err)) || open_data(s, err))
        return -1;
    if (gle_train_check(exp, s->data, err) ||
        (s->how->comm && gle_train_check_ranks(exp, s->data, s->how->comm->size, err)))
        return -1;
    options = gle_train_options(exp, s->data);
    if (gle_graph_build(&s->graph, exp, &options, err) || choose_backend(s, threads, err))
        return -1;
    if (gle_net_build(&s->net, s->graph, s->how->threads, err))
        return -1;
    if (gle_net_threads(s->net) > threads)
        return gle_fail(err, GLE_ENOMEM, "only %zu of %zu threads can be made; --threads %zu does with so many",
                        threads, gle_net_threads(s->net), threads);
    if (s->fleet && gle_net_move(s->net, s->fleet, err))
        return -1;
    if (s->how->comm && s->how->options->action == GLE_RUN && gle_net_spread(s->net, s->how->comm, err))
        return -1;
    if (!s->how->options->quiet)
        gle_notes_print(s->how->err, exp, s->data, s->how->again);
    return 0;
}

/* A device that has failed is good for nothing else: the next run opens it anew. */
static void close_session(struct session *s, const struct gle_error *err)
{
    gle_recorder_discard(s->recorder);
    gle_report_release(&s->report);
    gle_metrics_clear(&s->metrics);
    gle_net_destroy(s->net);
    gle_graph_destroy(s->graph);
    gle_data_close(s->data);
    if (err->code == GLE_EDEVICE)
        gle_accelerator_fail(s->how->accelerator);
    if (s->aside)
        gle_accelerator_enter(s->how->accelerator);
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

    if (!s->begun && !gle_report_resumes(&s->report) && gle_report_remove_checkpoint(&s->report, &unwritten))
        return;
    if (!s->begun || gle_report_replaces(&s->report))
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

    if (gle_metrics_init(&s->metrics, s->graph->exp, s->data, err) ||
        (leads(s) && gle_report_begin(&s->report, how, err)) || open_recorder(s, err))
        return -1;
    gle_checkpoint_start(&s->checkpoint, &s->report, s->recorder);
    return 0;
}

/* A run that diverged says round which loop errors may have grown, if there is any. */
static void name_loop(struct session *s, struct gle_error *err)
{
    char why[sizeof err->text], loop[400];

    gle_loops_explain(loop, sizeof loop, s->net);
    snprintf(why, sizeof why, "%.*s%s", (int)(sizeof why - sizeof loop), err->text, loop);
    snprintf(s->metrics.message, sizeof s->metrics.message, "%s", why);
    *err = (struct gle_error){0};
    gle_fail(err, GLE_EDIVERGED, "%s", why);
}

/* Trains, and writes the report however it ends. */
static int train(struct session *s, struct gle_provenance *provenance, struct gle_error *err)
{
    const bool quiet = s->how->options->quiet;
    const bool records = s->report.exp->record.every > 0, is_first = leads(s); /* also when it has parted from others */
    struct gle_observer observer = {.ctx = s,
                                    .stage = on_stage,
                                    .evaluated = on_evaluated,
                                    .progress = on_progress,
                                    .moment = records ? on_moment : NULL,
                                    .window = records ? on_window : NULL,
                                    .pause = on_pause};
    struct gle_error write_err = {0};
    const double start = gle_clock();
    bool resumes;
    int rc;

    s->report.graph = s->graph;
    s->report.provenance = provenance;
    rc = open_run(s, err);
    if (gle_together(s->how->comm, rc, err))
        return -1;
    resumes = leads(s) && gle_report_resumes(&s->report);
    if (gle_together_follow(s->how->comm, &resumes, err))
        return -1;
    if (resumes)
        observer.resume = on_resume;
    gle_bar_start(&s->bar, s->graph->exp, quiet || s->progress >= 0);
    rc = gle_train(&s->metrics, s->net, s->graph, s->data, s->fleet, &observer, s->how->stop, err);
    gle_bar_clear(&s->bar);
    if (rc && err->code == GLE_EDIVERGED)
        name_loop(s, err);
    if (rc && err->code != GLE_EDIVERGED) {
        if (s->how->comm && !s->agreed) /* the others wait in a step, and mpirun ends them */
            gle_comm_end(s->how->comm, false);
        if (is_first)
            report_failure(s, err);
        return -1;
    }
    if (!is_first)
        return rc;
    gle_provenance_now(provenance->end);
    if (write_all(s, &write_err)) {
        if (rc)
            gle_show_error(s->how->err, err);
        *err = write_err;
        report_failure(s, err);
        return -1;
    }
    if (!quiet)
        gle_outcome_print(s->how->out, &s->report, &s->metrics, gle_clock() - start);
    gle_outcome_warn(s->how->err, &s->report, &s->metrics, s->net);
    return rc;
}

/* A network that diverges while its steps are measured, which may be more steps than the run has, is shown without
 * times. It is an error where the run has as many steps. Of ranks, each measures it by itself. */
static int dry_run(struct session *s, struct gle_error *err)
{
    const double seconds = s->how->comm ? 0.2 : 0.5; /* ranks measure more */
    struct gle_costs costs;
    uint64_t wild;
    double record;
    int rc;

    if (gle_recorder_measure(&record, s->graph, err))
        return -1;
    rc = gle_train_measure(&costs, s->net, s->graph, s->data, s->fleet, seconds, 0.0, err);
    rc = gle_together(s->how->comm, rc, err);
    if (rc && err->code != GLE_EDIVERGED)
        return -1;
    wild = gle_net_get_place(s->net).steps - 1; /* the last step, if that diverged */
    if (leads(s))
        gle_show_plan(s->graph, s->data, &(struct gle_plan_place){.device = s->fleet ? &s->choice.info : NULL,
                                                                  .considered = &s->choice.info,
                                                                  .room = s->choice.has_room ? &s->choice.room : NULL,
                                                                  .threads = gle_net_threads(s->net)},
                      rc ? NULL : &costs, wild, record);
    if (rc && (double)wild >= gle_train_steps(s->graph->exp, s->data)) {
        *err = (struct gle_error){0};
        return 0;
    }
    if (rc)
        name_loop(s, err);
    return rc || !s->how->comm
               ? rc
               : gle_forecast_rows(s->how->comm, s->graph, s->data, gle_net_threads(s->net), err);
}

int gle_session_hash_data(char sha256[65], const struct gle_experiment *exp, const struct gle_session_how *how,
                          struct gle_error *err)
{
    struct session s = {.report = gle_report_of(exp), .how = how, .progress = NOBODY};
    const int rc = open_data(&s, err);

    if (!rc)
        memcpy(sha256, s.data->sha256, sizeof s.data->sha256);
    close_session(&s, err);
    return rc;
}

int gle_session_estimate(double *estimate, const struct gle_experiment *exp, const struct gle_session_how *how,
                         double seconds, struct gle_error *err)
{
    struct session s = {.report = gle_report_of(exp), .how = how, .progress = NOBODY};
    struct gle_costs costs;
    int rc = open_session(&s, err);

    rc = rc ? rc : gle_train_measure(&costs, s.net, s.graph, s.data, s.fleet, seconds, 0.0, err);
    if (!rc)
        gle_train_estimate(estimate, &costs, exp, s.data);
    close_session(&s, err);
    return rc ? -1 : 0;
}

/* What an experiment takes of a device, on these data; nothing, if it does not fit them, which its run will say. */
static struct gle_net_room room_of(const struct gle_experiment *exp, const struct gle_data *data,
                                   const struct gle_device_info *device)
{
    const struct gle_graph_options options = gle_train_options(exp, data);
    struct gle_net_room room = {0};
    struct gle_graph *graph = NULL;
    struct gle_error unsaid = {0};

    if (gle_train_check(exp, data, &unsaid) || gle_graph_build(&graph, exp, &options, &unsaid) ||
        gle_train_measure_room(&room, graph, data, device, &unsaid))
        room = (struct gle_net_room){0};
    gle_graph_destroy(graph);
    return room;
}

int gle_session_fit(size_t *n_fit, const struct gle_experiment *const *exps, size_t n,
                    const struct gle_session_how *how, struct gle_error *err)
{
    struct session s = {.report = gle_report_of(exps[0]), .how = how, .progress = NOBODY};
    int rc = gle_accelerator_open(&s.fleet, how->accelerator, exps[0], &(struct gle_auto){0}, err) ||
             (s.fleet && open_data(&s, err));

    *n_fit = SIZE_MAX;
    for (size_t i = 0; i < n && !rc && s.fleet; i++) {
        const struct gle_device_info *device = gle_device_info(gle_fleet_device(s.fleet));
        const struct gle_net_room room = room_of(exps[i], s.data, device);
        const size_t fit = room.each > 0.0 ? gle_net_room_for(&room, device, 0.0) : SIZE_MAX;
        *n_fit = fit < *n_fit ? fit : *n_fit;
    }
    *n_fit = *n_fit ? *n_fit : 1;
    close_session(&s, err);
    return rc ? -1 : 0;
}

bool gle_session_keeps(const struct gle_options *o, const struct gle_experiment *exp)
{
    return !o->force && (o->resume || o->n_seeds || exp->sweep.label);
}

/* Whether the run is there already and kept. Errors: also GLE_EDATA, where it was made of other data than there are
 * now, and GLE_EDIVERGED, where that is how it ended. */
static int is_there(bool *there, struct session *s, const struct gle_options *o, struct gle_error *err)
{
    struct gle_report *report = &s->report;
    char what[GLE_DIFFERENCE];
    enum gle_found found;

    *there = false;
    if (o->action != GLE_RUN || !gle_session_keeps(o, report->exp))
        return 0;
    if (gle_report_find(&found, what, report, err))
        return -1;
    if (found == GLE_FOUND_DIVERGED)
        return gle_fail(err, GLE_EDIVERGED, "it has diverged before; --force runs it again");
    *there = found == GLE_FOUND_COMPLETED;
    if (*there && ((!s->how->inputs && open_data(s, err)) || gle_report_check_inputs(report, s->how->inputs, err) ||
                   gle_report_remove_checkpoint(report, err)))
        return -1;
    if (*there && !o->quiet)
        fprintf(s->how->out, "%s/metrics.json: there already\n", report->dir);
    return 0;
}

/* Takes hold of the run's directory; for one that is to be resumed, another process may need a moment to let it go. */
static int hold(struct session *s, struct gle_error *err)
{
    static const struct timespec NAP = {0, 50 * 1000000L};
    const double end = gle_clock() + (s->how->options->resume ? ORPHAN_SECONDS : 0.0);
    const volatile sig_atomic_t *stop = s->how->stop;
    struct gle_error held = {0};

    while (gle_report_hold(&s->report, &held) && gle_clock() < end && !(stop && *stop)) {
        nanosleep(&NAP, NULL);
        held = (struct gle_error){0};
    }
    if (!held.code && s->report.stale[0] && !s->how->options->quiet)
        fprintf(s->how->err, "glesim: %s: its file lock is that of %s, which is no more: taken away\n", s->report.dir,
                s->report.stale);
    return held.code ? gle_fail(err, held.code, "%s", held.text) : 0;
}

/* Before data are read: the run's directory is taken hold of. */
static int begin(struct session *s, bool *there, struct gle_error *err)
{
    const struct gle_options *o = s->how->options;
    const struct gle_experiment *exp = s->report.exp;
    const bool trains = o->action == GLE_RUN;
    int rc = 0;

    if (leads(s))
        rc = (trains && hold(s, err)) || is_there(there, s, o, err) ||
             (trains && o->resume && exp->backend == GLE_BACKEND_AUTO && !s->how->comm &&
              gle_checkpoint_maker(s->former, &s->report, err));
    return gle_together(s->how->comm, rc ? -1 : 0, err) || gle_together_follow(s->how->comm, there, err) ? -1 : 0;
}

int gle_session_run(const struct gle_experiment *exp, const struct gle_session_how *how, struct gle_error *err)
{
    struct session s = {.report = gle_report_of(exp), .how = how, .progress = how->progress};
    const bool trains = how->options->action == GLE_RUN;
    struct gle_provenance provenance;
    bool there = false;
    int rc;

    gle_provenance_collect(&provenance, how->command);
    s.report.anywhere = how->options->anywhere;
    if (how->comm)
        provenance.ranks = how->comm->size;
    rc = gle_report_dir(s.report.dir, sizeof s.report.dir, how->options->output, exp, err) || begin(&s, &there, err);
    if (!rc && !there) {
        rc = open_session(&s, err);
        rc = gle_together(how->comm, rc, err);
    }
    if (!rc && !there) {
        provenance.threads = gle_net_threads(s.net);
        gle_choice_report(&provenance, &s.choice);
        rc = trains ? train(&s, &provenance, err) : dry_run(&s, err);
    }
    close_session(&s, err);
    gle_provenance_clear(&provenance);
    if (rc && err->code == GLE_EDIVERGED)
        gle_error_place(err, s.report.dir, 0, 0, NULL);
    return rc ? -1 : 0;
}
