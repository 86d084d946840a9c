#include "cli/tables.h"
#include "parts/activation.h"
#include "parts/feedback.h"
#include "yaml/key.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

const char *gle_range_words(char words[static GLE_RANGE_WORDS], const double *v, size_t n)
{
    double low = v[0], high = v[0];

    for (size_t i = 1; i < n; i++) {
        low = fmin(low, v[i]);
        high = fmax(high, v[i]);
    }
    if (low < high)
        snprintf(words, GLE_RANGE_WORDS, "%g-%g", low, high);
    else
        snprintf(words, GLE_RANGE_WORDS, "%g", low);
    return words;
}

const char *gle_shape_sizes(char sizes[static GLE_SHAPE_SIZES], const struct gle_shape *shape)
{
    if (!shape->dims)
        snprintf(sizes, GLE_SHAPE_SIZES, "%zu", shape->channels);
    else if (shape->dims == 1)
        snprintf(sizes, GLE_SHAPE_SIZES, "%zu x %zu", shape->channels, shape->size[1]);
    else
        snprintf(sizes, GLE_SHAPE_SIZES, "%zu x %zu x %zu", shape->channels, shape->size[0], shape->size[1]);
    return sizes;
}

/* --- links --- */

struct words {
    char *buf;
    size_t n, size;
};

static void say(struct words *w, const char *text)
{
    w->n += (size_t)snprintf(w->buf + w->n, w->size - w->n, "%s", text);
    w->n = w->n < w->size ? w->n : w->size - 1;
}

/* A size in each dimension of the source; nothing where it is what goes without saying. */
static void say_sizes(struct words *w, const char *what, const size_t size[2], size_t dims, size_t unsaid)
{
    char text[64];

    if (size[1] == unsaid && (dims == 1 || size[0] == unsaid))
        return;
    if (dims == 1)
        snprintf(text, sizeof text, "%s%zu", what, size[1]);
    else
        snprintf(text, sizeof text, "%s%zu x %zu", what, size[0], size[1]);
    say(w, text);
}

const char *gle_link_words(char words[static GLE_LINK_WORDS], const struct gle_projection *c)
{
    const struct gle_link_plan *plan = &c->plan;
    struct words w = {.buf = words, .size = GLE_LINK_WORDS};
    char text[64];

    say(&w, plan->link->row.name);
    if (plan->starts) {
        snprintf(text, sizeof text, " %.3g %% of %zu x %zu",
                 100.0 * (double)plan->n_synapses / ((double)gle_shape_count(&plan->target) * (double)c->n_pool),
                 gle_shape_count(&plan->target), c->n_pool);
        say(&w, text);
    }
    if (plan->link->grids) {
        say_sizes(&w, " ", plan->conv.kernel, plan->source.dims, 0);
        say_sizes(&w, ", stride ", plan->conv.stride, plan->source.dims, 1);
        say_sizes(&w, ", padding ", plan->conv.padding, plan->source.dims, 0);
    }
    if (plan->pooling) {
        snprintf(text, sizeof text, ", after %s pool ", plan->pooling->row.name);
        say(&w, text);
        say_sizes(&w, "", plan->pool.window, plan->source.dims, 0);
    }
    return words;
}

/* --- tables --- */

/* Each layer reads the one before it as it does without a word. */
static bool is_chain(const struct gle_graph *g)
{
    if (g->n_directs || g->output != g->n_populations - 1)
        return false;
    for (size_t i = 0; i < g->n_populations; i++) {
        const struct gle_population *p = &g->populations[i];
        const struct gle_projection *c = &g->projections[p->first];
        if (p->n_in > 1 || p->cfg->shape.dims || c->source != (i ? (long)i - 1 : GLE_SOURCE_INPUT) ||
            c->delay != (i ? 1 : 0) || c->plan.link != gle_links || c->plan.pooling ||
            c->cfg->feedback != gle_feedbacks)
            return false;
    }
    return true;
}

static void show_layers(const struct gle_graph *g, bool shapes)
{
    printf("  %-16s %7s %7s%s  %-12s %-10s %-10s %10s  %s\n", "layer", "inputs", "neurons",
           shapes ? "  shape         " : "", "activation", "tau_m", "tau_r", "parameters", "learns");
    for (size_t i = 0; i < g->n_populations; i++) {
        const struct gle_population *l = &g->populations[i];
        const bool *plastic = l->cfg->plastic;
        char tau_m[GLE_RANGE_WORDS], tau_r[GLE_RANGE_WORDS], sizes[GLE_SHAPE_SIZES];
        bool any = false;

        printf("  %-16s %7zu %7zu", l->cfg->name, gle_graph_inputs(g, i), l->n);
        if (shapes)
            printf("  %-14s", gle_shape_sizes(sizes, &l->cfg->shape));
        printf("  %-12s %-10s %-10s %10zu ", l->cfg->act->row.name, gle_range_words(tau_m, l->cfg->tau_m, l->n),
               gle_range_words(tau_r, l->cfg->tau_r, l->n), gle_graph_layer_parameters(g, i));
        for (size_t p = 0; p < GLE_PARAMS; p++)
            if (plastic[p]) {
                printf(" %s", gle_params[p].name);
                any = true;
            }
        printf("%s\n", any ? "" : " nothing");
    }
}

