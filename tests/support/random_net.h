/* random_net.h - networks drawn at random, for comparing with the oracle. */
#ifndef GLE_TESTS_RANDOM_NET_H
#define GLE_TESTS_RANDOM_NET_H

#include "base/rng.h"
#include "config/experiment.h"

#include <stddef.h>

enum { RANDOM_YAML_BYTES = 1 << 16 };

/* Starts the stream of net number `net` of a test: of others where GLE_SEED_BASE (a whole number) is in the
 * environment, for tests/long/run. */
void seed_net(struct gle_rng *rng, size_t net);
/* Uniform in [low, high); one of 0 ... n-1. */
double draw(struct gle_rng *rng, double low, double high);
size_t pick(struct gle_rng *rng, size_t n);

/* A target of n outputs: one-hot where the loss wants classes, else of any values, also far from what outputs are. */
void random_target(double *y, size_t n, const struct gle_experiment *exp, struct gle_rng *rng);

/* A config with sizes 1 to 70, time constants, activations, loss and what learns drawn at random, for rule `rule`
 * (NULL: gle or bp); gamma small enough for the feedback to be stable, so that rounding does not grow. dt is 0.2.
 * *B: its batch size. A new row of a table takes the place of others here and there, and changes nothing else. */
void random_net(char yaml[static RANDOM_YAML_BYTES], const char *rule, size_t *B, struct gle_rng *rng);

#endif
