/* What teacher, phases, evaluate, record and diagnose refer to: layers by name, neurons and sequences by number, times
 * in steps. Those sections are built here. */
#include "base/memory.h"
#include "base/text.h"
#include "config/build.h"
#include "data/data.h"
#include "parts/feedback.h"
#include "parts/rule.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static const double steps_max = 1e15; /* sums of steps stay exact as doubles */

static int no_memory(const struct gle_node *node, struct gle_errors *errs)
{
    return gle_node_error(errs, GLE_ENOMEM, node, NULL, "no memory");
}

/* How far time / dt may be from a whole number: what rounding of both explains. */
static double steps_tolerance(double steps)
{
    const double digits = 4.0 * DBL_EPSILON * steps;
    return digits > 1e-6 ? digits : 1e-6;
}

uint64_t gle_steps_in(double time, double dt, const struct gle_node *map, const char *key, struct gle_errors *errs)
{
    const double steps = time / dt, below = floor(steps);

    if (!(time > 0.0) || !(dt > 0.0))
        return 0;
    if (steps > steps_max)
        gle_node_error(errs, GLE_ERANGE, map, key, "%g is more than %g steps of dt = %g", time, steps_max, dt);
    else if (steps < 0.5)
        gle_node_error(errs, GLE_ERANGE, map, key, "%g is less than one step of dt = %g", time, dt);
    else if (fabs(steps - round(steps)) <= steps_tolerance(steps))
        return (uint64_t)llround(steps);
    else if (below < 1.0)
        gle_node_error(errs, GLE_ERANGE, map, key, "%.10g is no whole number of steps of dt = %.10g; %.10g is one",
                       time, dt, dt);
    else
        gle_node_error(errs, GLE_ERANGE, map, key,
                       "%.10g is no whole number of steps of dt = %.10g: %.10g makes %.0f, %.10g makes %.0f", time, dt,
                       below * dt, below, (below + 1.0) * dt, below + 1.0);
    return 0;
}

/* The layer of that name, or exp->n_layers after an error at node. */
static size_t find_layer(const struct gle_experiment *exp, const char *name, const struct gle_node *node,
                         struct gle_errors *errs)
{
    struct gle_suggestion near = {.word = name};

    for (size_t i = 0; i < exp->n_layers; i++) {
        if (!strcmp(exp->layers[i].name, name))
            return i;
        gle_suggest(&near, exp->layers[i].name);
    }
    if (node->key ? gle_node_key_invisible(node, errs) : gle_node_invisible(node, errs))
        return exp->n_layers;
    if (near.best)
        gle_node_error(errs, GLE_ECONFIG, node, NULL, "there is no layer '%s' (did you mean '%s'?)", name, near.best);
    else
        gle_node_error(errs, GLE_ECONFIG, node, NULL, "there is no layer '%s'", name);
    return exp->n_layers;
}

/* --- parameters put to values --- */

/* Numbers of a value, which may stand in a list or in rows. */
static int check_taus(const struct gle_node *value, const struct gle_experiment *exp, struct gle_errors *errs)
{
    int rc = 0;

    for (size_t i = 0; i < value->n_items; i++)
        rc |= check_taus(value->items[i], exp, errs);
    if (value->kind == GLE_NODE_SCALAR && value->number < exp->tau_least)
        rc = gle_node_error(errs, GLE_ERANGE, value, NULL, "%g is below %s = %g", value->number,
                            gle_tau_least_text(exp->exponential), exp->tau_least);
    return rc;
}

/* The names of what a layer has several of: its sources, or those whose errors come to it. */
static const char *name_of(const struct gle_layer_cfg *l, enum gle_param param, size_t i)
{
    return param == GLE_ERRORS_FROM ? l->errors_from[i].name : l->sources[i].name;
}

