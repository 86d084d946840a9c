/* Whether the run can move the weights B that errors go back through as the config says. */
#include "parts/feedback.h"
#include "config/build.h"
#include "parts/rule.h"

/* That a number of the settings is one that steps of dt can follow. */
static int check_numbers(const struct gle_experiment *exp, const struct gle_source_cfg *c, const struct gle_node *at,
                         struct gle_errors *errs)
{
    const struct gle_feedback_params *own = c->feedback_params;
    const bool aligns = c->feedback->way == GLE_FEEDBACK_ALIGNS;
    const double shrinks = exp->dt * own->decay * (aligns ? own->lr : 1.0);
    int rc = 0;

    if (shrinks > 1.0)
        rc = gle_node_error(errs, GLE_ERANGE, at, "decay",
                            "in a step of dt = %g weights would lose %g times themselves", exp->dt, shrinks);
    if (aligns && own->tau < exp->dt)
        rc = gle_node_error(errs, GLE_ERANGE, at, "tau", "%g is below dt = %g", own->tau, exp->dt);
    if (aligns && own->tau_hp < exp->dt)
        rc = gle_node_error(errs, GLE_ERANGE, at, "tau_hp", "%g is below dt = %g", own->tau_hp, exp->dt);
    return rc;
}

static int check_source(const struct gle_experiment *exp, const struct gle_source_cfg *c, struct gle_errors *errs)
{
    const struct gle_node *at = gle_node_get(c->src, "feedback");
    const char *name = c->feedback->row.name;

    if (c->feedback->way == GLE_FEEDBACK_STAYS)
        return 0;
    if (c->feedback->way == GLE_FEEDBACK_ALIGNS && exp->rule && exp->rule->windowed)
        return gle_node_error(errs, GLE_ECONFIG, at, NULL,
                              "%s learns in the steps of a local rule, and %s has its gradients from the loss itself: "
                              "use transpose or fixed", name, exp->rule->row.name);
    if (c->feedback->way == GLE_FEEDBACK_FOLLOWS && !c->plastic)
        return gle_node_error(errs, GLE_ECONFIG, at, NULL,
                              "%s moves with the weights, and those do not learn (plastic): use fixed", name);
    return check_numbers(exp, c, at, errs);
}

int gle_feedback_check(const struct gle_experiment *exp, struct gle_errors *errs)
{
    int rc = 0;


    for (size_t i = 0; exp->layers && i < exp->n_layers; i++)
        for (size_t j = 0; j < exp->layers[i].n_sources; j++)
            rc |= check_source(exp, &exp->layers[i].sources[j], errs);
    return rc;
}
