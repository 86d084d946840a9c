#include "cli/jobs.h"
#include "base/memory.h"
#include "cli/signals.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
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

/* A process, with the runs of a crew. */
struct process {
    pid_t pid;
    size_t n_left; /* runs that have not ended; 0: it is free */
    bool waited;   /* for its end, which came with this status; */
    int status, number; /* number: why nobody can tell, or 0 */
};

/* A run that is going on. */
struct child {
    struct process *process; /* NULL: none */
    size_t job;
    int fd[PIPES]; /* -1: closed */
    struct text text[PROGRESS];
    struct gle_job_progress progress; /* the latest */
    bool told;                        /* there is one */
    bool over;                        /* it has ended, with this exit code */
    int code;
    struct gle_score score[GLE_SPLITS]; /* the latest of each split */
    size_t partial; /* bytes of it that have come */
    unsigned char bytes[sizeof(struct gle_job_progress)];
};

struct state {
    const struct gle_jobs *jobs;
    struct gle_job_end *ends;
    struct gle_bar *bar;
    struct process *processes; /* (most) */
    struct child *children; /* (most) */
    struct pollfd *polls;   /* (most * PIPES) */
    struct child **of;      /* (most * PIPES): whose they are */
    size_t most;    /* at_once, or the largest crew */
    size_t at_once; /* as there, or fewer, where the system does not give more */
    size_t next, n_done, n_failed, n_running;
    double made; /* of all work, by runs that are over; what was there before does not count */
    bool told; /* the signal has been handed on */
    bool broken;
};

/* --- a crew's own process --- */

/* What a thread of a crew needs to know. */
struct crew {
    const struct gle_jobs *jobs;
    size_t first, n;
    atomic_size_t next; /* run of it */
    struct gle_job_pipes *pipes; /* (n) */
};

/* It has no hold on what comes from others, or nobody could tell when that ends. */
static void close_others(const struct state *s)
{
    for (size_t i = 0; i < s->most; i++)
        for (int p = 0; p < PIPES && s->children[i].process; p++)
            if (s->children[i].fd[p] >= 0)
                close(s->children[i].fd[p]);
}

static int be_run(const struct crew *crew, size_t i)
{
    struct gle_job_pipes *pipes = &crew->pipes[i];
    struct gle_job_progress last;
    int code = crew->jobs->work(crew->jobs->ctx, crew->first + i, pipes);

    if (fflush(pipes->out) && !code)
        code = 3;
    (void)fflush(pipes->err);
    memset(&last, 0, sizeof last); /* also what lies between its members */
    last.over = true;
    last.code = code;
    if (write(pipes->progress, &last, sizeof last) < 0)
        return code; /* nobody listens any more */
    if (pipes->out != stdout) {
        fclose(pipes->out);
        fclose(pipes->err);
    }
    close(pipes->progress);
    return code;
}

static void leave(const struct crew *crew)
{
    if (crew->jobs->leave)
        crew->jobs->leave(crew->jobs->ctx);
}

static void *be_thread(void *ctx)
{
    struct crew *crew = ctx;
    size_t i;

    while ((i = crew->next++) < crew->n)
        (void)be_run(crew, i);
    leave(crew);
    return NULL;
}

/* Runs all of a crew, so many at a time; this thread takes part. */
static void be_crew(struct crew *crew, size_t width)
{
    pthread_t *threads = gle_calloc(width, sizeof *threads);
    size_t n = 0;

    while (threads && n + 1 < width && !pthread_create(&threads[n], NULL, be_thread, crew))
        n++;
    for (size_t i = n + 1; i < width; i++) /* there are no more */
        leave(crew);
    be_thread(crew);
    for (size_t i = 0; i < n; i++)
        pthread_join(threads[i], NULL);
    gle_free(threads);
}

static void become_child(const struct state *s, pid_t parent)
{
    gle_signals_from(parent);
    gle_signals_remember_stops(false);
    setpgid(0, 0); /* a terminal's Ctrl-C goes to the parent alone, which hands it on */
#ifdef __linux__
    prctl(PR_SET_PDEATHSIG, SIGTERM);
#endif
    close_others(s);
    if (getppid() != parent)
        _exit(5);
}

/* A run by itself writes to this process' own output. */
static void open_streams(struct gle_job_pipes *to, int pipes[PIPES][2], bool alone)
{
    for (int p = 0; p < PIPES; p++)
        close(pipes[p][0]);
    to->progress = pipes[PROGRESS][1];
    if (!alone) {
        to->out = fdopen(pipes[OUT][1], "w");
        to->err = fdopen(pipes[ERR][1], "w");
        if (!to->out || !to->err || setvbuf(to->err, NULL, _IOLBF, 0))
            _exit(5);
        return;
    }
    if (dup2(pipes[OUT][1], STDOUT_FILENO) < 0 || dup2(pipes[ERR][1], STDERR_FILENO) < 0)
        _exit(5);
    close(pipes[OUT][1]);
    close(pipes[ERR][1]);
    to->out = stdout;
    to->err = stderr;
}

