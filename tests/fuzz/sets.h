/* sets.h - what fuzzers of whole data sets share. */
#ifndef GLE_TESTS_FUZZ_SETS_H
#define GLE_TESTS_FUZZ_SETS_H

/* Opens a data set by its name and settings, as a config has them; if it opens, makes every frame of every sample, which
 * must be finite, as must be its labels' being classes. */
void fuzz_open(const char *name, const char *yaml);

#endif
