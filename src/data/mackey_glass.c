/* The series of Mackey & Glass (1977), which chaos makes hard to foretell from tau = 17 on:
 *   dx/dt = beta x(t - tau) / (1 + x(t - tau)^power) - gamma x(t),   x(t) = x_0 for t <= 0
 * by the method of Runge and Kutta of fourth order, in equal steps h that divide dt, the largest of at most `inner`.
 * Between its steps, x(t - tau) is interpolated by the cubic that has x and dx/dt at both ends, whose error is of
 * fourth order, too. The network gets s_i = x(discard + i dt), normalised, and its target is s_(i + H), H =
 * horizon / dt.
 *
 * The training part is s_0 ... s_(n - 1), n = train / dt; the test part begins with s_(n + H), so that no value is both
 * a target of the one and an input of the other. Each part is cut into sequences one after another; what is left at
 * its end, if the last one would be cut short, is not used. */
#include "base/memory.h"
#include "base/rng.h"
#include "data/sets.h"

#include <math.h>

struct mackey_glass_params {
    double beta, gamma, power, tau;
    double inner, initial, spread;
    double discard, train, test, length, horizon, washout;
    bool normalise;
    uint64_t seed;
};
_Static_assert(sizeof(struct mackey_glass_params) <= GLE_DATASET_PARAMS_SIZE, "settings of mackey_glass");

const struct gle_key gle_mackey_glass_keys[] = {
    GLE_KEY_REAL(struct mackey_glass_params, beta, "0.2", 1e-9, 1e3, "1/time", "rate of growth"),
    GLE_KEY_REAL(struct mackey_glass_params, gamma, "0.1", 1e-9, 1e3, "1/time", "rate of decay"),
    GLE_KEY_REAL(struct mackey_glass_params, power, "10.0", 1.0, 1e3, "", "exponent n of what limits the growth"),
    GLE_KEY_REAL(struct mackey_glass_params, tau, "17.0", 1e-6, 1e6, "time", "delay; chaotic from about 17 on"),
    GLE_KEY_REAL(struct mackey_glass_params, inner, "0.1", 1e-6, 1e6, "time",
                 "longest step of the Runge-Kutta method of fourth order, at most tau; the one taken is the longest "
                 "that dt is a whole number of"),
    GLE_KEY_REAL(struct mackey_glass_params, initial, "1.2", 1e-6, 1e3, "", "value of the series up to time 0"),
    GLE_KEY_REAL(struct mackey_glass_params, spread, "0.0", 0.0, 1e3, "",
                 "to that a number is added that is drawn from U(0, spread): another series of the same equation"),
    GLE_KEY_STEPS(struct mackey_glass_params, discard, "1000.0", 0.0, 1e9,
                  "time from 0 on that is not used, until the series has forgotten its beginning"),
    GLE_KEY_STEPS(struct mackey_glass_params, train, "4000.0", 1e-9, 1e9, "length of the training part"),
    GLE_KEY_STEPS(struct mackey_glass_params, test, "1000.0", 0.0, 1e9,
                  "length of the test part, which begins `horizon` after the end of the training part"),
    GLE_KEY_STEPS(struct mackey_glass_params, length, "200.0", 1e-9, 1e9,
                  "length of the sequences that the parts are cut into"),
    GLE_KEY_STEPS(struct mackey_glass_params, horizon, "6.0", 1e-9, 1e9, "how far ahead of the input the target is"),
    GLE_KEY_STEPS(struct mackey_glass_params, washout, "0.0", 0.0, 1e9,
                  "time at the start of each sequence in which nothing is asked for"),
    GLE_KEY_BOOL(struct mackey_glass_params, normalise, "true",
                 "whether inputs and targets are less the mean, and over the standard deviation, of the training part"),
    GLE_KEY_COUNT_WITH(struct mackey_glass_params, seed, "0", 0, 4294967295.0, "", "seed of the number that is added",
                       "spread"),
    GLE_KEY_END,
};

/* --- the equation --- */

struct point {
    double x, slope;
};

/* The series as far as it may still be looked back to: step k at k mod n. */
struct series {
    const struct mackey_glass_params *p;
    double h;
    uint64_t k;         /* the last step made: time k h */
    struct point *ring; /* (n) */
    size_t n;
};

