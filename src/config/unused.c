/* Settings that somebody wrote and that change nothing in an experiment. None is an error: what a variant, a sweep or
 * --set changes may well leave such settings behind in the file. */
#include "base/memory.h"
#include "config/build.h"
#include "config/keys.h"
#include "data/data.h"
#include "parts/feedback.h"
#include "parts/rule.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* --- what was written --- */

static const struct gle_key *keys_of(const struct gle_node *map);

/* The row that a node was decoded by; NULL: it has none of its own. */
static const struct gle_key *key_of(const struct gle_node *node)
{
    for (const struct gle_key *k = node->key ? keys_of(node->parent) : NULL; k && k->name; k++)
        if (!strcmp(k->name, node->key))
            return k;
    return NULL;
}

/* The rows of the keys that a map may have; NULL: it has none. */
static const struct gle_key *keys_of(const struct gle_node *map)
{
    const bool item = map->parent && map->parent->kind == GLE_NODE_LIST;
    const struct gle_key *key = map->parent ? key_of(item ? map->parent : map) : NULL;

    if (!map->parent)
        return gle_experiment_keys;
    if (item && key && key->kind == GLE_KEY_KIND_CUSTOM) {
        const struct gle_form *form = ((const struct gle_custom *)key->more)->forms;
        while (form && form->kind != GLE_FORM_END && form->kind != GLE_FORM_LIST)
            form++;
        key = form ? form->key : NULL;
    }
    if (key && key->kind == GLE_KEY_KIND_PART) {
        const struct gle_node *type = gle_node_get(map, "type");
        const struct gle_row *row = type ? gle_table_find(key->more, type->text) : NULL;
        return row ? row->keys : NULL;
    }
    return key && key->kind == GLE_KEY_KIND_MAP ? key->more : NULL;
}

/* Whether a node says what its default says. The config that a run leaves behind has all of them. */
static bool is_default(const struct gle_experiment *exp, const struct gle_node *node)
{
    const struct gle_key *key = key_of(node);
    struct gle_errors errs = {0};
    struct gle_node *other;
    char difference[8];

    return key && key->fallback && *key->fallback &&
           !gle_node_parse(&other, exp->doc, key->fallback, "default", &errs) &&
           !gle_node_differs(difference, sizeof difference, other, node, NULL);
}

/* What stands under the key of a map (or NULL), if somebody wrote it, and it is not the default. */
static const struct gle_node *given(const struct gle_experiment *exp, const struct gle_node *map, const char *key)
{
    const struct gle_node *node = map ? gle_node_get(map, key) : NULL;

    return node && !node->filled_in && !is_default(exp, node) ? node : NULL;
}

/* Says why node, if there is one, has no effect. */
static void tell(struct gle_errors *told, const struct gle_node *node, const char *why, ...) GLE_PRINTF(3, 4);
static void tell(struct gle_errors *told, const struct gle_node *node, const char *why, ...)
{
    char text[256];
    va_list args;

    if (!node)
        return;
    va_start(args, why);
    vsnprintf(text, sizeof text, why, args);
    va_end(args);
    gle_node_error(told, GLE_ECONFIG, node, NULL, "has no effect: %s", text);
}

/* --- what learns --- */

static bool learns_anywhere(const struct gle_experiment *exp, enum gle_param param)
{
    for (size_t i = 0; i < exp->n_layers; i++)
        if (exp->layers[i].plastic[param])
            return true;
    return false;
}

/* Whether there are weights B that align themselves, within the bounds of W, whether that learns or not. */
static bool aligns_anywhere(const struct gle_experiment *exp)
{
    for (size_t i = 0; i < exp->n_layers; i++)
        for (size_t j = 0; j < exp->layers[i].n_sources; j++)
            if (exp->layers[i].sources[j].feedback->way == GLE_FEEDBACK_ALIGNS)
                return true;
    return false;
}

