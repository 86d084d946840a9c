/* sets.h - what fuzzers of whole data sets share. */
#ifndef GLE_TESTS_FUZZ_SETS_H
#define GLE_TESTS_FUZZ_SETS_H

/* Opens a data set by its name and settings, as a config has them. If it opens, every sample is made: its frames must
 * be finite, and its label must be one of the classes. */
void fuzz_open(const char *name, const char *yaml);

#endif
