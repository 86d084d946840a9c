/* How errors reach layers otherwise than through the weights themselves: errors_from, and whether a run can do what the
 * config says of such weights. */
#include "parts/feedback.h"
#include "base/memory.h"
#include "config/build.h"
#include "parts/rule.h"

#include <stdio.h>
#include <string.h>

/* --- errors_from --- */

static int build_entry(struct gle_errors_cfg *out, struct gle_experiment *exp, size_t i,
                       const struct gle_errors_keys *keys, struct gle_errors *errs)
{
    const struct gle_layer_cfg *l = &exp->layers[i];
    const struct gle_node *at = gle_node_get(keys->src, "layer");
    char label[160];
    long layer;

    if (gle_source_find(&layer, exp, keys->layer, at, errs))
        return -1;
    if (layer == GLE_SOURCE_INPUT || layer == (long)i)
        return gle_node_error(errs, GLE_ECONFIG, at, NULL, "%s: errors come from another layer",
                              layer == GLE_SOURCE_INPUT ? "the input has no errors" : "the layer itself");
    out->layer = (size_t)layer;
    out->name = exp->layers[layer].name;
    out->weight = keys->weight;
    out->src = keys->src;
    snprintf(label, sizeof label, l->n_errors_from > 1 ? "%s.%s" : "%s", l->name, out->name);
    out->label = gle_arena_text(exp->doc->arena, label, strlen(label));
    if (!out->label)
        return gle_node_error(errs, GLE_ENOMEM, keys->src, NULL, "no memory");
    for (const struct gle_errors_cfg *other = l->errors_from; other < out; other++)
        if (other->layer == out->layer)
            return gle_node_error(errs, GLE_ECONFIG, at, NULL, "'%s' is listed twice", out->name);
    return gle_values_fit(&out->weight, GLE_WEIGHT, l->n, exp->layers[layer].n, errs);
}

int gle_errors_from_build(struct gle_experiment *exp, const struct gle_layer_keys *const *keys,
                          struct gle_errors *errs)
{
    int rc = 0;

    for (size_t i = 0; i < exp->n_layers; i++) {
        const struct gle_errors_list *list = &keys[i]->errors_from;
        struct gle_layer_cfg *l = &exp->layers[i];
        l->errors_from = gle_arena_alloc(exp->doc->arena, list->n, sizeof *l->errors_from);
        if (list->n && !l->errors_from)
            return gle_node_error(errs, GLE_ENOMEM, l->src, NULL, "no memory");
        l->n_errors_from = list->n;
        for (size_t j = 0; j < list->n; j++)
            rc |= build_entry(&l->errors_from[j], exp, i, &list->item[j], errs);
    }
    return rc;
}

/* --- what a run can do --- */

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

/* Exact gradients do not go back through errors_from, where errors feed back into membranes. */
static int check_exact(const struct gle_experiment *exp, const struct gle_layer_cfg *l, struct gle_errors *errs)
{
    const struct gle_rule *rules[] = {exp->rule, exp->diagnose.gradient};
    bool coupled = false;

    for (size_t i = 0; i < exp->n_layers; i++)
        coupled = coupled || exp->layers[i].gamma > 0.0;
    for (size_t k = 0; k < sizeof rules / sizeof *rules && coupled && l->n_errors_from; k++)
        if (rules[k] && rules[k]->windowed)
            return gle_node_error(errs, GLE_ECONFIG, l->src, "errors_from",
                                  "the exact gradients of %s do not go back through it, which they would have to where "
                                  "errors feed back into membranes: gamma must be 0", rules[k]->row.name);
    return 0;
}

int gle_feedback_check(const struct gle_experiment *exp, struct gle_errors *errs)
{
    int rc = 0;

    for (size_t i = 0; exp->layers && i < exp->n_layers; i++)
        rc |= check_exact(exp, &exp->layers[i], errs);
    for (size_t i = 0; exp->layers && i < exp->n_layers; i++)
        for (size_t j = 0; j < exp->layers[i].n_sources; j++)
            rc |= check_source(exp, &exp->layers[i].sources[j], errs);
    return rc;
}
