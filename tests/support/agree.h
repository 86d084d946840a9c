/* agree.h - how near a net on a device has to be to the same net on the processors. Both compute in single precision
 * and round otherwise: a device fuses products and sums, and sums in another order. */
#ifndef GLE_TESTS_AGREE_H
#define GLE_TESTS_AGREE_H

#include "solver/net.h"

/* What a number may be off: of the largest one of its array, and in any case. They hold for some dozens of steps of
 * networks that do not amplify rounding. */
struct agree_limit {
    double of_largest, least;
};
extern const struct agree_limit agree_states, agree_gradients, agree_parameters, agree_losses;

/* Fails the test, naming `when` and `what`, unless n numbers agree. */
void assert_numbers_agree(const char *when, const char *what, const float *host, const float *device, size_t n,
                          const struct agree_limit *limit);
void assert_losses_agree(const char *when, const double *host, const double *device, size_t n);
/* The same of parts of two nets of one graph, or of two graphs of one experiment. */
void assert_states_agree(const char *when, const struct gle_net *host, const struct gle_net *device);
void assert_gradients_agree(const char *when, const struct gle_net *host, const struct gle_net *device);
void assert_parameters_agree(const char *when, const struct gle_net *host, const struct gle_net *device);
void assert_output_sums_agree(const char *when, const struct gle_net *host, const struct gle_net *device);
/* States, parameters and gradients, and where the nets are. */
void assert_nets_agree(const char *when, const struct gle_net *host, const struct gle_net *device);

#endif
