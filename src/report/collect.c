/* realpath() is no part of POSIX 2008 without its extension. */
#define _DEFAULT_SOURCE
#include "report/collect.h"
#include "base/memory.h"
#include "base/text.h"
#include "report/folder.h"
#include "report/json.h"
#include "yaml/node.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { LEVELS = 3, DIR_SIZE = sizeof((struct gle_collected *)0)->dir };

struct collecting {
    struct gle_collected *folders;
    size_t n;
    struct gle_errors *errs;
};

static int fail(struct gle_errors *errs, enum gle_code code, const char *what, const char *dir)
{
    struct gle_error err = {0};

    gle_fail(&err, code, "%.300s: %s", dir, what);
    return gle_errors_add(errs, &err);
}

static char *copy(const char *text)
{
    char *out = gle_calloc(strlen(text) + 1, 1);

    return out ? strcpy(out, text) : NULL;
}

static bool is_folder(const char *path)
{
    struct stat st;

    return !stat(path, &st) && S_ISDIR(st.st_mode);
}

/* --- names in a folder --- */

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Folders in dir, in the order of their names. Owns: *names (*n), free_names(). */
static int list_folders(char ***names, size_t *n, const char *dir)
{
    DIR *d = opendir(dir);
    const struct dirent *entry;
    int rc = 0;

    *names = NULL;
    *n = 0;
    while (d && !rc && (entry = readdir(d))) {
        char path[DIR_SIZE], **longer;
        if (entry->d_name[0] == '.' || snprintf(path, sizeof path, "%s/%s", dir, entry->d_name) >= DIR_SIZE ||
            !is_folder(path))
            continue;
        longer = gle_resize((void *)*names, *n + 1, sizeof *longer);
        rc = longer ? 0 : -1;
        *names = longer ? longer : *names;
        if (longer && !(longer[(*n)++] = copy(entry->d_name)))
            rc = -1;
    }
    if (d)
        closedir(d);
    if (*n && !rc)
        qsort((void *)*names, *n, sizeof **names, by_name);
    return rc;
}

static void free_names(char **names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        gle_free(names[i]);
    gle_free((void *)names);
}

static bool is_seed(uint64_t *seed, const char *name)
{
    char again[32];

    if (strncmp(name, "seed_", 5) || gle_text_count(seed, name + 5))
        return false;
    snprintf(again, sizeof again, "seed_%llu", (unsigned long long)*seed);
    return !strcmp(again, name);
}

static int by_seed(const void *a, const void *b)
{
    const uint64_t x = ((const struct gle_collected_run *)a)->seed, y = ((const struct gle_collected_run *)b)->seed;

    return (x > y) - (x < y);
}

/* --- a folder of seeds --- */

/* "seed_<n>" of it. */
static void path_of(char path[DIR_SIZE + 64], const struct gle_collected *f, uint64_t seed, const char *file)
{
    snprintf(path, DIR_SIZE + 64, "%s/seed_%llu%s", f->dir, (unsigned long long)seed, file);
}

/* The name of a folder, also of ".". Owns: the caller, gle_free(). NULL: no memory. */
static char *name_of(const char *dir)
{
    char *whole = realpath(dir, NULL), *name;
    const char *base = strrchr(whole ? whole : dir, '/');

    name = copy(base ? base + 1 : dir);
    free(whole); /* the C library's */
    return name;
}

/* Values of swept keys, as the first config has them. */
static int take_sweep(struct gle_collected *f, const json_t *sweep, struct gle_experiment *exp)
{
    const size_t n = json_object_size(sweep);
    const char *key;
    json_t *value;

    if (!n)
        return 0;
    f->label = name_of(f->dir);
    f->values = gle_calloc(n, sizeof *f->values);
    if (!f->label || !f->values)
        return -1;
    exp->sweep = (struct gle_sweep){.label = f->label, .values = f->values};
    json_object_foreach ((json_t *)sweep, key, value) {
        const struct gle_node *node = gle_node_find((struct gle_node *)exp->src, key);
        if (!node)
            continue;
        f->values[exp->sweep.n++] = (struct gle_sweep_value){.key = copy(key), .value = node};
        if (!f->values[exp->sweep.n - 1].key)
            return -1;
    }
    return 0;
}

/* The config of a run whose report is there. */
static int take_experiment(struct gle_collected *f, uint64_t seed, const json_t *report, struct gle_errors *errs)
{
    const char *variant = json_string_value(json_object_get(report, "variant"));
    struct gle_experiment *exp;
    char path[DIR_SIZE + 64];

    path_of(path, f, seed, "/config.yaml");
    if (gle_experiments_load(&f->list, path, NULL, 0, NULL, 0, errs))
        return -1;
    f->exps = gle_calloc(f->n_all, sizeof *f->exps);
    f->runs = gle_calloc(f->n_all, sizeof *f->runs);
    if (!f->exps || !f->runs || (variant && !(f->variant = copy(variant))))
        return fail(errs, GLE_ENOMEM, "no memory for the runs", f->dir);
    exp = &f->exps[0];
    *exp = *f->list.item[0];
    exp->variant = f->variant;
    return take_sweep(f, json_object_get(report, "sweep"), exp)
               ? fail(errs, GLE_ENOMEM, "no memory for a sweep", f->dir)
               : 0;
}

