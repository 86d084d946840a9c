/* load.h - what must be true of a config, whatever is in it. */
#ifndef GLE_TESTS_FUZZ_LOAD_H
#define GLE_TESTS_FUZZ_LOAD_H

#include "config/experiment.h"

/* Loads the file; an error must have a text, and what loads must, written down, load as the same. */
void fuzz_load(const char *path, const struct gle_override *overrides, size_t n_overrides);

#endif
