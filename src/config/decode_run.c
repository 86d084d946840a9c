/* Keys of what happens in a run beside learning: the teacher, phases, what is recorded, what is compared. */
#include "base/memory.h"
#include "base/text.h"
#include "config/build.h"
#include "config/decode.h"
#include "parts/init.h"
#include "parts/rule.h"

#include <string.h>

const struct gle_variable_row gle_variables[] = {
    [GLE_RECORD_U] = {.row = {.name = "u", .help = "membrane potential u"}},
    [GLE_RECORD_V] = {.row = {.name = "v", .help = "error v, smoothed with tau_r"}, .of_errors = true},
    [GLE_RECORD_R] = {.row = {.name = "r", .help = "rate r = phi(prosp_u)"}},
    [GLE_RECORD_E] = {.row = {.name = "e", .help = "error e, prospective under the rule gle"},
                      .derived = true,
                      .of_errors = true},
    [GLE_RECORD_PROSP_U] = {.row = {.name = "prosp_u", .help = "prospective potential u + tau_r du/dt"},
                            .derived = true},
    [GLE_RECORD_R_PRIME] = {.row = {.name = "r_prime",
                                    .help = "slope phi'(prosp_u), which scales the next step's error"},
                            .derived = true},
    [GLE_RECORD_E_INST] = {.row = {.name = "e_inst",
                                   .help = "instantaneous error, before it looks ahead: the last step's phi' times the "
                                           "error from above"},
                           .derived = true,
                           .of_errors = true},
    [GLE_RECORD_E_BELOW] = {.row = {.name = "e_below",
                                    .help = "error W^T e that the layer sends back to what it reads (inputs)"},
                            .of_errors = true},
    [GLE_RECORD_LAMBDA] = {.row = {.name = "lambda", .help = "adjoint variable, under the rules bptt and adjoint"},
                           .windowed = true},
    [GLE_RECORD_VARS] = {.row = {.name = NULL}},
};
const struct gle_table gle_variable_table = {"variable", gle_variables, sizeof *gle_variables};

static int no_memory(const struct gle_node *node, struct gle_errors *errs)
{
    return gle_node_error(errs, GLE_ENOMEM, node, NULL, "no memory");
}

/* --- parameters put to values --- */

/* What a parameter can be put to; row p is parameter p. */
static const struct gle_key setting_keys[] = {
    [GLE_WEIGHT] = {.name = "weight", .kind = GLE_KEY_KIND_CUSTOM, .fallback = GLE_ABSENT, .unit = "",
                    .help = "the weights W (neurons, inputs)", .more = &gle_init_custom},
    [GLE_BIAS] = {.name = "bias", .kind = GLE_KEY_KIND_CUSTOM, .fallback = GLE_ABSENT, .unit = "",
                  .help = "the biases b", .more = &gle_init_custom},
    [GLE_TAU_M] = {.name = "tau_m", .kind = GLE_KEY_KIND_CUSTOM, .fallback = GLE_ABSENT, .unit = "time",
                   .help = "the membrane time constants: numbers, or an array of a file", .more = &gle_written_custom},
    [GLE_TAU_R] = {.name = "tau_r", .kind = GLE_KEY_KIND_CUSTOM, .fallback = GLE_ABSENT, .unit = "time",
                   .help = "the prospective time constants: numbers, or an array of a file",
                   .more = &gle_written_custom},
    [GLE_FEEDBACK] = {.name = "feedback", .kind = GLE_KEY_KIND_CUSTOM, .fallback = GLE_ABSENT, .unit = "",
                      .help = "the weights B, of the shape of W, through which errors go back",
                      .more = &gle_init_custom},
    [GLE_ERRORS_FROM] = {.name = "errors_from", .kind = GLE_KEY_KIND_CUSTOM, .fallback = GLE_ABSENT, .unit = "",
                         .help = "the weights B (neurons, those of the other layer) of errors that come directly",
                         .more = &gle_init_custom},
    [GLE_RECORDED_PARAMS] = GLE_KEY_END,
};

/* Says which parameter may be meant. Of a source there are weights alone. */
static int fail_parameter(const struct gle_node *at, struct gle_errors *errs)
{
    const char *dot = strrchr(at->text, '.');
    struct gle_suggestion near = {.word = dot ? dot + 1 : at->text};

    gle_suggest(&near, gle_params[GLE_WEIGHT].name);
    if (!dot || dot == at->text || !near.best)
        return gle_unknown_name(&gle_recorded_table, at, errs);
    return gle_node_error(errs, GLE_ECONFIG, at, NULL, "unknown parameter '%.60s' (did you mean '%.*s.%s'?)", at->text,
                          (int)(dot - at->text), at->text, near.best);
}

