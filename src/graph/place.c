#include "graph/place.h"
#include "kernel/kernel.h"

#include <assert.h>
#include <string.h>

enum { LINE = 16 };

/* --- fields --- */

/* At most, with those of parameters. */
enum { FIELDS_POPULATION = 59, FIELDS_PROJECTION = 20, FIELDS_DIRECT = 4, FIELDS_GRAPH = 4 };

size_t gle_most_fields(size_t n_populations, size_t n_projections, size_t n_directs)
{
    return n_populations * FIELDS_POPULATION + n_projections * FIELDS_PROJECTION + n_directs * FIELDS_DIRECT +
           FIELDS_GRAPH;
}

/* Weights and feedback of each projection; bias, tau_m, tau_r and their factors of each population. */
size_t gle_most_parameters(size_t n_populations, size_t n_projections, size_t n_directs)
{
    return (3 + GLE_MISMATCHES) * n_populations + 2 * n_projections + n_directs;
}

/* Gives a field its shape and its place. copies 0: it is not needed. */
static void place(struct gle_graph *g, struct gle_field *f, struct gle_field shape, size_t copies)
{
    const size_t one = (shape.rows * gle_padded(shape.cols) + LINE - 1) / LINE * LINE;

    assert(g->n_fields < gle_most_fields(g->n_populations, g->n_projections, g->n_directs));
    *f = shape;
    f->ld = gle_padded(shape.cols);
    f->copies = copies;
    f->stride = one;
    f->place = g->floats[f->role];
    /* those of a tape lie side by side without a gap, with as many rows as the batch has */
    g->floats[f->role] += f->role == GLE_TAPE ? (copies * f->rows * f->ld + LINE - 1) / LINE * LINE : copies * one;
    g->fields[g->n_fields++] = f;
}

/* The shapes that fields have: (rows, cols) that stay, a row of the neurons, and what is of the batch. */
static struct gle_field matrix_of(const struct gle_graph *g, const struct gle_population *p, enum gle_role role,
                                  const char *name, size_t rows, size_t cols)
{
    return (struct gle_field){.owner = p->cfg->name,
                              .name = name,
                              .population = (size_t)(p - g->populations),
                              .projection = GLE_NO_PROJECTION,
                              .role = role,
                              .rows = rows,
                              .cols = cols};
}

static struct gle_field row_of(const struct gle_graph *g, const struct gle_population *p, enum gle_role role,
                               const char *name)
{
    return matrix_of(g, p, role, name, 1, p->n);
}

static size_t rows_of(const struct gle_graph *g, enum gle_role role)
{
    return role == GLE_TAPE || role == GLE_ADJOINT ? g->train_rows : g->max_batch;
}

static struct gle_field batch_of(const struct gle_graph *g, const struct gle_population *p, enum gle_role role,
                                 const char *name)
{
    struct gle_field out = matrix_of(g, p, role, name, rows_of(g, role), p->n);

    out.of_batch = true;
    return out;
}

/* The same of a projection, which has its own label in files. */
static struct gle_field weights_of(const struct gle_graph *g, const struct gle_projection *c, enum gle_role role,
                                   const char *name, size_t rows, size_t cols)
{
    struct gle_field out = matrix_of(g, &g->populations[c->target], role, name, rows, cols);

    out.owner = c->cfg->label;
    out.projection = (size_t)(c - g->projections);
    return out;
}

static struct gle_field inputs_of(const struct gle_graph *g, const struct gle_projection *c, enum gle_role role,
                                  const char *name, size_t n)
{
    struct gle_field out = weights_of(g, c, role, name, rows_of(g, role), n);

    out.of_batch = out.of_inputs = true;
    return out;
}

/* What the network has of the input. */
static struct gle_field input_of(const struct gle_graph *g, enum gle_role role)
{
    return (struct gle_field){.owner = "input",
                              .name = "x",
                              .population = GLE_NO_POPULATION,
                              .projection = GLE_NO_PROJECTION,
                              .role = role,
                              .of_batch = true,
                              .rows = rows_of(g, role),
                              .cols = g->n_input};
}

