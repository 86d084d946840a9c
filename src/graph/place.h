/* place.h - where the arrays of a graph lie, for the files of this folder alone. */
#ifndef GLE_GRAPH_PLACE_H
#define GLE_GRAPH_PLACE_H

#include "graph/graph.h"

/* Gives all parameters and fields of a graph whose populations and projections are connected their shapes and places.
 * The lists of both have room: see gle_most_fields() and gle_most_parameters(). */
void gle_place_all(struct gle_graph *g);

/* No more of them can there be. */
size_t gle_most_fields(size_t n_populations, size_t n_projections, size_t n_directs);
size_t gle_most_parameters(size_t n_populations, size_t n_projections, size_t n_directs);

#endif
