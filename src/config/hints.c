/* What somebody wrote and can hardly have meant: it does something else than it seems to, or nothing. None is an error,
 * as of settings without effect. */
#include "base/memory.h"
#include "config/build.h"
#include "parts/feedback.h"
#include "parts/rule.h"
#include "parts/schedule.h"

#include <inttypes.h>

/* What stands under a key of a map, if somebody wrote it. */
static const struct gle_node *written(const struct gle_node *map, const char *key)
{
    const struct gle_node *node = map ? gle_node_get(map, key) : NULL;

    return node && !node->filled_in ? node : NULL;
}

static bool learns(const struct gle_layer_cfg *l)
{
    bool any = false;

    for (int p = 0; p < GLE_PARAMS; p++)
        any = any || l->plastic[p];
    return any;
}

/* Whether anything is learned at all; that nothing is, is told by itself. */
static bool learns_anything(const struct gle_experiment *exp)
{
    bool plastic = false, learn = !exp->phases;

    for (size_t i = 0; i < exp->n_layers; i++)
        plastic = plastic || learns(&exp->layers[i]);
    for (size_t i = 0; i < exp->n_phases; i++)
        learn = learn || exp->phases[i].learn;
    return plastic && learn;
}

/* --- steps of the optimizer --- */

/* Phases in which the optimizer never steps. Under a windowed rule they are errors. */
static void tell_of_short_phases(const struct gle_experiment *exp, struct gle_errors *told)
{
    for (size_t i = 0; i < exp->n_phases; i++)
        if (exp->phases[i].learn && exp->phases[i].n_steps < exp->update_every)
            gle_node_error(told, GLE_ERANGE, exp->phases[i].src, "duration",
                           "nothing is learned in this phase: the optimizer steps after every %" PRIu64 " learning "
                           "steps (learning.update), and the phase ends after %" PRIu64, exp->update_every,
                           exp->phases[i].n_steps);
}

static void tell_of_warmup(const struct gle_experiment *exp, struct gle_errors *told)
{
    const struct gle_schedule_params *schedule = exp->schedule.row ? exp->schedule.params : NULL;

    if (schedule && exp->epochs && schedule->warmup >= exp->epochs)
        gle_node_error(told, GLE_ERANGE, exp->schedule.src, "warmup",
                       "the learning rate never comes to that of the optimizer: training has %" PRIu64 " epoch%s, of "
                       "which none is left after a warm-up of %" PRIu64, exp->epochs, exp->epochs == 1 ? "" : "s",
                       schedule->warmup);
}

/* The first epoch is an improvement on none before it; an end with the last epoch is not early. */
static void tell_of_patience(const struct gle_experiment *exp, struct gle_errors *told)
{
    if (exp->stop.metric && !exp->phases && exp->stop.patience + 1 >= exp->epochs)
        gle_node_error(told, GLE_ERANGE, exp->stop.src, "patience",
                       "training never stops early: the first epoch that it could stop after is %" PRIu64
                       ", of %" PRIu64, exp->stop.patience + 1, exp->epochs);
}

/* --- layers that no error reaches --- */

/* Marks the layers that target errors come to, in some steps: from the output to what sends errors back, and to those
 * that get them directly. */
static void mark_reached(bool *reached, const struct gle_experiment *exp)
{
    bool more = true;

    reached[exp->output] = true;
    while (more) {
        more = false;
        for (size_t i = 0; i < exp->n_layers; i++) {
            const struct gle_layer_cfg *l = &exp->layers[i];
            for (size_t j = 0; reached[i] && j < l->n_sources; j++) {
                const struct gle_source_cfg *c = &l->sources[j];
                if (c->layer == GLE_SOURCE_INPUT || !c->feedback->sends || reached[c->layer])
                    continue;
                reached[c->layer] = more = true;
            }
            for (size_t j = 0; !reached[i] && j < l->n_errors_from; j++)
                if (reached[l->errors_from[j].layer])
                    reached[i] = more = true;
        }
    }
}

static void tell_of_unreached(const struct gle_experiment *exp, struct gle_errors *told)
{
    bool *reached = gle_arena_alloc(exp->doc->arena, exp->n_layers, sizeof *reached);

    if (!reached) {
        gle_node_error(told, GLE_ENOMEM, exp->network_src, NULL, "no memory to look for layers without errors");
        return;
    }
    mark_reached(reached, exp);
    for (size_t i = 0; i < exp->n_layers; i++) {
        const struct gle_layer_cfg *l = &exp->layers[i];
        const bool repeated = i && exp->layers[i - 1].src == l->src && !reached[i - 1];
        if (!reached[i] && learns(l) && !repeated)
            gle_node_error(told, GLE_ECONFIG, l->src, written(l->src, "plastic") ? "plastic" : "name",
                           "'%s' learns nothing: no error comes to it, through feedback or errors_from, so that its "
                           "gradients are zero (plastic: [] says so)", l->name);
    }
}

/* --- names and numbers that are passed over --- */

/* Weights of a layer with one source have the layer's name alone. */
static void tell_of_names(const struct gle_experiment *exp, struct gle_errors *told)
{
    for (size_t i = 0; i < exp->n_layers; i++) {
        const struct gle_layer_cfg *l = &exp->layers[i];
        const struct gle_node *name = l->sources[0].src == l->src ? NULL : written(l->sources[0].src, "name");
        if (l->n_sources == 1 && name)
            gle_node_error(told, GLE_ECONFIG, name, NULL,
                           "has no effect: the weights of a layer with one source are called by the layer alone, "
                           "'%s.weight'", l->name);
    }
}

/* Neurons that are recorded of the larger layers, and that others have not. */
static void tell_of_recorded(const struct gle_experiment *exp, struct gle_errors *told)
{
    const struct gle_record *record = &exp->record;
    const struct gle_node *neurons = record->src ? gle_node_get(record->src, "neurons") : NULL;

    for (size_t k = 0; k < record->neurons.n; k++)
        for (size_t i = 0; i < record->layers.n; i++) {
            const struct gle_layer_cfg *l = &exp->layers[record->layers.v[i]];
            if (record->neurons.v[k] < l->n)
                continue;
            gle_node_error(told, GLE_ERANGE, neurons->kind == GLE_NODE_LIST ? neurons->items[k] : neurons, NULL,
                           "there is no neuron %zu in '%s', which has %zu, counted from 0: it is recorded of larger "
                           "layers alone", record->neurons.v[k], l->name, l->n);
            break;
        }
}

void gle_hints_add(struct gle_errors *told, const struct gle_experiment *exp)
{
    if (learns_anything(exp)) {
        tell_of_short_phases(exp, told);
        tell_of_warmup(exp, told);
        if (!exp->rule->windowed)
            tell_of_unreached(exp, told);
    }
    tell_of_patience(exp, told);
    tell_of_names(exp, told);
    tell_of_recorded(exp, told);
}
