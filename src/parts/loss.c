/* Compiled once per instruction set. A new loss is three functions and one row here, and a table of keys if it has
 * settings. */
#include "parts/loss.h"
#include "kernel/math.h"
#include "yaml/key.h"

/* L = mean over outputs of (y - r)^2; target error y - r, without the factor 2/n (as in the reference). */
static double eval_mse(float *restrict e, const float *restrict r, const float *restrict y, float beta,
                       const void *params, size_t B, size_t n, size_t ld)
{
    double loss = 0.0;

    (void)params;
    for (size_t b = 0; b < B; b++) {
        double row = 0.0;
        for (size_t i = 0; i < n; i++) {
            const float d = y[b * ld + i] - r[b * ld + i];
            e[b * ld + i] = beta * d;
            row += (double)d * (double)d;
        }
        loss += row / (double)n;
    }
    return loss;
}

static double scale_mse(size_t n)
{
    return 2.0 / (double)n;
}

static void curvature_mse(float *restrict out, const float *restrict r, const float *restrict y,
                          const float *restrict x, float beta, const void *params, size_t B, size_t n, size_t ld)
{
    (void)r;
    (void)y;
    (void)params;
    for (size_t b = 0; b < B; b++)
        for (size_t i = 0; i < n; i++)
            out[b * ld + i] -= beta * x[b * ld + i];
}

/* --- losses that forgive outliers: L = mean over outputs of rho(y - r), target error rho'(y - r) --- */

struct huber_params {
    double delta;
};

static const struct gle_key huber_keys[] = {
    GLE_KEY_REAL(struct huber_params, delta, "1.0", 1e-9, 1e9, "",
                 "distance from the target beyond which the loss grows linearly"),
    GLE_KEY_END,
};

/* Huber 1964, as torch.nn.HuberLoss: rho(d) = d^2 / 2 where |d| <= delta, else delta (|d| - delta / 2). */
static double eval_huber(float *restrict e, const float *restrict r, const float *restrict y, float beta,
                         const void *params, size_t B, size_t n, size_t ld)
{
    const double delta = ((const struct huber_params *)params)->delta;
    const float limit = (float)delta;
    double loss = 0.0;

    for (size_t b = 0; b < B; b++) {
        const float *output = r + b * ld, *target = y + b * ld;
        float *out = e + b * ld;
        double row = 0.0;
        for (size_t i = 0; i < n; i++) {
            const double d = (double)(target[i] - output[i]), far = d < 0.0 ? -d : d;
            row += far > delta ? delta * (far - 0.5 * delta) : 0.5 * d * d;
        }
#pragma omp simd
        for (size_t i = 0; i < n; i++) {
            const float d = target[i] - output[i];
            out[i] = beta * (d < -limit ? -limit : d > limit ? limit : d); /* NaN passes through */
        }
        loss += row / (double)n;
    }
    return loss;
}

static void curvature_huber(float *restrict out, const float *restrict r, const float *restrict y,
                            const float *restrict x, float beta, const void *params, size_t B, size_t n, size_t ld)
{
    const float limit = (float)((const struct huber_params *)params)->delta;

    for (size_t b = 0; b < B; b++)
#pragma omp simd
        for (size_t i = 0; i < n; i++) {
            const float d = y[b * ld + i] - r[b * ld + i];
            out[b * ld + i] -= d < -limit || d > limit ? 0.0f : beta * x[b * ld + i];
        }
}

static double parameter_huber(const void *params)
{
    return ((const struct huber_params *)params)->delta;
}

/* rho(d) = log(cosh(d)). e holds the terms of the loss before it holds the errors. */
static double eval_log_cosh(float *restrict e, const float *restrict r, const float *restrict y, float beta,
                            const void *params, size_t B, size_t n, size_t ld)
{
    double loss = 0.0;

    (void)params;
    for (size_t b = 0; b < B; b++) {
        const float *output = r + b * ld, *target = y + b * ld;
        float *out = e + b * ld;
        double row = 0.0;
#pragma omp simd
        for (size_t i = 0; i < n; i++)
            out[i] = gle_log_coshf(target[i] - output[i]);
        for (size_t i = 0; i < n; i++)
            row += (double)out[i];
#pragma omp simd
        for (size_t i = 0; i < n; i++)
            out[i] = beta * gle_tanhf(target[i] - output[i]);
        loss += row / (double)n;
    }
    return loss;
}

static void curvature_log_cosh(float *restrict out, const float *restrict r, const float *restrict y,
                           const float *restrict x, float beta, const void *params, size_t B, size_t n, size_t ld)
{
    (void)params;
    for (size_t b = 0; b < B; b++)
#pragma omp simd
        for (size_t i = 0; i < n; i++) {
            const float t = gle_tanhf(y[b * ld + i] - r[b * ld + i]);
            out[b * ld + i] -= beta * (1.0f - t * t) * x[b * ld + i];
        }
}

