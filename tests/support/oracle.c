#include "oracle.h"
#include "by_layer.h"
#include "parts/loss.h"
#include "parts/activation.h"
#include "parts/rule.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Half the distance between neighbouring floats near 1; what functions of src/kernel/math.h may be off, of 1. */
static const double EPS = 0x1p-24, APPROX = 2e-7;
static const double LARGE = 1e3; /* an error beyond which a network is about to diverge */

static double sq(double x)
{
    return x * x;
}

static double *numbers(size_t n)
{
    return calloc(n ? n : 1, sizeof(double));
}

static void read_param(double *to, const struct gle_net *net, size_t layer, enum gle_param p, size_t n)
{
    float *values = calloc(n, sizeof *values);

    layer_get_param(net, layer, p, values);
    for (size_t i = 0; i < n; i++)
        to[i] = (double)values[i];
    free(values);
}

/* --- memory: all arrays of a layer, by what they are as long as --- */

enum { OF_WEIGHTS = 8, OF_NEURONS = 24, OF_STATE = 10, OF_ROWS = OF_STATE + 6 };

struct arrays {
    double **weights[OF_WEIGHTS], **neurons[OF_NEURONS]; /* (n, n_in), (n) */
    double **rows[OF_ROWS]; /* (B, n), the first two (B, n_in); the first OF_STATE are what a step reads of the last */
};

static struct arrays arrays_of(struct oracle_layer *l)
{
    struct oracle_spread *s = &l->spread;

    return (struct arrays){
        .weights = {&l->W, &l->gW, &l->mW, &l->sW, &s->W, &s->mW, &l->fW, &s->fW},
        .neurons = {&l->b, &l->gb, &l->mb, &l->sb, &s->b, &s->mb, &l->tau_m, &l->gtau_m, &l->mtau_m, &l->stau_m,
                    &s->tau_m, &s->mtau_m, &l->tau_r, &l->gtau_r, &l->mtau_r, &l->stau_r, &s->tau_r, &s->mtau_r,
                    &l->fb, &s->fb, &l->ftau_m, &s->ftau_m, &l->ftau_r, &s->ftau_r},
        .rows = {&l->e_below, &s->e_below, &l->u, &s->u, &l->v, &s->v, &l->r, &s->r, &l->dr, &s->dr, &l->e, &s->e,
                 &l->e_inst, &s->e_inst, &l->prosp_u, &s->prosp_u},
    };
}

static size_t width_of(const struct oracle_layer *l, size_t k)
{
    return k < 2 ? l->n_in : l->n;
}

static void make_arrays(struct oracle_layer *l, size_t B)
{
    const struct arrays a = arrays_of(l);

    for (size_t k = 0; k < OF_WEIGHTS; k++)
        *a.weights[k] = numbers(l->n * l->n_in);
    for (size_t k = 0; k < OF_NEURONS; k++)
        *a.neurons[k] = numbers(l->n);
    for (size_t k = 0; k < OF_ROWS; k++)
        *a.rows[k] = numbers(B * width_of(l, k));
}

struct oracle *oracle_build(const struct gle_graph *graph, const struct gle_net *net, size_t B,
                            enum oracle_optimizer optimizer, double lr, double momentum)
{
    const struct gle_experiment *exp = graph->exp;
    struct oracle *o = calloc(1, sizeof *o);

