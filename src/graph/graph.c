#include "graph/graph.h"
#include "base/memory.h"
#include "kernel/kernel.h"
#include "parts/rule.h"

#include <string.h>

enum { LINE = 16 };

/* --- fields --- */

enum { FIELDS_POPULATION = 34, FIELDS_PROJECTION = 5, FIELDS_GRAPH = 2 }; /* at most, with those of parameters */

/* Gives a field its shape and its place. copies 0: it is not needed. */
static void place(struct gle_graph *g, struct gle_field *f, struct gle_field shape, size_t copies)
{
    const size_t one = (shape.rows * gle_padded(shape.cols) + LINE - 1) / LINE * LINE;

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
                              .role = role,
                              .rows = rows,
                              .cols = cols};
}

static struct gle_field row_of(const struct gle_graph *g, const struct gle_population *p, enum gle_role role,
                               const char *name)
{
    return matrix_of(g, p, role, name, 1, p->n);
}

static struct gle_field batch_of(const struct gle_graph *g, const struct gle_population *p, enum gle_role role,
                                 const char *name)
{
    const size_t rows = role == GLE_TAPE || role == GLE_ADJOINT ? g->train_rows : g->max_batch;
    struct gle_field out = matrix_of(g, p, role, name, rows, p->n);

    out.of_batch = true;
    return out;
}

/* --- parameters --- */

static struct gle_parameter *add_parameter(struct gle_graph *g, size_t i, enum gle_param kind, size_t rows,
                                           size_t cols)
{
    const struct gle_population *p = &g->populations[i];
    struct gle_parameter *out = &g->parameters[g->n_parameters++];

    out->kind = kind;
    out->given = kind != GLE_BIAS || p->cfg->bias.row;
    out->plastic = kind < GLE_PARAMS && p->cfg->plastic[kind] && !g->passive;
    out->bounds = kind < GLE_PARAMS ? &g->exp->bounds[kind] : NULL;
    place(g, &out->field, matrix_of(g, p, GLE_PARAMETER, gle_param_name(kind), rows, cols), 1);
    g->n_plastic += out->plastic ? rows * cols : 0;
    if (out->given && (kind == GLE_WEIGHT || kind == GLE_BIAS))
        g->n_params += rows * cols;
    return out;
}

static void add_parameters(struct gle_graph *g, size_t i)
{
    struct gle_population *p = &g->populations[i];
    struct gle_projection *c = &g->projections[p->in];

    c->weight = add_parameter(g, i, GLE_WEIGHT, p->n, c->n_in);
    p->bias = add_parameter(g, i, GLE_BIAS, 1, p->n);
    p->tau_m = add_parameter(g, i, GLE_TAU_M, 1, p->n);
    p->tau_r = add_parameter(g, i, GLE_TAU_R, 1, p->n);
    place(g, &c->weight_t, matrix_of(g, p, GLE_COEFFICIENT, "weight_t", c->n_in, p->n), 1);
    place(g, &p->leak_u, row_of(g, p, GLE_COEFFICIENT, "leak_u"), 1);
    place(g, &p->look_u, row_of(g, p, GLE_COEFFICIENT, "look_u"), 1);
    place(g, &p->leak_v, row_of(g, p, GLE_COEFFICIENT, "leak_v"), 1);
    place(g, &p->look_v, row_of(g, p, GLE_COEFFICIENT, "look_v"), 1);
    place(g, &p->mean, row_of(g, p, GLE_COEFFICIENT, "mean"), 1);
}

/* --- variables --- */

/* What a projection has for each row and input. */
static struct gle_field inputs_of(struct gle_field like, const struct gle_projection *c)
{
    like.cols = c->n_in;
    like.of_inputs = true;
    return like;
}

static void add_state(struct gle_graph *g, struct gle_population *p)
{
    struct gle_projection *c = &g->projections[p->in];
    const size_t others = g->floats[GLE_DERIVED];

    place(g, &p->u, batch_of(g, p, GLE_STATE, "u"), 1);
    place(g, &p->v, batch_of(g, p, GLE_STATE, "v"), 1);
    place(g, &p->r, batch_of(g, p, GLE_STATE, "r"), 2);
    place(g, &p->dr, batch_of(g, p, GLE_STATE, "r_prime"), 1);
    place(g, &c->e_below, inputs_of(batch_of(g, p, GLE_STATE, "e_below"), c), 2);
    if (!g->observed) /* it may lie where others lie, too */
        g->floats[GLE_DERIVED] = 0;
    place(g, &p->e, batch_of(g, p, GLE_DERIVED, "e"), 1);
    place(g, &p->prosp_u, batch_of(g, p, GLE_DERIVED, "prosp_u"), 1);
    place(g, &p->s, batch_of(g, p, GLE_DERIVED, "s"), 1);
    place(g, &p->e_inst, batch_of(g, p, GLE_DERIVED, "e_inst"), g->e_inst);
    if (!g->observed && g->floats[GLE_DERIVED] < others)
        g->floats[GLE_DERIVED] = others;
}

