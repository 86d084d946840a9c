/* Every row of the table of links against plain loops in double precision, for every instruction set of this
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

#include <math.h>

enum { TRIALS = 150, ROWS_MAX = 150 };

/* --- the double loops --- */

/* Number i of W in memory. */
static float *entry(float *w, const struct gle_link_plan *p, size_t i)
{
    return w + i / p->cols * gle_padded(p->cols) + i % p->cols;
}

struct trial {
    const struct gle_link_plan *plan;
    struct gle_link_call call;
    struct rows x, e, s, x_bar, w, grad;
    float *aid, *room;
    float alpha;
    size_t *which;
};

static void follow(struct trial *t)
{
    if (t->plan->link->follow)
        for (size_t first = 0, n; first < t->plan->parts; first += n) {
            n = 16 * (1 + below(3));
            n = n < t->plan->parts - first ? n : t->plan->parts - first;
            t->plan->link->follow(t->aid, t->plan, t->call.kernels, t->w.v, first, n);
        }
}

static struct trial trial_make(const struct gle_link_plan *plan, enum gle_isa isa, size_t n_rows)
{
    const size_t n = gle_shape_count(&plan->target), n_in = gle_shape_count(&plan->pooled);
    struct trial t = {.plan = plan, .alpha = -1.0f / (float)n_rows};

    t.x = rows_make(n_rows, n_in);
    t.e = rows_make(n_rows, n);
    t.s = rows_empty(n_rows, n);
    t.x_bar = rows_empty(n_rows, n_in);
    t.w = rows_of(plan->rows, plan->cols, gle_padded(plan->cols));
    t.grad = like(&t.w);
    empty(&t.grad);
    for (size_t b = 0; b < plan->rows; b++) /* as a net has it */
        for (size_t i = plan->cols; i < t.w.ld; i++)
            t.w.v[b * t.w.ld + i] = 0.0f;
    t.aid = gle_floats(plan->aid_rows * gle_padded(plan->aid_cols) + GLE_SLACK);
    /* no float more than the plan asks for */
    assert_false(posix_memalign((void **)&t.room, 64, (plan->room + !plan->room) * sizeof(float)));
    for (size_t i = 0; i < plan->room; i++)
        t.room[i] = NAN;
    t.call = (struct gle_link_call){.plan = plan, .kernels = gle_kernels(isa), .weight = t.w.v,
                                    .aid = plan->aid_rows ? t.aid : NULL, .room = t.room};
    follow(&t);
    t.which = link_matrix(plan);
    return t;
}

static void trial_clear(struct trial *t)
{
    gle_free(t->x.v);
    gle_free(t->e.v);
    gle_free(t->s.v);
    gle_free(t->x_bar.v);
    gle_free(t->w.v);
    gle_free(t->grad.v);
    gle_free(t->aid);
    free(t->room);
    free(t->which);
}

static void run_all(struct trial *t)
{
    const struct gle_link *l = t->plan->link;

    l->forward(&t->call, t->s.v, t->s.ld, t->x.v, t->x.ld, t->x.n_rows);
    l->back(&t->call, t->x_bar.v, t->x_bar.ld, t->e.v, t->e.ld, t->e.n_rows);
    l->gradient(&t->call, t->grad.v, t->e.v, t->e.ld, t->x.v, t->x.ld, t->x.n_rows, t->alpha, 0, t->plan->parts);
}

