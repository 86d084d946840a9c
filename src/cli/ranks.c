#include "cli/ranks.h"
#include "base/clock.h"
#include "base/memory.h"
#include "cli/signals.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* What a message is. */
enum tag {
    READY,    /* k to 0: struct ready */
    ALIVE,    /* both ways, now and then */
    TEXT,     /* k to 0: struct about, and what a run has written */
    PROGRESS, /* struct about, struct gle_job_progress */
    ENDED,    /* struct about, struct gle_run_end */
    STOPPED,  /* int: a signal that has come to this rank */
    START,    /* 0 to k: struct start */
    STOP,     /* int: the signal */
    ASK,      /* nothing more: whether the rank is there */
    HERE,     /* k to 0: it is, at once */
    LEAVE,    /* bool: whether all ranks part together */
    TOGETHER, /* nothing more: the only run begins, on all ranks */
};

struct ready {
    uint64_t plan; /* see struct gle_jobs */
    char problem[512];
};

struct about {
    uint64_t job;
    uint64_t is_error; /* of text: it was written to standard error */
};

struct start {
    uint64_t first, n;
};

static const double ALIVE_SECONDS = 1.0;   /* between two words that say no more than that */
static const double SILENCE_SECONDS = 60.0; /* after which a rank is taken to be lost */
enum { POLL_MS = 20 };

/* Time for which nothing was heard. One step of it is short, so that it does not pass while this process is stopped. */
struct silence {
    double seconds, last;
};

static bool is_long(struct silence *s, double now)
{
    const double passed = now - s->last;

    s->seconds += passed < ALIVE_SECONDS ? passed : ALIVE_SECONDS;
    s->last = now;
    return s->seconds > SILENCE_SECONDS;
}

/* Reads an object that begins a message; false: the message is shorter. */
static bool read_head(void *head, size_t size, const struct gle_comm_message *m)
{
    if (m->n < size)
        return false;
    memcpy(head, m->bytes, size);
    return true;
}

/* What cannot be sent is missed; by its end, or its silence, each side learns that the other is lost. */
static void send_any(struct gle_comm *comm, size_t to, int tag, const void *bytes, size_t n)
{
    struct gle_error unsent = {0};
    const int rc = gle_comm_send(comm, to, tag, bytes, n, &unsent);

    (void)rc;
}

/* --- rank 0 --- */

struct other {
    bool ready, lost;
    size_t n_running;
    struct silence silence;
};

struct gle_ranks {
    const struct gle_jobs *jobs;
    struct gle_comm *comm;
    struct other *others; /* (ranks); that of rank 0 stays empty */
    double told;          /* when it was said last that this one is alive */
};

struct gle_ranks *gle_ranks_create(const struct gle_jobs *jobs)
{
    struct gle_ranks *ranks = gle_calloc(1, sizeof *ranks);
    struct other *others = gle_calloc(jobs->comm->size, sizeof *others);

    if (!ranks || !others) {
        gle_free(ranks);
        gle_free(others);
        return NULL;
    }
    *ranks = (struct gle_ranks){.jobs = jobs, .comm = jobs->comm, .others = others};
    return ranks;
}

void gle_ranks_destroy(struct gle_ranks *ranks)
{
    if (ranks)
        gle_free(ranks->others);
    gle_free(ranks);
}

bool gle_ranks_ready(const struct gle_ranks *ranks, size_t rank)
{
    return ranks->others[rank].ready && !ranks->others[rank].lost;
}

int gle_ranks_start(struct gle_ranks *ranks, size_t rank, size_t first, size_t n, struct gle_error *err)
{
    struct other *o = &ranks->others[rank];
    const struct start start = {.first = first, .n = n};

    if (!o->n_running)
        o->silence = (struct silence){.last = gle_clock()};
    o->n_running += n;
    return gle_comm_send(ranks->comm, rank, START, &start, sizeof start, err);
}

