/* by_layer.h - what tests ask a net for by layer and name; the net itself knows numbers of parameters and fields. */
#ifndef GLE_TESTS_BY_LAYER_H
#define GLE_TESTS_BY_LAYER_H

#include "solver/net.h"

/* Variables of a layer; those up to VAR_E are its state. */
enum layer_var { VAR_U, VAR_V, VAR_R, VAR_DR, VAR_E_BELOW, VAR_E, VAR_PROSP_U, VAR_S, VAR_E_INST, VARS,
                 STATE_VARS = VAR_E };

/* Parameters of a layer with one source: weight, bias, tau_m, tau_r. */
enum { LAYER_PARAMS = 4 };

/* Inputs of a layer; numbers in one of its parameters; whether it sends errors to what it reads. */
size_t layer_inputs(const struct gle_graph *graph, size_t layer);
size_t layer_param_size(const struct gle_graph *graph, size_t layer, enum gle_param kind);
bool layer_sends_error(const struct gle_graph *graph, size_t layer);

/* As gle_net_get_param() and so on. */
void layer_get_param(const struct gle_net *net, size_t layer, enum gle_param kind, float *values);
void layer_set_param(struct gle_net *net, size_t layer, enum gle_param kind, const float *values);
void layer_get_gradient(const struct gle_net *net, size_t layer, enum gle_param kind, float *values);
void layer_get_followed(const struct gle_net *net, size_t layer, enum gle_param kind, float *values);
bool layer_learns(const struct gle_net *net, size_t layer, enum gle_param kind);
void layer_hold(struct gle_net *net, size_t layer, enum gle_param kind, bool hold);
void layer_get_var(const struct gle_net *net, size_t layer, enum layer_var var, float *values);
bool layer_has_var(const struct gle_net *net, size_t layer, enum layer_var var);

#endif
