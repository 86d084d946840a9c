/* A graph as the numbers that kernels on a device read: populations, projections, lists, tasks. */
#include "solver/device_tables.h"
#include "base/memory.h"
#include "kernel/draw.h"
#include "parts/activation.h"
#include "parts/optimizer.h"

#include <math.h>
#include <string.h>

/* --- fields --- */

/* As kernels see a field; `add` floats further on. */
static struct gle_device_field field_of(const struct gle_field *f, size_t add)
{
    if (!f->copies)
        return (struct gle_device_field){.place = GLE_NOWHERE, .copies = 1}; /* kernels divide by it before they look */
    return (struct gle_device_field){.place = (gle_u32)(f->place + add),
                                     .stride = (gle_u32)(f->role == GLE_TAPE ? f->ld : f->stride),
                                     .copies = (gle_u32)f->copies};
}

/* The number of a row in its table. */
static gle_u32 number_of(const struct gle_table *table, const struct gle_row *row)
{
    gle_u32 i = 0;

    while (strcmp(gle_table_at(table, i)->name, row->name))
        i++;
    return i;
}

/* Bounds as single precision has them; those that are none let everything pass. */
static struct gle_device_parameter parameter_of(const struct gle_graph *g, const struct gle_parameter *p)
{
    const struct gle_bounds *bounds = p->bounds;

    return (struct gle_device_parameter){.field = field_of(&p->field, 0),
                                         .rows = (gle_u32)p->field.rows,
                                         .cols = (gle_u32)p->field.cols,
                                         .ld = (gle_u32)p->field.ld,
                                         .number = (gle_u32)(p - g->parameters),
                                         .low = bounds && bounds->low > -1e38 ? (float)bounds->low : -INFINITY,
                                         .high = bounds && bounds->high < 1e38 ? (float)bounds->high : INFINITY};
}

/* The projection that lays the neurons of a population on a grid; NULL: none. */
static const struct gle_projection *grid_of(const struct gle_graph *g, const struct gle_population *p)
{
    for (size_t j = 0; j < p->n_in; j++)
        if (g->projections[p->first + j].plan.link->grids)
            return &g->projections[p->first + j];
    return NULL;
}

static struct gle_device_noise noise_of(const struct gle_graph *g, const struct gle_population *p, enum gle_noise k)
{
    const struct gle_noise_cfg *cfg = p->noise[k].cfg;
    const double keep = cfg && cfg->tau > 0.0 ? 1.0 - g->exp->dt / cfg->tau : 0.0;

    return (struct gle_device_noise){
        .scale = field_of(&p->noise[k].scale, 0),
        .state = field_of(&p->noise[k].state, 0),
        .when = (cfg && cfg->train ? (gle_u32)GLE_DEVICE_IN_TRAINING : 0) |
                (cfg && cfg->test ? (gle_u32)GLE_DEVICE_IN_TESTS : 0),
        .field = gle_draw_field((gle_u32)(p - g->populations), GLE_DRAW_INPUT + (gle_u32)k),
        .keep = (float)keep,
        .add = (float)sqrt(1.0 - keep * keep)};
}

static struct gle_device_field factor_of(const struct gle_graph *g, const struct gle_population *p,
                                         enum gle_mismatch k)
{
    const struct gle_parameter *factor = gle_graph_factor(g, p, k);

    return factor ? field_of(&factor->field, 0) : (struct gle_device_field){.place = GLE_NOWHERE};
}

/* What quantizes the weights that a population reads. */
static void add_levels(struct gle_device_population *to, const struct gle_quantize_cfg *cfg)
{
    if (!cfg->bits)
        return;
    to->levels = gle_quantize_levels(cfg);
    to->quantize_up = to->levels / (float)cfg->range;
    to->quantize_down = (float)cfg->range / to->levels;
}

/* Those through which population i gets errors directly. */
static size_t count_directs(const struct gle_graph *g, size_t i)
{
    size_t n = 0;

    for (size_t k = 0; k < g->n_directs; k++)
        n += g->directs[k].to == i;
    return n;
}

