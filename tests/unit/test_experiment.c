/* What a run is asked to do beside learning: teacher, phases, recording, comparing gradients. */
#include "../support/build.h"
#include "base/memory.h"
#include "config/experiment.h"
#include "parts/activation.h"
#include "parts/init.h"
#include "parts/rule.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void fail_with(const char *path, const struct gle_errors *errs)
{
    char text[1024];

    for (size_t i = 0; i < errs->n; i++) {
        gle_error_format(text, sizeof text, &errs->item[i]);
        print_error("%s\n", text);
    }
    fail_msg("%s does not load", path);
}

static struct gle_experiments load(const char *path)
{
    struct gle_experiments list;
    struct gle_errors errs = {0};

    if (gle_experiments_load(&list, path, NULL, 0, NULL, 0, &errs))
        fail_with(path, &errs);
    return list;
}

static void write_temporary(char *path, const char *yaml)
{
    const int fd = mkstemp(path);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, yaml, strlen(yaml)), (ssize_t)strlen(yaml));
    close(fd);
}

static struct gle_experiments load_text(const char *yaml)
{
    char path[] = "/tmp/glesim_experiment_XXXXXX";
    struct gle_experiments list;

    write_temporary(path, yaml);
    list = load(path);
    unlink(path);
    return list;
}

/* A part's initialiser, filled in as the solver does. */
static void assert_fills(const struct gle_setting *s, size_t rows, size_t cols, const float *wanted)
{
    const struct gle_init *init = (const struct gle_init *)s->value.row;
    const struct gle_init_target target = {
        .name = "x", .rows = rows, .cols = cols, .fan_in = cols, .bias = s->param != GLE_WEIGHT};
    struct gle_error err = {0};
    float values[16];

    assert_true(rows * cols <= 16);
    assert_int_equal(init->fill(values, &target, s->value.params, NULL, &err), 0);
    assert_memory_equal(values, wanted, rows * cols * sizeof *values);
}

static void assert_setting(const struct gle_setting *s, size_t layer, enum gle_param param, const char *init)
{
    assert_int_equal(s->layer, layer);
    assert_int_equal(s->param, param);
    assert_string_equal(s->value.row->name, init);
}

static void assert_indices(const struct gle_indices *list, size_t n, const size_t *wanted)
{
    assert_int_equal(list->n, n);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(list->v[i], wanted[i]);
}

static void a_teacher_has_layers_parameters_and_values(void **state)
{
    struct gle_experiments list = load(test_path("good/by_duration.yaml"));
    const struct gle_experiment *exp = list.item[0];
    const struct gle_setting *s = exp->teacher.item;

    (void)state;
    assert_true(exp->has_teacher);
    assert_int_equal(exp->teacher.n, 8); /* top: {} has nothing */
    assert_setting(&s[0], 0, GLE_WEIGHT, "value");
    assert_fills(&s[0], 3, 1, (const float[]){1, 1, 1});
    assert_setting(&s[1], 0, GLE_BIAS, "value");
    assert_fills(&s[1], 3, 1, (const float[]){0.1f, 0.2f, 0.3f});
    assert_setting(&s[2], 0, GLE_TAU_M, "value");
    assert_fills(&s[2], 3, 1, (const float[]){1, 2, 0.01f}); /* dt itself is possible */
    assert_setting(&s[3], 1, GLE_WEIGHT, "value");
    assert_fills(&s[3], 3, 3, (const float[]){1, 0, 0, 0, 1, 0, 0, 0, 1});
    assert_setting(&s[4], 1, GLE_BIAS, "uniform");
    assert_setting(&s[5], 1, GLE_TAU_M, "file");
    assert_setting(&s[6], 2, GLE_TAU_M, "value");
    assert_fills(&s[6], 2, 1, (const float[]){2, 2});
    assert_setting(&s[7], 2, GLE_WEIGHT, "file");
    gle_experiments_clear(&list);
}

