#include "parts/link_sparse.h"
#include "base/memory.h"
#include "base/npz.h"
#include "base/rng.h"

#include <stdio.h>
#include <string.h>

/* --- which synapses there are --- */

/* Synapses as they are found, neuron after neuron. */
struct finder {
    struct gle_link_plan *plan;
    size_t room; /* of plan->columns */
    struct gle_error *err;
};

static int add(struct finder *f, size_t column)
{
    struct gle_link_plan *p = f->plan;

    if (p->n_synapses == f->room) {
        const size_t room = f->room ? f->room + f->room / 2 : 1024;
        uint32_t *columns = gle_resize(p->columns, room, sizeof *columns);
        if (!columns)
            return gle_fail(f->err, GLE_ENOMEM, "no memory for %zu synapses", room);
        p->columns = columns;
        f->room = room;
    }
    p->columns[p->n_synapses++] = (uint32_t)column;
    return 0;
}

/* A generator of its own for each link: that of the run, which weights and the order of samples come from, goes on as
 * if there were none. Seeded with the seed, and with the label's hash (FNV-1a). */
static void seed_from(struct gle_rng *rng, uint64_t seed, const char *label)
{
    uint64_t hash = UINT64_C(14695981039346656037);

    for (const char *c = label; *c; c++)
        hash = (hash ^ (unsigned char)*c) * UINT64_C(1099511628211);
    gle_rng_seed_words(rng, (const uint32_t[]){(uint32_t)seed, (uint32_t)(seed >> 32), (uint32_t)hash,
                                               (uint32_t)(hash >> 32)}, 4);
}

static int draw(struct finder *f, double probability, uint64_t seed, const char *label)
{
    const size_t n = gle_shape_count(&f->plan->target), n_in = gle_shape_count(&f->plan->pooled);
    struct gle_rng rng;

    seed_from(&rng, seed, label);
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < n_in; j++)
            if (gle_numpy_rand(&rng) < probability && add(f, j))
                return -1;
        f->plan->starts[i + 1] = f->plan->n_synapses;
    }
    if (f->plan->n_synapses)
        return 0;
    return gle_fail(f->err, GLE_ESHAPE, "none of the %zu x %zu synapses was drawn with probability %g", n, n_in,
                    probability);
}

static int misfit(const struct finder *f, const char *file, const char *name, const char *wrong)
{
    return gle_fail_in(f->err, GLE_EDATA, file, name,
                       "%s; a matrix (%zu, %zu) of 0 and 1, (neurons, sources), is wanted", wrong,
                       gle_shape_count(&f->plan->target), gle_shape_count(&f->plan->pooled));
}

/* A matrix of 0 and 1. */
static int take_matrix(struct finder *f, const char *file, const char *name, const struct gle_array *a)
{
    const size_t n = gle_shape_count(&f->plan->target), n_in = gle_shape_count(&f->plan->pooled);
    char wrong[64];

    if (a->n_dims != 2)
        return misfit(f, file, name, "is no matrix");
    if (a->shape[0] != n || a->shape[1] != n_in) {
        snprintf(wrong, sizeof wrong, "has shape (%zu, %zu)", a->shape[0], a->shape[1]);
        return misfit(f, file, name, wrong);
    }
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < n_in; j++) {
            const double x = gle_array_real(a, i * n_in + j);
            if (x != 0.0 && x != 1.0) {
                snprintf(wrong, sizeof wrong, "holds %g", x);
                return misfit(f, file, name, wrong);
            }
            if (x == 1.0 && add(f, j))
                return -1;
        }
        f->plan->starts[i + 1] = f->plan->n_synapses;
    }
    return f->plan->n_synapses ? 0 : misfit(f, file, name, "holds no synapse");
}

