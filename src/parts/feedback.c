#include "parts/feedback.h"
#include "parts/init.h"

static const struct gle_key fixed_keys[] = {
    GLE_KEY_CUSTOM(struct gle_feedback_params, weight, "{init: linear}", &gle_init_custom,
                   "the weights B, of the shape of W, through which errors go back: B^T e"),
    GLE_KEY_END,
};

const struct gle_feedback gle_feedbacks[] = {
    {{.name = "transpose", .help = "errors go back through the weights themselves: W^T e"}, .sends = true},
    {{.name = "none", .help = "no errors go back"}, .sends = false},
    {{.name = "fixed",
      .help = "errors go back through random weights of their own, which stay as they are (feedback alignment): B^T e",
      .keys = fixed_keys,
      .params_size = sizeof(struct gle_feedback_params)},
     .sends = true,
     .own = true},
    {.row = {.name = NULL}},
};

const struct gle_table gle_feedback_table = {"feedback", gle_feedbacks, sizeof *gle_feedbacks};
