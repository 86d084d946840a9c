#include "report/differ.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/npz.h"
#include "report/folder.h"
#include "report/json.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { PATH_SIZE = 400, SHOWN = 3 }; /* SHOWN: differences of one kind, of which the others are counted */

static void add(struct gle_differ_lines *lines, const char *fmt, ...) GLE_PRINTF(2, 3);
static void add(struct gle_differ_lines *lines, const char *fmt, ...)
{
    va_list args;

    if (lines->n == GLE_DIFFER_MOST)
        return;
    va_start(args, fmt);
    vsnprintf(lines->line[lines->n++], GLE_DIFFER_LINE, fmt, args);
    va_end(args);
}

/* --- reports --- */

/* A comparison of two documents. */
struct walk {
    const char *what;             /* "metrics.json" */
    const char *const *passed;    /* keys that say nothing, wherever they stand; ends with NULL */
    bool more;                    /* what the second one has beyond the first says nothing: an older program wrote it */
    struct gle_differ_lines *out;
    size_t n;
};

static const char *show(char text[80], const json_t *value)
{
    char *dumped = value ? json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(15)) : NULL;

    snprintf(text, 80, "%s", value ? dumped ? dumped : "?" : "missing");
    gle_free(dumped);
    return text;
}

static void differ(struct walk *w, const char *path, const json_t *a, const json_t *b)
{
    char there[80], now[80];

    if (w->n++ < SHOWN)
        add(w->out, "%s: %.300s is %s there, %s now", w->what, path, show(there, a), show(now, b));
}

static bool is_passed(const struct walk *w, const char *key)
{
    for (size_t i = 0; w->passed[i]; i++)
        if (!strcmp(w->passed[i], key))
            return true;
    return false;
}

static void walk(struct walk *w, const char *path, const json_t *a, const json_t *b);

static void walk_object(struct walk *w, const char *path, const json_t *a, const json_t *b)
{
    char below[PATH_SIZE];
    const char *key;
    json_t *value;

    json_object_foreach ((json_t *)a, key, value) {
        if (is_passed(w, key))
            continue;
        snprintf(below, sizeof below, "%s%s%s", path, *path ? "." : "", key);
        walk(w, below, value, json_object_get(b, key));
    }
    json_object_foreach ((json_t *)b, key, value) {
        snprintf(below, sizeof below, "%s%s%s", path, *path ? "." : "", key);
        if (!w->more && !is_passed(w, key) && !json_object_get(a, key))
            differ(w, below, NULL, value);
    }
}

static void walk(struct walk *w, const char *path, const json_t *a, const json_t *b)
{
    char below[PATH_SIZE];

    if (json_is_object(a) && json_is_object(b)) {
        walk_object(w, path, a, b);
    } else if (json_is_array(a) && json_is_array(b) && json_array_size(a) == json_array_size(b)) {
        for (size_t i = 0; i < json_array_size(a); i++) {
            snprintf(below, sizeof below, "%s[%zu]", path, i);
            walk(w, below, json_array_get(a, i), json_array_get(b, i));
        }
    } else if (json_is_number(a) && json_is_number(b)) {
        if (json_number_value(a) != json_number_value(b)) /* 1 and 1.0 are the same */
            differ(w, path, a, b);
    } else if (!b || !json_equal(a, b)) {
        differ(w, path, a, b);
    }
}

static void compare(struct walk *w, const json_t *a, const json_t *b)
{
    walk(w, "", a, b);
    if (w->n > SHOWN)
        add(w->out, "%s: and %zu more", w->what, w->n - SHOWN);
}

/* What a run comes to. Times are no part of it; what else is passed over is compared by itself, or is another word for
 * the same. */
static void compare_metrics(struct gle_differ *out, const json_t *before, const json_t *after)
{
    static const char *const passed[] = {"seconds", "timing", "provenance", "config", "config_sha256", "weights_sha256",
                                         "dataset", "init", "variant", "sweep", "schema", NULL};
    struct walk w = {.what = "metrics.json", .passed = passed, .more = true, .out = &out->in};

    compare(&w, before, after);
}

