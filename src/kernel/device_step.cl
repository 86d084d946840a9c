/* The step on a device, in three launches: step_populations, send_errors, learn. In each of them a group does one task
 * out of a list, and no group reads what another one of the same launch writes. A further index of groups counts
 * networks of the same shape, whose arrays lie one behind the other. */

/* What a launch is given, and what of it belongs to the network of this group. */
#define NETWORK_ARGUMENTS                                                                                             \
    __global float *params, __global float *grads, __global float *moments_0, __global float *moments_1,              \
        __global float *coefs, __global float *state, __global float *derived, __global float *tape,                  \
        __global const float *inputs, __global const float *targets, __global float *output_sums,                     \
        __global float *losses, __global uint *wild, __global const struct gle_device_population *populations,        \
        projection *projections, __global const uint *lists, __global const struct gle_device_tile *tiles,            \
        __global const struct gle_device_step *steps, __global const struct gle_device_update *updates,               \
        __global float *followed, __global float *squares, __global uint *clipped, struct gle_device_shape shape,     \
        uint at_step
#define NETWORK                                                                                                       \
    network_of(params, grads, moments_0, moments_1, coefs, state, derived, tape, inputs, targets, output_sums, losses, \
               wild, populations, projections, lists, steps, updates, followed, squares, clipped, &shape, at_step)

struct network {
    __global float *params, *grads, *followed, *moments[2], *coefs, *state, *derived, *tape;
    __global const float *input, *target;
    __global float *output_sum, *loss;
    __global uint *wild, *clipped;
    __global float *squares; /* (n_squares), and the share of what the optimizer follows that is left */
    bool follows_clipped;    /* that share is known, and the optimizer steps */
    __global const struct gle_device_population *populations;
    projection *projections;
    __global const uint *lists;
    __global const struct gle_device_step *step;
    __global const struct gle_device_update *updates;
    const struct gle_device_shape *shape;
};

typedef __global const struct gle_device_population population;
typedef __global const struct gle_device_field field;

static inline struct network network_of(__global float *params, __global float *grads, __global float *moments_0,
                                        __global float *moments_1, __global float *coefs, __global float *state,
                                        __global float *derived, __global float *tape, __global const float *inputs,
                                        __global const float *targets, __global float *output_sums,
                                        __global float *losses, __global uint *wild, population *populations,
                                        projection *projections, __global const uint *lists,
                                        __global const struct gle_device_step *steps,
                                        __global const struct gle_device_update *updates, __global float *followed,
                                        __global float *squares, __global uint *clipped,
                                        const struct gle_device_shape *shape, uint at_step)
{
    const size_t net = get_group_id(1), turn = at_step * get_num_groups(1) + net;
    struct network w;

    w.params = params + net * shape->slab_params;
    w.grads = grads + net * shape->slab_params;
    w.followed = followed + net * shape->slab_params;
    w.squares = squares + net * (shape->n_squares + 1);
    w.clipped = clipped + turn;
    w.follows_clipped = false;
    w.moments[0] = moments_0 + net * shape->slab_params;
    w.moments[1] = moments_1 + net * shape->slab_params;
    w.coefs = coefs + net * shape->slab_coefs;
    w.state = state + net * shape->slab_state;
    w.derived = derived + net * shape->slab_derived;
    w.tape = tape + net * shape->slab_tape;
    w.input = inputs + turn * shape->slab_input;
    w.target = targets + turn * shape->slab_target;
    w.output_sum = output_sums + net * shape->slab_target;
    w.loss = losses + turn * shape->max_batch;
    w.wild = wild + turn * shape->n_populations;
    w.populations = populations;
    w.projections = projections;
    w.lists = lists;
    w.step = steps + turn;
    w.updates = updates + turn * shape->n_parameters;
    w.shape = shape;
    return w;
}

/* --- where arrays lie --- */

/* What a step left of a state, `ago` steps before the last one; and where this step puts its own. */
static inline __global float *past_of(const struct network *w, field *f, uint ago)
{
    return w->state + f->place + (w->step->steps + f->copies - ago) % f->copies * f->stride;
}

static inline __global float *new_of(const struct network *w, field *f)
{
    return w->state + f->place + (w->step->steps + 1) % f->copies * f->stride;
}

static inline bool is_there(field *f)
{
    return f->place != GLE_NOWHERE;
}

/* Copy t of a tape. */
static inline __global float *tape_of(const struct network *w, field *f, uint t)
{
    return w->tape + f->place + (size_t)t * w->shape->B * f->stride;
}

static inline bool does(const struct network *w, uint what)
{
    return (w->step->flags & what) != 0;
}

/* The rates that a projection reads in this step, or the input. */
static inline __global const float *rates_of(const struct network *w, projection *c)
{
    if (c->source != GLE_NOWHERE)
        return past_of(w, &w->populations[c->source].r, c->delay - 1);
    return c->delay ? w->state + w->shape->input.place +
                          (w->step->steps + w->shape->input.copies - (c->delay - 1)) % w->shape->input.copies *
                              w->shape->input.stride
                    : w->input;
}

