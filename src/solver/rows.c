/* Rows of a batch: how many, and whose, where they are spread over ranks. What ranks tell each other in a step: losses, what has gone wild, and gradients. */
#include "solver/rows.h"
#include "base/memory.h"
#include "comm/comm.h"
#include "solver/inside.h"

#include <assert.h>
#include <string.h>

struct gle_net_spread {
    struct gle_comm *comm;
    float *rows;           /* (max_batch, widest row) */
    float *gradients;      /* of all parameters that learn, one after the other */
    double *told;          /* (n_populations + 2): what a step adds up */
    struct gle_error late; /* met where it could not be told */
};

/* Floats of the longest row that is put together. */
static size_t widest(const struct gle_graph *g)
{
    size_t most = g->ld_input > g->populations[g->output].ld ? g->ld_input : g->populations[g->output].ld;

    for (size_t i = 0; i < g->n_fields; i++)
        if (gle_past_copies(g->fields[i]) && g->fields[i]->ld > most)
            most = g->fields[i]->ld;
    return most;
}

int gle_net_spread(struct gle_net *net, struct gle_comm *comm, struct gle_error *err)
{
    const struct gle_graph *g = net->graph;
    struct gle_net_spread *spread = gle_calloc(1, sizeof *spread);

    assert(!net->device && !net->spread);
    net->spread = spread;
    if (spread) {
        spread->comm = comm;
        spread->rows = gle_floats(g->max_batch * widest(g));
        spread->gradients = gle_floats(g->floats[GLE_PARAMETER]);
        spread->told = gle_calloc(g->n_populations + 2, sizeof *spread->told);
    }
    return spread && spread->rows && spread->gradients && spread->told
               ? 0
               : gle_fail(err, GLE_ENOMEM, "no memory for rows over ranks");
}

void gle_net_free_spread(struct gle_net *net)
{
    if (!net->spread)
        return;
    gle_free(net->spread->rows);
    gle_free(net->spread->gradients);
    gle_free(net->spread->told);
    gle_free(net->spread);
}

struct gle_comm *gle_net_comm(const struct gle_net *net)
{
    return net->spread ? net->spread->comm : NULL;
}

struct gle_net_rows gle_net_own_rows(const struct gle_net *net, size_t B)
{
    const struct gle_comm *comm = gle_net_comm(net);
    size_t first;

    if (!comm)
        return (struct gle_net_rows){.n = B};
    first = B * comm->rank / comm->size;
    return (struct gle_net_rows){.first = first, .n = B * (comm->rank + 1) / comm->size - first};
}

/* --- the whole batch, and this rank's part of it --- */

/* Arrays with a row for each of the batch, as the step left them: work(net, rows, ld). */
typedef int rows_work(struct gle_net *net, float *rows, size_t ld, struct gle_error *err);

static int for_all_rows(struct gle_net *net, rows_work *work, struct gle_error *err)
{
    const size_t top = gle_top_of(net)->ld;
    int rc = work(net, net->input, net->graph->ld_input, err) || work(net, net->target, top, err) ||
             work(net, net->output_sum, top, err);

    for (size_t i = 0; i < net->graph->n_fields && !rc; i++) {
        const struct gle_field *f = net->graph->fields[i];
        for (size_t ago = 0; ago < gle_past_copies(f) && !rc; ago++)
            rc = work(net, gle_past_of(net, f, ago), f->ld, err);
    }
    return rc;
}

/* all (whole, n) gets the rows (B, ld) of this rank, n values of each, and those of the others. */
static int gather_rows(const struct gle_net *net, float *all, const float *rows, size_t ld, size_t n,
                       struct gle_error *err)
{
    memset(all, 0, net->whole * n * sizeof *all);
    for (size_t b = 0; b < net->B; b++)
        memcpy(all + (net->first_row + b) * n, rows + b * ld, n * sizeof *all);
    return gle_comm_sum(net->spread->comm, all, net->whole * n, err);
}

static int unite_rows(struct gle_net *net, float *rows, size_t ld, struct gle_error *err)
{
    float *all = net->spread->rows;

    if (gather_rows(net, all, rows, ld, ld, err))
        return -1;
    memcpy(rows, all, net->whole * ld * sizeof *rows);
    return 0;
}

int gle_net_unite(struct gle_net *net, struct gle_error *err)
{
    if (!net->divided)
        return 0;
    assert(!net->taping);
    if (for_all_rows(net, unite_rows, err))
        return -1;
    net->divided = false;
    net->B = net->whole;
    net->first_row = 0;
    return 0;
}

