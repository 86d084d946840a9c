#include "solver/net.h"
#include "base/memory.h"
#include "base/npz.h"
#include "base/rng.h"
#include "kernel/kernel.h"
#include "parts/activation.h"
#include "parts/init.h"
#include "parts/loss.h"
#include "parts/optimizer.h"
#include "parts/rule.h"
#include "solver/team.h"

#include <stdio.h>
#include <string.h>

struct gle_net {
    const struct gle_graph *graph;
    const struct gle_kernels *kernels;
    gle_error_kernel *error;
    const struct gle_act **act; /* per layer */
    const struct gle_loss *loss;
    const struct gle_optimizer *optimizer;

    float *params, *grads, *kept;
    float *moments[GLE_MOMENTS_MAX];
    float *state, *coefs, *scratch;
    float *input, *target, *top_error, *output_sum;

    size_t B;
    int now;            /* which of two copies is that of the last step */
    uint64_t steps;     /* since init */
    uint64_t updates;   /* optimizer steps since init */
    struct gle_team *team;
    size_t n_threads;
    size_t *first_layer; /* of each thread; one more at the end */
    int *wild;           /* per layer: NaN or Inf in this step */
    double step_loss;
    const struct gle_step *step; /* the one being taken */
    struct gle_optimizer_step optimizer_step;
};

static float *coef(const struct gle_net *net, const struct gle_graph_layer *l, enum gle_coef which)
{
    return net->coefs + l->coef + (size_t)which * l->ld;
}

static float *var(const struct gle_net *net, const struct gle_graph_layer *l, enum gle_var v, int copy)
{
    return net->state + l->var[v][copy];
}

/* A derived variable, as thread t computes it. */
static float *derived(const struct gle_net *net, const struct gle_graph_layer *l, enum gle_var v, size_t t)
{
    return net->graph->observed ? var(net, l, v, 0) : net->scratch + t * net->graph->scratch_floats + l->var[v][0];
}

static const struct gle_graph_layer *top_of(const struct gle_net *net)
{
    return &net->graph->layers[net->graph->n_layers - 1];
}

/* --- threads --- */

/* What a layer costs in a learning step, in floating-point operations per sample; a neuron's elementwise work takes
 * about as long as 80 of them. */
static double layer_cost(const struct gle_graph_layer *l)
{
    const int products = 1 + l->sends_error + l->cfg->plastic[GLE_WEIGHT];

    return 2.0 * products * (double)l->n * (double)l->n_in + 80.0 * (double)l->n;
}

/* How many threads are needed when none may have more than `most` work; fills first_layer if there are enough. */
static size_t split(const struct gle_graph *graph, double most, size_t *first_layer)
{
    size_t threads = 1;
    double load = 0.0;

    for (size_t i = 0; i < graph->n_layers; i++) {
        const double cost = layer_cost(&graph->layers[i]);
        if (i && load + cost > most) {
            if (first_layer)
                first_layer[threads] = i;
            threads++;
            load = 0.0;
        }
        load += cost;
    }
    if (first_layer)
        first_layer[threads] = graph->n_layers;
    return threads;
}

/* Contiguous layers to each thread, the largest share as small as possible (by bisection). */
static void split_layers(struct gle_net *net)
{
    double low = 0.0, high = 0.0;

    for (size_t i = 0; i < net->graph->n_layers; i++) {
        const double cost = layer_cost(&net->graph->layers[i]);
        low = cost > low ? cost : low;
        high += cost;
    }
    if (split(net->graph, low, NULL) > net->n_threads)
        for (int i = 0; i < 50; i++) {
            const double middle = 0.5 * (low + high);
            if (split(net->graph, middle, NULL) > net->n_threads)
                low = middle;
            else
                high = middle;
        }
    else
        high = low;
    net->n_threads = split(net->graph, high, net->first_layer);
}

/* A thread should have some ten microseconds of work in a step, or waiting for it costs more than it brings. */
static const double LEAST_WORK = 1e6;