/* Whether the sizes of tapes stay far below overflow. */
static bool tapes_fit(const struct gle_graph *g, const struct gle_experiment *exp)
{
    enum { TAPES_MAX = 10 };
    const double floats_max = 1e15;
    double width = (double)g->ld_input;

    for (size_t i = 0; i < exp->n_layers; i++)
        width += (double)gle_padded(exp->layers[i].n);
    return (double)TAPES_MAX * ((double)g->tape_steps + 1.0) * (double)g->train_rows * width < floats_max;
}

static void add_tapes(struct gle_graph *g, struct gle_population *p)
{
    struct gle_projection *c = &g->projections[p->in];
    struct gle_population_tape *t = &p->tape;
    const size_t T = g->tape_steps;

    place(g, &t->r, batch_of(g, p, GLE_TAPE, "r"), T + 1);
    place(g, &t->dr, batch_of(g, p, GLE_TAPE, "r_prime"), p->swept ? T + 1 : 0);
    place(g, &t->s, batch_of(g, p, GLE_TAPE, "s"), p->tau_m->plastic ? T : 0);
    place(g, &t->lambda, batch_of(g, p, GLE_TAPE, "lambda"), p->swept ? T : 0);
    place(g, &t->v, batch_of(g, p, GLE_TAPE, "v"), p->nudged ? T + 1 : 0);
    place(g, &t->e, batch_of(g, p, GLE_TAPE, "e"), p->nudged ? T : 0);
    place(g, &t->prosp_u, batch_of(g, p, GLE_TAPE, "prosp_u"), p->nudged ? T : 0);
    place(g, &t->e_above, batch_of(g, p, GLE_TAPE, "e_above"), p->nudged ? T : 0);
    place(g, &c->below_bar, inputs_of(batch_of(g, p, GLE_TAPE, "below_bar"), c), p->nudged ? T : 0);
}

/* What a window keeps of what comes from outside. */
static void add_ends(struct gle_graph *g)
{
    const struct gle_population *top = &g->populations[g->n_populations - 1];
    struct gle_field input = batch_of(g, g->populations, GLE_TAPE, "x");

    input.owner = "input";
    input.cols = g->n_input;
    place(g, &g->tape_input, input, g->tape_steps);
    place(g, &g->tape_target, batch_of(g, top, GLE_TAPE, "target"), g->tape_steps);
}

static void add_adjoints(struct gle_graph *g, struct gle_population *p)
{
    struct gle_projection *c = &g->projections[p->in];
    struct gle_population_adjoint *a = &p->adjoint;

    place(g, &a->u, batch_of(g, p, GLE_ADJOINT, "u"), 1);
    place(g, &a->v, batch_of(g, p, GLE_ADJOINT, "v"), 1);
    place(g, &a->dr, batch_of(g, p, GLE_ADJOINT, "r_prime"), 1);
    place(g, &a->r, batch_of(g, p, GLE_ADJOINT, "r"), 2);
    place(g, &a->above, batch_of(g, p, GLE_ADJOINT, "e_above"), 2);
    place(g, &a->e, batch_of(g, p, GLE_ADJOINT, "e"), 1);
    place(g, &a->a, batch_of(g, p, GLE_ADJOINT, "prosp_u"), 1);
    place(g, &a->work, batch_of(g, p, GLE_ADJOINT, "work"), 1);
    place(g, &a->tau_m, row_of(g, p, GLE_ADJOINT, "tau_m"), 1);
    place(g, &a->part, row_of(g, p, GLE_ADJOINT, "part"), 1);
    place(g, &c->part, matrix_of(g, p, GLE_ADJOINT, "weight_part", p->n, c->n_in), 1);
}

/* Which errors flow through population i. Under a windowed rule steps need them only for the feedback into membranes,
 * and for whoever wants to see them (shown). */
static void set_errors(struct gle_graph *g, size_t i, bool shown)
{
    struct gle_population *p = &g->populations[i];
    struct gle_projection *c = &g->projections[p->in];
    const struct gle_population *below = c->source == GLE_SOURCE_INPUT ? NULL : &g->populations[c->source];
    const bool *plastic = p->cfg->plastic;
    const bool learns = plastic[GLE_WEIGHT] || plastic[GLE_BIAS] || plastic[GLE_TAU_M];

    p->nudged = !g->passive && ((below && below->nudged) || p->cfg->gamma > 0.0);
    p->swept = !g->passive && ((below && below->swept) || learns || p->nudged);
    p->needs_error = g->exp->rule->windowed && !shown ? p->nudged : p->swept;
    c->sweeps_below = below && below->swept;
    c->sends_error = below && below->needs_error;
}

/* --- the graph --- */

static void connect(struct gle_graph *g)
{
    size_t n_in = g->n_input;

    for (size_t i = 0; i < g->n_populations; i++) {
        struct gle_population *p = &g->populations[i];
        struct gle_projection *c = &g->projections[g->n_projections++];

        p->cfg = &g->exp->layers[i];
        p->n = p->cfg->n;
        p->ld = gle_padded(p->n);
        p->in = i;
        p->out = i + 1 < g->n_populations ? (long)i + 1 : GLE_NO_PROJECTION;
        c->source = i ? (long)i - 1 : GLE_SOURCE_INPUT;
        c->target = i;
        c->n_in = n_in;
        c->ld_in = gle_padded(n_in);
        n_in = p->n;
    }
}

