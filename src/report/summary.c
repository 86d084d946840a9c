#include "report/summary.h"
#include "base/file.h"
#include "base/memory.h"
#include "report/folder.h"
#include "report/json.h"
#include "report/tally.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { SCHEMA = 1, DIR_SIZE = sizeof((struct gle_seed_run *)0)->dir };

static const char *const parts[] = {"epochs", "phases", "evaluations", "final", "best", "stopped_early", "parameters",
                                    "timing"};
enum { EPOCHS, STOPPED_EARLY = 5, N_PARTS = sizeof parts / sizeof *parts, DIAGNOSTICS = N_PARTS, N_TALLIES };

static json_t *word_or_null(const char *word)
{
    json_t *out = word && word[0] ? json_string(word) : NULL; /* NULL also where it is no UTF-8 */

    return out ? out : json_null();
}

/* --- runs of several seeds --- */

/* A summary in the making. */
struct making {
    const char *dir;
    const struct gle_experiment *exp; /* of the first run */
    json_t *same; /* config and data set: what is not of these is left out */
    bool came;    /* they are those of a run that the command has come to a report of; if not, the config is its own */
    struct gle_tally *tallies[N_TALLIES]; /* of the parts; of what comparisons with exact gradients found */
    json_t *runs, *left_out;
    size_t n_completed, n_more;
};

/* Whether the command has made the run, or found it made. */
static bool came_to_report(const struct gle_seed_run *run)
{
    return run->code == 0 || run->code == gle_code_exit(GLE_EDIVERGED);
}

/* Config and data set of the first run that has come to a report. */
static void find_reference(struct making *m, const struct gle_seed_run *runs, size_t n)
{
    m->same = json_object();
    for (size_t i = 0; i < n && !m->came; i++) {
        json_t *report = came_to_report(&runs[i]) ? gle_folder_report(runs[i].dir) : NULL;
        m->came = report != NULL;
        json_object_set(m->same, "config", json_object_get(report, "config"));
        json_object_set(m->same, "dataset", json_object_get(report, "dataset"));
        json_object_set(m->same, "init", json_object_get(report, "init"));
        json_object_set(m->same, "sweep", json_object_get(report, "sweep"));
        json_decref(report);
    }
    if (!m->came)
        json_object_set_new(m->same, "config", gle_json_config(runs->exp, runs->dir));
}

/* Why a report is not one of those that the summary is of; NULL: it is. */
static const char *why_not(const struct making *m, const json_t *report)
{
    if (!gle_folder_same_config(json_object_get(report, "config"), json_object_get(m->same, "config"), m->exp))
        return "another config";
    return gle_folder_same_data(report, m->same, m->exp) ? NULL : "other data";
}

static int count_in(struct making *m, json_t *report, struct gle_error *err)
{
    json_t *comparisons = json_object_get(json_object_get(report, "diagnostics"), "comparisons"), *comparison;
    size_t k;

    for (size_t i = 0; i < N_PARTS; i++)
        if (gle_tally_add(m->tallies[i], json_object_get(report, parts[i]), err))
            return -1;
    json_array_foreach (comparisons, k, comparison)
        if (gle_tally_add(m->tallies[DIAGNOSTICS], json_object_get(comparison, "layers"), err))
            return -1;
    m->n_completed++;
    return 0;
}

/* run NULL: the command has not named it. */
static void describe(const struct making *m, uint64_t seed, const struct gle_seed_run *run, const char *status,
                     const char *dir)
{
    const bool begun = run && run->code >= 0;
    json_t *out = json_object();

    json_object_set_new(out, "seed", json_integer((json_int_t)seed));
    json_object_set_new(out, "status", word_or_null(status));
    json_object_set_new(out, "exit_code", begun ? json_integer(run->code) : json_null());
    json_object_set_new(out, "message", word_or_null(run ? run->message : NULL));
    json_object_set_new(out, "directory", word_or_null(dir));
    json_array_append_new(m->runs, out);
}

/* A run that the command has named. What it has left alone may lie there all the same, of the same kind and whole. */
static int add_named(struct making *m, const struct gle_seed_run *run, struct gle_error *err)
{
    json_t *report = gle_folder_report(run->dir);
    const char *status = report && !why_not(m, report) ? gle_folder_status(report, run->dir) : "";
    const bool completed = !strcmp(status, "completed");
    const int rc = completed ? count_in(m, report, err) : 0;

    if (!completed && !came_to_report(run))
        status = run->code < 0 ? "not begun" : "failed";
    describe(m, run->exp->seed, run, status[0] ? status : "failed", run->dir);
    json_decref(report);
    return rc;
}