/* "late.weight", "late.feedback", "readout.errors_from": which one of a layer's a setting means. */
static int find_source(size_t *source, const struct gle_layer_cfg *l, const struct gle_setting_keys *keys,
                       enum gle_param param, struct gle_errors *errs)
{
    const struct gle_node at = gle_node_at_key(keys->value.src);
    const bool direct = param == GLE_ERRORS_FROM, of_sources = param == GLE_WEIGHT || param == GLE_FEEDBACK;
    const size_t n = direct ? l->n_errors_from : of_sources ? l->n_sources : 1;
    const char *word = direct ? "errors_from" : "source", *name = gle_param_name(param);
    struct gle_suggestion near = {.word = keys->source ? keys->source : ""};

    *source = 0;
    if (!n)
        return gle_node_error(errs, GLE_ECONFIG, &at, NULL, "the layer '%s' has no errors_from", l->name);
    if (!keys->source && n == 1)
        return 0;
    if (!keys->source)
        return gle_node_error(errs, GLE_ECONFIG, &at, NULL,
                              "the layer '%s' has %zu %s, each with weights of its own: name one, as in %s.%s.%s",
                              l->name, n, direct ? "errors_from" : "sources", l->name, name_of(l, param, 0), name);
    if (n == 1)
        return gle_node_error(errs, GLE_ECONFIG, &at, NULL, "the layer '%s' has one %s: %s.%s", l->name, name, l->name,
                              name);
    for (size_t i = 0; i < n; i++) {
        if (!strcmp(name_of(l, param, i), keys->source)) {
            *source = i;
            return 0;
        }
        gle_suggest(&near, name_of(l, param, i));
    }
    return gle_node_error(errs, GLE_ECONFIG, &at, NULL, near.best ? "the layer '%s' has no %s '%s' (did you mean "
                          "'%s'?)" : "the layer '%s' has no %s '%s'", l->name, word, keys->source, near.best);
}

/* {input: {weight: 1}} in place of {input.weight: 1}. */
static int fail_nested(const struct gle_layer_cfg *l, const struct gle_setting_keys *keys, struct gle_errors *errs)
{
    const struct gle_node at = gle_node_at_key(keys->value.src);
    const char *name = keys->param->name;
    size_t source;

    if (find_source(&source, l, keys, (enum gle_param)(keys->param - gle_recorded_params), errs))
        return -1;
    return gle_node_error(errs, GLE_ECONFIG, &at, NULL,
                          "the weights of the source '%s' are named %s.%s.%s: write '%s.%s' here, not a map",
                          keys->source, l->name, keys->source, name, at.key, name);
}

/* That there is what a setting names. */
static int check_named(const struct gle_setting *s, const struct gle_experiment *exp, const struct gle_node *at,
                       struct gle_errors *errs)
{
    const struct gle_layer_cfg *l = &exp->layers[s->layer];
    const struct gle_source_cfg *c;

    if (s->param == GLE_BIAS && !l->bias.row)
        return gle_node_error(errs, GLE_ECONFIG, at, NULL, "the layer '%s' has no biases (bias: none)", l->name);
    if (s->param != GLE_FEEDBACK || l->sources[s->source].feedback->own)
        return 0;
    c = &l->sources[s->source];
    if (c->layer == GLE_SOURCE_INPUT)
        return gle_node_error(errs, GLE_ECONFIG, at, NULL, "there are no such weights: no errors go back to the input");
    return gle_node_error(errs, GLE_ECONFIG, at, NULL,
                          "there are no such weights: the source '%s' of '%s' has the feedback %s", c->name, l->name,
                          c->feedback->row.name);
}