static void tell_data(struct gle_differ *out, const json_t *before, const json_t *after)
{
    static const char *const passed[] = {"path", NULL};
    static const char *const parts[] = {"dataset", "init"};

    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        struct walk w = {.what = i ? "files of initial values" : "data set", .passed = passed, .more = true,
                         .out = &out->told};
        compare(&w, json_object_get(before, parts[i]), json_object_get(after, parts[i]));
    }
}

/* Another program, another machine. */
static void tell_maker(struct gle_differ *out, const json_t *before, const json_t *after)
{
    static const char *const keys[] = {"version",         "commit",  "compiler", "blas", "cpu",
                                       "instruction_set", "backend", "device",   "ranks"};
    char there[80], now[80];

    before = json_object_get(before, "provenance");
    after = json_object_get(after, "provenance");
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const json_t *a = json_object_get(before, keys[i]), *b = json_object_get(after, keys[i]);
        if (a && b && !json_equal(a, b))
            add(&out->told, "made by another program or machine: %s was %s, is %s", keys[i], show(there, a),
                show(now, b));
    }
}

/* Whether somebody has changed config.yaml since the report was written. */
static void tell_config(struct gle_differ *out, const json_t *before, const char *dir,
                        const struct gle_experiment *exp)
{
    static const char *const passed[] = {"description", NULL};
    struct walk w = {.what = "config.yaml has been changed", .passed = passed, .out = &out->told};
    json_t *a = json_deep_copy(json_object_get(before, "config")), *b = gle_json_config(exp, dir);

    if (a && b) {
        gle_json_add_defaults(a, exp->src);
        compare(&w, a, b);
    }
    json_decref(a);
    json_decref(b);
}

/* --- arrays --- */

static void path_of(char path[GLE_REPORT_PATH], const char *dir, const char *file)
{
    snprintf(path, GLE_REPORT_PATH, "%.4000s/%s", dir, file);
}

static bool same_shape(const struct gle_array *a, const struct gle_array *b)
{
    if (a->type != b->type || a->n_dims != b->n_dims)
        return false;
    for (size_t i = 0; i < a->n_dims; i++)
        if (a->shape[i] != b->shape[i])
            return false;
    return true;
}

/* Numbers of two arrays that are not the same, and the largest difference; NaN is the same as NaN. */
static size_t count_others(double *largest, const struct gle_array *a, const struct gle_array *b)
{
    size_t n = 0;

    *largest = 0.0;
    for (size_t i = 0; i < a->n; i++) {
        const double x = gle_array_real(a, i), y = gle_array_real(b, i), off = fabs(x - y);
        if (x == y || (isnan(x) && isnan(y)))
            continue;
        n++;
        if (!(off <= *largest))
            *largest = off;
    }
    return n;
}

/* Two archives of one name. */
struct pair {
    const char *file;
    struct gle_npz *before, *after;
    size_t n; /* arrays that differ */
};

static int compare_array(struct gle_differ *out, struct pair *p, const char *name, struct gle_error *err)
{
    struct gle_array a = {.values = NULL}, b = {.values = NULL};
    double largest;
    size_t n;
    int rc = 0;

    if (!gle_npz_has(p->after, name)) {
        if (p->n++ < GLE_DIFFER_MOST / 2)
            add(&out->in, "%s: it has no %s now", p->file, name);
        return 0;
    }
    rc = gle_npz_read(&a, p->before, name, err) || gle_npz_read(&b, p->after, name, err) ? -1 : 0;
    if (!rc && !same_shape(&a, &b)) {
        if (p->n++ < GLE_DIFFER_MOST / 2)
            add(&out->in, "%s: %s has another shape or type", p->file, name);
    } else if (!rc && (n = count_others(&largest, &a, &b)) && p->n++ < GLE_DIFFER_MOST / 2) {
        add(&out->in, "%s: %s by up to %.3g, in %zu of %zu numbers", p->file, name, largest, n, a.n);
    }
    gle_array_clear(&a);
    gle_array_clear(&b);
    return rc;
}