/* Where its stretch of the list of readers begins: directs lie between. */
static gle_u32 first_out_of(const struct gle_graph *g, size_t i)
{
    size_t at = 0;

    for (size_t k = 0; k < i; k++)
        at += g->populations[k].n_out + count_directs(g, k);
    return (gle_u32)at;
}

static struct gle_device_population population_of(const struct gle_graph *g, size_t i)
{
    const struct gle_population *p = &g->populations[i];
    const struct gle_projection *grid = grid_of(g, p);
    const size_t channels = grid ? grid->plan.target.channels : p->n;
    const size_t own = g->observed ? 0 : i * g->floats[GLE_DERIVED];

    struct gle_device_population out = {
        .n = (gle_u32)p->n,
        .ld = (gle_u32)p->ld,
        .first_in = (gle_u32)p->first,
        .n_in = (gle_u32)p->n_in,
        .first_out = first_out_of(g, i),
        .n_out = (gle_u32)p->n_out,
        .n_back = (gle_u32)(p->n_out + count_directs(g, i)),
        .is_output = p->is_output,
        .needs_error = p->needs_error,
        .act = number_of(&gle_act_table, &p->cfg->act->row),
        .normalised = p->cfg->act->log_probabilities,
        .channels = (gle_u32)channels,
        .grid = (gle_u32)(p->n / channels),
        .gridded = grid != NULL,
        .past = (gle_u32)p->past,
        .depth = (gle_u32)p->depth,
        .swept = p->swept,
        .coupled = p->coupled,
        .gamma = (float)p->cfg->gamma,
        .bias = parameter_of(g, p->bias),
        .tau_m = parameter_of(g, p->tau_m),
        .tau_r = parameter_of(g, p->tau_r),
        .leak_u = field_of(&p->leak_u, 0),
        .look_u = field_of(&p->look_u, 0),
        .leak_v = field_of(&p->leak_v, 0),
        .look_v = field_of(&p->look_v, 0),
        .rate_u = field_of(p->rate_u.copies ? &p->rate_u : &p->leak_u, 0),
        .slope_u = field_of(p->slope_u.copies ? &p->slope_u : &p->leak_u, 0),
        .rate_v = field_of(p->rate_v.copies ? &p->rate_v : &p->leak_v, 0),
        .slope_v = field_of(p->slope_v.copies ? &p->slope_v : &p->leak_v, 0),
        .mean = field_of(&p->mean, 0),
        .b = field_of(&p->b, 0),
        .u = field_of(&p->u, 0),
        .v = field_of(&p->v, 0),
        .r = field_of(&p->r, 0),
        .dr = field_of(&p->dr, 0),
        .e = field_of(&p->e, own),
        .prosp_u = field_of(&p->prosp_u, own),
        .s = field_of(&p->s, own),
        .e_above = field_of(&p->e_above, own),
        .e_inst = field_of(&p->e_inst, own),
        .bias_trace = field_of(&p->traces.bias, 0),
        .bias_eps = field_of(&p->traces.bias_eps, 0),
        .tau_m_trace = field_of(&p->traces.tau_m, 0),
        .tau_m_eps = field_of(&p->traces.tau_m_eps, 0),
        .tau_r_eps = field_of(&p->traces.tau_r_eps, 0),
        .tape_r = field_of(&p->tape.r, 0),
        .tape_dr = field_of(&p->tape.dr, 0),
        .tape_s = field_of(&p->tape.s, 0),
        .tape_lambda = field_of(&p->tape.lambda, 0),
        .tape_v = field_of(&p->tape.v, 0),
        .tape_e = field_of(&p->tape.e, 0),
        .tape_prosp_u = field_of(&p->tape.prosp_u, 0),
        .tape_e_above = field_of(&p->tape.e_above, 0),
        .tape_above_bar = field_of(&p->tape.above_bar, 0),
        .tape_prosp_u_bar = field_of(&p->tape.prosp_u_bar, 0),
        .adjoint_u = field_of(&p->adjoint.u, 0),
        .adjoint_v = field_of(&p->adjoint.v, 0),
        .adjoint_dr = field_of(&p->adjoint.dr, 0),
        .adjoint_e = field_of(&p->adjoint.e, 0),
        .adjoint_a = field_of(&p->adjoint.a, 0),
        .adjoint_to_tau_m = field_of(&p->adjoint.work, 0),
        .adjoint_to_tau_r = field_of(&p->adjoint.r, 0),
        .draws = field_of(&p->draws, own),
    };