    o->n_layers = graph->n_populations;
    o->layers = calloc(o->n_layers, sizeof *o->layers);
    o->B = B;
    o->dt = exp->dt;
    o->exponential = exp->exponential;
    o->beta = exp->beta;
    o->prospective = !strcmp(exp->rule->row.name, "gle");
    o->loss = find_loss_formula(exp->loss->row.name);
    o->loss_row = &exp->loss->row;
    o->loss_params = exp->loss_params;
    o->optimizer = optimizer;
    o->every = exp->update_every;
    o->clip = exp->clip;
    o->lr = lr;
    o->momentum = momentum;
    o->tau_low = exp->bounds[GLE_TAU_M].low;
    for (size_t i = 0; i < o->n_layers; i++) {
        const struct gle_population *g = &graph->populations[i];
        struct oracle_layer *l = &o->layers[i];

        l->n_in = layer_inputs(graph, i);
        l->n = g->n;
        l->act = find_act_formula(g->cfg->act->row.name);
        l->act_of = (struct act_of){&g->cfg->act->row, g->cfg->act_params};
        l->gamma = g->cfg->gamma;
        memcpy(l->plastic, g->cfg->plastic, sizeof l->plastic);
        make_arrays(l, B);
        read_param(l->W, net, i, GLE_WEIGHT, l->n * l->n_in);
        read_param(l->b, net, i, GLE_BIAS, l->n);
        read_param(l->tau_m, net, i, GLE_TAU_M, l->n);
        memcpy(l->tau_r, g->cfg->tau_r, l->n * sizeof *l->tau_r);
    }
    return o;
}

void oracle_destroy(struct oracle *o)
{
    for (size_t i = 0; i < o->n_layers; i++) {
        const struct arrays a = arrays_of(&o->layers[i]);
        for (size_t k = 0; k < OF_WEIGHTS; k++)
            free(*a.weights[k]);
        for (size_t k = 0; k < OF_NEURONS; k++)
            free(*a.neurons[k]);
        for (size_t k = 0; k < OF_ROWS; k++)
            free(*a.rows[k]);
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
        const struct arrays a = arrays_of(&o->layers[i]);
        for (size_t k = 0; k < OF_ROWS; k++)
            *a.rows[k] = resized(*a.rows[k], width_of(&o->layers[i], k), o->B, B);
    }
    o->B = B;
}

/* --- what a neuron computes --- */

/* A value, and its spread squared. */
struct value {
    double is, q;
};

static struct value value_of(double is, double spread)
{
    return (struct value){is, sq(spread)};
}

/* The step old + c (drive - old) as the kernels do it: d = drive - old, then old + c d. rough: the spread of c
 * relative to it, squared. *d is as it comes out, old in it. */
static struct value euler(struct value old, struct value drive, double c, double rough, struct value *d)
{
    const double difference = drive.is - old.is, is = old.is + c * difference;
    const double own = drive.q + sq(EPS * difference);

    if (d)
        *d = (struct value){difference, own + old.q};
    return (struct value){is, sq(1.0 - c) * old.q + sq(c) * own + sq(c * difference) * rough + sq(EPS * is)};
}

/* What of its way a low-pass goes in a step. */
static double leak_of(const struct oracle *o, double tau)
{
    return o->exponential ? 1.0 - exp(-o->dt / tau) : o->dt / tau;
}

/* How near to a kink rounding may decide on which side of it a float lies. */
static bool is_near(double distance, double spread)
{
    return fabs(distance) < fmax(1e-4, ORACLE_SPREADS * spread);
}

/* r = phi(prosp_u), and phi'. */
static void activate(struct oracle *o, struct oracle_layer *l, size_t at)
{
    const double u = l->prosp_u[at], spread = l->spread.prosp_u[at], h = 5e-5;
    double left, right, curve;

    l->r[at] = l->act->phi(u, &l->dr[at], &l->act_of);
    l->act->phi(u - h, &left, &l->act_of);
    l->act->phi(u + h, &right, &l->act_of);
    curve = fmax(fabs(l->dr[at] - left), fabs(right - l->dr[at])) / h;
    l->spread.r[at] = hypot(l->dr[at] * spread, APPROX * fmax(1.0, fabs(l->r[at])));
    l->spread.dr[at] = hypot(curve * spread, APPROX);
    o->fragile |= l->act->to_kink && is_near(l->act->to_kink(u, &l->act_of), spread);
    o->bent |= l->act->to_bend && is_near(l->act->to_bend(u, &l->act_of), spread);
}

/* s = b + W x of neuron j; x and its spread (n_in). */
static struct value weigh(const struct oracle_layer *l, size_t j, const double *x, const double *x_spread)
{
    struct value s = {l->b[j], 0.0};
    double sum = 0.0;

