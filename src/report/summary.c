#include "report/summary.h"
#include "base/file.h"
#include "base/memory.h"
#include "report/json.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { SCHEMA = 1 };

/* --- many values as one --- */

static json_t *number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *statistics(json_t *const *values, size_t n)
{
    double sum = 0.0, squares = 0.0, low = INFINITY, high = -INFINITY;
    size_t count = 0;
    json_t *out;

    for (size_t i = 0; i < n; i++) {
        const double x = json_number_value(values[i]);
        if (!json_is_number(values[i]))
            continue;
        sum += x;
        low = fmin(low, x);
        high = fmax(high, x);
        count++;
    }
    if (!count)
        return json_null();
    for (size_t i = 0; i < n; i++) {
        const double d = json_number_value(values[i]) - sum / (double)count;
        squares += json_is_number(values[i]) ? d * d : 0.0;
    }
    out = json_object();
    json_object_set_new(out, "mean", number(sum / (double)count));
    json_object_set_new(out, "std", number(sqrt(squares / (double)count)));
    json_object_set_new(out, "min", number(low));
    json_object_set_new(out, "max", number(high));
    json_object_set_new(out, "n", json_integer((json_int_t)count));
    return out;
}

static bool all_equal(json_t *const *values, size_t n)
{
    for (size_t i = 1; i < n; i++)
        if (!json_equal(values[0], values[i]))
            return false;
    return true;
}

static json_t *combine(json_t *const *values, size_t n);

/* The values of one key, or of one place of a list. NULL stands for what is not there. */
static json_t *combine_member(json_t *const *values, size_t n, const char *key, size_t at)
{
    json_t **members = gle_calloc(n, sizeof *members), *out = NULL;

    for (size_t i = 0; members && i < n; i++)
        members[i] = key ? json_object_get(values[i], key) : json_array_get(values[i], at);
    if (members)
        out = combine(members, n);
    gle_free(members);
    return out;
}

static json_t *combine(json_t *const *values, size_t n)
{
    json_t *first = NULL, *out, *item;
    const char *key;
    size_t at;

    for (size_t i = 0; i < n && !first; i++)
        first = json_is_null(values[i]) ? NULL : values[i];
    if (!first)
        return json_null();
    if (json_is_real(first))
        return statistics(values, n);
    if (!json_is_object(first) && !json_is_array(first))
        return all_equal(values, n)     ? json_deep_copy(first)
               : json_is_number(first) ? statistics(values, n)
                                       : json_null();
    out = json_is_object(first) ? json_object() : json_array();
    json_object_foreach (first, key, item)
        json_object_set_new(out, key, combine_member(values, n, key, 0));
    json_array_foreach (first, at, item)
        json_array_append_new(out, combine_member(values, n, NULL, at));
    return out;
}

/* --- runs --- */

static json_t *load(const char *dir)
{
    char path[4200];

    snprintf(path, sizeof path, "%s/metrics.json", dir);
    return json_load_file(path, 0, NULL);
}

static const char *status_of(const json_t *metrics)
{
    const char *status = json_string_value(json_object_get(metrics, "status"));

    return status ? status : "";
}

static bool completed(const json_t *metrics)
{
    return !strcmp(status_of(metrics), "completed");
}

static json_t *word_or_null(const char *word)
{
    json_t *out = word && word[0] ? json_string(word) : NULL; /* NULL also where it is no UTF-8 */

    return out ? out : json_null();
}

static json_t *describe(const struct gle_seed_run *run, const json_t *metrics)
{
    json_t *out = json_object();

    json_object_set_new(out, "seed", json_integer((json_int_t)run->exp->seed));
    json_object_set_new(out, "status", word_or_null(run->code < 0 ? "not begun"
                                                    : metrics     ? status_of(metrics)
                                                                  : "failed"));
    json_object_set_new(out, "exit_code", run->code < 0 ? json_null() : json_integer(run->code));
    json_object_set_new(out, "message", word_or_null(run->message));
    json_object_set_new(out, "directory", word_or_null(run->dir));
    return out;
}