/* --- parameters --- */

static struct gle_parameter *add_parameter(struct gle_graph *g, enum gle_param kind, bool given, bool plastic,
                                           struct gle_field field)
{
    struct gle_parameter *out = &g->parameters[g->n_parameters++];
    const size_t size = gle_field_size(&field);

    out->kind = kind;
    out->given = given;
    out->plastic = plastic && !g->passive;
    out->bounds = kind < GLE_PARAMS ? &g->exp->bounds[kind] : NULL;
    out->parts = field.cols;
    out->part = 1;
    out->n_shape = 1;
    out->shape[0] = field.cols;
    place(g, &out->field, field, 1);
    g->n_plastic += out->plastic ? size : 0;
    if (out->given && (kind == GLE_WEIGHT || kind == GLE_BIAS))
        g->n_params += size;
    return out;
}

/* Whether B moves, and how: not where nothing goes back through it. What moves is kept within the bounds of W. */
static void choose_way(struct gle_graph *g, struct gle_projection *c)
{
    c->feedback_way = g->passive || !c->sends_error ? GLE_FEEDBACK_STAYS : c->cfg->feedback->way;
    if (c->feedback_way == GLE_FEEDBACK_STAYS)
        return;
    c->feedback->bounds = c->weight->bounds;
    g->n_plastic += gle_field_size(&c->feedback->field);
}

static struct gle_parameter *add_weights(struct gle_graph *g, const struct gle_projection *c, enum gle_param kind)
{
    const bool plastic = kind == GLE_WEIGHT && c->cfg->plastic;
    struct gle_parameter *out = add_parameter(
        g, kind, true, plastic,
        weights_of(g, c, GLE_PARAMETER, gle_param_name(kind), c->plan.rows, c->plan.cols));

    out->parts = c->plan.parts;
    out->part = c->plan.part;
    out->n_shape = c->plan.n_shape;
    memcpy(out->shape, c->plan.shape, sizeof out->shape);
    return out;
}

static void add_parameters(struct gle_graph *g, struct gle_population *p)
{
    const struct gle_layer_cfg *cfg = p->cfg;
    const size_t n_bias = cfg->shape.dims ? cfg->shape.channels : p->n;
    const bool quantized = cfg->quantize.bits && !g->ideal;

    for (size_t i = p->first; i < p->first + p->n_in; i++) {
        struct gle_projection *c = &g->projections[i];
        c->weight = add_weights(g, c, GLE_WEIGHT);
        if (c->cfg->feedback->own) {
            c->feedback = add_weights(g, c, GLE_FEEDBACK);
            choose_way(g, c);
        }
    }
    p->bias = add_parameter(g, GLE_BIAS, cfg->bias.row, cfg->plastic[GLE_BIAS],
                            matrix_of(g, p, GLE_PARAMETER, gle_param_name(GLE_BIAS), 1, n_bias));
    p->tau_m = add_parameter(g, GLE_TAU_M, true, cfg->plastic[GLE_TAU_M],
                             row_of(g, p, GLE_PARAMETER, gle_param_name(GLE_TAU_M)));
    p->tau_r = add_parameter(g, GLE_TAU_R, true, cfg->plastic[GLE_TAU_R],
                             row_of(g, p, GLE_PARAMETER, gle_param_name(GLE_TAU_R)));
    for (size_t i = 0; i < GLE_MISMATCHES; i++) {
        const enum gle_param kind = (enum gle_param)(GLE_TAU_M_FACTOR + i);
        if (cfg->mismatch.std[i] > 0.0)
            p->factors[i] = add_parameter(g, kind, true, false, row_of(g, p, GLE_PARAMETER, gle_param_name(kind)));
    }
    for (size_t i = p->first; i < p->first + p->n_in; i++) {
        struct gle_projection *c = &g->projections[i];
        const size_t rows = c->plan.aid_rows, cols = c->plan.aid_cols;
        place(g, &c->aid, weights_of(g, c, GLE_COEFFICIENT, "weight_aid", rows, cols), rows > 0);
        place(g, &c->feedback_aid, weights_of(g, c, GLE_COEFFICIENT, "feedback_aid", rows, cols),
              rows > 0 && c->feedback);
        place(g, &c->read, weights_of(g, c, GLE_COEFFICIENT, "weight_read", c->plan.rows, c->plan.cols), quantized);
        place(g, &c->feedback_read,
              weights_of(g, c, GLE_COEFFICIENT, "feedback_read", c->plan.rows, c->plan.cols),
              quantized && c->feedback);
    }
    place(g, &p->leak_u, row_of(g, p, GLE_COEFFICIENT, "leak_u"), 1);
    place(g, &p->look_u, row_of(g, p, GLE_COEFFICIENT, "look_u"), 1);
    place(g, &p->leak_v, row_of(g, p, GLE_COEFFICIENT, "leak_v"), 1);
    place(g, &p->look_v, row_of(g, p, GLE_COEFFICIENT, "look_v"), 1);
    place(g, &p->rate_u, row_of(g, p, GLE_COEFFICIENT, "rate_u"), g->exp->exponential);
    place(g, &p->slope_u, row_of(g, p, GLE_COEFFICIENT, "slope_u"), g->exp->exponential);
    place(g, &p->rate_v, row_of(g, p, GLE_COEFFICIENT, "rate_v"), g->exp->exponential);
    place(g, &p->slope_v, row_of(g, p, GLE_COEFFICIENT, "slope_v"), g->exp->exponential);
    place(g, &p->mean, row_of(g, p, GLE_COEFFICIENT, "mean"), 1);
    place(g, &p->b, row_of(g, p, GLE_COEFFICIENT, "b"), n_bias < p->n);
}

