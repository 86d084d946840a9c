#include "random_net.h"
#include "build.h"
#include "parts/activation.h"
#include "parts/loss.h"
#include "settings.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void seed_net(struct gle_rng *rng, size_t net)
{
    const char *base = getenv("GLE_SEED_BASE");

    gle_rng_seed(rng, net + (base ? strtoull(base, NULL, 10) * 1000000 : 0));
}

double draw(struct gle_rng *rng, double low, double high)
{
    return low + (high - low) * gle_torch_rand_double(rng);
}

size_t pick(struct gle_rng *rng, size_t n)
{
    return gle_torch_randint(rng, 0, (uint32_t)n);
}

static size_t put(char *yaml, size_t at, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    at += (size_t)vsnprintf(yaml + at, RANDOM_YAML_BYTES - at, fmt, args);
    va_end(args);
    assert_true(at < RANDOM_YAML_BYTES);
    return at;
}

/* A list of random time constants, some of them equal to dt, or below it, or to each other. */
static size_t put_taus(char *yaml, size_t at, const char *key, bool below_dt, struct gle_rng *rng, size_t n)
{
    const double shortest = below_dt ? 0.12 : 0.2;

    at = put(yaml, at, ", %s: [", key);
    for (size_t i = 0; i < n; i++)
        at = put(yaml, at, "%s%.6f", i ? ", " : "", pick(rng, 3) ? draw(rng, 0.2, 2.0) : pick(rng, 2) ? shortest : 1.0);
    return put(yaml, at, "]");
}

/* Mixes a name into one draw (FNV-1a, and the last rounds of MurmurHash3). */
static uint64_t mix(uint64_t draw_of_all, const char *name)
{
    uint64_t h = 0xcbf29ce484222325u ^ draw_of_all;

    for (; *name; name++)
        h = (h ^ (unsigned char)*name) * 0x100000001b3u;
    h = (h ^ h >> 33) * 0xff51afd7ed558ccdu;
    h = (h ^ h >> 33) * 0xc4ceb9fe1a85ec53u;
    return h ^ h >> 33;
}

/* A row of a table that `fits`, all with the same chance. Each draws a number of its own from one of the stream and the
 * largest wins: where a new row does not, all is as without it. */
static const struct gle_row *random_row(const struct gle_table *table, bool (*fits)(const struct gle_row *row),
                                        struct gle_rng *rng)
{
    const uint64_t draw_of_all = pick(rng, UINT32_MAX);
    const struct gle_row *row, *best = NULL;

    for (size_t i = 0; (row = gle_table_at(table, i)); i++)
        if (fits(row) && (!best || mix(draw_of_all, row->name) > mix(draw_of_all, best->name)))
            best = row;
    return best;
}

/* The formulas of the others need all of a layer, or such an activation. */
static bool is_plain_act(const struct gle_row *row)
{
    return !((const struct gle_act *)row)->log_probabilities;
}

/* One that has settings has others than the defaults half of the time, by a draw of a stream of its own. */
static size_t put_activation(char *yaml, size_t at, struct gle_rng *rng)
{
    const struct gle_row *row = random_row(&gle_act_table, is_plain_act, rng);
    struct gle_rng own = *rng;
    char others[128];

    if (!row->keys || pick(&own, 2))
        return put(yaml, at, "      activation: %s\n", row->name);
    write_other_settings(others, sizeof others, row->keys);
    return put(yaml, at, "      activation: {type: %s, %s\n", row->name, others + 1);
}

static bool is_plain_loss(const struct gle_row *row)
{
    return !((const struct gle_loss *)row)->log_probabilities;
}

void random_target(double *y, size_t n, const struct gle_experiment *exp, struct gle_rng *rng)
{
    const size_t label = pick(rng, n);

    for (size_t i = 0; i < n; i++)
        y[i] = exp->loss->classes ? (double)(i == label) : (double)(float)draw(rng, -2.0, 2.0);
}

/* What the optimizer follows; means of rules without windows. Draws of a stream of its own, so that all else is as
 * without it. */
static size_t put_update(char *yaml, size_t at, const char *rule, const struct gle_rng *rng)
{
    struct gle_rng own = *rng;
    const size_t every = strcmp(rule, "gle") && strcmp(rule, "bp") ? 1 : 1 + pick(&own, 4);

    if (every > 1)
        at = put(yaml, at, "  update: {every: %zu}\n", every);
    return pick(&own, 3) ? at : put(yaml, at, "  clip: %g\n", pow(10.0, draw(&own, -3.0, 1.0)));
}

void random_net(char yaml[static RANDOM_YAML_BYTES], const char *rule, size_t *B, struct gle_rng *rng)
{
    const size_t n_layers = 1 + pick(rng, 4), n_input = 1 + pick(rng, pick(rng, 2) ? 70 : 3);
    const char *const loss = random_row(&gle_loss_table, is_plain_loss, rng)->name;
    struct gle_rng own = *rng; /* so that all else is as without it */
    const bool exponential = !pick(&own, 3);
    size_t at = 0;

    *B = 1 + pick(rng, pick(rng, 2) ? 40 : 3);
    at = put(yaml, at, "glesim: 1\nname: random\ndt: 0.2\nseed: %zu\n", pick(rng, 1000));
    at = put(yaml, at, "dataset: {type: npz, file: none.npz}\nnetwork:\n  input: %zu\n  integration: %s\n  layers:\n",
             n_input, exponential ? "exponential" : "euler");
    for (size_t i = 0; i < n_layers; i++) {
        const size_t n = 1 + pick(rng, pick(rng, 2) ? 70 : 4);
        at = put(yaml, at, "    - name: l%zu\n      neurons: {count: %zu", i, n);
        at = put_taus(yaml, at, "tau_m", exponential, rng, n);
        at = put_taus(yaml, at, "tau_r", exponential, rng, n);
        at = put_activation(yaml, put(yaml, at, "}\n"), rng);
        if (!pick(rng, 3))
            at = put(yaml, at, "      bias: none\n");
        if (!pick(rng, 4))
            at = put(yaml, at, "      plastic: []\n");
        else if (!pick(rng, 3))
            at = put(yaml, at, "      plastic: [weight, tau_m%s]\n", pick(rng, 3) ? ", tau_r" : "");
        if (!pick(rng, 3))
            at = put(yaml, at, "      gamma: %.3f\n", draw(rng, 0.0, 0.1));
    }
    if (!rule)
        rule = pick(rng, 2) ? "gle" : "bp";
    at = put(yaml, at, "learning:\n  rule: %s\n  loss: %s\n  beta: %.3f\n  gamma: %.3f\n", rule,
             loss, draw(rng, 0.1, 1.0), pick(rng, 2) ? 0.0 : draw(rng, 0.0, 0.1));
    at = put_update(yaml, at, rule, rng);
    at = put(yaml, at, "  optimizer: {type: sgd, lr: 1e-3, momentum: 0.9}\n");
    put(yaml, at, "training: {epochs: 0, batch_size: %zu, test_batch_size: %zu}\n", *B, 2 * *B + 1);
}
