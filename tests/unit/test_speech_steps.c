/* The first training steps of the speech network, scaled down, on features of fixed sounds: the solver against the
 * double-precision oracle. Time constants, dt, learning rate and loss are those of configs/gsc_mel_gle.yaml, whose
 * tau_m / tau_r = 24 makes errors grow, and the rounding in them, from layer to layer. */
#include "../support/build.h"
#include "../support/by_layer.h"
#include "../support/oracle.h"
#include "base/memory.h"
#include "base/rng.h"
#include "data/data.h"
#include "data/features.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { RATE = 16000, BATCH = 3, BINS = 32, UPSAMPLE = 20, FRAMES_MAX = 41, STEPS = 820, LAYERS = 4, CLASSES = 12 };

static const char *const config =
    "glesim: 1\n"
    "name: speech\n"
    "seed: 1\n"
    "dt: 0.05\n"
    "dataset: {type: npz, file: none.npz}\n"
    "network:\n"
    "  input: 32\n"
    "  layers:\n"
    "    - name: input_lag\n"
    "      neurons: &lag\n"
    "        - {count: 6, tau_m: 2.4, tau_r: 2.4}\n"
    "        - {count: 6, tau_m: 0.6, tau_r: 0.1}\n"
    "        - {count: 6, tau_m: 1.2, tau_r: 0.1}\n"
    "        - {count: 6, tau_m: 1.8, tau_r: 0.1}\n"
    "        - {count: 6, tau_m: 2.4, tau_r: 0.1}\n"
    "      activation: linear\n"
    "    - {name: lag, repeat: 2, neurons: *lag, activation: tanh}\n"
    "    - {name: readout, neurons: {count: 12, tau_m: 2.4, tau_r: 2.4}, activation: linear}\n"
    "learning:\n"
    "  rule: gle\n"
    "  loss: cross_entropy\n"
    "  optimizer: {type: adam, lr: 1.953125e-5}\n"
    "training: {epochs: 1, batch_size: 3}\n";

/* Vowel-like sounds of different lengths, with some noise. */
static size_t make_wave(float *wave, size_t sound)
{
    static const double pitch[BATCH] = {120.0, 210.0, 95.0}, formant[BATCH] = {500.0, 1900.0, 900.0};
    static const size_t length[BATCH] = {16000, 11146, 14000};
    struct gle_rng rng;

    gle_rng_seed(&rng, 100 + sound);
    for (size_t i = 0; i < length[sound]; i++) {
        const double t = (double)i / RATE;
        double x = 0.01 * gle_numpy_randn(&rng);
        for (int k = 1; k < 20; k++) {
            const double f = k * pitch[sound] * (1.0 + 0.1 * t), d = (f - formant[sound]) / 300.0;
            x += 0.1 * exp(-d * d) * sin(6.283185307179586 * f * t) * sin(3.14159265 * t);
        }
        wave[i] = (float)x;
    }
    return length[sound];
}

static struct gle_batch make_batch(float *frames, size_t *n_frames)
{
    static const struct gle_feature_settings how = {.bins = BINS, .window = 1024, .hop = 400, .rate = RATE};
    static const uint32_t rows[BATCH] = {0, 1, 2};
    float *wave = gle_calloc(RATE, sizeof *wave);
    struct gle_error err = {0};
    struct gle_features *f;
    struct gle_feature_desk *desk;

    assert_non_null(wave);
    if (gle_features_open(&f, &how, &err))
        fail_msg("%s", err.text);
    desk = gle_feature_desk_open(f);
    assert_non_null(desk);
    for (size_t b = 0; b < BATCH; b++) {
        const size_t n = make_wave(wave, b);
        n_frames[b] = gle_features_frames(f, n);
        gle_features_make(frames + b * FRAMES_MAX * BINS, f, desk, wave, n);
    }
    gle_feature_desk_close(desk);
    gle_features_close(f);
    gle_free(wave);
    return (struct gle_batch){.rows = rows, .B = BATCH, .n_steps = STEPS, .frames = frames, .n_frames = n_frames};
}

