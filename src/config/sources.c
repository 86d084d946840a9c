/* What layers read: names become numbers, and shapes follow. */
#include "base/memory.h"
#include "base/text.h"
#include "config/build.h"
#include "parts/feedback.h"
#include "parts/init.h"

#include <stdio.h>
#include <string.h>

static int no_memory(const struct gle_node *node, struct gle_errors *errs)
{
    return gle_node_error(errs, GLE_ENOMEM, node, NULL, "no memory");
}

static const char *name_of(const struct gle_experiment *exp, long layer)
{
    return layer == GLE_SOURCE_INPUT ? "input" : exp->layers[layer].name;
}

static const struct gle_shape *shape_of(const struct gle_experiment *exp, long layer)
{
    return layer == GLE_SOURCE_INPUT ? &exp->input_shape : &exp->layers[layer].shape;
}

/* --- names --- */

int gle_source_find(long *layer, const struct gle_experiment *exp, const char *name, const struct gle_node *node,
                    struct gle_errors *errs)
{
    struct gle_suggestion near = {.word = name};
    const bool input = !strcmp(name, "input");

    *layer = GLE_SOURCE_INPUT;
    for (size_t i = 0; i < exp->n_layers; i++) {
        if (!strcmp(exp->layers[i].name, name)) {
            if (input)
                return gle_node_error(errs, GLE_ECONFIG, node, NULL,
                                      "'input' is the network's input, and also the name of a layer: call that "
                                      "otherwise");
            *layer = (long)i;
            return 0;
        }
        gle_suggest(&near, exp->layers[i].name);
    }
    if (input)
        return 0;
    gle_suggest(&near, "input");
    if (gle_node_invisible(node, errs))
        return -1;
    if (near.best)
        return gle_node_error(errs, GLE_ECONFIG, node, NULL, "there is no layer '%s' (did you mean '%s'?)", name,
                              near.best);
    return gle_node_error(errs, GLE_ECONFIG, node, NULL, "there is no layer '%s'", name);
}

/* The parameters of a file for the whole network replace a layer's own. */
static const struct gle_part *weight_of(const struct gle_source_keys *keys, const struct gle_layer_keys *layer,
                                        const struct gle_file_keys *file)
{
    return file->network.init.row ? &file->network.init : keys && keys->weight.row ? &keys->weight : &layer->weight;
}

static int find_delay(struct gle_source_cfg *out, const struct gle_experiment *exp, const struct gle_source_keys *keys,
                      struct gle_errors *errs)
{
    const bool input = out->layer == GLE_SOURCE_INPUT;

    out->delay = input ? 0 : 1;
    if (!keys || !gle_node_get(keys->src, "delay"))
        return 0;
    if (keys->delay > 0.0) {
        out->delay = gle_steps_in(keys->delay, exp->dt, keys->src, "delay", errs);
        if (out->delay <= GLE_DELAY_MAX)
            return out->delay ? 0 : -1;
        return gle_node_error(errs, GLE_ERANGE, keys->src, "delay",
                              "%g is %llu steps of dt = %g; at most %d are possible", keys->delay,
                              (unsigned long long)out->delay, exp->dt, GLE_DELAY_MAX);
    }
    out->delay = 0;
    if (input)
        return 0;
    return gle_node_error(errs, GLE_ERANGE, keys->src, "delay",
                          "0 between layers: each reads what the last step left of the other, so dt = %g is the least",
                          exp->dt);
}

/* keys NULL: the layer says nothing of what it reads, and reads the one before it. */
static int build_source(struct gle_source_cfg *out, const struct gle_experiment *exp, size_t target,
                        const struct gle_source_keys *keys, const struct gle_layer_keys *layer,
                        const struct gle_file_keys *file, struct gle_errors *errs)
{
    const struct gle_layer_cfg *l = &exp->layers[target];

    out->layer = target ? (long)target - 1 : GLE_SOURCE_INPUT;
    out->src = keys ? keys->src : layer->src;
    if (keys && gle_source_find(&out->layer, exp, keys->layer, gle_node_get(keys->src, "layer"), errs))
        return -1;
    out->name = keys && keys->name ? keys->name : name_of(exp, out->layer);
    if (keys && keys->name && gle_name_check(keys->name, "", keys->src, "name", errs))
        return -1;
    out->connect = keys ? keys->connect : (struct gle_part){.row = gle_table_at(&gle_link_table, 0)};
    out->weight = *weight_of(keys, layer, file);
    out->feedback = keys ? (const struct gle_feedback *)keys->feedback.row
                         : (const struct gle_feedback *)gle_table_at(&gle_feedback_table, 0);
    out->feedback_params = keys ? keys->feedback.params : NULL;
    out->plastic = keys && gle_node_get(keys->src, "plastic") ? keys->plastic : l->plastic[GLE_WEIGHT];
    if (out->layer == GLE_SOURCE_INPUT && keys && out->feedback != gle_feedbacks && out->feedback->sends)
        return gle_node_error(errs, GLE_ECONFIG, keys->src, "feedback",
                              "no errors go back to the input, so that %s would do nothing", out->feedback->row.name);
    return find_delay(out, exp, keys, errs);
}

