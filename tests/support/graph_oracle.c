#include "graph_oracle.h"
#include "links.h"
#include "parts/activation.h"
#include "parts/feedback.h"
#include "parts/loss.h"
#include "parts/rule.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PAST = GRAPH_ORACLE_PAST, NEURONS_MAX = 512 };

/* --- rounding --- */

/* x, off by a random part of it. */
double graph_oracle_rounded(struct graph_oracle *o, double x)
{
    if (o->noise <= 0.0)
        return x;
    o->noise_state = o->noise_state * 6364136223846793005u + 1442695040888963407u;
    return x * (1.0 + o->noise * ((double)(o->noise_state >> 11) * 0x1p-52 - 1.0));
}

static double rounded(struct graph_oracle *o, double x)
{
    return graph_oracle_rounded(o, x);
}

double graph_oracle_leak(const struct graph_oracle *o, double tau)
{
    return o->exp->exponential ? 1.0 - exp(-o->exp->dt / tau) : o->exp->dt / tau;
}

/* --- memory: counted first, then given --- */

struct memory {
    double *at; /* NULL: counting */
    size_t n;
};

static double *take(struct memory *m, size_t n)
{
    double *out = m->at ? m->at + m->n : NULL;

    m->n += n;
    return out;
}

static void lay_out(struct graph_oracle *o, struct memory *m)
{
    const size_t eligible = o->exp->rule->eligible;

    o->x = take(m, PAST * o->B_max * o->n_input);
    for (size_t i = 0; i < o->n_layers; i++) {
        struct graph_oracle_layer *l = &o->layers[i];
        const size_t rows = o->B_max * l->n;
        l->b = take(m, l->n_bias);
        l->gb = take(m, l->n_bias);
        l->tau_m = take(m, l->n);
        l->tau_r = take(m, l->n);
        l->gtau_m = take(m, l->n);
        l->gtau_r = take(m, l->n);
        for (size_t k = 0; k < GLE_MISMATCHES; k++)
            l->factors[k] = take(m, l->n);
        for (size_t k = 0; k < GLE_NOISES; k++)
            l->noise[k] = take(m, rows);
        l->du_bias = take(m, eligible * rows);
        l->eps_bias = take(m, eligible * rows);
        l->du_tau_m = take(m, eligible * rows);
        l->eps_tau_m = take(m, eligible * rows);
        l->eps_tau_r = take(m, eligible * rows);
        l->u = take(m, rows);
        l->v = take(m, rows);
        l->dr = take(m, rows);
        l->e = take(m, rows);
        l->e_inst = take(m, rows);
        l->s = take(m, rows);
        l->prosp_u = take(m, rows);
        l->r = take(m, PAST * rows);
        for (size_t j = 0; j < l->n_sources; j++) {
            struct graph_oracle_source *c = &l->sources[j];
            c->W = take(m, c->n_weights);
            c->gW = take(m, c->n_weights);
            c->B = take(m, c->n_weights);
            c->off_W = take(m, c->n_weights);
            c->off_B = take(m, c->n_weights);
            c->e_below = take(m, o->B_max * c->n_in);
            c->x = take(m, o->B_max * c->n_pool);
            c->du = take(m, eligible * rows * c->n_pool);
            c->eps = take(m, eligible * rows * c->n_pool);
            c->xi = take(m, c->aligns ? PAST * o->B_max * c->n_in : 0);
            c->low = take(m, c->aligns ? rows : 0);
            c->gB = take(m, c->aligns ? c->n_weights : 0);
        }
        for (size_t j = 0; j < l->n_directs; j++) {
            struct graph_oracle_direct *d = &l->directs[j];
            d->B = take(m, l->n * o->exp->layers[d->from].n);
            d->off_B = take(m, l->n * o->exp->layers[d->from].n);
            d->sent = take(m, rows);
        }
    }
}

