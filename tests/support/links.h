/* links.h - links from their settings, and arrays to try them on, for tests. */
#ifndef GLE_TESTS_LINKS_H
#define GLE_TESTS_LINKS_H

#include "parts/link.h"

#include <stddef.h>
#include <stdint.h>

/* --- numbers that repeat --- */

extern uint32_t noise_state; /* what they follow from */
uint32_t below(uint32_t n);  /* 0 ... n - 1 */

/* Rows of n numbers; their padding, which nobody may read, is NaN. */
struct rows {
    float *v;
    size_t n, ld, n_rows;
};

struct rows rows_of(size_t n_rows, size_t n, size_t ld);
struct rows rows_make(size_t n_rows, size_t n);  /* with padding, or with more of it than needed */
struct rows like(const struct rows *r);          /* others, as many and as far apart */
void empty(struct rows *r);                      /* as those of a result are: nothing but NaN */
struct rows rows_empty(size_t n_rows, size_t n);
/* Fails the test unless the padding of a result is zero, and what lies beyond is as it was. */
void check_padding(const char *what, const struct rows *r);
/* Fails the test unless they agree to rounding; sum: of the sizes of the terms. */
void check_close(const char *what, const char *link, double got, double want, double sum);

/* --- links --- */

/* Settings as a config has them, decoded. */
struct made {
    struct gle_doc *doc;
    struct gle_part part;
    struct gle_link_plan plan;
    char text[400];
};

int decode(struct made *m, const char *text, struct gle_errors *errs);
/* Fails the test if the settings are wrong by themselves; returns what gle_link_plan_make() does. */
int make(struct made *m, const char *text, const struct gle_shape *source, const struct gle_shape *target,
         uint64_t seed, const char *label, struct gle_error *err);
void unmake(struct made *m);

/* W of a plan as a whole matrix (neurons of the target, neurons pooled): [i * n_in + j] is 1 + the place among the
 * numbers of W of what joins the two, 0: nothing. A link may use a number many times, but never twice between the same
 * two. Owns: free(). */
size_t *link_matrix(const struct gle_link_plan *plan);

/* A source of up to 6 channels, each up to `most` neurons wide and high; dims 0: up to 70 neurons. */
struct gle_shape random_grid(size_t dims, size_t most);

#endif