static int keep_rows(struct gle_net *net, float *rows, size_t ld, struct gle_error *err)
{
    (void)err;
    memmove(rows, rows + net->first_row * ld, net->B * ld * sizeof *rows);
    return 0;
}

void gle_net_divide(struct gle_net *net)
{
    const struct gle_net_rows own = gle_net_own_rows(net, net->B);
    struct gle_error none = {0};

    if (!net->spread || net->divided)
        return;
    assert(own.n && !net->taping);
    net->whole = net->B;
    net->first_row = own.first;
    net->B = own.n;
    net->divided = true;
    (void)!for_all_rows(net, keep_rows, &none);
}

static void unite_late(struct gle_net *net)
{
    if (gle_net_unite(net, &net->spread->late)) { /* rows are lost; the next step says so */
        net->divided = false;
        net->B = net->whole;
        net->first_row = 0;
    }
}

void gle_net_set_batch(struct gle_net *net, size_t B)
{
    const struct gle_graph *g = net->graph;
    const size_t old = gle_whole_of(net);
    const bool divided = net->divided;

    if (B == old)
        return;
    if (divided)
        unite_late(net);
    gle_net_touch(net, GLE_PART_STATE);
    gle_net_touch(net, GLE_PART_PARAMETERS);
    net->B = B;
    for (size_t i = 0; i < g->n_fields; i++) {
        const struct gle_field *f = g->fields[i];
        for (size_t ago = 0; ago < gle_past_copies(f); ago++) {
            float *rows = gle_past_of(net, f, ago);
            for (size_t b = old; b < B; b++)
                memcpy(rows + b * f->ld, rows + b % old * f->ld, f->ld * sizeof *rows);
        }
    }
    for (size_t i = 0; i < g->n_populations; i++) /* their means */
        gle_net_follow(net, g->populations[i].tau_m, 0, g->populations[i].n);
    if (divided)
        gle_net_divide(net);
}

void gle_net_gather_late(const struct gle_net *net, float *values, const float *rows, size_t ld, size_t n)
{
    (void)!gather_rows(net, values, rows, ld, n, &net->spread->late);
}

/* --- a step --- */

int gle_net_agree(struct gle_net *net, double *loss, struct gle_error *err)
{
    const struct gle_error *late = &net->spread->late;
    const size_t n = net->graph->n_populations;
    double *told = net->spread->told;

    for (size_t i = 0; i < n; i++)
        told[i] = gle_net_is_wild(net, i) ? 1.0 : 0.0;
    told[n] = *loss;
    told[n + 1] = late->code ? 1.0 : 0.0;
    if (gle_comm_sum_doubles(net->spread->comm, told, n + 2, err))
        return -1;
    if (told[n + 1] > 0.0)
        return gle_fail(err, GLE_EDEVICE, "%s", late->code ? late->text : "another rank has lost rows of its batch");
    for (size_t i = 0; i < n; i++)
        *gle_wild_of(net, i, 0) |= told[i] > 0.0;
    *loss = told[n];
    return 0;
}

/* Copies the gradients of what learns one after the other, or back; returns how many floats there are. */
static size_t pack(struct gle_net *net, bool back)
{
    float *at = net->spread->gradients;

    for (size_t i = 0; i < net->graph->n_parameters; i++) {
        const struct gle_parameter *p = &net->graph->parameters[i];
        const size_t n = p->parts * p->part;
        float *grad = gle_grad_of(net, p);
        if (!gle_learns(net, p))
            continue;
        if (!back && net->gathered) /* with those of the steps before, under learning.update */
            net->kernels->add(grad, gle_followed_of(net, p), n);
        memcpy(back ? grad : at, back ? at : grad, n * sizeof *at);
        at += n;
    }
    return (size_t)(at - net->spread->gradients);
}

/* Populations that the sweep of a windowed rule leaves out have found nothing. */
static void descend(struct gle_net *net, size_t i, struct gle_range neurons, size_t t)
{
    (void)neurons;
    if (!net->sweep_rule || gle_population_of(net, i)->swept)
        gle_net_descend(net, i, t);
}

static void descend_all(void *net, size_t t)
{
    gle_net_learning_of(net, t, descend);
}

int gle_net_spend_together(struct gle_net *net, struct gle_error *err)
{
    if (net->spends) {
        if (gle_comm_sum(net->spread->comm, net->spread->gradients, pack(net, false), err))
            return -1;
        (void)pack(net, true);
    }
    net->waits = false;
    net->summed = net->spends;
    gle_net_share(net, descend_all);
    net->summed = false;
    return 0;
}
