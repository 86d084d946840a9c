/* The keys of what hardware does to a network: noise, mismatch of time constants, weights of a few bits. */
#include "config/decode.h"

#include <string.h>

/* --- noise --- */

static const struct gle_row whens[] = {
    {.name = "always", .help = "in training, and where the network is evaluated"},
    {.name = "train", .help = "in training alone"},
    {.name = "test", .help = "only where the network is evaluated: on validation and test sets"},
    {.name = NULL},
};
const struct gle_table gle_when_table = {"time of noise", whens, sizeof *whens};

static const struct gle_key kind_keys[] = {
    GLE_KEY_REAL(struct gle_noise_kind_keys, std, NULL, 0.0, 1e6, "",
                 "standard deviation: of what is added to an input or a rate; of a membrane, that of its potential by "
                 "itself, whatever dt"),
    GLE_KEY_REAL(struct gle_noise_kind_keys, tau, GLE_ABSENT, 1e-9, 1e9, "time",
                 "time constant of an Ornstein-Uhlenbeck process, at least dt; default: white noise, which has none"),
    GLE_KEY_NAME(struct gle_noise_kind_keys, when, "always", &gle_when_table, "when it is there"),
    GLE_KEY_END,
};

/* Gives a kind of noise the `when` that the map around it has for all of them, if it has none. */
static int inherit_when(struct gle_doc *doc, struct gle_node *kind, struct gle_errors *errs)
{
    const struct gle_node *when = kind->parent ? gle_node_get(kind->parent, "when") : NULL;
    struct gle_node *copy;

    if (!when || kind->kind != GLE_NODE_MAP || gle_node_get(kind, "when") || when->kind != GLE_NODE_SCALAR ||
        !gle_table_find(&gle_when_table, when->text)) /* which is told where it stands */
        return 0;
    copy = gle_node_append(doc, kind, "when", gle_node_copy(doc, when));
    if (!copy)
        return gle_node_error(errs, GLE_ENOMEM, kind, NULL, "no memory");
    copy->filled_in = true;
    return 0;
}

/* A number, or {std, tau, when}. */
static int decode_kind(void *field, struct gle_doc *doc, struct gle_node *node, struct gle_errors *errs)
{
    if (node->kind == GLE_NODE_LIST)
        return gle_node_error(errs, GLE_ECONFIG, node, NULL,
                              "a standard deviation, or {std, tau, when}, is wanted, not a list");
    if ((node->kind == GLE_NODE_SCALAR && gle_node_wrap(doc, node, "std", errs)) || inherit_when(doc, node, errs))
        return -1;
    return gle_decode(field, kind_keys, doc, node, errs);
}

static const struct gle_key map_key = {.name = "noise", .kind = GLE_KEY_KIND_MAP, .unit = "", .more = kind_keys};
static const struct gle_form kind_forms[] = {{.kind = GLE_FORM_VALUE, .key = kind_keys},
                                             {.kind = GLE_FORM_VALUE, .key = &map_key},
                                             {.kind = GLE_FORM_END}};
static const struct gle_custom kind_custom = {
    .decode = decode_kind, .type = "standard deviation, or {std, tau, when}", .forms = kind_forms};

const struct gle_key gle_noise_key_table[] = {
    GLE_KEY_CUSTOM(struct gle_noise_keys, input, GLE_ABSENT, &kind_custom,
                   "what is added to the input s of each neuron, and so to its u_dot"),
    GLE_KEY_CUSTOM(struct gle_noise_keys, membrane, GLE_ABSENT, &kind_custom,
                   "what is added to the potential u of each neuron after its step"),
    GLE_KEY_CUSTOM(struct gle_noise_keys, rate, GLE_ABSENT, &kind_custom, "what is added to the rate r of each neuron"),
    GLE_KEY_NAME(struct gle_noise_keys, when, GLE_ABSENT, &gle_when_table,
                 "when those are there that say nothing else"),
    GLE_KEY_END,
};

/* --- mismatch --- */

#define FACTOR(field, help) GLE_KEY_REAL(struct gle_mismatch_keys, field, GLE_ABSENT, 0.0, 10.0, "", help)
const struct gle_key gle_mismatch_key_table[] = {
    FACTOR(tau_m, "standard deviation of the factor of the membrane time constant"),
    FACTOR(tau_r, "that of the prospective time constant"),
    FACTOR(error_tau_m, "that of tau_m where errors look ahead with it; default: the membrane's own factor"),
    FACTOR(error_tau_r, "that of tau_r where errors are filtered with it; default: the neuron's own factor"),
    GLE_KEY_END,
};

/* --- quantized weights --- */

static const struct gle_key weight_keys[] = {
    GLE_KEY_COUNT(struct gle_quantize_cfg, bits, NULL, 2, 16, "bits",
                  "2^bits - 1 numbers, 0 among them, at equal distances: 3 of 2 bits, 255 of 8"),
    GLE_KEY_REAL(struct gle_quantize_cfg, range, NULL, 1e-6, 1e6, "",
                 "the largest of these numbers; weights beyond it are read as it"),
    GLE_KEY_END,
};

static int decode_weight(void *field, struct gle_doc *doc, struct gle_node *node, struct gle_errors *errs)
{
    if (node->kind == GLE_NODE_SCALAR && !strcmp(node->text, "none")) {
        node->as = GLE_SCALAR_TEXT;
        return 0;
    }
    if (node->kind != GLE_NODE_MAP)
        return gle_node_error(errs, GLE_ECONFIG, node, NULL, "{bits, range}, or none, is wanted");
    return gle_decode(field, weight_keys, doc, node, errs);
}

static const struct gle_key weight_map_key = {
    .name = "weight", .kind = GLE_KEY_KIND_MAP, .unit = "", .more = weight_keys};
static const struct gle_form weight_forms[] = {
    {.kind = GLE_FORM_WORD, .word = "none", .help = "numbers of single precision, as they are"},
    {.kind = GLE_FORM_VALUE, .key = &weight_map_key},
    {.kind = GLE_FORM_END},
};
static const struct gle_custom weight_custom = {
    .decode = decode_weight, .type = "{bits, range}, or none", .forms = weight_forms};

const struct gle_key gle_quantize_key_table[] = {
    GLE_KEY_CUSTOM(struct gle_quantize_keys, weight, GLE_ABSENT, &weight_custom,
                   "weights, W and B, where rates and errors go through them: {bits, range}, or none"),
    GLE_KEY_END,
};
