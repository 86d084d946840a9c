/* The net as named arrays, and back. What a step or a sweep makes anew before anybody reads it is left out: gradients,
 * derived variables, adjoints, and the older one of two copies. */
#include "base/archive.h"
#include "solver/inside.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Time constants are as long as a config's. */
static int visit_params(struct gle_net *net, struct gle_archive *a, struct gle_error *err)
{
    const struct gle_graph *g = net->graph;

    if (gle_archive_f32(a, "params", net->params, g->param_floats, err) ||
        gle_archive_f32(a, "kept", net->kept, g->param_floats, err))
        return -1;
    for (size_t i = 0; gle_archive_restores(a) && i < g->n_layers; i++) {
        const struct gle_graph_layer *l = gle_layer_of(net, i);
        const float *tau_m = net->params + l->param[GLE_TAU_M];
        for (size_t j = 0; j < l->n; j++)
            if ((double)tau_m[j] < (1.0 - GLE_TAU_TOLERANCE) * g->exp->dt)
                return gle_archive_fail(a, "params", err, "tau_m of neuron %zu in layer '%s' is %g, below dt = %g", j,
                                        l->cfg->name, (double)tau_m[j], g->exp->dt);
    }
    return 0;
}

/* Zero before the first update. A squared gradient may be too large for single precision. */
static int visit_moments(struct gle_net *net, struct gle_archive *a, struct gle_error *err)
{
    const size_t n = net->graph->param_floats;

    for (size_t m = 0; net->updates && m < net->optimizer->n_moments; m++) {
        const float low = net->optimizer->squares[m] ? 0.0f : -INFINITY;
        char name[32];
        snprintf(name, sizeof name, "moment_%zu", m);
        if (gle_archive_spread(a, name, GLE_NPY_F32, net->moments[m], n, sizeof(float), err))
            return -1;
        for (size_t i = 0; gle_archive_restores(a) && i < n; i++)
            if (!(net->moments[m][i] >= low)) /* NaN is not */
                return gle_archive_fail(a, name, err, "value %zu is %g", i, (double)net->moments[m][i]);
    }
    return 0;
}

/* What learns now is told by whoever restores, before; here it is only compared. */
static int visit_learning(struct gle_net *net, size_t i, struct gle_archive *a, struct gle_error *err)
{
    bool plastic[GLE_PARAMS];

    memcpy(plastic, net->plastic[i], sizeof plastic);
    if (gle_archive_bools(a, "plastic", plastic, GLE_PARAMS, err) ||
        gle_archive_u64(a, "missed", net->missed[i], GLE_PARAMS, err))
        return -1;
    if (memcmp(plastic, net->plastic[i], sizeof plastic))
        return gle_archive_fail(a, "plastic", err, "other parameters than those that learn here");
    for (size_t p = 0; p < GLE_PARAMS; p++)
        if (net->missed[i][p] > net->updates)
            return gle_archive_fail(a, "missed", err, "value %zu is %llu, of %llu optimizer steps", p,
                                    (unsigned long long)net->missed[i][p], (unsigned long long)net->updates);
    return 0;
}

/* The rows that there are now, padded. */
static int visit_layer(struct gle_net *net, size_t i, struct gle_archive *a, struct gle_error *err)
{
    static const char *const names[GLE_STATE_VARS] = {[GLE_VAR_U] = "u",
                                                      [GLE_VAR_V] = "v",
                                                      [GLE_VAR_R] = "r",
                                                      [GLE_VAR_DR] = "dr",
                                                      [GLE_VAR_E_BELOW] = "e_below"};
    const struct gle_graph_layer *l = gle_layer_of(net, i);

    for (int v = 0; v < GLE_STATE_VARS; v++) {
        const size_t ld = v == GLE_VAR_E_BELOW ? l->ld_in : l->ld;
        if (gle_archive_f32(a, names[v], gle_var_of(net, l, (enum gle_var)v, net->now), net->B * ld, err))
            return -1;
    }
    return visit_learning(net, i, a, err);
}

static int visit_layers(struct gle_net *net, struct gle_archive *a, struct gle_error *err)
{
    int rc = 0;

    for (size_t i = 0; i < net->graph->n_layers && !rc; i++) {
        gle_archive_enter(a, gle_layer_of(net, i)->cfg->name);
        rc = visit_layer(net, i, a, err);
        gle_archive_leave(a);
    }
    return rc;
}

/* What steps read and add to from outside of the layers. */
static int visit_ends(struct gle_net *net, struct gle_archive *a, struct gle_error *err)
{
    const size_t n_top = net->B * gle_top_of(net)->ld;

    return gle_archive_f32(a, "input", net->input, net->B * net->graph->ld_input, err) ||
                   gle_archive_f32(a, "target", net->target, n_top, err) ||
                   gle_archive_f32(a, "output_sum", net->output_sum, n_top, err)
               ? -1
               : 0;
}

/* An open window, if there is one. */
static int visit_window(struct gle_net *net, struct gle_archive *a, struct gle_error *err)
{
    const struct gle_graph *g = net->graph;

    if (gle_archive_bools(a, "taping", &net->taping, 1, err) ||
        gle_archive_count(a, "taped", &net->taped, 0, g->tape_steps, err))
        return -1;
    if (net->taping && (!g->tape_steps || net->B > g->train_rows))
        return gle_archive_fail(a, "taping", err, "a window that this network has no room for");
    return net->taping ? gle_archive_f32(a, "tape", net->tape, g->tape_floats, err) : 0;
}

struct gle_net_place gle_net_get_place(const struct gle_net *net)
{
    return (struct gle_net_place){
        .B = net->B, .steps = net->steps, .updates = net->updates, .taping = net->taping, .taped = net->taped};
}

int gle_net_archive(struct gle_net *net, struct gle_archive *a, struct gle_error *err)
{
    if (gle_archive_count(a, "batch", &net->B, 1, net->graph->max_batch, err) ||
        gle_archive_u64(a, "steps", &net->steps, 1, err) || gle_archive_u64(a, "updates", &net->updates, 1, err) ||
        visit_params(net, a, err) || visit_moments(net, a, err) || visit_layers(net, a, err) ||
        visit_ends(net, a, err) || visit_window(net, a, err))
        return -1;
    for (size_t i = 0; gle_archive_restores(a) && i < net->graph->n_layers; i++) {
        const struct gle_graph_layer *l = gle_layer_of(net, i);
        gle_net_follow_weight(net, l, 0, l->n);
        gle_net_follow_tau_m(net, l, 0, l->n);
    }
    return 0;
}
