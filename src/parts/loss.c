/* Compiled once per instruction set. A new loss is three functions and one row here. */
#include "parts/loss.h"
#include "kernel/math.h"

/* L = mean over outputs of (y - r)^2; target error y - r, without the factor 2/n (as in the reference). */
static double eval_mse(float *restrict e, const float *restrict r, const float *restrict y, float beta, size_t B,
                       size_t n, size_t ld)
{
    double loss = 0.0;

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

static void curve_mse(float *restrict out, const float *restrict r, const float *restrict x, float beta, size_t B,
                      size_t n, size_t ld)
{
    (void)r;
    for (size_t b = 0; b < B; b++)
        for (size_t i = 0; i < n; i++)
            out[b * ld + i] -= beta * x[b * ld + i];
}

/* L = -sum_i y_i log softmax(r)_i, r being logits; target error y - softmax(r). */
static double eval_cross_entropy(float *restrict e, const float *restrict r, const float *restrict y, float beta,
                                 size_t B, size_t n, size_t ld)
{
    double loss = 0.0;

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
static void curve_softmax(float *restrict out, const float *restrict r, const float *restrict x, float beta, size_t B,
                          size_t n, size_t ld)
{
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
static double eval_nll(float *restrict e, const float *restrict r, const float *restrict y, float beta, size_t B,
                       size_t n, size_t ld)
{
    double loss = 0.0;

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
     .curve = curve_mse},
    {{.name = "cross_entropy", .help = "-log softmax(r)[label], r being logits; target error: onehot - softmax(r)"},
     .eval = eval_cross_entropy,
     .scale = scale_one,
     .curve = curve_softmax,
     .classes = true},
    {{.name = "nll",
      .help = "-r[label], r being log-probabilities (activation log_softmax); target error: onehot - exp(r)"},
     .eval = eval_nll,
     .scale = scale_one,
     .curve = curve_softmax,
     .log_probabilities = true,
     .classes = true},
    {.row = {.name = NULL}},
};
