#include "train/order.h"
#include "base/memory.h"

void gle_order_start(struct gle_order *order, uint64_t seed)
{
    gle_rng_seed(&order->rng, seed);
    order->forwarded = false;
}

void gle_order_evaluate(struct gle_order *order)
{
    gle_torch_int63(&order->rng);
}

void gle_order_shuffle(struct gle_order *order, uint32_t *rows, size_t n)
{
    struct gle_rng sampler;

    gle_torch_int63(&order->rng);
    gle_rng_seed(&sampler, gle_torch_int63(&order->rng));
    gle_torch_randperm(&sampler, rows, n);
}

int gle_order_balance(struct gle_order *order, uint32_t *rows, size_t n, const int32_t *labels, size_t n_classes,
                      struct gle_error *err)
{
    double *weights = gle_calloc(n, sizeof *weights), *scratch = gle_calloc(n, sizeof *scratch);
    size_t *sizes = gle_calloc(n_classes, sizeof *sizes);
    const int rc = weights && scratch && sizes ? 0 : gle_fail(err, GLE_ENOMEM, "no memory for the order of samples");

    if (!rc) {
        for (size_t i = 0; i < n; i++)
            sizes[labels[i]]++;
        for (size_t i = 0; i < n; i++)
            weights[i] = (double)n / (double)sizes[labels[i]];
        gle_torch_int63(&order->rng);
        gle_torch_multinomial(&order->rng, rows, n, weights, n, scratch);
    }
    gle_free(weights);
    gle_free(scratch);
    gle_free(sizes);
    return rc;
}

void gle_order_first_step(struct gle_order *order, size_t B, size_t n_input)
{
    if (order->forwarded)
        return;
    order->forwarded = true;
    gle_torch_skip_normal(&order->rng, B * n_input);
}