/* Largest difference, over the largest value. */
static double difference(const float *got, const double *want, size_t n)
{
    double most = 0.0, scale = 1e-30;

    for (size_t i = 0; i < n; i++) {
        most = fmax(most, fabs((double)got[i] - want[i]));
        scale = fmax(scale, fabs(want[i]));
    }
    return most / scale;
}

/* What the differences of a run came to at most. */
struct worst {
    double loss, output, weight, error[LAYERS];
};

static void compare(struct worst *worst, const struct built *b, const struct oracle *o)
{
    static float values[64 * 64];

    for (size_t i = 0; i < LAYERS; i++) {
        const struct oracle_layer *l = &o->layers[i];
        layer_get_param(b->net, i, GLE_WEIGHT, values);
        worst->weight = fmax(worst->weight, difference(values, l->W, l->n * l->n_in));
        layer_get_var(b->net, i, VAR_E, values);
        worst->error[i] = fmax(worst->error[i], difference(values, l->e, BATCH * l->n));
    }
    layer_get_var(b->net, LAYERS - 1, VAR_R, values);
    worst->output = fmax(worst->output, difference(values, o->layers[LAYERS - 1].r, BATCH * CLASSES));
}

static void the_first_steps_agree_with_double_precision(void **state)
{
    struct built b = build_text(config, 1);
    struct gle_samples samples = {.n = BATCH, .labels = (int32_t[]){2, 0, 11}};
    const struct gle_data data = {.n_steps = STEPS,
                                  .n_channels = BINS,
                                  .n_targets = CLASSES,
                                  .labelled = 1,
                                  .maker = {.frames_max = FRAMES_MAX, .upsample = UPSAMPLE},
                                  .split = {samples}};
    float *frames = gle_calloc(BATCH * FRAMES_MAX * BINS, sizeof *frames);
    size_t n_frames[BATCH], ld_x, ld_y;
    const struct gle_batch batch = make_batch(frames, n_frames);
    float *input = gle_net_input(b.net, &ld_x), *target = gle_net_target(b.net, &ld_y);
    const struct gle_step step = {.learn = true, .lr = 1.953125e-5};
    struct worst worst = {0};
    struct gle_error err = {0};
    struct oracle *o;

    (void)state;
    gle_net_set_batch(b.net, BATCH);
    gle_net_begin_batch(b.net, false);
    o = oracle_build(b.graph, b.net, BATCH, ORACLE_ADAM, step.lr, 0.0);
    gle_data_target(target, ld_y, &data, &batch, 0);
    for (size_t t = 0; t < STEPS; t++) {
        double x[BATCH * BINS], y[BATCH * CLASSES], loss, want;
        gle_data_input(input, ld_x, &data, &batch, t);
        for (size_t i = 0; i < BATCH * BINS; i++)
            x[i] = (double)input[i / BINS * ld_x + i % BINS];
        for (size_t i = 0; i < BATCH * CLASSES; i++)
            y[i] = (double)target[i / CLASSES * ld_y + i % CLASSES];
        want = oracle_step(o, x, y, true);
        if (gle_net_step(b.net, &step, &loss, &err))
            fail_msg("%s", err.text);
        worst.loss = fmax(worst.loss, fabs(loss - want) / want);
        compare(&worst, &b, o);
    }
    print_message("%d steps, largest relative differences: loss %.2g, output %.2g, weights %.2g; errors, top down",
                  STEPS, worst.loss, worst.output, worst.weight);
    for (size_t i = LAYERS; i-- > 0;)
        print_message(" %.2g", worst.error[i]);
    print_message("\n");
    assert_true(worst.loss < 1e-5 && worst.output < 2e-5 && worst.weight < 2e-5);
    assert_true(worst.error[3] < 1e-5 && worst.error[2] < 1e-4 && worst.error[1] < 2e-3 && worst.error[0] < 5e-2);
    oracle_destroy(o);
    gle_free(frames);
    built_clear(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_steps_agree_with_double_precision),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
