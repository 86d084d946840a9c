/* recording.npz of real runs, against what the nets held. */
#include "../support/folder.h"
#include "../support/by_layer.h"
#include "../support/witness.h"
#include "base/memory.h"
#include "base/npz.h"
#include "report/recording.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { YAML_BYTES = 4096, LAYERS = 3 };

static const char *const noise = "{type: ornstein_uhlenbeck, tau: 1.0, sequences: 4, channels: 2}";
static const char *const xor7 = "{type: xor, present: 0.7, repeat: 2, noise: 0.3}"; /* eight samples of seven steps */
static const char *const teacher = "teacher: {a: {weight: 0.7, tau_m: 1.5}, b: {bias: [0.3, -0.2]}}\n";
static const size_t neurons_of[LAYERS] = {4, 3, 2}, inputs_of[LAYERS] = {2, 4, 3};
static const char *const names[LAYERS] = {"a", "bare", "b"};

static const char *config(const char *dataset, const char *learning, const char *training, const char *sections)
{
    static char yaml[YAML_BYTES];
    const int n = snprintf(yaml, sizeof yaml,
                           "glesim: 1\nname: tiny\ndt: 0.1\nseed: 5\ndataset: %s\n"
                           "network: {input: 2, layers: [{name: a, neurons: {tau_m: [1.0, 0.5, 2.0, 0.8], "
                           "tau_r: [0.4, 0.5, 0.1, 0.9]}, activation: tanh}, "
                           "{name: bare, bias: none, neurons: {count: 3, tau_m: 0.7, tau_r: 0.5}, activation: tanh}, "
                           "{name: b, neurons: {tau_m: [1.0, 0.6], tau_r: [0.5, 1.0]}}]}\n"
                           "learning: {loss: mse, plastic: [weight, bias, tau_m, tau_r]%s}\n"
                           "training: {%s}\n%s\n",
                           dataset, learning, training, sections);

    assert_in_range(n, 1, YAML_BYTES - 1);
    return yaml;
}

static char folder[FOLDER_SIZE];

/* --- what the net held, kept by the hooks of the test itself --- */


/* One record: all neurons and sequences. */
struct held {
    struct gle_moment moment;
    float *vars[LAYERS][GLE_RECORD_VARS]; /* (B, n), e_below (B, n_in); NULL: not known, as lambda until it is told */
    float *params[LAYERS][GLE_PARAMS];    /* (n, n_in) or (n) */
    float *grads[LAYERS][GLE_PARAMS];     /* likewise; NULL: the optimizer saw none */
    float *input, *target, *output;    /* (B, n) */
};

struct double_entry {
    struct gle_recorder *recorder; /* NULL: none */
    const struct trial *trial;
    struct held *records;
    size_t n;
    uint64_t stop_after;
    volatile sig_atomic_t stop;
};

static size_t width_of(size_t layer, size_t v)
{
    return v == GLE_RECORD_E_BELOW ? inputs_of[layer] : neurons_of[layer];
}

static float *read_back(const struct gle_moment *m, enum gle_read what, size_t width)
{
    float *values = calloc(m->B * width, sizeof *values);

    for (size_t b = 0; b < m->B; b++)
        gle_net_get_read(m->net, what, &b, 1, values + b * width);
    return values;
}

