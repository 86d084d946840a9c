/* slopes.h - whether a function has the slope that is said of it. */
#ifndef GLE_TESTS_SLOPES_H
#define GLE_TESTS_SLOPES_H

#include <stddef.h>

enum { SAMPLED_MAX = 4096 };

/* Values of a function at m points that are `step` apart, and what should be its slope there. */
struct sampled {
    const float *f, *slope;
    size_t m;     /* at most SAMPLED_MAX */
    double step;
    double jump;  /* what of f is more than growth: where it jumps by that, its slope says nothing */
    size_t kinks; /* the most at which f, its slope, or the slope of that may jump */
};

/* Fails the test unless the slope passes, and, in proof of the check, the mistakes that are made with slopes do not.
 * what, name, isa: for the message, "slope" of "tanh" for "avx2". */
void check_slope(const struct sampled *s, const char *what, const char *name, const char *isa);

#endif
