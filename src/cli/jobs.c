#include "cli/jobs.h"
#include "base/memory.h"
#include "cli/crews.h"
#include "cli/ranks.h"
#include "cli/signals.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { POLL_MS = 200, POLL_MS_RANKS = 20 };

struct text {
    char *bytes;
    size_t n;
};

/* A run that is going on, here or on another rank. */
struct child {
    bool used;
    size_t job, rank;
    struct text out, err;
    struct gle_job_progress progress; /* the latest */
    bool told;                        /* there is one */
    struct gle_score score[GLE_SCORES]; /* the latest of each */
};

/* What a rank is busy with. */
struct place {
    size_t at_once;   /* as in the jobs, or fewer, where the system does not give more */
    size_t n_running;
};

struct state {
    const struct gle_jobs *jobs;
    struct gle_job_end *ends;
    struct gle_bar *bar;
    struct gle_crews *crews;
    struct gle_ranks *ranks; /* NULL: there are no others */
    size_t n_places;
    struct place *places;   /* (n_places) */
    struct child *children; /* (most) */
    size_t most;
    size_t n; /* runs that are not left out */
    size_t next, n_done, n_failed, n_running;
    double made; /* of all work, by runs that are over; what was there before does not count */
    bool told; /* the signal has been handed on */
    bool broken;
};

/* --- beginning --- */

/* Where the system has no room for another process, beside those that are running, these go on, and no more than so
 * many from then on. */
static int refuse_start(struct state *s, int number, struct gle_error *err)
{
    struct place *here = &s->places[0];

    if (!s->n_running)
        return gle_fail(err, GLE_ENOMEM, "no process for another run: %s", strerror(number));
    here->at_once = here->n_running;
    gle_bar_clear(s->bar);
    fprintf(stderr, "glesim: %zu run%s at a time from here on, no process for another: %s\n", here->at_once,
            here->at_once == 1 ? "" : "s", strerror(number));
    return 0;
}

static struct child *free_child(const struct state *s)
{
    size_t i = 0;

    while (s->children[i].used)
        i++;
    return &s->children[i];
}

/* The next n runs are made by a rank. */
static int start(struct state *s, size_t rank, size_t n, struct gle_error *err)
{
    const int number = rank ? 0 : gle_crews_start(s->crews, s->next, n);

    if (number)
        return refuse_start(s, number, err);
    if (rank && gle_ranks_start(s->ranks, rank, s->next, n, err))
        return -1;
    for (size_t i = 0; i < n; i++)
        *free_child(s) = (struct child){.used = true, .job = s->next++, .rank = rank};
    s->places[rank].n_running += n;
    s->n_running += n;
    return 0;
}

/* --- what comes of it --- */

/* Nobody tells of a run that has ended. */
static struct child *child_of(const struct state *s, size_t job)
{
    for (size_t i = 0; i < s->most; i++)
        if (s->children[i].used && s->children[i].job == job)
            return &s->children[i];
    return NULL;
}

/* Kept for the end of the run; what there is no room for is shown at once. */
static void add_text(struct text *t, const char *bytes, size_t n, FILE *shown)
{
    enum { BYTES_MAX = 1 << 20 };
    char *longer = t->n + n < BYTES_MAX ? gle_resize(t->bytes, t->n + n + 1, 1) : NULL;

    if (!longer) {
        fwrite(bytes, 1, n, shown);
        return;
    }
    t->bytes = longer;
    memcpy(longer + t->n, bytes, n);
    t->n += n;
    longer[t->n] = '\0';
}

static void on_text(void *ctx, size_t job, bool is_error, const char *bytes, size_t n)
{
    struct child *c = child_of(ctx, job);

    if (c)
        add_text(is_error ? &c->err : &c->out, bytes, n, is_error ? stderr : stdout);
}

static void on_progress(void *ctx, size_t job, const struct gle_job_progress *told)
{
    struct child *c = child_of(ctx, job);

    if (!c)
        return;
    c->progress = *told;
    c->told = true;
    for (int split = 0; split < GLE_SCORES; split++)
        if (told->score[split].measured)
            c->score[split] = told->score[split];
}

/* Shows lines, each after the run's name. */
static void show_lines(FILE *to, const char *name, const char *lines)
{
    while (lines && *lines) {
        const int n = (int)strcspn(lines, "\n");
        fprintf(to, "%s: %.*s\n", name, n, lines);
        lines += n + (lines[n] == '\n');
    }
}