/* That the value has the parameter's shape. */
static int check_shape(const struct gle_setting *s, const struct gle_experiment *exp, struct gle_errors *errs)
{
    const struct gle_layer_cfg *l = &exp->layers[s->layer];
    const struct gle_link_plan *plan = &l->sources[s->param == GLE_ERRORS_FROM ? 0 : s->source].plan;

    if (s->param == GLE_WEIGHT || s->param == GLE_FEEDBACK)
        return gle_values_fit(&s->value, GLE_WEIGHT, plan->parts, plan->part == 1 ? 1 : plan->cols, errs);
    if (s->param == GLE_ERRORS_FROM)
        return gle_values_fit(&s->value, GLE_WEIGHT, l->n, exp->layers[l->errors_from[s->source].layer].n, errs);
    return gle_values_fit(&s->value, s->param, s->param == GLE_BIAS ? gle_layer_biases(l) : l->n, 1, errs);
}

static int build_setting(struct gle_setting *out, const struct gle_experiment *exp, size_t layer,
                         const struct gle_setting_keys *keys, struct gle_errors *errs)
{
    const struct gle_node *given = gle_node_get(keys->value.src, "value");
    const struct gle_node at = gle_node_at_key(keys->value.src);
    int rc;

    *out = (struct gle_setting){
        .layer = layer, .param = (enum gle_param)(keys->param - gle_recorded_params), .value = keys->value};
    if (find_source(&out->source, &exp->layers[layer], keys, out->param, errs) || check_named(out, exp, &at, errs))
        return -1;
    rc = check_shape(out, exp, errs);
    if (gle_param_is_tau(out->param) && given)
        rc |= check_taus(given, exp, errs);
    return rc;
}

static int build_settings(struct gle_settings *out, const struct gle_experiment *exp,
                          const struct gle_setting_list *keys, struct gle_errors *errs)
{
    int rc = 0;

    if (!exp->layers || !keys->n)
        return 0;
    out->item = gle_arena_alloc(exp->doc->arena, keys->n, sizeof *out->item);
    if (!out->item)
        return no_memory(keys->item->src, errs);
    for (size_t i = 0; i < keys->n; i++) {
        const struct gle_setting_keys *k = &keys->item[i];
        const struct gle_node at = gle_node_at_key(k->src);
        size_t layer;
        if (!k->layer) {
            rc = gle_node_error(errs, GLE_ECONFIG, &at, NULL, "layer.parameter is wanted, as in %s.weight",
                                exp->layers[0].name);
            continue;
        }
        layer = find_layer(exp, k->layer, &at, errs);
        if (layer == exp->n_layers)
            rc = -1;
        else if (k->nested)
            rc = fail_nested(&exp->layers[layer], k, errs);
        else if (k->value.row)
            rc |= build_setting(&out->item[out->n++], exp, layer, k, errs);
    }
    return rc;
}

/* A teacher is asked for its output alone. */
static int check_teacher(const struct gle_settings *teacher, struct gle_errors *errs)
{
    int rc = 0;

    for (size_t i = 0; i < teacher->n; i++) {
        const struct gle_setting *s = &teacher->item[i];
        const struct gle_node at = gle_node_at_key(s->value.src);
        if (s->param >= GLE_PARAMS)
            rc = gle_node_error(errs, GLE_ECONFIG, &at, NULL,
                                "a teacher gives its output and learns nothing: no errors go back in it, for which it "
                                "would have such weights");
    }
    return rc;
}

int gle_teacher_build(struct gle_experiment *exp, const struct gle_setting_list *keys, struct gle_errors *errs)
{
    return build_settings(&exp->teacher, exp, keys, errs) | check_teacher(&exp->teacher, errs);
}

/* Whether windows also end where the state is reset: the data set knows when. A signal has no samples at which that
 * could be. */
static bool resets(const struct gle_experiment *exp)
{
    const struct gle_dataset *set = (const struct gle_dataset *)exp->dataset.row;
    bool any = exp->reset_state;

    for (size_t i = 0; exp->layers && i < exp->n_layers; i++)
        any = any || exp->layers[i].reset;
    return any && !(set && set->signal);
}

/* Under a windowed rule parameters move when a window ends: after a step of the run whose number is a multiple of the
 * window's length, but never the first one of a phase. A phase in which none ends would pretend to learn. */