static void phases_are_counted_in_steps(void **state)
{
    struct gle_experiments list = load(test_path("good/by_duration.yaml"));
    const struct gle_experiment *exp = list.item[0];
    const struct gle_phase *p = exp->phases;

    (void)state;
    assert_int_equal(exp->n_phases, 3);
    assert_int_equal(exp->epochs, 0);
    assert_true(p[0].duration == 2.5 && !p[0].learn && p[0].n_steps == 250);
    assert_int_equal(p[0].set.n, 3);
    assert_setting(&p[0].set.item[0], 0, GLE_TAU_M, "value");
    assert_fills(&p[0].set.item[0], 3, 1, (const float[]){1, 1, 0.5f});
    assert_setting(&p[0].set.item[1], 3, GLE_BIAS, "value");
    assert_setting(&p[0].set.item[2], 2, GLE_WEIGHT, "identity");
    assert_true(p[1].learn && p[1].n_steps == 2 && p[1].set.n == 0);
    assert_true(p[2].learn && p[2].n_steps == 10000 && p[2].set.n == 0);
    assert_int_equal(exp->n_steps, 250 + 2 + 10000);
    assert_int_equal(p[1].src->line, exp->phases[0].src->line + 1);
    gle_experiments_clear(&list);
}

static void what_is_recorded_stands_in_the_order_written(void **state)
{
    struct gle_experiments list = load(test_path("good/by_duration.yaml"));
    const struct gle_record *r = &list.item[0]->record;

    (void)state;
    assert_int_equal(r->every, 10);
    assert_int_equal(r->offset, 7);
    assert_indices(&r->layers, 2, (const size_t[]){1, 0});
    assert_indices(&r->neurons, 2, (const size_t[]){2, 0});
    assert_indices(&r->sequences, 1, (const size_t[]){3});
    for (size_t v = 0; v < GLE_RECORD_VARS; v++)
        assert_int_equal(r->variables[v], v == GLE_RECORD_PROSP_U || v == GLE_RECORD_U || v == GLE_RECORD_E);
    for (size_t p = 0; p < GLE_PARAMS; p++)
        assert_int_equal(r->parameters[p], p == GLE_WEIGHT || p == GLE_TAU_M);
    for (size_t p = 0; p < GLE_PARAMS; p++)
        assert_int_equal(r->gradients[p], p == GLE_TAU_M);
    assert_int_equal(list.item[0]->evaluate_steps, 0);
    gle_experiments_clear(&list);
}

static void evaluations_are_counted_in_steps(void **state)
{
    struct gle_experiments list = load(test_path("good/evaluated.yaml"));
    const struct gle_record *r = &list.item[0]->record;

    (void)state;
    assert_int_equal(list.item[0]->evaluate_steps, 3);
    for (size_t v = 0; v < GLE_RECORD_VARS; v++)
        assert_int_equal(r->variables[v],
                         v == GLE_RECORD_R_PRIME || v == GLE_RECORD_E_INST || v == GLE_RECORD_E_BELOW);
    gle_experiments_clear(&list);
}

static void a_comparison_has_a_gradient_and_a_length(void **state)
{
    struct gle_experiments list = load(test_path("good/by_duration.yaml"));
    const struct gle_diagnose *d = &list.item[0]->diagnose;

    (void)state;
    assert_string_equal(d->gradient->row.name, "adjoint");
    assert_int_equal(d->n_steps, 200);
    assert_int_equal(d->every, 500);
    assert_int_equal(list.item[0]->window_steps, 0);
    gle_experiments_clear(&list);
}

static void what_is_left_out_has_a_default(void **state)
{
    struct gle_experiments list = load(test_path("good/record_by_epochs.yaml"));
    const struct gle_experiment *exp = list.item[0];
    const struct gle_record *r = &exp->record;

    (void)state;
    assert_true(exp->has_teacher);
    assert_int_equal(exp->teacher.n, 0);
    assert_null(exp->phases);
    assert_int_equal(exp->n_steps, 0);
    assert_int_equal(exp->window_steps, 5);
    assert_int_equal(r->every, 1);
    assert_int_equal(r->offset, 0);
    assert_indices(&r->layers, 2, (const size_t[]){0, 1});
    assert_indices(&r->neurons, 1, (const size_t[]){2}); /* a number by itself */
    assert_indices(&r->sequences, 2, (const size_t[]){0, 3});
    for (size_t v = 0; v < GLE_RECORD_VARS; v++)
        assert_int_equal(r->variables[v], v == GLE_RECORD_LAMBDA || v == GLE_RECORD_R || v == GLE_RECORD_V);
    for (size_t p = 0; p < GLE_PARAMS; p++)
        assert_false(r->parameters[p] || r->gradients[p]);
    assert_string_equal(exp->diagnose.gradient->row.name, "bptt");
    assert_int_equal(exp->diagnose.n_steps, 10);
    assert_int_equal(exp->diagnose.every, 1000);
    gle_experiments_clear(&list);
}

