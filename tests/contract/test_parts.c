/* Every row of the tables of parts, whatever it is, for every instruction set of this processor. */
#include "../support/settings.h"
#include "base/memory.h"
#include "base/npz.h"
#include "config/experiment.h"
#include "config/keys.h"
#include "data/data.h"
#include "kernel/kernel.h"
#include "parts/activation.h"
#include "parts/init.h"
#include "parts/loss.h"
#include "parts/optimizer.h"
#include "parts/rule.h"
#include "parts/schedule.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <math.h>

/* --- rows --- */

static bool is_word(const char *text)
{
    return *text && strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_") == strlen(text);
}

/* Two words or more, not a sentence that ends with a dot: what stands around it goes on. */
static bool is_phrase(const char *help)
{
    const size_t n = help ? strlen(help) : 0;

    return n && strchr(help, ' ') && help[0] != ' ' && (!isupper((unsigned char)help[0]) || help[1] == ' ') &&
           (help[n - 1] != '.' || !strcmp(help + n - 3, "...")) && help[n - 1] != ' ' && !strchr(help, '\n');
}

static bool has_numbers(enum gle_key_kind kind)
{
    return kind == GLE_KEY_KIND_REAL || kind == GLE_KEY_KIND_COUNT || kind == GLE_KEY_KIND_REALS;
}

static void assert_default_decodes(const char *where, const struct gle_key *key)
{
    _Alignas(16) unsigned char field[4096] = {0};
    struct gle_errors errs = {0};
    struct gle_doc *doc;
    struct gle_node *node;

    if (!key->fallback || !*key->fallback)
        return;
    assert_int_equal(gle_doc_parse(&doc, "{}", 2, "test", &errs), 0);
    if (gle_node_parse(&node, doc, key->fallback, "default", &errs) ||
        gle_decode_value(field, key, doc, node, &errs))
        fail_msg("%s: default of '%s': %s", where, key->name, errs.item[0].text);
    gle_doc_destroy(doc);
}

/* All keys of a table, and of the maps inside it. */
static void assert_keys_explained(const char *row, const struct gle_key *keys)
{
    for (const struct gle_key *k = keys; k && k->name; k++) {
        const struct gle_custom *custom = k->kind == GLE_KEY_KIND_CUSTOM ? k->more : NULL;
        const struct gle_row *row_of;
        if (!is_word(k->name) || !is_phrase(k->help) || !k->unit || !(k->low <= k->high))
            fail_msg("%s: key '%s' lacks a name, a phrase of help, unit or range", row, k->name);
        if (has_numbers(k->kind) && !(k->low < k->high) && strcmp(k->name, "glesim"))
            fail_msg("%s: key '%s' has no range", row, k->name);
        for (const struct gle_key *other = keys; other != k; other++)
            if (!strcmp(other->name, k->name) || !strcmp(k->name, "type"))
                fail_msg("%s: key '%s' is there twice, or is 'type'", row, k->name);
        assert_default_decodes(row, k);
        if (k->kind == GLE_KEY_KIND_MAP)
            assert_keys_explained(k->name, k->more);
        for (size_t i = 0; k->kind == GLE_KEY_KIND_PART && (row_of = gle_table_at(k->more, i)); i++)
            assert_keys_explained(row_of->name, row_of->keys);
        assert_true(!custom || (custom->type && custom->forms && custom->forms->kind));
        for (const struct gle_form *f = custom ? custom->forms : NULL; f && f->kind; f++)
            if (f->key && f->key->kind == GLE_KEY_KIND_MAP && f->key->more != gle_experiment_keys)
                assert_keys_explained(k->name, f->key->more);
    }
}

static void every_key_of_a_file_is_explained_and_its_default_decodes(void **state)
{
    (void)state;
    assert_keys_explained("file", gle_experiment_keys);
}