/* Activations with settings, each where it has some. */
static void show_activations(const struct gle_graph *g)
{
    for (size_t i = 0; i < g->n_populations; i++) {
        const struct gle_layer_cfg *l = g->populations[i].cfg;
        const struct gle_key *keys = l->act_params ? l->act->row.keys : NULL;
        for (const struct gle_key *k = keys; k && k->name; k++) {
            const double *value = (const void *)((const char *)l->act_params + k->offset);
            if (k == keys)
                printf("  %-16s activation %s:", l->name, l->act->row.name);
            printf("%s %s %.10g", k == keys ? "" : ",", k->name, *value);
            if (!k[1].name)
                puts("");
        }
    }
}

/* What hardware does to layers, each where it has something. */
static void show_hardware(const struct gle_graph *g)
{
    static const char *const noises[GLE_NOISES] = {"input", "membrane", "rate"};
    static const char *const taus[GLE_MISMATCHES] = {"tau_m", "tau_r", "error_tau_m", "error_tau_r"};

    for (size_t i = 0; i < g->n_populations; i++) {
        const struct gle_layer_cfg *l = g->populations[i].cfg;
        const char *before = "";
        char line[512];
        size_t n = 0;
        for (size_t k = 0; k < GLE_NOISES; k++) {
            const struct gle_noise_cfg *noise = &l->noise[k];
            if (noise->std <= 0.0)
                continue;
            n += (size_t)snprintf(line + n, sizeof line - n, "%snoise of %s %g", before, noises[k], noise->std);
            if (noise->tau > 0.0)
                n += (size_t)snprintf(line + n, sizeof line - n, " (tau %g)", noise->tau);
            if (!noise->train || !noise->test)
                n += (size_t)snprintf(line + n, sizeof line - n, " in %s only", noise->test ? "tests" : "training");
            before = ", ";
        }
        for (size_t k = 0; k < GLE_MISMATCHES; k++)
            if (l->mismatch.std[k] > 0.0) {
                n += (size_t)snprintf(line + n, sizeof line - n, "%smismatch of %s %g %%", before, taus[k],
                                      100.0 * l->mismatch.std[k]);
                before = ", ";
            }
        if (l->quantize.bits)
            n += (size_t)snprintf(line + n, sizeof line - n, "%sweights of %d bits up to %g", before,
                                  (int)l->quantize.bits, l->quantize.range);
        if (n)
            printf("  %-16s %s\n", l->name, line);
    }
}

/* The shape of the weights in files, "(50, 20)". */
static void format_weights(char *buf, size_t size, const struct gle_link_plan *plan)
{
    size_t n = (size_t)snprintf(buf, size, "(");

    for (size_t i = 0; i < plan->n_shape && n < size; i++)
        n += (size_t)snprintf(buf + n, size - n, i ? ", %zu" : "%zu", plan->shape[i]);
    if (n < size)
        snprintf(buf + n, size - n, ")");
}

static void show_projections(const struct gle_graph *g)
{
    printf("  %-24s %-16s %-16s %8s  %-13s %-18s %-7s %s\n", "projection", "from", "to", "delay", "feedback", "weights",
           "learns", "connect");
    for (size_t i = 0; i < g->n_projections; i++) {
        const struct gle_projection *c = &g->projections[i];
        char weights[96], words[GLE_LINK_WORDS];

        format_weights(weights, sizeof weights, &c->plan);
        printf("  %-24s %-16s %-16s %8g  %-13s %-18s %-7s %s\n", c->cfg->label,
               c->source == GLE_SOURCE_INPUT ? "input" : g->populations[c->source].cfg->name,
               g->populations[c->target].cfg->name, (double)c->delay * g->exp->dt,
               c->source == GLE_SOURCE_INPUT ? "-" : c->cfg->feedback->row.name, weights,
               c->cfg->plastic ? "yes" : "no", gle_link_words(words, c));
    }
}

void gle_show_network(const struct gle_graph *graph)
{
    bool shapes = false;

    for (size_t i = 0; i < graph->n_populations; i++)
        shapes = shapes || graph->populations[i].cfg->shape.dims;
    show_layers(graph, shapes);
    show_activations(graph);
    show_hardware(graph);
    if (is_chain(graph))
        return;
    if (graph->output != graph->n_populations - 1)
        printf("  output            %s\n", graph->populations[graph->output].cfg->name);
    show_projections(graph);
    for (size_t i = 0; i < graph->n_directs; i++) {
        const struct gle_direct *d = &graph->directs[i];
        char weights[96], name[GLE_FIELD_LABEL];
        format_weights(weights, sizeof weights, &d->plan);
        gle_field_label(name, sizeof name, &d->weight->field);
        printf("  %-24s %s gets the errors of %s, weights %s\n", name, graph->populations[d->to].cfg->name,
               d->cfg->name, weights);
    }
}
