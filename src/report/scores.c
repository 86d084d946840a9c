/* What the report says of how well a run went: epochs, phases, evaluations, and the best of them. */
#include "report/json.h"

#include <math.h>
#include <stdio.h>

/* What is known beside the loss: of classes, or of target values. */
static void add_quality(json_t *to, const struct gle_metrics *m, double accuracy, double top5, double nrmse)
{
    json_object_set_new(to, "accuracy", gle_json_real(accuracy));
    if (gle_metrics_has_top5(m))
        json_object_set_new(to, "top5_accuracy", gle_json_real(top5));
    if (!m->valued)
        return;
    json_object_set_new(to, "nrmse", gle_json_real(nrmse));
    json_object_set_new(to, "r2", gle_json_real(1.0 - nrmse * nrmse));
}

/* The closed loop, where it was asked for, and the open one beside it. */
static void add_closed(json_t *to, const struct gle_experiment *exp, const struct gle_closed *c)
{
    json_t *out = json_object(), *open = json_object();

    json_object_set_new(open, "smape", gle_json_real(c->open_smape));
    json_object_set_new(open, "nrmse", gle_json_real(c->open_nrmse));
    json_object_set_new(out, "smape", gle_json_real(c->smape));
    json_object_set_new(out, "nrmse", gle_json_real(c->nrmse));
    json_object_set_new(out, "open_loop", open);
    if (exp->closed.n_steps)
        json_object_set(to, "closed_loop", out);
    json_decref(out);
}

static json_t *score(const struct gle_metrics *m, const struct gle_score *s)
{
    json_t *out;

    if (!s->measured)
        return json_null();
    out = json_object();
    json_object_set_new(out, "loss", gle_json_real(s->loss));
    add_quality(out, m, s->accuracy, s->top5, s->nrmse);
    return out;
}

void gle_json_add_clipping(json_t *to, const struct gle_report *r, const struct gle_clipping *c)
{
    if (r->exp->clip > 0.0)
        json_object_set_new(to, "clip",
                            json_pack("{s:o, s:o}", "steps", gle_json_count(c->steps), "clipped",
                                      gle_json_count(c->clipped)));
}

static json_t *epoch(const struct gle_report *r, const struct gle_metrics *m, const struct gle_epoch *e)
{
    json_t *out = json_object();

    json_object_set_new(out, "epoch", gle_json_count(e->epoch));
    json_object_set_new(out, "lr", gle_json_real(e->lr));
    json_object_set_new(out, "seconds", gle_json_real(e->seconds));
    gle_json_add_clipping(out, r, &e->clipping);
    for (int s = 0; s < GLE_SPLITS; s++)
        json_object_set_new(out, gle_split_names[s], score(m, &e->score[s]));
    if (r->exp->train_after.row)
        json_object_set_new(out, gle_split_names[GLE_TRAIN_AFTER], score(m, &e->score[GLE_TRAIN_AFTER]));
    if (e->score[GLE_TEST].measured)
        add_closed(json_object_get(out, gle_split_names[GLE_TEST]), r->exp, &e->score[GLE_TEST].closed);
    return out;
}

/* start: steps before it. */
static json_t *phase(const struct gle_report *r, const struct gle_metrics *m, size_t i, uint64_t start)
{
    const struct gle_experiment *exp = r->exp;
    const struct gle_graph *g = r->graph;
    const struct gle_phase *cfg = &exp->phases[i];
    const struct gle_phase_score *p = &m->phases[i];
    json_t *out = json_object(), *set = json_array();

    for (size_t k = 0; k < cfg->set.n; k++) {
        const struct gle_setting *s = &cfg->set.item[k];
        char name[GLE_FIELD_LABEL];
        gle_field_label(name, sizeof name, &g->parameters[gle_graph_parameter(g, s->layer, s->source, s->param)].field);
        json_array_append_new(set, json_string(name));
    }
    json_object_set_new(out, "phase", gle_json_count(i + 1));
    json_object_set_new(out, "start", gle_json_real((double)start * exp->dt));
    json_object_set_new(out, "duration", gle_json_real((double)p->steps * exp->dt));
    json_object_set_new(out, "steps", gle_json_count(p->steps));
    json_object_set_new(out, "learn", json_boolean(cfg->learn));
    json_object_set_new(out, "set", set);
    json_object_set_new(out, "seconds", gle_json_real(p->seconds));
    json_object_set_new(out, "loss", gle_json_real(p->loss));
    json_object_set_new(out, "last_loss", gle_json_real(p->last_loss));
    json_object_set_new(out, "last_steps", gle_json_count(p->last_steps));
    add_quality(out, m, p->accuracy, p->top5, p->nrmse);
    gle_json_add_clipping(out, r, &p->clipping);
    return out;
}