/* --- a tile of a population --- */

struct tile {
    uint M, N, first, across; /* the whole: (rows, neurons), or (channels, rows and places); where the tile begins */
    uint rows, cols;          /* of the tile */
    uint places;              /* 0: of (rows, neurons) */
    uint ld;
};

static inline uint smaller(uint x, uint y)
{
    return x < y ? x : y;
}

static inline struct tile tile_of(population *p, uint B, uint first, uint across)
{
    struct tile t;

    t.M = p->gridded ? p->channels : B;
    t.N = p->gridded ? B * p->grid : p->n;
    t.first = first;
    t.across = across;
    t.rows = smaller(t.M - first, TILE_ROWS);
    t.cols = smaller(t.N - across, TILE_COLS);
    t.places = p->gridded ? p->grid : 0;
    t.ld = p->ld;
    return t;
}

/* Element (row, col) of a tile: its neuron, its row of the batch, and its place in arrays (B, ld). */
static inline uint neuron_of(const struct tile *t, uint row, uint col)
{
    return t->places ? (t->first + row) * t->places + (t->across + col) % t->places : t->across + col;
}
static inline uint sample_of(const struct tile *t, uint row, uint col)
{
    return t->places ? (t->across + col) / t->places : t->first + row;
}
static inline uint place_of(const struct tile *t, uint row, uint col)
{
    return sample_of(t, row, col) * t->ld + neuron_of(t, row, col);
}

/* What a projection brings to a tile of its target, as a product: W x, with x (rows, neurons of the source) pooled by
 * `by`. Returns the depth; 0: it is found number by number. */
CALLED uint input_operands(projection *c, const struct tile *t, __global const float *weights, __global const float *x,
                           __global const float *by, struct operand *a, struct operand *b)
{
    a->c = b->c = c;
    a->by = b->by = by;
    if (c->link == GLE_DEVICE_CONV) {
        a->kind = PLAIN, a->p = weights, a->i = c->weight.ld, a->k = 1;
        b->kind = PATCHES, b->p = x, b->i = c->ld_in, b->k = 0;
        return c->channels * c->kernel_size[0] * c->kernel_size[1];
    }
    a->kind = c->pooling ? POOLED : PLAIN, a->p = x, a->i = c->ld_in, a->k = 1;
    b->kind = PLAIN, b->p = weights, b->i = c->weight.ld, b->k = 1;
    return c->link == GLE_DEVICE_DENSE && !t->places ? c->n_pool : 0;
}

/* The same number by number. */
CALLED void add_inputs(const struct network *w, projection *c, const struct tile *t, uint item, __global float *s,
                       __global const float *weights, __global const float *x, __global const float *by, bool add)
{
    EACH_ELEMENT(row, col, t->rows, t->cols)
    {
        const uint at = place_of(t, row, col), i = neuron_of(t, row, col), first = sample_of(t, row, col) * c->ld_in;
        const float more = forward_at(c, weights, w->lists, x + first, by + first, i);
        s[at] = add ? s[at] + more : more;
    }
}

/* Of the rows of a tile of the output: what its target error needs of each row as a whole. */
static inline void sum_rows(const struct network *w, population *p, const struct tile *t, uint item,
                     __local float (*of_rows)[2])
{
    const uint b = sample_of(t, 0, 0), n = sample_of(t, t->rows - 1, t->cols - 1) - b + 1;

    for (uint row = item; LOSS_NEEDS_ROWS && row < n; row += ITEMS) {
        __global const float *r = past_of(w, &p->r, 0) + (b + row) * p->ld;
        float most = r[0], sum = 0.0f;
        for (uint i = 1; i < p->n; i++)
            most = r[i] > most ? r[i] : most;
        for (uint i = 0; i < p->n; i++)
            sum += exp(r[i] - most);
        of_rows[row][0] = most;
        of_rows[row][1] = 1.0f / sum;
    }
}

/* Elements of a tile that lie in a row in memory, which have neurons in a row: n of them at `at`, from neuron i on. A
 * processor takes as many as there are in a go, so that its loops become vectors; an item of a GPU takes one. */
#if ITEMS == 1
#define EACH_RUN(t, row, col, n)                                                                                       \
    for (uint row = 0; row < (t)->rows; row++)                                                                         \
        for (uint col = 0, n = length_of(t, 0); col < (t)->cols; col += n, n = length_of(t, col))
static inline uint length_of(const struct tile *t, uint col)
{
    return t->places ? smaller(t->cols - col, t->places - (t->across + col) % t->places) : t->cols;
}
#else
#define EACH_RUN(t, row, col, n) \
    EACH_ELEMENT(row, col, (t)->rows, (t)->cols) for (uint n = 1; n; n--)
