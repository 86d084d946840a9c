#include "oracle.h"
#include "parts/activation.h"
#include "parts/loss.h"
#include "parts/rule.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static double *numbers(size_t n)
{
    return calloc(n ? n : 1, sizeof(double));
}

static double *doubles(const float *from, size_t n)
{
    double *to = numbers(n);
    for (size_t i = 0; i < n; i++)
        to[i] = (double)from[i];
    return to;
}

static double *param(const struct gle_net *net, size_t layer, enum gle_param p, size_t n)
{
    float *values = calloc(n, sizeof *values);
    double *out;

    gle_net_get_param(net, layer, p, values);
    out = doubles(values, n);
    free(values);
    return out;
}

struct oracle *oracle_build(const struct gle_graph *graph, const struct gle_net *net, size_t B,
                            enum oracle_optimizer optimizer, double lr, double momentum)
{
    const struct gle_experiment *exp = graph->exp;
    struct oracle *o = calloc(1, sizeof *o);

    o->n_layers = graph->n_layers;
    o->layers = calloc(o->n_layers, sizeof *o->layers);
    o->B = B;
    o->dt = exp->dt;
    o->beta = exp->beta;
    o->prospective = !strcmp(exp->rule->row.name, "gle");
    o->loss = exp->loss->row.name;
    o->optimizer = optimizer;
    o->lr = lr;
    o->momentum = momentum;
    o->tau_low = exp->bounds[GLE_TAU_M].low;
    for (size_t i = 0; i < o->n_layers; i++) {
        const struct gle_graph_layer *g = &graph->layers[i];
        struct oracle_layer *l = &o->layers[i];
        const size_t n = g->n, m = g->n * g->n_in;

        l->n_in = g->n_in;
        l->n = n;
        l->act = g->cfg->act->row.name;
        l->gamma = g->cfg->gamma;
        memcpy(l->plastic, g->cfg->plastic, sizeof l->plastic);
        l->W = param(net, i, GLE_WEIGHT, m);
        l->b = param(net, i, GLE_BIAS, n);
        l->tau_m = param(net, i, GLE_TAU_M, n);
        l->tau_r = numbers(n);
        memcpy(l->tau_r, g->cfg->tau_r, n * sizeof(double));
        l->gW = numbers(m), l->mW = numbers(m), l->sW = numbers(m);
        l->gb = numbers(n), l->mb = numbers(n), l->sb = numbers(n);
        l->gtau = numbers(n), l->mtau = numbers(n), l->stau = numbers(n);
        l->u = numbers(B * n), l->v = numbers(B * n), l->r = numbers(B * n), l->dr = numbers(B * n);
        l->e_below = numbers(B * l->n_in);
        l->e = numbers(B * n), l->prosp_u = numbers(B * n), l->e_inst = numbers(B * n);
    }
    return o;
}

void oracle_destroy(struct oracle *o)
{
    for (size_t i = 0; i < o->n_layers; i++) {
        struct oracle_layer *l = &o->layers[i];
        double *all[] = {l->W,  l->b,    l->tau_m, l->tau_r, l->gW, l->gb, l->gtau, l->mW, l->mb,      l->mtau,
                         l->sW, l->sb,   l->stau,  l->u,     l->v,  l->r,  l->dr,   l->e,  l->prosp_u, l->e_below,
                         l->e_inst};
        for (size_t k = 0; k < sizeof all / sizeof *all; k++)
            free(all[k]);
    }
    free(o->layers);
    free(o);
}

static double *resized(double *rows, size_t width, size_t old, size_t B)
{
    double *out = numbers(B * width);
    for (size_t b = 0; b < B; b++)
        memcpy(out + b * width, rows + b % old * width, width * sizeof *out);
    free(rows);
    return out;
}

void oracle_set_batch(struct oracle *o, size_t B)
{
    for (size_t i = 0; i < o->n_layers; i++) {
        struct oracle_layer *l = &o->layers[i];
        l->u = resized(l->u, l->n, o->B, B);
        l->v = resized(l->v, l->n, o->B, B);
        l->r = resized(l->r, l->n, o->B, B);
        l->dr = resized(l->dr, l->n, o->B, B);
        l->e_below = resized(l->e_below, l->n_in, o->B, B);
        l->e = resized(l->e, l->n, o->B, B);
        l->prosp_u = resized(l->prosp_u, l->n, o->B, B);
        l->e_inst = resized(l->e_inst, l->n, o->B, B);
    }
    o->B = B;
}

