#include "cli/initial.h"
#include "base/memory.h"
#include "base/rng.h"
#include "yaml/node.h"

int gle_initial_build(struct gle_initial *out, const struct gle_experiment *exp,
                      bool (*wanted)(const struct gle_graph *graph), struct gle_error *err)
{
    const struct gle_graph_options options = {.batch = 1, .train_rows = 1};
    struct gle_rng rng;

    *out = (struct gle_initial){0};
    gle_rng_seed(&rng, exp->seed);
    if (gle_graph_build(&out->graph, exp, &options, err))
        return -1;
    if (wanted && !wanted(out->graph))
        return 0;
    return gle_net_build(&out->net, out->graph, 1, err) || gle_net_init(out->net, &rng, err) ? -1 : 0;
}

void gle_initial_clear(struct gle_initial *initial)
{
    gle_net_destroy(initial->net);
    gle_graph_destroy(initial->graph);
    *initial = (struct gle_initial){0};
}

/* --- bounds --- */

static bool moves(const struct gle_graph *g, const struct gle_parameter *p)
{
    return p->kind == GLE_FEEDBACK ? g->projections[p->field.projection].feedback_way != GLE_FEEDBACK_STAYS
                                   : p->plastic;
}

/* Where somebody wrote bounds of a parameter, if it moves: of B, those of W. */
static const struct gle_node *bounds_of(const struct gle_graph *g, const struct gle_parameter *p)
{
    const struct gle_node *learning = gle_node_get(g->exp->src, "learning");
    const struct gle_node *bounds = learning ? gle_node_get(learning, "bounds") : NULL;
    const char *name = gle_param_name(p->kind == GLE_FEEDBACK ? GLE_WEIGHT : p->kind);
    const struct gle_node *node = bounds && moves(g, p) ? gle_node_get(bounds, name) : NULL;

    return node && !node->filled_in ? node : NULL;
}

/* How many initial values of a parameter lie outside its bounds, and one of them. */
static size_t count_outside(double *one, const struct gle_net *net, size_t param)
{
    const struct gle_parameter *p = &gle_net_graph(net)->parameters[param];
    const size_t size = gle_field_size(&p->field);
    const float low = (float)p->bounds->low, high = (float)p->bounds->high;
    float *values = gle_calloc(size, sizeof *values);
    size_t n = 0;

    if (!values)
        return 0;
    gle_net_get_param(net, param, values);
    for (size_t k = 0; k < size; k++)
        if ((values[k] < low || values[k] > high) && !n++)
            *one = (double)values[k];
    gle_free(values);
    return n;
}

static void note_parameter(FILE *to, const struct gle_net *net, size_t param)
{
    const struct gle_graph *g = gle_net_graph(net);
    const struct gle_parameter *p = &g->parameters[param];
    const struct gle_node *node = bounds_of(g, p);
    struct gle_error note = {0};
    char label[GLE_FIELD_LABEL], text[1200];
    double one = 0.0;
    const size_t n = node ? count_outside(&one, net, param) : 0;

    if (!n)
        return;
    gle_field_label(label, sizeof label, &p->field);
    gle_node_fail(&note, GLE_ERANGE, node, NULL,
                  "%zu of %zu initial values of '%s' lie outside (%.5g is one): the first step of learning puts them "
                  "within%s%s", n, gle_field_size(&p->field), label, one, g->exp->variant ? ", in variant " : "",
                  g->exp->variant ? g->exp->variant : "");
    gle_error_format(text, sizeof text, &note);
    fprintf(to, "glesim: %s\n", text);
}

/* Whether there are bounds that can be told of. */
static bool has_bounds(const struct gle_graph *g)
{
    bool any = false;

    for (size_t i = 0; i < g->n_parameters && !any; i++)
        any = bounds_of(g, &g->parameters[i]) != NULL;
    return any;
}

void gle_initial_note_bounds(FILE *to, const struct gle_experiment *exp)
{
    struct gle_initial initial;
    struct gle_error unsaid = {0};

    if (!gle_initial_build(&initial, exp, has_bounds, &unsaid) && initial.net)
        for (size_t i = 0; i < initial.graph->n_parameters; i++)
            note_parameter(to, initial.net, i);
    gle_initial_clear(&initial);
}
