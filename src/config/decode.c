/* The tables of keys, and the decoders of what is neither a number nor a name: layers, groups of neurons. Those of
 * teacher, phases, record and diagnose are in decode_run.c. */
#include "config/decode.h"
#include "base/memory.h"
#include "base/text.h"
#include "config/keys.h"
#include "config/sweep.h"
#include "data/data.h"
#include "parts/activation.h"
#include "parts/feedback.h"
#include "parts/init.h"
#include "parts/link.h"
#include "parts/loss.h"
#include "parts/optimizer.h"
#include "parts/rule.h"
#include "parts/schedule.h"

#include <math.h>
#include <string.h>

#define PARAMETERS                                                                                          \
    [GLE_WEIGHT] = {.name = "weight", .help = "W (neurons, inputs): how rates of the layer below enter"},   \
    [GLE_BIAS] = {.name = "bias", .help = "b: what is added to the input of each neuron"},                  \
    [GLE_TAU_M] = {.name = "tau_m", .help = "membrane time constants"},                                     \
    [GLE_TAU_R] = {.name = "tau_r", .help = "prospective time constants"}
const struct gle_row gle_params[] = {PARAMETERS, [GLE_PARAMS] = {.name = NULL}};
const struct gle_row gle_recorded_params[] = {
    PARAMETERS,
    [GLE_FEEDBACK] = {.name = "feedback", .help = "B, of the shape of W: what errors go back through, of sources that "
                                                  "have such weights"},
    [GLE_ERRORS_FROM] = {.name = "errors_from", .help = "weights through which a layer gets errors from others "
                                                        "directly"},
    [GLE_RECORDED_PARAMS] = {.name = NULL},
};
const char *gle_param_name(enum gle_param kind)
{
    static const char *const others[GLE_PARAM_KINDS] = {[GLE_TAU_M_FACTOR] = "tau_m_factor",
                                                        [GLE_TAU_R_FACTOR] = "tau_r_factor",
                                                        [GLE_ERROR_TAU_M_FACTOR] = "error_tau_m_factor",
                                                        [GLE_ERROR_TAU_R_FACTOR] = "error_tau_r_factor"};

    return kind < GLE_RECORDED_PARAMS ? gle_recorded_params[kind].name : others[kind];
}

const struct gle_table gle_param_table = {"parameter", gle_params, sizeof *gle_params};
const struct gle_table gle_recorded_table = {"parameter", gle_recorded_params, sizeof *gle_recorded_params};

static const struct gle_row states[] = {
    {.name = "carry", .help = "the neurons' state runs on from batch to batch and from training to test, as published"},
    {.name = "reset", .help = "every batch starts from zero; evaluation leaves no trace in training"},
    {.name = NULL},
};
const struct gle_table gle_state_table = {"state", states, sizeof *states};

static const struct gle_row tests[] = {
    [GLE_TEST_AUTO] = {.name = "auto",
                       .help = "at the end where there is a validation set and neither the schedule, best nor stop "
                               "goes by the test set, else epochs"},
    [GLE_TEST_EPOCHS] = {.name = "epochs", .help = "after every epoch, and before the first"},
    [GLE_TEST_END] = {.name = "end", .help = "after the last epoch alone"},
    {.name = NULL},
};
const struct gle_table gle_test_table = {"time to test", tests, sizeof *tests};

static const struct gle_row resets[] = {
    {.name = "none", .help = "the layer's state follows training.state"},
    {.name = "batch", .help = "the layer's state starts from zero with every batch"},
    {.name = NULL},
};
const struct gle_table gle_reset_table = {"reset", resets, sizeof *resets};

static const struct gle_row integrations[] = {
    {.name = "euler", .help = "a potential u goes by dt / tau_m of the way to what drives it in a step, as published"},
    {.name = "exponential",
     .help = "by 1 - exp(-dt / tau_m), and errors v likewise: exact for inputs that stay; time constants may be below "
             "dt"},
    {.name = NULL},
};
const struct gle_table gle_integration_table = {"integration", integrations, sizeof *integrations};

/* --- neurons --- */

