/* Losses and optimizers on a device: for each row of their tables, under its name. LOSS is that of the network. */

/* A loss of a row of outputs r with targets y:
 *   loss_rows_<name>       whether it needs sums over the row: most = max r, sum = the sum of exp(r - most),
 *                          scale = 1 / sum
 *   loss_mean_<name>       whether it is the mean over outputs, else the sum
 *   loss_of_<name>         of one output
 *   target_error_<name>    the error that drives it
 *   loss_softmax_<name>    whether the slope of that is one of softmax(r), which needs sums over the row: most, scale
 *                          and mean, that of x by softmax(r)
 *   curvature_<name>       its slope with respect to r, along x
 * parameter: the number among its settings, if it has one. */
#define loss_rows_mse false
#define loss_mean_mse true
static inline float loss_of_mse(float r, float y, float most, float sum, float parameter)
{
    return (y - r) * (y - r);
}
static inline float target_error_mse(float r, float y, float most, float scale, float parameter)
{
    return y - r;
}
#define loss_softmax_mse false
static inline float curvature_mse(float r, float y, float x, float most, float scale, float mean, float parameter)
{
    return -x;
}

#define loss_rows_huber false
#define loss_mean_huber true
static inline float loss_of_huber(float r, float y, float most, float sum, float parameter)
{
    const float far = fabs(y - r);

    return far > parameter ? parameter * (far - 0.5f * parameter) : 0.5f * far * far;
}
static inline float target_error_huber(float r, float y, float most, float scale, float parameter)
{
    return gle_clipf(y - r, -parameter, parameter);
}
#define loss_softmax_huber false
static inline float curvature_huber(float r, float y, float x, float most, float scale, float mean, float parameter)
{
    return fabs(y - r) > parameter ? 0.0f : -x;
}

#define loss_rows_log_cosh false
#define loss_mean_log_cosh true
static inline float loss_of_log_cosh(float r, float y, float most, float sum, float parameter)
{
    const float far = fabs(y - r), half_sinh = sinh(0.5f * far);

    return far < 1.25f ? log1p(2.0f * half_sinh * half_sinh) : far - 0.693147181f + log1p(exp(-2.0f * far));
}
static inline float target_error_log_cosh(float r, float y, float most, float scale, float parameter)
{
    return tanh(y - r);
}
#define loss_softmax_log_cosh false
static inline float curvature_log_cosh(float r, float y, float x, float most, float scale, float mean, float parameter)
{
    const float t = tanh(y - r);

    return -(1.0f - t * t) * x;
}

#define loss_rows_cross_entropy true
#define loss_mean_cross_entropy false
static inline float loss_of_cross_entropy(float r, float y, float most, float sum, float parameter)
{
    return y * (log(sum) - (r - most));
}
static inline float target_error_cross_entropy(float r, float y, float most, float scale, float parameter)
{
    return y - exp(r - most) * scale;
}
#define loss_softmax_cross_entropy true
static inline float curvature_cross_entropy(float r, float y, float x, float most, float scale, float mean,
                                            float parameter)
{
    return exp(r - most) * scale * (mean - x);
}

#define loss_rows_nll false
#define loss_mean_nll false
static inline float loss_of_nll(float r, float y, float most, float sum, float parameter)
{
    return -y * r;
}
static inline float target_error_nll(float r, float y, float most, float scale, float parameter)
{
    return y - exp(r);
}
#define loss_softmax_nll true
static inline float curvature_nll(float r, float y, float x, float most, float scale, float mean, float parameter)
{
    return exp(r - most) * scale * (mean - x);
}

/* Nothing is asked of an output whose target is none. */
#define LOSS_NEEDS_ROWS GLUED(loss_rows_, LOSS)
#define LOSS_IS_MEAN GLUED(loss_mean_, LOSS)
#define LOSS_OF(r, y, most, sum) (gle_is_asked(y) ? GLUED(loss_of_, LOSS)(r, y, most, sum, parameter) : 0.0f)
#define LOSS_IS_SOFTMAX GLUED(loss_softmax_, LOSS)
#define LOSS_CURVATURE(r, y, x, most, scale, mean) \
    (gle_is_asked(y) ? GLUED(curvature_, LOSS)(r, y, x, most, scale, mean, parameter) : 0.0f)
#define TARGET_ERROR(r, y, most, scale) \
    (gle_is_asked(y) ? GLUED(target_error_, LOSS)(r, y, most, scale, parameter) : 0.0f)

/* An optimizer: p after a step along the gradient g. Its moments m_0 and m_1 move along; c: the numbers of struct
 * gle_optimizer_step. */
static inline float optimize_adam(float p, float g, __global float *m_0, __global float *m_1, __global const float *c)
{
    *m_0 = gle_adam_mean(*m_0, g, c[0], c[1]);
    *m_1 = gle_adam_square(*m_1, g, c[2], c[3]);
    return gle_adam(p, *m_0, *m_1, c[4], c[5], c[6]);
}

static inline float optimize_adamw(float p, float g, __global float *m_0, __global float *m_1, __global const float *c)
{
    return optimize_adam(gle_decay(p, c[7]), g, m_0, m_1, c);
}

static inline float optimize_sgd(float p, float g, __global float *m_0, __global float *m_1, __global const float *c)
{
    *m_0 = gle_sgd_sum(*m_0, g, c[0]);
    return gle_sgd(p, *m_0, c[1]);
}
