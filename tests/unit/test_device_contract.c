/* What every network on a device has to do, whatever is in its tables: for each row a small network makes the same
 * steps there and on the processors. Then that a device gives the same bits again and again, and that a net is the same
 * one wherever its arrays lie, in whatever order it is asked, changed and stepped. */
#include "../support/agree.h"
#include "../support/build.h"
#include "../support/random_graph.h"
#include "../support/settings.h"
#include "../support/told.h"
#include "backend/device.h"
#include "base/archive.h"
#include "parts/activation.h"
#include "parts/feedback.h"
#include "parts/loss.h"
#include "parts/optimizer.h"
#include "parts/rule.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ROWS = 5, ROWS_MAX = 9, STEPS = 6, WINDOW = 6, REPETITIONS = 20, SEQUENCES = 60, CALLS = 60, OUT = 7, IN = 72 };
static const double LR = 1e-2;

/* --- networks --- */

/* What a network of three layers is made of; NULL: as in `usual`. */
struct parts {
    const char *act, *top_act, *loss, *optimizer, *rule, *feedback;
    const char *learning; /* more keys of that section */
    const char *network;  /* likewise, with a line of their own */
    const char *link, *source, *reader; /* neurons of the two layers that the link joins */
    const char *first;                  /* the link from the input to the first of them, */
    const char *plastic;                /* what learns */
    const char *direct;                 /* and layers whose errors come to it directly */
    const char *hardware;               /* keys of the network */
};
static const struct parts usual = {.act = "tanh", .top_act = "linear", .loss = "mse",
                                   .optimizer = "{type: sgd, lr: 0.1}", .rule = "gle", .feedback = "transpose",
                                   .learning = "", .network = "",
                                   .link = "dense", .source = "count: 72", .reader = "count: 72", .first = "dense",
                                   .plastic = "weight, bias, tau_m", .hardware = ""};

#define OR_NONE(text) ((text) ? (text) : "")
#define OR_USUAL(part) (parts->part ? parts->part : usual.part)
static void write_net(struct text *t, const struct parts *parts)
{
    const struct gle_rule *rule = (const struct gle_rule *)gle_table_find(&gle_rule_table, OR_USUAL(rule));
    const bool any = !rule->continuous; /* else neither loops nor delays, no gamma */

    t->n = 0;
    put_text(t, "glesim: 1\nname: contract\ndt: 0.1\nseed: 5\ndataset: {type: npz, file: none.npz}\nnetwork:\n"
                "  input: {channels: 2, size: [6, 6]}\n%s%s  layers:\n"
                "    - {name: a, activation: %s, neurons: {%s, tau_m: 1.0, tau_r: 0.7}, from: [{layer: input, "
                "connect: %s}], errors_from: [%s]}\n", OR_USUAL(network), OR_USUAL(hardware), OR_USUAL(act),
             OR_USUAL(source), OR_USUAL(first), OR_NONE(parts->direct));
    put_text(t, "    - {name: b, activation: %s, neurons: {%s, tau_m: 0.9, tau_r: 0.6}, from: [{layer: a, connect: %s, "
                "feedback: %s}%s]}\n", OR_USUAL(act), OR_USUAL(reader), OR_USUAL(link), OR_USUAL(feedback),
             any ? ", {layer: input, delay: 0.3, connect: {type: dense, pool: {type: mean, size: 2}}}" : "");
    put_text(t, "    - {name: c, activation: %s, neurons: {count: %d, tau_m: 1.1, tau_r: 0.8}, from: [{layer: b, "
                "feedback: %s}%s]}\n", OR_USUAL(top_act), OUT, OR_USUAL(feedback),
             any ? ", {layer: c, delay: 0.2, weight: {type: normal, std: 0.1}}" : "");
    put_text(t, "learning: {rule: %s, loss: %s, beta: 0.7, gamma: %s, plastic: [%s%s], "
             "optimizer: %s%s%s}\n", OR_USUAL(rule), OR_USUAL(loss), any ? "0.1" : "0",
             OR_USUAL(plastic), parts->hardware ? ", tau_r" : "", OR_USUAL(optimizer), OR_USUAL(learning),
             rule->windowed ? ", window: 0.6" : "");
    put_text(t, "training: {epochs: 0, batch_size: %d, test_batch_size: %d}\n", ROWS, ROWS_MAX);
}

/* The same network on the processors and on the device. */
struct pair {
    struct built host, device;
};

