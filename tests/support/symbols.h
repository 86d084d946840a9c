/* symbols.h - a small run whose samples have several answers each, for tests. */
#ifndef GLE_TESTS_SYMBOLS_H
#define GLE_TESTS_SYMBOLS_H

/* Samples of the task `copy`, of T steps: three symbols of two, a delay of two, three answers of two. */
enum { T = 14, UNASKED = 8, ANSWERS = 3, LENGTH = 2, SYMBOLS = 3, TESTS = 12 };

/* A config that trains on them, with these words in its map `training`, and records every step. Static buffer. */
const char *symbols(const char *training);

#endif