static void connect(struct graph_oracle *o, const struct gle_graph *graph, size_t i)
{
    const struct gle_layer_cfg *cfg = &o->exp->layers[i];
    struct graph_oracle_layer *l = &o->layers[i];

    l->n = cfg->n;
    l->n_bias = gle_layer_biases(cfg);
    l->gamma = cfg->gamma;
    l->act = find_act_formula(cfg->act->row.name);
    l->act_of = (struct act_of){&cfg->act->row, cfg->act_params};
    l->n_sources = cfg->n_sources;
    l->sources = calloc(l->n_sources, sizeof *l->sources);
    l->n_directs = cfg->n_errors_from;
    l->directs = calloc(l->n_directs + 1, sizeof *l->directs);
    for (size_t j = 0; j < l->n_directs; j++)
        l->directs[j].from = cfg->errors_from[j].layer;
    for (size_t j = 0; j < l->n_sources; j++) {
        const struct gle_source_cfg *from = &cfg->sources[j];
        const struct gle_projection *projection = &graph->projections[graph->populations[i].first + j];
        struct graph_oracle_source *c = &l->sources[j];
        c->plan = &projection->plan;
        c->layer = from->layer;
        c->delay = from->delay;
        c->n_in = gle_shape_count(&c->plan->source);
        c->n_pool = gle_shape_count(&c->plan->pooled);
        c->which = link_matrix(c->plan);
        c->n_weights = c->plan->rows * c->plan->cols;
        c->sends = from->layer != GLE_SOURCE_INPUT && from->feedback->sends;
        c->own = from->feedback->own;
        c->way = projection->sends_error ? from->feedback->way : GLE_FEEDBACK_STAYS;
        c->settings = from->feedback_params;
        c->aligns = c->way == GLE_FEEDBACK_ALIGNS;
        c->number = (size_t)(projection - graph->projections);
    }
}

/* What the weights W or B are of. */
static struct graph_oracle_source *source_of(const struct graph_oracle *o, const struct gle_parameter *p)
{
    size_t first = 0;

    for (size_t i = 0; i < p->field.population; i++)
        first += o->layers[i].n_sources;
    return &o->layers[p->field.population].sources[p->field.projection - first];
}

bool graph_oracle_is_moving(const struct graph_oracle *o, const struct gle_parameter *p)
{
    const struct graph_oracle_source *c = p->kind == GLE_FEEDBACK ? source_of(o, p) : NULL;

    return c && (c->aligns || c->way == GLE_FEEDBACK_FOLLOWS);
}

bool graph_oracle_is_aligning(const struct graph_oracle *o, const struct gle_parameter *p)
{
    return p->kind == GLE_FEEDBACK && source_of(o, p)->aligns;
}

double graph_oracle_moved(const struct graph_oracle *o, const struct gle_parameter *p, double value, double gradient,
                          double lr)
{
    const bool weights = p->kind == GLE_WEIGHT || p->kind == GLE_FEEDBACK;
    const struct graph_oracle_source *c = weights ? source_of(o, p) : NULL;

    if (c && c->way == GLE_FEEDBACK_FOLLOWS)
        value *= 1.0 - o->exp->dt * c->settings->decay;
    if (c && c->aligns && p->kind == GLE_FEEDBACK)
        return value + o->exp->dt * c->settings->lr * (gradient - c->settings->decay * value);
    return value - lr * gradient;
}

