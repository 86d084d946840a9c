/* From the keys of layers to layers, repeats unrolled. */
#include "base/memory.h"
#include "base/text.h"
#include "config/build.h"
#include "parts/activation.h"
#include "parts/init.h"

#include <stdio.h>
#include <string.h>

int gle_values_fit(const struct gle_part *value, enum gle_param param, size_t rows, size_t cols,
                   struct gle_errors *errs)
{
    static const char *const wanted[GLE_PARAMS][2] = {[GLE_WEIGHT] = {"weights are", "weight is"},
                                                      [GLE_BIAS] = {"biases are", "bias is"},
                                                      [GLE_TAU_M] = {"time constants are", "time constant is"},
                                                      [GLE_TAU_R] = {"time constants are", "time constant is"}};
    const struct gle_init *init = (const struct gle_init *)value->row;
    const struct gle_init_target target = {.rows = rows, .cols = cols, .bias = param != GLE_WEIGHT};
    const struct gle_node *given = gle_node_get(value->src, "value");
    char found[64];

    if (!init->fits || !init->fits(value->params, &target, found, sizeof found))
        return 0;
    if (param != GLE_WEIGHT || cols == 1)
        return gle_node_error(errs, GLE_ESHAPE, given, NULL, "%s, where %zu %s wanted", found, rows,
                              wanted[param][rows == 1]);
    return gle_node_error(errs, GLE_ESHAPE, given, NULL, "%s, where %zu row%s (neurons) of %zu (inputs) %s wanted",
                          found, rows, rows == 1 ? "" : "s", cols, rows == 1 ? "is" : "are");
}

/* Whether a name is that of a copy of a repeated layer, as in "lag_2" of "lag". */
static bool is_copy(const char *name, const struct gle_layer_keys *of)
{
    const size_t n = strlen(of->name);
    uint64_t copy;

    return !strncmp(name, of->name, n) && name[n] == '_' && name[n + 1] >= '1' && name[n + 1] <= '9' &&
           !gle_text_count(&copy, name + n + 1) && copy <= of->repeat && !strpbrk(name + n + 1, ".eE");
}

/* A name that both kinds of layers have; NULL: there is none. */
static const char *common_name(const struct gle_layer_keys *a, const struct gle_layer_keys *b)
{
    if (a->repeat && !b->repeat)
        return is_copy(b->name, a) ? b->name : NULL;
    if (b->repeat && !a->repeat)
        return is_copy(a->name, b) ? a->name : NULL;
    return strcmp(a->name, b->name) ? NULL : a->name;
}

int gle_layers_check_names(const struct gle_layer_list *list, struct gle_errors *errs)
{
    int rc = 0;

    for (size_t i = 0; i < list->n && list->n <= GLE_LAYERS_MAX; i++)
        for (size_t j = 0; list->item[i].name && j < i; j++) {
            const char *name = list->item[j].name ? common_name(&list->item[j], &list->item[i]) : NULL;
            if (!name)
                continue;
            rc = gle_node_error(errs, GLE_ECONFIG, list->item[i].src, "name", "a second layer of the name '%s'", name);
            break;
        }
    return rc;
}

/* Parameters of a whole-network file replace a layer's own. */
static void replace_by_file(struct gle_part *part, const struct gle_part *file)
{
    if (file->row && part->row)
        *part = *file;
}

static int build_layer(struct gle_layer_cfg *l, const struct gle_layer_keys *keys, size_t copy,
                       const struct gle_file_keys *file, struct gle_doc *doc, struct gle_errors *errs)
{
    const struct gle_learning_keys *learning = &file->learning;
    const struct gle_names *plastic;
    const char *key, *why;

    l->name = keys->name;
    if (keys->repeat) {
        char name[96];
        snprintf(name, sizeof name, "%s_%zu", keys->name, copy + 1);
        l->name = gle_arena_text(doc->arena, name, strlen(name));
        if (!l->name)
            return gle_node_error(errs, GLE_ENOMEM, keys->src, NULL, "no memory");
    }
    l->src = keys->src;
    l->shape = (struct gle_shape){.channels = keys->neurons.channels, .size = {0, 0}}; /* the size is found later */
    if (!keys->neurons.channels) {
        l->shape = (struct gle_shape){.channels = keys->neurons.n, .size = {1, 1}};
        l->n = keys->neurons.n;
    }
    l->tau_m = keys->neurons.tau_m;
    l->tau_r = keys->neurons.tau_r;
    l->act = (const struct gle_act *)keys->activation.row;
    l->act_params = keys->activation.params;
    l->bias = keys->bias;
    replace_by_file(&l->bias, &file->network.init);
    l->gamma = gle_node_get(keys->src, "gamma") ? keys->gamma : learning->gamma;
    l->reset = !strcmp(keys->reset->name, "batch");
    plastic = keys->plastic.src ? &keys->plastic : &learning->plastic;
    for (size_t i = 0; i < plastic->n; i++)
        if (plastic->v[i]) /* NULL: unknown, an error by now */
            l->plastic[plastic->v[i] - gle_params] = true;
    if (!copy && l->act->check && l->act->check(l->act_params, &key, &why))
        return gle_node_error(errs, GLE_ERANGE, keys->activation.src, key, "%s", why);
    l->plastic[GLE_BIAS] = l->plastic[GLE_BIAS] && l->bias.row;
    gle_hardware_build(l, keys, file);
    if (keys->repeat && keys->from.src)
        return gle_node_error(errs, GLE_ECONFIG, keys->src, "from",
                              "layers that are repeated read the one before each: write them one by one to say what "
                              "else they read");
    return 0;
}

