/* The adjoint equations of a graph without loops and delays, in double precision. With lambda the negative gradient of
 * the loss with respect to tau_m u_dot, and a that with respect to the prospective potential, both integrals over what
 * comes later, Euler's steps back in time from zero are
 *     a = phi' * (sum over readers of W^T lambda of the same step, and the target error that the rates met)
 *     lambda = (tau_r / tau_m) a + leak u_bar;  u_bar <- u_bar + a - lambda
 * with leak = dt / tau_m, or, where integration is exponential, 1 - exp(-dt / tau_m). tau_m is read by tau_r / tau_m
 * and by the leak. */
#include "build.h"
#include "graph_oracle.h"
#include "parts/loss.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What a layer left of T steps, and what the sweep makes of it: (T, B, n). */
struct course {
    double *r, *dr, *s, *a, *lambda, *to_tau_m, *u_bar; /* u_bar (B, n) */
    bool done;                           /* lambda of the step that the sweep is at */
};

struct sweep {
    struct graph_oracle *o;
    struct course *layers;
    const double *x, *const *y;
    size_t T, t;
};

static double *numbers(size_t n)
{
    double *out = calloc(n ? n : 1, sizeof *out);

    assert_non_null(out);
    return out;
}

static double *at(const struct sweep *s, double *of, size_t layer, size_t t)
{
    return of + t * s->o->B * s->o->layers[layer].n;
}

/* tau times the slope over 1 / tau of the share that a low-pass goes in a step. */
static double slope_of(const struct graph_oracle *o, double tau)
{
    return o->exp->exponential ? o->exp->dt / tau * exp(-o->exp->dt / tau) : o->exp->dt / tau;
}

/* a -= the slope of the loss of row b at rates r: by central differences of the loss, whatever it is scaled with. */
static void add_target(const struct graph_oracle *o, double *a, const double *r, const double *y, size_t n)
{
    const double h = 1e-5;
    double *moved = numbers(n), *unused = numbers(n);

    memcpy(moved, r, n * sizeof *moved);
    for (size_t k = 0; k < n; k++) {
        double high, low;
        moved[k] = r[k] + h;
        high = o->loss->eval(unused, moved, y, n, &o->exp->loss->row, o->exp->loss_params);
        moved[k] = r[k] - h;
        low = o->loss->eval(unused, moved, y, n, &o->exp->loss->row, o->exp->loss_params);
        moved[k] = r[k];
        a[k] -= (high - low) / (2.0 * h);
    }
    free(moved);
    free(unused);
}

/* a += W^T lambda of row b of a reader, for its source. */
static void add_reader(const struct graph_oracle_source *c, double *a, const double *lambda, size_t n, const double *r)
{
    double *pooled = numbers(c->n_pool), *more = numbers(c->n_in);

    for (size_t k = 0; k < n; k++)
        for (size_t m = 0; m < c->n_pool; m++)
            if (c->which[k * c->n_pool + m])
                pooled[m] += (c->W[c->which[k * c->n_pool + m] - 1] + c->off_W[c->which[k * c->n_pool + m] - 1]) *
                             lambda[k];
    graph_oracle_spread(c, more, pooled, r);
    for (size_t k = 0; k < c->n_in; k++)
        a[k] += more[k];
    free(pooled);
    free(more);
}

/* Finds lambda of a layer, and first those of its readers. */
static void find_lambda(struct sweep *s, size_t i)
{
    const struct graph_oracle *o = s->o;
    const struct graph_oracle_layer *l = &o->layers[i];
    struct course *c = &s->layers[i];
    double *a = at(s, c->a, i, s->t), *r = at(s, c->r, i, s->t), *dr = at(s, c->dr, i, s->t);
    double *lambda = at(s, c->lambda, i, s->t), *to_tau_m = at(s, c->to_tau_m, i, s->t);

    if (c->done)
        return;
    for (size_t p = 0; p < o->n_layers; p++)
        for (size_t j = 0; j < o->layers[p].n_sources; j++)
            if (o->layers[p].sources[j].layer == (long)i) {
                const size_t n = o->layers[p].n;
                find_lambda(s, p);
                for (size_t b = 0; b < o->B; b++)
                    add_reader(&o->layers[p].sources[j], a + b * l->n, at(s, s->layers[p].lambda, p, s->t) + b * n, n,
                               r + b * l->n);
            }
    for (size_t b = 0; b < o->B && i == o->output && s->t + 1 < s->T && s->y[s->t + 1]; b++)
        add_target(o, a + b * l->n, r + b * l->n, s->y[s->t + 1] + b * l->n, l->n);
    for (size_t k = 0; k < o->B * l->n; k++) {
        double gain;
        const double tau_m = graph_oracle_tau(o, l, GLE_MISMATCH_TAU_M, k % l->n, &gain);
        const double tau_r = graph_oracle_tau(o, l, GLE_MISMATCH_TAU_R, k % l->n, &gain);
        a[k] *= dr[k];
        lambda[k] = tau_r / tau_m * a[k] + graph_oracle_leak(o, tau_m) * c->u_bar[k];
        to_tau_m[k] = tau_r / tau_m * a[k] + slope_of(o, tau_m) * c->u_bar[k];
        c->u_bar[k] += a[k] - lambda[k];
    }
    c->done = true;
}