/* The parameter that a map below the name of a source has a value for; NULL: it is no such map. */
static const struct gle_row *nested_parameter(const struct gle_node *node)
{
    const struct gle_row *row = NULL;

    for (size_t i = 0; node->kind == GLE_NODE_MAP && i < node->n_items && !row; i++)
        row = gle_table_find(&gle_recorded_table, node->items[i]->key);
    return row;
}

/* param: "weight", or "late.weight" of a source. */
static int decode_value(struct gle_setting_keys *s, const char *param, struct gle_doc *doc, struct gle_node *node,
                        struct gle_errors *errs)
{
    struct gle_node at = gle_node_at_key(node);
    const char *dot = strrchr(param, '.');
    int rc;

    if (dot && dot > param && gle_table_find(&gle_recorded_table, dot + 1)) {
        s->source = gle_arena_text(doc->arena, param, (size_t)(dot - param));
        if (!s->source)
            return no_memory(node, errs);
        param = dot + 1;
    }
    at.text = param;
    s->param = gle_table_find(&gle_recorded_table, param);
    if (!s->param && (s->param = nested_parameter(node))) { /* which sources there are is known later */
        s->nested = true;
        s->source = param;
        s->value.src = node;
        return 0;
    }
    if (!s->param)
        return fail_parameter(&at, errs);
    if (s->param == &gle_recorded_params[GLE_BIAS] && node->kind == GLE_NODE_SCALAR && !strcmp(node->text, "none"))
        return gle_node_error(errs, GLE_ECONFIG, node, NULL,
                              "'none' can stand in network.layers only; 0 does the same here");
    rc = gle_decode_value(&s->value, &setting_keys[s->param - gle_recorded_params], doc, node, errs);
    if (rc)
        s->value.row = NULL;
    return rc;
}

/* {layer: {parameter: value, ...}, ...}. A layer with no parameter that could be read has an item nevertheless, so that
 * its name is looked at. */
static int decode_teacher(void *field, struct gle_doc *doc, struct gle_node *node, struct gle_errors *errs)
{
    struct gle_setting_list *out = field;
    size_t room = 0;
    int rc = 0;

    if (node->kind != GLE_NODE_MAP)
        return gle_node_error(errs, GLE_ECONFIG, node, NULL,
                              "a map (layer: {parameter: value}) is wanted; {} for a copy of the network");
    for (size_t i = 0; i < node->n_items; i++)
        room += 1 + node->items[i]->n_items;
    out->item = gle_arena_alloc(doc->arena, room, sizeof *out->item);
    if (!out->item)
        return no_memory(node, errs);
    for (size_t i = 0; i < node->n_items; i++) {
        const struct gle_node *layer = node->items[i];
        const bool is_map = layer->kind == GLE_NODE_MAP;
        if (!is_map)
            rc = gle_node_error(errs, GLE_ECONFIG, layer, NULL, "a map (parameter: value) is wanted");
        if (!is_map || !layer->n_items)
            out->item[out->n++] = (struct gle_setting_keys){.layer = layer->key, .src = layer};
        for (size_t j = 0; is_map && j < layer->n_items; j++) {
            struct gle_setting_keys *s = &out->item[out->n++];
            *s = (struct gle_setting_keys){.layer = layer->key, .src = layer};
            rc |= decode_value(s, layer->items[j]->key, doc, layer->items[j], errs);
        }
    }
    return rc;
}

static const struct gle_form teacher_layer_forms[] = {
    {.kind = GLE_FORM_NAMED, .word = "^weight$", .key = &setting_keys[GLE_WEIGHT]},
    {.kind = GLE_FORM_NAMED, .word = "^" GLE_LAYER_PATTERN "\\.weight$", .key = &setting_keys[GLE_WEIGHT]},
    {.kind = GLE_FORM_NAMED, .word = "^bias$", .key = &setting_keys[GLE_BIAS]},
    {.kind = GLE_FORM_NAMED, .word = "^tau_m$", .key = &setting_keys[GLE_TAU_M]},
    {.kind = GLE_FORM_NAMED, .word = "^tau_r$", .key = &setting_keys[GLE_TAU_R]},
    {.kind = GLE_FORM_END},
};
static const struct gle_custom teacher_layer_custom = {.type = "map of parameters", .forms = teacher_layer_forms};
static const struct gle_key teacher_layer_key = {
    .name = "teacher_layer", .kind = GLE_KEY_KIND_CUSTOM, .unit = "", .more = &teacher_layer_custom};
