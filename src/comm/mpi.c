/* mpi.c - ranks by MPI. It is not called by more than one thread. What all ranks do together is made of messages that
 * are waited for here, and not of MPI's collective calls: those wait for ever for a rank that is lost, where mpirun
 * lets the others live; and which way they take, and so what they cost, differs from one MPI to another (wire.h). */
#include "base/clock.h"
#include "base/memory.h"
#include "comm/way.h"
#include "comm/wire.h"

#include <mpi.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { BYTES = GLE_WIRE_PIECE * (int)sizeof(float) }; /* that go round at a time; MPI counts in int */

/* A message on its way. */
struct letter {
    struct letter *next;
    MPI_Request request;
    unsigned char bytes[];
};

struct way {
    struct letter *letters; /* not known to have gone */
    unsigned char *inbox;
    size_t inbox_size;
    unsigned char *parts; /* what came from every rank, to be added */
    size_t parts_size;
    MPI_Comm together; /* for what all ranks do together: no letter comes by it */
    MPI_Request *requests; /* (2 * ranks): of what is under way there, */
    int n_requests;        /* so many */
};

#define TEXT_OF(number) #number
#define VERSION_OF(major, minor) "MPI " TEXT_OF(major) "." TEXT_OF(minor)

const char *gle_comm_library(void)
{
    return VERSION_OF(MPI_VERSION, MPI_SUBVERSION);
}

static int check(int rc, const char *what, struct gle_error *err)
{
    char text[MPI_MAX_ERROR_STRING] = "";
    int n;

    if (rc == MPI_SUCCESS)
        return 0;
    MPI_Error_string(rc, text, &n);
    return gle_fail(err, GLE_EDEVICE, "MPI: %s: %.200s", what, text);
}

int gle_way_start(struct gle_comm *comm, struct gle_error *err)
{
    struct way *way = gle_calloc(1, sizeof *way);
    int rank, size, threads; /* of a network make steps, while this one calls MPI */

    if (!way)
        return gle_fail(err, GLE_ENOMEM, "no memory for MPI");
    /* Runs are made in processes that call nothing of MPI, so there is nothing to be warned of. */
    setenv("OMPI_MCA_mpi_warn_on_fork", "0", 0);
    if (check(MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &threads), "start", err)) {
        gle_free(way);
        return -1;
    }
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    comm->rank = (size_t)rank;
    comm->size = (size_t)size;
    comm->way = way;
    way->together = MPI_COMM_NULL;
    way->requests = gle_calloc(2 * comm->size, sizeof(MPI_Request));
    if (!way->requests)
        return gle_fail(err, GLE_ENOMEM, "no memory for %zu ranks", comm->size);
    return check(MPI_Comm_dup(MPI_COMM_WORLD, &way->together), "start", err);
}

/* Forgets messages that have gone, and those that cannot. */
static void clear_gone(struct way *way)
{
    for (struct letter **at = &way->letters; *at;) {
        struct letter *letter = *at;
        int gone = 0;
        if (MPI_Test(&letter->request, &gone, MPI_STATUS_IGNORE) == MPI_SUCCESS && !gone) {
            at = &letter->next;
            continue;
        }
        *at = letter->next;
        gle_free(letter);
    }
}

void gle_way_end(struct gle_comm *comm, bool together)
{
    static const struct timespec NAP = {0, 1000000L};
    static const double LOST_SECONDS = 1.0; /* for what is on its way, though not to those that are lost */
    struct way *way = comm->way;
    const double start = gle_clock();

    for (clear_gone(way); way->letters && (together || gle_clock() - start < LOST_SECONDS); clear_gone(way))
        nanosleep(&NAP, NULL);
    if (!together) /* MPI may still read what it has been given */
        return;
    if (way->together != MPI_COMM_NULL)
        MPI_Comm_free(&way->together);
    MPI_Finalize();
    gle_free(way->inbox);
    gle_free(way->parts);
    gle_free(way->requests);
    gle_free(way);
    comm->way = NULL;
}

/* --- what all ranks do together --- */

/* What has come from a rank is put there, n bytes; none: nothing comes. */
static int take(struct gle_comm *comm, size_t from, void *bytes, size_t n, const char *what, struct gle_error *err)
{
    struct way *way = comm->way;

    return n ? check(MPI_Irecv(bytes, (int)n, MPI_BYTE, (int)from, 0, way->together, &way->requests[way->n_requests++]),
                     what, err)
             : 0;
}

static int give(struct gle_comm *comm, size_t to, const void *bytes, size_t n, const char *what, struct gle_error *err)
{
    struct way *way = comm->way;

    return n ? check(MPI_Isend(bytes, (int)n, MPI_BYTE, (int)to, 0, way->together, &way->requests[way->n_requests++]),
                     what, err)
             : 0;
}

