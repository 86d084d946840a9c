/* Runs that are stopped, saved, and gone on with: to the bits that they would have had. */
#include "../support/folder.h"
#include "../support/stored.h"
#include "../support/tiny.h"
#include "../support/trial.h"
#include "base/archive.h"
#include "base/memory.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { YAML_BYTES = 4096 };

static const char *const layers =
    "{name: a, neurons: {tau_m: [1.0, 0.5, 2.0, 0.8], tau_r: [0.4, 0.5, 0.1, 0.9]}, activation: tanh}, "
    "{name: b, reset: batch, gamma: 0.1, neurons: {count: 3, tau_m: 0.7, tau_r: 0.5}, activation: sigmoid, "
    "noise: {input: {std: 0.1, tau: 0.5}, membrane: {std: 0.1, tau: 0.3, when: test}, rate: 0.05}, "
    "mismatch: {tau_m: 0.2, error_tau_r: 0.3}, quantize: {weight: {bits: 4, range: 0.7}}}, "
    "{name: c, neurons: {tau_m: [1.0, 0.6], tau_r: [0.5, 1.0]}}";
static const char *const deep = "{name: a, neurons: {count: 5, tau_m: 1.0, tau_r: 0.4}, activation: tanh}, "
                                "{name: c, neurons: {count: 2, tau_m: 1.0, tau_r: 0.5}}";
static const char *const xor7 = "{type: xor, present: 0.7, repeat: 3, noise: 0.3}"; /* samples of seven steps */
static const char *const delayed = /* nine steps, no target in the first seven */
    "{type: delayed_xor, pulse: 0.2, pause: 0.3, answer: 0.2, samples: 8, test_samples: 4}";
static const char *const noise = "{type: ornstein_uhlenbeck, tau: 1.0, sequences: 3, channels: 2}";
static const char *const sines = "{type: sines, omega: [1.0, 3.0]}";
static const char *const teacher = "teacher: {a: {weight: 0.7, tau_m: 1.5}}\n";

struct kind {
    const char *layers, *learning, *training, *sections; /* after a word that says which data these are */
};

/* What can be different from one run to another. */
static struct kind kinds[] = {
    {NULL, "loss: cross_entropy", "epochs: 2, batch_size: 5", ""},
    {NULL, "loss: mse, rule: bp, optimizer: {type: sgd, lr: 0.1, momentum: 0.9}",
     "epochs: 2, batch_size: 5, test_batch_size: 3, validation: 0.4", ""},
    {NULL, "loss: cross_entropy, schedule: {type: plateau, metric: train_loss, patience: 0, threshold: 0.5, warmup: 1}",
     "epochs: 3, batch_size: 3, state: reset, test: end", ""},
    {NULL, "loss: mse, rule: bptt, window: 0.3, plastic: [weight, tau_m, tau_r]", "epochs: 2, batch_size: 4",
     "diagnose: {window: 0.6, every: 6}\n"},
    {NULL, "loss: cross_entropy", "epochs: 2, batch_size: 5", "diagnose: {window: 0.4, every: 5}\n"},
    {NULL, "loss: cross_entropy", "phases: [{duration: 2.0}, {duration: 1.0, learn: false}, {duration: 1.3}]",
     ""},
    {NULL, "loss: mse, plastic: [weight, bias, tau_m, tau_r]",
     "phases: [{duration: 1.2, set: {a.weight: 0.3, c.tau_m: 2.0, b.tau_r: 0.6}}, {duration: 1.1, learn: false}, "
     "{duration: 1.6}, {duration: 0.5, set: {a.weight: {init: normal, std: 0.2}}}]", "TEACHER"},
    {"DEEP", "loss: mse, rule: adjoint, window: 0.5, plastic: [weight, bias, tau_m, tau_r]",
     "phases: [{duration: 1.7}, {duration: 1.4}]", "TEACHER"},
    {NULL, "loss: mse, rule: bptt, window: 0.5, plastic: [weight, bias, tau_m, tau_r]",
     "phases: [{duration: 1.7}, {duration: 1.4}]", "TEACHERdiagnose: {window: 1.0, every: 10}\n"},
    {NULL, "loss: cross_entropy, update: {every: 5}, clip: 0.1", "epochs: 2, batch_size: 5", ""},
    {NULL, "loss: mse, plastic: [weight, bias, tau_m], update: {every: 4}, clip: 0.05",
     "phases: [{duration: 1.1, set: {a.weight: 0.3, c.tau_m: 2.0}}, {duration: 0.5, learn: false}, {duration: 1.3}]",
     "TEACHER"},
    {NULL, "loss: cross_entropy", /* epoch 2 is the last; the test set is seen after it alone */
     "epochs: 9, batch_size: 5, validation: 0.4, stop: {metric: validation_loss, patience: 1, min_delta: 9}", ""},
    {NULL, "loss: cross_entropy", "epochs: 9, batch_size: 5, stop: {metric: train_accuracy, patience: 1, min_delta: 1}",
     ""},
    {NULL, "loss: cross_entropy", /* the last epoch is known before the validation set is seen */
     "epochs: 9, batch_size: 5, validation: 0.4, evaluate: {train: all}, "
     "stop: {metric: train_after_loss, patience: 1, min_delta: 9}", ""},
    {NULL, "loss: mse, rule: bptt, window: 0.4", "epochs: 2, batch_size: 5, test_batch_size: 3, validation: 0.4, "
     "test: end, best: train_after_accuracy, evaluate: {train: {type: first, samples: 4}}", ""},
    {NULL, "loss: cross_entropy, rule: bptt, window: 0.4", "epochs: 2, batch_size: 3",
     "DELAYEDdiagnose: {window: 0.4, every: 4}\n"},
    {NULL, "loss: cross_entropy", "batch_size: 3, phases: [{duration: 0.6}, {duration: 1.7}, {duration: 0.5}]",
     "DELAYED"},
    {NULL, "loss: cross_entropy",
     "batch_size: 3, test_batch_size: 4, evaluate: {every: 0.5}, "
     "phases: [{duration: 1.6, set: {a.weight: 0.3}}, {duration: 1.2}]", ""},
    {NULL, "loss: mse, rule: bptt, window: 0.4",
     "batch_size: 3, test_batch_size: 2, evaluate: {every: 0.7}, state: reset, "
     "phases: [{duration: 1.6}, {duration: 1.2}]", ""},
    {NULL, "loss: cross_entropy", "batch_size: 3, test_batch_size: 3, evaluate: {every: 0.4}, "
     "phases: [{duration: 1.6}, {duration: 0.8}]", "DELAYED"},
};
enum { KINDS = sizeof kinds / sizeof *kinds, SIGNALS = 6, EVALUATED = KINDS - 3 };