/* --- variables --- */

/* How many errors reach a population: its readers', those that come directly, and the target's. */
static size_t errors_into(const struct gle_graph *g, const struct gle_population *p)
{
    size_t n = p->is_output;

    for (size_t i = 0; i < p->n_out; i++)
        n += g->projections[p->out[i]].sends_error;
    for (size_t i = 0; i < g->n_directs; i++)
        n += &g->populations[g->directs[i].to] == p && g->directs[i].sends;
    return n;
}

/* Whether a population has any noise. */
static bool add_noise(struct gle_graph *g, struct gle_population *p)
{
    static const char *const names[GLE_NOISES] = {"input_noise", "membrane_noise", "rate_noise"};
    bool any = false;

    for (size_t k = 0; k < GLE_NOISES; k++) {
        struct gle_population_noise *noise = &p->noise[k];
        const struct gle_noise_cfg *cfg = &p->cfg->noise[k];
        const bool is_there = cfg->std > 0.0 && !g->ideal;
        struct gle_field state = batch_of(g, p, GLE_STATE, names[k]);
        noise->cfg = is_there ? cfg : NULL;
        state.outside = true;
        place(g, &noise->scale, row_of(g, p, GLE_COEFFICIENT, names[k]), is_there);
        place(g, &noise->state, state, is_there && cfg->tau > 0.0);
        any = any || is_there;
    }
    return any;
}

/* What B of a projection needs to align itself: states, then what is derived. */
static void add_alignment(struct gle_graph *g, struct gle_projection *c, enum gle_role role)
{
    const bool aligns = c->feedback_way == GLE_FEEDBACK_ALIGNS;
    struct gle_field xi = inputs_of(g, c, GLE_STATE, "xi", c->n_in);
    struct gle_field of_target = batch_of(g, &g->populations[c->target], role, role == GLE_STATE ? "low" : "hp");

    xi.outside = true;
    of_target.owner = c->cfg->label;
    of_target.projection = (size_t)(c - g->projections);
    if (role == GLE_STATE)
        place(g, &c->xi, xi, aligns ? c->delay + 1 : 0);
    place(g, role == GLE_STATE ? &c->low : &c->hp, of_target, aligns);
    if (role == GLE_DERIVED)
        place(g, &c->pooled_xi, inputs_of(g, c, GLE_DERIVED, "pooled_xi", c->n_pool), aligns && c->plan.pooling);
}

