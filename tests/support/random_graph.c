#include "random_graph.h"
#include "build.h"
#include "parts/rule.h"

#include <math.h>
#include <stdio.h>

enum { LAYERS_MAX = 4 };

void put_text(struct text *t, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    t->n += (size_t)vsnprintf(t->yaml + t->n, sizeof t->yaml - t->n, format, args);
    va_end(args);
    assert_true(t->n < sizeof t->yaml);
}

static bool chance(struct gle_rng *rng, size_t of_ten)
{
    return pick(rng, 10) < of_ten;
}

/* A layer that has been written: how its neurons lie, as far as the generator needs to know. */
struct drawn {
    size_t channels, dims, size[2]; /* dims 0: so many neurons */
};

static size_t count(const struct drawn *d)
{
    return d->channels * (d->dims ? d->size[0] * d->size[1] : 1);
}

static bool same_grid(const struct drawn *a, const struct drawn *b)
{
    return a->dims && a->dims == b->dims && a->size[0] == b->size[0] && a->size[1] == b->size[1];
}

/* Some at their bound, dt, or below it. */
static void put_taus(struct text *t, bool below_dt, struct gle_rng *rng)
{
    const bool at_bound = chance(rng, 1);
    const double least = below_dt ? 0.04 : 0.1;
    const double tau_m = at_bound ? least : draw(rng, 0.2, 1.5), tau_r = draw(rng, 0.5 * tau_m, 1.5 * tau_m);

    put_text(t, "tau_m: %.6f, tau_r: %.6f", tau_m, tau_r < least ? least : tau_r);
}

/* Pools from, if it has a grid and by chance; it then is what is left. */
static void put_pool(struct text *t, struct drawn *from, struct gle_rng *rng)
{
    static const char *const kinds[] = {"mean", "max"};

    if (!from->dims || (from->dims == 2 && from->size[0] < 2) || from->size[1] < 2 || !chance(rng, 5))
        return;
    put_text(t, ", pool: {type: %s, size: 2}", kinds[pick(rng, 2)]);
    from->size[0] = from->dims == 2 ? from->size[0] / 2 : 1;
    from->size[1] /= 2;
}

/* A convolution that fits, whose target has `channels`; *to becomes its shape. */
static void put_conv(struct text *t, const struct drawn *source, struct drawn *to, size_t channels,
                     struct gle_rng *rng)
{
    struct drawn from = *source;
    size_t kernel, stride = 1 + pick(rng, 2), padding;

    put_text(t, ", connect: {type: conv");
    put_pool(t, &from, rng);
    kernel = 1 + pick(rng, 3);
    kernel = kernel > from.size[1] ? from.size[1] : kernel;
    if (from.dims == 2)
        kernel = kernel > from.size[0] ? from.size[0] : kernel;
    padding = pick(rng, kernel);
    put_text(t, ", kernel: %zu, stride: %zu, padding: %zu}", kernel, stride, padding);
    *to = (struct drawn){.channels = channels, .dims = from.dims, .size = {1, 1}};
    for (size_t d = 2 - from.dims; d < 2; d++)
        to->size[d] = (from.size[d] + 2 * padding - kernel) / stride + 1;
}

static void put_link(struct text *t, const struct drawn *source, const struct drawn *to, struct gle_rng *rng)
{
    const size_t pairs = count(source) / (source->dims ? 4 : 1) * count(to); /* at least, once pooled */
    struct drawn from = *source;

    if (same_grid(source, to) && chance(rng, 5)) {
        put_text(t, ", connect: {type: conv, kernel: 3, padding: 1}");
        return;
    }
    if (count(source) == count(to) && chance(rng, 6)) {
        put_text(t, ", connect: one_to_one");
        return;
    }
    /* of 20 pairs, some are joined */
    put_text(t, ", connect: {type: %s", pairs >= 20 && chance(rng, 7) ? "sparse, probability: 0.6" : "dense");
    put_pool(t, &from, rng);
    put_text(t, "}");
}

