/* The sweep back over a window on a device: solver/window.c says what it finds, and its invariants hold here. A round
 * is two launches: send_lambdas, sweep_populations. The last launch of a window, gather, makes the gradients. Kernels
 * have the arguments of a step and, behind them, these. */
#ifdef SWEEPS /* left out of programs for networks that need none */
#define SWEEP_ARGUMENTS                                                                                        \
    __global float *adjoints, __global float *sent_lambdas, struct gle_device_sweep window

struct sweep {
    __global float *adjoint, *sent;
    const struct gle_device_sweep *window;
};

static inline struct sweep sweep_of(__global float *adjoints, __global float *sent_lambdas, size_t slot,
                                    const struct gle_device_sweep *window)
{
    struct sweep v;

    v.adjoint = adjoints + slot * window->slab_adjoint;
    v.sent = sent_lambdas + slot * window->slab_sent;
    v.window = window;
    return v;
}

/* The step of the window at which a population is in this round: none if it is not before window->taped. */
static inline uint step_of_round(const struct gle_device_sweep *window, population *p)
{
    return window->taped - 1 - window->round + (window->continuous ? p->depth : 0);
}

static inline bool feeds_back(const struct gle_device_sweep *window, population *p)
{
    return p->coupled && !window->continuous;
}

/* Whether readers of a population's rates of step t have a lambda, and of which step. */
static inline bool has_reader(const struct gle_device_sweep *window, projection *c, uint t)
{
    return window->continuous || t + c->delay < window->taped;
}

static inline uint step_of_reader(const struct gle_device_sweep *window, projection *c, uint t)
{
    return window->continuous ? t : t + c->delay;
}

/* What step t of a projection's window read. */
static inline __global const float *taped_rates(const struct network *w, const struct gle_device_sweep *window,
                                                projection *c, uint t)
{
    population *below;

    if (c->source == GLE_NOWHERE)
        return w->tape + w->shape->tape_input.place +
               (size_t)(t + w->shape->input_past - c->delay) * w->shape->B * w->shape->ld_input;
    below = &w->populations[c->source];
    return tape_of(w, &below->tape_r, t + below->past - (window->continuous ? 0 : c->delay));
}

/* Whether the step after t has a target. */
static inline bool is_asked(const struct network *w, const struct gle_device_sweep *window, uint t)
{
    return t + 1 < window->taped && !(w->step[t + 1].flags & GLE_DEVICE_UNASKED);
}

/* W^T lambda of readers, for swept sources. */
__kernel __attribute__((reqd_work_group_size(ITEMS, 1, 1))) void send_lambdas(NETWORK_ARGUMENTS, SWEEP_ARGUMENTS)
{
    __local float A[TILE_ROWS * TILE_DEPTH], B[TILE_COLS * TILE_DEPTH];
    vector sums[MICROS_EACH][MICRO_ROWS][MICRO_VECTORS];
    const struct gle_device_tile task = tiles[get_group_id(0)];
    const struct network w = NETWORK;
    const struct sweep v = sweep_of(adjoints, sent_lambdas, w.slot, &window);
    const uint item = (uint)get_local_id(0);
    projection *c = &projections[task.which];
    population *below = &populations[c->source];
    const uint t = step_of_round(&window, below);
    const bool sends = t < window.taped && has_reader(&window, c, t);
    __global const float *weights = weights_of(&w, c);
    const uint reads = sends ? step_of_reader(&window, c, t) : 0, left = sends ? t + below->past : 0;
    __global const float *lambda = tape_of(&w, &populations[c->target].tape_lambda, reads);
    const struct sent sent = sent_of(c, v.sent + c->sent, tape_of(&w, &below->tape_r, left), shape.B, task.first,
                                     task.across);
    struct operand a, b;
    const uint depth = back_operands(&w, c, weights, lambda, &a, &b);

    tile_product(item, sums, &a, &b, sent.M, sent.N, sends ? depth : 0, task.first, task.across, A, B);
    if (sends && depth)
        store_sent(&sent, item, sums);
    else if (sends)
        send_listed(&w, &sent, item, weights, lambda);
}

/* --- a population in a round --- */

/* Of the rows of a tile of the output: what its target error, and the slope of that, need of each row as a whole:
 * most = max r, scale = 1 / sum exp(r - most), mean = the mean of x by softmax(r). */