struct group_keys {
    uint64_t count, channels;
    struct gle_reals tau_m, tau_r;
};

static const struct gle_key group_keys[] = {
    GLE_KEY_COUNT(struct group_keys, count, GLE_ABSENT, 1, GLE_NEURONS_MAX, "neurons",
                  "number of neurons; not needed where a list of time constants tells"),
    GLE_KEY_COUNT(struct group_keys, channels, GLE_ABSENT, 1, GLE_NEURONS_MAX, "channels",
                  "in place of count: channels of a line or plane of neurons, whose size follows from the convolution "
                  "that is read"),
    GLE_KEY_REALS(struct group_keys, tau_m, NULL, 1e-9, 1e9, "time",
                  "membrane time constant, for smoothing the past: one for all, or one a neuron; at least dt, or, "
                  "under network.integration exponential, dt / 100"),
    GLE_KEY_REALS(struct group_keys, tau_r, NULL, 1e-9, 1e9, "time",
                  "prospective time constant, for looking ahead; tau_r = tau_m makes a neuron instantaneous; at "
                  "least as long likewise"),
    GLE_KEY_END,
};

static const struct gle_node *item_or_whole(const struct gle_reals *list, size_t i)
{
    return list->is_list ? list->src->items[i] : list->src;
}

/* Of a list of time constants, how many there are for each neuron, or channel; 0 after an error. */
static size_t each_of(const struct gle_reals *taus, const char *key, size_t n, bool channels,
                      const struct gle_node *node, struct gle_errors *errs)
{
    if (!taus->is_list)
        return 1;
    if (taus->n == n || (channels && taus->n % n == 0))
        return taus->n / n;
    gle_node_error(errs, GLE_ESHAPE, node, key, "%zu time constant%s for %zu %s", taus->n, taus->n == 1 ? "" : "s", n,
                   channels ? "channels" : n == 1 ? "neuron" : "neurons");
    return 0;
}

/* The number of neurons in a group, or of channels, or 0 with an error; *each: time constants of one of them. */
static size_t group_size(const struct group_keys *g, size_t *each, const struct gle_node *node,
                         struct gle_errors *errs)
{
    const bool channels = g->channels > 0;
    size_t n = channels ? g->channels : g->count, of_m, of_r;

    if (channels && g->count) {
        gle_node_error(errs, GLE_ECONFIG, node, "channels", "either count or channels, not both");
        return 0;
    }
    if (!n)
        n = g->tau_m.is_list ? g->tau_m.n : g->tau_r.is_list ? g->tau_r.n : 0;
    if (!n) {
        gle_node_error(errs, GLE_ECONFIG, node, NULL, "needs the key 'count', or a list of time constants");
        return 0;
    }
    of_m = each_of(&g->tau_m, "tau_m", n, channels, node, errs);
    of_r = of_m ? each_of(&g->tau_r, "tau_r", n, channels, node, errs) : 0;
    if (of_r && of_m != of_r && of_m > 1 && of_r > 1) {
        gle_node_error(errs, GLE_ESHAPE, node, "tau_r", "%zu time constants, where tau_m has %zu", g->tau_r.n,
                       g->tau_m.n);
        return 0;
    }
    *each = of_m > of_r ? of_m : of_r;
    return of_r ? n : 0;
}

static int allocate_neurons(struct gle_neurons *out, struct gle_doc *doc, size_t n, const struct gle_node *node,
                            struct gle_errors *errs)
{
    out->tau_m = gle_arena_alloc(doc->arena, n, sizeof(double));
    out->tau_r = gle_arena_alloc(doc->arena, n, sizeof(double));
    out->tau_m_src = gle_arena_alloc(doc->arena, n, sizeof(struct gle_node *));
    out->tau_r_src = gle_arena_alloc(doc->arena, n, sizeof(struct gle_node *));
    if (!out->tau_m || !out->tau_r || !out->tau_m_src || !out->tau_r_src)
        return gle_node_error(errs, GLE_ENOMEM, node, NULL, "no memory for %zu neurons", n);
    out->n = n;
    return 0;
}