/* A network on its way to a config. */
struct drawing {
    const struct graph_kind *kind;
    struct drawn layers[LAYERS_MAX], input;
    size_t n, output; /* l0 ... l<n - 1> */
    bool learns;      /* so do the weights of the layer that is being written */
    bool direct;      /* errors may come directly: then gamma is 0, since exact gradients do not know that */
    bool exponential; /* integration */
    bool eligible;    /* rule eprop, which keeps more where time constants may move: */
    bool taus_stay;   /* none of them learns */
    struct gle_rng *rng, *of_hardware; /* NULL: none */
};

/* Two or three kinds of neurons, of which the last one may be like the first, in place of n equal ones. */
static void put_kinds(struct text *t, const struct drawing *g, size_t n)
{
    static const char *const kinds[] = {"tau_m: 0.7, tau_r: 0.2", "tau_m: 0.7, tau_r: 0.5", "tau_m: 0.3, tau_r: 0.3"};
    const size_t first = 1 + pick(g->rng, n - 1), second = n > first + 1 ? 1 + pick(g->rng, n - first - 1) : n - first;
    const size_t kind = pick(g->rng, 3), next = (kind + 1) % 3;

    put_text(t, "      neurons: [{count: %zu, %s}, {count: %zu, %s}", first, kinds[kind], second, kinds[next]);
    if (first + second < n)
        put_text(t, ", {count: %zu, %s}", n - first - second, kinds[pick(g->rng, 3)]);
    put_text(t, "]\n");
}

/* Ways of feedback; the last two are for rules without windows, and the last one for weights that learn. */
static void put_feedback(struct text *t, const struct drawing *g, bool learns)
{
    static const char *const ways[] = {"transpose", "transpose", "transpose", "fixed", "none",
                                       "{type: pal, lr: 3, decay: 0.1, std: 0.2, tau: 0.3, tau_hp: 0.2}",
                                       "{type: kolen_pollack, decay: 0.5}"};
    enum { ALL = sizeof ways / sizeof *ways, SOME = ALL - 1, FEWER = ALL - 2 };
    const size_t n = g->kind->rule ? FEWER : learns ? ALL : SOME;

    put_text(t, ", feedback: %s", ways[pick(g->rng, n)]);
}

static void put_noise(struct text *t, const char *kind, struct gle_rng *rng)
{
    static const char *const whens[] = {"always", "always", "train", "test"};

    put_text(t, "%s: ", kind);
    if (chance(rng, 3)) {
        put_text(t, "%.3f", draw(rng, 0.0, 0.2));
        return;
    }
    put_text(t, "{std: %.3f, when: %s", draw(rng, 0.0, 0.2), whens[pick(rng, 4)]);
    if (chance(rng, 6))
        put_text(t, ", tau: %.3f", chance(rng, 1) ? 0.1 : draw(rng, 0.1, 2.0));
    put_text(t, "}");
}

/* What hardware does, of a layer or, less indented, of the network. Bits: 2 to 8. */
static void put_hardware(struct text *t, const char *indent, struct gle_rng *rng)
{
    static const char *const noises[] = {"input", "membrane", "rate"};
    static const char *const factors[] = {"tau_m", "tau_r", "error_tau_m", "error_tau_r"};
    size_t n = 0;

    if (!rng)
        return;
    if (chance(rng, 4)) {
        put_text(t, "%snoise: {", indent);
        for (size_t k = 0; k < 3; k++)
            if (chance(rng, 6)) {
                put_text(t, "%s", n++ ? ", " : "");
                put_noise(t, noises[k], rng);
            }
        put_text(t, "}\n");
    }
    n = 0;
    if (chance(rng, 4)) {
        put_text(t, "%smismatch: {", indent);
        for (size_t k = 0; k < 4; k++)
            if (chance(rng, 6))
                put_text(t, "%s%s: %.3f", n++ ? ", " : "", factors[k], chance(rng, 2) ? 0.0 : draw(rng, 0.0, 0.4));
        put_text(t, "}\n");
    }
    if (chance(rng, 3) && chance(rng, 8))
        put_text(t, "%squantize: {weight: {bits: %zu, range: %.3f}}\n", indent, 2 + pick(rng, 7), draw(rng, 0.3, 1.0));
    else if (chance(rng, 3))
        put_text(t, "%squantize: {weight: none}\n", indent);
}