static void every_row_is_named_and_explained_and_its_defaults_decode(void **state)
{
    (void)state;
    for (size_t t = 0; gle_tables[t]; t++) {
        const struct gle_row *row, *other;
        assert_true(gle_tables[t]->what && *gle_tables[t]->what);
        assert_non_null(gle_table_at(gle_tables[t], 0));
        for (size_t i = 0; (row = gle_table_at(gle_tables[t], i)); i++) {
            struct settings s;
            if (!is_word(row->name) || !row->help || !*row->help || strchr(row->help, '\n'))
                fail_msg("%s '%s' lacks a name or one line of help", gle_tables[t]->what, row->name);
            for (size_t j = 0; j < i && (other = gle_table_at(gle_tables[t], j)); j++)
                assert_string_not_equal(other->name, row->name);
            assert_ptr_equal(gle_table_find(gle_tables[t], row->name), row);
            assert_keys_explained(row->name, row->keys);
            assert_true(!row->keys || row->params_size);
            s = settings_of(row, NULL);
            gle_doc_destroy(s.doc);
        }
    }
}

static void every_row_has_all_functions(void **state)
{
    (void)state;
    for (const struct gle_rule *r = gle_rules; r->row.name; r++) {
        assert_non_null(r->choose);
        for (int isa = 0; isa < n_isas(); isa++) {
            const struct gle_rule_kernels k = r->choose(gle_kernels((enum gle_isa)isa));
            assert_true(k.error && k.error_back);
        }
        assert_true(r->windowed || !r->continuous);
    }
    for (const struct gle_dataset *d = gle_datasets; d->row.name; d++)
        assert_non_null(d->open);
    for (const struct gle_init *i = gle_inits; i->row.name; i++)
        assert_non_null(i->fill);
    for (const struct gle_schedule *s = gle_schedules; s->row.name; s++) {
        assert_true(s->next && s->metric);
    }
    for (const struct gle_act *a = gle_act_table.rows; a->row.name; a++)
        if (!a->eval || (a->straight && a->curvature))
            fail_msg("%s lacks eval, or is straight and has a curvature", a->row.name);
    for (const struct gle_loss *l = gle_loss_table.rows; l->row.name; l++)
        assert_true(l->eval && l->scale);
    for (const struct gle_optimizer *o = gle_optimizer_table.rows; o->row.name; o++) {
        assert_true(o->update && o->prepare && o->lr);
        assert_in_range(o->n_moments, 0, GLE_MOMENTS_MAX);
    }
}

/* Functions compiled for one instruction set are not those for another. */
static void every_instruction_set_has_rows_of_its_own(void **state)
{
    (void)state;
    for (int isa = 0; isa < GLE_ISA_COUNT; isa++)
        for (int other = 0; other < isa; other++) {
            const enum gle_isa a = (enum gle_isa)isa, b = (enum gle_isa)other;
            for (const struct gle_act *row = gle_act_table.rows; row->row.name; row++)
                assert_true(gle_act_for(row, a)->eval != gle_act_for(row, b)->eval);
            for (const struct gle_loss *row = gle_loss_table.rows; row->row.name; row++)
                assert_true(gle_loss_for(row, a)->eval != gle_loss_for(row, b)->eval);
            for (const struct gle_optimizer *row = gle_optimizer_table.rows; row->row.name; row++)
                assert_true(gle_optimizer_for(row, a)->update != gle_optimizer_for(row, b)->update);
        }
}

/* --- optimizers --- */

enum { PARAMS = 37, ROOM = 48 };

struct descent {
    struct settings s;
    const struct gle_optimizer *o;
    float p[ROOM], g[ROOM], m[GLE_MOMENTS_MAX][ROOM];
    bool weights; /* not other parameters */
};

static void descent_step(struct descent *d, double lr, uint64_t t)
{
    const struct gle_optimizer_step step = d->o->prepare(d->s.part.params, lr, t, d->weights);
    float *m[GLE_MOMENTS_MAX];

    for (size_t i = 0; i < GLE_MOMENTS_MAX; i++)
        m[i] = i < d->o->n_moments ? d->m[i] : NULL;
    d->o->update(d->p, d->g, m, PARAMS, &step);
}