/* One that lies there. */
static int add_found(struct making *m, uint64_t seed, struct gle_error *err)
{
    char dir[DIR_SIZE];
    const char *why, *status;
    json_t *report;
    int rc = 0;

    snprintf(dir, sizeof dir, "%.4000s/seed_%llu", m->dir, (unsigned long long)seed);
    report = gle_folder_report(dir);
    if (!report)
        return 0;
    why = why_not(m, report);
    status = gle_folder_status(report, dir);
    if (why) {
        json_t *out = json_object();
        json_object_set_new(out, "seed", json_integer((json_int_t)seed));
        json_object_set_new(out, "status", word_or_null(status));
        json_object_set_new(out, "directory", word_or_null(dir));
        json_object_set_new(out, "why", word_or_null(why));
        json_array_append_new(m->left_out, out);
    } else {
        rc = strcmp(status, "completed") ? 0 : count_in(m, report, err);
        describe(m, seed, NULL, status, dir);
        m->n_more++;
    }
    json_decref(report);
    return rc;
}

static int add_all(struct making *m, const struct gle_seed_run *runs, size_t n, struct gle_error *err)
{
    uint64_t *seeds;
    size_t n_seeds;
    int rc = 0;

    for (size_t i = 0; i < n && !rc; i++)
        rc = add_named(m, &runs[i], err);
    if (rc || gle_folder_seeds(&seeds, &n_seeds, m->dir, err))
        return -1;
    for (size_t k = 0; k < n_seeds && !rc; k++) {
        bool named = false;
        for (size_t i = 0; i < n && !named; i++)
            named = runs[i].exp->seed == seeds[k];
        rc = named ? 0 : add_found(m, seeds[k], err);
    }
    gle_free(seeds);
    return rc;
}

/* Each says over how many runs it is: some may have stopped before. */
static json_t *epochs_of(const struct gle_tally *tally)
{
    json_t *out = gle_tally_json(tally), *epoch;
    size_t i;

    json_array_foreach (out, i, epoch)
        json_object_set_new(epoch, "runs", json_integer((json_int_t)gle_tally_had(tally, i)));
    return out;
}

static json_t *assemble(const struct making *m)
{
    json_t *out = json_object();

    json_object_set_new(out, "schema", json_integer(SCHEMA));
    json_object_set_new(out, "name", word_or_null(m->exp->name));
    json_object_set_new(out, "variant", word_or_null(m->exp->variant));
    json_object_set_new(out, "sweep", word_or_null(m->exp->sweep.label));
    json_object_set_new(out, "completed", json_integer((json_int_t)m->n_completed));
    json_object_set(out, "runs", m->runs);
    json_object_set(out, "left_out", m->left_out);
    for (size_t i = 0; i < N_PARTS; i++)
        if (i != STOPPED_EARLY || m->exp->stop.metric)
            json_object_set_new(out, parts[i], i == EPOCHS ? epochs_of(m->tallies[i]) : gle_tally_json(m->tallies[i]));
    json_object_set_new(out, "diagnostics", gle_tally_json(m->tallies[DIAGNOSTICS]));
    return out;
}

/* The summary of the runs named, in dir, and of those beside them. Owns: *out, the caller. */
static int summarise(json_t **out, struct gle_summary *came, struct making *m, const struct gle_seed_run *runs,
                     size_t n, struct gle_error *err)
{
    int rc = 0;

    *out = NULL;
    m->runs = json_array();
    m->left_out = json_array();
    for (size_t i = 0; i < N_TALLIES && !rc; i++) {
        m->tallies[i] = gle_tally_create();
        rc = m->tallies[i] ? 0 : gle_fail(err, GLE_ENOMEM, "no memory for the summary");
    }
    rc = rc ? rc : add_all(m, runs, n, err);
    if (!rc)
        *out = assemble(m);
    came->n_more += m->n_more;
    came->n_left_out += json_array_size(m->left_out);
    for (size_t i = 0; i < N_TALLIES; i++)
        gle_tally_destroy(m->tallies[i]);
    json_decref(m->runs);
    json_decref(m->left_out);
    return rc;
}

static bool is_completed(const json_t *run)
{
    const char *status = json_string_value(json_object_get(run, "status"));

    return status && !strcmp(status, "completed");
}

enum { SEED_SIZE = 24 };

static const char *name_seed(char name[SEED_SIZE], const json_t *run)
{
    snprintf(name, SEED_SIZE, "seed_%llu", (unsigned long long)json_integer_value(json_object_get(run, "seed")));
    return name;
}

/* Whether `old`, the summary in dir or a point of one, counts a run as completed that still lies there so, and that the
 * new one would not count. */
