/* Noise, mismatch and quantized weights: what a layer says of itself goes before what the network says of all. */
#include "config/build.h"

#include <string.h>

const struct gle_node *gle_hardware_common(const struct gle_node *network, const char *map)
{
    const struct gle_node *own = network ? gle_node_get(network, map) : NULL;

    return own || !network || !network->parent ? own : gle_node_get(network->parent, map);
}

/* What was decoded of it. */
static const struct gle_hardware_keys *common_keys(const struct gle_file_keys *file, const struct gle_node *network,
                                                   const char *map)
{
    return network && gle_node_get(network, map) ? &file->network.hardware : &file->hardware;
}

/* The map that says something: the layer's own, that of all layers, or none (NULL). */
static const struct gle_node *map_with(const struct gle_node *layer, const struct gle_node *network, const char *map,
                                       const char *key)
{
    const struct gle_node *own = gle_node_get(layer, map), *common = gle_hardware_common(network, map);

    if (own && gle_node_get(own, key))
        return own;
    return common && gle_node_get(common, key) ? common : NULL;
}

static const char *const noises[GLE_NOISES] = {"input", "membrane", "rate"};

static void build_noise(struct gle_noise_cfg *out, const struct gle_noise_kind_keys *keys, const struct gle_node *src)
{
    out->std = keys->std;
    out->tau = gle_node_get(src, "tau") ? keys->tau : 0.0;
    out->train = strcmp(keys->when->name, "test") != 0;
    out->test = strcmp(keys->when->name, "train") != 0;
}

static void build_noises(struct gle_layer_cfg *l, const struct gle_layer_keys *keys, const struct gle_file_keys *file,
                         const struct gle_node *network)
{
    const struct gle_noise_keys *own = &keys->hardware.noise, *common = &common_keys(file, network, "noise")->noise;
    const struct gle_noise_kind_keys *const of[GLE_NOISES][2] = {
        {&own->input, &common->input}, {&own->membrane, &common->membrane}, {&own->rate, &common->rate}};

    for (size_t k = 0; k < GLE_NOISES; k++) {
        const struct gle_node *map = map_with(keys->src, network, "noise", noises[k]);
        const bool is_own = map && map == gle_node_get(keys->src, "noise");
        if (map)
            build_noise(&l->noise[k], of[k][!is_own], gle_node_get(map, noises[k]));
    }
}

static void build_mismatch(struct gle_layer_cfg *l, const struct gle_layer_keys *keys, const struct gle_file_keys *file,
                           const struct gle_node *network)
{
    static const char *const names[GLE_MISMATCHES] = {"tau_m", "tau_r", "error_tau_m", "error_tau_r"};
    const struct gle_mismatch_keys *own = &keys->hardware.mismatch;
    const struct gle_mismatch_keys *common = &common_keys(file, network, "mismatch")->mismatch;
    const double of[GLE_MISMATCHES][2] = {{own->tau_m, common->tau_m},
                                          {own->tau_r, common->tau_r},
                                          {own->error_tau_m, common->error_tau_m},
                                          {own->error_tau_r, common->error_tau_r}};

    for (size_t k = 0; k < GLE_MISMATCHES; k++) {
        const struct gle_node *map = map_with(keys->src, network, "mismatch", names[k]);
        const bool is_own = map && map == gle_node_get(keys->src, "mismatch");
        l->mismatch.own[k] = map != NULL;
        l->mismatch.std[k] = map ? of[k][!is_own] : 0.0;
    }
}

int gle_hardware_check(const struct gle_node *map, const struct gle_hardware_keys *keys, double dt,
                       struct gle_errors *errs)
{
    const struct gle_noise_kind_keys *const of[GLE_NOISES] = {&keys->noise.input, &keys->noise.membrane,
                                                              &keys->noise.rate};
    const struct gle_node *noise = map ? gle_node_get(map, "noise") : NULL;
    bool any = false;
    int rc = 0;

    for (size_t k = 0; noise && k < GLE_NOISES; k++) {
        const struct gle_node *kind = gle_node_get(noise, noises[k]);
        any = any || kind;
        if (kind && gle_node_get(kind, "tau") && of[k]->tau > 0.0 && of[k]->tau < dt)
            rc = gle_node_error(errs, GLE_ERANGE, kind, "tau", "%g is below dt = %g", of[k]->tau, dt);
    }
    if (noise && !any && gle_node_get(noise, "when"))
        rc = gle_node_error(errs, GLE_ECONFIG, noise, "when",
                            "of no noise: there is no input, membrane or rate beside it");
    return rc;
}

int gle_hardware_check_twice(const struct gle_node *file, struct gle_errors *errs)
{
    static const char *const maps[] = {"noise", "mismatch", "quantize"};
    const struct gle_node *network = gle_node_get(file, "network");
    int rc = 0;

    for (size_t i = 0; network && i < sizeof maps / sizeof *maps; i++)
        if (gle_node_get(file, maps[i]) && gle_node_get(network, maps[i]))
            rc = gle_node_error(errs, GLE_ECONFIG, file, maps[i],
                                "network.%s says the same of all layers: leave one of the two out", maps[i]);
    return rc;
}

void gle_hardware_build(struct gle_layer_cfg *l, const struct gle_layer_keys *keys, const struct gle_file_keys *file)
{
    const struct gle_node *network = keys->src->parent ? keys->src->parent->parent : NULL, *quantize;

    build_mismatch(l, keys, file, network);
    quantize = map_with(keys->src, network, "quantize", "weight");
    if (quantize)
        l->quantize = quantize == gle_node_get(keys->src, "quantize")
                          ? keys->hardware.quantize.weight
                          : common_keys(file, network, "quantize")->quantize.weight;
    build_noises(l, keys, file, network);
}