/* Why no parameter ever moves; NULL: some do. Training by no epochs is left out: it says what it is for. */
static const char *why_nothing_learns(const struct gle_experiment *exp)
{
    bool plastic = false, learn = !exp->phases;

    for (int p = 0; p < GLE_PARAMS; p++)
        plastic = plastic || learns_anywhere(exp, (enum gle_param)p);
    for (size_t i = 0; i < exp->n_phases; i++)
        learn = learn || exp->phases[i].learn;
    return !plastic ? "no parameter learns (plastic)" : !learn ? "no phase learns (learn: false)" : NULL;
}

static void tell_of_bounds(const struct gle_experiment *exp, const struct gle_node *learning, struct gle_errors *told)
{
    const struct gle_node *bounds = gle_node_get(learning, "bounds");

    for (int p = 0; p < GLE_PARAMS; p++)
        if (!learns_anywhere(exp, (enum gle_param)p) && !(p == GLE_WEIGHT && aligns_anywhere(exp)))
            tell(told, given(exp, bounds, gle_params[p].name), "%s learns in no layer (plastic)", gle_params[p].name);
}

/* A parameter in a list of what learns that says nothing of any. */
static void tell_of_listed(const struct gle_node *plastic, enum gle_param param, const char *why,
                           struct gle_errors *told)
{
    for (size_t i = 0; plastic && i < plastic->n_items; i++)
        if (!strcmp(plastic->items[i]->text, gle_params[param].name))
            tell(told, plastic->items[i], "%s", why);
}

/* Whether what a layer says of the weights of its sources goes for one of them. */
static bool has_common_weights(const struct gle_layer_cfg *l)
{
    bool any = false;

    for (size_t j = 0; j < l->n_sources; j++)
        any = any || l->sources[j].src == l->src || !gle_node_get(l->sources[j].src, "plastic");
    return any;
}

/* What learning says for layers that say something else themselves. */
static void tell_of_common(const struct gle_experiment *exp, const struct gle_node *learning, struct gle_errors *told)
{
    static const char no_biases[] = "there are no biases here (bias: none)";
    bool plastic = false, gamma = false, biases = false, weights = false;

    for (size_t i = 0; i < exp->n_layers; i++) {
        const struct gle_layer_cfg *l = &exp->layers[i];
        const struct gle_node *own = given(exp, l->src, "plastic");
        plastic = plastic || !own;
        biases = biases || (!own && l->bias.row);
        weights = weights || (!own && has_common_weights(l));
        gamma = gamma || !given(exp, l->src, "gamma");
        if (!l->bias.row)
            tell_of_listed(own, GLE_BIAS, no_biases, told);
        if (!has_common_weights(l))
            tell_of_listed(own, GLE_WEIGHT, "every source of the layer has a plastic of its own", told);
    }
    if (!plastic)
        tell(told, given(exp, learning, "plastic"), "every layer has a plastic of its own");
    if (plastic && !biases)
        tell_of_listed(given(exp, learning, "plastic"), GLE_BIAS, no_biases, told);
    if (plastic && !weights)
        tell_of_listed(given(exp, learning, "plastic"), GLE_WEIGHT,
                       "every source of the layers that it is for has a plastic of its own", told);
    if (!gamma)
        tell(told, given(exp, learning, "gamma"), "every layer has a gamma of its own");
}

/* Whether layers that learn have their errors of single steps: a rule without windows learns from them, and they may be
 * recorded. Windowed rules have their gradients from the loss itself. */
static bool follows_errors(const struct gle_experiment *exp)
{
    bool any = !exp->rule->windowed;

    for (int v = 0; v < GLE_RECORD_VARS; v++)
        any = any || (exp->record.variables[v] && gle_variables[v].of_errors);
    return any;
}

/* Whether something depends on the errors of single steps: these layers, or membranes that they feed back into. */
static bool uses_errors(const struct gle_experiment *exp)
{
    bool any = follows_errors(exp);

    for (size_t i = 0; i < exp->n_layers; i++)
        any = any || exp->layers[i].gamma > 0.0;
    return any;
}

static bool learns(const struct gle_layer_cfg *l)
{
    bool any = false;

    for (int p = 0; p < GLE_PARAMS; p++)
        any = any || l->plastic[p];
    return any;
}

