#include "parts/link.h"
#include "base/memory.h"

#include <string.h>

static int plan_dense(struct gle_link_plan *plan, const void *params, uint64_t seed, const char *label,
                      struct gle_error *err)
{
    (void)params;
    (void)seed;
    (void)label;
    (void)err;
    plan->rows = gle_shape_count(&plan->target);
    plan->cols = gle_shape_count(&plan->pooled);
    plan->shape[0] = plan->rows;
    plan->shape[1] = plan->cols;
    plan->n_shape = 2;
    plan->fan_in = plan->cols;
    plan->aid_rows = plan->cols;
    plan->aid_cols = plan->rows;
    return 0;
}

static void follow_dense(float *aid, const struct gle_link_plan *plan, const struct gle_kernels *kernels,
                         const float *weight, size_t first, size_t n)
{
    const size_t ld = gle_padded(plan->cols);

    kernels->transpose(aid + first, gle_padded(plan->rows), weight + first * ld, ld, n, plan->cols);
}

static void forward_dense(const struct gle_link_call *call, float *s, size_t ld, const float *x, size_t ldx,
                          size_t n_rows)
{
    const struct gle_link_plan *plan = call->plan;

    gle_product(call->kernels, s, ld, x, ldx, 1, call->aid, gle_padded(plan->rows), n_rows, plan->rows, plan->cols,
                1.0f);
}

static void back_dense(const struct gle_link_call *call, float *x_bar, size_t ldx, const float *e, size_t ld,
                       size_t n_rows)
{
    const struct gle_link_plan *plan = call->plan;

    gle_product(call->kernels, x_bar, ldx, e, ld, 1, call->weight, gle_padded(plan->cols), n_rows, plan->cols,
                plan->rows, 1.0f);
}

static void gradient_dense(const struct gle_link_call *call, float *grad, const float *e, size_t ld, const float *x,
                           size_t ldx, size_t n_rows, float alpha, size_t first, size_t n)
{
    const struct gle_link_plan *plan = call->plan;
    const size_t ldw = gle_padded(plan->cols);

    gle_product(call->kernels, grad + first * ldw, ldw, e + first, 1, ld, x, ldx, n, plan->cols, n_rows, alpha);
}

static double flops_dense(const struct gle_link_plan *plan)
{
    return 2.0 * (double)plan->rows * (double)plan->cols;
}

static bool dense_rows_apart(const struct gle_link_plan *plan, const struct gle_kernels *kernels)
{
    return gle_product_rows_apart(kernels, plan->rows) && gle_product_rows_apart(kernels, plan->cols);
}

const struct gle_link gle_links[] = {
    {{.name = "dense", .help = "every neuron reads every neuron of the source: W (neurons, inputs)"},
     .plan = plan_dense,
     .follow = follow_dense,
     .forward = forward_dense,
     .back = back_dense,
     .gradient = gradient_dense,
     .flops = flops_dense,
     .rows_apart = dense_rows_apart},
    {.row = {.name = NULL}},
};
const struct gle_table gle_link_table = {"link", gle_links, sizeof *gle_links};

int gle_link_plan_make(struct gle_link_plan *plan, const struct gle_link *link, const void *params,
                       const struct gle_shape *source, const struct gle_shape *target, uint64_t seed,
                       const char *label, struct gle_error *err)
{
    *plan = (struct gle_link_plan){.link = link, .source = *source, .pooled = *source, .target = *target};
    return link->plan(plan, params, seed, label, err);
}

void gle_link_plan_clear(struct gle_link_plan *plan)
{
    gle_free(plan->starts);
    gle_free(plan->columns);
}

void gle_pool_forward(const struct gle_link_plan *plan, float *out, size_t ld_out, const float *values, const float *by,
                      size_t ld, size_t n_rows)
{
    (void)plan, (void)out, (void)ld_out, (void)values, (void)by, (void)ld, (void)n_rows;
}
void gle_pool_back(const struct gle_link_plan *plan, float *out, size_t ld, const float *e, size_t ld_e,
                   const float *by, size_t n_rows)
{
    (void)plan, (void)out, (void)ld_e, (void)e, (void)by, (void)ld, (void)n_rows;
}