/* Time constant j of a group of n neurons or channels, with `each` for one of them. */
static size_t place_of(const struct gle_reals *taus, size_t j, size_t n, size_t each)
{
    return !taus->is_list ? 0 : taus->n == n * each ? j : j / each;
}

static int decode_neurons(void *field, struct gle_doc *doc, struct gle_node *node, struct gle_errors *errs)
{
    struct gle_neurons *out = field;
    struct gle_node *const *groups = node->kind == GLE_NODE_LIST ? node->items : &node;
    const size_t n_groups = node->kind == GLE_NODE_LIST ? node->n_items : 1;
    struct group_keys *g = gle_arena_alloc(doc->arena, n_groups, sizeof *g);
    size_t *sizes = gle_arena_alloc(doc->arena, n_groups, sizeof *sizes), n = 0, at = 0, each = 1;
    int rc = 0;

    if (!g || !sizes)
        return gle_node_error(errs, GLE_ENOMEM, node, NULL, "no memory");
    if (!n_groups)
        return gle_node_error(errs, GLE_ECONFIG, node, NULL, "is empty: a layer needs at least one neuron");
    for (size_t i = 0; i < n_groups; i++) {
        size_t own = 1;
        if (gle_decode(&g[i], group_keys, doc, groups[i], errs) ||
            !(sizes[i] = group_size(&g[i], &own, groups[i], errs)))
            rc = -1;
        else if (!g[i].channels != !g[0].channels)
            rc = gle_node_error(errs, GLE_ECONFIG, groups[i], NULL, "all groups of a layer have channels, or none");
        else if (own > 1 && each > 1 && own != each)
            rc = gle_node_error(errs, GLE_ESHAPE, groups[i], NULL,
                                "has %zu time constants for a channel, where a group before it has %zu", own, each);
        each = own > each ? own : each;
        n += sizes[i];
    }
    if (rc)
        return rc;
    if ((double)n * (double)each > GLE_NEURONS_MAX)
        return gle_node_error(errs, GLE_ERANGE, node, NULL, "%zu neurons in a layer; at most %d are possible", n * each,
                              GLE_NEURONS_MAX);
    if (allocate_neurons(out, doc, n * each, node, errs))
        return -1;
    out->each = each;
    out->channels = g[0].channels ? n : 0;
    for (size_t i = 0; i < n_groups; i++)
        for (size_t j = 0; j < sizes[i] * each; j++, at++) {
            out->tau_m[at] = g[i].tau_m.v[place_of(&g[i].tau_m, j, sizes[i], each)];
            out->tau_r[at] = g[i].tau_r.v[place_of(&g[i].tau_r, j, sizes[i], each)];
            out->tau_m_src[at] = item_or_whole(&g[i].tau_m, place_of(&g[i].tau_m, j, sizes[i], each));
            out->tau_r_src[at] = item_or_whole(&g[i].tau_r, place_of(&g[i].tau_r, j, sizes[i], each));
        }
    return 0;
}

static const struct gle_key group_key = {.name = "group", .kind = GLE_KEY_KIND_MAP, .unit = "", .more = group_keys};
static const struct gle_form neurons_forms[] = {
    {.kind = GLE_FORM_VALUE, .key = &group_key}, {.kind = GLE_FORM_LIST, .key = &group_key}, {.kind = GLE_FORM_END}};
static const struct gle_custom neurons_custom = {
    .decode = decode_neurons, .type = "group, or list of groups", .forms = neurons_forms};

/* --- layers --- */

static bool means_none(const char *text)
{
    struct gle_suggestion near = {.word = text};

    gle_suggest(&near, "no");
    gle_suggest(&near, "false");
    gle_suggest(&near, "none");
    return near.best && near.distance < 2;
}

/* bias: none, or an initialiser */
static int decode_bias(void *field, struct gle_doc *doc, struct gle_node *node, struct gle_errors *errs)
{
    if (node->kind == GLE_NODE_SCALAR && !strcmp(node->text, "none")) {
        node->as = GLE_SCALAR_TEXT;
        return 0;
    }
    if (node->kind == GLE_NODE_SCALAR && !gle_table_find(&gle_init_table, node->text) && means_none(node->text))
        return gle_node_error(errs, GLE_ECONFIG, node, NULL, "unknown initialiser '%s' (did you mean 'none'?)",
                              node->text);
    return gle_init_custom.decode(field, doc, node, errs);
}

