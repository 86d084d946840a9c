#include "train/order.h"

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

void gle_order_first_step(struct gle_order *order, size_t B, size_t n_input)
{
    if (order->forwarded)
        return;
    order->forwarded = true;
    gle_torch_skip_normal(&order->rng, B * n_input);
}
