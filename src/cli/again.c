/* nftw() and mkdtemp(). */
#define _XOPEN_SOURCE 700
#include "cli/again.h"
#include "base/memory.h"
#include "cli/accelerator.h"
#include "cli/apart.h"
#include "cli/limits.h"
#include "cli/session.h"
#include "cli/show.h"
#include "report/collect.h"
#include "report/differ.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { DIR_SIZE = sizeof((struct gle_seed_run *)0)->dir };

/* A run that is made again. */
struct again {
    const struct gle_options *options; /* its output is a temporary folder */
    const char *command;
    const volatile sig_atomic_t *stop;
    const struct gle_experiment *exp;
    size_t processors;
};

/* --- the temporary folder --- */

static int make_folder(char dir[DIR_SIZE], struct gle_error *err)
{
    const char *above = getenv("TMPDIR");

    snprintf(dir, DIR_SIZE, "%.4000s/glesim-verify-XXXXXX", above && above[0] ? above : "/tmp");
    return mkdtemp(dir) ? 0 : gle_fail(err, GLE_EWRITE, "%.300s: cannot be made: %s", dir, strerror(errno));
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st;
    (void)kind;
    (void)at;
    return remove(path);
}

static void remove_folder(const char *dir)
{
    enum { OPEN_FILES = 8 };

    (void)nftw(dir, remove_one, OPEN_FILES, FTW_DEPTH | FTW_PHYS);
}

/* --- one run --- */

static int make(void *ctx)
{
    const struct again *a = ctx;
    struct gle_accelerator accelerator;
    FILE *nowhere = fopen("/dev/null", "w"); /* the line that names the temporary folder */
    struct gle_error err = {0};
    const struct gle_session_how how = {.options = a->options,
                                        .command = a->command,
                                        .threads = a->options->threads ? a->options->threads : a->processors,
                                        .out = nowhere ? nowhere : stdout,
                                        .err = stderr,
                                        .progress = -1,
                                        .stop = a->stop,
                                        .accelerator = &accelerator};
    int code;

    gle_accelerator_start(&accelerator, 1);
    code = gle_session_run(a->exp, &how, &err) ? gle_show_error(stderr, &err) : 0;
    gle_accelerator_close(&accelerator);
    if (nowhere)
        fclose(nowhere);
    return code;
}

static void print_lines(const struct gle_differ_lines *lines)
{
    for (size_t i = 0; i < lines->n; i++)
        printf("  %s\n", lines->line[i]);
}

static int show(const char *dir, const struct gle_differ *differ, bool quiet)
{
    if (!quiet || differ->in.n)
        printf("%s: %s\n", dir, differ->in.n ? "differs" : differ->had_weights ? "same bits" : "same numbers");
    print_lines(&differ->in);
    if (!quiet || differ->in.n)
        print_lines(&differ->told);
    return differ->in.n ? gle_code_exit(GLE_ECLAIM) : 0;
}

/* made: the folder of the run that was made. */
static int compare(const struct again *a, const char *dir, const char *made)
{
    struct gle_differ *differ = gle_calloc(1, sizeof *differ);
    struct gle_error err = {0};
    int code;

    if (!differ)
        gle_fail(&err, GLE_ENOMEM, "no memory for a comparison");
    if (err.code || gle_differ_find(differ, dir, made, a->exp, &err))
        code = gle_show_error(stderr, &err);
    else
        code = show(dir, differ, a->options->quiet);
    gle_free(differ);
    return code;
}

static int make_and_compare(struct again *a, const char *dir, const char *temporary)
{
    const int diverged = gle_code_exit(GLE_EDIVERGED);
    struct gle_error err = {0};
    char made[DIR_SIZE];
    int code;

    if (gle_report_dir(made, sizeof made, temporary, a->exp, &err) || gle_apart(&code, make, a, a->stop, &err))
        return gle_show_error(stderr, &err);
    return (code && code != diverged) || *a->stop ? code : compare(a, dir, made);
}

static int again(const struct gle_options *o, const char *dir, const char *command, const volatile sig_atomic_t *stop)
{
    struct gle_options own = *o;
    struct again a = {.options = &own, .command = command, .stop = stop};
    char path[DIR_SIZE + 32], temporary[DIR_SIZE];
    struct gle_experiments list;
    struct gle_errors errs = {0};
    struct gle_error err = {0};
    int code;

    if (gle_differ_check(dir, &err))
        return gle_show_error(stderr, &err);
    snprintf(path, sizeof path, "%s/config.yaml", dir);
    if (gle_experiments_load(&list, path, NULL, 0, NULL, 0, &errs))
        return gle_show_errors(&errs);
    a.exp = list.item[0];
    if (gle_limits_processors(&a.processors, &err) || make_folder(temporary, &err)) {
        code = gle_show_error(stderr, &err);
    } else {
        own.action = GLE_RUN;
        own.output = temporary;
        code = make_and_compare(&a, dir, temporary);
        remove_folder(temporary);
    }
    gle_experiments_clear(&list);
    return code;
}

/* --- those of a folder --- */

static int again_below(const struct gle_options *o, const char *dir, const char *command,
                       const volatile sig_atomic_t *stop)
{
    struct gle_collected *folders;
    struct gle_errors errs = {0};
    char run[DIR_SIZE + 64];
    size_t n;
    int code = gle_collect(&folders, &n, dir, &errs) ? gle_show_errors(&errs) : 0;

    for (size_t i = 0; i < n && !errs.n; i++)
        for (size_t k = 0; k < folders[i].n_all && !*stop; k++) {
            int one;
            snprintf(run, sizeof run, "%s/seed_%llu", folders[i].dir, (unsigned long long)folders[i].all[k].seed);
            one = again(o, run, command, stop);
            code = code ? code : one;
        }
    gle_collected_clear(folders, n);
    return code;
}

int gle_again(const struct gle_options *o, const char *dir, const char *command, const volatile sig_atomic_t *stop)
{
    struct gle_error err = {0};
    char path[DIR_SIZE], clean[DIR_SIZE];
    struct stat st;

    if (o->n_overrides || o->n_variants || o->n_points || o->output || o->resume || o->force || o->jobs) {
        gle_fail(&err, GLE_EUSAGE, "%.300s is a folder: its runs are made again as they were, and --verify takes "
                                   "--threads and --quiet alone beside it", dir);
        return gle_show_error(stderr, &err);
    }
    snprintf(clean, sizeof clean, "%.4000s", dir);
    for (size_t end = strlen(clean); end > 1 && clean[end - 1] == '/'; end--)
        clean[end - 1] = '\0';
    snprintf(path, sizeof path, "%.4000s/metrics.json", clean);
    return stat(path, &st) ? again_below(o, clean, command, stop) : again(o, clean, command, stop);
}