static bool loses_runs(const char *dir, const json_t *old, const json_t *new)
{
    json_t *counted = json_object(), *run;
    char name[SEED_SIZE], path[DIR_SIZE];
    bool loses = false;
    size_t i;

    json_array_foreach (json_object_get(new, "runs"), i, run)
        if (is_completed(run))
            json_object_set_new(counted, name_seed(name, run), json_true());
    json_array_foreach (json_object_get(old, "runs"), i, run)
        if (!loses && is_completed(run) && !json_object_get(counted, name_seed(name, run))) {
            json_t *report;
            snprintf(path, sizeof path, "%.4000s/%s", dir, name);
            report = gle_folder_report(path);
            loses = is_completed(report);
            json_decref(report);
        }
    json_decref(counted);
    return loses;
}

/* Takes root. begun: see gle_json_end(). */
static int write_summary(const char *dir, json_t *root, size_t begun, struct gle_error *err)
{
    char *text = gle_json_end(root, GLE_JSON_INDENT, begun);
    char path[GLE_REPORT_PATH];
    int rc;

    snprintf(path, sizeof path, "%.4000s/summary.json", dir);
    rc = text ? 0 : gle_fail(err, GLE_ENOMEM, "no memory for the summary");
    rc = rc || gle_file_make_dirs(dir, err) || gle_file_write(path, text, strlen(text), err) ? -1 : 0;
    gle_free(text);
    return rc;
}

static bool has_summary(const char *dir)
{
    char path[GLE_REPORT_PATH];
    struct stat st;

    snprintf(path, sizeof path, "%.4000s/summary.json", dir);
    return !stat(path, &st);
}

int gle_summary_write(struct gle_summary *out, const char *dir, const struct gle_seed_run *runs, size_t n,
                      bool replaces, struct gle_error *err)
{
    const size_t begun = gle_json_begin();
    struct making m = {.dir = dir, .exp = runs->exp};
    json_t *root = NULL, *old = gle_folder_summary(dir);
    int rc = 0;

    find_reference(&m, runs, n);
    *out = (struct gle_summary){.written = m.came || !has_summary(dir)};
    if (out->written)
        rc = summarise(&root, out, &m, runs, n, err);
    out->was_richer = root && !replaces && loses_runs(dir, old, root);
    out->written = out->written && !out->was_richer;
    if (!rc && out->written)
        rc = write_summary(dir, json_incref(root), begun, err);
    json_decref(root);
    json_decref(old);
    json_decref(m.same);
    return rc;
}

/* What the completed run of a seed in dir is of. made: "dataset" and "init" as a report has them. */
static enum gle_summary_of find_one(const char *dir, uint64_t seed, const struct gle_experiment *exp,
                                    const json_t *made)
{
    enum gle_summary_of of = GLE_SUMMARY_OF_SAME;
    char path[DIR_SIZE];
    json_t *report, *config;

    snprintf(path, sizeof path, "%.4000s/seed_%llu", dir, (unsigned long long)seed);
    report = gle_folder_report(path);
    config = report ? gle_json_config(exp, path) : NULL; /* with paths as they are from that folder */
    if (!report)
        of = GLE_SUMMARY_OF_NONE;
    else if (!gle_folder_same_config(json_object_get(report, "config"), config, exp))
        of = GLE_SUMMARY_OF_OTHER_CONFIG;
    else if (made && !gle_folder_same_data(report, made, exp))
        of = GLE_SUMMARY_OF_OTHER_DATA;
    json_decref(report);
    json_decref(config);
    return of;
}

enum gle_summary_of gle_summary_find(uint64_t *seed, const char *dir, const struct gle_experiment *exp,
                                     const struct gle_inputs *inputs)
{
    enum gle_summary_of of = GLE_SUMMARY_OF_NONE;
    json_t *summary, *runs, *run, *made;
    size_t i;

    gle_json_begin();
    made = inputs ? gle_json_inputs(inputs) : NULL;
    summary = gle_folder_summary(dir);
    runs = json_object_get(summary, "runs");
    json_array_foreach (runs, i, run) {
        enum gle_summary_of one;
        if (of > GLE_SUMMARY_OF_SAME || !is_completed(run))
            continue;
        *seed = (uint64_t)json_integer_value(json_object_get(run, "seed"));
        one = find_one(dir, *seed, exp, made);
        of = one > of ? one : of;
    }
    json_decref(summary);
    json_decref(made);
    return of;
}

/* --- sweeps --- */

/* Values of the swept keys as the runs had them; where the config that they ran with has no such place, as the command
 * has them. */
static json_t *values_of(const struct making *m)
{
    json_t *values = gle_json_sweep(&m->exp->sweep), *config = json_object_get(m->same, "config");

    for (size_t i = 0; i < m->exp->sweep.n; i++) {
        json_t *value = gle_folder_value(config, m->exp->sweep.values[i].key);
        if (value)
            json_object_set(values, m->exp->sweep.values[i].key, value);
    }
    return values;
}

