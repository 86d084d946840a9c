#include "train/metrics.h"
#include "base/memory.h"

int gle_metrics_init(struct gle_metrics *m, size_t max_epochs, const struct gle_data *data, struct gle_error *err)
{
    *m = (struct gle_metrics){0};
    m->best_split = data->split[GLE_VALIDATION].n ? GLE_VALIDATION : data->split[GLE_TEST].n ? GLE_TEST : GLE_TRAIN;
    m->confusion_split = data->split[GLE_TEST].n ? GLE_TEST : m->best_split;
    m->n_classes = data->labelled ? data->n_targets : 0;
    m->epochs = gle_calloc(max_epochs + 1, sizeof *m->epochs);
    if (m->n_classes)
        m->confusion = gle_calloc(m->n_classes * m->n_classes, sizeof *m->confusion);
    if (!m->epochs || (m->n_classes && !m->confusion)) {
        gle_metrics_clear(m);
        return gle_fail(err, GLE_ENOMEM, "no memory for the metrics");
    }
    return 0;
}

void gle_metrics_clear(struct gle_metrics *m)
{
    gle_free(m->epochs);
    gle_free(m->confusion);
    *m = (struct gle_metrics){0};
}

const char *gle_status_name(enum gle_status status)
{
    static const char *const names[] = {"running", "completed", "interrupted", "diverged"};
    return names[status];
}
