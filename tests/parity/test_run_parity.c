/* The published MNIST-1D runs, from the seed to two trained batches. */
#include "../support/build.h"
#include "../support/by_layer.h"
#include "../support/dataset.h"
#include "base/memory.h"
#include "data/data.h"
#include "reference.h"
#include "train/order.h"
#include "train/train.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STEPS = 360, TEST = 1000, TRAIN = 4000, BATCH = 100, CLASSES = 10 };

struct fixture {
    struct built b;
    struct gle_data *data;
    const struct reference *ref;
    size_t first_layer; /* of ours, that the reference calls L0 */
};

static struct fixture open_run(const char *config, const char *case_name, const char *file, size_t first_layer)
{
    struct fixture f = {.ref = reference_get(case_name, file), .first_layer = first_layer};
    struct gle_data_context context;
    struct gle_error err = {0};

    f.b = build_file(test_path(config), NULL, 0, 2);
    context = (struct gle_data_context){.dt = f.b.exp->dt, .seed = f.b.exp->seed};
    if (gle_data_open(&f.data, (const struct gle_dataset *)f.b.exp->dataset.row, f.b.exp->dataset.params, 0.0, &context,
                      &err))
        fail_msg("%s", err.text);
    return f;
}

static void close_run(struct fixture *f)
{
    gle_data_close(f->data);
    built_clear(&f->b);
}

/* Weights and biases against arrays <prefix>L<k>_W and _b; bit for bit, or within their tolerances. */
static void check_params(const struct fixture *f, const char *prefix, bool exactly)
{
    for (size_t i = f->first_layer; i < f->b.graph->n_populations; i++)
        for (int p = GLE_WEIGHT; p <= GLE_BIAS; p++) {
            const size_t n = layer_param_size(f->b.graph, i, (enum gle_param)p);
            float *values = calloc(n, sizeof *values);
            char name[64];

            snprintf(name, sizeof name, "%sL%zu_%s", prefix, i - f->first_layer, p == GLE_WEIGHT ? "W" : "b");
            layer_get_param(f->b.net, i, (enum gle_param)p, values);
            if (exactly)
                reference_assert_within(f->ref, name, values, n, 0.0);
            else
                reference_assert_close(f->ref, name, values, n);
            free(values);
        }
}

static void check_state(const struct fixture *f, const char *prefix)
{
    static const struct {
        enum layer_var var;
        const char *name;
    } vars[] = {
        {VAR_U, "u"}, {VAR_V, "v"}, {VAR_R, "r"}, {VAR_DR, "r_prime"}, {VAR_E_BELOW, "e_bottom"}};

    for (size_t i = f->first_layer; i < f->b.graph->n_populations; i++)
        for (size_t k = 0; k < sizeof vars / sizeof *vars; k++) {
            const struct gle_population *l = &f->b.graph->populations[i];
            const size_t n = vars[k].var == VAR_E_BELOW ? layer_inputs(f->b.graph, i) : l->n;
            float *values = calloc(TEST * n, sizeof *values);
            char name[64];

            snprintf(name, sizeof name, "%sL%zu_%s", prefix, i - f->first_layer, vars[k].name);
            if (reference_has(f->ref, name) && (vars[k].var != VAR_E_BELOW || layer_sends_error(f->b.graph, i))) {
                layer_get_var(f->b.net, i, vars[k].var, values);
                reference_assert_rows(f->ref, name, 0, values, BATCH, n, n);
            }
            free(values);
        }
}

static void check_loss(const struct fixture *f, const char *name, size_t t, double loss)
{
    const double want = gle_array_real(reference_array(f->ref, name), t);

    if (fabs(loss - want) > reference_tolerance(f->ref, name))
        fail_msg("%s[%zu] is %.9g, the reference says %.9g", name, t, loss, want);
}

/* One batch of `rows` through the net; losses against array `losses` from `first` on, if given. */
static void run_batch(struct fixture *f, enum gle_split split, const uint32_t *rows, size_t B, bool learn,
                      const char *losses, size_t first, void (*after)(const struct fixture *, size_t step))
{
    const struct gle_step step = {.learn = learn, .lr = 1e-3};
    struct gle_error err = {0};
    size_t ld, ld_target;
    float *input = gle_net_input(f->b.net, &ld), *target = gle_net_target(f->b.net, &ld_target);

    gle_net_set_batch(f->b.net, B);
    gle_net_begin_batch(f->b.net, false);
    gle_data_target(target, ld_target, f->data, batch_of(f->data, split, rows, B), 0);
    for (size_t t = 0; t < STEPS; t++) {
        double loss;
        gle_data_input(input, ld, f->data, batch_of(f->data, split, rows, B), t);
        if (gle_net_step(f->b.net, &step, &loss, &err))
            fail_msg("%s", err.text);
        check_loss(f, losses, first + t, loss / (double)B);
        if (after)
            after(f, first + t + 1);
    }
}

/* The evaluation of the untrained network: losses, summed outputs, predictions, and the state it leaves. */
static void evaluate(struct fixture *f)
{
    uint32_t rows[TEST];
    float *sum = calloc(TEST * CLASSES, sizeof *sum);

    for (uint32_t i = 0; i < TEST; i++)
        rows[i] = i;
    run_batch(f, GLE_TEST, rows, TEST, false, "test_loss_per_step", 0, NULL);
    gle_net_get_output_sum(f->b.net, sum);
    reference_assert_rows(f->ref, "test_logit_sum", 0, sum, TEST, CLASSES, CLASSES);
    for (size_t i = 0; i < TEST; i++) {
        size_t best = 0;
        for (size_t k = 1; k < CLASSES; k++)
            best = sum[i * CLASSES + k] > sum[i * CLASSES + best] ? k : best;
        assert_int_equal(best, reference_int(f->ref, "test_pred", i));
    }
    check_state(f, "after_test_");
    free(sum);
}

