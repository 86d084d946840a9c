#include "config/experiment.h"
#include "base/memory.h"
#include "config/build.h"
#include "config/keys.h"
#include "data/data.h"
#include "parts/activation.h"
#include "parts/loss.h"
#include "parts/rule.h"
#include "parts/schedule.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

int gle_name_check(const char *name, const char *extra, const struct gle_node *src, const char *key,
                      struct gle_errors *errs)
{
    const size_t n = strlen(name);
    const struct gle_node *written = key ? gle_node_get(src, key) : NULL;

    if (written ? gle_node_invisible(written, errs) : src->key && !key ? gle_node_key_invisible(src, errs) : 0)
        return -1;
    if (!n || n > 64)
        return gle_node_error(errs, GLE_ECONFIG, src, key, "a name of 1 to 64 characters is wanted");
    for (size_t i = 0; i < n; i++)
        if (!isalnum((unsigned char)name[i]) && name[i] != '_' && name[i] != '-' &&
            !(i && strchr(extra, name[i])))
            return gle_node_error(errs, GLE_ECONFIG, src, key,
                                  "'%s' cannot be a name: letters, digits, _ and - are possible", name);
    return 0;
}

/* Also where that could not be decoded: then it allows more. */
static bool is_exponential(const struct gle_file_keys *file)
{
    return file->network.integration != gle_integration_table.rows;
}

static int check_taus(const struct gle_neurons *neurons, double dt, bool exponential, struct gle_errors *errs)
{
    const double least = gle_tau_least(dt, exponential);
    const char *of = gle_tau_least_text(exponential);
    int rc = 0;

    for (size_t i = 0; i < neurons->n; i++) {
        if (neurons->tau_m[i] < least && (!i || neurons->tau_m_src[i] != neurons->tau_m_src[i - 1]))
            rc = gle_node_error(errs, GLE_ERANGE, neurons->tau_m_src[i], NULL, "%g is below %s = %g",
                                neurons->tau_m[i], of, least);
        if (neurons->tau_r[i] < least && (!i || neurons->tau_r_src[i] != neurons->tau_r_src[i - 1]))
            rc = gle_node_error(errs, GLE_ERANGE, neurons->tau_r_src[i], NULL, "%g is below %s = %g",
                                neurons->tau_r[i], of, least);
    }
    return rc;
}

/* What can be checked even where other parts of the file could not be decoded. */
static int check_early(const struct gle_experiment *exp, const struct gle_file_keys *file, struct gle_errors *errs)
{
    const struct gle_layer_list *list = &file->network.layers;
    int rc = file->name ? gle_name_check(file->name, ".", exp->src, "name", errs) : 0;

    for (size_t i = 0; i < list->n; i++) {
        if (list->item[i].name)
            rc |= gle_name_check(list->item[i].name, "", list->item[i].src, "name", errs);
        rc |= check_taus(&list->item[i].neurons, file->dt, is_exponential(file), errs);
        rc |= gle_hardware_check(list->item[i].src, &list->item[i].hardware, file->dt, errs);
    }
    rc |= gle_hardware_check(gle_node_get(exp->src, "network"), &file->network.hardware, file->dt, errs);
    rc |= gle_hardware_check(exp->src, &file->hardware, file->dt, errs) | gle_hardware_check_twice(exp->src, errs);
    return rc | gle_layers_check_names(list, errs);
}

static int check_bounds(struct gle_bounds *bounds, const struct gle_reals *keys, struct gle_errors *errs)
{
    if (!keys->src)
        return 0;
    if (keys->n != 2)
        return gle_node_error(errs, GLE_ERANGE, keys->src, NULL, "two numbers are wanted: [lowest, highest]");
    if (!(keys->v[0] < keys->v[1]))
        return gle_node_error(errs, GLE_ERANGE, keys->src, NULL, "the first number (lowest) must be below the second");
    bounds->low = keys->v[0];
    bounds->high = keys->v[1];
    return 0;
}

static int build_learning(struct gle_experiment *exp, const struct gle_learning_keys *keys, const struct gle_node *src,
                          struct gle_errors *errs)
{
    const struct gle_bounds_keys *b = &keys->bounds;
    const struct gle_reals *const bounds[GLE_PARAMS] = {
        [GLE_WEIGHT] = &b->weight, [GLE_BIAS] = &b->bias, [GLE_TAU_M] = &b->tau_m, [GLE_TAU_R] = &b->tau_r};
    const size_t n_layers = exp->layers ? exp->n_layers : 0;
    const struct gle_layer_cfg *top = n_layers ? gle_experiment_top(exp) : NULL;
    int rc = 0;