static double relu(double u, double *slope)
{
    return *slope = u > 0.0, fmax(u, 0.0);
}

static double sigmoid(double u, double *slope)
{
    const double r = 1.0 / (1.0 + exp(-u));
    return *slope = r * (1.0 - r), r;
}

static double hard_sigmoid(double u, double *slope)
{
    return *slope = fabs(u) < 3.0 ? 1.0 / 6.0 : 0.0, fmin(1.0, fmax(0.0, u / 6.0 + 0.5));
}

static double hard_tanh(double u, double *slope)
{
    return *slope = fabs(u) < 1.0, fmin(1.0, fmax(-1.0, u));
}

static double tanh_of(double u, double *slope)
{
    return *slope = 1.0 - tanh(u) * tanh(u), tanh(u);
}

static double softplus(double u, double *slope)
{
    return *slope = 1.0 / (1.0 + exp(-u)), log1p(exp(-fabs(u))) + fmax(u, 0.0);
}

static double linear(double u, double *slope)
{
    return *slope = 1.0, u;
}

static const struct known {
    const char *name;
    double (*phi)(double u, double *slope);
    double kink; /* of |u|; -1: none */
} known[] = {{"linear", linear, -1.0},           {"relu", relu, 0.0},           {"sigmoid", sigmoid, -1.0},
             {"hard_sigmoid", hard_sigmoid, 3.0}, {"tanh", tanh_of, -1.0},       {"hard_tanh", hard_tanh, 1.0},
             {"softplus", softplus, -1.0}};

static const struct known *find(const char *act)
{
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (!strcmp(known[i].name, act))
            return &known[i];
    return NULL;
}

bool oracle_knows(const char *act)
{
    return find(act) != NULL;
}

double oracle_phi(const char *act, double u, double *slope)
{
    return find(act)->phi(u, slope);
}

static double phi(struct oracle *o, const char *act, double u, double *slope)
{
    static const double NEAR = 1e-4;
    const struct known *k = find(act);

    o->fragile |= k->kink >= 0.0 && fabs(fabs(u) - k->kink) < NEAR;
    return k->phi(u, slope);
}

/* Target error of one row, and its loss. */
static double target_error(const struct oracle *o, double *e, const double *r, const double *y, size_t n, double beta)
{
    double loss = 0.0, sum = 0.0;

    if (!strcmp(o->loss, "mse")) {
        for (size_t i = 0; i < n; i++) {
            e[i] = beta * (y[i] - r[i]);
            loss += (y[i] - r[i]) * (y[i] - r[i]) / (double)n;
        }
        return loss;
    }
    for (size_t i = 0; i < n; i++)
        sum += exp(r[i]);
    for (size_t i = 0; i < n; i++) {
        e[i] = beta * (y[i] - exp(r[i]) / sum);
        loss += y[i] * (log(sum) - r[i]);
    }
    return loss;
}

static void descend(const struct oracle *o, double *p, const double *g, double *m, double *s, size_t n)
{
    const double b1 = 0.9, b2 = 0.999, t = (double)o->t;

    for (size_t i = 0; i < n; i++) {
        if (o->optimizer == ORACLE_SGD) {
            m[i] = o->momentum * m[i] + g[i];
            p[i] -= o->lr * m[i];
        } else {
            m[i] = b1 * m[i] + (1.0 - b1) * g[i];
            s[i] = b2 * s[i] + (1.0 - b2) * g[i] * g[i];
            p[i] -= o->lr * (m[i] / (1.0 - pow(b1, t))) / (sqrt(s[i] / (1.0 - pow(b2, t))) + 1e-8);
        }
    }
}

static const double LARGE = 1e3;

