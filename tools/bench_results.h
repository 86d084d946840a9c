/* bench_results.h - all that was measured, and its two forms. */
#ifndef GLE_TOOLS_BENCH_RESULTS_H
#define GLE_TOOLS_BENCH_RESULTS_H

#include "bench_beside.h"
#include "bench_card.h"
#include "bench_link.h"
#include "bench_scaling.h"
#include "report/provenance.h"

struct results {
    struct gle_provenance machine;
    size_t n_processors;
    double load[2][3]; /* averages over 1, 5 and 15 minutes, at the start and at the end; NaN: unknown */
    double seconds;    /* that everything took */
    struct settings set;
    struct peaks peaks;
    struct gle_device *device; /* NULL: steps are those of the processors, whose peaks these are */
    struct card card;          /* those of the device */
    struct gle_experiments *files;
    size_t n_files;
    struct trial *trials;
    size_t n_trials;
    struct beside_row *beside; /* one for each trial; NULL: not measured */
    struct scaling_row *scaling;
    size_t n_scaling;
    struct product_row *products;
    size_t n_products;
    struct link_row *links;
    size_t n_links;
};

/* Tables, on standard output. */
void print_results(const struct results *r);
/* Those of a device: its peaks; its configs; how the cost grows. */
void print_card(const struct results *r);
void print_card_configs(const struct results *r);
void print_card_scaling(const struct results *r);
/* What tables are made of: x, or a dash where there is none; a part; a network's name and variant. */
void print_number(int width, int digits, double x);
void print_percent(double x);
void print_name(const struct gle_experiment *exp, bool random);
/* Seconds of epochs and of runs by duration. */
void print_training(const struct results *r);
/* The same as JSON; what is not measured is null. */
void write_results(const struct results *r, const char *path);

#endif