static int on_moment(void *ctx, const struct gle_moment *m, struct gle_error *err)
{
    static const enum layer_var vars[GLE_RECORD_LAMBDA] = {
        [GLE_RECORD_U] = VAR_U,           [GLE_RECORD_V] = VAR_V,
        [GLE_RECORD_R] = VAR_R,           [GLE_RECORD_E] = VAR_E,
        [GLE_RECORD_PROSP_U] = VAR_PROSP_U, [GLE_RECORD_R_PRIME] = VAR_DR,
        [GLE_RECORD_E_INST] = VAR_E_INST, [GLE_RECORD_E_BELOW] = VAR_E_BELOW};
    struct double_entry *d = ctx;
    const struct gle_experiment *exp = d->trial->b.exp;
    struct held *h;

    d->records = realloc(d->records, (d->n + 1) * sizeof *d->records);
    h = &d->records[d->n++];
    *h = (struct held){.moment = *m};
    for (size_t i = 0; i < LAYERS; i++) {
        for (size_t v = 0; v < GLE_RECORD_LAMBDA; v++) {
            if (!exp->record.variables[v] || (v == GLE_RECORD_E_BELOW && i == 0)) /* nobody is below */
                continue;
            h->vars[i][v] = calloc(m->B * width_of(i, v), sizeof(float));
            layer_get_var(m->net, i, vars[v], h->vars[i][v]);
        }
        for (int p = 0; p < GLE_PARAMS; p++) {
            h->params[i][p] = calloc(neurons_of[i] * (inputs_of[i] + 1), sizeof(float));
            layer_get_param(m->net, i, (enum gle_param)p, h->params[i][p]);
            if (!m->learned || !layer_learns(m->net, i, (enum gle_param)p))
                continue;
            h->grads[i][p] = calloc(neurons_of[i] * (inputs_of[i] + 1), sizeof(float));
            layer_get_followed(m->net, i, (enum gle_param)p, h->grads[i][p]);
        }
    }
    h->input = read_back(m, GLE_READ_INPUT, 2);
    h->target = read_back(m, GLE_READ_TARGET, 2);
    h->output = read_back(m, GLE_READ_OUTPUT, 2);
    if (m->step >= d->stop_after)
        d->stop = 1;
    return d->recorder ? gle_recorder_moment(d->recorder, m, err) : 0;
}

static int on_window(void *ctx, const struct gle_closed_window *w, struct gle_error *err)
{
    struct double_entry *d = ctx;

    for (size_t r = 0; r < d->n; r++) {
        struct held *h = &d->records[r];
        if (h->moment.step < w->first_step)
            continue;
        for (size_t i = 0; i < LAYERS; i++) {
            float *lambda = calloc(h->moment.B * neurons_of[i], sizeof *lambda);
            for (size_t b = 0; b < h->moment.B; b++)
                gle_net_get_lambda(w->net, i, (size_t)(h->moment.step - w->first_step), &b, 1,
                                   lambda + b * neurons_of[i]);
            assert_null(h->vars[i][GLE_RECORD_LAMBDA]);
            h->vars[i][GLE_RECORD_LAMBDA] = lambda;
        }
    }
    return d->recorder ? gle_recorder_window(d->recorder, w, err) : 0;
}

static void double_entry_clear(struct double_entry *d)
{
    for (size_t r = 0; r < d->n; r++) {
        struct held *h = &d->records[r];
        for (size_t i = 0; i < LAYERS; i++) {
            for (size_t v = 0; v < GLE_RECORD_VARS; v++)
                free(h->vars[i][v]);
            for (int p = 0; p < GLE_PARAMS; p++) {
                free(h->params[i][p]);
                free(h->grads[i][p]);
            }
        }
        free(h->input);
        free(h->target);
        free(h->output);
    }
    free(d->records);
}

static int open_recorder(struct gle_recorder **recorder, const struct trial *t, struct gle_error *err)
{
    char path[PATH_SIZE];

    snprintf(path, sizeof path, "%s", folder_path(folder, "recording.npz"));
    return gle_recorder_open(recorder, path, folder_path(folder, "recording.part"), t->b.graph, err);
}

/* Runs and records. */
static void record(struct double_entry *d, struct trial *t, const char *yaml, uint64_t stop_after)
{
    const struct gle_observer observer = {.ctx = d, .moment = on_moment, .window = on_window};
    struct gle_error err = {0};

    *t = trial_open(yaml, 2);
    *d = (struct double_entry){.trial = t, .stop_after = stop_after};
    if (open_recorder(&d->recorder, t, &err))
        fail_msg("%s", err.text);
    trial_run(t, &observer, &d->stop);
    if (t->rc)
        fail_msg("%s", t->err.text);
    if (gle_recorder_close(d->recorder, &err))
        fail_msg("%s", err.text);
}

/* --- what the file holds --- */

