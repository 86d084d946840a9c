/* random_graph.h - networks of any form drawn at random: all links, loops, delays and ways of feedback. */
#ifndef GLE_TESTS_RANDOM_GRAPH_H
#define GLE_TESTS_RANDOM_GRAPH_H

#include "random_net.h"

#include <stdbool.h>

struct text {
    char yaml[RANDOM_YAML_BYTES];
    size_t n;
};

/* Appends to a text. Fails the test if it becomes too long. */
void put_text(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

struct graph_kind {
    size_t rows, rows_max; /* batch_size, test_batch_size */
    bool smooth;      /* what the adjoint equations know: neither loops nor delays, no gamma */
    bool wide;        /* wide enough for several threads */
    bool hardware;    /* by chance, with noise, mismatch and quantized weights; else the same networks without */
    double clip;      /* learning.clip; 0: by chance, and any */
    const char *rule; /* that learns; NULL: gle, bp or eprop. A windowed one gets a window */
};

/* Writes a config. dt is 0.1, the longest delay four steps; layers stand in any order, and the output is any of them.
 * Nothing depends on the length of a table. */
void random_graph(struct text *t, const struct graph_kind *kind, struct gle_rng *rng);

#endif
