/* MAP_ANONYMOUS is no part of POSIX 2008. */
#define _DEFAULT_SOURCE
#include "cli/origins.h"
#include "base/memory.h"
#include "cli/jobs.h"
#include "data/data.h"
#include "yaml/node.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

/* --- which runs share what --- */

static bool same_data(const struct gle_origin *a, const struct gle_origin *b)
{
    const struct gle_experiment *x = a->exp, *y = b->exp;
    const struct gle_dataset *set = (const struct gle_dataset *)x->dataset.row;
    const bool drawn = set->signal || set->divides; /* such sets may read the run's seed */
    char what[8];

    return a->hash == b->hash && x->dt == y->dt && x->n_steps == y->n_steps && x->has_teacher == y->has_teacher &&
           (!drawn || x->seed == y->seed) &&
           !gle_node_differs(what, sizeof what, x->dataset.src, y->dataset.src, NULL);
}

static bool same_files(const struct gle_inputs *a, const struct gle_inputs *b)
{
    for (size_t i = 0; i < a->n && a->n == b->n; i++)
        if (strcmp(a->file[i].path, b->file[i].path))
            return false;
    return a->n == b->n;
}

/* Finds the origin of a run, *of, among those that are there, or adds it. */
static int place(struct gle_origins *out, size_t *of, const struct gle_experiment *exp, struct gle_error *err)
{
    struct gle_origin one = {.exp = exp, .hash = gle_node_hash(exp->dataset.src), .data_of = out->n}, *longer;

    if (gle_inputs_list(&one.inputs, exp, err)) {
        gle_inputs_clear(&one.inputs);
        return -1;
    }
    for (size_t i = 0; i < out->n && !*of; i++) {
        if (!same_data(&out->item[i], &one))
            continue;
        one.data_of = out->item[i].data_of;
        if (same_files(&out->item[i].inputs, &one.inputs))
            *of = i + 1;
    }
    longer = *of ? NULL : gle_resize(out->item, out->n + 1, sizeof *longer);
    if (!longer) {
        gle_inputs_clear(&one.inputs);
        return *of ? 0 : gle_fail(err, GLE_ENOMEM, "no memory for what the runs are made from");
    }
    out->item = longer;
    longer[out->n++] = one;
    *of = out->n;
    return 0;
}

/* --- files --- */

/* The same file, where it has been read. */
static const struct gle_input *find_read(const struct gle_origins *origins, const char *path)
{
    for (size_t i = 0; i < origins->n; i++)
        for (size_t k = 0; k < origins->item[i].inputs.n; k++) {
            const struct gle_input *input = &origins->item[i].inputs.file[k];
            if (input->sha256[0] && !strcmp(input->path, path))
                return input;
        }
    return NULL;
}

static int read_files(struct gle_origins *origins, struct gle_error *err)
{
    for (size_t i = 0; i < origins->n; i++)
        for (size_t k = 0; k < origins->item[i].inputs.n; k++) {
            struct gle_input *input = &origins->item[i].inputs.file[k];
            const struct gle_input *known = find_read(origins, input->path);
            if (known)
                memcpy(input->sha256, known->sha256, sizeof input->sha256);
            else if (gle_input_read(input, err))
                return -1;
        }
    return 0;
}

/* --- data sets --- */

/* What a process tells of the data set that it has opened. */
struct told {
    bool known;
    char sha256[65];
    struct gle_error err; /* if it is not known */
};

struct opening {
    const struct gle_origin **sets; /* (n): the first origin of each data set */
    size_t n;
    struct told *told; /* (n), in memory that is shared with the processes */
    const struct gle_session_how *how;
};

static int open_set(void *ctx, size_t i, const struct gle_job_pipes *pipes)
{
    const struct opening *o = ctx;
    struct told *told = &o->told[i];

    (void)pipes; /* what it would say comes with the runs */
    told->known = !gle_session_hash_data(told->sha256, o->sets[i]->exp, o->how, &told->err);
    return 0;
}

static void name_set(void *ctx, size_t i, char *buf, size_t size)
{
    snprintf(buf, size, "data set of %.100s", ((const struct opening *)ctx)->sets[i]->exp->name);
}

