#include "cli/obstacles.h"
#include "base/file.h"
#include "base/memory.h"
#include "cli/session.h"
#include "report/checkpoint.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum obstacle { NONE, OTHER, OTHER_DATA, BROKEN_OFF, THERE, AT_WORK, OBSTACLES };

/* What was found of them all. */
struct found {
    size_t n[OBSTACLES];
    size_t all;
    char what[GLE_DIFFERENCE]; /* the first difference from another config or other data */
};

static void add_found(struct found *found, enum obstacle in_the_way, const char *what)
{
    found->n[in_the_way]++;
    found->all += in_the_way != NONE;
    if (!found->what[0])
        snprintf(found->what, sizeof found->what, "%s", what);
}

/* *stays: the run is there, by the same config, and is to be kept, or gone on with. */
static int look(struct found *found, bool *stays, const struct gle_plan *plan, size_t i, struct gle_error *err)
{
    const struct gle_options *o = &plan->options;
    const bool kept = gle_session_keeps(o, plan->runs[i].exp);
    struct gle_report report = gle_report_of(plan->runs[i].exp);
    enum obstacle in_the_way = NONE;
    char what[GLE_DIFFERENCE];
    enum gle_found there;

    snprintf(report.dir, sizeof report.dir, "%s", plan->runs[i].dir);
    report.anywhere = o->anywhere;
    if (gle_report_find(&there, what, &report, err))
        return -1;
    if (there == GLE_FOUND_OTHER) {
        in_the_way = OTHER;
    } else if (!o->resume && gle_report_is_held(report.dir)) { /* a run to be gone on with waits for it for a moment */
        in_the_way = AT_WORK;
    } else if (there == GLE_FOUND_BROKEN_OFF && !o->resume) {
        in_the_way = BROKEN_OFF;
    } else if ((there == GLE_FOUND_COMPLETED || there == GLE_FOUND_DIVERGED) && !kept) {
        in_the_way = THERE;
    }
    *stays = in_the_way == NONE && there != GLE_FOUND_NOTHING;
    add_found(found, in_the_way, what);
    return 0;
}

/* The same of a run that stays, by what it was made from. */
static int look_at_data(struct found *found, const struct gle_plan *plan, size_t i, struct gle_error *err)
{
    const struct gle_inputs *inputs = gle_origins_of(&plan->origins, i);
    struct gle_report report = gle_report_of(plan->runs[i].exp);
    char what[GLE_DIFFERENCE], path[GLE_REPORT_PATH];
    struct stat st;

    snprintf(report.dir, sizeof report.dir, "%s", plan->runs[i].dir);
    gle_report_path(path, &report, "metrics.json");
    if (!stat(path, &st))
        gle_report_other_inputs(what, &report, inputs);
    else if (gle_checkpoint_other_inputs(what, &report, inputs, err))
        return -1;
    add_found(found, what[0] ? OTHER_DATA : NONE, what);
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

    at = add(counts, sizeof counts, at, found->n[OTHER_DATA], "was made from other data", "were made from other data");
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
                    "%.120s%s %s%s%.160s%s; %s%s--force replaces %s, --output puts %s elsewhere", dir, of,
                    counts + (one ? strlen("1 ") : 0), !difference[0] ? "" : one ? " (" : " (the first: ", difference,
                    difference[0] ? ")" : "",
                    found->n[BROKEN_OFF] && !found->n[OTHER] ? "--resume goes on with what was broken off, " : "",
                    plan->options.resume && gle_report_differs_in_backend(difference)
                        ? "--anywhere goes on with runs of another backend, " : "",
                    found->all > 1 ? "them" : "it", one ? "this one" : "these");
}

/* --- summaries --- */

/* The folder of the summary of run i and of the other seeds beside it. */
static void summary_folder(char *dir, size_t size, const struct gle_plan *plan, size_t i)
{
    snprintf(dir, size, "%s", plan->runs[i].dir);
    *strrchr(dir, '/') = '\0';
}

