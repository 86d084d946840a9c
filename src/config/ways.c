/* Ways through the network: which layers lead to the output, and where ways come back to where they began. */
#include "base/memory.h"
#include "config/build.h"
#include "parts/rule.h"

#include <stdio.h>
#include <string.h>

/* --- layers of no use --- */

/* Marks the layers that the output depends on. */
static void mark_heard(bool *heard, const struct gle_experiment *exp)
{
    bool more = true;

    heard[exp->output] = true;
    while (more) {
        more = false;
        for (size_t i = 0; i < exp->n_layers; i++)
            for (size_t j = 0; heard[i] && j < exp->layers[i].n_sources; j++) {
                const long from = exp->layers[i].sources[j].layer;
                if (from == GLE_SOURCE_INPUT || heard[from])
                    continue;
                heard[from] = more = true;
            }
    }
}

static const struct gle_layer_cfg *reader_of(const struct gle_experiment *exp, size_t layer)
{
    for (size_t i = 0; i < exp->n_layers; i++)
        for (size_t j = 0; j < exp->layers[i].n_sources; j++)
            if (exp->layers[i].sources[j].layer == (long)layer)
                return &exp->layers[i];
    return NULL;
}

int gle_unheard_check(const struct gle_experiment *exp, struct gle_errors *errs)
{
    bool *heard = gle_calloc(exp->n_layers, sizeof *heard);
    int rc = 0;

    if (!heard)
        return gle_node_error(errs, GLE_ENOMEM, exp->network_src, NULL, "no memory");
    mark_heard(heard, exp);
    for (size_t i = 0; i < exp->n_layers; i++) {
        const struct gle_layer_cfg *reader = heard[i] ? NULL : reader_of(exp, i);
        if (heard[i])
            continue;
        if (reader)
            rc = gle_node_error(errs, GLE_ECONFIG, exp->layers[i].src, "name",
                                "nothing that leads to the output '%s' reads '%s'; '%s' does, and leads nowhere",
                                gle_experiment_top(exp)->name, exp->layers[i].name, reader->name);
        else
            rc = gle_node_error(errs, GLE_ECONFIG, exp->layers[i].src, "name",
                                "nothing reads the layer '%s', and it is not the output, which is '%s'",
                                exp->layers[i].name, gle_experiment_top(exp)->name);
    }
    gle_free(heard);
    return rc;
}

/* --- loops --- */

/* A walk from a layer to what it reads. */
struct walk {
    const struct gle_experiment *exp;
    size_t *way, n;       /* layers, each reading the next one */
    unsigned char *state; /* of each layer */
};
enum { UNSEEN, ON_THE_WAY, DONE };

/* The source through which a way comes back; NULL: none does. It then ends with the loop. */
static const struct gle_source_cfg *walk_on(struct walk *w, size_t layer)
{
    const struct gle_layer_cfg *l = &w->exp->layers[layer];
    const struct gle_source_cfg *closes = NULL;

    w->state[layer] = ON_THE_WAY;
    w->way[w->n++] = layer;
    for (size_t j = 0; j < l->n_sources && !closes; j++) {
        const struct gle_source_cfg *c = &l->sources[j];
        if (c->layer == GLE_SOURCE_INPUT || w->state[c->layer] == DONE)
            continue;
        closes = w->state[c->layer] == ON_THE_WAY ? c : walk_on(w, (size_t)c->layer);
    }
    if (closes)
        return closes;
    w->state[layer] = DONE;
    w->n--;
    return NULL;
}

/* "a -> b -> a", in the direction of rates. */
static void write_loop(char *buf, size_t size, const struct walk *w, const struct gle_source_cfg *closes)
{
    size_t n = (size_t)snprintf(buf, size, "%s", w->exp->layers[closes->layer].name);

    for (size_t i = w->n; i-- > 0 && n < size;) {
        n += (size_t)snprintf(buf + n, size - n, " -> %s", w->exp->layers[w->way[i]].name);
        if ((long)w->way[i] == closes->layer)
            break;
    }
}

/* A loop in the network, in words, and the source that closes it; NULL: there is none. Errors: GLE_ENOMEM, by *rc. */
static const struct gle_source_cfg *find_loop(char *buf, size_t size, const struct gle_experiment *exp, int *rc,
                                              struct gle_errors *errs)
{
    struct walk w = {.exp = exp,
                     .way = gle_calloc(exp->n_layers, sizeof *w.way),
                     .state = gle_calloc(exp->n_layers, sizeof *w.state)};
    const struct gle_source_cfg *closes = NULL;

    if (!w.way || !w.state)
        *rc = gle_node_error(errs, GLE_ENOMEM, exp->network_src, NULL, "no memory");
    for (size_t i = 0; w.way && w.state && i < exp->n_layers && !closes; i++)
        if (w.state[i] == UNSEEN)
            closes = walk_on(&w, i);
    if (closes)
        write_loop(buf, size, &w, closes);
    gle_free(w.way);
    gle_free(w.state);
    return closes;
}

/* What makes the adjoint equations unfit: said at the source that does it. asks: the key that asks for them. */
static int refuse_adjoint(const struct gle_experiment *exp, const char *asks, struct gle_errors *errs)
{
    const struct gle_source_cfg *closes;
    char loop[512];
    int rc = 0;

    for (size_t i = 0; i < exp->n_layers; i++)
        for (size_t j = 0; j < exp->layers[i].n_sources; j++) {
            const struct gle_source_cfg *c = &exp->layers[i].sources[j];
            if (c->delay > (c->layer == GLE_SOURCE_INPUT ? 0 : 1))
                rc = gle_node_error(errs, GLE_ECONFIG, c->src, "delay",
                                    "the adjoint equations (%s) know no delays: layers act on each other at once",
                                    asks);
        }
    closes = find_loop(loop, sizeof loop, exp, &rc, errs);
    if (closes)
        rc = gle_node_error(errs, GLE_ECONFIG, closes->src, NULL,
                            "closes the loop %s: the adjoint equations (%s), in which layers act on each other at "
                            "once, have no order to be solved in; bptt takes any network", loop, asks);
    return rc;
}

int gle_ways_check(const struct gle_experiment *exp, struct gle_errors *errs)
{
    const struct gle_rule *compared = exp->diagnose.gradient;

    if (!exp->layers)
        return 0;
    if (exp->rule && exp->rule->continuous)
        return refuse_adjoint(exp, "learning.rule", errs);
    return compared && compared->continuous ? refuse_adjoint(exp, "diagnose.gradient", errs) : 0;
}
