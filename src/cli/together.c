#include "cli/together.h"
#include "base/memory.h"

#include <string.h>

int gle_together(struct gle_comm *comm, int rc, struct gle_error *err)
{
    const struct gle_error own = *err;
    const unsigned char *bytes = (const unsigned char *)&own;
    double *said;
    size_t failed;

    if (!comm)
        return rc;
    *err = (struct gle_error){0};
    said = gle_calloc(comm->size + sizeof own, sizeof *said);
    if (!said) /* the others wait in vain; mpirun ends them with this one */
        return gle_fail(err, GLE_ENOMEM, "no memory for %zu ranks", comm->size);
    said[comm->rank] = rc ? 1.0 : 0.0;
    if (gle_comm_sum_doubles(comm, said, comm->size, err)) {
        gle_free(said);
        return -1;
    }
    for (failed = 0; failed < comm->size && said[failed] == 0.0; failed++)
        ;
    if (failed < comm->size) {
        memset(said, 0, (comm->size + sizeof own) * sizeof *said);
        for (size_t i = 0; i < sizeof own && failed == comm->rank; i++)
            said[i] = (double)bytes[i];
        rc = gle_comm_sum_doubles(comm, said, sizeof own, err);
        for (size_t i = 0; i < sizeof own && !rc; i++)
            ((unsigned char *)err)[i] = (unsigned char)said[i];
    }
    rc = failed < comm->size ? -1 : 0;
    gle_free(said);
    return rc;
}

int gle_together_follow(struct gle_comm *comm, bool *found, struct gle_error *err)
{
    return comm ? gle_comm_share(comm, found, sizeof *found, err) : 0;
}