static const struct gle_form teacher_forms[] = {
    {.kind = GLE_FORM_NAMED, .word = "^" GLE_LAYER_PATTERN "$", .key = &teacher_layer_key}, {.kind = GLE_FORM_END}};
const struct gle_custom gle_teacher_custom = {
    .decode = decode_teacher, .type = "map of layers", .forms = teacher_forms};

/* {layer.parameter: value, ...} */
static int decode_set(void *field, struct gle_doc *doc, struct gle_node *node, struct gle_errors *errs)
{
    struct gle_setting_list *out = field;
    int rc = 0;

    if (node->kind != GLE_NODE_MAP)
        return gle_node_error(errs, GLE_ECONFIG, node, NULL, "a map (layer.parameter: value) is wanted");
    out->item = gle_arena_alloc(doc->arena, node->n_items, sizeof *out->item);
    if (!out->item)
        return no_memory(node, errs);
    for (; out->n < node->n_items; out->n++) {
        struct gle_setting_keys *s = &out->item[out->n];
        struct gle_node *value = node->items[out->n];
        const char *key = value->key, *dot = strchr(key, '.');
        s->src = value;
        if (!dot || dot == key || !dot[1])
            continue;
        s->layer = gle_arena_text(doc->arena, key, (size_t)(dot - key));
        if (!s->layer)
            return no_memory(node, errs);
        rc |= decode_value(s, dot + 1, doc, value, errs);
    }
    return rc;
}

static const struct gle_form set_forms[] = {
    {.kind = GLE_FORM_NAMED,
     .word = "^" GLE_LAYER_PATTERN "(\\." GLE_LAYER_PATTERN ")?\\.weight$",
     .key = &setting_keys[GLE_WEIGHT]},
    {.kind = GLE_FORM_NAMED, .word = "^" GLE_LAYER_PATTERN "\\.bias$", .key = &setting_keys[GLE_BIAS]},
    {.kind = GLE_FORM_NAMED, .word = "^" GLE_LAYER_PATTERN "\\.tau_m$", .key = &setting_keys[GLE_TAU_M]},
    {.kind = GLE_FORM_NAMED, .word = "^" GLE_LAYER_PATTERN "\\.tau_r$", .key = &setting_keys[GLE_TAU_R]},
    {.kind = GLE_FORM_NAMED,
     .word = "^" GLE_LAYER_PATTERN "(\\." GLE_LAYER_PATTERN ")?\\.feedback$",
     .key = &setting_keys[GLE_FEEDBACK]},
    {.kind = GLE_FORM_NAMED,
     .word = "^" GLE_LAYER_PATTERN "(\\." GLE_LAYER_PATTERN ")?\\.errors_from$",
     .key = &setting_keys[GLE_ERRORS_FROM]},
    {.kind = GLE_FORM_END},
};
static const struct gle_custom set_custom = {
    .decode = decode_set, .type = "map of layer.parameter", .forms = set_forms};

/* --- phases --- */

static const struct gle_key phase_keys[] = {
    GLE_KEY_REAL(struct gle_phase_keys, duration, NULL, 1e-9, 1e12, "time", "how long the phase lasts"),
    GLE_KEY_BOOL(struct gle_phase_keys, learn, "true", "whether the optimizer moves parameters"),
    GLE_KEY_CUSTOM(struct gle_phase_keys, set, GLE_ABSENT, &set_custom,
                   "parameters (layer.parameter) put to a value for this phase, after which they come back"),
    GLE_KEY_END,
};

static int decode_phases(void *field, struct gle_doc *doc, struct gle_node *node, struct gle_errors *errs)
{
    struct gle_phase_list *out = field;
    int rc = 0;

    if (node->kind != GLE_NODE_LIST)
        return gle_node_error(errs, GLE_ECONFIG, node, NULL, "a list of phases is wanted");
    if (!node->n_items)
        return gle_node_error(errs, GLE_ECONFIG, node, NULL, "is empty: at least one phase is wanted");
    out->item = gle_arena_alloc(doc->arena, node->n_items, sizeof *out->item);
    if (!out->item)
        return no_memory(node, errs);
    out->n = node->n_items;
    out->src = node;
    for (size_t i = 0; i < out->n; i++) {
        out->item[i].src = node->items[i];
        rc |= gle_decode(&out->item[i], phase_keys, doc, node->items[i], errs);
    }
    return rc;
}