/* From one or two others. */
static void put_errors_from(struct text *t, const struct drawing *g, size_t i)
{
    const size_t one = (i + 1 + pick(g->rng, g->n - 1)) % g->n, other = pick(g->rng, g->n);

    put_text(t, "      errors_from: [{layer: l%zu, weight: {type: normal, std: 0.2}}", one);
    if (other != one && other != i)
        put_text(t, ", l%zu", other);
    put_text(t, "]\n");
}

static void put_delay(struct text *t, const struct drawing *g, bool of_input, size_t of_ten)
{
    if (!g->kind->smooth && chance(g->rng, of_ten))
        put_text(t, ", delay: %.1f", 0.1 * (double)(of_input ? pick(g->rng, 5) : 1 + pick(g->rng, 4)));
}

/* Source number k of layer i beside its first one: the input (from == g->n), or a layer; one further on has a shape
 * that is not drawn yet. */
static void put_source(struct text *t, const struct drawing *g, size_t i, size_t k, size_t from)
{
    const bool input = from == g->n, later = !input && from > i, fixed = chance(g->rng, 2);

    put_text(t, "        - {name: s%zu, layer: %s", k, input ? "input" : "");
    if (!input)
        put_text(t, "l%zu, weight: {type: normal, std: %g}", from, g->kind->wide ? 0.03 : 0.2);
    if (!later)
        put_link(t, input ? &g->input : &g->layers[from], &g->layers[i], g->rng);
    put_delay(t, g, input, 5);
    if (!input)
        put_feedback(t, g, g->learns && !fixed);
    if (fixed)
        put_text(t, ", plastic: false");
    put_text(t, "}\n");
}

/* Layer i reads the one before it, so that all lead to the last one; which, if it is not the output, layer 0 reads. */
static void put_layer(struct text *t, struct drawing *g, size_t i)
{
    static const char *const activations[] = {"tanh", "softplus", "linear", "sigmoid"};
    const struct drawn *source = i ? &g->layers[i - 1] : &g->input;
    const bool conv = source->dims && chance(g->rng, 7);
    const size_t n_more = pick(g->rng, 4), most = g->kind->wide ? conv ? 8 : 120 : conv ? 3 : 5;

    put_text(t, "    - name: l%zu\n      activation: %s\n", i, activations[pick(g->rng, 4)]);
    if (g->direct && chance(g->rng, 6))
        put_errors_from(t, g, i);
    if (!g->kind->smooth && !g->direct && chance(g->rng, 4))
        put_text(t, "      gamma: %.3f\n", draw(g->rng, 0.0, 0.3));
    put_text(t, "      bias: %s\n", chance(g->rng, 2) ? "none" : "linear");
    put_text(t, "      reset: %s\n", chance(g->rng, 3) ? "batch" : "none");
    put_hardware(t, "      ", g->of_hardware);
    g->learns = !chance(g->rng, 2);
    if (!g->learns)
        put_text(t, "      plastic: [%s]\n", chance(g->rng, 5) ? chance(g->rng, 5) ? "tau_m" : "tau_r" : "");
    else if (g->taus_stay)
        put_text(t, "      plastic: [weight, bias]\n");
    g->layers[i] = (struct drawn){.channels = (g->kind->wide ? most / 4 : 0) + 1 + pick(g->rng, most), .size = {1, 1}};
    if (g->eligible && !conv && g->layers[i].channels > 1 && chance(g->rng, 7)) {
        put_kinds(t, g, g->layers[i].channels);
    } else {
        put_text(t, "      neurons: {%s: %zu, ", conv ? "channels" : "count", g->layers[i].channels);
        put_taus(t, g->exponential, g->rng);
        put_text(t, "}\n");
    }
    put_text(t, "      from:\n        - {layer: %s", i ? "" : "input");
    if (i)
        put_text(t, "l%zu", i - 1);
    put_delay(t, g, !i, 4);
    if (conv)
        put_conv(t, source, &g->layers[i], g->layers[i].channels, g->rng);
    else
        put_link(t, source, &g->layers[i], g->rng);
    if (i)
        put_feedback(t, g, g->learns);
    put_text(t, "}\n");
    if (!i && g->output + 1 < g->n)
        put_source(t, g, i, n_more, g->n - 1);
    for (size_t k = 0; k < n_more; k++) {
        const size_t any = pick(g->rng, g->n + 1), before = pick(g->rng, i + 1);
        put_source(t, g, i, k, g->kind->smooth ? before == i ? g->n : before : any);
    }
}