static struct gle_array array_of(const struct gle_npz *npz, const char *name, enum gle_npy_type type, size_t n,
                                 size_t n_dims, size_t rows, size_t cols)
{
    struct gle_array a;
    struct gle_error err = {0};

    if (gle_npz_read(&a, npz, name, &err))
        fail_msg("%s", err.text);
    assert_int_equal(a.type, type);
    assert_int_equal(a.n_dims, n_dims);
    assert_int_equal(a.shape[0], n);
    if (n_dims > 1)
        assert_int_equal(a.shape[1], rows);
    if (n_dims > 2)
        assert_int_equal(a.shape[2], cols);
    return a;
}

static bool same_bits(float a, float b)
{
    return !memcmp(&a, &b, sizeof a) || (isnan(a) && isnan(b));
}

static void check_numbers(const struct gle_npz *npz, const struct double_entry *d, bool by_phases)
{
    static const char *const numbers[] = {"time", "loss", "step", "stage", "split"};

    assert_int_equal(gle_npz_has(npz, "split"), !by_phases);
    for (size_t k = 0; k < (by_phases ? 4 : 5); k++) {
        const char *name = k == 3 ? (by_phases ? "phase" : "epoch") : numbers[k];
        struct gle_array a = array_of(npz, name, k < 2 ? GLE_NPY_F64 : GLE_NPY_I64, d->n, 1, 0, 0);
        for (size_t r = 0; r < d->n; r++) {
            const struct gle_moment *m = &d->records[r].moment;
            const double want[] = {(double)m->step * 0.1, m->loss, (double)m->step, (double)m->stage, (double)m->split};
            assert_true(gle_array_real(&a, r) == want[k]);
        }
        gle_array_clear(&a);
    }
}

/* What is recorded of a layer: numbers of sequences and neurons. */
struct choice {
    size_t sequences[8], n_sequences, neurons[8], n_neurons;
};

/* Rows of the largest batch that runs. */
static size_t largest_batch(const struct trial *t)
{
    size_t most = t->data->signal.n_sequences;

    for (int s = 0; s < (t->b.exp->phases ? 1 : GLE_SPLITS); s++) {
        const size_t n = t->data->split[s].n, limit = s ? t->b.exp->test_batch_size : t->b.exp->batch_size;
        most = n < limit && n > most ? n : n >= limit && limit > most ? limit : most;
    }
    return most;
}

static struct choice choose(const struct double_entry *d, size_t n)
{
    const struct gle_record *cfg = &d->trial->b.exp->record;
    struct choice c = {.n_sequences = cfg->sequences.n ? cfg->sequences.n : largest_batch(d->trial)};

    for (size_t b = 0; b < c.n_sequences; b++)
        c.sequences[b] = cfg->sequences.n ? cfg->sequences.v[b] : b;
    for (size_t k = 0; k < (cfg->neurons.n ? cfg->neurons.n : n); k++) {
        const size_t neuron = cfg->neurons.n ? cfg->neurons.v[k] : k;
        if (neuron < n)
            c.neurons[c.n_neurons++] = neuron;
    }
    return c;
}

/* Rows of every record, of n neurons where get() finds them; NaN for a sequence that is not in the batch, or all if
 * there is nothing. */
static void check_rows(const struct gle_npz *npz, const char *name, const struct double_entry *d,
                       const struct choice *c, const float *(*get)(const struct held *h, size_t layer, size_t v),
                       size_t layer, size_t v, size_t n)
{
    struct gle_array a = array_of(npz, name, GLE_NPY_F32, d->n, 3, c->n_sequences, c->n_neurons);
    const float *got = a.values;

    for (size_t r = 0; r < d->n; r++) {
        const struct held *h = &d->records[r];
        const float *all = get(h, layer, v);
        for (size_t b = 0; b < c->n_sequences; b++)
            for (size_t k = 0; k < c->n_neurons; k++) {
                const size_t row = c->sequences[b], col = c->neurons[k];
                const float want = all && row < h->moment.B ? all[row * n + col] : (float)NAN;
                if (!same_bits(*got, want))
                    fail_msg("%s, step %zu, sequence %zu, neuron %zu: %.9g, not %.9g", name, (size_t)h->moment.step,
                             row, col, (double)*got, (double)want);
                got++;
            }
    }
    gle_array_clear(&a);
}

static const float *get_var(const struct held *h, size_t layer, size_t v)
{
    return h->vars[layer][v];
}

static const float *get_read(const struct held *h, size_t layer, size_t v)
{
    (void)layer;
    return v == 0 ? h->input : v == 1 ? h->target : h->output;
}