static const struct gle_key phase_key = {.name = "phase", .kind = GLE_KEY_KIND_MAP, .unit = "", .more = phase_keys};
static const struct gle_form phases_forms[] = {{.kind = GLE_FORM_LIST, .key = &phase_key}, {.kind = GLE_FORM_END}};
const struct gle_custom gle_phases_custom = {
    .decode = decode_phases, .type = "list of phases", .forms = phases_forms};

static const struct gle_key closed_keys[] = {
    GLE_KEY_STEPS(struct gle_closed_keys, after, NULL, 0.0, 1e9,
                  "how long each sample is shown before the output becomes the input"),
    {.name = "for", .kind = GLE_KEY_KIND_REAL, .offset = offsetof(struct gle_closed_keys, length), .low = 1e-9,
     .high = 1e9, .unit = "time", .steps = true,
     .help = "how long the loop is closed; what is told is over this time, within a sample"},
    GLE_KEY_STEPS(struct gle_closed_keys, horizon, GLE_ABSENT, 1e-9, 1e9,
                  "how far targets are ahead of inputs: the output of so long before becomes the input; default: as "
                  "the data set mackey_glass has it, else dt"),
    GLE_KEY_END,
};

static const struct gle_key train_first_keys[] = {
    GLE_KEY_COUNT(struct gle_train_first_keys, samples, NULL, 1, 1e9, "samples",
                  "how many; no more than the training set has, without what validation took"),
    GLE_KEY_END,
};

static const struct gle_row train_parts[] = {
    {.name = "none", .help = "nothing of it"},
    {.name = "all", .help = "the whole training set"},
    {.name = "first", .help = "its first samples, in the order in which the data set has them",
     .keys = train_first_keys, .params_size = sizeof(struct gle_train_first_keys)},
    {.name = NULL},
};
const struct gle_table gle_train_part_table = {"part of the training set", train_parts, sizeof *train_parts};

bool gle_train_part_measured(const struct gle_part *part)
{
    return part->row && part->row != &train_parts[0];
}

void gle_train_part_build(struct gle_experiment *exp, const struct gle_part *part)
{
    exp->train_after.row = gle_train_part_measured(part) ? part->row : NULL;
    exp->train_after.src = part->src;
    if (part->row == &train_parts[2])
        exp->train_after.samples = ((const struct gle_train_first_keys *)part->params)->samples;
}

const struct gle_key gle_evaluate_key_table[] = {
    GLE_KEY_REAL(struct gle_evaluate_keys, every, GLE_ABSENT, 1e-9, 1e12, "time",
                 "time from one evaluation to the next, a whole number of dt; needed with phases, and not for epochs"),
    GLE_KEY_MAP(struct gle_evaluate_keys, closed_loop, GLE_ABSENT, closed_keys,
                "whenever the test set is evaluated, it is also shown with the output in place of the input, on a copy "
                "of the network"),
    GLE_KEY_BOOL(struct gle_evaluate_keys, predictions, GLE_ABSENT,
                 "the answer to each sample of the test and validation sets, of their last evaluations, into "
                 "predictions.npz; default: false"),
    {.name = "train", .kind = GLE_KEY_KIND_PART, .offset = offsetof(struct gle_evaluate_keys, train), .unit = "",
     .fallback = GLE_ABSENT,
     .help = "training by epochs: this part of the training set is measured after each epoch, and before the first, as "
             "the validation and test sets are, on a copy of the network; the score is called train_after, beside "
             "train, which is measured while weights change; default: none",
     .more = &gle_train_part_table, .bare = true},
    GLE_KEY_END,
};

/* --- answers --- */

static const struct gle_key decide_window_keys[] = {
    GLE_KEY_STEPS(struct gle_decide_keys, length, NULL, 1e-9, 1e9,
                  "how long before the end of an answer the sum begins"),
    GLE_KEY_END,
};

static const struct gle_row decides[] = {
    {.name = "sum", .help = "outputs summed over all steps that have a target"},
    {.name = "last", .help = "outputs of the last step that has a target"},
    {.name = "window", .help = "outputs summed over the last `length` of the time that has a target",
     .keys = decide_window_keys, .params_size = sizeof(struct gle_decide_keys)},
    {.name = NULL},
};
const struct gle_table gle_decide_table = {"way to decide", decides, sizeof *decides};