json_t *gle_json_evaluations(const struct gle_report *r, const struct gle_metrics *m)
{
    json_t *out = json_array();

    for (size_t i = 0; i < m->n_evaluations; i++) {
        const struct gle_evaluated *e = &m->evaluations[i];
        json_t *one = json_object();
        json_object_set_new(one, "time", gle_json_real((double)e->step * r->exp->dt));
        json_object_set_new(one, "step", gle_json_count(e->step));
        json_object_set_new(one, "split", json_string(gle_split_names[GLE_TEST]));
        json_object_set_new(one, "loss", gle_json_real(e->loss));
        add_quality(one, m, e->accuracy, e->top5, e->nrmse);
        add_closed(one, r->exp, &e->closed);
        json_array_append_new(out, one);
    }
    return out;
}

json_t *gle_json_best(const struct gle_report *r, const struct gle_metrics *m)
{
    const struct gle_epoch *e = m->n_epochs ? &m->epochs[m->best] : NULL;
    char by[64];
    bool labelled;
    json_t *out;

    if (!e || !e->score[m->best_split].measured)
        return json_null();
    labelled = !isnan(e->score[m->best_split].accuracy);
    out = epoch(r, m, e);
    snprintf(by, sizeof by, "%s_%s", gle_split_names[m->best_split], labelled ? "accuracy" : "loss");
    json_object_set_new(out, "chosen_by", json_string(m->best_by ? gle_metrics_best_by(m) : by));
    if (m->best_by) {
        json_object_set_new(out, "value", gle_json_real(gle_metrics_value(e, m->best_by)));
        json_object_set_new(out, "weights", json_string(GLE_FILE_BEST));
    }
    return out;
}

json_t *gle_json_stopped_early(const struct gle_report *r, const struct gle_metrics *m)
{
    if (!gle_metrics_stopped_early(m, r->exp))
        return json_null();
    return json_pack("{s:o, s:s, s:o}", "epoch", gle_json_count(m->last_epoch), "metric",
                     gle_metrics_stopped_by(r->exp), "improved_last",
                     gle_json_count(gle_metrics_improved_last(m, r->exp)));
}

json_t *gle_json_phases(const struct gle_report *r, const struct gle_metrics *m, json_t **last)
{
    const struct gle_evaluated *e = gle_metrics_final_test(m, r->exp);
    const struct gle_score tested = {
        .measured = e != NULL, .loss = e ? e->loss : 0.0, .accuracy = e ? e->accuracy : 0.0,
        .top5 = e ? e->top5 : 0.0, .nrmse = e ? e->nrmse : 0.0};
    json_t *out = json_array();
    uint64_t start = 0;

    for (size_t i = 0; i < m->n_phases; i++) {
        json_array_append_new(out, phase(r, m, i, start));
        if (i + 1 == m->n_phases)
            *last = phase(r, m, i, start);
        start += r->exp->phases[i].n_steps;
    }
    if (m->n_phases && r->exp->evaluate_steps)
        json_object_set_new(*last, gle_split_names[GLE_TEST], score(m, &tested));
    if (m->n_phases && e)
        add_closed(json_object_get(*last, gle_split_names[GLE_TEST]), r->exp, &e->closed);
    return out;
}

json_t *gle_json_epochs(const struct gle_report *r, const struct gle_metrics *m, json_t **last)
{
    json_t *out = json_array();

    for (size_t i = 0; i < m->n_epochs; i++)
        json_array_append_new(out, epoch(r, m, &m->epochs[i]));
    if (m->n_epochs)
        *last = epoch(r, m, &m->epochs[m->n_epochs - 1]);
    return out;
}
