#include "parts/schedule.h"
#include "yaml/key.h"

#include <math.h>

static const struct gle_metric_row metrics[] = {
    {{.name = "train_loss", .help = "mean loss over the epoch's training steps"},
     GLE_METRIC_TRAIN, GLE_QUALITY_LOSS},
    {{.name = "validation_loss", .help = "loss on the validation set"},
     GLE_METRIC_VALIDATION, GLE_QUALITY_LOSS},
    {{.name = "test_loss", .help = "loss on the test set (as published; it then is no unseen set)"},
     GLE_METRIC_TEST, GLE_QUALITY_LOSS},
    {{.name = "train_accuracy", .help = "fraction of answers that are right, over the epoch's training steps"},
     GLE_METRIC_TRAIN, GLE_QUALITY_ACCURACY},
    {{.name = "validation_accuracy", .help = "fraction of answers that are right, of the validation set"},
     GLE_METRIC_VALIDATION, GLE_QUALITY_ACCURACY},
    {{.name = "test_accuracy", .help = "fraction of answers that are right, of the test set"},
     GLE_METRIC_TEST, GLE_QUALITY_ACCURACY},
    {{.name = "train_nrmse", .help = "normalised error of a regression, over the epoch's training steps"},
     GLE_METRIC_TRAIN, GLE_QUALITY_NRMSE},
    {{.name = "validation_nrmse", .help = "normalised error of a regression, of the validation set"},
     GLE_METRIC_VALIDATION, GLE_QUALITY_NRMSE},
    {{.name = "test_nrmse", .help = "normalised error of a regression, of the test set"},
     GLE_METRIC_TEST, GLE_QUALITY_NRMSE},
    {{.name = "train_after_loss", .help = "loss on the training set after the epoch (training.evaluate.train)"},
     GLE_METRIC_TRAIN_AFTER, GLE_QUALITY_LOSS},
    {{.name = "train_after_accuracy",
      .help = "fraction of answers that are right, of the training set after the epoch"},
     GLE_METRIC_TRAIN_AFTER, GLE_QUALITY_ACCURACY},
    {{.name = "train_after_nrmse", .help = "normalised error of a regression, of the training set after the epoch"},
     GLE_METRIC_TRAIN_AFTER, GLE_QUALITY_NRMSE},
    {{.name = NULL}, GLE_METRIC_TRAIN, GLE_QUALITY_LOSS},
};
const struct gle_table gle_metric_table = {"metric", metrics, sizeof *metrics};

static const struct gle_metric_row *no_metric(const void *params)
{
    (void)params;
    return NULL;
}

static void next_constant(struct gle_schedule_state *s, const void *params, uint64_t epoch, double value)
{
    (void)s;
    (void)params;
    (void)epoch;
    (void)value;
}

/* The first key of every row. */
#define WARMUP(S)                                                                                                    \
    {.name = "warmup", .kind = GLE_KEY_KIND_COUNT, .offset = offsetof(S, common.warmup), .low = 0, .high = 1e9,       \
     .fallback = "0", .unit = "epochs",                                                                               \
     .help = "number of epochs in front of the schedule, in which the learning rate rises in equal steps to that "    \
             "with which the schedule begins"}

struct constant_params {
    struct gle_schedule_params common;
};

static const struct gle_key constant_keys[] = {
    WARMUP(struct constant_params),
    GLE_KEY_END,
};

struct step_params {
    struct gle_schedule_params common;
    uint64_t every;
    double factor;
};

static const struct gle_key step_keys[] = {
    WARMUP(struct step_params),
    GLE_KEY_COUNT(struct step_params, every, "30", 1, 1e9, "epochs", "number of epochs between two changes"),
    GLE_KEY_REAL(struct step_params, factor, "0.1", 0.0, 1.0, "", "factor by which the learning rate is multiplied"),
    GLE_KEY_END,
};

/* As torch.optim.lr_scheduler.StepLR. */
static void next_step(struct gle_schedule_state *s, const void *params, uint64_t epoch, double value)
{
    const struct step_params *p = params;

    (void)value;
    s->lr = s->base * pow(p->factor, (double)(epoch / p->every));
}

struct plateau_params {
    struct gle_schedule_params common;
    const struct gle_row *metric;
    double factor, threshold, min_lr, eps;
    uint64_t patience;
};

