#include "cli/jobs.h"
#include "base/memory.h"
#include "cli/signals.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

/* What comes from a run: its output, its errors, and how far it is. */
enum { OUT, ERR, PROGRESS, PIPES = GLE_JOB_PIPES };
enum { POLL_MS = 200 };

struct text {
    char *bytes;
    size_t n;
};

/* A run that is going on. */
struct child {
    pid_t pid; /* 0: none */
    size_t job;
    int fd[PIPES]; /* -1: closed */
    struct text text[PROGRESS];
    struct gle_job_progress progress; /* the latest */
    bool told;                        /* there is one */
    struct gle_score score[GLE_SPLITS]; /* the latest of each split */
    size_t partial; /* bytes of it that have come */
    unsigned char bytes[sizeof(struct gle_job_progress)];
};

struct state {
    const struct gle_jobs *jobs;
    struct gle_job_end *ends;
    struct gle_bar *bar;
    struct child *children; /* (at_once) */
    struct pollfd *polls;   /* (at_once * PIPES) */
    struct child **of;      /* (at_once * PIPES): whose they are */
    size_t at_once; /* as there, or fewer, where the system does not give more */
    size_t next, n_done, n_failed, n_running;
    double made; /* of all work, by runs that are over; what was there before does not count */
    bool told; /* the signal has been handed on */
    bool broken;
};

/* --- a run's own process --- */

/* It has no hold on what comes from others, or nobody could tell when that ends. */
static void close_others(const struct state *s)
{
    for (size_t i = 0; i < s->jobs->at_once; i++)
        for (int p = 0; p < PIPES && s->children[i].pid; p++)
            if (s->children[i].fd[p] >= 0)
                close(s->children[i].fd[p]);
}

static _Noreturn void be_child(const struct state *s, size_t i, int pipes[PIPES][2], pid_t parent)
{
    const struct gle_jobs *jobs = s->jobs;
    int code;

    gle_signals_from(parent);
    gle_signals_remember_stops(false);
    setpgid(0, 0); /* a terminal's Ctrl-C goes to the parent alone, which hands it on */
#ifdef __linux__
    prctl(PR_SET_PDEATHSIG, SIGTERM);
#endif
    close_others(s);
    if (getppid() != parent || dup2(pipes[OUT][1], STDOUT_FILENO) < 0 || dup2(pipes[ERR][1], STDERR_FILENO) < 0)
        _exit(5);
    for (int p = 0; p < PIPES; p++) {
        close(pipes[p][0]);
        if (p != PROGRESS)
            close(pipes[p][1]);
    }
    code = jobs->work(jobs->ctx, i, pipes[PROGRESS][1]);
    if (fflush(stdout) && !code)
        code = 3;
    _exit(code);
}

static void close_pipes(int pipes[PIPES][2], int n)
{
    for (int p = 0; p < n; p++) {
        close(pipes[p][0]);
        close(pipes[p][1]);
    }
}

/* Where the system has no room for another process, beside those that are running, these go on, and no more than so
 * many from then on. */
static int refuse_start(struct state *s, int number, struct gle_error *err)
{
    if (!s->n_running)
        return gle_fail(err, GLE_ENOMEM, "no process for another run: %s", strerror(number));
    s->at_once = s->n_running;
    gle_bar_clear(s->bar);
    fprintf(stderr, "glesim: %zu run%s at a time from here on, no process for another: %s\n", s->at_once,
            s->at_once > 1 ? "s" : "", strerror(number));
    return 0;
}

static int start(struct state *s, struct child *c, struct gle_error *err)
{
    const pid_t parent = getpid();
    int pipes[PIPES][2], n = 0, number;

    while (n < PIPES && !pipe(pipes[n]))
        n++;
    number = errno;
    fflush(stdout);
    fflush(stderr);
    *c = (struct child){.job = s->next, .fd = {-1, -1, -1}};
    if (n == PIPES) {
        c->pid = fork();
        number = errno;
    }
    if (n < PIPES || c->pid < 0) {
        close_pipes(pipes, n);
        c->pid = 0;
        return refuse_start(s, number, err);
    }
    if (!c->pid)
        be_child(s, s->next, pipes, parent);
    for (int p = 0; p < PIPES; p++) {
        close(pipes[p][1]);
        c->fd[p] = pipes[p][0];
        fcntl(c->fd[p], F_SETFL, O_NONBLOCK);
    }
    s->next++;
    s->n_running++;
    return 0;
}

