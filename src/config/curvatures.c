/* Whether the parts that a run combines have the second derivatives which it needs. */
#include "base/memory.h"
#include "config/build.h"
#include "parts/activation.h"
#include "parts/feedback.h"
#include "parts/loss.h"
#include "parts/rule.h"

#include <string.h>

/* The rule by which exact gradients are found, through the feedback of errors where there is any; NULL: none are. */
static const struct gle_rule *exact_rule(const struct gle_experiment *exp)
{
    const struct gle_rule *const rules[] = {exp->rule, exp->diagnose.gradient};

    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        if (rules[i] && rules[i]->windowed && !rules[i]->continuous)
            return rules[i];
    return NULL;
}

/* That gamma of layer i must be 0, since something (`kind` and `name`, of layer `owner`, if any) lacks a derivative. */
static int refuse(const struct gle_experiment *exp, size_t i, const struct gle_rule *rule, const char *kind,
                  const char *name, const char *owner, struct gle_errors *errs)
{
    const struct gle_node *learning = gle_node_get(exp->src, "learning"), *layer = exp->layers[i].src;

    return gle_node_error(errs, GLE_ECONFIG, gle_node_get(layer, "gamma") ? layer : learning, "gamma",
                          "the %s %s%s%s has no second derivative (curvature), which the exact gradients of %s need "
                          "where errors feed back into membranes: gamma must be 0",
                          kind, name, owner ? " of layer " : "", owner ? owner : "", rule->row.name);
}

/* Marks layer i, and all whose errors go on to it. */
static void mark_senders(bool *sends, const struct gle_experiment *exp, size_t i)
{
    bool more = true;

    memset(sends, 0, exp->n_layers * sizeof *sends);
    sends[i] = true;
    while (more) {
        more = false;
        for (size_t j = 0; j < exp->n_layers; j++)
            for (size_t k = 0; !sends[j] && k < exp->layers[j].n_sources; k++) {
                const struct gle_source_cfg *c = &exp->layers[j].sources[k];
                if (c->layer != GLE_SOURCE_INPUT && c->feedback->sends && sends[c->layer])
                    sends[j] = more = true;
            }
    }
}

int gle_curvatures_check(const struct gle_experiment *exp, struct gle_errors *errs)
{
    const struct gle_rule *rule = exp->layers && exp->loss ? exact_rule(exp) : NULL;
    bool *sends;
    int rc = 0;

    if (!rule)
        return 0;
    sends = gle_arena_alloc(exp->doc->arena, exp->n_layers, sizeof *sends);
    if (!sends)
        return gle_node_error(errs, GLE_ENOMEM, exp->network_src, NULL, "no memory");
    for (size_t i = 0; i < exp->n_layers; i++) {
        if (!(exp->layers[i].gamma > 0.0))
            continue;
        if (!exp->loss->curvature)
            rc = refuse(exp, i, rule, "loss", exp->loss->row.name, NULL, errs);
        mark_senders(sends, exp, i); /* the gradient comes back through all of them */
        for (size_t j = 0; j < exp->n_layers; j++) {
            const struct gle_act *act = exp->layers[j].act;
            if (sends[j] && !act->curvature && !act->straight)
                rc = refuse(exp, i, rule, "activation", act->row.name, exp->layers[j].name, errs);
        }
    }
    return rc;
}
