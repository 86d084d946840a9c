#include "links.h"
#include "base/memory.h"
#include "yaml/key.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>

/* --- numbers --- */

uint32_t noise_state;

uint32_t below(uint32_t n)
{
    noise_state = noise_state * 1664525u + 1013904223u;
    return (uint32_t)((uint64_t)n * (noise_state >> 8) >> 24);
}

/* In (-1, 1), few enough different ones that equal ones meet in a window. */
static float number(void)
{
    return ((float)below(4001) - 2000.0f) / 2001.0f;
}

struct rows rows_of(size_t n_rows, size_t n, size_t ld)
{
    struct rows r = {.n = n, .ld = ld, .n_rows = n_rows};

    r.v = gle_floats(n_rows * r.ld + GLE_SLACK);
    assert_non_null(r.v);
    for (size_t i = 0; i < n_rows * r.ld + GLE_SLACK; i++)
        r.v[i] = NAN;
    for (size_t b = 0; b < n_rows; b++)
        for (size_t i = 0; i < n; i++)
            r.v[b * r.ld + i] = number();
    return r;
}

struct rows rows_make(size_t n_rows, size_t n)
{
    return rows_of(n_rows, n, gle_padded(n) + 8 * below(2));
}

struct rows like(const struct rows *r)
{
    return rows_of(r->n_rows, r->n, r->ld);
}

void empty(struct rows *r)
{
    for (size_t i = 0; i < r->n_rows * r->ld; i++)
        r->v[i] = NAN;
}

struct rows rows_empty(size_t n_rows, size_t n)
{
    struct rows r = rows_make(n_rows, n);

    empty(&r);
    return r;
}

void check_padding(const char *what, const struct rows *r)
{
    for (size_t b = 0; b < r->n_rows; b++)
        for (size_t i = r->n; i < r->ld; i++)
            if (i < gle_padded(r->n) ? r->v[b * r->ld + i] != 0.0f : !isnan(r->v[b * r->ld + i]))
                fail_msg("%s: float %zu of row %zu, beyond %zu, is %g", what, i, b, r->n, (double)r->v[b * r->ld + i]);
    for (size_t i = 0; i < GLE_SLACK; i++)
        assert_true(isnan(r->v[r->n_rows * r->ld + i]));
}

/* --- plans --- */

int decode(struct made *m, const char *text, struct gle_errors *errs)
{
    static const struct gle_key keys[] = {
        GLE_KEY_PART(struct made, part, NULL, &gle_link_table, "the link"), GLE_KEY_END};

    memset(m, 0, sizeof *m);
    snprintf(m->text, sizeof m->text, "part: %s", text);
    if (gle_doc_parse(&m->doc, m->text, strlen(m->text), "test.yaml", errs))
        return -1;
    return gle_decode(m, keys, m->doc, m->doc->root, errs);
}

int make(struct made *m, const char *text, const struct gle_shape *source, const struct gle_shape *target,
                uint64_t seed, const char *label, struct gle_error *err)
{
    struct gle_errors errs = {.n = 0};

    if (decode(m, text, &errs))
        fail_msg("%s: %s", text, errs.item[0].text);
    return gle_link_plan_make(&m->plan, (const struct gle_link *)m->part.row, m->part.params, source, target, seed,
                              label, err);
}

void unmake(struct made *m)
{
    gle_link_plan_clear(&m->plan);
    gle_doc_destroy(m->doc);
}

struct gle_shape random_grid(size_t dims, size_t most)
{
    struct gle_shape s = {.channels = 1 + below(6), .dims = dims, .size = {1, 1}};

    if (dims == 2)
        s.size[0] = 1 + below((uint32_t)most);
    if (dims)
        s.size[1] = 1 + below((uint32_t)most);
    else
        s.channels = 1 + below(70);
    return s;
}

void check_close(const char *what, const char *link, double got, double want, double sum)
{
    if (!(fabs(got - want) <= 4e-6 * (sum + 1e-3)))
        fail_msg("%s of %s is %.9g, not %.9g", what, link, got, want);
}

/* --- links as whole matrices --- */

/* A row of the table of links has a row here. */
struct formula {
    const char *name;
    void (*fill)(size_t *which, const struct gle_link_plan *p, size_t n, size_t n_in);
};

static void fill_dense(size_t *which, const struct gle_link_plan *p, size_t n, size_t n_in)
{
    (void)p;
    for (size_t i = 0; i < n * n_in; i++)
        which[i] = i + 1;
}

static void fill_one_to_one(size_t *which, const struct gle_link_plan *p, size_t n, size_t n_in)
{
    (void)p;
    for (size_t i = 0; i < n; i++)
        which[i * n_in + i] = i + 1;
}

static void fill_sparse(size_t *which, const struct gle_link_plan *p, size_t n, size_t n_in)
{
    for (size_t i = 0; i < n; i++)
        for (uint64_t k = p->starts[i]; k < p->starts[i + 1]; k++)
            which[i * n_in + p->columns[k]] = k + 1;
}

static void fill_conv(size_t *which, const struct gle_link_plan *p, size_t n, size_t n_in)
{
    const struct gle_conv *c = &p->conv;
    const size_t places = c->out[0] * c->out[1], taps = c->kernel[0] * c->kernel[1], plane = c->size[0] * c->size[1];

    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < p->cols; k++) {
            const size_t place = i % places, tap = k % taps;
            const size_t y = place / c->out[1] * c->stride[0] + tap / c->kernel[1] - c->padding[0];
            const size_t x = place % c->out[1] * c->stride[1] + tap % c->kernel[1] - c->padding[1];
            if (y < c->size[0] && x < c->size[1]) /* below zero they are huge */
                which[i * n_in + k / taps * plane + y * c->size[1] + x] = i / places * p->cols + k + 1;
        }
}

static const struct formula formulas[] = {
    {"dense", fill_dense}, {"one_to_one", fill_one_to_one}, {"sparse", fill_sparse}, {"conv", fill_conv}};

size_t *link_matrix(const struct gle_link_plan *p)
{
    const size_t n = gle_shape_count(&p->target), n_in = gle_shape_count(&p->pooled);
    size_t *which = calloc(n * n_in, sizeof *which), i = 0;

    assert_non_null(which);
    while (i < sizeof formulas / sizeof *formulas && strcmp(formulas[i].name, p->link->row.name))
        i++;
    if (i == sizeof formulas / sizeof *formulas)
        fail_msg("there is no formula of '%s'", p->link->row.name);
    formulas[i].fill(which, p, n, n_in);
    return which;
}