static size_t useful_threads(const struct gle_graph *graph, size_t wish)
{
    double work = 0.0;

    for (size_t i = 0; i < graph->n_layers; i++)
        work += layer_cost(&graph->layers[i]) * (double)graph->exp->batch_size;
    if ((double)wish > work / LEAST_WORK)
        wish = (size_t)(work / LEAST_WORK);
    return wish < 1 ? 1 : wish < graph->n_layers ? wish : graph->n_layers;
}

size_t gle_net_threads(const struct gle_net *net)
{
    return net->n_threads;
}

/* --- building --- */

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
    net->error = exp->rule->error(net->kernels);
    net->loss = gle_loss_for(exp->loss, isa);
    net->optimizer = gle_optimizer_for((const struct gle_optimizer *)exp->optimizer.row, isa);
    net->n_threads = useful_threads(graph, n_threads);
    net->B = B;

    net->act = gle_calloc(graph->n_layers, sizeof(struct gle_act *));
    net->wild = gle_calloc(graph->n_layers, sizeof *net->wild);
    net->first_layer = gle_calloc(graph->n_layers + 1, sizeof *net->first_layer);
    net->params = gle_floats(graph->param_floats + GLE_SLACK);
    net->grads = gle_floats(graph->param_floats + GLE_SLACK);
    net->kept = gle_floats(graph->param_floats);
    net->state = gle_floats(graph->state_floats + GLE_SLACK);
    net->coefs = gle_floats(graph->coef_floats + GLE_SLACK);
    net->scratch = gle_floats(graph->scratch_floats * net->n_threads);
    net->input = gle_floats(B * graph->ld_input + GLE_SLACK);
    net->target = gle_floats(B * top_of(net)->ld);
    net->top_error = gle_floats(B * top_of(net)->ld);
    net->output_sum = gle_floats(B * top_of(net)->ld);
    ok = net->act && net->wild && net->first_layer && net->params && net->grads && net->kept && net->state &&
         net->coefs && net->scratch && net->input && net->target && net->top_error && net->output_sum;
    for (size_t m = 0; m < net->optimizer->n_moments; m++)
        ok = (net->moments[m] = gle_floats(graph->param_floats)) && ok;
    if (!ok) {
        gle_net_destroy(net);
        return gle_fail(err, GLE_ENOMEM, "no memory for a network of %.0f MB",
                        1e-6 * gle_graph_bytes(graph, GLE_MOMENTS_MAX));
    }
    for (size_t i = 0; i < graph->n_layers; i++)
        net->act[i] = gle_act_for(graph->layers[i].cfg->act, isa);
    split_layers(net);
    if (gle_team_create(&net->team, net->n_threads, err)) {
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
    for (size_t m = 0; m < GLE_MOMENTS_MAX; m++)
        gle_free(net->moments[m]);
    gle_team_destroy(net->team);
    gle_free(net->act);
    gle_free(net->wild);
    gle_free(net->first_layer);
    gle_free(net->params);
    gle_free(net->grads);
    gle_free(net->kept);
    gle_free(net->state);
    gle_free(net->coefs);
    gle_free(net->scratch);
    gle_free(net->input);
    gle_free(net->target);
    gle_free(net->top_error);
    gle_free(net->output_sum);
    gle_free(net);
}

/* --- parameters --- */

/* The coefficients that follow from tau_m and tau_r. Padding keeps harmless ones. */
static void set_coefs(struct gle_net *net, const struct gle_graph_layer *l)
{
    const float *tau_m = net->params + l->param[GLE_TAU_M];
    const double dt = net->graph->exp->dt;

    for (size_t i = 0; i < l->n; i++) {
        const double m = (double)tau_m[i], r = l->cfg->tau_r[i];
        coef(net, l, GLE_COEF_LEAK_U)[i] = (float)(dt / m);
        coef(net, l, GLE_COEF_LOOK_U)[i] = (float)(r / m);
        coef(net, l, GLE_COEF_LEAK_V)[i] = (float)(dt / r);
        coef(net, l, GLE_COEF_LOOK_V)[i] = (float)(m / r);
        coef(net, l, GLE_COEF_MEAN)[i] = (float)(1.0 / ((double)net->B * m));
    }
}

