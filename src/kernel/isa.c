#include "kernel/isa.h"

#include <stdlib.h>
#include <string.h>

static const char *const names[GLE_ISA_COUNT] = {
    "base",
#ifdef GLE_ISA_X86
    "avx2",
    "avx512",
#endif
};

static int has(enum gle_isa isa)
{
#ifdef GLE_ISA_X86
    if (isa == GLE_ISA_AVX512)
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
               __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("fma");
    if (isa == GLE_ISA_AVX2)
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#endif
    return isa == GLE_ISA_BASE;
}

enum gle_isa gle_isa_best(void)
{
    const char *wish = getenv("GLESIM_ISA");
    size_t best = GLE_ISA_BASE;

    for (size_t i = 0; i < GLE_ISA_COUNT; i++) {
        if (has((enum gle_isa)i))
            best = i;
        if (wish && !strcmp(wish, names[i]))
            break;
    }
    return (enum gle_isa)best;
}

const char *gle_isa_name(enum gle_isa isa)
{
    return names[isa];
}