static const char *config(size_t kind, const char *signal)
{
    static char yaml[YAML_BYTES];
    const struct kind *k = &kinds[kind];
    const bool has_teacher = !strncmp(k->sections, "TEACHER", 7), is_delayed = !strncmp(k->sections, "DELAYED", 7);
    const int n = snprintf(yaml, sizeof yaml,
                           "glesim: 1\nname: tiny\ndt: 0.1\nseed: 5\ndataset: %s\n"
                           "network: {input: %d, integration: %s, layers: [%s]}\nlearning: {%s}\ntraining: {%s}\n"
                           "record: {every: 1}\n%s%s\n",
                           has_teacher ? signal : is_delayed ? delayed : xor7,
                           signal == sines || is_delayed ? 1 : 2, kind % 2 ? "exponential" : "euler",
                           k->layers ? deep : layers, k->learning, k->training, has_teacher ? teacher : "",
                           has_teacher || is_delayed ? k->sections + 7 : k->sections);

    assert_in_range(n, 1, YAML_BYTES - 1);
    return yaml;
}

/* A process's part of a run. */
enum { TOLD = 256 };
struct part {
    uint64_t stop_after; /* this step; UINT64_MAX: never */
    volatile sig_atomic_t stop;
    size_t stop_in;      /* this evaluation, or measurement of the training set, counted from 1; 0: none */
    uint64_t steps;      /* of the run, so far */
    size_t evaluated;
    const char *path;
    size_t saved;
    size_t stop_at;      /* this pause, of whatever kind, counted from 1, which alone is saved; 0: none */
    size_t pauses[3];    /* so far, of each kind */
    double told[TOLD]; /* losses that progress told */
    size_t n_told;
};

static int on_moment(void *ctx, const struct gle_moment *m, struct gle_error *err)
{
    struct part *p = ctx;

    (void)err;
    p->steps = m->step + 1;
    p->stop = m->step >= p->stop_after;
    return 0;
}

static void on_evaluated(void *ctx, const struct gle_metrics *m)
{
    struct part *p = ctx;

    p->evaluated = m->n_evaluations;
}

static void on_progress(void *ctx, const struct gle_progress *progress)
{
    struct part *p = ctx;

    if (progress->by_phases && progress->split == GLE_TEST && p->stop_in == p->evaluated + 1)
        p->stop = 1;
    if (progress->split == GLE_TRAIN_AFTER && p->stop_in == progress->stage + 1)
        p->stop = 1;
    assert_in_range(p->n_told, 0, TOLD - 1);
    p->told[p->n_told++] = progress->loss;
}