/* Pairs (neuron, source), as gle_link_synapses() makes them. */
static int take_pairs(struct finder *f, const char *file, const char *name, const struct gle_array *a)
{
    const size_t n = gle_shape_count(&f->plan->target), n_in = gle_shape_count(&f->plan->pooled);
    int64_t last[2] = {0, -1}, pair[2];

    if (a->n_dims != 2 || a->shape[1] != 2 || !a->n)
        return gle_fail_in(f->err, GLE_EDATA, file, name, "is no list of pairs (neuron, source)");
    for (size_t k = 0; k < a->shape[0]; k++) {
        if (gle_array_int(&pair[0], a, 2 * k) || gle_array_int(&pair[1], a, 2 * k + 1))
            return gle_fail_in(f->err, GLE_EDATA, file, name, "row %zu holds no whole numbers", k);
        if (pair[0] < 0 || pair[1] < 0 || (uint64_t)pair[0] >= n || (uint64_t)pair[1] >= n_in)
            return gle_fail_in(f->err, GLE_EDATA, file, name,
                               "row %zu, (%lld, %lld), lies outside of %zu neurons that read %zu", k,
                               (long long)pair[0], (long long)pair[1], n, n_in);
        if (pair[0] < last[0] || (pair[0] == last[0] && pair[1] <= last[1]))
            return gle_fail_in(f->err, GLE_EDATA, file, name, "row %zu, (%lld, %lld), does not come after row %zu", k,
                               (long long)pair[0], (long long)pair[1], k ? k - 1 : 0);
        for (int64_t i = last[0]; i < pair[0]; i++)
            f->plan->starts[i + 1] = f->plan->n_synapses;
        if (add(f, (size_t)pair[1]))
            return -1;
        memcpy(last, pair, sizeof last);
    }
    for (size_t i = (size_t)last[0]; i < n; i++)
        f->plan->starts[i + 1] = f->plan->n_synapses;
    return 0;
}

static bool ends_with(const char *text, const char *end)
{
    const size_t n = strlen(text), m = strlen(end);

    return n >= m && !strcmp(text + n - m, end);
}

static int read_npy(struct finder *f, const char *file)
{
    struct gle_array a = {0};
    int rc = gle_npy_read(&a, file, f->err);

    if (!rc)
        rc = take_matrix(f, file, NULL, &a);
    gle_array_clear(&a);
    return rc;
}

/* The array of an archive that says which synapses there are: those of the label, or one that is called mask, or the
 * only one. NULL: none. */
static const char *find_array(const struct gle_npz *npz, const char *pairs)
{
    if (gle_npz_has(npz, pairs))
        return pairs;
    if (gle_npz_has(npz, "mask"))
        return "mask";
    return gle_npz_count(npz) == 1 ? gle_npz_name(npz, 0) : NULL;
}

static int read_npz(struct finder *f, const char *file, const char *label)
{
    char pairs[256], list[300];
    struct gle_array a = {0};
    struct gle_npz *npz;
    const char *name;
    int rc = -1;

    snprintf(pairs, sizeof pairs, "%s%s", label, GLE_LINK_SYNAPSES);
    if (gle_npz_open(&npz, file, f->err))
        return -1;
    name = find_array(npz, pairs);
    if (!name) {
        gle_npz_list(list, sizeof list, npz);
        gle_fail_in(f->err, GLE_EDATA, file, NULL, "no array '%s' or 'mask': %s", pairs, list);
    } else if (!gle_npz_read(&a, npz, name, f->err)) {
        rc = ends_with(name, GLE_LINK_SYNAPSES) ? take_pairs(f, file, name, &a) : take_matrix(f, file, name, &a);
    }
    gle_array_clear(&a);
    gle_npz_close(npz);
    return rc;
}

static int read_mask(struct finder *f, const char *file, const char *label)
{
    return ends_with(file, GLE_NPY_SUFFIX) ? read_npy(f, file) : read_npz(f, file, label);
}

int gle_sparse_plan(struct gle_link_plan *plan, const void *params, uint64_t seed, const char *label,
                    struct gle_error *err)
{
    const struct gle_sparse_params *p = params;
    const size_t n = gle_shape_count(&plan->target), n_in = gle_shape_count(&plan->pooled);
    struct finder f = {.plan = plan, .err = err};

    if (!(p->probability > 0.0) == !p->mask)
        return gle_fail(err, GLE_ECONFIG, "sparse wants %s of 'probability' and 'mask'", p->mask ? "only one" : "one");
    if (n_in > UINT32_MAX || n > UINT32_MAX)
        return gle_fail(err, GLE_ESHAPE, "sparse can link up to %u neurons", (unsigned)UINT32_MAX);
    plan->starts = gle_calloc(n + 1, sizeof *plan->starts);
    if (!plan->starts)
        return gle_fail(err, GLE_ENOMEM, "no memory for %zu neurons", n);
    if (p->mask ? read_mask(&f, p->mask, label) : draw(&f, p->probability, seed, label))
        return -1;
    gle_link_plan_list(plan, plan->n_synapses);
    plan->fan_in = (plan->n_synapses + n / 2) / n;
    plan->fan_in += !plan->fan_in;
    plan->room = (n + n_in) * GLE_LANES;
    return 0;
}

void gle_link_synapses(const struct gle_link_plan *plan, int64_t *pairs)
{
    const size_t n = gle_shape_count(&plan->target);

    for (size_t i = 0; i < n; i++)
        for (uint64_t k = plan->starts[i]; k < plan->starts[i + 1]; k++) {
            *pairs++ = (int64_t)i;
            *pairs++ = (int64_t)plan->columns[k];
        }
}