static void check_values(struct trial *t, const char *link)
{
    const size_t n = t->e.n, n_in = t->x.n, n_w = t->plan->rows * t->plan->cols;
    double *grad = calloc(n_w, sizeof *grad), *size = calloc(n_w, sizeof *size);

    for (size_t b = 0; b < t->x.n_rows; b++) {
        const float *x = t->x.v + b * t->x.ld, *e = t->e.v + b * t->e.ld;
        double *back = calloc(n_in, sizeof *back), *sizes = calloc(n_in, sizeof *sizes);
        for (size_t i = 0; i < n; i++) {
            double s = 0.0, sum = 0.0;
            for (size_t j = 0; j < n_in; j++)
                if (t->which[i * n_in + j]) {
                    const size_t k = t->which[i * n_in + j] - 1;
                    const double w = (double)*entry(t->w.v, t->plan, k);
                    s += w * (double)x[j];
                    sum += fabs(w * (double)x[j]);
                    back[j] += w * (double)e[i];
                    sizes[j] += fabs(w * (double)e[i]);
                    grad[k] += (double)e[i] * (double)x[j];
                    size[k] += fabs((double)e[i] * (double)x[j]);
                }
            check_close("forward", link, (double)t->s.v[b * t->s.ld + i], s, sum);
        }
        for (size_t j = 0; j < n_in; j++)
            check_close("back", link, (double)t->x_bar.v[b * t->x_bar.ld + j], back[j], sizes[j]);
        free(back);
        free(sizes);
    }
    for (size_t k = 0; k < n_w; k++)
        check_close("gradient", link, (double)*entry(t->grad.v, t->plan, k), (double)t->alpha * grad[k],
                    fabs((double)t->alpha) * size[k]);
    free(grad);
    free(size);
}

/* <e, W x> = <W^T e, x> = <gradient, W> / alpha */
static void check_transposes(struct trial *t, const char *link)
{
    double forward = 0.0, back = 0.0, gradient = 0.0, size = 0.0;

    for (size_t b = 0; b < t->x.n_rows; b++) {
        for (size_t i = 0; i < t->e.n; i++) {
            const double x = (double)t->e.v[b * t->e.ld + i] * (double)t->s.v[b * t->s.ld + i];
            forward += x;
            size += fabs(x);
        }
        for (size_t j = 0; j < t->x.n; j++)
            back += (double)t->x_bar.v[b * t->x_bar.ld + j] * (double)t->x.v[b * t->x.ld + j];
    }
    for (size_t k = 0; k < t->plan->rows * t->plan->cols; k++)
        gradient += (double)*entry(t->grad.v, t->plan, k) * (double)*entry(t->w.v, t->plan, k);
    check_close("<W^T e, x>", link, back, forward, size);
    check_close("<gradient, W>", link, gradient / (double)t->alpha, forward, size);
}

/* Some parts of the gradient, found alone, have the same bits as in the whole, and nothing is written around them. */
static void check_parts(struct trial *t, const char *what, size_t first, size_t n)
{
    enum { GUARD = 64 };
    const size_t size = gle_padded(n * t->plan->part);
    float *grad = gle_floats(GUARD + size + GUARD);

    assert_non_null(grad);
    for (size_t i = 0; i < GUARD + size + GUARD; i++)
        grad[i] = NAN;
    t->plan->link->gradient(&t->call, grad + GUARD, t->e.v, t->e.ld, t->x.v, t->x.ld, t->x.n_rows, t->alpha, first, n);
    if (memcmp(grad + GUARD, t->grad.v + first * t->plan->part, size * sizeof *grad))
        fail_msg("%s: the gradient of %zu parts from %zu on is another one alone", what, n, first);
    for (size_t i = 0; i < GUARD; i++)
        if (!isnan(grad[i]) || !isnan(grad[GUARD + size + i]))
            fail_msg("%s: writes around %zu parts from %zu on", what, n, first);
    gle_free(grad);
}

/* The same bits when rows and W are cut anywhere. */
static void check_cuts(struct trial *t, const char *what)
{
    const struct gle_link *l = t->plan->link;
    struct rows s = rows_empty(t->s.n_rows, t->s.n), x_bar = rows_empty(t->x.n_rows, t->x.n);

    if (l->rows_apart && !l->rows_apart(t->plan, t->call.kernels)) {
        print_message("%s: depends on cuts\n", what);
    } else {
        for (size_t b = 0, n; b < t->x.n_rows; b += n) {
            n = 1 + below(20);
            n = n < t->x.n_rows - b ? n : t->x.n_rows - b;
            l->forward(&t->call, s.v + b * s.ld, s.ld, t->x.v + b * t->x.ld, t->x.ld, n);
            l->back(&t->call, x_bar.v + b * x_bar.ld, x_bar.ld, t->e.v + b * t->e.ld, t->e.ld, n);
        }
        for (size_t first = 0, n; first < t->plan->parts; first += n) {
            n = 16 * (1 + below(3));
            n = n < t->plan->parts - first ? n : t->plan->parts - first;
            check_parts(t, what, first, n);
        }
        for (size_t b = 0; b < s.n_rows; b++) {
            if (memcmp(s.v + b * s.ld, t->s.v + b * t->s.ld, s.n * sizeof *s.v))
                fail_msg("%s: row %zu of s depends on the number of rows", what, b);
            if (memcmp(x_bar.v + b * x_bar.ld, t->x_bar.v + b * t->x_bar.ld, x_bar.n * sizeof *x_bar.v))
                fail_msg("%s: row %zu of x_bar depends on the number of rows", what, b);
        }
        check_padding(what, &s);
        check_padding(what, &x_bar);
    }
    gle_free(s.v);
    gle_free(x_bar.v);
}