double *graph_oracle_param(struct graph_oracle *o, const struct gle_parameter *p, double **gradient, size_t *n)
{
    struct graph_oracle_layer *l = &o->layers[p->field.population];
    struct graph_oracle_source *c;

    *n = gle_field_size(&p->field);
    *gradient = NULL;
    switch (p->kind) {
    case GLE_WEIGHT:
        c = source_of(o, p);
        *gradient = c->gW;
        return c->W;
    case GLE_FEEDBACK:
        c = source_of(o, p);
        *gradient = c->way == GLE_FEEDBACK_FOLLOWS ? c->gW : c->gB;
        return c->B;
    case GLE_ERRORS_FROM:
        for (size_t j = 0; j < l->n_directs; j++)
            if (!strcmp(o->exp->layers[p->field.population].errors_from[j].label, p->field.owner))
                return l->directs[j].B;
        return NULL;
    case GLE_BIAS:
        *gradient = l->gb;
        return l->b;
    case GLE_TAU_M:
        *gradient = l->gtau_m;
        return l->tau_m;
    case GLE_TAU_R:
        *gradient = l->gtau_r;
        return l->tau_r;
    case GLE_TAU_M_FACTOR:
    case GLE_TAU_R_FACTOR:
    case GLE_ERROR_TAU_M_FACTOR:
    case GLE_ERROR_TAU_R_FACTOR:
        return l->factors[p->kind - GLE_TAU_M_FACTOR];
    case GLE_PARAM_KINDS:
        break;
    }
    return NULL;
}

struct graph_oracle *graph_oracle_build(const struct gle_graph *graph, const struct gle_net *net, size_t B_max)
{
    struct graph_oracle *o = calloc(1, sizeof *o);
    struct memory m = {0};

    o->exp = graph->exp;
    o->n_layers = o->exp->n_layers;
    o->output = o->exp->output;
    o->n_input = o->exp->n_input;
    o->B = o->B_max = B_max;
    o->loss = find_loss_formula(o->exp->loss->row.name);
    o->layers = calloc(o->n_layers, sizeof *o->layers);
    for (size_t i = 0; i < o->n_layers; i++)
        connect(o, graph, i);
    lay_out(o, &m);
    o->n_memory = m.n;
    o->memory = calloc(m.n, sizeof *o->memory);
    m = (struct memory){.at = o->memory};
    lay_out(o, &m);
    for (size_t i = 0; i < graph->n_parameters; i++) {
        double *gradient, *values;
        size_t n;
        float *single;
        values = graph_oracle_param(o, &graph->parameters[i], &gradient, &n);
        single = calloc(n, sizeof *single);
        gle_net_get_param(net, i, single);
        for (size_t k = 0; k < n; k++)
            values[k] = (double)single[k];
        free(single);
    }
    for (size_t i = 0; i < o->n_layers; i++) /* of the config, as coefficients are made of them */
        memcpy(o->layers[i].tau_r, o->exp->layers[i].tau_r, o->layers[i].n * sizeof(double));
    graph_oracle_quantize(o);
    graph_oracle_start_noise(o);
    return o;
}

void graph_oracle_destroy(struct graph_oracle *o)
{
    for (size_t i = 0; i < o->n_layers; i++) {
        for (size_t j = 0; j < o->layers[i].n_sources; j++)
            free(o->layers[i].sources[j].which);
        free(o->layers[i].sources);
        free(o->layers[i].directs);
    }
    free(o->layers);
    free(o->memory);
    free(o);
}

/* --- the batch --- */

/* Copies of (B, n) arrays, one behind the other, B_max n numbers apart. */
static void tile(const struct graph_oracle *o, double *rows, size_t copies, size_t n, size_t B)
{
    for (size_t k = 0; k < copies; k++)
        for (size_t b = o->B; b < B; b++)
            memcpy(rows + (k * o->B_max + b) * n, rows + (k * o->B_max + b % o->B) * n, n * sizeof *rows);
}