static inline void sum_taped_rows(population *p, const struct tile *t, uint item, __global const float *r,
                                  __global const float *x, __local float (*of_rows)[3])
{
    const uint b = sample_of(t, 0, 0), n = sample_of(t, t->rows - 1, t->cols - 1) - b + 1;

    for (uint row = item; (LOSS_NEEDS_ROWS || LOSS_IS_SOFTMAX) && row < n; row += ITEMS) {
        __global const float *of = r + (b + row) * p->ld, *slope = x + (b + row) * p->ld;
        float most = of[0], sum = 0.0f, mean = 0.0f;
        for (uint i = 1; i < p->n; i++)
            most = of[i] > most ? of[i] : most;
        for (uint i = 0; i < p->n; i++) {
            const float each = exp(of[i] - most);
            sum += each;
            mean += each * slope[i];
        }
        of_rows[row][0] = most;
        of_rows[row][1] = 1.0f / sum;
        of_rows[row][2] = mean / sum;
    }
}

/* What the target of a sample counted in the step after t. */
static inline float taped_weight(const struct network *w, uint t, uint sample)
{
    const struct gle_device_shape *s = w->shape;

    return s->weighted ? w->tape[s->tape_weight.place + ((t + 1) * s->B + sample) * s->ld_weight] : 1.0f;
}

/* bar = the target errors of a row and, with `curved`, += beta times their slope along x, all times its weight. */
CALLED void bar_of_loss(uint n, __global float *RESTRICT bar, __global const float *RESTRICT r,
                        __global const float *RESTRICT y, __global const float *RESTRICT x, float most, float scale,
                        float mean, float parameter, float beta, float weight, bool curved)
{
    for (uint k = 0; k < n; k++) {
        bar[k] = weight * TARGET_ERROR(r[k], y[k], most, scale);
        if (curved)
            bar[k] += beta * weight * LOSS_CURVATURE(r[k], y[k], x[k], most, scale, mean);
    }
}

/* a += phi''(u) x */
#define GLE_CURVATURE_RUN(name)                                                                         \
    CALLED void curve_##name(population *of, uint n, __global float *RESTRICT a,                        \
                             __global const float *RESTRICT u, __global const float *RESTRICT x)        \
    {                                                                                                   \
        const struct gle_act_numbers p = numbers_of(of);                                                \
        for (uint k = 0; k < n; k++) {                                                                  \
            const float y = gle_##name##_y(u[k], p), r = gle_##name(u[k], y, p);                        \
            a[k] += gle_##name##_curvature(u[k], y, r, gle_##name##_slope(u[k], y, r, p), p) * x[k];    \
        }                                                                                               \
    }
#define GLE_CURVATURE_FUNCTION(name) GLE_CURVATURE_RUN(name)
#define GLE_CURVE(name) GLE_CURVE_OF(name)
#define GLE_CURVE_OF(name) curve_##name(p, n, a, u, x)
CURVATURE_FUNCTIONS

CALLED void curve(population *p, uint n, __global float *a, __global const float *u, __global const float *x)
{
    switch (p->act) {
        CURVATURES
    }
}

CALLED void multiply_run(uint n, __global float *RESTRICT x, __global const float *RESTRICT y)
{
    for (uint k = 0; k < n; k++)
        x[k] *= y[k];
}

CALLED uint step_back(uint n, __global float *RESTRICT lambda, __global float *RESTRICT u_bar,
                      __global const float *RESTRICT a, __global const float *RESTRICT look,
                      __global const float *RESTRICT leak)
{
    uint wild = 0;

    for (uint k = 0; k < n; k++) {
        gle_membrane_back(&lambda[k], &u_bar[k], look[k], leak[k], a[k]);
        wild |= IS_WILD(lambda[k]);
    }
    return wild;
}

/* Back through errors that fed into membranes. to_tau_m and to_tau_r gather what their gradients read lag = tau_r v_dot
 * by: e_bar, and look e_bar + slope v_bar. */