int gle_decide_build(struct gle_experiment *exp, const struct gle_part *decide, struct gle_errors *errs)
{
    exp->decide = *decide;
    if (decide->row == &decides[1])
        exp->decide_steps = 1;
    if (decide->row != &decides[2])
        return 0;
    exp->decide_steps = gle_steps_in(((const struct gle_decide_keys *)decide->params)->length, exp->dt, decide->src,
                                     "length", errs);
    return exp->decide_steps ? 0 : -1;
}

/* --- recording --- */

_Static_assert(GLE_BATCH_MAX <= GLE_NEURONS_MAX, "sequences are numbered as neurons are");

static const struct gle_key number = {
    .name = "number", .kind = GLE_KEY_KIND_COUNT, .low = 0, .high = GLE_NEURONS_MAX - 1, .unit = "", .help = ""};

static int decode_indices(void *field, struct gle_doc *doc, struct gle_node *node, struct gle_errors *errs)
{
    struct gle_index_keys *out = field;
    const bool is_list = node->kind == GLE_NODE_LIST;
    const size_t n = is_list ? node->n_items : 1;
    unsigned char *seen;
    int rc = 0;

    if (!n)
        return gle_node_error(errs, GLE_ECONFIG, node, NULL, "is empty: leave the key out for all");
    out->list.v = gle_arena_alloc(doc->arena, n, sizeof *out->list.v);
    out->item = gle_arena_alloc(doc->arena, n, sizeof(struct gle_node *));
    seen = gle_calloc(GLE_NEURONS_MAX, 1);
    if (!out->list.v || !out->item || !seen) {
        gle_free(seen);
        return no_memory(node, errs);
    }
    for (size_t i = 0; i < n; i++) {
        struct gle_node *item = is_list ? node->items[i] : node;
        uint64_t v;
        if (gle_decode_value(&v, &number, doc, item, errs)) {
            rc = -1;
        } else if (seen[v]) {
            rc = gle_node_error(errs, GLE_ECONFIG, item, NULL, "%zu is listed twice", (size_t)v);
        } else {
            seen[v] = 1;
            out->item[out->list.n] = item;
            out->list.v[out->list.n++] = (size_t)v;
        }
    }
    gle_free(seen);
    return rc;
}

static const struct gle_form indices_forms[] = {
    {.kind = GLE_FORM_VALUE, .key = &number}, {.kind = GLE_FORM_LIST, .key = &number}, {.kind = GLE_FORM_END}};
static const struct gle_custom indices_custom = {
    .decode = decode_indices, .type = "whole number, or list of them", .forms = indices_forms};

const struct gle_key gle_record_key_table[] = {
    GLE_KEY_COUNT(struct gle_record_keys, every, "1", 1, 1e12, "steps", "steps from one record to the next"),
    GLE_KEY_COUNT(struct gle_record_keys, offset, "0", 0, 1e15, "steps",
                  "the first step that is recorded, counted from 0 over the whole run"),
    GLE_KEY_TEXTS(struct gle_record_keys, layers, GLE_ABSENT, "names of the layers that are recorded; default: all"),
    GLE_KEY_CUSTOM(struct gle_record_keys, neurons, GLE_ABSENT, &indices_custom,
                   "numbers of the neurons that are recorded of each layer, from 0; default: all"),
    GLE_KEY_CUSTOM(struct gle_record_keys, sequences, GLE_ABSENT, &indices_custom,
                   "numbers of the sequences that are recorded of the batch, from 0; default: all of the largest "
                   "batch that runs, with NaN where a smaller one has none"),
    GLE_KEY_NAMES(struct gle_record_keys, variables, "[]", &gle_variable_table,
                  "variables that are recorded of the layers"),
    GLE_KEY_NAMES(struct gle_record_keys, parameters, "[]", &gle_recorded_table,
                  "parameters that are recorded of the layers"),
    GLE_KEY_NAMES(struct gle_record_keys, gradients, "[]", &gle_param_table,
                  "parameters whose gradients are recorded of the layers, as the optimizer saw them; NaN where it made "
                  "no step"),
    GLE_KEY_END,
};

const struct gle_key gle_diagnose_key_table[] = {
    GLE_KEY_NAME(struct gle_diagnose_keys, gradient, "bptt", &gle_rule_table,
                 "the rule that gives the exact gradient: bptt or adjoint"),
    GLE_KEY_REAL(struct gle_diagnose_keys, window, NULL, 1e-9, 1e9, "time",
                 "how long a comparison lasts: two steps to `every`, in whole windows of learning.window"),
    GLE_KEY_COUNT(struct gle_diagnose_keys, every, "1000", 1, 1e12, "steps",
                  "learning steps from the beginning of one comparison to that of the next"),
    GLE_KEY_END,
};
