#include "report/report.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/npz.h"
#include "report/json.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
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

/* A file of the run. */
typedef char file_path[sizeof((struct gle_report *)0)->dir + 32];

static void name_file(file_path path, const struct gle_report *report, const char *name)
{
    snprintf(path, sizeof(file_path), "%s/%s", report->dir, name);
}

/* The resolved config, which is hashed on the way. Owns: gle_free(); NULL after an error. */
static char *make_config(struct gle_report *report, struct gle_error *err)
{
    char *text = gle_node_text(report->exp->src);
    struct gle_sha256 *sha = gle_sha256_start();

    if (text && sha)
        gle_sha256_add(sha, text, strlen(text));
    if (sha)
        gle_sha256_end(sha, report->config_sha256);
    if (text && sha)
        return text;
    gle_free(text);
    gle_fail(err, GLE_ENOMEM, "no memory for the config");
    return NULL;
}

int gle_report_done(bool *done, struct gle_report *report, struct gle_error *err)
{
    char status[32], sha256[65], *text = make_config(report, err);
    file_path path;

    gle_free(text);
    if (!text)
        return -1;
    name_file(path, report, "metrics.json");
    gle_report_status(status, sizeof status, sha256, path);
    *done = !strcmp(status, "completed") && !strcmp(sha256, report->config_sha256);
    return 0;
}

int gle_report_begin(struct gle_report *report, bool force, struct gle_error *err)
{
    char status[32], sha256[65], *text;
    file_path path;
    struct stat st;
    int rc = 0;

    name_file(path, report, "metrics.json");
    report->replaces = !stat(path, &st);
    if (report->replaces && !force) {
        gle_report_status(status, sizeof status, sha256, path);
        return gle_fail(err, GLE_EWRITE,
                        "%s holds a run already (%s); --force replaces it, --output puts this one elsewhere",
                        report->dir, status[0] ? status : "unreadable");
    }
    if (gle_file_make_dirs(report->dir, err))
        return -1;
    if (access(report->dir, W_OK | X_OK))
        return gle_fail_in(err, GLE_EWRITE, report->dir, NULL, "cannot write: %s", strerror(errno));
    text = make_config(report, err);
    if (!text)
        return -1;
    if (!report->replaces) {
        name_file(path, report, "config.yaml");
        rc = gle_file_write(path, text, strlen(text), err);
    }
    gle_free(text);
    return rc;
}

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
                        const char *path, struct gle_error *err)
{
    struct gle_npz_writer *npz = gle_npz_create();
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
    rc = rc ? rc : gle_npz_pack(bytes, size, npz, path, err);
    gle_npz_destroy(npz);
    return rc;
}

int gle_report_write(struct gle_report *report, const struct gle_metrics *metrics, const struct gle_net *net,
                     struct gle_error *err)
{
    static const char *const names[] = {"config.yaml", "recording.npz", "weights.npz", "metrics.json"};
    enum { CONFIG, RECORDING, WEIGHTS, METRICS, FILES };
    const size_t first = report->replaces ? CONFIG : WEIGHTS;
    char *config = report->replaces ? make_config(report, err) : NULL, *text = NULL;
    struct gle_file_whole files[FILES] = {0};
    unsigned char *weights = NULL;
    file_path paths[FILES];
    int rc = report->replaces && !config ? -1 : 0;

    for (size_t i = 0; i < FILES; i++) {
        name_file(paths[i], report, names[i]);
        files[i].path = paths[i];
    }
    rc = rc ? rc : pack_weights(&weights, &files[WEIGHTS].size, report, net, paths[WEIGHTS], err);
    if (!rc && !(text = gle_report_json(report, metrics, net)))
        rc = gle_fail(err, GLE_ENOMEM, "no memory for the report");
    if (!rc) {
        files[CONFIG].bytes = config;
        files[CONFIG].size = config ? strlen(config) : 0;
        files[WEIGHTS].bytes = weights;
        files[METRICS].bytes = text;
        files[METRICS].size = strlen(text);
        rc = gle_file_write_together(files + first, FILES - first, err);
    }
    report->replaces = report->replaces && rc;
    gle_free(config);
    gle_free(weights);
    gle_free(text);
    return rc;
}