static int save(void *ctx, struct gle_run *run, enum gle_pause when, struct gle_error *err)
{
    struct part *p = ctx;
    struct gle_archive *a;
    int rc;

    p->pauses[when]++;
    if (p->stop_at) {
        if (p->pauses[GLE_PAUSE_STEP] + p->pauses[GLE_PAUSE_STAGE] + p->pauses[GLE_PAUSE_STOP] != p->stop_at)
            return 0;
        p->stop = 1;
    } else if (when != GLE_PAUSE_STOP) {
        return 0;
    }
    p->saved++;
    if (gle_archive_create(&a, err))
        return -1;
    rc = gle_run_archive(run, a, err) || gle_archive_write(a, p->path, err) ? -1 : 0;
    gle_archive_destroy(a);
    return rc;
}

static int load(void *ctx, struct gle_run *run, struct gle_error *err)
{
    struct gle_archive *a;
    int rc;

    if (gle_archive_open(&a, ((struct part *)ctx)->path, err))
        return -1;
    rc = gle_run_archive(run, a, err) || gle_archive_end(a, err) ? -1 : 0;
    gle_archive_destroy(a);
    return rc;
}

static struct trial run_part(struct part *p, const char *yaml, size_t threads, bool resumed)
{
    const struct gle_observer observer = {
        .ctx = p, .moment = on_moment, .evaluated = on_evaluated, .progress = on_progress, .pause = save,
        .resume = resumed ? load : NULL};
    struct trial t = trial_open(yaml, threads);

    trial_run(&t, &observer, &p->stop);
    return t;
}

static bool same_number(double a, double b)
{
    return a == b || (isnan(a) && isnan(b));
}

static bool same_closed(const struct gle_closed *a, const struct gle_closed *b)
{
    return same_number(a->smape, b->smape) && same_number(a->nrmse, b->nrmse) &&
           same_number(a->open_smape, b->open_smape) && same_number(a->open_nrmse, b->open_nrmse);
}

static bool same_score(const struct gle_score *a, const struct gle_score *b)
{
    return a->measured == b->measured && !memcmp(&a->loss, &b->loss, sizeof a->loss) &&
           !memcmp(&a->accuracy, &b->accuracy, sizeof a->accuracy) &&
           (!a->measured || (same_number(a->top5, b->top5) && same_number(a->nrmse, b->nrmse) &&
                            same_closed(&a->closed, &b->closed)));
}

static bool same_metrics(const struct trial *x, const struct trial *y)
{
    const struct gle_metrics *a = &x->m, *b = &y->m;
    const size_t each = x->b.graph->n_parameters, n_classes = a->n_classes;
    bool same = !memcmp(&a->clipping, &b->clipping, sizeof a->clipping) && a->n_epochs == b->n_epochs &&
                a->n_phases == b->n_phases && a->n_diagnostics == b->n_diagnostics &&
                a->n_evaluations == b->n_evaluations &&
                a->best == b->best && a->confusion_split == b->confusion_split && a->train_steps == b->train_steps &&
                a->eval_steps == b->eval_steps && a->train_flops == b->train_flops && a->eval_flops == b->eval_flops &&
                a->status == b->status;

    for (size_t i = 0; same && i < a->n_epochs; i++) {
        same = a->epochs[i].epoch == b->epochs[i].epoch && a->epochs[i].lr == b->epochs[i].lr &&
               !memcmp(&a->epochs[i].clipping, &b->epochs[i].clipping, sizeof a->clipping);
        for (int s = 0; s < GLE_SCORES; s++)
            same = same && same_score(&a->epochs[i].score[s], &b->epochs[i].score[s]);
    }
    for (size_t i = 0; same && i < a->n_phases; i++)
        same = a->phases[i].steps == b->phases[i].steps &&
               !memcmp(&a->phases[i].clipping, &b->phases[i].clipping, sizeof a->clipping) &&
               !memcmp(&a->phases[i].loss, &b->phases[i].loss, sizeof(double)) &&
               !memcmp(&a->phases[i].last_loss, &b->phases[i].last_loss, sizeof(double)) &&
               !memcmp(&a->phases[i].accuracy, &b->phases[i].accuracy, sizeof(double)) &&
               same_number(a->phases[i].top5, b->phases[i].top5) &&
               same_number(a->phases[i].nrmse, b->phases[i].nrmse);
    for (size_t i = 0; same && i < a->n_evaluations; i++)
        same = a->evaluations[i].step == b->evaluations[i].step && a->evaluations[i].loss == b->evaluations[i].loss &&
               same_number(a->evaluations[i].accuracy, b->evaluations[i].accuracy) &&
               same_number(a->evaluations[i].top5, b->evaluations[i].top5) &&
               same_number(a->evaluations[i].nrmse, b->evaluations[i].nrmse) &&
               same_closed(&a->evaluations[i].closed, &b->evaluations[i].closed);
    for (size_t i = 0; same && i < a->n_diagnostics; i++)
        same = a->diagnostics[i].step == b->diagnostics[i].step &&
               !memcmp(a->diagnostics[i].of, b->diagnostics[i].of, each * sizeof *a->diagnostics[i].of);
    for (int s = 0; same && s < GLE_SPLITS; s++) {
        const struct gle_predictions *p = &a->predictions[s], *q = &b->predictions[s];
        same = p->n == q->n && p->there == q->there && (!p->n || !memcmp(p->values, q->values, p->n * sizeof(float)));
    }
    same = same && (a->traces.values != NULL) == (b->traces.values != NULL) &&
           (!a->traces.values ||
            !memcmp(a->traces.values, b->traces.values,
                    3 * a->traces.n * a->traces.n_steps * a->traces.n_outputs * sizeof(float)));
    return same && (!a->confusion || !memcmp(a->confusion, b->confusion, n_classes * n_classes * sizeof *a->confusion));
}

