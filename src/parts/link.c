#include "parts/link.h"
#include "base/memory.h"
#include "parts/link_sparse.h"
#include "yaml/key.h"

#include <stdio.h>
#include <string.h>

/* --- settings --- */

static int decode_sizes(struct gle_sizes *out, const struct gle_key *entry, struct gle_doc *doc, struct gle_node *node,
                        struct gle_errors *errs)
{
    const bool list = node->kind == GLE_NODE_LIST;
    int rc = 0;

    out->n = list ? node->n_items : 1;
    out->list = list;
    if (node->kind == GLE_NODE_MAP || out->n < 1 || out->n > 2)
        return gle_node_error(errs, GLE_ECONFIG, node, NULL,
                              "a number, or two as in [3, 5] (rows, columns), is wanted");
    for (size_t i = 0; i < out->n; i++) {
        uint64_t value = 0;
        if (gle_decode_value(&value, entry, doc, list ? node->items[i] : node, errs))
            rc = -1;
        out->size[i] = (size_t)value;
    }
    return rc;
}

enum { SIZE_MAX_WRITTEN = 1000000 };
static const struct gle_key some = {
    .name = "size", .kind = GLE_KEY_KIND_COUNT, .low = 1, .high = SIZE_MAX_WRITTEN, .unit = "", .help = ""};
static const struct gle_key none_or_some = {
    .name = "size", .kind = GLE_KEY_KIND_COUNT, .low = 0, .high = SIZE_MAX_WRITTEN, .unit = "", .help = ""};

static int decode_some(void *field, struct gle_doc *doc, struct gle_node *node, struct gle_errors *errs)
{
    return decode_sizes(field, &some, doc, node, errs);
}

static int decode_none_or_some(void *field, struct gle_doc *doc, struct gle_node *node, struct gle_errors *errs)
{
    return decode_sizes(field, &none_or_some, doc, node, errs);
}

static const struct gle_form some_forms[] = {
    {.kind = GLE_FORM_VALUE, .key = &some}, {.kind = GLE_FORM_LIST, .key = &some, .most = 2}, {.kind = GLE_FORM_END}};
static const struct gle_form none_or_some_forms[] = {{.kind = GLE_FORM_VALUE, .key = &none_or_some},
                                                     {.kind = GLE_FORM_LIST, .key = &none_or_some, .most = 2},
                                                     {.kind = GLE_FORM_END}};
static const struct gle_custom sizes = {.decode = decode_some, .type = "size", .forms = some_forms};
static const struct gle_custom paddings = {
    .decode = decode_none_or_some, .type = "size, or 0", .forms = none_or_some_forms};

/* What was written, for a grid of dims dimensions: a line is a plane of one row, so that what stands for rows is `row`
 * there. Errors: GLE_ESHAPE, of a list that has not a number for each dimension. */
static int spread_sizes(size_t out[2], const struct gle_sizes *written, size_t dims, size_t row, const char *what,
                        struct gle_error *err)
{
    if (written->n > dims)
        return gle_fail(err, GLE_ESHAPE, "%s has two numbers, where the neurons of the source lie in a line", what);
    if (written->list && written->n < dims)
        return gle_fail(err, GLE_ESHAPE, "%s is a list of one number, where the neurons of the source lie in a plane: "
                        "2 numbers, or one for both, without brackets", what);
    out[0] = dims == 1 ? row : written->size[0];
    out[1] = written->size[written->n - 1];
    return 0;
}

/* --- shapes --- */

static const char *plural(size_t n)
{
    return n == 1 ? "" : "s";
}

const char *gle_shape_words(char words[static GLE_SHAPE_WORDS], const struct gle_shape *s)
{
    if (!s->dims)
        snprintf(words, GLE_SHAPE_WORDS, "%zu neuron%s", s->channels, plural(s->channels));
    else if (s->dims == 1)
        snprintf(words, GLE_SHAPE_WORDS, "%zu channel%s of %zu", s->channels, plural(s->channels), s->size[1]);
    else
        snprintf(words, GLE_SHAPE_WORDS, "%zu channel%s of %zu x %zu", s->channels, plural(s->channels), s->size[0],
                 s->size[1]);
    return words;
}

