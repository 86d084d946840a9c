#include "comm/comm.h"
#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "comm/way.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What those who start ranks leave in the environment. */
static const struct {
    const char *size, *rank;
} marks[] = {
    {"OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"}, /* mpirun of Open MPI */
    {"PMI_SIZE", "PMI_RANK"},                         /* mpirun of MPICH, srun --mpi=pmi2 */
    {"SLURM_STEP_NUM_TASKS", "PMIX_RANK"},            /* srun --mpi=pmix */
};

/* How the programs that start ranks are called, as far as the system shows it (15 characters). */
static const char *const starters[] = {"mpirun", "mpiexec", "orterun", "orted", "prterun", "prted", "prte",
                                       "hydra_pmi_proxy", "slurmstepd"};

static bool started_by(const char *name)
{
    for (size_t i = 0; i < sizeof starters / sizeof *starters; i++)
        if (!strncmp(name, starters[i], strlen(starters[i])))
            return true;
    return false;
}

/* The name of the parent process; "": nobody can tell. */
static void name_parent(char name[GLE_COMM_STARTER])
{
    char path[64];
    FILE *file;

    name[0] = '\0';
    snprintf(path, sizeof path, "/proc/%ld/comm", (long)getppid());
    file = fopen(path, "r");
    if (!file)
        return;
    if (!fgets(name, GLE_COMM_STARTER, file))
        name[0] = '\0';
    fclose(file);
    name[strcspn(name, "\n")] = '\0';
}

bool gle_comm_is_expected(size_t *size, char starter[GLE_COMM_STARTER])
{
    uint64_t n = 1;

    *size = 1;
    starter[0] = '\0';
    for (size_t i = 0; i < sizeof marks / sizeof *marks && n == 1; i++) {
        const char *value = getenv(marks[i].size);
        if (!getenv(marks[i].rank) || !value || gle_text_count(&n, value))
            n = 1;
    }
    if (n < 2)
        return false;
    *size = (size_t)n;
    name_parent(starter);
    if (starter[0] && !started_by(starter))
        return false;
    starter[0] = '\0';
    return true;
}

struct gle_comm gle_comm_alone(void)
{
    return (struct gle_comm){.size = 1, .n_here = 1};
}

/* What ranks tell each other at the start. */
struct introduction {
    struct gle_comm_peer peer;
    uint64_t command; /* a hash of it */
    uint64_t space;   /* of the numbers of processes: the same where they mean the same; 0: nobody can tell */
};

/* FNV-1a. */
static uint64_t hash_text(const char *text)
{
    uint64_t hash = 14695981039346656037u;

    for (; *text; text++)
        hash = (hash ^ (unsigned char)*text) * 1099511628211u;
    return hash;
}

/* Machines and containers may have one name, and numbers of processes of their own. */
static uint64_t find_space(void)
{
    char text[128] = "";
    struct stat numbers;
    FILE *file = fopen("/proc/sys/kernel/random/boot_id", "r");
    size_t n;

    if (!file)
        return 0;
    if (!fgets(text, sizeof text, file))
        text[0] = '\0';
    fclose(file);
    if (!text[0] || stat("/proc/self/ns/pid", &numbers))
        return 0;
    n = strlen(text);
    snprintf(text + n, sizeof text - n, " %llu", (unsigned long long)numbers.st_ino);
    return hash_text(text);
}

static bool is_there(int64_t pid)
{
    return !kill((pid_t)pid, 0) || errno != ESRCH;
}

/* Takes in what they said; false: their commands differ. */
static bool meet(struct gle_comm *comm, const struct introduction *all)
{
    const struct gle_comm_peer *mine = &all[comm->rank].peer;
    const uint64_t space = all[comm->rank].space;
    bool same = true;

    comm->n_here = 0;
    for (size_t r = 0; r < comm->size; r++) {
        const bool here = !strcmp(all[r].peer.host, mine->host);
        comm->peers[r] = all[r].peer;
        comm->n_here += here;
        /* one that has ended since is seen to have done so, if its number is known to mean the same here */
        comm->seen[r] = here && (space && all[r].space ? space == all[r].space : is_there(all[r].peer.pid));
        same = same && all[r].command == all[0].command;
    }
    return same;
}

static int introduce(struct gle_comm *comm, bool *same, const char *what, struct gle_error *err)
{
    struct introduction mine, *all = gle_calloc(comm->size, sizeof *all);
    int rc;

    memset(&mine, 0, sizeof mine); /* also what lies between its members */
    if (gethostname(mine.peer.host, sizeof mine.peer.host - 1))
        snprintf(mine.peer.host, sizeof mine.peer.host, "?");
    mine.peer.pid = getpid();
    mine.command = hash_text(what);
    mine.space = find_space();
    comm->peers = gle_calloc(comm->size, sizeof *comm->peers);
    comm->seen = gle_calloc(comm->size, sizeof *comm->seen);
    comm->given_up = gle_calloc(comm->size, sizeof *comm->given_up);
    rc = all && comm->peers && comm->seen && comm->given_up
             ? gle_way_gather(comm, all, &mine, sizeof mine, err)
             : gle_fail(err, GLE_ENOMEM, "no memory for %zu ranks", comm->size);
    *same = !rc && meet(comm, all);
    gle_free(all);
    return rc;
}

