#include "base/rng.h"

#include <math.h>

enum { N_STATE = 624, MT_SHIFT = 397, FILL_BLOCK = 16 };

static const double pi = 3.14159265358979323846;

/* init_genrand of mt19937ar.c (Matsumoto & Nishimura 2002). */
void gle_rng_seed(struct gle_rng *rng, uint64_t seed)
{
    uint32_t *s = rng->state;

    s[0] = (uint32_t)seed;
    for (uint32_t j = 1; j < N_STATE; j++)
        s[j] = UINT32_C(1812433253) * (s[j - 1] ^ (s[j - 1] >> 30)) + j;
    rng->next = N_STATE;
    rng->has_normal = false;
    rng->normal = 0.0;
}

/* init_by_array of mt19937ar.c. */
void gle_rng_seed_words(struct gle_rng *rng, const uint32_t *key, size_t n)
{
    uint32_t *s = rng->state;
    size_t i = 1, j = 0;

    gle_rng_seed(rng, 19650218);
    for (size_t k = n > N_STATE ? n : N_STATE; k > 0; k--) {
        s[i] = (s[i] ^ (s[i - 1] ^ (s[i - 1] >> 30)) * UINT32_C(1664525)) + key[j] + (uint32_t)j;
        if (++i == N_STATE) {
            s[0] = s[N_STATE - 1];
            i = 1;
        }
        j = (j + 1) % n;
    }
    for (size_t k = N_STATE - 1; k > 0; k--) {
        s[i] = (s[i] ^ (s[i - 1] ^ (s[i - 1] >> 30)) * UINT32_C(1566083941)) - (uint32_t)i;
        if (++i == N_STATE) {
            s[0] = s[N_STATE - 1];
            i = 1;
        }
    }
    s[0] = UINT32_C(0x80000000);
}

/* The recurrence of MT19937 over the whole state. */
static void refill(struct gle_rng *rng)
{
    uint32_t *s = rng->state;

    for (size_t i = 0; i < N_STATE; i++) {
        const uint32_t y = (s[i] & UINT32_C(0x80000000)) | (s[(i + 1) % N_STATE] & UINT32_C(0x7fffffff));
        s[i] = s[(i + MT_SHIFT) % N_STATE] ^ (y >> 1) ^ (y & 1 ? UINT32_C(0x9908b0df) : 0);
    }
    rng->next = 0;
}

/* genrand_int32: one word of the state, tempered. */
uint32_t gle_rng_u32(struct gle_rng *rng)
{
    uint32_t y;

    if (rng->next == N_STATE)
        refill(rng);
    y = rng->state[rng->next++];
    y ^= y >> 11;
    y ^= y << 7 & UINT32_C(0x9d2c5680);
    y ^= y << 15 & UINT32_C(0xefc60000);
    return y ^ y >> 18;
}

void gle_rng_skip(struct gle_rng *rng, uint64_t n)
{
    while (n > N_STATE - rng->next) {
        n -= N_STATE - rng->next;
        refill(rng);
    }
    rng->next += (uint32_t)n;
}

uint64_t gle_torch_u64(struct gle_rng *rng)
{
    const uint64_t high = gle_rng_u32(rng);
    return high << 32 | gle_rng_u32(rng);
}

uint64_t gle_torch_int63(struct gle_rng *rng)
{
    return gle_torch_u64(rng) & INT64_MAX;
}

float gle_torch_rand(struct gle_rng *rng)
{
    return (float)(gle_rng_u32(rng) & 0xffffff) * 0x1p-24f;
}

double gle_torch_rand_double(struct gle_rng *rng)
{
    return (double)(gle_torch_u64(rng) & UINT64_C(0x1fffffffffffff)) * 0x1p-53;
}

/* x*(hi - lo) + lo in one rounding, as PyTorch's build contracts it: with two, half of a layer's initial weights are
 * an ulp away from the paper's. */