    exp->rule = (const struct gle_rule *)keys->rule;
    exp->loss = (const struct gle_loss *)keys->loss.row;
    exp->loss_params = keys->loss.params;
    exp->beta = keys->beta;
    exp->update_every = keys->update.every ? keys->update.every : 1;
    exp->clip = keys->clip;
    exp->optimizer = keys->optimizer;
    exp->schedule = keys->schedule;
    for (size_t p = 0; p < GLE_PARAMS; p++) {
        const bool tau = gle_param_is_tau((enum gle_param)p);
        exp->bounds[p] = (struct gle_bounds){tau ? exp->tau_least : -INFINITY, INFINITY};
        rc |= check_bounds(&exp->bounds[p], bounds[p], errs);
        if (tau && exp->bounds[p].low < exp->tau_least)
            rc = gle_node_error(errs, GLE_ERANGE, bounds[p]->src->items[0], NULL, "%g is below %s = %g",
                                exp->bounds[p].low, gle_tau_least_text(exp->exponential), exp->tau_least);
    }
    if (exp->rule->windowed && !gle_node_get(src, "window"))
        rc = gle_node_error(errs, GLE_ECONFIG, src, "rule",
                            "%s needs the key 'window' beside it (how far back it looks)", exp->rule->row.name);
    else if (exp->rule->windowed && keys->window < exp->dt)
        rc = gle_node_error(errs, GLE_ERANGE, src, "window", "%g is below dt = %g", keys->window, exp->dt);
    else if (exp->rule->windowed && !(exp->window_steps = gle_steps_in(keys->window, exp->dt, src, "window", errs)))
        rc = -1;
    else if (exp->window_steps == 1)
        rc = gle_node_error(errs, GLE_ERANGE, src, "window",
                            "%g is one step of dt = %g; two are needed, since an output is the rate of the step before",
                            keys->window, exp->dt);
    if (exp->rule->windowed && exp->update_every > 1)
        rc = gle_node_error(errs, GLE_ECONFIG, gle_node_get(src, "update"), "every",
                            "under the rule %s the optimizer steps once a window: every must be 1",
                            exp->rule->row.name);
    if (exp->has_teacher && exp->loss->classes)
        rc = gle_node_error(errs, GLE_ECONFIG, src, "loss", "%s wants labels, and a teacher gives values: use mse",
                            exp->loss->row.name);
    if (top && exp->loss->log_probabilities != top->act->log_probabilities)
        rc = gle_node_error(errs, GLE_ECONFIG, exp->loss->log_probabilities ? src : top->src,
                            exp->loss->log_probabilities ? "loss" : "activation",
                            "the loss nll and the activation log_softmax of the last layer go together");
    for (size_t i = 0; i < n_layers; i++)
        if (i != exp->output && exp->layers[i].act->log_probabilities)
            rc = gle_node_error(errs, GLE_ECONFIG, exp->layers[i].src, "activation",
                                "log_softmax is for the last layer only");
    for (size_t i = 0; exp->rule->continuous && i < n_layers; i++)
        if (exp->layers[i].gamma > 0.0)
            rc = gle_node_error(errs, GLE_ERANGE, gle_node_get(exp->layers[i].src, "gamma") ? exp->layers[i].src : src,
                                "gamma", "the adjoint equations have no feedback of errors: gamma must be 0 under the "
                                "rule %s", exp->rule->row.name);
    return rc;
}

const struct gle_metric_row *gle_experiment_watches(const struct gle_experiment *exp)
{
    const struct gle_schedule *schedule = (const struct gle_schedule *)exp->schedule.row;

    return schedule ? schedule->metric(exp->schedule.params) : NULL;
}

/* What goes by the training set after the epoch, which is measured where evaluate.train says so. */
static int check_train_after(const struct gle_experiment *exp, const struct gle_part *part, const struct gle_node *src,
                             struct gle_errors *errs)
{
    const struct {
        const struct gle_metric_row *metric;
        const struct gle_node *src;
        const char *key;
    } watched[] = {{gle_experiment_watches(exp), exp->schedule.src, "metric"},
                   {exp->best, src, "best"},
                   {exp->stop.metric, exp->stop.src, "metric"}};
    int rc = 0;

