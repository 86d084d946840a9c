/* What hardware did to the layers of a network, in the report. */
#include "base/memory.h"
#include "report/json.h"

#include <math.h>

static json_t *noise_of(const struct gle_noise_cfg *cfg)
{
    json_t *out = json_object();

    json_object_set_new(out, "std", gle_json_real(cfg->std));
    json_object_set_new(out, "tau", cfg->tau > 0.0 ? gle_json_real(cfg->tau) : json_null());
    json_object_set_new(out, "when", json_string(!cfg->test ? "train" : !cfg->train ? "test" : "always"));
    return out;
}

/* The factors as they were drawn, and how many neurons have the shortest time constant because of theirs; memory: room
 * for twice as many numbers. */
static json_t *factors_of(const struct gle_graph *g, const struct gle_population *p, enum gle_mismatch k,
                          const struct gle_net *net, float *memory)
{
    const struct gle_parameter *tau = k == GLE_MISMATCH_TAU_M || k == GLE_MISMATCH_ERROR_TAU_M ? p->tau_m : p->tau_r;
    const double n = (double)p->n;
    double sum = 0.0, squares = 0.0, low = INFINITY, high = -INFINITY;
    size_t at_shortest = 0;
    float *taus = memory + p->n;
    json_t *out = json_object();

    gle_net_get_param(net, (size_t)(p->factors[k] - g->parameters), memory);
    gle_net_get_param(net, (size_t)(tau - g->parameters), taus);
    for (size_t i = 0; i < p->n; i++) {
        const double factor = (double)memory[i];
        sum += factor;
        squares += factor * factor;
        low = fmin(low, factor);
        high = fmax(high, factor);
        at_shortest += (double)taus[i] * factor < g->exp->tau_least;
    }
    json_object_set_new(out, "std", gle_json_real(p->cfg->mismatch.std[k]));
    json_object_set_new(out, "drawn_mean", gle_json_real(sum / n));
    json_object_set_new(out, "drawn_std", gle_json_real(sqrt(fmax(squares / n - sum / n * (sum / n), 0.0))));
    json_object_set_new(out, "drawn_min", gle_json_real(low));
    json_object_set_new(out, "drawn_max", gle_json_real(high));
    json_object_set_new(out, "neurons_at_shortest", json_integer((json_int_t)at_shortest));
    return out;
}

static json_t *mismatch_of(const struct gle_graph *g, const struct gle_population *p, const struct gle_net *net)
{
    static const char *const names[GLE_MISMATCHES] = {"tau_m", "tau_r", "error_tau_m", "error_tau_r"};
    float *memory = gle_calloc(2 * p->n, sizeof *memory);
    json_t *out = json_object();

    for (size_t k = 0; memory && k < GLE_MISMATCHES; k++)
        if (p->factors[k])
            json_object_set_new(out, names[k], factors_of(g, p, (enum gle_mismatch)k, net, memory));
    gle_free(memory);
    return out;
}

static json_t *quantize_of(const struct gle_quantize_cfg *cfg)
{
    json_t *out = json_object();

    json_object_set_new(out, "bits", json_integer((json_int_t)cfg->bits));
    json_object_set_new(out, "range", gle_json_real(cfg->range));
    json_object_set_new(out, "step", gle_json_real(cfg->range / (double)gle_quantize_levels(cfg)));
    return out;
}

void gle_json_add_hardware(json_t *layer, const struct gle_graph *g, const struct gle_population *p,
                           const struct gle_net *net)
{
    static const char *const names[GLE_NOISES] = {"input", "membrane", "rate"};
    json_t *noise = json_object();
    bool mismatched = false;

    for (size_t k = 0; k < GLE_NOISES; k++)
        if (p->noise[k].cfg)
            json_object_set_new(noise, names[k], noise_of(p->noise[k].cfg));
    for (size_t k = 0; k < GLE_MISMATCHES; k++)
        mismatched = mismatched || p->factors[k];
    if (json_object_size(noise))
        json_object_set(layer, "noise", noise);
    json_decref(noise);
    if (mismatched)
        json_object_set_new(layer, "mismatch", mismatch_of(g, p, net));
    if (p->cfg->quantize.bits)
        json_object_set_new(layer, "quantize", quantize_of(&p->cfg->quantize));
}
