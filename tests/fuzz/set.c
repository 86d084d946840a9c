/* Any text as what stands behind --set, "path=value", over a config that has a bit of everything. */
#include "input.h"
#include "load.h"

#include <stdlib.h>
#include <string.h>

static const char config[] =
    "glesim: 1\n"
    "name: fuzz\n"
    "dt: 0.1\n"
    "dataset: {type: sines, omega: [0.49, 1.07], sequences: 2}\n"
    "network:\n"
    "  input: 1\n"
    "  layers:\n"
    "    - {name: hidden, repeat: 2, neurons: [{count: 1, tau_m: 1.0, tau_r: 1.0}, {count: 1, tau_m: [2], tau_r: 1}],\n"
    "       activation: tanh, bias: none}\n"
    "    - {name: top, neurons: {count: 1, tau_m: 1.0, tau_r: 1.0}}\n"
    "teacher: {top: {weight: [[0.5, 1.0]]}}\n"
    "learning: {rule: gle, loss: mse, bounds: {tau_m: [0.1, .inf]}, optimizer: {type: sgd, lr: 1e-3}}\n"
    "training: {phases: [{duration: 8, learn: false, set: {top.tau_m: 2}}, {duration: 9}]}\n"
    "record: {every: 1, variables: [r, e], parameters: [weight]}\n"
    "diagnose: {gradient: bptt, window: 1}\n";

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    char *text = calloc(size + 1, 1), *equals;

    if (!text)
        fuzz_fail("no memory");
    memcpy(text, bytes, size);
    equals = strchr(text, '=');
    if (equals) {
        *equals = '\0';
        fuzz_load(fuzz_file(config, sizeof config - 1),
                  &(struct gle_override){.path = text, .value = equals + 1, .where = "--set"}, 1);
    }
    free(text);
    return 0;
}
