/* The net: its memory, its threads, what goes in and what is looked at. */
#include "base/clock.h"
#include "base/memory.h"
#include "base/npz.h"
#include "base/rng.h"
#include "parts/init.h"
#include "solver/inside.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* --- threads --- */

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

    net->act = gle_calloc(graph->n_layers, sizeof(struct gle_act *));
    net->wild = gle_calloc(net->split.n_threads * gle_wild_apart(graph), sizeof *net->wild);
    net->row_loss = gle_calloc(B, sizeof *net->row_loss);
    net->laps = (void *)gle_floats(net->split.n_threads * sizeof *net->laps / sizeof(float)); /* for the alignment */
    net->params = gle_floats(graph->param_floats + GLE_SLACK);
    net->grads = gle_floats(graph->param_floats + GLE_SLACK);
    net->kept = gle_floats(graph->param_floats);
    net->state = gle_floats(graph->state_floats + GLE_SLACK);
    net->coefs = gle_floats(graph->coef_floats + GLE_SLACK);
    net->scratch = gle_floats(graph->scratch_floats *
                              (net->split.n_threads + (net->split.shared ? graph->n_layers : 0)));
    net->input = gle_floats(B * graph->ld_input + GLE_SLACK);
    net->target = gle_floats(B * gle_top_of(net)->ld);
    net->top_error = gle_floats(B * gle_top_of(net)->ld);
    net->output_sum = gle_floats(B * gle_top_of(net)->ld);
    net->plastic = gle_calloc(graph->n_layers, sizeof *net->plastic);
    net->missed = gle_calloc(graph->n_layers, sizeof *net->missed);
    net->tape = gle_floats(graph->tape_floats + GLE_SLACK);
    net->adjoints = gle_floats(graph->adjoint_floats + GLE_SLACK);
    ok = net->act && net->wild && net->plastic && net->missed && net->row_loss && net->laps && net->params &&
         net->grads && net->kept && net->state && net->coefs && net->scratch && net->input && net->target &&
         net->top_error && net->output_sum && net->tape && net->adjoints;
    for (size_t m = 0; m < net->optimizer->n_moments; m++)
        ok = (net->moments[m] = gle_floats(graph->param_floats)) && ok;
    if (!ok) {
        gle_net_destroy(net);
        return gle_fail(err, GLE_ENOMEM, "no memory for a network of %.0f MB",
                        1e-6 * gle_graph_bytes(graph, GLE_MOMENTS_MAX));
    }
    for (size_t i = 0; i < graph->n_layers; i++) {
        net->act[i] = gle_act_for(graph->layers[i].cfg->act, isa);
        if (!graph->passive)
            memcpy(net->plastic[i], graph->layers[i].cfg->plastic, sizeof *net->plastic);
    }
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
    for (size_t m = 0; m < GLE_MOMENTS_MAX; m++)
        gle_free(net->moments[m]);
    if (!net->borrows)
        gle_team_destroy(net->team);
    gle_split_clear(&net->split);
    gle_free(net->tape);
    gle_free(net->adjoints);
    gle_free(net->plastic);
    gle_free(net->missed);
    gle_free(net->act);
    gle_free(net->wild);
    gle_free(net->row_loss);
    gle_free(net->laps);
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
void gle_net_follow_tau_m(struct gle_net *net, const struct gle_graph_layer *l, size_t first, size_t n)
{
    const float *tau_m = net->params + l->param[GLE_TAU_M];
    const double dt = net->graph->exp->dt;

    for (size_t i = first; i < first + n; i++) {
        const double m = (double)tau_m[i], r = l->cfg->tau_r[i];
        gle_coef_of(net, l, GLE_COEF_LEAK_U)[i] = (float)(dt / m);
        gle_coef_of(net, l, GLE_COEF_LOOK_U)[i] = (float)(r / m);
        gle_coef_of(net, l, GLE_COEF_LEAK_V)[i] = (float)(dt / r);
        gle_coef_of(net, l, GLE_COEF_LOOK_V)[i] = (float)(m / r);
        gle_coef_of(net, l, GLE_COEF_MEAN)[i] = (float)(1.0 / ((double)net->B * m));
    }
}

