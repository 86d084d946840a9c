/* feedback.h - what a config can write after `feedback:`: how the errors of a projection's target reach its source. */
#ifndef GLE_PARTS_FEEDBACK_H
#define GLE_PARTS_FEEDBACK_H

#include "base/table.h"

/* A row. Settings of one that has weights of its own begin with a struct gle_feedback_params. */
struct gle_feedback {
    struct gle_row row;
    bool sends; /* errors go back at all */
    bool own;   /* through weights B of their own, of the shape of W: B^T e; else through W^T e */
};
extern const struct gle_feedback gle_feedbacks[];
extern const struct gle_table gle_feedback_table;

struct gle_feedback_params {
    struct gle_part weight; /* B at the start; row: struct gle_init */
};

#endif
