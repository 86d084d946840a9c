/* What hardware does to a net: noise, and time constants that are off. configs/README.md says where each enters
 * a step. */
#include "kernel/draw.h"
#include "solver/inside.h"

#include <math.h>

/* --- time constants --- */

double gle_net_used_tau(const struct gle_net *net, const struct gle_population *p, enum gle_mismatch k, size_t i,
                        double tau)
{
    const struct gle_parameter *factor = gle_graph_factor(net->graph, p, k);

    return factor ? fmax(tau * (double)gle_param_of(net, factor)[i], net->graph->exp->tau_least) : tau;
}

float gle_net_tau_gain(const struct gle_net *net, const struct gle_population *p, enum gle_mismatch k, size_t i,
                       float tau)
{
    const struct gle_parameter *factor = gle_graph_factor(net->graph, p, k);
    const float gain = factor ? gle_param_of(net, factor)[i] : 1.0f;

    return factor && tau * gain < (float)net->graph->exp->tau_least ? 0.0f : gain;
}

/* --- noise --- */

/* How much of an Ornstein-Uhlenbeck process a step keeps; 0: all of it is new, as of white noise. */
static double keep_of(const struct gle_noise_cfg *cfg, double dt)
{
    return cfg->tau > 0.0 ? 1.0 - dt / cfg->tau : 0.0;
}

/* What makes a membrane by itself, u <- kept u + scale x, fluctuate with a standard deviation of 1, where x has a
 * variance of 1 and keeps `keep` of itself: by the stationary variance of the two, scale^2 (1 + kept keep) / ((1 -
 * kept^2) (1 - kept keep)). */
static double scale_of_membrane(double kept, double keep)
{
    return sqrt((1.0 - kept * kept) * (1.0 - kept * keep) / (1.0 + kept * keep));
}

/* What a membrane keeps of itself in a step. */
static double kept_of(const struct gle_experiment *cfg, double tau_m)
{
    return cfg->exponential ? exp(-cfg->dt / tau_m) : 1.0 - cfg->dt / tau_m;
}

void gle_net_scale_noise(struct gle_net *net)
{
    const double dt = net->graph->exp->dt;

    for (size_t i = 0; i < net->graph->n_populations; i++) {
        const struct gle_population *p = gle_population_of(net, i);
        for (size_t k = 0; k < GLE_NOISES; k++) {
            const struct gle_noise_cfg *cfg = p->noise[k].cfg;
            float *scale = cfg ? gle_field_of(net, &p->noise[k].scale, 0) : NULL;
            for (size_t j = 0; cfg && j < p->n; j++)
                scale[j] = (float)(k == GLE_NOISE_MEMBRANE
                                       ? cfg->std * scale_of_membrane(kept_of(net->graph->exp, p->cfg->tau_m[j]),
                                                                      keep_of(cfg, dt))
                                       : cfg->std);
        }
    }
}

static struct gle_draw draw_of(const struct gle_net *net, const struct gle_population *p, enum gle_draw_purpose what,
                               uint64_t step)
{
    return (struct gle_draw){.seed = net->graph->exp->seed,
                             .step = step,
                             .field = gle_draw_field((uint32_t)(p - net->graph->populations), what)};
}

/* One normal number by itself, the same on all instruction sets. */
static float draw_one(const struct gle_draw *draw, size_t row, size_t neuron)
{
    return gle_draw_normal(gle_philox(gle_draw_counter((uint32_t)neuron, (uint32_t)row, (uint32_t)draw->step,
                                                       (uint32_t)(draw->step >> 32), draw->field),
                                      (uint32_t)draw->seed, (uint32_t)(draw->seed >> 32)),
                           (uint32_t)neuron);
}

void gle_net_draw_factors(const struct gle_net *net, const struct gle_population *p, enum gle_mismatch k,
                          float *values)
{
    const struct gle_draw draw = draw_of(net, p, (enum gle_draw_purpose)(GLE_DRAW_TAU_M + k), 0);

    for (size_t i = 0; i < p->n; i++)
        values[i] = (float)(1.0 + p->cfg->mismatch.std[k] * (double)draw_one(&draw, 0, i));
}

/* A number of its own for what is drawn before the first step. */
static const uint64_t before_all_steps = ((uint64_t)1 << 40) - 1;

void gle_net_start_noise(struct gle_net *net)
{
    for (size_t i = 0; i < net->graph->n_populations; i++)
        for (size_t k = 0; k < GLE_NOISES; k++) {
            const struct gle_population *p = gle_population_of(net, i);
            const struct gle_field *f = &p->noise[k].state;
            const struct gle_draw draw = draw_of(net, p, (enum gle_draw_purpose)(GLE_DRAW_INPUT + k), before_all_steps);
            for (size_t b = 0; f->copies && b < f->rows; b++)
                for (size_t j = 0; j < p->n; j++)
                    gle_field_of(net, f, 0)[b * f->ld + j] = draw_one(&draw, b, j);
        }
}

struct gle_noise_step gle_net_noise_step(const struct gle_net *net, const struct gle_population *p, enum gle_noise k)
{
    const struct gle_noise_cfg *cfg = p->noise[k].cfg;
    const double keep = cfg ? keep_of(cfg, net->graph->exp->dt) : 0.0;

    return (struct gle_noise_step){.keep = (float)keep, .add = (float)sqrt(1.0 - keep * keep)};
}

void gle_net_add_noise(struct gle_net *net, const struct gle_population *p, enum gle_noise k, float *to, float *draws,
                       size_t first, size_t n)
{
    const struct gle_noise_cfg *cfg = p->noise[k].cfg;
    const bool training = net->step->learn || net->step->nudge;
    const struct gle_draw draw = draw_of(net, p, (enum gle_draw_purpose)(GLE_DRAW_INPUT + k), net->steps);
    const struct gle_noise_step step = gle_net_noise_step(net, p, k);

    if (!cfg || !(training ? cfg->train : cfg->test))
        return;
    net->kernels->normals(draws, p->ld, &draw, net->first_row + first, n);
    if (p->noise[k].state.copies) {
        float *state = gle_field_of(net, &p->noise[k].state, 0) + first * p->ld;
        net->kernels->run_noise(state, draws, step.keep, step.add, n * p->ld);
        draws = state;
    }
    net->kernels->add_noise(to, draws, gle_field_of(net, &p->noise[k].scale, 0), n, p->ld);
}