static int check_windows(const struct gle_experiment *exp, struct gle_errors *errs)
{
    const uint64_t window = exp->window_steps;
    uint64_t begin = 0;
    int rc = 0;

    for (size_t i = 0; window && !resets(exp) && i < exp->n_phases; begin += exp->phases[i++].n_steps) {
        const struct gle_phase *phase = &exp->phases[i];
        const uint64_t last = begin + phase->n_steps - 1;
        if (phase->learn && phase->n_steps && last - last % window <= begin)
            rc = gle_node_error(errs, GLE_ERANGE, phase->src, "duration",
                                "nothing would be learned: in these %" PRIu64 " steps, %" PRIu64 " to %" PRIu64
                                " of the run, no window ends (after step %" PRIu64 " and its multiples, says "
                                "learning.window)", phase->n_steps, begin, last, window);
    }
    return rc;
}

int gle_phases_build(struct gle_experiment *exp, const struct gle_phase_list *keys, struct gle_errors *errs)
{
    double n_steps = 0.0;
    int rc = 0;

    if (!keys->n)
        return 0;
    exp->phases = gle_arena_alloc(exp->doc->arena, keys->n, sizeof *exp->phases);
    if (!exp->phases)
        return no_memory(keys->src, errs);
    exp->n_phases = keys->n;
    for (size_t i = 0; i < keys->n; i++) {
        const struct gle_phase_keys *k = &keys->item[i];
        struct gle_phase *phase = &exp->phases[i];
        phase->duration = k->duration;
        phase->learn = k->learn;
        phase->src = k->src;
        phase->n_steps = gle_steps_in(k->duration, exp->dt, k->src, "duration", errs);
        if (!phase->n_steps)
            rc = -1;
        rc |= build_settings(&phase->set, exp, &k->set, errs);
        n_steps += (double)phase->n_steps;
    }
    if (n_steps > steps_max)
        return gle_node_error(errs, GLE_ERANGE, keys->src, NULL, "%g steps in all; at most %g are possible", n_steps,
                              steps_max);
    exp->n_steps = (uint64_t)n_steps;
    return rc ? rc : check_windows(exp, errs);
}

/* --- evaluation --- */

static int build_closed(struct gle_experiment *exp, const struct gle_closed_keys *keys, const struct gle_node *evaluate,
                        struct gle_errors *errs)
{
    struct gle_closed_cfg *c = &exp->closed;
    int rc = 0;

    c->src = gle_node_get(evaluate, "closed_loop");
    if (!c->src)
        return 0;
    c->n_steps = gle_steps_in(keys->length, exp->dt, c->src, "for", errs);
    rc = c->n_steps ? 0 : -1;
    if (keys->after > 0.0 && !(c->after = gle_steps_in(keys->after, exp->dt, c->src, "after", errs)))
        rc = -1;
    if (keys->horizon > 0.0 && !(c->horizon = gle_steps_in(keys->horizon, exp->dt, c->src, "horizon", errs)))
        rc = -1;
    if (exp->has_teacher)
        rc = gle_node_error(errs, GLE_ECONFIG, evaluate, "closed_loop",
                            "does not go with a teacher: the output stands for the input where the target is the input "
                            "of later");
    return rc;
}

