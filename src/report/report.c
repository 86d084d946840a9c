#include "report/report.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/npz.h"
#include "report/json.h"
#include "report/predictions.h"
#include "report/traces.h"
#include "yaml/node.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- states --- */

struct gle_report gle_report_of(const struct gle_experiment *exp)
{
    return (struct gle_report){.exp = exp, .state = GLE_REPORT_UNBEGUN, .lock = -1};
}

bool gle_report_replaces(const struct gle_report *report)
{
    return report->state == GLE_REPORT_REPLACES;
}

bool gle_report_resumes(const struct gle_report *report)
{
    return report->state == GLE_REPORT_RESUMES || report->state == GLE_REPORT_CONTINUED;
}

/* Whether config.yaml is this run's, to the byte. */
static bool has_config(const struct gle_report *report)
{
    return report->state == GLE_REPORT_FRESH || report->state == GLE_REPORT_CONTINUED;
}

static bool knows_inputs(const struct gle_report *report)
{
    return report->inputs.data_sha256[0] != '\0';
}

/* At the end of gle_report_begin(). */
static void enter_begun(struct gle_report *report, enum gle_report_state begun)
{
    assert(report->state == GLE_REPORT_UNBEGUN && begun != GLE_REPORT_UNBEGUN && begun != GLE_REPORT_CONTINUED);
    assert(knows_inputs(report) && report->config_sha256[0]);
    report->state = begun;
}

/* All files of the report are this run's. */
static void enter_written(struct gle_report *report)
{
    static const enum gle_report_state next[] = {[GLE_REPORT_FRESH] = GLE_REPORT_FRESH,
                                                 [GLE_REPORT_REPLACES] = GLE_REPORT_FRESH,
                                                 [GLE_REPORT_RESUMES] = GLE_REPORT_CONTINUED,
                                                 [GLE_REPORT_CONTINUED] = GLE_REPORT_CONTINUED};

    assert(report->state != GLE_REPORT_UNBEGUN);
    report->state = next[report->state];
}

/* --- names --- */

int gle_report_dir(char *dir, size_t size, const char *output, const struct gle_experiment *exp, struct gle_error *err)
{
    const char *label = exp->sweep.label;
    const int n = snprintf(dir, size, "%s%s%s%s%s%s/seed_%llu", output ? output : "results/", output ? "" : exp->name,
                           exp->variant ? "/" : "", exp->variant ? exp->variant : "", label ? "/" : "",
                           label ? label : "", (unsigned long long)exp->seed);

    return n > 0 && (size_t)n + 32 < size ? 0 : gle_fail(err, GLE_EWRITE, "the output path is too long");
}

void gle_report_path(char path[GLE_REPORT_PATH], const struct gle_report *report, const char *name)
{
    snprintf(path, GLE_REPORT_PATH, "%s/%s", report->dir, name);
}

static bool has_file(const struct gle_report *report, const char *name)
{
    char path[GLE_REPORT_PATH];
    struct stat st;

    gle_report_path(path, report, name);
    return !stat(path, &st);
}

static int hash_bytes(char hex[65], const void *bytes, size_t size, struct gle_error *err)
{
    struct gle_sha256 *sha = gle_sha256_start();

    if (!sha)
        return gle_fail(err, GLE_ENOMEM, "no memory for a checksum");
    gle_sha256_add(sha, bytes, size);
    gle_sha256_end(sha, hex);
    return 0;
}

/* Sets config_sha256: of the config as it stands in its own folder, so that it does not depend on where that lies. */
static int hash_config(struct gle_report *report, struct gle_error *err)
{
    char *text = gle_node_text(report->exp->src);
    int rc = text ? hash_bytes(report->config_sha256, text, strlen(text), err)
                  : gle_fail(err, GLE_ENOMEM, "no memory for the config");

    gle_free(text);
    return rc;
}