static int compare_arrays(struct gle_differ *out, struct pair *p, struct gle_error *err)
{
    for (size_t i = 0; i < gle_npz_count(p->before); i++)
        if (compare_array(out, p, gle_npz_name(p->before, i), err))
            return -1;
    for (size_t i = 0; i < gle_npz_count(p->after); i++)
        if (!gle_npz_has(p->before, gle_npz_name(p->after, i)) && p->n++ < GLE_DIFFER_MOST / 2)
            add(&out->in, "%s: it had no %s", p->file, gle_npz_name(p->after, i));
    if (p->n > GLE_DIFFER_MOST / 2)
        add(&out->in, "%s: and %zu more arrays", p->file, p->n - GLE_DIFFER_MOST / 2);
    if (!p->n)
        add(&out->told, "%s: other bytes, of the same arrays", p->file);
    return 0;
}

static bool is_there(const char *path)
{
    struct stat st;

    return !stat(path, &st) && S_ISREG(st.st_mode);
}

/* A file that only one of them has, or that nobody can read, is told. */
static int compare_file(struct gle_differ *out, const char *file, const char *before, const char *after,
                        struct gle_error *err)
{
    char here[GLE_REPORT_PATH], again[GLE_REPORT_PATH], sha_here[65], sha_again[65];
    struct pair p = {.file = file};
    int rc;

    path_of(here, before, file);
    path_of(again, after, file);
    if (!is_there(here)) {
        if (is_there(again))
            add(&out->told, "%s: not there to be compared", file);
        return 0;
    }
    if (!is_there(again)) {
        add(&out->in, "%s: not made any more", file);
        return 0;
    }
    if (gle_file_sha256(sha_here, here, GLE_EDATA, err) || gle_file_sha256(sha_again, again, GLE_EDATA, err))
        return -1;
    if (!strcmp(sha_here, sha_again))
        return 0;
    rc = gle_npz_open(&p.before, here, err) || gle_npz_open(&p.after, again, err) || compare_arrays(out, &p, err);
    gle_npz_close(p.before);
    gle_npz_close(p.after);
    return rc ? -1 : 0;
}

/* Weights that are not there may have left their checksum. */
static void compare_checksum(struct gle_differ *out, const json_t *before, const json_t *after, const char *dir)
{
    const char *there = json_string_value(json_object_get(before, "weights_sha256"));
    const char *now = json_string_value(json_object_get(after, "weights_sha256"));
    char path[GLE_REPORT_PATH];

    path_of(path, dir, "weights.npz");
    out->had_weights = there || is_there(path);
    if (there && now && !is_there(path) && strcmp(there, now))
        add(&out->in, "weights: SHA-256 %.12s... there, %.12s... now", there, now);
}

int gle_differ_check(const char *dir, struct gle_error *err)
{
    json_t *report;
    const char *status;
    int rc = 0;

    gle_json_begin();
    report = gle_folder_report(dir);
    status = report ? gle_folder_status(report, dir) : "";
    if (!report)
        rc = gle_fail(err, GLE_EDATA, "%.300s: no report that can be read", dir);
    else if (strcmp(status, "completed") && strcmp(status, "diverged"))
        rc = gle_fail(err, GLE_EDATA, "%.300s: the run has not come to its end", dir);
    json_decref(report);
    return rc;
}

int gle_differ_find(struct gle_differ *out, const char *before, const char *after, const struct gle_experiment *exp,
                    struct gle_error *err)
{
    static const char *const files[] = {"weights.npz",      GLE_FILE_BEST,        GLE_FILE_RECORDING,
                                        GLE_FILE_CONFUSION, GLE_FILE_CLOSED_LOOP, GLE_FILE_PREDICTIONS};
    json_t *a, *b;
    int rc = 0;

    *out = (struct gle_differ){.had_weights = false};
    gle_json_begin();
    a = gle_folder_report(before);
    b = gle_folder_report(after);
    if (!a || !b)
        rc = gle_fail(err, GLE_EDATA, "%.300s: no report that can be read", a ? after : before);
    for (size_t i = 0; i < sizeof files / sizeof *files && !rc; i++)
        rc = compare_file(out, files[i], before, after, err);
    if (!rc) {
        compare_checksum(out, a, b, before);
        compare_metrics(out, a, b);
        tell_config(out, a, before, exp);
        tell_data(out, a, b);
        tell_maker(out, a, b);
    }
    json_decref(a);
    json_decref(b);
    return rc;
}