static void set_transposed(struct gle_net *net, const struct gle_graph_layer *l)
{
    net->kernels->transpose(net->coefs + l->wt, l->ld, net->params + l->param[GLE_WEIGHT], l->ld_in, l->n, l->n_in);
}

static size_t param_rows(const struct gle_graph_layer *l, enum gle_param p, size_t *cols, size_t *ld)
{
    *cols = p == GLE_WEIGHT ? l->n_in : l->n;
    *ld = p == GLE_WEIGHT ? l->ld_in : l->ld;
    return p == GLE_WEIGHT ? l->n : 1;
}

static void copy_rows(float *to, size_t ld_to, const float *from, size_t ld_from, size_t rows, size_t cols)
{
    for (size_t i = 0; i < rows; i++)
        memcpy(to + i * ld_to, from + i * ld_from, cols * sizeof *to);
}

void gle_net_get_param(const struct gle_net *net, size_t layer, enum gle_param param, float *values)
{
    const struct gle_graph_layer *l = &net->graph->layers[layer];
    size_t cols, ld, rows = param_rows(l, param, &cols, &ld);

    copy_rows(values, cols, net->params + l->param[param], ld, rows, cols);
}

void gle_net_set_param(struct gle_net *net, size_t layer, enum gle_param param, const float *values)
{
    const struct gle_graph_layer *l = &net->graph->layers[layer];
    size_t cols, ld, rows = param_rows(l, param, &cols, &ld);

    copy_rows(net->params + l->param[param], ld, values, cols, rows, cols);
    if (param == GLE_WEIGHT)
        set_transposed(net, l);
    if (param == GLE_TAU_M)
        set_coefs(net, l);
}

void gle_net_get_gradient(const struct gle_net *net, size_t layer, enum gle_param param, float *values)
{
    const struct gle_graph_layer *l = &net->graph->layers[layer];
    size_t cols, ld, rows = param_rows(l, param, &cols, &ld);

    copy_rows(values, cols, net->grads + l->param[param], ld, rows, cols);
}

/* tau_m of a whole-network file, where it has one; the config's otherwise. */
static int init_tau_m(float *values, const struct gle_graph_layer *l, const struct gle_experiment *exp,
                      struct gle_error *err)
{
    const char *file = exp->init_file;
    const double dt = exp->dt;
    const struct gle_init *init = (const struct gle_init *)gle_table_find(&gle_init_table, "file");
    struct gle_npz *npz;
    char name[96];
    int has;

    for (size_t i = 0; i < l->n; i++)
        values[i] = (float)l->cfg->tau_m[i];
    if (!file)
        return 0;
    snprintf(name, sizeof name, "%s.tau_m", l->cfg->name);
    if (gle_npz_open(&npz, file, err))
        return -1;
    has = gle_npz_has(npz, name);
    gle_npz_close(npz);
    if (!has)
        return 0;
    if (init->fill(values, &(struct gle_init_target){.name = name, .rows = l->n, .cols = 1}, l->cfg->weight.params,
                   NULL, err))
        return -1;
    for (size_t i = 0; i < l->n; i++)
        if ((double)values[i] < (1.0 - 1e-6) * dt)
            return gle_fail_in(err, GLE_EDATA, file, name, "[%zu] = %g is below dt = %g", i, (double)values[i], dt);
    return 0;
}

