#include "cli/outcome.h"
#include "cli/progress.h"
#include "cli/trouble.h"

#include <math.h>
#include <stdbool.h>

/* A loss that is so many times that of the untrained network is worth a word. */
static const double FAR_ABOVE = 10.0;

static void print_closed(FILE *out, const struct gle_experiment *exp, const struct gle_closed *c)
{
    if (!exp->closed.n_steps)
        return;
    if (isnan(c->smape))
        fprintf(out, ", closed loop diverged");
    else
        fprintf(out, ", closed loop sMAPE %.3g %%, NRMSE %.4g", c->smape, c->nrmse);
}

void gle_outcome_print(FILE *out, const struct gle_report *report, const struct gle_metrics *m, double seconds)
{
    const struct gle_experiment *exp = report->exp;
    const struct gle_epoch *last = m->n_epochs ? &m->epochs[m->n_epochs - 1] : NULL;
    const struct gle_evaluated *tested = gle_metrics_final_test(m, exp);
    char spent[32];

    gle_format_duration(spent, sizeof spent, seconds);
    fprintf(out, "%s/metrics.json: %s", report->dir, gle_status_name(m->status));
    if (gle_metrics_stopped_early(m, exp))
        fprintf(out, ", stopped early by %s", gle_metrics_stopped_by(exp));
    if (last && last->score[m->confusion_split].measured) {
        const struct gle_score *score = &last->score[m->confusion_split];
        const char *set = gle_split_names[m->confusion_split];
        fprintf(out, " after epoch %llu, %s loss %.4g", (unsigned long long)last->epoch, set, score->loss);
        if (m->n_classes)
            fprintf(out, ", %s accuracy %.1f %%", set, 100.0 * score->accuracy);
        if (!isnan(score->nrmse))
            fprintf(out, ", %s NRMSE %.4g", set, score->nrmse);
        if (m->confusion_split == GLE_TEST)
            print_closed(out, exp, &score->closed);
    }
    if (m->n_phases) {
        uint64_t steps = 0;
        for (size_t i = 0; i < m->n_phases; i++)
            steps += m->phases[i].steps;
        fprintf(out, " after %g time units", (double)steps * exp->dt);
        if (!isnan(m->phases[m->n_phases - 1].last_loss)) /* some had a target */
            fprintf(out, ", loss %.4g in the last %llu steps", m->phases[m->n_phases - 1].last_loss,
                   (unsigned long long)m->phases[m->n_phases - 1].last_steps);
    }
    if (tested) {
        fprintf(out, ", test loss %.4g", tested->loss);
        if (m->n_classes)
            fprintf(out, ", test accuracy %.1f %%", 100.0 * tested->accuracy);
        if (!isnan(tested->nrmse))
            fprintf(out, ", test NRMSE %.4g", tested->nrmse);
        print_closed(out, exp, &tested->closed);
    }
    fprintf(out, ", %s\n", spent);
}

/* The loss of the untrained network, or what comes next to it, and that at the end; false: nobody can tell. */
static bool first_and_last(double *first, double *last, const char **of, const struct gle_metrics *m)
{
    if (m->n_phases > 1) {
        *of = "first phase";
        *first = m->phases[0].loss;
        *last = m->phases[m->n_phases - 1].last_loss;
        return true;
    }
    if (m->n_epochs < 2 || !m->epochs[m->n_epochs - 1].score[GLE_TRAIN].measured)
        return false;
    *of = "first epoch";
    *first = m->epochs[1].score[GLE_TRAIN].loss;
    *last = m->epochs[m->n_epochs - 1].score[GLE_TRAIN].loss;
    for (int s = 0; s < GLE_SPLITS; s++)
        if (m->epochs[0].score[s].measured) {
            *of = "untrained network";
            *first = m->epochs[0].score[s].loss;
        }
    return true;
}

void gle_outcome_warn(FILE *to, const struct gle_report *report, const struct gle_metrics *m, const struct gle_net *net)
{
    double first, last;
    const char *of;

    if (m->status == GLE_COMPLETED && first_and_last(&first, &last, &of, m) && last > FAR_ABOVE * first)
        fprintf(to, "glesim: %s: the training loss is %.4g at the end, far above the %.4g of the %s; a smaller "
                    "learning rate may help\n", report->dir, last, first, of);
    gle_trouble_note_learned(to, report->dir, net);
}