static const struct gle_key init_key = {
    .name = "init", .kind = GLE_KEY_KIND_CUSTOM, .unit = "", .more = &gle_init_custom};
static const struct gle_form bias_forms[] = {
    {.kind = GLE_FORM_WORD, .word = "none", .help = "no biases"},
    {.kind = GLE_FORM_VALUE, .key = &init_key},
    {.kind = GLE_FORM_END},
};
static const struct gle_custom bias_custom = {
    .decode = decode_bias, .type = "initialiser, or none", .forms = bias_forms};

static const struct gle_key layer_keys[] = {
    GLE_KEY_PATTERN(struct gle_layer_keys, name, NULL, GLE_NAME_PATTERN(""), "name of the layer, in reports and files"),
    GLE_KEY_COUNT(struct gle_layer_keys, repeat, GLE_ABSENT, 1, GLE_LAYERS_MAX, "layers",
                  "number of layers of this kind, one after the other: name_1, name_2, ..."),
    GLE_KEY_CUSTOM(struct gle_layer_keys, neurons, NULL, &neurons_custom,
                   "the neurons: {count, tau_m, tau_r}, or a list of such groups"),
    {.name = "activation", .kind = GLE_KEY_KIND_PART, .offset = offsetof(struct gle_layer_keys, activation),
     .fallback = "linear", .unit = "", .help = "what makes a rate of a potential: r = phi(u)", .more = &gle_act_table,
     .bare = true},
    GLE_KEY_CUSTOM(struct gle_layer_keys, from, GLE_ABSENT, &gle_from_custom,
                   "what the layer reads: names of layers, input, or maps that say how; default: the layer before it, "
                   "and the first layer the input"),
    GLE_KEY_CUSTOM(struct gle_layer_keys, errors_from, GLE_ABSENT, &gle_errors_custom,
                   "layers whose errors come here directly, beside those of what reads this layer: names, or maps that "
                   "say the weights"),
    GLE_KEY_CUSTOM(struct gle_layer_keys, weight, "{init: linear}", &gle_init_custom,
                   "the weights W (neurons, inputs) at the start"),
    GLE_KEY_CUSTOM(struct gle_layer_keys, bias, "{init: linear}", &bias_custom, "the biases b at the start, or none"),
    GLE_KEY_NAMES(struct gle_layer_keys, plastic, GLE_ABSENT, &gle_param_table,
                  "parameters that learn in this layer; default: learning.plastic"),
    GLE_KEY_NAME(struct gle_layer_keys, reset, "none", &gle_reset_table, "when the layer's state starts from zero"),
    GLE_KEY_REAL(struct gle_layer_keys, gamma, GLE_ABSENT, 0.0, 1e6, "",
                  "strength with which errors feed back into this layer's membranes; default: learning.gamma"),
    GLE_HARDWARE_KEYS(struct gle_layer_keys, "where a key is left out here, the network's"),
    GLE_KEY_END,
};

static int decode_layers(void *field, struct gle_doc *doc, struct gle_node *node, struct gle_errors *errs)
{
    struct gle_layer_list *out = field;
    int rc = 0;

    out->src = node;
    if (node->kind != GLE_NODE_LIST)
        return gle_node_error(errs, GLE_ECONFIG, node, NULL, "a list of layers is wanted");
    if (!node->n_items)
        return gle_node_error(errs, GLE_ECONFIG, node, NULL, "is empty: a network needs at least one layer");
    out->item = gle_arena_alloc(doc->arena, node->n_items, sizeof *out->item);
    if (!out->item)
        return gle_node_error(errs, GLE_ENOMEM, node, NULL, "no memory for %zu layers", node->n_items);
    out->n = node->n_items;
    for (size_t i = 0; i < out->n; i++) {
        out->item[i].src = node->items[i];
        if (gle_decode(&out->item[i], layer_keys, doc, node->items[i], errs))
            rc = -1;
    }
    return rc;
}