/* Whether noise is added to a population so that weights B to it align themselves. */
static bool is_stirred(const struct gle_graph *g, const struct gle_population *p)
{
    bool any = false;

    for (size_t i = 0; i < p->n_out; i++) {
        const struct gle_projection *c = &g->projections[p->out[i]];
        any = any || (c->cfg->feedback->way == GLE_FEEDBACK_ALIGNS && c->sends_error && !g->passive);
    }
    return any;
}

/* Whether neurons of different groups share weights of a projection. */
static bool mixes_groups(const struct gle_graph *g, const struct gle_projection *c)
{
    const struct gle_population *p = &g->populations[c->target];
    const size_t each = gle_projection_shares(g, c);

    for (size_t i = 0; c->eligibility.copies && i < p->n; i++)
        if (p->groups.of[i] != p->groups.of[i / each * each])
            return true;
    return false;
}

/* Eligibilities of all that learns. */
static void add_traces(struct gle_graph *g, struct gle_population *p)
{
    struct gle_population_traces *t = &p->traces;
    const bool bias = g->eligible && p->bias->plastic;
    const bool tau_m = g->eligible && p->tau_m->plastic, tau_r = g->eligible && p->tau_r->plastic;

    place(g, &t->bias, batch_of(g, p, GLE_STATE, "bias_trace"), bias);
    place(g, &t->bias_eps, batch_of(g, p, GLE_STATE, "bias_eligibility"), bias ? 2 : 0);
    place(g, &t->tau_m, batch_of(g, p, GLE_STATE, "tau_m_trace"), tau_m);
    place(g, &t->tau_m_eps, batch_of(g, p, GLE_STATE, "tau_m_eligibility"), tau_m ? 2 : 0);
    place(g, &t->tau_r_eps, batch_of(g, p, GLE_STATE, "tau_r_eligibility"), tau_r ? 2 : 0);
    if (bias && p->bias->field.cols < p->n && p->ld > g->eligible_room)
        g->eligible_room = p->ld;
    for (size_t i = p->first; i < p->first + p->n_in; i++) {
        struct gle_projection *c = &g->projections[i];
        const bool there = p->groups.n && c->weight->plastic;
        struct gle_field trace = weights_of(g, c, GLE_STATE, "trace", g->max_batch, p->groups.n_traces * c->ld_pool);
        struct gle_field eps = weights_of(g, c, GLE_STATE, "eligibility", g->max_batch, p->groups.n * c->ld_pool);
        trace.of_batch = eps.of_batch = true;
        place(g, &c->trace, trace, there);
        place(g, &c->eligibility, eps, there ? 2 : 0);
        if (mixes_groups(g, c) && g->max_batch * p->ld + c->weight->part > g->eligible_room)
            g->eligible_room = g->max_batch * p->ld + c->weight->part;
    }
}