static void put_input(struct text *t, struct drawing *g)
{
    const size_t least = g->kind->wide ? 4 : 0;

    g->input = (struct drawn){.channels = 1 + pick(g->rng, g->kind->wide ? 60 : 4), .size = {1, 1}};
    if (!chance(g->rng, 5)) {
        put_text(t, "  input: %zu\n", g->input.channels);
        return;
    }
    g->input.channels = 1 + pick(g->rng, 2);
    g->input.dims = 1 + pick(g->rng, 2);
    g->input.size[1] = least + 3 + pick(g->rng, 4);
    if (g->input.dims == 2)
        g->input.size[0] = least + 2 + pick(g->rng, 3);
    put_text(t, "  input: {channels: %zu, size: [", g->input.channels);
    if (g->input.dims == 2)
        put_text(t, "%zu, ", g->input.size[0]);
    put_text(t, "%zu]}\n", g->input.size[1]);
}

void random_graph(struct text *t, const struct graph_kind *kind, struct gle_rng *rng)
{
    static struct text layers[LAYERS_MAX];
    struct gle_rng of_hardware = *rng; /* which draws nothing from the network's */
    struct drawing g = {.kind = kind,
                        .n = 1 + pick(rng, LAYERS_MAX),
                        .rng = rng,
                        .of_hardware = kind->hardware ? &of_hardware : NULL};
    const size_t first = chance(rng, 5) ? 0 : pick(rng, g.n);
    struct gle_rng own = *rng; /* what is drawn of it leaves all else as it is */

    g.eligible = kind->rule ? ((const struct gle_rule *)gle_table_find(&gle_rule_table, kind->rule))->eligible
                            : !pick(&own, kind->wide ? 8 : 4);
    g.taus_stay = g.eligible && (pick(&own, 2) || kind->wide); /* many neurons with traces of their own take long */
    g.direct = !kind->rule && g.n > 1 && chance(rng, 3);
    g.output = kind->smooth || chance(rng, 7) ? g.n - 1 : pick(rng, g.n);
    t->n = 0;
    put_text(t, "glesim: 1\nname: graph\ndt: 0.1\nseed: %zu\ndataset: {type: npz, file: none.npz}\nnetwork:\n",
             pick(rng, 1000));
    put_input(t, &g);
    own = *rng;
    g.exponential = !pick(&own, 3);
    put_text(t, "  output: l%zu\n  integration: %s\n", g.output, g.exponential ? "exponential" : "euler");
    put_hardware(t, "  ", g.of_hardware);
    put_text(t, "  layers:\n");
    for (size_t i = 0; i < g.n; i++) {
        layers[i].n = 0;
        put_layer(&layers[i], &g, i);
    }
    for (size_t i = 0; i < g.n; i++)
        put_text(t, "%s", layers[(first + i) % g.n].yaml);
    put_text(t, "learning:\n  rule: %s\n", kind->rule ? kind->rule : chance(rng, 6) ? g.eligible ? "eprop" : "gle"
                                                                                         : g.eligible ? "eprop" : "bp");
    put_text(t, "  loss: %s\n", chance(rng, 5) ? "mse" : "cross_entropy");
    put_text(t, "  beta: %.3f\n  plastic: [weight, bias, tau_m%s]\n", draw(rng, 0.3, 1.0),
             chance(rng, 7) ? ", tau_r" : "");
    own = *rng;
    if (kind->rule && ((const struct gle_rule *)gle_table_find(&gle_rule_table, kind->rule))->windowed)
        put_text(t, "  window: 0.6\n");
    else
        put_text(t, "  update: {every: %zu}\n", 1 + pick(&own, 3));
    if (!pick(&own, 3) || kind->clip > 0.0)
        put_text(t, "  clip: %g\n", kind->clip > 0.0 ? kind->clip : pow(10.0, draw(&own, -2.0, 0.0)));
    put_text(t, "  optimizer: {type: sgd, lr: 0.1}\ntraining: {epochs: 0, batch_size: %zu, test_batch_size: %zu}\n",
             kind->rows, kind->rows_max);
}
