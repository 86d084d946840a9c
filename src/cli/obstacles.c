#include "cli/obstacles.h"
#include "cli/session.h"
#include "report/report.h"

#include <stdio.h>
#include <string.h>

enum obstacle { NONE, OTHER, BROKEN_OFF, THERE, AT_WORK, OBSTACLES };

/* What was found of them all. */
struct found {
    size_t n[OBSTACLES];
    char what[GLE_DIFFERENCE]; /* the first difference from another config */
};

static int look(enum obstacle *in_the_way, struct found *found, const struct gle_plan *plan, size_t i,
                struct gle_error *err)
{
    const struct gle_options *o = &plan->options;
    const bool kept = gle_session_keeps(o, plan->runs[i].exp);
    struct gle_report report = {.exp = plan->runs[i].exp, .lock = -1};
    char what[GLE_DIFFERENCE];
    enum gle_found there;

    snprintf(report.dir, sizeof report.dir, "%s", plan->runs[i].dir);
    *in_the_way = NONE;
    if (gle_report_find(&there, what, &report, err))
        return -1;
    if (there == GLE_FOUND_OTHER) {
        *in_the_way = OTHER;
        if (!found->what[0])
            snprintf(found->what, sizeof found->what, "%s", what);
    } else if (!o->resume && gle_report_is_held(report.dir)) { /* a run to be gone on with waits for it for a moment */
        *in_the_way = AT_WORK;
    } else if (there == GLE_FOUND_BROKEN_OFF && !o->resume) {
        *in_the_way = BROKEN_OFF;
    } else if ((there == GLE_FOUND_COMPLETED || there == GLE_FOUND_DIVERGED) && !kept) {
        *in_the_way = THERE;
    }
    return 0;
}

static size_t add(char *buf, size_t size, size_t at, size_t n, const char *one, const char *many)
{
    if (!n || at >= size)
        return at;
    return at + (size_t)snprintf(buf + at, size - at, "%s%zu %s", at ? ", " : "", n, n > 1 ? many : one);
}

/* The folder that all runs lie below. */
static void common_folder(char *dir, size_t size, const struct gle_plan *plan)
{
    snprintf(dir, size, "%s", plan->runs[0].dir);
    for (size_t i = 0; i < plan->n_runs;) {
        const size_t n = strlen(dir);
        if (!strncmp(plan->runs[i].dir, dir, n) && plan->runs[i].dir[n] == '/') {
            i++;
            continue;
        }
        if (!strrchr(dir, '/'))
            break;
        *strrchr(dir, '/') = '\0';
    }
}

static int refuse(const struct gle_plan *plan, const struct found *found, struct gle_error *err)
{
    const char *difference = found->what;
    const bool one = plan->n_runs == 1;
    char counts[256] = "", dir[sizeof plan->runs->dir], of[48] = "";
    size_t at = add(counts, sizeof counts, 0, found->n[OTHER], "holds another config", "hold another config");

    at = add(counts, sizeof counts, at, found->n[BROKEN_OFF], "was broken off", "were broken off");
    at = add(counts, sizeof counts, at, found->n[THERE], "is there already", "are there already");
    add(counts, sizeof counts, at, found->n[AT_WORK], "is being made by another process",
        "are being made by other processes");
    if (one) {
        snprintf(dir, sizeof dir, "%s", plan->runs[0].dir);
    } else {
        common_folder(dir, sizeof dir, plan);
        snprintf(of, sizeof of, ": of %zu runs", plan->n_runs);
    }
    return gle_fail(err, plan->options.resume ? GLE_EDATA : GLE_EWRITE,
                    "%.120s%s %s%s%.160s%s; %s--force replaces %s, --output puts %s elsewhere", dir, of,
                    counts + (one ? strlen("1 ") : 0), !difference[0] ? "" : one ? " (" : " (the first: ", difference,
                    difference[0] ? ")" : "",
                    found->n[BROKEN_OFF] && !found->n[OTHER] ? "--resume goes on with what was broken off, " : "",
                    found->n[OTHER] + found->n[BROKEN_OFF] + found->n[THERE] + found->n[AT_WORK] > 1 ? "them" : "it",
                    one ? "this one" : "these");
}

/* Summaries would be replaced by those of another config. */
static int check_summaries(const struct gle_plan *plan, struct gle_error *err)
{
    uint64_t seed;

    for (size_t i = 0; plan->options.n_seeds && i < plan->n_runs; i += plan->n_lists) {
        char dir[sizeof plan->runs->dir];
        snprintf(dir, sizeof dir, "%s", plan->runs[i].dir);
        *strrchr(dir, '/') = '\0';
        if (gle_summary_is_other(&seed, dir, plan->runs[i].exp))
            return gle_fail(err, GLE_EWRITE,
                            "%.200s/summary.json is of runs of another config, seed %llu among them; --force replaces "
                            "it, --output puts these runs elsewhere",
                            dir, (unsigned long long)seed);
    }
    return 0;
}

int gle_plan_check(const struct gle_plan *plan, struct gle_error *err)
{
    struct found found = {.what = ""};
    enum obstacle in_the_way;
    size_t n = 0;

    if (plan->options.force || (plan->n_runs == 1 && !plan->options.n_seeds))
        return 0;
    for (size_t i = 0; i < plan->n_runs; i++) {
        if (look(&in_the_way, &found, plan, i, err))
            return -1;
        found.n[in_the_way]++;
        n += in_the_way != NONE;
    }
    return n ? refuse(plan, &found, err) : check_summaries(plan, err);
}