char *gle_report_config(const struct gle_report *report, struct gle_error *err)
{
    char *text = gle_node_text_in(report->exp->src, report->dir);
    char *claims = report->exp->expect ? gle_node_text(report->exp->expect) : NULL, *longer = NULL;

    if (text && claims && (longer = gle_resize(text, strlen(text) + strlen(claims) + 1, 1)))
        text = strcat(longer, claims);
    if (text && report->exp->expect && !longer) {
        gle_free(text);
        text = NULL;
    }
    gle_free(claims);
    if (!text)
        gle_fail(err, GLE_ENOMEM, "no memory for the config");
    return text;
}

/* --- what is there already --- */

/* Of a config; NULL: it has none. */
static struct gle_node *compute_of(struct gle_node *root)
{
    struct gle_node *compute = gle_node_get(root, "compute");

    return compute && compute->kind == GLE_NODE_MAP ? compute : NULL;
}

/* Whether glesim chooses the backend. */
static bool is_auto(struct gle_node *compute)
{
    const struct gle_node *backend = gle_node_get(compute, "backend");

    return backend && backend->kind == GLE_NODE_SCALAR && !strcmp(backend->text, "auto");
}

/* Takes out of two configs what makes them no others: words for the reader, claims, the device, and a backend that one
 * of them leaves open, or any. b is a resolved one, without claims. */
static void forget_words(struct gle_node *a, struct gle_node *b, bool any_backend)
{
    struct gle_node *const compute[] = {compute_of(a), compute_of(b)};
    const bool both = compute[0] && compute[1];
    const bool open = any_backend || (both && (is_auto(compute[0]) || is_auto(compute[1])));

    gle_node_remove(a, "description");
    gle_node_remove(b, "description");
    gle_node_remove(a, "expect");
    for (size_t i = 0; both && i < 2; i++) {
        gle_node_remove(compute[i], "device");
        if (open)
            gle_node_remove(compute[i], "backend");
    }
}

int gle_report_compare(char what[GLE_DIFFERENCE], const struct gle_report *report, const char *config, size_t size,
                       struct gle_error *err)
{
    struct gle_errors errs = {0};
    struct gle_doc *there;
    struct gle_node *here;
    int rc = 0;

    what[0] = '\0';
    if (gle_doc_parse(&there, config, size, "config", &errs))
        rc = gle_fail(err, errs.item[0].code == GLE_ENOMEM ? GLE_ENOMEM : GLE_EDATA, "%s", errs.item[0].text);
    else if (!(here = gle_node_copy(there, report->exp->src)))
        rc = gle_fail(err, GLE_ENOMEM, "no memory for the config");
    else {
        forget_words(there->root, here, report->anywhere);
        gle_node_differs(what, GLE_DIFFERENCE, there->root, here, report->dir);
    }
    gle_doc_destroy(there);
    return rc;
}

bool gle_report_differs_in_backend(const char *what)
{
    static const char key[] = "compute.backend ";

    return !strncmp(what, key, sizeof key - 1);
}

/* Likewise, from the config.yaml that is there. */
static int compare_file(char what[GLE_DIFFERENCE], const struct gle_report *report, struct gle_error *err)
{
    char path[GLE_REPORT_PATH];
    unsigned char *text;
    size_t size;
    int rc;

    gle_report_path(path, report, "config.yaml");
    if (gle_file_read(&text, &size, path, GLE_YAML_BYTES_MAX, false, GLE_EDATA, err))
        return -1;
    rc = gle_report_compare(what, report, (const char *)text, size, err);
    if (rc)
        gle_error_place(err, path, 0, 0, NULL);
    gle_free(text);
    return rc;
}

/* Something else in place of a file tells nothing of any run, and cannot be gone on with. */
static int check_files(const struct gle_report *report, struct gle_error *err)
{
    static const char *const names[] = {"metrics.json", GLE_FILE_CHECKPOINT};
    char path[GLE_REPORT_PATH];

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *kind;
        gle_report_path(path, report, names[i]);
        kind = gle_file_kind(path);
        if (kind)
            return gle_fail(err, GLE_EWRITE,
                            "%.300s is %s, not a file: remove it, or put this run elsewhere by --output", path, kind);
    }
    return 0;
}