static void every_optimizer_finds_the_minimum_of_a_quadratic(void **state)
{
    (void)state;
    for (int isa = 0; isa < n_isas(); isa++)
        for (const struct gle_optimizer *o = gle_optimizer_table.rows; o->row.name; o++) {
            struct descent d = {.s = settings_of(&o->row, NULL), .o = gle_optimizer_for(o, (enum gle_isa)isa)};
            assert_true(d.o->lr(d.s.part.params) > 0.0);
            for (size_t i = 0; i < ROOM; i++)
                d.p[i] = d.g[i] = i < PARAMS ? 0.0f : 55.0f;
            for (uint64_t t = 1; t <= 4000; t++) {
                for (size_t i = 0; i < PARAMS; i++)
                    d.g[i] = (1.0f + (float)(i % 3)) * (d.p[i] - sinf((float)i));
                descent_step(&d, 0.05 / (1.0 + (double)t / 200.0), t);
            }
            for (size_t i = 0; i < PARAMS; i++)
                if (fabsf(d.p[i] - sinf((float)i)) > 1e-3f)
                    fail_msg("%s: parameter %zu ends at %g, the minimum is at %g", o->row.name, i, (double)d.p[i],
                             sin((double)i));
            for (size_t i = PARAMS; i < ROOM; i++)
                assert_true(d.p[i] == 55.0f);
            gle_doc_destroy(d.s.doc);
        }
}

/* torch.optim's formulas in double, 200 steps of gradients that change. */
static void follow_torch(const char *name, const char *yaml, double b1, double b2, double eps, double decay, bool adam)
{
    const struct gle_optimizer *row = (const struct gle_optimizer *)gle_table_find(&gle_optimizer_table, name);

    for (int k = 0; k < 2 * n_isas(); k++) {
        struct descent d = {.s = settings_of(&row->row, yaml), .o = gle_optimizer_for(row, (enum gle_isa)(k / 2)),
                            .weights = k % 2};
        const double lr = d.o->lr(d.s.part.params);
        double p[PARAMS] = {0}, m[PARAMS] = {0}, v[PARAMS] = {0};
        for (size_t i = 0; decay > 0.0 && i < PARAMS; i++) /* there is something to lose */
            p[i] = (double)(d.p[i] = 0.1f * (float)(i + 1));
        for (uint64_t t = 1; t <= 200; t++)
            for (size_t i = 0; i < PARAMS; i++) {
                double g;
                d.g[i] = sinf((float)(i + 1) * 0.1f * (float)t) * powf(10.0f, (float)(i % 7) - 5.0f);
                g = (double)d.g[i];
                if (adam) {
                    m[i] = b1 * m[i] + (1.0 - b1) * g;
                    v[i] = b2 * v[i] + (1.0 - b2) * g * g;
                    p[i] -= d.weights ? lr * decay * p[i] : 0.0;
                    p[i] -= lr / (1.0 - pow(b1, (double)t)) * m[i] /
                            (sqrt(v[i]) / sqrt(1.0 - pow(b2, (double)t)) + eps);
                } else {
                    m[i] = b1 * m[i] + g;
                    p[i] -= lr * m[i];
                }
                if (i + 1 == PARAMS)
                    descent_step(&d, lr, t);
            }
        for (size_t i = 0; i < PARAMS; i++)
            if (fabs((double)d.p[i] - p[i]) > 1e-5 * fmax(fabs(p[i]), 0.1 * lr))
                fail_msg("%s: parameter %zu is %.9g, torch's formula says %.9g", name, i, (double)d.p[i], p[i]);
        gle_doc_destroy(d.s.doc);
    }
}

static void optimizers_follow_the_formulas_of_torch(void **state)
{
    (void)state;
    follow_torch("adam", "{}", 0.9, 0.999, 1e-8, 0.0, true);
    follow_torch("adam", "{lr: 0.02, beta1: 0.5, beta2: 0.9, eps: 1e-3}", 0.5, 0.9, 1e-3, 0.0, true);
    follow_torch("adamw", "{}", 0.9, 0.999, 1e-8, 1e-2, true);
    follow_torch("adamw", "{lr: 0.02, beta1: 0.5, beta2: 0.9, eps: 1e-3, weight_decay: 0.7}", 0.5, 0.9, 1e-3, 0.7,
                 true);
    follow_torch("sgd", "{}", 0.0, 0.0, 0.0, 0.0, false);
    follow_torch("sgd", "{lr: 0.1, momentum: 0.9}", 0.9, 0.0, 0.0, 0.0, false);
}

