/* Every row of the table of poolings against plain loops in double precision, for every instruction set of this
 * processor. */
#include "../support/links.h"
#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { TRIALS = 300 };

/* Of few different numbers, so that many are equal. */
static void coarsen(struct rows *r)
{
    for (size_t b = 0; b < r->n_rows; b++)
        for (size_t i = 0; i < r->n; i++)
            r->v[b * r->ld + i] = (float)below(4) - 2.0f;
}

struct pool_trial {
    const struct gle_link_plan *plan;
    const struct gle_kernels *kernels;
    struct rows values, by, out, e, back;
};

/* One window: neuron `at` of the pooled ones is made of values + corner. */
static void check_window(const struct pool_trial *t, size_t b, size_t at, size_t corner, double *back)
{
    const struct gle_pool *p = &t->plan->pool;
    const bool mean = !strcmp(t->plan->pooling->row.name, "mean");
    const double n = (double)(p->window[0] * p->window[1]), e = (double)t->e.v[b * t->e.ld + at];
    double sum = 0.0;
    size_t best = corner;

    for (size_t i = 0; i < p->window[0]; i++)
        for (size_t j = 0; j < p->window[1]; j++) {
            const size_t place = corner + i * p->size[1] + j;
            sum += (double)t->values.v[b * t->values.ld + place];
            back[place] += mean ? e / n : 0.0;
            if (t->by.v[b * t->by.ld + place] > t->by.v[b * t->by.ld + best])
                best = place;
        }
    if (!mean)
        back[best] += e;
    check_close("pooling", t->plan->pooling->row.name, (double)t->out.v[b * t->out.ld + at],
                mean ? sum / n : (double)t->values.v[b * t->values.ld + best], 1.0);
}

static void check_pool(const struct gle_link_plan *plan, bool by_itself, enum gle_isa isa, size_t n_rows)
{
    const size_t n = gle_shape_count(&plan->source), n_out = gle_shape_count(&plan->pooled);
    struct pool_trial t = {.plan = plan, .kernels = gle_kernels(isa)};
    const struct gle_pool *p = &plan->pool;
    double *back = calloc(n, sizeof *back);

    t.values = rows_make(n_rows, n);
    t.by = like(&t.values);
    coarsen(&t.by);
    if (by_itself)
        memcpy(t.values.v, t.by.v, (n_rows * t.by.ld + GLE_SLACK) * sizeof(float));
    t.out = rows_empty(n_rows, n_out);
    t.e = rows_make(n_rows, n_out);
    t.back = like(&t.values);
    empty(&t.back);
    plan->pooling->forward(plan, t.kernels, t.out.v, t.out.ld, by_itself ? t.by.v : t.values.v, t.by.v, t.by.ld,
                           n_rows);
    plan->pooling->back(plan, t.kernels, t.back.v, t.back.ld, t.e.v, t.e.ld, t.by.v, n_rows);
    for (size_t b = 0; b < n_rows; b++) {
        memset(back, 0, n * sizeof *back);
        for (size_t c = 0, at = 0; c < p->channels; c++)
            for (size_t i = 0; i < p->out[0]; i++)
                for (size_t j = 0; j < p->out[1]; j++, at++)
                    check_window(&t, b, at, (c * p->size[0] + i * p->window[0]) * p->size[1] + j * p->window[1], back);
        for (size_t i = 0; i < n; i++)
            check_close("pooling back", plan->pooling->row.name, (double)t.back.v[b * t.back.ld + i], back[i], 1.0);
    }
    check_padding("pooled", &t.out);
    check_padding("pooled back", &t.back);
    gle_free(t.values.v);
    gle_free(t.by.v);
    gle_free(t.out.v);
    gle_free(t.e.v);
    gle_free(t.back.v);
    free(back);
}

static void every_pooling_matches_the_double_loop(void **state)
{
    const struct gle_shape target = {.channels = 3, .size = {1, 1}};

    (void)state;
    noise_state = 3;
    for (const struct gle_pool_row *row = gle_pools; row->row.name; row++)
        for (size_t i = 0; i < TRIALS; i++) {
            const size_t dims = 1 + below(2);
            const struct gle_shape source = random_grid(dims, 40);
            const size_t h = 1 + below(below(3) ? (uint32_t)source.size[0] : 1), most = below(2) ? 2 : source.size[1];
            const size_t w = 1 + below((uint32_t)(most < source.size[1] ? most : source.size[1]));
            struct gle_error err = {.code = GLE_OK};
            struct made m;
            char text[128];
            if (dims == 1)
                snprintf(text, sizeof text, "{type: dense, pool: {type: %s, size: %zu}}", row->row.name, w);
            else
                snprintf(text, sizeof text, "{type: dense, pool: {type: %s, size: [%zu, %zu]}}", row->row.name, h, w);
            if (make(&m, text, &source, &target, 1, "hidden", &err))
                fail_msg("%s: %s", text, err.text);
            assert_int_equal(m.plan.pooled.size[1], source.size[1] / w);
            assert_int_equal(m.plan.pooled.size[0], source.size[0] / (dims == 1 ? 1 : h));
            for (int isa = 0; isa <= (int)gle_isa_best(); isa++)
                check_pool(&m.plan, below(2), (enum gle_isa)isa, 1 + below(5));
            unmake(&m);
        }
}

static void of_equal_rates_the_first_is_the_maximum(void **state)
{
    const struct gle_shape source = {.channels = 1, .dims = 2, .size = {2, 2}};
    const struct gle_shape target = {.channels = 1, .size = {1, 1}};
    _Alignas(32) float by[24] = {1, 3, 3, 3}, values[24] = {10, 20, 30, 40}, out[8], e[24] = {5}, back[8];
    struct gle_error err = {.code = GLE_OK};
    struct made m;

    (void)state;
    assert_false(make(&m, "{type: dense, pool: {type: max, size: 2}}", &source, &target, 1, "hidden", &err));
    for (int isa = 0; isa <= (int)gle_isa_best(); isa++) {
        m.plan.pooling->forward(&m.plan, gle_kernels((enum gle_isa)isa), out, 8, values, by, 8, 1);
        m.plan.pooling->back(&m.plan, gle_kernels((enum gle_isa)isa), back, 8, e, 8, by, 1);
        assert_true(out[0] == 20.0f);
        assert_true(back[0] == 0.0f && back[1] == 5.0f && back[2] == 0.0f && back[3] == 0.0f);
    }
    unmake(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_pooling_matches_the_double_loop),
        cmocka_unit_test(of_equal_rates_the_first_is_the_maximum),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
