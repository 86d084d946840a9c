/* The net as named arrays, and back. What a step or a sweep makes anew before anybody reads it is left out: gradients,
 * derived variables, adjoints, and the older one of two copies. */
#include "base/archive.h"
#include "base/memory.h"
#include "solver/inside.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Time constants are as long as a config's. */
static int check_times(const struct gle_net *net, const struct gle_parameter *p, const struct gle_archive *a,
                       struct gle_error *err)
{
    const struct gle_layer_cfg *cfg = gle_population_of(net, p->field.population)->cfg;
    const struct gle_experiment *exp = net->graph->exp;
    const float *tau = gle_param_of(net, p);

    for (size_t j = 0; gle_param_is_tau(p->kind) && j < p->field.cols; j++)
        if ((double)tau[j] < (1.0 - GLE_TAU_TOLERANCE) * exp->tau_least)
            return gle_archive_fail(a, "params", err, "%s of neuron %zu in layer '%s' is %g, below %s = %g",
                                    p->field.name, j, cfg->name, (double)tau[j],
                                    gle_tau_least_text(exp->exponential), exp->tau_least);
    return 0;
}

static int visit_params(struct gle_net *net, struct gle_archive *a, struct gle_error *err)
{
    const struct gle_graph *g = net->graph;
    const size_t n = g->floats[GLE_PARAMETER];

    if (gle_archive_f32(a, "params", net->slabs[GLE_PARAMETER], n, err) ||
        gle_archive_f32(a, "kept", net->kept, n, err))
        return -1;
    for (size_t i = 0; gle_archive_restores(a) && i < g->n_parameters; i++)
        if (check_times(net, &g->parameters[i], a, err))
            return -1;
    return 0;
}