static void add_state(struct gle_graph *g, struct gle_population *p)
{
    const size_t others = g->floats[GLE_DERIVED];
    bool noisy;

    place(g, &p->u, batch_of(g, p, GLE_STATE, "u"), 1);
    place(g, &p->v, batch_of(g, p, GLE_STATE, "v"), 1);
    place(g, &p->r, batch_of(g, p, GLE_STATE, "r"), p->past + 1);
    place(g, &p->dr, batch_of(g, p, GLE_STATE, "r_prime"), 1);
    noisy = add_noise(g, p) || is_stirred(g, p);
    for (size_t i = p->first; i < p->first + p->n_in; i++) {
        struct gle_projection *c = &g->projections[i];
        place(g, &c->e_below, inputs_of(g, c, GLE_STATE, "e_below", c->n_in), c->sends_error ? 2 : 0);
        add_alignment(g, c, GLE_STATE);
    }
    add_traces(g, p);
    if (!g->observed) /* it may lie where others lie, too */
        g->floats[GLE_DERIVED] = 0;
    place(g, &p->e, batch_of(g, p, GLE_DERIVED, "e"), 1);
    place(g, &p->prosp_u, batch_of(g, p, GLE_DERIVED, "prosp_u"), 1);
    place(g, &p->s, batch_of(g, p, GLE_DERIVED, "s"), 1);
    place(g, &p->e_above, batch_of(g, p, GLE_DERIVED, "e_above"), errors_into(g, p) > 1);
    place(g, &p->e_inst, batch_of(g, p, GLE_DERIVED, "e_inst"), g->e_inst || p->tau_r->plastic);
    place(g, &p->draws, batch_of(g, p, GLE_DERIVED, "draws"), noisy);
    for (size_t i = p->first; i < p->first + p->n_in; i++) {
        struct gle_projection *c = &g->projections[i];
        const bool pools = c->plan.pooling != NULL;
        place(g, &c->pooled, inputs_of(g, c, GLE_DERIVED, "pooled", c->n_pool), pools);
        place(g, &c->pooled_e, inputs_of(g, c, GLE_DERIVED, "pooled_e", c->n_pool), pools && c->sends_error);
        add_alignment(g, c, GLE_DERIVED);
    }
    if (!g->observed && g->floats[GLE_DERIVED] < others)
        g->floats[GLE_DERIVED] = others;
}

static void add_tapes(struct gle_graph *g, struct gle_population *p)
{
    struct gle_population_tape *t = &p->tape;
    const size_t T = g->tape_steps;

    place(g, &t->r, batch_of(g, p, GLE_TAPE, "r"), T + p->past);
    place(g, &t->dr, batch_of(g, p, GLE_TAPE, "r_prime"), p->swept ? T + 1 : 0);
    place(g, &t->s, batch_of(g, p, GLE_TAPE, "s"), p->tau_m->plastic || p->tau_r->plastic ? T : 0);
    place(g, &t->lambda, batch_of(g, p, GLE_TAPE, "lambda"), p->swept ? T : 0);
    place(g, &t->prosp_u_bar, batch_of(g, p, GLE_TAPE, "prosp_u_bar"),
          p->tau_r->plastic || (p->tau_m->plastic && g->exp->exponential) ? T : 0);
    place(g, &t->v, batch_of(g, p, GLE_TAPE, "v"), p->coupled ? T + 1 : 0);
    place(g, &t->e, batch_of(g, p, GLE_TAPE, "e"), p->coupled ? T : 0);
    place(g, &t->prosp_u, batch_of(g, p, GLE_TAPE, "prosp_u"), p->coupled ? T : 0);
    place(g, &t->e_above, batch_of(g, p, GLE_TAPE, "e_above"), p->coupled ? T : 0);
    place(g, &t->above_bar, batch_of(g, p, GLE_TAPE, "above_bar"), p->coupled ? T + 1 : 0);
    for (size_t i = p->first; i < p->first + p->n_in; i++) {
        struct gle_projection *c = &g->projections[i];
        const bool pools = c->plan.pooling != NULL;
        place(g, &c->tape_pooled, inputs_of(g, c, GLE_TAPE, "pooled", c->n_pool), pools && c->weight->plastic ? T : 0);
        place(g, &c->tape_pooled_bar, inputs_of(g, c, GLE_TAPE, "pooled_bar", c->n_pool),
              pools && c->couples_below ? T : 0);
    }
}

/* What a window keeps of what comes from outside. */
static void add_ends(struct gle_graph *g)
{
    struct gle_field weight = batch_of(g, &g->populations[g->output], GLE_TAPE, "target_weight");

    weight.cols = 1;
    place(g, &g->tape_input, input_of(g, GLE_TAPE), g->tape_steps + g->input_past);
    place(g, &g->tape_target, batch_of(g, &g->populations[g->output], GLE_TAPE, "target"), g->tape_steps);
    place(g, &g->tape_weight, weight, g->weighted ? g->tape_steps : 0);
}

