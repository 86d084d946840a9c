#include "bench_link.h"
#include "base/clock.h"
#include "base/memory.h"
#include "bench_product.h"
#include "parts/link.h"
#include "yaml/key.h"

#include <math.h>
#include <string.h>

const char *const link_calls[LINK_CALLS] = {"forward", "back", "gradient", "pool", "pool_back"};

static const struct link_row cases[] = {
    /* the layers of a convolutional network on images of 28 x 28 */
    {.settings = "{type: conv, kernel: 5}", .channels = 1, .dims = 2, .size = {28, 28}, .neurons = 20, .batch = 128},
    {.settings = "{type: conv, kernel: 5, pool: {type: max, size: 2}}", .channels = 20, .dims = 2, .size = {24, 24},
     .neurons = 50, .batch = 128},
    {.settings = "{type: dense, pool: {type: max, size: 2}}", .channels = 50, .dims = 2, .size = {8, 8},
     .neurons = 500, .batch = 128},
    /* a deeper one, with padding, and one along a line */
    {.settings = "{type: conv, kernel: 3, padding: 1}", .channels = 64, .dims = 2, .size = {16, 16}, .neurons = 64,
     .batch = 32},
    {.settings = "{type: conv, kernel: 9, stride: 2, padding: 4}", .channels = 32, .dims = 1, .size = {1, 128},
     .neurons = 64, .batch = 64},
    /* the same neurons, linked more and more densely */
    {.settings = "{type: sparse, probability: 0.01}", .channels = 750, .size = {1, 1}, .neurons = 750, .batch = 100},
    {.settings = "{type: sparse, probability: 0.03}", .channels = 750, .size = {1, 1}, .neurons = 750, .batch = 100},
    {.settings = "{type: sparse, probability: 0.1}", .channels = 750, .size = {1, 1}, .neurons = 750, .batch = 100},
    {.settings = "dense", .channels = 750, .size = {1, 1}, .neurons = 750, .batch = 100},
    {.settings = "one_to_one", .channels = 750, .size = {1, 1}, .neurons = 750, .batch = 100},
};
enum { CASES = sizeof cases / sizeof *cases };

/* A link with all arrays that its calls take. */
struct bench_link {
    struct gle_doc *doc;
    struct gle_part part;
    struct gle_link_plan plan;
    struct gle_link_call call;
    size_t batch, ld_whole, ld_in, ld;
    float *whole, *x, *s, *e, *x_bar, *whole_bar, *weight, *aid, *grad, *room;
};

static void decode(struct bench_link *b, const char *settings)
{
    static const struct gle_key keys[] = {
        GLE_KEY_PART(struct bench_link, part, NULL, &gle_link_table, "the link"), GLE_KEY_END};
    struct gle_errors errs = {.n = 0};
    char text[256] = "part: ";

    strncat(text, settings, sizeof text - 10);
    if (gle_doc_parse(&b->doc, text, strlen(text), "bench", &errs) || gle_decode(b, keys, b->doc, b->doc->root, &errs))
        stop_on(&errs.item[0]);
}

