/* The net: its memory, its threads, what goes in and what is looked at. */
#include "base/clock.h"
#include "base/memory.h"
#include "kernel/equations.h"
#include "solver/inside.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* --- threads --- */

const struct gle_graph *gle_net_graph(const struct gle_net *net)
{
    return net->graph;
}

size_t gle_net_threads(const struct gle_net *net)
{
    return net->split.n_threads;
}

void gle_net_borrow_threads(struct gle_net *net, const struct gle_net *from)
{
    if (net->borrows || net->split.n_threads != from->split.n_threads)
        return;
    gle_team_destroy(net->team);
    net->team = from->team;
    net->borrows = true;
}

void gle_net_count_lap(struct gle_net *net, size_t t, enum gle_lap kind)
{
    struct gle_laps *laps = &net->laps[t];
    const double now = gle_clock();

    laps->seconds[kind] += now - laps->last;
    laps->last = now;
}

void gle_net_share(struct gle_net *net, void (*work)(void *net, size_t t))
{
    double seconds;

    if (!net->profiling) {
        gle_team_share(net->team, work, net);
        return;
    }
    seconds = gle_clock();
    gle_team_share(net->team, work, net);
    seconds = gle_clock() - seconds;
    net->shared_seconds += seconds;
    net->thread_seconds += seconds * (double)gle_team_size(net->team);
}

void gle_net_set_profile(struct gle_net *net, bool on)
{
    net->profiling = on;
    net->shared_seconds = net->thread_seconds = 0.0;
    memset(net->laps, 0, net->split.n_threads * sizeof *net->laps);
}

void gle_net_get_profile(const struct gle_net *net, struct gle_profile *profile)
{
    double sums[GLE_LAPS] = {0.0};

    for (size_t t = 0; t < net->split.n_threads; t++)
        for (int i = 0; i < GLE_LAPS; i++)
            sums[i] += net->laps[t].seconds[i];
    *profile = (struct gle_profile){
        .seconds = net->shared_seconds,
        .products = sums[GLE_LAP_PRODUCTS],
        .elementwise = sums[GLE_LAP_ELEMENTWISE],
        .optimizer = sums[GLE_LAP_OPTIMIZER],
        .waiting = net->thread_seconds - sums[GLE_LAP_PRODUCTS] - sums[GLE_LAP_ELEMENTWISE] - sums[GLE_LAP_OPTIMIZER],
    };
}

/* --- building --- */

/* Each thread has derived variables of its own and, where populations are shared, so has each population. */
static size_t places_of(const struct gle_net *net)
{
    return net->split.n_threads + (net->split.shared ? net->graph->n_populations : 0);
}