static json_t *point_of(json_t *points, const char *label)
{
    json_t *point;
    size_t i;

    json_array_foreach (points, i, point) {
        const char *its = json_string_value(json_object_get(point, "sweep"));
        if (its && !strcmp(its, label))
            return point;
    }
    return NULL;
}

/* The point of n runs; the one that was there before, if none of them has come to a report. */
static int add_point(json_t *points, struct gle_summary *out, struct making *m, const struct gle_seed_run *runs,
                     size_t n, json_t *before, bool replaces, struct gle_error *err)
{
    static const char *const details[] = {"schema", "name", "variant", "epochs", "phases", "evaluations",
                                          "parameters", "timing"};
    json_t *old = point_of(before, m->exp->sweep.label), *point;

    if (old && !m->came) {
        json_array_append(points, old);
        return 0;
    }
    if (summarise(&point, out, m, runs, n, err))
        return -1;
    if (old && !replaces && loses_runs(m->dir, old, point)) {
        json_decref(point);
        json_array_append(points, old);
        return 0;
    }
    for (size_t i = 0; i < sizeof details / sizeof *details; i++)
        json_object_del(point, details[i]);
    json_object_set_new(point, "values", values_of(m));
    json_array_append_new(points, point);
    return 0;
}

/* A report of a run of the point in dir. Owns: the caller. NULL: there is none. */
static json_t *report_of_point(const char *dir)
{
    struct gle_error unread = {0};
    char path[DIR_SIZE];
    uint64_t *seeds;
    size_t n;
    json_t *report = NULL;

    if (gle_folder_seeds(&seeds, &n, dir, &unread))
        return NULL;
    for (size_t i = 0; i < n && !report; i++) {
        snprintf(path, sizeof path, "%.4000s/seed_%llu", dir, (unsigned long long)seeds[i]);
        report = gle_folder_report(path);
    }
    gle_free(seeds);
    return report;
}

/* Points of the summary that was there, which this command does not name. */
static void keep_points(json_t *points, json_t *others, struct gle_summary *out, const char *dir, json_t *before,
                        const json_t *same, const struct gle_experiment *exp)
{
    json_t *old;
    size_t i;

    json_array_foreach (before, i, old) {
        const char *label = json_string_value(json_object_get(old, "sweep"));
        char path[DIR_SIZE];
        json_t *report;
        bool fits;

        if (!label || point_of(points, label))
            continue;
        snprintf(path, sizeof path, "%.3800s/%.200s", dir, label);
        report = report_of_point(path);
        if (!report) /* it has been taken away */
            continue;
        fits = !same || (!gle_folder_changed_data(report, same, exp) &&
                         gle_folder_same_base(json_object_get(report, "config"), json_object_get(same, "config"), exp,
                                              json_object_get(report, "sweep"), json_object_get(same, "sweep")));
        json_array_append(fits ? points : others, old);
        out->n_left_out += !fits;
        json_decref(report);
    }
}

int gle_summary_write_sweep(struct gle_summary *out, const char *dir, const struct gle_summary_point *named, size_t n,
                            bool replaces, struct gle_error *err)
{
    const size_t begun = gle_json_begin();
    const struct gle_experiment *exp = named->runs->exp;
    json_t *root = json_object(), *points = json_array(), *others = json_array(), *same = NULL;
    json_t *summary = gle_folder_summary(dir), *before = json_object_get(summary, "points");
    int rc = 0;

    *out = (struct gle_summary){0};
    json_object_set_new(root, "schema", json_integer(SCHEMA));
    json_object_set_new(root, "name", word_or_null(exp->name));
    json_object_set_new(root, "variant", word_or_null(exp->variant));
    json_object_set_new(root, "points", points);
    json_object_set_new(root, "others", others);
    for (size_t p = 0; p < n && !rc; p++) {
        const struct gle_seed_run *runs = named[p].runs;
        char of_point[DIR_SIZE];
        struct making m = {.dir = of_point, .exp = runs->exp};
        snprintf(of_point, sizeof of_point, "%.3800s/%.200s", dir, runs->exp->sweep.label);
        find_reference(&m, runs, named[p].n);
        rc = add_point(points, out, &m, runs, named[p].n, before, replaces, err);
        if (!same && m.came)
            same = json_incref(m.same);
        json_decref(m.same);
    }
    out->written = same || !has_summary(dir);
    if (!rc && out->written) {
        keep_points(points, others, out, dir, before, same, exp);
        keep_points(points, others, out, dir, json_object_get(summary, "others"), same, exp);
        rc = write_summary(dir, json_incref(root), begun, err);
    }
    json_decref(root);
    json_decref(same);
    json_decref(summary);
    return rc;
}