void gle_torch_uniform(struct gle_rng *rng, float *out, size_t n, double lo, double hi)
{
    const float a = (float)lo, b = (float)hi;

    for (size_t i = 0; i < n; i++)
        out[i] = fmaf(gle_torch_rand(rng), b - a, a);
}

uint32_t gle_torch_randint(struct gle_rng *rng, uint32_t lo, uint32_t hi)
{
    return gle_rng_u32(rng) % (hi - lo) + lo;
}

/* Box-Muller in double: the cosine first, the sine kept in the generator for the next call. */
static double torch_scalar_normal(struct gle_rng *rng)
{
    double u1, u2, radius;

    if (rng->has_normal) {
        rng->has_normal = false;
        return rng->normal;
    }
    u1 = gle_torch_rand_double(rng);
    u2 = gle_torch_rand_double(rng);
    radius = sqrt(-2.0 * log(1.0 - u2));
    rng->normal = radius * sin(2.0 * pi * u1);
    rng->has_normal = true;
    return radius * cos(2.0 * pi * u1);
}

/* Box-Muller in float on 16 uniforms, in place: value j is the radius and j + 8 the angle of normals j and j + 8. */
static void torch_normal_block(float *block, float mean, float std)
{
    for (size_t j = 0; j < FILL_BLOCK / 2; j++) {
        const float radius = sqrtf(-2.0f * logf(1.0f - block[j]));
        const float theta = (float)(2.0 * pi) * block[j + FILL_BLOCK / 2];
        block[j] = radius * cosf(theta) * std + mean;
        block[j + FILL_BLOCK / 2] = radius * sinf(theta) * std + mean;
    }
}

/* From 16 values on (normal_fill): all uniforms first, then block after block; if some are left over, the LAST 16
 * are drawn anew. The cache of the scalar path stays as it is. */
void gle_torch_normal(struct gle_rng *rng, float *out, size_t n, double mean, double std)
{
    if (n < FILL_BLOCK) {
        for (size_t i = 0; i < n; i++)
            out[i] = (float)(torch_scalar_normal(rng) * std + mean);
        return;
    }
    gle_torch_uniform(rng, out, n, 0.0, 1.0);
    for (size_t i = 0; i + FILL_BLOCK <= n; i += FILL_BLOCK)
        torch_normal_block(out + i, (float)mean, (float)std);
    if (n % FILL_BLOCK) {
        float *tail = out + n - FILL_BLOCK;
        gle_torch_uniform(rng, tail, FILL_BLOCK, 0.0, 1.0);
        torch_normal_block(tail, (float)mean, (float)std);
    }
}

/* Fisher-Yates from the bottom, by plain modulo. */
void gle_torch_permute(struct gle_rng *rng, uint32_t *out, size_t n, size_t from, size_t to)
{
    for (size_t i = from; i < to && i + 1 < n; i++) {
        const size_t j = i + gle_rng_u32(rng) % (uint32_t)(n - i);
        const uint32_t kept = out[i];
        out[i] = out[j];
        out[j] = kept;
    }
}

void gle_torch_randperm(struct gle_rng *rng, uint32_t *out, size_t n)
{
    for (size_t i = 0; i < n; i++)
        out[i] = (uint32_t)i;
    gle_torch_permute(rng, out, n, 0, n);
}

/* multinomial_with_replacement_apply: cumulated weights over their sum, the last one exactly 1; a draw is the first
 * index whose value is not below a uniform number. */
void gle_torch_multinomial(struct gle_rng *rng, uint32_t *out, size_t n_draws, const double *weights, size_t n,
                           double *cumulated)
{
    double sum = 0.0;

    for (size_t i = 0; i < n; i++) {
        sum += weights[i];
        cumulated[i] = sum;
    }
    for (size_t i = 0; i < n; i++)
        cumulated[i] /= sum;
    cumulated[n - 1] = 1.0;
    for (size_t d = 0; d < n_draws; d++) {
        const double u = gle_torch_rand_double(rng);
        size_t left = 0, right = n;
        while (left < right) {
            const size_t middle = left + (right - left) / 2;
            if (cumulated[middle] < u)
                left = middle + 1;
            else
                right = middle;
        }
        out[d] = (uint32_t)left;
    }
}

