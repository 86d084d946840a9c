/* bench_trial.h - one network, trained by one number of threads after the other, or on a device. Errors end the
 * program. */
#ifndef GLE_TOOLS_BENCH_TRIAL_H
#define GLE_TOOLS_BENCH_TRIAL_H

#include "bench_peak.h"
#include "config/experiment.h"
#include "data/data.h"
#include "graph/graph.h"
#include "solver/fleet.h"
#include "solver/net.h"
#include "train/measure.h"

/* What the time of a step goes into, seconds: the mean over threads; rest: what is between steps. */
struct split {
    double products, elementwise, optimizer, waiting, rest;
};

/* A kind of step. Seconds. */
struct speed {
    double mflop; /* in products */
    double bytes; /* of parameters, gradients, moments and states: once for what a step reads, and once for what it
                     writes. NaN: windowed rules */
    double least, median; /* 0: there are no such steps. The median of the rounds' medians */
    double mean;          /* the least of the rounds' */
    double profiled;      /* of stretches that clocks within make slower: the fastest one, */
    struct split split;   /* and what it was made of */
    struct gle_net_traffic traffic; /* of a step on a device, in the last round */
    double medians[ROUNDS_MAX];
    size_t n;
};

enum { NETS_MAX = 128 };

struct trial_row {
    size_t asked, threads; /* threads: that its steps use; on a device, those of the process beside it */
    struct gle_net *nets[NETS_MAX]; /* (n_nets) */
    size_t n_nets; /* 1; on a device, all that step side by side */
    struct speed learn, eval;
    double once;  /* seconds for an epoch, or for all phases, as worked out from the steps; NaN: random data */
    double whole; /* the same, measured; NaN: not */
};

struct trial {
    const struct gle_experiment *exp; /* borrowed */
    bool on_device;
    struct gle_fleet *fleet; /* a thread makes the steps of a net; NULL: on the processors */
    struct gle_data *data;
    struct gle_graph *graph;
    bool random; /* numbers in place of the data set */
    struct trial_row rows[COUNTS_MAX];
    size_t n_rows;
};

/* For each of these numbers of threads. random_data: always; otherwise where there is no data set. */
void trial_open(struct trial *t, const struct gle_experiment *exp, const size_t *threads, size_t n_threads,
                bool random_data);
/* The same on a device: one row, of n_nets networks side by side. */
void trial_open_on(struct trial *t, const struct gle_experiment *exp, struct gle_device *device, size_t n_nets,
                   bool random_data);
/* Measures one row once more. */
void trial_measure(struct trial *t, size_t row, double seconds);
/* Measures all rows, and, on the processors, the peaks for their numbers of threads. */
void trial_run(struct trial *t, struct peaks *peaks, const struct settings *set);
/* Epochs, or runs by duration, whole. */
void trial_run_whole(struct trial *t);
/* Frees what takes memory; results stay. */
void trial_close(struct trial *t);

/* GFLOP/s of the products of a step: over its least time; and over the time that they take themselves. */
double speed_gflops(const struct speed *speed);
double speed_products_gflops(const struct speed *speed);
/* Bytes a second of what a step goes over, over its least time. */
double speed_passing(const struct speed *speed);

#endif
