#include "parts/init.h"
#include "base/npz.h"
#include "base/memory.h"
#include "base/text.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* --- torch.nn.Linear's --- */

/* U(-b, b), b = 1/sqrt(fan_in); the weight's bound goes through the gain of kaiming_uniform_(a = sqrt 5) as in PyTorch,
 * so that it rounds the same. */
static int fill_linear(float *values, const struct gle_init_target *t, const void *params, struct gle_rng *rng,
                       struct gle_error *err)
{
    const double root = sqrt((double)t->fan_in);
    const double bound = t->bias ? 1.0 / root : sqrt(3.0) * (sqrt(2.0 / (1.0 + 5.0)) / root);

    (void)params;
    (void)err;
    gle_torch_uniform(rng, values, t->rows * t->cols, -bound, bound);
    return 0;
}

/* --- without chance --- */

static int fill_constant(float *values, size_t n, float value)
{
    for (size_t i = 0; i < n; i++)
        values[i] = value;
    return 0;
}

static int fill_zeros(float *values, const struct gle_init_target *t, const void *params, struct gle_rng *rng,
                      struct gle_error *err)
{
    (void)params;
    (void)rng;
    (void)err;
    return fill_constant(values, t->rows * t->cols, 0.0f);
}

static int fill_ones(float *values, const struct gle_init_target *t, const void *params, struct gle_rng *rng,
                     struct gle_error *err)
{
    (void)params;
    (void)rng;
    (void)err;
    return fill_constant(values, t->rows * t->cols, 1.0f);
}

static int fill_identity(float *values, const struct gle_init_target *t, const void *params, struct gle_rng *rng,
                         struct gle_error *err)
{
    (void)params;
    (void)rng;
    (void)err;
    for (size_t i = 0; i < t->rows; i++)
        for (size_t j = 0; j < t->cols; j++)
            values[i * t->cols + j] = t->rows != t->cols || i == j ? 1.0f : 0.0f;
    return 0;
}

/* --- distributions --- */

struct uniform_params {
    double low, high;
};

static const struct gle_key uniform_keys[] = {
    GLE_KEY_REAL(struct uniform_params, low, "-0.1", -1e6, 1e6, "", "lower end of the interval"),
    GLE_KEY_REAL(struct uniform_params, high, "0.1", -1e6, 1e6, "", "upper end of the interval"),
    GLE_KEY_END,
};

static int fill_uniform(float *values, const struct gle_init_target *t, const void *params, struct gle_rng *rng,
                        struct gle_error *err)
{
    const struct uniform_params *p = params;

    (void)err;
    gle_torch_uniform(rng, values, t->rows * t->cols, p->low, p->high);
    return 0;
}

struct normal_params {
    double mean, std;
};

static const struct gle_key normal_keys[] = {
    GLE_KEY_REAL(struct normal_params, mean, "0", -1e6, 1e6, "", "mean of the distribution"),
    GLE_KEY_REAL(struct normal_params, std, "0.1", 0.0, 1e6, "", "standard deviation of the distribution"),
    GLE_KEY_END,
};

static int fill_normal(float *values, const struct gle_init_target *t, const void *params, struct gle_rng *rng,
                       struct gle_error *err)
{
    const struct normal_params *p = params;

    (void)err;
    gle_torch_normal(rng, values, t->rows * t->cols, p->mean, p->std);
    return 0;
}

/* --- values in the config --- */

/* A number, a list, or a list of rows. */
struct values {
    double *v;
    size_t n_dims, rows, cols; /* n_dims 0: one number for all; 1: rows numbers; 2: (rows, cols) */
};
struct value_params {
    struct values value;
};

static const struct gle_key entry = {
    .name = "value", .kind = GLE_KEY_KIND_REALS, .low = -1e30, .high = 1e30, .unit = "", .help = ""};

