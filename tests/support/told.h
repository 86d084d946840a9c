/* told.h - numbers in the order in which they are told, to be compared with those of another net. */
#ifndef GLE_TESTS_TOLD_H
#define GLE_TESTS_TOLD_H

#include <stddef.h>

struct record {
    float *v; /* owned: free() */
    size_t n, room;
};

/* Room for n more, which are zero until they are written. Stays where it is until the next call. */
float *more(struct record *r, size_t n);

#endif