static int code_of(const char *status)
{
    return !strcmp(status, "completed") ? 0 : !strcmp(status, "diverged") ? gle_code_exit(GLE_EDIVERGED) : -1;
}

/* Takes in one run. first: the report of the first that came to one, or NULL; it becomes this one's, then. */
static int take_run(struct gle_collected *f, struct gle_collected_run *run, json_t **first, struct gle_errors *errs)
{
    char dir[DIR_SIZE + 64];
    json_t *report;
    int rc = 0;

    path_of(dir, f, run->seed, "");
    report = gle_folder_report(dir);
    snprintf(run->status, sizeof run->status, "%s", report ? gle_folder_status(report, dir) : "");
    if (code_of(run->status) >= 0 && !*first) {
        rc = take_experiment(f, run->seed, report, errs);
        *first = json_incref(report);
    }
    if (!rc && code_of(run->status) >= 0 &&
        gle_folder_same_config(json_object_get(report, "config"), json_object_get(*first, "config"), f->exps) &&
        gle_folder_same_data(report, *first, f->exps)) {
        f->exps[f->n_runs] = f->exps[0];
        f->exps[f->n_runs].seed = run->seed;
        f->runs[f->n_runs] = (struct gle_seed_run){.exp = &f->exps[f->n_runs], .code = code_of(run->status)};
        snprintf(f->runs[f->n_runs].dir, sizeof f->runs->dir, "%.4095s", dir);
        f->n_runs++;
    }
    json_decref(report);
    return rc;
}

static int add_folder(struct collecting *c, const char *dir, char *const *names, size_t n_names)
{
    struct gle_collected *longer = gle_resize(c->folders, c->n + 1, sizeof *longer), *f;
    json_t *first = NULL;
    uint64_t seed;
    int rc = 0;

    if (!longer)
        return fail(c->errs, GLE_ENOMEM, "no memory for the runs", dir);
    c->folders = longer;
    f = &longer[c->n++];
    *f = (struct gle_collected){.n_all = 0};
    snprintf(f->dir, sizeof f->dir, "%s", dir);
    f->all = gle_calloc(n_names, sizeof *f->all);
    if (!f->all)
        return fail(c->errs, GLE_ENOMEM, "no memory for the runs", dir);
    for (size_t i = 0; i < n_names; i++)
        if (is_seed(&seed, names[i]))
            f->all[f->n_all++].seed = seed;
    qsort(f->all, f->n_all, sizeof *f->all, by_seed);
    for (size_t i = 0; i < f->n_all && !rc; i++)
        rc = take_run(f, &f->all[i], &first, c->errs);
    json_decref(first);
    return rc;
}

/* --- all below a folder --- */

static int look(struct collecting *c, const char *dir, int levels)
{
    char **names;
    size_t n;
    uint64_t seed;
    bool any = false;
    int rc = list_folders(&names, &n, dir) ? fail(c->errs, GLE_ENOMEM, "no memory for the runs", dir) : 0;

    for (size_t i = 0; i < n && !any && !rc; i++)
        any = is_seed(&seed, names[i]);
    if (any)
        rc = add_folder(c, dir, names, n);
    for (size_t i = 0; i < n && levels && !rc; i++) {
        char path[DIR_SIZE];
        if (!is_seed(&seed, names[i]) && snprintf(path, sizeof path, "%s/%s", dir, names[i]) < DIR_SIZE)
            rc = look(c, path, levels - 1);
    }
    free_names(names, n);
    return rc;
}

int gle_collect(struct gle_collected **out, size_t *n, const char *dir, struct gle_errors *errs)
{
    struct collecting c = {.errs = errs};
    char clean[DIR_SIZE];
    int rc;

    gle_json_begin();
    snprintf(clean, sizeof clean, "%s", dir);
    for (size_t end = strlen(clean); end > 1 && clean[end - 1] == '/'; end--)
        clean[end - 1] = '\0';
    rc = !is_folder(clean) ? fail(errs, GLE_EDATA, "no folder", clean) : look(&c, clean, LEVELS);
    if (!rc && !c.n)
        rc = fail(errs, GLE_EDATA, "no run there: folders seed_<n> are looked for, three levels down", clean);
    *out = c.folders;
    *n = c.n;
    return rc;
}

void gle_collected_clear(struct gle_collected *folders, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct gle_collected *f = &folders[i];
        for (size_t k = 0; f->exps && k < f->exps[0].sweep.n; k++)
            gle_free((void *)f->values[k].key);
        gle_free(f->values);
        gle_free(f->variant);
        gle_free(f->label);
        gle_free(f->exps);
        gle_free(f->runs);
        gle_free(f->all);
        gle_experiments_clear(&f->list);
    }
    gle_free(folders);
}