static int decode_value(void *field, struct gle_doc *doc, struct gle_node *node, struct gle_errors *errs)
{
    struct values *out = field;
    struct gle_reals row = {0};
    int rc = 0;

    if (node->kind != GLE_NODE_LIST || !node->n_items || node->items[0]->kind != GLE_NODE_LIST) {
        if (gle_decode_value(&row, &entry, doc, node, errs))
            return -1;
        out->v = row.v;
        out->n_dims = row.is_list;
        out->rows = row.n;
        out->cols = 1;
        return 0;
    }
    out->n_dims = 2;
    out->rows = node->n_items;
    out->cols = node->items[0]->n_items;
    out->v = gle_arena_alloc(doc->arena, out->rows * out->cols, sizeof *out->v);
    if (!out->v)
        return gle_node_error(errs, GLE_ENOMEM, node, NULL, "no memory for %zu rows", out->rows);
    for (size_t i = 0; i < out->rows; i++) {
        row = (struct gle_reals){0};
        if (gle_decode_value(&row, &entry, doc, node->items[i], errs))
            rc = -1;
        else if (!row.is_list || row.n != out->cols)
            rc = gle_node_error(errs, GLE_ESHAPE, node->items[i], NULL, "has %zu value%s where the first row has %zu",
                                row.n, row.n == 1 ? "" : "s", out->cols);
        else
            memcpy(out->v + i * out->cols, row.v, row.n * sizeof *row.v);
    }
    return rc;
}

static const struct gle_form value_forms[] = {
    {.kind = GLE_FORM_VALUE, .key = &entry}, {.kind = GLE_FORM_LIST, .key = &entry}, {.kind = GLE_FORM_END}};
static const struct gle_custom value_custom = {
    .decode = decode_value, .type = "number, list or list of rows", .forms = value_forms};
static const struct gle_key value_keys[] = {
    GLE_KEY_CUSTOM(struct value_params, value, NULL, &value_custom,
                   "one number for all, or all of them: a list of rows, one a neuron"),
    GLE_KEY_END,
};

static int fits_value(const void *params, const struct gle_init_target *t, char *found, size_t size)
{
    const struct values *v = &((const struct value_params *)params)->value;

    if (v->n_dims == 0 || (v->n_dims == 2 && v->rows == t->rows && v->cols == t->cols) ||
        (v->n_dims == 1 && (t->rows == 1 || t->cols == 1) && v->rows == t->rows * t->cols))
        return 0;
    if (v->n_dims == 1)
        snprintf(found, size, "a list of %zu", v->rows);
    else
        snprintf(found, size, "%zu row%s of %zu", v->rows, v->rows == 1 ? "" : "s", v->cols);
    return -1;
}

static int fill_value(float *values, const struct gle_init_target *t, const void *params, struct gle_rng *rng,
                      struct gle_error *err)
{
    const struct values *v = &((const struct value_params *)params)->value;

    (void)rng;
    (void)err;
    for (size_t i = 0; i < t->rows * t->cols; i++)
        values[i] = (float)v->v[v->n_dims ? i : 0];
    return 0;
}

/* --- values in a file --- */

struct file_params {
    const char *file, *array;
};

static const struct gle_key file_keys[] = {
    GLE_KEY_PATH(struct file_params, file, NULL, "an npz archive, such as weights.npz of a run or from np.savez"),
    GLE_KEY_TEXT(struct file_params, array, GLE_ABSENT, "name of the array; default: <layer>.<parameter>"),
    GLE_KEY_END,
};

static const char *file_of(const void *params)
{
    return ((const struct file_params *)params)->file;
}

/* "2, 3" */
static void list_sizes(char *buf, size_t size, const size_t *shape, size_t n_dims)
{
    size_t n = 0;

    *buf = '\0';
    for (size_t d = 0; d < n_dims && n < size; d++)
        n += (size_t)snprintf(buf + n, size - n, d ? ", %zu" : "%zu", shape[d]);
}