void graph_oracle_set_batch(struct graph_oracle *o, size_t B)
{
    const bool eligible = o->exp->rule->eligible;

    tile(o, o->x, PAST, o->n_input, B);
    for (size_t i = 0; i < o->n_layers; i++) {
        struct graph_oracle_layer *l = &o->layers[i];
        double *const states[] = {l->u, l->v, l->dr, l->noise[0], l->noise[1], l->noise[2]};
        double *const traces[] = {l->du_bias, l->eps_bias, l->du_tau_m, l->eps_tau_m, l->eps_tau_r};
        for (size_t k = 0; k < sizeof states / sizeof *states; k++)
            tile(o, states[k], 1, l->n, B);
        for (size_t k = 0; eligible && k < sizeof traces / sizeof *traces; k++)
            tile(o, traces[k], 1, l->n, B);
        tile(o, l->r, PAST, l->n, B);
        for (size_t j = 0; j < l->n_sources; j++) {
            const struct graph_oracle_source *c = &l->sources[j];
            tile(o, c->e_below, 1, c->n_in, B);
            tile(o, c->xi, c->aligns ? PAST : 0, c->n_in, B);
            tile(o, c->low, c->aligns, l->n, B);
            tile(o, c->du, eligible, l->n * c->n_pool, B);
            tile(o, c->eps, eligible, l->n * c->n_pool, B);
        }
        for (size_t j = 0; j < l->n_directs; j++)
            tile(o, l->directs[j].sent, 1, l->n, B);
    }
    o->B = B;
}

void graph_oracle_reset(struct graph_oracle *o, bool all)
{
    if (all)
        memset(o->x, 0, PAST * o->B_max * o->n_input * sizeof *o->x);
    for (size_t i = 0; i < o->n_layers; i++) {
        struct graph_oracle_layer *l = &o->layers[i];
        const size_t bytes = o->B_max * l->n * sizeof(double);
        double *const states[] = {l->u, l->v, l->dr};
        double *const traces[] = {l->du_bias, l->eps_bias, l->du_tau_m, l->eps_tau_m, l->eps_tau_r};
        if (!all && !o->exp->layers[i].reset)
            continue;
        for (size_t k = 0; k < sizeof states / sizeof *states; k++)
            memset(states[k], 0, bytes);
        for (size_t k = 0; o->exp->rule->eligible && k < sizeof traces / sizeof *traces; k++)
            memset(traces[k], 0, bytes);
        memset(l->r, 0, PAST * bytes);
        for (size_t j = 0; j < l->n_sources; j++) {
            memset(l->sources[j].e_below, 0, o->B_max * l->sources[j].n_in * sizeof(double));
            memset(l->sources[j].low, 0, l->sources[j].aligns ? bytes : 0);
            if (o->exp->rule->eligible) {
                memset(l->sources[j].du, 0, bytes * l->sources[j].n_pool);
                memset(l->sources[j].eps, 0, bytes * l->sources[j].n_pool);
            }
        }
        for (size_t j = 0; j < l->n_directs; j++)
            memset(l->directs[j].sent, 0, bytes);
    }
}

/* --- the step --- */

/* Which neuron of the source decides about pooled neuron k in a row of rates (maximum), or one of those that share it
 * (mean): the `part`th of the window. */
static size_t in_window(const struct gle_pool *pool, size_t k, size_t part)
{
    const size_t plane = pool->out[0] * pool->out[1], channel = k / plane, at = k % plane;
    const size_t y = at / pool->out[1] * pool->window[0] + part / pool->window[1];
    const size_t x = at % pool->out[1] * pool->window[1] + part % pool->window[1];

    return (channel * pool->size[0] + y) * pool->size[1] + x;
}

static bool takes_maximum(const struct graph_oracle_source *c)
{
    return !strcmp(c->plan->pooling->row.name, "max");
}

static size_t maximum_of(const struct graph_oracle_source *c, const double *r, size_t k)
{
    const size_t parts = c->plan->pool.window[0] * c->plan->pool.window[1];
    size_t best = in_window(&c->plan->pool, k, 0);

    for (size_t part = 1; part < parts; part++) {
        const size_t one = in_window(&c->plan->pool, k, part);
        best = r[one] > r[best] ? one : best;
    }
    return best;
}

