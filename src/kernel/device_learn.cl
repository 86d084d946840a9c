/* How a network learns from the errors of a step on a device: the second launch, send_errors, sends them back along
 * projections, with the weights of this step; the third, learn, makes gradients and the optimizer's steps. */

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
    b->kind = PLAIN, b->p = weights;
    b->i = c->direct ? c->feedback.ld : 1, b->k = c->direct ? 1 : c->weight.ld;
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
    for (uint i = 0; i < p->n; i++)
        r[i] = (u[i] - most) - sum; /* in this order, large u lose nothing */
    add_noise(w, p, GLE_DEVICE_NOISE_RATE, b * p->ld, 0, p->n, b, r);
    pass_high(w, p, b * p->ld, p->n, r);
    if (does(w, GLE_DEVICE_TAPING))
        copy_run(p->n, tape_of(w, &p->tape_r, w->step->taped + p->past) + b * p->ld, r);
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
    __global const float *weights = weights_back_of(&w, c);
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

/* What becomes of n numbers in a row of a gradient that has been found. Returns whether the optimizer steps now. */
static inline bool gather_found(const struct network *w, __global const struct gle_device_parameter *p, uint at, uint n)
{
    const uint i = p->field.place + at;
    const bool first = does(w, GLE_DEVICE_FIRST), spends = does(w, GLE_DEVICE_SPEND);

    if (w->follows_clipped)
        gather_run(n, w->followed + i, w->followed + i, true, w->squares[w->shape->n_squares]);
    else if (w->shape->follows)
        gather_run(n, w->followed + i, w->grads + i, first, spends && !first ? w->shape->share : 1.0f);
    return spends && (w->follows_clipped || !(w->shape->clip > 0.0f));
}

/* The optimizer's step. */
static inline void step_along(const struct network *w, __global const struct gle_device_parameter *p, uint at, uint n)
{
    const uint i = p->field.place + at;

    switch (w->shape->optimizer) {
        OPTIMIZERS
    }
}