static int misfit(struct gle_error *err, const char *file, const char *name, const struct gle_array *a,
                  const struct gle_init_target *t)
{
    char found[128], wanted[128];

    list_sizes(found, sizeof found, a->shape, a->n_dims);
    if (t->n_shape)
        list_sizes(wanted, sizeof wanted, t->shape, t->n_shape);
    else
        list_sizes(wanted, sizeof wanted, (const size_t[]){t->rows, t->cols}, t->bias ? 1 : 2);
    return gle_fail_in(err, GLE_EDATA, file, NULL, "array '%s' has shape (%s), where (%s) is wanted", name, found,
                       wanted);
}

/* Weights of a sparse link belong to synapses: those that a file has beside them must be the network's. */
static int check_synapses(const struct gle_npz *npz, const char *file, const char *name,
                          const struct gle_init_target *t, struct gle_error *err)
{
    const char *dot = strrchr(name, '.');
    struct gle_array a = {0};
    char pairs[256];
    int rc;

    snprintf(pairs, sizeof pairs, "%.*s%s", dot ? (int)(dot - name) : 0, name, GLE_LINK_SYNAPSES);
    if (!t->sparse || !gle_npz_has(npz, pairs))
        return 0;
    rc = gle_npz_read(&a, npz, pairs, err);
    if (!rc && !gle_link_has_synapses(t->sparse, &a))
        rc = gle_fail_in(err, GLE_EDATA, file, NULL,
                         "array '%s' is of other synapses than the network has, see '%s'; this file as the mask of the "
                         "link makes them the same", name, pairs);
    gle_array_clear(&a);
    return rc;
}

static int fill_file(float *values, const struct gle_init_target *t, const void *params, struct gle_rng *rng,
                     struct gle_error *err)
{
    const struct file_params *p = params;
    const char *name = p->array ? p->array : t->name;
    struct gle_npz *npz;
    struct gle_array a = {0};
    int rc = -1;

    (void)rng;
    if (gle_npz_open(&npz, p->file, err))
        return -1;
    if (!check_synapses(npz, p->file, name, t, err) && !gle_npz_read(&a, npz, name, err)) {
        const bool matrix = !t->n_shape && a.n_dims == 2 && a.shape[0] == t->rows && a.shape[1] == t->cols;
        const bool same =
            t->n_shape && a.n_dims == t->n_shape && !memcmp(a.shape, t->shape, a.n_dims * sizeof *a.shape);
        const bool list = a.n_dims == 1 && a.n == t->rows * t->cols && (t->rows == 1 || t->cols == 1);
        if (matrix || same || list || a.n_dims == 0) {
            rc = 0;
            for (size_t i = 0; i < t->rows * t->cols && !rc; i++) {
                values[i] = (float)gle_array_real(&a, a.n_dims ? i : 0);
                if (!isfinite(values[i]))
                    rc = gle_fail_in(err, GLE_EDATA, p->file, NULL, "array '%s' holds NaN or Inf", name);
            }
        } else {
            rc = misfit(err, p->file, name, &a, t);
        }
    }
    gle_array_clear(&a);
    gle_npz_close(npz);
    return rc;
}

const struct gle_init gle_inits[] = {
    {{.name = "linear", .help = "torch.nn.Linear's: uniform in +-1/sqrt(inputs)"}, .fill = fill_linear},
    {{.name = "zeros", .help = "all 0"}, .fill = fill_zeros},
    {{.name = "ones", .help = "all 1"}, .fill = fill_ones},
    {{.name = "identity", .help = "the identity; all 1 where the sizes differ"}, .fill = fill_identity},
    {{.name = "constant", .help = "one number for all", .keys = value_keys, .params_size = sizeof(struct value_params)},
     .fill = fill_value,
     .fits = fits_value,
     .written = true},
    {{.name = "uniform", .help = "uniform between low and high", .keys = uniform_keys,
      .params_size = sizeof(struct uniform_params)},
     .fill = fill_uniform},
    {{.name = "normal", .help = "normal with mean and std", .keys = normal_keys,
      .params_size = sizeof(struct normal_params)},
     .fill = fill_normal},
    {{.name = "value", .help = "numbers given here", .keys = value_keys, .params_size = sizeof(struct value_params)},
     .fill = fill_value,
     .fits = fits_value,
     .written = true},
    {{.name = "file", .help = "an array of an npz file", .keys = file_keys, .params_size = sizeof(struct file_params)},
     .fill = fill_file,
     .file = file_of,
     .written = true},
    {.row = {.name = NULL}},
};
const struct gle_table gle_init_table = {"initialiser", gle_inits, sizeof *gle_inits};

