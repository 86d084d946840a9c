#include "train/metrics.h"
#include "base/memory.h"
#include "parts/loss.h"
#include "parts/schedule.h"

#include <math.h>

const struct gle_closed gle_closed_unknown = {NAN, NAN, NAN, NAN};

bool gle_metrics_test_always(const struct gle_experiment *exp, const struct gle_data *data)
{
    const struct gle_metric_row *metric = gle_experiment_watches(exp);

    if (exp->test != GLE_TEST_AUTO)
        return exp->test == GLE_TEST_EPOCHS;
    return !data->split[GLE_VALIDATION].n || (metric && metric->set == GLE_METRIC_TEST) ||
           (exp->best && exp->best->set == GLE_METRIC_TEST) ||
           (exp->stop.metric && exp->stop.metric->set == GLE_METRIC_TEST);
}

size_t gle_metrics_train_after(const struct gle_experiment *exp, const struct gle_data *data)
{
    const size_t n = data->split[GLE_TRAIN].n;

    if (!exp->train_after.row)
        return 0;
    return exp->train_after.samples && exp->train_after.samples < n ? (size_t)exp->train_after.samples : n;
}

size_t gle_metrics_samples(const struct gle_experiment *exp, const struct gle_data *data, enum gle_split split)
{
    return split == GLE_TRAIN_AFTER ? gle_metrics_train_after(exp, data) : data->split[split].n;
}

int gle_metrics_init(struct gle_metrics *m, const struct gle_experiment *exp, const struct gle_data *data,
                     struct gle_error *err)
{
    bool matrix;

    *m = (struct gle_metrics){0};
    m->last_epoch = exp->epochs;
    m->best_by = exp->best;
    m->best_split = exp->best                                                       ? (enum gle_split)exp->best->set
                    : data->split[GLE_VALIDATION].n                                 ? GLE_VALIDATION
                    : data->split[GLE_TEST].n && gle_metrics_test_always(exp, data) ? GLE_TEST
                    : gle_metrics_train_after(exp, data)                            ? GLE_TRAIN_AFTER
                                                                                    : GLE_TRAIN;
    m->confusion_split = m->best_split;
    for (int s = 0; s < GLE_SCORES; s++) {
        const enum gle_split split = s == GLE_TRAIN_AFTER ? GLE_TRAIN : (enum gle_split)s;
        const size_t n = gle_metrics_samples(exp, data, (enum gle_split)s);
        m->variance[s] = exp->has_teacher ? (double)NAN : gle_data_variance(data, split, n);
    }
    m->valued = exp->has_teacher ? !exp->loss->classes : !isnan(m->variance[GLE_TRAIN]);
    m->n_classes = data->labelled && !exp->has_teacher ? data->n_targets : 0;
    matrix = m->n_classes && (!exp->phases || exp->evaluate_steps);
    m->phases = gle_calloc(exp->n_phases + 1, sizeof *m->phases);
    if (matrix)
        m->confusion = gle_calloc(m->n_classes * m->n_classes, sizeof *m->confusion);
    if (!m->phases || (matrix && !m->confusion)) {
        gle_metrics_clear(m);
        return gle_fail(err, GLE_ENOMEM, "no memory for the metrics");
    }
    return 0;
}

int gle_metrics_make_room(struct gle_metrics *m, size_t n, struct gle_error *err)
{
    struct gle_epoch *longer;

    if (n <= m->epochs_room)
        return 0;
    longer = gle_resize(m->epochs, n, sizeof *longer);
    if (!longer)
        return gle_fail(err, GLE_ENOMEM, "no memory for the metrics of %zu epochs", n);
    m->epochs = longer;
    m->epochs_room = n;
    return 0;
}

double gle_metrics_value(const struct gle_epoch *epoch, const struct gle_metric_row *metric)
{
    const struct gle_score *s = &epoch->score[metric->set];

    if (!s->measured)
        return (double)NAN;
    if (metric->quality == GLE_QUALITY_LOSS)
        return s->loss;
    return metric->quality == GLE_QUALITY_NRMSE ? s->nrmse : s->accuracy;
}

const char *gle_metrics_best_by(const struct gle_metrics *m)
{
    return m->best_by->row.name;
}

/* Epochs by their numbers. */
static bool is_better(const struct gle_metrics *m, size_t i, size_t k)
{
    const struct gle_score *a = &m->epochs[i].score[m->best_split], *b = &m->epochs[k].score[m->best_split];

    if (!a->measured || !b->measured)
        return a->measured;
    if (m->best_by) {
        const double x = gle_metrics_value(&m->epochs[i], m->best_by), y = gle_metrics_value(&m->epochs[k], m->best_by);
        return m->best_by->quality == GLE_QUALITY_ACCURACY ? x > y : x < y;
    }
    return isnan(a->accuracy) ? a->loss < b->loss : a->accuracy > b->accuracy;
}

