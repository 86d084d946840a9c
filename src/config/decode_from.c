/* The keys of what layers read: the network's input, and the entries of `from`. */
#include "base/memory.h"
#include "config/decode.h"
#include "parts/feedback.h"
#include "parts/init.h"
#include "parts/link.h"

#include <stddef.h>
#include <string.h>

/* --- input --- */

struct input_keys {
    uint64_t channels;
    struct gle_reals size;
};

static const struct gle_key input_keys[] = {
    GLE_KEY_COUNT(struct input_keys, channels, NULL, 1, GLE_NEURONS_MAX, "channels", "channels of a line or plane"),
    GLE_KEY_SOME_REALS(struct input_keys, size, NULL, 1, GLE_NEURONS_MAX, 1, 2, "neurons",
                       "length of a line, or [rows, columns] of a plane, for convolutions"),
    GLE_KEY_END,
};

static const struct gle_key count_key = {.name = "input", .kind = GLE_KEY_KIND_COUNT, .low = 1, .high = GLE_NEURONS_MAX,
                                         .unit = "channels", .help = "number of inputs"};

/* A number, or {channels, size}. */
static int decode_input(void *field, struct gle_doc *doc, struct gle_node *node, struct gle_errors *errs)
{
    struct gle_shape *out = field;
    struct input_keys keys = {0};
    uint64_t n;

    *out = (struct gle_shape){.size = {1, 1}};
    if (node->kind != GLE_NODE_MAP) {
        if (gle_decode_value(&n, &count_key, doc, node, errs))
            return -1;
        out->channels = n;
        return 0;
    }
    if (gle_decode(&keys, input_keys, doc, node, errs))
        return -1;
    if (!keys.size.n || keys.size.n > 2)
        return gle_node_error(errs, GLE_ESHAPE, node, "size", "%zu numbers, where one (of a line) or two are wanted",
                              keys.size.n);
    out->channels = keys.channels;
    out->dims = keys.size.n;
    for (size_t i = 0; i < keys.size.n; i++) {
        const size_t size = (size_t)keys.size.v[i];
        if ((double)size < keys.size.v[i])
            return gle_node_error(errs, GLE_ERANGE, node, "size", "%g is no whole number", keys.size.v[i]);
        out->size[2 - keys.size.n + i] = size;
    }
    if ((double)out->channels * (double)out->size[0] * (double)out->size[1] > GLE_NEURONS_MAX)
        return gle_node_error(errs, GLE_ERANGE, node, NULL, "%.0f inputs; at most %d are possible",
                              (double)out->channels * (double)out->size[0] * (double)out->size[1], GLE_NEURONS_MAX);
    return 0;
}

static const struct gle_key input_map_key = {
    .name = "input", .kind = GLE_KEY_KIND_MAP, .unit = "", .more = input_keys};
static const struct gle_form input_forms[] = {{.kind = GLE_FORM_VALUE, .key = &count_key},
                                              {.kind = GLE_FORM_VALUE, .key = &input_map_key},
                                              {.kind = GLE_FORM_END}};
const struct gle_custom gle_input_custom = {
    .decode = decode_input, .type = "number of inputs, or {channels, size}", .forms = input_forms};

/* --- lists of layers --- */

/* A list of which an item is the name of a layer, which stands for {layer: NAME}, or a map with more keys. */
struct layer_list {
    const char *wanted, *empty; /* said of what is no list, and of one without items; NULL: that is fine */
    const char *items;          /* what they are, several of them */
    const struct gle_key *keys;
    size_t size, at_src;        /* bytes of a decoded item, and where in it the node goes */
};

/* Decodes it to an array of such items. */
static int decode_list(void **item, size_t *n, const struct layer_list *list, struct gle_doc *doc,
                       const struct gle_node *node, struct gle_errors *errs)
{
    int rc = 0;

    if (node->kind != GLE_NODE_LIST)
        return gle_node_error(errs, GLE_ECONFIG, node, NULL, "%s", list->wanted);
    if (!node->n_items)
        return list->empty ? gle_node_error(errs, GLE_ECONFIG, node, NULL, "%s", list->empty) : 0;
    if (node->n_items > GLE_SOURCES_MAX)
        return gle_node_error(errs, GLE_ERANGE, node, NULL, "%zu %s; at most %d are possible", node->n_items,
                              list->items, GLE_SOURCES_MAX);
    *item = gle_arena_alloc(doc->arena, node->n_items, list->size);
    if (!*item)
        return gle_node_error(errs, GLE_ENOMEM, node, NULL, "no memory for %zu %s", node->n_items, list->items);
    *n = node->n_items;
    for (size_t i = 0; i < *n; i++) {
        struct gle_node *one = node->items[i];
        const struct gle_node *src = one;
        char *keys = (char *)*item + i * list->size;
        memcpy(keys + list->at_src, &src, sizeof src);
        if (one->kind == GLE_NODE_SCALAR && gle_node_wrap(doc, one, "layer", errs))
            return -1;
        rc |= gle_decode(keys, list->keys, doc, one, errs);
    }
    return rc;
}

/* --- sources --- */