static void hear_ready(struct gle_ranks *ranks, const struct gle_comm_message *m, const struct gle_ranks_events *events)
{
    struct ready ready;

    if (!read_head(&ready, sizeof ready, m))
        return;
    if (ready.problem[0]) {
        ready.problem[sizeof ready.problem - 1] = '\0';
        events->refused(events->ctx, m->from, ready.problem);
    } else if (ready.plan != ranks->jobs->plan) {
        events->refused(events->ctx, m->from, "it has read another config than rank 0");
    } else {
        ranks->others[m->from].ready = true;
    }
}

static void hear_end(struct gle_ranks *ranks, size_t rank, size_t job, const struct gle_comm_message *body,
                     const struct gle_crews_events *events)
{
    struct gle_run_end end;

    if (!read_head(&end, sizeof end, body))
        return;
    ranks->others[rank].n_running -= ranks->others[rank].n_running > 0;
    events->end(events->ctx, job, &end);
}

/* About a run. */
static void hear_of_run(struct gle_ranks *ranks, const struct gle_comm_message *m,
                        const struct gle_crews_events *events)
{
    struct gle_comm_message body = *m;
    struct gle_job_progress progress;
    struct about about;

    if (!read_head(&about, sizeof about, m) || about.job >= ranks->jobs->n)
        return;
    body.bytes = (const char *)m->bytes + sizeof about;
    body.n -= sizeof about;
    if (m->tag == TEXT)
        events->text(events->ctx, (size_t)about.job, about.is_error, body.bytes, body.n);
    else if (m->tag == ENDED)
        hear_end(ranks, m->from, (size_t)about.job, &body, events);
    else if (m->tag == PROGRESS && read_head(&progress, sizeof progress, &body))
        events->progress(events->ctx, (size_t)about.job, &progress);
}

static void look_for_lost(struct gle_ranks *ranks, const struct gle_ranks_events *events)
{
    const double now = gle_clock();

    for (size_t r = 1; r < ranks->comm->size; r++) {
        struct other *o = &ranks->others[r];
        const bool silent = (o->ready || o->n_running) && is_long(&o->silence, now);
        if (o->lost || !(silent || gle_comm_is_lost(ranks->comm, r)))
            continue;
        o->lost = true;
        gle_comm_give_up(ranks->comm, r);
        events->lost(events->ctx, r);
    }
}

void gle_ranks_listen(struct gle_ranks *ranks, const struct gle_ranks_events *events)
{
    const double now = gle_clock();
    struct gle_comm_message m;
    int number;

    while (gle_comm_receive(ranks->comm, &m)) {
        struct other *o = &ranks->others[m.from];
        o->silence = (struct silence){.last = now};
        if (o->lost)
            continue;
        if (m.tag == READY)
            hear_ready(ranks, &m, events);
        else if (m.tag == STOPPED && read_head(&number, sizeof number, &m))
            events->stopped(events->ctx, number);
        else
            hear_of_run(ranks, &m, events->runs);
    }
    look_for_lost(ranks, events);
    if (now - ranks->told < ALIVE_SECONDS)
        return;
    ranks->told = now;
    for (size_t r = 1; r < ranks->comm->size; r++)
        if (!ranks->others[r].lost)
            send_any(ranks->comm, r, ALIVE, NULL, 0);
}

/* Why the run cannot be made by all. */
static void on_refused(void *ctx, size_t rank, const char *why)
{
    gle_fail(ctx, GLE_EUSAGE, "rank %zu does not take part: %s", rank, why);
}

static void on_lost(void *ctx, size_t rank)
{
    gle_fail(ctx, GLE_EDEVICE, "rank %zu was lost before the run began", rank);
}

static void on_stopped(void *ctx, int number)
{
    (void)ctx;
    raise(number);
}