void gle_torch_skip_normal(struct gle_rng *rng, size_t n)
{
    if (n >= FILL_BLOCK) {
        gle_rng_skip(rng, n + (n % FILL_BLOCK ? FILL_BLOCK : 0));
        return;
    }
    for (size_t i = 0; i < n; i++)
        (void)torch_scalar_normal(rng);
}

/* genrand_res53 of mt19937ar.c. */
double gle_numpy_rand(struct gle_rng *rng)
{
    const uint32_t a = gle_rng_u32(rng) >> 5, b = gle_rng_u32(rng) >> 6;
    return (a * 67108864.0 + b) / 9007199254740992.0;
}

/* legacy_gauss of numpy: Marsaglia's polar method, x2 first, x1 kept. Three statements for the
 * sum of squares, so that no compiler fuses what numpy rounds one by one. */
double gle_numpy_randn(struct gle_rng *rng)
{
    double x1, x2, a, b, r2, f;

    if (rng->has_normal) {
        rng->has_normal = false;
        return rng->normal;
    }
    do {
        x1 = 2.0 * gle_numpy_rand(rng) - 1.0;
        x2 = 2.0 * gle_numpy_rand(rng) - 1.0;
        a = x1 * x1;
        b = x2 * x2;
        r2 = a + b;
    } while (r2 >= 1.0 || r2 == 0.0);
    f = sqrt(-2.0 * log(r2) / r2);
    rng->normal = f * x1;
    rng->has_normal = true;
    return f * x2;
}

/* random_interval of numpy: outputs under the smallest mask of ones that covers max, until one is not above it. */
uint32_t gle_numpy_interval(struct gle_rng *rng, uint32_t max)
{
    uint32_t mask = max, value;

    if (max == 0)
        return 0;
    for (unsigned shift = 1; shift < 32; shift *= 2)
        mask |= mask >> shift;
    do
        value = gle_rng_u32(rng) & mask;
    while (value > max);
    return value;
}

/* Fisher-Yates from the top, by masked rejection. */
void gle_numpy_permute(struct gle_rng *rng, uint32_t *out, size_t from, size_t to)
{
    for (size_t i = from; i-- > to;) {
        const uint32_t j = gle_numpy_interval(rng, (uint32_t)i);
        const uint32_t kept = out[i];
        out[i] = out[j];
        out[j] = kept;
    }
}

void gle_numpy_permutation(struct gle_rng *rng, uint32_t *out, size_t n)
{
    for (size_t i = 0; i < n; i++)
        out[i] = (uint32_t)i;
    gle_numpy_permute(rng, out, n, 1);
}

/* random_seed of _randommodule.c: the words of the number, without zeros at the high end. */
void gle_python_seed(struct gle_rng *rng, uint64_t seed)
{
    const uint32_t words[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    gle_rng_seed_words(rng, words, words[1] ? 2 : 1);
}

double gle_python_rand(struct gle_rng *rng)
{
    return gle_numpy_rand(rng);
}

uint32_t gle_python_bits(struct gle_rng *rng, unsigned k)
{
    return k ? gle_rng_u32(rng) >> (32 - k) : 0;
}

/* _randbelow_with_getrandbits: as many bits as n has, until they are below n. */
uint32_t gle_python_below(struct gle_rng *rng, uint32_t n)
{
    unsigned k = 0;
    uint32_t value;

    for (uint32_t rest = n; rest; rest >>= 1)
        k++;
    do
        value = gle_python_bits(rng, k);
    while (value >= n);
    return value;
}

/* Fisher-Yates from the top. */
void gle_python_shuffle(struct gle_rng *rng, uint32_t *x, size_t n)
{
    for (size_t i = n; i-- > 1;) {
        const uint32_t j = gle_python_below(rng, (uint32_t)(i + 1));
        const uint32_t kept = x[i];
        x[i] = x[j];
        x[j] = kept;
    }
}
