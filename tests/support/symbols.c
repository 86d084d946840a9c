#include "symbols.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

const char *symbols(const char *training)
{
    enum { YAML_BYTES = 4096 };
    static char yaml[YAML_BYTES];
    const int n = snprintf(yaml, sizeof yaml,
                           "glesim: 1\nname: tiny\ndt: 0.1\nseed: 5\n"
                           "dataset: {type: copy, symbols: 3, length: 3, item: 0.2, delay: 0.2, samples: 20, "
                           "test_samples: 12}\n"
                           "network: {input: 4, layers: [{name: a, neurons: {count: 6, tau_m: 1.0, tau_r: 0.4}, "
                           "activation: tanh}, {name: b, neurons: {count: 3, tau_m: 0.3, tau_r: 0.1}}]}\n"
                           "learning: {rule: gle, loss: cross_entropy, optimizer: {type: adam, lr: 0.1}}\n"
                           "training: {%s}\nrecord: {every: 1}\n",
                           training);

    assert_in_range(n, 1, YAML_BYTES - 1);
    return yaml;
}