/* Times that a run has taken so far, of all its processes. */
enum { TIMES = 5 };
static void get_times(double times[TIMES], const struct gle_metrics *m)
{
    times[0] = m->train_seconds;
    times[1] = m->eval_seconds;
    times[2] = m->waited_seconds;
    times[3] = times[4] = 0.0;
    for (size_t i = 0; i < m->n_epochs; i++)
        times[3] += m->epochs[i].seconds;
    for (size_t i = 0; i < m->n_phases; i++)
        times[4] += m->phases[i].seconds;
}

static void temporary(char path[32])
{
    snprintf(path, 32, "/tmp/glesim_resume_XXXXXX");
    close(mkstemp(path));
}

/* Runs of other data: of several answers a sample, more than ten classes, target values whose squared errors the net
 * sums. */
static const char *const others[] = {
    "glesim: 1\nname: many\ndt: 0.5\nseed: 5\n"
    "dataset: {type: copy, symbols: 12, length: 2, item: 1, delay: 0, samples: 6, test_samples: 4}\n"
    "network: {input: 13, layers: [{name: b, neurons: {count: 12, tau_m: 0.7, tau_r: 0.5}}]}\n"
    "learning: {loss: cross_entropy}\n"
    "training: {epochs: 1, batch_size: 3, decide: last, evaluate: {predictions: true}}\nrecord: {every: 1}\n",
    "glesim: 1\nname: many\ndt: 0.5\nseed: 5\n"
    "dataset: {type: copy, symbols: 12, length: 2, item: 1, delay: 0, samples: 6, test_samples: 4}\n"
    "network: {input: 13, layers: [{name: b, neurons: {count: 12, tau_m: 0.7, tau_r: 0.5}}]}\n"
    "learning: {loss: cross_entropy}\n"
    "training: {batch_size: 2, evaluate: {every: 6, predictions: true}, phases: [{duration: 7}, {duration: 3.5}]}\n"
    "record: {every: 1}\n",
    "glesim: 1\nname: huber\ndt: 0.5\nseed: 5\n"
    "dataset: {type: mackey_glass, train: 24, test: 12, length: 4, washout: 1, discard: 10}\n"
    "network: {input: 1, layers: [{name: b, neurons: {count: 1, tau_m: 0.7, tau_r: 0.5}}]}\n"
    "learning: {loss: {type: huber, delta: 0.3}}\n"
    "training: {epochs: 1, batch_size: 4, evaluate: {predictions: true, closed_loop: {after: 2, for: 2}}}\n"
    "record: {every: 1}\n",
    "glesim: 1\nname: huber\ndt: 0.5\nseed: 5\n"
    "dataset: {type: mackey_glass, train: 24, test: 12, length: 4, washout: 1, discard: 10}\n"
    "network: {input: 1, layers: [{name: b, neurons: {count: 1, tau_m: 0.7, tau_r: 0.5}}]}\n"
    "learning: {loss: log_cosh}\n"
    "training: {batch_size: 2, evaluate: {every: 5, closed_loop: {after: 1, for: 3, horizon: 1}}, "
    "phases: [{duration: 7}, {duration: 3.5}]}\n"
    "record: {every: 1}\n",
};