/* Marks the layers whose errors something depends on: the solver computes those alone. An error goes on to a source
 * and, from there, to what that reads. */
static void mark_wanted(bool *wanted, const struct gle_experiment *exp)
{
    bool more = true;

    for (size_t i = 0; i < exp->n_layers; i++)
        wanted[i] = exp->layers[i].gamma > 0.0 || (follows_errors(exp) && learns(&exp->layers[i]));
    while (more) {
        more = false;
        for (size_t i = 0; i < exp->n_layers; i++)
            for (size_t j = 0; j < exp->layers[i].n_sources && !wanted[i]; j++) {
                const struct gle_source_cfg *c = &exp->layers[i].sources[j];
                wanted[i] = c->layer != GLE_SOURCE_INPUT && c->feedback->sends && wanted[c->layer];
                more = more || wanted[i];
            }
        for (size_t i = 0; i < exp->n_layers; i++)
            for (size_t j = 0; wanted[i] && j < exp->layers[i].n_errors_from; j++) {
                bool *from = &wanted[exp->layers[i].errors_from[j].layer];
                more = more || !*from;
                *from = true;
            }
    }
}

/* How errors go back to sources that want none. */
static void tell_of_feedback(const struct gle_experiment *exp, struct gle_errors *told)
{
    bool *wanted = gle_arena_alloc(exp->doc->arena, exp->n_layers, sizeof *wanted);

    if (!wanted) {
        gle_node_error(told, GLE_ENOMEM, exp->network_src, NULL, "no memory to look for feedback without effect");
        return;
    }
    mark_wanted(wanted, exp);
    for (size_t i = 0; i < exp->n_layers; i++)
        if (!wanted[i] && exp->layers[i].n_errors_from)
            tell(told, given(exp, exp->layers[i].src, "errors_from"),
                 follows_errors(exp) ? "nothing learns from errors that come to '%s'"
                                     : "gradients do not depend on it, and no error that comes to '%s' feeds back into "
                                       "membranes (gamma)", exp->layers[i].name);
    for (size_t i = 0; i < exp->n_layers; i++)
        for (size_t j = 0; j < exp->layers[i].n_sources; j++) {
            const struct gle_source_cfg *c = &exp->layers[i].sources[j];
            const struct gle_node *feedback = c->feedback == gle_feedbacks ? NULL : given(exp, c->src, "feedback");
            const char *source = c->layer == GLE_SOURCE_INPUT ? "" : exp->layers[c->layer].name;
            if (c->layer == GLE_SOURCE_INPUT)
                tell(told, feedback, "no errors go back to the input");
            else if (!wanted[c->layer] && !follows_errors(exp))
                tell(told, feedback,
                     "gradients of %s do not depend on it, and no error that goes back to '%s' feeds back into "
                     "membranes (gamma)", exp->rule->row.name, source);
            else if (!wanted[c->layer])
                tell(told, feedback, "nothing learns from errors that go back to '%s'", source);
        }
}

static void tell_of_learning(const struct gle_experiment *exp, struct gle_errors *told)
{
    const struct gle_node *learning = gle_node_get(exp->src, "learning");
    const char *idle = why_nothing_learns(exp);
    char rules[64];

    if (!exp->rule->windowed)
        tell(told, given(exp, learning, "window"), "the rule %s looks at no window; %s do", exp->rule->row.name,
             gle_windowed_rules(rules, sizeof rules));
    else if (idle && !exp->record.variables[GLE_RECORD_LAMBDA])
        tell(told, given(exp, learning, "window"), "%s", idle);
    if (!uses_errors(exp))
        tell(told, given(exp, learning, "beta"),
             "gradients of %s do not depend on it, and no error feeds back into membranes (gamma)",
             exp->rule->row.name);
    tell_of_common(exp, learning, told);
    tell_of_bounds(exp, learning, told);
    if (!idle)
        return;
    tell(told, given(exp, learning, "optimizer"), "%s", idle);
    tell(told, given(exp, learning, "schedule"), "%s", idle);
    if (exp->update_every > 1)
        tell(told, given(exp, learning, "update"), "%s", idle);
    tell(told, given(exp, learning, "clip"), "%s", idle);
    tell(told, given(exp, exp->src, "diagnose"), "%s", idle);
    tell(told, given(exp, exp->record.src, "gradients"), "%s", idle);
}

