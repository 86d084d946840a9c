/* The step on a device, in three launches: step_populations, which makes potentials and errors, is here; send_errors
 * and learn are in device_learn.cl. In each of them a group does one task out of a list, and no group reads what
 * another one of the same launch writes. A further index of groups counts networks of the same shape, whose arrays lie
 * one behind the other. */

/* What a launch is given, and what of it belongs to the network of this group: group (i, j) works for the network whose
 * place is slots[at_slots + j], and makes step at_step of those that it was given. */
#define NETWORK_ARGUMENTS                                                                                             \
    __global float *params, __global float *grads, __global float *moments_0, __global float *moments_1,              \
        __global float *coefs, __global float *state, __global float *derived, __global float *tape,                  \
        __global const float *inputs, __global const float *targets, __global float *output_sums,                     \
        __global float *losses, __global uint *wild, __global const struct gle_device_population *populations,        \
        projection *projections, __global const uint *lists, __global const struct gle_device_tile *tiles,            \
        __global const struct gle_device_step *steps, __global const struct gle_device_update *updates,               \
        __global float *followed, __global float *squares, __global uint *clipped, __global const uint *slots,        \
        struct gle_device_shape shape, uint at_step, uint at_slots
#define NETWORK                                                                                                       \
    network_of(params, grads, moments_0, moments_1, coefs, state, derived, tape, inputs, targets, output_sums, losses, \
               wild, populations, projections, lists, steps, updates, followed, squares, clipped,                     \
               slots[at_slots + get_group_id(1)], &shape, at_step)