/* advice: what to do where the device lacks a version of what the text names. */
static struct pair pair_of(const char *yaml, const char *advice)
{
    struct gle_fleet *fleet = test_fleet();
    char where[32];
    struct pair p;
    struct gle_error err = {0};
    struct gle_rng rng;

    snprintf(where, sizeof where, "%s", getenv("GLE_TEST_DEVICE"));
    unsetenv("GLE_TEST_DEVICE");
    p.host = build_windows(yaml, WINDOW, 1);
    p.device = build_windows(yaml, WINDOW, 1);
    setenv("GLE_TEST_DEVICE", where, 1);
    if (gle_net_move(p.device.net, fleet, &err))
        fail_msg("%s\n%s\n%s", err.text, advice, yaml);
    gle_rng_seed(&rng, 5);
    assert_int_equal(gle_net_init(p.host.net, &rng, &err), 0);
    gle_rng_seed(&rng, 5);
    assert_int_equal(gle_net_init(p.device.net, &rng, &err), 0);
    return p;
}

static void pair_clear(struct pair *p)
{
    built_clear(&p->host);
    built_clear(&p->device);
}

/* What the next step of a net reads. */
static void show(struct gle_net *net, struct gle_rng *rng)
{
    const struct gle_experiment *exp = gle_net_graph(net)->exp;
    const size_t B = gle_net_get_place(net).B, n = gle_experiment_top(exp)->n;
    size_t ld_x, ld_y;
    float *x = gle_net_input(net, &ld_x), *y = gle_net_target(net, &ld_y);
    double target[OUT];

    assert_true(n <= OUT);
    for (size_t b = 0; b < B; b++) {
        for (size_t k = 0; k < exp->n_input; k++)
            x[b * ld_x + k] = (float)draw(rng, -1.0, 1.0);
        random_target(target, n, exp, rng);
        for (size_t k = 0; k < n; k++)
            y[b * ld_y + k] = (float)target[k];
    }
}

/* One step of both, which read the same. */
static void step_both(struct pair *p, const struct gle_step *step, const char *when, struct gle_rng *rng)
{
    struct gle_rng again = *rng;
    struct gle_error err = {0};
    double loss[2];

    show(p->host.net, rng);
    show(p->device.net, &again);
    if (gle_net_step(p->host.net, step, &loss[0], &err) || gle_net_step(p->device.net, step, &loss[1], &err))
        fail_msg("%s: %s", when, err.text);
    assert_losses_agree(when, &loss[0], &loss[1], 1);
}

static void begin_both(struct pair *p, size_t B, bool reset_all)
{
    struct gle_net *const nets[] = {p->host.net, p->device.net};

    for (size_t i = 0; i < 2; i++) {
        gle_net_set_batch(nets[i], B);
        gle_net_begin_batch(nets[i], reset_all);
    }
}

static void window_both(struct pair *p, const struct gle_rule *rule, const char *when, struct gle_rng *rng)
{
    struct gle_net *const nets[] = {p->host.net, p->device.net};
    struct gle_error err = {0};

    for (size_t i = 0; i < 2; i++)
        gle_net_begin_window(nets[i]);
    for (size_t t = 0; t < WINDOW; t++)
        step_both(p, &(struct gle_step){.nudge = true}, when, rng);
    for (size_t i = 0; i < 2; i++)
        if (gle_net_end_window(nets[i], rule, true, LR, &err))
            fail_msg("%s: %s", when, err.text);
    assert_nets_agree(when, p->host.net, p->device.net);
}

/* --- rows of tables --- */

static void hold_against_each_other(const struct parts *parts, const char *what, const char *row, const char *advice)
{
    const struct gle_rule *rule;
    struct text *t = calloc(1, sizeof *t);
    struct pair p;
    struct gle_rng rng;
    char when[128];

    assert_non_null(t);
    write_net(t, parts);
    p = pair_of(t->yaml, advice);
    rule = p.host.exp->rule;
    gle_rng_seed(&rng, 3);
    begin_both(&p, ROWS, true);
    for (int k = 0; k < STEPS; k++) {
        snprintf(when, sizeof when, "%s %s, step %d (%s)", what, row, k, advice);
        step_both(&p, &(struct gle_step){.learn = !rule->windowed, .nudge = rule->windowed, .lr = LR}, when, &rng);
        assert_nets_agree(when, p.host.net, p.device.net);
    }
    snprintf(when, sizeof when, "%s %s, a window (%s)", what, row, advice);
    if (rule->windowed)
        window_both(&p, rule, when, &rng);
    pair_clear(&p);
    free(t);
}