static const char head[] = "glesim: 1\nname: tiny\ndt: 0.1\ndataset: xor\nnetwork: {input: 2, layers: [{name: top, "
                           "neurons: {count: 2, tau_m: 1, tau_r: 1}}]}\nlearning: {loss: mse}\n";

static void absent_sections_ask_for_nothing(void **state)
{
    char yaml[512];
    struct gle_experiments list;
    const struct gle_experiment *exp;

    (void)state;
    snprintf(yaml, sizeof yaml, "%straining: {epochs: 1}\n", head);
    list = load_text(yaml);
    exp = list.item[0];
    assert_false(exp->has_teacher);
    assert_int_equal(exp->teacher.n, 0);
    assert_int_equal(exp->n_phases, 0);
    assert_null(exp->phases);
    assert_int_equal(exp->record.every, 0);
    assert_null(exp->record.src);
    assert_int_equal(exp->diagnose.every, 0);
    assert_null(exp->diagnose.src);
    gle_experiments_clear(&list);
}

static void an_empty_record_takes_all_layers_neurons_and_sequences(void **state)
{
    char yaml[512];
    struct gle_experiments list;
    const struct gle_record *r;

    (void)state;
    snprintf(yaml, sizeof yaml, "%straining: {epochs: 1}\nrecord: {}\n", head);
    list = load_text(yaml);
    r = &list.item[0]->record;
    assert_int_equal(r->every, 1);
    assert_indices(&r->layers, 1, (const size_t[]){0});
    assert_int_equal(r->neurons.n, 0);
    assert_int_equal(r->sequences.n, 0);
    gle_experiments_clear(&list);
}

/* --- the resolved config --- */

static void assert_same_text(const struct gle_node *a, const struct gle_node *b)
{
    char *text = gle_node_text(a), *other = gle_node_text(b);

    assert_non_null(text);
    assert_non_null(other);
    assert_string_equal(text, other);
    gle_free(text);
    gle_free(other);
}

static void assert_same_part(const struct gle_part *a, const struct gle_part *b)
{
    assert_ptr_equal(a->row, b->row);
    if (a->row)
        assert_same_text(a->src, b->src);
}

static void assert_same_word(const char *a, const char *b)
{
    assert_int_equal(!a, !b);
    if (a)
        assert_string_equal(a, b);
}

static void assert_same_layer(const struct gle_layer_cfg *a, const struct gle_layer_cfg *b)
{
    assert_string_equal(a->name, b->name);
    assert_int_equal(a->n, b->n);
    assert_memory_equal(a->tau_m, b->tau_m, a->n * sizeof *a->tau_m);
    assert_memory_equal(a->tau_r, b->tau_r, a->n * sizeof *a->tau_r);
    assert_ptr_equal(a->act, b->act);
    if (a->act_params || b->act_params)
        assert_memory_equal(a->act_params, b->act_params, a->act->row.params_size);
    assert_same_part(&a->sources[0].weight, &b->sources[0].weight);
    assert_same_part(&a->bias, &b->bias);
    assert_memory_equal(a->plastic, b->plastic, sizeof a->plastic);
    assert_true(a->gamma == b->gamma && a->reset == b->reset);
}

static void assert_same_settings(const struct gle_settings *a, const struct gle_settings *b)
{
    assert_int_equal(a->n, b->n);
    for (size_t i = 0; i < a->n; i++) {
        assert_int_equal(a->item[i].layer, b->item[i].layer);
        assert_int_equal(a->item[i].param, b->item[i].param);
        assert_same_part(&a->item[i].value, &b->item[i].value);
    }
}

