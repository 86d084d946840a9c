/* device_parity.h - whether steps on a device agree with those of the processors. Errors end the program. */
#ifndef GLE_TOOLS_DEVICE_PARITY_H
#define GLE_TOOLS_DEVICE_PARITY_H

#include "config/experiment.h"

#include <stdbool.h>

struct gle_device;

enum { PARITY_STEPS = 20 };

/* After so many learning steps of the same network on the same inputs, the largest deviation of: a loss, as a part of
 * it; a state, and a parameter, as a part of the largest number of its array. */
struct parity {
    double losses, states, parameters;
};

struct parity parity_measure(const struct gle_experiment *exp, struct gle_device *device);
/* Rounding makes deviations, which prospective errors amplify from layer to layer; a kernel that is wrong makes larger
 * ones. PoCL's, of the paper's networks: 6e-8, 8e-4, 9e-6. */
extern const struct parity parity_limit;
bool parity_holds(const struct parity *p);

#endif