/* Settings that a row cannot do without, or with which it does more. */
static const char *with_settings(const char *row, char text[static 128])
{
    static const char *const needed[][2] = {{"conv", "kernel: 3, padding: 1"},
                                            {"sparse", "probability: 0.2"},
                                            {"kolen_pollack", "decay: 0.5"},
                                            {"pal", "lr: 3, decay: 0.1, std: 0.5, tau: 0.3, tau_hp: 0.2"}};
    const char *settings = "";

    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++)
        if (!strcmp(needed[i][0], row))
            settings = needed[i][1];
    snprintf(text, 128, "{type: %s%s%s}", row, *settings ? ", " : "", settings);
    return text;
}

static void every_activation_is_the_same_on_a_device(void **state)
{
    const struct gle_act *act;

    (void)state;
    for (size_t i = 0; (act = (const struct gle_act *)gle_table_at(&gle_act_table, i)); i++) {
        const struct parts hidden = {.act = act->row.name},
                           top = {.top_act = act->row.name, .loss = "nll"};
        char others[128], text[256];
        hold_against_each_other(act->log_probabilities ? &top : &hidden, "activation", act->row.name,
                                "a new one is an equation in src/kernel/equations.h");
        if (!act->row.keys)
            continue;
        write_other_settings(others, sizeof others, act->row.keys);
        snprintf(text, sizeof text, "{type: %s, %s", act->row.name, others + 1);
        hold_against_each_other(&(struct parts){.act = text}, "activation", text, "the same with settings");
    }
}

static void every_loss_is_the_same_on_a_device(void **state)
{
    const struct gle_loss *loss;

    (void)state;
    for (size_t i = 0; (loss = (const struct gle_loss *)gle_table_at(&gle_loss_table, i)); i++) {
        const struct parts parts = {.loss = loss->row.name,
                                    .top_act = loss->log_probabilities ? "log_softmax" : NULL};
        hold_against_each_other(&parts, "loss", loss->row.name,
                                "a new one has its lines in src/kernel/device_losses.cl");
    }
}

static void every_optimizer_is_the_same_on_a_device(void **state)
{
    const struct gle_row *row;

    (void)state;
    for (size_t i = 0; (row = gle_table_at(&gle_optimizer_table, i)); i++) {
        char text[128];
        hold_against_each_other(&(struct parts){.optimizer = with_settings(row->name, text)}, "optimizer", row->name,
                                "a new one has its lines in src/kernel/device_losses.cl");
    }
    hold_against_each_other(&(struct parts){.optimizer = "{type: adamw, weight_decay: 5.0}",
                                            .feedback = "{type: kolen_pollack, decay: 0.2}"},
                            "optimizer", "adamw, of weights that lose much", "");
}

static void what_optimizers_follow_is_the_same_on_a_device(void **state)
{
    static const char *const ways[] = {", update: {every: 4}", ", clip: 0.05", ", update: {every: 2}, clip: 0.02"};
    static const char *const feedbacks[] = {"kolen_pollack", "pal"}; /* B follows likewise, or not */

    (void)state;
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
        hold_against_each_other(&(struct parts){.learning = ways[i], .optimizer = "{type: adam, lr: 1.0e-2}"}, "with",
                                ways[i], "src/solver/follow.c");
    for (size_t i = 0; i < sizeof feedbacks / sizeof *feedbacks; i++)
        hold_against_each_other(&(struct parts){.learning = ways[2], .feedback = feedbacks[i],
                                                .hardware = "  quantize: {weight: {bits: 6, range: 0.5}}\n"},
                                "gathered and clipped gradients with feedback", feedbacks[i], "src/solver/spend.c");
}

/* What hardware does: keys of the network. */
#define ALL_NOISE                                                                                                      \
    "  noise: {input: {std: 0.1, tau: 0.4}, membrane: {std: 0.1, tau: 0.5}, rate: {std: 0.1, tau: 0.6}}\n"
static const char *const hardware[] = {
    "  noise: {input: 0.2}\n",
    "  noise: {membrane: 0.2}\n",
    "  noise: {rate: 0.2}\n",
    ALL_NOISE,
    "  mismatch: {tau_m: 0.4, tau_r: 0.4}\n",
    "  mismatch: {tau_r: 0.2, error_tau_m: 0.4, error_tau_r: 0.4}\n",
    "  quantize: {weight: {bits: 3, range: 0.3}}\n",
};
#define ALL_HARDWARE                                                                                                   \
    ALL_NOISE "  mismatch: {tau_m: 0.4, error_tau_r: 0.2}\n  quantize: {weight: {bits: 4, range: 0.3}}\n"

