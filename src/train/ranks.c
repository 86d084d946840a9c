/* A run whose rows are spread over ranks: who makes which samples, and when all of them end. */
#include "base/memory.h"
#include "comm/comm.h"
#include "solver/rows.h"
#include "train/run.h"

#include <signal.h>
#include <string.h>

bool gle_run_stopped(const struct gle_run *run)
{
    return run->ranks.said ? run->ranks.stops : run->stop && *run->stop;
}

int gle_run_meet(struct gle_run *run, struct gle_error *err)
{
    const struct gle_comm *comm = gle_net_comm(run->net);

    if (comm)
        run->ranks.said = gle_calloc(comm->size, sizeof *run->ranks.said);
    return !comm || run->ranks.said ? 0 : gle_fail(err, GLE_ENOMEM, "no memory for %zu ranks", comm->size);
}

void gle_run_share_feed(struct gle_run *run)
{
    const struct gle_comm *comm = gle_net_comm(run->net);

    if (comm)
        gle_feed_share(run->reading.feed, comm->rank, comm->size);
}

bool gle_run_may_pause(const struct gle_run *run, bool is_usual)
{
    if (!run->ranks.said)
        return is_usual;
    return !run->at.window.open && !gle_net_get_place(run->net).gathered &&
           run->at.step - run->ranks.step >= GLE_PROGRESS_STEPS;
}

/* Each says which signal it has got. A rank that has got none ends as by that of the first which has. */
int gle_run_agree(struct gle_run *run, struct gle_error *err)
{
    struct gle_comm *comm = gle_net_comm(run->net);
    double *said = run->ranks.said;

    run->ranks.step = run->at.step;
    memset(said, 0, comm->size * sizeof *said);
    said[comm->rank] = run->stop ? (double)*run->stop : 0.0;
    if (gle_comm_sum_doubles(comm, said, comm->size, err))
        return -1;
    for (size_t r = 0; r < comm->size && !run->ranks.stops; r++) {
        run->ranks.stops = said[r] > 0.0;
        if (run->ranks.stops && run->stop && !*run->stop)
            raise((int)said[r]);
    }
    return 0;
}