int gle_evaluate_build(struct gle_experiment *exp, const struct gle_evaluate_keys *keys, struct gle_errors *errs)
{
    const struct gle_dataset *set = (const struct gle_dataset *)exp->dataset.row;
    const struct gle_node *src = exp->training_src ? gle_node_get(exp->training_src, "evaluate") : NULL;
    const bool epochs = exp->training_src && gle_node_get(exp->training_src, "epochs");
    bool beside;
    int rc = 0;

    if (!src)
        return 0;
    rc = build_closed(exp, &keys->closed_loop, src, errs);
    exp->predictions = keys->predictions;
    gle_train_part_build(exp, &keys->train);
    beside = gle_node_get(src, "closed_loop") || gle_node_get(src, "predictions") || gle_node_get(src, "train");
    if (epochs && (!beside || gle_node_get(src, "every")))
        rc = gle_node_error(errs, GLE_ECONFIG, exp->training_src, "evaluate",
                            "goes with phases (training by duration); in training by epochs the key 'test' says when "
                            "the test set is evaluated");
    if (set && set->signal)
        rc = gle_node_error(errs, GLE_ECONFIG, exp->training_src, "evaluate",
                            "the data set %s is a signal, which has no test set", set->row.name);
    if (epochs)
        return rc;
    if (gle_node_get(src, "train"))
        rc = gle_node_error(errs, GLE_ECONFIG, src, "train",
                            "training by duration (phases) has no epochs after which the training set is measured");
    if (!gle_node_get(src, "every"))
        return gle_node_error(errs, GLE_ECONFIG, exp->training_src, "evaluate",
                              "needs the key 'every' (time from one evaluation to the next, a whole number of dt)");
    exp->evaluate_steps = gle_steps_in(keys->every, exp->dt, src, "every", errs);
    return exp->evaluate_steps ? rc : -1;
}

/* --- recording --- */

const char *gle_windowed_rules(char *buf, size_t size)
{
    size_t n = 0;

    *buf = '\0';
    for (const struct gle_rule *r = gle_rules; r->row.name; r++)
        if (r->windowed && n < size)
            n += (size_t)snprintf(buf + n, size - n, "%s%s", n ? " and " : "", r->row.name);
    return buf;
}

/* The number of a row in its table. */
static size_t row_number(const struct gle_table *table, const struct gle_row *row)
{
    return (size_t)((const unsigned char *)row - (const unsigned char *)table->rows) / table->stride;
}

/* Marks the named rows of a table. */
static int take_names(bool *taken, const struct gle_names *names, const struct gle_table *table,
                      struct gle_errors *errs)
{
    int rc = 0;

    for (size_t i = 0; i < names->n; i++) {
        size_t number;
        if (!names->v[i]) /* unknown, an error by now */
            continue;
        number = row_number(table, names->v[i]);
        if (taken[number])
            rc = gle_node_error(errs, GLE_ECONFIG, names->src->items[i], NULL, "%s is listed twice",
                                names->v[i]->name);
        taken[number] = true;
    }
    return rc;
}

static int check_windowed(const struct gle_experiment *exp, const struct gle_names *variables, struct gle_errors *errs)
{
    char rules[64];
    int rc = 0;

    if (!exp->rule || exp->rule->windowed)
        return 0;
    for (size_t i = 0; i < variables->n; i++)
        if (variables->v[i] && gle_variables[row_number(&gle_variable_table, variables->v[i])].windowed)
            rc = gle_node_error(errs, GLE_ECONFIG, variables->src->items[i], NULL,
                                "%s is known under the rules %s only; the rule here is %s", variables->v[i]->name,
                                gle_windowed_rules(rules, sizeof rules), exp->rule->row.name);
    return rc;
}

/* There is nothing to record of a gradient that no layer follows. */
static int check_gradients(const struct gle_experiment *exp, const struct gle_names *gradients,
                           struct gle_errors *errs)
{
    int rc = 0;

    for (size_t i = 0; exp->rule && exp->record.layers.n && i < gradients->n; i++) {
        bool learns = !gradients->v[i];
        for (size_t k = 0; k < exp->record.layers.n; k++)
            learns = learns ||
                     exp->layers[exp->record.layers.v[k]].plastic[row_number(&gle_param_table, gradients->v[i])];
        if (!learns)
            rc = gle_node_error(errs, GLE_ECONFIG, gradients->src->items[i], NULL,
                                "%s learns in none of the recorded layers, and so has no gradient",
                                gradients->v[i]->name);
    }
    return rc;
}

