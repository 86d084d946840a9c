#include "cli/merge.h"
#include "base/memory.h"
#include "cli/many.h"
#include "cli/show.h"
#include "report/collect.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* All that lies below a folder. */
struct merge {
    const struct gle_options *options;
    struct gle_collected *folders; /* (n) */
    size_t n;
    uint64_t *seeds; /* (n_seeds): of any folder, in their order */
    size_t n_seeds;
};

static int by_size(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

/* The seeds that there are, and those in between where more than half are there. */
static int find_seeds(struct merge *m, struct gle_error *err)
{
    size_t n = 0, k = 0;
    uint64_t low, span;

    for (size_t i = 0; i < m->n; i++)
        n += m->folders[i].n_all;
    m->seeds = gle_calloc(2 * n, sizeof *m->seeds);
    if (!m->seeds)
        return gle_fail(err, GLE_ENOMEM, "no memory for the seeds");
    for (size_t i = 0; i < m->n; i++)
        for (size_t s = 0; s < m->folders[i].n_all; s++)
            m->seeds[k++] = m->folders[i].all[s].seed;
    qsort(m->seeds, n, sizeof *m->seeds, by_size);
    for (size_t i = 0; i < n; i++)
        if (!i || m->seeds[i] != m->seeds[m->n_seeds - 1])
            m->seeds[m->n_seeds++] = m->seeds[i];
    low = m->seeds[0];
    span = m->seeds[m->n_seeds - 1] - low;
    if (span >= 2 * m->n_seeds)
        return 0;
    m->n_seeds = (size_t)span + 1;
    for (size_t i = 0; i < m->n_seeds; i++)
        m->seeds[i] = low + i;
    return 0;
}

/* --- what is said --- */

/* "seeds 3-5,8", in front of which `before` stands, once there is one. */
struct seed_list {
    const char *before, *after;
    uint64_t first, last;
    bool any;
};

static void end_range(const struct seed_list *list)
{
    if (list->last > list->first)
        printf("-%llu", (unsigned long long)list->last);
}

static void add_seed(struct seed_list *list, uint64_t seed)
{
    if (list->any && seed == list->last + 1) {
        list->last = seed;
        return;
    }
    if (list->any)
        end_range(list);
    printf("%s%llu", list->any ? "," : list->before, (unsigned long long)seed);
    list->any = true;
    list->first = list->last = seed;
}

static void end_list(const struct seed_list *list)
{
    if (!list->any)
        return;
    end_range(list);
    fputs(list->after, stdout);
}

static const struct gle_collected_run *find_run(const struct gle_collected *f, uint64_t seed)
{
    for (size_t i = 0; i < f->n_all; i++)
        if (f->all[i].seed == seed)
            return &f->all[i];
    return NULL;
}

/* Seeds with this status; NULL: those that are not there. */
static void say_seeds(const struct merge *m, const struct gle_collected *f, const char *status, const char *words)
{
    struct seed_list list = {.before = "; seed ", .after = words};

    for (size_t i = 0; i < m->n_seeds; i++) {
        const struct gle_collected_run *run = find_run(f, m->seeds[i]);
        if (status ? run && !strcmp(run->status, status) : !run)
            add_seed(&list, m->seeds[i]);
    }
    end_list(&list);
}

static void say_folder(const struct merge *m, const struct gle_collected *f)
{
    static const struct {
        const char *status, *words;
    } kinds[] = {
        {"diverged", " diverged"},       {"interrupted", " interrupted"}, {"broken off", " broken off"},
        {"running", " still running"},   {"", " without a report"},       {NULL, " missing"},
    };
    size_t n = 0;

    for (size_t i = 0; i < f->n_all; i++)
        n += !strcmp(f->all[i].status, "completed");
    printf("%s: %zu of %zu run%s completed", f->dir, n, m->n_seeds, m->n_seeds > 1 ? "s" : "");
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        say_seeds(m, f, kinds[i].status, kinds[i].words);
    putchar('\n');
}

/* --- sweeps --- */

enum { PARTS = 16, LABEL_SIZE = 1024, MOST = 10000 };

/* The values of a part of the labels "lr=0.1,gamma=0". */
struct part {
    const char **values; /* (n): each as long as its comma is far */
    size_t n;
};

static bool equal_parts(const char *a, const char *b)
{
    const size_t n = strcspn(a, ",");

    return n == strcspn(b, ",") && !strncmp(a, b, n);
}

/* Takes in a label; false: it has another number of parts than the others. */
static bool add_label(struct part *parts, size_t n_parts, const char *label)
{
    for (size_t p = 0; p < n_parts; p++) {
        size_t k = 0;
        while (k < parts[p].n && !equal_parts(parts[p].values[k], label))
            k++;
        if (k == parts[p].n)
            parts[p].values[parts[p].n++] = label;
        label += strcspn(label, ",");
        if (p + 1 < n_parts ? *label++ != ',' : *label != '\0')
            return false;
    }
    return true;
}

static bool has_label(const struct gle_summary_point *points, size_t n, const char *label)
{
    for (size_t i = 0; i < n; i++)
        if (!strcmp(points[i].runs->exp->sweep.label, label))
            return true;
    return false;
}

/* Combination i of all; the last part changes fastest. */
static void make_label(char *label, size_t size, const struct part *parts, size_t n_parts, size_t all, size_t i)
{
    size_t at = 0;

    for (size_t p = 0; p < n_parts && at < size; p++) {
        const char *value;
        all /= parts[p].n;
        value = parts[p].values[i / all % parts[p].n];
        at += (size_t)snprintf(label + at, size - at, "%s%.*s", p ? "," : "", (int)strcspn(value, ","), value);
    }
}

/* Says which combinations of the values that there are have no run. Labels of lists may have commas of their own: then
 * nobody can tell. */
static void say_combinations(const char *dir, const struct gle_summary_point *points, size_t n)
{
    struct part parts[PARTS] = {{.n = 0}};
    size_t n_parts = 1, all = 1;
    char label[LABEL_SIZE];
    bool known;

    for (const char *c = points->runs->exp->sweep.label; *c; c++)
        n_parts += *c == ',';
    known = n_parts <= PARTS;
    for (size_t p = 0; p < n_parts && known; p++)
        known = (parts[p].values = gle_calloc(n, sizeof(char *))) != NULL;
    for (size_t i = 0; i < n && known; i++)
        known = add_label(parts, n_parts, points[i].runs->exp->sweep.label);
    for (size_t p = 0; p < n_parts && known; p++)
        known = (all *= parts[p].n) <= MOST;
    for (size_t i = 0; i < all && known; i++) {
        make_label(label, sizeof label, parts, n_parts, all, i);
        if (!has_label(points, n, label))
            printf("%s/%s: missing\n", dir, label);
    }
    for (size_t p = 0; p < PARTS; p++)
        gle_free((void *)parts[p].values);
}

static const char *label_of(const struct gle_collected *f)
{
    return f->n_runs ? f->runs->exp->sweep.label : NULL;
}

/* The folder above that of a point. */
static void folder_above(char *dir, size_t size, const struct gle_collected *point)
{
    char *slash;

    snprintf(dir, size, "%s", point->dir);
    slash = strrchr(dir, '/');
    if (slash)
        *slash = '\0';
    else
        snprintf(dir, size, "%s", !strcmp(point->dir, ".") ? ".." : ".");
}

/* The summary of the points in the folder that the first of these lies in. *n: how many folders that are. */
static int merge_sweep(size_t *n, const struct merge *m, size_t first, struct gle_error *err)
{
    struct gle_summary_point *points = gle_calloc(m->n, sizeof *points);
    char dir[sizeof m->folders->dir], other[sizeof dir];
    struct gle_summary came;
    size_t n_points = 0;
    int rc;

    if (!points)
        return gle_fail(err, GLE_ENOMEM, "no memory for the summary");
    folder_above(dir, sizeof dir, &m->folders[first]);
    for (*n = 0; first + *n < m->n; ++*n) {
        const struct gle_collected *f = &m->folders[first + *n];
        folder_above(other, sizeof other, f);
        if (strcmp(other, dir))
            break;
        if (label_of(f))
            points[n_points++] = (struct gle_summary_point){.runs = f->runs, .n = f->n_runs};
    }
    rc = gle_summary_write_sweep(&came, dir, points, n_points, m->options->force, err);
    if (!rc && !m->options->quiet) {
        gle_plan_tell_sweep(dir, &came);
        say_combinations(dir, points, n_points);
    }
    gle_free(points);
    return rc;
}

/* --- all of them --- */

/* A point of a sweep that has but one seed has a summary in that of the sweep alone, as when it is run. */
static int merge_folder(const struct merge *m, const struct gle_collected *f, struct gle_error *err)
{
    struct gle_summary came;

    if (f->n_runs && (!label_of(f) || m->n_seeds > 1)) {
        if (gle_summary_write(&came, f->dir, f->runs, f->n_runs, m->options->force, err))
            return -1;
        if (!m->options->quiet)
            gle_plan_tell_summary(f->dir, &came);
    }
    if (!m->options->quiet)
        say_folder(m, f);
    return 0;
}

static int merge_all(struct merge *m, struct gle_error *err)
{
    size_t done = 0, n;

    if (find_seeds(m, err))
        return -1;
    for (size_t i = 0; i < m->n; i++)
        if (merge_folder(m, &m->folders[i], err))
            return -1;
    for (; done < m->n; done += n) {
        n = 1;
        if (label_of(&m->folders[done]) && merge_sweep(&n, m, done, err))
            return -1;
    }
    return 0;
}

int gle_merge(const struct gle_options *o)
{
    int code = 0;

    for (size_t i = 0; i < o->n_configs; i++) {
        struct merge m = {.options = o};
        struct gle_errors errs = {0};
        struct gle_error err = {0};
        int one = 0;
        if (!gle_collect(&m.folders, &m.n, o->configs[i], &errs) && merge_all(&m, &err))
            gle_errors_add(&errs, &err);
        for (size_t k = 0; k < errs.n; k++)
            one = gle_show_error(stderr, &errs.item[k]);
        code = code ? code : one;
        gle_collected_clear(m.folders, m.n);
        gle_free(m.seeds);
    }
    return code;
}
