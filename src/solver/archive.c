/* The net as named arrays, and back. What a step or a sweep makes anew before anybody reads it is left out: gradients,
 * derived variables, adjoints, and the older one of two copies. */
#include "base/archive.h"
#include "solver/inside.h"

#include <stdio.h>

static int visit_params(struct gle_net *net, struct gle_archive *a, struct gle_error *err)
{
    const struct gle_graph *g = net->graph;
    const size_t n = g->floats[GLE_PARAMETER];

    if (gle_archive_f32(a, "params", net->slabs[GLE_PARAMETER], n, err) ||
        gle_archive_f32(a, "kept", net->kept, n, err))
        return -1;
    for (size_t m = 0; net->updates && m < net->optimizer->n_moments; m++) { /* zero before the first update */
        char name[32];
        snprintf(name, sizeof name, "moment_%zu", m);
        if (gle_archive_f32(a, name, net->moments[m], n, err))
            return -1;
    }
    return gle_archive_bools(a, "learns", net->learns, g->n_parameters, err) ||
                   gle_archive_u64(a, "missed", net->missed, g->n_parameters, err)
               ? -1
               : 0;
}

/* The rows that there are now, padded. */
static int visit_state(struct gle_net *net, struct gle_archive *a, struct gle_error *err)
{
    int rc = 0;

    for (size_t i = 0; i < net->graph->n_fields && !rc; i++) {
        const struct gle_field *f = net->graph->fields[i];
        if (f->role != GLE_STATE)
            continue;
        gle_archive_enter(a, f->owner);
        rc = gle_archive_f32(a, f->name, gle_old_of(net, f), net->B * f->ld, err);
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
    return net->taping ? gle_archive_f32(a, "tape", net->slabs[GLE_TAPE], g->floats[GLE_TAPE], err) : 0;
}

int gle_net_archive(struct gle_net *net, struct gle_archive *a, struct gle_error *err)
{
    if (gle_archive_count(a, "batch", &net->B, 1, net->graph->max_batch, err) ||
        gle_archive_u64(a, "steps", &net->steps, 1, err) || gle_archive_u64(a, "updates", &net->updates, 1, err) ||
        visit_params(net, a, err) || visit_state(net, a, err) || visit_ends(net, a, err) || visit_window(net, a, err))
        return -1;
    if (gle_archive_restores(a))
        gle_net_follow_all(net);
    return 0;
}