/* Without a decay it is Adam, to the bit, and so it is for what does not decay. */
static void adamw_without_decay_is_adam(void **state)
{
    static const struct {
        const char *yaml;
        bool weights, same;
    } cases[] = {{"{lr: 0.02, weight_decay: 0}", true, true}, {"{lr: 0.02, weight_decay: 0.7}", false, true},
                 {"{lr: 0.02, weight_decay: 0.7}", true, false}};
    const struct gle_row *adam = gle_table_find(&gle_optimizer_table, "adam");
    const struct gle_row *adamw = gle_table_find(&gle_optimizer_table, "adamw");

    (void)state;
    for (int isa = 0; isa < n_isas(); isa++)
        for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
            struct descent a = {.s = settings_of(adam, "{lr: 0.02}"), .weights = cases[c].weights}, b = a;
            b.s = settings_of(adamw, cases[c].yaml);
            a.o = gle_optimizer_for((const struct gle_optimizer *)adam, (enum gle_isa)isa);
            b.o = gle_optimizer_for((const struct gle_optimizer *)adamw, (enum gle_isa)isa);
            for (size_t i = 0; i < PARAMS; i++)
                a.p[i] = b.p[i] = 0.1f * (float)(i + 1);
            for (uint64_t t = 1; t <= 20; t++) {
                for (size_t i = 0; i < PARAMS; i++)
                    a.g[i] = b.g[i] = sinf((float)(i * t));
                descent_step(&a, 0.02, t);
                descent_step(&b, 0.02, t);
            }
            assert_int_equal(!memcmp(a.p, b.p, sizeof a.p), cases[c].same);
            gle_doc_destroy(a.s.doc);
            gle_doc_destroy(b.s.doc);
        }
}

/* --- schedules --- */

/* Learning rates after epochs 1 ... n with these losses, by hand. */
static void check_schedule(const char *name, const char *yaml, double base, const double *losses, const double *want,
                           size_t n)
{
    const struct gle_schedule *row = (const struct gle_schedule *)gle_table_find(&gle_schedule_table, name);
    struct settings s = settings_of(&row->row, yaml);
    struct gle_schedule_state state = gle_schedule_start(s.part.params, base);

    for (size_t i = 0; i < n; i++) {
        gle_schedule_next(row, &state, s.part.params, i + 1, losses ? losses[i] : 0.0);
        if (fabs(state.lr - want[i]) > 1e-12 * base)
            fail_msg("%s %s: lr after epoch %zu is %.17g, not %.17g", name, yaml, i + 1, state.lr, want[i]);
    }
    gle_doc_destroy(s.doc);
}
#define CHECK_SCHEDULE(name, yaml, base, losses, want) \
    check_schedule(name, yaml, base, losses, want, sizeof(want) / sizeof *(want))

static void the_plateau_schedule_is_torchs_reduce_lr_on_plateau(void **state)
{
    /* Improvement must exceed one part in ten thousand; the third bad epoch in a row after `patience: 2` halves. */
    static const double losses[] = {1.0, 0.99995, 0.9999, 0.99991, 0.5, 0.6, 0.6,
                                    0.6, 0.6, 0.6,     0.6,    0.49,    NAN, NAN, NAN};
    static const double want[] = {1, 1, 1, .5, .5, .5, .5, .25, .25, .25, .125, .125, .125, .125, .0625};
    /* patience 0: every bad epoch; never below min_lr */
    static const double flat[] = {1, 1, 1, 1, 1}, floors[] = {1, .5, .3, .3, .3};
    /* a change smaller than eps is not made, and the count starts again */
    static const double tiny[] = {1.5e-8, 1.5e-8, 1.5e-8};
    /* a threshold of a tenth: 0.9 of the best is not enough, less is */
    static const double slow[] = {1.0, 0.91, 0.9, 0.89, 0.81, 0.8}, slow_lr[] = {1, .5, .25, .25, .125, .125};

    /* mode max: an accuracy rises, by more than a tenth */
    static const double rising[] = {0.0, 0.5, 0.55, 0.56, 0.6, 0.9}, rising_lr[] = {1, 1, .5, .5, .25, .25};

    (void)state;
    CHECK_SCHEDULE("plateau", "{metric: test_accuracy, patience: 0, factor: 0.5, threshold: 0.1}", 1.0, rising,
                   rising_lr);
    CHECK_SCHEDULE("plateau", "{patience: 2, factor: 0.5}", 1.0, losses, want);
    CHECK_SCHEDULE("plateau", "{patience: 0, factor: 0.5, min_lr: 0.3}", 1.0, flat, floors);
    CHECK_SCHEDULE("plateau", "{patience: 0, factor: 0.5}", 1.5e-8, flat, tiny);
    CHECK_SCHEDULE("plateau", "{patience: 0, factor: 0.5, threshold: 0.1}", 1.0, slow, slow_lr);
}