    for (size_t i = 0; i < sizeof watched / sizeof *watched; i++)
        if (watched[i].metric && watched[i].metric->set == GLE_METRIC_TRAIN_AFTER && !gle_train_part_measured(part))
            rc = gle_node_error(errs, GLE_ECONFIG, watched[i].src, watched[i].key,
                                "%s is not measured without evaluate: {train: all} under training",
                                watched[i].metric->row.name);
    return rc;
}

static int build_training(struct gle_experiment *exp, const struct gle_training_keys *keys, const struct gle_node *src,
                          struct gle_errors *errs)
{
    const bool epochs = gle_node_get(src, "epochs"), phases = keys->phases.src != NULL;
    const struct gle_schedule *schedule = (const struct gle_schedule *)exp->schedule.row;
    const struct gle_metric_row *watched = gle_experiment_watches(exp);
    int rc = 0;

    exp->epochs = keys->epochs;
    exp->batch_size = keys->batch_size;
    exp->test_batch_size = keys->test_batch_size ? keys->test_batch_size : keys->batch_size;
    exp->validation = keys->validation;
    exp->reset_state = !strcmp(keys->state->name, "reset");
    exp->test = (enum gle_test)(keys->test - (const struct gle_row *)gle_test_table.rows);
    if (phases && schedule && strcmp(schedule->row.name, "constant"))
        rc = gle_node_error(errs, GLE_ECONFIG, exp->schedule.src, "type",
                            "%s goes by epochs: with training.phases (training by duration) the learning rate is "
                            "constant", schedule->row.name);
    else if (phases && schedule && ((const struct gle_schedule_params *)exp->schedule.params)->warmup)
        rc = gle_node_error(errs, GLE_ECONFIG, exp->schedule.src, "warmup",
                            "goes by epochs: with training.phases (training by duration) the learning rate is "
                            "constant");
    exp->best = (const struct gle_metric_row *)keys->best;
    exp->stop.src = gle_node_get(src, "stop");
    if (exp->stop.src) {
        exp->stop.metric = (const struct gle_metric_row *)keys->stop.metric;
        exp->stop.patience = keys->stop.patience;
        exp->stop.min_delta = keys->stop.min_delta;
    }
    rc |= check_train_after(exp, &keys->evaluate.train, src, errs);
    if (exp->test == GLE_TEST_END && watched && watched->set == GLE_METRIC_TEST)
        rc = gle_node_error(errs, GLE_ECONFIG, src, "test",
                            "the schedule watches %s, so the test set is wanted after every epoch: epochs",
                            watched->row.name);
    if (exp->test == GLE_TEST_END && exp->best && exp->best->set == GLE_METRIC_TEST)
        rc = gle_node_error(errs, GLE_ECONFIG, src, "test",
                            "the best epoch is chosen by %s, so the test set is wanted after every epoch: epochs",
                            exp->best->row.name);
    if (exp->test == GLE_TEST_END && exp->stop.metric && exp->stop.metric->set == GLE_METRIC_TEST)
        rc = gle_node_error(errs, GLE_ECONFIG, src, "test",
                            "early stopping watches %s, so the test set is wanted after every epoch: epochs",
                            exp->stop.metric->row.name);
    if (phases && exp->stop.src)
        rc = gle_node_error(errs, GLE_ECONFIG, src, "stop",
                            "training by duration (phases) has no epochs after which it could stop early");
    if (phases && exp->best)
        rc = gle_node_error(errs, GLE_ECONFIG, src, "best",
                            "training by duration (phases) has no epochs of which one is the best");
    if (phases && exp->validation > 0.0)
        rc = gle_node_error(errs, GLE_ECONFIG, src, "validation",
                            "training by duration (phases) has no training set to take a part of");
    if (phases && exp->test != GLE_TEST_AUTO)
        rc = gle_node_error(errs, GLE_ECONFIG, src, "test",
                            "training by duration (phases) has no epochs after which the test set is evaluated");
    if (epochs && phases)
        return gle_node_error(errs, GLE_ECONFIG, src, "phases", "either epochs or phases, not both");
    if (!epochs && !phases)
        return gle_node_error(errs, GLE_ECONFIG, src, NULL,
                              "needs the key 'epochs' (passes over the training set) or 'phases' (training by "
                              "duration)");
    return rc;
}