/* x at time (k + part) h - tau, part 0 ... 1, which is no later than k h. */
static double delayed(const struct series *s, double part)
{
    const double at = (double)s->k + part - s->p->tau / s->h, from = floor(at), z = at - from;
    const struct point *a, *b;

    if (at <= 0.0)
        return s->ring[0].x; /* nothing is put there while this is asked for: see open_series() */
    a = &s->ring[(uint64_t)from % s->n];
    if (z <= 0.0) /* there may be no next one */
        return a->x;
    b = &s->ring[((uint64_t)from + 1) % s->n];
    return (1.0 + 2.0 * z) * (1.0 - z) * (1.0 - z) * a->x + z * (1.0 - z) * (1.0 - z) * s->h * a->slope +
           z * z * (3.0 - 2.0 * z) * b->x - z * z * (1.0 - z) * s->h * b->slope;
}

static double slope_at(const struct series *s, double x, double late)
{
    return s->p->beta * late / (1.0 + pow(late, s->p->power)) - s->p->gamma * x;
}

/* One step of the method. */
static void advance(struct series *s)
{
    const struct point now = s->ring[s->k % s->n];
    const double h = s->h, half = delayed(s, 0.5), whole = delayed(s, 1.0);
    const double k1 = now.slope, k2 = slope_at(s, now.x + 0.5 * h * k1, half);
    const double k3 = slope_at(s, now.x + 0.5 * h * k2, half), k4 = slope_at(s, now.x + h * k3, whole);
    const double next = now.x + h / 6.0 * (k1 + 2.0 * k2 + 2.0 * k3 + k4);

    s->k++;
    s->ring[s->k % s->n] = (struct point){next, slope_at(s, next, whole)};
}

/* tau >= h, so that no step looks at what it makes. A ring of so many points has overwritten step 0 only after the last
 * time that it is asked for. */
static int open_series(struct series *s, const struct mackey_glass_params *p, double dt, size_t *each,
                       struct gle_error *err)
{
    const double parts = fmax(1.0, ceil(dt / p->inner * (1.0 - 1e-12)));
    double initial = p->initial;
    struct gle_rng rng;

    *s = (struct series){.p = p, .h = dt / parts};
    if (p->tau < s->h)
        return gle_fail(err, GLE_ERANGE, "tau = %g is below the inner step, %g", p->tau, s->h);
    if (!(parts * (dt + p->tau) / dt < 1e8))
        return gle_fail(err, GLE_ERANGE, "inner = %g makes %g steps of dt and tau", p->inner,
                        parts * (dt + p->tau) / dt);
    *each = (size_t)parts;
    s->n = (size_t)ceil(p->tau / s->h) + 2;
    s->ring = gle_calloc(s->n, sizeof *s->ring);
    if (!s->ring)
        return gle_fail(err, GLE_ENOMEM, "no memory for the series");
    gle_rng_seed(&rng, p->seed);
    initial += p->spread * gle_numpy_rand(&rng);
    s->ring[0].x = initial;
    s->ring[0].slope = slope_at(s, initial, initial);
    return 0;
}

/* --- the data set --- */

int gle_mackey_glass_check(const void *params, const char **key, const char **why)
{
    const struct mackey_glass_params *p = params;

    *key = "length";
    *why = "must be no longer than train and, if that is not 0, test, so that there is a sequence in each";
    if (p->length > p->train || (p->test > 0.0 && p->length > p->test))
        return -1;
    *key = "washout";
    *why = "must be shorter than length, so that something is asked for";
    return p->washout < p->length ? 0 : -1;
}

/* All in steps of dt. */
struct lengths {
    size_t discard, train, test, length, horizon, washout;
};

static int count_steps(struct lengths *n, const struct mackey_glass_params *p, double dt, struct gle_error *err)
{
    if ((p->discard > 0.0 && gle_data_steps(&n->discard, "discard", p->discard, dt, err)) ||
        gle_data_steps(&n->train, "train", p->train, dt, err) ||
        (p->test > 0.0 && gle_data_steps(&n->test, "test", p->test, dt, err)) ||
        gle_data_steps(&n->length, "length", p->length, dt, err) ||
        gle_data_steps(&n->horizon, "horizon", p->horizon, dt, err) ||
        (p->washout > 0.0 && gle_data_steps(&n->washout, "washout", p->washout, dt, err)))
        return -1;
    return 0;
}