static const struct gle_key plateau_keys[] = {
    WARMUP(struct plateau_params),
    GLE_KEY_NAME(struct plateau_params, metric, "validation_loss", &gle_metric_table, "what is watched"),
    GLE_KEY_REAL(struct plateau_params, factor, "0.1", 0.0, 1.0, "", "factor by which the learning rate is multiplied"),
    GLE_KEY_COUNT(struct plateau_params, patience, "10", 0, 1e9, "epochs",
                  "number of epochs without improvement that are accepted"),
    GLE_KEY_REAL(struct plateau_params, threshold, "1e-4", 0.0, 1.0, "",
                 "smallest relative change of it, a fall or, of accuracies, a rise, that counts as an improvement"),
    GLE_KEY_REAL(struct plateau_params, min_lr, "0", 0.0, 1e6, "1/step", "lowest learning rate"),
    GLE_KEY_REAL(struct plateau_params, eps, "1e-8", 0.0, 1.0, "1/step",
                 "smallest change of the learning rate that is made"),
    GLE_KEY_END,
};

static const struct gle_metric_row *metric_plateau(const void *params)
{
    return (const struct gle_metric_row *)((const struct plateau_params *)params)->metric;
}

static bool improves(const struct plateau_params *p, double best, double value)
{
    if (((const struct gle_metric_row *)p->metric)->quality != GLE_QUALITY_ACCURACY)
        return value < best * (1.0 - p->threshold);
    return isinf(best) ? !isnan(value) : value > best * (1.0 + p->threshold);
}

/* As torch.optim.lr_scheduler.ReduceLROnPlateau, mode min, or max for accuracies, relative threshold, no cooldown. */
static void next_plateau(struct gle_schedule_state *s, const void *params, uint64_t epoch, double value)
{
    const struct plateau_params *p = params;

    (void)epoch;
    if (improves(p, s->best, value)) {
        s->best = value;
        s->bad = 0;
    } else {
        s->bad++;
    }
    if (s->bad > p->patience) {
        const double lr = fmax(s->lr * p->factor, p->min_lr);
        if (s->lr - lr > p->eps)
            s->lr = lr;
        s->bad = 0;
    }
}

struct cosine_params {
    struct gle_schedule_params common;
    uint64_t period;
    double min_lr;
};

static const struct gle_key cosine_keys[] = {
    WARMUP(struct cosine_params),
    GLE_KEY_COUNT(struct cosine_params, period, NULL, 1, 1e9, "epochs",
                  "number of epochs from the first learning rate to min_lr"),
    GLE_KEY_REAL(struct cosine_params, min_lr, "0", 0.0, 1e6, "1/step",
                 "learning rate at the end of the period, and from then on"),
    GLE_KEY_END,
};

/* Half a cosine from base to min_lr, where it stays (Loshchilov & Hutter, arXiv:1608.03983, without restarts). */
static void next_cosine(struct gle_schedule_state *s, const void *params, uint64_t epoch, double value)
{
    const struct cosine_params *p = params;
    const double pi = 3.14159265358979323846;
    const double x = epoch < p->period ? (double)epoch / (double)p->period : 1.0;

    (void)value;
    s->lr = p->min_lr + (s->base - p->min_lr) * 0.5 * (1.0 + cos(pi * x));
}

/* Of epoch `epoch` of the warm-up. */
static double rising(const struct gle_schedule_params *p, double base, uint64_t epoch)
{
    return base * (double)epoch / (double)(p->warmup + 1);
}

struct gle_schedule_state gle_schedule_start(const void *params, double lr)
{
    const struct gle_schedule_params *p = params;

    return (struct gle_schedule_state){.lr = p->warmup ? rising(p, lr, 1) : lr, .base = lr, .best = (double)INFINITY};
}

void gle_schedule_next(const struct gle_schedule *schedule, struct gle_schedule_state *state, const void *params,
                       uint64_t epoch, double value)
{
    const struct gle_schedule_params *p = params;

    if (epoch > p->warmup)
        schedule->next(state, params, epoch - p->warmup, value);
    else
        state->lr = epoch < p->warmup ? rising(p, state->base, epoch + 1) : state->base;
}

const struct gle_schedule gle_schedules[] = {
    {{.name = "constant", .help = "the learning rate stays", .keys = constant_keys,
      .params_size = sizeof(struct constant_params)},
     next_constant,
     no_metric},
    {{.name = "step", .help = "the learning rate is multiplied by factor every so many epochs", .keys = step_keys,
      .params_size = sizeof(struct step_params)},
     next_step,
     no_metric},
    {{.name = "plateau",
      .help = "the learning rate is multiplied by factor when a loss stops falling, or an accuracy rising, as torch's "
              "ReduceLROnPlateau",
      .keys = plateau_keys, .params_size = sizeof(struct plateau_params)},
     next_plateau,
     metric_plateau},
    {{.name = "cosine", .help = "half a cosine from the learning rate to min_lr", .keys = cosine_keys,
      .params_size = sizeof(struct cosine_params)},
     next_cosine,
     no_metric},
    {{.name = NULL}, NULL, NULL},
};
const struct gle_table gle_schedule_table = {"schedule", gle_schedules, sizeof *gle_schedules};