#endif
#define IS_WILD(x) (!(fabs(x) <= MAXFLOAT))

CALLED void copy_run(uint n, __global float *RESTRICT to, __global const float *RESTRICT from)
{
    for (uint k = 0; k < n; k++)
        to[k] = from[k];
}

CALLED void add_run(uint n, __global float *RESTRICT to, __global const float *RESTRICT more, bool add)
{
    if (!add)
        copy_run(n, to, more);
    for (uint k = 0; add && k < n; k++)
        to[k] += more[k];
}

/* e (+)= the target errors of a row. */
CALLED void add_target_errors(uint n, __global float *RESTRICT e, __global const float *RESTRICT r,
                              __global const float *RESTRICT y, float most, float scale, float parameter, float beta,
                              bool add)
{
    for (uint k = 0; k < n; k++) {
        const float error = beta * TARGET_ERROR(r[k], y[k], most, scale);
        e[k] = add ? e[k] + error : error;
    }
}

/* The errors that came from above to a run; returns whether there are any. */
CALLED bool sum_errors_above(const struct network *w, population *p, uint at, uint n, __global float *e,
                             const __local float *of_row)
{
    bool any = false;

    for (uint j = 0; j < p->n_out; j++) {
        projection *c = &w->projections[w->lists[p->first_out + j]];
        if (!c->sends_error)
            continue;
        add_run(n, e, past_of(w, &c->e_below, 0) + at, any);
        any = true;
    }
    if (!p->is_output)
        return any;
    if (!does(w, GLE_DEVICE_UNASKED))
        add_target_errors(n, e, past_of(w, &p->r, 0) + at, w->target + at, of_row[0], of_row[1],
                          w->shape->loss_parameter, w->step->beta, any);
    else if (!any)
        for (uint k = 0; k < n; k++)
            e[k] = 0.0f;
    return true;
}

/* e from what came from above, which it holds, and the new v. Returns whether something is NaN or infinite. */
CALLED uint step_errors(uint n, bool prospective, __global float *RESTRICT e, __global float *RESTRICT v,
                        __global const float *RESTRICT dr, __global const float *RESTRICT look,
                        __global const float *RESTRICT leak)
{
    uint wild = 0;

    for (uint k = 0; k < n; k++) {
        if (prospective)
            gle_error_prospective(&e[k], &v[k], e[k], dr[k], look[k], leak[k]);
        else
            gle_error_instantaneous(&e[k], &v[k], e[k], dr[k]);
        wild |= IS_WILD(e[k]);
    }
    return wild;
}

CALLED uint step_membranes(uint n, __global float *RESTRICT prosp_u, __global float *RESTRICT u,
                           __global float *RESTRICT s, __global const float *RESTRICT e,
                           __global const float *RESTRICT b, float gamma, __global const float *RESTRICT look,
                        __global const float *RESTRICT leak)
{
    uint wild = 0;

    for (uint k = 0; k < n; k++) {
        gle_membrane(&prosp_u[k], &u[k], &s[k], e[k], b[k], gamma, look[k], leak[k]);
        wild |= IS_WILD(u[k]);
    }
    return wild;
}

static inline struct gle_act_numbers numbers_of(population *p)
{
    struct gle_act_numbers numbers;

    numbers.a = p->act_numbers[0];
    numbers.b = p->act_numbers[1];
    numbers.c = p->act_numbers[2];
    numbers.d = p->act_numbers[3];
    return numbers;
}

/* An activation, of a run; dr is left alone where slopes are not wanted. */
#define GLE_ACTIVATION_RUN(name)                                                                           \
    CALLED void activate_##name(population *of, uint n, __global float *RESTRICT r,                        \
                                __global float *RESTRICT dr, __global const float *RESTRICT u, bool slopes) \
    {                                                                                                      \
        const struct gle_act_numbers p = numbers_of(of);                                                   \
        for (uint k = 0; k < n; k++) {                                                                     \
            const float y = gle_##name##_y(u[k], p), rate = gle_##name(u[k], y, p);                        \
            r[k] = rate;                                                                                   \
            if (slopes)                                                                                    \
                dr[k] = gle_##name##_slope(u[k], y, rate, p);                                              \
        }                                                                                                  \
    }
#define GLE_ACTIVATION_FUNCTION(name) GLE_ACTIVATION_RUN(name)
#define GLE_ACTIVATE(name) GLE_ACTIVATE_OF(name)
#define GLE_ACTIVATE_OF(name) activate_##name(p, n, r, dr, u, slopes)
ACTIVATION_FUNCTIONS

CALLED void activate(population *p, uint n, __global float *r, __global float *dr, __global const float *u, bool slopes)
{
    switch (p->act) {
        ACTIVATIONS
    }
}

