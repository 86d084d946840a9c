#include "graph/graph.h"
#include "base/memory.h"
#include "base/text.h"
#include "graph/place.h"
#include "kernel/kernel.h"
#include "parts/rule.h"

#include <math.h>
#include <string.h>

/* --- connections --- */

static struct gle_graph *allocate(const struct gle_experiment *exp)
{
    struct gle_graph *g = gle_calloc(1, sizeof *g);
    const size_t n = exp->n_layers;
    size_t n_projections = 0, n_directs = 0;

    if (!g)
        return NULL;
    for (size_t i = 0; i < n; i++) {
        n_projections += exp->layers[i].n_sources;
        n_directs += exp->layers[i].n_errors_from;
    }
    g->n_populations = n;
    g->populations = gle_calloc(n, sizeof *g->populations);
    g->projections = gle_calloc(n_projections, sizeof *g->projections);
    g->directs = gle_calloc(n_directs + 1, sizeof *g->directs); /* there may be none */
    g->readers = gle_calloc(n_projections, sizeof *g->readers);
    g->parameters = gle_calloc(gle_most_parameters(n, n_projections, n_directs), sizeof *g->parameters);
    g->fields = gle_calloc(gle_most_fields(n, n_projections, n_directs), sizeof *g->fields);
    if (g->populations && g->projections && g->directs && g->readers && g->parameters && g->fields)
        return g;
    gle_graph_destroy(g);
    return NULL;
}

static int connect(struct gle_graph *g, struct gle_projection *c, size_t target, const struct gle_source_cfg *cfg,
                   struct gle_error *err)
{
    const struct gle_experiment *exp = g->exp;
    const struct gle_shape *source = cfg->layer == GLE_SOURCE_INPUT ? &exp->input_shape
                                                                    : &exp->layers[cfg->layer].shape;

    c->cfg = cfg;
    c->source = cfg->layer;
    c->target = target;
    c->delay = cfg->delay;
    if (gle_link_plan_make(&c->plan, (const struct gle_link *)cfg->connect.row, cfg->connect.params, source,
                           &exp->layers[target].shape, exp->seed, cfg->label, err)) {
        gle_experiment_place(err, cfg->src);
        return -1;
    }
    c->n_in = gle_shape_count(source);
    c->ld_in = gle_padded(c->n_in);
    c->n_pool = gle_shape_count(&c->plan.pooled);
    c->ld_pool = gle_padded(c->n_pool);
    g->room = c->plan.room > g->room ? c->plan.room : g->room;
    if (cfg->layer == GLE_SOURCE_INPUT)
        g->input_past = c->delay > g->input_past ? c->delay : g->input_past;
    else
        g->populations[cfg->layer].n_out++;
    return 0;
}

/* Neurons side by side, whatever grid they lie on. */
static struct gle_shape flat(size_t n)
{
    return (struct gle_shape){.channels = n, .size = {1, 1}};
}

static int connect_directly(struct gle_graph *g, struct gle_direct *d, size_t to, const struct gle_errors_cfg *cfg,
                            struct gle_error *err)
{
    const struct gle_link_params none = {{0}};
    const struct gle_shape source = flat(g->exp->layers[cfg->layer].n), target = flat(g->exp->layers[to].n);

    d->cfg = cfg;
    d->from = cfg->layer;
    d->to = to;
    if (gle_link_plan_make(&d->plan, gle_links, &none, &source, &target, g->exp->seed, cfg->label, err)) {
        gle_experiment_place(err, cfg->src);
        return -1;
    }
    g->room = d->plan.room > g->room ? d->plan.room : g->room;
    return 0;
}

/* Lists the readers of each population, and finds how far back they look. */
static void list_readers(struct gle_graph *g)
{
    size_t *next = g->readers;

    for (size_t i = 0; i < g->n_populations; i++) {
        struct gle_population *p = &g->populations[i];
        p->out = next;
        p->past = 1;
        for (size_t j = 0; j < g->n_projections; j++)
            if (g->projections[j].source == (long)i) {
                *next++ = j;
                p->past = g->projections[j].delay > p->past ? g->projections[j].delay : p->past;
            }
    }
}

