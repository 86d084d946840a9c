/* What hardware does to the oracle's networks: weights of few bits, time constants that are off, noise. */
#include "graph_oracle.h"
#include "normals.h"

#include <math.h>

/* What has to be added to numbers in single precision to make them the nearest of 2^bits - 1. */
static void find_offsets(double *off, const double *w, size_t n, const struct gle_quantize_cfg *cfg)
{
    const float levels = (float)(pow(2.0, (double)cfg->bits - 1.0) - 1.0), range = (float)cfg->range;

    for (size_t k = 0; cfg->bits && k < n; k++) {
        const float level = rintf((float)w[k] * (levels / range));
        off[k] = (double)(fminf(fmaxf(level, -levels), levels) * (range / levels)) - w[k];
    }
}

void graph_oracle_quantize(struct graph_oracle *o)
{
    for (size_t i = 0; i < o->n_layers; i++)
        for (size_t j = 0; j < o->layers[i].n_sources; j++) {
            struct graph_oracle_source *c = &o->layers[i].sources[j];
            find_offsets(c->off_W, c->W, c->n_weights, &o->exp->layers[i].quantize);
            find_offsets(c->off_B, c->B, c->n_weights, &o->exp->layers[i].quantize);
        }
    for (size_t i = 0; i < o->n_layers; i++)
        for (size_t j = 0; j < o->layers[i].n_directs; j++) {
            struct graph_oracle_direct *d = &o->layers[i].directs[j];
            find_offsets(d->off_B, d->B, o->layers[i].n * o->layers[d->from].n, &o->exp->layers[i].quantize);
        }
}

double graph_oracle_tau(const struct graph_oracle *o, const struct graph_oracle_layer *l, enum gle_mismatch k,
                        size_t i, double *gain)
{
    const struct gle_mismatch_cfg *cfg = &o->exp->layers[l - o->layers].mismatch;
    const bool of_r = k == GLE_MISMATCH_TAU_R || k == GLE_MISMATCH_ERROR_TAU_R;
    const bool of_errors = k == GLE_MISMATCH_ERROR_TAU_M || k == GLE_MISMATCH_ERROR_TAU_R;
    const double tau = of_r ? l->tau_r[i] : l->tau_m[i];
    double factor;

    if (of_errors && !cfg->own[k]) /* those of the membrane */
        k = of_r ? GLE_MISMATCH_TAU_R : GLE_MISMATCH_TAU_M;
    factor = cfg->std[k] > 0.0 ? l->factors[k][i] : 1.0;
    *gain = cfg->std[k] > 0.0 && tau * factor < o->exp->tau_least ? 0.0 : factor;
    return cfg->std[k] > 0.0 && tau * factor < o->exp->tau_least ? o->exp->tau_least : tau * factor;
}

double graph_oracle_noise(struct graph_oracle *o, size_t i, enum gle_noise k, size_t b, size_t neuron, bool training)
{
    const struct gle_layer_cfg *layer = &o->exp->layers[i];
    const struct gle_noise_cfg *cfg = &layer->noise[k];
    const double kept = cfg->tau > 0.0 ? 1.0 - o->exp->dt / cfg->tau : 0.0;
    const double stays = 1.0 - graph_oracle_leak(o, layer->tau_m[neuron]); /* of a potential */
    double *x = &o->layers[i].noise[k][b * layer->n + neuron], z, std = cfg->std;

    if (cfg->std <= 0.0 || !(training ? cfg->train : cfg->test))
        return 0.0;
    z = library_normal(o->exp->seed, o->steps, (uint32_t)(8 * i + k), (uint32_t)b, (uint32_t)neuron);
    *x = graph_oracle_rounded(o, kept * *x + sqrt(1.0 - kept * kept) * z);
    if (k == GLE_NOISE_MEMBRANE)
        std *= sqrt((1.0 - stays * stays) * (1.0 - stays * kept) / (1.0 + stays * kept));
    return graph_oracle_rounded(o, std * *x);
}

void graph_oracle_start_noise(struct graph_oracle *o)
{
    const uint64_t before = ((uint64_t)1 << 40) - 1;

    for (size_t i = 0; i < o->n_layers; i++)
        for (size_t k = 0; k < GLE_NOISES; k++)
            for (size_t b = 0; o->exp->layers[i].noise[k].tau > 0.0 && b < o->B_max; b++)
                for (size_t j = 0; j < o->layers[i].n; j++)
                    o->layers[i].noise[k][b * o->layers[i].n + j] =
                        library_normal(o->exp->seed, before, (uint32_t)(8 * i + k), (uint32_t)b, (uint32_t)j);
}
