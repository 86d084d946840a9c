/* equations.h - what one neuron or one parameter computes in a step: each equation once, as a function of single
 * numbers. The loops over neurons and parameters call these functions.
 *
 * The text is in what C17 and OpenCL C 1.2 have in common, so that it serves processors and GPUs alike. That is C
 * without double, which is an extension of OpenCL; without pointers to functions, recursion and arrays; and without the
 * C library. What the two languages spell differently has one name, given first. A test compiles this as OpenCL C. */
#ifndef GLE_KERNEL_EQUATIONS_H
#define GLE_KERNEL_EQUATIONS_H

/* gle_expf() and its kin are OpenCL's built-in functions, or those of math.h, of which C compilers make vector code.
 * GLE_ARRAY stands before the type that a pointer into an array points to: OpenCL is told that the array lies in the
 * memory of the device. */
#ifdef __OPENCL_C_VERSION__
#define GLE_ARRAY __global
#define gle_absf(x) fabs(x)
#define gle_expf(x) exp(x)
#define gle_expm1f(x) expm1(x)
#define gle_fmaf(x, y, z) fma(x, y, z)
#define gle_rintf(x) rint(x)
#define gle_ldexpf(x, n) ldexp(x, n)
#define gle_log1pf(x) log1p(x)
#define gle_sqrtf(x) sqrt(x)
#define gle_tanhf(x) tanh(x)
#else
#include "kernel/math.h"
#define GLE_ARRAY
#endif

/* The type of numbers in the equations of membranes and errors: float, unless the including file has defined another
 * one before, such as a vector of floats. These equations are sums and products only, which vectors have, too. */
#ifndef GLE_REAL
#define GLE_REAL float
#endif

/* A target that is none: of the outputs of a sample of which nothing is asked in a step. It is a number, so that it
 * can be kept in files, and the least of all, which no output can be held against. */
#define GLE_UNASKED (-3.40282346638528859812e+38f)
#define gle_is_asked(target) ((target) != GLE_UNASKED)

/* x, or low or high where it lies beyond them. NaN passes through, here and below. */
static inline float gle_clipf(float x, float low, float high)
{
    const float lowered = x > high ? high : x;

    return x < low ? low : lowered;
}

/* 1 / (1 + exp(-x)) */
static inline float gle_sigmoidf(float x)
{
    return 1.0f / (1.0f + gle_expf(-x));
}

/* exp(-x) and 1 - exp(-x) for x >= 0, to an ulp or two, in operations that are rounded in one way everywhere, so that
 * processors and devices find the same bits: exp(-x) = 2^-n exp(-r) with x = n ln 2 + r, and exp(-r) - 1 by its
 * series. */
static inline float gle_fade_parts(float x, float *scale)
{
    const float c = x > 60.0f ? 60.0f : x, n = gle_rintf((x < 60.0f ? x : 60.0f) * 1.44269504f); /* c may be NaN */
    const float q = -gle_fmaf(n, -1.42860677e-6f, gle_fmaf(n, -0.693145752f, c)); /* ln 2 in two parts */
    float p = 1.0f / 5040.0f;

    p = gle_fmaf(p, q, 1.0f / 720.0f);
    p = gle_fmaf(p, q, 1.0f / 120.0f);
    p = gle_fmaf(p, q, 1.0f / 24.0f);
    p = gle_fmaf(p, q, 1.0f / 6.0f);
    p = gle_fmaf(p, q, 0.5f);
    p = gle_fmaf(p, q * q, q);
    *scale = gle_ldexpf(1.0f, -(int)n);
    return p;
}
static inline float gle_fading(float x)
{
    float scale;
    const float p = gle_fade_parts(x, &scale);

    return gle_fmaf(scale, p, scale);
}
static inline float gle_faded(float x)
{
    float scale;
    const float p = gle_fade_parts(x, &scale);

    return gle_fmaf(-scale, p, 1.0f - scale);
}

/* --- membranes and errors: what the letters mean, and where the equations are from, says kernel.h --- */

/* s <- s + b + gamma * e - u  ( = tau_m * u_dot );  prosp_u = u + tau_r * u_dot;  u <- u + dt * u_dot
 * look = tau_r / tau_m, leak = dt / tau_m; or 1 - exp(-dt / tau_m), where integration is exponential. */
static inline void gle_membrane(GLE_ARRAY GLE_REAL *prosp_u, GLE_ARRAY GLE_REAL *u, GLE_ARRAY GLE_REAL *s, GLE_REAL e,
                                GLE_REAL b, float gamma, GLE_REAL look, GLE_REAL leak)
{
    const GLE_REAL old = *u, d = *s + b + gamma * e - old;

    *s = d;
    *prosp_u = old + look * d;
    *u = old + leak * d;
}