/* Sizes that a data set knows before it is opened, against those of the network. */
static int check_sizes(const struct gle_experiment *exp, struct gle_errors *errs)
{
    const struct gle_dataset *set = (const struct gle_dataset *)exp->dataset.row;
    const struct gle_layer_cfg *top = gle_experiment_top(exp);
    size_t channels = 0, targets = 0;
    int rc = 0;

    if (set->shape)
        set->shape(exp->dataset.params, &channels, &targets);
    if (channels && channels != exp->n_input)
        rc = gle_node_error(errs, GLE_ESHAPE, exp->network_src, "input", "%zu, where the data set %s has %zu channel%s",
                            exp->n_input, set->row.name, channels, channels > 1 ? "s" : "");
    if (targets && targets != top->n && !exp->has_teacher)
        rc = gle_node_error(errs, GLE_ESHAPE, top->src, "neurons",
                            "%zu in the output, where the data set %s has %zu target%s", top->n, set->row.name,
                            targets, targets > 1 ? "s" : "");
    return rc;
}

/* A signal never ends, and nobody knows what should come out. */
static int check_signal(const struct gle_experiment *exp, struct gle_errors *errs)
{
    const struct gle_dataset *set = (const struct gle_dataset *)exp->dataset.row;
    const bool phases = gle_node_get(exp->training_src, "phases");

    if (!set->signal || (phases && exp->has_teacher))
        return 0;
    return gle_node_error(errs, GLE_ECONFIG, exp->dataset.src, "type", "%s %s", set->row.name,
                          exp->has_teacher ? "is a signal without end: training.phases (training by duration) is "
                                             "wanted, not epochs"
                          : phases         ? "has no targets: a teacher is wanted"
                                           : "is a signal without end and without targets: training.phases (training "
                                             "by duration) and a teacher are wanted");
}

/* Samples that are made on demand may have no common length, so that they cannot be played side by side, one after
 * another. */
static int check_made(const struct gle_experiment *exp, struct gle_errors *errs)
{
    const struct gle_dataset *set = (const struct gle_dataset *)exp->dataset.row;
    int rc = 0;

    if (set->divides && exp->validation > 0.0)
        rc = gle_node_error(errs, GLE_ECONFIG, exp->training_src, "validation",
                            "the data set %s divides its samples itself (dataset.split)", set->row.name);
    if (!set->made || set->alike || !gle_node_get(exp->training_src, "phases"))
        return rc;
    return gle_node_error(errs, GLE_ECONFIG, exp->training_src, "phases",
                          "samples of %s last differently long: training by epochs is wanted, not by duration",
                          set->row.name);
}

static int check_dataset(const struct gle_experiment *exp, struct gle_errors *errs)
{
    const struct gle_dataset *set = (const struct gle_dataset *)exp->dataset.row;
    const char *key, *why;
    int rc = 0;

    for (const struct gle_key *k = set->row.keys; k && k->name; k++) {
        const struct gle_node *time = k->steps ? gle_node_get(exp->dataset.src, k->name) : NULL;
        if (time && time->number > 0.0 && /* none at all, where the key allows that */
            !gle_steps_in(time->number, exp->dt, exp->dataset.src, k->name, errs))
            rc = -1;
    }
    if (set->check && set->check(exp->dataset.params, &key, &why))
        return gle_node_error(errs, GLE_ERANGE, exp->dataset.src, key, "%s", why);
    return rc;
}

void gle_experiment_destroy(struct gle_experiment *exp)
{
    if (exp) {
        gle_doc_destroy(exp->doc);
        gle_free(exp);
    }
}

/* Whether a section of the file is there and no error points into it, so that what it says can be relied upon. */
static bool sound(const struct gle_experiment *exp, const char *section, const struct gle_errors *errs)
{
    const size_t n = strlen(section);

    if (!gle_node_get(exp->src, section) || errs->dropped)
        return false;
    for (size_t i = 0; i < errs->n; i++) {
        const char *path = errs->item[i].path;
        if (errs->item[i].code == GLE_ENOMEM || /* which may have left any default out */
            (!strncmp(path, section, n) && (!path[n] || path[n] == '.' || path[n] == '[')))
            return false;
    }
    return true;
}

