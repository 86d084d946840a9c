/* trial.h - a whole run of a config, for tests. */
#ifndef GLE_TESTS_TRIAL_H
#define GLE_TESTS_TRIAL_H

#include "build.h"
#include "data/data.h"
#include "train/train.h"

/* Everything a run needs. */
struct trial {
    struct built b;
    struct gle_data *data;
    struct gle_metrics m;
    struct gle_error err;
    int rc;
};

/* Fails the test if anything is wrong. The net can be looked into as far as the config records. */
struct trial trial_open(const char *yaml, size_t threads);
/* Trains; rc and err say how that ended. Once per trial. */
void trial_run(struct trial *t, const struct gle_observer *observer, const volatile sig_atomic_t *stop);
void trial_close(struct trial *t);
/* Opens, and runs to the end. */
struct trial trial_of(const char *yaml, size_t threads);

/* All parameters, one after the other. Owns: free(). */
float *all_params(const struct built *b, size_t *n);
bool same_params(const struct built *a, const struct built *b);

/* Loads the one experiment at path, opens and runs it on two threads, as the program would, with no more than k
 * allocations to be had; observer may be NULL. Returns whether they were enough; fails the test on any other error than
 * GLE_ENOMEM. */
bool trial_with(const char *path, size_t k, const struct gle_observer *observer);

#endif