void gle_net_follow_weight(struct gle_net *net, const struct gle_graph_layer *l, size_t first, size_t n)
{
    net->kernels->transpose(net->coefs + l->wt + first, l->ld, net->params + l->param[GLE_WEIGHT] + first * l->ld_in,
                            l->ld_in, n, l->n_in);
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
        gle_net_follow_weight(net, l, 0, l->n);
    if (param == GLE_TAU_M)
        gle_net_follow_tau_m(net, l, 0, l->n);
}

void gle_net_get_gradient(const struct gle_net *net, size_t layer, enum gle_param param, float *values)
{
    const struct gle_graph_layer *l = &net->graph->layers[layer];
    size_t cols, ld, rows = param_rows(l, param, &cols, &ld);

    copy_rows(values, cols, net->grads + l->param[param], ld, rows, cols);
}

/* Values from a file that the config could not be checked with; file NULL: from the config itself. */
static int check_tau_m(const float *values, const struct gle_graph_layer *l, double dt, const char *file,
                       const char *name, struct gle_error *err)
{
    for (size_t i = 0; i < l->n; i++)
        if ((double)values[i] < (1.0 - 1e-6) * dt)
            return gle_fail_in(err, GLE_EDATA, file, name, "[%zu] = %g is below dt = %g", i, (double)values[i], dt);
    return 0;
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
    return check_tau_m(values, l, dt, file, name, err);
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
    memset(net->missed, 0, g->n_layers * sizeof *net->missed);
    net->steps = net->updates = 0;
    net->taping = false;
    net->taped = 0;
    return rc;
}

static int apply(struct gle_net *net, const struct gle_setting *setting, struct gle_rng *rng, struct gle_error *err)
{
    const struct gle_graph_layer *l = gle_layer_of(net, setting->layer);
    const struct gle_init *init = (const struct gle_init *)setting->value.row;
    const bool weight = setting->param == GLE_WEIGHT;
    float *values = gle_calloc(l->n * l->n_in + l->n, sizeof *values);
    char name[96];
    const struct gle_init_target target = {.name = name,
                                           .rows = l->n,
                                           .cols = weight ? l->n_in : 1,
                                           .fan_in = l->n_in,
                                           .bias = !weight};
    int rc;

    if (!values)
        return gle_fail(err, GLE_ENOMEM, "no memory for values of parameters");
    snprintf(name, sizeof name, "%s.%s", l->cfg->name, gle_params[setting->param].name);
    rc = init->fill(values, &target, setting->value.params, rng, err);
    if (!rc && setting->param == GLE_TAU_M)
        rc = check_tau_m(values, l, net->graph->exp->dt, NULL, name, err);
    if (rc)
        gle_node_place(err, setting->value.src, NULL);
    else
        gle_net_set_param(net, setting->layer, setting->param, values);
    gle_free(values);
    return rc;
}

int gle_net_apply(struct gle_net *net, const struct gle_settings *settings, struct gle_rng *rng, struct gle_error *err)
{
    for (size_t i = 0; i < settings->n; i++)
        if (apply(net, &settings->item[i], rng, err))
            return -1;
    return 0;
}

void gle_net_hold(struct gle_net *net, size_t layer, enum gle_param param, bool hold)
{
    const struct gle_graph_layer *l = gle_layer_of(net, layer);

    net->plastic[layer][param] = !hold && !net->graph->passive && l->cfg->plastic[param];
    if (hold)
        memset(net->grads + l->param[param], 0, (param == GLE_WEIGHT ? l->n * l->ld_in : l->ld) * sizeof(float));
}

void gle_net_keep(struct gle_net *net)
{
    memcpy(net->kept, net->params, net->graph->param_floats * sizeof *net->kept);
}

void gle_net_recall(struct gle_net *net)
{
    memcpy(net->params, net->kept, net->graph->param_floats * sizeof *net->kept);
    for (size_t i = 0; i < net->graph->n_layers; i++) {
        const struct gle_graph_layer *l = gle_layer_of(net, i);
        gle_net_follow_weight(net, l, 0, l->n);
        gle_net_follow_tau_m(net, l, 0, l->n);
    }
}

bool gle_net_learns(const struct gle_net *net, size_t layer, enum gle_param param)
{
    return net->plastic[layer][param];
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

    copy_rows(values, n, gle_var_of(net, l, v, net->now), ld, net->B, n);
}