static void every_integration_is_the_same_on_a_device(void **state)
{
    static const char *const rules[] = {"gle", "bptt"};

    (void)state;
    for (size_t i = 0; i < 2; i++)
        for (int off = 0; off < 2; off++)
            hold_against_each_other(&(struct parts){.network = "  integration: exponential\n",
                                                    .rule = rules[i],
                                                    .hardware = off ? ALL_HARDWARE : NULL},
                                    "integration exponential under", rules[i], "src/kernel/device_step.cl");
}

static void every_link_is_the_same_on_a_device(void **state)
{
    const struct gle_row *row;

    (void)state;
    for (size_t i = 0; (row = gle_table_at(&gle_link_table, i)); i++) {
        const bool conv = !strcmp(row->name, "conv");
        char text[128];
        const struct parts parts = {.link = with_settings(row->name, text), .first = conv ? text : NULL,
                                    .source = conv ? "channels: 3" : NULL, .reader = conv ? "channels: 3" : NULL};
        hold_against_each_other(&parts, "link", row->name,
                                "a new one has its name in link_names, src/solver/device_tables.c, and its products in "
                                "src/kernel/device_products.cl");
    }
}

/* Eligibilities of neurons that share traces, and of neurons that have their own. */
static void eligibilities_are_the_same_on_a_device(void **state)
{
    static const char *const plastic[] = {"weight, bias", "weight, bias, tau_m, tau_r"};
    static const char conv[] = "{type: conv, kernel: 3, padding: 1, pool: {type: max, size: 2}}";
    const struct gle_row *row;

    (void)state;
    for (size_t i = 0; (row = gle_table_at(&gle_link_table, i)); i++)
        for (int own = 0; own < 2; own++) {
            const bool of_grid = !strcmp(row->name, "conv");
            char text[128];
            const struct parts parts = {.rule = "eprop", .plastic = plastic[own],
                                        .link = of_grid ? conv : with_settings(row->name, text),
                                        .network = own ? "  integration: exponential\n" : "",
                                        .first = of_grid ? "{type: conv, kernel: 3, padding: 1}" : NULL,
                                        .source = of_grid ? "channels: 3" : NULL,
                                        .reader = of_grid ? "channels: 3" : NULL};
            hold_against_each_other(&parts, own ? "own traces through" : "shared traces through", row->name,
                                    "see src/kernel/device_traces.cl");
        }
}

static void every_pooling_is_the_same_on_a_device(void **state)
{
    const struct gle_row *row;

    (void)state;
    for (size_t i = 0; (row = gle_table_at(&gle_pool_table, i)); i++) {
        char dense[128], conv[128];
        snprintf(dense, sizeof dense, "{type: dense, pool: {type: %s, size: 2}}", row->name);
        snprintf(conv, sizeof conv, "{type: conv, kernel: 3, padding: 1, pool: {type: %s, size: 2}}", row->name);
        for (int k = 0; k < 2; k++) {
            const struct parts parts = {.link = k ? conv : dense, .source = "channels: 3",
                                        .reader = k ? "channels: 3" : NULL,
                                        .first = "{type: conv, kernel: 3, padding: 1}"};
            hold_against_each_other(&parts, "pool", row->name,
                                    "a new one has its name in pool_names, src/solver/device_tables.c, and its lines "
                                    "in src/kernel/device_products.cl");
        }
    }
}

static void every_rule_is_the_same_on_a_device(void **state)
{
    const struct gle_row *row;

    (void)state;
    for (size_t i = 0; (row = gle_table_at(&gle_rule_table, i)); i++)
        hold_against_each_other(&(struct parts){.rule = row->name}, "rule", row->name,
                                "a new one has its errors in src/kernel/device_step.cl");
}

static void every_feedback_is_the_same_on_a_device(void **state)
{
    const struct gle_row *row;
    char text[128];

    (void)state;
    for (size_t i = 0; (row = gle_table_at(&gle_feedback_table, i)); i++)
        hold_against_each_other(&(struct parts){.feedback = with_settings(row->name, text)}, "feedback", row->name,
                                "a new one sends errors back in src/kernel/device_learn.cl");
}