static void the_other_schedules_follow_their_formulas(void **state)
{
    static const double steps[] = {1, 1, .1, .1, .1, .01, .01}, same[] = {2, 2, 2};
    const double half[] = {0.1 + 0.9 * 0.5 * (1.0 + sqrt(0.5)), 0.55, 0.1 + 0.9 * 0.5 * (1.0 - sqrt(0.5)), 0.1, 0.1};

    (void)state;
    CHECK_SCHEDULE("step", "{every: 3, factor: 0.1}", 1.0, NULL, steps);
    CHECK_SCHEDULE("constant", "{}", 2.0, NULL, same);
    CHECK_SCHEDULE("cosine", "{period: 4, min_lr: 0.1}", 1.0, NULL, half);
}

/* In front of any schedule the rate rises in equal steps, whatever the losses are; then all is as without, later. */
static void every_schedule_may_begin_with_a_warm_up(void **state)
{
    enum { WARMUP = 4, EPOCHS = 40 };

    (void)state;
    for (const struct gle_schedule *row = gle_schedules; row->row.name; row++) {
        struct settings s = settings_of(&row->row, NULL);
        struct gle_schedule_params *p = s.part.params;
        struct gle_schedule_state plain, st;
        assert_non_null(p);
        assert_true(row->row.keys && !strcmp(row->row.keys->name, "warmup") && !row->row.keys->offset && !p->warmup);
        plain = gle_schedule_start(p, 0.5);
        assert_true(plain.lr >= 0.5 && plain.lr <= 0.5);
        p->warmup = WARMUP;
        st = gle_schedule_start(p, 0.5);
        for (uint64_t epoch = 1; epoch <= WARMUP; epoch++) {
            assert_true(fabs(st.lr - 0.5 * (double)epoch / (WARMUP + 1)) < 1e-15);
            gle_schedule_next(row, &st, p, epoch, 1e-3 * (double)epoch); /* no loss after them is as small */
        }
        for (uint64_t epoch = 1; epoch <= EPOCHS; epoch++) {
            const double loss = 1.0 / (double)(epoch % 7 + 1);
            assert_true(st.lr >= plain.lr && st.lr <= plain.lr);
            p->warmup = 0;
            gle_schedule_next(row, &plain, p, epoch, loss);
            p->warmup = WARMUP;
            gle_schedule_next(row, &st, p, epoch + WARMUP, loss);
        }
        gle_doc_destroy(s.doc);
    }
}

static void every_schedule_keeps_a_finite_rate_of_zero_or_more(void **state)
{
    (void)state;
    for (const struct gle_schedule *row = gle_schedules; row->row.name; row++) {
        struct settings s = settings_of(&row->row, NULL);
        struct gle_schedule_state st = gle_schedule_start(s.part.params, 1e-3);
        const struct gle_metric_row *metric = row->metric(s.part.params);
        assert_true(!metric || metric->row.name);
        for (uint64_t epoch = 1; epoch <= 3000; epoch++) {
            gle_schedule_next(row, &st, s.part.params, epoch, 1.0 / (double)(epoch % 50 + 1));
            assert_true(st.lr >= 0.0 && st.lr <= 1e-3);
        }
        gle_doc_destroy(s.doc);
    }
}

/* --- initialisers --- */

enum { ROWS = 120, COLS = 100 };

static void fill(const struct gle_init *init, const char *yaml, float *values, bool bias, struct gle_rng *rng)
{
    struct settings s = settings_of(&init->row, yaml);
    const struct gle_init_target target = {
        .name = bias ? "t.bias" : "t.weight", .rows = ROWS, .cols = bias ? 1 : COLS, .fan_in = COLS, .bias = bias};
    struct gle_error err = {0};

    if (init->fill(values, &target, s.part.params, rng, &err))
        fail_msg("%s: %s", init->row.name, err.text);
    gle_doc_destroy(s.doc);
}