static void add_adjoints(struct gle_graph *g, struct gle_population *p)
{
    struct gle_population_adjoint *a = &p->adjoint;

    place(g, &a->u, batch_of(g, p, GLE_ADJOINT, "u"), 1);
    place(g, &a->v, batch_of(g, p, GLE_ADJOINT, "v"), 1);
    place(g, &a->dr, batch_of(g, p, GLE_ADJOINT, "r_prime"), 1);
    place(g, &a->r, batch_of(g, p, GLE_ADJOINT, "r"), 1);
    place(g, &a->e, batch_of(g, p, GLE_ADJOINT, "e"), 1);
    place(g, &a->a, batch_of(g, p, GLE_ADJOINT, "prosp_u"), 1);
    place(g, &a->work, batch_of(g, p, GLE_ADJOINT, "work"), 1);
    place(g, &a->old_v, batch_of(g, p, GLE_ADJOINT, "old_v"), p->coupled && p->tau_r->plastic);
    place(g, &a->tau_m, row_of(g, p, GLE_ADJOINT, "tau_m"), 1);
    place(g, &a->tau_r, row_of(g, p, GLE_ADJOINT, "tau_r"), p->tau_r->plastic);
    place(g, &a->part, row_of(g, p, GLE_ADJOINT, "part"), 2);
    for (size_t i = p->first; i < p->first + p->n_in; i++) {
        struct gle_projection *c = &g->projections[i];
        place(g, &c->bar, inputs_of(g, c, GLE_ADJOINT, "bar", c->n_pool),
              c->plan.pooling && c->sweeps_below);
        place(g, &c->part, weights_of(g, c, GLE_ADJOINT, "weight_part", c->plan.rows, c->plan.cols),
              c->weight->plastic);
    }
}

/* Behind all populations, so that these begin as they would without. */
static void add_direct(struct gle_graph *g, struct gle_direct *d)
{
    const struct gle_population *to = &g->populations[d->to];
    const struct gle_link_plan *plan = &d->plan;
    const bool quantized = to->cfg->quantize.bits && !g->ideal;
    struct gle_field weight = matrix_of(g, to, GLE_PARAMETER, gle_param_name(GLE_ERRORS_FROM), plan->rows, plan->cols);
    struct gle_field read = matrix_of(g, to, GLE_COEFFICIENT, "errors_read", plan->rows, plan->cols);
    struct gle_field sent = batch_of(g, to, GLE_STATE, "e_direct");

    weight.owner = sent.owner = d->cfg->label;
    d->weight = add_parameter(g, GLE_ERRORS_FROM, true, false, weight);
    d->weight->parts = plan->parts;
    d->weight->part = plan->part;
    d->weight->n_shape = plan->n_shape;
    memcpy(d->weight->shape, plan->shape, sizeof plan->shape);
    place(g, &d->read, read, quantized);
    place(g, &d->aid, matrix_of(g, to, GLE_COEFFICIENT, "errors_aid", plan->aid_rows, plan->aid_cols),
          plan->aid_rows > 0);
    place(g, &d->sent, sent, d->sends ? 2 : 0);
}

void gle_place_all(struct gle_graph *g)
{
    for (size_t i = 0; i < g->n_populations; i++) {
        add_parameters(g, &g->populations[i]);
        add_state(g, &g->populations[i]);
    }
    for (size_t i = 0; i < g->n_directs; i++)
        add_direct(g, &g->directs[i]);
    place(g, &g->input, input_of(g, GLE_STATE), g->input_past ? g->input_past + 1 : 0);
    for (size_t i = 0; i < g->n_populations && g->tape_steps; i++) {
        add_tapes(g, &g->populations[i]);
        add_adjoints(g, &g->populations[i]);
    }
    if (g->tape_steps)
        add_ends(g);
}
