#include "cli/jobs.h"
#include "base/memory.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

/* What comes from a run: its output, its errors, and how far it is. */
enum { OUT, ERR, PROGRESS, PIPES };
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
    bool told; /* progress: something has come */
    struct gle_job_progress progress;
    size_t partial; /* bytes of it that have come */
    unsigned char bytes[sizeof(struct gle_job_progress)];
};

struct state {
    const struct gle_jobs *jobs;
    struct gle_job_end *ends;
    struct gle_bar *bar;
    struct child *children; /* (at_once) */
    struct pollfd *polls;   /* (at_once * PIPES) */
    size_t next, n_done, n_failed, n_running;
    bool told; /* the signal has been handed on */
    bool broken;
};

/* --- a run's own process --- */

static _Noreturn void be_child(const struct gle_jobs *jobs, size_t i, int pipes[PIPES][2], pid_t parent)
{
    int code;

    signal(SIGPIPE, SIG_IGN); /* a report is written also when the parent has gone */
    setpgid(0, 0); /* a terminal's Ctrl-C goes to the parent alone, which hands it on */
#ifdef __linux__
    prctl(PR_SET_PDEATHSIG, SIGTERM);
#endif
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

static int start(struct state *s, struct child *c, struct gle_error *err)
{
    const pid_t parent = getpid();
    int pipes[PIPES][2], n = 0;

    while (n < PIPES && !pipe(pipes[n]))
        n++;
    fflush(stdout);
    fflush(stderr);
    *c = (struct child){.job = s->next, .fd = {-1, -1, -1}};
    if (n == PIPES)
        c->pid = fork();
    if (n < PIPES || c->pid < 0) {
        close_pipes(pipes, n);
        c->pid = 0;
        return gle_fail(err, GLE_ENOMEM, "no process for another run: %s", strerror(errno));
    }
    if (!c->pid)
        be_child(s->jobs, s->next, pipes, parent);
    for (int p = 0; p < PIPES; p++) {
        close(pipes[p][1]);
        c->fd[p] = pipes[p][0];
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
        }
    }
}

static void receive(struct child *c, int p)
{
    char bytes[4096];
    const ssize_t n = read(c->fd[p], bytes, sizeof bytes);

    if (n < 0 && errno == EINTR)
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

    while (waitpid(c->pid, &status, 0) < 0 && errno == EINTR)
        continue;
    end->code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    if (WIFSIGNALED(status))
        snprintf(end->message, sizeof end->message, "killed by signal %d", WTERMSIG(status));
    else if (end->code)
        snprintf(end->message, sizeof end->message, "%.*s", (int)strcspn(errors, "\n"), errors);
    s->jobs->name(s->jobs->ctx, c->job, name, sizeof name);
    gle_bar_clear(s->bar);
    show_lines(stderr, name, errors);
    if (WIFSIGNALED(status))
        fprintf(stderr, "%s: %s\n", name, end->message);
    if (!s->bar->quiet)
        show_lines(stdout, name, c->text[OUT].bytes);
    fflush(stdout);
    gle_free(c->text[OUT].bytes);
    gle_free(c->text[ERR].bytes);
    c->pid = 0;
    s->n_running--;
    s->n_done++;
    s->n_failed += end->code != 0;
}

/* --- all of them --- */

static void show(struct state *s)
{
    struct gle_jobs_progress p = {.n = s->jobs->n, .n_done = s->n_done, .n_failed = s->n_failed,
                                  .n_running = s->n_running, .done = (double)s->n_done};

    double told = 0.0;

    for (size_t i = 0; i < s->jobs->at_once; i++) {
        const struct gle_job_progress *of = &s->children[i].progress;
        if (!s->children[i].pid || !s->children[i].told)
            continue;
        p.done += of->done;
        p.loss += of->loss;
        p.accuracy += of->accuracy;
        told += 1.0;
    }
    p.done /= (double)s->jobs->n;
    p.loss /= told; /* NaN of none */
    p.accuracy /= told;
    gle_bar_jobs(s->bar, &p);
}

static void hand_on(struct state *s, int number)
{
    for (size_t i = 0; i < s->jobs->at_once; i++)
        if (s->children[i].pid)
            kill(s->children[i].pid, number);
    s->told = true;
}

static void listen_to_all(struct state *s)
{
    const size_t n = s->jobs->at_once * PIPES;

    for (size_t i = 0; i < n; i++)
        s->polls[i] = (struct pollfd){.fd = s->children[i / PIPES].pid ? s->children[i / PIPES].fd[i % PIPES] : -1,
                                      .events = POLLIN};
    if (poll(s->polls, (nfds_t)n, POLL_MS) <= 0)
        return;
    for (size_t i = 0; i < n; i++)
        if (s->polls[i].revents)
            receive(&s->children[i / PIPES], (int)(i % PIPES));
}

static bool closed(const struct child *c)
{
    return c->fd[OUT] < 0 && c->fd[ERR] < 0 && c->fd[PROGRESS] < 0;
}

static int run_all(struct state *s, struct gle_error *err)
{
    const struct gle_jobs *jobs = s->jobs;

    while (s->n_running || (s->next < jobs->n && !*jobs->stop && !s->broken)) {
        for (size_t i = 0; i < jobs->at_once && s->next < jobs->n && !*jobs->stop && !s->broken; i++)
            if (!s->children[i].pid)
                s->broken = start(s, &s->children[i], err);
        if ((*jobs->stop || s->broken) && !s->told)
            hand_on(s, *jobs->stop ? (int)*jobs->stop : SIGTERM);
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
    struct state s = {.jobs = jobs, .ends = ends, .bar = bar};
    int rc;

    for (size_t i = 0; i < jobs->n; i++)
        ends[i] = (struct gle_job_end){.code = -1};
    s.children = gle_calloc(jobs->at_once, sizeof *s.children);
    s.polls = gle_calloc(jobs->at_once * PIPES, sizeof *s.polls);
    if (s.children && s.polls)
        rc = run_all(&s, err);
    else
        rc = gle_fail(err, GLE_ENOMEM, "no memory for %zu runs side by side", jobs->at_once);
    gle_bar_clear(bar);
    gle_free(s.children);
    gle_free(s.polls);
    return rc;
}