int gle_net_build(struct gle_net **out, const struct gle_graph *graph, size_t n_threads, struct gle_error *err)
{
    const struct gle_experiment *exp = graph->exp;
    const enum gle_isa isa = gle_isa_best();
    struct gle_net *net = gle_calloc(1, sizeof *net);
    const size_t B = graph->max_batch;
    bool ok;

    *out = NULL;
    if (!net)
        return gle_fail(err, GLE_ENOMEM, "no memory for the network");
    net->graph = graph;
    net->kernels = gle_kernels(isa);
    net->rule = exp->rule->choose(net->kernels);
    net->loss = gle_loss_for(exp->loss, isa);
    net->optimizer = gle_optimizer_for((const struct gle_optimizer *)exp->optimizer.row, isa);
    net->B = B;
    if (gle_split_make(&net->split, graph, net->kernels, n_threads, err)) {
        gle_net_destroy(net);
        return -1;
    }

    net->act = gle_calloc(graph->n_populations, sizeof(struct gle_act *));
    net->act_numbers = gle_calloc(graph->n_populations, sizeof *net->act_numbers);
    net->wild = gle_calloc(net->split.n_threads * gle_wild_apart(graph), sizeof *net->wild);
    net->row_loss = gle_calloc(B, sizeof *net->row_loss);
    net->laps = (void *)gle_floats(net->split.n_threads * sizeof *net->laps / sizeof(float)); /* for the alignment */
    net->grads = gle_floats(graph->floats[GLE_PARAMETER] + GLE_SLACK);
    net->kept = gle_floats(graph->floats[GLE_PARAMETER]);
    net->input = gle_floats(B * graph->ld_input + GLE_SLACK);
    net->target = gle_floats(B * gle_top_of(net)->ld + B);
    net->weights = net->target ? net->target + B * gle_top_of(net)->ld : NULL;
    net->top_error = gle_floats(B * gle_top_of(net)->ld);
    net->output_sum = gle_floats(B * gle_top_of(net)->ld);
    net->rooms = gle_floats(net->split.n_threads * gle_room_apart(graph));
    if (graph->eligible_room)
        net->eligible_rooms = gle_floats(net->split.n_threads * gle_eligible_room_apart(graph));
    net->learns = gle_calloc(graph->n_parameters, sizeof *net->learns);
    net->held = gle_calloc(graph->n_parameters, sizeof *net->held);
    net->missed = gle_calloc(graph->n_parameters, sizeof *net->missed);
    net->tape_unasked = gle_calloc(graph->tape_steps + 1, sizeof *net->tape_unasked); /* there may be none */
    ok = net->act && net->act_numbers && net->wild && net->learns && net->held && net->missed && net->row_loss &&
         net->laps && net->grads && net->kept && net->rooms && net->input && net->target && net->top_error &&
         net->output_sum && net->tape_unasked && (net->eligible_rooms || !graph->eligible_room) &&
         gle_net_make_followed(net);
    for (int role = 0; role < GLE_ROLES; role++) {
        const size_t places = role == GLE_DERIVED && !graph->observed ? places_of(net) : 1;
        ok = (net->slabs[role] = gle_floats(places * graph->floats[role] + GLE_SLACK)) && ok;
    }
    for (size_t m = 0; m < net->optimizer->n_moments; m++)
        ok = (net->moments[m] = gle_floats(graph->floats[GLE_PARAMETER])) && ok;
    if (!ok) {
        gle_net_destroy(net);
        return gle_fail(err, GLE_ENOMEM, "no memory for a network of %.0f MB",
                        1e-6 * gle_graph_bytes(graph, GLE_MOMENTS_MAX));
    }
    for (size_t i = 0; i < graph->n_populations; i++) {
        const struct gle_layer_cfg *cfg = graph->populations[i].cfg;
        net->act[i] = gle_act_for(cfg->act, isa);
        gle_act_find_numbers(net->act_numbers[i], cfg->act, cfg->act_params);
    }
    for (size_t i = 0; i < graph->n_parameters; i++)
        net->learns[i] = graph->parameters[i].plastic;
    for (size_t b = 0; b < B; b++)
        net->weights[b] = 1.0f;
    gle_net_scale_noise(net);
    if (gle_team_create(&net->team, net->split.n_threads, err)) {
        gle_net_destroy(net);
        return -1;
    }
    *out = net;
    return 0;
}

void gle_net_destroy(struct gle_net *net)
{
    if (!net)
        return;
    gle_net_device_destroy(net);
    gle_net_free_spread(net);
    for (size_t m = 0; m < GLE_MOMENTS_MAX; m++)
        gle_free(net->moments[m]);
    if (!net->borrows)
        gle_team_destroy(net->team);
    gle_split_clear(&net->split);
    for (int role = 0; role < GLE_ROLES; role++)
        gle_free(net->slabs[role]);
    gle_free(net->learns);
    gle_free(net->held);
    gle_free(net->missed);
    gle_free(net->tape_unasked);
    gle_free(net->act);
    gle_free(net->act_numbers);
    gle_free(net->wild);
    gle_free(net->row_loss);
    gle_free(net->laps);
    gle_free(net->grads);
    gle_net_free_followed(net);
    gle_free(net->kept);
    gle_free(net->rooms);
    gle_free(net->eligible_rooms);
    gle_free(net->input);
    gle_free(net->target);
    gle_free(net->top_error);
    gle_free(net->output_sum);
    gle_free(net);
}