/* What a window keeps of a run, after its step; e_above is there already. */
CALLED void tape_run(const struct network *w, population *p, uint at, uint n, __global const float *r)
{
    const uint taped = w->step->taped;

    copy_run(n, tape_of(w, &p->tape_r, taped + p->past) + at, r + at);
    if (is_there(&p->tape_dr))
        copy_run(n, tape_of(w, &p->tape_dr, taped + 1) + at, w->state + p->dr.place + at);
    if (is_there(&p->tape_s))
        copy_run(n, tape_of(w, &p->tape_s, taped) + at, w->derived + p->s.place + at);
    if (!is_there(&p->tape_e_above))
        return;
    copy_run(n, tape_of(w, &p->tape_v, taped + 1) + at, w->state + p->v.place + at);
    copy_run(n, tape_of(w, &p->tape_e, taped) + at, w->derived + p->e.place + at);
    copy_run(n, tape_of(w, &p->tape_prosp_u, taped) + at, w->derived + p->prosp_u.place + at);
}

/* All that a run of neurons of a sample does once its inputs are summed. Returns whether it has gone wild. */
CALLED uint step_run(const struct network *w, population *p, uint at, uint i, uint n, const __local float *of_row)
{
    __global float *e = w->derived + p->e.place + at, *s = w->derived + p->s.place + at;
    __global float *prosp_u = w->derived + p->prosp_u.place + at, *r = new_of(w, &p->r), *dr = w->state + p->dr.place;
    __global const float *b = is_there(&p->b) ? w->coefs + p->b.place : w->params + p->bias.field.place;
    const bool errors = does(w, GLE_DEVICE_ERRORS) && p->needs_error, tapes = does(w, GLE_DEVICE_TAPING);
    const bool any = errors && sum_errors_above(w, p, at, n, e, of_row);
    const bool slopes = w->shape->observed || tapes || errors || does(w, GLE_DEVICE_LEARN);
    uint wild = 0;

    for (uint k = 0; !any && k < n; k++)
        e[k] = 0.0f;
    if (any && is_there(&p->e_above))
        copy_run(n, w->derived + p->e_above.place + at, e);
    if (tapes && is_there(&p->tape_e_above))
        copy_run(n, tape_of(w, &p->tape_e_above, w->step->taped) + at, e);
    for (uint k = 0; errors && is_there(&p->e_inst) && k < n; k++)
        w->derived[p->e_inst.place + at + k] = any ? dr[at + k] * e[k] : 0.0f;
    if (any)
        wild = step_errors(n, w->shape->prospective, e, w->state + p->v.place + at, dr + at,
                           w->coefs + p->look_v.place + i, w->coefs + p->leak_v.place + i);
    wild |= step_membranes(n, prosp_u, w->state + p->u.place + at, s, e, b + i, p->gamma,
                           w->coefs + p->look_u.place + i, w->coefs + p->leak_u.place + i);
    activate(p, n, r + at, dr + at, prosp_u, slopes);
    if (tapes)
        tape_run(w, p, at, n, r);
    return wild;
}

/* The loss of a row, from the output before the step. */
CALLED float loss_of_row(const struct network *w, population *p, __global const float *r, __global const float *y)
{
    const float parameter = w->shape->loss_parameter;
    float loss = 0.0f, most = r[0], sum = 0.0f;

    for (uint i = 0; LOSS_NEEDS_ROWS && i < p->n; i++)
        most = r[i] > most ? r[i] : most;
    for (uint i = 0; LOSS_NEEDS_ROWS && i < p->n; i++)
        sum += exp(r[i] - most);
    for (uint i = 0; i < p->n; i++)
        loss += LOSS_OF(r[i], y[i], most, sum);
    return LOSS_IS_MEAN ? loss / (float)p->n : loss;
}

/* What rows have beside populations: their loss, the sum of their outputs, and what is kept of input and target. */
CALLED void step_row(const struct network *w, uint b)
{
    const struct gle_device_shape *shape = w->shape;
    population *p = &w->populations[shape->output];
    __global const float *r = past_of(w, &p->r, 0) + b * p->ld, *y = w->target + b * p->ld;
    __global const float *x = w->input + b * shape->ld_input;
    const bool asked = !does(w, GLE_DEVICE_UNASKED), tapes = does(w, GLE_DEVICE_TAPING);

    w->loss[b] = asked ? loss_of_row(w, p, r, y) : 0.0f;
    for (uint i = 0; i < p->n; i++) {
        if (asked)
            w->output_sum[b * p->ld + i] += r[i];
        if (tapes)
            w->tape[shape->tape_target.place + (w->step->taped * shape->B + b) * p->ld + i] = y[i];
    }
    for (uint i = 0; i < shape->n_input; i++) {
        if (shape->input_past)
            w->state[shape->input.place + (w->step->steps + 1) % shape->input.copies * shape->input.stride +
                     b * shape->ld_input + i] = x[i];
        if (tapes)
            w->tape[shape->tape_input.place +
                    ((w->step->taped + shape->input_past) * shape->B + b) * shape->ld_input + i] = x[i];
    }
}