CALLED void step_errors_back(uint n, bool prospective, __global float *RESTRICT above_bar,
                             __global float *RESTRICT dr_bar, __global float *RESTRICT v_bar,
                        __global const float *RESTRICT e_bar,
                             __global const float *RESTRICT lambda, float gamma, __global const float *RESTRICT e_above,
                             __global const float *RESTRICT dr, __global const float *RESTRICT v,
                             __global const float *RESTRICT look, __global const float *RESTRICT leak,
                             __global const float *slope, __global float *RESTRICT to_tau_m,
                             __global float *RESTRICT to_tau_r, __global float *RESTRICT lag)
{
    for (uint k = 0; k < n; k++) {
        const float bar = e_bar[k] + gamma * lambda[k], old = v_bar[k];
        if (prospective)
            gle_error_prospective_back(&above_bar[k], &dr_bar[k], &v_bar[k], &lag[k], bar, e_above[k], dr[k], v[k],
                                       look[k], leak[k]);
        else
            gle_error_instantaneous_back(&above_bar[k], &dr_bar[k], &lag[k], bar, e_above[k], dr[k]);
        to_tau_m[k] += bar * lag[k];
        to_tau_r[k] += (look[k] * bar + slope[k] * old) * lag[k];
    }
}

/* The adjoint of a run: from that of its rates to lambda, and through its errors. Returns whether it has gone wild. */
CALLED uint sweep_run(const struct network *w, const struct sweep *v, population *p, uint t, uint at, uint i, uint n,
                      const __local float *of_row)
{
    const bool feeds = feeds_back(v->window, p);
    __global float *lambda = tape_of(w, &p->tape_lambda, t) + at;
    __global float *a = (is_there(&p->tape_prosp_u_bar) ? tape_of(w, &p->tape_prosp_u_bar, t)
                                                        : v->adjoint + p->adjoint_a.place) + at;
    bool any = p->is_output && is_asked(w, v->window, t);
    uint wild;

    if (any)
        bar_of_loss(n, a, tape_of(w, &p->tape_r, t + p->past) + at,
                    w->tape + w->shape->tape_target.place + (size_t)(t + 1) * w->shape->B * p->ld + at,
                    feeds ? tape_of(w, &p->tape_above_bar, t + 1) + at : lambda, of_row[0], of_row[1], of_row[2],
                    w->shape->loss_parameter, v->window->beta, taped_weight(w, t, at / p->ld), feeds);
    for (uint j = 0; j < p->n_out; j++) {
        projection *c = &w->projections[w->lists[p->first_out + j]];
        if (!w->populations[c->target].swept || !has_reader(v->window, c, t))
            continue;
        add_run(n, a, v->sent + c->sent + at, any);
        any = true;
    }
    for (uint k = 0; !any && k < n; k++)
        a[k] = 0.0f;
    multiply_run(n, a, tape_of(w, &p->tape_dr, t + 1) + at);
    if (feeds)
        curve(p, n, a, tape_of(w, &p->tape_prosp_u, t) + at, v->adjoint + p->adjoint_dr.place + at);
    wild = step_back(n, lambda, v->adjoint + p->adjoint_u.place + at, a, w->coefs + p->look_u.place + i,
                     w->coefs + p->leak_u.place + i);
    if (feeds)
        step_errors_back(n, w->shape->prospective, tape_of(w, &p->tape_above_bar, t) + at,
                         v->adjoint + p->adjoint_dr.place + at, v->adjoint + p->adjoint_v.place + at,
                        v->adjoint + p->adjoint_e.place + at, lambda, p->gamma,
                         tape_of(w, &p->tape_e_above, t) + at, tape_of(w, &p->tape_dr, t) + at,
                         tape_of(w, &p->tape_v, t) + at, w->coefs + p->look_v.place + i, w->coefs + p->leak_v.place + i,
                         w->coefs + p->slope_v.place + i, v->adjoint + p->adjoint_to_tau_m.place + at,
                         v->adjoint + p->adjoint_to_tau_r.place + at, v->adjoint + p->adjoint_a.place + at);
    return wild;
}