void graph_oracle_pool(struct graph_oracle *o, const struct graph_oracle_source *c, double *out, const double *values,
                       const double *r)
{
    const size_t parts = c->plan->pooling ? c->plan->pool.window[0] * c->plan->pool.window[1] : 1;

    for (size_t k = 0; k < c->n_pool; k++) {
        if (!c->plan->pooling || takes_maximum(c)) {
            out[k] = values[c->plan->pooling ? maximum_of(c, r, k) : k];
            continue;
        }
        out[k] = 0.0;
        for (size_t part = 0; part < parts; part++)
            out[k] += rounded(o, values[in_window(&c->plan->pool, k, part)]) / (double)parts;
    }
}

void graph_oracle_spread(const struct graph_oracle_source *c, double *out, const double *e, const double *r)
{
    const size_t parts = c->plan->pooling ? c->plan->pool.window[0] * c->plan->pool.window[1] : 1;

    memset(out, 0, c->n_in * sizeof *out);
    for (size_t k = 0; k < c->n_pool; k++) {
        if (!c->plan->pooling) {
            out[k] = e[k];
        } else if (takes_maximum(c)) {
            out[maximum_of(c, r, k)] += e[k];
        } else {
            for (size_t part = 0; part < parts; part++)
                out[in_window(&c->plan->pool, k, part)] += e[k] / (double)parts;
        }
    }
}

const double *graph_oracle_rates(const struct graph_oracle *o, const struct graph_oracle_source *c, size_t b)
{
    if (c->layer == GLE_SOURCE_INPUT)
        return o->x + (c->delay * o->B_max + b) * o->n_input;
    return o->layers[c->layer].r + ((c->delay - 1) * o->B_max + b) * o->layers[c->layer].n;
}

/* A random part of 1, from -1 to 1; 0 in an oracle that does not round. */
static double part_of_one(struct graph_oracle *o)
{
    return o->noise > 0.0 ? (rounded(o, 1.0) - 1.0) / o->noise : 0.0;
}

/* A number of W, or of B, as steps read it. */
static double read_weight(const struct graph_oracle_source *c, bool of_B, size_t k)
{
    return of_B ? c->B[k] + c->off_B[k] : c->W[k] + c->off_W[k];
}

/* All that layer i makes of old values; what others read in this step stays as it is: new rates go into `r_new`, errors
 * for the sources into `below`. */
