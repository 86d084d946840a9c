#include "graph/groups.h"
#include "base/memory.h"

static bool is_set(const struct gle_experiment *exp, size_t layer, enum gle_param kind)
{
    for (size_t i = 0; i < exp->n_phases; i++)
        for (size_t j = 0; j < exp->phases[i].set.n; j++)
            if (exp->phases[i].set.item[j].layer == layer && exp->phases[i].set.item[j].param == kind)
                return true;
    return false;
}

/* Why a time constant of membranes may be another one than the config says; NULL: it is that one. */
static const char *why_it_moves(const struct gle_experiment *exp, size_t layer, enum gle_param kind)
{
    const struct gle_layer_cfg *l = &exp->layers[layer];
    const bool of_m = kind == GLE_TAU_M;

    if (l->plastic[kind])
        return of_m ? "tau_m learns" : "tau_r learns";
    if (l->mismatch.std[of_m ? GLE_MISMATCH_TAU_M : GLE_MISMATCH_TAU_R] > 0.0)
        return of_m ? "mismatch makes tau_m different" : "mismatch makes tau_r different";
    if (is_set(exp, layer, kind))
        return of_m ? "a phase sets tau_m" : "a phase sets tau_r";
    return of_m && exp->init_file ? "the file of network.init may have another tau_m" : NULL;
}

const char *gle_groups_why(const struct gle_experiment *exp, size_t layer)
{
    const char *why = why_it_moves(exp, layer, GLE_TAU_M);

    return why ? why : why_it_moves(exp, layer, GLE_TAU_R);
}

static bool equal(double x, double y)
{
    return x <= y && x >= y;
}

/* The group of neuron i among those there are, or a new one. */
static size_t group_of(struct gle_groups *g, const struct gle_layer_cfg *l, size_t i, bool m_moves, bool r_moves)
{
    size_t trace = g->n_traces;

    for (size_t k = g->n; !m_moves && k-- > 0;) {
        const size_t other = g->item[k].leader;
        if (!equal(l->tau_m[i], l->tau_m[other]))
            continue;
        if (!r_moves && equal(l->tau_r[i], l->tau_r[other]))
            return k;
        trace = g->item[k].trace;
        if (r_moves)
            break;
    }
    g->n_traces += trace == g->n_traces;
    g->item[g->n] = (struct gle_group){.leader = i, .trace = trace};
    return g->n++;
}

int gle_groups_find(struct gle_groups *out, const struct gle_experiment *exp, size_t layer, struct gle_error *err)
{
    const struct gle_layer_cfg *l = &exp->layers[layer];
    const bool m_moves = why_it_moves(exp, layer, GLE_TAU_M) != NULL;
    const bool r_moves = why_it_moves(exp, layer, GLE_TAU_R) != NULL;
    bool *taken = gle_calloc(l->n, sizeof *taken);

    *out = (struct gle_groups){.of = gle_calloc(l->n, sizeof *out->of), .item = gle_calloc(l->n, sizeof *out->item)};
    if (!taken || !out->of || !out->item) {
        gle_free(taken);
        return gle_fail(err, GLE_ENOMEM, "no memory for the neurons of '%s'", l->name);
    }
    for (size_t i = 0; i < l->n; i++)
        out->of[i] = (uint32_t)group_of(out, l, i, m_moves, r_moves);
    for (size_t k = out->n; k-- > 0;) {
        out->item[k].last = !taken[out->item[k].trace];
        taken[out->item[k].trace] = true;
    }
    gle_free(taken);
    return 0;
}

void gle_groups_clear(struct gle_groups *groups)
{
    gle_free(groups->of);
    gle_free(groups->item);
    *groups = (struct gle_groups){0};
}
