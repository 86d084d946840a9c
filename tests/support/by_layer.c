#include "by_layer.h"

static const char *const names[VARS] = {
    [VAR_U] = "u", [VAR_V] = "v",           [VAR_R] = "r", [VAR_DR] = "r_prime",      [VAR_E_BELOW] = "e_below",
    [VAR_E] = "e", [VAR_PROSP_U] = "prosp_u", [VAR_S] = "s", [VAR_E_INST] = "e_inst",
};

size_t layer_inputs(const struct gle_graph *graph, size_t layer)
{
    return graph->projections[graph->populations[layer].first].n_in;
}

size_t layer_param_size(const struct gle_graph *graph, size_t layer, enum gle_param kind)
{
    return gle_field_size(&graph->parameters[gle_graph_parameter(graph, layer, 0, kind)].field);
}

bool layer_sends_error(const struct gle_graph *graph, size_t layer)
{
    return graph->projections[graph->populations[layer].first].sends_error;
}

static size_t param_of(const struct gle_net *net, size_t layer, enum gle_param kind)
{
    return gle_graph_parameter(gle_net_graph(net), layer, 0, kind);
}

static size_t var_of(const struct gle_net *net, size_t layer, enum layer_var var)
{
    return gle_graph_variable(gle_net_graph(net), layer, names[var], 0);
}

void layer_get_param(const struct gle_net *net, size_t layer, enum gle_param kind, float *values)
{
    gle_net_get_param(net, param_of(net, layer, kind), values);
}

void layer_set_param(struct gle_net *net, size_t layer, enum gle_param kind, const float *values)
{
    gle_net_set_param(net, param_of(net, layer, kind), values);
}

void layer_get_gradient(const struct gle_net *net, size_t layer, enum gle_param kind, float *values)
{
    gle_net_get_gradient(net, param_of(net, layer, kind), values);
}

void layer_get_followed(const struct gle_net *net, size_t layer, enum gle_param kind, float *values)
{
    gle_net_get_followed(net, param_of(net, layer, kind), values);
}

bool layer_learns(const struct gle_net *net, size_t layer, enum gle_param kind)
{
    return gle_net_learns(net, param_of(net, layer, kind));
}

void layer_hold(struct gle_net *net, size_t layer, enum gle_param kind, bool hold)
{
    gle_net_hold(net, param_of(net, layer, kind), hold);
}

void layer_get_var(const struct gle_net *net, size_t layer, enum layer_var var, float *values)
{
    gle_net_get_var(net, var_of(net, layer, var), values);
}

bool layer_has_var(const struct gle_net *net, size_t layer, enum layer_var var)
{
    return gle_net_has_var(net, var_of(net, layer, var));
}