/* s_0 ... s_(n_values - 1). */
static int make_values(double *values, size_t n_values, struct series *s, size_t discard, size_t each,
                       const struct gle_data_context *ctx, struct gle_error *err)
{
    const size_t steps = discard + n_values, every = 1 + GLE_DATA_TELL / each;

    for (size_t i = 0; i < steps; i++) {
        const double x = s->ring[s->k % s->n].x;
        if (i % every == 0 && gle_data_tell(ctx, "integrating the series", i, steps, err))
            return -1;
        if (!isfinite(x) || x < 0.0)
            return gle_fail(err, GLE_ERANGE, "the series is no positive number at time %g: inner = %g is too long for "
                            "it", (double)s->k * s->h, s->p->inner);
        if (i >= discard)
            values[i - discard] = x;
        for (size_t k = 0; k < each; k++)
            advance(s);
    }
    return 0;
}

/* By the first n values; data knows from then on what its values stand for. */
static void normalise(struct gle_data *data, double *values, size_t n_values, size_t n)
{
    double mean = 0.0, square = 0.0, scale;

    for (size_t i = 0; i < n; i++)
        mean += values[i];
    mean /= (double)n;
    for (size_t i = 0; i < n; i++)
        square += (values[i] - mean) * (values[i] - mean);
    scale = square > 0.0 ? sqrt((double)n / square) : 1.0;
    for (size_t i = 0; i < n_values; i++)
        values[i] = (values[i] - mean) * scale;
    data->origin = mean;
    data->unit = 1.0 / scale;
}

/* Sequences of a part of n steps that begins with `values`. */
static int cut(struct gle_data *data, enum gle_split split, const double *values, size_t n, const struct lengths *of,
               const struct gle_data_context *ctx, struct gle_error *err)
{
    const size_t n_samples = n / of->length, n_used = n_samples * of->length;
    struct gle_samples *s = &data->split[split];

    if (!n_samples)
        return 0;
    if (gle_data_room(data, split, n_samples, err))
        return -1;
    for (size_t i = 0; i < n_used; i++) {
        if (i % GLE_DATA_TELL == 0 && gle_data_tell(ctx, "cutting the series", i, n_used, err))
            return -1;
        s->x[i] = (float)values[i];
        s->targets[i] = (float)values[i + of->horizon];
    }
    return 0;
}

static int fill(struct gle_data *data, double *values, const struct lengths *n, const struct mackey_glass_params *p,
                struct series *series, size_t each, const struct gle_data_context *ctx, struct gle_error *err)
{
    const size_t n_values = n->train + n->test + 2 * n->horizon;

    if (make_values(values, n_values, series, n->discard, each, ctx, err))
        return -1;
    if (p->normalise)
        normalise(data, values, n_values, n->train);
    return cut(data, GLE_TRAIN, values, n->train, n, ctx, err) ||
                   cut(data, GLE_TEST, values + n->train + n->horizon, n->test, n, ctx, err)
               ? -1
               : 0;
}

void gle_mackey_glass_shape(const void *params, size_t *n_channels, size_t *n_targets)
{
    (void)params;
    *n_channels = 1;
    *n_targets = 1;
}

int gle_mackey_glass_open(struct gle_data *data, const void *params, const struct gle_data_context *ctx,
                          struct gle_error *err)
{
    const struct mackey_glass_params *p = params;
    struct lengths n = {0};
    struct series series = {0};
    double *values;
    size_t each;
    int rc;

    if (count_steps(&n, p, ctx->dt, err) || open_series(&series, p, ctx->dt, &each, err))
        return -1;
    data->n_channels = data->n_targets = 1;
    data->target_moves = 1;
    data->n_steps = n.length;
    data->n_unasked = n.washout;
    data->horizon = n.horizon;
    values = gle_calloc(n.train + n.test + 2 * n.horizon, sizeof *values);
    rc = values ? fill(data, values, &n, p, &series, each, ctx, err)
                : gle_fail(err, GLE_ENOMEM, "no memory for the series");
    gle_free(values);
    gle_free(series.ring);
    return rc;
}