/* Neither a validation nor a test set: what is stopped in the last epoch has no pass before it. */
static const char *const alone = "glesim: 1\nname: alone\ndt: 0.1\nseed: 5\n"
                                 "dataset: {type: yinyang, train: 12, test: 0, present: 0.4}\n"
                                 "network: {input: 4, layers: [{name: b, neurons: {count: 3, tau_m: 0.7, tau_r: 0.5}, "
                                 "noise: {rate: 0.1}}]}\nlearning: {loss: cross_entropy}\n"
                                 "training: {epochs: 2, batch_size: 5, evaluate: {train: all}}\nrecord: {every: 1}\n";

/* Stops after every step of a run in turn. */
static void check_every_step(const char *text)
{
    char path[32], yaml[YAML_BYTES];
    struct part all = {.stop_after = UINT64_MAX};
    struct trial whole;

    snprintf(yaml, sizeof yaml, "%s", text);
    temporary(path);
    whole = run_part(&all, yaml, 1, false);
    assert_int_equal(whole.rc, 0);
    assert_in_range(all.steps, 20, 2000);
    assert_true(all.n_told > 0);
    for (uint64_t step = 0; step + 1 < all.steps; step++) {
        struct part first = {.stop_after = step, .path = path}, rest = {.stop_after = UINT64_MAX, .path = path};
        struct trial t = run_part(&first, yaml, 2, false);
        assert_int_equal(t.m.status, GLE_INTERRUPTED);
        assert_int_equal(first.saved, 1);
        trial_close(&t);
        t = run_part(&rest, yaml, 1 + step % 3, true);
        if (t.rc)
            fail_msg("after step %llu: %s: %s", (unsigned long long)step, t.err.path, t.err.text);
        assert_int_equal(first.n_told + rest.n_told, all.n_told);
        assert_memory_equal(rest.told, all.told + first.n_told, rest.n_told * sizeof *rest.told);
        if (!same_params(&whole.b, &t.b) || !same_metrics(&whole, &t))
            fail_msg("stopped after step %llu of %llu, the run ends otherwise:\n%s", (unsigned long long)step,
                     (unsigned long long)all.steps, yaml);
        trial_close(&t);
    }
    trial_close(&whole);
    unlink(path);
}

/* Sequences of several lengths, which ask for something now and then, or for some of it more than for the rest. */
static void check_sequences(void)
{
    static const double labels[] = {0, 1, 1}, lengths[] = {5, 3, 4};
    static const double masks[2][15] = {{1, 0, 1, 0, 1, 1, 0, 1, 0, 0, 0, 1, 0, 1, 0},
                                        {0.3, 0, 1, 0, 7.7, 0.1, 0, 1, 0, 0, 0, 1.9, 0, 0.6, 0}};
    static const char *const trainings[] = {
        "training: {epochs: 1, batch_size: 2, decide: {type: window, length: 0.2}}\n",
        "training: {batch_size: 2, decide: last, evaluate: {every: 0.7}, "
        "phases: [{duration: 1.4}, {duration: 0.9}]}\n"};
    char path[32], yaml[YAML_BYTES];

    temporary(path);
    for (size_t k = 0; k < 4; k++) {
        const double *mask = masks[k == 0 || k == 3];
        const struct stored arrays[] = {{"x", 3, {3, 5, 1}, NULL},      {"y", 1, {3}, labels},
                                        {"mask", 2, {3, 5}, mask},      {"lengths", 1, {3}, lengths},
                                        {"x_test", 3, {3, 5, 1}, NULL}, {"y_test", 1, {3}, labels},
                                        {"mask_test", 2, {3, 5}, mask}, {"lengths_test", 1, {3}, lengths}, {0}};
        store_at(path, arrays);
        snprintf(yaml, sizeof yaml,
                 "glesim: 1\nname: own\ndt: 0.1\nseed: 5\ndataset: {type: npz, file: %s, upsample: 2}\n"
                 "network: {input: 1, layers: [{name: b, neurons: {count: 2, tau_m: 0.7, tau_r: 0.5}}]}\n"
                 "learning: {loss: cross_entropy%s}\n%srecord: {every: 1}\n",
                 path, k / 2 ? ", rule: bptt, window: 0.3" : "", trainings[k % 2]);
        check_every_step(yaml);
    }
    unlink(path);
}