static json_t *summarise(const struct gle_seed_run *runs, size_t n, json_t **metrics)
{
    static const char *const parts[] = {"epochs", "phases", "evaluations", "final", "best", "parameters", "timing"};
    json_t *out = json_object(), *list = json_array(), **done = gle_calloc(n, sizeof *done);
    size_t n_done = 0;

    for (size_t i = 0; i < n; i++) {
        const bool reported = runs[i].code == 0 || runs[i].code == gle_code_exit(GLE_EDIVERGED);
        metrics[i] = reported ? load(runs[i].dir) : NULL; /* of a run that failed it may be another one's */
        if (done && completed(metrics[i]))
            done[n_done++] = metrics[i];
        json_array_append_new(list, describe(&runs[i], metrics[i]));
    }
    json_object_set_new(out, "schema", json_integer(SCHEMA));
    json_object_set_new(out, "name", word_or_null(runs[0].exp->name));
    json_object_set_new(out, "variant", word_or_null(runs[0].exp->variant));
    json_object_set_new(out, "sweep", word_or_null(runs[0].exp->sweep.label));
    json_object_set_new(out, "completed", json_integer((json_int_t)n_done));
    json_object_set_new(out, "runs", list);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        json_object_set_new(out, parts[i], n_done ? combine_member(done, n_done, parts[i], 0) : json_null());
    if (!done)
        json_decref(out);
    gle_free(done);
    return done ? out : NULL;
}

/* NULL: no memory */
static json_t *summary(const struct gle_seed_run *runs, size_t n)
{
    json_t **metrics = gle_calloc(n, sizeof *metrics);
    json_t *root = metrics ? summarise(runs, n, metrics) : NULL;

    for (size_t i = 0; metrics && i < n; i++)
        json_decref(metrics[i]);
    gle_free(metrics);
    return root;
}

/* Takes root. begun: see gle_json_end(). */
static int write_summary(const char *dir, json_t *root, size_t begun, struct gle_error *err)
{
    char *text = gle_json_end(root, GLE_JSON_INDENT, begun);
    char path[4200];
    int rc;

    snprintf(path, sizeof path, "%s/summary.json", dir);
    rc = text ? 0 : gle_fail(err, GLE_ENOMEM, "no memory for the summary");
    rc = rc || gle_file_make_dirs(dir, err) || gle_file_write(path, text, strlen(text), err) ? -1 : 0;
    gle_free(text);
    return rc;
}

int gle_summary_write(const char *dir, const struct gle_seed_run *runs, size_t n, struct gle_error *err)
{
    const size_t begun = gle_json_begin();

    return write_summary(dir, summary(runs, n), begun, err);
}

int gle_summary_write_sweep(const char *dir, const struct gle_seed_run *runs, size_t n_points, size_t n,
                            struct gle_error *err)
{
    static const char *const details[] = {"schema", "name", "variant", "epochs", "phases", "evaluations",
                                          "parameters", "timing"};
    const size_t begun = gle_json_begin();
    json_t *root = json_object(), *points = json_array();

    json_object_set_new(root, "schema", json_integer(SCHEMA));
    json_object_set_new(root, "name", word_or_null(runs->exp->name));
    json_object_set_new(root, "variant", word_or_null(runs->exp->variant));
    json_object_set_new(root, "points", points);
    for (size_t p = 0; p < n_points; p++, runs += n) {
        json_t *point = summary(runs, n);
        for (size_t i = 0; i < sizeof details / sizeof *details; i++)
            json_object_del(point, details[i]);
        json_object_set_new(point, "values", gle_json_sweep(&runs->exp->sweep));
        json_array_append_new(points, point);
    }
    return write_summary(dir, root, begun, err);
}