int gle_report_find(enum gle_found *found, char what[GLE_DIFFERENCE], struct gle_report *report, struct gle_error *err)
{
    char path[GLE_REPORT_PATH], status[32], sha256[65];
    struct gle_error unread = {0};

    *found = GLE_FOUND_NOTHING;
    what[0] = '\0';
    if (hash_config(report, err) || check_files(report, err))
        return -1;
    if (!has_file(report, "metrics.json") && !has_file(report, GLE_FILE_CHECKPOINT))
        return 0;
    gle_report_path(path, report, "metrics.json");
    gle_report_status(status, sizeof status, sha256, path);
    if (strcmp(sha256, report->config_sha256) && (compare_file(what, report, &unread) || what[0]))
        *found = GLE_FOUND_OTHER;
    else if (!strcmp(status, "completed"))
        *found = GLE_FOUND_COMPLETED;
    else if (!strcmp(status, "diverged"))
        *found = GLE_FOUND_DIVERGED;
    else
        *found = GLE_FOUND_BROKEN_OFF;
    if (unread.code)
        gle_error_format(what, GLE_DIFFERENCE, &unread);
    return unread.code == GLE_ENOMEM ? gle_fail(err, GLE_ENOMEM, "%s", unread.text) : 0;
}

static int hash_inputs(struct gle_report *report, struct gle_error *err)
{
    if (knows_inputs(report))
        return 0;
    if (gle_inputs_hash(&report->inputs, report->exp, report->data->sha256, err)) {
        gle_inputs_clear(&report->inputs);
        return -1;
    }
    return 0;
}

int gle_report_check_inputs(struct gle_report *report, const struct gle_inputs *inputs, struct gle_error *err)
{
    char path[GLE_REPORT_PATH], what[GLE_DIFFERENCE];

    if (!inputs && hash_inputs(report, err))
        return -1;
    gle_report_other_inputs(what, report, inputs ? inputs : &report->inputs);
    gle_report_path(path, report, "metrics.json");
    return what[0] ? gle_fail_in(err, GLE_EDATA, path, NULL, "a run of other data: %s; --force replaces it", what) : 0;
}

int gle_report_remove_checkpoint(const struct gle_report *report, struct gle_error *err)
{
    char path[GLE_REPORT_PATH];

    gle_report_path(path, report, GLE_FILE_RECORDS);
    if (gle_file_remove(path, err))
        return -1;
    gle_report_path(path, report, GLE_FILE_CHECKPOINT);
    return gle_file_remove(path, err);
}

static int refuse_old(struct gle_report *report, struct gle_error *err)
{
    char path[GLE_REPORT_PATH], status[32], sha256[65], what[GLE_DIFFERENCE];
    enum gle_found found;

    if (gle_report_find(&found, what, report, err))
        return -1;
    gle_report_path(path, report, "metrics.json");
    gle_report_status(status, sizeof status, sha256, path);
    if (!strcmp(status, "running") && report->lock >= 0) /* not by this process, nor by any other */
        snprintf(status, sizeof status, "broken off");
    return gle_fail(err, GLE_EWRITE,
                    "%s holds a run already (%s); %s--force replaces it, --output puts this one elsewhere", report->dir,
                    status[0] ? status : has_file(report, "metrics.json") ? "unreadable" : "broken off",
                    found == GLE_FOUND_BROKEN_OFF ? "--resume goes on with it, " : "");
}

/* Whether files can be put into the directory, where they will have to go. */
static int check_dir(const struct gle_report *report, struct gle_error *err)
{
    static const char *const names[] = {"metrics.json", "weights.npz", "config.yaml", GLE_FILE_RECORDING,
                                        GLE_FILE_CONFUSION, GLE_FILE_CLOSED_LOOP, GLE_FILE_PREDICTIONS, GLE_FILE_BEST,
                                        GLE_FILE_CHECKPOINT};
    char path[GLE_REPORT_PATH];
    struct gle_file_draft draft;
    struct stat st;

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        gle_report_path(path, report, names[i]);
        if (!stat(path, &st) && S_ISDIR(st.st_mode))
            return gle_fail_in(err, GLE_EWRITE, path, NULL, "cannot write: %s", strerror(EISDIR));
    }
    gle_report_path(path, report, "metrics.json");
    if (gle_file_begin(&draft, path, err))
        return -1;
    gle_file_drop(&draft);
    return 0;
}

