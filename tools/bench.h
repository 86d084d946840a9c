/* bench.h - what is asked for, and what the files of tools/bench share. */
#ifndef GLE_TOOLS_BENCH_H
#define GLE_TOOLS_BENCH_H

#include <stdbool.h>
#include <stddef.h>

struct gle_error;

enum { THREADS_MAX = 256, COUNTS_MAX = 16, ROUNDS_MAX = 100, LAYERS_MAX = 64 };

struct layer_size {
    size_t inputs, neurons;
};

struct settings {
    const char *const *configs;
    size_t n_configs;
    size_t threads[COUNTS_MAX], n_threads;
    size_t scaling_threads[COUNTS_MAX], n_scaling_threads;
    size_t rounds;  /* measurements of each kind of step, */
    double seconds; /* and the length of one */
    bool quick, whole, random_data, steps, scaling, products, links;
    const char *json; /* file; NULL: none */
    bool opencl;        /* on a device instead of the processors: */
    const char *device; /* its number or name; NULL: the first one */
    struct layer_size layers[LAYERS_MAX];
    size_t n_layers;
};

/* What messages begin with; of the file that has main(). */
extern const char program_name[];

/* Prints text, and ends the program. */
_Noreturn void stop(const char *text);
_Noreturn void stop_on(const struct gle_error *err);

/* On a terminal, the line that says what is being measured; NULL: takes it away. */
void say(const char *what);

#endif
