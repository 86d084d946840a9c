#include "normals.h"

#include <math.h>

#include <Random123/philox.h>

struct gle_words library_words(struct gle_words c, uint64_t seed)
{
    const philox4x32_ctr_t counter = {{c.x, c.y, c.z, c.w}};
    const philox4x32_key_t key = {{(uint32_t)seed, (uint32_t)(seed >> 32)}};
    const philox4x32_ctr_t words = philox4x32(counter, key);

    return (struct gle_words){words.v[0], words.v[1], words.v[2], words.v[3]};
}

/* By Box and Muller, from a uniform number in single precision. */
double library_normal(uint64_t seed, uint64_t step, uint32_t field, uint32_t row, uint32_t neuron)
{
    const double pi = acos(-1.0);
    const struct gle_words w = library_words(
        (struct gle_words){neuron / 4, row, (uint32_t)step, field | (uint32_t)(step >> 32) << 24}, seed);
    const uint32_t how_far = neuron & 2 ? w.z : w.x, where = neuron & 2 ? w.w : w.y;
    const float u = (float)(int32_t)(how_far >> 1) * 0x1p-31f + 0x1p-32f;
    double angle = (double)(int32_t)(where & ~3u) * ldexp(pi / 4, -31);

    if (where & 1) /* as far from the diagonal, on the other side */
        angle = pi / 2 - angle;
    if (where & 2)
        angle += pi;
    return sqrt(-2.0 * log((double)u)) * (neuron & 1 ? sin(angle) : cos(angle));
}
