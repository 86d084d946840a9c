#include "cli/verify.h"
#include "base/memory.h"
#include "base/text.h"
#include "cli/again.h"
#include "cli/limits.h"
#include "cli/many.h"
#include "cli/notes.h"
#include "cli/obstacles.h"
#include "cli/show.h"
#include "cli/trouble.h"
#include "config/claims.h"
#include "report/verdict.h"
#include "yaml/node.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* The claims of a file, and the runs that they are of. */
struct verify {
    const struct gle_options *options;
    const char *path, *command;
    const volatile sig_atomic_t *stop;
    struct gle_plan file;   /* of all runs of the file, none of which is made: what is claimed */
    struct gle_plan *plans; /* (n): of a variant and a point of which something is claimed, with all seeds of that */
    uint64_t **seeds;       /* (n), of (plans[].options.n_seeds), */
    const char **variants, **points; /* (n): which the options of plans point at */
    size_t n;
    size_t n_claims, n_held;
    bool fails; /* a claim does not hold */
};

/* --- what is to be run --- */

static bool has_seed(const uint64_t *seeds, size_t n, uint64_t seed)
{
    for (size_t i = 0; i < n; i++)
        if (seeds[i] == seed)
            return true;
    return false;
}

static int by_size(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

/* All seeds that some claim of exp names, in their order. Owns: *seeds, also after an error. */
static int collect_seeds(uint64_t **seeds, size_t *n, const struct gle_experiment *exp, struct gle_error *err)
{
    size_t most = 0;

    *n = 0;
    for (size_t i = 0; i < exp->n_claims; i++)
        most += gle_claim_concerns(&exp->claims[i], exp) ? exp->claims[i].n_seeds : 0;
    *seeds = gle_calloc(most ? most : 1, sizeof **seeds);
    if (!*seeds)
        return gle_fail(err, GLE_ENOMEM, "no memory for the seeds of claims");
    for (size_t i = 0; i < exp->n_claims; i++)
        for (size_t k = 0; gle_claim_concerns(&exp->claims[i], exp) && k < exp->claims[i].n_seeds; k++)
            if (!has_seed(*seeds, *n, exp->claims[i].seeds[k]))
                (*seeds)[(*n)++] = exp->claims[i].seeds[k];
    qsort(*seeds, *n, sizeof **seeds, by_size);
    return 0;
}

/* The plan of what is claimed of exp. */
static int add_plan(struct verify *v, const struct gle_doc *doc, const struct gle_experiment *exp,
                    struct gle_errors *errs)
{
    struct gle_plan *plan = &v->plans[v->n];
    struct gle_error err = {0};
    size_t n_seeds;

    if (collect_seeds(&v->seeds[v->n], &n_seeds, exp, &err))
        return gle_errors_add(errs, &err);
    if (!n_seeds) {
        gle_free(v->seeds[v->n]);
        return 0;
    }
    *plan = (struct gle_plan){.options = *v->options, .command = v->command, .stop = v->stop};
    plan->options.action = GLE_RUN;
    plan->options.seeds = v->seeds[v->n];
    plan->options.n_seeds = n_seeds;
    v->variants[v->n] = exp->variant;
    v->points[v->n] = exp->sweep.label;
    plan->options.variants = &v->variants[v->n];
    plan->options.n_variants = exp->variant != NULL;
    plan->options.points = &v->points[v->n];
    plan->options.n_points = exp->sweep.label != NULL;
    v->n++;
    return gle_plan_build(plan, doc, errs);
}

static int no_claims(const struct verify *v, struct gle_errors *errs)
{
    const struct gle_experiment *exp = v->file.lists[0].item[0];

    return gle_node_error(errs, GLE_EUSAGE, exp->src, NULL,
                          exp->n_claims ? "none of its claims is of the runs that are chosen here"
                                        : "nothing is claimed: it has no section 'expect'");
}

static int plan_all(struct verify *v, const struct gle_doc *doc, struct gle_errors *errs)
{
    v->file = (struct gle_plan){.options = *v->options, .command = v->command, .stop = v->stop};
    if (gle_plan_build(&v->file, doc, errs))
        return -1;
    v->plans = gle_calloc(v->file.n_runs, sizeof *v->plans);
    v->seeds = gle_calloc(v->file.n_runs, sizeof *v->seeds);
    v->variants = gle_calloc(v->file.n_runs, sizeof *v->variants);
    v->points = gle_calloc(v->file.n_runs, sizeof *v->points);
    if (!v->plans || !v->seeds || !v->variants || !v->points)
        return gle_node_error(errs, GLE_ENOMEM, NULL, NULL, "no memory for the runs");
    for (size_t i = 0; i < v->file.n_runs; i++)
        if (add_plan(v, doc, v->file.runs[i].exp, errs))
            return -1;
    return v->n ? 0 : no_claims(v, errs);
}

static void clear(struct verify *v)
{
    for (size_t i = 0; i < v->n; i++) {
        gle_plan_clear(&v->plans[i]);
        gle_free(v->seeds[i]);
    }
    gle_free(v->plans);
    gle_free((void *)v->seeds);
    gle_free((void *)v->variants);
    gle_free((void *)v->points);
    gle_plan_clear(&v->file);
}

/* *code: of the first run that failed. */
static int run_all(int *code, struct verify *v, struct gle_error *err)
{
    struct gle_comm alone = gle_comm_alone();
    size_t processors;

    if (gle_limits_processors(&processors, err))
        return -1;
    for (size_t i = 0; i < v->n; i++)
        if (gle_plan_place(&v->plans[i], err) || gle_plan_check(&v->plans[i], processors, err))
            return -1;
    if (!v->options->quiet) {
        gle_notes_print_settings(&v->file.lists[0]);
        gle_trouble_warn(&v->file.lists[0]);
    }
    return gle_plans_run(code, v->plans, v->n, processors, &alone, err);
}

/* --- what came of it --- */

static void print_name(const struct gle_experiment *exp, const struct gle_claim *claim)
{
    const struct gle_node *seeds = gle_node_get(claim->src, "seeds");

    printf("%s%s%s%s%s: %s, seed", exp->name, exp->variant ? " " : "", exp->variant ? exp->variant : "",
           exp->sweep.label ? " " : "", exp->sweep.label ? exp->sweep.label : "",
           claim->path ? claim->path : "weights");
    if (seeds)
        printf("s %s: ", seeds->text);
    else
        printf(" %llu: ", (unsigned long long)claim->seeds[0]);
}

static void print_verdict(const struct gle_experiment *exp, const struct gle_claim *claim,
                          const struct gle_verdict *verdict)
{
    char found[32], value[32], tolerance[32], mean[48] = "";

    print_name(exp, claim);
    fputs(verdict->holds ? "holds: " : "does not hold: ", stdout);
    snprintf(found, sizeof found, "%.15g", verdict->found); /* as reports have it */
    if (claim->n_seeds > 1)
        snprintf(mean, sizeof mean, ", the mean of %zu runs", claim->n_seeds);
    if (!verdict->known)
        printf("%s", verdict->why);
    else
        printf("%s found%s", claim->weights ? verdict->sha256 : found, mean);
    if (claim->weights) {
        printf("; %s claimed\n", claim->weights);
        return;
    }
    gle_text_from_real(value, sizeof value, claim->value);
    gle_text_from_real(tolerance, sizeof tolerance, claim->tolerance);
    printf("; %s claimed, tolerance %s\n", value, tolerance);
}

/* The run of a seed; one of each that a claim names is there. */
static const struct gle_seed_run *find_run(const struct gle_plan *plan, uint64_t seed)
{
    size_t i = 0;

    while (plan->runs[i].exp->seed != seed)
        i++;
    return &plan->runs[i];
}

/* A run that failed otherwise than by what it computes tells nothing. */
static bool has_ended(const struct gle_seed_run *run)
{
    return !run->code || run->code == gle_code_exit(GLE_EDIVERGED);
}

static int judge(struct verify *v, const struct gle_plan *plan, const struct gle_claim *claim, struct gle_error *err)
{
    const struct gle_seed_run **runs = gle_calloc(claim->n_seeds, sizeof *runs);
    const struct gle_experiment *exp = plan->runs[0].exp;
    const struct gle_seed_run *failed = NULL;
    struct gle_verdict verdict;

    if (!runs)
        return gle_fail(err, GLE_ENOMEM, "no memory for a claim");
    for (size_t i = 0; i < claim->n_seeds; i++) {
        runs[i] = find_run(plan, claim->seeds[i]);
        failed = failed || has_ended(runs[i]) ? failed : runs[i];
    }
    v->n_claims++;
    if (failed) {
        print_name(exp, claim);
        printf("nobody can tell: the run of seed %llu failed\n", (unsigned long long)failed->exp->seed);
    } else {
        gle_verdict_find(&verdict, claim, runs);
        v->n_held += verdict.holds;
        v->fails = v->fails || !verdict.holds;
        if (!v->options->quiet || !verdict.holds)
            print_verdict(exp, claim, &verdict);
    }
    gle_free((void *)runs);
    return 0;
}

static int judge_all(struct verify *v, struct gle_error *err)
{
    for (size_t p = 0; p < v->n; p++) {
        const struct gle_experiment *exp = v->plans[p].runs[0].exp;
        for (size_t i = 0; i < exp->n_claims; i++)
            if (gle_claim_concerns(&exp->claims[i], exp) && judge(v, &v->plans[p], &exp->claims[i], err))
                return -1;
    }
    if (!v->options->quiet)
        printf("%s: %zu of %zu claim%s hold%s\n", v->path, v->n_held, v->n_claims, v->n_claims > 1 ? "s" : "",
               v->n_claims > 1 ? "" : "s");
    return 0;
}

/* A claim that does not hold, since its run diverged, is no failure of the run. */
static int verify_file(struct verify *v, const struct gle_doc *doc)
{
    struct gle_errors errs = {0};
    struct gle_error err = {0};
    int code = 0;

    if (plan_all(v, doc, &errs))
        return gle_show_errors(&errs);
    if (run_all(&code, v, &err))
        return gle_show_error(stderr, &err);
    if (*v->stop)
        return code;
    if (judge_all(v, &err))
        return gle_show_error(stderr, &err);
    for (size_t p = 0; p < v->n; p++)
        for (size_t i = 0; i < v->plans[p].n_runs; i++)
            if (!has_ended(&v->plans[p].runs[i]))
                return v->plans[p].runs[i].code > 0 ? v->plans[p].runs[i].code : gle_code_exit(GLE_ENOMEM);
    return v->fails ? gle_code_exit(GLE_ECLAIM) : 0;
}

static int verify_config(const struct gle_options *o, const char *path, const char *command,
                         const volatile sig_atomic_t *stop)
{
    struct verify v = {.options = o, .path = path, .command = command, .stop = stop};
    struct gle_errors errs = {0};
    struct gle_doc *doc;
    int code;

    if (gle_doc_load(&doc, path, &errs))
        return gle_show_errors(&errs);
    code = verify_file(&v, doc);
    clear(&v);
    gle_doc_destroy(doc);
    return code;
}

int gle_verify(const struct gle_options *o, const char *command, const volatile sig_atomic_t *stop)
{
    int code = 0;

    for (size_t i = 0; i < o->n_configs && !*stop; i++) {
        struct stat st;
        const bool folder = !stat(o->configs[i], &st) && S_ISDIR(st.st_mode);
        const int one = folder ? gle_again(o, o->configs[i], command, stop)
                               : verify_config(o, o->configs[i], command, stop);
        code = code ? code : one;
    }
    return code;
}