/* A run without a checkpoint is begun anew if it is the same one. */
static int check_same(struct gle_report *report, struct gle_error *err)
{
    char path[GLE_REPORT_PATH], what[GLE_DIFFERENCE];

    if (compare_file(what, report, err))
        return -1;
    gle_report_path(path, report, "config.yaml");
    if (what[0])
        return gle_fail_in(err, GLE_EDATA, path, NULL, "a run of another config: %s; --force replaces it", what);
    return gle_report_check_inputs(report, NULL, err);
}

/* config.yaml, as this run has it. */
static int write_config(const struct gle_report *report, struct gle_error *err)
{
    char path[GLE_REPORT_PATH], *text = gle_report_config(report, err);
    int rc;

    if (!text)
        return -1;
    gle_report_path(path, report, "config.yaml");
    rc = gle_file_write(path, text, strlen(text), err);
    gle_free(text);
    return rc;
}

int gle_report_begin(struct gle_report *report, enum gle_start how, struct gle_error *err)
{
    enum gle_report_state begun = GLE_REPORT_FRESH;

    assert(report->state == GLE_REPORT_UNBEGUN);
    if (gle_file_make_dirs(report->dir, err) || gle_report_hold(report, err))
        return -1;
    if (how == GLE_START_RESUME && has_file(report, GLE_FILE_CHECKPOINT))
        begun = GLE_REPORT_RESUMES;
    else if (has_file(report, "metrics.json") || has_file(report, GLE_FILE_CHECKPOINT))
        begun = GLE_REPORT_REPLACES;
    if (begun != GLE_REPORT_FRESH && how != GLE_START_REPLACE && check_files(report, err))
        return -1;
    if (begun == GLE_REPORT_REPLACES && how == GLE_START_NEW)
        return refuse_old(report, err);
    if (begun == GLE_REPORT_REPLACES && how == GLE_START_RESUME && check_same(report, err))
        return -1;
    if (hash_inputs(report, err))
        return -1;
    if (report->lock >= 0)
        gle_file_sweep(report->dir);
    if (check_dir(report, err) || (begun != GLE_REPORT_RESUMES && gle_report_remove_checkpoint(report, err)) ||
        hash_config(report, err) || (begun == GLE_REPORT_FRESH && write_config(report, err)))
        return -1;
    enter_begun(report, begun);
    return 0;
}

/* --- what is written --- */

/* kept: its values; NULL: those of the net. */
static int add_param(struct gle_npz_writer *npz, const struct gle_graph *graph, size_t param, const struct gle_net *net,
                     const float *kept, struct gle_error *err)
{
    const struct gle_parameter *p = &graph->parameters[param];
    const struct gle_field *f = &p->field;
    char name[GLE_FIELD_LABEL];
    float *values;

    gle_field_label(name, sizeof name, f);
    values = gle_npz_room(npz, name, GLE_NPY_F32, p->n_shape, p->shape, err);
    if (!values)
        return -1;
    if (kept)
        memcpy(values, kept, gle_field_size(f) * sizeof *values);
    else
        gle_net_get_param(net, param, values);
    return 0;
}

/* Which synapses a sparse link has. */
static int add_synapses(struct gle_npz_writer *npz, const struct gle_projection *c, struct gle_error *err)
{
    const size_t shape[2] = {c->plan.n_synapses, 2};
    char name[GLE_FIELD_LABEL + sizeof GLE_LINK_SYNAPSES];
    int64_t *pairs;

    snprintf(name, sizeof name, "%s" GLE_LINK_SYNAPSES, c->cfg->label);
    pairs = gle_npz_room(npz, name, GLE_NPY_I64, 2, shape, err);
    if (!pairs)
        return -1;
    gle_link_synapses(&c->plan, pairs);
    return 0;
}