static void hardware_is_the_same_on_a_device(void **state)
{
    static const char advice[] = "noise is added in src/kernel/device_step.cl";
    static const char conv[] = "{type: conv, kernel: 3, padding: 1}";
    static const struct parts others[] = {
        {.hardware = ALL_HARDWARE, .top_act = "log_softmax", .loss = "nll"},
        {.hardware = ALL_HARDWARE, .first = conv, .link = conv, .source = "channels: 3", .reader = "channels: 3"},
        {.hardware = ALL_HARDWARE, .link = "{type: sparse, probability: 0.2}", .feedback = "fixed"},
        {.hardware = ALL_HARDWARE, .rule = "bp"},
        {.hardware = ALL_HARDWARE, .rule = "adjoint"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof hardware / sizeof *hardware; i++)
        for (int exact = 0; exact < 2; exact++)
            hold_against_each_other(&(struct parts){.hardware = hardware[i], .rule = exact ? "bptt" : "gle"},
                                    exact ? "bptt with" : "gle with", hardware[i], advice);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        hold_against_each_other(&others[i], "all hardware", OR_NONE(others[i].rule), advice);
}

static void errors_that_come_directly_are_the_same_on_a_device(void **state)
{
    (void)state;
    hold_against_each_other(&(struct parts){.direct = "c, {layer: b, weight: {type: normal, std: 0.2}}"}, "errors_from",
                            "two layers", "see direct_of() in src/solver/device_tables.c");
}

/* --- the same bits --- */

static void tell(struct record *r, const struct gle_net *net)
{
    const struct gle_graph *g = gle_net_graph(net);

    for (size_t i = 0; i < g->n_fields; i++)
        if (g->fields[i]->role == GLE_STATE && g->fields[i]->population != GLE_NO_POPULATION)
            gle_net_get_var(net, i, more(r, gle_net_get_place(net).B * g->fields[i]->cols));
    for (size_t i = 0; i < g->n_parameters; i++) {
        gle_net_get_param(net, i, more(r, gle_field_size(&g->parameters[i].field)));
        gle_net_get_gradient(net, i, more(r, gle_field_size(&g->parameters[i].field)));
    }
}

/* Steps that learn in batches that grow and shrink; `often`: somebody looks after each. */
static struct record learn(const char *yaml, bool often)
{
    static const size_t rows[] = {3, ROWS_MAX, 1, ROWS, ROWS_MAX, 2};
    struct built b = build_windows(yaml, WINDOW, 1);
    struct gle_error err = {0};
    struct record r = {0};
    struct gle_rng rng;

    gle_rng_seed(&rng, 17);
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        double losses[GLE_LOSSES];
        size_t n, known = 0;
        gle_net_set_batch(b.net, rows[k]);
        gle_net_begin_batch(b.net, k == 3);
        for (int t = 0; t < 5; t++) {
            show(b.net, &rng);
            if (gle_net_queue(b.net, &(struct gle_step){.learn = true, .lr = LR}, losses + known, &n, &err))
                fail_msg("%s", err.text);
            known += n;
            if (often)
                gle_net_get_param(b.net, 0, more(&r, gle_field_size(&b.graph->parameters[0].field)));
        }
        if (often)
            r.n = 0; /* only to have looked */
        if (gle_net_collect(b.net, losses + known, &n, &err))
            fail_msg("%s", err.text);
        assert_int_equal(known + n, 5);
        if (!often)
            memcpy(more(&r, 5 * sizeof *losses / sizeof(float)), losses, 5 * sizeof *losses);
    }
    tell(&r, b.net);
    built_clear(&b);
    return r;
}

static void a_device_gives_the_same_bits_again(void **state)
{
    static const struct parts adam = {.optimizer = "{type: adam}", .loss = "cross_entropy", .hardware = ALL_HARDWARE},
                              conv = {.source = "channels: 3", .reader = "channels: 3",
                                      .first = "{type: conv, kernel: 3, padding: 1}",
                                      .link = "{type: conv, kernel: 3, padding: 1, pool: {type: max, size: 2}}"};
    const struct parts *const of[] = {&adam, &conv};
    struct text *t = calloc(1, sizeof *t);

    (void)state;
    assert_non_null(t);
    for (size_t k = 0; k < 2; k++) {
        struct record first, looked;
        write_net(t, of[k]);
        first = learn(t->yaml, false);
        for (int i = 1; i < REPETITIONS; i++) {
            struct record again = learn(t->yaml, false);
            assert_int_equal(again.n, first.n);
            assert_memory_equal(again.v, first.v, first.n * sizeof(float));
            free(again.v);
        }
        looked = learn(t->yaml, true); /* looking hands steps over earlier, and changes nothing */
        assert_true(looked.n <= first.n);
        assert_memory_equal(looked.v, first.v + first.n - looked.n, looked.n * sizeof(float));
        free(looked.v);
        free(first.v);
    }
    free(t);
}

