#include "bench_results.h"

#include <math.h>
#include <stdio.h>

void print_number(int width, int digits, double x)
{
    if (isfinite(x))
        printf(" %*.*f", width, digits, x);
    else
        printf(" %*s", width, "-");
}

void print_percent(double x)
{
    if (isfinite(x))
        printf(" %5.1f %%", 100.0 * x);
    else
        printf(" %7s", "-");
}

/* --- peaks --- */

static void print_peaks(const struct results *r)
{
    for (size_t t = 1; t <= THREADS_MAX; t++) {
        const struct peak *p = &r->peaks.of[t];
        if (p->fma > 0.0)
            printf("peak on %zu thread%s: %.1f GFLOP/s in multiply-adds on registers, %.1f in sgemm (%s, %d^3 for each "
                   "thread)\n",
                   t, t > 1 ? "s" : "", p->fma, peak_sgemm(p), p->sgemm[1] > p->sgemm[0] ? "BLIS" : "own kernel",
                   PEAK_SIZE);
    }
}

/* --- configs --- */

static void print_speed(const struct speed *s, const struct peak *peak)
{
    const struct split *split = &s->split;
    const double gflops = speed_gflops(s), alone = speed_products_gflops(s);

    print_number(9, 2, 1e6 * s->least);
    print_number(9, 2, 1e6 * s->median);
    printf(" |");
    print_number(9, 2, 1e6 * split->products);
    print_number(9, 2, 1e6 * split->elementwise);
    print_number(9, 2, 1e6 * split->optimizer);
    print_number(9, 2, 1e6 * split->waiting);
    print_number(9, 2, 1e6 * split->rest);
    printf(" |");
    print_number(8, 1, gflops);
    print_percent(gflops / peak->fma);
    print_percent(gflops / peak_sgemm(peak));
    printf(" |");
    print_number(8, 1, alone);
    print_percent(alone / peak->fma);
    print_percent(alone / peak_sgemm(peak));
}

void print_name(const struct gle_experiment *exp, bool random)
{
    char name[256];

    snprintf(name, sizeof name, "%s%s%s%s", exp->name, exp->variant ? "/" : "", exp->variant ? exp->variant : "",
             random ? " *" : "");
    printf("%-24.24s", name);
}

static void print_row(const struct trial *t, const struct trial_row *row, bool learn, const struct peaks *peaks)
{
    const struct speed *speed = learn ? &row->learn : &row->eval;

    if (!(speed->least > 0.0))
        return;
    print_name(t->exp, t->random);
    printf(" %3zu (%zu) |", row->asked, row->threads);
    print_speed(speed, &peaks->of[row->threads]);
    printf("\n");
}

static void print_steps(const struct results *r, bool learn)
{
    printf("\n%-32s | %-19s | %-49s | %-24s | %s\n", learn ? "LEARNING STEP" : "EVALUATING STEP", "microseconds",
           "microseconds (profiled stretches)", "products, whole time", "products, their own time");
    printf("%-24s %7s | %9s %9s | %9s %9s %9s %9s %9s | %8s %7s %7s | %8s %7s %7s\n", "config", "threads", "least",
           "median", "products", "elementw.", "optimizer", "waiting", "rest", "GFLOP/s", "of FMA", "sgemm", "GFLOP/s",
           "of FMA", "sgemm");
    for (size_t i = 0; i < r->n_trials; i++)
        for (size_t k = 0; k < r->trials[i].n_rows; k++)
            print_row(&r->trials[i], &r->trials[i].rows[k], learn, &r->peaks);
}

static void print_seconds_of(double seconds)
{
    if (isfinite(seconds))
        printf(" %9.3g", seconds);
    else
        printf(" %9s", "-");
}

static void print_seconds(const struct trial *t, const struct trial_row *row)
{
    char threads[48];

    snprintf(threads, sizeof threads, "%zu (%zu)", row->asked, row->threads);
    printf("%-24.24s %-12.12s %7s |", t->exp->name, t->exp->variant ? t->exp->variant : "",
           t->on_device ? "device" : threads);
    print_seconds_of(row->once);
    print_seconds_of(row->whole);
    printf("  %s\n", t->exp->phases ? "all phases" : "an epoch");
}

void print_training(const struct results *r)
{
    printf("\n%-45s | %s\n%-24s %-12s %7s | %9s %9s\n", "TRAINING", "seconds", "config", "variant", "threads",
           "estimate", "measured");
    for (size_t i = 0; i < r->n_trials; i++)
        for (size_t k = 0; !r->trials[i].random && k < r->trials[i].n_rows; k++)
            print_seconds(&r->trials[i], &r->trials[i].rows[k]);
}

static void print_beside(const struct results *r)
{
    if (!r->beside)
        return;
    printf("\n%-32s | %-29s | %s\n%-24s %7s | %9s %9s %9s | %8s %7s %7s\n", "LEARNING STEP, SIDE BY SIDE",
           "microseconds", "products of all networks", "config", "copies", "fastest", "slowest", "a step", "GFLOP/s",
           "of FMA", "sgemm");
    for (size_t i = 0; i < r->n_trials; i++) {
        const struct beside_row *row = &r->beside[i];
        const struct peak *peak = &r->peaks.of[row->copies];
        double fastest = INFINITY, slowest = 0.0;
        for (size_t k = 0; k < row->copies; k++) {
            fastest = fmin(fastest, row->learn[k].least);
            slowest = fmax(slowest, row->learn[k].least);
        }
        print_name(row->exp, row->random);
        printf(" %7zu |", row->copies);
        print_number(9, 2, 1e6 * fastest);
        print_number(9, 2, 1e6 * slowest);
        print_number(9, 2, 1e6 * beside_per_step(row));
        printf(" |");
        print_number(8, 1, beside_gflops(row));
        print_percent(beside_gflops(row) / peak->fma);
        print_percent(beside_gflops(row) / peak_sgemm(peak));
        printf("\n");
    }
}