    for (size_t k = 0; k < l->n_in; k++) {
        const size_t at = j * l->n_in + k;
        sum += l->W[at] * x[k];
        s.q += sq(l->W[at] * x_spread[k]) + sq(l->spread.W[at] * x[k]) + sq(EPS * sum);
    }
    s.is += sum;
    s.q += sq(l->spread.b[j]) + sq(EPS * s.is);
    return s;
}

/* The step of neuron j in row b. Returns e, and u_dot. */
static struct value step_neuron(struct oracle *o, struct oracle_layer *l, size_t b, size_t j, struct value s,
                                struct value above, struct value *u_dot)
{
    const size_t at = b * l->n + j;
    const double tau_m = l->tau_m[j], tau_r = l->tau_r[j], rough = 2.0 * sq(EPS), is = l->dr[at] * above.is;
    const double of_m = sq(l->spread.tau_m[j] / tau_m), of_r = sq(l->spread.tau_r[j] / tau_r);
    const struct value inst = {is, sq(l->dr[at]) * above.q + sq(l->spread.dr[at] * above.is) + sq(EPS * is)};
    const struct value v = value_of(l->v[at], l->spread.v[at]), u = value_of(l->u[at], l->spread.u[at]);
    struct value e = inst, drive, next, d;

    if (o->prospective) {
        e = euler(v, inst, tau_m / tau_r, rough + of_m + of_r, NULL);
        next = euler(v, inst, leak_of(o, tau_r), rough + of_r, NULL);
    } else {
        next = inst;
    }
    l->v[at] = next.is, l->spread.v[at] = sqrt(next.q);
    drive.is = s.is + l->gamma * e.is;
    drive.q = s.q + sq(l->gamma) * e.q + sq(EPS * drive.is);
    next = euler(u, drive, tau_r / tau_m, rough + of_m + of_r, &d);
    l->prosp_u[at] = next.is, l->spread.prosp_u[at] = sqrt(next.q);
    next = euler(u, drive, leak_of(o, tau_m), rough + of_m, NULL);
    l->u[at] = next.is, l->spread.u[at] = sqrt(next.q);
    activate(o, l, at);
    l->e[at] = e.is, l->spread.e[at] = sqrt(e.q);
    l->e_inst[at] = inst.is, l->spread.e_inst[at] = sqrt(inst.q);
    o->fragile |= fabs(e.is) > LARGE;
    u_dot->is = d.is / tau_m;
    u_dot->q = d.q / sq(tau_m) + sq(u_dot->is) * (rough + of_m);
    return e;
}

/* --- the target error --- */

/* Of one row, times beta, with its spread; returns the loss. r_spread (n). */
static double target_error(struct oracle *o, double *e, double *e_spread, const double *r, const double *r_spread,
                           const double *y, size_t n, double beta)
{
    const double loss = o->loss->eval(e, r, y, n, o->loss_row, o->loss_params);
    const double at_bend = o->loss->bend ? setting_of(o->loss_row, o->loss_params, o->loss->bend) : 0.0;
    const double steep = o->loss->mixes ? 1.0 : 2.0 / (double)n; /* of the loss, over the target error, at most */
    double of_all = 0.0, of_loss = 0.0;

    for (size_t i = 0; i < n; i++) {
        of_all += sq((y[i] - e[i]) * r_spread[i]); /* softmax(r) times it */
        of_loss += sq(steep * e[i] * r_spread[i]);
        o->bent |= o->loss->bend && is_near(fabs(y[i] - r[i]) - at_bend, r_spread[i]);
    }
    for (size_t i = 0; i < n; i++) { /* no target error is steeper than r */
        const double q = sq(r_spread[i]) + (o->loss->mixes ? of_all : 0.0) + sq(APPROX * fmax(1.0, fabs(e[i])));
        e_spread[i] = beta * sqrt(q);
        e[i] *= beta;
    }
    o->loss_spread += sqrt(of_loss) + APPROX * fmax(1.0, fabs(loss));
    return loss;
}

/* --- learning --- */

