#include "train/diagnosis.h"
#include "base/archive.h"
#include "base/memory.h"
#include "parts/rule.h"

#include <math.h>

struct gle_diagnosis {
    const struct gle_experiment *exp;
    struct gle_graph *graph; /* of the shadow */
    struct gle_net *shadow;
    size_t n_params; /* numbers */
    double *sums;  /* of the gradients that the rule followed: of all that is plastic, in the order of the graph */
    float *values; /* one parameter */
    uint64_t learned; /* learning steps so far */
    uint64_t due;     /* when the next comparison may begin */
    uint64_t left;    /* steps of the present one; 0: none is going on */
    uint64_t first;   /* step of the run at which it began */
};

int gle_diagnosis_open(struct gle_diagnosis **out, const struct gle_graph *graph, struct gle_error *err)
{
    const struct gle_experiment *exp = graph->exp;
    const struct gle_graph_options options = {
        .batch = graph->train_rows, .train_rows = graph->train_rows, .tape_steps = exp->diagnose.n_steps,
        .weighted = graph->weighted};
    struct gle_diagnosis *d = gle_calloc(1, sizeof *d);
    size_t most = 0, n = 0;

    *out = NULL;
    for (size_t i = 0; i < graph->n_parameters; i++) {
        const size_t size = gle_field_size(&graph->parameters[i].field);
        n += graph->parameters[i].plastic ? size : 0;
        most = size > most ? size : most;
    }
    if (d) {
        d->exp = exp;
        d->n_params = n;
        d->sums = gle_calloc(n, sizeof *d->sums);
        d->values = gle_calloc(most, sizeof *d->values);
    }
    if (!d || !d->sums || !d->values) {
        gle_diagnosis_close(d);
        return gle_fail(err, GLE_ENOMEM, "no memory for the diagnosis");
    }
    if (gle_graph_build(&d->graph, exp, &options, err) || gle_net_build(&d->shadow, d->graph, 1, err)) {
        gle_diagnosis_close(d);
        return -1;
    }
    *out = d;
    return 0;
}

void gle_diagnosis_close(struct gle_diagnosis *d)
{
    if (!d)
        return;
    gle_net_destroy(d->shadow);
    gle_graph_destroy(d->graph);
    gle_free(d->sums);
    gle_free(d->values);
    gle_free(d);
}

void gle_diagnosis_hold(struct gle_diagnosis *d, size_t param, bool hold)
{
    gle_net_hold(d->shadow, param, hold);
}

void gle_diagnosis_before(struct gle_diagnosis *d, const struct gle_net *net, uint64_t step, uint64_t steps_left,
                          bool window_begins)
{
    if (!d->left && d->learned >= d->due && steps_left + 1 >= d->exp->diagnose.n_steps &&
        (window_begins || !d->exp->rule->windowed)) {
        for (size_t i = 0; i < d->n_params; i++)
            d->sums[i] = 0.0;
        d->left = d->exp->diagnose.n_steps;
        d->first = step;
        d->due = d->learned + d->exp->diagnose.every;
        gle_net_copy(d->shadow, net);
        gle_net_begin_window(d->shadow);
    }
    if (d->left)
        gle_net_copy_read(d->shadow, net);
    d->learned++;
}

bool gle_diagnosis_compares(const struct gle_diagnosis *d)
{
    return d->left > 0;
}

void gle_diagnosis_add(struct gle_diagnosis *d, const struct gle_net *net)
{
    double *sums = d->sums;

    if (!d->left)
        return;
    for (size_t i = 0; i < d->graph->n_parameters; i++) {
        const size_t n = gle_field_size(&d->graph->parameters[i].field);
        if (!d->graph->parameters[i].plastic)
            continue;
        gle_net_get_gradient(net, i, d->values);
        for (size_t k = 0; k < n; k++)
            sums[k] += (double)d->values[k];
        sums += n;
    }
}

static struct gle_comparison compare_param(struct gle_diagnosis *d, size_t param, const double *sums)
{
    const size_t n = gle_field_size(&d->graph->parameters[param].field);
    struct gle_comparison c = {0};

    gle_net_get_gradient(d->shadow, param, d->values);
    for (size_t k = 0; k < n; k++) {
        const double exact = (double)d->values[k];
        c.dot += sums[k] * exact;
        c.update += sums[k] * sums[k];
        c.gradient += exact * exact;
    }
    return c;
}

/* The weights W that B would be, or the transpose of: those of its projection; of errors that come directly, those of a
 * dense one the other way. NULL: there are none. */
static const struct gle_parameter *counterpart_of(const struct gle_graph *g, const struct gle_parameter *b)
{
    const struct gle_direct *direct;

    if (b->kind == GLE_FEEDBACK)
        return g->projections[b->field.projection].weight;
    direct = gle_graph_direct(g, b);
    for (size_t i = 0; i < g->n_projections; i++) {
        const struct gle_projection *c = &g->projections[i];
        if (c->source == (long)direct->to && c->target == direct->from && c->plan.link == direct->plan.link &&
            !c->plan.pooling)
            return c->weight;
    }
    return NULL;
}

/* How B lies to W, both as they were when the comparison began: the shadow has not learned. */
static int compare_feedback(struct gle_comparison *out, const struct gle_diagnosis *d, const struct gle_parameter *b,
                            struct gle_error *err)
{
    const struct gle_parameter *w = counterpart_of(d->graph, b);
    const bool turned = b->kind == GLE_ERRORS_FROM;
    const size_t n = gle_field_size(&b->field), rows = b->field.rows, cols = b->field.cols;
    float *weights = gle_calloc(n, sizeof *weights);

