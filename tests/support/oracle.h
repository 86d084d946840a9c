/* oracle.h - the step in double precision, as plain loops over the equations of the design. Slow and obvious: what the
 * solver is held against. */
#ifndef GLE_TESTS_ORACLE_H
#define GLE_TESTS_ORACLE_H

#include "graph/graph.h"
#include "solver/net.h"

#include <stdbool.h>
#include <stddef.h>

struct oracle_layer {
    size_t n_in, n;
    const char *act;
    double gamma;
    bool plastic[GLE_PARAMS];
    double *W, *b, *tau_m, *tau_r;       /* (n, n_in), (n) */
    double *gW, *gb, *gtau;              /* gradients */
    double *mW, *mb, *mtau, *sW, *sb, *stau; /* first and second moments, or momentum */
    double *u, *v, *r, *dr, *e_below;    /* (B, n), e_below (B, n_in) */
    double *e, *prosp_u, *e_inst;        /* of the last step */
};

enum oracle_optimizer { ORACLE_ADAM, ORACLE_SGD };

struct oracle {
    struct oracle_layer *layers;
    size_t n_layers, B;
    double dt, beta;
    bool prospective; /* rule gle; else bp */
    bool nudge;       /* the target error drives the network also when it does not learn */
    const char *loss;
    enum oracle_optimizer optimizer;
    double lr, momentum;
    double tau_low; /* bound of tau_m */
    unsigned long t;
    bool fragile; /* a potential came so close to a kink of its activation that rounding decides the slope, or an error
                     so large that the network is about to diverge */
};

/* Whether the oracle knows an activation of that name. */
bool oracle_knows(const char *act);
/* r = phi(u) and its slope, from libm. The activation must be known. */
double oracle_phi(const char *act, double u, double *slope);

/* Takes shapes, settings and the present parameters from a net; the state is zero. */
struct oracle *oracle_build(const struct gle_graph *graph, const struct gle_net *net, size_t B,
                            enum oracle_optimizer optimizer, double lr, double momentum);
void oracle_destroy(struct oracle *o);
/* One step: x (B, n_in), y (B, n_out). Returns the loss summed over rows. */
double oracle_step(struct oracle *o, const double *x, const double *y, bool learn);
/* The loss, a mean over rows, summed over T steps from here on, driven by the target error and without learning; the
 * oracle stays as it is, but for `fragile`. x (T, B, n_in), y (T, B, n_out). Its central differences are gradients. */
double oracle_window(struct oracle *o, const double *x, const double *y, size_t T);
/* Grows or shrinks the batch as the design says. */
void oracle_set_batch(struct oracle *o, size_t B);

#endif