/* --- hardware --- */

/* A key of noise, mismatch or quantize, in the layer's own map. */
static const struct gle_node *hardware_of(const struct gle_node *layer, const char *map, const char *key)
{
    const struct gle_node *of = gle_node_get(layer, map);

    return of ? gle_node_get(of, key) : NULL;
}

/* The same in the map that says it of all layers. */
static const struct gle_node *common_hardware(const struct gle_experiment *exp, const char *map, const char *key)
{
    const struct gle_node *of = gle_hardware_common(exp->network_src, map);

    return of ? gle_node_get(of, key) : NULL;
}

/* What the network says for layers that all say something else themselves. */
static void tell_of_common_hardware(const struct gle_experiment *exp, const char *map, const char *key,
                                    struct gle_errors *told)
{
    const struct gle_node *common = common_hardware(exp, map, key);
    bool own = true;

    for (size_t i = 0; i < exp->n_layers; i++)
        own = own && hardware_of(exp->layers[i].src, map, key);
    if (own)
        tell(told, common, "every layer has a %s.%s of its own", map, key);
}

/* Says so at what each layer says, and once at what the network says, if `idle` holds of all layers that it is for. */
static void tell_where(const struct gle_experiment *exp, const char *map, const char *key, const bool *idle,
                       struct gle_errors *told, const char *why)
{
    const struct gle_node *common = common_hardware(exp, map, key);
    bool any = false, all = true;

    for (size_t i = 0; i < exp->n_layers; i++) {
        const struct gle_node *src = exp->layers[i].src, *own = hardware_of(src, map, key);
        if (own && idle[i] && (!i || exp->layers[i - 1].src != src)) /* once for all repeats */
            tell(told, own, "%s", why);
        any = any || !own;
        all = all && (own || idle[i]);
    }
    if (any && all)
        tell(told, common, "%s", why);
}

/* Whether rates of a layer show nothing of noise in its membranes, since u cancels out of u + tau_r u_dot; nor does a
 * time constant that learns. */
static bool cancels(const struct gle_layer_cfg *l)
{
    bool same = l->mismatch.std[GLE_MISMATCH_TAU_M] <= 0.0 && l->mismatch.std[GLE_MISMATCH_TAU_R] <= 0.0 &&
                !l->plastic[GLE_TAU_M] && !l->plastic[GLE_TAU_R];

    for (size_t i = 0; same && i < l->n; i++)
        same = l->tau_m[i] >= l->tau_r[i] && l->tau_m[i] <= l->tau_r[i];
    return same;
}

/* Settings beside a std of 0. */
static void tell_of_silence(const struct gle_experiment *exp, const struct gle_node *noise, struct gle_errors *told)
{
    if (!noise || gle_node_get(noise, "std")->number != 0.0)
        return;
    tell(told, given(exp, noise, "tau"), "std is 0");
    tell(told, given(exp, noise, "when"), "std is 0");
}

static void tell_of_noise(const struct gle_experiment *exp, bool *idle, struct gle_errors *told)
{
    static const char *const kinds[GLE_NOISES] = {"input", "membrane", "rate"};
    const bool trains = exp->phases || exp->epochs, tests = !exp->phases || exp->evaluate_steps;

    for (size_t k = 0; k < GLE_NOISES; k++) {
        tell_of_common_hardware(exp, "noise", kinds[k], told);
        tell_of_silence(exp, common_hardware(exp, "noise", kinds[k]), told);
        for (size_t i = 0; i < exp->n_layers; i++)
            if (!i || exp->layers[i - 1].src != exp->layers[i].src) /* once for all repeats */
                tell_of_silence(exp, hardware_of(exp->layers[i].src, "noise", kinds[k]), told);
        for (size_t i = 0; i < exp->n_layers; i++)
            idle[i] = exp->layers[i].noise[k].std > 0.0 && !exp->layers[i].noise[k].test && !trains;
        tell_where(exp, "noise", kinds[k], idle, told, "there is no training (epochs: 0)");
        for (size_t i = 0; i < exp->n_layers; i++)
            idle[i] = exp->layers[i].noise[k].std > 0.0 && !exp->layers[i].noise[k].train && !tests;
        tell_where(exp, "noise", kinds[k], idle, told,
                   "in training by duration (phases), the test set is shown with the key 'evaluate' only");
    }
    for (size_t i = 0; i < exp->n_layers; i++)
        idle[i] = exp->layers[i].noise[GLE_NOISE_MEMBRANE].std > 0.0 && !exp->record.variables[GLE_RECORD_U] &&
                  cancels(&exp->layers[i]);
    tell_where(exp, "noise", "membrane", idle, told,
               "tau_r equals tau_m, so that rates show nothing of the noise of potentials");
}