static int look_for_lost(const struct gle_comm *comm, const char *what, struct gle_error *err)
{
    for (size_t r = 0; r < comm->size; r++)
        if (r != comm->rank && gle_comm_is_lost(comm, r))
            return gle_fail(err, GLE_EDEVICE, "%s: rank %zu on %s was lost", what, r, comm->peers[r].host);
    return 0;
}

/* Until all that is under way has gone and come. A rank that waits for long lets others have its processor, which may
 * be those that it waits for; and looks whether they are there. */
static int await(struct gle_comm *comm, const char *what, struct gle_error *err)
{
    enum { SPINS = 200, LOOKS = 5 * SPINS };
    static const double LONG_SECONDS = 0.02;
    static const struct timespec NAP = {0, 100000L};
    struct way *way = comm->way;
    bool is_long = false;
    double start = 0.0;
    int done = 0;

    for (unsigned long i = 1; !done; i++) {
        if (check(MPI_Testall(way->n_requests, way->requests, &done, MPI_STATUSES_IGNORE), what, err))
            return -1;
        if (done || i < SPINS)
            continue;
        if (is_long)
            nanosleep(&NAP, NULL);
        else
            sched_yield();
        if (i % SPINS)
            continue;
        start = start > 0.0 ? start : gle_clock();
        is_long = gle_clock() - start > LONG_SECONDS;
        if (i % LOOKS == 0 && look_for_lost(comm, what, err))
            return -1;
    }
    way->n_requests = 0;
    return 0;
}

/* The other ranks, the next one first, so that not all send to the same: k from 1 on. */
static size_t other(const struct gle_comm *comm, size_t k)
{
    return (comm->rank + k) % comm->size;
}

int gle_way_gather(struct gle_comm *comm, void *all, const void *mine, size_t size, struct gle_error *err)
{
    static const char what[] = "gather";
    unsigned char *bytes = all;

    memcpy(bytes + comm->rank * size, mine, size);
    for (size_t k = 1; k < comm->size; k++)
        if (take(comm, other(comm, k), bytes + other(comm, k) * size, size, what, err) ||
            give(comm, other(comm, k), mine, size, what, err))
            return -1;
    return await(comm, what, err);
}

static int make_room(struct way *way, size_t n, struct gle_error *err)
{
    unsigned char *longer = n > way->parts_size ? gle_resize(way->parts, n, 1) : way->parts;

    if (!longer && n)
        return gle_fail(err, GLE_ENOMEM, "no memory for sums over ranks");
    way->parts = longer;
    way->parts_size = n > way->parts_size ? n : way->parts_size;
    return 0;
}

/* Of n values, those that a rank adds: from here on, and up to where the next one's begin. */
static size_t slice(const struct gle_comm *comm, size_t n, size_t rank)
{
    return n * rank / comm->size;
}

/* Each rank gets the same slice of all, adds it in the order of ranks, and hands out the sums. */
static int sum_slices(struct gle_comm *comm, float *values, size_t n, struct gle_error *err)
{
    static const char what[] = "sum";
    struct way *way = comm->way;
    float *own = values + slice(comm, n, comm->rank), *parts;
    const size_t mine = slice(comm, n, comm->rank + 1) - slice(comm, n, comm->rank);

    if (make_room(way, comm->size * mine * sizeof *parts, err))
        return -1;
    parts = (float *)(void *)way->parts;
    for (size_t k = 1; k < comm->size; k++) {
        const size_t r = other(comm, k), from = slice(comm, n, r), its = slice(comm, n, r + 1) - from;
        if (take(comm, r, parts + r * mine, mine * sizeof *parts, what, err) ||
            give(comm, r, values + from, its * sizeof *values, what, err))
            return -1;
    }
    if (mine)
        memcpy(parts + comm->rank * mine, own, mine * sizeof *own);
    if (await(comm, what, err))
        return -1;
    gle_wire_add(own, parts, mine, mine, comm->size);
    for (size_t k = 1; k < comm->size; k++) {
        const size_t r = other(comm, k), from = slice(comm, n, r), its = slice(comm, n, r + 1) - from;
        if (take(comm, r, values + from, its * sizeof *values, what, err) ||
            give(comm, r, own, mine * sizeof *own, what, err))
            return -1;
    }
    return await(comm, what, err);
}

int gle_way_sum(struct gle_comm *comm, float *values, size_t n, struct gle_error *err)
{
    for (size_t done = 0; done < n; done += GLE_WIRE_PIECE)
        if (sum_slices(comm, values + done, n - done < GLE_WIRE_PIECE ? n - done : GLE_WIRE_PIECE, err))
            return -1;
    return 0;
}