static const struct gle_key source_keys[] = {
    GLE_KEY_TEXT(struct gle_source_keys, layer, NULL, "what is read: the name of a layer, or input"),
    GLE_KEY_PATTERN(struct gle_source_keys, name, GLE_ABSENT, GLE_NAME_PATTERN(""),
                    "name of this source in files; default: that of the layer; needed where a layer is read twice"),
    GLE_KEY_REAL(struct gle_source_keys, delay, GLE_ABSENT, 0.0, 1e9, "time",
                 "time from a rate to who reads it, a whole number of dt; default: dt from a layer (what its last step "
                 "left), 0 from the input"),
    GLE_KEY_PART(struct gle_source_keys, connect, "{type: dense}", &gle_link_table,
                 "how weights connect the source with the layer"),
    GLE_KEY_CUSTOM(struct gle_source_keys, weight, GLE_ABSENT, &gle_init_custom,
                   "the weights at the start; default: the layer's `weight`"),
    GLE_KEY_BOOL(struct gle_source_keys, plastic, GLE_ABSENT,
                 "whether the weights learn; default: as the layer's `plastic` says"),
    GLE_KEY_PART(struct gle_source_keys, feedback, "{type: transpose}", &gle_feedback_table,
                 "how errors go back to the source"),
    GLE_KEY_END,
};

static const struct layer_list sources = {
    .wanted = "a list of sources is wanted: names of layers, input, or {layer: name, ...}",
    .empty = "is empty: a layer reads at least one source",
    .items = "sources",
    .keys = source_keys,
    .size = sizeof(struct gle_source_keys),
    .at_src = offsetof(struct gle_source_keys, src),
};

static int decode_from(void *field, struct gle_doc *doc, struct gle_node *node, struct gle_errors *errs)
{
    struct gle_source_list *out = field;
    void *item = NULL;
    const int rc = decode_list(&item, &out->n, &sources, doc, node, errs);

    out->src = node;
    out->item = item;
    return rc;
}

static const struct gle_key name_key = {
    .name = "layer", .kind = GLE_KEY_KIND_TEXT, .unit = "", .help = "name of a layer, or input"};
static const struct gle_key map_key = {.name = "source", .kind = GLE_KEY_KIND_MAP, .unit = "", .more = source_keys};
static const struct gle_form source_forms[] = {{.kind = GLE_FORM_VALUE, .key = &name_key},
                                               {.kind = GLE_FORM_VALUE, .key = &map_key},
                                               {.kind = GLE_FORM_END}};
static const struct gle_custom source_custom = {.type = "name of a layer, or map", .forms = source_forms};
static const struct gle_key source_key = {
    .name = "source", .kind = GLE_KEY_KIND_CUSTOM, .unit = "", .more = &source_custom};
static const struct gle_form from_forms[] = {{.kind = GLE_FORM_LIST, .key = &source_key, .most = GLE_SOURCES_MAX},
                                             {.kind = GLE_FORM_END}};
const struct gle_custom gle_from_custom = {.decode = decode_from, .type = "list of sources", .forms = from_forms};

/* --- errors from other layers --- */

static const struct gle_key errors_keys[] = {
    GLE_KEY_TEXT(struct gle_errors_keys, layer, NULL, "whose errors come here: the name of another layer"),
    GLE_KEY_CUSTOM(struct gle_errors_keys, weight, "{init: linear}", &gle_init_custom,
                   "the weights B (neurons, those of the other layer), through which they come, B e; they stay as they "
                   "are"),
    GLE_KEY_END,
};

static const struct layer_list senders = {
    .wanted = "a list is wanted: names of layers, or {layer: name, weight: ...}",
    .items = "layers",
    .keys = errors_keys,
    .size = sizeof(struct gle_errors_keys),
    .at_src = offsetof(struct gle_errors_keys, src),
};

static int decode_errors(void *field, struct gle_doc *doc, struct gle_node *node, struct gle_errors *errs)
{
    struct gle_errors_list *out = field;
    void *item = NULL;
    const int rc = decode_list(&item, &out->n, &senders, doc, node, errs);

    out->item = item;
    return rc;
}

static const struct gle_key layer_name_key = {
    .name = "layer", .kind = GLE_KEY_KIND_TEXT, .unit = "", .help = "name of a layer"};
static const struct gle_key errors_map_key = {
    .name = "errors", .kind = GLE_KEY_KIND_MAP, .unit = "", .more = errors_keys};
static const struct gle_form entry_forms[] = {{.kind = GLE_FORM_VALUE, .key = &layer_name_key},
                                              {.kind = GLE_FORM_VALUE, .key = &errors_map_key},
                                              {.kind = GLE_FORM_END}};
static const struct gle_custom entry_custom = {.type = "name of a layer, or map", .forms = entry_forms};
static const struct gle_key entry_key = {
    .name = "errors", .kind = GLE_KEY_KIND_CUSTOM, .unit = "", .more = &entry_custom};
static const struct gle_form errors_forms[] = {{.kind = GLE_FORM_LIST, .key = &entry_key, .most = GLE_SOURCES_MAX},
                                               {.kind = GLE_FORM_END}};
const struct gle_custom gle_errors_custom = {
    .decode = decode_errors, .type = "list of layers", .forms = errors_forms};
