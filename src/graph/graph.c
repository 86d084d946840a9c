#include "graph/graph.h"
#include "base/memory.h"
#include "kernel/kernel.h"
#include "parts/rule.h"

enum { LINE = 16 };

/* Room for n floats in a slab, starting on a 64-byte boundary. */
static size_t take(size_t *slab, size_t n)
{
    const size_t at = *slab;
    *slab = at + (n + LINE - 1) / LINE * LINE;
    return at;
}

static void place_params(struct gle_graph *g, struct gle_graph_layer *l)
{
    l->param[GLE_WEIGHT] = take(&g->param_floats, l->n * l->ld_in);
    l->param[GLE_BIAS] = take(&g->param_floats, l->ld);
    l->param[GLE_TAU_M] = take(&g->param_floats, l->ld);
    l->wt = take(&g->coef_floats, l->n_in * l->ld);
    l->coef = take(&g->coef_floats, GLE_COEFS * l->ld);
    g->n_params += l->n * l->n_in + (l->cfg->bias.row ? l->n : 0);
    if (g->passive)
        return;
    g->n_plastic += (l->cfg->plastic[GLE_WEIGHT] ? l->n * l->n_in : 0) + (l->cfg->plastic[GLE_BIAS] ? l->n : 0) +
                    (l->cfg->plastic[GLE_TAU_M] ? l->n : 0);
}

static void place_state(struct gle_graph *g, struct gle_graph_layer *l)
{
    size_t scratch = 0;

    for (size_t v = 0; v < GLE_VARS; v++) {
        const size_t rows = v == GLE_VAR_E_INST && !g->e_inst ? 0 : g->max_batch;
        const size_t n = rows * (v == GLE_VAR_E_BELOW ? l->ld_in : l->ld);
        size_t *slab = v < GLE_STATE_VARS || g->observed ? &g->state_floats : &scratch;
        l->var[v][0] = take(slab, n);
        l->var[v][1] = v == GLE_VAR_R || v == GLE_VAR_E_BELOW ? take(slab, n) : l->var[v][0];
    }
    if (scratch > g->scratch_floats)
        g->scratch_floats = scratch;
}

/* Entries of a tape: 0 where it is not used. */
static size_t tape_entries(const struct gle_graph *g, const struct gle_graph_layer *l, enum gle_tape tape)
{
    switch (tape) {
    case GLE_TAPE_R:
        return g->tape_steps + 1;
    case GLE_TAPE_DR:
        return l->swept ? g->tape_steps + 1 : 0;
    case GLE_TAPE_LAMBDA:
        return l->swept ? g->tape_steps : 0;
    case GLE_TAPE_S:
        return l->cfg->plastic[GLE_TAU_M] ? g->tape_steps : 0;
    case GLE_TAPE_V:
        return l->nudged ? g->tape_steps + 1 : 0;
    default:
        return l->nudged ? g->tape_steps : 0;
    }
}

/* Whether the sizes of tapes stay far below overflow. */
static bool tapes_fit(const struct gle_graph *g, const struct gle_experiment *exp)
{
    const double floats_max = 1e15;
    double width = (double)g->ld_input;

    for (size_t i = 0; i < exp->n_layers; i++)
        width += (double)gle_padded(exp->layers[i].n);
    return (double)(GLE_TAPES + 1) * ((double)g->tape_steps + 1.0) * (double)g->train_rows * width < floats_max;
}

static void place_tapes(struct gle_graph *g, struct gle_graph_layer *l)
{
    const size_t rows = g->train_rows;

    for (size_t i = 0; i < GLE_TAPES; i++)
        l->tape[i] = take(&g->tape_floats, tape_entries(g, l, (enum gle_tape)i) * rows *
                                               (i == GLE_TAPE_BELOW_BAR ? l->ld_in : l->ld));
    for (size_t i = 0; i < GLE_ADJOINTS; i++) {
        const size_t n = i == GLE_ADJOINT_TAU ? l->ld : i == GLE_ADJOINT_GRAD ? l->n * l->ld_in + l->ld : rows * l->ld;
        const bool twice = i == GLE_ADJOINT_R || i == GLE_ADJOINT_ABOVE;
        l->adjoint[i][0] = take(&g->adjoint_floats, n);
        l->adjoint[i][1] = twice ? take(&g->adjoint_floats, n) : l->adjoint[i][0];
    }
}