__kernel __attribute__((reqd_work_group_size(ITEMS, 1, 1))) void step_populations(NETWORK_ARGUMENTS)
{
    __local float A[TILE_ROWS * TILE_DEPTH], B[TILE_COLS * TILE_DEPTH], of_rows[TILE_ROWS + TILE_COLS][2];
    vector sums[MICROS_EACH][MICRO_ROWS][MICRO_VECTORS];
    const struct gle_device_tile task = tiles[get_group_id(0)];
    const struct network w = NETWORK;
    const uint item = (uint)get_local_id(0);

    const bool is_rows = task.task == GLE_TASK_ROWS;
    population *p = &populations[task.which];
    const struct tile t = tile_of(p, shape.B, task.first, task.across);
    __global float *s = w.derived + p->s.place;
    const struct target to = {s, p->ld, t.places, p->ld};
    const uint n_in = is_rows ? 0 : p->n_in;
    uint is_wild = 0;

    for (uint j = 0; j < n_in; j++) {
        projection *c = &projections[p->first_in + j];
        struct operand a, b;
        __global const float *x = rates_of(&w, c), *weights = w.params + c->weight.field.place;
        const uint depth = input_operands(c, &t, weights, x, x, &a, &b);
        tile_product(item, sums, &a, &b, t.M, t.N, depth, t.first, t.across, A, B);
        if (depth)
            store_tile(item, &to, sums, 1.0f, j > 0, t.M, t.N, t.first, t.across);
        else
            add_inputs(&w, c, &t, item, s, weights, x, x, j > 0);
        barrier(CLK_GLOBAL_MEM_FENCE); /* another item may go on with what this one has stored */
    }
    if (!is_rows && p->is_output)
        sum_rows(&w, p, &t, item, of_rows);
    barrier(CLK_LOCAL_MEM_FENCE);
    if (is_rows)
        for (uint b = task.first + item; b < smaller(task.first + TILE_ROWS, shape.B); b += ITEMS)
            step_row(&w, b);
    else
        EACH_RUN(&t, row, col, n)
            is_wild |= step_run(&w, p, place_of(&t, row, col), neuron_of(&t, row, col), n,
                                of_rows[sample_of(&t, row, col) - sample_of(&t, 0, 0)]);
    if (is_wild)
        w.wild[task.which] = 1;
}

/* --- errors sent back --- */

/* What a projection sends back, W^T e or B^T e, as a product of (M, N): (rows, neurons of the source) or, of
 * convolutions, (channels of the source, rows and places), pooled. Returns the depth; 0: it is found number by number.
 */
CALLED uint back_operands(const struct network *w, projection *c, __global const float *weights,
                          __global const float *e, struct operand *a, struct operand *b)
{
    population *p = &w->populations[c->target];

    a->c = b->c = c;
    a->by = b->by = e;
    if (c->link == GLE_DEVICE_CONV) {
        a->kind = KERNELS_BACK, a->p = weights, a->i = 0, a->k = c->weight.ld;
        b->kind = ERRORS, b->p = e, b->i = p->ld, b->k = 0;
        return c->out_channels * c->kernel_size[0] * c->kernel_size[1];
    }
    a->kind = PLAIN, a->p = e, a->i = p->ld, a->k = 1;
    b->kind = PLAIN, b->p = weights, b->i = 1, b->k = c->weight.ld;
    return c->link == GLE_DEVICE_DENSE ? p->n : 0;
}

/* A tile of errors on its way to a source: `below` (rows, neurons of the source), whose rates x say where maxima of
 * pools are. */
struct sent {
    projection *c;
    __global float *below;
    __global const float *x;
    uint places, M, N, first, across; /* of the tile, as in back_operands() */
};

static inline struct sent sent_of(projection *c, __global float *below, __global const float *x, uint rows, uint first,
                                  uint across)
{
    struct sent s;

    s.c = c;
    s.below = below;
    s.x = x;
    s.places = c->link == GLE_DEVICE_CONV ? c->pooled[0] * c->pooled[1] : 0;
    s.M = s.places ? c->channels : rows;
    s.N = s.places ? rows * s.places : c->n_pool;
    s.first = first;
    s.across = across;
    return s;
}

/* The same number by number, of a link that is no matrix. */
CALLED void send_listed(const struct network *w, const struct sent *s, uint item, __global const float *weights,
                        __global const float *e)
{
    projection *c = s->c;
    const uint ld = w->populations[c->target].ld;

    EACH_ELEMENT(row, col, smaller(s->M - s->first, TILE_ROWS), smaller(s->N - s->across, TILE_COLS))
    {
        const uint sample = s->first + row, k = s->across + col;
        unpool(c, s->below + sample * c->ld_in, s->x + sample * c->ld_in, k,
               back_at(c, weights, w->lists, e + sample * ld, k));
    }
}