static double scale_mean(size_t n)
{
    return 1.0 / (double)n;
}

/* --- losses of classes --- */

/* L = -sum_i y_i log softmax(r)_i, r being logits; target error y - softmax(r). */
static double eval_cross_entropy(float *restrict e, const float *restrict r, const float *restrict y, float beta,
                                 const void *params, size_t B, size_t n, size_t ld)
{
    double loss = 0.0;

    (void)params;
    for (size_t b = 0; b < B; b++) {
        const float *row = r + b * ld, *target = y + b * ld;
        float *out = e + b * ld, max = row[0], sum = 0.0f, scale;
        double log_sum, of_row = 0.0;

        for (size_t i = 1; i < n; i++)
            max = row[i] > max ? row[i] : max;
#pragma omp simd
        for (size_t i = 0; i < n; i++)
            out[i] = gle_expf(row[i] - max);
        for (size_t i = 0; i < n; i++)
            sum += out[i];
        scale = 1.0f / sum;
        log_sum = (double)max + __builtin_log((double)sum);
        for (size_t i = 0; i < n; i++) {
            of_row += (double)target[i] * (log_sum - (double)row[i]);
            out[i] = beta * (target[i] - out[i] * scale);
        }
        loss += of_row;
    }
    return loss;
}

static double scale_one(size_t n)
{
    (void)n;
    return 1.0;
}

/* J = p p^T - diag(p), p = softmax(r). Logarithms of p serve as r, too, so that nll shares this: there the slope of the
 * activation counts as 1, and J is the one with respect to u. */
static void curvature_softmax(float *restrict out, const float *restrict r, const float *restrict y,
                          const float *restrict x, float beta, const void *params, size_t B, size_t n, size_t ld)
{
    (void)y;
    (void)params;
    for (size_t b = 0; b < B; b++) {
        const float *row = r + b * ld, *v = x + b * ld;
        float max = row[0], sum = 0.0f, mean = 0.0f;

        for (size_t i = 1; i < n; i++)
            max = row[i] > max ? row[i] : max;
        for (size_t i = 0; i < n; i++) {
            const float p = gle_expf(row[i] - max);
            sum += p;
            mean += p * v[i];
        }
        mean /= sum;
        for (size_t i = 0; i < n; i++)
            out[b * ld + i] += beta * gle_expf(row[i] - max) / sum * (mean - v[i]);
    }
}

/* L = -sum_i y_i r_i, r being log-probabilities; target error y - exp(r), which is that of cross entropy on the u
 * below. */
static double eval_nll(float *restrict e, const float *restrict r, const float *restrict y, float beta,
                       const void *params, size_t B, size_t n, size_t ld)
{
    double loss = 0.0;

    (void)params;
    for (size_t b = 0; b < B; b++) {
        double of_row = 0.0;
        for (size_t i = 0; i < n; i++) {
            of_row -= (double)y[b * ld + i] * (double)r[b * ld + i];
            e[b * ld + i] = beta * (y[b * ld + i] - gle_expf(r[b * ld + i]));
        }
        loss += of_row;
    }
    return loss;
}

const struct gle_loss GLE_ISA_NAME(gle_losses)[] = {
    {{.name = "mse", .help = "mean over outputs of (target - r)^2; target error: target - r"},
     .eval = eval_mse,
     .scale = scale_mse,
     .squared = true,
     .curvature = curvature_mse},
    {{.name = "huber",
      .help = "mean over outputs of d^2 / 2 where |d| <= delta, else delta (|d| - delta / 2), d = target - r; target "
              "error: d, clipped to [-delta, delta]",
      .keys = huber_keys,
      .params_size = sizeof(struct huber_params)},
     .eval = eval_huber,
     .scale = scale_mean,
     .curvature = curvature_huber,
     .parameter = parameter_huber},
    {{.name = "log_cosh", .help = "mean over outputs of log(cosh(target - r)); target error: tanh(target - r)"},
     .eval = eval_log_cosh,
     .scale = scale_mean,
     .curvature = curvature_log_cosh},
    {{.name = "cross_entropy", .help = "-log softmax(r)[label], r being logits; target error: onehot - softmax(r)"},
     .eval = eval_cross_entropy,
     .scale = scale_one,
     .curvature = curvature_softmax,
     .classes = true},
    {{.name = "nll",
      .help = "-r[label], r being log-probabilities (activation log_softmax); target error: onehot - exp(r)"},
     .eval = eval_nll,
     .scale = scale_one,
     .curvature = curvature_softmax,
     .log_probabilities = true,
     .classes = true},
    {.row = {.name = NULL}},
};