/* The first that could not be opened. */
static int check_told(const struct opening *o, const struct gle_job_end *ends, struct gle_error *err)
{
    for (size_t i = 0; i < o->n; i++) {
        if (o->told[i].known)
            continue;
        if (o->told[i].err.code)
            *err = o->told[i].err;
        else if (ends[i].code < 0 || *o->how->stop)
            gle_fail(err, GLE_ESTOPPED, "stopped before all data were seen");
        else
            gle_fail(err, GLE_ENOMEM, "the process that opened the data set was lost: %.200s", ends[i].message);
        return -1;
    }
    return 0;
}

static int open_sets(struct opening *o, size_t at_once, bool quiet, struct gle_error *err)
{
    const struct gle_jobs jobs = {.n = o->n, .at_once = at_once, .work = open_set, .name = name_set, .ctx = o,
                                  .stop = o->how->stop};
    struct gle_job_end *ends = gle_calloc(o->n, sizeof *ends);
    struct gle_bar bar;
    int rc;

    if (!ends)
        return gle_fail(err, GLE_ENOMEM, "no memory for the checksums of data sets");
    gle_bar_start(&bar, o->sets[0]->exp, quiet);
    snprintf(bar.label, sizeof bar.label, "%.80s: data", o->sets[0]->exp->name);
    rc = gle_jobs_run(&jobs, ends, &bar, err) || check_told(o, ends, err) ? -1 : 0;
    gle_free(ends);
    return rc;
}

static int hash_sets(struct gle_origins *origins, const struct gle_session_how *how, struct gle_error *err)
{
    struct gle_options silent = *how->options;
    struct gle_session_how each = *how;
    struct opening o = {.sets = gle_calloc(origins->n, sizeof *o.sets), .how = &each};
    const size_t size = origins->n * sizeof *o.told, most = how->options->jobs ? how->options->jobs : how->threads;
    size_t at_once;
    int rc;

    silent.quiet = true; /* what it would say comes with the runs */
    each.options = &silent;
    o.told = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    rc = o.sets && o.told != MAP_FAILED ? 0 : gle_fail(err, GLE_ENOMEM, "no memory for the checksums of data sets");
    for (size_t i = 0; i < origins->n && !rc; i++)
        if (origins->item[i].data_of == i)
            o.sets[o.n++] = &origins->item[i];
    at_once = most < o.n ? most : o.n;
    each.threads = how->threads > at_once && at_once ? how->threads / at_once : 1;
    rc = rc ? rc : open_sets(&o, at_once, how->options->quiet, err);
    for (size_t i = 0, k = 0; i < origins->n && !rc; i++) {
        struct gle_inputs *inputs = &origins->item[i].inputs;
        const size_t first = origins->item[i].data_of;
        memcpy(inputs->data_sha256, first == i ? o.told[k++].sha256 : origins->item[first].inputs.data_sha256,
               sizeof inputs->data_sha256);
    }
    if (o.told != MAP_FAILED)
        munmap(o.told, size);
    gle_free((void *)o.sets);
    return rc;
}

/* --- */

int gle_origins_find(struct gle_origins *out, const struct gle_seed_run *runs, size_t n, const bool *wanted,
                     const struct gle_session_how *how, struct gle_error *err)
{
    out->of = gle_calloc(n, sizeof *out->of);
    if (!out->of)
        return gle_fail(err, GLE_ENOMEM, "no memory for what the runs are made from");
    for (size_t i = 0; i < n; i++)
        if (wanted[i] && place(out, &out->of[i], runs[i].exp, err))
            return -1;
    return out->n && (read_files(out, err) || hash_sets(out, how, err)) ? -1 : 0;
}

const struct gle_inputs *gle_origins_of(const struct gle_origins *origins, size_t i)
{
    return origins->of && origins->of[i] ? &origins->item[origins->of[i] - 1].inputs : NULL;
}

void gle_origins_clear(struct gle_origins *origins)
{
    for (size_t i = 0; i < origins->n; i++)
        gle_inputs_clear(&origins->item[i].inputs);
    gle_free(origins->item);
    gle_free(origins->of);
    *origins = (struct gle_origins){0};
}
