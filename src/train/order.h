/* order.h - the order of samples, from the random stream that PyTorch's loaders and the published code draw on, so that
 * a seed gives the same batches here as there. */
#ifndef GLE_TRAIN_ORDER_H
#define GLE_TRAIN_ORDER_H

#include "base/error.h"
#include "base/rng.h"

#include <stddef.h>
#include <stdint.h>

struct gle_order {
    struct gle_rng rng;
    bool forwarded; /* the first step has been taken */
};

/* As torch.manual_seed(seed), which the published scripts call a second time once the network is built. */
void gle_order_start(struct gle_order *order, uint64_t seed);
/* Before a pass without shuffling: a DataLoader's iterator draws an int64 that it does not use. */
void gle_order_evaluate(struct gle_order *order);
/* Before a training pass: that draw, and one that seeds the sampler's own generator, whose randperm(n) is the order. */
void gle_order_shuffle(struct gle_order *order, uint32_t *rows, size_t n);
/* The same, where all classes shall come equally often: n samples drawn with replacement, each with a weight of n over
 * the size of its class, as WeightedRandomSampler draws them (torch.multinomial).
 * labels (n) below n_classes. Errors: GLE_ENOMEM. */
GLE_MUST_CHECK int gle_order_balance(struct gle_order *order, uint32_t *rows, size_t n, const int32_t *labels,
                                     size_t n_classes, struct gle_error *err);
/* Before the first step of a run: the published network fills a buffer of the input's shape with normal_(). Later calls
 * do nothing. */
void gle_order_first_step(struct gle_order *order, size_t B, size_t n_input);

#endif