int gle_ranks_join(struct gle_ranks *ranks, struct gle_error *err)
{
    static const struct timespec NAP = {0, 2 * 1000000L};
    const struct gle_crews_events none = {0}; /* nobody makes a run yet */
    const struct gle_ranks_events events = {
        .runs = &none, .refused = on_refused, .lost = on_lost, .stopped = on_stopped, .ctx = err};
    size_t n_ready = 1;

    while (n_ready < ranks->comm->size) {
        gle_ranks_listen(ranks, &events);
        if (err->code)
            return -1;
        if (*ranks->jobs->stop)
            return gle_fail(err, GLE_ESTOPPED, "stopped by a signal before all ranks were there");
        n_ready = 1;
        for (size_t r = 1; r < ranks->comm->size; r++)
            n_ready += gle_ranks_ready(ranks, r);
        nanosleep(&NAP, NULL);
    }
    for (size_t r = 1; r < ranks->comm->size; r++)
        if (gle_comm_send(ranks->comm, r, TOGETHER, NULL, 0, err))
            return -1;
    return 0;
}

void gle_ranks_signal(struct gle_ranks *ranks, int number)
{
    for (size_t r = 1; r < ranks->comm->size; r++)
        if (!ranks->others[r].lost)
            send_any(ranks->comm, r, STOP, &number, sizeof number);
}

/* Whether all other ranks are there: each is asked. What it has sent before is no answer. */
static bool are_all_there(struct gle_comm *comm)
{
    static const struct timespec NAP = {0, 2 * 1000000L};
    struct silence silence = {.last = gle_clock()};
    struct gle_comm_message m;
    bool all = true;
    size_t n = 1;

    for (size_t r = 1; r < comm->size; r++)
        send_any(comm, r, ASK, NULL, 0);
    while (all && n < comm->size) {
        while (gle_comm_receive(comm, &m))
            n += m.tag == HERE;
        for (size_t r = 1; r < comm->size; r++)
            all = all && !gle_comm_is_lost(comm, r);
        all = all && !is_long(&silence, gle_clock());
        nanosleep(&NAP, NULL);
    }
    return all;
}

void gle_ranks_dismiss(struct gle_comm *comm)
{
    const bool together = are_all_there(comm);

    for (size_t r = 1; r < comm->size; r++)
        send_any(comm, r, LEAVE, &together, sizeof together);
    gle_comm_end(comm, together);
}

/* --- the others --- */

struct server {
    struct gle_comm *comm;
    struct gle_crews *crews;
    bool left, alone; /* rank 0 has let go of this one; it is lost */
    bool together;
    bool heard;            /* of rank 0, whose silence is told from when */
    struct silence silence;
    double told;
};

static void send_about(struct server *s, int tag, const struct about *about, const void *bytes, size_t n)
{
    char text[sizeof *about + 4096]; /* as much as comes from a pipe at once */

    if (n > sizeof text - sizeof *about)
        n = sizeof text - sizeof *about;
    memcpy(text, about, sizeof *about);
    memcpy(text + sizeof *about, bytes, n);
    send_any(s->comm, 0, tag, text, sizeof *about + n);
}

static void send_text(void *ctx, size_t job, bool is_error, const char *bytes, size_t n)
{
    struct server *s = ctx;

    if (s->alone)
        fwrite(bytes, 1, n, is_error ? stderr : stdout);
    else
        send_about(s, TEXT, &(struct about){.job = job, .is_error = is_error}, bytes, n);
}

static void send_progress(void *ctx, size_t job, const struct gle_job_progress *progress)
{
    struct server *s = ctx;

    if (!s->alone)
        send_about(s, PROGRESS, &(struct about){.job = job}, progress, sizeof *progress);
}

static void send_end(void *ctx, size_t job, const struct gle_run_end *end)
{
    struct server *s = ctx;

    if (!s->alone)
        send_about(s, ENDED, &(struct about){.job = job}, end, sizeof *end);
}