    gle_act_find_numbers(out.act_numbers, p->cfg->act, p->cfg->act_params);
    for (size_t k = 0; k < GLE_NOISES; k++)
        out.noise[k] = noise_of(g, p, (enum gle_noise)k);
    for (size_t k = 0; k < GLE_MISMATCHES; k++)
        out.factors[k] = factor_of(g, p, (enum gle_mismatch)k);
    add_levels(&out, &p->cfg->quantize);
    return out;
}

/* What rows of tables are called, in the order of the device's numbers. */
static const char *const link_names[] = {
    [GLE_DEVICE_DENSE] = "dense",
    [GLE_DEVICE_CONV] = "conv",
    [GLE_DEVICE_SPARSE] = "sparse",
    [GLE_DEVICE_ONE_TO_ONE] = "one_to_one",
};
static const char *const pool_names[] = {
    [GLE_DEVICE_UNPOOLED] = "",
    [GLE_DEVICE_POOL_MEAN] = "mean",
    [GLE_DEVICE_POOL_MAX] = "max",
};

static gle_u32 named(const char *const *names, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (!strcmp(names[i], name))
            return (gle_u32)i;
    return GLE_NOWHERE;
}

static gle_u32 link_of(const struct gle_link_plan *plan)
{
    return named(link_names, sizeof link_names / sizeof *link_names, plan->link->row.name);
}

static gle_u32 pool_of(const struct gle_link_plan *plan)
{
    return named(pool_names, sizeof pool_names / sizeof *pool_names, plan->pooling ? plan->pooling->row.name : "");
}

/* What moves along with W has the number of W: it makes the same steps of the optimizer. */
static struct gle_device_parameter feedback_of(const struct gle_graph *g, const struct gle_projection *c)
{
    struct gle_device_parameter out = {.field.place = GLE_NOWHERE};

    if (c->feedback)
        out = parameter_of(g, c->feedback);
    if (c->feedback_way == GLE_FEEDBACK_FOLLOWS)
        out.number = parameter_of(g, c->weight).number;
    return out;
}

static struct gle_device_projection projection_of(const struct gle_graph *g, size_t i)
{
    const struct gle_projection *c = &g->projections[i];
    const struct gle_link_plan *plan = &c->plan;
    const struct gle_alignment align = gle_feedback_alignment(g, c);

    return (struct gle_device_projection){
        .source = c->source == GLE_SOURCE_INPUT ? GLE_NOWHERE : (gle_u32)c->source,
        .target = (gle_u32)c->target,
        .delay = (gle_u32)c->delay,
        .n_in = (gle_u32)c->n_in,
        .ld_in = (gle_u32)c->ld_in,
        .n_pool = (gle_u32)c->n_pool,
        .link = link_of(plan),
        .pooling = pool_of(plan),
        .sends_error = c->sends_error,
        .couples_below = c->couples_below,
        .sent = GLE_NOWHERE,
        .own_feedback = c->feedback != NULL,
        .feedback_follows = c->feedback_way == GLE_FEEDBACK_FOLLOWS,
        .feedback_keep = gle_feedback_keep(g, c),
        .feedback_number = c->feedback ? parameter_of(g, c->feedback).number : GLE_NOWHERE,
        .aligns = c->feedback_way == GLE_FEEDBACK_ALIGNS,
        .xi_keep = align.keep,
        .xi_add = align.add,
        .low_leak = align.leak,
        .align_rate = align.rate,
        .align_decay = align.decay,
        .draws = gle_draw_field((gle_u32)i, GLE_DRAW_FEEDBACK),
        .xi = field_of(&c->xi, 0),
        .low = field_of(&c->low, 0),
        .hp = field_of(&c->hp, g->observed ? 0 : c->target * g->floats[GLE_DERIVED]),
        .weight = parameter_of(g, c->weight),
        .feedback = feedback_of(g, c),
        .read = field_of(&c->read, 0),
        .feedback_read = field_of(&c->feedback_read, 0),
        .e_below = field_of(&c->e_below, 0),
        .n_groups = c->eligibility.copies ? (gle_u32)g->populations[c->target].groups.n : 0,
        .n_traces = (gle_u32)g->populations[c->target].groups.n_traces,
        .ld_pool = (gle_u32)c->ld_pool,
        .trace = field_of(&c->trace, 0),
        .eligibility = field_of(&c->eligibility, 0),
        .channels = (gle_u32)plan->pooled.channels,
        .pooled = {(gle_u32)plan->pooled.size[0], (gle_u32)plan->pooled.size[1]},
        .out_channels = (gle_u32)plan->conv.out_channels,
        .out = {(gle_u32)plan->conv.out[0], (gle_u32)plan->conv.out[1]},
        .kernel_size = {(gle_u32)plan->conv.kernel[0], (gle_u32)plan->conv.kernel[1]},
        .step = {(gle_u32)plan->conv.stride[0], (gle_u32)plan->conv.stride[1]},
        .padding = {(gle_u32)plan->conv.padding[0], (gle_u32)plan->conv.padding[1]},
        .size = {(gle_u32)plan->source.size[0], (gle_u32)plan->source.size[1]},
        .window = {(gle_u32)plan->pool.window[0], (gle_u32)plan->pool.window[1]},
    };
}