/* name: of the file. kept: the values of all parameters, one after the other; NULL: those of the net.
 * Owns: *bytes, gle_free(); NULL after an error. */
static int pack_weights(unsigned char **bytes, size_t *size, const char *name, const struct gle_report *report,
                        const struct gle_net *net, const float *kept, struct gle_error *err)
{
    struct gle_npz_writer *npz = gle_npz_create();
    struct gle_error unread = {0};
    char path[GLE_REPORT_PATH];
    int rc = npz ? 0 : gle_fail(err, GLE_ENOMEM, "no memory for %s", name);

    for (size_t i = 0; i < report->graph->n_parameters && !rc; i++)
        if (report->graph->parameters[i].given) {
            rc = add_param(npz, report->graph, i, net, kept, err);
            kept = kept ? kept + gle_field_size(&report->graph->parameters[i].field) : NULL;
        }
    if (!rc && gle_net_tell(net, &unread) && unread.code != GLE_EDIVERGED) /* which left finite ones */
        rc = gle_fail(err, unread.code, "%s", unread.text);
    for (size_t i = 0; i < report->graph->n_projections && !rc; i++)
        if (report->graph->projections[i].plan.starts)
            rc = add_synapses(npz, &report->graph->projections[i], err);
    *bytes = NULL;
    gle_report_path(path, report, name);
    rc = rc ? rc : gle_npz_pack(bytes, size, npz, path, err);
    gle_npz_destroy(npz);
    return rc;
}

/* Files that go into place together. */
struct bundle {
    struct gle_file_whole files[GLE_FILES_MAX];
    char paths[GLE_FILES_MAX][GLE_REPORT_PATH];
    size_t n;
};

/* bytes NULL: the file is removed. */
static void add_file(struct bundle *b, const struct gle_report *report, const char *name, const void *bytes,
                     size_t size)
{
    gle_report_path(b->paths[b->n], report, name);
    b->files[b->n] = (struct gle_file_whole){.path = b->paths[b->n], .bytes = bytes, .size = size};
    b->n++;
}

/* Owns: *bytes, gle_free(); NULL after an error. A count is at most the number of samples, which has 32 bits. */
static int pack_confusion(unsigned char **bytes, size_t *size, const struct gle_report *report,
                          const struct gle_metrics *metrics, struct gle_error *err)
{
    const size_t n = metrics->n_classes, shape[2] = {n, n};
    struct gle_npz_writer *npz = gle_npz_create();
    uint32_t *counts = gle_resize(NULL, n * n, sizeof *counts);
    char path[GLE_REPORT_PATH];
    int rc = npz && counts ? 0 : gle_fail(err, GLE_ENOMEM, "no memory for the confusion matrix");

    *bytes = NULL;
    gle_report_path(path, report, GLE_FILE_CONFUSION);
    for (size_t i = 0; !rc && i < n * n; i++)
        counts[i] = (uint32_t)metrics->confusion[i];
    rc = rc || gle_npz_add(npz, "matrix", GLE_NPY_U32, counts, 2, shape, err) ||
         gle_npz_pack(bytes, size, npz, path, err);
    gle_free(counts);
    gle_npz_destroy(npz);
    return rc ? -1 : 0;
}

bool gle_report_due(const struct gle_report *report)
{
    return !report->tried || gle_clock() - report->last >= GLE_RARITY * report->cost;
}

/* What goes into the files of a report; each NULL if it has none. */
struct contents {
    char *config, *text;
    unsigned char *weights, *best, *confusion, *traces, *predictions;
    size_t weights_size, best_size, confusion_size, traces_size, predictions_size;
};