/* W as rows, or as a list of numbers, which is one row in memory. */
static void set_rows(struct gle_link_plan *plan, size_t rows, size_t cols)
{
    plan->rows = plan->parts = rows;
    plan->cols = cols;
    plan->part = gle_padded(cols);
}

void gle_link_plan_list(struct gle_link_plan *plan, size_t n)
{
    plan->rows = plan->part = 1;
    plan->cols = plan->parts = plan->shape[0] = n;
    plan->n_shape = 1;
}

/* --- dense --- */

static int plan_dense(struct gle_link_plan *plan, const void *params, uint64_t seed, const char *label,
                      struct gle_error *err)
{
    const size_t n = gle_shape_count(&plan->target), n_in = gle_shape_count(&plan->pooled);

    (void)params;
    (void)seed;
    (void)label;
    (void)err;
    set_rows(plan, n, n_in);
    plan->shape[0] = plan->aid_cols = n;
    plan->shape[1] = plan->aid_rows = plan->fan_in = n_in;
    plan->n_shape = 2;
    return 0;
}

/* The transpose. */
static void follow_dense(float *aid, const struct gle_link_plan *plan, const struct gle_kernels *kernels,
                         const float *weight, size_t first, size_t n)
{
    kernels->transpose(aid + first, gle_padded(plan->rows), weight + first * plan->part, plan->part, n, plan->cols);
}

static void forward_dense(const struct gle_link_call *call, float *s, size_t ld, const float *x, size_t ldx,
                          size_t n_rows)
{
    const struct gle_link_plan *p = call->plan;

    gle_product(call->kernels, s, ld, x, ldx, 1, call->aid, gle_padded(p->rows), n_rows, p->rows, p->cols, 1.0f);
}

static void back_dense(const struct gle_link_call *call, float *x_bar, size_t ldx, const float *e, size_t ld,
                       size_t n_rows)
{
    const struct gle_link_plan *p = call->plan;

    gle_product(call->kernels, x_bar, ldx, e, ld, 1, call->weight, p->part, n_rows, p->cols, p->rows, 1.0f);
}

static void gradient_dense(const struct gle_link_call *call, float *grad, const float *e, size_t ld, const float *x,
                           size_t ldx, size_t n_rows, float alpha, size_t first, size_t n)
{
    const struct gle_link_plan *p = call->plan;

    gle_product(call->kernels, grad, p->part, e + first, 1, ld, x, ldx, n, p->cols, n_rows, alpha);
}

/* A multiplication and an addition for each number of W. */
static double flops_of_each(const struct gle_link_plan *plan)
{
    return 2.0 * (double)plan->rows * (double)plan->cols;
}

static bool rows_apart_dense(const struct gle_link_plan *plan, const struct gle_kernels *kernels)
{
    return gle_product_rows_apart(kernels, plan->rows) && gle_product_rows_apart(kernels, plan->cols);
}

/* --- one to one --- */

static int plan_one_to_one(struct gle_link_plan *plan, const void *params, uint64_t seed, const char *label,
                           struct gle_error *err)
{
    const size_t n = gle_shape_count(&plan->target);
    char from[GLE_SHAPE_WORDS], to[GLE_SHAPE_WORDS];

    (void)params;
    (void)seed;
    (void)label;
    if (n != gle_shape_count(&plan->pooled))
        return gle_fail(err, GLE_ESHAPE, "one_to_one wants as many neurons on both sides: the source has %s%s, the "
                        "target %s", gle_shape_words(from, &plan->pooled), plan->pooling ? " once pooled" : "",
                        gle_shape_words(to, &plan->target));
    gle_link_plan_list(plan, n);
    plan->fan_in = 1;
    return 0;
}

/* out = x * w, row by row. */
static void scale_rows(const struct gle_link_call *call, float *out, size_t ld, const float *x, size_t ldx,
                       size_t n_rows)
{
    const size_t n = call->plan->cols;

    for (size_t b = 0; b < n_rows; b++) {
        call->kernels->multiply(out + b * ld, x + b * ldx, call->weight, n);
        memset(out + b * ld + n, 0, (gle_padded(n) - n) * sizeof *out);
    }
}