static int connect_all(struct gle_graph *g, struct gle_error *err)
{
    for (size_t i = 0; i < g->n_populations; i++) {
        struct gle_population *p = &g->populations[i];
        p->cfg = &g->exp->layers[i];
        p->n = p->cfg->n;
        p->ld = gle_padded(p->n);
        p->first = g->n_projections;
        p->n_in = p->cfg->n_sources;
        p->is_output = i == g->output;
        for (size_t j = 0; j < p->n_in; j++)
            if (connect(g, &g->projections[g->n_projections++], i, &p->cfg->sources[j], err))
                return -1;
        for (size_t j = 0; j < p->cfg->n_errors_from; j++)
            if (connect_directly(g, &g->directs[g->n_directs++], i, &p->cfg->errors_from[j], err))
                return -1;
    }
    list_readers(g);
    return 0;
}

/* --- which errors flow --- */

static const struct gle_population *source_of(const struct gle_graph *g, const struct gle_projection *c)
{
    return c->source == GLE_SOURCE_INPUT ? NULL : &g->populations[c->source];
}

static bool learns(const struct gle_graph *g, const struct gle_population *p)
{
    bool any = false;

    for (size_t i = 0; i < GLE_PARAMS; i++)
        any = any || p->cfg->plastic[i];
    return any && !g->passive;
}

/* Passes on what a projection says of its target from its source. Returns whether anything is new. */
static bool pass_on(struct gle_graph *g, const struct gle_projection *c)
{
    struct gle_population *target = &g->populations[c->target];
    const struct gle_population *source = source_of(g, c), before = *target;

    if (!source)
        return false;
    target->swept = target->swept || source->swept;
    if (c->cfg->feedback->sends) { /* errors go on to the source */
        target->coupled = target->coupled || source->coupled;
        target->needs_error = target->needs_error || source->needs_error;
    }
    return target->swept != before.swept || target->coupled != before.coupled ||
           target->needs_error != before.needs_error;
}

/* Under a windowed rule steps need errors only for the feedback into membranes, and for whoever wants to see them
 * (shown). Loops make this a question of going round until nothing is new. */
static void find_errors(struct gle_graph *g, bool shown)
{
    const bool steps_learn = !g->exp->rule->windowed || shown;
    bool more = true;

    for (size_t i = 0; i < g->n_populations; i++) {
        struct gle_population *p = &g->populations[i];
        p->coupled = !g->passive && p->cfg->gamma > 0.0;
        p->swept = learns(g, p) || p->coupled;
        p->needs_error = p->coupled || (steps_learn && p->swept);
    }
    while (more) {
        more = false;
        for (size_t i = 0; i < g->n_projections; i++)
            more = pass_on(g, &g->projections[i]) || more;
        for (size_t i = 0; i < g->n_directs; i++) {
            bool *from = &g->populations[g->directs[i].from].needs_error;
            const bool needs = g->populations[g->directs[i].to].needs_error;
            more = more || (needs && !*from);
            *from = *from || needs;
        }
    }
    for (size_t i = 0; i < g->n_directs; i++)
        g->directs[i].sends = g->populations[g->directs[i].to].needs_error;
    for (size_t i = 0; i < g->n_projections; i++) {
        struct gle_projection *c = &g->projections[i];
        const struct gle_population *source = source_of(g, c);
        c->sweeps_below = source && source->swept;
        c->sends_error = source && source->needs_error && c->cfg->feedback->sends;
        c->couples_below = c->sends_error && source->coupled;
    }
}

/* The longest ways to the output, in a graph without loops: with loops, ways are cut off at the number of
 * populations. */
