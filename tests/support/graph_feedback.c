/* Errors that layers get directly; and weights B that align themselves, as Max et al. (arXiv:2212.10249) write it: with
 * xi the noise in the source, of as long ago as the rates that the layer reads,
 *     dB/dt = lr (mean over rows of hp(r) xi^T - decay B),   hp(r) = r - low,   tau_hp d low/dt = hp(r) */
#include "build.h"
#include "formulas.h"
#include "graph_oracle.h"
#include "kernel/draw.h"
#include "normals.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SIDE_MAX = 512 };

void graph_oracle_send_directly(struct graph_oracle *o)
{
    for (size_t i = 0; i < o->n_layers; i++)
        for (size_t j = 0; j < o->layers[i].n_directs; j++) {
            const struct graph_oracle_direct *d = &o->layers[i].directs[j];
            const struct graph_oracle_layer *from = &o->layers[d->from];
            for (size_t at = 0; at < o->B * o->layers[i].n; at++) {
                const size_t b = at / o->layers[i].n, k = at % o->layers[i].n;
                d->sent[at] = 0.0;
                for (size_t m = 0; m < from->n; m++)
                    d->sent[at] += graph_oracle_rounded(o, (d->B[k * from->n + m] + d->off_B[k * from->n + m]) *
                                                               from->e[b * from->n + m]);
            }
        }
}

static void stir(struct graph_oracle *o, struct graph_oracle_source *c, bool training)
{
    const double keep = 1.0 - o->exp->dt / c->settings->tau, add = c->settings->std * sqrt(1.0 - keep * keep);
    const size_t copy = o->B_max * c->n_in;

    memmove(c->xi + copy, c->xi, (GRAPH_ORACLE_PAST - 1) * copy * sizeof *c->xi);
    for (size_t b = 0; b < o->B; b++)
        for (size_t k = 0; k < c->n_in; k++) {
            const double z = library_normal(o->exp->seed, o->steps,
                                            (uint32_t)(GLE_DRAW_PURPOSES * c->number + GLE_DRAW_FEEDBACK), (uint32_t)b,
                                            (uint32_t)k);
            c->xi[b * c->n_in + k] =
                training ? graph_oracle_rounded(o, keep * c->xi[copy + b * c->n_in + k] + add * z) : 0.0;
        }
}

void graph_oracle_stir(struct graph_oracle *o, bool training)
{
    for (size_t i = 0; i < o->n_layers; i++)
        for (size_t j = 0; j < o->layers[i].n_sources; j++)
            if (o->layers[i].sources[j].aligns)
                stir(o, &o->layers[i].sources[j], training);
}

double graph_oracle_stirred(const struct graph_oracle *o, size_t layer, size_t b, size_t neuron)
{
    double sum = 0.0;

    for (size_t i = 0; i < o->n_layers; i++)
        for (size_t j = 0; j < o->layers[i].n_sources; j++) {
            const struct graph_oracle_source *c = &o->layers[i].sources[j];
            if (c->aligns && c->layer == (long)layer)
                sum += c->xi[b * c->n_in + neuron];
        }
    return sum;
}

static void align(struct graph_oracle *o, const struct graph_oracle_layer *l, struct graph_oracle_source *c,
                  const double *r_new)
{
    double xi[SIDE_MAX];

    memset(c->gB, 0, c->n_weights * sizeof *c->gB);
    assert_true(c->n_pool <= SIDE_MAX);
    for (size_t b = 0; b < o->B; b++) {
        graph_oracle_pool(o, c, xi, c->xi + (c->delay * o->B_max + b) * c->n_in, graph_oracle_rates(o, c, b));
        for (size_t k = 0; k < l->n; k++) {
            double *low = &c->low[b * l->n + k];
            const double hp = graph_oracle_rounded(o, r_new[b * l->n + k] - *low);
            *low = graph_oracle_rounded(o, *low + o->exp->dt / c->settings->tau_hp * hp);
            for (size_t m = 0; m < c->n_pool; m++)
                if (c->which[k * c->n_pool + m])
                    c->gB[c->which[k * c->n_pool + m] - 1] += graph_oracle_rounded(o, hp * xi[m] / (double)o->B);
        }
    }
}

void graph_oracle_align(struct graph_oracle *o, size_t layer, const double *r_new)
{
    struct graph_oracle_layer *l = &o->layers[layer];

    for (size_t j = 0; j < l->n_sources; j++)
        if (l->sources[j].aligns)
            align(o, l, &l->sources[j], r_new);
}