static void gradient_one_to_one(const struct gle_link_call *call, float *grad, const float *e, size_t ld,
                                const float *x, size_t ldx, size_t n_rows, float alpha, size_t first, size_t n)
{
    call->kernels->sum_products_of(grad, e + first, ld, x + first, ldx, alpha, n_rows, n);
    memset(grad + n, 0, (gle_padded(first + n) - first - n) * sizeof *grad);
}

/* --- convolution --- */

struct conv_params {
    struct gle_link_params all;
    struct gle_sizes kernel, stride, padding;
};

static int check_conv(const struct gle_link_plan *plan, struct gle_error *err)
{
    const struct gle_conv *c = &plan->conv;
    char words[GLE_SHAPE_WORDS];

    for (size_t d = 2 - plan->pooled.dims; d < 2; d++) {
        if (c->kernel[d] > c->size[d] + 2 * c->padding[d])
            return gle_fail(err, GLE_ESHAPE, "a kernel of %zu is larger than the source, which has %s%s%s",
                            c->kernel[d], gle_shape_words(words, &plan->pooled), plan->pooling ? " once pooled" : "",
                            c->padding[d] ? " before its padding" : "");
        if (c->padding[d] >= c->kernel[d])
            return gle_fail(err, GLE_ESHAPE, "with a padding of %zu a kernel of %zu meets nothing but padding at the "
                            "edges; up to %zu is possible", c->padding[d], c->kernel[d], c->kernel[d] - 1);
    }
    return 0;
}

/* The grid of the target, or whether it has this one already. */
static int set_grid(struct gle_link_plan *plan, struct gle_error *err)
{
    const struct gle_conv *c = &plan->conv;
    const struct gle_shape grid = {.channels = c->out_channels, .dims = plan->pooled.dims,
                                   .size = {c->out[0], c->out[1]}};
    char has[GLE_SHAPE_WORDS], gives[GLE_SHAPE_WORDS];

    if (plan->target.dims && (plan->target.dims != grid.dims || plan->target.size[0] != grid.size[0] ||
                              plan->target.size[1] != grid.size[1]))
        return gle_fail(err, GLE_ESHAPE, "the convolution makes %s, where the target has %s",
                        gle_shape_words(gives, &grid), gle_shape_words(has, &plan->target));
    plan->target = grid;
    return 0;
}

static int plan_conv(struct gle_link_plan *plan, const void *params, uint64_t seed, const char *label,
                     struct gle_error *err)
{
    const struct conv_params *p = params;
    const struct gle_shape *source = &plan->pooled;
    struct gle_conv *c = &plan->conv;
    char words[GLE_SHAPE_WORDS];

    (void)seed;
    (void)label;
    if (!source->dims)
        return gle_fail(err, GLE_ESHAPE, "a convolution reads neurons that lie in a line or a plane; the source has %s",
                        gle_shape_words(words, source));
    *c = (struct gle_conv){.channels = source->channels, .size = {source->size[0], source->size[1]},
                           .out_channels = plan->target.channels};
    if (spread_sizes(c->kernel, &p->kernel, source->dims, 1, "kernel", err) ||
        spread_sizes(c->stride, &p->stride, source->dims, 1, "stride", err) ||
        spread_sizes(c->padding, &p->padding, source->dims, 0, "padding", err) || check_conv(plan, err))
        return -1;
    for (int d = 0; d < 2; d++)
        c->out[d] = (c->size[d] + 2 * c->padding[d] - c->kernel[d]) / c->stride[d] + 1;
    plan->fan_in = c->channels * c->kernel[0] * c->kernel[1];
    set_rows(plan, c->out_channels, plan->fan_in);
    plan->n_shape = 2 + source->dims;
    plan->shape[0] = c->out_channels;
    plan->shape[1] = c->channels;
    plan->shape[2] = c->kernel[source->dims == 1];
    plan->shape[3] = source->dims == 1 ? 0 : c->kernel[1];
    plan->room = gle_conv_room(c);
    return set_grid(plan, err);
}