/* Zero before the first update. A squared gradient may be too large for single precision. */
static int visit_moments(struct gle_net *net, struct gle_archive *a, struct gle_error *err)
{
    const size_t n = net->graph->floats[GLE_PARAMETER];

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

/* Gradients that wait for the optimizer's next step. One may be too large for single precision. */
static int visit_gathered(struct gle_net *net, struct gle_archive *a, struct gle_error *err)
{
    const size_t n = net->graph->floats[GLE_PARAMETER];
    size_t gathered = (size_t)net->gathered;

    if (net->graph->exp->update_every == 1)
        return 0;
    if (gle_archive_count(a, "gathered", &gathered, 0, (size_t)net->graph->exp->update_every - 1, err))
        return -1;
    net->gathered = gathered;
    if (!gathered)
        return 0;
    if (gle_archive_spread(a, "gathered_gradients", GLE_NPY_F32, net->followed, n, sizeof(float), err))
        return -1;
    for (size_t i = 0; gle_archive_restores(a) && i < n; i++)
        if (isnan(net->followed[i]))
            return gle_archive_fail(a, "gathered_gradients", err, "value %zu is NaN", i);
    return 0;
}

static int visit_clipped(struct gle_net *net, struct gle_archive *a, struct gle_error *err)
{
    if (!net->squares)
        return 0;
    if (gle_archive_u64(a, "clipped", &net->clipped, 1, err))
        return -1;
    return net->clipped <= net->updates ? 0
                                        : gle_archive_fail(a, "clipped", err, "%llu of %llu optimizer steps",
                                                           (unsigned long long)net->clipped,
                                                           (unsigned long long)net->updates);
}

/* What learns now is told by whoever restores, before; here it is only compared. */
static int visit_learning(struct gle_net *net, struct gle_archive *a, struct gle_error *err)
{
    const size_t n = net->graph->n_parameters;
    bool *learns = gle_calloc(n, sizeof *learns);
    int rc;

    if (!learns)
        return gle_fail(err, GLE_ENOMEM, "no memory for the parameters");
    memcpy(learns, net->learns, n * sizeof *learns);
    rc = gle_archive_bools(a, "learns", learns, n, err) || gle_archive_u64(a, "missed", net->missed, n, err) ? -1 : 0;
    if (!rc && memcmp(learns, net->learns, n * sizeof *learns))
        rc = gle_archive_fail(a, "learns", err, "other parameters than those that learn here");
    gle_free(learns);
    for (size_t i = 0; i < n && !rc; i++)
        if (net->missed[i] > net->updates)
            rc = gle_archive_fail(a, "missed", err, "value %zu is %llu, of %llu optimizer steps", i,
                                  (unsigned long long)net->missed[i], (unsigned long long)net->updates);
    return rc;
}

/* A field of a net. */
struct past {
    const struct gle_net *net;
    const struct gle_field *field;
};

static float *past_at(const void *ctx, size_t ago)
{
    const struct past *past = ctx;

    return gle_past_of(past->net, past->field, ago);
}

/* The rows that there are now, of all copies that later steps read: what the last step left comes first, before what
 * the one before it left. */
static int visit_state(struct gle_net *net, struct gle_archive *a, struct gle_error *err)
{
    int rc = 0;

    for (size_t i = 0; i < net->graph->n_fields && !rc; i++) {
        const struct gle_field *f = net->graph->fields[i];
        if (!gle_past_copies(f))
            continue;
        gle_archive_enter(a, f->owner);
        rc = gle_archive_stack(a, f->name,
                               &(struct gle_archive_stack){.n = gle_past_copies(f),
                                                           .rows = net->B,
                                                           .cols = f->cols,
                                                           .ld = f->ld,
                                                           .at = past_at,
                                                           .ctx = &(struct past){net, f}},
                               err);
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

/* Which steps of the open window have no target: an entry only where there are such, so that checkpoints without it
 * are those of windows that have none. */
static int visit_unasked(struct gle_net *net, struct gle_archive *a, struct gle_error *err)
{
    static const char name[] = "tape_unasked";
    struct gle_error none = {0};
    bool any = false;
    size_t n;

    for (size_t t = 0; t < net->taped; t++)
        any = any || net->tape_unasked[t];
    if (gle_archive_restores(a)) {
        memset(net->tape_unasked, 0, net->taped * sizeof *net->tape_unasked);
        any = !gle_archive_length(&n, a, name, &none);
    }
    return any ? gle_archive_bools(a, name, net->tape_unasked, net->taped, err) : 0;
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
    if (!net->taping)
        return 0;
    return gle_archive_f32(a, "tape", net->slabs[GLE_TAPE], g->floats[GLE_TAPE], err) || visit_unasked(net, a, err)
               ? -1
               : 0;
}

struct gle_net_place gle_net_get_place(const struct gle_net *net)
{
    return (struct gle_net_place){
        .B = gle_whole_of(net), .steps = net->steps, .updates = net->updates, .gathered = net->gathered,
        .taping = net->taping, .taped = net->taped,
        .unasked = net->tape_unasked};
}

int gle_net_archive(struct gle_net *net, struct gle_archive *a, struct gle_error *err)
{
    for (enum gle_part_of_net part = 0; part < GLE_PARTS_OF_NET; part++)
        if (gle_archive_restores(a))
            gle_net_touch(net, part);
        else
            gle_net_see(net, part);
    gle_net_device_see_kept(net);
    if (gle_net_tell(net, err))
        return -1;
    if (gle_archive_count(a, "batch", &net->B, 1, net->graph->max_batch, err) ||
        gle_archive_u64(a, "steps", &net->steps, 1, err) || gle_archive_u64(a, "updates", &net->updates, 1, err) ||
        visit_params(net, a, err) || visit_moments(net, a, err) || visit_gathered(net, a, err) ||
        visit_clipped(net, a, err) || visit_learning(net, a, err) ||
        visit_state(net, a, err) || visit_ends(net, a, err) || visit_window(net, a, err))
        return -1;
    if (gle_archive_restores(a))
        gle_net_follow_all(net);
    return 0;
}
