/* picture.h - a network as a picture. */
#ifndef GLE_CLI_PICTURE_H
#define GLE_CLI_PICTURE_H

#include "config/experiment.h"

/* Writes the network to standard output as a digraph in Graphviz' language DOT, which `dot -Tsvg` draws: layers, and an
 * arrow for each projection in the direction of rates. One with a ring at its tail sends errors back through its own
 * weights; a dashed one beside it is of errors that go through weights B of their own. Needs no data.
 * Errors: those of gle_graph_build(). */
GLE_MUST_CHECK int gle_picture_write(const struct gle_experiment *exp, struct gle_error *err);

#endif