static const struct gle_key layer_key = {.name = "layer", .kind = GLE_KEY_KIND_MAP, .unit = "", .more = layer_keys};
static const struct gle_form layers_forms[] = {{.kind = GLE_FORM_LIST, .key = &layer_key, .most = GLE_LAYERS_MAX},
                                               {.kind = GLE_FORM_END}};
static const struct gle_custom layers_custom = {
    .decode = decode_layers, .type = "list of layers", .forms = layers_forms};

static bool is_file(const struct gle_row *row)
{
    return !strcmp(row->name, "file");
}

/* init: {file: ...}, for the whole network */
static int decode_network_init(void *field, struct gle_doc *doc, struct gle_node *node, struct gle_errors *errs)
{
    struct gle_part *part = field;

    if (gle_init_custom.decode(field, doc, node, errs))
        return -1;
    if (!is_file(part->row))
        return gle_node_error(errs, GLE_ECONFIG, node, NULL, "{file: ...} is wanted: parameters of a whole network");
    if (gle_node_get(node, "array"))
        return gle_node_error(errs, GLE_ECONFIG, node, "array", "a whole network is read by its layers' names");
    return 0;
}

static const struct gle_form network_init_forms[] = {
    {.kind = GLE_FORM_PART, .word = "init", .table = &gle_init_table, .takes = is_file}, {.kind = GLE_FORM_END}};
static const struct gle_custom network_init_custom = {
    .decode = decode_network_init, .type = "file of parameters", .forms = network_init_forms};

static const struct gle_key network_keys[] = {
    GLE_KEY_CUSTOM(struct gle_network_keys, input, NULL, &gle_input_custom,
                   "number of inputs: the channels of the data set; or {channels, size} of a line or plane"),
    GLE_KEY_NAME(struct gle_network_keys, integration, "euler", &gle_integration_table,
                 "how potentials and errors go on in a step"),
    GLE_KEY_TEXT(struct gle_network_keys, output, GLE_ABSENT,
                 "the layer whose rates are held against the targets; default: the last one"),
    GLE_KEY_CUSTOM(struct gle_network_keys, layers, NULL, &layers_custom,
                   "the layers, which are the network's populations, in any order"),
    GLE_KEY_CUSTOM(struct gle_network_keys, init, GLE_ABSENT, &network_init_custom,
                   "weights.npz of another run: every layer starts from the parameters there"),
    GLE_HARDWARE_KEYS(struct gle_network_keys, "for every layer that says nothing else"),
    GLE_KEY_END,
};

/* --- learning --- */

static const struct gle_key bounds_keys[] = {
    GLE_KEY_SOME_REALS(struct gle_bounds_keys, weight, GLE_ABSENT, -INFINITY, INFINITY, 2, 2, "",
                       "[lowest, highest] weight"),
    GLE_KEY_SOME_REALS(struct gle_bounds_keys, bias, GLE_ABSENT, -INFINITY, INFINITY, 2, 2, "",
                       "[lowest, highest] bias"),
    GLE_KEY_SOME_REALS(struct gle_bounds_keys, tau_m, GLE_ABSENT, 0.0, INFINITY, 2, 2, "time",
                       "[lowest, highest] membrane time constant, at least dt; without this key the lowest is dt. "
                       "Under network.integration exponential it is dt / 100"),
    GLE_KEY_SOME_REALS(struct gle_bounds_keys, tau_r, GLE_ABSENT, 0.0, INFINITY, 2, 2, "time",
                       "[lowest, highest] prospective time constant, likewise"),
    GLE_KEY_END,
};

static const struct gle_key update_keys[] = {
    GLE_KEY_COUNT(struct gle_update_keys, every, "1", 1, 1e9, "steps",
                  "learning steps whose gradients are averaged for one step of the optimizer; 1: it steps after each, "
                  "as published"),
    GLE_KEY_END,
};

