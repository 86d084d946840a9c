/* What `diagnose` reports: how the rule's updates compare with a gradient. */
#include "parts/loss.h"
#include "parts/rule.h"
#include "report/json.h"

#include <math.h>
#include <stdio.h>

/* Between weights B and W, in degrees. */
static json_t *angle(const struct gle_comparison *c)
{
    const double cosine = c->dot / sqrt(c->update * c->gradient);

    return gle_json_real(acos(cosine > 1.0 ? 1.0 : cosine < -1.0 ? -1.0 : cosine) * 180.0 / acos(-1.0));
}

static void add_comparison(json_t *out, const struct gle_comparison *c)
{
    json_object_set_new(out, "cosine", gle_json_real(c->dot / sqrt(c->update * c->gradient)));
    json_object_set_new(out, "norm_ratio", gle_json_real(sqrt(c->update / c->gradient)));
}

/* A parameter's name within its layer: "weight", or "late.weight" of a layer with several sources; likewise where
 * errors come from several layers. */
static const char *parameter_name(char *buf, size_t size, const struct gle_graph *g, const struct gle_parameter *p)
{
    const struct gle_population *l = &g->populations[p->field.population];
    const bool of_source = p->field.projection != GLE_NO_PROJECTION && l->n_in > 1;

    if (p->kind == GLE_ERRORS_FROM && l->cfg->n_errors_from > 1) {
        snprintf(buf, size, "%s.%s", gle_graph_direct(g, p)->cfg->name, p->field.name);
        return buf;
    }
    snprintf(buf, size, "%s%s%s", of_source ? g->projections[p->field.projection].cfg->name : "", of_source ? "." : "",
             p->field.name);
    return buf;
}

/* Of a population: of all that learns, and of each parameter; NULL: nothing learns, and there are no weights B. */
static json_t *layer_diagnostic(const struct gle_graph *g, size_t i, const struct gle_comparison *of)
{
    json_t *out = json_object(), *each = json_object();
    struct gle_comparison all = {0};
    bool learns = false;

    for (size_t k = 0; k < g->n_parameters; k++) {
        const struct gle_parameter *p = &g->parameters[k];
        char name[GLE_FIELD_LABEL];
        json_t *one;
        if (p->field.population == i && (p->kind == GLE_FEEDBACK || p->kind == GLE_ERRORS_FROM)) {
            one = json_object();
            json_object_set_new(one, "angle", angle(&of[k]));
            json_object_set_new(each, parameter_name(name, sizeof name, g, p), one);
        }
        if (p->field.population != i || !p->plastic)
            continue;
        learns = true;
        all.dot += of[k].dot;
        all.update += of[k].update;
        all.gradient += of[k].gradient;
        one = json_object();
        add_comparison(one, &of[k]);
        json_object_set_new(each, parameter_name(name, sizeof name, g, p), one);
    }
    if (learns)
        add_comparison(out, &all);
    json_object_update(out, each);
    if (!json_object_size(each)) {
        json_decref(out);
        out = NULL;
    }
    json_decref(each);
    return out;
}

/* The ratio of norms that a rule has whose errors are exact: gradients are not scaled as errors are (beta; the factor
 * of the loss), and those of the continuous equations belong to an integral over time. */
static double exact_norm_ratio(const struct gle_experiment *exp)
{
    const double of_error = exp->beta / exp->loss->scale(gle_experiment_top(exp)->n);
    const double of_rule = exp->rule->windowed ? (exp->rule->continuous ? exp->dt : 1.0) : of_error;

    return of_rule / (exp->diagnose.gradient->continuous ? exp->dt : 1.0);
}

json_t *gle_json_diagnostics(const struct gle_report *r, const struct gle_metrics *m)
{
    const struct gle_experiment *exp = r->exp;
    json_t *out, *list;

    if (!exp->diagnose.every)
        return json_null();
    out = json_object();
    list = json_array();
    for (size_t i = 0; i < m->n_diagnostics; i++) {
        const struct gle_diagnostic *d = &m->diagnostics[i];
        json_t *one = json_object(), *layers = json_object();
        for (size_t k = 0; k < r->graph->n_populations; k++) {
            json_t *layer = layer_diagnostic(r->graph, k, d->of);
            if (layer)
                json_object_set_new(layers, r->graph->populations[k].cfg->name, layer);
        }
        json_object_set_new(one, "step", json_integer((json_int_t)d->step));
        json_object_set_new(one, "time", gle_json_real((double)d->step * exp->dt));
        json_object_set_new(one, "layers", layers);
        json_array_append_new(list, one);
    }
    json_object_set_new(out, "gradient", json_string(exp->diagnose.gradient->row.name));
    json_object_set_new(out, "steps", json_integer((json_int_t)exp->diagnose.n_steps));
    json_object_set_new(out, "exact_norm_ratio", gle_json_real(exact_norm_ratio(exp)));
    json_object_set_new(out, "comparisons", list);
    return out;
}