/* Coefficients of time constants that learn are found on the device with every step and, where parameters are put to
 * values from here, on this machine: with the same bits, so that a resumed run goes on with those that it had. */
static void coefficients_are_the_same_wherever_they_are_found(void **state)
{
    static const struct parts of[] = {{.network = ""}, {.network = "  integration: exponential\n"}};
    struct text *t = calloc(1, sizeof *t);

    (void)state;
    assert_non_null(t);
    for (size_t k = 0; k < 2; k++) {
        struct record r[2] = {{0}};
        write_net(t, &of[k]);
        for (int put = 0; put < 2; put++) {
            struct built b = build_windows(t->yaml, WINDOW, 1);
            struct gle_error err = {0};
            struct gle_rng rng;
            double loss;
            gle_rng_seed(&rng, 7);
            gle_net_set_batch(b.net, ROWS);
            gle_net_begin_batch(b.net, true);
            for (int i = 0; i < 12; i++) {
                show(b.net, &rng);
                assert_int_equal(gle_net_step(b.net, &(struct gle_step){.learn = true, .lr = LR}, &loss, &err), 0);
                if (put) { /* to what they are */
                    gle_net_keep(b.net);
                    gle_net_recall(b.net);
                }
            }
            tell(&r[put], b.net);
            built_clear(&b);
        }
        assert_int_equal(r[0].n, r[1].n);
        if (gle_device_info(test_device())->divides_exactly)
            assert_memory_equal(r[0].v, r[1].v, r[0].n * sizeof(float));
        free(r[0].v);
        free(r[1].v);
    }
    free(t);
}

/* --- calls in any order --- */

/* A course of calls, to two pairs of nets: others are copied from, and aimed at. */
struct course {
    const struct parts *parts;
    struct pair p, other;
    bool taping;
    size_t taped;
    bool summed; /* each row has a sum of outputs since its batch began */
    double losses[2][GLE_LOSSES]; /* of steps put down and not collected */
    size_t n[2];
    struct gle_rng rng;
    char when[64];
};

static struct gle_net *net_of(struct course *c, size_t i)
{
    return i ? c->p.device.net : c->p.host.net;
}

static void collect(struct course *c)
{
    struct gle_error err = {0};

    for (size_t i = 0; i < 2; i++) {
        size_t n;
        if (gle_net_collect(net_of(c, i), c->losses[i] + c->n[i], &n, &err))
            fail_msg("%s: %s", c->when, err.text);
        c->n[i] += n;
    }
    assert_int_equal(c->n[0], c->n[1]);
    assert_losses_agree(c->when, c->losses[0], c->losses[1], c->n[0]);
    c->n[0] = c->n[1] = 0;
}

static void step(struct course *c)
{
    const bool learns = !c->taping && pick(&c->rng, 2), nudge = !learns && pick(&c->rng, 3);
    const struct gle_step how = {.learn = learns, .nudge = nudge, .unasked = !pick(&c->rng, 5), .lr = LR,
                                 .forward_only = !learns && !nudge && !c->taping && pick(&c->rng, 2)};
    const struct gle_rng start = c->rng;
    struct gle_error err = {0};

    if (c->taping && c->taped == WINDOW)
        return;
    c->taped += c->taping;
    if (c->n[0] + GLE_QUEUE_STEPS >= GLE_LOSSES)
        collect(c);
    for (size_t i = 0; i < 2; i++) {
        size_t n;
        c->rng = start;
        show(net_of(c, i), &c->rng);
        if (gle_net_queue(net_of(c, i), &how, c->losses[i] + c->n[i], &n, &err))
            fail_msg("%s: %s", c->when, err.text);
        c->n[i] += n;
    }
}

