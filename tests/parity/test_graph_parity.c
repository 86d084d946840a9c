/* General graphs against the reference: states, errors, gradients and parameters step by step, and exact gradients. The
 * networks are made from the reference's own description of them. */
#include "../support/build.h"
#include "base/memory.h"
#include "base/npz.h"
#include "parts/link.h"
#include "parts/rule.h"
#include "reference.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { YAML_BYTES = 32768, NAME_BYTES = 160 };

/* A case: its description, and its arrays. */
struct graph_case {
    json_t *about;
    struct gle_npz *npz;
    size_t compared; /* numbers */
};

static struct graph_case open_case(const char *name)
{
    struct graph_case c = {0};
    struct gle_error err = {0};
    char path[REFERENCE_PATH_SIZE], file[64];

    snprintf(file, sizeof file, "%s.json", name);
    reference_find(path, "graph", file);
    c.about = json_load_file(path, 0, NULL);
    assert_non_null(c.about);
    snprintf(file, sizeof file, "%s.npz", name);
    reference_find(path, "graph", file);
    if (gle_npz_open(&c.npz, path, &err))
        fail_msg("%s", err.text);
    return c;
}

static void close_case(struct graph_case *c)
{
    gle_npz_close(c->npz);
    json_decref(c->about);
}

static const char *text_of(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

static double number_of(const json_t *object, const char *key)
{
    return json_number_value(json_object_get(object, key));
}

static struct gle_array array_of(const struct graph_case *c, const char *name)
{
    struct gle_array a = {0};
    struct gle_error err = {0};

    if (gle_npz_read(&a, c->npz, name, &err))
        fail_msg("%s: %s", name, err.text);
    return a;
}

/* --- the network, from its description --- */

static void add(char yaml[static YAML_BYTES], const char *format, ...) GLE_PRINTF(2, 3);
static void add(char yaml[static YAML_BYTES], const char *format, ...)
{
    const size_t n = strlen(yaml);
    va_list args;

    va_start(args, format);
    assert_in_range(vsnprintf(yaml + n, YAML_BYTES - n, format, args), 0, (int)(YAML_BYTES - n) - 1);
    va_end(args);
}

static void add_numbers(char *yaml, const struct graph_case *c, const char *population, const char *what)
{
    char name[NAME_BYTES];
    struct gle_array a;

    snprintf(name, sizeof name, "%s.%s", population, what);
    a = array_of(c, name);
    add(yaml, "%s: [", what);
    for (size_t i = 0; i < a.n; i++)
        add(yaml, "%s%.9g", i ? ", " : "", gle_array_real(&a, i));
    add(yaml, "]");
    gle_array_clear(&a);
}

/* A number, or as many as there are dimensions. */
static void add_size(char *yaml, const json_t *size)
{
    const json_t *one;
    size_t i;

    if (json_is_number(size)) {
        add(yaml, "%g", json_number_value(size));
        return;
    }
    add(yaml, "[");
    json_array_foreach(size, i, one)
        add(yaml, "%s%g", i ? ", " : "", json_number_value(one));
    add(yaml, "]");
}

static void add_link(char *yaml, const json_t *projection)
{
    const json_t *pool = json_object_get(projection, "pool");
    const char *connect = text_of(projection, "connect");

    if (!strcmp(connect, "Dense"))
        add(yaml, "connect: {type: dense");
    else if (!strcmp(connect, "OneToOne"))
        add(yaml, "connect: {type: one_to_one");
    else
        add(yaml, "connect: {type: conv, kernel: %g, stride: %g, padding: %g", number_of(projection, "kernel"),
            number_of(projection, "stride"), number_of(projection, "padding"));
    if (json_is_array(pool)) {
        add(yaml, ", pool: {type: %s, size: ", json_string_value(json_array_get(pool, 0)));
        add_size(yaml, json_array_get(pool, 1));
        add(yaml, "}");
    }
    add(yaml, "}");
}

static void add_sources(char *yaml, const struct graph_case *c, const char *target)
{
    const double dt = number_of(c->about, "dt");
    const json_t *projection;
    const char *separator = "";
    size_t i;

    json_array_foreach(json_object_get(c->about, "projections"), i, projection) {
        if (strcmp(text_of(projection, "to"), target))
            continue;
        add(yaml, "%s{layer: %s, delay: %.9g, feedback: %s, ", separator, text_of(projection, "from"),
            dt * number_of(projection, "delay_steps"),
            strcmp(text_of(projection, "from"), "input") ? text_of(projection, "feedback") : "transpose");
        add_link(yaml, projection);
        add(yaml, "}");
        separator = ", ";
    }
}

/* Of the input: channels and size, where a convolution reads it. */
static void add_input(char *yaml, const struct graph_case *c)
{
    const json_t *projection;
    size_t i;

    json_array_foreach(json_object_get(c->about, "projections"), i, projection) {
        if (strcmp(text_of(projection, "from"), "input") || strcmp(text_of(projection, "connect"), "Conv"))
            continue;
        add(yaml, "  input: {channels: %g, size: ", number_of(projection, "channels"));
        add_size(yaml, json_object_get(projection, "size"));
        add(yaml, "}\n");
        return;
    }
    add(yaml, "  input: %g\n", number_of(c->about, "input"));
}

static struct built build_case(const struct graph_case *c, const char *rule, size_t tape_steps)
{
    static char yaml[YAML_BYTES];
    const double dt = number_of(c->about, "dt");
    const json_t *population;
    size_t i;

    yaml[0] = '\0';
    add(yaml, "glesim: 1\nname: graph\ndt: %.9g\ndataset: {type: npz, file: none.npz}\nnetwork:\n", dt);
    add_input(yaml, c);
    add(yaml, "  layers:\n");
    json_array_foreach(json_object_get(c->about, "populations"), i, population) {
        const char *name = text_of(population, "name");
        const json_t *channels = json_object_get(population, "channels");
        add(yaml, "    - {name: %s, gamma: %g, activation: %s, neurons: {", name, number_of(population, "gamma"),
            text_of(population, "activation"));
        if (json_is_number(channels))
            add(yaml, "channels: %g, ", json_number_value(channels));
        add_numbers(yaml, c, name, "tau_m");
        add(yaml, ", ");
        add_numbers(yaml, c, name, "tau_r");
        add(yaml, "}, from: [");
        add_sources(yaml, c, name);
        add(yaml, "]}\n");
    }
    add(yaml, "learning: {rule: %s, loss: %s, beta: %g, plastic: [weight, bias, tau_m, tau_r], "
        "optimizer: {type: adam}", rule,
        strcmp(text_of(c->about, "loss"), "ce") ? "mse" : "cross_entropy", number_of(c->about, "beta"));
    add(yaml, "}\n");
    add(yaml, "training: {epochs: 0, batch_size: %g}\n", number_of(c->about, "batch"));
    return tape_steps ? build_windows(yaml, tape_steps, 1) : build_text(yaml, 1);
}

/* "a<input.weight" of the reference, for a parameter "a.input.weight". */
static void reference_name(char *name, const struct built *b, const struct gle_parameter *p, const char *what)
{
    const char *target = b->graph->populations[p->field.population].cfg->name;

    if (p->field.projection == GLE_NO_PROJECTION)
        snprintf(name, NAME_BYTES, "%s.%s%s", target, what, p->field.name);
    else
        snprintf(name, NAME_BYTES, "%s<%s.%s%s", target, b->graph->projections[p->field.projection].cfg->name, what,
                 p->field.name);
}

static void take_parameters(struct built *b, const struct graph_case *c, bool taus_only)
{
    for (size_t i = 0; i < b->graph->n_parameters; i++) {
        const struct gle_parameter *p = &b->graph->parameters[i];
        char name[NAME_BYTES];
        struct gle_array a;
        float *values;
        if (taus_only && !gle_param_is_tau(p->kind))
            continue;
        reference_name(name, b, p, "");
        a = array_of(c, name);
        assert_int_equal(a.n, gle_field_size(&p->field));
        values = calloc(a.n, sizeof *values);
        assert_non_null(values);
        for (size_t k = 0; k < a.n; k++)
            values[k] = (float)gle_array_real(&a, k);
        gle_net_set_param(b->net, i, values);
        free(values);
        gle_array_clear(&a);
    }
}

/* --- comparing --- */

/* Slice t of an array of slices of n numbers, within the array's tolerance. */
static void compare(struct graph_case *c, const char *name, size_t t, const float *values, size_t n)
{
    const json_t *tolerance = json_object_get(json_object_get(c->about, "tol_abs"), name);
    struct gle_array a = array_of(c, name);

    assert_true(json_is_number(tolerance));
    assert_true((t + 1) * n <= a.n && a.n % n == 0);
    for (size_t k = 0; k < n; k++) {
        const double wanted = gle_array_real(&a, t * n + k);
        if (!(fabs((double)values[k] - wanted) <= json_number_value(tolerance)))
            fail_msg("%s: %s, step %zu, number %zu: %.9g, where %.9g is wanted, within %.3g", text_of(c->about, "case"),
                     name, t, k, (double)values[k], wanted, json_number_value(tolerance));
        c->compared++;
    }
    gle_array_clear(&a);
}

static void compare_states(struct graph_case *c, const struct built *b, const char *rule, size_t t, float *values)
{
    static const char *const names[] = {"u", "v", "r", "e"};

    for (size_t i = 0; i < b->graph->n_populations; i++)
        for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
            const struct gle_population *p = &b->graph->populations[i];
            const size_t field = gle_graph_variable(b->graph, i, names[k], 0);
            char name[NAME_BYTES];
            snprintf(name, sizeof name, "%s.%s.%s", rule, p->cfg->name, names[k]);
            gle_net_get_var(b->net, field, values);
            compare(c, name, t, values, gle_net_get_place(b->net).B * p->n);
        }
}

