/* Early stopping: whether an epoch is the run's last one, by a metric that does not improve any more. As Keras and
 * PyTorch Lightning have it (EarlyStopping with monitor, patience, min_delta), by their documentation. */
#include "train/run.h"

#include <math.h>

const struct gle_patience gle_patience_start = {.best = (double)INFINITY};

/* NaN is no improvement. */
static bool improves(const struct gle_stop_cfg *stop, double best, double value)
{
    if (stop->metric->quality != GLE_QUALITY_ACCURACY)
        return value < best - stop->min_delta;
    return isinf(best) ? !isnan(value) : value > best + stop->min_delta;
}

/* Counts an epoch. The run's last one by the config ends it anyway. */
static void count(struct gle_run *run, const struct gle_epoch *epoch, uint64_t number)
{
    const struct gle_stop_cfg *stop = &run->exp->stop;
    const double value = gle_metrics_value(epoch, stop->metric);

    if (improves(stop, run->patience.best, value))
        run->patience = (struct gle_patience){.best = value};
    else if (++run->patience.bad >= stop->patience && number < run->metrics->last_epoch)
        run->metrics->last_epoch = number;
}

/* Whether the score of the watched set is there, of an epoch that counts. */
static bool is_measured(const struct gle_run *run, const struct gle_epoch *epoch, uint64_t number)
{
    return number && epoch->score[run->exp->stop.metric->set].measured;
}

bool gle_run_stops_early(struct gle_run *run, enum gle_split scored)
{
    const uint64_t before = run->metrics->last_epoch;

    if (!run->exp->stop.metric || (int)scored != (int)run->exp->stop.metric->set ||
        !is_measured(run, &run->scores.epoch, run->at.stage))
        return false;
    count(run, &run->scores.epoch, run->at.stage);
    return run->metrics->last_epoch < before;
}

void gle_run_recount_patience(struct gle_run *run)
{
    const struct gle_metrics *m = run->metrics;

    if (!run->exp->stop.metric)
        return;
    for (size_t i = 1; i < m->n_epochs; i++)
        count(run, &m->epochs[i], i);
    if (is_measured(run, &run->scores.epoch, run->at.stage))
        count(run, &run->scores.epoch, run->at.stage);
    run->spent.total_work = gle_run_total_by_epochs(run);
}
