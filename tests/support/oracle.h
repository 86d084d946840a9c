/* oracle.h - the step in double precision, as plain loops over the equations of the design. Slow and obvious: what the
 * solver is held against.
 *
 * Beside a value the oracle keeps its spread: the standard deviation that rounding to single precision gives the float
 * of the same meaning in a right solver. Every operation passes on the spreads of what it reads, times its slopes, and
 * adds its own rounding, taken as independent of all others. So a spread grows where the step amplifies: by tau_r /
 * tau_m in each layer that rates go through, by tau_m / tau_r in each that prospective errors go back through. */
#ifndef GLE_TESTS_ORACLE_H
#define GLE_TESTS_ORACLE_H

#include "formulas.h"
#include "graph/graph.h"
#include "solver/net.h"

#include <stdbool.h>
#include <stddef.h>

/* How many spreads a value may be off: one in 5e8 would be more, were roundings drawn by chance. */
#define ORACLE_SPREADS 6.0

/* Spreads of the variables of the same name. */
struct oracle_spread {
    double *W, *b, *tau_m, *tau_r, *mW, *mb, *mtau_m, *mtau_r, *fW, *fb, *ftau_m, *ftau_r;
    double *u, *v, *r, *dr, *e_below, *e, *e_inst, *prosp_u;
};

struct oracle_layer {
    size_t n_in, n;
    const struct act_formula *act;
    struct act_of act_of;
    double gamma;
    bool plastic[GLE_PARAMS];
    double *W, *b, *tau_m, *tau_r;       /* (n, n_in), (n) */
    double *gW, *gb, *gtau_m, *gtau_r;   /* gradients */
    double *fW, *fb, *ftau_m, *ftau_r;   /* what the optimizer follows: their sum over some steps, then its mean */
    double *mW, *mb, *mtau_m, *mtau_r, *sW, *sb, *stau_m, *stau_r; /* first and second moments, or momentum */
    double *u, *v, *r, *dr, *e_below;    /* (B, n), e_below (B, n_in) */
    double *e, *e_inst, *prosp_u;        /* of the last step */
    struct oracle_spread spread;
};

enum oracle_optimizer { ORACLE_ADAM, ORACLE_SGD };

struct oracle {
    struct oracle_layer *layers;
    size_t n_layers, B;
    double dt, beta;
    bool exponential; /* integration */
    bool prospective; /* rule gle; else bp */
    bool nudge;       /* the target error drives the network also when it does not learn */
    bool unasked;     /* steps have no target: no target error, no loss */
    const bool *window_unasked; /* the same of each step of oracle_window(), (T); NULL: all have one */
    const struct loss_formula *loss;
    const struct gle_row *loss_row;
    const void *loss_params;
    enum oracle_optimizer optimizer; /* under ORACLE_ADAM, spreads count parameters as exact */
    double lr, momentum;
    double clip; /* the largest norm of what the optimizer follows; 0: any */
    unsigned long clipped; /* steps of the optimizer for which it was too long */
    unsigned long every; /* gradients of so many learning steps are averaged for one of the optimizer */
    double tau_low; /* bound of time constants */
    unsigned long t, gathered; /* steps of the optimizer; learning steps since the last one */
    double loss_spread; /* of what the last step returned */
    double rough; /* how much rounding may be off, ORACLE_SPREADS spreads, of the largest error or rate of a layer: in
                     the layer and step so far where that is most */
    bool fragile; /* rounding decides a slope, since a potential came close to a kink of its activation; or `rough` has
                     grown to a hundredth; or an error is so large that the network is about to diverge */
    bool bent;    /* rounding decides the slope of a slope, or of the target error, and so a gradient through the
                     feedback of errors */
};

/* Takes shapes, settings and the present parameters from a net; the state is zero. */
struct oracle *oracle_build(const struct gle_graph *graph, const struct gle_net *net, size_t B,
                            enum oracle_optimizer optimizer, double lr, double momentum);
void oracle_destroy(struct oracle *o);
/* One step: x (B, n_in), y (B, n_out). Returns the loss summed over rows. */
double oracle_step(struct oracle *o, const double *x, const double *y, bool learning);
/* The loss, a mean over rows, summed over T steps from here on, driven by the target error and without learning; the
 * oracle stays as it is, but for `rough`, `fragile` and `bent`. x (T, B, n_in), y (T, B, n_out). Its central
 * differences are gradients. */
double oracle_window(struct oracle *o, const double *x, const double *y, size_t T);
/* Grows or shrinks the batch as the design says. */
void oracle_set_batch(struct oracle *o, size_t B);

#endif