/* --- parameters --- */

/* Channels share a bias: each of their neurons gets it. */
static void follow_bias(struct gle_net *net, const struct gle_population *p, size_t first, size_t n)
{
    const size_t each = p->n / p->bias->field.cols;
    const float *bias = gle_param_of(net, p->bias);
    float *b = gle_field_of(net, &p->b, 0);

    for (size_t i = first * each; i < (first + n) * each; i++)
        b[i] = bias[i / each];
}

static void follow_weights(struct gle_net *net, const struct gle_parameter *param, size_t first, size_t n)
{
    const struct gle_projection *c = &net->graph->projections[param->field.projection];
    const struct gle_quantize_cfg *quantize = &gle_population_of(net, c->target)->cfg->quantize;
    const struct gle_field *aid = param == c->weight ? &c->aid : &c->feedback_aid;
    const float *weights = gle_param_of(net, param);
    float *read = gle_read_of(net, c, param);

    if (read != weights)
        net->kernels->quantize(read + first * param->part, weights + first * param->part, n * param->part,
                               (float)quantize->range, gle_quantize_levels(quantize));
    if (aid->copies)
        c->plan.link->follow(gle_field_of(net, aid, 0), &c->plan, net->kernels, read, first, n);
}

static void follow_direct(struct gle_net *net, const struct gle_parameter *param, size_t first, size_t n)
{
    const struct gle_direct *d = gle_graph_direct(net->graph, param);
    const struct gle_quantize_cfg *quantize = &gle_population_of(net, d->to)->cfg->quantize;
    const float *weights = gle_param_of(net, param);
    float *read = d->read.copies ? gle_field_of(net, &d->read, 0) : NULL;

    if (read)
        net->kernels->quantize(read + first * param->part, weights + first * param->part, n * param->part,
                               (float)quantize->range, gle_quantize_levels(quantize));
    if (d->aid.copies)
        d->plan.link->follow(gle_field_of(net, &d->aid, 0), &d->plan, net->kernels, read ? read : weights, first, n);
}

void gle_net_follow(struct gle_net *net, const struct gle_parameter *param, size_t first, size_t n)
{
    const struct gle_population *p = gle_population_of(net, param->field.population);

    switch (param->kind) {
    case GLE_WEIGHT:
    case GLE_FEEDBACK:
        follow_weights(net, param, first, n);
        break;
    case GLE_ERRORS_FROM:
        follow_direct(net, param, first, n);
        break;
    case GLE_BIAS:
        if (p->b.copies)
            follow_bias(net, p, first, n);
        break;
    case GLE_TAU_M:
    case GLE_TAU_R:
    case GLE_TAU_M_FACTOR:
    case GLE_TAU_R_FACTOR:
    case GLE_ERROR_TAU_M_FACTOR:
    case GLE_ERROR_TAU_R_FACTOR:
        gle_net_follow_taus(net, p, first, n);
        break;
    case GLE_PARAM_KINDS:
        break;
    }
}

void gle_net_follow_all(struct gle_net *net)
{
    for (size_t i = 0; i < net->graph->n_parameters; i++) {
        const struct gle_parameter *p = &net->graph->parameters[i];
        gle_net_follow(net, p, 0, p->parts);
    }
}

static void copy_rows(float *to, size_t ld_to, const float *from, size_t ld_from, size_t rows, size_t cols)
{
    for (size_t i = 0; i < rows; i++)
        memcpy(to + i * ld_to, from + i * ld_from, cols * sizeof *to);
}

/* A field without its padding. */
static void get_dense(float *values, const struct gle_field *f, const float *from)
{
    copy_rows(values, f->cols, from, f->ld, f->rows, f->cols);
}

