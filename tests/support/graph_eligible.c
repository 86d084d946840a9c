/* Rule eprop in the oracle: eligibilities by what they are, derivatives. Each synapse, bias and time constant p of each
 * neuron has du/dp of its own, which goes on as the potential does, and dprosp_u/dp of the last step, which errors of
 * this one meet. With s = tau_m u_dot, u <- u + leak s, prosp_u = u + (tau_r / tau_m) s:
 *     du/dp <- du/dp + leak ds/dp + (dleak/dp) s,   ds/dp = x - du/dp (x: what the weight is multiplied by) */
#include "graph_oracle.h"
#include "parts/rule.h"

#include <math.h>
#include <string.h>

/* One step of a derivative du, of which prosp_u has *dprosp. dlook and dleak: by the parameter itself. */
static void trace(struct graph_oracle *o, double *du, double *dprosp, double x, double s, double look, double leak,
                  double dlook, double dleak)
{
    const double ds = graph_oracle_rounded(o, x - *du);

    *dprosp = graph_oracle_rounded(o, graph_oracle_rounded(o, *du + graph_oracle_rounded(o, look * ds)) + dlook * s);
    *du = graph_oracle_rounded(o, graph_oracle_rounded(o, *du + graph_oracle_rounded(o, leak * ds)) + dleak * s);
}

void graph_oracle_trace(struct graph_oracle *o, size_t i)
{
    struct graph_oracle_layer *l = &o->layers[i];

    for (size_t at = 0; o->exp->rule->eligible && at < o->B * l->n; at++) {
        const size_t b = at / l->n, k = at % l->n;
        double gain;
        const double tau_m = graph_oracle_tau(o, l, GLE_MISMATCH_TAU_M, k, &gain);
        const double tau_r = graph_oracle_tau(o, l, GLE_MISMATCH_TAU_R, k, &gain);
        const double look = tau_r / tau_m, leak = graph_oracle_leak(o, tau_m), dt = o->exp->dt;
        const double dleak = -dt / (tau_m * tau_m) * (o->exp->exponential ? exp(-dt / tau_m) : 1.0);
        double none = 0.0;
        trace(o, &l->du_bias[at], &l->eps_bias[at], 1.0, l->s[at], look, leak, 0.0, 0.0);
        trace(o, &l->du_tau_m[at], &l->eps_tau_m[at], 0.0, l->s[at], look, leak, -tau_r / (tau_m * tau_m), dleak);
        trace(o, &none, &l->eps_tau_r[at], 0.0, l->s[at], look, leak, 1.0 / tau_m, 0.0);
        for (size_t j = 0; j < l->n_sources; j++) {
            const struct graph_oracle_source *c = &l->sources[j];
            for (size_t m = 0; m < c->n_pool; m++)
                if (c->which[k * c->n_pool + m])
                    trace(o, &c->du[at * c->n_pool + m], &c->eps[at * c->n_pool + m], c->x[b * c->n_pool + m],
                          l->s[at], look, leak, 0.0, 0.0);
        }
    }
}

void graph_oracle_eligible_gradients(struct graph_oracle *o, size_t i)
{
    struct graph_oracle_layer *l = &o->layers[i];

    graph_oracle_clear_gradients(l);
    for (size_t at = 0; at < o->B * l->n; at++) {
        const size_t k = at % l->n;
        const double e = l->e_inst[at] / (double)o->B;
        double gain_m, gain_r;
        (void)graph_oracle_tau(o, l, GLE_MISMATCH_TAU_M, k, &gain_m);
        (void)graph_oracle_tau(o, l, GLE_MISMATCH_TAU_R, k, &gain_r);
        l->gb[k / (l->n / l->n_bias)] -= graph_oracle_rounded(o, e * l->eps_bias[at]);
        l->gtau_m[k] -= graph_oracle_rounded(o, gain_m * e * l->eps_tau_m[at]);
        l->gtau_r[k] -= graph_oracle_rounded(o, gain_r * e * l->eps_tau_r[at]);
        for (size_t j = 0; j < l->n_sources; j++) {
            const struct graph_oracle_source *c = &l->sources[j];
            for (size_t m = 0; m < c->n_pool; m++)
                if (c->which[k * c->n_pool + m])
                    c->gW[c->which[k * c->n_pool + m] - 1] -= graph_oracle_rounded(o, e * c->eps[at * c->n_pool + m]);
        }
    }
}
