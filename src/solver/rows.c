/* Rows of a batch: how many, and whose, where they are spread over ranks. What ranks tell each other in a step: losses,
 * what has gone wild, and gradients. */
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
    double *losses;        /* (GLE_LOSSES + 2 * ranks + 1): those of steps that were not given away yet, and room */
    size_t n_losses, n_known; /* of these; the first so many are those of all ranks */
    uint64_t before;          /* steps of the net before the first of them */
    uint64_t wild_step; /* steps that were made when something was found wild for the first time; 0: nothing was */
    size_t wild_layer;
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
        spread->losses = gle_calloc(GLE_LOSSES + 2 * comm->size + 1, sizeof *spread->losses);
    }
    return spread && spread->rows && spread->gradients && spread->losses
               ? 0
               : gle_fail(err, GLE_ENOMEM, "no memory for rows over ranks");
}

void gle_net_free_spread(struct gle_net *net)
{
    if (!net->spread)
        return;
    gle_free(net->spread->rows);
    gle_free(net->spread->gradients);
    gle_free(net->spread->losses);
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
    assert(!net->taping && !net->spread->n_losses);
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
    net->spread->before = net->steps;
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

bool gle_net_tells_late(const struct gle_net *net)
{
    return net->device || net->divided;
}

/* What has gone wild since ranks agreed last, for the first time. */
static void note_wild(struct gle_net *net)
{
    struct gle_net_spread *spread = net->spread;

    for (size_t i = 0; i < net->graph->n_populations && !spread->wild_step; i++)
        if (gle_net_is_wild(net, i)) {
            spread->wild_step = net->steps;
            spread->wild_layer = i;
        }
}

/* By the ranks, each with a step and a layer: the first step, of the first rank. NULL: nothing is wild. */
static const double *find_wild(const struct gle_comm *comm, const double *wild)
{
    const double *found = NULL;

    for (size_t r = 0; r < comm->size; r++)
        if (wild[2 * r] > 0.0 && (!found || wild[2 * r] < *found))
            found = &wild[2 * r];
    return found;
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

/* Losses become those of all ranks, and gradients, if they are to be followed now. */
static int agree(struct gle_net *net, struct gle_error *err)
{
    struct gle_net_spread *spread = net->spread;
    const struct gle_error *late = &spread->late;
    const size_t size = spread->comm->size, mine = spread->comm->rank, n = spread->n_losses - spread->n_known;
    double *told = spread->losses + spread->n_known, *wild = told + n, *is_late = wild + 2 * size;
    const double *found;

    note_wild(net);
    memset(wild, 0, (2 * size + 1) * sizeof *wild);
    wild[2 * mine] = (double)spread->wild_step;
    wild[2 * mine + 1] = (double)spread->wild_layer;
    *is_late = late->code ? 1.0 : 0.0;
    spread->n_losses = spread->n_known; /* after an error */
    if (gle_comm_sum_both(spread->comm, told, n + 2 * size + 1, spread->gradients,
                          net->waits && net->spends ? pack(net, false) : 0, err))
        return -1;
    if (*is_late > 0.0)
        return gle_fail(err, GLE_EDEVICE, "%s", late->code ? late->text : "another rank has lost rows of its batch");
    found = find_wild(spread->comm, wild);
    spread->n_known = found ? (size_t)((uint64_t)*found - spread->before) : spread->n_known + n;
    spread->n_losses = spread->n_known;
    if (!found)
        return 0;
    *gle_wild_of(net, (size_t)found[1], 0) = 1;
    return gle_fail(err, GLE_EDIVERGED, "NaN or Inf in layer '%s' at step %.0f",
                    gle_population_of(net, (size_t)found[1])->cfg->name, *found - 1.0);
}

/* Gives away the losses that are known. */
static void hand_out(struct gle_net_spread *spread, double *losses, size_t *n)
{
    *n = spread->n_known;
    memcpy(losses, spread->losses, *n * sizeof *losses);
    spread->n_losses -= spread->n_losses < *n ? spread->n_losses : *n;
    memmove(spread->losses, spread->losses + *n, spread->n_losses * sizeof *losses);
    spread->before += *n;
    spread->n_known = 0;
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

/* What becomes of gradients, which are those of all ranks if they are to be followed. */
static void spend(struct gle_net *net)
{
    if (net->spends)
        (void)pack(net, true);
    net->waits = false;
    net->summed = net->spends;
    gle_net_share(net, descend_all);
    net->summed = false;
    if (net->spends && net->squares)
        gle_net_follow_clipped(net);
}

int gle_net_end_own_step(struct gle_net *net, double *losses, size_t *n, struct gle_error *err)
{
    struct gle_net_spread *spread = net->spread;
    int rc = 0;

    note_wild(net);
    spread->losses[spread->n_losses++] = *losses;
    if (net->spends || spread->n_losses - spread->n_known == GLE_QUEUE_STEPS)
        rc = agree(net, err);
    hand_out(spread, losses, n);
    if (!rc && net->waits)
        spend(net);
    return rc;
}

int gle_net_collect_own(struct gle_net *net, double *losses, size_t *n, struct gle_error *err)
{
    struct gle_net_spread *spread = net->spread;
    const int rc = spread->n_losses > spread->n_known ? agree(net, err) : 0;

    hand_out(spread, losses, n);
    return rc;
}

int gle_net_end_own_window(struct gle_net *net, struct gle_error *err)
{
    if (agree(net, err))
        return -1;
    if (net->waits && net->taped)
        spend(net);
    net->waits = false;
    return 0;
}
