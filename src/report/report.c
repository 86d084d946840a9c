#include "report/report.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/npz.h"
#include "report/json.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

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

/* Sets config_sha256: of the config as it stands in its own folder, so that it does not depend on where that lies. */
static int hash_config(struct gle_report *report, struct gle_error *err)
{
    char *text = gle_node_text(report->exp->src);
    struct gle_sha256 *sha = gle_sha256_start();

    if (text && sha)
        gle_sha256_add(sha, text, strlen(text));
    if (sha)
        gle_sha256_end(sha, report->config_sha256);
    gle_free(text);
    return text && sha ? 0 : gle_fail(err, GLE_ENOMEM, "no memory for the config");
}

char *gle_report_config(const struct gle_report *report, struct gle_error *err)
{
    char *text = gle_node_text_in(report->exp->src, report->dir);

    if (!text)
        gle_fail(err, GLE_ENOMEM, "no memory for the config");
    return text;
}

/* --- the directory --- */

int gle_report_hold(struct gle_report *report, struct gle_error *err)
{
    if (report->lock >= 0)
        return 0;
    report->lock = open(report->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (report->lock < 0 || !flock(report->lock, LOCK_EX | LOCK_NB))
        return 0;
    if (errno == EWOULDBLOCK) {
        gle_report_release(report);
        return gle_fail(err, GLE_EWRITE, "%s: another process is at work on this run", report->dir);
    }
    gle_report_release(report);
    return 0;
}

void gle_report_release(struct gle_report *report)
{
    if (report->lock >= 0)
        close(report->lock);
    report->lock = -1;
}

/* --- what is there already --- */

int gle_report_compare(char what[GLE_DIFFERENCE], const struct gle_report *report, const char *config, size_t size,
                       struct gle_error *err)
{
    struct gle_errors errs = {0};
    struct gle_doc *there;
    int rc = 0;

    what[0] = '\0';
    if (gle_doc_parse(&there, config, size, "config", &errs))
        rc = gle_fail(err, errs.item[0].code == GLE_ENOMEM ? GLE_ENOMEM : GLE_EDATA, "%s", errs.item[0].text);
    else
        gle_node_differs(what, GLE_DIFFERENCE, there->root, report->exp->src, report->dir);
    gle_doc_destroy(there);
    return rc;
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

int gle_report_find(enum gle_found *found, struct gle_report *report, struct gle_error *err)
{
    char path[GLE_REPORT_PATH], status[32], sha256[65], what[GLE_DIFFERENCE];
    struct gle_error unread = {0};

    *found = GLE_FOUND_NOTHING;
    if (hash_config(report, err))
        return -1;
    gle_report_path(path, report, "metrics.json");
    gle_report_status(status, sizeof status, sha256, path);
    if (!status[0] || (strcmp(sha256, report->config_sha256) && (compare_file(what, report, &unread) || what[0])))
        return 0;
    if (!strcmp(status, "completed"))
        *found = GLE_FOUND_COMPLETED;
    else if (!strcmp(status, "diverged"))
        *found = GLE_FOUND_DIVERGED;
    return 0;
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

static int refuse_old(const struct gle_report *report, struct gle_error *err)
{
    char path[GLE_REPORT_PATH], status[32], sha256[65];
    bool over;

    gle_report_path(path, report, "metrics.json");
    gle_report_status(status, sizeof status, sha256, path);
    over = !strcmp(status, "completed") || !strcmp(status, "diverged");
    return gle_fail(err, GLE_EWRITE,
                    "%s holds a run already (%s); %s--force replaces it, --output puts this one elsewhere", report->dir,
                    status[0] ? status : has_file(report, "metrics.json") ? "unreadable" : "broken off",
                    over ? "" : "--resume goes on with it, ");
}

/* Whether files can be put into the directory, where they will have to go. */
static int check_dir(const struct gle_report *report, struct gle_error *err)
{
    static const char *const names[] = {"metrics.json", "weights.npz", "config.yaml", GLE_FILE_RECORDING,
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
static int check_same(const struct gle_report *report, struct gle_error *err)
{
    char path[GLE_REPORT_PATH], what[GLE_DIFFERENCE];

    if (compare_file(what, report, err))
        return -1;
    gle_report_path(path, report, "config.yaml");
    return what[0] ? gle_fail_in(err, GLE_EDATA, path, NULL, "a run of another config: %s; --force replaces it", what)
                   : 0;
}

int gle_report_begin(struct gle_report *report, enum gle_start how, struct gle_error *err)
{
    char path[GLE_REPORT_PATH], *text;
    bool old;
    int rc = 0;

    if (gle_file_make_dirs(report->dir, err) || gle_report_hold(report, err))
        return -1;
    report->resumes = how == GLE_START_RESUME && has_file(report, GLE_FILE_CHECKPOINT);
    old = has_file(report, "metrics.json") || has_file(report, GLE_FILE_CHECKPOINT);
    if (old && how == GLE_START_NEW)
        return refuse_old(report, err);
    if (old && how == GLE_START_RESUME && !report->resumes && check_same(report, err))
        return -1;
    if (report->lock >= 0)
        gle_file_sweep(report->dir);
    if (check_dir(report, err) || (!report->resumes && gle_report_remove_checkpoint(report, err)))
        return -1;
    report->replaces = old && !report->resumes;
    text = hash_config(report, err) ? NULL : gle_report_config(report, err);
    if (!text)
        return -1;
    gle_report_path(path, report, "config.yaml");
    if (!old)
        rc = gle_file_write(path, text, strlen(text), err);
    report->config_written = !old && !rc;
    gle_free(text);
    return rc;
}

/* --- what is written --- */

static int add_param(struct gle_npz_writer *npz, const struct gle_report *report, const struct gle_net *net, size_t i,
                     enum gle_param p, struct gle_error *err)
{
    const struct gle_graph_layer *l = &report->graph->layers[i];
    const size_t shape[2] = {l->n, l->n_in};
    float *values = gle_calloc(l->n * (p == GLE_WEIGHT ? l->n_in : 1), sizeof *values);
    char name[96];
    int rc;

    if (!values)
        return gle_fail(err, GLE_ENOMEM, "no memory for a copy of the weights");
    snprintf(name, sizeof name, "%s.%s", l->cfg->name, gle_params[p].name);
    gle_net_get_param(net, i, p, values);
    rc = gle_npz_add(npz, name, GLE_NPY_F32, values, p == GLE_WEIGHT ? 2 : 1, shape, err);
    gle_free(values);
    return rc;
}

static int add_tau_r(struct gle_npz_writer *npz, const struct gle_graph_layer *l, struct gle_error *err)
{
    float *values = gle_calloc(l->n, sizeof *values);
    char name[96];
    int rc;

    if (!values)
        return gle_fail(err, GLE_ENOMEM, "no memory for a copy of the time constants");
    snprintf(name, sizeof name, "%s.tau_r", l->cfg->name);
    for (size_t i = 0; i < l->n; i++)
        values[i] = (float)l->cfg->tau_r[i];
    rc = gle_npz_add(npz, name, GLE_NPY_F32, values, 1, &l->n, err);
    gle_free(values);
    return rc;
}

/* Owns: *bytes, gle_free(); NULL after an error. */
static int pack_weights(unsigned char **bytes, size_t *size, const struct gle_report *report, const struct gle_net *net,
                        struct gle_error *err)
{
    struct gle_npz_writer *npz = gle_npz_create();
    char path[GLE_REPORT_PATH];
    int rc = npz ? 0 : gle_fail(err, GLE_ENOMEM, "no memory for weights.npz");

    for (size_t i = 0; i < report->graph->n_layers && !rc; i++) {
        const struct gle_graph_layer *l = &report->graph->layers[i];
        rc = add_param(npz, report, net, i, GLE_WEIGHT, err);
        if (!rc && l->cfg->bias.row)
            rc = add_param(npz, report, net, i, GLE_BIAS, err);
        rc = rc ? rc : add_param(npz, report, net, i, GLE_TAU_M, err);
        rc = rc ? rc : add_tau_r(npz, l, err);
    }
    *bytes = NULL;
    gle_report_path(path, report, "weights.npz");
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

int gle_report_write(struct gle_report *report, const struct gle_metrics *metrics, const struct gle_net *net,
                     struct gle_error *err)
{
    char *config = report->config_written ? NULL : gle_report_config(report, err), *text = NULL;
    unsigned char *weights = NULL;
    struct bundle b = {.n = 0};
    size_t size;
    int rc = report->config_written || config ? 0 : -1;

    rc = rc ? rc : pack_weights(&weights, &size, report, net, err);
    if (!rc && !(text = gle_report_json(report, metrics, net)))
        rc = gle_fail(err, GLE_ENOMEM, "no memory for the report");
    if (!rc) {
        if (config)
            add_file(&b, report, "config.yaml", config, strlen(config));
        if (report->replaces)
            add_file(&b, report, GLE_FILE_RECORDING, NULL, 0);
        add_file(&b, report, "weights.npz", weights, size);
        add_file(&b, report, "metrics.json", text, strlen(text));
        rc = gle_file_write_together(b.files, b.n, err);
    }
    report->config_written = report->config_written || !rc;
    report->replaces = report->replaces && rc;
    gle_free(config);
    gle_free(weights);
    gle_free(text);
    return rc;
}

int gle_report_write_metrics(const struct gle_report *report, const struct gle_metrics *metrics,
                             const struct gle_net *net, struct gle_error *err)
{
    char path[GLE_REPORT_PATH], *text = gle_report_json(report, metrics, net);
    int rc;

    gle_report_path(path, report, "metrics.json");
    rc = text ? gle_file_write(path, text, strlen(text), err) : gle_fail(err, GLE_ENOMEM, "no memory for the report");
    gle_free(text);
    return rc;
}