/* Errors that come directly: as of a projection that sends nothing but those. */
static struct gle_device_projection direct_of(const struct gle_graph *g, size_t i)
{
    const struct gle_direct *d = &g->directs[i];
    const struct gle_population *to = &g->populations[d->to];

    return (struct gle_device_projection){
        .source = (gle_u32)d->to,
        .target = (gle_u32)d->from,
        .delay = 1,
        .n_in = (gle_u32)to->n,
        .ld_in = (gle_u32)to->ld,
        .n_pool = (gle_u32)to->n,
        .link = GLE_DEVICE_DENSE,
        .pooling = GLE_DEVICE_UNPOOLED,
        .sends_error = d->sends,
        .direct = true,
        .sent = GLE_NOWHERE,
        .own_feedback = true,
        .xi = field_of(&(struct gle_field){0}, 0),
        .low = field_of(&(struct gle_field){0}, 0),
        .hp = field_of(&(struct gle_field){0}, 0),
        .weight = {.field.place = GLE_NOWHERE},
        .feedback = parameter_of(g, d->weight),
        .read = field_of(&(struct gle_field){0}, 0),
        .feedback_read = field_of(&d->read, 0),
        .e_below = field_of(&d->sent, 0),
        .trace = field_of(&(struct gle_field){0}, 0),
        .eligibility = field_of(&(struct gle_field){0}, 0),
    };
}

/* --- lists: of readers, then of each sparse link --- */

/* Synapses by the neuron that they come from, each with its number and the neuron that it goes to. */
static void sort_by_source(gle_u32 *starts, gle_u32 *synapses, gle_u32 *rows, const struct gle_link_plan *plan,
                           size_t n, size_t n_in)
{
    memset(starts, 0, (n_in + 1) * sizeof *starts);
    for (size_t k = 0; k < plan->n_synapses; k++)
        starts[plan->columns[k] + 1]++;
    for (size_t k = 0; k < n_in; k++)
        starts[k + 1] += starts[k];
    for (size_t i = 0; i < n; i++)
        for (uint64_t k = plan->starts[i]; k < plan->starts[i + 1]; k++) {
            const gle_u32 at = starts[plan->columns[k]]++;
            synapses[at] = (gle_u32)k;
            rows[at] = (gle_u32)i;
        }
    for (size_t k = n_in; k > 0; k--) /* they have moved on by one */
        starts[k] = starts[k - 1];
    starts[0] = 0;
}