static int init_layer(struct gle_net *net, size_t i, float *values, struct gle_rng *rng, struct gle_error *err)
{
    const struct gle_graph_layer *l = &net->graph->layers[i];
    const struct gle_part *parts[] = {&l->cfg->weight, &l->cfg->bias};

    for (size_t p = 0; p < 2; p++) {
        const struct gle_init *init = (const struct gle_init *)parts[p]->row;
        char name[96];
        const struct gle_init_target target = {.name = name,
                                               .rows = l->n,
                                               .cols = p == GLE_WEIGHT ? l->n_in : 1,
                                               .fan_in = l->n_in,
                                               .bias = p == GLE_BIAS};
        if (!init)
            continue;
        snprintf(name, sizeof name, "%s.%s", l->cfg->name, gle_params[p].name);
        if (init->fill(values, &target, parts[p]->params, rng, err)) {
            gle_node_place(err, parts[p]->src, NULL);
            return -1;
        }
        gle_net_set_param(net, i, (enum gle_param)p, values);
    }
    if (init_tau_m(values, l, net->graph->exp, err)) {
        gle_node_place(err, l->cfg->weight.src, NULL);
        return -1;
    }
    gle_net_set_param(net, i, GLE_TAU_M, values);
    return 0;
}

int gle_net_init(struct gle_net *net, struct gle_rng *rng, struct gle_error *err)
{
    const struct gle_graph *g = net->graph;
    int rc = 0;

    for (size_t i = 0; i < g->n_layers && !rc; i++) {
        float *values = gle_calloc(g->layers[i].n * (g->layers[i].n_in + 1), sizeof *values);
        rc = values ? init_layer(net, i, values, rng, err) : gle_fail(err, GLE_ENOMEM, "no memory for initial weights");
        gle_free(values);
    }
    memset(net->state, 0, g->state_floats * sizeof *net->state);
    memset(net->grads, 0, g->param_floats * sizeof *net->grads);
    for (size_t m = 0; m < net->optimizer->n_moments; m++)
        memset(net->moments[m], 0, g->param_floats * sizeof *net->moments[m]);
    net->steps = net->updates = 0;
    return rc;
}

void gle_net_keep(struct gle_net *net)
{
    memcpy(net->kept, net->params, net->graph->param_floats * sizeof *net->kept);
}

void gle_net_recall(struct gle_net *net)
{
    memcpy(net->params, net->kept, net->graph->param_floats * sizeof *net->kept);
    for (size_t i = 0; i < net->graph->n_layers; i++) {
        set_transposed(net, &net->graph->layers[i]);
        set_coefs(net, &net->graph->layers[i]);
    }
}

/* --- state --- */

static size_t var_width(const struct gle_graph_layer *l, enum gle_var v, size_t *ld)
{
    *ld = v == GLE_VAR_E_BELOW ? l->ld_in : l->ld;
    return v == GLE_VAR_E_BELOW ? l->n_in : l->n;
}

void gle_net_get_var(const struct gle_net *net, size_t layer, enum gle_var v, float *values)
{
    const struct gle_graph_layer *l = &net->graph->layers[layer];
    size_t ld, n = var_width(l, v, &ld);

    copy_rows(values, n, var(net, l, v, net->now), ld, net->B, n);
}

void gle_net_get_output_sum(const struct gle_net *net, float *sum)
{
    const struct gle_graph_layer *top = top_of(net);

    copy_rows(sum, top->n, net->output_sum, top->ld, net->B, top->n);
}

void gle_net_set_batch(struct gle_net *net, size_t B)
{
    const size_t old = net->B;

    net->B = B;
    for (size_t i = 0; i < net->graph->n_layers; i++) {
        const struct gle_graph_layer *l = &net->graph->layers[i];
        for (int v = 0; v < GLE_STATE_VARS; v++) {
            const size_t ld = v == GLE_VAR_E_BELOW ? l->ld_in : l->ld;
            float *rows = var(net, l, (enum gle_var)v, net->now);
            for (size_t b = old; b < B; b++)
                memcpy(rows + b * ld, rows + b % old * ld, ld * sizeof *rows);
        }
        set_coefs(net, l);
    }
}