static void check_link(const char *text, const struct gle_link_plan *plan)
{
    const size_t n_rows = 1 + below(below(4) || gle_shape_count(&plan->target) > 500 ? 12 : ROWS_MAX);

    for (int isa = 0; isa <= (int)gle_isa_best(); isa++) {
        struct trial t = trial_make(plan, (enum gle_isa)isa, n_rows);
        char what[512];
        snprintf(what, sizeof what, "%s of %zu x %zu x %zu, %zu rows, %s", text, plan->pooled.channels,
                 plan->pooled.size[0], plan->pooled.size[1], n_rows, gle_isa_name((enum gle_isa)isa));
        run_all(&t);
        check_values(&t, what);
        check_transposes(&t, what);
        check_padding(what, &t.s);
        check_padding(what, &t.x_bar);
        check_padding(what, &t.grad);
        check_cuts(&t, what);
        trial_clear(&t);
    }
}

/* --- random links --- */

/* Settings that fit a grid; false: this grid takes no such link. */
static bool random_settings(char *text, size_t size, const char *name, const struct gle_shape *source)
{
    char kernel[64] = "", stride[64] = "", padding[64] = "";
    size_t k[2], p[2];

    if (!strcmp(name, "sparse"))
        return snprintf(text, size, "{type: sparse, probability: %g}", below(3) ? 0.2 : 1.0) > 0;
    if (strcmp(name, "conv"))
        return snprintf(text, size, "%s", name) > 0;
    if (!source->dims)
        return false;
    for (size_t d = 0; d < 2; d++) {
        k[d] = 1 + below(below(2) ? 5 : (uint32_t)source->size[d]);
        p[d] = below((uint32_t)k[d]);
        if (k[d] > source->size[d] + 2 * p[d])
            k[d] = source->size[d], p[d] = 0;
    }
    if (source->dims == 1) {
        snprintf(kernel, sizeof kernel, "%zu", k[1]);
        snprintf(padding, sizeof padding, "%zu", p[1]);
        snprintf(stride, sizeof stride, "%u", 1 + below(3));
    } else {
        snprintf(kernel, sizeof kernel, "[%zu, %zu]", k[0], k[1]);
        snprintf(padding, sizeof padding, "[%zu, %zu]", p[0], p[1]);
        snprintf(stride, sizeof stride, "[%u, %u]", 1 + below(3), 1 + below(below(2) ? 1 : 3));
    }
    return snprintf(text, size, "{type: conv, kernel: %s, stride: %s, padding: %s}", kernel, stride, padding) > 0;
}

static void every_link_matches_the_double_loop(void **state)
{
    (void)state;
    noise_state = 1;
    for (const struct gle_link *l = gle_links; l->row.name; l++)
        for (size_t i = 0; i < TRIALS; i++) {
            const size_t dims = below(3);
            struct gle_shape source = random_grid(dims, dims == 2 ? 13 : 90), target = {.channels = 1 + below(60)};
            struct gle_error err = {.code = GLE_OK};
            struct made m;
            char text[256];
            target.size[0] = target.size[1] = 1;
            if (!strcmp(l->row.name, "one_to_one"))
                target.channels = gle_shape_count(&source);
            if (!random_settings(text, sizeof text, l->row.name, &source))
                continue;
            if (make(&m, text, &source, &target, i, "hidden", &err))
                fail_msg("%s: %s", text, err.text);
            check_link(text, &m.plan);
            unmake(&m);
        }
}