static void compare_gradients(struct graph_case *c, const struct built *b, const char *rule, size_t t, float *values)
{
    for (size_t i = 0; i < b->graph->n_parameters; i++) {
        char name[NAME_BYTES], whole[NAME_BYTES + 16];
        if (!b->graph->parameters[i].plastic)
            continue;
        reference_name(name, b, &b->graph->parameters[i], "grad_");
        snprintf(whole, sizeof whole, "%s.%s", rule, name);
        gle_net_get_gradient(b->net, i, values);
        compare(c, whole, t, values, gle_field_size(&b->graph->parameters[i].field));
    }
}

static void compare_final(struct graph_case *c, const struct built *b, const char *rule, float *values)
{
    for (size_t i = 0; i < b->graph->n_parameters; i++) {
        const struct gle_parameter *p = &b->graph->parameters[i];
        char name[NAME_BYTES], whole[NAME_BYTES + 16];
        if (p->kind != GLE_WEIGHT && p->kind != GLE_BIAS)
            continue;
        reference_name(name, b, p, "");
        snprintf(whole, sizeof whole, "%s.final.%s", rule, name);
        gle_net_get_param(b->net, i, values);
        compare(c, whole, 0, values, gle_field_size(&p->field));
    }
}

/* --- running --- */

static void put(const struct graph_case *c, const char *name, size_t t, float *to, size_t ld, size_t B, size_t n)
{
    struct gle_array a = array_of(c, name);

    for (size_t b = 0; b < B; b++)
        for (size_t k = 0; k < n; k++)
            to[b * ld + k] = (float)gle_array_real(&a, (t * B + b) * n + k);
    gle_array_clear(&a);
}

