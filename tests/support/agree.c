#include "agree.h"
#include "build.h"

#include <math.h>
#include <stdlib.h>

const struct agree_limit agree_states = {2e-5, 1e-6}, agree_gradients = {5e-5, 1e-6}, agree_parameters = {2e-5, 1e-6},
                         agree_losses = {2e-5, 1e-6};

void assert_numbers_agree(const char *when, const char *what, const float *host, const float *device, size_t n,
                          const struct agree_limit *limit)
{
    double largest = 0.0;

    for (size_t k = 0; k < n; k++)
        largest = fmax(largest, fabs((double)host[k]));
    for (size_t k = 0; k < n; k++)
        if (!(fabs((double)device[k] - (double)host[k]) <= limit->of_largest * largest + limit->least))
            fail_msg("%s: %s, number %zu of %zu: %.9g on the device, %.9g on the processors; the largest is %.3g", when,
                     what, k, n, (double)device[k], (double)host[k], largest);
}

void assert_losses_agree(const char *when, const double *host, const double *device, size_t n)
{
    for (size_t k = 0; k < n; k++)
        if (!(fabs(device[k] - host[k]) <= agree_losses.of_largest * fabs(host[k]) + agree_losses.least))
            fail_msg("%s: loss %zu of %zu is %.9g on the device, %.9g on the processors", when, k, n, device[k],
                     host[k]);
}

/* Two arrays of n numbers. */
struct two {
    float *host, *device;
    size_t n;
};

static struct two two_of(size_t n)
{
    const struct two t = {calloc(n + 1, sizeof(float)), calloc(n + 1, sizeof(float)), n};

    assert_true(t.host && t.device);
    return t;
}

/* Fails unless both agree, and frees them. */
static void settle(struct two t, const char *when, const char *what, const struct agree_limit *limit)
{
    assert_numbers_agree(when, what, t.host, t.device, t.n, limit);
    free(t.host);
    free(t.device);
}

void assert_states_agree(const char *when, const struct gle_net *host, const struct gle_net *device)
{
    const struct gle_graph *g = gle_net_graph(host);
    const size_t B = gle_net_get_place(host).B;

    assert_int_equal(gle_net_get_place(device).B, B);
    for (size_t i = 0; i < g->n_fields; i++) {
        const struct gle_field *f = g->fields[i];
        char label[GLE_FIELD_LABEL];
        struct two t;
        if ((f->role != GLE_STATE && f->role != GLE_DERIVED) || f->population == GLE_NO_POPULATION ||
            (f->projection != GLE_NO_PROJECTION && f->role == GLE_DERIVED &&
             f != &g->projections[f->projection].hp)) /* a device pools as it reads */
            continue;
        assert_int_equal(gle_net_has_var(host, i), gle_net_has_var(device, i));
        if (!gle_net_has_var(host, i))
            continue;
        t = two_of(B * f->cols);
        gle_net_get_var(host, i, t.host);
        gle_net_get_var(device, i, t.device);
        gle_field_label(label, sizeof label, f);
        settle(t, when, label, &agree_states);
    }
}

static void compare_parameters(const char *when, const struct gle_net *host, const struct gle_net *device,
                               void (*get)(const struct gle_net *net, size_t param, float *values),
                               const struct agree_limit *limit)
{
    const struct gle_graph *g = gle_net_graph(host);

    for (size_t i = 0; i < g->n_parameters; i++) {
        const struct two t = two_of(gle_field_size(&g->parameters[i].field));
        char label[GLE_FIELD_LABEL];
        get(host, i, t.host);
        get(device, i, t.device);
        gle_field_label(label, sizeof label, &g->parameters[i].field);
        settle(t, when, label, limit);
    }
}

void assert_gradients_agree(const char *when, const struct gle_net *host, const struct gle_net *device)
{
    compare_parameters(when, host, device, gle_net_get_gradient, &agree_gradients);
}

void assert_parameters_agree(const char *when, const struct gle_net *host, const struct gle_net *device)
{
    compare_parameters(when, host, device, gle_net_get_param, &agree_parameters);
}

void assert_output_sums_agree(const char *when, const struct gle_net *host, const struct gle_net *device)
{
    const size_t n = gle_experiment_top(gle_net_graph(host)->exp)->n;
    const struct two t = two_of(gle_net_get_place(host).B * n);

    gle_net_get_output_sum(host, t.host);
    gle_net_get_output_sum(device, t.device);
    settle(t, when, "the summed output", &agree_states);
}

void assert_nets_agree(const char *when, const struct gle_net *host, const struct gle_net *device)
{
    const struct gle_net_place h = gle_net_get_place(host), d = gle_net_get_place(device);

    assert_int_equal(d.B, h.B);
    assert_int_equal(d.steps, h.steps);
    assert_int_equal(d.updates, h.updates);
    assert_int_equal(d.gathered, h.gathered);
    assert_int_equal(gle_net_get_clipped(device), gle_net_get_clipped(host));
    assert_int_equal(d.taping, h.taping);
    assert_int_equal(d.taped, h.taped);
    assert_states_agree(when, host, device);
    assert_parameters_agree(when, host, device);
    assert_gradients_agree(when, host, device);
    compare_parameters(when, host, device, gle_net_get_followed, &agree_gradients);
}