/* g_spread: of the gradient. */
static void descend(const struct oracle *o, double *p, const double *g, double *m, double *s, size_t n,
                    const double *g_spread, double *p_spread, double *m_spread)
{
    const double b1 = 0.9, b2 = 0.999, t = (double)o->t;

    for (size_t i = 0; i < n; i++) {
        if (o->optimizer == ORACLE_SGD) {
            m[i] = o->momentum * m[i] + g[i];
            p[i] -= o->lr * m[i];
            /* What a gradient is off lasts from step to step: spreads add up. */
            m_spread[i] = o->momentum * m_spread[i] + g_spread[i] + EPS * fabs(m[i]);
            p_spread[i] += o->lr * m_spread[i] + EPS * fabs(p[i]);
        } else {
            m[i] = b1 * m[i] + (1.0 - b1) * g[i];
            s[i] = b2 * s[i] + (1.0 - b2) * g[i] * g[i];
            p[i] -= o->lr * (m[i] / (1.0 - pow(b1, t))) / (sqrt(s[i] / (1.0 - pow(b2, t))) + 1e-8);
        }
    }
}

/* Spreads of the gradients of a layer, squared. */
struct rough {
    double *W, *b, *tau_m, *tau_r;
};

/* What the optimizer follows of a layer, and its spread. */
struct followed {
    bool learns;
    double *f, *spread;
    const double *g, *q; /* a gradient that is to be added */
    size_t n;
};

static void list_followed(struct followed of[GLE_PARAMS], const struct oracle_layer *l, const struct rough *g)
{
    const struct oracle_spread *s = &l->spread;
    const struct rough none = {0}, *q = g ? g : &none;
    const struct followed all[GLE_PARAMS] = {
        [GLE_WEIGHT] = {false, l->fW, s->fW, l->gW, q->W, l->n * l->n_in},
        [GLE_BIAS] = {false, l->fb, s->fb, l->gb, q->b, l->n},
        [GLE_TAU_M] = {false, l->ftau_m, s->ftau_m, l->gtau_m, q->tau_m, l->n},
        [GLE_TAU_R] = {false, l->ftau_r, s->ftau_r, l->gtau_r, q->tau_r, l->n},
    };

    memcpy(of, all, sizeof all);
    for (int p = 0; p < GLE_PARAMS; p++)
        of[p].learns = l->plastic[p];
}

static void gather(const struct oracle *o, const struct oracle_layer *l, const struct rough *g)
{
    struct followed of[GLE_PARAMS];

    list_followed(of, l, g);
    for (int p = 0; p < GLE_PARAMS; p++)
        for (size_t i = 0; i < of[p].n; i++) {
            of[p].f[i] = (o->gathered ? of[p].f[i] : 0.0) + of[p].g[i];
            of[p].spread[i] = (o->gathered ? of[p].spread[i] + EPS * fabs(of[p].f[i]) : 0.0) + sqrt(of[p].q[i]);
        }
}

/* All that the optimizer follows becomes so much of itself; rough: the spread of `by`, relative to it. */
static void scale_followed(const struct oracle *o, double by, double rough)
{
    for (size_t i = 0; i < o->n_layers; i++) {
        struct followed of[GLE_PARAMS];
        list_followed(of, &o->layers[i], NULL);
        for (int p = 0; p < GLE_PARAMS; p++)
            for (size_t k = 0; k < of[p].n; k++) {
                of[p].f[k] *= by;
                of[p].spread[k] = by * of[p].spread[k] + (rough + EPS) * fabs(of[p].f[k]);
            }
    }
}

static void learn(const struct oracle *o, struct oracle_layer *l)
{
    const struct oracle_spread *s = &l->spread;

    if (l->plastic[GLE_WEIGHT])
        descend(o, l->W, l->fW, l->mW, l->sW, l->n * l->n_in, s->fW, s->W, s->mW);
    if (l->plastic[GLE_BIAS])
        descend(o, l->b, l->fb, l->mb, l->sb, l->n, s->fb, s->b, s->mb);
    if (l->plastic[GLE_TAU_M])
        descend(o, l->tau_m, l->ftau_m, l->mtau_m, l->stau_m, l->n, s->ftau_m, s->tau_m, s->mtau_m);
    if (l->plastic[GLE_TAU_R])
        descend(o, l->tau_r, l->ftau_r, l->mtau_r, l->stau_r, l->n, s->ftau_r, s->tau_r, s->mtau_r);
    for (size_t j = 0; j < l->n; j++) {
        l->tau_m[j] = fmax(l->tau_m[j], o->tau_low);
        l->tau_r[j] = fmax(l->tau_r[j], o->tau_low);
    }
}

