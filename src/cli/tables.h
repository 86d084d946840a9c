/* tables.h - a network in words, for a dry run: on standard output. */
#ifndef GLE_CLI_TABLES_H
#define GLE_CLI_TABLES_H

#include "graph/graph.h"

/* Layers; and, where they are not a chain in which each reads the one before it all to all, what they read. */
void gle_show_network(const struct gle_graph *graph);

/* "conv 5 x 5, stride 2, max pool 2 x 2 first": a link with its settings. */
enum { GLE_LINK_WORDS = 160 };
const char *gle_link_words(char words[static GLE_LINK_WORDS], const struct gle_projection *c);

/* "20 x 24 x 24" of a layer of channels, else its number of neurons. */
enum { GLE_SHAPE_SIZES = 64 };
const char *gle_shape_sizes(char sizes[static GLE_SHAPE_SIZES], const struct gle_shape *shape);

/* The least and the largest of n numbers, "0.5-2", or the only one that there is. */
enum { GLE_RANGE_WORDS = 32 };
const char *gle_range_words(char words[static GLE_RANGE_WORDS], const double *v, size_t n);

#endif