static const struct gle_key learning_keys[] = {
    GLE_KEY_NAME(struct gle_learning_keys, rule, "gle", &gle_rule_table, "how errors reach the parameters"),
    {.name = "loss", .kind = GLE_KEY_KIND_PART, .offset = offsetof(struct gle_learning_keys, loss), .unit = "",
     .help = "what is minimised: how far outputs are from targets", .more = &gle_loss_table, .bare = true},
    GLE_KEY_REAL(struct gle_learning_keys, beta, "1.0", 0.0, 1e6, "",
                 "strength with which the output error nudges the last layer"),
    GLE_KEY_REAL(struct gle_learning_keys, gamma, "0.0", 0.0, 1e6, "",
                 "strength with which errors feed back into membranes"),
    GLE_KEY_REAL(struct gle_learning_keys, window, GLE_ABSENT, 1e-9, 1e9, "time",
                 "how far back the rules bptt and adjoint look, which need this key; at least two steps"),
    GLE_KEY_NAMES(struct gle_learning_keys, plastic, "[weight, bias]", &gle_param_table, "parameters that learn"),
    GLE_KEY_MAP(struct gle_learning_keys, bounds, "{}", bounds_keys,
                "limits of parameters, kept after every step of the optimizer"),
    GLE_KEY_MAP(struct gle_learning_keys, update, GLE_ABSENT, update_keys,
                "when the optimizer steps; default: after every learning step. Not under the rules bptt and adjoint, "
                "where it steps once a window"),
    GLE_KEY_REAL(struct gle_learning_keys, clip, GLE_ABSENT, 1e-9, 1e9, "",
                 "largest norm of the gradient, over all parameters that learn: a longer one is cut to it before the "
                 "optimizer follows it, as by torch's clip_grad_norm_; default: none"),
    GLE_KEY_PART(struct gle_learning_keys, optimizer, "{type: adam}", &gle_optimizer_table,
                 "how parameters follow the gradient"),
    GLE_KEY_PART(struct gle_learning_keys, schedule, "{type: constant}", &gle_schedule_table,
                 "how the learning rate changes from epoch to epoch"),
    GLE_KEY_END,
};

/* --- the file --- */

/* Keys that people look for where they are not. */
#define ELSEWHERE(word, place) {word, "is no key here (did you mean '" place "'?)"}
#define AT_THE_TOP(word) {word, "is no key here: it stands at the top of the file"}
static const struct gle_note learning_notes[] = {
    ELSEWHERE("learning_rate", "learning.optimizer.lr"), ELSEWHERE("epochs", "training.epochs"),
    ELSEWHERE("batch_size", "training.batch_size"),      AT_THE_TOP("seed"),
    {NULL, NULL},
};
static const struct gle_note training_notes[] = {
    ELSEWHERE("lr", "learning.optimizer.lr"), ELSEWHERE("learning_rate", "learning.optimizer.lr"),
    ELSEWHERE("optimizer", "learning.optimizer"), ELSEWHERE("schedule", "learning.schedule"),
    ELSEWHERE("loss", "learning.loss"), ELSEWHERE("rule", "learning.rule"), AT_THE_TOP("seed"),
    ELSEWHERE("early_stopping", "training.stop"),
    {NULL, NULL},
};

static const struct gle_note stop_notes[] = {
    ELSEWHERE("monitor", "metric"),
    {"mode", "is no key here: an accuracy shall rise, a loss and an NRMSE shall fall"},
    {NULL, NULL},
};

static const struct gle_key stop_keys[] = {
    GLE_KEY_NAME(struct gle_stop_keys, metric, "validation_loss", &gle_metric_table, "what is watched"),
    GLE_KEY_COUNT(struct gle_stop_keys, patience, "10", 1, 1e9, "epochs",
                  "number of epochs in a row without improvement after which training ends"),
    GLE_KEY_REAL(struct gle_stop_keys, min_delta, "0", 0.0, 1e9, "",
                 "a change of the metric is an improvement if it is larger than this: a fall or, of accuracies, a "
                 "rise, from the last value that was one"),
    GLE_KEY_END,
};

