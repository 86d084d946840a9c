#include "cli/rows.h"
#include "cli/accelerator.h"
#include "cli/session.h"
#include "cli/show.h"
#include "yaml/node.h"

#include <stdio.h>
#include <unistd.h>

bool gle_rows_wanted(const struct gle_plan *plans, size_t n)
{
    for (size_t p = 0; p < n; p++)
        for (size_t i = 0; i < plans[p].n_runs; i++)
            if (plans[p].runs[i].exp->ranks == GLE_RANKS_MAKE_ROWS)
                return true;
    return false;
}

int gle_rows_check_plans(const struct gle_plan *plans, size_t n, struct gle_error *err)
{
    const struct gle_options *o = &plans->options;
    const struct gle_experiment *exp = NULL;
    size_t runs = 0;

    for (size_t p = 0; p < n; p++) {
        runs += plans[p].n_runs;
        for (size_t i = 0; i < plans[p].n_runs && !exp; i++)
            if (plans[p].runs[i].exp->ranks == GLE_RANKS_MAKE_ROWS)
                exp = plans[p].runs[i].exp;
    }
    if (runs == 1 && !o->n_seeds && !o->jobs && o->n_configs == 1)
        return 0;
    return gle_node_fail(err, GLE_EUSAGE, exp->compute_src, "ranks",
                         "rows: the ranks make one run together, and a command makes no more than that one, by a "
                         "config, a --variant and a --seed; without --seeds, --jobs, a sweep or another config");
}

int gle_rows_run(const struct gle_plan *plan, struct gle_comm *comm)
{
    const bool leads = !comm->rank;
    struct gle_options options = plan->options;
    struct gle_accelerator accelerator;
    const struct gle_session_how how = {.options = &options,
                                        .command = plan->command,
                                        .threads = options.threads,
                                        .inputs = gle_origins_of(&plan->origins, 0),
                                        .out = stdout,
                                        .err = stderr,
                                        .progress = -1,
                                        .stop = plan->stop,
                                        .accelerator = &accelerator,
                                        .comm = comm};
    struct gle_error err = {0};
    int code = 0;

    options.quiet = options.quiet || !leads;
    gle_accelerator_start(&accelerator, 1);
    if (gle_session_run(plan->runs[0].exp, &how, &err)) {
        const bool parted = comm->size == 1;
        code = leads || parted ? gle_show_error(stderr, &err) : gle_code_exit(err.code);
        if (parted) {
            fflush(NULL);
            _exit(code);
        }
    }
    gle_accelerator_close(&accelerator);
    return code;
}