static size_t list_synapses(struct gle_device_tables *t, size_t i, size_t at)
{
    const struct gle_projection *c = &t->graph->projections[i];
    struct gle_device_projection *to = &t->projections[i];
    const size_t n = t->graph->populations[c->target].n, n_synapses = c->plan.n_synapses;

    if (!c->plan.starts)
        return at;
    to->starts = (gle_u32)at;
    to->columns = (gle_u32)(at += n + 1);
    to->rows = (gle_u32)(at += n_synapses);
    to->back_starts = (gle_u32)(at += n_synapses);
    to->back_synapses = (gle_u32)(at += c->n_pool + 1);
    to->back_rows = (gle_u32)(at += n_synapses);
    for (size_t j = 0; j <= n; j++)
        t->lists[to->starts + j] = (gle_u32)c->plan.starts[j];
    for (size_t j = 0; j < n; j++)
        for (uint64_t k = c->plan.starts[j]; k < c->plan.starts[j + 1]; k++)
            t->lists[to->rows + k] = (gle_u32)j;
    memcpy(t->lists + to->columns, c->plan.columns, n_synapses * sizeof *t->lists);
    sort_by_source(t->lists + to->back_starts, t->lists + to->back_synapses, t->lists + to->back_rows, &c->plan, n,
                   c->n_pool);
    return at + n_synapses;
}

static size_t count_lists(const struct gle_graph *g)
{
    size_t n = 0;

    for (size_t i = 0; i < g->n_populations; i++)
        n += g->populations[i].n_out;
    n += g->n_directs;
    for (size_t i = 0; i < g->n_projections; i++)
        n += gle_device_count_groups(g, &g->projections[i]);
    for (size_t i = 0; i < g->n_projections; i++)
        if (g->projections[i].plan.starts)
            n += g->populations[g->projections[i].target].n + 1 + g->projections[i].n_pool + 1 +
                 4 * g->projections[i].plan.n_synapses;
    return n;
}

/* Whether the sweep sends lambda of a projection's target to its source. */
static bool sends_lambda(const struct gle_graph *g, const struct gle_projection *c)
{
    return g->tape_steps && g->populations[c->target].swept && c->source != GLE_SOURCE_INPUT &&
           g->populations[c->source].swept;
}

int gle_device_tables_build(struct gle_device_tables *t, const struct gle_graph *g, struct gle_error *err)
{
    size_t at = 0, sent = 0;

    *t = (struct gle_device_tables){
        .graph = g, .n_projections = g->n_projections + g->n_directs, .n_lists = count_lists(g)};
    for (int role = 0; role < GLE_ROLES; role++)
        if (g->floats[role] * (role == GLE_DERIVED ? g->n_populations : 1) >= GLE_NOWHERE)
            return gle_fail(err, GLE_ENOMEM, "the network is too large for a device: more than 4e9 numbers of a kind");
    t->populations = gle_calloc(g->n_populations, sizeof *t->populations);
    t->projections = gle_calloc(t->n_projections, sizeof *t->projections);
    t->lists = gle_calloc(t->n_lists + 1, sizeof *t->lists); /* there may be none */
    if (!t->populations || !t->projections || !t->lists)
        return gle_fail(err, GLE_ENOMEM, "no memory for the tables of a device");
    for (size_t i = 0; i < g->n_populations; i++) {
        t->populations[i] = population_of(g, i);
        for (size_t j = 0; j < g->populations[i].n_out; j++)
            t->lists[at++] = (gle_u32)g->populations[i].out[j];
        for (size_t j = 0; j < g->n_directs; j++)
            if (g->directs[j].to == i)
                t->lists[at++] = (gle_u32)(g->n_projections + j);
    }
    for (size_t i = 0; i < g->n_projections; i++) {
        const struct gle_link_plan *plan = &g->projections[i].plan;
        t->projections[i] = projection_of(g, i);
        if (t->projections[i].link == GLE_NOWHERE)
            return gle_fail(err, GLE_EDEVICE, "the link %s has no version for devices", plan->link->row.name);
        if (t->projections[i].pooling == GLE_NOWHERE)
            return gle_fail(err, GLE_EDEVICE, "pooling by %s has no version for devices", plan->pooling->row.name);
        at = gle_device_list_groups(t, i, list_synapses(t, i, at));
        if (sends_lambda(g, &g->projections[i])) {
            t->projections[i].sent = (gle_u32)sent;
            sent += g->train_rows * g->projections[i].ld_in;
        }
    }
    for (size_t i = 0; i < g->n_directs; i++)
        t->projections[g->n_projections + i] = direct_of(g, i);
    t->shape = (struct gle_device_shape){
        .n_populations = (gle_u32)g->n_populations,
        .output = (gle_u32)g->output,
        .n_parameters = (gle_u32)g->n_parameters,
        .n_input = (gle_u32)g->n_input,
        .ld_input = (gle_u32)g->ld_input,
        .max_batch = (gle_u32)g->max_batch,
        .input_past = (gle_u32)g->input_past,
        .observed = g->observed,
        .sums_squares = g->sums_squares,
        .input = field_of(&g->input, 0),
        .tape_input = field_of(&g->tape_input, 0),
        .weighted = g->weighted,
        .tape_target = field_of(&g->tape_target, 0),
        .tape_weight = field_of(&g->tape_weight, 0),
        .ld_weight = (gle_u32)g->tape_weight.ld,
        .slab_params = (gle_u32)g->floats[GLE_PARAMETER],
        .slab_coefs = (gle_u32)g->floats[GLE_COEFFICIENT],
        .slab_state = (gle_u32)g->floats[GLE_STATE],
        .slab_derived = (gle_u32)(g->floats[GLE_DERIVED] * (g->observed ? 1 : g->n_populations)),
        .slab_tape = (gle_u32)g->floats[GLE_TAPE],
        .slab_input = (gle_u32)(g->max_batch * g->ld_input),
        .slab_target = (gle_u32)(g->max_batch * (g->populations[g->output].ld + (g->weighted ? 1 : 0))),
        .slab_sum = (gle_u32)(g->max_batch * g->populations[g->output].ld),
        .dt = (float)g->exp->dt,
        .tau_least = (float)g->exp->tau_least,
        .exponential = g->exp->exponential,
        .follows = gle_graph_has_followed(g),
        .share = 1.0f / (float)g->exp->update_every,
        .clip = (float)g->exp->clip,
        .optimizer = number_of(&gle_optimizer_table, g->exp->optimizer.row),
    };
    t->sweep = (struct gle_device_sweep){.slab_adjoint = (gle_u32)g->floats[GLE_ADJOINT], .slab_sent = (gle_u32)sent};
    return 0;
}

