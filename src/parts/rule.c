#include "parts/rule.h"

static struct gle_rule_kernels prospective(const struct gle_kernels *kernels)
{
    return (struct gle_rule_kernels){kernels->error_prospective, kernels->error_prospective_back};
}

static struct gle_rule_kernels instantaneous(const struct gle_kernels *kernels)
{
    return (struct gle_rule_kernels){kernels->error_instantaneous, kernels->error_instantaneous_back};
}

const struct gle_rule gle_rules[] = {
    {{.name = "gle", .help = "Generalized Latent Equilibrium: prospective errors, local in space and time"},
     .choose = prospective,
     .looks_ahead = true},
    {{.name = "bp", .help = "instantaneous backpropagation: errors without memory or prospection"},
     .choose = instantaneous},
    {{.name = "eprop",
      .help = "errors as of bp, which meet eligibilities: what the membrane has kept of the rates it read; exact in a "
              "network of one layer"},
     .choose = instantaneous,
     .eligible = true},
    {{.name = "bptt",
      .help = "backpropagation through time: exact gradient of the loss summed over learning.window, one optimizer "
              "step for each window"},
     .choose = instantaneous,
     .windowed = true},
    {{.name = "adjoint",
      .help = "adjoint equations of the continuous dynamics, integrated back over learning.window: gradient of the "
              "loss integrated over it, one optimizer step for each window"},
     .choose = instantaneous,
     .windowed = true,
     .continuous = true},
    {.row = {.name = NULL}},
};

const struct gle_table gle_rule_table = {"learning rule", gle_rules, sizeof *gle_rules};