static void check_params(const struct gle_npz *npz, const char *name, const struct double_entry *d,
                         const struct choice *c, size_t layer, int p, bool gradient)
{
    const size_t width = p == GLE_WEIGHT ? inputs_of[layer] : 1;
    struct gle_array a = array_of(npz, name, GLE_NPY_F32, d->n, p == GLE_WEIGHT ? 3 : 2, c->n_neurons, width);
    const float *got = a.values;

    for (size_t r = 0; r < d->n; r++)
        for (size_t k = 0; k < c->n_neurons; k++) {
            const float *all = gradient ? d->records[r].grads[layer][p] : d->records[r].params[layer][p];
            for (size_t j = 0; j < width; j++, got++) {
                const float want = all ? all[c->neurons[k] * width + j] : (float)NAN;
                if (!same_bits(*got, want))
                    fail_msg("%s, step %zu, neuron %zu: %.9g, not %.9g", name, (size_t)d->records[r].moment.step,
                             c->neurons[k], (double)*got, (double)want);
            }
        }
    gle_array_clear(&a);
}

/* Returns the number of arrays of layer i. */
static size_t check_layer(const struct gle_npz *npz, const struct double_entry *d, size_t i)
{
    const struct gle_record *cfg = &d->trial->b.exp->record;
    const struct choice c = choose(d, neurons_of[i]);
    size_t n_arrays = 0;
    char name[64];

    for (size_t v = 0; v < GLE_RECORD_VARS && c.n_neurons; v++) {
        struct choice inputs = c;
        snprintf(name, sizeof name, "%s.%s", names[i], gle_variables[v].row.name);
        for (inputs.n_neurons = 0; inputs.n_neurons < inputs_of[i]; inputs.n_neurons++)
            inputs.neurons[inputs.n_neurons] = inputs.n_neurons;
        if (cfg->variables[v])
            check_rows(npz, name, d, v == GLE_RECORD_E_BELOW ? &inputs : &c, get_var, i, v, width_of(i, v));
        n_arrays += cfg->variables[v];
    }
    for (int p = 0; p < GLE_PARAMS && c.n_neurons; p++) {
        const bool there = cfg->parameters[p] && !(i == 1 && p == GLE_BIAS);
        snprintf(name, sizeof name, "%s.%s", names[i], gle_params[p].name);
        if (there)
            check_params(npz, name, d, &c, i, p, false);
        n_arrays += there;
    }
    for (int p = 0; p < GLE_PARAMS && c.n_neurons; p++) {
        const bool there = cfg->gradients[p] && !(i == 1 && p == GLE_BIAS);
        snprintf(name, sizeof name, "%s.grad_%s", names[i], gle_params[p].name);
        if (there)
            check_params(npz, name, d, &c, i, p, true);
        n_arrays += there;
    }
    return n_arrays;
}

/* All that exp->record asks for, and nothing else. */
static void check_file(const char *path, const struct double_entry *d)
{
    const struct gle_record *cfg = &d->trial->b.exp->record;
    static const char *const reads[] = {"input", "target", "output"};
    struct choice channels = choose(d, 0);
    size_t n_arrays = d->trial->b.exp->phases ? 7 : 8;
    struct gle_error err = {0};
    struct gle_npz *npz;

    channels.n_neurons = 2;
    channels.neurons[0] = 0;
    channels.neurons[1] = 1;
    if (gle_npz_open(&npz, path, &err))
        fail_msg("%s", err.text);
    check_numbers(npz, d, d->trial->b.exp->phases != NULL);
    for (size_t k = 0; k < 3; k++)
        check_rows(npz, reads[k], d, &channels, get_read, 0, k, 2);
    for (size_t j = 0; j < cfg->layers.n; j++)
        n_arrays += check_layer(npz, d, cfg->layers.v[j]);
    assert_int_equal(gle_npz_count(npz), n_arrays);
    gle_npz_close(npz);
}

/* Records, checks the file, and checks that the run was none the worse. */
static struct double_entry check(struct trial *t, const char *yaml, uint64_t stop_after)
{
    struct double_entry d;
    const struct gle_observer alone = {.ctx = NULL};
    struct trial without;