/* --- what comes from it --- */

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

static void add_progress(struct child *c, const char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        c->bytes[c->partial++] = (unsigned char)bytes[i];
        if (c->partial == sizeof c->progress) {
            memcpy(&c->progress, c->bytes, sizeof c->progress);
            c->told = true;
            c->partial = 0;
            for (int split = 0; split < GLE_SPLITS; split++)
                if (c->progress.score[split].measured)
                    c->score[split] = c->progress.score[split];
        }
    }
}

static void receive(struct child *c, int p)
{
    char bytes[4096];
    const ssize_t n = read(c->fd[p], bytes, sizeof bytes);

    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    if (n <= 0) {
        close(c->fd[p]);
        c->fd[p] = -1;
    } else if (p == PROGRESS) {
        add_progress(c, bytes, (size_t)n);
    } else {
        add_text(&c->text[p], bytes, (size_t)n, p == ERR ? stderr : stdout);
    }
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

static void finish(struct state *s, struct child *c)
{
    struct gle_job_end *end = &s->ends[c->job];
    const char *errors = c->text[ERR].bytes ? c->text[ERR].bytes : "";
    char name[160];
    int status = 0;
    pid_t pid;

    while ((pid = waitpid(c->pid, &status, 0)) < 0 && errno == EINTR)
        continue;
    end->code = pid < 0 ? 5 : WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    if (pid < 0)
        snprintf(end->message, sizeof end->message, "nobody can tell how it ended: %s", strerror(errno));
    else if (WIFSIGNALED(status))
        snprintf(end->message, sizeof end->message, "killed by signal %d", WTERMSIG(status));
    else if (end->code)
        snprintf(end->message, sizeof end->message, "%.*s", (int)strcspn(errors, "\n"), errors);
    s->jobs->name(s->jobs->ctx, c->job, name, sizeof name);
    gle_bar_clear(s->bar);
    show_lines(stderr, name, errors);
    if (pid < 0 || WIFSIGNALED(status))
        fprintf(stderr, "%s: %s\n", name, end->message);
    if (!s->bar->quiet)
        show_lines(stdout, name, c->text[OUT].bytes);
    fflush(stdout);
    gle_free(c->text[OUT].bytes);
    gle_free(c->text[ERR].bytes);
    s->made += c->told ? 1.0 - c->progress.begun : 0.0;
    c->pid = 0;
    s->n_running--;
    s->n_done++;
    s->n_failed += end->code != 0;
}

/* --- all of them --- */

/* The mean of what is known of a split. */
static struct gle_score mean_score(const struct state *s, int split)
{
    struct gle_score mean = {0};
    double n = 0.0, n_labelled = 0.0;

    for (size_t i = 0; i < s->jobs->at_once; i++) {
        const struct gle_score *of = &s->children[i].score[split];
        if (!s->children[i].pid || !of->measured)
            continue;
        mean.measured = true;
        mean.loss += of->loss;
        n += 1.0;
        if (!isnan(of->accuracy)) {
            mean.accuracy += of->accuracy;
            n_labelled += 1.0;
        }
    }
    mean.loss /= n;
    mean.accuracy /= n_labelled; /* NaN of none */
    return mean;
}

static void show(struct state *s)
{
    struct gle_jobs_progress p = {.n = s->jobs->n, .n_done = s->n_done, .n_failed = s->n_failed,
                                  .n_running = s->n_running, .done = (double)s->n_done, .made = s->made};

    for (size_t i = 0; i < s->jobs->at_once; i++) {
        const struct gle_job_progress *of = &s->children[i].progress;
        if (!s->children[i].pid || !s->children[i].told)
            continue;
        p.done += of->done;
        p.made += of->done - of->begun;
        p.by_phases = of->by_phases;
    }
    p.done /= (double)s->jobs->n;
    p.made /= (double)s->jobs->n;
    for (int split = 0; split < GLE_SPLITS; split++)
        p.score[split] = mean_score(s, split);
    gle_bar_jobs(s->bar, &p);
}

static void hand_on(const struct state *s, int number)
{
    for (size_t i = 0; i < s->jobs->at_once; i++)
        if (s->children[i].pid)
            kill(s->children[i].pid, number);
}

/* Ctrl-Z and its end. */
static void hand_on_stops(const struct state *s)
{
    if (gle_signals_came(SIGTSTP)) {
        gle_bar_clear(s->bar);
        hand_on(s, SIGTSTP);
        gle_signals_stop_here();
        hand_on(s, SIGCONT);
    }
    if (gle_signals_came(SIGCONT))
        hand_on(s, SIGCONT);
}

/* Waits a little for whatever comes first. Where that cannot be done, it is looked for now and then. */
static void listen_to_all(struct state *s)
{
    const struct timespec nap = {0, POLL_MS * 1000000L};
    size_t n = 0;
    bool polled;

    for (size_t i = 0; i < s->jobs->at_once; i++)
        for (int p = 0; p < PIPES && s->children[i].pid; p++)
            if (s->children[i].fd[p] >= 0) {
                s->of[n] = &s->children[i];
                s->polls[n++] = (struct pollfd){.fd = s->children[i].fd[p], .events = POLLIN};
            }
    polled = poll(s->polls, (nfds_t)n, POLL_MS) >= 0;
    if (!polled && errno == EINTR)
        return;
    if (!polled)
        nanosleep(&nap, NULL);
    for (size_t i = 0; i < n; i++)
        for (int p = 0; p < PIPES; p++)
            if (s->of[i]->fd[p] == s->polls[i].fd && (!polled || s->polls[i].revents)) {
                receive(s->of[i], p);
                break;
            }
}

static bool closed(const struct child *c)
{
    return c->fd[OUT] < 0 && c->fd[ERR] < 0 && c->fd[PROGRESS] < 0;
}

static bool may_start(const struct state *s)
{
    return s->next < s->jobs->n && !*s->jobs->stop && !s->broken;
}

static int run_all(struct state *s, struct gle_error *err)
{
    const struct gle_jobs *jobs = s->jobs;

    while (s->n_running || may_start(s)) {
        for (size_t i = 0; i < jobs->at_once && s->n_running < s->at_once && may_start(s); i++)
            if (!s->children[i].pid)
                s->broken = start(s, &s->children[i], err);
        if ((*jobs->stop || s->broken) && !s->told) {
            hand_on(s, *jobs->stop ? (int)*jobs->stop : SIGTERM);
            s->told = true;
        }
        hand_on_stops(s);
        listen_to_all(s);
        for (size_t i = 0; i < jobs->at_once; i++)
            if (s->children[i].pid && closed(&s->children[i]))
                finish(s, &s->children[i]);
        show(s);
    }
    return s->broken ? -1 : 0;
}

int gle_jobs_run(const struct gle_jobs *jobs, struct gle_job_end *ends, struct gle_bar *bar, struct gle_error *err)
{
    struct state s = {.jobs = jobs, .ends = ends, .bar = bar, .at_once = jobs->at_once};
    int rc;

    for (size_t i = 0; i < jobs->n; i++)
        ends[i] = (struct gle_job_end){.code = -1};
    s.children = gle_calloc(jobs->at_once, sizeof *s.children);
    s.polls = gle_calloc(jobs->at_once * PIPES, sizeof *s.polls);
    s.of = gle_calloc(jobs->at_once * PIPES, sizeof *s.of);
    if (s.children && s.polls && s.of) {
        gle_signals_remember_stops(true);
        rc = run_all(&s, err);
        gle_signals_remember_stops(false);
    } else {
        rc = gle_fail(err, GLE_ENOMEM, "no memory for %zu runs side by side", jobs->at_once);
    }
    gle_bar_clear(bar);
    gle_free(s.children);
    gle_free(s.polls);
    gle_free((void *)s.of);
    return rc;
}