/* Takes step t, and compares its loss. */
static void take_step(struct graph_case *c, struct built *b, const char *rule, size_t t, const struct gle_step *step)
{
    const size_t B = gle_net_get_place(b->net).B;
    struct gle_error err = {0};
    char name[NAME_BYTES];
    size_t ld_x, ld_y;
    float *x = gle_net_input(b->net, &ld_x), *y = gle_net_target(b->net, &ld_y), mean;
    double loss;

    put(c, "x", t, x, ld_x, B, b->graph->n_input);
    put(c, "y", t, y, ld_y, B, gle_experiment_top(b->exp)->n);
    if (gle_net_step(b->net, step, &loss, &err))
        fail_msg("step %zu: %s", t, err.text);
    mean = (float)(loss / (double)B);
    snprintf(name, sizeof name, "%s.loss", rule);
    compare(c, name, t, &mean, 1);
}

static float *room_for(const struct built *b)
{
    size_t most = 1;

    for (size_t i = 0; i < b->graph->n_fields; i++)
        most = gle_field_size(b->graph->fields[i]) > most ? gle_field_size(b->graph->fields[i]) : most;
    return calloc(most, sizeof(float));
}

/* Learning by a local rule. The reference leaves time constants as they are. */
static void check_rule(struct graph_case *c, const char *rule)
{
    const struct gle_step step = {.learn = true, .lr = number_of(c->about, "lr")};
    const size_t steps = (size_t)number_of(c->about, "steps");
    struct built b = build_case(c, rule, 0);
    float *values = room_for(&b);

    assert_non_null(values);
    take_parameters(&b, c, false);
    for (size_t t = 0; t < steps; t++) {
        take_step(c, &b, rule, t, &step);
        compare_states(c, &b, rule, t, values);
        compare_gradients(c, &b, rule, t, values);
        take_parameters(&b, c, true);
    }
    compare_final(c, &b, rule, values);
    free(values);
    built_clear(&b);
}

