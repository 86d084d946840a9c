/* mpi_absent.c - a build without MPI: a process is one by itself, and one of several cannot meet the others. */
#include "comm/way.h"

const char *gle_comm_library(void)
{
    return "no MPI";
}

int gle_way_start(struct gle_comm *comm, struct gle_error *err)
{
    (void)comm;
    return gle_fail(err, GLE_EUSAGE,
                    "started as one of several ranks, but this build knows no MPI: install it (Debian: "
                    "apt-get install libopenmpi-dev), and build anew in a fresh folder");
}

/* No comm has a way, so that none of what follows is ever called. */
static int refuse(struct gle_error *err)
{
    return gle_fail(err, GLE_EDEVICE, "this build knows no MPI");
}

void gle_way_end(struct gle_comm *comm, bool together)
{
    (void)comm;
    (void)together;
}

int gle_way_gather(struct gle_comm *comm, void *all, const void *mine, size_t size, struct gle_error *err)
{
    (void)comm;
    (void)all;
    (void)mine;
    (void)size;
    return refuse(err);
}

int gle_way_sum(struct gle_comm *comm, float *values, size_t n, struct gle_error *err)
{
    (void)comm;
    (void)values;
    (void)n;
    return refuse(err);
}

int gle_way_sum_doubles(struct gle_comm *comm, double *values, size_t n, struct gle_error *err)
{
    (void)comm;
    (void)values;
    (void)n;
    return refuse(err);
}

int gle_way_sum_both(struct gle_comm *comm, double *doubles, size_t n_doubles, float *values, size_t n,
                     struct gle_error *err)
{
    (void)comm;
    (void)doubles;
    (void)n_doubles;
    (void)values;
    (void)n;
    return refuse(err);
}

int gle_way_share(struct gle_comm *comm, void *bytes, size_t n, struct gle_error *err)
{
    (void)comm;
    (void)bytes;
    (void)n;
    return refuse(err);
}

int gle_way_send(struct gle_comm *comm, size_t to, int tag, const void *bytes, size_t n, struct gle_error *err)
{
    (void)comm;
    (void)to;
    (void)tag;
    (void)bytes;
    (void)n;
    return refuse(err);
}

bool gle_way_receive(struct gle_comm *comm, struct gle_comm_message *message)
{
    (void)comm;
    (void)message;
    return false;
}
