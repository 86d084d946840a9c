/* One table of a device: whether its steps agree with those of the processors, and how long both take for the networks
 * of the paper. Standard output, and a file, get the same Markdown. */
#include "base/clock.h"
#include "base/memory.h"
#include "bench_card.h"
#include "bench_trial.h"
#include "device_parity.h"
#include "report/provenance.h"
#include "solver/room.h"

#include <getopt.h>
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char program_name[] = "bench_device";

static const char help[] =
    "usage: device_table [--device D] [--out FILE] [--quick] FOLDER\n"
    "\n"
    "Compares steps on a device with those of the processors, and measures both; tools/bench_device starts it. FOLDER\n"
    "holds configs/. The exit code is 1 where the steps do not agree.\n";

static const char *const configs[] = {"mnist1d_e2e", "mnist1d_e2e_42k", "gsc_mel_gle"};
static const size_t networks[] = {1, 16, 128}; /* side by side */
enum { N_CONFIGS = sizeof configs / sizeof *configs, ROUNDS = 3, N_WIDTHS = sizeof networks / sizeof *networks };
static const double SECONDS = 0.5, QUICK = 0.01; /* of each kind of step, in a round; quick: of one round */
static const double ENOUGH = 150.0;              /* after which no further round begins */
static const double TOO_LONG = 20.0;             /* for one round of networks side by side */

/* What was measured of a config. */
struct row {
    struct gle_experiments file;
    struct parity parity;
    struct trial processors, device[N_WIDTHS];
    size_t fits; /* networks side by side, by the device's memory */
    double n_parameters;
};

struct table {
    const char *folder, *wanted;
    struct gle_provenance machine;
    struct gle_device *device;
    struct card card;
    struct row rows[N_CONFIGS];
    size_t threads[2], n_threads;
    bool quick;
    double start;
};

/* --- measuring --- */

static void load(struct row *row, const char *folder, const char *name)
{
    struct gle_errors errs = {0};
    char path[4096];

    snprintf(path, sizeof path, "%s/configs/%s.yaml", folder, name);
    if (gle_experiments_load(&row->file, path, NULL, 0, NULL, 0, &errs))
        stop_on(&errs.item[0]);
}

static double count_parameters(const struct gle_graph *g)
{
    double n = 0.0;

    for (size_t i = 0; i < g->n_parameters; i++)
        n += g->parameters[i].plastic ? (double)gle_field_size(&g->parameters[i].field) : 0.0;
    return n;
}

/* Whether a round of n networks side by side would take too long, as measured of one. */
static bool takes_too_long(const struct row *row, size_t n)
{
    const struct trial_row *one = &row->device[0].rows[0];
    const double steps = 400.0; /* of a few batches of each kind */

    return (double)n * steps * (one->learn.least + one->eval.least) > TOO_LONG;
}

/* Networks side by side: as many as there is room and time for. */
static void measure_many(struct table *table, struct row *row, double seconds)
{
    for (size_t w = 1; w < N_WIDTHS && !table->quick; w++) {
        if (networks[w] > row->fits || takes_too_long(row, networks[w]))
            continue;
        trial_open_on(&row->device[w], row->file.item[0], table->device, networks[w], true);
        trial_measure(&row->device[w], 0, seconds);
        trial_close(&row->device[w]);
    }
}

static size_t count_fitting(const struct trial *t, const struct gle_device *device)
{
    struct gle_net_room room;
    struct gle_error err = {0};

    if (gle_net_measure_room(&room, t->graph, gle_device_info(device), &err))
        stop_on(&err);
    return gle_net_room_for(&room, gle_device_info(device), 0.0);
}

/* The processors and the device take turns, so that the drift of a shared machine hits both alike. */
static void measure(struct table *table, struct row *row)
{
    const struct gle_experiment *exp = row->file.item[0];
    const double seconds = table->quick ? QUICK : SECONDS;

    say(exp->name);
    row->parity = parity_measure(exp, table->device);
    trial_open(&row->processors, exp, table->threads, table->n_threads, true);
    trial_open_on(&row->device[0], exp, table->device, 1, true);
    row->n_parameters = count_parameters(row->device[0].graph);
    row->fits = count_fitting(&row->device[0], table->device);
    for (int r = 0; r < ROUNDS && (!r || (!table->quick && gle_clock() - table->start < ENOUGH)); r++) {
        for (size_t i = 0; i < row->processors.n_rows; i++)
            trial_measure(&row->processors, i, seconds);
        trial_measure(&row->device[0], 0, seconds);
    }
    trial_close(&row->processors);
    trial_close(&row->device[0]);
    measure_many(table, row, seconds);
}