static inline void update(const struct network *w, __global const struct gle_device_parameter *p, uint at, uint n)
{
    if (gather_found(w, p, at, n))
        step_along(w, p, at, n);
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

/* The same of a tile of a list of weights, times alpha; with `add`, added to what is there. by 0: x are eligibilities
 * (rows, groups). */
CALLED void find_listed(const struct network *w, projection *c, uint item, uint across, __global float *grad,
                        __global const float *e, __global const float *x, __global const float *by, uint rows,
                        float alpha, bool add)
{
    const bool sparse = c->link == GLE_DEVICE_SPARSE;
    const uint ld = w->populations[c->target].ld, apart = by ? c->ld_in : c->n_groups * c->ld_pool;

    for (uint at = across + item; at < smaller(across + TILE_COLS, c->weight.cols); at += ITEMS) {
        const uint i = sparse ? w->lists[c->rows + at] : at, k = sparse ? w->lists[c->columns + at] : at;
        __global const float *own = by ? x : x + w->lists[c->group_of + i] * c->ld_pool;
        float sum = 0.0f;
        for (uint b = 0; b < rows; b++)
            sum = fma(e[b * ld + i], pooled_at(c, own + b * apart, by ? by + b * apart : 0, k), sum);
        grad[at] = alpha * sum + (add ? grad[at] : 0.0f);
    }
}

/* What steps read of n weights, W or B of a projection, that have moved. */
CALLED void read_weights(const struct network *w, projection *c, __global const struct gle_device_parameter *weights,
                         field *read, uint at, uint n)
{
    population *p = &w->populations[c->target];
    __global const float *from = w->params + weights->field.place + at;
    __global float *to = w->coefs + read->place + at;

    for (uint k = 0; is_there(read) && k < n; k++)
        to[k] = gle_quantize(from[k], p->quantize_up, p->quantize_down, p->levels);
}

/* What is done with n weights in a row; where B moves along with W, with both: B has the gradient of W, and what is
 * gathered of it. */
static inline void update_pair(const struct network *w, projection *c, uint at, uint n)
{
    const uint i = c->weight.field.place + at, i_own = c->feedback.field.place + at;
    const bool steps = gather_found(w, &c->weight, at, n);
    const bool follows = c->feedback_follows && w->updates[c->feedback_number].learns;

    if (follows)
        copy_run(n, w->grads + i_own, w->grads + i);
    if (follows && w->shape->follows)
        copy_run(n, w->followed + i_own, w->followed + i);
    if (!steps)
        return;
    for (uint k = 0; c->feedback_follows && k < n; k++)
        w->params[i + k] = gle_shrink(w->params[i + k], c->feedback_keep);
    for (uint k = 0; follows && k < n; k++)
        w->params[i_own + k] = gle_shrink(w->params[i_own + k], c->feedback_keep);
    step_along(w, &c->weight, at, n);
    read_weights(w, c, &c->weight, &c->read, at, n);
    if (follows) {
        step_along(w, &c->feedback, at, n);
        read_weights(w, c, &c->feedback, &c->feedback_read, at, n);
    }
}

/* The step of n weights B in a row that align themselves. */
static inline void align(const struct network *w, projection *c, uint at, uint n)
{
    __global float *own = w->params + c->feedback.field.place + at;
    __global const float *g = w->grads + c->feedback.field.place + at;

    for (uint k = 0; k < n; k++)
        own[k] = gle_clipf(gle_align(own[k], g[k], c->align_rate, c->align_decay), c->feedback.low, c->feedback.high);
    read_weights(w, c, &c->feedback, &c->feedback_read, at, n);
}

/* The step for a tile of weights, or of a list of them: the optimizer's of W, or that of B which aligns itself. */
CALLED void update_weights(const struct network *w, projection *c, bool aligns, uint item, uint first, uint across)
{
    const uint rows = smaller(c->weight.rows - first, TILE_ROWS), cols = smaller(c->weight.cols - across, TILE_COLS);

#if ITEMS == 1
    for (uint row = 0; row < rows; row++)
        if (aligns)
            align(w, c, (first + row) * c->weight.ld + across, cols);
        else
            update_pair(w, c, (first + row) * c->weight.ld + across, cols);
#else
    EACH_ELEMENT(row, col, rows, cols)
    {
        if (aligns)
            align(w, c, (first + row) * c->weight.ld + across + col, 1);
        else
            update_pair(w, c, (first + row) * c->weight.ld + across + col, 1);
    }
#endif
}

/* Gradients of bias i: alpha times the sum of e, or of e eps, over rows, and over the neurons that share it; eps 0:
 * there are no eligibilities. */
CALLED void find_bias(const struct network *w, population *p, uint i, __global const float *e,
                      __global const float *eps, uint rows, float alpha)
{
    const uint each = p->n / p->bias.cols;
    float sum = 0.0f;

    for (uint b = 0; b < rows; b++)
        for (uint k = 0; k < each; k++) {
            const uint at = b * p->ld + i * each + k;
            sum += eps ? e[at] * eps[at] : e[at];
        }
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

/* A time constant of neuron i as membranes or errors (k) use it, and how it grows with the parameter. */
static inline float used_tau(const struct network *w, population *p, uint k, uint i, float tau)
{
    const float least = w->shape->tau_least;
    const float used = is_there(&p->factors[k]) ? tau * w->params[p->factors[k].place + i] : tau;

    return is_there(&p->factors[k]) && used < least ? least : used;
}
static inline float gain_of_tau(const struct network *w, population *p, uint k, uint i, float tau)
{
    const float factor = is_there(&p->factors[k]) ? w->params[p->factors[k].place + i] : 1.0f;

    return is_there(&p->factors[k]) && tau * factor < w->shape->tau_least ? 0.0f : factor;
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
        const float tau_m = w->params[p->tau_m.field.place + i], tau_r = w->params[p->tau_r.field.place + i];
        const float m = used_tau(w, p, GLE_DEVICE_TAU_M, i, tau_m), r = used_tau(w, p, GLE_DEVICE_TAU_R, i, tau_r);
        const float of_errors_m = used_tau(w, p, GLE_DEVICE_ERROR_TAU_M, i, tau_m);
        const float of_errors_r = used_tau(w, p, GLE_DEVICE_ERROR_TAU_R, i, tau_r);
        const float rate_u = w->shape->dt / m, rate_v = w->shape->dt / of_errors_r;
        w->coefs[p->leak_u.place + i] = leak_of(w, rate_u);
        w->coefs[p->look_u.place + i] = r / m;
        w->coefs[p->leak_v.place + i] = leak_of(w, rate_v);
        w->coefs[p->look_v.place + i] = of_errors_m / of_errors_r;
        w->coefs[p->mean.place + i] = 1.0f / ((float)w->shape->B * m);
        if (w->shape->exponential) {
            w->coefs[p->rate_u.place + i] = rate_u;
            w->coefs[p->slope_u.place + i] = rate_u * gle_fading(rate_u);
            w->coefs[p->rate_v.place + i] = rate_v;
            w->coefs[p->slope_v.place + i] = rate_v * gle_fading(rate_v);
        }
    }
}

static inline bool taus_learn(const struct network *w, population *p)
{
    return w->updates[p->tau_m.number].learns || w->updates[p->tau_r.number].learns;
}

/* - the mean of e eps, for neuron i. */
static inline float mean_product(const struct network *w, population *p, uint i, field *eps)
{
    return -1.0f / (float)w->shape->B *
           sum_products(p, i, w->derived + p->e.place, past_of(w, eps, 0), w->shape->B);
}

CALLED void find_taus(const struct network *w, population *p, uint i)
{
    __global const float *s = w->derived + p->s.place;
    const float mean = w->coefs[p->mean.place + i];
    const float gain_m = gain_of_tau(w, p, GLE_DEVICE_TAU_M, i, w->params[p->tau_m.field.place + i]);
    const float gain_r = gain_of_tau(w, p, GLE_DEVICE_TAU_R, i, w->params[p->tau_r.field.place + i]);

    if (w->updates[p->tau_m.number].learns)
        w->grads[p->tau_m.field.place + i] =
            gain_m * (is_there(&p->tau_m_eps) ? mean_product(w, p, i, &p->tau_m_eps)
                                              : mean * sum_products(p, i, w->derived + p->e.place, s, w->shape->B));
    if (w->updates[p->tau_r.number].learns)
        w->grads[p->tau_r.field.place + i] =
            gain_r * (is_there(&p->tau_r_eps)
                          ? mean_product(w, p, i, &p->tau_r_eps)
                          : -mean * sum_products(p, i, w->derived + p->e_inst.place, s, w->shape->B));
}

__kernel __attribute__((reqd_work_group_size(ITEMS, 1, 1))) void learn(NETWORK_ARGUMENTS)
{
    __local float A[TILE_ROWS * TILE_DEPTH], B[TILE_COLS * TILE_DEPTH];
    vector sums[MICROS_EACH][MICRO_ROWS][MICRO_VECTORS];
    const struct gle_device_tile task = tiles[get_group_id(0)];
    const struct network w = NETWORK;
    const uint item = (uint)get_local_id(0);

    /* W goes along e x^T, and B that aligns itself along hp xi^T. */
    const bool aligns = task.task == GLE_TASK_ALIGN, of_weights = aligns || task.task == GLE_TASK_WEIGHT;
    projection *c = &projections[of_weights ? task.which : 0];
    population *p = &populations[of_weights ? c->target : task.which];
    const bool tame = !w.wild[of_weights ? c->target : task.which];
    const bool learns = of_weights && tame && w.updates[aligns ? c->feedback_number : c->weight.number].learns;
    const float alpha = (aligns ? 1.0f : -1.0f) / (float)shape.B;
    __global float *grad = w.grads + (aligns ? c->feedback.field.place : c->weight.field.place);
    const struct target to = {grad, c->weight.ld, 0, 0};
    const bool eligible = of_weights && !aligns && c->n_groups;
    __global const float *e = w.derived + (aligns ? c->hp.place : p->e.place);
    __global const float *by = eligible ? 0 : rates_of(&w, c);
    __global const float *x = aligns     ? past_of(&w, &c->xi, c->delay - 1)
                              : eligible ? past_of(&w, &c->eligibility, 0)
                                         : by;
    struct operand a, b;
    uint low, high, depth = gradient_operands(&w, c, e, x, by, shape.B, &a, &b);

    if (eligible && depth) {
        span_of(c, lists, task.first, smaller(c->weight.rows - task.first, TILE_ROWS), &low, &high);
        depth = take_groups(c, lists, x, low, high, depth, &a, &b);
    }

    tile_product(item, sums, &a, &b, c->weight.rows, c->weight.cols, learns ? depth : 0, task.first, task.across, A, B);
    if (learns && depth)
        store_tile(item, &to, sums, alpha, false, c->weight.rows, c->weight.cols, task.first, task.across);
    else if (learns)
        find_listed(&w, c, item, task.across, grad, e, x, by, shape.B, alpha, false);
    barrier(CLK_GLOBAL_MEM_FENCE); /* another item goes on with what this one has stored */
    if (learns)
        update_weights(&w, c, aligns, item, task.first, task.across);
    if (tame && task.task == GLE_TASK_BIAS && w.updates[p->bias.number].learns)
        for (uint i = task.first + item; i < smaller(task.first + TILE_ROWS, p->bias.cols); i += ITEMS) {
            find_bias(&w, p, i, e, is_there(&p->bias_eps) ? past_of(&w, &p->bias_eps, 0) : 0, shape.B, alpha);
            update_bias(&w, p, i);
        }
    if (tame && task.task == GLE_TASK_TAU && taus_learn(&w, p))
        for (uint i = task.first + item; i < smaller(task.first + TILE_ROWS, p->n); i += ITEMS) {
            find_taus(&w, p, i);
            update_taus(&w, p, i);
        }
}
