/* math.h - branch-free float functions that compilers turn into vector code (no libm call in a loop). */
#ifndef GLE_KERNEL_MATH_H
#define GLE_KERNEL_MATH_H

#include <stdint.h>
#include <string.h>

/* exp(x) = *scale * (1 + result) for -87.3 <= x <= 88.3, clamped outside: *scale = 2^n, result = exp(r) - 1 with
 * |r| <= ln(2)/2, by the Taylor-like polynomial of Cephes' expf (S. Moshier). NaN passes through. */
static inline float gle_exp_parts(float x, float *scale)
{
    const float shift = 12582912.0f; /* 1.5 * 2^23: adding it rounds to n, which then stands in the low bits */
    const float c = x < -87.3f ? -87.3f : x > 88.3f ? 88.3f : x;
    const float shifted = c * 1.44269504088896341f + shift, n = shifted - shift;
    const float r = (c - n * 0.693359375f) + n * 2.12194440e-4f;
    float p = 1.9875691500e-4f;
    uint32_t bits;

    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    memcpy(&bits, &shifted, sizeof bits);
    bits = (bits + 127) << 23;
    memcpy(scale, &bits, sizeof *scale);
    return p * r * r + r;
}

/* exp(x) to about 1 ulp, clamped as above. NaN passes through. */
static inline float gle_expf(float x)
{
    float scale;
    const float p = gle_exp_parts(x, &scale) + 1.0f;

    return p * scale;
}

/* exp(x) - 1 to about 2 ulp, near 0 as well; clamped as above. NaN passes through. */
static inline float gle_expm1f(float x)
{
    float scale;
    const float p = gle_exp_parts(x, &scale);

    return p * scale + (scale - 1.0f);
}

/* tanh(x) to 4e-7: the rational minimax approximation of degrees 13 and 6 that Eigen and XLA use, on the range where it
 * stays within +-1. NaN passes through. */
static inline float gle_tanhf(float x)
{
    const float c = x < -7.90531111f ? -7.90531111f : x > 7.90531111f ? 7.90531111f : x, z = c * c;
    float p = -2.76076847742355e-16f, q = 1.19825839466702e-06f;

    p = p * z + 2.00018790482477e-13f;
    p = p * z - 8.60467152213735e-11f;
    p = p * z + 5.12229709037114e-08f;
    p = p * z + 1.48572235717979e-05f;
    p = p * z + 6.37261928875436e-04f;
    p = p * z + 4.89352455891786e-03f;
    q = q * z + 1.18534705686654e-04f;
    q = q * z + 2.26843463243900e-03f;
    q = q * z + 4.89352518554385e-03f;
    return c * p / q;
}

/* |x| */
static inline float gle_absf(float x)
{
    return __builtin_fabsf(x);
}

/* x y + z, rounded once; the nearest whole number; x 2^n: exact, as the standard says of all three. */
static inline float gle_fmaf(float x, float y, float z)
{
    return __builtin_fmaf(x, y, z);
}
static inline float gle_rintf(float x)
{
    return __builtin_rintf(x);
}
static inline float gle_ldexpf(float x, int n)
{
    return __builtin_ldexpf(x, n);
}

/* The square root, rounded correctly; NaN below 0. */
static inline float gle_sqrtf(float x)
{
    return __builtin_sqrtf(x);
}

/* log(x) to about 1 ulp, for normal x above 0: x = 2^n (1 + f) with 1 + f from sqrt(1/2) to sqrt(2), and the polynomial
 * of Cephes' logf (S. Moshier). */
static inline float gle_logf(float x)
{
    const uint32_t root = 0x3f3504f3; /* sqrt(1/2) */
    uint32_t bits;
    float f, n, z, p = 7.0376836292e-2f;

    memcpy(&bits, &x, sizeof bits);
    bits -= root;
    n = (float)((int32_t)bits >> 23);
    bits = (bits & 0x7fffff) + root;
    memcpy(&f, &bits, sizeof f);
    f -= 1.0f;
    z = f * f;
    p = p * f - 1.1514610310e-1f;
    p = p * f + 1.1676998740e-1f;
    p = p * f - 1.2420140846e-1f;
    p = p * f + 1.4249322787e-1f;
    p = p * f - 1.6668057665e-1f;
    p = p * f + 2.0000714765e-1f;
    p = p * f - 2.4999993993e-1f;
    p = p * f + 3.3333331174e-1f;
    p = p * f * z - 2.12194440e-4f * n - 0.5f * z;
    return f + p + 0.693359375f * n;
}

/* log(1 + y) for 0 <= y <= 1: 2 artanh(y / (2 + y)) by its series. */
static inline float gle_log1pf(float y)
{
    const float t = y / (2.0f + y), z = t * t;
    float p = 1.0f / 15.0f;

    p = p * z + 1.0f / 13.0f;
    p = p * z + 1.0f / 11.0f;
    p = p * z + 1.0f / 9.0f;
    p = p * z + 1.0f / 7.0f;
    p = p * z + 1.0f / 5.0f;
    p = p * z + 1.0f / 3.0f;
    return 2.0f * t * (p * z + 1.0f);
}

/* log(cosh(x)), relative to itself to 1e-6: for |x| below 1.25 log(1 + y) with y = cosh(x) - 1 = 2 sinh(x / 2)^2, sinh
 * by its series; else |x| - log(2) + log(1 + y) with y = exp(-2 |x|). NaN passes through. */
static inline float gle_log_coshf(float x)
{
    const float a = x < 0.0f ? -x : x, h = 0.5f * a, z = h * h;
    float p = 1.0f / 362880.0f, far;

    p = p * z + 1.0f / 5040.0f;
    p = p * z + 1.0f / 120.0f;
    p = p * z + 1.0f / 6.0f;
    p = h * (p * z + 1.0f);
    far = gle_expf(-2.0f * a);
    return (a < 1.25f ? 0.0f : a - 0.693147181f) + gle_log1pf(a < 1.25f ? 2.0f * p * p : far);
}

#endif