/* Puts a tile of errors where their source, before it was pooled, reads them. */
CALLED void unpool_tile(const struct sent *s, uint item, vector (*sums)[MICRO_ROWS][MICRO_VECTORS])
{
    projection *c = s->c;

    for (uint q = 0; q < MICROS_EACH; q++) {
        const uint micro = item + q * ITEMS, row = s->first + micro / MICROS_ACROSS * MICRO_ROWS;
        const uint col = s->across + micro % MICROS_ACROSS * MICRO_COLS;
        if (micro >= MICROS)
            break;
        for (uint r = 0; r < MICRO_ROWS && row + r < s->M; r++)
            for (uint v = 0; v < MICRO_VECTORS; v++) {
                float lanes[VECTOR];
                STORE_VECTOR(sums[q][r][v], lanes);
                for (uint l = 0; l < VECTOR && col + v * VECTOR + l < s->N; l++) {
                    const uint m = row + r, n = col + v * VECTOR + l, sample = s->places ? n / s->places : m;
                    unpool(c, s->below + sample * c->ld_in, s->x + sample * c->ld_in,
                           s->places ? m * s->places + n % s->places : n, lanes[l]);
                }
            }
    }
}

/* Puts it there, pooled or not. */
CALLED void store_sent(const struct sent *s, uint item, vector (*sums)[MICRO_ROWS][MICRO_VECTORS])
{
    const struct target to = {s->below, s->c->ld_in, s->places, s->c->ld_in};

    if (s->c->pooling)
        unpool_tile(s, item, sums);
    else
        store_tile(item, &to, sums, 1.0f, false, s->M, s->N, s->first, s->across);
}

/* The rates of a row of an output that is normalised: log(softmax(prosp_u)). */
CALLED void normalise_row(const struct network *w, population *p, uint b)
{
    __global const float *u = w->derived + p->prosp_u.place + b * p->ld;
    __global float *r = new_of(w, &p->r) + b * p->ld;
    float most = u[0], sum = 0.0f;

    for (uint i = 1; i < p->n; i++)
        most = u[i] > most ? u[i] : most;
    for (uint i = 0; i < p->n; i++)
        sum += exp(u[i] - most);
    sum = log(sum);
    for (uint i = 0; i < p->n; i++) {
        r[i] = (u[i] - most) - sum; /* in this order, large u lose nothing */
        if (does(w, GLE_DEVICE_TAPING))
            tape_of(w, &p->tape_r, w->step->taped + p->past)[b * p->ld + i] = r[i];
    }
}

__kernel __attribute__((reqd_work_group_size(ITEMS, 1, 1))) void send_errors(NETWORK_ARGUMENTS)
{
    __local float A[TILE_ROWS * TILE_DEPTH], B[TILE_COLS * TILE_DEPTH];
    vector sums[MICROS_EACH][MICRO_ROWS][MICRO_VECTORS];
    const struct gle_device_tile task = tiles[get_group_id(0)];
    const struct network w = NETWORK;
    const uint item = (uint)get_local_id(0);

    const bool normalises = task.task == GLE_TASK_NORMALISE, sends = !normalises && does(&w, GLE_DEVICE_ERRORS);
    projection *c = &projections[normalises ? 0 : task.which];
    __global const float *weights = w.params + (c->own_feedback ? c->feedback.field.place : c->weight.field.place);
    __global const float *e = w.derived + populations[c->target].e.place;
    const struct sent sent = sent_of(c, new_of(&w, &c->e_below), rates_of(&w, c), shape.B, task.first, task.across);
    struct operand a, b;
    const uint depth = back_operands(&w, c, weights, e, &a, &b);

    tile_product(item, sums, &a, &b, sent.M, sent.N, sends ? depth : 0, task.first, task.across, A, B);
    if (normalises)
        for (uint row = task.first + item; row < smaller(task.first + TILE_ROWS, shape.B); row += ITEMS)
            normalise_row(&w, &populations[task.which], row);
    else if (sends && depth)
        store_sent(&sent, item, sums);
    else if (sends)
        send_listed(&w, &sent, item, weights, e);
}

/* --- learning --- */

/* The optimizer's step for n numbers of a parameter in a row, along their gradient. */
#define GLE_OPTIMIZER_FUNCTION(name)                                                                        \
    CALLED void update_##name(uint n, __global float *RESTRICT p, __global const float *RESTRICT g,         \
                              __global float *RESTRICT m_0, __global float *RESTRICT m_1,                   \
                              __global const float *RESTRICT c, float low, float high)                      \
    {                                                                                                       \
        for (uint k = 0; k < n; k++)                                                                        \
            p[k] = gle_clipf(optimize_##name(p[k], g[k], &m_0[k], &m_1[k], c), low, high);                  \
    }
#define GLE_OPTIMIZE(name)                                                                                  \
    update_##name(n, w->params + i, (w->shape->follows ? w->followed : w->grads) + i, w->moments[0] + i,   \
                  w->moments[1] + i, w->updates[p->number].c, p->low, p->high)