/* The pair puts itself into two new nets, which take its place. */
static void archive(struct course *c)
{
    struct pair fresh;
    struct text *t = calloc(1, sizeof *t);
    struct gle_error err = {0};

    collect(c);
    write_net(t, c->parts);
    fresh = pair_of(t->yaml, "");
    free(t);
    for (size_t i = 0; i < 2; i++) {
        struct gle_net *to = i ? fresh.device.net : fresh.host.net;
        char path[] = "/tmp/glesim_test_XXXXXX";
        struct gle_archive *a;
        for (size_t k = 0; k < c->p.host.graph->n_parameters; k++) /* those that are held do not tell so themselves */
            gle_net_hold(to, k, !gle_net_learns(net_of(c, i), k));
        temporary_file(path, "");
        if (gle_archive_create(&a, &err) || gle_net_archive(net_of(c, i), a, &err) || gle_archive_write(a, path, &err))
            fail_msg("%s: %s", c->when, err.text);
        gle_archive_destroy(a);
        if (gle_archive_open(&a, path, &err) || gle_net_archive(to, a, &err) || gle_archive_end(a, &err))
            fail_msg("%s: %s", c->when, err.text);
        gle_archive_destroy(a);
        unlink(path);
    }
    pair_clear(&c->p);
    c->p = fresh;
}

static void set_parameter(struct course *c)
{
    const struct gle_graph *g = c->p.host.graph;
    const size_t i = pick(&c->rng, g->n_parameters), n = gle_field_size(&g->parameters[i].field);
    float *values;

    if (g->parameters[i].kind == GLE_TAU_R) /* checkpoints are those of the config's */
        return;
    values = calloc(n, sizeof *values);
    gle_net_get_param(c->p.host.net, i, values);
    for (size_t k = 0; k < n; k++)
        values[k] *= (float)draw(&c->rng, 0.9, 1.1);
    for (size_t k = 0; k < 2; k++)
        gle_net_set_param(net_of(c, k), i, values);
    free(values);
}

static void look(struct course *c)
{
    const struct gle_net *host = c->p.host.net, *device = c->p.device.net;

    switch (pick(&c->rng, 5)) {
    case 0:
        assert_states_agree(c->when, host, device);
        break;
    case 1:
        assert_parameters_agree(c->when, host, device);
        break;
    case 2:
        assert_gradients_agree(c->when, host, device);
        break;
    case 3:
        if (c->summed)
            assert_output_sums_agree(c->when, host, device);
        break;
    default:
        assert_nets_agree(c->when, host, device);
    }
}

static void look_at_rows(struct course *c)
{
    const struct gle_graph *g = c->p.host.graph;
    const size_t B = gle_net_get_place(c->p.host.net).B, rows[2] = {pick(&c->rng, B), pick(&c->rng, B)};
    const size_t field = gle_graph_variable(g, 1, pick(&c->rng, 2) ? "u" : "r", 0);
    const enum gle_read what = (enum gle_read)pick(&c->rng, 3);
    float values[2][2 * IN] = {{0}};

    for (size_t i = 0; i < 2; i++)
        gle_net_get_rows(net_of(c, i), field, rows, 2, values[i]);
    assert_numbers_agree(c->when, "chosen rows", values[0], values[1], 2 * IN, &agree_states);
    memset(values, 0, sizeof values);
    for (size_t i = 0; i < 2; i++)
        gle_net_get_read(net_of(c, i), what, rows, 2, values[i]);
    assert_numbers_agree(c->when, "what was read", values[0], values[1], 2 * IN, &agree_states);
}

/* The two pairs act on each other. */
static void meet(struct course *c)
{
    const size_t how = pick(&c->rng, 4);

    c->summed = c->summed && how != 1;
    for (size_t i = 0; i < 2; i++) {
        struct gle_net *other = i ? c->other.device.net : c->other.host.net;
        switch (how) {
        case 0:
            gle_net_copy(other, net_of(c, i));
            break;
        case 1:
            gle_net_copy(net_of(c, i), other);
            break;
        case 2:
            gle_net_set_batch(other, gle_net_get_place(net_of(c, i)).B);
            gle_net_aim(net_of(c, i), other);
            break;
        default:
            gle_net_set_batch(other, gle_net_get_place(net_of(c, i)).B);
            gle_net_copy_read(other, net_of(c, i));
        }
    }
    assert_nets_agree("the other ones", c->other.host.net, c->other.device.net);
}