static void tell_of_mismatch(const struct gle_experiment *exp, bool *idle, bool *wanted, struct gle_errors *told)
{
    static const char *const keys[GLE_MISMATCHES] = {"tau_m", "tau_r", "error_tau_m", "error_tau_r"};

    mark_wanted(wanted, exp);
    for (size_t k = 0; k < GLE_MISMATCHES; k++) {
        tell_of_common_hardware(exp, "mismatch", keys[k], told);
        if (k < GLE_MISMATCH_ERROR_TAU_M)
            continue;
        for (size_t i = 0; i < exp->n_layers; i++)
            idle[i] = exp->layers[i].mismatch.own[k] && !exp->rule->looks_ahead;
        tell_where(exp, "mismatch", keys[k], idle, told,
                   "errors of this rule are instantaneous: they use no time constant");
        for (size_t i = 0; i < exp->n_layers; i++)
            idle[i] = exp->layers[i].mismatch.own[k] && exp->rule->looks_ahead && !wanted[i];
        tell_where(exp, "mismatch", keys[k], idle, told, "nothing learns from errors of the layer");
    }
}

static void tell_of_hardware(const struct gle_experiment *exp, struct gle_errors *told)
{
    bool *flags = gle_arena_alloc(exp->doc->arena, 2 * exp->n_layers, sizeof *flags);

    if (!flags) {
        gle_node_error(told, GLE_ENOMEM, exp->network_src, NULL, "no memory to look for noise without effect");
        return;
    }
    tell_of_noise(exp, flags, told);
    tell_of_mismatch(exp, flags, flags + exp->n_layers, told);
    tell_of_common_hardware(exp, "quantize", "weight", told);
}

/* --- the other sections --- */

/* Initial values of a layer for which the network's file has others. */
static void tell_of_initial_values(const struct gle_experiment *exp, struct gle_errors *told)
{
    static const char why[] = "the file of network.init has the initial values of all layers";

    for (size_t i = 0; exp->init_file && i < exp->n_layers; i++) {
        const struct gle_layer_cfg *l = &exp->layers[i];
        tell(told, given(exp, l->src, "weight"), why);
        if (l->bias.row)
            tell(told, given(exp, l->src, "bias"), why);
        for (size_t j = 0; j < l->n_sources; j++)
            if (l->sources[j].src != l->src)
                tell(told, given(exp, l->sources[j].src, "weight"), why);
    }
}

/* What a layer says for sources that all say it themselves, and an input that nobody reads. */
static void tell_of_sources(const struct gle_experiment *exp, struct gle_errors *told)
{
    bool read = false;

    for (size_t i = 0; i < exp->n_layers; i++) {
        const struct gle_layer_cfg *l = &exp->layers[i];
        bool weight = exp->init_file != NULL; /* told of that */
        for (size_t j = 0; j < l->n_sources; j++) {
            const struct gle_source_cfg *c = &l->sources[j];
            read = read || c->layer == GLE_SOURCE_INPUT;
            weight = weight || c->src == l->src || !gle_node_get(c->src, "weight");
        }
        if (!weight)
            tell(told, given(exp, l->src, "weight"), "every source of the layer has a weight of its own");
    }
    if (!read)
        tell(told, given(exp, exp->network_src, "input"), "no layer reads the input");
}