__kernel __attribute__((reqd_work_group_size(ITEMS, 1, 1))) void sweep_populations(NETWORK_ARGUMENTS, SWEEP_ARGUMENTS)
{
    __local float A[TILE_ROWS * TILE_DEPTH], B[TILE_COLS * TILE_DEPTH], of_rows[TILE_ROWS + TILE_COLS][3];
    vector sums[MICROS_EACH][MICRO_ROWS][MICRO_VECTORS];
    const struct gle_device_tile task = tiles[get_group_id(0)];
    const struct network w = NETWORK;
    const struct sweep v = sweep_of(adjoints, sent_lambdas, w.slot, &window);
    const uint item = (uint)get_local_id(0);
    population *p = &populations[task.which];
    const struct tile t = tile_of(p, shape.B, task.first, task.across);
    const uint step = step_of_round(&window, p);
    const bool works = step < window.taped, feeds = works && feeds_back(&window, p);
    __global float *e_bar = v.adjoint + p->adjoint_e.place;
    const struct target to = {e_bar, p->ld, t.places, p->ld};
    const uint n_in = feeds ? p->n_in : 0;
    uint any = 0, is_wild = 0;

    if (feeds)
        EACH_ELEMENT(row, col, t.rows, t.cols)
            e_bar[place_of(&t, row, col)] = 0.0f;
    barrier(CLK_GLOBAL_MEM_FENCE);
    for (uint j = 0; j < n_in; j++) {
        projection *c = &projections[p->first_in + j];
        population *below = &populations[c->couples_below ? c->source : task.which];
        __global const float *weights = weights_back_of(&w, c);
        __global const float *bar = tape_of(&w, &below->tape_above_bar, step + 1);
        __global const float *by = taped_rates(&w, &window, c, step);
        struct operand a, b;
        const uint found = input_operands(c, &t, weights, bar, by, &a, &b), depth = c->couples_below ? found : 0;
        tile_product(item, sums, &a, &b, t.M, t.N, depth, t.first, t.across, A, B);
        if (depth)
            store_tile(item, &to, sums, 1.0f, any, t.M, t.N, t.first, t.across);
        else if (c->couples_below)
            add_inputs(&w, c, &t, item, e_bar, weights, bar, by, any);
        any = any || c->couples_below;
        barrier(CLK_GLOBAL_MEM_FENCE); /* another item may go on with what this one has stored */
    }
    if (works && p->is_output && is_asked(&w, &window, step))
        sum_taped_rows(p, &t, item, tape_of(&w, &p->tape_r, step + p->past),
                       feeds ? tape_of(&w, &p->tape_above_bar, step + 1) : tape_of(&w, &p->tape_r, step + p->past),
                       of_rows);
    barrier(CLK_LOCAL_MEM_FENCE);
    if (works)
        EACH_RUN(&t, row, col, n)
            is_wild |= sweep_run(&w, &v, p, step, place_of(&t, row, col), neuron_of(&t, row, col), n,
                                 of_rows[sample_of(&t, row, col) - sample_of(&t, 0, 0)]);
    if (is_wild)
        w.wild[task.which] = 1;
}

/* --- gradients --- */

/* Rows that are summed in one go: more, and single precision would lose digits. */
#define SUM_ROWS 4096u

/* The sum over the window of bar times tau_m u_dot of neuron i. */
CALLED float sum_bar(const struct network *w, const struct sweep *v, population *p, uint i, __global const float *bar)
{
    const uint rows = v->window->taped * w->shape->B;
    float sum = 0.0f;

    for (uint b = 0; b < rows; b += SUM_ROWS)
        sum += sum_products(p, i, bar + (size_t)b * p->ld, tape_of(w, &p->tape_s, 0) + (size_t)b * p->ld,
                            smaller(rows - b, SUM_ROWS));
    return sum;
}

/* What errors add to the gradient of a time constant, but for the sign, times tau_r. */
CALLED float sum_to_tau(const struct network *w, const struct sweep *v, population *p, uint i,
                        __global const float *to_tau)
{
    float errors = 0.0f;

    for (uint b = 0; feeds_back(v->window, p) && b < w->shape->B; b++)
        errors += to_tau[b * p->ld + i];
    return errors;
}

/* The gradient of tau_m of neuron i, which is `tau`, times dt; solver/window.c says what integration makes of it. */
CALLED float gather_tau_m(const struct network *w, const struct sweep *v, population *p, uint i, float tau)
{
    const float errors = sum_to_tau(w, v, p, i, v->adjoint + p->adjoint_to_tau_m.place);
    float sum = sum_bar(w, v, p, i, tape_of(w, &p->tape_lambda, 0));

    if (w->shape->exponential) {
        const float share = w->coefs[p->slope_u.place + i] / w->coefs[p->leak_u.place + i];
        sum = share * sum + (1.0f - share) * w->coefs[p->look_u.place + i] *
                                sum_bar(w, v, p, i, tape_of(w, &p->tape_prosp_u_bar, 0));
    }
    return gain_of_tau(w, p, GLE_DEVICE_TAU_M, i, tau) * sum * w->coefs[p->rate_u.place + i] -
           gain_of_tau(w, p, GLE_DEVICE_ERROR_TAU_M, i, tau) * errors * w->coefs[p->rate_v.place + i];
}

