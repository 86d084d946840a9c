/* witness.h - an observer that keeps what a run shows, step by step, and stops it when told to. */
#ifndef GLE_TESTS_WITNESS_H
#define GLE_TESTS_WITNESS_H

#include "trial.h"

/* A step, and what the net held after it. */
struct sight {
    struct gle_moment moment;
    float *input, *target, *output; /* what it read: (B, n) */
    float *params, *gradients;      /* as all_params() */
};

struct witness {
    const struct trial *trial;
    struct sight *steps;
    size_t n_steps;
    struct gle_closed_window *windows;
    size_t n_windows;
    float **stages; /* parameters when a stage was told of */
    size_t n_stages;
    uint64_t stop_after; /* a step; UINT64_MAX: none */
    volatile sig_atomic_t stop;
};

/* For a run of t, whose config records every step. Owns: witness_clear(). */
struct witness witness_new(const struct trial *t);
struct gle_observer witness_observer(struct witness *w);
void witness_clear(struct witness *w);

/* Opens a trial and runs it before a witness; fails the test if the run does. t must outlive w. */
void witness_run(struct witness *w, struct trial *t, const char *yaml, size_t threads);

/* Another net like that of the trial, with the parameters that it began with. Owns: gle_net_destroy(). */
struct gle_net *net_again(const struct trial *t, struct gle_rng *rng);
/* Puts what the step read into a net. */
void show_again(struct gle_net *net, const struct trial *t, const struct sight *s);

#endif
