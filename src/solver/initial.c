/* The values that parameters start from, or are put to. */
#include "base/memory.h"
#include "base/npz.h"
#include "base/rng.h"
#include "parts/feedback.h"
#include "parts/init.h"
#include "parts/optimizer.h"
#include "solver/inside.h"

#include <string.h>

/* Values from a file that the config could not be checked with; file NULL: from the config itself. */
static int check_tau(const float *values, const struct gle_field *f, const struct gle_experiment *exp, const char *file,
                     const char *name, struct gle_error *err)
{
    for (size_t i = 0; i < gle_field_size(f); i++)
        if ((double)values[i] < (1.0 - GLE_TAU_TOLERANCE) * exp->tau_least)
            return gle_fail_in(err, GLE_EDATA, file, name, "[%zu] = %g is below %s = %g", i, (double)values[i],
                               gle_tau_least_text(exp->exponential), exp->tau_least);
    return 0;
}

/* What an initialiser is told of a parameter; a list fills a column. A bias starts by its first source. */
static struct gle_init_target target_of(const struct gle_net *net, const struct gle_parameter *p, const char *name)
{
    const struct gle_population *of = gle_population_of(net, p->field.population);
    const struct gle_projection *c = p->field.projection == GLE_NO_PROJECTION
                                         ? gle_in_of(net, of, 0)
                                         : &net->graph->projections[p->field.projection];
    const bool direct = p->kind == GLE_ERRORS_FROM;
    const bool weights = p->kind == GLE_WEIGHT || p->kind == GLE_FEEDBACK || direct;
    const struct gle_link_plan *plan = direct ? &gle_graph_direct(net->graph, p)->plan : &c->plan;

    return (struct gle_init_target){.name = name,
                                    .rows = p->part == 1 ? p->field.cols : p->field.rows,
                                    .cols = p->part == 1 ? 1 : p->field.cols,
                                    .shape = {p->shape[0], p->shape[1], p->shape[2], p->shape[3]},
                                    .n_shape = p->n_shape,
                                    .fan_in = plan->fan_in,
                                    .sparse = weights && plan->starts ? plan : NULL,
                                    .bias = !weights};
}

/* Takes a parameter from the file for the whole network, where there is one that has it. */
static int take_from_file(bool *has, float *values, const struct gle_net *net, const struct gle_parameter *p,
                          const char *name, struct gle_error *err)
{
    const struct gle_layer_cfg *cfg = gle_population_of(net, p->field.population)->cfg;
    const struct gle_init *init = (const struct gle_init *)gle_table_find(&gle_init_table, "file");
    const char *file = net->graph->exp->init_file;
    struct gle_init_target target = target_of(net, p, name);
    struct gle_npz *npz;

    *has = false;
    if (!file)
        return 0;
    if (gle_npz_open(&npz, file, err))
        return -1;
    *has = gle_npz_has(npz, name);
    gle_npz_close(npz);
    target.bias = false;
    return *has ? init->fill(values, &target, cfg->sources[0].weight.params, NULL, err) : 0;
}

/* The time constants of a config; those of a whole-network file instead, where it has them. It has tau_r of all layers,
 * of which those that do not learn it stay as the config has them. */
static int init_taus(float *values, const struct gle_net *net, const struct gle_parameter *p, const char *name,
                     struct gle_error *err)
{
    const struct gle_layer_cfg *cfg = gle_population_of(net, p->field.population)->cfg;
    const double *given = p->kind == GLE_TAU_M ? cfg->tau_m : cfg->tau_r;
    bool has;

    for (size_t i = 0; i < p->field.cols; i++)
        values[i] = (float)given[i];
    if (p->kind == GLE_TAU_R && !cfg->plastic[GLE_TAU_R])
        return 0;
    if (take_from_file(&has, values, net, p, name, err))
        return -1;
    return has ? check_tau(values, &p->field, net->graph->exp, net->graph->exp->init_file, name, err) : 0;
}

/* The factors of time constants, drawn by the seed; those of a whole-network file instead, where it has them: the
 * neurons are then those of the run that wrote it. */
static int init_factors(float *values, const struct gle_net *net, const struct gle_parameter *p, const char *name,
                        struct gle_error *err)
{
    bool has;

    gle_net_draw_factors(net, gle_population_of(net, p->field.population),
                         (enum gle_mismatch)(p->kind - GLE_TAU_M_FACTOR), values);
    return take_from_file(&has, values, net, p, name, err);
}

/* The weights B that a config says; those of a whole-network file instead, where it has them. */
static int init_feedback(float *values, const struct gle_net *net, const struct gle_parameter *p,
                         const struct gle_init_target *target, const struct gle_part *part, struct gle_rng *rng,
                         struct gle_error *err)
{
    bool has;

    if (take_from_file(&has, values, net, p, target->name, err))
        return -1;
    return has ? 0 : ((const struct gle_init *)part->row)->fill(values, target, part->params, rng, err);
}