void gle_net_begin_batch(struct gle_net *net, bool reset_all)
{
    memset(net->output_sum, 0, net->B * top_of(net)->ld * sizeof *net->output_sum);
    for (size_t i = 0; i < net->graph->n_layers; i++) {
        const struct gle_graph_layer *l = &net->graph->layers[i];
        if (!reset_all && !l->cfg->reset)
            continue;
        for (int v = 0; v < GLE_STATE_VARS; v++) {
            const size_t ld = v == GLE_VAR_E_BELOW ? l->ld_in : l->ld;
            memset(var(net, l, (enum gle_var)v, net->now), 0, net->B * ld * sizeof(float));
        }
    }
}

float *gle_net_input(struct gle_net *net, size_t *ld)
{
    *ld = net->graph->ld_input;
    return net->input;
}

float *gle_net_target(struct gle_net *net, size_t *ld)
{
    *ld = top_of(net)->ld;
    return net->target;
}

/* --- the step --- */

static void clamp(float *p, size_t n, const struct gle_bounds *bounds)
{
    const float low = (float)bounds->low, high = (float)bounds->high;

    for (size_t i = 0; i < n; i++)
        p[i] = p[i] < low ? low : p[i] > high ? high : p[i];
}

static void update(struct gle_net *net, const struct gle_graph_layer *l, enum gle_param param, size_t n,
                   const struct gle_optimizer_step *step)
{
    const struct gle_bounds *bounds = &net->graph->exp->bounds[param];
    const size_t at = l->param[param];
    float *moments[GLE_MOMENTS_MAX];

    for (size_t m = 0; m < net->optimizer->n_moments; m++)
        moments[m] = net->moments[m] + at;
    net->optimizer->update(net->params + at, net->grads + at, moments, n, step);
    if (bounds->low > -1e308 || bounds->high < 1e308)
        clamp(net->params + at, n, bounds);
}

/* Gradients of one layer's plastic parameters from its errors e, and the optimizer's step along them. */
static void learn(struct gle_net *net, const struct gle_graph_layer *l, const float *r_below, const float *e,
                  const float *s, const struct gle_optimizer_step *step)
{
    const struct gle_kernels *k = net->kernels;
    const float mean = -1.0f / (float)net->B;
    const bool *plastic = l->cfg->plastic;

    if (plastic[GLE_WEIGHT])
        gle_product(k, net->grads + l->param[GLE_WEIGHT], l->ld_in, e, 1, l->ld, r_below, l->ld_in, l->n, l->n_in,
                    net->B, mean);
    if (plastic[GLE_BIAS])
        k->sum_rows(net->grads + l->param[GLE_BIAS], e, mean, net->B, l->ld);
    if (plastic[GLE_TAU_M])
        k->sum_products(net->grads + l->param[GLE_TAU_M], e, s, coef(net, l, GLE_COEF_MEAN), net->B, l->ld);
    if (plastic[GLE_WEIGHT]) {
        update(net, l, GLE_WEIGHT, l->n * l->ld_in, step);
        set_transposed(net, l);
    }
    if (plastic[GLE_BIAS])
        update(net, l, GLE_BIAS, l->n, step);
    if (plastic[GLE_TAU_M]) {
        update(net, l, GLE_TAU_M, l->n, step);
        set_coefs(net, l);
    }
}

/* The error that drives the last layer, from its own old rates; also the loss, and the summed output. */
static const float *top_error(struct gle_net *net)
{
    const struct gle_graph_layer *l = top_of(net);
    const float *output = var(net, l, GLE_VAR_R, net->now);
    const float beta = net->step->learn ? (float)net->graph->exp->beta : 0.0f;

    net->step_loss = net->loss->eval(net->top_error, output, net->target, beta, net->B, l->n, l->ld);
    net->kernels->add(net->output_sum, output, net->B * l->ld);
    return net->top_error;
}

/* Rows that go through a layer together: few enough that what they read and write stays in the nearest cache, while
 * wide layers, whose weights are what fills it, take all at once. */
enum { BLOCK_ROWS = 32, BLOCK_WIDTH = 128 };