/* The gradient of the loss integrated over the window, the mean over rows. */
static void gather(struct sweep *s, size_t i, size_t b)
{
    struct graph_oracle *o = s->o;
    struct graph_oracle_layer *l = &o->layers[i];
    const double *lambda = at(s, s->layers[i].lambda, i, s->t) + b * l->n, share = o->exp->dt / (double)o->B;
    const double *a = at(s, s->layers[i].a, i, s->t) + b * l->n;
    const double *to_tau_m = at(s, s->layers[i].to_tau_m, i, s->t) + b * l->n;

    for (size_t k = 0; k < l->n; k++) {
        double gain_m, gain_r;
        const double tau_m = graph_oracle_tau(o, l, GLE_MISMATCH_TAU_M, k, &gain_m);
        const double u_dot = at(s, s->layers[i].s, i, s->t)[b * l->n + k] / tau_m;
        (void)graph_oracle_tau(o, l, GLE_MISMATCH_TAU_R, k, &gain_r);
        l->gb[k / (l->n / l->n_bias)] -= share * lambda[k];
        l->gtau_m[k] += gain_m * share * to_tau_m[k] * u_dot;
        l->gtau_r[k] -= gain_r * share * a[k] * u_dot;
    }
    for (size_t j = 0; j < l->n_sources; j++) {
        const struct graph_oracle_source *c = &l->sources[j];
        double *x = numbers(c->n_pool);
        const double *r = c->layer == GLE_SOURCE_INPUT
                              ? s->x + (s->t * o->B + b) * o->n_input
                              : at(s, s->layers[c->layer].r, (size_t)c->layer, s->t) + b * c->n_in;
        graph_oracle_pool(o, c, x, r, r);
        for (size_t k = 0; k < l->n; k++)
            for (size_t m = 0; m < c->n_pool; m++)
                if (c->which[k * c->n_pool + m])
                    c->gW[c->which[k * c->n_pool + m] - 1] -= share * lambda[k] * x[m];
        free(x);
    }
}

void graph_oracle_adjoint(struct graph_oracle *o, const double *x, const double *const *y, size_t T)
{
    struct sweep s = {.o = o, .x = x, .y = y, .T = T, .layers = calloc(o->n_layers, sizeof *s.layers)};

    assert_non_null(s.layers);
    for (size_t i = 0; i < o->n_layers; i++) {
        const size_t n = o->B * o->layers[i].n;
        s.layers[i] = (struct course){numbers(T * n), numbers(T * n), numbers(T * n), numbers(T * n), numbers(T * n),
                                      numbers(T * n), numbers(n), false};
    }
    for (size_t t = 0; t < T; t++) {
        (void)graph_oracle_step(o, x + t * o->B * o->n_input, y[t], true);
        for (size_t i = 0; i < o->n_layers; i++) {
            const size_t bytes = o->B * o->layers[i].n * sizeof(double);
            memcpy(at(&s, s.layers[i].r, i, t), o->layers[i].r, bytes);
            memcpy(at(&s, s.layers[i].dr, i, t), o->layers[i].dr, bytes);
            memcpy(at(&s, s.layers[i].s, i, t), o->layers[i].s, bytes);
        }
    }
    for (size_t i = 0; i < o->n_layers; i++)
        graph_oracle_clear_gradients(&o->layers[i]);
    for (s.t = T; s.t-- > 0;) {
        for (size_t i = 0; i < o->n_layers; i++)
            s.layers[i].done = false;
        for (size_t i = 0; i < o->n_layers; i++)
            find_lambda(&s, i);
        for (size_t i = 0; i < o->n_layers; i++)
            for (size_t b = 0; b < o->B; b++)
                gather(&s, i, b);
    }
    for (size_t i = 0; i < o->n_layers; i++) {
        struct course *c = &s.layers[i];
        free(c->r);
        free(c->dr);
        free(c->s);
        free(c->a);
        free(c->lambda);
        free(c->to_tau_m);
        free(c->u_bar);
    }
    free(s.layers);
}