/* The config's own words on a parameter; of time constants, those on the weights of the first source. */
static const struct gle_part *initial_of(const struct gle_net *net, const struct gle_parameter *p)
{
    const struct gle_layer_cfg *cfg = gle_population_of(net, p->field.population)->cfg;
    const size_t source = p->field.projection == GLE_NO_PROJECTION
                              ? 0
                              : p->field.projection - gle_population_of(net, p->field.population)->first;
    const struct gle_source_cfg *from = &cfg->sources[source];

    if (p->kind == GLE_ERRORS_FROM)
        return &gle_graph_direct(net->graph, p)->cfg->weight;
    if (p->kind == GLE_FEEDBACK)
        return &((const struct gle_feedback_params *)from->feedback_params)->weight;
    return p->kind == GLE_BIAS ? &cfg->bias : &from->weight;
}

/* Errors point at the config's own words on the parameter. */
static int init_parameter(struct gle_net *net, size_t param, float *values, struct gle_rng *rng, struct gle_error *err)
{
    const struct gle_parameter *p = &net->graph->parameters[param];
    const struct gle_part *part = initial_of(net, p);
    const struct gle_init *init = (const struct gle_init *)part->row;
    char name[GLE_FIELD_LABEL];
    const struct gle_init_target target = target_of(net, p, name);
    int rc;

    if (!p->given)
        return 0;
    gle_field_label(name, sizeof name, &p->field);
    if (gle_param_is_tau(p->kind))
        rc = init_taus(values, net, p, name, err);
    else if (p->kind >= GLE_TAU_M_FACTOR)
        rc = init_factors(values, net, p, name, err);
    else if (p->kind == GLE_FEEDBACK || p->kind == GLE_ERRORS_FROM)
        rc = init_feedback(values, net, p, &target, part, rng, err);
    else
        rc = init->fill(values, &target, part->params, rng, err);
    if (rc) {
        gle_experiment_place(err, part->src);
        return -1;
    }
    gle_net_set_param(net, param, values);
    return 0;
}

int gle_net_init(struct gle_net *net, struct gle_rng *rng, struct gle_error *err)
{
    const struct gle_graph *g = net->graph;
    const size_t n_params = g->floats[GLE_PARAMETER];
    int rc = 0;

    for (enum gle_part_of_net part = 0; part < GLE_PARTS_OF_NET; part++)
        gle_net_replace(net, part);

    for (size_t i = 0; i < g->n_parameters && !rc; i++) {
        float *values = gle_calloc(gle_field_size(&g->parameters[i].field), sizeof *values);
        rc = values ? init_parameter(net, i, values, rng, err)
                    : gle_fail(err, GLE_ENOMEM, "no memory for initial weights");
        gle_free(values);
    }
    memset(net->slabs[GLE_STATE], 0, g->floats[GLE_STATE] * sizeof(float));
    gle_net_start_noise(net);
    memset(net->grads, 0, n_params * sizeof *net->grads);
    if (net->followed)
        memset(net->followed, 0, n_params * sizeof *net->followed);
    for (size_t m = 0; m < net->optimizer->n_moments; m++)
        memset(net->moments[m], 0, n_params * sizeof *net->moments[m]);
    memset(net->missed, 0, g->n_parameters * sizeof *net->missed);
    net->steps = net->updates = net->gathered = net->clipped = 0;
    net->taping = false;
    net->taped = 0;
    return rc;
}

static int apply(struct gle_net *net, const struct gle_setting *setting, struct gle_rng *rng, struct gle_error *err)
{
    const size_t param = gle_graph_parameter(net->graph, setting->layer, setting->source, setting->param);
    const struct gle_parameter *p = &net->graph->parameters[param];
    const struct gle_init *init = (const struct gle_init *)setting->value.row;
    float *values = gle_calloc(gle_field_size(&p->field), sizeof *values);
    char name[GLE_FIELD_LABEL];
    const struct gle_init_target target = target_of(net, p, name);
    int rc;

    if (!values)
        return gle_fail(err, GLE_ENOMEM, "no memory for values of parameters");
    gle_field_label(name, sizeof name, &p->field);
    rc = init->fill(values, &target, setting->value.params, rng, err);
    if (!rc && gle_param_is_tau(p->kind))
        rc = check_tau(values, &p->field, net->graph->exp, NULL, name, err);
    if (rc)
        gle_experiment_place(err, setting->value.src);
    else
        gle_net_set_param(net, param, values);
    gle_free(values);
    return rc;
}

int gle_net_apply(struct gle_net *net, const struct gle_settings *settings, struct gle_rng *rng, struct gle_error *err)
{
    for (size_t i = 0; i < settings->n; i++)
        if (apply(net, &settings->item[i], rng, err))
            return -1;
    return 0;
}