/* Images that are made as they are shown, by duration: photographs are turned and moved as the draw says. */
static void check_images(void)
{
    static const struct {
        const char *name, *files;
        size_t channels, classes;
    } sets[] = {{"idx", "images: FOLDER/images, labels: FOLDER/labels, test_images: FOLDER/test_images, "
                        "test_labels: FOLDER/test_labels, as: pixels", 1, 3},
                {"cifar10", "path: FOLDER, as: rows, augment: {flip: true, shift: 2}", 96, 10}};
    char folder[FOLDER_SIZE], yaml[YAML_BYTES];

    for (size_t k = 0; k < sizeof sets / sizeof *sets; k++) {
        folder_make(folder);
        tiny_find(sets[k].name)->make(folder);
        snprintf(yaml, sizeof yaml,
                 "glesim: 1\nname: images\ndt: 0.1\nseed: 5\ndataset: {type: %s, %s, present: 0.1}\n"
                 "network: {input: %zu, layers: [{name: b, neurons: {count: %zu, tau_m: 0.7, tau_r: 0.5}}]}\n"
                 "learning: {loss: cross_entropy}\n"
                 "training: {batch_size: 2, evaluate: {every: 0.7}, phases: [{duration: 0.9}, {duration: 1.3}]}\n"
                 "record: {every: 1}\n", sets[k].name, sets[k].files, sets[k].channels, sets[k].classes);
        check_every_step(folder_text(folder, yaml));
        folder_remove(folder);
    }
}

static void a_run_may_be_stopped_after_any_step(void **state)
{
    (void)state;
    for (size_t kind = 0; kind < KINDS; kind++)
        check_every_step(config(kind, noise));
    check_every_step(config(SIGNALS, sines));
    check_every_step(alone);
    for (size_t k = 0; k < sizeof others / sizeof *others; k++)
        check_every_step(others[k]);
    check_sequences();
    check_images();
}

static void a_run_may_be_stopped_after_all_steps(void **state)
{
    (void)state;
    for (size_t kind = 0; kind < KINDS; kind++) {
        char path[32], yaml[YAML_BYTES];
        struct part all = {.stop_after = UINT64_MAX};
        struct trial whole, t = {.m = {.status = GLE_INTERRUPTED}};
        double before[TIMES] = {0}, times[TIMES];

        snprintf(yaml, sizeof yaml, "%s", config(kind, noise));
        temporary(path);
        whole = run_part(&all, yaml, 1, false);
        for (uint64_t step = 0; t.m.status == GLE_INTERRUPTED; step++) {
            struct part one = {.stop_after = step, .path = path};
            if (step)
                trial_close(&t);
            t = run_part(&one, yaml, 1, step > 0);
            assert_int_equal(t.rc, 0);
            if (one.steps || kind < EVALUATED) /* else all that was left was the last evaluation */
                assert_int_equal(one.steps, step + 1);
            get_times(times, &t.m);
            for (size_t i = 0; i < TIMES; i++)
                assert_true(times[i] >= before[i]);
            memcpy(before, times, sizeof before);
        }
        assert_true(before[0] > 0.0 && before[1] + before[4] > 0.0 && before[3] + before[4] > 0.0);
        assert_true(same_params(&whole.b, &t.b));
        assert_true(same_metrics(&whole, &t));
        trial_close(&t);
        trial_close(&whole);
        unlink(path);
    }
}

static void a_run_may_be_stopped_within_any_evaluation(void **state)
{
    (void)state;
    for (size_t kind = EVALUATED; kind < KINDS; kind++) {
        char path[32], yaml[YAML_BYTES];
        struct part all = {.stop_after = UINT64_MAX};
        struct trial whole;

        snprintf(yaml, sizeof yaml, "%s", config(kind, noise));
        temporary(path);
        whole = run_part(&all, yaml, 1, false);
        assert_true(whole.m.n_evaluations >= 5);
        assert_int_equal(all.evaluated, whole.m.n_evaluations);
        for (size_t k = 1; k <= whole.m.n_evaluations; k++) {
            struct part first = {.stop_after = UINT64_MAX, .stop_in = k, .path = path};
            struct part again = {.stop_after = UINT64_MAX, .stop_in = k, .evaluated = k - 1, .path = path};
            struct part rest = {.stop_after = UINT64_MAX, .evaluated = k - 1, .path = path};
            struct trial t = run_part(&first, yaml, 2, false);
            uint64_t confusion[2 * 2];
            assert_int_equal(gle_metrics_has_matrix(&t.m), k > 1);
            memcpy(confusion, t.m.confusion, sizeof confusion);
            assert_int_equal(t.m.status, GLE_INTERRUPTED);
            assert_int_equal(t.m.n_evaluations, k - 1);
            assert_int_equal(first.saved, 1);
            trial_close(&t);
            t = run_part(&again, yaml, 1, true); /* the last matrix that was made is still there */
            assert_int_equal(t.m.status, GLE_INTERRUPTED);
            assert_memory_equal(t.m.confusion, confusion, sizeof confusion);
            trial_close(&t);
            t = run_part(&rest, yaml, 1 + k % 3, true);
            assert_int_equal(t.m.status, GLE_COMPLETED);
            assert_true(same_params(&whole.b, &t.b) && same_metrics(&whole, &t));
            trial_close(&t);
        }
        trial_close(&whole);
        unlink(path);
    }
}