static void assert_same_run(const struct gle_experiment *a, const struct gle_experiment *b)
{
    const struct gle_record *r = &a->record, *s = &b->record;

    assert_int_equal(a->has_teacher, b->has_teacher);
    assert_same_settings(&a->teacher, &b->teacher);
    assert_int_equal(a->n_phases, b->n_phases);
    assert_int_equal(!a->phases, !b->phases);
    assert_int_equal(a->n_steps, b->n_steps);
    for (size_t i = 0; i < a->n_phases; i++) {
        const struct gle_phase *p = &a->phases[i], *q = &b->phases[i];
        assert_true(p->duration == q->duration && p->n_steps == q->n_steps && p->learn == q->learn);
        assert_same_settings(&p->set, &q->set);
    }
    assert_int_equal(r->every, s->every);
    assert_indices(&r->layers, s->layers.n, s->layers.v);
    assert_indices(&r->neurons, s->neurons.n, s->neurons.v);
    assert_indices(&r->sequences, s->sequences.n, s->sequences.v);
    assert_memory_equal(r->variables, s->variables, sizeof r->variables);
    assert_memory_equal(r->parameters, s->parameters, sizeof r->parameters);
    assert_int_equal(a->diagnose.every, b->diagnose.every);
    assert_int_equal(a->diagnose.n_steps, b->diagnose.n_steps);
    assert_ptr_equal(a->diagnose.gradient, b->diagnose.gradient);
}

static void assert_same_experiment(const struct gle_experiment *a, const struct gle_experiment *b)
{
    assert_same_word(a->name, b->name);
    assert_same_word(a->description, b->description);
    assert_int_equal(a->seed, b->seed);
    assert_true(a->dt == b->dt && a->beta == b->beta && a->validation == b->validation);
    assert_same_part(&a->dataset, &b->dataset);
    assert_int_equal(a->n_input, b->n_input);
    assert_int_equal(a->n_layers, b->n_layers);
    for (size_t i = 0; i < a->n_layers; i++)
        assert_same_layer(&a->layers[i], &b->layers[i]);
    assert_same_word(a->init_file, b->init_file);
    assert_ptr_equal(a->rule, b->rule);
    assert_ptr_equal(a->loss, b->loss);
    for (size_t p = 0; p < GLE_PARAMS; p++)
        assert_true(a->bounds[p].low == b->bounds[p].low && a->bounds[p].high == b->bounds[p].high);
    assert_same_part(&a->optimizer, &b->optimizer);
    assert_same_part(&a->schedule, &b->schedule);
    assert_int_equal(a->window_steps, b->window_steps);
    assert_int_equal(a->epochs, b->epochs);
    assert_int_equal(a->batch_size, b->batch_size);
    assert_int_equal(a->test_batch_size, b->test_batch_size);
    assert_int_equal(a->reset_state, b->reset_state);
    assert_same_run(a, b);
}

static size_t read_back(const char *path)
{
    struct gle_experiments list = load(path);
    const size_t n = list.n;

    for (size_t i = 0; i < n; i++) {
        char *text = gle_node_text(list.item[i]->src);
        struct gle_experiments again;
        assert_non_null(text);
        again = load_text(text);
        assert_int_equal(again.n, 1);
        assert_same_experiment(list.item[i], again.item[0]);
        assert_same_text(list.item[i]->src, again.item[0]->src);
        gle_experiments_clear(&again);
        gle_free(text);
    }
    gle_experiments_clear(&list);
    return n;
}

static void the_resolved_config_reads_back_as_the_same_experiment(void **state)
{
    const char *const folders[] = {"good/*.yaml", "../configs/*.yaml"};
    size_t n_experiments = 0;
    glob_t found;

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(glob(test_path(folders[i]), 0, NULL, &found), 0);
        for (size_t j = 0; j < found.gl_pathc; j++)
            n_experiments += read_back(found.gl_pathv[j]);
        globfree(&found);
    }
    assert_true(n_experiments > 20);
    assert_int_equal(read_back(test_path("good/lagline.yaml")), 5);
    assert_int_equal(read_back(test_path("good/lagnet.yaml")), 2);
}

/* --- memory --- */

