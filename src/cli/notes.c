#include "cli/notes.h"
#include "cli/initial.h"
#include "cli/trouble.h"
#include "data/npz_names.h"
#include "train/measure.h"
#include "train/metrics.h"
#include "yaml/node.h"

#include <stdio.h>
#include <string.h>

static void note_skipped(FILE *to, const struct gle_data *data)
{
    if (data->n_skipped)
        fprintf(to, "glesim: %zu file%s left out; the first: %s\n", data->n_skipped,
                data->n_skipped > 1 ? "s" : "", data->skipped);
}

/* Whether name is "owner.x" with one of these as x. */
static bool is_one_of(const char *name, const char *owner, const char *const *of)
{
    const size_t len = strlen(owner);

    if (strncmp(name, owner, len) || name[len] != '.')
        return false;
    for (; *of; of++)
        if (!strcmp(name + len + 1, *of))
            return true;
    return false;
}

/* Whether an array of a file for the whole network is one of a layer's parameters, tau_r included: it is in every file
 * that a run writes, also where it does not learn and comes from the config. Factors are, where there is mismatch. */
static bool is_parameter(const void *experiment, const char *name)
{
    static const char *const others[] = {"bias", "tau_m", "tau_r", NULL};
    static const char *const of_errors[] = {"errors_from", NULL};
    static const char *const of_source[] = {"weight", "feedback", "synapses", NULL};
    const struct gle_experiment *exp = experiment;

    for (size_t i = 0; i < exp->n_layers; i++) {
        const struct gle_layer_cfg *l = &exp->layers[i];
        if (is_one_of(name, l->name, others))
            return true;
        for (size_t k = 0; k < GLE_MISMATCHES; k++) {
            const char *const factor[] = {gle_param_name((enum gle_param)(GLE_TAU_M_FACTOR + k)), NULL};
            if (l->mismatch.std[k] > 0.0 && is_one_of(name, l->name, factor))
                return true;
        }
        for (size_t j = 0; j < l->n_errors_from; j++)
            if (is_one_of(name, l->errors_from[j].label, of_errors))
                return true;
        for (size_t j = 0; j < l->n_sources; j++)
            if (is_one_of(name, l->sources[j].label, of_source))
                return true;
    }
    return false;
}

static bool differs(const struct gle_array *a, const double *values, size_t n)
{
    bool same = a->n == n;

    for (size_t i = 0; same && i < n; i++)
        same = (float)gle_array_real(a, i) >= (float)values[i] && (float)gle_array_real(a, i) <= (float)values[i];
    return !same;
}

/* A layer in which tau_r does not learn keeps the config's. A file that has another one may come from a run in which it
 * did. */
static void note_tau_r(FILE *to, const struct gle_layer_cfg *l, const struct gle_npz *npz, const char *file)
{
    struct gle_error err = {0};
    struct gle_array a;
    char name[96];

    snprintf(name, sizeof name, "%s.tau_r", l->name);
    if (l->plastic[GLE_TAU_R] || !gle_npz_has(npz, name) || gle_npz_read(&a, npz, name, &err))
        return;
    if (differs(&a, l->tau_r, l->n))
        fprintf(to, "glesim: %s: '%s' is not used: tau_r does not learn in that layer (plastic), which has what "
                "the config says\n", file, name);
    gle_array_clear(&a);
}

static bool is_mismatched(const struct gle_experiment *exp)
{
    bool any = false;

    for (size_t i = 0; i < exp->n_layers; i++)
        for (size_t k = 0; k < GLE_MISMATCHES; k++)
            any = any || exp->layers[i].mismatch.std[k] > 0.0;
    return any;
}

/* What is wrong with the file is for the run to say. */
static void note_weights(FILE *to, const struct gle_experiment *exp)
{
    struct gle_error err = {0};
    char note[GLE_NOTE_MIN];
    struct gle_npz *npz;

    if (!exp->init_file || gle_npz_open(&npz, exp->init_file, &err))
        return;
    gle_npz_note_unused(note, sizeof note, npz, exp->init_file, is_parameter, exp,
                        is_mismatched(exp) ? "LAYER.weight, LAYER.bias, LAYER.tau_m, where it learns LAYER.tau_r, and "
                                             "factors of time constants where there is mismatch are used"
                                           : "LAYER.weight, LAYER.bias, LAYER.tau_m and, where it learns, LAYER.tau_r "
                                             "of the layers are used");
    if (*note)
        fprintf(to, "glesim: %s\n", note);
    for (size_t i = 0; i < exp->n_layers; i++)
        note_tau_r(to, &exp->layers[i], npz, exp->init_file);
    gle_npz_close(npz);
}

static void note_batch(FILE *to, const struct gle_experiment *exp, const struct gle_data *data)
{
    const size_t n = data->split[GLE_TRAIN].n;

    if (!data->signal.play && n < exp->batch_size)
        fprintf(to, "glesim: training.batch_size is %llu, and the training set has %zu sample%s: all of them make "
                "one batch\n", (unsigned long long)exp->batch_size, n, n == 1 ? "" : "s");
}

/* The largest one of the sets that are evaluated, the test set first. */
static enum gle_split evaluated(const struct gle_experiment *exp, const struct gle_data *data)
{
    static const enum gle_split others[] = {GLE_VALIDATION, GLE_TRAIN_AFTER};
    enum gle_split largest = GLE_TEST;