static void step_layer(struct graph_oracle *o, size_t i, const double *top_error, double *r_new, double **below,
                       bool training)
{
    struct graph_oracle_layer *l = &o->layers[i];
    const bool prospective = !strcmp(o->exp->rule->row.name, "gle");

    for (size_t b = 0; b < o->B; b++)
        for (size_t k = 0; k < l->n; k++) {
            const size_t at = b * l->n + k;
            const double off = part_of_one(o); /* of what the approximation of phi may be off, and phi' with it */
            double e_above = 0.0, e_inst, v_dot, s = 0.0, slope, gain;
            const double tau_m = graph_oracle_tau(o, l, GLE_MISMATCH_TAU_M, k, &gain);
            const double tau_r = graph_oracle_tau(o, l, GLE_MISMATCH_TAU_R, k, &gain);
            const double error_tau_m = graph_oracle_tau(o, l, GLE_MISMATCH_ERROR_TAU_M, k, &gain);
            const double error_tau_r = graph_oracle_tau(o, l, GLE_MISMATCH_ERROR_TAU_R, k, &gain);
            for (size_t p = 0; p < o->n_layers; p++)
                for (size_t j = 0; j < o->layers[p].n_sources; j++) {
                    const struct graph_oracle_source *c = &o->layers[p].sources[j];
                    if (c->layer == (long)i && c->sends)
                        e_above = rounded(o, e_above + c->e_below[b * l->n + k]);
                }
            for (size_t j = 0; j < l->n_directs; j++)
                e_above = rounded(o, e_above + l->directs[j].sent[at]);
            if (i == o->output)
                e_above = rounded(o, e_above + top_error[at]);
            e_inst = rounded(o, l->dr[at] * e_above);
            v_dot = rounded(o, e_inst - l->v[at]) / error_tau_r;
            l->e_inst[at] = e_inst;
            l->e[at] = prospective ? rounded(o, l->v[at] + rounded(o, error_tau_m * v_dot)) : e_inst;
            l->v[at] = prospective ? rounded(o, l->v[at] + rounded(o, graph_oracle_leak(o, error_tau_r) * error_tau_r *
                                                                          v_dot))
                                   : e_inst;
            for (size_t j = 0; j < l->n_sources; j++) {
                const struct graph_oracle_source *c = &l->sources[j];
                for (size_t m = 0; m < c->n_pool; m++)
                    if (c->which[k * c->n_pool + m])
                        s += rounded(o, read_weight(c, false, c->which[k * c->n_pool + m] - 1) *
                                            c->x[b * c->n_pool + m]);
            }
            s = rounded(o, s + graph_oracle_noise(o, i, GLE_NOISE_INPUT, b, k, training));
            s = rounded(o, s + graph_oracle_stirred(o, i, b, k));
            s = rounded(o, s + l->b[k / (l->n / l->n_bias)]);
            s = rounded(o, s + rounded(o, l->gamma * l->e[at]));
            l->s[at] = rounded(o, s - l->u[at]);
            l->prosp_u[at] = rounded(o, l->u[at] + rounded(o, tau_r / tau_m * l->s[at]));
            l->u[at] = rounded(o, l->u[at] + rounded(o, graph_oracle_leak(o, tau_m) * l->s[at]));
            l->u[at] = rounded(o, l->u[at] + graph_oracle_noise(o, i, GLE_NOISE_MEMBRANE, b, k, training));
            r_new[at] = rounded(o, l->act->phi(l->prosp_u[at], &slope, &l->act_of) + off * l->act->off);
            r_new[at] = rounded(o, r_new[at] + graph_oracle_noise(o, i, GLE_NOISE_RATE, b, k, training));
            l->dr[at] = rounded(o, 1.0 + slope) - 1.0 + off * l->act->slope_off; /* as of 1 - r^2, where r is near 1 */
        }
    for (size_t j = 0; j < l->n_sources; j++) {
        const struct graph_oracle_source *c = &l->sources[j];
        for (size_t b = 0; b < o->B && c->sends; b++) {
            double pooled[NEURONS_MAX] = {0.0};
            for (size_t k = 0; k < l->n; k++)
                for (size_t m = 0; m < c->n_pool; m++)
                    if (c->which[k * c->n_pool + m])
                        pooled[m] += rounded(o, read_weight(c, c->own, c->which[k * c->n_pool + m] - 1) *
                                                    l->e[b * l->n + k]);
            graph_oracle_spread(c, below[j] + b * c->n_in, pooled, graph_oracle_rates(o, c, b));
        }
    }
}

void graph_oracle_clear_gradients(struct graph_oracle_layer *l)
{
    memset(l->gb, 0, l->n_bias * sizeof *l->gb);
    memset(l->gtau_m, 0, l->n * sizeof *l->gtau_m);
    memset(l->gtau_r, 0, l->n * sizeof *l->gtau_r);
    for (size_t j = 0; j < l->n_sources; j++)
        memset(l->sources[j].gW, 0, l->sources[j].n_weights * sizeof(double));
}

