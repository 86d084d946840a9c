/* Tables of a device. */
#include "bench_results.h"

#include <math.h>
#include <stdio.h>

void print_card(const struct results *r)
{
    const struct card *c = &r->card;

    printf("%s (%s), driver %s; %s: %s, %zu compute units, %.1f GB\n"
           "peaks of the device: %.1f GFLOP/s in a tiled product of matrices (%zu^3), %.1f GB/s read and written in\n"
           "copies of %.0f MB within its memory, %.2f us for a launch with nothing to do\n",
           c->info.name, c->info.vendor, c->info.driver, c->info.platform, c->info.is_gpu ? "a GPU" : "no GPU",
           c->info.n_units, 1e-9 * c->info.memory, c->sgemm, c->sgemm_size,
           1e-9 * c->copy, 1e-6 * (double)c->copy_bytes, 1e6 * c->launch);
}

static void print_speed(const struct speed *s, const struct card *card)
{
    print_number(9, 2, 1e6 * s->least);
    print_number(9, 2, 1e6 * s->median);
    printf(" |");
    print_number(8, 2, s->traffic.launches);
    print_number(9, 0, s->traffic.bytes_in);
    print_number(9, 0, s->traffic.bytes_out);
    printf(" |");
    print_number(8, 1, speed_gflops(s));
    print_percent(speed_gflops(s) / card->sgemm);
    printf(" |");
    print_number(8, 2, 1e-9 * speed_passing(s));
    print_percent(speed_passing(s) / card->copy);
    printf("\n");
}

static void print_head(const char *what, const char *first)
{
    printf("\n%-24s | %-19s | %-28s | %-16s | %s\n%-24s | %9s %9s | %8s %9s %9s | %8s %7s | %8s %7s\n", what,
           "microseconds", "a step, mean", "products", "arrays", first, "least", "median", "launches", "bytes in",
           "bytes out", "GFLOP/s", "of peak", "GB/s", "of copy");
}

static void print_steps(const struct results *r, bool learn)
{
    print_head(learn ? "LEARNING STEP" : "EVALUATING STEP", "config");
    for (size_t i = 0; i < r->n_trials; i++) {
        const struct trial *t = &r->trials[i];
        const struct speed *s = learn ? &t->rows[0].learn : &t->rows[0].eval;
        if (!(s->least > 0.0))
            continue;
        print_name(t->exp, t->random);
        printf(" |");
        print_speed(s, &r->card);
    }
}

void print_card_configs(const struct results *r)
{
    print_steps(r, true);
    print_steps(r, false);
    print_training(r);
    printf("*: random data. A stretch of steps ends once all of them are over on the device. Bytes in and out: to the\n"
           "device and from it. GFLOP/s count the products of a step, without those of teachers, over its whole time.\n"
           "Arrays: parameters, gradients, moments, states, once for what a step reads of them and once for what it\n"
           "writes. Percent: of the device's peaks. Steps on a device are not profiled. Estimates follow from the\n"
           "means over all stretches; reading data, recordings and reports come on top.\n");
}

void print_card_scaling(const struct results *r)
{
    for (size_t i = 0; i < r->n_scaling; i++) {
        const struct scaling_row *row = &r->scaling[i];
        char title[64];
        if (!i || row->axis != row[-1].axis) {
            snprintf(title, sizeof title, "LEARNING STEP BY %s", scaling_axes[row->axis]);
            print_head(title, scaling_axes[row->axis]);
        }
        printf("%-24zu |", row->size[row->axis]);
        print_speed(&row->rows[0].learn, &r->card);
    }
    printf("Otherwise width 128, depth 4, batch 100.\n");
}
