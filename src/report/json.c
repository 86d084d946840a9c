#include "report/json.h"
#include "base/memory.h"
#include "base/text.h"
#include "parts/activation.h"
#include "parts/feedback.h"
#include "yaml/node.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { SCHEMA = 1, DIGITS = 15, PARAMETERS_MAX = 1000, CLASSES_MAX = 100 };

static void *allocate(size_t size)
{
    return gle_resize(NULL, size, 1);
}

size_t gle_json_begin(void)
{
    json_set_alloc_funcs(allocate, gle_free);
    return gle_memory_failures();
}

char *gle_json_end(json_t *root, size_t indent, size_t begun)
{
    char *dumped = root ? json_dumps(root, JSON_INDENT(indent) | JSON_REAL_PRECISION(DIGITS)) : NULL, *out = NULL;
    const size_t n = dumped ? strlen(dumped) : 0;

    json_decref(root);
    if (dumped)
        out = gle_calloc(n + 2, 1);
    if (out) {
        memcpy(out, dumped, n);
        out[n] = '\n';
    }
    gle_free(dumped);
    if (gle_memory_failures() == begun)
        return out;
    gle_free(out);
    return NULL;
}

json_t *gle_json_real(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

json_t *gle_json_count(uint64_t value)
{
    return json_integer((json_int_t)value);
}

/* Where 0 means that there is no such thing. */
static json_t *count_or_null(uint64_t value)
{
    return value ? gle_json_count(value) : json_null();
}

/* Bytes that are no UTF-8, as a command line may hold them, become '?'. */
static json_t *text(const char *bytes)
{
    json_t *out = json_string(bytes);
    char *ascii = out ? NULL : gle_calloc(strlen(bytes) + 1, 1);

    if (!ascii)
        return out;
    for (size_t i = 0; bytes[i]; i++)
        ascii[i] = (unsigned char)bytes[i] < 0x80 ? bytes[i] : '?';
    out = json_string(ascii);
    gle_free(ascii);
    return out;
}

static json_t *text_or_null(const char *bytes)
{
    return bytes && bytes[0] ? text(bytes) : json_null();
}

/* A path, as config.yaml in the folder dir has it (NULL: as the config given has it). */
static json_t *path_from(const struct gle_node *node, const char *dir)
{
    char *path = dir ? gle_path_from(dir, node) : NULL;
    json_t *out = text(path ? path : node->text);

    gle_free(path);
    return out;
}

/* A resolved config's node; numbers that JSON has no word for stay text. */
static json_t *config(const struct gle_node *node, const char *dir)
{
    json_t *out;
    uint64_t whole;
    bool flag;

    if (node->kind == GLE_NODE_MAP) {
        out = json_object();
        for (size_t i = 0; i < node->n_items; i++)
            json_object_set_new(out, node->items[i]->key, config(node->items[i], dir));
        return out;
    }
    if (node->kind == GLE_NODE_LIST) {
        out = json_array();
        for (size_t i = 0; i < node->n_items; i++)
            json_array_append_new(out, config(node->items[i], dir));
        return out;
    }
    if (node->absolute)
        return path_from(node, dir);
    if (node->as == GLE_SCALAR_BOOL && !gle_text_bool(&flag, node->text))
        return json_boolean(flag);
    if (node->as == GLE_SCALAR_NUMBER && strspn(node->text, "0123456789") == strlen(node->text) &&
        !gle_text_count(&whole, node->text) && whole <= INT64_MAX)
        return gle_json_count(whole);
    if (node->as == GLE_SCALAR_NUMBER && isfinite(node->number))
        return json_real(node->number);
    return json_string(node->text);
}

json_t *gle_json_config(const struct gle_experiment *exp, const char *dir)
{
    return config(exp->src, dir);
}

void gle_json_add_defaults(json_t *to, const struct gle_node *of)
{
    for (size_t i = 0; i < of->n_items; i++) {
        const struct gle_node *child = of->items[i];
        json_t *there = of->kind == GLE_NODE_MAP ? json_object_get(to, child->key) : json_array_get(to, i);
        const struct gle_node *name = json_is_string(there) ? gle_node_bare_name(child) : NULL;
        if (name && of->kind == GLE_NODE_MAP && !strcmp(json_string_value(there), name->text))
            json_object_set_new(to, child->key, config(child, NULL));
        else if (there)
            gle_json_add_defaults(there, child);
        else if (of->kind == GLE_NODE_MAP && json_is_object(to) && child->filled_in)
            json_object_set_new(to, child->key, config(child, NULL));
    }
}

json_t *gle_json_sweep(const struct gle_sweep *s)
{
    json_t *out = s->label ? json_object() : json_null();

    for (size_t i = 0; i < s->n; i++)
        json_object_set_new(out, s->values[i].key, config(s->values[i].value, NULL));
    return out;
}

static json_t *device(const struct gle_provenance_device *d)
{
    json_t *out = d->name ? json_object() : json_null();

    if (d->name) {
        json_object_set_new(out, "name", text(d->name));
        json_object_set_new(out, "driver", text(d->driver));
        json_object_set_new(out, "platform", text(d->platform));
    }
    return out;
}

/* What `auto` went by. */
static json_t *looked_at(const struct gle_provenance_auto *a)
{
    json_t *out = json_object();

    json_object_set_new(out, "gpu", text_or_null(a->gpu));
    json_object_set_new(out, "unusable", text_or_null(a->unusable));
    json_object_set_new(out, "microseconds_on_gpu", gle_json_real(a->on_gpu));
    json_object_set_new(out, "microseconds_on_processors", gle_json_real(a->on_processors));
    return out;
}

static json_t *provenance(const struct gle_provenance *p)
{
    json_t *out = json_object(), *resumed = json_array(), *earlier = json_array();

    for (size_t i = 0; i < p->n_resumed; i++)
        json_array_append_new(resumed, text(p->resumed[i]));
    for (size_t i = 0; i < p->n_earlier; i++)
        json_array_append_new(earlier, text(p->earlier[i]));
    json_object_set_new(out, "version", json_string(p->version));
    json_object_set_new(out, "commit", text_or_null(p->commit));
    json_object_set_new(out, "compiler", json_string(p->compiler));
    json_object_set_new(out, "blas", json_string(p->blas));
    json_object_set_new(out, "cpu", text(p->cpu));
    json_object_set_new(out, "backend", json_string(p->backend));
    json_object_set_new(out, "device", device(&p->device));
    json_object_set_new(out, "auto", p->looked_at.has_looked ? looked_at(&p->looked_at) : json_null());
    json_object_set_new(out, "instruction_set", json_string(p->isa));
    json_object_set_new(out, "threads", gle_json_count(p->threads));
    json_object_set_new(out, "ranks", gle_json_count(p->ranks));
    json_object_set_new(out, "start", json_string(p->start));
    json_object_set_new(out, "resumed", resumed);
    json_object_set_new(out, "earlier", earlier);
    json_object_set_new(out, "end", text_or_null(p->end));
    json_object_set_new(out, "command", text(p->command));
    return out;
}

/* Names of the labels, if they have any. */
static json_t *classes(const struct gle_data *data)
{
    json_t *out = data->classes ? json_array() : json_null();

    for (size_t i = 0; data->classes && i < data->n_targets; i++)
        json_array_append_new(out, text(data->classes[i]));
    return out;
}

/* Files that were left out. */
static json_t *skipped(const struct gle_data *data)
{
    json_t *out = data->n_skipped ? json_object() : json_null();

    if (data->n_skipped) {
        json_object_set_new(out, "files", gle_json_count(data->n_skipped));
        json_object_set_new(out, "first", text(data->skipped));
    }
    return out;
}

static json_t *dataset(const struct gle_report *r)
{
    json_t *out = json_object(), *sizes = json_object();

    for (int s = 0; s < GLE_SPLITS; s++)
        json_object_set_new(sizes, gle_split_names[s], gle_json_count(r->data->split[s].n));
    json_object_set_new(out, "type", json_string(r->exp->dataset.row->name));
    json_object_set_new(out, "sha256", json_string(r->data->sha256));
    json_object_set_new(out, "sizes", sizes);
    json_object_set_new(out, "sequences", r->exp->phases ? gle_json_count(r->graph->train_rows) : json_null());
    json_object_set_new(out, "steps", count_or_null(r->data->n_steps));
    if (r->data->n_unasked)
        json_object_set_new(out, "unasked_steps", gle_json_count(r->data->n_unasked));
    if (r->data->asked_end)
        json_object_set_new(out, "asked_until_step", gle_json_count(r->data->asked_end));
    if (r->data->repeat)
        json_object_set_new(out, "steps_a_frame", gle_json_count(r->data->repeat));
    json_object_set_new(out, "channels", gle_json_count(r->data->n_channels));
    json_object_set_new(out, "targets", count_or_null(r->data->n_targets));
    json_object_set_new(out, "classes", classes(r->data));
    json_object_set_new(out, "skipped", skipped(r->data));
    return out;
}

/* Files that initial values came from. */
static json_t *files(const struct gle_inputs *inputs)
{
    json_t *out = json_array();

    for (size_t i = 0; i < inputs->n; i++) {
        json_t *one = json_object();
        json_object_set_new(one, "path", text(inputs->file[i].path));
        json_object_set_new(one, "sha256", json_string(inputs->file[i].sha256));
        json_array_append_new(out, one);
    }
    return out;
}

json_t *gle_json_inputs(const struct gle_inputs *inputs)
{
    json_t *out = json_object(), *data = json_object();

    json_object_set_new(data, "sha256", json_string(inputs->data_sha256));
    json_object_set_new(out, "dataset", data);
    json_object_set_new(out, "init", files(inputs));
    return out;
}

/* What a layer reads. */
static json_t *sources(const struct gle_graph *g, const struct gle_population *l)
{
    json_t *out = json_array();

    for (size_t j = l->first; j < l->first + l->n_in; j++) {
        const struct gle_projection *c = &g->projections[j];
        json_t *one = json_object();
        json_object_set_new(one, "name", json_string(c->cfg->name));
        json_object_set_new(one, "layer", json_string(c->source == GLE_SOURCE_INPUT
                                                          ? "input"
                                                          : g->populations[c->source].cfg->name));
        json_object_set_new(one, "connect", json_string(c->cfg->connect.row->name));
        json_object_set_new(one, "feedback", json_string(c->cfg->feedback->row.name));
        json_object_set_new(one, "delay", gle_json_real((double)c->delay * g->exp->dt));
        json_object_set_new(one, "parameters", gle_json_count(gle_field_size(&c->weight->field)));
        json_array_append_new(out, one);
    }
    return out;
}

/* Whose errors a layer gets directly. */
static json_t *errors_from(const struct gle_graph *g, size_t i)
{
    json_t *out = json_array();

    for (size_t k = 0; k < g->n_directs; k++) {
        json_t *one;
        if (g->directs[k].to != i)
            continue;
        one = json_object();
        json_object_set_new(one, "layer", json_string(g->directs[k].cfg->name));
        json_object_set_new(one, "parameters", gle_json_count(gle_field_size(&g->directs[k].weight->field)));
        json_array_append_new(out, one);
    }
    return out;
}

static json_t *network(const struct gle_graph *g, const struct gle_net *net)
{
    json_t *out = json_object(), *layers = json_array();

    for (size_t i = 0; i < g->n_populations; i++) {
        const struct gle_population *l = &g->populations[i];
        json_t *layer = json_object(), *plastic = json_array();

        for (size_t p = 0; p < GLE_PARAMS; p++)
            if (l->cfg->plastic[p])
                json_array_append_new(plastic, json_string(gle_params[p].name));
        json_object_set_new(layer, "name", json_string(l->cfg->name));
        json_object_set_new(layer, "inputs", gle_json_count(gle_graph_inputs(g, i)));
        json_object_set_new(layer, "neurons", gle_json_count(l->n));
        json_object_set_new(layer, "activation", json_string(l->cfg->act->row.name));
        json_object_set_new(layer, "parameters", gle_json_count(gle_graph_layer_parameters(g, i)));
        json_object_set_new(layer, "plastic", plastic);
        if (l->cfg->plastic[GLE_TAU_M])
            json_object_set_new(layer, "tau_m_at_shortest", gle_json_count(gle_net_count_shortest(net, i)));
        json_object_set_new(layer, "sources", sources(g, l));
        gle_json_add_hardware(layer, g, l, net);
        if (l->cfg->n_errors_from)
            json_object_set_new(layer, "errors_from", errors_from(g, i));
        json_array_append_new(layers, layer);
    }
    json_object_set_new(out, "parameters", gle_json_count(g->n_params));
    json_object_set_new(out, "plastic", gle_json_count(g->n_plastic));
    json_object_set_new(out, "layers", layers);
    return out;
}

static json_t *reals(const float *values, size_t n)
{
    json_t *out = json_array();

    for (size_t i = 0; i < n; i++)
        json_array_append_new(out, gle_json_real((double)values[i]));
    return out;
}

static json_t *rows_of(const float *values, const struct gle_field *f)
{
    json_t *out = json_array();

    for (size_t i = 0; i < f->rows; i++)
        json_array_append_new(out, reals(values + i * f->cols, f->cols));
    return out;
}

/* What does not change, and stands in the config, is left out. */
static bool listed(const struct gle_parameter *p)
{
    return p->given && (p->kind != GLE_TAU_R || p->plastic);
}

/* Parameters of a network that is small enough for a reader; null for larger ones, which weights.npz has. */
static json_t *parameters(const struct gle_graph *g, const struct gle_net *net)
{
    json_t *out = json_object();
    size_t total = 0;

    for (size_t i = 0; i < g->n_parameters; i++)
        total += listed(&g->parameters[i]) ? gle_field_size(&g->parameters[i].field) : 0;
    if (total > PARAMETERS_MAX) {
        json_decref(out);
        return json_null();
    }
    for (size_t i = 0; i < g->n_parameters; i++) {
        const struct gle_parameter *p = &g->parameters[i];
        float values[PARAMETERS_MAX];
        char name[GLE_FIELD_LABEL];

        if (!listed(p))
            continue;
        gle_field_label(name, sizeof name, &p->field);
        gle_net_get_param(net, i, values);
        json_object_set_new(out, name, p->part == 1 ? reals(values, p->field.cols) : rows_of(values, &p->field));
    }
    return out;
}

/* --- the whole --- */

bool gle_json_large_matrix(const struct gle_metrics *m)
{
    return m->n_classes > CLASSES_MAX;
}

bool gle_json_names_matrix(const struct gle_metrics *m)
{
    return gle_json_large_matrix(m) && gle_metrics_has_matrix(m) && m->status != GLE_RUNNING;
}

static json_t *matrix(const struct gle_metrics *m)
{
    json_t *out = json_array();

    for (size_t i = 0; i < m->n_classes; i++) {
        json_t *row = json_array();
        for (size_t j = 0; j < m->n_classes; j++)
            json_array_append_new(row, gle_json_count(m->confusion[i * m->n_classes + j]));
        json_array_append_new(out, row);
    }
    return out;
}

static json_t *confusion(const struct gle_metrics *m)
{
    const bool large = gle_json_large_matrix(m);
    json_t *out;

    if (!gle_metrics_has_matrix(m) || (large && !gle_json_names_matrix(m)))
        return json_null();
    out = json_object();
    json_object_set_new(out, "split", json_string(gle_split_names[m->confusion_split]));
    if (large)
        json_object_set_new(out, "file", json_string(GLE_FILE_CONFUSION));
    json_object_set_new(out, "matrix", large ? json_null() : matrix(m));
    return out;
}

static json_t *timing(const struct gle_metrics *m)
{
    json_t *out = json_object();

    json_object_set_new(out, "train_steps", gle_json_count(m->train_steps));
    json_object_set_new(out, "train_seconds", gle_json_real(m->train_seconds));
    json_object_set_new(out, "train_steps_per_second", gle_json_real((double)m->train_steps / m->train_seconds));
    json_object_set_new(out, "train_gflops", gle_json_real(1e-9 * m->train_flops / m->train_seconds));
    json_object_set_new(out, "eval_steps", gle_json_count(m->eval_steps));
    json_object_set_new(out, "eval_seconds", gle_json_real(m->eval_seconds));
    json_object_set_new(out, "eval_gflops", gle_json_real(1e-9 * m->eval_flops / m->eval_seconds));
    json_object_set_new(out, "waited_seconds", gle_json_real(m->waited_seconds));
    return out;
}

char *gle_report_json(const struct gle_report *r, const struct gle_metrics *m, const struct gle_net *net)
{
    const size_t begun = gle_json_begin();
    json_t *root = json_object(), *last = NULL;

    json_object_set_new(root, "schema", gle_json_count(SCHEMA));
    json_object_set_new(root, "status", json_string(gle_status_name(m->status)));
    json_object_set_new(root, "message", text_or_null(m->message));
    json_object_set_new(root, "diverged", json_boolean(m->status == GLE_DIVERGED));
    json_object_set_new(root, "name", json_string(r->exp->name));
    json_object_set_new(root, "variant", text_or_null(r->exp->variant));
    json_object_set_new(root, "seed", gle_json_count(r->exp->seed));
    json_object_set_new(root, "sweep", gle_json_sweep(&r->exp->sweep));
    json_object_set_new(root, "config", config(r->exp->src, r->dir));
    json_object_set_new(root, "config_sha256", json_string(r->config_sha256));
    json_object_set_new(root, "provenance", provenance(r->provenance));
    json_object_set_new(root, "dataset", dataset(r));
    json_object_set_new(root, "init", files(&r->inputs));
    json_object_set_new(root, "network", network(r->graph, net));
    json_object_set_new(root, "weights_sha256",
                        text_or_null(m->status == GLE_COMPLETED ? r->weights_sha256 : NULL));
    json_object_set_new(root, "epochs", gle_json_epochs(r, m, &last));
    json_object_set_new(root, "phases", gle_json_phases(r, m, &last));
    json_object_set_new(root, "evaluations", gle_json_evaluations(r, m));
    json_object_set_new(root, "final", last ? last : json_null());
    json_object_set_new(root, "best", gle_json_best(r, m));
    if (r->exp->stop.metric)
        json_object_set_new(root, "stopped_early", gle_json_stopped_early(r, m));
    gle_json_add_clipping(root, r, &m->clipping);
    json_object_set_new(root, "confusion", confusion(m));
    json_object_set_new(root, "parameters", parameters(r->graph, net));
    json_object_set_new(root, "diagnostics", gle_json_diagnostics(r, m));
    json_object_set_new(root, "timing", timing(m));

    return gle_json_end(root, GLE_JSON_INDENT, begun);
}