/* The initialiser that the keys of a map without a name tell: also where `value` or `file` is misspelt, so that the
 * message about it knows what was meant. */
static const char *unnamed(const struct gle_node *map)
{
    if (gle_node_get(map, "value"))
        return "value";
    if (gle_node_get(map, "file"))
        return "file";
    for (size_t i = 0; i < map->n_items; i++) {
        struct gle_suggestion near = {.word = map->items[i]->key};
        gle_suggest(&near, "init");
        gle_suggest(&near, "value");
        gle_suggest(&near, "file");
        if (near.best && strcmp(near.best, "init"))
            return near.best;
    }
    return "linear";
}

static int decode_init(void *field, struct gle_doc *doc, struct gle_node *node, struct gle_errors *errs)
{
    static const struct gle_key name_key = {
        .name = "init", .kind = GLE_KEY_KIND_NAME, .unit = "", .help = "", .more = &gle_init_table};
    struct gle_part *part = field;
    struct gle_node *name;
    const struct gle_row *row;
    double number;

    if (node->kind == GLE_NODE_LIST || (node->kind == GLE_NODE_SCALAR && !gle_text_real(&number, node->text))) {
        if (gle_node_wrap(doc, node, "value", errs))
            return -1;
    } else if (node->kind == GLE_NODE_SCALAR) {
        if (gle_decode_value(&row, &name_key, doc, node, errs) || gle_node_wrap(doc, node, "init", errs))
            return -1;
    }
    name = gle_node_get(node, "init");
    if (!name && (name = gle_node_get(node, "type"))) /* as other parts say it */
        name->key = "init";
    if (name && name->kind == GLE_NODE_MAP && node->n_items == 1) /* {init: {file: ...}} says the same as {file: ...} */
        return decode_init(field, doc, name, errs);
    if (!name) {
        row = gle_table_find(&gle_init_table, unnamed(node));
    } else {
        if (gle_decode_value(&row, &name_key, doc, name, errs))
            return -1;
    }
    return gle_decode_part(part, row, "init", doc, node, errs);
}

static const struct gle_form init_forms[] = {
    {.kind = GLE_FORM_VALUE, .key = value_keys},
    {.kind = GLE_FORM_PART, .word = "init", .alias = "type", .table = &gle_init_table},
    {.kind = GLE_FORM_END},
};
const struct gle_custom gle_init_custom = {.decode = decode_init, .type = "initialiser", .forms = init_forms};

static bool is_written(const struct gle_row *row)
{
    return ((const struct gle_init *)row)->written;
}

static int decode_written(void *field, struct gle_doc *doc, struct gle_node *node, struct gle_errors *errs)
{
    struct gle_part *part = field;
    const struct gle_node *name;

    if (decode_init(field, doc, node, errs))
        return -1;
    if (is_written(part->row))
        return 0;
    name = gle_node_get(part->src, "init");
    return gle_node_error(errs, GLE_ECONFIG, name ? name : part->src, NULL,
                          "a number, a list of numbers or {file: ...} is wanted for time constants");
}

static const struct gle_form written_forms[] = {
    {.kind = GLE_FORM_VALUE, .key = value_keys},
    {.kind = GLE_FORM_PART, .word = "init", .table = &gle_init_table, .takes = is_written},
    {.kind = GLE_FORM_END},
};
const struct gle_custom gle_written_custom = {
    .decode = decode_written, .type = "written values", .forms = written_forms};