bool gle_link_has_synapses(const struct gle_link_plan *plan, const struct gle_array *array)
{
    const size_t n = gle_shape_count(&plan->target);
    int64_t pair[2];

    if (array->n_dims != 2 || array->shape[0] != plan->n_synapses || array->shape[1] != 2)
        return false;
    for (size_t i = 0; i < n; i++)
        for (uint64_t k = plan->starts[i]; k < plan->starts[i + 1]; k++)
            if (gle_array_int(&pair[0], array, 2 * k) || gle_array_int(&pair[1], array, 2 * k + 1) ||
                pair[0] != (int64_t)i || pair[1] != (int64_t)plan->columns[k])
                return false;
    return true;
}

const char *gle_sparse_file(const void *params)
{
    return ((const struct gle_sparse_params *)params)->mask;
}

/* --- the link --- */

enum { WHOLE = 16 }; /* lanes that kernels take together at most */

static size_t lanes_of(size_t rows)
{
    return (rows + WHOLE - 1) / WHOLE * WHOLE;
}

/* Lays up to GLE_LANES samples side by side: out (n, GLE_LANES). */
static void lay(float *out, const float *x, size_t ldx, size_t rows, size_t n, const struct gle_kernels *kernels)
{
    const size_t lanes = lanes_of(rows);

    kernels->transpose(out, GLE_LANES, x, ldx, rows, n);
    for (size_t j = 0; j < n && rows < lanes; j++)
        memset(out + j * GLE_LANES + rows, 0, (lanes - rows) * sizeof *out);
}

static void raise(float *x, size_t ldx, const float *from, size_t rows, size_t n, const struct gle_kernels *kernels)
{
    kernels->transpose(x, ldx, from, GLE_LANES, n, rows);
    for (size_t b = 0; b < rows; b++)
        memset(x + b * ldx + n, 0, (gle_padded(n) - n) * sizeof *x);
}

static size_t rows_at(size_t b, size_t n_rows)
{
    return n_rows - b < GLE_LANES ? n_rows - b : GLE_LANES;
}

void gle_sparse_forward(const struct gle_link_call *call, float *s, size_t ld, const float *x, size_t ldx,
                        size_t n_rows)
{
    const struct gle_link_plan *p = call->plan;
    const size_t n = gle_shape_count(&p->target), n_in = gle_shape_count(&p->pooled);
    float *sources = call->room, *sums = call->room + n_in * GLE_LANES;

    for (size_t b = 0; b < n_rows; b += GLE_LANES) {
        const size_t rows = rows_at(b, n_rows);
        lay(sources, x + b * ldx, ldx, rows, n_in, call->kernels);
        call->kernels->sparse_forward(sums, sources, lanes_of(rows), call->weight, p->starts, p->columns, n);
        raise(s + b * ld, ld, sums, rows, n, call->kernels);
    }
}

void gle_sparse_back(const struct gle_link_call *call, float *x_bar, size_t ldx, const float *e, size_t ld,
                     size_t n_rows)
{
    const struct gle_link_plan *p = call->plan;
    const size_t n = gle_shape_count(&p->target), n_in = gle_shape_count(&p->pooled);
    float *sources = call->room, *errors = call->room + n_in * GLE_LANES;

    for (size_t b = 0; b < n_rows; b += GLE_LANES) {
        const size_t rows = rows_at(b, n_rows);
        lay(errors, e + b * ld, ld, rows, n, call->kernels);
        call->kernels->sparse_back(sources, errors, lanes_of(rows), call->weight, p->starts, p->columns, n, n_in);
        raise(x_bar + b * ldx, ldx, sources, rows, n_in, call->kernels);
    }
}

void gle_sparse_gradient(const struct gle_link_call *call, float *grad, const float *e, size_t ld, const float *x,
                         size_t ldx, size_t n_rows, float alpha, size_t first, size_t n)
{
    const struct gle_link_plan *p = call->plan;
    const size_t neurons = gle_shape_count(&p->target), n_in = gle_shape_count(&p->pooled);
    float *sources = call->room, *errors = call->room + n_in * GLE_LANES;

    for (size_t b = 0; b < n_rows; b += GLE_LANES) {
        const size_t rows = rows_at(b, n_rows);
        lay(sources, x + b * ldx, ldx, rows, n_in, call->kernels);
        lay(errors, e + b * ld, ld, rows, neurons, call->kernels);
        call->kernels->sparse_gradient(grad, errors, sources, lanes_of(rows), p->starts, p->columns, neurons, alpha,
                                       first, n, b > 0);
    }
    memset(grad + n, 0, (gle_padded(first + n) - first - n) * sizeof *grad);
}