    record(&d, t, yaml, stop_after);
    check_file(folder_path(folder, "recording.npz"), &d);
    if (stop_after == UINT64_MAX) {
        without = trial_open(yaml, 1);
        trial_run(&without, &alone, NULL);
        assert_true(same_params(&t->b, &without.b));
        trial_close(&without);
    }
    return d;
}

static void everything_is_recorded_as_the_net_held_it(void **state)
{
    static const char *const everything = "record: {variables: [u, v, r, e, prosp_u, r_prime, e_inst, e_below%s], "
                                          "parameters: [weight, bias, tau_m, tau_r], "
                                          "gradients: [tau_r, tau_m, bias, weight]}\n%s";
    static const struct {
        const char *dataset, *learning, *training, *lambda, *teacher;
    } runs[] = {
        {noise, ", gamma: 0.1", "phases: [{duration: 1}, {duration: 0.5, set: {a.weight: 0.3}}]", "", teacher},
        {noise, ", rule: bptt, window: 0.4, gamma: 0.1", "phases: [{duration: 2}, {duration: 0.7, learn: false}]",
         ", lambda", teacher},
        {xor7, ", rule: adjoint, window: 0.3", "batch_size: 3, state: reset, phases: [{duration: 3}]", ", lambda", ""},
        {xor7, ", rule: bp", "epochs: 2, batch_size: 3", "", ""},
        {xor7, ", update: {every: 4}", "epochs: 2, batch_size: 3", "", ""},
        {xor7, "", "epochs: 1, batch_size: 3, test_batch_size: 8, validation: 0.5, state: reset", "", ""},
        {xor7, ", rule: bp", "epochs: 1, batch_size: 5, test_batch_size: 2", "", ""},
        {xor7, ", rule: bptt, window: 0.3", "epochs: 2, batch_size: 3", ", lambda", teacher},
    };

    (void)state;
    for (size_t i = 0; i < sizeof runs / sizeof *runs; i++) {
        char sections[512];
        struct double_entry d;
        struct trial t;
        snprintf(sections, sizeof sections, everything, runs[i].lambda, runs[i].teacher);
        d = check(&t, config(runs[i].dataset, runs[i].learning, runs[i].training, sections), UINT64_MAX);
        assert_true(d.n >= 15);
        double_entry_clear(&d);
        trial_close(&t);
    }
}

static void a_choice_of_layers_neurons_and_sequences_stands_in_its_order(void **state)
{
    static const char *const choices[] = {
        "record: {layers: [b, a], neurons: [1, 0], sequences: [2, 0], variables: [u, r], parameters: [weight]}\n",
        "record: {neurons: [3], sequences: 1, variables: [v, prosp_u, lambda], parameters: [bias, weight]}\n",
        "record: {layers: [bare], sequences: [3, 2, 1, 0], parameters: [bias, tau_m], variables: [lambda]}\n",
        "record: {neurons: [3, 1], sequences: [0, 2], variables: [e_below, e_inst], gradients: [weight, bias]}\n",
        "record: {}\n", /* all layers, but nothing of them */
    };

    (void)state;
    for (size_t i = 0; i < sizeof choices / sizeof *choices; i++)
        for (size_t k = 0; k < 2; k++) {
            char sections[512];
            struct double_entry d;
            struct trial t;
            snprintf(sections, sizeof sections, "%s%s", choices[i], teacher);
            d = check(&t, config(k ? xor7 : noise, ", rule: bptt, window: 0.3",
                                 k ? "epochs: 1, batch_size: 4" : "phases: [{duration: 1.5}]", sections), UINT64_MAX);
            double_entry_clear(&d);
            trial_close(&t);
        }
}

