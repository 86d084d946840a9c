/* mpi.c - ranks by MPI. It is not called by more than one thread. */
#include "base/clock.h"
#include "base/memory.h"
#include "comm/way.h"

#include <mpi.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { PIECE = 1 << 24 }; /* values that go round at a time; MPI counts in int */

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
    int *numbers; /* (4 * ranks): counts and places */
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
    way->numbers = gle_calloc(4 * comm->size, sizeof *way->numbers);
    return way->numbers ? 0 : gle_fail(err, GLE_ENOMEM, "no memory for %zu ranks", comm->size);
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
    MPI_Finalize();
    gle_free(way->inbox);
    gle_free(way->parts);
    gle_free(way->numbers);
    gle_free(way);
    comm->way = NULL;
}

int gle_way_gather(struct gle_comm *comm, void *all, const void *mine, size_t size, struct gle_error *err)
{
    (void)comm;
    return check(MPI_Allgather(mine, (int)size, MPI_BYTE, all, (int)size, MPI_BYTE, MPI_COMM_WORLD), "gather", err);
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

/* Each rank gets the same slice of all, adds it in the order of ranks, and hands out the sums. */
static int sum_slices(struct gle_comm *comm, float *values, size_t n, struct gle_error *err)
{
    struct way *way = comm->way;
    int *counts = way->numbers, *starts = counts + comm->size, *sizes = starts + comm->size,
        *places = sizes + comm->size;
    const size_t r0 = comm->rank, mine = n * (r0 + 1) / comm->size - n * r0 / comm->size;
    const float *parts;

    if (make_room(way, comm->size * mine * sizeof *parts, err))
        return -1;
    for (size_t r = 0; r < comm->size; r++) {
        starts[r] = (int)(n * r / comm->size);
        counts[r] = (int)(n * (r + 1) / comm->size) - starts[r];
        sizes[r] = (int)mine;
        places[r] = (int)(r * mine);
    }
    if (check(MPI_Alltoallv(values, counts, starts, MPI_FLOAT, way->parts, sizes, places, MPI_FLOAT, MPI_COMM_WORLD),
              "sum", err))
        return -1;
    parts = (const float *)(const void *)way->parts;
    for (size_t i = 0; i < mine; i++) {
        double sum = 0.0;
        for (size_t r = 0; r < comm->size; r++)
            sum += (double)parts[r * mine + i];
        values[(size_t)starts[r0] + i] = (float)sum;
    }
    return check(MPI_Allgatherv(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, values, counts, starts, MPI_FLOAT, MPI_COMM_WORLD),
                 "sum", err);
}

int gle_way_sum(struct gle_comm *comm, float *values, size_t n, struct gle_error *err)
{
    for (size_t done = 0; done < n; done += PIECE)
        if (sum_slices(comm, values + done, n - done < PIECE ? n - done : PIECE, err))
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
    enum { TOGETHER = 1 << 16 }; /* bytes of all ranks, up to which waiting takes longer than the way */
    struct way *way = comm->way;
    const size_t first = n_doubles * sizeof *doubles, each = (first + n * sizeof *values + 7) / 8 * 8;
    unsigned char *mine;

    if (comm->size * each > TOGETHER)
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
    for (size_t i = 0; i < n; i++) {
        double sum = 0.0;
        for (size_t r = 0; r < comm->size; r++)
            sum += (double)((const float *)(const void *)(way->parts + r * each + first))[i];
        values[i] = (float)sum;
    }
    return 0;
}

int gle_way_share(struct gle_comm *comm, void *bytes, size_t n, struct gle_error *err)
{
    (void)comm;
    for (size_t done = 0; done < n; done += PIECE)
        if (check(MPI_Bcast((char *)bytes + done, (int)(n - done < PIECE ? n - done : PIECE), MPI_BYTE, 0,
                            MPI_COMM_WORLD), "share", err))
            return -1;
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