/* The end of a run; why: what it could not say itself, "": nothing. */
static void finish(struct state *s, struct child *c, int code, const char *why)
{
    struct gle_job_end *end = &s->ends[c->job];
    const char *errors = c->err.bytes ? c->err.bytes : "";
    char name[160];

    end->code = code;
    if (why[0])
        snprintf(end->message, sizeof end->message, "%s", why);
    else if (code)
        snprintf(end->message, sizeof end->message, "%.*s", (int)strcspn(errors, "\n"), errors);
    s->jobs->name(s->jobs->ctx, c->job, name, sizeof name);
    gle_bar_clear(s->bar);
    show_lines(stderr, name, errors);
    if (why[0])
        fprintf(stderr, "%s: %s\n", name, why);
    if (!s->bar->quiet)
        show_lines(stdout, name, c->out.bytes);
    fflush(stdout);
    gle_free(c->out.bytes);
    gle_free(c->err.bytes);
    s->made += c->told ? 1.0 - c->progress.begun : 0.0;
    s->places[c->rank].n_running--;
    s->n_running--;
    s->n_done += code >= 0;
    s->n_failed += code > 0;
    *c = (struct child){.used = false};
}

static void on_end(void *ctx, size_t job, const struct gle_run_end *end)
{
    struct state *s = ctx;
    struct child *c = child_of(s, job);
    char why[128] = "";

    if (end->number)
        snprintf(why, sizeof why, "nobody can tell how it ended: %s", strerror(end->number));
    else if (end->killed)
        snprintf(why, sizeof why, "killed by signal %d", end->killed);
    if (c)
        finish(s, c, end->code, why);
}

static void on_refused(void *ctx, size_t rank, const char *why)
{
    const struct state *s = ctx;

    gle_bar_clear(s->bar);
    fprintf(stderr, "glesim: rank %zu on %s takes no runs: %s\n", rank, s->jobs->comm->peers[rank].host, why);
}

/* What it was making may be gone on with later. */
static void on_lost(void *ctx, size_t rank)
{
    enum { CODE = 5 };
    struct state *s = ctx;
    const char *host = s->jobs->comm->peers[rank].host;
    char why[160];

    snprintf(why, sizeof why, "rank %zu on %s was lost; --resume goes on", rank, host);
    if (!s->places[rank].n_running) {
        gle_bar_clear(s->bar);
        fprintf(stderr, "glesim: rank %zu on %s was lost, which was making no run\n", rank, host);
    }
    for (size_t i = 0; i < s->most; i++)
        if (s->children[i].used && s->children[i].rank == rank)
            finish(s, &s->children[i], CODE, why);
}

static void on_stopped(void *ctx, int number)
{
    const struct state *s = ctx;

    if (!*s->jobs->stop)
        raise(number);
}

/* --- all of them --- */

/* The mean of what is known of a split. */
static struct gle_score mean_score(const struct state *s, int split)
{
    struct gle_score mean = {0};
    double n = 0.0, n_labelled = 0.0, n_valued = 0.0;

    for (size_t i = 0; i < s->most; i++) {
        const struct gle_score *of = &s->children[i].score[split];
        if (!s->children[i].used || !of->measured)
            continue;
        mean.measured = true;
        mean.loss += of->loss;
        n += 1.0;
        if (!isnan(of->accuracy)) {
            mean.accuracy += of->accuracy;
            n_labelled += 1.0;
        }
        if (!isnan(of->nrmse)) {
            mean.nrmse += of->nrmse;
            n_valued += 1.0;
        }
    }
    mean.loss /= n;
    mean.accuracy /= n_labelled; /* NaN of none */
    mean.nrmse /= n_valued;
    return mean;
}

static void show(struct state *s)
{
    struct gle_jobs_progress p = {.n = s->n, .n_done = s->n_done, .n_failed = s->n_failed,
                                  .n_running = s->n_running, .done = (double)s->n_done, .made = s->made};

    for (size_t i = 0; i < s->most; i++) {
        const struct gle_job_progress *of = &s->children[i].progress;
        if (!s->children[i].told)
            continue;
        p.done += of->done;
        p.made += of->done - of->begun;
        p.by_phases = of->by_phases;
    }
    p.done /= (double)s->n;
    p.made /= (double)s->n;
    for (int split = 0; split < GLE_SCORES; split++)
        p.score[split] = mean_score(s, split);
    gle_bar_jobs(s->bar, &p);
}

static void hand_on(const struct state *s, int number)
{
    gle_crews_signal(s->crews, number);
    if (s->ranks)
        gle_ranks_signal(s->ranks, number);
}

