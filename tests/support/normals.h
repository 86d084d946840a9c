/* normals.h - random numbers by counter as Random123 and libm have them, in double precision: what those of
 * kernel/draw.h are held against. */
#ifndef GLE_TESTS_NORMALS_H
#define GLE_TESTS_NORMALS_H

#include "kernel/draw.h"

#include <stdint.h>

/* Philox4x32-10 by Random123. */
struct gle_words library_words(struct gle_words counter, uint64_t seed);

/* The normal number of a neuron in a row of the batch; field: 8 times the population, plus the purpose. */
double library_normal(uint64_t seed, uint64_t step, uint32_t field, uint32_t row, uint32_t neuron);

#endif