/* Exact gradients, of one window of all steps, which are those of rule gle: its errors feed back into membranes. */
static void check_bptt(struct graph_case *c)
{
    const struct gle_step step = {.nudge = true};
    const size_t steps = (size_t)number_of(c->about, "steps");
    const struct gle_rule *bptt = (const struct gle_rule *)gle_table_find(&gle_rule_table, "bptt");
    struct built b = build_case(c, "gle", steps);
    struct gle_error err = {0};
    float *values = room_for(&b);

    assert_non_null(values);
    take_parameters(&b, c, false);
    gle_net_begin_window(b.net);
    for (size_t t = 0; t < steps; t++)
        take_step(c, &b, "bptt", t, &step);
    if (gle_net_end_window(b.net, bptt, false, 0.0, &err))
        fail_msg("%s", err.text);
    compare_gradients(c, &b, "bptt", 0, values);
    free(values);
    built_clear(&b);
}

static void check_case(const char *name)
{
    struct graph_case c = open_case(name);

    check_rule(&c, "gle");
    check_rule(&c, "bp");
    if (json_object_get(json_object_get(c.about, "tol_abs"), "eprop.loss")) /* not of convolutions */
        check_rule(&c, "eprop");
    check_bptt(&c);
    print_message("%s: %zu numbers within their tolerances\n", name, c.compared);
    close_case(&c);
}

static void one_layer(void **state)
{
    (void)state;
    check_case("single");
}

static void skip_lateral_and_top_down_connections_and_delays(void **state)
{
    (void)state;
    check_case("recurrent");
}

static void errors_that_feed_back_into_membranes_of_a_loop(void **state)
{
    (void)state;
    check_case("nudged");
}

static void errors_that_go_back_through_weights_of_their_own(void **state)
{
    (void)state;
    check_case("feedback");
}

static void convolutions_of_planes_with_pooling(void **state)
{
    (void)state;
    check_case("conv2d");
}

static void convolutions_of_lines_with_pooling(void **state)
{
    (void)state;
    check_case("conv1d");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_layer),
        cmocka_unit_test(skip_lateral_and_top_down_connections_and_delays),
        cmocka_unit_test(errors_that_feed_back_into_membranes_of_a_loop),
        cmocka_unit_test(errors_that_go_back_through_weights_of_their_own),
        cmocka_unit_test(convolutions_of_planes_with_pooling),
        cmocka_unit_test(convolutions_of_lines_with_pooling),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
