/* math.h - branch-free float functions that compilers turn into vector code (no libm call in a loop). */
#ifndef GLE_KERNEL_MATH_H
#define GLE_KERNEL_MATH_H

#include <stdint.h>
#include <string.h>

/* exp(x) to about 1 ulp for -87.3 <= x <= 88.3, clamped outside. 2^n exp(r), |r| <= ln(2)/2, with the Taylor-like
 * polynomial of Cephes' expf (S. Moshier). NaN passes through. */
static inline float gle_expf(float x)
{
    const float shift = 12582912.0f; /* 1.5 * 2^23: adding it rounds to the nearest integer */
    const float c = x < -87.3f ? -87.3f : x > 88.3f ? 88.3f : x;
    const float n = (c * 1.44269504088896341f + shift) - shift;
    const float r = (c - n * 0.693359375f) + n * 2.12194440e-4f;
    float p = 1.9875691500e-4f, scale;
    int32_t bits;

    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    bits = (int32_t)((uint32_t)((int32_t)n + 127) << 23);
    memcpy(&scale, &bits, sizeof scale);
    return p * scale;
}

/* tanh(x) to about 2 ulp: Cephes' odd polynomial near zero, 1 - 2 / (exp(2|x|) + 1) elsewhere. */
static inline float gle_tanhf(float x)
{
    const float a = x < 0.0f ? -x : x, z = x * x;
    const float far = 1.0f - 2.0f / (gle_expf(2.0f * (a > 10.0f ? 10.0f : a)) + 1.0f);
    float p = -5.70498872745e-3f;

    p = p * z + 2.06390887954e-2f;
    p = p * z - 5.37397155531e-2f;
    p = p * z + 1.33314422036e-1f;
    p = p * z - 3.33332819422e-1f;
    p = p * z * x + x;
    return a < 0.625f ? p : x < 0.0f ? -far : x > 0.0f ? far : x;
}

/* 1 / (1 + exp(-x)) */
static inline float gle_sigmoidf(float x)
{
    return 1.0f / (1.0f + gle_expf(-x));
}

/* log(1 + exp(x)) = max(x, 0) + log1p(y), y = exp(-|x|) in (0, 1]; log1p(y) = 2 artanh(y / (2 + y)) by its series. */
static inline float gle_softplusf(float x)
{
    const float y = gle_expf(x < 0.0f ? x : -x), t = y / (2.0f + y), z = t * t;
    float p = 1.0f / 15.0f;

    p = p * z + 1.0f / 13.0f;
    p = p * z + 1.0f / 11.0f;
    p = p * z + 1.0f / 9.0f;
    p = p * z + 1.0f / 7.0f;
    p = p * z + 1.0f / 5.0f;
    p = p * z + 1.0f / 3.0f;
    return (x > 0.0f ? x : 0.0f) + 2.0f * t * (p * z + 1.0f);
}

#endif