void gle_device_tables_clear(struct gle_device_tables *t)
{
    gle_free(t->populations);
    gle_free(t->projections);
    gle_free(t->lists);
    for (size_t i = 0; i < GLE_DEVICE_LAUNCHES; i++)
        gle_free(t->tiles[i]);
    *t = (struct gle_device_tables){0};
}

/* --- tasks --- */

static bool add_tile(struct gle_device_tables *t, enum gle_device_launch launch, struct gle_device_tile tile)
{
    if (t->n_tiles[launch] == t->room[launch]) {
        const size_t room = 2 * t->room[launch] + 64;
        struct gle_device_tile *more = gle_resize(t->tiles[launch], room, sizeof *more);
        if (!more)
            return false;
        t->tiles[launch] = more;
        t->room[launch] = room;
    }
    t->tiles[launch][t->n_tiles[launch]++] = tile;
    return true;
}

/* Tiles of a matrix of rows x cols. */
static bool add_tiles(struct gle_device_tables *t, enum gle_device_launch launch, enum gle_device_task task,
                      size_t which, size_t rows, size_t cols, const struct gle_device_sizes *sizes)
{
    bool ok = true;

    for (size_t first = 0; first < rows; first += sizes->tile_rows)
        for (size_t across = 0; across < cols; across += sizes->tile_cols)
            ok = ok && add_tile(t, launch, (struct gle_device_tile){.task = task,
                                                                    .which = (gle_u32)which,
                                                                    .first = (gle_u32)first,
                                                                    .across = (gle_u32)across});
    return ok;
}