/* A signal has neither samples nor batches of them: it is as many sequences as it says, from the first step to the
 * last. */
static void tell_of_signal(const struct gle_experiment *exp, struct gle_errors *told)
{
    static const char endless[] = "is a signal without end, in which no batch begins anew";
    const struct gle_dataset *set = (const struct gle_dataset *)exp->dataset.row;
    const char *name = set->row.name;

    if (!set->signal)
        return;
    tell(told, given(exp, exp->training_src, "batch_size"),
         "%s is a signal, which says itself how many sequences run side by side (dataset.sequences)", name);
    tell(told, given(exp, exp->training_src, "state"), "%s %s", name, endless);
    for (size_t i = 0; i < exp->n_layers; i++)
        tell(told, given(exp, exp->layers[i].src, "reset"), "%s %s", name, endless);
}

/* Keys of a data set that change nothing where a number beside them is 0. */
static void tell_of_needs(const struct gle_experiment *exp, const struct gle_key *keys, const struct gle_node *map,
                          struct gle_errors *told)
{
    for (const struct gle_key *k = keys; k && k->name; k++) {
        const struct gle_node *node = gle_node_get(map, k->name);
        const struct gle_node *other = k->needs ? gle_node_get(map, k->needs) : NULL;
        if (other && other->number == 0.0)
            tell(told, given(exp, map, k->name), "%s is 0", k->needs);
        if (node && k->kind == GLE_KEY_KIND_MAP)
            tell_of_needs(exp, k->more, node, told);
    }
}

/* Layers and neurons are chosen for what is recorded of them. */
static void tell_of_record(const struct gle_experiment *exp, struct gle_errors *told)
{
    const struct gle_record *record = &exp->record;
    bool of_neurons = false, of_layers;

    if (!record->src)
        return;
    for (int v = 0; v < GLE_RECORD_VARS; v++)
        of_neurons = of_neurons || (record->variables[v] && v != GLE_RECORD_E_BELOW);
    for (int p = 0; p < GLE_RECORDED_PARAMS; p++)
        of_neurons = of_neurons || record->parameters[p] || (p < GLE_PARAMS && record->gradients[p]);
    of_layers = of_neurons || record->variables[GLE_RECORD_E_BELOW];
    if (!of_layers)
        tell(told, given(exp, record->src, "layers"),
             "variables, parameters and gradients, which are recorded of layers, list none");
    if (!of_neurons)
        tell(told, given(exp, record->src, "neurons"), "nothing that is recorded is a neuron's (%s)",
             of_layers ? "e_below is of all inputs" : "variables, parameters and gradients list none");
}

/* Adds what is told of one experiment to the whole, with the variant that it is about. */
static void add_all(struct gle_errors *whole, const struct gle_errors *told, const char *variant)
{
    for (size_t i = 0; i < told->n; i++) {
        struct gle_error e = told->item[i];
        const size_t n = strlen(e.text);
        if (variant)
            snprintf(e.text + n, sizeof e.text - n, " (in the variant '%s')", variant);
        gle_errors_add(whole, &e);
    }
    whole->dropped += told->dropped;
}

void gle_experiment_unused(const struct gle_experiment *exp, struct gle_errors *told)
{
    struct gle_errors own = {0};

    tell_of_needs(exp, exp->dataset.row->keys, exp->dataset.src, &own);
    tell_of_initial_values(exp, &own);
    tell_of_sources(exp, &own);
    tell_of_feedback(exp, &own);
    tell_of_hardware(exp, &own);
    tell_of_learning(exp, &own);
    tell_of_signal(exp, &own);
    if (exp->phases && !exp->evaluate_steps)
        tell(&own, given(exp, exp->training_src, "test_batch_size"),
             "in training by duration (phases), the test set is shown with the key 'evaluate' only");
    tell_of_record(exp, &own);
    gle_hints_add(&own, exp);
    if (exp->backend == GLE_BACKEND_CPU)
        tell(&own, given(exp, exp->compute_src, "device"), "the backend cpu runs on this machine's processors");
    add_all(told, &own, exp->variant);
}