/* "hidden" of a layer with one source, "hidden.late" of one with several. Names must differ. */
static int label_sources(struct gle_experiment *exp, struct gle_layer_cfg *l, struct gle_errors *errs)
{
    int rc = 0;

    for (size_t i = 0; i < l->n_sources; i++) {
        struct gle_source_cfg *c = &l->sources[i];
        char label[160];
        snprintf(label, sizeof label, l->n_sources > 1 ? "%s.%s" : "%s", l->name, c->name);
        c->label = gle_arena_text(exp->doc->arena, label, strlen(label));
        if (!c->label)
            return no_memory(l->src, errs);
        for (size_t j = 0; j < i; j++)
            if (!strcmp(l->sources[j].name, c->name)) {
                rc = gle_node_error(errs, GLE_ECONFIG, c->src, gle_node_get(c->src, "name") ? "name" : NULL,
                                    "a second source of the name '%s': give one of them a name of its own (name: ...)",
                                    c->name);
                break;
            }
    }
    return rc;
}

static int build_layer(struct gle_experiment *exp, size_t target, const struct gle_layer_keys *keys,
                       const struct gle_file_keys *file, struct gle_errors *errs)
{
    struct gle_layer_cfg *l = &exp->layers[target];
    const struct gle_source_list *from = &keys->from;
    bool any = false;
    int rc = 0;

    l->n_sources = from->src ? from->n : 1;
    l->sources = gle_arena_alloc(exp->doc->arena, l->n_sources, sizeof *l->sources);
    if (!l->sources) {
        l->n_sources = 0;
        return no_memory(l->src, errs);
    }
    for (size_t i = 0; i < l->n_sources; i++)
        rc |= build_source(&l->sources[i], exp, target, from->src ? &from->item[i] : NULL, keys, file, errs);
    if (rc)
        return rc;
    for (size_t i = 0; i < l->n_sources; i++)
        any = any || l->sources[i].plastic;
    l->plastic[GLE_WEIGHT] = any;
    return label_sources(exp, l, errs);
}

/* --- shapes --- */

/* The plan of a source whose own shape is known, without the lists, which the graph makes for itself. Errors are told
 * unless errs is NULL. */
static int plan_source(struct gle_source_cfg *c, const struct gle_experiment *exp, const struct gle_layer_cfg *l,
                       struct gle_errors *errs)
{
    const struct gle_link *link = (const struct gle_link *)c->connect.row;
    struct gle_link_plan plan;
    struct gle_error err = {0};
    const int rc = gle_link_plan_make(&plan, link, c->connect.params, shape_of(exp, c->layer), &l->shape, exp->seed,
                                      c->label, &err);

    c->plan = plan;
    c->plan.starts = NULL;
    c->plan.columns = NULL;
    gle_link_plan_clear(&plan);
    if (rc && errs) {
        gle_node_place(&err, c->src, gle_node_get(c->src, "connect") ? "connect" : NULL);
        gle_errors_add(errs, &err);
    }
    return rc;
}

static bool same_grid(const struct gle_shape *a, const struct gle_shape *b)
{
    return a->channels == b->channels && a->dims == b->dims && a->size[0] == b->size[0] && a->size[1] == b->size[1];
}

/* Gives layers of channels the size that a convolution from a layer of known size leads to, one after the other. A plan
 * that fails here is told of by check_sources(). */
static void find_grids(struct gle_experiment *exp)
{
    bool more = true;

    while (more) {
        more = false;
        for (size_t i = 0; i < exp->n_layers; i++) {
            struct gle_layer_cfg *l = &exp->layers[i];
            for (size_t j = 0; j < l->n_sources && !l->n; j++) {
                struct gle_source_cfg *c = &l->sources[j];
                if (!((const struct gle_link *)c->connect.row)->grids || !gle_shape_count(shape_of(exp, c->layer)) ||
                    plan_source(c, exp, l, NULL))
                    continue;
                l->shape = c->plan.target;
                l->n = gle_shape_count(&l->shape);
                more = l->n > 0;
            }
        }
    }
}