/* Checks that need more than one key. Each runs where the sections it reads could be decoded, so that a file's errors
 * are found in one go. */
static int build_sections(struct gle_experiment *exp, const struct gle_file_keys *file, struct gle_errors *errs)
{
    const bool network = sound(exp, "network", errs), learning = sound(exp, "learning", errs);
    const bool dataset = sound(exp, "dataset", errs), training = sound(exp, "training", errs);
    int rc = 0;

    exp->network_src = gle_node_get(exp->src, "network");
    exp->training_src = gle_node_get(exp->src, "training");
    exp->name = file->name;
    exp->description = file->description;
    exp->seed = file->seed;
    exp->dt = file->dt;
    exp->exponential = is_exponential(file);
    exp->tau_least = gle_tau_least(exp->dt, exp->exponential);
    exp->dataset = file->dataset;
    exp->input_shape = file->network.input;
    exp->n_input = gle_shape_count(&exp->input_shape);
    exp->has_teacher = gle_node_get(exp->src, "teacher");
    exp->checkpoint_minutes = file->checkpoint.minutes;
    exp->compute_src = gle_node_get(exp->src, "compute");
    exp->device = file->compute.device;
    if (file->compute.backend)
        exp->backend = (enum gle_backend)(file->compute.backend - (const struct gle_row *)gle_backend_table.rows);
    if (file->compute.ranks)
        exp->ranks = (enum gle_ranks_make)(file->compute.ranks - (const struct gle_row *)gle_ranks_table.rows);
    rc |= check_early(exp, file, errs);
    if (dataset)
        rc |= check_dataset(exp, errs);
    if (network) {
        exp->init_file = file->network.init.row ? gle_node_get(file->network.init.src, "file")->absolute : NULL;
        rc |= gle_layers_build(exp, file, errs);
    }
    if (learning)
        rc |= build_learning(exp, &file->learning, gle_node_get(exp->src, "learning"), errs);
    if (training)
        rc |= build_training(exp, &file->training, exp->training_src, errs);
    if (exp->layers && dataset)
        rc |= check_sizes(exp, errs);
    if (dataset && training)
        rc |= check_signal(exp, errs) | check_made(exp, errs);
    return rc | gle_teacher_build(exp, &file->teacher, errs) | gle_phases_build(exp, &file->training.phases, errs) |
           gle_evaluate_build(exp, &file->training.evaluate, errs) |
           gle_decide_build(exp, &file->training.decide, errs) | gle_record_build(exp, &file->record, errs) |
           gle_diagnose_build(exp, &file->diagnose, errs) | gle_curvatures_check(exp, errs) |
           gle_feedback_check(exp, errs) | gle_ways_check(exp, errs) | gle_rows_check(exp, errs);
}

struct gle_experiment *gle_experiment_build(struct gle_doc *doc, const char *variant, const struct gle_sweep *sweep,
                                            struct gle_errors *errs)
{
    struct gle_experiment *exp = gle_calloc(1, sizeof *exp);
    struct gle_file_keys *file = gle_arena_alloc(doc->arena, 1, sizeof *file);
    const size_t before = errs->n + errs->dropped;
    int rc;

    if (!exp || !file) {
        gle_node_error(errs, GLE_ENOMEM, doc->root, NULL, "no memory");
        gle_doc_destroy(doc);
        gle_free(exp);
        return NULL;
    }
    exp->doc = doc;
    exp->src = doc->root;
    exp->variant = variant;
    exp->sweep = *sweep;
    rc = gle_decode(file, gle_experiment_keys, doc, doc->root, errs);
    rc |= build_sections(exp, file, errs);
    if (rc || errs->n + errs->dropped > before) {
        gle_experiment_destroy(exp);
        return NULL;
    }
    if (gle_claims_build(exp, &file->expect, errs)) {
        gle_experiment_destroy(exp);
        return NULL;
    }
    gle_node_remove(doc->root, "checkpoint"); /* what changes no result is no part of what makes two configs the same */
    return exp;
}

void gle_experiment_place(struct gle_error *err, const struct gle_node *src)
{
    gle_node_place(err, src, NULL);
}