/* The same of tau_r, but for the sign. */
CALLED float gather_tau_r(const struct network *w, const struct sweep *v, population *p, uint i, float tau)
{
    const float errors = sum_to_tau(w, v, p, i, v->adjoint + p->adjoint_to_tau_r.place);
    const float sum = sum_bar(w, v, p, i, tape_of(w, &p->tape_prosp_u_bar, 0));

    return gain_of_tau(w, p, GLE_DEVICE_TAU_R, i, tau) * sum * w->coefs[p->rate_u.place + i] -
           gain_of_tau(w, p, GLE_DEVICE_ERROR_TAU_R, i, tau) * errors * w->coefs[p->rate_v.place + i];
}

__kernel __attribute__((reqd_work_group_size(ITEMS, 1, 1))) void gather(NETWORK_ARGUMENTS, SWEEP_ARGUMENTS)
{
    __local float A[TILE_ROWS * TILE_DEPTH], B[TILE_COLS * TILE_DEPTH];
    vector sums[MICROS_EACH][MICRO_ROWS][MICRO_VECTORS];
    const struct gle_device_tile task = tiles[get_group_id(0)];
    const struct network w = NETWORK;
    const struct sweep v = sweep_of(adjoints, sent_lambdas, w.slot, &window);
    const uint item = (uint)get_local_id(0), rows = window.taped * shape.B;
    const bool is_weight = task.task == GLE_TASK_WEIGHT, learns = does(&w, GLE_DEVICE_LEARN);
    projection *c = &projections[is_weight ? task.which : 0];
    population *p = &populations[is_weight ? c->target : task.which];
    const bool finds = is_weight && w.updates[c->weight.number].learns;
    const bool errors = c->couples_below && !c->own_feedback && feeds_back(&window, p);
    const struct target to = {w.grads + c->weight.field.place, c->weight.ld, 0, 0};
    __global const float *by = taped_rates(&w, &window, c, 0), *lambda = tape_of(&w, &p->tape_lambda, 0);
    const uint terms = finds ? (errors ? 2 : 1) : 0, stretches = (rows + SUM_ROWS - 1) / SUM_ROWS;

    for (uint j = 0; j < terms * stretches; j++) {
        const uint b0 = j % stretches * SUM_ROWS, n = smaller(rows - b0, SUM_ROWS);
        __global const float *e = (j < stretches ? lambda : tape_of(&w, &p->tape_e, 0)) + (size_t)b0 * p->ld;
        __global const float *x = (j < stretches ? by : tape_of(&w, &populations[c->source].tape_above_bar, 1)) +
                                  (size_t)b0 * c->ld_in;
        struct operand a, b;
        const uint depth = gradient_operands(&w, c, e, x, by + (size_t)b0 * c->ld_in, n, &a, &b);
        tile_product(item, sums, &a, &b, c->weight.rows, c->weight.cols, depth, task.first, task.across, A, B);
        if (depth)
            store_tile(item, &to, sums, -window.alpha, j > 0, c->weight.rows, c->weight.cols, task.first, task.across);
        else
            find_listed(&w, c, item, task.across, w.grads + c->weight.field.place, e, x, by + (size_t)b0 * c->ld_in, n,
                        -window.alpha, j > 0);
        barrier(CLK_GLOBAL_MEM_FENCE);
    }
    if (finds && learns)
        update_weights(&w, c, false, item, task.first, task.across);
    if (task.task == GLE_TASK_BIAS && w.updates[p->bias.number].learns)
        for (uint i = task.first + item; i < smaller(task.first + TILE_ROWS, p->bias.cols); i += ITEMS) {
            find_bias(&w, p, i, lambda, 0, rows, -window.alpha);
            if (learns)
                update_bias(&w, p, i);
        }
    if (task.task == GLE_TASK_TAU && taus_learn(&w, p))
        for (uint i = task.first + item; i < smaller(task.first + TILE_ROWS, p->n); i += ITEMS) {
            const float scale = window.alpha / shape.dt;
            const float tau_m = w.params[p->tau_m.field.place + i], tau_r = w.params[p->tau_r.field.place + i];
            if (w.updates[p->tau_m.number].learns)
                w.grads[p->tau_m.field.place + i] = scale * gather_tau_m(&w, &v, p, i, tau_m);
            if (w.updates[p->tau_r.number].learns)
                w.grads[p->tau_r.field.place + i] = -scale * gather_tau_r(&w, &v, p, i, tau_r);
            if (learns)
                update_taus(&w, p, i);
        }
}
#endif