struct network {
    size_t slot;
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
                                        __global float *squares, __global uint *clipped, size_t slot,
                                        const struct gle_device_shape *shape, uint at_step)
{
    const size_t first = slot * shape->turns, turn = first + at_step;
    struct network w;

    w.slot = slot;
    w.step = steps + slot * shape->steps_apart + at_step;
    w.params = params + slot * shape->slab_params;
    w.grads = grads + slot * shape->slab_params;
    w.followed = followed + slot * shape->slab_params;
    w.squares = squares + slot * (shape->n_squares + 1);
    w.clipped = clipped + turn;
    w.follows_clipped = false;
    w.moments[0] = moments_0 + slot * shape->slab_params;
    w.moments[1] = moments_1 + slot * shape->slab_params;
    w.coefs = coefs + slot * shape->slab_coefs;
    w.state = state + slot * shape->slab_state;
    w.derived = derived + slot * shape->slab_derived;
    w.tape = tape + slot * shape->slab_tape;
    w.input = inputs + (first + w.step->input) * shape->slab_input;
    w.target = targets + (first + w.step->target) * shape->slab_target;
    w.output_sum = output_sums + slot * shape->slab_sum;
    w.loss = losses + turn * shape->max_batch;
    w.wild = wild + turn * shape->n_populations;
    w.populations = populations;
    w.projections = projections;
    w.lists = lists;
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

/* Weights as a step reads them: W, or those that errors go back through. */
static inline __global const float *weights_of(const struct network *w, projection *c)
{
    return is_there(&c->read) ? w->coefs + c->read.place : w->params + c->weight.field.place;
}

static inline __global const float *weights_back_of(const struct network *w, projection *c)
{
    if (!c->own_feedback)
        return weights_of(w, c);
    return is_there(&c->feedback_read) ? w->coefs + c->feedback_read.place : w->params + c->feedback.field.place;
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

/* What the target of a sample counts. */
static inline float weight_of(const struct network *w, population *p, uint sample)
{
    return w->shape->weighted ? w->target[w->shape->max_batch * p->ld + sample] : 1.0f;
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

    for (uint j = 0; j < p->n_back; j++) {
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
                          w->shape->loss_parameter, w->step->beta * weight_of(w, p, at / p->ld), any);
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

/* --- noise --- */

/* Whether a population has noise of a kind in this step. */
static inline bool has_noise(const struct network *w, __global const struct gle_device_noise *noise)
{
    return is_there(&noise->scale) &&
           (noise->when & (does(w, GLE_DEVICE_TRAINING) ? GLE_DEVICE_IN_TRAINING : GLE_DEVICE_IN_TESTS)) != 0;
}

/* The normal numbers of a run in a row of the batch. */
CALLED void draw_run(const struct network *w, uint field, uint n, __global float *RESTRICT to, uint i, uint sample)
{
    const uint step = (uint)w->step->steps, step_high = (uint)(w->step->steps >> 32);
    const uint key = (uint)w->step->seed, key_high = (uint)(w->step->seed >> 32);

    for (uint k = 0; k < n; k++)
        to[k] = gle_draw_normal(
            gle_philox(gle_draw_counter(i + k, sample, step, step_high, field), key, key_high), i + k);
}

CALLED void run_noise(uint n, __global float *RESTRICT x, __global const float *RESTRICT z, float keep, float add)
{
    for (uint k = 0; k < n; k++)
        x[k] = gle_ou_step(x[k], z[k], keep, add);
}

CALLED void add_scaled(uint n, __global float *RESTRICT to, __global const float *RESTRICT x,
                       __global const float *RESTRICT scale)
{
    for (uint k = 0; k < n; k++)
        to[k] += scale[k] * x[k];
}

/* Adds the noise of a kind, if there is any, to a run at `at`, from neuron i on, of row `sample` of the batch. */
CALLED void add_noise(const struct network *w, population *p, uint kind, uint at, uint i, uint n, uint sample,
                      __global float *to)
{
    __global const struct gle_device_noise *noise = &p->noise[kind];
    __global float *draws = w->derived + p->draws.place + at;

    if (!has_noise(w, noise))
        return;
    draw_run(w, noise->field, n, draws, i, sample);
    if (is_there(&noise->state)) {
        __global float *x = w->state + noise->state.place + at;
        run_noise(n, x, draws, noise->keep, noise->add);
        draws = x;
    }
    add_scaled(n, to, draws, w->coefs + noise->scale.place + i);
}

/* --- weights B that align themselves --- */

/* The noise that is added to a run of a population, for those that read it; none of it but in training. */
CALLED void stir(const struct network *w, population *p, uint at, uint i, uint n, uint sample, __global float *s)
{
    __global float *draws = w->derived + p->draws.place + at;
    const bool training = does(w, GLE_DEVICE_TRAINING);

    for (uint j = 0; j < p->n_out; j++) {
        projection *c = &w->projections[w->lists[p->first_out + j]];
        __global const float *old = past_of(w, &c->xi, 0) + at;
        __global float *xi = new_of(w, &c->xi) + at;
        if (c->aligns && training)
            draw_run(w, c->draws, n, draws, i, sample);
        for (uint k = 0; c->aligns && k < n; k++) {
            xi[k] = training ? gle_ou_step(old[k], draws[k], c->xi_keep, c->xi_add) : 0.0f;
            s[k] += xi[k];
        }
    }
}

/* hp of new rates at `at`, for what the population reads through. */
CALLED void pass_high(const struct network *w, population *p, uint at, uint n, __global const float *r)
{
    for (uint j = 0; j < p->n_in; j++) {
        projection *c = &w->projections[p->first_in + j];
        __global float *low = w->state + c->low.place + at, *hp = w->derived + c->hp.place + at;
        for (uint k = 0; c->aligns && k < n; k++) {
            hp[k] = r[k] - low[k];
            low[k] = gle_low_pass(low[k], hp[k], c->low_leak);
        }
    }
}

/* Eligibilities of a run of neurons. */
static inline void trace_run(const struct network *w, population *p, uint at, uint i, uint n, __global const float *s)
{
    __global const float *look = w->coefs + p->look_u.place + i, *leak = w->coefs + p->leak_u.place + i;
    __global const float *rate = w->coefs + p->rate_u.place + i, *slope = w->coefs + p->slope_u.place + i;

    if (is_there(&p->bias_trace))
        trace_ones(n, new_of(w, &p->bias_eps) + at, w->state + p->bias_trace.place + at, look, leak);
    if (is_there(&p->tau_m_trace))
        trace_tau_m(n, new_of(w, &p->tau_m_eps) + at, w->state + p->tau_m_trace.place + at, s, 1.0f / w->shape->dt,
                    look, leak, rate, slope);
    if (is_there(&p->tau_r_eps))
        trace_tau_r(n, new_of(w, &p->tau_r_eps) + at, s, 1.0f / w->shape->dt, rate);
}

/* All that a run of neurons of a sample does once its inputs are summed. Returns whether it has gone wild. */
CALLED uint step_run(const struct network *w, population *p, uint at, uint i, uint n, uint sample,
                     const __local float *of_row)
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
    add_noise(w, p, GLE_DEVICE_NOISE_INPUT, at, i, n, sample, s);
    stir(w, p, at, i, n, sample, s);
    wild |= step_membranes(n, prosp_u, w->state + p->u.place + at, s, e, b + i, p->gamma,
                           w->coefs + p->look_u.place + i, w->coefs + p->leak_u.place + i);
    trace_run(w, p, at, i, n, s);
    add_noise(w, p, GLE_DEVICE_NOISE_MEMBRANE, at, i, n, sample, w->state + p->u.place + at);
    activate(p, n, r + at, dr + at, prosp_u, slopes);
    if (!p->normalised) {
        add_noise(w, p, GLE_DEVICE_NOISE_RATE, at, i, n, sample, r + at);
        pass_high(w, p, at, n, r + at);
    }
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

    const float weight = weight_of(w, p, b);

    w->loss[b] = asked ? weight * loss_of_row(w, p, r, y) : 0.0f;
    if (tapes && shape->weighted)
        w->tape[shape->tape_weight.place + (w->step->taped * shape->B + b) * shape->ld_weight] = weight;
    for (uint i = 0; i < p->n; i++) {
        if (asked && gle_is_asked(y[i]))
            w->output_sum[b * p->ld + i] += weight * (shape->sums_squares ? (y[i] - r[i]) * (y[i] - r[i]) : r[i]);
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

    const bool is_rows = task.task == GLE_TASK_ROWS, is_trace = task.task == GLE_TASK_TRACE;
    projection *read = &projections[is_trace ? task.which : 0];
    population *p = &populations[is_trace ? read->target : task.which];
    const struct tile t = tile_of(p, shape.B, task.first, task.across);
    __global float *s = w.derived + p->s.place;
    const struct target to = {s, p->ld, t.places, p->ld};
    const uint n_in = is_rows || is_trace ? 0 : p->n_in;
    uint is_wild = 0;

    for (uint j = 0; j < n_in; j++) {
        projection *c = &projections[p->first_in + j];
        struct operand a, b;
        __global const float *x = rates_of(&w, c), *weights = weights_of(&w, c);
        const uint depth = input_operands(c, &t, weights, x, x, &a, &b);
        tile_product(item, sums, &a, &b, t.M, t.N, depth, t.first, t.across, A, B);
        if (depth)
            store_tile(item, &to, sums, 1.0f, j > 0, t.M, t.N, t.first, t.across);
        else
            add_inputs(&w, c, &t, item, s, weights, x, x, j > 0);
        barrier(CLK_GLOBAL_MEM_FENCE); /* another item may go on with what this one has stored */
    }
    if (!is_rows && !is_trace && p->is_output)
        sum_rows(&w, p, &t, item, of_rows);
    barrier(CLK_LOCAL_MEM_FENCE);
    if (is_rows)
        for (uint b = task.first + item; b < smaller(task.first + TILE_ROWS, shape.B); b += ITEMS)
            step_row(&w, b);
    else if (is_trace)
        trace_tile(read, lists, item, new_of(&w, &read->eligibility), w.state + read->trace.place, rates_of(&w, read),
                   w.coefs + p->look_u.place, w.coefs + p->leak_u.place, task.first, task.across, shape.B);
    else
        EACH_RUN(&t, row, col, n)
            is_wild |= step_run(&w, p, place_of(&t, row, col), neuron_of(&t, row, col), n, sample_of(&t, row, col),
                                of_rows[sample_of(&t, row, col) - sample_of(&t, 0, 0)]);
    if (is_wild)
        w.wild[task.which] = 1;
}
