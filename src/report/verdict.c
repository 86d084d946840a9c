#include "report/verdict.h"
#include "base/file.h"
#include "config/claims.h"
#include "report/folder.h"
#include "report/json.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Reports have 15 digits, and a mean of such numbers is off by the last of them. */
static const double ROUNDING = 1e-13;

/* The member of an object whose key is the first n letters of a text; NULL: there is none. */
static json_t *member(json_t *at, const char *text, size_t n)
{
    char key[256];

    if (n >= sizeof key)
        return NULL;
    snprintf(key, sizeof key, "%.*s", (int)n, text);
    return json_object_get(at, key);
}

/* What stands at a path below `at`; NULL: nothing. Keys of a report may have dots. Borrowed. */
static json_t *find(json_t *at, const char *path)
{
    struct gle_claim_step step;
    long index;

    if (!*path)
        return at;
    if (gle_claim_step_take(&step, path))
        return NULL;
    if (!step.key) {
        index = step.index < 0 ? (long)json_array_size(at) + step.index : step.index;
        return index >= 0 && json_is_array(at) ? find(json_array_get(at, (size_t)index), step.rest) : NULL;
    }
    for (size_t len = step.len;; len += 1 + strcspn(path + len + 1, ".[")) {
        json_t *child = member(at, path, len), *found;
        const char *rest = path + len + (path[len] == '.');
        if (child && (found = find(child, rest)))
            return found;
        if (path[len] != '.')
            return NULL;
    }
}

static int none(struct gle_verdict *out, uint64_t seed, const char *why)
{
    snprintf(out->why, sizeof out->why, "the run of seed %llu %s", (unsigned long long)seed, why);
    return -1;
}

/* The number that the run of a seed has. */
static int take_number(struct gle_verdict *out, double *number, const struct gle_claim *claim, uint64_t seed,
                       json_t *report)
{
    json_t *there = find(report, claim->path);

    if (!there)
        return none(out, seed, "has no such number");
    if (json_is_null(there))
        return none(out, seed, "has null there");
    if (!json_is_number(there))
        return none(out, seed, "has no number there");
    *number = json_number_value(there);
    return 0;
}

static int take_weights(struct gle_verdict *out, const struct gle_seed_run *run, uint64_t seed, const json_t *report)
{
    const char *reported = json_string_value(json_object_get(report, "weights_sha256"));
    char path[GLE_REPORT_PATH];
    struct gle_error err = {0};

    snprintf(path, sizeof path, "%.4000s/weights.npz", run->dir);
    if (gle_file_sha256(out->sha256, path, GLE_EDATA, &err))
        return none(out, seed, "has no weights.npz that can be read");
    if (reported && strcmp(reported, out->sha256))
        return none(out, seed, "has another weights.npz than its report was written with");
    return 0;
}

/* Whether there is something to be found in the report of a run; adds a number to *sum. */
static int look(struct gle_verdict *out, double *sum, const struct gle_claim *claim, const struct gle_seed_run *run,
                uint64_t seed)
{
    json_t *report = gle_folder_report(run->dir);
    const char *status = report ? gle_folder_status(report, run->dir) : "";
    double number = 0.0;
    int rc = 0;

    if (!report)
        rc = none(out, seed, "has no report");
    else if (!strcmp(status, "diverged"))
        rc = none(out, seed, "diverged");
    else if (strcmp(status, "completed"))
        rc = none(out, seed, "has not come to its end");
    else
        rc = claim->weights ? take_weights(out, run, seed, report) : take_number(out, &number, claim, seed, report);
    *sum += number;
    json_decref(report);
    return rc;
}

void gle_verdict_find(struct gle_verdict *out, const struct gle_claim *claim,
                      const struct gle_seed_run *const *runs)
{
    double sum = 0.0;

    *out = (struct gle_verdict){.known = true};
    gle_json_begin();
    for (size_t i = 0; i < claim->n_seeds && out->known; i++)
        out->known = !look(out, &sum, claim, runs[i], claim->seeds[i]);
    if (!out->known)
        return;
    out->found = sum / (double)claim->n_seeds;
    out->holds = claim->weights ? !strcmp(claim->weights, out->sha256)
                                : fabs(out->found - claim->value) <= claim->tolerance + ROUNDING * fabs(claim->value);
}