static _Noreturn void be_child(const struct state *s, size_t first, size_t n, int (*pipes)[PIPES][2], pid_t parent)
{
    const struct gle_jobs *jobs = s->jobs;
    struct crew crew = {.jobs = jobs, .first = first, .n = n, .pipes = gle_calloc(n, sizeof *crew.pipes)};
    size_t width;
    int code = 0;

    become_child(s, parent);
    if (!crew.pipes)
        _exit(5);
    for (size_t i = 0; i < n; i++)
        open_streams(&crew.pipes[i], pipes[i], n == 1);
    width = jobs->begin ? jobs->begin(jobs->ctx, first, n, crew.pipes[0].err) : n;
    if (n == 1) {
        code = be_run(&crew, 0);
        leave(&crew);
    } else {
        be_crew(&crew, width);
    }
    if (jobs->end)
        jobs->end(jobs->ctx);
    _exit(code);
}

static void close_pipes(int (*pipes)[PIPES][2], size_t n)
{
    for (size_t i = 0; i < n; i++) {
        close(pipes[i / PIPES][i % PIPES][0]);
        close(pipes[i / PIPES][i % PIPES][1]);
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

static struct process *free_process(const struct state *s)
{
    size_t i = 0;

    while (s->processes[i].n_left)
        i++;
    return &s->processes[i];
}

static struct child *free_child(const struct state *s)
{
    size_t i = 0;

    while (s->children[i].process)
        i++;
    return &s->children[i];
}

/* Those n runs that come next are a process' now. */
static void take_on(struct state *s, pid_t pid, size_t n, int (*pipes)[PIPES][2])
{
    struct process *process = free_process(s);

    *process = (struct process){.pid = pid, .n_left = n};
    for (size_t i = 0; i < n; i++) {
        struct child *c = free_child(s);
        *c = (struct child){.process = process, .job = s->next++};
        for (int p = 0; p < PIPES; p++) {
            close(pipes[i][p][1]);
            c->fd[p] = pipes[i][p][0];
            fcntl(c->fd[p], F_SETFL, O_NONBLOCK);
        }
    }
    s->n_running += n;
}

/* A process for n runs. */
static int start(struct state *s, size_t n, struct gle_error *err)
{
    const pid_t parent = getpid();
    int (*pipes)[PIPES][2] = gle_calloc(n, sizeof *pipes);
    size_t n_pipes = 0;
    pid_t pid = -1;
    int number = 0, rc = 0;

    if (!pipes)
        return gle_fail(err, GLE_ENOMEM, "no memory for another run");
    while (n_pipes < n * PIPES && !number)
        if (!pipe(pipes[n_pipes / PIPES][n_pipes % PIPES]))
            n_pipes++;
        else
            number = errno;
    fflush(stdout);
    fflush(stderr);
    if (!number && (pid = fork()) < 0)
        number = errno;
    if (!pid)
        be_child(s, s->next, n, pipes, parent);
    if (pid > 0) {
        take_on(s, pid, n, pipes);
    } else {
        close_pipes(pipes, n_pipes);
        rc = refuse_start(s, number, err);
    }
    gle_free(pipes);
    return rc;
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

static void take_progress(struct child *c)
{
    struct gle_job_progress told;

    memcpy(&told, c->bytes, sizeof told);
    if (told.over) {
        c->over = true;
        c->code = told.code;
        return;
    }
    c->progress = told;
    c->told = true;
    for (int split = 0; split < GLE_SPLITS; split++)
        if (told.score[split].measured)
            c->score[split] = told.score[split];
}

static void add_progress(struct child *c, const char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        c->bytes[c->partial++] = (unsigned char)bytes[i];
        if (c->partial == sizeof c->progress) {
            take_progress(c);
            c->partial = 0;
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

/* Waits for a process that has nothing more to say. */
static void wait_for(struct process *process)
{
    pid_t pid;

    if (process->waited)
        return;
    while ((pid = waitpid(process->pid, &process->status, 0)) < 0 && errno == EINTR)
        continue;
    process->waited = true;
    process->number = pid < 0 ? errno : 0;
}

/* How a run ended; errors: what it has written of them. */
static void conclude(struct gle_job_end *end, const struct child *c, const char *errors)
{
    const struct process *process = c->process;
    const bool killed = !c->over && !process->number && WIFSIGNALED(process->status);

    end->code = c->over ? c->code
                : process->number ? 5
                : killed ? 128 + WTERMSIG(process->status)
                         : WEXITSTATUS(process->status);
    if (!c->over && process->number)
        snprintf(end->message, sizeof end->message, "nobody can tell how it ended: %s", strerror(process->number));
    else if (killed)
        snprintf(end->message, sizeof end->message, "killed by signal %d", WTERMSIG(process->status));
    else if (end->code)
        snprintf(end->message, sizeof end->message, "%.*s", (int)strcspn(errors, "\n"), errors);
}

static void finish(struct state *s, struct child *c)
{
    struct gle_job_end *end = &s->ends[c->job];
    const char *errors = c->text[ERR].bytes ? c->text[ERR].bytes : "";
    char name[160];

    if (!c->over || c->process->n_left == 1)
        wait_for(c->process);
    conclude(end, c, errors);
    s->jobs->name(s->jobs->ctx, c->job, name, sizeof name);
    gle_bar_clear(s->bar);
    show_lines(stderr, name, errors);
    if (!c->over && (c->process->number || WIFSIGNALED(c->process->status)))
        fprintf(stderr, "%s: %s\n", name, end->message);
    if (!s->bar->quiet)
        show_lines(stdout, name, c->text[OUT].bytes);
    fflush(stdout);
    gle_free(c->text[OUT].bytes);
    gle_free(c->text[ERR].bytes);
    s->made += c->told ? 1.0 - c->progress.begun : 0.0;
    c->process->n_left--;
    c->process = NULL;
    s->n_running--;
    s->n_done++;
    s->n_failed += end->code != 0;
}

/* --- all of them --- */

/* The mean of what is known of a split. */
static struct gle_score mean_score(const struct state *s, int split)
{
    struct gle_score mean = {0};
    double n = 0.0, n_labelled = 0.0, n_valued = 0.0;

    for (size_t i = 0; i < s->most; i++) {
        const struct gle_score *of = &s->children[i].score[split];
        if (!s->children[i].process || !of->measured)
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
    struct gle_jobs_progress p = {.n = s->jobs->n, .n_done = s->n_done, .n_failed = s->n_failed,
                                  .n_running = s->n_running, .done = (double)s->n_done, .made = s->made};

    for (size_t i = 0; i < s->most; i++) {
        const struct gle_job_progress *of = &s->children[i].progress;
        if (!s->children[i].process || !s->children[i].told)
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
    for (size_t i = 0; i < s->most; i++)
        if (s->processes[i].n_left && !s->processes[i].waited)
            kill(s->processes[i].pid, number);
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

    for (size_t i = 0; i < s->most; i++)
        for (int p = 0; p < PIPES && s->children[i].process; p++)
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

/* Starts as much as there is room for. */
static void start_some(struct state *s, struct gle_error *err)
{
    size_t before;

    do {
        const size_t crew = may_start(s) ? crew_of(s->jobs, s->next) : 0;
        before = s->n_running;
        if (crew && (!s->n_running || s->n_running + crew <= s->at_once))
            s->broken = start(s, crew, err);
    } while (s->n_running > before);
}

static int run_all(struct state *s, struct gle_error *err)
{
    const struct gle_jobs *jobs = s->jobs;

    while (s->n_running || may_start(s)) {
        start_some(s, err);
        if ((*jobs->stop || s->broken) && !s->told) {
            hand_on(s, *jobs->stop ? (int)*jobs->stop : SIGTERM);
            s->told = true;
        }
        hand_on_stops(s);
        listen_to_all(s);
        for (size_t i = 0; i < s->most; i++)
            if (s->children[i].process && closed(&s->children[i]))
                finish(s, &s->children[i]);
        show(s);
    }
    return s->broken ? -1 : 0;
}

int gle_jobs_run(const struct gle_jobs *jobs, struct gle_job_end *ends, struct gle_bar *bar, struct gle_error *err)
{
    struct state s = {.jobs = jobs, .ends = ends, .bar = bar, .at_once = jobs->at_once, .most = jobs->at_once};
    int rc;

    for (size_t i = 0, crew; i < jobs->n; i += crew) {
        crew = crew_of(jobs, i);
        s.most = crew > s.most ? crew : s.most;
    }
    for (size_t i = 0; i < jobs->n; i++)
        ends[i] = (struct gle_job_end){.code = -1};
    s.processes = gle_calloc(s.most, sizeof *s.processes);
    s.children = gle_calloc(s.most, sizeof *s.children);
    s.polls = gle_calloc(s.most * PIPES, sizeof *s.polls);
    s.of = gle_calloc(s.most * PIPES, sizeof(struct child *));
    if (s.processes && s.children && s.polls && s.of) {
        gle_signals_remember_stops(true);
        rc = run_all(&s, err);
        gle_signals_remember_stops(false);
    } else {
        rc = gle_fail(err, GLE_ENOMEM, "no memory for %zu runs side by side", jobs->at_once);
    }
    gle_bar_clear(bar);
    gle_free(s.processes);
    gle_free(s.children);
    gle_free(s.polls);
    gle_free((void *)s.of);
    return rc;
}