static void write_arrays(void)
{
    static char path[] = "/tmp/glesim_parts_XXXXXX";
    static float values[ROWS * COLS];
    const size_t shape[] = {ROWS, COLS};
    struct gle_npz_writer *npz = gle_npz_create();
    struct gle_error err = {0};
    const int fd = mkstemp(path);

    assert_true(fd >= 0);
    close(fd);
    for (size_t i = 0; i < ROWS * COLS; i++)
        values[i] = 0.25f * (float)i;
    if (gle_npz_add(npz, "t.weight", GLE_NPY_F32, values, 2, shape, &err) ||
        gle_npz_add(npz, "t.bias", GLE_NPY_F32, values, 1, shape, &err) || gle_npz_write(npz, path, &err))
        fail_msg("%s", err.text);
    gle_npz_destroy(npz);
    settings_file = path;
}

static void every_initialiser_fills_every_element_and_repeats_for_a_seed(void **state)
{
    static float values[3][ROWS * COLS + 1];

    (void)state;
    write_arrays();
    for (const struct gle_init *init = gle_inits; init->row.name; init++)
        for (int bias = 0; bias < 2; bias++) {
            const size_t n = bias ? ROWS : ROWS * COLS;
            for (size_t k = 0; k < 2; k++) {
                struct gle_rng rng;
                for (size_t i = 0; i <= ROWS * COLS; i++)
                    values[k][i] = k ? NAN : -7777.0f;
                gle_rng_seed(&rng, 7);
                fill(init, NULL, values[k], bias, &rng);
            }
            for (size_t i = 0; i < n; i++)
                assert_true(isfinite(values[0][i]) && values[0][i] != -7777.0f);
            assert_memory_equal(values[0], values[1], n * sizeof(float));
            assert_true(values[0][n] == -7777.0f);
        }
    unlink(settings_file);
    settings_file = "/tmp/none.npz";
}

static void check_moments(const char *name, const char *yaml, double mean, double std, double low, double high)
{
    static float values[ROWS * COLS];
    const struct gle_init *init = (const struct gle_init *)gle_table_find(&gle_init_table, name);
    double sum = 0.0, squares = 0.0, n = ROWS * COLS, got;
    struct gle_rng rng;

    gle_rng_seed(&rng, 99);
    fill(init, yaml, values, false, &rng);
    for (size_t i = 0; i < ROWS * COLS; i++) {
        sum += (double)values[i];
        squares += ((double)values[i] - mean) * ((double)values[i] - mean);
        if (!((double)values[i] >= low && (double)values[i] <= high))
            fail_msg("%s: %g is outside [%g, %g]", name, (double)values[i], low, high);
    }
    got = sqrt(squares / n);
    if (fabs(sum / n - mean) > 4.0 * std / sqrt(n) + 1e-7 || fabs(got - std) > 0.03 * std)
        fail_msg("%s: mean %g and std %g, not %g and %g", name, sum / n, got, mean, std);
}

static void initial_values_have_the_documented_mean_spread_and_bounds(void **state)
{
    const double bound = 1.0 / sqrt((double)COLS), third = 1.0 / sqrt(3.0), ulp = 1e-7;

    (void)state;
    check_moments("linear", "{}", 0.0, bound * third, -bound - ulp, bound + ulp);
    check_moments("uniform", "{low: -1, high: 3}", 1.0, 2.0 * third, -1.0, 3.0);
    check_moments("normal", "{mean: 0.5, std: 2}", 0.5, 2.0, -15.0, 15.0);
    check_moments("zeros", "{}", 0.0, 0.0, 0.0, 0.0);
    check_moments("ones", "{}", 1.0, 0.0, 1.0, 1.0);
    check_moments("constant", "{value: -2.5}", -2.5, 0.0, -2.5, -2.5);
    check_moments("value", "{value: 0.75}", 0.75, 0.0, 0.75, 0.75);
}