static void check_after_step(const struct fixture *f, size_t step)
{
    char prefix[32];

    snprintf(prefix, sizeof prefix, "step%zu_", step);
    if (step == 1 || step == 10 || step == 100 || step == 360 || step == 720)
        check_params(f, prefix, false);
}

static void e2e_seed_12_starts_as_published(void **state)
{
    struct fixture f = open_run("../configs/mnist1d_e2e.yaml", "mnist1d_e2e_first", "e2e_seed12", 0);
    struct gle_order order;
    uint32_t *rows = calloc(TRAIN, sizeof *rows);

    (void)state;
    assert_int_equal(f.b.graph->n_params, 14956);
    check_params(&f, "init_", true);
    evaluate(&f);
    gle_order_start(&order, f.b.exp->seed);
    gle_order_evaluate(&order);
    gle_order_first_step(&order, TEST, 1);
    gle_order_shuffle(&order, rows, TRAIN);
    for (size_t i = 0; i < TRAIN; i++)
        assert_int_equal(rows[i], reference_int(f.ref, "epoch1_order", i));
    run_batch(&f, GLE_TRAIN, rows, BATCH, true, "train_loss_per_step", 0, check_after_step);
    run_batch(&f, GLE_TRAIN, rows + BATCH, BATCH, true, "train_loss_per_step", STEPS, check_after_step);
    check_state(&f, "after_step720_");
    free(rows);
    close_run(&f);
}

static void static_lagnet_seed_0_starts_as_published(void **state)
{
    struct fixture f = open_run("../configs/mnist1d_static_lagnet.yaml", "static_lagnet_first", "static_seed0", 4);
    uint32_t rows[BATCH];

    (void)state;
    check_params(&f, "init_", true);
    evaluate(&f);
    /* The published order depends on draws made while its LagNet is rebuilt for every batch: taken from the reference.
     */
    for (size_t i = 0; i < BATCH; i++)
        rows[i] = (uint32_t)reference_int(f.ref, "epoch1_order", i);
    run_batch(&f, GLE_TRAIN, rows, BATCH, true, "train_loss_per_step", 0, check_after_step);
    check_state(&f, "after_step360_");
    close_run(&f);
}

static void the_frozen_lagnet_filters_as_published(void **state)
{
    struct fixture f = open_run("../configs/mnist1d_static_lagnet.yaml", "static_lagnet_first", "lagnet", 0);
    const size_t n_steps = reference_array(f.ref, "lagnet_output_first5")->shape[0];
    const uint32_t rows[] = {0, 1, 2, 3, 4};
    const struct gle_step step = {0};
    struct gle_error err = {0};
    size_t ld;
    float *input = gle_net_input(f.b.net, &ld);

    (void)state;
    assert_true(n_steps >= 100 && n_steps <= STEPS);
    gle_net_set_batch(f.b.net, 5);
    gle_net_begin_batch(f.b.net, false);
    for (size_t t = 0; t < n_steps; t++) {
        float output[5 * 10];
        double loss;
        layer_get_var(f.b.net, 3, VAR_R, output); /* the old rate of the fourth layer */
        reference_assert_rows(f.ref, "lagnet_output_first5", t, output, 5, 10, 10);
        gle_data_input(input, ld, f.data, batch_of(f.data, GLE_TRAIN, rows, 5), t);
        assert_int_equal(gle_net_step(f.b.net, &step, &loss, &err), 0);
    }
    close_run(&f);
}

/* `epochs: 0` through the whole training loop, to all digits that were published. */
static void check_epoch_0(const char *config, double loss, double accuracy)
{
    const struct gle_override none[] = {{"training.epochs", "0", "test"}};
    struct built b = build_file(test_path(config), none, 1, 2);
    const struct gle_data_context context = {.dt = b.exp->dt, .seed = b.exp->seed};
    struct gle_metrics metrics;
    struct gle_data *data;
    struct gle_error err = {0};

    if (gle_data_open(&data, (const struct gle_dataset *)b.exp->dataset.row, b.exp->dataset.params, 0.0, &context,
                      &err) ||
        gle_metrics_init(&metrics, b.exp, data, &err) ||
        gle_train(&metrics, b.net, b.graph, data, test_fleet(), NULL, NULL, &err))
        fail_msg("%s", err.text);
    assert_int_equal(metrics.n_epochs, 1);
    assert_true(fabs(metrics.epochs[0].score[GLE_TEST].loss - loss) < 1e-6);
    assert_true(fabs(metrics.epochs[0].score[GLE_TEST].accuracy - accuracy) < 1e-9);
    gle_metrics_clear(&metrics);
    gle_data_close(data);
    built_clear(&b);
}

static void untrained_networks_score_as_published(void **state)
{
    (void)state;
    check_epoch_0("../configs/mnist1d_e2e.yaml", 2.305907, 0.106);
    check_epoch_0("../configs/mnist1d_e2e_42k.yaml", 2.304975, 0.098);
    check_epoch_0("../configs/mnist1d_static_lagnet.yaml", 2.318306, 0.100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(e2e_seed_12_starts_as_published),
        cmocka_unit_test(static_lagnet_seed_0_starts_as_published),
        cmocka_unit_test(the_frozen_lagnet_filters_as_published),
        cmocka_unit_test(untrained_networks_score_as_published),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
