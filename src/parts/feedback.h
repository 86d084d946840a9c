/* feedback.h - what a config can write after `feedback:`: how the errors of a projection's target reach its source. */
#ifndef GLE_PARTS_FEEDBACK_H
#define GLE_PARTS_FEEDBACK_H

#include "base/table.h"

/* How weights B of their own move. */
enum gle_feedback_way {
    GLE_FEEDBACK_STAYS,   /* not at all */
    GLE_FEEDBACK_FOLLOWS, /* along the gradient of W, whenever W does; both decay (Kolen & Pollack 1994; Akrout et al.
                             2019, arXiv:1904.05391) */
    GLE_FEEDBACK_ALIGNS,  /* by noise in the source, which the target's rates carry (Max et al., arXiv:2212.10249) */
};

/* A row. Settings of one that has weights of its own are a struct gle_feedback_params, of which it has some. */
struct gle_feedback {
    struct gle_row row;
    bool sends; /* errors go back at all */
    bool own;   /* through weights B of their own, of the shape of W: B^T e; else through W^T e */
    enum gle_feedback_way way;
};
extern const struct gle_feedback gle_feedbacks[];
extern const struct gle_table gle_feedback_table;

struct gle_feedback_params {
    struct gle_part weight; /* B at the start; row: struct gle_init */
    double decay;           /* FOLLOWS: of W and B, in 1/time; ALIGNS: alpha */
    double lr;              /* ALIGNS: eta, in 1/time */
    double std, tau;        /* ALIGNS: of the noise */
    double tau_hp;          /* ALIGNS: of the low pass that is taken from the target's rates */
};

#endif