static void check_stops_after_training(const char *text)
{
    char path[32], yaml[YAML_BYTES];
    struct part all = {.stop_after = UINT64_MAX};
    struct trial whole;

    snprintf(yaml, sizeof yaml, "%s", text);
    temporary(path);
    whole = run_part(&all, yaml, 1, false);
    assert_int_equal(whole.m.status, GLE_COMPLETED);
    for (size_t k = 1; k <= whole.m.n_epochs; k++) {
        struct part first = {.stop_after = UINT64_MAX, .stop_in = k, .path = path};
        struct part again = {.stop_after = UINT64_MAX, .stop_in = k, .path = path};
        struct part rest = {.stop_after = UINT64_MAX, .path = path};
        struct trial t = run_part(&first, yaml, 2, false);
        const uint64_t steps = first.steps;
        assert_int_equal(t.m.status, GLE_INTERRUPTED);
        assert_int_equal(t.m.n_epochs, k - 1);
        trial_close(&t);
        t = run_part(&again, yaml, 1, true);
        if (t.rc)
            fail_msg("in epoch %zu: %s: %s", k - 1, t.err.path, t.err.text);
        assert_int_equal(t.m.status, GLE_INTERRUPTED);
        assert_int_equal(again.steps, 0); /* none of the run's own was made */
        trial_close(&t);
        t = run_part(&rest, yaml, 1 + k % 3, true);
        assert_int_equal(t.m.status, GLE_COMPLETED);
        assert_true(same_params(&whole.b, &t.b) && same_metrics(&whole, &t));
        assert_true(rest.steps > steps || k == whole.m.n_epochs);
        trial_close(&t);
    }
    trial_close(&whole);
    unlink(path);
}

static void a_run_may_be_stopped_while_the_training_set_is_measured(void **state)
{
    size_t n = 0;

    (void)state;
    for (size_t kind = 0; kind < KINDS; kind++)
        if (strstr(kinds[kind].training, "train: ")) {
            check_stops_after_training(config(kind, noise));
            n++;
        }
    assert_int_equal(n, 2);
    check_stops_after_training(alone);
}

/* Goes on from what `first` has left, and compares the end with that of the whole run. */
static void assert_ends_alike(const struct trial *whole, const struct part *all, const struct part *first,
                              const char *yaml, const char *what, size_t k)
{
    struct part rest = {.stop_after = UINT64_MAX, .path = first->path};
    struct trial t = run_part(&rest, yaml, 1 + k % 3, true);

    if (t.rc)
        fail_msg("%s %zu: %s: %s", what, k, t.err.path, t.err.text);
    assert_int_equal(t.m.status, GLE_COMPLETED);
    assert_int_equal(first->n_told + rest.n_told, all->n_told);
    assert_memory_equal(rest.told, all->told + first->n_told, rest.n_told * sizeof *rest.told);
    if (!same_params(&whole->b, &t.b) || !same_metrics(whole, &t))
        fail_msg("saved at %s %zu, the run ends otherwise:\n%s", what, k, yaml);
    trial_close(&t);
}

/* Stopped before it has made a step; within every pass or phase; and between any two, also between two epochs. */
static void a_run_may_go_on_from_any_pause(void **state)
{
    (void)state;
    for (size_t kind = 0; kind < KINDS; kind++) {
        char path[32], yaml[YAML_BYTES];
        struct part all = {.stop_after = UINT64_MAX}, none = {.stop_after = UINT64_MAX, .stop = 1, .path = path};
        struct trial whole, t;
        size_t n;

        snprintf(yaml, sizeof yaml, "%s", config(kind, noise));
        temporary(path);
        whole = run_part(&all, yaml, 1, false);
        n = all.pauses[GLE_PAUSE_STEP] + all.pauses[GLE_PAUSE_STAGE];
        assert_true(all.pauses[GLE_PAUSE_STEP] > 0 && all.pauses[GLE_PAUSE_STAGE] > 0);
        assert_int_equal(all.pauses[GLE_PAUSE_STOP], 0);
        t = run_part(&none, yaml, 2, false);
        assert_int_equal(t.m.status, GLE_INTERRUPTED);
        assert_int_equal(none.saved, 1);
        assert_int_equal(none.steps, 0);
        trial_close(&t);
        assert_ends_alike(&whole, &all, &none, yaml, "the beginning", 0);
        for (size_t k = 1; k <= n; k++) {
            struct part first = {.stop_after = UINT64_MAX, .stop_at = k, .path = path};
            t = run_part(&first, yaml, 2, false);
            assert_int_equal(t.m.status, GLE_INTERRUPTED);
            assert_int_equal(first.saved, 1);
            trial_close(&t);
            assert_ends_alike(&whole, &all, &first, yaml, "pause", k);
        }
        trial_close(&whole);
        unlink(path);
    }
}