OPTIMIZER_FUNCTIONS

/* What is gathered of gradients: `to` becomes `share` of the sum of itself, unless `first`, and of those found now. */
CALLED void gather_run(uint n, __global float *to, __global const float *found, bool first, float share)
{
    for (uint k = 0; k < n; k++) {
        const float sum = first ? found[k] : to[k] + found[k];
        to[k] = share * sum;
    }
}

static inline void update(const struct network *w, __global const struct gle_device_parameter *p, uint at, uint n)
{
    const uint i = p->field.place + at;
    const bool first = does(w, GLE_DEVICE_FIRST), spends = does(w, GLE_DEVICE_SPEND);

    if (w->follows_clipped)
        gather_run(n, w->followed + i, w->followed + i, true, w->squares[w->shape->n_squares]);
    else if (w->shape->follows)
        gather_run(n, w->followed + i, w->grads + i, first, spends && !first ? w->shape->share : 1.0f);
    if (!spends || (w->shape->clip > 0.0f && !w->follows_clipped))
        return;
    switch (w->shape->optimizer) {
        OPTIMIZERS
    }
}

/* The gradient of weights as a product of (neurons or channels of the target, numbers of a row). Returns the depth; 0:
 * it is found number by number. */
CALLED uint gradient_operands(const struct network *w, projection *c, __global const float *e,
                              __global const float *x, __global const float *by, uint rows, struct operand *a,
                              struct operand *b)
{
    a->c = b->c = c;
    a->by = b->by = by;
    a->p = e, a->i = 1, a->k = w->populations[c->target].ld;
    b->p = x, b->i = 1, b->k = c->ld_in;
    if (c->link == GLE_DEVICE_CONV) {
        a->kind = ERRORS_ALONG;
        b->kind = PATCHES_ACROSS;
        return rows * c->out[0] * c->out[1];
    }
    a->kind = PLAIN;
    b->kind = c->pooling ? POOLED_ACROSS : PLAIN;
    return c->link == GLE_DEVICE_DENSE ? rows : 0;
}

/* The same of a tile of a list of weights, times alpha; with `add`, added to what is there. */
CALLED void find_listed(const struct network *w, projection *c, uint item, uint across, __global const float *e,
                        __global const float *x, __global const float *by, uint rows, float alpha, bool add)
{
    __global float *grad = w->grads + c->weight.field.place;
    const bool sparse = c->link == GLE_DEVICE_SPARSE;
    const uint ld = w->populations[c->target].ld;

    for (uint at = across + item; at < smaller(across + TILE_COLS, c->weight.cols); at += ITEMS) {
        const uint i = sparse ? w->lists[c->rows + at] : at, k = sparse ? w->lists[c->columns + at] : at;
        float sum = 0.0f;
        for (uint b = 0; b < rows; b++)
            sum = fma(e[b * ld + i], pooled_at(c, x + b * c->ld_in, by + b * c->ld_in, k), sum);
        grad[at] = alpha * sum + (add ? grad[at] : 0.0f);
    }
}

/* The optimizer's step for a tile of weights, or of a list of them. */
CALLED void update_weights(const struct network *w, projection *c, uint item, uint first, uint across)
{
    const uint rows = smaller(c->weight.rows - first, TILE_ROWS), cols = smaller(c->weight.cols - across, TILE_COLS);

#if ITEMS == 1
    for (uint row = 0; row < rows; row++)
        update(w, &c->weight, (first + row) * c->weight.ld + across, cols);
#else
    EACH_ELEMENT(row, col, rows, cols)
        update(w, &c->weight, (first + row) * c->weight.ld + across + col, 1);
#endif
}

/* Gradients of bias i: alpha times the sum of e over rows, and over the neurons that share it. */
CALLED void find_bias(const struct network *w, population *p, uint i, __global const float *e, uint rows, float alpha)
{
    const uint each = p->n / p->bias.cols;
    float sum = 0.0f;

    for (uint b = 0; b < rows; b++)
        for (uint k = 0; k < each; k++)
            sum += e[b * p->ld + i * each + k];
    w->grads[p->bias.field.place + i] = alpha * sum;
}

CALLED void update_bias(const struct network *w, population *p, uint i)
{
    const uint each = p->n / p->bias.cols;

    update(w, &p->bias, i, 1);
    if (is_there(&p->b))
        for (uint k = 0; k < each; k++)
            w->coefs[p->b.place + i * each + k] = w->params[p->bias.field.place + i];
}