/* Which errors flow through a layer. Under a windowed rule steps need them only for the feedback into membranes, and
 * for whoever wants to see them. */
static void set_errors(const struct gle_graph *g, struct gle_graph_layer *l, const struct gle_graph_layer *below,
                       bool shown)
{
    const bool *plastic = l->cfg->plastic;
    const bool learns = plastic[GLE_WEIGHT] || plastic[GLE_BIAS] || plastic[GLE_TAU_M];

    l->nudged = !g->passive && ((below && below->nudged) || l->cfg->gamma > 0.0);
    l->swept = !g->passive && ((below && below->swept) || learns || l->nudged);
    l->sweeps_below = below && below->swept;
    l->needs_error = g->exp->rule->windowed && !shown ? l->nudged : l->swept;
    l->sends_error = below && below->needs_error;
}

int gle_graph_build(struct gle_graph **out, const struct gle_experiment *exp, const struct gle_graph_options *options,
                    struct gle_error *err)
{
    struct gle_graph *g = gle_calloc(1, sizeof *g);
    size_t n_in = exp->n_input;

    *out = NULL;
    if (g)
        g->layers = gle_calloc(exp->n_layers, sizeof *g->layers);
    if (!g || !g->layers) {
        gle_graph_destroy(g);
        return gle_fail(err, GLE_ENOMEM, "no memory for the graph");
    }
    g->exp = exp;
    g->observed = options->observed;
    g->e_inst = options->e_inst;
    g->passive = options->passive;
    g->tape_steps = options->tape_steps;
    g->n_layers = exp->n_layers;
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
    for (size_t i = 0; i < g->n_layers; i++) {
        struct gle_graph_layer *l = &g->layers[i];
        const struct gle_layer_cfg *cfg = &exp->layers[i];

        l->cfg = cfg;
        l->source = i ? (long)i - 1 : GLE_SOURCE_INPUT;
        l->n_in = n_in;
        l->n = cfg->n;
        l->ld_in = gle_padded(n_in);
        l->ld = gle_padded(cfg->n);
        set_errors(g, l, i ? l - 1 : NULL, options->errors);
        place_params(g, l);
        place_state(g, l);
        if (g->tape_steps)
            place_tapes(g, l);
        n_in = cfg->n;
    }
    if (g->tape_steps) {
        g->tape_input = take(&g->tape_floats, g->tape_steps * g->train_rows * g->ld_input);
        g->tape_target_error =
            take(&g->tape_floats, g->tape_steps * g->train_rows * g->layers[g->n_layers - 1].ld);
    }
    *out = g;
    return 0;
}

void gle_graph_destroy(struct gle_graph *graph)
{
    if (!graph)
        return;
    gle_free(graph->layers);
    gle_free(graph);
}

double gle_graph_flops(const struct gle_graph *graph, bool learn)
{
    const bool sweeps = learn && graph->exp->rule->windowed;
    double flops = 0.0;

    for (size_t i = 0; i < graph->n_layers; i++) {
        const struct gle_graph_layer *l = &graph->layers[i];
        const int products =
            1 + l->sends_error + (sweeps && l->sweeps_below) + (learn && l->cfg->plastic[GLE_WEIGHT]);
        flops += 2.0 * products * (double)l->n * (double)l->n_in;
    }
    return flops;
}

double gle_graph_forward_flops(const struct gle_graph *graph)
{
    double flops = 0.0;

    for (size_t i = 0; i < graph->n_layers; i++)
        flops += 2.0 * (double)graph->layers[i].n * (double)graph->layers[i].n_in;
    return flops;
}

double gle_graph_bytes(const struct gle_graph *graph, size_t n_moments)
{
    return sizeof(float) * ((double)graph->param_floats * (double)(3 + n_moments) + (double)graph->state_floats +
                            (double)graph->coef_floats + (double)graph->scratch_floats + (double)graph->tape_floats +
                            (double)graph->adjoint_floats);
}