static void find_depths(struct gle_graph *g)
{
    bool more = true;

    for (size_t round = 0; more && round < g->n_populations; round++) {
        more = false;
        for (size_t i = 0; i < g->n_projections; i++) {
            const struct gle_projection *c = &g->projections[i];
            const size_t depth = g->populations[c->target].depth + 1;
            if (c->source == GLE_SOURCE_INPUT || g->populations[c->source].depth >= depth)
                continue;
            g->populations[c->source].depth = depth;
            g->depth = depth > g->depth ? depth : g->depth;
            more = true;
        }
    }
}

/* --- eligibilities --- */

static int find_groups(struct gle_graph *g, struct gle_error *err)
{
    for (size_t i = 0; i < g->n_populations; i++) {
        struct gle_population *p = &g->populations[i];
        bool weights = false;
        for (size_t j = p->first; j < p->first + p->n_in; j++)
            weights = weights || g->projections[j].cfg->plastic;
        if (g->eligible && weights && gle_groups_find(&p->groups, g->exp, i, err))
            return -1;
    }
    return 0;
}

/* Of a sample, for all sources of a population. */
static double floats_of_weights(const struct gle_graph *g, const struct gle_population *p)
{
    double floats = 0.0;

    for (size_t j = p->first; j < p->first + p->n_in; j++) {
        const struct gle_projection *c = &g->projections[j];
        floats += (double)c->trace.copies * (double)c->trace.ld;
        floats += (double)c->eligibility.copies * (double)c->eligibility.ld;
    }
    return floats;
}

double gle_graph_trace_bytes(const struct gle_graph *graph)
{
    double floats = 0.0;

    for (size_t i = 0; i < graph->n_populations; i++) {
        const struct gle_population *p = &graph->populations[i];
        const struct gle_population_traces *t = &p->traces;
        floats += (double)(t->bias.copies + t->bias_eps.copies + t->tau_m.copies + t->tau_m_eps.copies +
                           t->tau_r_eps.copies) * (double)p->ld;
        floats += floats_of_weights(graph, p);
    }
    return sizeof(float) * (double)graph->max_batch * floats;
}

/* The layer whose traces take the most. */
static size_t largest_traces(const struct gle_graph *g)
{
    size_t most = 0;

    for (size_t i = 1; i < g->n_populations; i++)
        if (floats_of_weights(g, &g->populations[i]) > floats_of_weights(g, &g->populations[most]))
            most = i;
    return most;
}

/* Before anything of that size is made. A checkpoint holds all but one of the two copies of eligibilities once more. */
static int check_traces(const struct gle_graph *g, struct gle_error *err)
{
    const double bytes = gle_graph_trace_bytes(g) * 5.0 / 3.0, there = gle_memory_there();
    const size_t largest = largest_traces(g);
    const char *why = gle_groups_why(g->exp, largest);

    if (bytes <= there)
        return 0;
    return gle_fail(err, GLE_ENOMEM, "the eligibilities of rule %s, and a checkpoint of them, take %s for a batch "
                    "of %zu; this machine has %s. A smaller batch takes less, and fewer different tau_m and "
                    "tau_r in a layer: '%s' has %zu, as %s", g->exp->rule->row.name, gle_text_bytes(bytes).text,
                    g->max_batch, gle_text_bytes(there).text, g->populations[largest].cfg->name,
                    g->populations[largest].groups.n, why ? why : "the config says");
}

size_t gle_projection_shares(const struct gle_graph *graph, const struct gle_projection *c)
{
    return c->plan.link->grids ? graph->populations[c->target].n / c->plan.rows : 1;
}

/* --- the graph --- */

/* Whether the sizes of tapes stay far below overflow. */
static bool tapes_fit(const struct gle_graph *g)
{
    enum { TAPES_MAX = 10 };
    const double floats_max = 1e15, T = (double)g->tape_steps + 1.0;
    double floats = (T + (double)g->input_past) * (double)g->ld_input;

    for (size_t i = 0; i < g->n_populations; i++)
        floats += (TAPES_MAX * T + (double)g->populations[i].past) * (double)g->populations[i].ld;
    for (size_t i = 0; i < g->n_projections; i++)
        floats += 2.0 * T * (double)g->projections[i].ld_pool;
    return (double)g->train_rows * floats < floats_max;
}