/* Runs that are not begun here after all. */
static void send_back(struct server *s, const struct start *start, int number)
{
    const struct gle_run_end end = {.code = number ? 5 : -1};
    char text[256];

    snprintf(text, sizeof text, "glesim: no process for another run: %s\n", strerror(number));
    for (uint64_t i = 0; i < start->n; i++) {
        if (number)
            send_text(s, (size_t)(start->first + i), true, text, strlen(text));
        send_end(s, (size_t)(start->first + i), &end);
    }
}

static void begin(struct server *s, const struct gle_jobs *jobs, const struct gle_comm_message *m)
{
    struct start start;
    int number = 0;

    if (!read_head(&start, sizeof start, m) || start.first > jobs->n || start.n > jobs->n - start.first)
        return;
    if (*jobs->stop || (number = gle_crews_start(s->crews, (size_t)start.first, (size_t)start.n)))
        send_back(s, &start, number);
}

/* The steps of a run are this process's own, and Ctrl-Z stops it as any other. */
static void join(const struct gle_jobs *jobs)
{
    gle_signals_remember_stops(false);
    jobs->together(jobs->ctx);
    gle_signals_remember_stops(true);
}

static void obey(struct server *s, const struct gle_jobs *jobs)
{
    const bool is_lost = gle_comm_is_lost(s->comm, 0); /* though its last words may have come */
    struct gle_comm_message m;
    int number;

    while (!s->alone && gle_comm_receive(s->comm, &m)) {
        s->heard = true;
        s->silence = (struct silence){.last = gle_clock()};
        if (m.tag == START)
            begin(s, jobs, &m);
        else if (m.tag == ASK)
            send_any(s->comm, 0, HERE, NULL, 0);
        else if (m.tag == TOGETHER && jobs->together)
            join(jobs);
        else if (m.tag == STOP && read_head(&number, sizeof number, &m) && !*jobs->stop)
            raise(number);
        else if (m.tag == LEAVE)
            s->left = read_head(&s->together, sizeof s->together, &m);
    }
    if (!s->left && !s->alone && (is_lost || (s->heard && is_long(&s->silence, gle_clock())))) {
        s->alone = true;
        fprintf(stderr, "glesim: rank %zu: rank 0 is lost; what runs here comes to its end\n", s->comm->rank);
    }
}

static void tell_alive(struct server *s)
{
    if (s->alone || gle_clock() - s->told < ALIVE_SECONDS)
        return;
    s->told = gle_clock();
    send_any(s->comm, 0, ALIVE, NULL, 0);
}

static void serve(struct server *s, const struct gle_jobs *jobs)
{
    const struct gle_crews_events events = {.text = send_text, .progress = send_progress, .end = send_end, .ctx = s};
    bool told = false;

    while (!(s->left || s->alone) || gle_crews_running(s->crews)) {
        obey(s, jobs);
        if (*jobs->stop && !told) {
            const int number = (int)*jobs->stop;
            told = true;
            gle_crews_signal(s->crews, number);
            if (!s->alone)
                send_any(s->comm, 0, STOPPED, &number, sizeof number);
        }
        if (gle_crews_must_rest(s->crews))
            gle_crews_rest(s->crews);
        gle_crews_listen(s->crews, &events, POLL_MS);
        tell_alive(s);
    }
}

int gle_ranks_serve(struct gle_comm *comm, const struct gle_jobs *jobs, const char *problem, struct gle_error *err)
{
    struct server s = {.comm = comm, .crews = gle_crews_create(jobs, jobs->n ? jobs->n : 1)};
    struct ready ready;

    if (!s.crews)
        return gle_fail(err, GLE_ENOMEM, "no memory for runs of rank %zu", comm->rank);
    memset(&ready, 0, sizeof ready); /* also what lies between its members */
    ready.plan = jobs->plan;
    snprintf(ready.problem, sizeof ready.problem, "%s", problem);
    send_any(comm, 0, READY, &ready, sizeof ready);
    gle_signals_remember_stops(true);
    serve(&s, jobs);
    gle_signals_remember_stops(false);
    gle_crews_destroy(s.crews);
    gle_comm_end(comm, s.together);
    return 0;
}