static void linear_draws_the_weight_and_then_the_bias_from_one_stream(void **state)
{
    static float weight[ROWS * COLS], bias[ROWS], want[ROWS * COLS + ROWS];
    const struct gle_init *linear = (const struct gle_init *)gle_table_find(&gle_init_table, "linear");
    struct gle_rng rng;

    (void)state;
    gle_rng_seed(&rng, 3);
    fill(linear, "{}", weight, false, &rng);
    fill(linear, "{}", bias, true, &rng);
    gle_rng_seed(&rng, 3);
    gle_torch_uniform(&rng, want, ROWS * COLS + ROWS, -0.1, 0.1);
    for (size_t i = 0; i < ROWS * COLS; i++)
        assert_true(fabsf(weight[i] - want[i]) < 1e-7f);
    for (size_t i = 0; i < ROWS; i++)
        assert_true(fabsf(bias[i] - want[ROWS * COLS + i]) < 1e-7f);
}

static void identity_is_the_identity_or_all_ones(void **state)
{
    const struct gle_init *identity = (const struct gle_init *)gle_table_find(&gle_init_table, "identity");
    float values[16];
    struct gle_error err = {0};

    (void)state;
    assert_int_equal(identity->fill(values, &(struct gle_init_target){.rows = 4, .cols = 4}, NULL, NULL, &err), 0);
    for (size_t i = 0; i < 16; i++)
        assert_true(values[i] == (i % 5 ? 0.0f : 1.0f));
    assert_int_equal(identity->fill(values, &(struct gle_init_target){.rows = 2, .cols = 8}, NULL, NULL, &err), 0);
    for (size_t i = 0; i < 16; i++)
        assert_true(values[i] == 1.0f);
}

static void a_file_with_values_that_are_not_finite_is_refused(void **state)
{
    const struct gle_init *file = (const struct gle_init *)gle_table_find(&gle_init_table, "file");
    const float bad[] = {NAN, INFINITY, -INFINITY};
    char path[] = "/tmp/glesim_parts_XXXXXX", yaml[64];
    const int fd = mkstemp(path);

    (void)state;
    assert_true(fd >= 0);
    close(fd);
    snprintf(yaml, sizeof yaml, "{file: %s}", path);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const size_t shape[] = {3};
        float values[] = {1.0f, bad[i], 2.0f}, out[3];
        const struct gle_init_target target = {.name = "t.bias", .rows = 3, .cols = 1, .bias = true};
        struct gle_error err = {0};
        struct gle_npz_writer *npz = gle_npz_create();
        struct settings s = settings_of(&file->row, yaml);
        assert_int_equal(gle_npz_add(npz, "t.bias", GLE_NPY_F32, values, 1, shape, &err), 0);
        assert_int_equal(gle_npz_write(npz, path, &err), 0);
        gle_npz_destroy(npz);
        assert_int_equal(file->fill(out, &target, s.part.params, NULL, &err), -1);
        assert_int_equal(err.code, GLE_EDATA);
        assert_non_null(strstr(err.text, "t.bias"));
        gle_doc_destroy(s.doc);
    }
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_is_named_and_explained_and_its_defaults_decode),
        cmocka_unit_test(every_key_of_a_file_is_explained_and_its_default_decodes),
        cmocka_unit_test(every_row_has_all_functions),
        cmocka_unit_test(every_instruction_set_has_rows_of_its_own),
        cmocka_unit_test(every_optimizer_finds_the_minimum_of_a_quadratic),
        cmocka_unit_test(optimizers_follow_the_formulas_of_torch),
        cmocka_unit_test(adamw_without_decay_is_adam),
        cmocka_unit_test(the_plateau_schedule_is_torchs_reduce_lr_on_plateau),
        cmocka_unit_test(the_other_schedules_follow_their_formulas),
        cmocka_unit_test(every_schedule_may_begin_with_a_warm_up),
        cmocka_unit_test(every_schedule_keeps_a_finite_rate_of_zero_or_more),
        cmocka_unit_test(every_initialiser_fills_every_element_and_repeats_for_a_seed),
        cmocka_unit_test(initial_values_have_the_documented_mean_spread_and_bounds),
        cmocka_unit_test(linear_draws_the_weight_and_then_the_bias_from_one_stream),
        cmocka_unit_test(identity_is_the_identity_or_all_ones),
        cmocka_unit_test(a_file_with_values_that_are_not_finite_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