int gle_metrics_add_epoch(struct gle_metrics *m, const struct gle_epoch *epoch, struct gle_error *err)
{
    enum { FIRST_ROOM = 64 };

    if (m->n_epochs == m->epochs_room &&
        gle_metrics_make_room(m, m->epochs_room ? 2 * m->epochs_room : FIRST_ROOM, err))
        return -1;
    m->epochs[m->n_epochs++] = *epoch;
    if (is_better(m, m->n_epochs - 1, m->best))
        m->best = m->n_epochs - 1;
    return 0;
}

size_t gle_metrics_best(const struct gle_metrics *m, size_t n)
{
    size_t best = 0;

    for (size_t i = 1; i < n; i++)
        if (is_better(m, i, best))
            best = i;
    return best;
}

int gle_metrics_diagnose(struct gle_diagnostic **out, struct gle_metrics *m, uint64_t step, size_t n_parameters,
                         struct gle_error *err)
{
    struct gle_comparison *of = gle_calloc(n_parameters, sizeof *of);
    struct gle_diagnostic *longer = gle_resize(m->diagnostics, m->n_diagnostics + 1, sizeof *longer);

    if (longer)
        m->diagnostics = longer;
    if (!of || !longer) {
        gle_free(of);
        return gle_fail(err, GLE_ENOMEM, "no memory for the diagnostics");
    }
    *out = &longer[m->n_diagnostics++];
    **out = (struct gle_diagnostic){.step = step, .of = of};
    return 0;
}

int gle_metrics_make_traces(struct gle_metrics *m, size_t n_tests, size_t n_steps, size_t n_outputs,
                            struct gle_error *err)
{
    const size_t n = n_tests < GLE_TRACES_MAX ? n_tests : GLE_TRACES_MAX;

    gle_free(m->traces.values);
    m->traces = (struct gle_traces){.n = n, .n_steps = n_steps, .n_outputs = n_outputs};
    m->traces.values = gle_calloc(3 * n * n_steps, n_outputs * sizeof *m->traces.values);
    return m->traces.values ? 0 : gle_fail(err, GLE_ENOMEM, "no memory for the traces of the closed loop");
}

void gle_metrics_drop_traces(struct gle_metrics *m)
{
    gle_free(m->traces.values);
    m->traces = (struct gle_traces){.values = NULL};
}

bool gle_metrics_has_top5(const struct gle_metrics *m)
{
    enum { MANY = 10 };

    return m->n_classes > MANY;
}

double gle_metrics_nrmse(const struct gle_metrics *m, enum gle_split split, double mse)
{
    return sqrt(mse / m->variance[split]);
}

int gle_metrics_evaluate(struct gle_metrics *m, const struct gle_evaluated *evaluated, struct gle_error *err)
{
    struct gle_evaluated *longer = gle_resize(m->evaluations, m->n_evaluations + 1, sizeof *longer);

    if (!longer)
        return gle_fail(err, GLE_ENOMEM, "no memory for the evaluations");
    m->evaluations = longer;
    longer[m->n_evaluations++] = *evaluated;
    return 0;
}

const struct gle_evaluated *gle_metrics_final_test(const struct gle_metrics *m, const struct gle_experiment *exp)
{
    const struct gle_evaluated *last = m->n_evaluations ? &m->evaluations[m->n_evaluations - 1] : NULL;

    return last && last->step == exp->n_steps ? last : NULL;
}

bool gle_metrics_has_matrix(const struct gle_metrics *m)
{
    if (!m->confusion || m->n_epochs)
        return m->confusion && m->epochs[m->n_epochs - 1].score[m->confusion_split].measured;
    for (size_t i = 0; m->n_evaluations && i < m->n_classes * m->n_classes; i++)
        if (m->confusion[i])
            return true;
    return false;
}

bool gle_metrics_complete(const struct gle_metrics *m, const struct gle_experiment *exp)
{
    return exp->phases ? m->n_phases == exp->n_phases : m->n_epochs > m->last_epoch;
}

bool gle_metrics_stopped_early(const struct gle_metrics *m, const struct gle_experiment *exp)
{
    return exp->stop.metric && m->last_epoch < exp->epochs && gle_metrics_complete(m, exp);
}

const char *gle_metrics_stopped_by(const struct gle_experiment *exp)
{
    return exp->stop.metric->row.name;
}

uint64_t gle_metrics_improved_last(const struct gle_metrics *m, const struct gle_experiment *exp)
{
    return m->last_epoch - exp->stop.patience;
}

void gle_metrics_clear(struct gle_metrics *m)
{
    for (size_t i = 0; i < m->n_diagnostics; i++)
        gle_free(m->diagnostics[i].of);
    gle_free(m->diagnostics);
    gle_free(m->traces.values);
    gle_free(m->best_weights);
    for (int s = 0; s < GLE_SPLITS; s++)
        gle_free(m->predictions[s].values);
    gle_free(m->evaluations);
    gle_free(m->phases);
    gle_free(m->epochs);
    gle_free(m->confusion);
    *m = (struct gle_metrics){0};
}

const char *gle_status_name(enum gle_status status)
{
    static const char *const names[] = {"running", "completed", "interrupted", "diverged"};
    return names[status];
}