/* Lambda waits for the end of a window; a window may have none of the records, or many. */
static void records_come_every_so_many_steps_whatever_the_windows(void **state)
{
    static const size_t every[] = {1, 2, 3, 4, 5, 7, 13, 60};

    (void)state;
    for (size_t i = 0; i < sizeof every / sizeof *every; i++)
        for (size_t k = 0; k < 3; k++) {
            char sections[256];
            struct double_entry d;
            struct trial t;
            snprintf(sections, sizeof sections, "record: {every: %zu, variables: [lambda, u], parameters: [bias]}\n%s",
                     every[i], k ? "" : teacher);
            d = check(&t, config(k ? xor7 : noise, ", rule: bptt, window: 0.5",
                                 k == 0   ? "phases: [{duration: 2.3}, {duration: 1.9}, {duration: 1.3}]"
                                 : k == 1 ? "batch_size: 3, state: reset, phases: [{duration: 5.5}]"
                                          : "epochs: 1, batch_size: 5", sections), UINT64_MAX);
            for (size_t r = 0; r < d.n; r++)
                assert_int_equal(d.records[r].moment.step, r * every[i]);
            if (k == 0)
                assert_int_equal(d.n, (55 + every[i] - 1) / every[i]);
            double_entry_clear(&d);
            trial_close(&t);
        }
}

/* Windows of phases of 23 and 9 steps: 0-5, 6-10, 11-15, 16-20, 23-25, 26-30. */
static void lambda_is_nan_where_a_window_was_dropped_or_none_was_open(void **state)
{
    struct double_entry d;
    struct trial t;

    (void)state;
    d = check(&t, config(noise, ", rule: bptt, window: 0.5", "phases: [{duration: 2.3}, {duration: 0.9}]",
                         "record: {variables: [lambda]}\nteacher: {}\n"), UINT64_MAX);
    assert_int_equal(d.n, 32);
    for (size_t r = 0; r < d.n; r++)
        assert_int_equal(d.records[r].vars[1][GLE_RECORD_LAMBDA] != NULL, r < 21 || (r >= 23 && r < 31));
    double_entry_clear(&d);
    trial_close(&t);
}

static void lambda_is_recorded_in_phases_that_do_not_learn_too(void **state)
{
    struct double_entry d;
    struct trial t;
    char sections[256];
    double most = 0.0;

    (void)state;
    snprintf(sections, sizeof sections, "record: {variables: [lambda], parameters: [weight]}\n%s", teacher);
    d = check(&t, config(noise, ", rule: adjoint, window: 0.5", "phases: [{duration: 2, learn: false}]", sections),
              UINT64_MAX);
    for (size_t r = 0; r < 16; r++) {
        assert_non_null(d.records[r].vars[0][GLE_RECORD_LAMBDA]);
        most = fmax(most, fabs((double)d.records[r].vars[0][GLE_RECORD_LAMBDA][0]));
        assert_memory_equal(d.records[r].params[0][GLE_WEIGHT], d.records[0].params[0][GLE_WEIGHT], 8 * sizeof(float));
    }
    assert_true(most > 0.0);
    double_entry_clear(&d);
    trial_close(&t);
}

static void the_first_record_is_that_of_the_offset(void **state)
{
    static const size_t offsets[] = {0, 1, 4, 21, 54}, every[] = {1, 3, 7, 100};

    (void)state;
    for (size_t i = 0; i < sizeof offsets / sizeof *offsets; i++)
        for (size_t k = 0; k < sizeof every / sizeof *every; k++) {
            char sections[256];
            struct double_entry d;
            struct trial t;
            snprintf(sections, sizeof sections, "record: {every: %zu, offset: %zu, variables: [u, lambda], gradients: "
                                                "[weight]}\n%s", every[k], offsets[i], teacher);
            d = check(&t, config(noise, ", rule: bptt, window: 0.5", "phases: [{duration: 2.3}, {duration: 3.2}]",
                                 sections), UINT64_MAX);
            assert_int_equal(d.n, (55 - offsets[i] + every[k] - 1) / every[k]);
            for (size_t r = 0; r < d.n; r++)
                assert_int_equal(d.records[r].moment.step, offsets[i] + r * every[k]);
            double_entry_clear(&d);
            trial_close(&t);
        }
}

static void a_stopped_run_leaves_its_records_so_far(void **state)
{
    (void)state;
    for (uint64_t at = 3; at < 38; at += 6)
        for (size_t k = 0; k < 2; k++) {
            struct double_entry d;
            struct trial t;
            d = check(&t, config(xor7, ", rule: bptt, window: 0.5", k ? "epochs: 2, batch_size: 3"
                                                                     : "phases: [{duration: 2}, {duration: 2}]",
                                 "record: {variables: [lambda, r]}\n"), at);
            assert_int_equal(t.m.status, GLE_INTERRUPTED);
            assert_int_equal(d.n, at + 1);
            double_entry_clear(&d);
            trial_close(&t);
        }
}