/* The sum of x y over rows of neuron i. */
CALLED float sum_products(population *p, uint i, __global const float *x, __global const float *y, uint rows)
{
    float sum = 0.0f;

    for (uint b = 0; b < rows; b++)
        sum = fma(x[b * p->ld + i], y[b * p->ld + i], sum);
    return sum;
}

/* The share of its way that a potential, or an error, goes in a step; rate = dt / tau. */
CALLED float leak_of(const struct network *w, float rate)
{
    return w->shape->exponential ? gle_faded(rate) : rate;
}

/* The steps of the optimizer for the time constants of neuron i that learn, and the coefficients that follow. */
CALLED void update_taus(const struct network *w, population *p, uint i)
{
    if (w->updates[p->tau_m.number].learns)
        update(w, &p->tau_m, i, 1);
    if (w->updates[p->tau_r.number].learns)
        update(w, &p->tau_r, i, 1);
    {
        const float m = w->params[p->tau_m.field.place + i], r = w->params[p->tau_r.field.place + i];
        w->coefs[p->leak_u.place + i] = leak_of(w, w->shape->dt / m);
        w->coefs[p->look_u.place + i] = r / m;
        w->coefs[p->leak_v.place + i] = leak_of(w, w->shape->dt / r);
        w->coefs[p->look_v.place + i] = m / r;
        w->coefs[p->mean.place + i] = 1.0f / ((float)w->shape->B * m);
        if (w->shape->exponential) {
            w->coefs[p->rate_u.place + i] = w->shape->dt / m;
            w->coefs[p->slope_u.place + i] = w->shape->dt / m * gle_fading(w->shape->dt / m);
            w->coefs[p->rate_v.place + i] = w->shape->dt / r;
            w->coefs[p->slope_v.place + i] = w->shape->dt / r * gle_fading(w->shape->dt / r);
        }
    }
}

static inline bool taus_learn(const struct network *w, population *p)
{
    return w->updates[p->tau_m.number].learns || w->updates[p->tau_r.number].learns;
}

CALLED void find_taus(const struct network *w, population *p, uint i)
{
    __global const float *s = w->derived + p->s.place;
    const float mean = w->coefs[p->mean.place + i];

    if (w->updates[p->tau_m.number].learns)
        w->grads[p->tau_m.field.place + i] = mean * sum_products(p, i, w->derived + p->e.place, s, w->shape->B);
    if (w->updates[p->tau_r.number].learns)
        w->grads[p->tau_r.field.place + i] = -mean * sum_products(p, i, w->derived + p->e_inst.place, s, w->shape->B);
}

__kernel __attribute__((reqd_work_group_size(ITEMS, 1, 1))) void learn(NETWORK_ARGUMENTS)
{
    __local float A[TILE_ROWS * TILE_DEPTH], B[TILE_COLS * TILE_DEPTH];
    vector sums[MICROS_EACH][MICRO_ROWS][MICRO_VECTORS];
    const struct gle_device_tile task = tiles[get_group_id(0)];
    const struct network w = NETWORK;
    const uint item = (uint)get_local_id(0);

    const bool is_weight = task.task == GLE_TASK_WEIGHT;
    projection *c = &projections[is_weight ? task.which : 0];
    population *p = &populations[is_weight ? c->target : task.which];
    const bool tame = !w.wild[is_weight ? c->target : task.which];
    const bool learns = is_weight && tame && w.updates[c->weight.number].learns;
    const float alpha = -1.0f / (float)shape.B;
    const struct target to = {w.grads + c->weight.field.place, c->weight.ld, 0, 0};
    __global const float *e = w.derived + p->e.place, *x = rates_of(&w, c);
    struct operand a, b;
    const uint depth = gradient_operands(&w, c, e, x, x, shape.B, &a, &b);

    tile_product(item, sums, &a, &b, c->weight.rows, c->weight.cols, learns ? depth : 0, task.first, task.across, A, B);
    if (learns && depth)
        store_tile(item, &to, sums, alpha, false, c->weight.rows, c->weight.cols, task.first, task.across);
    else if (learns)
        find_listed(&w, c, item, task.across, e, x, x, shape.B, alpha, false);
    barrier(CLK_GLOBAL_MEM_FENCE); /* another item goes on with what this one has stored */
    if (learns)
        update_weights(&w, c, item, task.first, task.across);
    if (tame && task.task == GLE_TASK_BIAS && w.updates[p->bias.number].learns)
        for (uint i = task.first + item; i < smaller(task.first + TILE_ROWS, p->bias.cols); i += ITEMS) {
            find_bias(&w, p, i, e, shape.B, alpha);
            update_bias(&w, p, i);
        }
    if (tame && task.task == GLE_TASK_TAU && taus_learn(&w, p))
        for (uint i = task.first + item; i < smaller(task.first + TILE_ROWS, p->n); i += ITEMS) {
            find_taus(&w, p, i);
            update_taus(&w, p, i);
        }
}
