/* compute.ranks: rows. What needs rows that another rank has is refused. */
#include "config/build.h"
#include "parts/feedback.h"

static bool aligns(const struct gle_experiment *exp)
{
    for (size_t i = 0; exp->layers && i < exp->n_layers; i++)
        for (size_t j = 0; j < exp->layers[i].n_sources; j++)
            if (exp->layers[i].sources[j].feedback &&
                exp->layers[i].sources[j].feedback->way == GLE_FEEDBACK_ALIGNS)
                return true;
    return false;
}

int gle_rows_check(const struct gle_experiment *exp, struct gle_errors *errs)
{
    const struct {
        bool is_there;
        const char *what;
    } refused[] = {
        {exp->backend == GLE_BACKEND_OPENCL, "the backend opencl (leave out backend, or say cpu)"},
        {exp->has_teacher, "a teacher"}, /* and so with a signal, which has no target of its own */
        {gle_node_get(exp->src, "record"), "record"},
        {gle_node_get(exp->src, "diagnose"), "diagnose"},
        {exp->training_src && gle_node_get(exp->training_src, "evaluate"), "training.evaluate"},
        {aligns(exp), "the feedback pal"},
    };
    int rc = 0;

    for (size_t i = 0; exp->ranks == GLE_RANKS_MAKE_ROWS && i < sizeof refused / sizeof *refused; i++)
        if (refused[i].is_there)
            rc = gle_node_error(errs, GLE_ECONFIG, exp->compute_src, "ranks",
                                "rows cannot be spread over ranks yet together with %s", refused[i].what);
    return rc;
}