int gle_graph_build(struct gle_graph **out, const struct gle_experiment *exp, const struct gle_graph_options *options,
                    struct gle_error *err)
{
    struct gle_graph *g = allocate(exp);

    *out = NULL;
    if (!g)
        return gle_fail(err, GLE_ENOMEM, "no memory for the graph");
    g->exp = exp;
    g->observed = options->observed;
    g->e_inst = options->e_inst;
    g->sums_squares = options->sums_squares;
    g->weighted = options->weighted;
    g->passive = options->passive;
    g->eligible = exp->rule->eligible && !g->passive;
    g->ideal = options->ideal;
    g->tape_steps = options->tape_steps;
    g->output = exp->output;
    g->n_input = exp->n_input;
    g->ld_input = gle_padded(exp->n_input);
    g->max_batch = options->batch;
    if (!g->max_batch)
        g->max_batch = exp->batch_size > exp->test_batch_size ? exp->batch_size : exp->test_batch_size;
    g->train_rows = options->train_rows ? options->train_rows : exp->batch_size;
    if (connect_all(g, err)) {
        gle_graph_destroy(g);
        return -1;
    }
    if (!tapes_fit(g)) {
        const size_t steps = g->tape_steps;
        gle_graph_destroy(g);
        return gle_fail(err, GLE_ENOMEM, "no memory for windows of %zu steps", steps);
    }
    find_errors(g, options->errors);
    find_depths(g);
    if (find_groups(g, err)) {
        gle_graph_destroy(g);
        return -1;
    }
    gle_place_all(g);
    if (check_traces(g, err)) {
        gle_graph_destroy(g);
        return -1;
    }
    *out = g;
    return 0;
}

void gle_graph_destroy(struct gle_graph *graph)
{
    if (!graph)
        return;
    for (size_t i = 0; graph->populations && i < graph->n_populations; i++)
        gle_groups_clear(&graph->populations[i].groups);
    for (size_t i = 0; i < graph->n_projections; i++)
        gle_link_plan_clear(&graph->projections[i].plan);
    for (size_t i = 0; i < graph->n_directs; i++)
        gle_link_plan_clear(&graph->directs[i].plan);
    gle_free(graph->populations);
    gle_free(graph->projections);
    gle_free(graph->directs);
    gle_free(graph->parameters);
    gle_free(graph->fields);
    gle_free(graph->readers);
    gle_free(graph);
}

/* The weights through which a population gets errors from the one of that place in its list. */
static const struct gle_parameter *errors_from(const struct gle_graph *graph, size_t population, size_t place)
{
    const struct gle_direct *d = graph->directs;

    while (d->to != population)
        d++;
    return d[place].weight;
}

size_t gle_graph_parameter(const struct gle_graph *graph, size_t population, size_t source, enum gle_param kind)
{
    const struct gle_population *p = &graph->populations[population];
    const bool direct = kind == GLE_ERRORS_FROM;
    const struct gle_projection *c = &graph->projections[p->first + (direct ? 0 : source)];
    const struct gle_parameter *of[GLE_PARAM_KINDS] = {[GLE_WEIGHT] = c->weight,
                                                       [GLE_BIAS] = p->bias,
                                                       [GLE_TAU_M] = p->tau_m,
                                                       [GLE_TAU_R] = p->tau_r,
                                                       [GLE_FEEDBACK] = c->feedback};
    return (size_t)((direct ? errors_from(graph, population, source) : of[kind]) - graph->parameters);
}

const struct gle_parameter *gle_graph_factor(const struct gle_graph *graph, const struct gle_population *population,
                                             enum gle_mismatch k)
{
    enum gle_mismatch of = k;

    if (k == GLE_MISMATCH_ERROR_TAU_M && !population->cfg->mismatch.own[k])
        of = GLE_MISMATCH_TAU_M;
    if (k == GLE_MISMATCH_ERROR_TAU_R && !population->cfg->mismatch.own[k])
        of = GLE_MISMATCH_TAU_R;
    return graph->ideal ? NULL : population->factors[of];
}

