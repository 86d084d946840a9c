/* Whether the run can move the weights B that errors go back through as the config says. */
#include "parts/feedback.h"
#include "config/build.h"

static int check_source(const struct gle_experiment *exp, const struct gle_source_cfg *c, struct gle_errors *errs)
{
    const struct gle_node *at = gle_node_get(c->src, "feedback");
    const char *name = c->feedback->row.name;
    double loss;

    if (c->feedback->way == GLE_FEEDBACK_STAYS)
        return 0;
    if (c->feedback->way == GLE_FEEDBACK_FOLLOWS && !c->plastic)
        return gle_node_error(errs, GLE_ECONFIG, at, NULL,
                              "%s moves with the weights, and those do not learn (plastic): use fixed", name);
    loss = exp->dt * ((const struct gle_feedback_params *)c->feedback_params)->decay;
    return loss <= 1.0 ? 0
                       : gle_node_error(errs, GLE_ERANGE, at, "decay", "in a step of dt = %g weights would lose %g "
                                        "times themselves", exp->dt, loss);
}

int gle_feedback_check(const struct gle_experiment *exp, struct gle_errors *errs)
{
    int rc = 0;

    for (size_t i = 0; exp->layers && i < exp->n_layers; i++)
        for (size_t j = 0; j < exp->layers[i].n_sources; j++)
            rc |= check_source(exp, &exp->layers[i].sources[j], errs);
    return rc;
}
