#include "report/json.h"
#include "base/memory.h"
#include "base/text.h"
#include "parts/activation.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SCHEMA = 1, DIGITS = 15 };

static json_t *real(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *count(uint64_t value)
{
    return json_integer((json_int_t)value);
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

/* A resolved config's node; numbers that JSON has no word for stay text. */
static json_t *config(const struct gle_node *node)
{
    json_t *out;
    uint64_t whole;
    bool flag;

    if (node->kind == GLE_NODE_MAP) {
        out = json_object();
        for (size_t i = 0; i < node->n_items; i++)
            json_object_set_new(out, node->items[i]->key, config(node->items[i]));
        return out;
    }
    if (node->kind == GLE_NODE_LIST) {
        out = json_array();
        for (size_t i = 0; i < node->n_items; i++)
            json_array_append_new(out, config(node->items[i]));
        return out;
    }
    if (node->as == GLE_SCALAR_BOOL && !gle_text_bool(&flag, node->text))
        return json_boolean(flag);
    if (node->as == GLE_SCALAR_NUMBER && strspn(node->text, "0123456789") == strlen(node->text) &&
        !gle_text_count(&whole, node->text) && whole <= INT64_MAX)
        return count(whole);
    if (node->as == GLE_SCALAR_NUMBER && isfinite(node->number))
        return json_real(node->number);
    return json_string(node->text);
}

static json_t *provenance(const struct gle_provenance *p)
{
    json_t *out = json_object();

    json_object_set_new(out, "version", json_string(p->version));
    json_object_set_new(out, "commit", text_or_null(p->commit));
    json_object_set_new(out, "compiler", json_string(p->compiler));
    json_object_set_new(out, "blas", json_string(p->blas));
    json_object_set_new(out, "cpu", text(p->cpu));
    json_object_set_new(out, "backend", json_string(p->backend));
    json_object_set_new(out, "instruction_set", json_string(p->isa));
    json_object_set_new(out, "threads", count(p->threads));
    json_object_set_new(out, "start", json_string(p->start));
    json_object_set_new(out, "end", text_or_null(p->end));
    json_object_set_new(out, "command", text(p->command));
    return out;
}

static json_t *dataset(const struct gle_report *r)
{
    json_t *out = json_object(), *sizes = json_object();

    for (int s = 0; s < GLE_SPLITS; s++)
        json_object_set_new(sizes, gle_split_names[s], count(r->data->split[s].n));
    json_object_set_new(out, "type", json_string(r->exp->dataset.row->name));
    json_object_set_new(out, "sha256", json_string(r->data->sha256));
    json_object_set_new(out, "sizes", sizes);
    json_object_set_new(out, "steps", count(r->data->n_steps));
    json_object_set_new(out, "channels", count(r->data->n_channels));
    json_object_set_new(out, "targets", count(r->data->n_targets));
    return out;
}

static json_t *network(const struct gle_graph *g)
{
    json_t *out = json_object(), *layers = json_array();

    for (size_t i = 0; i < g->n_layers; i++) {
        const struct gle_graph_layer *l = &g->layers[i];
        json_t *layer = json_object(), *plastic = json_array();

        for (size_t p = 0; p < GLE_PARAMS; p++)
            if (l->cfg->plastic[p])
                json_array_append_new(plastic, json_string(gle_params[p].name));
        json_object_set_new(layer, "name", json_string(l->cfg->name));
        json_object_set_new(layer, "inputs", count(l->n_in));
        json_object_set_new(layer, "neurons", count(l->n));
        json_object_set_new(layer, "activation", json_string(l->cfg->act->row.name));
        json_object_set_new(layer, "parameters", count(l->n * l->n_in + (l->cfg->bias.row ? l->n : 0)));
        json_object_set_new(layer, "plastic", plastic);
        json_array_append_new(layers, layer);
    }
    json_object_set_new(out, "parameters", count(g->n_params));
    json_object_set_new(out, "plastic", count(g->n_plastic));
    json_object_set_new(out, "layers", layers);
    return out;
}

static json_t *score(const struct gle_score *s)
{
    json_t *out;

    if (!s->measured)
        return json_null();
    out = json_object();
    json_object_set_new(out, "loss", real(s->loss));
    json_object_set_new(out, "accuracy", real(s->accuracy));
    return out;
}

static json_t *epoch(const struct gle_epoch *e)
{
    json_t *out = json_object();

    json_object_set_new(out, "epoch", count(e->epoch));
    json_object_set_new(out, "lr", real(e->lr));
    json_object_set_new(out, "seconds", real(e->seconds));
    for (int s = 0; s < GLE_SPLITS; s++)
        json_object_set_new(out, gle_split_names[s], score(&e->score[s]));
    return out;
}

/* The best epoch, and by what it was chosen. */
static json_t *best(const struct gle_metrics *m)
{
    const struct gle_epoch *e = &m->epochs[m->best];
    const bool labelled = !isnan(e->score[m->best_split].accuracy);
    char by[32];
    json_t *out;

    if (!e->score[m->best_split].measured)
        return json_null();
    out = epoch(e);
    snprintf(by, sizeof by, "%s_%s", gle_split_names[m->best_split], labelled ? "accuracy" : "loss");
    json_object_set_new(out, "chosen_by", json_string(by));
    return out;
}

static json_t *confusion(const struct gle_metrics *m)
{
    json_t *out, *matrix;

    if (!m->confusion || !m->epochs[m->n_epochs - 1].score[m->confusion_split].measured)
        return json_null();
    out = json_object();
    matrix = json_array();
    for (size_t i = 0; i < m->n_classes; i++) {
        json_t *row = json_array();
        for (size_t j = 0; j < m->n_classes; j++)
            json_array_append_new(row, count(m->confusion[i * m->n_classes + j]));
        json_array_append_new(matrix, row);
    }
    json_object_set_new(out, "split", json_string(gle_split_names[m->confusion_split]));
    json_object_set_new(out, "matrix", matrix);
    return out;
}

static json_t *timing(const struct gle_metrics *m)
{
    json_t *out = json_object();

    json_object_set_new(out, "train_steps", count(m->train_steps));
    json_object_set_new(out, "train_seconds", real(m->train_seconds));
    json_object_set_new(out, "train_steps_per_second", real((double)m->train_steps / m->train_seconds));
    json_object_set_new(out, "train_gflops", real(1e-9 * m->train_flops / m->train_seconds));
    json_object_set_new(out, "eval_steps", count(m->eval_steps));
    json_object_set_new(out, "eval_seconds", real(m->eval_seconds));
    json_object_set_new(out, "eval_gflops", real(1e-9 * m->eval_flops / m->eval_seconds));
    return out;
}

char *gle_report_json(const struct gle_report *r, const struct gle_metrics *m)
{
    json_t *root = json_object(), *epochs = json_array();
    char *dumped, *out = NULL;
    size_t n;

    for (size_t i = 0; i < m->n_epochs; i++)
        json_array_append_new(epochs, epoch(&m->epochs[i]));
    json_object_set_new(root, "schema", count(SCHEMA));
    json_object_set_new(root, "status", json_string(gle_status_name(m->status)));
    json_object_set_new(root, "message", text_or_null(m->message));
    json_object_set_new(root, "diverged", json_boolean(m->status == GLE_DIVERGED));
    json_object_set_new(root, "name", json_string(r->exp->name));
    json_object_set_new(root, "variant", text_or_null(r->exp->variant));
    json_object_set_new(root, "seed", count(r->exp->seed));
    json_object_set_new(root, "config", config(r->exp->src));
    json_object_set_new(root, "config_sha256", json_string(r->config_sha256));
    json_object_set_new(root, "provenance", provenance(r->provenance));
    json_object_set_new(root, "dataset", dataset(r));
    json_object_set_new(root, "network", network(r->graph));
    json_object_set_new(root, "epochs", epochs);
    json_object_set_new(root, "final", m->n_epochs ? epoch(&m->epochs[m->n_epochs - 1]) : json_null());
    json_object_set_new(root, "best", m->n_epochs ? best(m) : json_null());
    json_object_set_new(root, "confusion", m->n_epochs ? confusion(m) : json_null());
    json_object_set_new(root, "timing", timing(m));

    dumped = root ? json_dumps(root, JSON_INDENT(2) | JSON_REAL_PRECISION(DIGITS)) : NULL;
    json_decref(root);
    if (!dumped)
        return NULL;
    n = strlen(dumped);
    out = gle_calloc(n + 2, 1);
    if (out) {
        memcpy(out, dumped, n);
        out[n] = '\n';
    }
    free(dumped);
    return out;
}

void gle_report_status(char *status, size_t size, const char *path)
{
    json_t *root = json_load_file(path, 0, NULL);
    const char *word = json_string_value(json_object_get(root, "status"));

    snprintf(status, size, "%s", word ? word : "");
    json_decref(root);
}
