#include "parts/rule.h"

static gle_error_kernel *error_gle(const struct gle_kernels *kernels)
{
    return kernels->error_prospective;
}

static gle_error_kernel *error_bp(const struct gle_kernels *kernels)
{
    return kernels->error_instantaneous;
}

const struct gle_rule gle_rules[] = {
    {{.name = "gle", .help = "Generalized Latent Equilibrium: prospective errors, local in space and time"},
     .error = error_gle},
    {{.name = "bp", .help = "instantaneous backpropagation: errors without memory or prospection"}, .error = error_bp},
    {{.name = "bptt", .help = "backpropagation through time: exact gradient, truncated to learning.window",
      .pending = true},
     .windowed = true},
    {{.name = "adjoint", .help = "adjoint equations of the continuous dynamics, backwards over learning.window",
      .pending = true},
     .windowed = true,
     .continuous = true},
    {.row = {.name = NULL}},
};

const struct gle_table gle_rule_table = {"learning rule", gle_rules, sizeof *gle_rules};