static struct gle_graph *allocate(size_t n)
{
    struct gle_graph *g = gle_calloc(1, sizeof *g);

    if (!g)
        return NULL;
    g->n_populations = n;
    g->populations = gle_calloc(n, sizeof *g->populations);
    g->projections = gle_calloc(n, sizeof *g->projections);
    g->parameters = gle_calloc(n * GLE_PARAM_KINDS, sizeof *g->parameters);
    g->fields = gle_calloc(n * (FIELDS_POPULATION + FIELDS_PROJECTION) + FIELDS_GRAPH, sizeof *g->fields);
    if (g->populations && g->projections && g->parameters && g->fields)
        return g;
    gle_graph_destroy(g);
    return NULL;
}

int gle_graph_build(struct gle_graph **out, const struct gle_experiment *exp, const struct gle_graph_options *options,
                    struct gle_error *err)
{
    struct gle_graph *g = allocate(exp->n_layers);

    *out = NULL;
    if (!g)
        return gle_fail(err, GLE_ENOMEM, "no memory for the graph");
    g->exp = exp;
    g->observed = options->observed;
    g->e_inst = options->e_inst;
    g->passive = options->passive;
    g->tape_steps = options->tape_steps;
    g->n_input = exp->n_input;
    g->ld_input = gle_padded(exp->n_input);
    g->max_batch = options->batch;
    if (!g->max_batch)
        g->max_batch = exp->batch_size > exp->test_batch_size ? exp->batch_size : exp->test_batch_size;
    g->train_rows = options->train_rows ? options->train_rows : exp->batch_size;
    if (!tapes_fit(g, exp)) {
        const size_t steps = g->tape_steps;
        gle_graph_destroy(g);
        return gle_fail(err, GLE_ENOMEM, "no memory for windows of %zu steps", steps);
    }
    connect(g);
    for (size_t i = 0; i < g->n_populations; i++) {
        set_errors(g, i, options->errors);
        add_parameters(g, i);
        add_state(g, &g->populations[i]);
    }
    for (size_t i = 0; i < g->n_populations && g->tape_steps; i++) {
        add_tapes(g, &g->populations[i]);
        add_adjoints(g, &g->populations[i]);
    }
    if (g->tape_steps)
        add_ends(g);
    *out = g;
    return 0;
}

void gle_graph_destroy(struct gle_graph *graph)
{
    if (!graph)
        return;
    gle_free(graph->populations);
    gle_free(graph->projections);
    gle_free(graph->parameters);
    gle_free(graph->fields);
    gle_free(graph);
}

size_t gle_graph_parameter(const struct gle_graph *graph, size_t population, enum gle_param kind)
{
    const struct gle_population *p = &graph->populations[population];
    const struct gle_parameter *of[GLE_PARAM_KINDS] = {[GLE_WEIGHT] = graph->projections[p->in].weight,
                                                       [GLE_BIAS] = p->bias,
                                                       [GLE_TAU_M] = p->tau_m,
                                                       [GLE_TAU_R] = p->tau_r};
    return (size_t)(of[kind] - graph->parameters);
}

size_t gle_graph_variable(const struct gle_graph *graph, size_t population, const char *name)
{
    for (size_t i = 0; i < graph->n_fields; i++) {
        const struct gle_field *f = graph->fields[i];
        if (f->population == population && (f->role == GLE_STATE || f->role == GLE_DERIVED) && !strcmp(f->name, name))
            return i;
    }
    return SIZE_MAX;
}

/* Of a projection, per sample. */
static double product_flops(const struct gle_graph *graph, const struct gle_projection *c)
{
    return 2.0 * (double)graph->populations[c->target].n * (double)c->n_in;
}

double gle_graph_flops(const struct gle_graph *graph, bool learn)
{
    const bool sweeps = learn && graph->exp->rule->windowed;
    double flops = 0.0;

    for (size_t i = 0; i < graph->n_projections; i++) {
        const struct gle_projection *c = &graph->projections[i];
        const int products = 1 + c->sends_error + (sweeps && c->sweeps_below) + (learn && c->weight->plastic);
        flops += products * product_flops(graph, c);
    }
    return flops;
}

double gle_graph_forward_flops(const struct gle_graph *graph)
{
    double flops = 0.0;

    for (size_t i = 0; i < graph->n_projections; i++)
        flops += product_flops(graph, &graph->projections[i]);
    return flops;
}

double gle_graph_bytes(const struct gle_graph *graph, size_t n_moments)
{
    double floats = (double)graph->floats[GLE_PARAMETER] * (double)(2 + n_moments); /* gradients and kept ones, too */

    for (int role = 0; role < GLE_ROLES; role++)
        floats += (double)graph->floats[role];
    return sizeof(float) * floats;
}