/* Nor of weights B, where no layer has any. */
static int check_feedback(const struct gle_experiment *exp, const struct gle_names *parameters,
                          struct gle_errors *errs)
{
    bool has[GLE_RECORDED_PARAMS] = {[GLE_WEIGHT] = true, [GLE_BIAS] = true, [GLE_TAU_M] = true, [GLE_TAU_R] = true};
    int rc = 0;

    for (size_t k = 0; k < exp->record.layers.n; k++) {
        const struct gle_layer_cfg *l = &exp->layers[exp->record.layers.v[k]];
        has[GLE_ERRORS_FROM] = has[GLE_ERRORS_FROM] || l->n_errors_from;
        for (size_t j = 0; j < l->n_sources; j++)
            has[GLE_FEEDBACK] = has[GLE_FEEDBACK] || l->sources[j].feedback->own;
    }
    for (size_t i = 0; exp->record.layers.n && i < parameters->n; i++)
        if (parameters->v[i] && !has[row_number(&gle_recorded_table, parameters->v[i])])
            rc = gle_node_error(errs, GLE_ECONFIG, parameters->src->items[i], NULL,
                                parameters->v[i] == &gle_recorded_params[GLE_FEEDBACK]
                                    ? "none of the recorded layers has weights of its own that errors go back through"
                                    : "none of the recorded layers has errors_from");
    return rc;
}

static bool is_listed(const struct gle_indices *list, size_t v)
{
    for (size_t i = 0; i < list->n; i++)
        if (list->v[i] == v)
            return true;
    return false;
}

static int take_layers(struct gle_indices *out, const struct gle_experiment *exp, const struct gle_texts *names,
                       struct gle_errors *errs)
{
    int rc = 0;

    if (names->src && !names->src->n_items)
        return gle_node_error(errs, GLE_ECONFIG, names->src, NULL, "is empty: leave the key out for all");
    if (!exp->layers)
        return 0;
    out->v = gle_arena_alloc(exp->doc->arena, exp->n_layers, sizeof *out->v);
    if (!out->v)
        return no_memory(exp->record.src, errs);
    for (size_t i = 0; !names->src && i < exp->n_layers; i++)
        out->v[out->n++] = i;
    for (size_t i = 0; i < names->n; i++) {
        size_t layer;
        if (!names->v[i]) /* no text, an error by now */
            continue;
        layer = find_layer(exp, names->v[i], names->src->items[i], errs);
        if (layer == exp->n_layers)
            rc = -1;
        else if (is_listed(out, layer))
            rc = gle_node_error(errs, GLE_ECONFIG, names->src->items[i], NULL, "'%s' is listed twice", names->v[i]);
        else
            out->v[out->n++] = layer;
    }
    return rc;
}

/* Each number must be one of a neuron in some recorded layer. */
static int check_neurons(const struct gle_experiment *exp, const struct gle_index_keys *neurons,
                         struct gle_errors *errs)
{
    const struct gle_layer_cfg *largest = NULL;
    int rc = 0;

    for (size_t i = 0; i < exp->record.layers.n; i++) {
        const struct gle_layer_cfg *l = &exp->layers[exp->record.layers.v[i]];
        if (!largest || l->n > largest->n)
            largest = l;
    }
    for (size_t i = 0; largest && i < neurons->list.n; i++)
        if (neurons->list.v[i] >= largest->n)
            rc = gle_node_error(errs, GLE_ERANGE, neurons->item[i], NULL,
                                "there is no neuron %zu: the largest recorded layer, %s, has %zu, counted from 0",
                                neurons->list.v[i], largest->name, largest->n);
    return rc;
}

/* In training by duration the data set says how many sequences there are. */
static int check_sequences(const struct gle_experiment *exp, const struct gle_index_keys *sequences,
                           struct gle_errors *errs)
{
    const bool tests = exp->test_batch_size > exp->batch_size;
    const uint64_t most = tests ? exp->test_batch_size : exp->batch_size;
    int rc = 0;