static const struct gle_key training_keys[] = {
    GLE_KEY_COUNT(struct gle_training_keys, epochs, GLE_ABSENT, 0, 1e9, "epochs",
                  "passes over the training set; 0 evaluates the untrained network; this key or phases is needed"),
    GLE_KEY_CUSTOM(struct gle_training_keys, phases, GLE_ABSENT, &gle_phases_custom,
                   "training by duration, in place of epochs: stretches of time, one after the other"),
    GLE_KEY_MAP(struct gle_training_keys, evaluate, GLE_ABSENT, gle_evaluate_key_table,
                "evaluation of the test set during phases, on a copy of the network, so that it leaves no trace in "
                "training; the first before, the last after all phases. What is kept or measured beside, also for "
                "epochs"),
    GLE_KEY_COUNT(struct gle_training_keys, batch_size, "100", 1, GLE_BATCH_MAX, "samples",
                  "samples trained side by side"),
    GLE_KEY_COUNT(struct gle_training_keys, test_batch_size, GLE_ABSENT, 1, GLE_BATCH_MAX, "samples",
                  "samples evaluated side by side; default: batch_size"),
    GLE_KEY_REAL(struct gle_training_keys, validation, "0", 0.0, 0.9, "",
                 "fraction of the training set that is kept for validation"),
    GLE_KEY_NAME(struct gle_training_keys, state, "carry", &gle_state_table,
                 "what happens to the state between batches"),
    GLE_KEY_NAME(struct gle_training_keys, test, "auto", &gle_test_table, "when the test set is evaluated"),
    {.name = "decide", .kind = GLE_KEY_KIND_PART, .offset = offsetof(struct gle_training_keys, decide), .unit = "",
     .fallback = GLE_ABSENT,
     .help = "which outputs an answer is told from, and so what accuracy means: the class of the largest sum; default: "
             "sum",
     .more = &gle_decide_table, .bare = true},
    GLE_KEY_NAME(struct gle_training_keys, best, GLE_ABSENT, &gle_metric_table,
                 "by what the best epoch is chosen, whose parameters are then kept in best_weights.npz; default: none "
                 "are kept"),
    GLE_KEY_MAP_NOTED(struct gle_training_keys, stop, GLE_ABSENT, stop_keys,
                      "early stopping: training ends before all epochs are over when a metric stops improving, as "
                      "Keras's and Lightning's EarlyStopping; default: it does not", stop_notes),
    GLE_KEY_END,
};

static const struct gle_key checkpoint_keys[] = {
    GLE_KEY_REAL(struct gle_checkpoint_keys, minutes, "10", 0.0, 1e6, "minutes",
                 "time from one checkpoint to the next, besides those after epochs and phases; 0: only those"),
    GLE_KEY_END,
};

/* A file's variants and its sweep are taken out before it is decoded, unless there is nothing in them to run. */
static int decode_variants(void *field, struct gle_doc *doc, struct gle_node *node, struct gle_errors *errs)
{
    (void)field;
    (void)doc;
    if (node->kind != GLE_NODE_MAP)
        return gle_node_error(errs, GLE_ECONFIG, node, NULL, "a map (key: value) is wanted");
    return 0;
}

static const struct gle_key file_key = {
    .name = "file", .kind = GLE_KEY_KIND_MAP, .unit = "", .more = gle_experiment_keys};
static const struct gle_form changes_forms[] = {
    {.kind = GLE_FORM_CHANGES, .key = &file_key, .word = "variants"}, {.kind = GLE_FORM_END}};
static const struct gle_custom changes_custom = {.type = "map of dotted keys", .forms = changes_forms};
static const struct gle_key changes_key = {
    .name = "changes", .kind = GLE_KEY_KIND_CUSTOM, .unit = "", .more = &changes_custom};
static const struct gle_form variants_forms[] = {
    {.kind = GLE_FORM_NAMED, .word = GLE_NAME_PATTERN("."), .key = &changes_key}, {.kind = GLE_FORM_END}};
static const struct gle_custom variants_custom = {
    .decode = decode_variants, .type = "map of variants", .forms = variants_forms};