/* Loads with k allocations to be had; whether that was enough. */
static bool loads_with(const char *path, size_t k)
{
    struct gle_experiments list;
    struct gle_errors errs = {0};
    int rc;

    gle_memory_fail_after(k);
    rc = gle_experiments_load(&list, path, NULL, 0, NULL, 0, &errs);
    gle_memory_fail_after((size_t)-1);
    if (rc) {
        assert_true(errs.n > 0);
        assert_null(list.item);
    }
    for (size_t i = 0; i < errs.n; i++)
        if (errs.item[i].code != GLE_ENOMEM)
            fail_msg("allocation %zu: code %d, %s: %s", k, (int)errs.item[i].code, errs.item[i].path,
                     errs.item[i].text);
    gle_experiments_clear(&list);
    return !rc;
}

/* The arena asks for memory in chunks of 64 KiB, handed out in units of 16 bytes: the length of the description decides
 * what needs the next chunk. */
static size_t fail_everywhere(const char *config)
{
    enum { CHUNK_BYTES = 1 << 16, FILE_BYTES = 4096, STRIDE = 80 };
    static char yaml[CHUNK_BYTES + FILE_BYTES];
    char path[] = "/tmp/glesim_experiment_XXXXXX";
    FILE *file = fopen(config, "rb");
    size_t n, n_failed = 0;

    assert_non_null(file);
    n = fread(yaml, 1, FILE_BYTES - 32, file);
    fclose(file);
    assert_in_range(n, 100, FILE_BYTES - 33);
    n += (size_t)snprintf(yaml + n, sizeof yaml - n, "description: ");
    write_temporary(path, "");
    for (size_t len = 1; n + len < CHUNK_BYTES; len += STRIDE) {
        size_t k = 0;
        memset(yaml + n, 'x', len);
        yaml[n + len] = '\0';
        file = fopen(path, "wb");
        assert_non_null(file);
        assert_true(fputs(yaml, file) >= 0);
        fclose(file);
        while (!loads_with(path, k))
            k++;
        n_failed += k;
    }
    unlink(path);
    return n_failed;
}

static void any_allocation_may_fail_and_nothing_else_is_said(void **state)
{
    (void)state;
    assert_true(fail_everywhere(test_path("good/by_duration.yaml")) > 5000);
    assert_true(fail_everywhere(test_path("good/record_by_epochs.yaml")) > 5000);
}

/* A key that is the end of another one is called by all of it. */
static void combinations_are_told_apart_by_the_ends_of_their_keys(void **state)
{
    struct gle_experiments list = load_text(
        "glesim: 1\nname: x\ndt: 0.1\ndataset: {type: xor}\n"
        "network: {input: 2, layers: [{name: top, neurons: {count: 2, tau_m: 1.0, tau_r: 1.0}}]}\n"
        "learning: {loss: mse}\ntraining: {epochs: 1}\n"
        "sweep: {name: [a, b], \"network.layers[0].name\": [c, d], learning.beta: [1.0]}\n");

    (void)state;
    assert_int_equal(list.n, 4);
    for (size_t i = 0; i < 4; i++) {
        const char *label = list.item[i]->sweep.label;
        assert_int_equal(strncmp(label, i / 2 ? "name=b," : "name=a,", 7), 0);
        assert_non_null(strstr(label, i % 2 ? ".name=d," : ".name=c,"));
        assert_non_null(strstr(label, ",beta=1"));
    }
    gle_experiments_clear(&list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_teacher_has_layers_parameters_and_values),
        cmocka_unit_test(phases_are_counted_in_steps),
        cmocka_unit_test(what_is_recorded_stands_in_the_order_written),
        cmocka_unit_test(evaluations_are_counted_in_steps),
        cmocka_unit_test(a_comparison_has_a_gradient_and_a_length),
        cmocka_unit_test(what_is_left_out_has_a_default),
        cmocka_unit_test(absent_sections_ask_for_nothing),
        cmocka_unit_test(an_empty_record_takes_all_layers_neurons_and_sequences),
        cmocka_unit_test(combinations_are_told_apart_by_the_ends_of_their_keys),
        cmocka_unit_test(the_resolved_config_reads_back_as_the_same_experiment),
        cmocka_unit_test(any_allocation_may_fail_and_nothing_else_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