    for (size_t i = 0; most && !exp->phases && i < sequences->list.n; i++)
        if (sequences->list.v[i] >= most)
            rc = gle_node_error(errs, GLE_ERANGE, sequences->item[i], NULL,
                                "there is no sequence %zu: a batch has %" PRIu64 " (training.%s), counted from 0",
                                sequences->list.v[i], most, tests ? "test_batch_size" : "batch_size");
    return rc;
}

/* In training by epochs the data set says how many steps there are. */
static int check_offset(const struct gle_experiment *exp, struct gle_errors *errs)
{
    const struct gle_record *record = &exp->record;

    if (!exp->n_steps || record->offset < exp->n_steps)
        return 0;
    return gle_node_error(errs, GLE_ERANGE, record->src, "offset",
                          "nothing would be recorded: the run has the steps 0 to %" PRIu64, exp->n_steps - 1);
}

int gle_record_build(struct gle_experiment *exp, const struct gle_record_keys *keys, struct gle_errors *errs)
{
    struct gle_record *record = &exp->record;
    int rc;

    record->src = gle_node_get(exp->src, "record");
    if (!record->src)
        return 0;
    record->every = keys->every;
    record->offset = keys->offset;
    record->neurons = keys->neurons.list;
    record->sequences = keys->sequences.list;
    rc = take_names(record->variables, &keys->variables, &gle_variable_table, errs) |
         take_names(record->parameters, &keys->parameters, &gle_recorded_table, errs) |
         take_names(record->gradients, &keys->gradients, &gle_param_table, errs) |
         check_windowed(exp, &keys->variables, errs) | take_layers(&record->layers, exp, &keys->layers, errs);
    return rc | check_gradients(exp, &keys->gradients, errs) | check_feedback(exp, &keys->parameters, errs) |
           check_neurons(exp, &keys->neurons, errs) | check_sequences(exp, &keys->sequences, errs) |
           check_offset(exp, errs);
}

/* --- comparing gradients --- */

int gle_diagnose_build(struct gle_experiment *exp, const struct gle_diagnose_keys *keys, struct gle_errors *errs)
{
    struct gle_diagnose *diagnose = &exp->diagnose;
    char rules[64];
    int rc = 0;

    diagnose->src = gle_node_get(exp->src, "diagnose");
    if (!diagnose->src)
        return 0;
    diagnose->every = keys->every;
    diagnose->gradient = (const struct gle_rule *)keys->gradient;
    if (diagnose->gradient && !diagnose->gradient->windowed)
        rc = gle_node_error(errs, GLE_ECONFIG, diagnose->src, "gradient",
                            "%s gives no exact gradient to compare with: %s do", keys->gradient->name,
                            gle_windowed_rules(rules, sizeof rules));
    diagnose->n_steps = gle_steps_in(keys->window, exp->dt, diagnose->src, "window", errs);
    if (!diagnose->n_steps)
        return -1;
    if (diagnose->n_steps < 2)
        rc = gle_node_error(errs, GLE_ERANGE, diagnose->src, "window",
                            "%g is one step of dt = %g; two are needed, since an output is the rate of the step before",
                            keys->window, exp->dt);
    if (keys->every && diagnose->n_steps > keys->every)
        rc = gle_node_error(errs, GLE_ERANGE, diagnose->src, "window",
                            "%g lasts %" PRIu64 " steps, but the next comparison begins after %" PRIu64 " (every)",
                            keys->window, diagnose->n_steps, keys->every);
    if (exp->window_steps && diagnose->n_steps % exp->window_steps)
        rc = gle_node_error(errs, GLE_ERANGE, diagnose->src, "window",
                            "%g lasts %" PRIu64 " steps, which is no multiple of the %" PRIu64 " of learning.window",
                            keys->window, diagnose->n_steps, exp->window_steps);
    return rc;
}