static void measure_all(struct table *table)
{
    table->start = gle_clock();
    gle_provenance_collect(&table->machine, "");
    table->threads[table->n_threads++] = 1;
    if (omp_get_num_procs() > 1)
        table->threads[table->n_threads++] =
            (size_t)omp_get_num_procs() < THREADS_MAX ? (size_t)omp_get_num_procs() : THREADS_MAX;
    for (size_t i = 0; i < N_CONFIGS; i++)
        load(&table->rows[i], table->folder, configs[i]);
    table->device = card_open(table->wanted);
    card_measure(&table->card, table->device);
    for (size_t i = 0; i < N_CONFIGS; i++)
        measure(table, &table->rows[i]);
    card_measure(&table->card, table->device); /* where other programs are running, once more is surer */
    say(NULL);
}

/* --- the table --- */

static void write_head(FILE *f, const struct table *t)
{
    const struct card *c = &t->card;
    const struct gle_provenance *m = &t->machine;

    fprintf(f, "# %s\n\n", c->info.name);
    fprintf(f, "- device: %s, %s, driver %s, %s; %s, %zu compute units, %.1f GB\n", c->info.name, c->info.vendor,
            c->info.driver, c->info.platform, c->info.is_gpu ? "a GPU" : "no GPU", c->info.n_units,
            1e-9 * c->info.memory);
    fprintf(f, "- processors: %s, %d of them, kernels for %s\n", m->cpu, omp_get_num_procs(), m->isa);
    fprintf(f, "- glesim %s, commit %s, %s, %s; begun %s, took %.0f s\n", m->version, m->commit, m->compiler, m->blas,
            m->start, gle_clock() - t->start);
    fprintf(f,
            "- the most that the device does: %.1f GFLOP/s in a tiled product of matrices (%zu^3), %.1f GB/s read and\n"
            "  written in copies of %.0f MB, %.2f us a launch with nothing to do\n\n",
            c->sgemm, c->sgemm_size, 1e-9 * c->copy, 1e-6 * (double)c->copy_bytes, 1e6 * c->launch);
}

static void write_parity(FILE *f, const struct table *t)
{
    fprintf(f,
            "The largest deviations from the processors after %d learning steps on random inputs (of losses, as\n"
            "parts of them; of states and parameters, as parts of the largest of their array). Up to %.0e, %.0e and\n"
            "%.0e they agree:\n\n"
            "| network | losses | states | parameters | agrees |\n|---|---|---|---|---|\n",
            PARITY_STEPS, parity_limit.losses, parity_limit.states, parity_limit.parameters);
    for (size_t i = 0; i < N_CONFIGS; i++) {
        const struct parity *p = &t->rows[i].parity;
        fprintf(f, "| %s | %.1e | %.1e | %.1e | %s |\n", configs[i], p->losses, p->states, p->parameters,
                parity_holds(p) ? "yes" : "NO");
    }
}

/* Networks side by side beside as many steps, one after the other, of the processors. */
static void write_speed(FILE *f, const struct row *row, size_t width, bool learn, const struct card *card)
{
    const struct trial_row *d = &row->device[width].rows[0];
    const struct speed *s = learn ? &d->learn : &d->eval;
    const double n = (double)networks[width], gflops = n * speed_gflops(s), passing = n * speed_passing(s);
    double best = INFINITY;

    fprintf(f, "| %s | %.0f | %zu | %s |", row->file.item[0]->name, row->n_parameters, networks[width],
            learn ? "learning" : "evaluating");
    for (size_t i = 0; i < row->processors.n_rows; i++) {
        const struct trial_row *r = &row->processors.rows[i];
        const struct speed *p = learn ? &r->learn : &r->eval;
        fprintf(f, " %.1f (%.1f)", 1e6 * n * p->least, 1e6 * n * p->median);
        if (r->threads != r->asked)
            fprintf(f, " on %zu", r->threads);
        fprintf(f, " |");
        best = fmin(best, p->least);
    }
    fprintf(f, " %.1f (%.1f) | %.2f | %.1f | %.0f | %.0f | %.1f | %.1f %% | %.1f %% |\n", 1e6 * s->least,
            1e6 * s->median, n * best / s->least, s->traffic.launches, s->traffic.bytes_in, s->traffic.bytes_out,
            gflops, 100.0 * gflops / card->sgemm, 100.0 * passing / card->copy);
}