static void find_gradients(struct graph_oracle *o, size_t i)
{
    struct graph_oracle_layer *l = &o->layers[i];

    graph_oracle_clear_gradients(l);
    for (size_t b = 0; b < o->B; b++)
        for (size_t k = 0; k < l->n; k++) {
            const double e = l->e[b * l->n + k] / (double)o->B;
            double gain_m, gain_r;
            const double u_dot = l->s[b * l->n + k] / graph_oracle_tau(o, l, GLE_MISMATCH_TAU_M, k, &gain_m);
            (void)graph_oracle_tau(o, l, GLE_MISMATCH_TAU_R, k, &gain_r);
            l->gb[k / (l->n / l->n_bias)] -= rounded(o, e);
            l->gtau_m[k] += rounded(o, gain_m * e * u_dot);
            l->gtau_r[k] -= rounded(o, gain_r * l->e_inst[b * l->n + k] / (double)o->B * u_dot);
            for (size_t j = 0; j < l->n_sources; j++) {
                const struct graph_oracle_source *c = &l->sources[j];
                for (size_t m = 0; m < c->n_pool; m++)
                    if (c->which[k * c->n_pool + m])
                        c->gW[c->which[k * c->n_pool + m] - 1] -= rounded(o, e * c->x[b * c->n_pool + m]);
            }
        }
}

/* Makes room for the newest of PAST copies. */
static void push(const struct graph_oracle *o, double *copies, size_t n)
{
    memmove(copies + o->B_max * n, copies, (PAST - 1) * o->B_max * n * sizeof *copies);
}

double graph_oracle_step(struct graph_oracle *o, const double *x, const double *y, bool target)
{
    const struct graph_oracle_layer *top = &o->layers[o->output];
    double *top_error = calloc(o->B_max * top->n, sizeof *top_error), loss = 0.0;
    double **r_new = calloc(o->n_layers, sizeof *r_new), ***below = calloc(o->n_layers, sizeof *below);

    push(o, o->x, o->n_input);
    graph_oracle_stir(o, target);
    memcpy(o->x, x, o->B * o->n_input * sizeof *x);
    for (size_t b = 0; b < o->B && y; b++) {
        loss += o->loss->eval(top_error + b * top->n, top->r + b * top->n, y + b * top->n, top->n, &o->exp->loss->row,
                              o->exp->loss_params);
        for (size_t k = 0; k < top->n; k++) { /* a difference of numbers about as large as 1 */
            const double e = rounded(o, 4.0 + top_error[b * top->n + k]) - 4.0;
            top_error[b * top->n + k] = target ? o->exp->beta * e : 0.0;
        }
    }
    for (size_t i = 0; i < o->n_layers; i++)
        for (size_t j = 0; j < o->layers[i].n_sources; j++)
            for (size_t b = 0; b < o->B; b++) {
                struct graph_oracle_source *c = &o->layers[i].sources[j];
                const double *r = graph_oracle_rates(o, c, b);
                graph_oracle_pool(o, c, c->x + b * c->n_pool, r, r);
            }
    for (size_t i = 0; i < o->n_layers; i++) {
        const struct graph_oracle_layer *l = &o->layers[i];
        r_new[i] = calloc(o->B_max * l->n, sizeof **r_new);
        below[i] = calloc(l->n_sources, sizeof **below);
        for (size_t j = 0; j < l->n_sources; j++)
            below[i][j] = calloc(o->B_max * l->sources[j].n_in, sizeof ***below);
        step_layer(o, i, top_error, r_new[i], below[i], target);
        if (o->exp->rule->eligible)
            graph_oracle_eligible_gradients(o, i);
        else
            find_gradients(o, i);
        graph_oracle_trace(o, i);
        graph_oracle_align(o, i, r_new[i]);
    }
    for (size_t i = 0; i < o->n_layers; i++) {
        struct graph_oracle_layer *l = &o->layers[i];
        push(o, l->r, l->n);
        memcpy(l->r, r_new[i], o->B_max * l->n * sizeof *l->r);
        free(r_new[i]);
        for (size_t j = 0; j < l->n_sources; j++) {
            memcpy(l->sources[j].e_below, below[i][j], o->B_max * l->sources[j].n_in * sizeof(double));
            free(below[i][j]);
        }
        free(below[i]);
    }
    graph_oracle_send_directly(o);
    free(r_new);
    free(below);
    free(top_error);
    o->steps++;
    return loss / (double)o->B;
}