/* Its transpose: lambda = look * a + leak * u_bar;  u_bar <- u_bar + a - lambda
 * a comes last, since gcc reads parameters from the last on, and its loop is 3 % slower in another order. */
static inline void gle_membrane_back(GLE_ARRAY GLE_REAL *lambda, GLE_ARRAY GLE_REAL *u_bar, GLE_REAL look,
                                     GLE_REAL leak, GLE_REAL a)
{
    const GLE_REAL old = *u_bar, x = look * a + leak * old;

    *lambda = x;
    *u_bar = old + a - x;
}

/* eps = xbar + look * (x - xbar);  xbar <- xbar + leak * (x - xbar)
 * What a rate x, read through a weight, has made of u in all steps, and of prosp_u in this one, as shares of what a
 * change of the weight makes of them: both follow from the equations of the membrane, with x in place of s. */
static inline void gle_trace(GLE_ARRAY GLE_REAL *eps, GLE_ARRAY GLE_REAL *xbar, GLE_REAL x, GLE_REAL look,
                             GLE_REAL leak)
{
    const GLE_REAL old = *xbar, d = x - old;

    *eps = old + look * d;
    *xbar = old + leak * d;
}

/* The same of tau_m: q is the derivative of u by it, eps that of prosp_u:
 *   eps = q + look * (-u_dot - q);  q <- q - leak * q - slope * u_dot,  u_dot = s * rate / dt
 * s = tau_m * u_dot, per_dt = 1 / dt, rate = dt / tau_m, slope = -tau_m times the derivative of leak by tau_m: leak
 * itself, or (dt / tau_m) exp(-dt / tau_m), where integration is exponential. */
static inline void gle_trace_tau_m(GLE_ARRAY GLE_REAL *eps, GLE_ARRAY GLE_REAL *q, GLE_REAL s, float per_dt,
                                   GLE_REAL look, GLE_REAL leak, GLE_REAL rate, GLE_REAL slope)
{
    const GLE_REAL old = *q, u_dot = s * (rate * per_dt);

    *eps = old - look * (u_dot + old);
    *q = old - leak * old - slope * u_dot;
}

/* And of tau_r: eps = u_dot */
static inline void gle_trace_tau_r(GLE_ARRAY GLE_REAL *eps, GLE_REAL s, float per_dt, GLE_REAL rate)
{
    *eps = s * (rate * per_dt);
}

/* v_dot = (dr * e_above - v) / tau_r;  e = v + tau_m * v_dot;  v <- v + dt * v_dot
 * look = tau_m / tau_r, leak = dt / tau_r, likewise. */
static inline void gle_error_prospective(GLE_ARRAY GLE_REAL *e, GLE_ARRAY GLE_REAL *v, GLE_REAL e_above, GLE_REAL dr,
                                         GLE_REAL look, GLE_REAL leak)
{
    const GLE_REAL old = *v, d = dr * e_above - old; /* tau_r * v_dot */

    *e = old + look * d;
    *v = old + leak * d;
}

/* e = v = dr * e_above */
static inline void gle_error_instantaneous(GLE_ARRAY GLE_REAL *e, GLE_ARRAY GLE_REAL *v, GLE_REAL e_above, GLE_REAL dr)
{
    const GLE_REAL x = dr * e_above;

    *e = x;
    *v = x;
}

/* Transpose of the prospective error: d = look * e_bar + leak * v_bar;  v_bar <- v_bar + e_bar - d;
 * above_bar = dr * d;  dr_bar = e_above * d;  lag = dr * e_above - v  ( = tau_r * v_dot ) */
static inline void gle_error_prospective_back(GLE_ARRAY GLE_REAL *above_bar, GLE_ARRAY GLE_REAL *dr_bar,
                                              GLE_ARRAY GLE_REAL *v_bar, GLE_ARRAY GLE_REAL *lag, GLE_REAL e_bar,
                                              GLE_REAL e_above, GLE_REAL dr, GLE_REAL v, GLE_REAL look, GLE_REAL leak)
{
    const GLE_REAL old = *v_bar, d = look * e_bar + leak * old;

    *v_bar = old + e_bar - d;
    *above_bar = dr * d;
    *dr_bar = e_above * d;
    *lag = dr * e_above - v;
}

