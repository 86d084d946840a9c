#include "kernel/draw.h"
#include "kernel/kernel.h"
#include "kernel/link_kernels.h"

#include <string.h>

/* Counters that go together, in vectors, whole ones always: so that a number has the same bits wherever it lies. */
enum { TOGETHER = 16 };

static void normals_of(float *restrict out, const uint32_t *restrict quad, const uint32_t *restrict row,
                       const struct gle_draw *draw)
{
    const uint32_t key = (uint32_t)draw->seed, key_high = (uint32_t)(draw->seed >> 32), field = draw->field;
    const uint32_t step = (uint32_t)draw->step, step_high = (uint32_t)(draw->step >> 32);

#pragma omp simd
    for (size_t i = 0; i < TOGETHER; i++) {
        const struct gle_words words =
            gle_philox(gle_draw_counter(4 * quad[i], row[i], step, step_high, field), key, key_high);
        const float near = gle_draw_radius(words.x), far = gle_draw_radius(words.z);
        out[4 * i] = near * gle_draw_direction(words.y, 0);
        out[4 * i + 1] = near * gle_draw_direction(words.y, 1);
        out[4 * i + 2] = far * gle_draw_direction(words.w, 0);
        out[4 * i + 3] = far * gle_draw_direction(words.w, 1);
    }
}

void GLE_ISA_NAME(gle_normals)(float *out, size_t ld, const struct gle_draw *draw, size_t first, size_t B)
{
    const size_t quads = ld / 4, all = B * quads;
    uint32_t quad[TOGETHER] = {0}, row[TOGETHER] = {0};
    float last[4 * TOGETHER];
    size_t q = 0, b = 0;

    for (size_t at = 0; at < all; at += TOGETHER) {
        const size_t n = all - at < TOGETHER ? all - at : TOGETHER;
        for (size_t i = 0; i < n; i++) {
            quad[i] = (uint32_t)q;
            row[i] = (uint32_t)(first + b);
            q = q + 1 < quads ? q + 1 : 0;
            b += q == 0;
        }
        normals_of(n == TOGETHER ? out + 4 * at : last, quad, row, draw);
        if (n < TOGETHER)
            memcpy(out + 4 * at, last, 4 * n * sizeof *out);
    }
}