static void prepare(struct bench_link *b, struct link_row *row)
{
    const struct gle_shape source = {
        .channels = row->channels, .dims = row->dims, .size = {row->size[0], row->size[1]}};
    const struct gle_shape target = {.channels = row->neurons, .size = {1, 1}};
    const struct gle_link_plan *p = &b->plan;
    struct gle_error err = {.code = GLE_OK};
    size_t size;

    decode(b, row->settings);
    if (gle_link_plan_make(&b->plan, (const struct gle_link *)b->part.row, b->part.params, &source, &target, 1, "bench",
                           &err))
        stop_on(&err);
    b->batch = row->batch;
    b->ld_whole = gle_padded(gle_shape_count(&p->source));
    b->ld_in = gle_padded(gle_shape_count(&p->pooled));
    b->ld = gle_padded(gle_shape_count(&p->target));
    b->whole = noise(b->batch * b->ld_whole);
    b->whole_bar = noise(b->batch * b->ld_whole);
    b->x = noise(b->batch * b->ld_in);
    b->x_bar = noise(b->batch * b->ld_in);
    b->s = noise(b->batch * b->ld);
    b->e = noise(b->batch * b->ld);
    size = p->rows * gle_padded(p->cols);
    b->weight = noise(size);
    b->grad = noise(size);
    b->room = noise(p->room);
    b->aid = noise(p->aid_rows * gle_padded(p->aid_cols));
    b->call = (struct gle_link_call){.plan = p, .kernels = gle_kernels(gle_isa_best()), .weight = b->weight,
                                     .aid = p->aid_rows ? b->aid : NULL, .room = b->room};
    if (p->link->follow)
        p->link->follow(b->aid, p, b->call.kernels, b->weight, 0, p->parts);
    row->flops = p->link->flops(p) * (double)b->batch;
}

static void clear(struct bench_link *b)
{
    float *const arrays[] = {b->whole, b->x,      b->s,   b->e,    b->x_bar,
                             b->whole_bar, b->weight, b->aid, b->grad, b->room};

    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
        gle_free(arrays[i]);
    gle_link_plan_clear(&b->plan);
    gle_doc_destroy(b->doc);
}

static void call_once(const struct bench_link *b, enum link_call which)
{
    const struct gle_link_plan *p = &b->plan;
    const struct gle_kernels *k = b->call.kernels;

    switch (which) {
    case LINK_FORWARD: p->link->forward(&b->call, b->s, b->ld, b->x, b->ld_in, b->batch); break;
    case LINK_BACK: p->link->back(&b->call, b->x_bar, b->ld_in, b->e, b->ld, b->batch); break;
    case LINK_GRADIENT:
        p->link->gradient(&b->call, b->grad, b->e, b->ld, b->x, b->ld_in, b->batch, -1.0f, 0, p->parts);
        break;
    case LINK_POOL: p->pooling->forward(p, k, b->x, b->ld_in, b->whole, b->whole, b->ld_whole, b->batch); break;
    default: p->pooling->back(p, k, b->whole_bar, b->ld_whole, b->x, b->ld_in, b->whole, b->batch); break;
    }
}

static double time_call(const struct bench_link *b, enum link_call which, size_t count)
{
    const double start = gle_clock();

    for (size_t i = 0; i < count; i++)
        call_once(b, which);
    return (gle_clock() - start) / (double)count;
}

static void measure_link(struct link_row *row, size_t repeats)
{
    static const double AT_LEAST = 2e-3; /* seconds, some thousand times what reading the clock takes */
    struct bench_link b = {.batch = 0};
    enum link_call n_calls;
    size_t count[LINK_CALLS];

    prepare(&b, row);
    n_calls = b.plan.pooling ? LINK_CALLS : LINK_POOL;
    for (enum link_call c = 0; c < LINK_CALLS; c++)
        row->seconds[c] = c < n_calls ? INFINITY : NAN;
    for (enum link_call c = 0; c < n_calls; c++) {
        time_call(&b, c, 1);
        count[c] = 1 + (size_t)(AT_LEAST / time_call(&b, c, 1));
    }
    for (size_t i = 0; i < repeats; i++)
        for (enum link_call c = 0; c < n_calls; c++)
            row->seconds[c] = fmin(row->seconds[c], time_call(&b, c, count[c]));
    clear(&b);
}

struct link_row *measure_links(size_t *n, size_t repeats)
{
    struct link_row *rows = gle_calloc(CASES, sizeof *rows);

    if (!rows)
        stop("no memory");
    for (*n = 0; *n < CASES; ++*n) {
        rows[*n] = cases[*n];
        say(rows[*n].settings);
        measure_link(&rows[*n], repeats);
    }
    return rows;
}