/* Transpose of the instantaneous error: above_bar = dr * e_bar;  dr_bar = e_above * e_bar;  lag = 0 */
static inline void gle_error_instantaneous_back(GLE_ARRAY GLE_REAL *above_bar, GLE_ARRAY GLE_REAL *dr_bar,
                                                GLE_ARRAY GLE_REAL *lag, GLE_REAL e_bar, GLE_REAL e_above, GLE_REAL dr)
{
    *above_bar = dr * e_bar;
    *dr_bar = e_above * e_bar;
    *lag = (GLE_REAL){0};
}

/* --- hardware --- */

/* A step of an Ornstein-Uhlenbeck process x of variance 1, z a normal number: keep = 1 - dt / tau, add = sqrt(1 -
 * keep^2). */
static inline float gle_ou_step(float x, float z, float keep, float add)
{
    return keep * x + add * z;
}

/* The nearest to w of the numbers k down, k = -levels ... levels; up = 1 / down. Adding 1.5 2^23 rounds to a whole
 * number, the even one of two that are as near. */
static inline float gle_quantize(float w, float up, float down, float levels)
{
    const float shift = 12582912.0f;
    const float shifted = gle_clipf(w * up, -levels, levels) + shift;

    return (shifted - shift) * down;
}

/* --- activations --- */

/* Numbers that a row of the table makes of an activation's settings. */
struct gle_act_numbers {
    float a, b, c, d;
};

/* An activation r = phi(u) is written as expressions:
 *   GLE_ACTIVATION(name, phi, slope)            phi of u; its slope dr of u and r
 *   GLE_ACTIVATION_WITH(name, y, phi, slope)    the same, where y, an expression of u, is at hand in all that follow
 *   GLE_CURVATURE(name, curvature)              the slope of the slope, of u, r and dr; where phi is made of straight
 *                                               pieces, it is 0 and not written
 * All may use p, the numbers that are made of the activation's settings. Of these the functions gle_<name>_y(u, p),
 * gle_<name>(u, y, p), gle_<name>_slope(u, y, r, p) and gle_<name>_curvature(u, y, r, dr, p) are made, and the loops
 * GLE_ACTIVATION_LOOP(name) and GLE_CURVATURE_LOOP(name), if the including file has defined such macros before. */
#ifndef GLE_ACTIVATION_LOOP
#define GLE_ACTIVATION_LOOP(name)
#endif
#ifndef GLE_CURVATURE_LOOP
#define GLE_CURVATURE_LOOP(name)
#endif
#define GLE_ACTIVATION_OF(name, shared, phi, slope)                   \
    static inline float gle_##name##_y(float u, struct gle_act_numbers p) \
    {                                                                 \
        (void)u;                                                      \
        (void)p;                                                      \
        return shared;                                                \
    }                                                                 \
    static inline float gle_##name(float u, float y, struct gle_act_numbers p) \
    {                                                                 \
        (void)u;                                                      \
        (void)p;                                                      \
        (void)y;                                                      \
        return phi;                                                   \
    }                                                                 \
    static inline float gle_##name##_slope(float u, float y, float r, struct gle_act_numbers p) \
    {                                                                 \
        (void)u;                                                      \
        (void)p;                                                      \
        (void)y;                                                      \
        (void)r;                                                      \
        return slope;                                                 \
    }                                                                 \
    GLE_ACTIVATION_LOOP(name)
/* A name may be a macro of the compiler's, as tanh is with some for OpenCL: it is expanded everywhere before it is made
 * a part of others. */
#define GLE_ACTIVATION_WITH(name, shared, phi, slope) GLE_ACTIVATION_OF(name, shared, phi, slope)
#define GLE_ACTIVATION(name, phi, slope) GLE_ACTIVATION_OF(name, 0.0f, phi, slope)
#define GLE_CURVATURE(name, curvature) GLE_CURVATURE_OF(name, curvature)
#define GLE_CURVATURE_OF(name, curvature)                                                \
    static inline float gle_##name##_curvature(float u, float y, float r, float dr, struct gle_act_numbers p) \
    {                                                                           \
        (void)u;                                                                \
        (void)p;                                                                \
        (void)y;                                                                \
        (void)r;                                                                \
        (void)dr;                                                               \
        return curvature;                                                           \
    }                                                                           \
    GLE_CURVATURE_LOOP(name)

GLE_ACTIVATION(linear, u, 1.0f)

GLE_ACTIVATION(relu, u < 0.0f ? 0.0f : u, u > 0.0f ? 1.0f : 0.0f)

/* a: the slope below 0; as torch.nn.LeakyReLU. */
GLE_ACTIVATION(leaky_relu, u < 0.0f ? p.a * u : u, u > 0.0f ? 1.0f : p.a)