    if (!weights)
        return gle_fail(err, GLE_ENOMEM, "no memory for the diagnosis");
    gle_net_get_param(d->shadow, (size_t)(b - d->graph->parameters), d->values);
    if (w)
        gle_net_get_param(d->shadow, (size_t)(w - d->graph->parameters), weights);
    for (size_t k = 0; k < n; k++) {
        const double own = (double)d->values[k], other = (double)weights[turned ? k % cols * rows + k / cols : k];
        out->dot += own * other;
        out->update += own * own;
        out->gradient += other * other;
    }
    gle_free(weights);
    return 0;
}

/* known: the exact gradient was found; it may overflow where the run goes on. */
static int compare(struct gle_diagnosis *d, bool known, struct gle_metrics *metrics, struct gle_error *err)
{
    static const struct gle_comparison unknown = {(double)NAN, (double)NAN, (double)NAN};
    struct gle_diagnostic *found;
    const double *sums = d->sums;

    if (gle_metrics_diagnose(&found, metrics, d->first, d->graph->n_parameters, err))
        return -1;
    for (size_t i = 0; i < d->graph->n_parameters; i++) {
        const struct gle_parameter *p = &d->graph->parameters[i];
        if ((p->kind == GLE_FEEDBACK || p->kind == GLE_ERRORS_FROM) && compare_feedback(&found->of[i], d, p, err))
            return -1;
        if (!p->plastic)
            continue;
        found->of[i] = known ? compare_param(d, i, sums) : unknown;
        sums += gle_field_size(&p->field);
    }
    return 0;
}

int gle_diagnosis_after(struct gle_diagnosis *d, bool unasked, struct gle_metrics *metrics, struct gle_error *err)
{
    const struct gle_step step = {.nudge = true, .unasked = unasked};
    struct gle_error lost = {0};
    double loss;

    if (!d->left)
        return 0;
    if (gle_net_step(d->shadow, &step, &loss, &lost)) {
        d->left = 0;
        return compare(d, false, metrics, err);
    }
    if (--d->left)
        return 0;
    return compare(d, !gle_net_end_window(d->shadow, d->exp->diagnose.gradient, false, 0.0, &lost), metrics, err);
}

struct gle_net_place gle_diagnosis_get_place(const struct gle_diagnosis *d)
{
    return d->left ? gle_net_get_place(d->shadow) : (struct gle_net_place){0};
}

/* What a comparison that is going on is made of: the next one begins with copies of its own. The gradients of a rule
 * may overflow where the run goes on, so that sums may be what no other number is. */
static int visit_comparison(struct gle_diagnosis *d, struct gle_archive *a, struct gle_error *err)
{
    int rc;

    if (gle_archive_spread(a, "sums", GLE_NPY_F64, d->sums, d->n_params, sizeof *d->sums, err))
        return -1;
    gle_archive_enter(a, "shadow");
    rc = gle_net_archive(d->shadow, a, err);
    gle_archive_leave(a);
    return rc;
}

int gle_diagnosis_archive(struct gle_diagnosis *d, struct gle_archive *a, struct gle_error *err)
{
    size_t left = (size_t)d->left;

    if (gle_archive_u64(a, "learned", &d->learned, 1, err) || gle_archive_u64(a, "due", &d->due, 1, err) ||
        gle_archive_u64(a, "first", &d->first, 1, err) ||
        gle_archive_count(a, "left", &left, 0, d->exp->diagnose.n_steps - 1, err))
        return -1;
    d->left = left;
    return left ? visit_comparison(d, a, err) : 0;
}

int gle_diagnosis_check(const struct gle_diagnosis *d, const struct gle_archive *a, uint64_t step, uint64_t learned,
                        size_t B, struct gle_error *err)
{
    const struct gle_net_place shadow = gle_net_get_place(d->shadow);
    const uint64_t made = d->exp->diagnose.n_steps - d->left;

    if (d->learned != learned)
        return gle_archive_fail(a, "diagnosis.learned", err, "%llu, where %llu is wanted",
                                (unsigned long long)d->learned, (unsigned long long)learned);
    if (d->due > learned && d->due - learned >= d->exp->diagnose.every)
        return gle_archive_fail(a, "diagnosis.due", err, "%llu, after %llu learning steps", (unsigned long long)d->due,
                                (unsigned long long)learned);
    if (d->left ? d->first + made != step : d->first > step)
        return gle_archive_fail(a, "diagnosis.first", err, "%llu, where step %llu comes next and %llu are left",
                                (unsigned long long)d->first, (unsigned long long)step, (unsigned long long)d->left);
    if (!d->left)
        return 0;
    if (shadow.steps != step)
        return gle_archive_fail(a, "diagnosis.shadow.steps", err, "%llu, where step %llu comes next",
                                (unsigned long long)shadow.steps, (unsigned long long)step);
    if (shadow.updates)
        return gle_archive_fail(a, "diagnosis.shadow.updates", err, "%llu, where nothing learns",
                                (unsigned long long)shadow.updates);
    if (!shadow.taping || shadow.taped != made)
        return gle_archive_fail(a, "diagnosis.shadow.taped", err, "%zu, where %llu steps are over", shadow.taped,
                                (unsigned long long)made);
    return shadow.B == B ? 0
                         : gle_archive_fail(a, "diagnosis.shadow.batch", err, "%zu, where the network has %zu",
                                            shadow.B, B);
}