static void window(struct course *c)
{
    const struct gle_rule *bptt = (const struct gle_rule *)gle_table_find(&gle_rule_table, "bptt");
    const bool learns = pick(&c->rng, 2), drops = !pick(&c->rng, 3) || c->taped < 2;
    struct gle_error err = {0};

    if (!c->taping && gle_net_get_place(c->p.host.net).B > ROWS) /* there is no room for so many */
        return;
    if (c->taping && !drops)
        collect(c);
    for (size_t i = 0; i < 2; i++) {
        if (!c->taping)
            gle_net_begin_window(net_of(c, i));
        else if (drops)
            gle_net_drop_window(net_of(c, i));
        else if (gle_net_end_window(net_of(c, i), bptt, learns, LR, &err))
            fail_msg("%s: %s", c->when, err.text);
    }
    c->taping = !c->taping;
    c->taped = 0;
}

static void keep_and_recall(struct course *c, bool *kept)
{
    const bool keeps = !*kept || pick(&c->rng, 2);

    for (size_t i = 0; i < 2; i++)
        if (keeps)
            gle_net_keep(net_of(c, i));
        else
            gle_net_recall(net_of(c, i));
    *kept = true;
}

/* One call, or a few that belong together. While a window is open, neither rows nor parameters may change. */
static void call(struct course *c, bool *kept)
{
    const struct gle_graph *g = c->p.host.graph;
    const size_t which = pick(&c->rng, 22);
    const size_t B = 1 + pick(&c->rng, ROWS_MAX), param = pick(&c->rng, g->n_parameters);
    const bool flag = pick(&c->rng, 2);

    snprintf(c->when + strlen(c->when) - 2, 3, "%02zu", which);
    if (which < 10)
        step(c);
    else if (which < 12)
        look(c);
    else if (which == 12)
        look_at_rows(c);
    else if (which == 13)
        collect(c);
    else if (which == 14)
        window(c);
    else if (which == 15) {
        archive(c);
        c->summed = *kept = false;
    } else if (c->taping)
        return;
    else if (which == 21) {
        begin_both(&c->p, B, flag);
        c->summed = true;
    } else if (which == 16)
        for (size_t i = 0; i < 2; i++) {
            gle_net_set_batch(net_of(c, i), B);
            c->summed = false;
        }
    else if (which == 17)
        for (size_t i = 0; i < 2; i++)
            gle_net_hold(net_of(c, i), param, flag);
    else if (which == 18)
        set_parameter(c);
    else if (which == 19)
        keep_and_recall(c, kept);
    else
        meet(c);
}

static void calls_in_any_order_leave_the_same_net(void **state)
{
    struct text *t = calloc(1, sizeof *t);
    static const struct parts noisy = {.hardware = ALL_NOISE "  mismatch: {tau_m: 0.4, error_tau_r: 0.2}\n"};
    struct course *c = calloc(1, sizeof *c);

    (void)state;
    assert_true(t && c);
    for (size_t k = 0; k < SEQUENCES; k++) {
        bool kept = false;
        const struct parts *parts = k % 3 ? &usual : &noisy;
        write_net(t, parts);
        *c = (struct course){.parts = parts, .p = pair_of(t->yaml, ""), .other = pair_of(t->yaml, "")};
        seed_net(&c->rng, 50000 + k);
        for (size_t i = 0; i < CALLS; i++) {
            snprintf(c->when, sizeof c->when, "sequence %zu, call %zu, of kind 00", k, i);
            call(c, &kept);
        }
        collect(c);
        assert_nets_agree(c->when, c->p.host.net, c->p.device.net);
        pair_clear(&c->p);
        pair_clear(&c->other);
    }
    free(c);
    free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_activation_is_the_same_on_a_device),
        cmocka_unit_test(every_loss_is_the_same_on_a_device),
        cmocka_unit_test(every_optimizer_is_the_same_on_a_device),
        cmocka_unit_test(what_optimizers_follow_is_the_same_on_a_device),
        cmocka_unit_test(every_integration_is_the_same_on_a_device),
        cmocka_unit_test(every_link_is_the_same_on_a_device),
        cmocka_unit_test(eligibilities_are_the_same_on_a_device),
        cmocka_unit_test(every_pooling_is_the_same_on_a_device),
        cmocka_unit_test(every_rule_is_the_same_on_a_device),
        cmocka_unit_test(every_feedback_is_the_same_on_a_device),
        cmocka_unit_test(errors_that_come_directly_are_the_same_on_a_device),
        cmocka_unit_test(hardware_is_the_same_on_a_device),
        cmocka_unit_test(a_device_gives_the_same_bits_again),
        cmocka_unit_test(coefficients_are_the_same_wherever_they_are_found),
        cmocka_unit_test(calls_in_any_order_leave_the_same_net),
    };

    setenv("GLE_TEST_DEVICE", "0", 0);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
