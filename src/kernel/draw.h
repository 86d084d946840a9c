/* draw.h - random numbers by counter: a normal number for each (seed, step, field, row, neuron), the same whoever asks
 * and in whatever order, so that nothing of it is ever saved. In the text that C17 and OpenCL C 1.2 have in common, as
 * equations.h. Integers are the same everywhere; normal numbers agree to rounding, and are the same bits on one device.
 *
 * Words come from Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"), as philox4x32() of
 * the library Random123 finds them, which a test holds. Its rounds are written here once more since compilers make
 * vector code of this text, seven times as fast, and not of the library's. */
#ifndef GLE_KERNEL_DRAW_H
#define GLE_KERNEL_DRAW_H

#ifdef __OPENCL_C_VERSION__
#define GLE_WORD uint
#define GLE_TWO_WORDS ulong
#define gle_logf(x) log(x)
#define gle_draw_sqrtf(x) sqrt(x)
#else
#include "kernel/math.h"
#define GLE_WORD uint32_t
#define GLE_TWO_WORDS uint64_t
#define gle_draw_sqrtf(x) gle_sqrtf(x)
#endif

/* What draws are for: a field of draws is that of one population and one purpose. */
enum gle_draw_purpose {
    GLE_DRAW_INPUT,       /* noise of a population's input, */
    GLE_DRAW_MEMBRANE,    /* of its membrane */
    GLE_DRAW_RATE,        /* and of its rate */
    GLE_DRAW_TAU_M,       /* mismatch of its time constants, */
    GLE_DRAW_TAU_R,
    GLE_DRAW_ERROR_TAU_M, /* and of those that its errors use */
    GLE_DRAW_ERROR_TAU_R,
    GLE_DRAW_FEEDBACK,    /* noise that feedback weights learn from */
    GLE_DRAW_PURPOSES
};

/* The number of a field: below 2^24, for 2 million populations. */
static inline GLE_WORD gle_draw_field(GLE_WORD population, GLE_WORD purpose)
{
    return population * GLE_DRAW_PURPOSES + purpose;
}

/* Four words that belong together: a counter, or what is drawn with it. */
struct gle_words {
    GLE_WORD x, y, z, w;
};

/* The counter of four neurons in a row: number neuron / 4, of a row of the batch, at a step below 2^40 in two words. */
static inline struct gle_words gle_draw_counter(GLE_WORD neuron, GLE_WORD row, GLE_WORD step, GLE_WORD step_high,
                                                GLE_WORD field)
{
    struct gle_words c;

    c.x = neuron / 4;
    c.y = row;
    c.z = step;
    c.w = field | step_high << 24;
    return c;
}

/* Philox4x32-10 of a counter and a key of two words: the seed, the low word first. */
static inline struct gle_words gle_philox(struct gle_words c, GLE_WORD key, GLE_WORD key_high)
{
    for (int round = 0; round < 10; round++) {
        const GLE_TWO_WORDS p = (GLE_TWO_WORDS)0xD2511F53u * c.x, q = (GLE_TWO_WORDS)0xCD9E8D57u * c.z;
        c.x = (GLE_WORD)(q >> 32) ^ c.y ^ key;
        c.z = (GLE_WORD)(p >> 32) ^ c.w ^ key_high;
        c.y = (GLE_WORD)q;
        c.w = (GLE_WORD)p;
        key += 0x9E3779B9u;
        key_high += 0xBB67AE85u;
    }
    return c;
}

/* How far from the origin a pair of independent normal numbers lies (Box and Muller 1958): sqrt(-2 log u), u uniform in
 * (0, 1], at most 6.66. */
static inline float gle_draw_radius(GLE_WORD word)
{
    const float u = (float)(int)(word >> 1) * 4.65661287e-10f + 2.32830644e-10f; /* 2^-31, 2^-32 */

    return gle_draw_sqrtf(-2.0f * gle_logf(u));
}

/* Where on the circle it lies: first its cosine, then its sine. An angle of up to 1/8 of a turn either way comes from
 * all but two bits; one of these exchanges cosine and sine, which leads up to 3/8; the other one turns the pair round.
 * The polynomials of Cephes' sinf and cosf (S. Moshier), to 1e-7. */
static inline float gle_draw_direction(GLE_WORD word, int second)
{
    const float a = (float)(int)(word & ~3u) * 3.65729520e-10f, z = a * a; /* 2^-31 pi / 4 */
    const float sine = ((-1.9515295891e-4f * z + 8.3321608736e-3f) * z - 1.6666654611e-1f) * z * a + a;
    const float cosine =
        ((2.443315711809948e-5f * z - 1.388731625493765e-3f) * z + 4.166664568298827e-2f) * z * z - 0.5f * z + 1.0f;
    const float x = (word & 1u) == (GLE_WORD)second ? cosine : sine;

    return word & 2u ? -x : x;
}

/* The normal number of a neuron, of mean 0 and variance 1, from the words of its four. */
static inline float gle_draw_normal(struct gle_words words, GLE_WORD neuron)
{
    const GLE_WORD how_far = neuron & 2u ? words.z : words.x, where = neuron & 2u ? words.w : words.y;

    return gle_draw_radius(how_far) * gle_draw_direction(where, (int)(neuron & 1u));
}

#endif