static void print_configs(const struct results *r)
{
    print_steps(r, true);
    print_beside(r);
    print_steps(r, false);
    print_training(r);
    printf("threads: asked for (used). *: random data. Times include all that a step has, GFLOP/s count its products\n"
           "without those of teachers. Profiled stretches show what time is spent on, as means over threads; their\n"
           "clocks make steps of a few microseconds longer. rest: input, teachers, what is between steps. Estimates\n"
           "follow from the means over all stretches; reading data, recordings and reports come on top. Side by side:\n"
           "processes of one thread each; the least time of the fastest and the slowest, and time for a step of one\n"
           "network while all of them go on.\n");
}

/* --- scaling --- */

static void print_scaling_head(const struct scaling_row *row)
{
    printf("\nLEARNING STEP BY %s (otherwise width 128, depth 4, batch 100), least time\n%7s", scaling_axes[row->axis],
           scaling_axes[row->axis]);
    for (size_t k = 0; k < row->n_rows; k++)
        printf(" | %6zu thread%-16s", row->rows[k].asked, row->rows[k].asked > 1 ? "s" : "");
    printf("\n%7s", "");
    for (size_t k = 0; k < row->n_rows; k++)
        printf(" | %9s %8s %7s", "us", "GFLOP/s", "of FMA");
    printf("\n");
}

static void print_scaling(const struct results *r)
{
    for (size_t i = 0; i < r->n_scaling; i++) {
        const struct scaling_row *row = &r->scaling[i];
        if (!i || row->axis != row[-1].axis)
            print_scaling_head(row);
        printf("%7zu", row->size[row->axis]);
        for (size_t k = 0; k < row->n_rows; k++) {
            const struct speed *s = &row->rows[k].learn;
            printf(" |");
            print_number(9, 2, 1e6 * s->least);
            print_number(8, 1, speed_gflops(s));
            print_percent(speed_gflops(s) / r->peaks.of[row->rows[k].threads].fma);
        }
        printf("\n");
    }
}

/* --- products --- */

static void print_products(const struct results *r)
{
    printf("\n%-11s %5s  %-10s %5s %5s %5s %10s %10s %8s   (GFLOP/s on one thread, best of all repeats)\n", "layer",
           "batch", "product", "M", "N", "K", "own kernel", "BLIS", "own/BLIS");
    for (size_t i = 0; i < r->n_products; i++) {
        const struct product_row *row = &r->products[i];
        char layer[48];
        snprintf(layer, sizeof layer, "%zux%zu", row->layer.inputs, row->layer.neurons);
        printf("%-11s %5zu  %-10s %5zu %5zu %5zu %10.2f %10.2f %8.2f\n", layer, row->batch, product_name(row),
               row->M, row->N, row->K, row->gflops[0], row->gflops[1], row->gflops[0] / row->gflops[1]);
    }
}

/* --- links --- */

static void print_links(const struct results *r)
{
    printf("\n%-52s %-14s %7s %5s  %-9s %10s %9s   (one thread, best of all repeats)\n", "link", "source", "neurons",
           "batch", "call", "us", "GFLOP/s");
    for (size_t i = 0; i < r->n_links; i++) {
        const struct link_row *row = &r->links[i];
        char source[48];
        snprintf(source, sizeof source, "%zux%zux%zu", row->channels, row->size[0], row->size[1]);
        for (int c = 0; c < LINK_CALLS; c++) {
            if (isnan(row->seconds[c]))
                continue;
            printf("%-52s %-14s %7zu %5zu  %-9s %10.1f", row->settings, source, row->neurons, row->batch, link_calls[c],
                   1e6 * row->seconds[c]);
            if (c < LINK_POOL)
                printf(" %9.2f", 1e-9 * row->flops / row->seconds[c]);
            putchar('\n');
        }
    }
}

/* On a machine with other work, threads may have to share a processor all the time. */
static void print_warning(const struct results *r)
{
    static const double BUSY = 0.3; /* of a processor */

    if (r->load[0][0] > BUSY)
        printf("The machine had other work: least times%s are what counts.\n", r->device ? "" : " on one thread");
}

void print_results(const struct results *r)
{
    const struct gle_provenance *m = &r->machine;

    printf("%s, %s, %zu processors; load average %.2f at the start, %.2f at the end\n"
           "glesim %s %s, %s, %s, kernels for %s; took %.0f s\n",
           m->start, m->cpu, r->n_processors, r->load[0][0], r->load[1][0], m->version, m->commit, m->compiler, m->blas,
           m->isa, r->seconds);
    print_warning(r);
    print_peaks(r);
    if (r->device)
        print_card(r);
    if (r->n_trials)
        (r->device ? print_card_configs : print_configs)(r);
    if (r->n_scaling)
        (r->device ? print_card_scaling : print_scaling)(r);
    if (r->n_products)
        print_products(r);
    if (r->n_links)
        print_links(r);
}