/* What population i has to do. */
static bool cut_population(struct gle_device_tables *t, size_t i, size_t B, const struct gle_device_sizes *sizes)
{
    const struct gle_population *p = &t->graph->populations[i];
    const struct gle_device_population *d = &t->populations[i];
    const size_t rows = d->gridded ? d->channels : B, cols = d->gridded ? B * d->grid : p->n;
    bool ok = add_tiles(t, GLE_LAUNCH_STEP, GLE_TASK_STEP, i, rows, cols, sizes);

    if (p->bias->plastic)
        ok = ok && add_tiles(t, GLE_LAUNCH_LEARN, GLE_TASK_BIAS, i, d->bias.cols, 1, sizes);
    if (p->tau_m->plastic || p->tau_r->plastic)
        ok = ok && add_tiles(t, GLE_LAUNCH_LEARN, GLE_TASK_TAU, i, p->n, 1, sizes);
    if (!t->graph->tape_steps || !p->swept)
        return ok;
    ok = ok && add_tiles(t, GLE_LAUNCH_SWEEP, GLE_TASK_STEP, i, rows, cols, sizes);
    if (p->bias->plastic)
        ok = ok && add_tiles(t, GLE_LAUNCH_GATHER, GLE_TASK_BIAS, i, d->bias.cols, 1, sizes);
    if (p->tau_m->plastic || p->tau_r->plastic)
        ok = ok && add_tiles(t, GLE_LAUNCH_GATHER, GLE_TASK_TAU, i, p->n, 1, sizes);
    return ok;
}

static bool cut_projection(struct gle_device_tables *t, size_t i, size_t B, const struct gle_device_sizes *sizes)
{
    const struct gle_projection *c = &t->graph->projections[i];
    const struct gle_device_projection *d = &t->projections[i];
    const size_t places = d->link == GLE_DEVICE_CONV ? (size_t)d->pooled[0] * d->pooled[1] : 0;
    const size_t rows = places ? d->channels : B, cols = places ? B * places : d->n_pool;
    bool ok = true;

    if (c->sends_error)
        ok = ok && add_tiles(t, GLE_LAUNCH_SEND, GLE_TASK_BACK, i, rows, cols, sizes);
    if (d->sent != GLE_NOWHERE)
        ok = ok && add_tiles(t, GLE_LAUNCH_SEND_LAMBDAS, GLE_TASK_BACK, i, rows, cols, sizes);
    if (d->n_groups)
        ok = ok && add_tiles(t, GLE_LAUNCH_STEP, GLE_TASK_TRACE, i, B, d->n_pool, sizes);
    if (c->feedback_way == GLE_FEEDBACK_ALIGNS)
        ok = ok && add_tiles(t, GLE_LAUNCH_LEARN, GLE_TASK_ALIGN, i, d->weight.rows, d->weight.cols, sizes);
    if (!c->weight->plastic)
        return ok;
    ok = ok && add_tiles(t, GLE_LAUNCH_LEARN, GLE_TASK_WEIGHT, i, d->weight.rows, d->weight.cols, sizes);
    if (t->graph->tape_steps && t->graph->populations[c->target].swept)
        ok = ok && add_tiles(t, GLE_LAUNCH_GATHER, GLE_TASK_WEIGHT, i, d->weight.rows, d->weight.cols, sizes);
    return ok;
}

int gle_device_tables_cut(struct gle_device_tables *t, size_t B, const struct gle_device_sizes *sizes,
                          struct gle_error *err)
{
    const struct gle_graph *g = t->graph;
    bool ok = true;

    memset(t->n_tiles, 0, sizeof t->n_tiles);
    t->shape.B = (gle_u32)B;
    for (size_t i = 0; i < g->n_populations; i++)
        ok = ok && cut_population(t, i, B, sizes);
    ok = ok && add_tiles(t, GLE_LAUNCH_STEP, GLE_TASK_ROWS, 0, B, 1, sizes);
    if (g->populations[g->output].cfg->act->log_probabilities)
        ok = ok && add_tiles(t, GLE_LAUNCH_SEND, GLE_TASK_NORMALISE, g->output, B, 1, sizes);
    for (size_t i = 0; i < g->n_projections; i++)
        ok = ok && cut_projection(t, i, B, sizes);
    for (size_t i = 0; i < g->n_directs; i++)
        if (g->directs[i].sends)
            ok = ok && add_tiles(t, GLE_LAUNCH_SEND, GLE_TASK_BACK, g->n_projections + i, B,
                                 g->populations[g->directs[i].to].n, sizes);
    t->shape.n_squares = t->shape.clip > 0.0f ? (gle_u32)(t->n_tiles[GLE_LAUNCH_LEARN] * sizes->items) : 0;
    return ok ? 0 : gle_fail(err, GLE_ENOMEM, "no memory for the tables of a device");
}
