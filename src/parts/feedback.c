#include "parts/feedback.h"
#include "parts/init.h"

#define WEIGHT_KEY                                                                   \
    GLE_KEY_CUSTOM(struct gle_feedback_params, weight, "{init: linear}", &gle_init_custom, \
                   "the weights B, of the shape of W, through which errors go back: B^T e")

static const struct gle_key fixed_keys[] = {
    WEIGHT_KEY,
    GLE_KEY_END,
};

static const struct gle_key kolen_pollack_keys[] = {
    WEIGHT_KEY,
    GLE_KEY_REAL(struct gle_feedback_params, decay, "1e-3", 0.0, 1e9, "1/time",
                 "rate at which W and B shrink: in each step of the optimizer both first lose dt decay of themselves"),
    GLE_KEY_END,
};

static const struct gle_key pal_keys[] = {
    WEIGHT_KEY,
    GLE_KEY_REAL(struct gle_feedback_params, lr, "1", 0.0, 1e9, "1/time", "rate eta at which B learns"),
    GLE_KEY_REAL(struct gle_feedback_params, decay, "1e-4", 0.0, 1e9, "",
                 "alpha: how much of B is taken away; B settles near std^2 / alpha times W, less what slopes take"),
    GLE_KEY_REAL(struct gle_feedback_params, std, "0.01", 0.0, 1e6, "",
                 "standard deviation of the noise that is added to the input of each neuron of the source"),
    GLE_KEY_REAL(struct gle_feedback_params, tau, "1", 0.0, 1e9, "time",
                 "time constant of the noise, an Ornstein-Uhlenbeck process; dt: white"),
    GLE_KEY_REAL(struct gle_feedback_params, tau_hp, "1", 0.0, 1e9, "time",
                 "time constant of the high pass hp: a rate less its low pass"),
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
    {{.name = "kolen_pollack",
      .help = "errors go back through weights of their own, B^T e, which the optimizer moves along the gradient of W, "
              "with moments of their own; W and B decay, so that B - W goes to 0",
      .keys = kolen_pollack_keys,
      .params_size = sizeof(struct gle_feedback_params)},
     .sends = true,
     .own = true,
     .way = GLE_FEEDBACK_FOLLOWS},
    {{.name = "pal",
      .help = "errors go back through weights of their own, B^T e, which learn from noise xi in the source (Max et al. "
              "2024, arXiv:2212.10249): dB/dt = lr (mean hp(r of the layer) xi^T - decay B)",
      .keys = pal_keys,
      .params_size = sizeof(struct gle_feedback_params)},
     .sends = true,
     .own = true,
     .way = GLE_FEEDBACK_ALIGNS},
    {.row = {.name = NULL}},
};

const struct gle_table gle_feedback_table = {"feedback", gle_feedbacks, sizeof *gle_feedbacks};