/* Leaves no more of it than has the norm. */
static void clip(struct oracle *o)
{
    double sum = 0.0, q = 0.0, share;

    for (size_t i = 0; i < o->n_layers; i++) {
        struct followed of[GLE_PARAMS];
        list_followed(of, &o->layers[i], NULL);
        for (int p = 0; p < GLE_PARAMS; p++)
            for (size_t k = 0; of[p].learns && k < of[p].n; k++) {
                sum += sq(of[p].f[k]);
                q += sq(of[p].f[k] * of[p].spread[k]);
            }
    }
    share = o->clip / (sqrt(sum) + 1e-6);
    if (share < 1.0)
        scale_followed(o, share, sqrt(q) / sum + EPS);
    o->clipped += share < 1.0;
}

/* The optimizer's step, once there are gradients of enough steps. */
static void follow(struct oracle *o)
{
    if (++o->gathered < o->every)
        return;
    o->gathered = 0;
    o->t++;
    if (o->every > 1)
        scale_followed(o, 1.0 / (double)o->every, EPS);
    if (o->clip > 0.0)
        clip(o);
    for (size_t i = 0; i < o->n_layers; i++)
        learn(o, &o->layers[i]);
}

/* sum += x y / B, and its spread squared. */
static void add_product(double *sum, double *q, struct value x, struct value y, double over_B)
{
    *sum += x.is * y.is * over_B;
    *q += (sq(x.is) * y.q + sq(y.is) * x.q) * sq(over_B) + 2.0 * sq(EPS * *sum);
}

/* --- the step --- */

/* What a layer reads of its neighbours; rates (B, n_in), errors (B, n). */
struct old {
    double *r, *r_spread, *e, *e_spread;
};

static double largest(const double *values, size_t n)
{
    double most = 0.0;

    for (size_t i = 0; i < n; i++)
        most = fmax(most, fabs(values[i]));
    return most;
}

/* How much of the largest of n values rounding may be off; of small ones, of 0.05. */
static double rough_of(const double *values, const double *spread, size_t n)
{
    return ORACLE_SPREADS * largest(spread, n) / fmax(5e-2, largest(values, n));
}

static void step_layer(struct oracle *o, struct oracle_layer *l, const struct old *old, bool learning)
{
    const size_t B = o->B, m = l->n * l->n_in;
    const double mean = -1.0 / (double)B;
    struct rough g = {numbers(m), numbers(l->n), numbers(l->n), numbers(l->n)};

    memset(l->gW, 0, m * sizeof(double));
    memset(l->gb, 0, l->n * sizeof(double));
    memset(l->gtau_m, 0, l->n * sizeof(double));
    memset(l->gtau_r, 0, l->n * sizeof(double));
    memset(l->e_below, 0, B * l->n_in * sizeof(double));
    memset(l->spread.e_below, 0, B * l->n_in * sizeof(double));
    for (size_t b = 0; b < B; b++) {
        const double *x = old->r + b * l->n_in, *x_spread = old->r_spread + b * l->n_in;
        double *below = l->e_below + b * l->n_in, *below_q = l->spread.e_below + b * l->n_in;
        for (size_t j = 0; j < l->n; j++) {
            const struct value above = value_of(old->e[b * l->n + j], old->e_spread[b * l->n + j]);
            struct value u_dot;
            const struct value e = step_neuron(o, l, b, j, weigh(l, j, x, x_spread), above, &u_dot);
            for (size_t k = 0; k < l->n_in; k++) {
                const size_t at = j * l->n_in + k;
                add_product(&l->gW[at], &g.W[at], e, value_of(x[k], x_spread[k]), mean);
                below[k] += l->W[at] * e.is;
                below_q[k] += sq(l->W[at]) * e.q + sq(l->spread.W[at] * e.is) + sq(EPS * below[k]);
            }
            add_product(&l->gb[j], &g.b[j], e, value_of(1.0, 0.0), mean);
            add_product(&l->gtau_m[j], &g.tau_m[j], e, u_dot, -mean);
            add_product(&l->gtau_r[j], &g.tau_r[j], value_of(l->e_inst[b * l->n + j], l->spread.e_inst[b * l->n + j]),
                        u_dot, mean);
        }
        for (size_t k = 0; k < l->n_in; k++)
            below_q[k] = sqrt(below_q[k]);
    }
    o->rough = fmax(o->rough, fmax(rough_of(l->e, l->spread.e, B * l->n), rough_of(l->r, l->spread.r, B * l->n)));
    o->fragile |= o->rough > 1e-2;
    if (learning)
        gather(o, l, &g);
    free(g.W);
    free(g.b);
    free(g.tau_m);
    free(g.tau_r);
}