static void forward_conv(const struct gle_link_call *call, float *s, size_t ld, const float *x, size_t ldx,
                         size_t n_rows)
{
    const struct gle_link_plan *p = call->plan;

    call->kernels->conv_forward(s, ld, x, ldx, n_rows, call->weight, p->part, &p->conv, call->room);
}

static void back_conv(const struct gle_link_call *call, float *x_bar, size_t ldx, const float *e, size_t ld,
                      size_t n_rows)
{
    const struct gle_link_plan *p = call->plan;

    call->kernels->conv_back(x_bar, ldx, e, ld, n_rows, call->weight, p->part, &p->conv, call->room);
}

static void gradient_conv(const struct gle_link_call *call, float *grad, const float *e, size_t ld, const float *x,
                          size_t ldx, size_t n_rows, float alpha, size_t first, size_t n)
{
    const struct gle_link_plan *p = call->plan;

    call->kernels->conv_gradient(grad, p->part, e, ld, x, ldx, n_rows, alpha, &p->conv, first, n, call->room);
}

static double flops_conv(const struct gle_link_plan *plan)
{
    return flops_of_each(plan) * (double)plan->conv.out[0] * (double)plan->conv.out[1];
}

/* --- pooling --- */

static void forward_mean(const struct gle_link_plan *plan, const struct gle_kernels *kernels, float *out, size_t ld_out,
                         const float *values, const float *by, size_t ld, size_t n_rows)
{
    (void)by;
    kernels->pool_mean(out, ld_out, values, ld, n_rows, &plan->pool);
}

static void back_mean(const struct gle_link_plan *plan, const struct gle_kernels *kernels, float *out, size_t ld,
                      const float *e, size_t ld_e, const float *by, size_t n_rows)
{
    (void)by;
    kernels->pool_mean_back(out, ld, e, ld_e, n_rows, &plan->pool);
}

static void forward_max(const struct gle_link_plan *plan, const struct gle_kernels *kernels, float *out, size_t ld_out,
                        const float *values, const float *by, size_t ld, size_t n_rows)
{
    kernels->pool_max(out, ld_out, values, by, ld, n_rows, &plan->pool);
}

static void back_max(const struct gle_link_plan *plan, const struct gle_kernels *kernels, float *out, size_t ld,
                     const float *e, size_t ld_e, const float *by, size_t n_rows)
{
    kernels->pool_max_back(out, ld, e, ld_e, by, n_rows, &plan->pool);
}

static const struct gle_key pool_keys[] = {
    {.name = "size", .kind = GLE_KEY_KIND_CUSTOM, .unit = "", .more = &sizes,
     .help = "neurons that become one: side of a square, or [rows, columns]; length of a piece of a line"},
    GLE_KEY_END,
};