    for (size_t i = 0; !exp->phases && i < sizeof others / sizeof *others; i++)
        if (gle_metrics_samples(exp, data, others[i]) > gle_metrics_samples(exp, data, largest))
            largest = others[i];
    return largest;
}

/* That of an evaluation, if it was written. In training by duration that is not evaluated, it is told anyway. */
static void note_test_batch(const struct gle_experiment *exp, const struct gle_data *data, struct gle_errors *told)
{
    const struct gle_node *size = gle_node_get(exp->training_src, "test_batch_size");
    const enum gle_split largest = evaluated(exp, data);
    const size_t n = gle_metrics_samples(exp, data, largest);

    if (!size || (exp->phases && !exp->evaluate_steps) || exp->test_batch_size <= n)
        return;
    if (!n)
        gle_node_error(told, GLE_ECONFIG, size, NULL, "has no effect: there is neither a test nor a validation set");
    else
        gle_node_error(told, GLE_ECONFIG, size, NULL, "is larger than the %s set (%zu sample%s), which makes one batch",
                       largest == GLE_TRAIN_AFTER ? "measured part of the training" : gle_split_names[largest], n,
                       n == 1 ? "" : "s");
}

/* The longest series of learning steps in which the state runs on. */
static uint64_t longest_learning(const struct gle_experiment *exp, const struct gle_data *data)
{
    uint64_t longest = exp->epochs ? data->n_steps : 0;
    bool reset = exp->reset_state;

    for (size_t i = 0; i < exp->n_layers; i++)
        reset = reset || exp->layers[i].reset;
    for (size_t i = 0; i < exp->n_phases; i++)
        if (exp->phases[i].learn && exp->phases[i].n_steps > longest)
            longest = exp->phases[i].n_steps;
    return reset && data->n_steps && longest > data->n_steps ? data->n_steps : longest;
}

/* A comparison that is longer than all that is learned in one go is never made. That nothing is learned at all is told
 * by itself. */
static void note_diagnose(const struct gle_experiment *exp, const struct gle_data *data, struct gle_errors *told)
{
    const uint64_t longest = longest_learning(exp, data);

    if (exp->diagnose.every && longest && exp->diagnose.n_steps > longest)
        gle_node_error(told, GLE_ECONFIG, exp->diagnose.src, "window",
                       "nothing is compared: a comparison lasts %llu steps, and no more than %llu learning steps "
                       "follow one another", (unsigned long long)exp->diagnose.n_steps, (unsigned long long)longest);
}

/* The optimizer that never steps, in training by epochs; of phases the config tells. */
static void note_update(const struct gle_experiment *exp, const struct gle_data *data, struct gle_errors *told)
{
    const double steps = (double)exp->epochs * gle_train_count_steps(exp, data).learn;
    const struct gle_node *learning = gle_node_get(exp->src, "learning");
    bool plastic = false;

    for (size_t i = 0; i < exp->n_layers; i++)
        for (int p = 0; p < GLE_PARAMS; p++)
            plastic = plastic || exp->layers[i].plastic[p];
    if (!exp->phases && plastic && exp->epochs && steps < (double)exp->update_every)
        gle_node_error(told, GLE_ERANGE, gle_node_get(learning, "update"), "every",
                       "nothing is learned: the optimizer steps after every %llu learning steps, and training has %.0f",
                       (unsigned long long)exp->update_every, steps);
}

/* Sources whose delay is as long as a sample, where the state is reset in front of each. */
static void note_delays(const struct gle_experiment *exp, const struct gle_data *data, struct gle_errors *told)
{
    for (size_t i = 0; i < exp->n_layers; i++)
        for (size_t j = 0; j < exp->layers[i].n_sources; j++) {
            const struct gle_source_cfg *c = &exp->layers[i].sources[j];
            const bool reset = exp->reset_state || (c->layer != GLE_SOURCE_INPUT && exp->layers[c->layer].reset);
            if (reset && data->n_steps && c->delay >= data->n_steps)
                gle_node_error(told, GLE_ERANGE, c->src, "delay",
                               "nothing is ever read through it: it is %llu steps long, and the state is reset in "
                               "front of each batch, after %llu", (unsigned long long)c->delay,
                               (unsigned long long)data->n_steps);
        }
}

static void print_told(FILE *to, struct gle_errors *told)
{
    char text[1200];

    gle_errors_sort(told);
    for (size_t i = 0; i < told->n; i++) {
        gle_error_format(text, sizeof text, &told->item[i]);
        fprintf(to, "glesim: %s\n", text);
    }
    if (told->dropped)
        fputs("glesim: and more settings that have no effect\n", to);
}

void gle_notes_print_settings(const struct gle_experiments *list)
{
    struct gle_errors told = {0};

    for (size_t i = 0; i < list->n; i++)
        gle_experiment_unused(list->item[i], &told);
    print_told(stderr, &told);
}

void gle_notes_print(FILE *to, const struct gle_experiment *exp, const struct gle_data *data, bool again)
{
    struct gle_errors told = {0};

    note_test_batch(exp, data, &told);
    note_diagnose(exp, data, &told);
    note_update(exp, data, &told);
    note_delays(exp, data, &told);
    if (!again)
        gle_trouble_note_steps(&told, exp, data);
    print_told(to, &told);
    note_skipped(to, data);
    if (data->note[0])
        fprintf(to, "glesim: %s\n", data->note);
    note_weights(to, exp);
    note_batch(to, exp, data);
    gle_initial_note_bounds(to, exp);
}