static const struct gle_form sweep_forms[] = {
    {.kind = GLE_FORM_CHOICES, .key = &file_key, .word = "variants,sweep,seed,checkpoint,expect",
     .most = GLE_SWEEP_MAX},
    {.kind = GLE_FORM_END}};
static const struct gle_custom sweep_custom = {
    .decode = decode_variants, .type = "map of dotted keys to lists", .forms = sweep_forms};

const struct gle_key gle_experiment_keys[] = {
    GLE_KEY_COUNT(struct gle_file_keys, glesim, NULL, 1, 1, "", "version of this file format: 1"),
    GLE_KEY_PATTERN(struct gle_file_keys, name, NULL, GLE_NAME_PATTERN("."),
                    "name of the experiment; results go to results/<name>"),
    GLE_KEY_TEXT(struct gle_file_keys, description, GLE_ABSENT, "what the experiment is about; goes into the report"),
    GLE_KEY_COUNT(struct gle_file_keys, seed, "0", 0, 9.2e18, "",
                  "seed of the initial network and of the order of samples; means the same as in PyTorch"),
    GLE_KEY_REAL(struct gle_file_keys, dt, NULL, 1e-9, 1e9, "time",
                 "length of a step; all times of the file are in one unit of your choice"),
    GLE_KEY_PART(struct gle_file_keys, dataset, NULL, &gle_dataset_table,
                 "data set or signal: where inputs and targets come from"),
    GLE_KEY_MAP(struct gle_file_keys, network, NULL, network_keys, "the network: its inputs and layers"),
    GLE_KEY_CUSTOM(struct gle_file_keys, teacher, GLE_ABSENT, &gle_teacher_custom,
                   "a second network with these parameters instead, whose output is the target: layer: {parameter: "
                   "value, ...}"),
    GLE_KEY_MAP_NOTED(struct gle_file_keys, learning, NULL, learning_keys,
                      "how the network learns: rule, loss, optimizer", learning_notes),
    GLE_KEY_MAP_NOTED(struct gle_file_keys, training, NULL, training_keys,
                      "how long it learns, and on how many samples side by side", training_notes),
    GLE_KEY_MAP(struct gle_file_keys, record, GLE_ABSENT, gle_record_key_table,
                "traces over time, into recording.npz: input, target, output, loss and what is listed here"),
    GLE_KEY_MAP(struct gle_file_keys, diagnose, GLE_ABSENT, gle_diagnose_key_table,
                "how close the rule's updates are to an exact gradient, measured now and then"),
    GLE_HARDWARE_KEYS(struct gle_file_keys, "the same as under network"),
    {.name = "variants", .kind = GLE_KEY_KIND_CUSTOM, .fallback = GLE_ABSENT, .unit = "",
     .help = "several runs of this file: name: {dotted.key: value, ...}", .more = &variants_custom},
    {.name = "sweep", .kind = GLE_KEY_KIND_CUSTOM, .fallback = GLE_ABSENT, .unit = "",
     .help = "a run for every combination of values: dotted.key: [value, ...]", .more = &sweep_custom},
    GLE_KEY_MAP(struct gle_file_keys, checkpoint, "{}", checkpoint_keys,
                "when a run is saved, for --resume; changes no result, and is not in the resolved config"),
    GLE_KEY_MAP(struct gle_file_keys, compute, "{}", gle_compute_key_table, "the hardware that is used"),
    GLE_KEY_CUSTOM(struct gle_file_keys, expect, GLE_ABSENT, &gle_claims_custom,
                   "what the runs of this file are claimed to come to, which --verify looks into; changes no run"),
    GLE_KEY_END,
};

const struct gle_table *const gle_tables[] = {
    &gle_dataset_table, &gle_act_table,  &gle_rule_table,  &gle_loss_table,  &gle_optimizer_table, &gle_schedule_table,
    &gle_metric_table,  &gle_init_table, &gle_param_table, &gle_variable_table, &gle_state_table, &gle_test_table,
    &gle_reset_table,   &gle_backend_table, &gle_ranks_table, &gle_link_table, &gle_pool_table,
    &gle_feedback_table, &gle_when_table, &gle_integration_table, &gle_decide_table, &gle_train_part_table,
    NULL,
};