void gle_net_get_param(const struct gle_net *net, size_t param, float *values)
{
    const struct gle_parameter *p = &net->graph->parameters[param];

    gle_net_see(net, GLE_PART_PARAMETERS);
    get_dense(values, &p->field, gle_param_of(net, p));
}

void gle_net_set_param(struct gle_net *net, size_t param, const float *values)
{
    const struct gle_parameter *p = &net->graph->parameters[param];
    const struct gle_field *f = &p->field;

    gle_net_touch(net, GLE_PART_PARAMETERS);
    copy_rows(gle_param_of(net, p), f->ld, values, f->cols, f->rows, f->cols);
    gle_net_follow(net, p, 0, p->parts);
}

void gle_net_get_gradient(const struct gle_net *net, size_t param, float *values)
{
    const struct gle_parameter *p = &net->graph->parameters[param];

    gle_net_see(net, GLE_PART_GRADIENTS);
    get_dense(values, &p->field, gle_grad_of(net, p));
}

/* Whether a parameter is B that aligns itself, in every learning step: no means, and no clipped gradients. */
static bool aligns(const struct gle_net *net, const struct gle_parameter *p)
{
    return p->kind == GLE_FEEDBACK &&
           net->graph->projections[p->field.projection].feedback_way == GLE_FEEDBACK_ALIGNS;
}

void gle_net_get_followed(const struct gle_net *net, size_t param, float *values)
{
    const struct gle_parameter *p = &net->graph->parameters[param];
    const bool own = net->followed && !aligns(net, p);

    gle_net_see(net, own ? GLE_PART_FOLLOWED : GLE_PART_GRADIENTS);
    get_dense(values, &p->field, own ? gle_followed_of(net, p) : gle_grad_of(net, p));
}

uint64_t gle_net_get_clipped(const struct gle_net *net)
{
    gle_net_settle(net);
    return net->clipped;
}

void gle_net_drop_gathered(struct gle_net *net)
{
    net->gathered = 0;
}

static bool follows(const struct gle_net *net, const struct gle_parameter *weight)
{
    return net->graph->projections[weight->field.projection].feedback_way == GLE_FEEDBACK_FOLLOWS;
}

/* B that moves along with W makes the steps of W, with moments that equal those of W: also when it goes on to. */
static void take_moments(struct gle_net *net, const struct gle_projection *c)
{
    const size_t bytes = c->weight->field.rows * c->weight->field.ld * sizeof(float);

    gle_net_touch(net, GLE_PART_MOMENTS);
    for (size_t m = 0; m < net->optimizer->n_moments; m++)
        memcpy(net->moments[m] + c->feedback->field.place, net->moments[m] + c->weight->field.place, bytes);
}

void gle_net_hold(struct gle_net *net, size_t param, bool hold)
{
    const struct gle_parameter *p = &net->graph->parameters[param];

    net->learns[param] = !hold && p->plastic;
    if (net->held[param] && !hold && p->kind == GLE_FEEDBACK && follows(net, p))
        take_moments(net, &net->graph->projections[p->field.projection]);
    net->held[param] = hold;
    if (!hold)
        return;
    gle_net_touch(net, GLE_PART_GRADIENTS);
    memset(gle_grad_of(net, p), 0, p->field.rows * p->field.ld * sizeof(float));
    if (p->kind == GLE_WEIGHT && follows(net, p)) /* B, which moves along the same */
        memset(gle_grad_of(net, net->graph->projections[p->field.projection].feedback), 0,
               p->field.rows * p->field.ld * sizeof(float));
    if (!net->followed)
        return;
    gle_net_touch(net, GLE_PART_FOLLOWED);
    memset(gle_followed_of(net, p), 0, p->field.rows * p->field.ld * sizeof(float));
    if (p->kind == GLE_WEIGHT && follows(net, p))
        memset(gle_followed_of(net, net->graph->projections[p->field.projection].feedback), 0,
               p->field.rows * p->field.ld * sizeof(float));
}

bool gle_net_learns(const struct gle_net *net, size_t param)
{
    return net->learns[param];
}