/* Shapes that go through in several pieces, or in the widest ones. */
static void large_convolutions_match_the_double_loop(void **state)
{
    static const struct {
        const char *settings;
        struct gle_shape source;
        size_t channels;
    } cases[] = {
        {"{type: conv, kernel: 5}", {.channels = 1, .dims = 2, .size = {28, 28}}, 3},
        {"{type: conv, kernel: 5, padding: 4}", {.channels = 2, .dims = 2, .size = {21, 24}}, 2},
        {"{type: conv, kernel: 5}", {.channels = 60, .dims = 2, .size = {6, 7}}, 18},
        {"{type: conv, kernel: 300}", {.channels = 1, .dims = 1, .size = {1, 740}}, 2},
        {"{type: conv, kernel: 1}", {.channels = 130, .dims = 2, .size = {3, 3}}, 40},
        {"{type: conv, kernel: [6, 1], stride: [1, 7]}", {.channels = 3, .dims = 2, .size = {20, 120}}, 5},
        {"{type: conv, kernel: 64, stride: 3, padding: 63}", {.channels = 3, .dims = 1, .size = {1, 80}}, 33},
    };

    (void)state;
    noise_state = 4;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct gle_shape target = {.channels = cases[i].channels, .size = {1, 1}};
        struct gle_error err = {.code = GLE_OK};
        struct made m;
        if (make(&m, cases[i].settings, &cases[i].source, &target, i, "hidden", &err))
            fail_msg("%s: %s", cases[i].settings, err.text);
        check_link(cases[i].settings, &m.plan);
        unmake(&m);
    }
}

static void dense_makes_the_calls_of_a_product(void **state)
{
    const struct gle_shape source = {.channels = 37, .size = {1, 1}}, target = {.channels = 53, .size = {1, 1}};
    struct gle_error err = {.code = GLE_OK};
    struct made m;

    (void)state;
    noise_state = 2;
    assert_false(make(&m, "dense", &source, &target, 1, "hidden", &err));
    for (int isa = 0; isa <= (int)gle_isa_best(); isa++) {
        struct trial t = trial_make(&m.plan, (enum gle_isa)isa, 19);
        struct rows s = rows_empty(19, 53), x_bar = rows_empty(19, 37), grad = rows_empty(53, 37);
        float *transposed = gle_floats(37 * gle_padded(53) + GLE_SLACK);
        run_all(&t);
        t.call.kernels->transpose(transposed, gle_padded(53), t.w.v, t.w.ld, 53, 37);
        gle_product(t.call.kernels, s.v, s.ld, t.x.v, t.x.ld, 1, transposed, gle_padded(53), 19, 53, 37, 1.0f);
        gle_product(t.call.kernels, x_bar.v, x_bar.ld, t.e.v, t.e.ld, 1, t.w.v, t.w.ld, 19, 37, 53, 1.0f);
        gle_product(t.call.kernels, grad.v, grad.ld, t.e.v, 1, t.e.ld, t.x.v, t.x.ld, 53, 37, 19, t.alpha);
        for (size_t b = 0; b < 19; b++) {
            assert_memory_equal(s.v + b * s.ld, t.s.v + b * t.s.ld, 53 * sizeof(float));
            assert_memory_equal(x_bar.v + b * x_bar.ld, t.x_bar.v + b * t.x_bar.ld, 37 * sizeof(float));
        }
        for (size_t i = 0; i < 53; i++)
            assert_memory_equal(grad.v + i * grad.ld, t.grad.v + i * t.grad.ld, 37 * sizeof(float));
        gle_free(s.v);
        gle_free(x_bar.v);
        gle_free(grad.v);
        gle_free(transposed);
        trial_clear(&t);
    }
    unmake(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_link_matches_the_double_loop),
        cmocka_unit_test(large_convolutions_match_the_double_loop),
        cmocka_unit_test(dense_makes_the_calls_of_a_product),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
