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

static int write_text(const struct gle_report *report, const char *name, const char *text, struct gle_error *err)
{
    char path[sizeof report->dir + 32];

    snprintf(path, sizeof path, "%s/%s", report->dir, name);
    return gle_file_write(path, text, strlen(text), err);
}

/* Hashes the resolved config, and writes it too if `write`. */
static int make_config(struct gle_report *report, bool write, struct gle_error *err)
{
    char *text = gle_node_text(report->exp->src);
    struct gle_sha256 *sha = gle_sha256_start();
    int rc = 0;

    if (!text || !sha)
        rc = gle_fail(err, GLE_ENOMEM, "no memory for the config");
    else
        gle_sha256_add(sha, text, strlen(text));
    if (sha)
        gle_sha256_end(sha, report->config_sha256);
    if (!rc && write)
        rc = write_text(report, "config.yaml", text, err);
    report->config_written = !rc && write;
    gle_free(text);
    return rc;
}

int gle_report_done(bool *done, struct gle_report *report, struct gle_error *err)
{
    char path[sizeof report->dir + 32], status[32], sha256[65];

    if (make_config(report, false, err))
        return -1;
    snprintf(path, sizeof path, "%s/metrics.json", report->dir);
    gle_report_status(status, sizeof status, sha256, path);
    *done = !strcmp(status, "completed") && !strcmp(sha256, report->config_sha256);
    return 0;
}

int gle_report_begin(struct gle_report *report, bool force, struct gle_error *err)
{
    char path[sizeof report->dir + 32], status[32], sha256[65];
    struct stat st;
    bool old;

    snprintf(path, sizeof path, "%s/metrics.json", report->dir);
    old = !stat(path, &st);
    report->replaces = old;
    if (old && !force) {
        gle_report_status(status, sizeof status, sha256, path);
        return gle_fail(err, GLE_EWRITE,
                        "%s holds a run already (%s); --force replaces it, --output puts this one elsewhere",
                        report->dir, status[0] ? status : "unreadable");
    }
    if (gle_file_make_dirs(report->dir, err))
        return -1;
    if (access(report->dir, W_OK | X_OK))
        return gle_fail_in(err, GLE_EWRITE, report->dir, NULL, "cannot write: %s", strerror(errno));
    return make_config(report, !old, err);
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

static int write_weights(const struct gle_report *report, const struct gle_net *net, struct gle_error *err)
{
    struct gle_npz_writer *npz = gle_npz_create();
    char path[sizeof report->dir + 32];
    int rc = npz ? 0 : gle_fail(err, GLE_ENOMEM, "no memory for weights.npz");

    for (size_t i = 0; i < report->graph->n_layers && !rc; i++) {
        const struct gle_graph_layer *l = &report->graph->layers[i];
        rc = add_param(npz, report, net, i, GLE_WEIGHT, err);
        if (!rc && l->cfg->bias.row)
            rc = add_param(npz, report, net, i, GLE_BIAS, err);
        rc = rc ? rc : add_param(npz, report, net, i, GLE_TAU_M, err);
        rc = rc ? rc : add_tau_r(npz, l, err);
    }
    snprintf(path, sizeof path, "%s/weights.npz", report->dir);
    rc = rc ? rc : gle_npz_write(npz, path, err);
    gle_npz_destroy(npz);
    return rc;
}

/* Of a run that is being replaced. */
static int remove_recording(const struct gle_report *report, struct gle_error *err)
{
    char path[sizeof report->dir + 32];

    snprintf(path, sizeof path, "%s/recording.npz", report->dir);
    if (unlink(path) && errno != ENOENT)
        return gle_fail_in(err, GLE_EWRITE, path, NULL, "cannot be removed: %s", strerror(errno));
    return 0;
}

int gle_report_write(struct gle_report *report, const struct gle_metrics *metrics, const struct gle_net *net,
                     struct gle_error *err)
{
    char *text;
    int rc;

    if (report->replaces && remove_recording(report, err))
        return -1;
    report->replaces = false;
    if ((!report->config_written && make_config(report, true, err)) || write_weights(report, net, err))
        return -1;
    text = gle_report_json(report, metrics, net);
    rc = text ? write_text(report, "metrics.json", text, err) : gle_fail(err, GLE_ENOMEM, "no memory for the report");
    gle_free(text);
    return rc;
}
