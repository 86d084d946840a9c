/* The coefficients of steps that follow from time constants. Padding keeps harmless ones. */
#include "kernel/equations.h"
#include "solver/inside.h"

#include <math.h>

/* A tau_r with all the digits that the config has of it, unless it has become another number. */
static double exact_tau_r(const struct gle_population *p, float tau_r, size_t i)
{
    const double given = p->cfg->tau_r[i];

    return tau_r >= (float)given && tau_r <= (float)given ? given : (double)tau_r;
}

/* gle_net_used_tau() in single precision. */
static float used_on_device(const struct gle_net *net, const struct gle_population *p, enum gle_mismatch k, size_t i,
                            float tau)
{
    const struct gle_parameter *factor = gle_graph_factor(net->graph, p, k);
    const float least = (float)net->graph->exp->tau_least;
    const float used = factor ? tau * gle_param_of(net, factor)[i] : tau;

    return factor && used < least ? least : used;
}

/* The coefficients that follow from tau_m and tau_r as a device finds them where these learn, so that it goes on with
 * the same bits after a look from here. */
static void follow_taus_of_device(struct gle_net *net, const struct gle_population *p, size_t first, size_t n)
{
    const float *tau_m = gle_param_of(net, p->tau_m), *tau_r = gle_param_of(net, p->tau_r);
    const float dt = (float)net->graph->exp->dt;
    const bool exponential = net->graph->exp->exponential;

    for (size_t i = first; i < first + n; i++) {
        const float m = used_on_device(net, p, GLE_MISMATCH_TAU_M, i, tau_m[i]);
        const float r = used_on_device(net, p, GLE_MISMATCH_TAU_R, i, tau_r[i]);
        const float of_errors_m = used_on_device(net, p, GLE_MISMATCH_ERROR_TAU_M, i, tau_m[i]);
        const float of_errors_r = used_on_device(net, p, GLE_MISMATCH_ERROR_TAU_R, i, tau_r[i]);
        const float rate_u = dt / m, rate_v = dt / of_errors_r;
        gle_field_of(net, &p->leak_u, 0)[i] = exponential ? gle_faded(rate_u) : rate_u;
        gle_field_of(net, &p->look_u, 0)[i] = r / m;
        gle_field_of(net, &p->leak_v, 0)[i] = exponential ? gle_faded(rate_v) : rate_v;
        gle_field_of(net, &p->look_v, 0)[i] = of_errors_m / of_errors_r;
        gle_field_of(net, &p->mean, 0)[i] = 1.0f / ((float)gle_whole_of(net) * m);
        if (!exponential)
            continue;
        gle_field_of(net, &p->rate_u, 0)[i] = rate_u;
        gle_field_of(net, &p->slope_u, 0)[i] = rate_u * gle_fading(rate_u);
        gle_field_of(net, &p->rate_v, 0)[i] = rate_v;
        gle_field_of(net, &p->slope_v, 0)[i] = rate_v * gle_fading(rate_v);
    }
}

void gle_net_follow_taus(struct gle_net *net, const struct gle_population *p, size_t first, size_t n)
{
    const float *tau_m = gle_param_of(net, p->tau_m), *tau_r = gle_param_of(net, p->tau_r);
    const double dt = net->graph->exp->dt;
    const bool exponential = net->graph->exp->exponential;

    if (net->device && (p->tau_m->plastic || p->tau_r->plastic)) {
        follow_taus_of_device(net, p, first, n);
        return;
    }
    for (size_t i = first; i < first + n; i++) {
        const double given_m = (double)tau_m[i], given_r = exact_tau_r(p, tau_r[i], i);
        const double m = gle_net_used_tau(net, p, GLE_MISMATCH_TAU_M, i, given_m);
        const double r = gle_net_used_tau(net, p, GLE_MISMATCH_TAU_R, i, given_r);
        const double of_errors_m = gle_net_used_tau(net, p, GLE_MISMATCH_ERROR_TAU_M, i, given_m);
        const double of_errors_r = gle_net_used_tau(net, p, GLE_MISMATCH_ERROR_TAU_R, i, given_r);
        gle_field_of(net, &p->leak_u, 0)[i] = (float)(exponential ? -expm1(-dt / m) : dt / m);
        gle_field_of(net, &p->look_u, 0)[i] = (float)(r / m);
        gle_field_of(net, &p->leak_v, 0)[i] = (float)(exponential ? -expm1(-dt / of_errors_r) : dt / of_errors_r);
        gle_field_of(net, &p->look_v, 0)[i] = (float)(of_errors_m / of_errors_r);
        gle_field_of(net, &p->mean, 0)[i] = (float)(1.0 / ((double)gle_whole_of(net) * m));
        if (!exponential)
            continue;
        gle_field_of(net, &p->rate_u, 0)[i] = (float)(dt / m);
        gle_field_of(net, &p->slope_u, 0)[i] = (float)(dt / m * exp(-dt / m));
        gle_field_of(net, &p->rate_v, 0)[i] = (float)(dt / of_errors_r);
        gle_field_of(net, &p->slope_v, 0)[i] = (float)(dt / of_errors_r * exp(-dt / of_errors_r));
    }
}

size_t gle_net_count_shortest(const struct gle_net *net, size_t layer)
{
    const struct gle_population *p = gle_population_of(net, layer);
    const float *tau_m = gle_param_of(net, p->tau_m), least = (float)net->graph->exp->tau_least;
    size_t n = 0;

    gle_net_see(net, GLE_PART_PARAMETERS);
    for (size_t i = 0; i < p->n; i++)
        n += (float)gle_net_used_tau(net, p, GLE_MISMATCH_TAU_M, i, (double)tau_m[i]) <= least;
    return n;
}
