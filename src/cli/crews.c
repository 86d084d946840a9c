#include "cli/crews.h"
#include "base/memory.h"
#include "cli/signals.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

/* What comes from a run: its output, its errors, and how far it is. */
enum { OUT, ERR, PROGRESS, PIPES = GLE_JOB_PIPES };

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
    bool over;     /* it has ended, with this exit code */
    int code;
    size_t partial; /* bytes of a word on its progress that have come */
    unsigned char bytes[sizeof(struct gle_job_progress)];
};

struct gle_crews {
    const struct gle_jobs *jobs;
    size_t most, n_running;
    struct process *processes; /* (most) */
    struct child *children;    /* (most) */
    struct pollfd *polls;      /* (most * PIPES) */
    struct child **of;         /* (most * PIPES): whose they are */
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
static void close_others(const struct gle_crews *crews)
{
    for (size_t i = 0; i < crews->most; i++)
        for (int p = 0; p < PIPES && crews->children[i].process; p++)
            if (crews->children[i].fd[p] >= 0)
                close(crews->children[i].fd[p]);
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

static void become_child(const struct gle_crews *crews, pid_t parent)
{
    gle_signals_from(parent);
    gle_signals_remember_stops(false);
    setpgid(0, 0); /* a terminal's Ctrl-C goes to the parent alone, which hands it on */
#ifdef __linux__
    prctl(PR_SET_PDEATHSIG, SIGXCPU); /* which asks for the end, too, but never counts as the second one that does */
#endif
    close_others(crews);
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

static _Noreturn void be_child(const struct gle_crews *crews, size_t first, size_t n, int (*pipes)[PIPES][2],
                               pid_t parent)
{
    const struct gle_jobs *jobs = crews->jobs;
    struct crew crew = {.jobs = jobs, .first = first, .n = n, .pipes = gle_calloc(n, sizeof *crew.pipes)};
    size_t width;
    int code = 0;

    become_child(crews, parent);
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

static struct process *free_process(const struct gle_crews *crews)
{
    size_t i = 0;

    while (crews->processes[i].n_left)
        i++;
    return &crews->processes[i];
}

static struct child *free_child(const struct gle_crews *crews)
{
    size_t i = 0;

    while (crews->children[i].process)
        i++;
    return &crews->children[i];
}

/* n runs are a process' now. */
static void take_on(struct gle_crews *crews, pid_t pid, size_t first, size_t n, int (*pipes)[PIPES][2])
{
    struct process *process = free_process(crews);

    *process = (struct process){.pid = pid, .n_left = n};
    for (size_t i = 0; i < n; i++) {
        struct child *c = free_child(crews);
        *c = (struct child){.process = process, .job = first + i};
        for (int p = 0; p < PIPES; p++) {
            close(pipes[i][p][1]);
            c->fd[p] = pipes[i][p][0];
            fcntl(c->fd[p], F_SETFL, O_NONBLOCK);
        }
    }
    crews->n_running += n;
}

int gle_crews_start(struct gle_crews *crews, size_t first, size_t n)
{
    const pid_t parent = getpid();
    int (*pipes)[PIPES][2] = gle_calloc(n, sizeof *pipes);
    size_t n_pipes = 0;
    pid_t pid = -1;
    int number = 0;

    if (!pipes)
        return ENOMEM;
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
        be_child(crews, first, n, pipes, parent);
    if (pid > 0)
        take_on(crews, pid, first, n, pipes);
    else
        close_pipes(pipes, n_pipes);
    gle_free(pipes);
    return number;
}

/* --- what comes from it --- */

static void add_progress(struct child *c, const char *bytes, size_t n, const struct gle_crews_events *events)
{
    for (size_t i = 0; i < n; i++) {
        struct gle_job_progress told;
        c->bytes[c->partial++] = (unsigned char)bytes[i];
        if (c->partial < sizeof told)
            continue;
        c->partial = 0;
        memcpy(&told, c->bytes, sizeof told);
        c->over = told.over;
        c->code = told.code;
        if (!told.over)
            events->progress(events->ctx, c->job, &told);
    }
}

static void receive(struct child *c, int p, const struct gle_crews_events *events)
{
    char bytes[4096];
    const ssize_t n = read(c->fd[p], bytes, sizeof bytes);

    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    if (n <= 0) {
        close(c->fd[p]);
        c->fd[p] = -1;
    } else if (p == PROGRESS) {
        add_progress(c, bytes, (size_t)n, events);
    } else {
        events->text(events->ctx, c->job, p == ERR, bytes, (size_t)n);
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

static bool closed(const struct child *c)
{
    return c->fd[OUT] < 0 && c->fd[ERR] < 0 && c->fd[PROGRESS] < 0;
}

static void finish(struct gle_crews *crews, struct child *c, const struct gle_crews_events *events)
{
    struct process *process = c->process;
    struct gle_run_end end = {.code = c->code};

    if (!c->over || process->n_left == 1)
        wait_for(process);
    if (!c->over) {
        end.number = process->number;
        end.killed = !end.number && WIFSIGNALED(process->status) ? WTERMSIG(process->status) : 0;
        end.code = end.number ? 5 : end.killed ? 128 + end.killed : WEXITSTATUS(process->status);
    }
    process->n_left--;
    c->process = NULL;
    crews->n_running--;
    events->end(events->ctx, c->job, &end);
}

/* Waits a little. Where that cannot be done, everything is looked at now and then. */
void gle_crews_listen(struct gle_crews *crews, const struct gle_crews_events *events, int ms)
{
    const struct timespec nap = {ms / 1000, ms % 1000 * 1000000L};
    size_t n = 0;
    bool polled;

    for (size_t i = 0; i < crews->most; i++)
        for (int p = 0; p < PIPES && crews->children[i].process; p++)
            if (crews->children[i].fd[p] >= 0) {
                crews->of[n] = &crews->children[i];
                crews->polls[n++] = (struct pollfd){.fd = crews->children[i].fd[p], .events = POLLIN};
            }
    polled = poll(crews->polls, (nfds_t)n, ms) >= 0;
    if (!polled && errno == EINTR)
        return;
    if (!polled)
        nanosleep(&nap, NULL);
    for (size_t i = 0; i < n; i++)
        for (int p = 0; p < PIPES; p++)
            if (crews->of[i]->fd[p] == crews->polls[i].fd && (!polled || crews->polls[i].revents)) {
                receive(crews->of[i], p, events);
                break;
            }
    for (size_t i = 0; i < crews->most; i++)
        if (crews->children[i].process && closed(&crews->children[i]))
            finish(crews, &crews->children[i], events);
}

/* --- all of them --- */

size_t gle_crews_running(const struct gle_crews *crews)
{
    return crews->n_running;
}

void gle_crews_signal(const struct gle_crews *crews, int number)
{
    for (size_t i = 0; i < crews->most; i++)
        if (crews->processes[i].n_left && !crews->processes[i].waited)
            kill(crews->processes[i].pid, number);
}

bool gle_crews_must_rest(const struct gle_crews *crews)
{
    if (gle_signals_came(SIGCONT))
        gle_crews_signal(crews, SIGCONT);
    return gle_signals_came(SIGTSTP);
}

void gle_crews_rest(const struct gle_crews *crews)
{
    gle_crews_signal(crews, SIGTSTP);
    gle_signals_stop_here();
    gle_crews_signal(crews, SIGCONT);
}

struct gle_crews *gle_crews_create(const struct gle_jobs *jobs, size_t most)
{
    struct gle_crews *crews = gle_calloc(1, sizeof *crews);

    if (!crews)
        return NULL;
    crews->jobs = jobs;
    crews->most = most;
    crews->processes = gle_calloc(most, sizeof *crews->processes);
    crews->children = gle_calloc(most, sizeof *crews->children);
    crews->polls = gle_calloc(most * PIPES, sizeof *crews->polls);
    crews->of = gle_calloc(most * PIPES, sizeof(struct child *));
    if (crews->processes && crews->children && crews->polls && crews->of)
        return crews;
    gle_crews_destroy(crews);
    return NULL;
}

void gle_crews_destroy(struct gle_crews *crews)
{
    if (!crews)
        return;
    gle_free(crews->processes);
    gle_free(crews->children);
    gle_free(crews->polls);
    gle_free((void *)crews->of);
    gle_free(crews);
}