double oracle_step(struct oracle *o, const double *x, const double *y, bool learn)
{
    const size_t L = o->n_layers, B = o->B;
    const struct oracle_layer *top = &o->layers[L - 1];
    double **r_old = calloc(L, sizeof *r_old), **below_old = calloc(L + 1, sizeof *below_old), loss = 0.0;

    for (size_t i = 0; i < L; i++) {
        const struct oracle_layer *l = &o->layers[i];
        r_old[i] = memcpy(numbers(B * l->n), l->r, B * l->n * sizeof(double));
        below_old[i] = memcpy(numbers(B * l->n_in), l->e_below, B * l->n_in * sizeof(double));
    }
    below_old[L] = numbers(B * top->n);
    for (size_t b = 0; b < B; b++)
        loss += target_error(o, below_old[L] + b * top->n, r_old[L - 1] + b * top->n, y + b * top->n, top->n,
                             learn || o->nudge ? o->beta : 0.0);
    o->t += learn;
    for (size_t i = 0; i < L; i++) {
        struct oracle_layer *l = &o->layers[i];
        const double *r_below = i ? r_old[i - 1] : x, *e_above = below_old[i + 1];

        memset(l->gW, 0, l->n * l->n_in * sizeof(double));
        memset(l->gb, 0, l->n * sizeof(double));
        memset(l->gtau, 0, l->n * sizeof(double));
        memset(l->e_below, 0, B * l->n_in * sizeof(double));
        for (size_t b = 0; b < B; b++)
            for (size_t j = 0; j < l->n; j++) {
                const size_t at = b * l->n + j;
                const double e_inst = l->dr[at] * e_above[at];
                double s = l->b[j], e = e_inst, u_dot;

                if (o->prospective) {
                    const double v_dot = (e_inst - l->v[at]) / l->tau_r[j];
                    e = l->v[at] + l->tau_m[j] * v_dot;
                    l->v[at] += o->dt * v_dot;
                } else {
                    l->v[at] = e_inst;
                }
                for (size_t k = 0; k < l->n_in; k++)
                    s += l->W[j * l->n_in + k] * r_below[b * l->n_in + k];
                u_dot = (s + l->gamma * e - l->u[at]) / l->tau_m[j];
                l->prosp_u[at] = l->u[at] + l->tau_r[j] * u_dot;
                l->u[at] += o->dt * u_dot;
                l->r[at] = phi(o, l->act, l->prosp_u[at], &l->dr[at]);
                l->e[at] = e;
                l->e_inst[at] = e_inst;
                o->fragile |= fabs(e) > LARGE;
                for (size_t k = 0; k < l->n_in; k++) {
                    l->gW[j * l->n_in + k] -= e * r_below[b * l->n_in + k] / (double)B;
                    l->e_below[b * l->n_in + k] += l->W[j * l->n_in + k] * e;
                }
                l->gb[j] -= e / (double)B;
                l->gtau[j] += e * u_dot / (double)B;
            }
    }
    for (size_t i = 0; learn && i < L; i++) {
        struct oracle_layer *l = &o->layers[i];
        if (l->plastic[GLE_WEIGHT])
            descend(o, l->W, l->gW, l->mW, l->sW, l->n * l->n_in);
        if (l->plastic[GLE_BIAS])
            descend(o, l->b, l->gb, l->mb, l->sb, l->n);
        if (l->plastic[GLE_TAU_M])
            descend(o, l->tau_m, l->gtau, l->mtau, l->stau, l->n);
        for (size_t j = 0; l->plastic[GLE_TAU_M] && j < l->n; j++)
            l->tau_m[j] = fmax(l->tau_m[j], o->tau_low);
    }
    for (size_t i = 0; i <= L; i++) {
        free(below_old[i]);
        if (i < L)
            free(r_old[i]);
    }
    free(below_old);
    free(r_old);
    return loss;
}

double oracle_window(struct oracle *o, const double *x, const double *y, size_t T)
{
    const size_t n_in = o->layers[0].n_in, n_out = o->layers[o->n_layers - 1].n;
    const bool nudge = o->nudge;
    double **kept = calloc(5 * o->n_layers, sizeof *kept), loss = 0.0;

    for (size_t i = 0; i < o->n_layers; i++) {
        const struct oracle_layer *l = &o->layers[i];
        const double *state[] = {l->u, l->v, l->r, l->dr, l->e_below};
        for (size_t k = 0; k < 5; k++) {
            const size_t n = o->B * (k == 4 ? l->n_in : l->n);
            kept[5 * i + k] = memcpy(numbers(n), state[k], n * sizeof(double));
        }
    }
    o->nudge = true;
    for (size_t t = 0; t < T; t++)
        loss += oracle_step(o, x + t * o->B * n_in, y + t * o->B * n_out, false) / (double)o->B;
    o->nudge = nudge;
    for (size_t i = 0; i < o->n_layers; i++) {
        struct oracle_layer *l = &o->layers[i];
        double *state[] = {l->u, l->v, l->r, l->dr, l->e_below};
        for (size_t k = 0; k < 5; k++) {
            memcpy(state[k], kept[5 * i + k], o->B * (k == 4 ? l->n_in : l->n) * sizeof(double));
            free(kept[5 * i + k]);
        }
    }
    free(kept);
    return loss;
}