/* Those networks side by side that were not measured, and why. */
static void write_left_out(FILE *f, const struct table *t)
{
    for (size_t i = 0; i < N_CONFIGS; i++)
        for (size_t w = 1; w < N_WIDTHS; w++)
            if (!t->rows[i].device[w].n_rows)
                fprintf(f, "\n%s, %zu side by side: not measured, %s.\n", configs[i], networks[w],
                        networks[w] > t->rows[i].fits ? "the device has no memory for so many"
                        : t->quick                    ? "for lack of time"
                                                      : "which would take too long here");
}

static void write_speeds(FILE *f, const struct table *t)
{
    fprintf(f, "\nMicroseconds a step, least (median), and what a step on the device is made of:\n\n"
               "| network | parameters | side by side | step |");
    for (size_t i = 0; i < t->n_threads; i++)
        fprintf(f, " %zu thread%s |", t->threads[i], t->threads[i] > 1 ? "s" : "");
    fprintf(f, " device | times as fast | launches | bytes in | bytes out | GFLOP/s | of products | of copies |\n|");
    for (size_t i = 0; i < 12 + t->n_threads; i++)
        fprintf(f, "---|");
    fprintf(f, "\n");
    for (size_t i = 0; i < N_CONFIGS; i++) {
        for (size_t w = 0; w < N_WIDTHS; w++)
            for (int learn = 1; learn >= 0 && t->rows[i].device[w].n_rows; learn--)
                write_speed(f, &t->rows[i], w, learn, &t->card);
    }
    write_left_out(f, t);
    fprintf(f, "\nData are random numbers. Steps on the device count once they are over. \"on 1\": no more threads\n"
               "are worth it. Networks side by side: the processors' columns are of as many steps, one after the\n"
               "other. Times as fast: as the faster of these columns. Bytes in and out: to the\n"
               "device and from it, a step. Of products: GFLOP/s, as part of the most above. Of copies: parameters,\n"
               "gradients, moments and states, once for what a step reads of them and once for what it writes,\n"
               "over its least time, as part of what copies reach.\n");
}

static void write_table(FILE *f, const struct table *t)
{
    write_head(f, t);
    write_parity(f, t);
    write_speeds(f, t);
}

/* The file is opened before anything is measured for minutes. */
static FILE *open_out(const char *path)
{
    FILE *f = fopen(path, "w");

    if (!f)
        stop("--out: the file cannot be written");
    return f;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"device", required_argument, NULL, 'd'},
        {"out", required_argument, NULL, 'o'},
        {"quick", no_argument, NULL, 'q'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    static struct table t;
    FILE *out = NULL;
    bool agrees = true;
    int option;

    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        switch (option) {
        case 'd': t.wanted = optarg; break;
        case 'o': out = open_out(optarg); break;
        case 'q': t.quick = true; break;
        case 'h': return fputs(help, stdout) < 0;
        default: stop("--help lists the options");
        }
    }
    if (optind + 1 != argc)
        stop("one folder is wanted");
    t.folder = argv[optind];
    measure_all(&t);
    write_table(stdout, &t);
    if (out) {
        write_table(out, &t);
        if (fclose(out))
            stop("--out: the file cannot be written");
    }
    for (size_t i = 0; i < N_CONFIGS; i++) {
        agrees = agrees && parity_holds(&t.rows[i].parity);
        gle_experiments_clear(&t.rows[i].file);
    }
    gle_device_close(t.device);
    return !agrees;
}