/* --- what does not fit --- */

static void assert_not_resumed(const char *yaml, const char *path, const char *entry, const char *why)
{
    struct part rest = {.stop_after = UINT64_MAX, .path = path};
    struct trial t = run_part(&rest, yaml, 1, true);

    assert_int_equal(t.rc, -1);
    assert_int_equal(t.err.code, GLE_EDATA);
    assert_string_equal(t.err.path, entry);
    assert_string_equal(t.err.text, why);
    assert_string_equal(t.err.file, path);
    assert_int_equal(rest.steps, 0);
    trial_close(&t);
}

static void other_shapes_are_refused(void **state)
{
    char path[32], yaml[YAML_BYTES];
    struct part first = {.stop_after = 30, .path = path};
    struct trial t;

    (void)state;
    temporary(path);
    t = run_part(&first, config(0, noise), 1, false);
    trial_close(&t);
    assert_not_resumed(config(1, noise), path, "run.next.rows", "12 values, where 7 are wanted");
    snprintf(yaml, sizeof yaml, "%s", config(0, noise));
    memcpy(strstr(yaml, "name: b"), "name: d", 7);
    assert_not_resumed(yaml, path, "run.net.d.u", "is not there");
    assert_not_resumed(config(4, noise), path, "run.diagnosis.learned", "is not there");
    unlink(path);
    temporary(path);
    first = (struct part){.stop_after = 30, .path = path};
    t = run_part(&first, config(4, noise), 1, false);
    trial_close(&t);
    assert_not_resumed(config(0, noise), path, "run.diagnosis.due", "an entry that this run has no use for");
    unlink(path);
}

static void evaluations_of_another_time_are_refused(void **state)
{
    char path[32], yaml[YAML_BYTES];
    struct part first = {.stop_after = 18, .path = path};
    struct trial t;

    (void)state;
    temporary(path);
    t = run_part(&first, config(EVALUATED, noise), 1, false); /* at steps 0, 5, 10, 15 */
    trial_close(&t);
    snprintf(yaml, sizeof yaml, "%s", config(EVALUATED, noise));
    memcpy(strstr(yaml, "every: 0.5"), "every: 0.7", 10);
    assert_not_resumed(yaml, path, "run.evaluations.step", "evaluation 1 is not one of this run");
    memcpy(strstr(yaml, "every: 0.7"), "every: 2.0", 10);
    assert_not_resumed(yaml, path, "run.evaluations.step", "4 evaluations, where the run has fewer");
    unlink(path);
}

static bool resumes_with(const char *yaml, const char *path, size_t k)
{
    struct part rest = {.stop_after = UINT64_MAX, .path = path};
    const struct gle_observer observer = {.ctx = &rest, .moment = on_moment, .pause = save, .resume = load};
    struct trial t = trial_open(yaml, 1);

    rest.stop_after = 25; /* so that it also saves */
    gle_memory_fail_after(k);
    trial_run(&t, &observer, &rest.stop);
    gle_memory_fail_after((size_t)-1);
    if (t.rc && t.err.code != GLE_ENOMEM)
        fail_msg("allocation %zu: code %d, %s", k, (int)t.err.code, t.err.text);
    trial_close(&t);
    return !t.rc;
}

static void any_allocation_may_fail(void **state)
{
    static const size_t some[] = {1, 4, 6, 8, EVALUATED};

    (void)state;
    for (size_t i = 0; i < sizeof some / sizeof *some; i++) {
        char path[32], yaml[YAML_BYTES];
        struct part first = {.stop_after = 20, .path = path};
        struct trial t;
        size_t k = 0;

        snprintf(yaml, sizeof yaml, "%s", config(some[i], noise));
        temporary(path);
        t = run_part(&first, yaml, 1, false);
        trial_close(&t);
        while (!resumes_with(yaml, path, k) && k < 20000)
            k++;
        assert_in_range(k, 100, 19999);
        unlink(path);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_may_be_stopped_after_any_step),
        cmocka_unit_test(a_run_may_be_stopped_after_all_steps),
        cmocka_unit_test(a_run_may_be_stopped_within_any_evaluation),
        cmocka_unit_test(a_run_may_be_stopped_while_the_training_set_is_measured),
        cmocka_unit_test(a_run_may_go_on_from_any_pause),
        cmocka_unit_test(other_shapes_are_refused),
        cmocka_unit_test(evaluations_of_another_time_are_refused),
        cmocka_unit_test(any_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