/* One step of one layer. Reads the old r of the layer below and the old e_below of the layer above, which their own
 * steps, maybe on another thread, leave alone; writes nothing that another layer reads in this step. */
static void step_layer(struct gle_net *net, size_t i, size_t thread)
{
    const struct gle_graph *g = net->graph;
    const struct gle_graph_layer *l = &g->layers[i];
    const struct gle_kernels *k = net->kernels;
    const int old = net->now, next = !old;
    const size_t ld = l->ld, ld_in = l->ld_in;
    const size_t block = ld <= BLOCK_WIDTH && ld_in <= BLOCK_WIDTH ? BLOCK_ROWS : net->B;
    const float *e_above = i + 1 == g->n_layers ? top_error(net) : var(net, &g->layers[i + 1], GLE_VAR_E_BELOW, old);
    const float *r_below = l->source == GLE_SOURCE_INPUT ? net->input : var(net, &g->layers[l->source], GLE_VAR_R, old);
    float *s = derived(net, l, GLE_VAR_S, thread), *e = derived(net, l, GLE_VAR_E, thread);
    float *prosp_u = derived(net, l, GLE_VAR_PROSP_U, thread);
    float *u = var(net, l, GLE_VAR_U, 0), *v = var(net, l, GLE_VAR_V, 0), *dr = var(net, l, GLE_VAR_DR, 0);
    float *r = var(net, l, GLE_VAR_R, next), *e_below = var(net, l, GLE_VAR_E_BELOW, next);
    int wild = 0;

    if (!l->needs_error)
        memset(e, 0, net->B * ld * sizeof *e);
    for (size_t b = 0; b < net->B; b += block) {
        const size_t B = net->B - b < block ? net->B - b : block, at = b * ld, at_in = b * ld_in;

        if (l->needs_error)
            wild |= net->error(e + at, v + at, e_above + at, dr + at, coef(net, l, GLE_COEF_LOOK_V),
                               coef(net, l, GLE_COEF_LEAK_V), B, ld);
        gle_product(k, s + at, ld, r_below + at_in, ld_in, 1, net->coefs + l->wt, ld, B, l->n, l->n_in, 1.0f);
        wild |= k->membrane(prosp_u + at, u + at, s + at, e + at, net->params + l->param[GLE_BIAS],
                            (float)l->cfg->gamma, coef(net, l, GLE_COEF_LOOK_U), coef(net, l, GLE_COEF_LEAK_U), B, ld);
        net->act[i]->eval(r + at, dr + at, prosp_u + at, B, l->n, ld);
        if (l->sends_error)
            gle_product(k, e_below + at_in, ld_in, e + at, ld, 1, net->params + l->param[GLE_WEIGHT], ld_in, B,
                        l->n_in, l->n, 1.0f);
    }
    net->wild[i] = wild;
    if (net->step->learn && !wild)
        learn(net, l, r_below, e, s, &net->optimizer_step);
}

/* The layers of one thread. */
static void step_layers(void *arg, size_t t)
{
    struct gle_net *net = arg;

    for (size_t i = net->first_layer[t]; i < net->first_layer[t + 1]; i++)
        step_layer(net, i, t);
}

void gle_net_parallel(struct gle_net *net, void (*body)(void *ctx), void *ctx)
{
    gle_team_open(net->team, body, ctx);
}

int gle_net_step(struct gle_net *net, const struct gle_step *step, double *loss, struct gle_error *err)
{
    net->step = step;
    if (step->learn)
        net->optimizer_step =
            net->optimizer->prepare(net->graph->exp->optimizer.params, step->lr, ++net->updates);
    gle_team_share(net->team, step_layers, net);
    net->now = !net->now;
    net->steps++;
    *loss = net->step_loss;
    for (size_t i = 0; i < net->graph->n_layers; i++)
        if (net->wild[i])
            return gle_fail(err, GLE_EDIVERGED, "NaN or Inf in layer '%s' at step %llu",
                            net->graph->layers[i].cfg->name, (unsigned long long)net->steps);
    return 0;
}