/* Waits a little for whatever comes first. */
static void listen_to_all(struct state *s)
{
    const struct gle_crews_events runs = {.text = on_text, .progress = on_progress, .end = on_end, .ctx = s};
    const struct gle_ranks_events ranks = {
        .runs = &runs, .refused = on_refused, .lost = on_lost, .stopped = on_stopped, .ctx = s};

    if (gle_crews_must_rest(s->crews)) { /* Ctrl-Z */
        gle_bar_clear(s->bar);
        gle_crews_rest(s->crews);
    }
    gle_crews_listen(s->crews, &runs, s->ranks ? POLL_MS_RANKS : POLL_MS);
    if (s->ranks)
        gle_ranks_listen(s->ranks, &ranks);
}

/* The runs that begin together with the next one. */
static size_t crew_of(const struct gle_jobs *jobs, size_t i)
{
    return jobs->crew ? jobs->crew(jobs->ctx, i) : 1;
}

/* Whether there is anything to start, when there is room for it. */
static bool may_start(const struct state *s)
{
    return s->next < s->jobs->n && !*s->jobs->stop && !s->broken;
}

/* The rank with the least to do of those that have room for a crew; n_places: none has. */
static size_t find_place(const struct state *s, size_t crew)
{
    size_t found = s->n_places;

    for (size_t r = 0; r < s->n_places; r++) {
        const struct place *p = &s->places[r];
        if (p->at_once && (!p->n_running || p->n_running + crew <= p->at_once) &&
            (!r || gle_ranks_ready(s->ranks, r)) && (found == s->n_places || p->n_running < s->places[found].n_running))
            found = r;
    }
    return found;
}

static bool is_skipped(const struct gle_jobs *jobs, size_t i)
{
    return jobs->skip && jobs->skip(jobs->ctx, i);
}

static void pass_skipped(struct state *s)
{
    while (s->next < s->jobs->n && is_skipped(s->jobs, s->next))
        s->next++;
}

/* Starts as much as there is room for. */
static void start_some(struct state *s, struct gle_error *err)
{
    size_t before;

    do {
        const size_t crew = may_start(s) ? crew_of(s->jobs, s->next) : 0, place = find_place(s, crew);
        before = s->n_running;
        if (crew && place < s->n_places)
            s->broken = start(s, place, crew, err);
        pass_skipped(s);
    } while (s->n_running > before);
}

static int run_all(struct state *s, struct gle_error *err)
{
    const struct gle_jobs *jobs = s->jobs;

    for (size_t i = 0; i < jobs->n; i++)
        s->n += !is_skipped(jobs, i);
    pass_skipped(s);
    while (s->n_running || may_start(s)) {
        start_some(s, err);
        if ((*jobs->stop || s->broken) && !s->told) {
            hand_on(s, *jobs->stop ? (int)*jobs->stop : SIGTERM);
            s->told = true;
        }
        listen_to_all(s);
        show(s);
    }
    return s->broken ? -1 : 0;
}

/* How many runs can be going on at a time. */
static size_t count_most(const struct gle_jobs *jobs, size_t n_places)
{
    size_t each = jobs->at_once;

    for (size_t i = 0, crew; i < jobs->n; i += crew) {
        crew = crew_of(jobs, i);
        each = crew > each ? crew : each;
    }
    return each * n_places;
}

int gle_jobs_run(const struct gle_jobs *jobs, struct gle_job_end *ends, struct gle_bar *bar, struct gle_error *err)
{
    const size_t n_places = jobs->comm ? jobs->comm->size : 1, most = count_most(jobs, n_places);
    struct state s = {.jobs = jobs, .ends = ends, .bar = bar, .n_places = n_places, .most = most};
    int rc;

    for (size_t i = 0; i < jobs->n; i++)
        ends[i] = (struct gle_job_end){.code = -1};
    s.crews = gle_crews_create(jobs, most);
    s.ranks = n_places > 1 ? gle_ranks_create(jobs) : NULL;
    s.places = gle_calloc(n_places, sizeof *s.places);
    s.children = gle_calloc(most, sizeof *s.children);
    if (s.crews && (s.ranks || n_places == 1) && s.places && s.children) {
        for (size_t r = 0; r < n_places; r++)
            s.places[r].at_once = jobs->at_once;
        gle_signals_remember_stops(true);
        rc = run_all(&s, err);
        gle_signals_remember_stops(false);
    } else {
        rc = gle_fail(err, GLE_ENOMEM, "no memory for %zu runs side by side", jobs->at_once);
    }
    gle_bar_clear(bar);
    gle_crews_destroy(s.crews);
    gle_ranks_destroy(s.ranks);
    gle_free(s.places);
    gle_free(s.children);
    return rc;
}
