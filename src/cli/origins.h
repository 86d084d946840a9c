/* origins.h - what many runs are made from beside their configs. Every data set is opened once, and every file of
 * initial values read once, however many runs share it. */
#ifndef GLE_CLI_ORIGINS_H
#define GLE_CLI_ORIGINS_H

#include "cli/session.h"
#include "report/summary.h"

/* Runs of one data set and the same files. */
struct gle_origin {
    const struct gle_experiment *exp; /* of one of the runs */
    struct gle_inputs inputs;
    uint64_t hash;  /* of the section `dataset` */
    size_t data_of; /* the first origin with the same data set */
};

/* Zero-initialise. */
struct gle_origins {
    struct gle_origin *item;
    size_t n;
    size_t *of; /* (runs): 1 + the place of the run's origin; 0: nobody has looked. NULL: of all of them */
};

/* Finds the origins of those of the n runs that are wanted. Data sets are opened in processes of their own, side by
 * side, with how->threads threads together, so that this process starts none and can make runs afterwards.
 * wanted: (n). Owns: out's members belong to the caller (gle_origins_clear), also after an error.
 * Errors: as gle_data_open(), GLE_EDATA (a file that cannot be read), GLE_ENOMEM, GLE_ESTOPPED. */
GLE_MUST_CHECK int gle_origins_find(struct gle_origins *out, const struct gle_seed_run *runs, size_t n,
                                    const bool *wanted, const struct gle_session_how *how, struct gle_error *err);
/* What run i is made from; NULL: nobody has looked. Borrowed. */
const struct gle_inputs *gle_origins_of(const struct gle_origins *origins, size_t i);
void gle_origins_clear(struct gle_origins *origins);

#endif