static int check_biases(const struct gle_experiment *exp, struct gle_errors *errs)
{
    int rc = 0;

    for (size_t i = 0; i < exp->n_layers; i++) {
        const struct gle_layer_cfg *l = &exp->layers[i];
        if (l->bias.row)
            rc |= gle_values_fit(&l->bias, GLE_BIAS, gle_layer_biases(l), 1, errs);
    }
    return rc;
}

static int check_weights(const struct gle_experiment *exp, const struct gle_node *src, struct gle_errors *errs)
{
    double weights = 0.0;

    for (size_t i = 0; i < exp->n_layers; i++)
        for (size_t j = 0; j < exp->layers[i].n_sources; j++) {
            const struct gle_link_plan *plan = &exp->layers[i].sources[j].plan;
            weights += (double)plan->rows * (double)plan->cols;
        }
    if (weights > 2147483647.0)
        return gle_node_error(errs, GLE_ERANGE, src, NULL, "%.0f weights; at most 2147483647 are possible", weights);
    return 0;
}

/* network.output */
static int find_output(struct gle_experiment *exp, const char *name, struct gle_errors *errs)
{
    struct gle_suggestion near = {.word = name};
    const struct gle_node *node = gle_node_get(exp->network_src, "output");

    exp->output = exp->n_layers - 1;
    for (size_t i = 0; name && i < exp->n_layers; i++) {
        if (!strcmp(exp->layers[i].name, name)) {
            exp->output = i;
            return 0;
        }
        gle_suggest(&near, exp->layers[i].name);
    }
    if (!name || gle_node_invisible(node, errs))
        return name ? -1 : 0;
    if (near.best)
        return gle_node_error(errs, GLE_ECONFIG, node, NULL, "there is no layer '%s' (did you mean '%s'?)", name,
                              near.best);
    return gle_node_error(errs, GLE_ECONFIG, node, NULL, "there is no layer '%s'", name);
}

int gle_layers_build(struct gle_experiment *exp, const struct gle_file_keys *file, struct gle_errors *errs)
{
    const struct gle_layer_list *list = &file->network.layers;
    const struct gle_layer_keys **keys;
    size_t at = 0;
    int rc = 0;

    for (size_t i = 0; i < list->n; i++)
        exp->n_layers += list->item[i].repeat ? list->item[i].repeat : 1;
    if (exp->n_layers > GLE_LAYERS_MAX)
        return gle_node_error(errs, GLE_ERANGE, list->src, NULL, "%zu layers; at most %d are possible", exp->n_layers,
                              GLE_LAYERS_MAX);
    exp->layers = gle_arena_alloc(exp->doc->arena, exp->n_layers, sizeof *exp->layers);
    keys = gle_arena_alloc(exp->doc->arena, exp->n_layers, sizeof *keys);
    if (!exp->layers || !keys) {
        exp->layers = NULL;
        return gle_node_error(errs, GLE_ENOMEM, list->src, NULL, "no memory for %zu layers", exp->n_layers);
    }
    for (size_t i = 0; i < list->n; i++)
        for (size_t copy = 0; copy < (list->item[i].repeat ? list->item[i].repeat : 1); copy++, at++) {
            struct gle_layer_cfg *l = &exp->layers[at];
            keys[at] = &list->item[i];
            rc |= build_layer(l, &list->item[i], copy, file, exp->doc, errs);
            if (!l->name) { /* no memory */
                exp->layers = NULL;
                return -1;
            }
        }
    rc |= find_output(exp, file->network.output, errs);
    rc |= gle_sources_build(exp, keys, file, errs);
    if (!exp->layers)
        return rc;
    rc |= gle_errors_from_build(exp, keys, errs);
    rc |= check_biases(exp, errs) | check_weights(exp, list->src, errs);
    return rc ? rc : gle_unheard_check(exp, errs);
}
