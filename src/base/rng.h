/* rng.h - the random streams of PyTorch, numpy and Python, so that a seed means the same here as in the paper.
 * All are MT19937 (Matsumoto & Nishimura 1998), which PyTorch and numpy start by init_genrand, Python by init_by_array;
 * they differ in what they make of its 32-bit outputs. */
#ifndef GLE_BASE_RNG_H
#define GLE_BASE_RNG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gle_rng {
    uint32_t state[624];
    uint32_t next;      /* index of the next output in state; 624: refill first */
    bool has_normal;    /* a cached normal: the scalar path of torch.randn, or numpy's legacy gauss */
    double normal;
};

/* init_genrand(low 32 bits of seed); drops a cached normal. As torch.manual_seed and, for seeds below 2^32,
 * numpy.random.seed. */
void gle_rng_seed(struct gle_rng *rng, uint64_t seed);
/* init_by_array(key, n), n >= 1: for streams that several numbers tell apart; drops a cached normal. */
void gle_rng_seed_words(struct gle_rng *rng, const uint32_t *key, size_t n);
uint32_t gle_rng_u32(struct gle_rng *rng);
/* Skips n 32-bit outputs. */
void gle_rng_skip(struct gle_rng *rng, uint64_t n);

/* --- PyTorch's CPU generator (see the algorithms at each definition) --- */
uint64_t gle_torch_u64(struct gle_rng *rng);               /* two outputs, the first is the high half */
uint64_t gle_torch_int63(struct gle_rng *rng);             /* Tensor.random_() on int64: u64 mod 2^63 */
float gle_torch_rand(struct gle_rng *rng);                 /* [0, 1): the low 24 bits of one output */
double gle_torch_rand_double(struct gle_rng *rng);         /* [0, 1): the low 53 bits of u64 */
/* uniform_(lo, hi) on float32: fma(x, hi - lo, lo) with lo, hi rounded to float first; n values. */
void gle_torch_uniform(struct gle_rng *rng, float *out, size_t n, double lo, double hi);
uint32_t gle_torch_randint(struct gle_rng *rng, uint32_t lo, uint32_t hi); /* [lo, hi) by plain modulo */
/* torch.randn / normal_(mean, std) on a contiguous float32 tensor of n values: below 16 the scalar path with its
 * cache, from 16 on the blocks of 16. Agrees with PyTorch to rounding (its vector code has its own log, sin and
 * cos). */
void gle_torch_normal(struct gle_rng *rng, float *out, size_t n, double mean, double std);
/* torch.randperm(n). */
void gle_torch_randperm(struct gle_rng *rng, uint32_t *out, size_t n);
/* The same in parts, for those who cannot wait: out begins as 0 ... n-1, and places from ... to - 1 are drawn; the
 * first part is from 0, the last one to n. */
void gle_torch_permute(struct gle_rng *rng, uint32_t *out, size_t n, size_t from, size_t to);
/* torch.multinomial(weights, n_draws, replacement=True) on a double tensor: indices below n, drawn with probabilities
 * proportional to weights (n), which are not negative and not all zero. cumulated: room for n. */
void gle_torch_multinomial(struct gle_rng *rng, uint32_t *out, size_t n_draws, const double *weights, size_t n,
                           double *cumulated);
/* Advances the stream as normal_() on a tensor of n values would. */
void gle_torch_skip_normal(struct gle_rng *rng, size_t n);

/* --- numpy.random.RandomState (legacy) --- */
double gle_numpy_rand(struct gle_rng *rng);  /* [0, 1): 53 bits of two outputs */
double gle_numpy_randn(struct gle_rng *rng); /* polar method, the second value cached */
/* 0 ... max by masked rejection; choice(n): max = n - 1 */
uint32_t gle_numpy_interval(struct gle_rng *rng, uint32_t max);
void gle_numpy_permutation(struct gle_rng *rng, uint32_t *out, size_t n);
/* The same in parts, for those who cannot wait: out begins as 0 ... n-1, and places from - 1 ... to are drawn; the
 * first part is from n, the last one to 1. */
void gle_numpy_permute(struct gle_rng *rng, uint32_t *out, size_t from, size_t to);

/* --- Python's random module --- */
void gle_python_seed(struct gle_rng *rng, uint64_t seed);            /* random.seed(seed) */
double gle_python_rand(struct gle_rng *rng);                         /* random.random(): as gle_numpy_rand() */
uint32_t gle_python_bits(struct gle_rng *rng, unsigned k);           /* getrandbits(k), k <= 32 */
uint32_t gle_python_below(struct gle_rng *rng, uint32_t n);          /* randrange(n): 0 ... n-1, n >= 1 */
void gle_python_shuffle(struct gle_rng *rng, uint32_t *x, size_t n); /* random.shuffle(x), n < 2^32 */

#endif