/* --- files and memory --- */

static bool is_there(const char *name)
{
    return !access(folder_path(folder, name), F_OK);
}

static void what_is_discarded_leaves_no_recording(void **state)
{
    struct gle_recorder *recorder;
    struct gle_error err = {0};
    struct trial t = trial_open(config(noise, "", "phases: [{duration: 1}]",
                                       "record: {variables: [u]}\nteacher: {}\n"), 1);

    (void)state;
    for (size_t n = 0; n < 3; n++) {
        assert_int_equal(open_recorder(&recorder, &t, &err), 0);
        for (uint64_t step = 0; step < n; step++)
            assert_int_equal(gle_recorder_moment(recorder, &(struct gle_moment){.net = t.b.net, .step = step, .B = 4},
                                                 &err), 0);
        gle_recorder_discard(recorder);
        assert_true(is_there("recording.part") && !is_there("recording.npz"));
    }
    gle_recorder_discard(NULL);
    assert_int_equal(open_recorder(&recorder, &t, &err), 0);
    assert_int_equal(gle_recorder_close(recorder, &err), 0); /* no record at all */
    assert_true(is_there("recording.npz"));
    folder_remove(folder);
    assert_int_equal(open_recorder(&recorder, &t, &err), -1);
    assert_int_equal(err.code, GLE_EWRITE);
    assert_null(recorder);
    folder_make(folder);
    trial_close(&t);
}

/* The hooks alone, whose context is where the recorder stands. */
static int moment_alone(void *ctx, const struct gle_moment *m, struct gle_error *err)
{
    return gle_recorder_moment(*(struct gle_recorder **)ctx, m, err);
}

static int window_alone(void *ctx, const struct gle_closed_window *w, struct gle_error *err)
{
    return gle_recorder_window(*(struct gle_recorder **)ctx, w, err);
}

static bool records_with(const char *yaml, size_t k)
{
    struct gle_recorder *recorder;
    const struct gle_observer observer = {.ctx = &recorder, .moment = moment_alone, .window = window_alone};
    struct trial t = trial_open(yaml, 1);

    gle_memory_fail_after(k);
    t.rc = open_recorder(&recorder, &t, &t.err);
    if (t.rc)
        assert_null(recorder);
    else
        trial_run(&t, &observer, NULL);
    if (t.rc)
        gle_recorder_discard(recorder);
    else
        t.rc = gle_recorder_close(recorder, &t.err);
    gle_memory_fail_after((size_t)-1);
    if (t.rc && t.err.code != GLE_ENOMEM)
        fail_msg("allocation %zu: code %d, %s", k, (int)t.err.code, t.err.text);
    trial_close(&t);
    return !t.rc;
}

static void any_allocation_may_fail_and_no_recording_is_left(void **state)
{
    const char *yaml = config(noise, ", rule: bptt, window: 0.4", "phases: [{duration: 1.3}]",
                              "record: {variables: [u, lambda], parameters: [weight]}\nteacher: {}\n");
    size_t k = 0;

    (void)state;
    while (!records_with(yaml, k) && k < 5000) {
        assert_false(is_there("recording.npz"));
        k++;
    }
    assert_in_range(k, 30, 4999);
    assert_true(is_there("recording.npz"));
}

#define TEST(name) cmocka_unit_test_prestate_setup_teardown(name, folder_setup, folder_teardown, folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(everything_is_recorded_as_the_net_held_it),
        TEST(a_choice_of_layers_neurons_and_sequences_stands_in_its_order),
        TEST(records_come_every_so_many_steps_whatever_the_windows),
        TEST(lambda_is_nan_where_a_window_was_dropped_or_none_was_open),
        TEST(lambda_is_recorded_in_phases_that_do_not_learn_too),
        TEST(the_first_record_is_that_of_the_offset),
        TEST(a_stopped_run_leaves_its_records_so_far),
        TEST(what_is_discarded_leaves_no_recording),
        TEST(any_allocation_may_fail_and_no_recording_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