/* Something else than a file in place of a summary would be found when all runs are over. */
static int check_file(const char *dir, struct gle_error *err)
{
    char path[sizeof((struct gle_seed_run *)0)->dir + 32];
    const char *kind;

    snprintf(path, sizeof path, "%s/summary.json", dir);
    kind = gle_file_kind(path);
    return kind ? gle_fail(err, GLE_EWRITE,
                           "%.300s is %s, not a file: remove it, or put these runs elsewhere by --output", path, kind)
                : 0;
}

/* Summaries would be replaced by those of another config, or of other data, as far as somebody has looked at these.
 * there: (n_runs), set where a summary is, at its first run; NULL: nobody wants to know. */
static int check_summaries(bool *there, const struct gle_plan *plan, struct gle_error *err)
{
    char dir[sizeof plan->runs->dir];
    uint64_t seed;

    for (size_t i = 0; plan->options.n_seeds && i < plan->n_runs; i += plan->n_lists) {
        const struct gle_inputs *inputs = gle_origins_of(&plan->origins, i);
        enum gle_summary_of of;
        summary_folder(dir, sizeof dir, plan, i);
        if (check_file(dir, err))
            return -1;
        of = gle_summary_find(&seed, dir, plan->runs[i].exp, inputs);
        if (there && of != GLE_SUMMARY_OF_NONE)
            there[i] = true;
        if (of == GLE_SUMMARY_OF_OTHER_CONFIG || of == GLE_SUMMARY_OF_OTHER_DATA)
            return gle_fail(err, GLE_EWRITE,
                            "%.200s/summary.json is of runs %s, seed %llu among them; --force replaces it, --output "
                            "puts these runs elsewhere",
                            dir, of == GLE_SUMMARY_OF_OTHER_CONFIG ? "of another config" : "on other data",
                            (unsigned long long)seed);
    }
    return 0;
}

/* --- all of them --- */

static int find_origins(struct gle_plan *plan, const bool *wanted, size_t processors, struct gle_error *err)
{
    const struct gle_session_how how = {.options = &plan->options, .command = plan->command, .threads = processors,
                                        .progress = -1, .stop = plan->stop};

    return gle_origins_find(&plan->origins, plan->runs, plan->n_runs, wanted, &how, err);
}

/* What can be told without opening any data comes first. stays, wanted: (n_runs), false. */
static int check(struct gle_plan *plan, bool *stays, bool *wanted, size_t processors, struct gle_error *err)
{
    struct found found = {.all = 0};

    for (size_t i = 0; i < plan->n_runs; i++)
        if (look(&found, &stays[i], plan, i, err))
            return -1;
    if (found.all)
        return refuse(plan, &found, err);
    memcpy(wanted, stays, plan->n_runs * sizeof *stays);
    if (check_summaries(wanted, plan, err) || find_origins(plan, wanted, processors, err))
        return -1;
    for (size_t i = 0; i < plan->n_runs; i++)
        if (stays[i] && look_at_data(&found, plan, i, err))
            return -1;
    return found.all ? refuse(plan, &found, err) : check_summaries(NULL, plan, err);
}

int gle_plan_check(struct gle_plan *plan, size_t processors, struct gle_error *err)
{
    const bool alone = plan->n_runs == 1 && !plan->options.n_seeds && !plan->runs[0].exp->sweep.label;
    bool *stays, *wanted;
    int rc;

    if (plan->options.force || alone)
        return 0;
    stays = gle_calloc(plan->n_runs, sizeof *stays);
    wanted = gle_calloc(plan->n_runs, sizeof *wanted);
    rc = stays && wanted ? check(plan, stays, wanted, processors, err)
                         : gle_fail(err, GLE_ENOMEM, "no memory for the runs");
    gle_free(stays);
    gle_free(wanted);
    return rc;
}