#define POOL(name_, help_) \
    {{.name = #name_, .help = help_, .keys = pool_keys, .params_size = sizeof(struct gle_sizes)}, \
     .forward = forward_##name_, .back = back_##name_}
const struct gle_pool_row gle_pools[] = {
    POOL(mean, "the mean of the rates; errors go back in equal parts"),
    POOL(max, "the largest rate; errors go back to it (the first, if equal)"),
    {.row = {.name = NULL}},
};
const struct gle_table gle_pool_table = {"pooling", gle_pools, sizeof *gle_pools};

static int plan_pool(struct gle_link_plan *plan, const struct gle_part *part, struct gle_error *err)
{
    struct gle_pool *p = &plan->pool;
    char words[GLE_SHAPE_WORDS];

    plan->pooling = (const struct gle_pool_row *)part->row;
    if (!plan->source.dims)
        return gle_fail(err, GLE_ESHAPE, "pooling needs neurons that lie in a line or a plane; the source has %s",
                        gle_shape_words(words, &plan->source));
    if (spread_sizes(p->window, part->params, plan->source.dims, 1, "the size of pooling", err))
        return -1;
    p->channels = plan->source.channels;
    for (int d = 0; d < 2; d++) {
        p->size[d] = plan->source.size[d];
        p->out[d] = plan->pooled.size[d] = p->size[d] / p->window[d];
        if (!p->out[d])
            return gle_fail(err, GLE_ESHAPE, "pooling by %zu is larger than the source, which has %s", p->window[d],
                            gle_shape_words(words, &plan->source));
    }
    return 0;
}

/* --- the table --- */

#define POOL_KEY GLE_KEY_PART(struct gle_link_params, pool, GLE_ABSENT, &gle_pool_table, \
                              "what the rates of the source go through first")
static const struct gle_key pooling_keys[] = {POOL_KEY, GLE_KEY_END};
static const struct gle_key sparse_keys[] = {
    POOL_KEY,
    GLE_KEY_REAL(struct gle_sparse_params, probability, GLE_ABSENT, 1e-9, 1.0, "",
                 "of a synapse between any two neurons, drawn from the seed"),
    GLE_KEY_PATH(struct gle_sparse_params, mask, GLE_ABSENT,
                 "in place of it: an npz or npy file that says which synapses there are, (neurons, sources) of 0 and "
                 "1; or a weights.npz that has this link"),
    GLE_KEY_END,
};
static const struct gle_key conv_keys[] = {
    POOL_KEY,
    GLE_KEY_CUSTOM(struct conv_params, kernel, NULL, &sizes, "size of the kernel: a number, or [rows, columns]"),
    GLE_KEY_CUSTOM(struct conv_params, stride, "1", &sizes, "neurons of the source from one place to the next"),
    GLE_KEY_CUSTOM(struct conv_params, padding, "0", &paddings, "zeros around the source, on each side"),
    GLE_KEY_END,
};

const struct gle_link gle_links[] = {
    {{.name = "dense", .help = "each neuron reads all neurons of the source", .keys = pooling_keys,
      .params_size = sizeof(struct gle_link_params)},
     .plan = plan_dense, .follow = follow_dense, .forward = forward_dense, .back = back_dense,
     .gradient = gradient_dense, .flops = flops_of_each, .rows_apart = rows_apart_dense},
    {{.name = "one_to_one", .help = "neuron i reads neuron i of the source", .keys = pooling_keys,
      .params_size = sizeof(struct gle_link_params)},
     .plan = plan_one_to_one, .forward = scale_rows, .back = scale_rows, .gradient = gradient_one_to_one,
     .flops = flops_of_each},
    {{.name = "sparse", .help = "some neurons read some neurons of the source", .keys = sparse_keys,
      .params_size = sizeof(struct gle_sparse_params)},
     .plan = gle_sparse_plan, .forward = gle_sparse_forward, .back = gle_sparse_back, .gradient = gle_sparse_gradient,
     .flops = flops_of_each, .file = gle_sparse_file},
    {{.name = "conv", .help = "a convolution over a line or a plane, as torch.nn.Conv1d and Conv2d", .keys = conv_keys,
      .params_size = sizeof(struct conv_params)},
     .plan = plan_conv, .forward = forward_conv, .back = back_conv, .gradient = gradient_conv, .flops = flops_conv,
     .grids = true},
    {.row = {.name = NULL}},
};
const struct gle_table gle_link_table = {"link", gle_links, sizeof *gle_links};

int gle_link_plan_make(struct gle_link_plan *plan, const struct gle_link *link, const void *params,
                       const struct gle_shape *source, const struct gle_shape *target, uint64_t seed, const char *label,
                       struct gle_error *err)
{
    const struct gle_link_params *p = params;

    *plan = (struct gle_link_plan){.link = link, .source = *source, .pooled = *source, .target = *target};
    if (p && p->pool.row && plan_pool(plan, &p->pool, err))
        return -1;
    return link->plan(plan, params, seed, label, err);
}

void gle_link_plan_clear(struct gle_link_plan *plan)
{
    gle_free(plan->starts);
    gle_free(plan->columns);
    *plan = (struct gle_link_plan){.link = NULL};
}