int gle_comm_start(struct gle_comm *comm, const char *what, struct gle_error *err)
{
    bool same;

    *comm = gle_comm_alone();
    if (gle_way_start(comm, err) || introduce(comm, &same, what, err)) {
        gle_comm_end(comm, false);
        return -1;
    }
    if (!same || comm->size == 1)
        gle_comm_end(comm, true);
    return 0;
}

void gle_comm_end(struct gle_comm *comm, bool together)
{
    if (comm->way)
        gle_way_end(comm, together);
    gle_free(comm->peers);
    gle_free(comm->seen);
    gle_free(comm->given_up);
    *comm = gle_comm_alone();
}

bool gle_comm_is_lost(const struct gle_comm *comm, size_t rank)
{
    return comm->way && (comm->given_up[rank] || (comm->seen[rank] && !is_there(comm->peers[rank].pid)));
}

void gle_comm_give_up(struct gle_comm *comm, size_t rank)
{
    if (comm->way)
        comm->given_up[rank] = true;
}

int gle_comm_sum(struct gle_comm *comm, float *values, size_t n, struct gle_error *err)
{
    return comm->way ? gle_way_sum(comm, values, n, err) : 0;
}

int gle_comm_sum_doubles(struct gle_comm *comm, double *values, size_t n, struct gle_error *err)
{
    return comm->way ? gle_way_sum_doubles(comm, values, n, err) : 0;
}

int gle_comm_sum_both(struct gle_comm *comm, double *doubles, size_t n_doubles, float *values, size_t n,
                      struct gle_error *err)
{
    return comm->way ? gle_way_sum_both(comm, doubles, n_doubles, values, n, err) : 0;
}

/* So many sums; seconds of one. */
static int time_sums(double *seconds, struct gle_comm *comm, size_t sums, double *doubles, size_t n_doubles,
                     float *values, size_t n, struct gle_error *err)
{
    const double start = gle_clock();

    for (size_t i = 0; i < sums; i++)
        if (gle_comm_sum_both(comm, doubles, n_doubles, values, n, err))
            return -1;
    *seconds = (gle_clock() - start) / (double)sums;
    return gle_comm_share(comm, seconds, sizeof *seconds, err);
}

/* Sums are put together to stretches, since a rank that comes late finds all there, and is done in no time. */
static int time_stretches(double *least, struct gle_comm *comm, double *doubles, size_t n_doubles, float *values,
                          size_t n, struct gle_error *err)
{
    enum { SUMS_MOST = 100, STRETCHES_LEAST = 3 };
    static const double STRETCH = 2e-4, ALL = 0.1; /* seconds */
    double seconds, spent = 0.0;
    size_t sums = 1;

    if (time_sums(&seconds, comm, sums, doubles, n_doubles, values, n, err)) /* the first one makes room */
        return -1;
    for (size_t i = 0; i < STRETCHES_LEAST || spent < ALL; i++) {
        sums = seconds * SUMS_MOST < STRETCH ? SUMS_MOST : 1 + (size_t)(STRETCH / seconds);
        if (time_sums(&seconds, comm, sums, doubles, n_doubles, values, n, err))
            return -1;
        spent += seconds * (double)sums;
        *least = i && *least < seconds ? *least : seconds;
    }
    return 0;
}

int gle_comm_measure(double *seconds, struct gle_comm *comm, size_t n_doubles, float *values, size_t n,
                     struct gle_error *err)
{
    double *doubles = gle_calloc(n_doubles + 1, sizeof *doubles);
    const int rc = doubles ? time_stretches(seconds, comm, doubles, n_doubles, values, n, err)
                           : gle_fail(err, GLE_ENOMEM, "no memory for sums over ranks");

    gle_free(doubles);
    return rc;
}

int gle_comm_share(struct gle_comm *comm, void *bytes, size_t n, struct gle_error *err)
{
    return comm->way ? gle_way_share(comm, bytes, n, err) : 0;
}

int gle_comm_send(struct gle_comm *comm, size_t to, int tag, const void *bytes, size_t n, struct gle_error *err)
{
    return comm->way ? gle_way_send(comm, to, tag, bytes, n, err)
                     : gle_fail(err, GLE_EDEVICE, "no other process to send anything to");
}

bool gle_comm_receive(struct gle_comm *comm, struct gle_comm_message *message)
{
    return comm->way && gle_way_receive(comm, message);
}