const struct gle_direct *gle_graph_direct(const struct gle_graph *graph, const struct gle_parameter *p)
{
    const struct gle_direct *d = graph->directs;

    while (d->weight != p)
        d++;
    return d;
}

struct gle_alignment gle_feedback_alignment(const struct gle_graph *graph, const struct gle_projection *c)
{
    const struct gle_feedback_params *own = (const struct gle_feedback_params *)c->cfg->feedback_params;
    const double dt = graph->exp->dt;
    double keep;

    if (c->feedback_way != GLE_FEEDBACK_ALIGNS)
        return (struct gle_alignment){0};
    keep = 1.0 - dt / own->tau;
    return (struct gle_alignment){.keep = (float)keep,
                                  .add = (float)(own->std * sqrt(1.0 - keep * keep)),
                                  .leak = (float)(dt / own->tau_hp),
                                  .rate = (float)(dt * own->lr),
                                  .decay = (float)own->decay};
}

size_t gle_graph_variable(const struct gle_graph *graph, size_t population, const char *name, size_t from)
{
    for (size_t i = from; i < graph->n_fields; i++) {
        const struct gle_field *f = graph->fields[i];
        if (f->population == population && (f->role == GLE_STATE || f->role == GLE_DERIVED) && !strcmp(f->name, name))
            return i;
    }
    return SIZE_MAX;
}

size_t gle_graph_inputs(const struct gle_graph *graph, size_t population)
{
    const struct gle_population *p = &graph->populations[population];
    size_t n = 0;

    for (size_t i = p->first; i < p->first + p->n_in; i++)
        n += graph->projections[i].n_in;
    return n;
}

size_t gle_graph_layer_parameters(const struct gle_graph *graph, size_t population)
{
    const struct gle_population *p = &graph->populations[population];
    size_t n = p->bias->given ? gle_field_size(&p->bias->field) : 0;

    for (size_t i = p->first; i < p->first + p->n_in; i++)
        n += gle_field_size(&graph->projections[i].weight->field);
    return n;
}

static double product_flops(const struct gle_projection *c)
{
    return c->plan.link->flops(&c->plan);
}

double gle_graph_flops(const struct gle_graph *graph, bool learn)
{
    const bool sweeps = learn && graph->exp->rule->windowed;
    double flops = 0.0;

    for (size_t i = 0; i < graph->n_projections; i++) {
        const struct gle_projection *c = &graph->projections[i];
        const bool aligns = learn && c->feedback_way == GLE_FEEDBACK_ALIGNS;
        const int products = 1 + c->sends_error + (sweeps && c->sweeps_below) + (learn && c->weight->plastic) + aligns;
        flops += products * product_flops(c);
    }
    for (size_t i = 0; i < graph->n_directs; i++)
        flops += graph->directs[i].sends ? graph->directs[i].plan.link->flops(&graph->directs[i].plan) : 0.0;
    return flops;
}

double gle_graph_forward_flops(const struct gle_graph *graph)
{
    double flops = 0.0;

    for (size_t i = 0; i < graph->n_projections; i++)
        flops += product_flops(&graph->projections[i]);
    return flops;
}

double gle_graph_bytes(const struct gle_graph *graph, size_t n_moments)
{
    const bool followed = gle_graph_has_followed(graph); /* beside gradients and kept ones */
    double floats = (double)graph->floats[GLE_PARAMETER] * (double)(2 + followed + n_moments);

    for (int role = 0; role < GLE_ROLES; role++)
        floats += (double)graph->floats[role];
    return sizeof(float) * floats;
}

size_t gle_graph_given(const struct gle_graph *graph)
{
    size_t n = 0;

    for (size_t i = 0; i < graph->n_parameters; i++)
        n += graph->parameters[i].given ? gle_field_size(&graph->parameters[i].field) : 0;
    return n;
}