bool gle_net_has_var(const struct gle_net *net, size_t layer, enum gle_var v)
{
    const struct gle_graph_layer *l = gle_layer_of(net, layer);

    switch (v) {
    case GLE_VAR_E_BELOW:
        return l->needs_error && l->sends_error && !net->errorless;
    case GLE_VAR_V:
    case GLE_VAR_E:
        return l->needs_error && !net->errorless;
    case GLE_VAR_E_INST:
        return l->needs_error && !net->errorless && net->graph->e_inst;
    case GLE_VAR_DR:
    case GLE_VAR_PROSP_U:
    case GLE_VAR_S:
        return net->graph->observed;
    default:
        return true;
    }
}

void gle_copy_chosen(float *to, const float *from, size_t ld, size_t n, const size_t *rows, size_t n_rows)
{
    for (size_t b = 0; b < n_rows; b++)
        memcpy(to + b * n, from + rows[b] * ld, n * sizeof *to);
}

void gle_net_get_rows(const struct gle_net *net, size_t layer, enum gle_var v, const size_t *rows, size_t n_rows,
                      float *values)
{
    const struct gle_graph_layer *l = gle_layer_of(net, layer);
    size_t ld, n = var_width(l, v, &ld);

    gle_copy_chosen(values, gle_var_of(net, l, v, net->now), ld, n, rows, n_rows);
}

void gle_net_get_read(const struct gle_net *net, enum gle_read what, const size_t *rows, size_t n_rows, float *values)
{
    const struct gle_graph *g = net->graph;
    const struct gle_graph_layer *top = gle_top_of(net);

    if (what == GLE_READ_INPUT)
        gle_copy_chosen(values, net->input, g->ld_input, g->n_input, rows, n_rows);
    else
        gle_copy_chosen(values, what == GLE_READ_TARGET ? net->target : gle_var_of(net, top, GLE_VAR_R, !net->now),
                        top->ld, top->n, rows, n_rows);
}

void gle_net_get_output_sum(const struct gle_net *net, float *sum)
{
    const struct gle_graph_layer *top = gle_top_of(net);

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
            float *rows = gle_var_of(net, l, (enum gle_var)v, net->now);
            for (size_t b = old; b < B; b++)
                memcpy(rows + b * ld, rows + b % old * ld, ld * sizeof *rows);
        }
        gle_net_follow_tau_m(net, l, 0, l->n);
    }
}

void gle_net_begin_batch(struct gle_net *net, bool reset_all)
{
    memset(net->output_sum, 0, net->B * gle_top_of(net)->ld * sizeof *net->output_sum);
    for (size_t i = 0; i < net->graph->n_layers; i++) {
        const struct gle_graph_layer *l = &net->graph->layers[i];
        if (!reset_all && !l->cfg->reset)
            continue;
        for (int v = 0; v < GLE_STATE_VARS; v++) {
            const size_t ld = v == GLE_VAR_E_BELOW ? l->ld_in : l->ld;
            memset(gle_var_of(net, l, (enum gle_var)v, net->now), 0, net->B * ld * sizeof(float));
        }
    }
}

/* --- other nets --- */

void gle_net_aim(struct gle_net *net, const struct gle_net *teacher)
{
    const struct gle_graph_layer *top = gle_top_of(teacher);

    memcpy(net->target, gle_var_of(teacher, top, GLE_VAR_R, teacher->now), net->B * top->ld * sizeof *net->target);
}

void gle_net_feed(struct gle_net *net, const struct gle_net *from)
{
    memcpy(net->input, from->input, from->B * from->graph->ld_input * sizeof *net->input);
    memcpy(net->target, from->target, from->B * gle_top_of(from)->ld * sizeof *net->target);
}

void gle_net_copy(struct gle_net *net, const struct gle_net *from)
{
    assert(from->B <= net->graph->max_batch);
    net->B = from->B;
    net->now = from->now;
    net->steps = from->steps;
    memcpy(net->params, from->params, from->graph->param_floats * sizeof *net->params);
    for (size_t i = 0; i < net->graph->n_layers; i++) {
        const struct gle_graph_layer *l = gle_layer_of(net, i), *other = gle_layer_of(from, i);
        for (int v = 0; v < GLE_STATE_VARS; v++)
            memcpy(gle_var_of(net, l, (enum gle_var)v, net->now), gle_var_of(from, other, (enum gle_var)v, from->now),
                   net->B * (v == GLE_VAR_E_BELOW ? l->ld_in : l->ld) * sizeof *net->state);
        gle_net_follow_weight(net, l, 0, l->n);
        gle_net_follow_tau_m(net, l, 0, l->n);
    }
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