void gle_net_keep(struct gle_net *net)
{
    if (gle_net_device_keep(net))
        return;
    memcpy(net->kept, net->slabs[GLE_PARAMETER], net->graph->floats[GLE_PARAMETER] * sizeof *net->kept);
}

void gle_net_recall(struct gle_net *net)
{
    gle_net_replace(net, GLE_PART_PARAMETERS);
    gle_net_device_see_kept(net);
    memcpy(net->slabs[GLE_PARAMETER], net->kept, net->graph->floats[GLE_PARAMETER] * sizeof *net->kept);
    gle_net_follow_all(net);
}

/* --- state --- */

/* A variable after the last step. */
static const float *look_at(const struct gle_net *net, const struct gle_field *f)
{
    assert(f->role == GLE_STATE || (f->role == GLE_DERIVED && net->graph->observed));
    gle_net_see_field(net, f);
    return f->role == GLE_STATE ? gle_old_of(net, f) : gle_derived_of(net, f, 0);
}

void gle_net_get_var(const struct gle_net *net, size_t field, float *values)
{
    const struct gle_field *f = net->graph->fields[field];

    if (f->copies)
        copy_rows(values, f->cols, look_at(net, f), f->ld, net->B, f->cols);
    else
        memset(values, 0, net->B * f->cols * sizeof *values);
}

bool gle_net_has_var(const struct gle_net *net, size_t field)
{
    const struct gle_field *f = net->graph->fields[field];
    const struct gle_population *p = gle_population_of(net, f->population);
    const bool errors = p->needs_error && !net->errorless;

    if (!f->copies)
        return false;
    if (f->projection != GLE_NO_PROJECTION && f == &net->graph->projections[f->projection].e_below)
        return errors;
    if (f == &p->v || f == &p->e || f == &p->e_inst)
        return errors;
    if (f == &p->u || f == &p->r)
        return true;
    return net->graph->observed;
}

void gle_copy_chosen(float *to, const float *from, size_t ld, size_t n, const size_t *rows, size_t n_rows)
{
    for (size_t b = 0; b < n_rows; b++)
        memcpy(to + b * n, from + rows[b] * ld, n * sizeof *to);
}

void gle_net_get_rows(const struct gle_net *net, size_t field, const size_t *rows, size_t n_rows, float *values)
{
    const struct gle_field *f = net->graph->fields[field];

    assert(f->copies);
    gle_copy_chosen(values, look_at(net, f), f->ld, f->cols, rows, n_rows);
}

void gle_net_get_read(const struct gle_net *net, enum gle_read what, const size_t *rows, size_t n_rows, float *values)
{
    const struct gle_graph *g = net->graph;
    const struct gle_population *top = gle_top_of(net);

    gle_net_see_field(net, &top->r);
    if (what == GLE_READ_INPUT)
        gle_copy_chosen(values, net->input, g->ld_input, g->n_input, rows, n_rows);
    else
        gle_copy_chosen(values, what == GLE_READ_TARGET ? net->target : gle_past_of(net, &top->r, 1),
                        top->ld, top->n, rows, n_rows);
    for (size_t i = 0; what == GLE_READ_TARGET && i < n_rows * top->n; i++)
        if (!gle_is_asked(values[i]))
            values[i] = NAN;
}

void gle_net_get_output_sum(const struct gle_net *net, float *sum)
{
    const struct gle_population *top = gle_top_of(net);

    gle_net_see(net, GLE_PART_OUTPUT_SUM);
    if (net->divided)
        gle_net_gather_late(net, sum, net->output_sum, top->ld, top->n);
    else
        copy_rows(sum, top->n, net->output_sum, top->ld, net->B, top->n);
}

/* Whether a state goes on where others are reset. */
static bool has_outside_states(const struct gle_graph *g)
{
    for (size_t i = 0; i < g->n_fields; i++)
        if (g->fields[i]->outside)
            return true;
    return false;
}