static int sum_piece(struct gle_comm *comm, double *values, size_t n, struct gle_error *err)
{
    struct way *way = comm->way;
    const double *parts;

    if (make_room(way, comm->size * n * sizeof *parts, err) ||
        gle_way_gather(comm, way->parts, values, n * sizeof *values, err))
        return -1;
    parts = (const double *)(const void *)way->parts;
    for (size_t i = 0; i < n; i++) {
        values[i] = 0.0;
        for (size_t r = 0; r < comm->size; r++)
            values[i] += parts[r * n + i];
    }
    return 0;
}

int gle_way_sum_doubles(struct gle_comm *comm, double *values, size_t n, struct gle_error *err)
{
    enum { DOUBLES = 1 << 16 }; /* at a time: every rank has those of all */

    for (size_t done = 0; done < n; done += DOUBLES)
        if (sum_piece(comm, values + done, n - done < DOUBLES ? n - done : DOUBLES, err))
            return -1;
    return 0;
}

int gle_way_sum_both(struct gle_comm *comm, double *doubles, size_t n_doubles, float *values, size_t n,
                     struct gle_error *err)
{
    struct way *way = comm->way;
    const size_t first = n_doubles * sizeof *doubles, each = gle_wire_bytes(n_doubles, n);
    unsigned char *mine;

    if (!gle_wire_goes_at_once(comm->size, n_doubles, n))
        return gle_way_sum_doubles(comm, doubles, n_doubles, err) || gle_way_sum(comm, values, n, err) ? -1 : 0;
    if (make_room(way, (comm->size + 1) * each, err))
        return -1;
    mine = way->parts + comm->size * each;
    memcpy(mine, doubles, first);
    memcpy(mine + first, values, n * sizeof *values);
    if (gle_way_gather(comm, way->parts, mine, each, err))
        return -1;
    for (size_t i = 0; i < n_doubles; i++) {
        doubles[i] = 0.0;
        for (size_t r = 0; r < comm->size; r++)
            doubles[i] += ((const double *)(const void *)(way->parts + r * each))[i];
    }
    gle_wire_add(values, (const float *)(const void *)(way->parts + first), n, each / sizeof *values, comm->size);
    return 0;
}

int gle_way_share(struct gle_comm *comm, void *bytes, size_t n, struct gle_error *err)
{
    static const char what[] = "share";

    for (size_t done = 0; done < n; done += BYTES) {
        const size_t piece = n - done < BYTES ? n - done : BYTES;
        if (comm->rank && take(comm, 0, (char *)bytes + done, piece, what, err))
            return -1;
        for (size_t r = 1; r < comm->size && !comm->rank; r++)
            if (give(comm, r, (char *)bytes + done, piece, what, err))
                return -1;
        if (await(comm, what, err))
            return -1;
    }
    return 0;
}

int gle_way_send(struct gle_comm *comm, size_t to, int tag, const void *bytes, size_t n, struct gle_error *err)
{
    struct way *way = comm->way;
    struct letter *letter = gle_calloc(1, sizeof *letter + n);

    clear_gone(way);
    if (!letter)
        return gle_fail(err, GLE_ENOMEM, "no memory for a message to rank %zu", to);
    if (n)
        memcpy(letter->bytes, bytes, n);
    if (check(MPI_Isend(letter->bytes, (int)n, MPI_BYTE, (int)to, tag, MPI_COMM_WORLD, &letter->request), "send",
              err)) {
        gle_free(letter);
        return -1;
    }
    letter->next = way->letters;
    way->letters = letter;
    return 0;
}

bool gle_way_receive(struct gle_comm *comm, struct gle_comm_message *message)
{
    struct way *way = comm->way;
    MPI_Status status;
    int came = 0, n = 0;

    clear_gone(way);
    if (MPI_Iprobe(MPI_ANY_SOURCE, MPI_ANY_TAG, MPI_COMM_WORLD, &came, &status) != MPI_SUCCESS || !came ||
        MPI_Get_count(&status, MPI_BYTE, &n) != MPI_SUCCESS)
        return false;
    if ((size_t)n > way->inbox_size) {
        unsigned char *longer = gle_resize(way->inbox, (size_t)n, 1);
        if (!longer) /* later, perhaps */
            return false;
        way->inbox = longer;
        way->inbox_size = (size_t)n;
    }
    if (MPI_Recv(way->inbox, n, MPI_BYTE, status.MPI_SOURCE, status.MPI_TAG, MPI_COMM_WORLD, MPI_STATUS_IGNORE) !=
        MPI_SUCCESS)
        return false;
    *message = (struct gle_comm_message){
        .from = (size_t)status.MPI_SOURCE, .n = (size_t)n, .tag = status.MPI_TAG, .bytes = way->inbox};
    return true;
}