static int check_source(struct gle_source_cfg *c, const struct gle_experiment *exp, const struct gle_layer_cfg *l,
                        struct gle_errors *errs)
{
    const struct gle_link *link = (const struct gle_link *)c->connect.row;
    const char *at = gle_node_get(c->src, "connect") ? "connect" : NULL;

    if (!gle_shape_count(shape_of(exp, c->layer)) || (!l->n && !link->grids))
        return 0; /* told of where it is looked for */
    if (link->grids && l->n && !l->shape.dims)
        return gle_node_error(errs, GLE_ESHAPE, c->src, at,
                              "%s makes a line or plane for each channel: the layer's neurons need `channels` in place "
                              "of `count`", link->row.name);
    if (plan_source(c, exp, l, errs))
        return -1;
    if (link->grids && l->n && !same_grid(&c->plan.target, &l->shape))
        return gle_node_error(errs, GLE_ESHAPE, c->src, at, "makes %zu x %zu, where another source makes %zu x %zu",
                              c->plan.target.size[0], c->plan.target.size[1], l->shape.size[0], l->shape.size[1]);
    return 0;
}

/* Values that the config gives for weights, W or B. */
static int check_weights(const struct gle_source_cfg *c, const struct gle_part *weight, struct gle_errors *errs)
{
    return gle_values_fit(weight, GLE_WEIGHT, c->plan.parts, c->plan.part == 1 ? 1 : c->plan.cols, errs);
}

static int check_values(const struct gle_experiment *exp, struct gle_errors *errs)
{
    int rc = 0;

    for (size_t i = 0; i < exp->n_layers; i++)
        for (size_t j = 0; j < exp->layers[i].n_sources; j++) {
            const struct gle_source_cfg *c = &exp->layers[i].sources[j];
            const struct gle_feedback_params *own = c->feedback_params;
            rc |= check_weights(c, &c->weight, errs);
            if (c->feedback->own)
                rc |= check_weights(c, &own->weight, errs);
        }
    return rc;
}

/* One time constant for each neuron, of layers of channels, too. */
static int spread_taus(struct gle_experiment *exp, struct gle_layer_cfg *l, const struct gle_neurons *given,
                       struct gle_errors *errs)
{
    const size_t size = l->n / given->channels;
    double *tau_m, *tau_r;

    if (given->each != 1 && given->each != size)
        return gle_node_error(errs, GLE_ESHAPE, l->src, "neurons", "%zu time constants for a channel, which has %zu "
                              "neurons", given->each, size);
    if (l->n > GLE_NEURONS_MAX)
        return gle_node_error(errs, GLE_ERANGE, l->src, "neurons", "%zu neurons in a layer; at most %d are possible",
                              l->n, GLE_NEURONS_MAX);
    tau_m = gle_arena_alloc(exp->doc->arena, l->n, sizeof *tau_m);
    tau_r = gle_arena_alloc(exp->doc->arena, l->n, sizeof *tau_r);
    if (!tau_m || !tau_r)
        return no_memory(l->src, errs);
    for (size_t i = 0; i < l->n; i++) {
        const size_t from = given->each == 1 ? i / size : i;
        tau_m[i] = given->tau_m[from];
        tau_r[i] = given->tau_r[from];
    }
    l->tau_m = tau_m;
    l->tau_r = tau_r;
    return 0;
}

int gle_sources_build(struct gle_experiment *exp, const struct gle_layer_keys *const *keys,
                      const struct gle_file_keys *file, struct gle_errors *errs)
{
    int rc = 0;

    for (size_t i = 0; i < exp->n_layers; i++)
        rc |= build_layer(exp, i, keys[i], file, errs);
    if (rc) {
        exp->layers = NULL;
        return rc;
    }
    find_grids(exp);
    for (size_t i = 0; i < exp->n_layers; i++) {
        struct gle_layer_cfg *l = &exp->layers[i];
        int wrong = 0;
        for (size_t j = 0; j < l->n_sources; j++)
            wrong |= check_source(&l->sources[j], exp, l, errs);
        if (!l->n && !wrong)
            wrong = gle_node_error(errs, GLE_ESHAPE, l->src, "neurons",
                                   "the size of its channels follows from a convolution (connect: {type: conv}) of a "
                                   "layer whose size is known: it reads none");
        else if (l->n && keys[i]->neurons.channels)
            wrong |= spread_taus(exp, l, &keys[i]->neurons, errs);
        rc |= wrong;
    }
    if (rc) {
        exp->layers = NULL;
        return rc;
    }
    return check_values(exp, errs);
}