static void clear_output_sums(struct gle_net *net)
{
    gle_net_clear(net, GLE_PART_OUTPUT_SUM);
    memset(net->output_sum, 0, net->graph->max_batch * gle_top_of(net)->ld * sizeof *net->output_sum);
}

void gle_net_clear_output_sum(struct gle_net *net, size_t first, size_t n)
{
    const size_t ld = gle_top_of(net)->ld;

    if (n == gle_whole_of(net)) {
        clear_output_sums(net);
        return;
    }
    gle_net_touch(net, GLE_PART_OUTPUT_SUM);
    for (size_t b = first; b < first + n; b++)
        if (b >= net->first_row && b - net->first_row < net->B)
            memset(net->output_sum + (b - net->first_row) * ld, 0, ld * sizeof *net->output_sum);
}

void gle_net_begin_batch(struct gle_net *net, bool reset_all)
{
    const struct gle_graph *g = net->graph;

    clear_output_sums(net);
    if (reset_all && !has_outside_states(g)) {
        gle_net_clear(net, GLE_PART_STATE);
        memset(net->slabs[GLE_STATE], 0, g->floats[GLE_STATE] * sizeof(float));
        return;
    }
    for (size_t i = 0; i < g->n_fields; i++) {
        const struct gle_field *f = g->fields[i];
        const bool own = f->population != GLE_NO_POPULATION && gle_population_of(net, f->population)->cfg->reset;
        if (!gle_past_copies(f) || f->outside || !(reset_all || own))
            continue;
        gle_net_touch(net, GLE_PART_STATE);
        for (size_t ago = 0; ago < gle_past_copies(f); ago++)
            memset(gle_past_of(net, f, ago), 0, net->B * f->ld * sizeof(float));
    }
}

/* --- other nets --- */

void gle_net_aim(struct gle_net *net, const struct gle_net *teacher)
{
    const struct gle_population *top = gle_top_of(teacher);

    gle_net_see_field(teacher, &top->r);
    memcpy(net->target, gle_old_of(teacher, &top->r), net->B * top->ld * sizeof *net->target);
}

void gle_net_copy_read(struct gle_net *net, const struct gle_net *from)
{
    memcpy(net->input, from->input, from->B * from->graph->ld_input * sizeof *net->input);
    memcpy(net->target, from->target, from->B * gle_top_of(from)->ld * sizeof *net->target);
    memcpy(net->weights, from->weights, from->B * sizeof *net->weights);
}

void gle_net_copy(struct gle_net *net, const struct gle_net *from)
{
    assert(from->B <= net->graph->max_batch && net->graph->n_parameters == from->graph->n_parameters);
    gle_net_device_recover(net);
    gle_net_see(from, GLE_PART_PARAMETERS);
    gle_net_see(from, GLE_PART_STATE);
    gle_net_replace(net, GLE_PART_PARAMETERS);
    gle_net_touch(net, GLE_PART_STATE);
    net->B = from->B;
    net->steps = from->steps;
    memcpy(net->slabs[GLE_PARAMETER], from->slabs[GLE_PARAMETER],
           from->graph->floats[GLE_PARAMETER] * sizeof(float));
    for (size_t i = 0; i < net->graph->n_fields; i++) { /* tapes, which may differ, come after all states */
        const struct gle_field *f = net->graph->fields[i], *other = from->graph->fields[i];
        for (size_t ago = 0; ago < gle_past_copies(f); ago++)
            if (other->copies)
                memcpy(gle_past_of(net, f, ago), gle_past_of(from, other, ago), net->B * f->ld * sizeof(float));
            else /* errors that it has no use for */
                memset(gle_past_of(net, f, ago), 0, net->B * f->ld * sizeof(float));
    }
    gle_net_follow_all(net);
}

/* --- input and target --- */

float *gle_net_input(struct gle_net *net, size_t *ld)
{
    *ld = net->graph->ld_input;
    return net->input;
}

float *gle_net_target(struct gle_net *net, size_t *ld)
{
    *ld = gle_top_of(net)->ld;
    return net->target;
}