static double *copy_of(const double *values, size_t n)
{
    return memcpy(numbers(n), values, n * sizeof *values);
}

double oracle_step(struct oracle *o, const double *x, const double *y, bool learning)
{
    const size_t L = o->n_layers, B = o->B;
    struct old *old = calloc(L + 1, sizeof *old); /* old[i]: what layer i reads */
    const size_t n_out = o->layers[L - 1].n;
    const double beta = learning || o->nudge ? o->beta : 0.0;
    double loss = 0.0;

    old[0].r = copy_of(x, B * o->layers[0].n_in);
    old[0].r_spread = numbers(B * o->layers[0].n_in);
    old[L - 1].e = numbers(B * n_out);
    old[L - 1].e_spread = numbers(B * n_out);
    for (size_t i = 0; i < L; i++) {
        const struct oracle_layer *l = &o->layers[i];
        old[i + 1].r = copy_of(l->r, B * l->n);
        old[i + 1].r_spread = copy_of(l->spread.r, B * l->n);
        if (i) {
            old[i - 1].e = copy_of(l->e_below, B * l->n_in);
            old[i - 1].e_spread = copy_of(l->spread.e_below, B * l->n_in);
        }
    }
    o->loss_spread = 0.0;
    for (size_t at = 0; !o->unasked && at < B * n_out; at += n_out)
        loss += target_error(o, old[L - 1].e + at, old[L - 1].e_spread + at, old[L].r + at, old[L].r_spread + at,
                             y + at, n_out, beta);
    for (size_t i = 0; i < L; i++)
        step_layer(o, &o->layers[i], &old[i], learning);
    if (learning)
        follow(o);
    for (size_t i = 0; i <= L; i++) {
        free(old[i].r);
        free(old[i].r_spread);
        free(old[i].e);
        free(old[i].e_spread);
    }
    free(old);
    return loss;
}

double oracle_window(struct oracle *o, const double *x, const double *y, size_t T)
{
    const size_t n_in = o->layers[0].n_in, n_out = o->layers[o->n_layers - 1].n;
    const bool nudge = o->nudge, unasked = o->unasked;
    double **kept = calloc(OF_STATE * o->n_layers, sizeof *kept), loss = 0.0;

    for (size_t i = 0; i < o->n_layers; i++) {
        const struct arrays a = arrays_of(&o->layers[i]);
        for (size_t k = 0; k < OF_STATE; k++)
            kept[OF_STATE * i + k] = copy_of(*a.rows[k], o->B * width_of(&o->layers[i], k));
    }
    o->nudge = true;
    for (size_t t = 0; t < T; t++) {
        o->unasked = o->window_unasked && o->window_unasked[t];
        loss += oracle_step(o, x + t * o->B * n_in, y + t * o->B * n_out, false) / (double)o->B;
    }
    o->nudge = nudge;
    o->unasked = unasked;
    for (size_t i = 0; i < o->n_layers; i++) {
        const struct arrays a = arrays_of(&o->layers[i]);
        for (size_t k = 0; k < OF_STATE; k++) {
            free(*a.rows[k]);
            *a.rows[k] = kept[OF_STATE * i + k];
        }
    }
    free(kept);
    return loss;
}