GLE_ACTIVATION(sigmoid, gle_sigmoidf(u), r * (1.0f - r))
GLE_CURVATURE(sigmoid, dr * (1.0f - 2.0f * r))

/* From 0 at a to 1 at b: c u + d in between, with c = 1 / (b - a), d = -a c. */
GLE_ACTIVATION(hard_sigmoid, gle_clipf(u * p.c + p.d, 0.0f, 1.0f), u > p.a && u < p.b ? p.c : 0.0f)

GLE_ACTIVATION(tanh, gle_tanhf(u), 1.0f - r * r)
GLE_CURVATURE(tanh, -2.0f * r * dr)

GLE_ACTIVATION(hard_tanh, gle_clipf(u, -1.0f, 1.0f), u > -1.0f && u < 1.0f ? 1.0f : 0.0f)

/* log(1 + exp(u)) = max(u, 0) + log(1 + exp(-|u|)), in which nothing overflows. Its slope is the sigmoid. */
GLE_ACTIVATION_WITH(softplus, gle_expf(-gle_absf(u)), (u > 0.0f ? u : 0.0f) + gle_log1pf(y),
                    (u < 0.0f ? y : 1.0f) / (1.0f + y))
GLE_CURVATURE(softplus, gle_sigmoid_slope(u, 0.0f, gle_sigmoidf(u), p))

/* Clevert et al. 2016, arXiv:1511.07289, as torch.nn.ELU. a: alpha; 1 makes it continuous up to the slope at 0. */
GLE_ACTIVATION_WITH(elu, u < 0.0f ? u : 0.0f, u < 0.0f ? p.a * gle_expm1f(y) : u, u < 0.0f ? p.a * gle_expf(y) : 1.0f)
GLE_CURVATURE(elu, u < 0.0f ? p.a * gle_expf(u) : 0.0f)

/* As torch.nn.Softsign. r is a quotient, not u y: y is no normal number where u is among the largest. */
GLE_ACTIVATION_WITH(softsign, 1.0f / (1.0f + gle_absf(u)), u / (1.0f + gle_absf(u)), y * y)
GLE_CURVATURE(softsign, (u < 0.0f ? 2.0f : -2.0f) * y * y * y)

/* --- weights B that errors go back through --- */

/* Kolen & Pollack 1994: W and B shrink alike, keep = 1 - dt decay, in front of the same step of the optimizer. */
static inline float gle_shrink(float w, float keep)
{
    return keep * w;
}

/* Max et al., arXiv:2212.10249: hp(r) is r less its low pass, low <- low + leak hp, leak = dt / tau_hp; and B goes
 * along g, the mean of hp(r) xi^T, B <- B + rate (g - decay B), rate = dt lr. */
static inline float gle_low_pass(float low, float hp, float leak)
{
    return low + leak * hp;
}
static inline float gle_align(float b, float g, float rate, float decay)
{
    return b + rate * (g - decay * b);
}

/* --- optimizers: they move a parameter p along its gradient g --- */

/* Kingma & Ba, arXiv:1412.6980, in the order of operations of torch.optim.Adam, after t steps:
 *   m <- beta1 m + (1 - beta1) g;  v <- beta2 v + (1 - beta2) g^2
 *   p <- p - lr / (1 - beta1^t) * m / (sqrt(v) / sqrt(1 - beta2^t) + eps)
 * keep = beta1 or beta2, add = 1 - keep; scale = 1 / sqrt(1 - beta2^t), step = lr / (1 - beta1^t). */
static inline float gle_adam_mean(float m, float g, float keep, float add)
{
    return keep * m + add * g;
}
static inline float gle_adam_square(float v, float g, float keep, float add)
{
    return keep * v + add * (g * g);
}
static inline float gle_adam(float p, float m, float v, float scale, float eps, float step)
{
    return p - step * (m / (gle_sqrtf(v) * scale + eps));
}

/* Loshchilov & Hutter, arXiv:1711.05101: what a weight loses of itself in front of Adam's step, as by
 * torch.optim.AdamW:  w <- w - decay w,  decay = lr weight_decay */
static inline float gle_decay(float w, float decay)
{
    return w - decay * w;
}

/* As torch.optim.SGD: m <- momentum m + g;  p <- p - lr m. The first step (m = 0) is plain descent. */
static inline float gle_sgd_sum(float m, float g, float momentum)
{
    return momentum * m + g;
}
static inline float gle_sgd(float p, float m, float lr)
{
    return p - lr * m;
}

#endif