static int make_contents(struct contents *c, struct gle_report *report, const struct gle_metrics *metrics,
                         const struct gle_net *net, struct gle_error *err)
{
    char path[GLE_REPORT_PATH];

    if (!has_config(report) && !(c->config = gle_report_config(report, err)))
        return -1;
    if (pack_weights(&c->weights, &c->weights_size, "weights.npz", report, net, NULL, err) ||
        (metrics->best_weights && metrics->n_epochs &&
         pack_weights(&c->best, &c->best_size, GLE_FILE_BEST, report, net, metrics->best_weights, err)) ||
        (gle_json_names_matrix(metrics) && pack_confusion(&c->confusion, &c->confusion_size, report, metrics, err)))
        return -1;
    gle_report_path(path, report, GLE_FILE_CLOSED_LOOP);
    if (metrics->traces.values && metrics->status != GLE_RUNNING &&
        gle_traces_pack(&c->traces, &c->traces_size, path, report->exp, &metrics->traces, err))
        return -1;
    gle_report_path(path, report, GLE_FILE_PREDICTIONS);
    if (metrics->status != GLE_RUNNING &&
        gle_predictions_pack(&c->predictions, &c->predictions_size, path, report->exp, report->data, metrics, err))
        return -1;
    if (hash_bytes(report->weights_sha256, c->weights, c->weights_size, err))
        return -1;
    c->text = gle_report_json(report, metrics, net);
    return c->text ? 0 : gle_fail(err, GLE_ENOMEM, "no memory for the report");
}

static int write_contents(const struct contents *c, const struct gle_report *report, const struct gle_metrics *metrics,
                          struct gle_error *err)
{
    struct bundle b = {.n = 0};

    if (c->config)
        add_file(&b, report, "config.yaml", c->config, strlen(c->config));
    if (gle_report_replaces(report))
        add_file(&b, report, GLE_FILE_RECORDING, NULL, 0);
    add_file(&b, report, "weights.npz", c->weights, c->weights_size);
    if (c->best || gle_report_replaces(report))
        add_file(&b, report, GLE_FILE_BEST, c->best, c->best_size);
    if (c->confusion || gle_report_replaces(report) || gle_json_large_matrix(metrics))
        add_file(&b, report, GLE_FILE_CONFUSION, c->confusion, c->confusion_size);
    if (c->traces || gle_report_replaces(report))
        add_file(&b, report, GLE_FILE_CLOSED_LOOP, c->traces, c->traces_size);
    if (c->predictions || report->exp->predictions || gle_report_replaces(report)) /* older ones are not left */
        add_file(&b, report, GLE_FILE_PREDICTIONS, c->predictions, c->predictions_size);
    add_file(&b, report, "metrics.json", c->text, strlen(c->text));
    return gle_file_write_together(b.files, b.n, err);
}

int gle_report_write(struct gle_report *report, const struct gle_metrics *metrics, const struct gle_net *net,
                     struct gle_error *err)
{
    const double start = gle_clock();
    struct contents c = {0};
    const int rc = make_contents(&c, report, metrics, net, err) || write_contents(&c, report, metrics, err) ? -1 : 0;

    if (!rc)
        enter_written(report);
    gle_free(c.config);
    gle_free(c.weights);
    gle_free(c.best);
    gle_free(c.confusion);
    gle_free(c.traces);
    gle_free(c.predictions);
    gle_free(c.text);
    report->tried = true;
    report->last = gle_clock();
    report->cost = report->last - start;
    return rc;
}

int gle_report_write_metrics(const struct gle_report *report, const struct gle_metrics *metrics,
                             const struct gle_net *net, struct gle_error *err)
{
    struct gle_metrics alone = *metrics;
    char path[GLE_REPORT_PATH], *text;
    int rc;

    if (gle_json_large_matrix(metrics)) /* its file may be older, too */
        alone.confusion = NULL;
    text = gle_report_json(report, &alone, net);
    gle_report_path(path, report, "metrics.json");
    rc = text ? gle_file_write(path, text, strlen(text), err) : gle_fail(err, GLE_ENOMEM, "no memory for the report");
    gle_free(text);
    return rc;
}
