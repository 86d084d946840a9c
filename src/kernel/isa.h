/* isa.h - one binary for every processor of its architecture: files that compute are compiled once per instruction set
 * (src/meson.build) and the fastest one that this processor has is picked at run time. */
#ifndef GLE_KERNEL_ISA_H
#define GLE_KERNEL_ISA_H

#include <stddef.h>

/* GLE_ISA is the instruction set this file is being compiled for: base, avx2 or avx512. */
#ifndef GLE_ISA
#define GLE_ISA base
#endif
#define GLE_JOIN2_(a, b) a##_##b
#define GLE_JOIN_(a, b) GLE_JOIN2_(a, b)
/* The name under which such a file exports something: GLE_ISA_NAME(gle_acts) is gle_acts_avx2. */
#define GLE_ISA_NAME(name) GLE_JOIN_(name, GLE_ISA)

/* DECLARE (and DECLARE_ROWS, for tables) announces what such files export under a name, one for each instruction set;
 * LIST is an initialiser of pointers to them, indexed by enum gle_isa. */
#ifdef GLE_ISA_X86
enum gle_isa { GLE_ISA_BASE, GLE_ISA_AVX2, GLE_ISA_AVX512, GLE_ISA_COUNT };
#define GLE_ISA_DECLARE(type, name) extern type name##_base, name##_avx2, name##_avx512
#define GLE_ISA_DECLARE_ROWS(type, name) extern type name##_base[], name##_avx2[], name##_avx512[]
#define GLE_ISA_LIST(name) {name##_base, name##_avx2, name##_avx512}
#else
enum gle_isa { GLE_ISA_BASE, GLE_ISA_COUNT };
#define GLE_ISA_DECLARE(type, name) extern type name##_base
#define GLE_ISA_DECLARE_ROWS(type, name) extern type name##_base[]
#define GLE_ISA_LIST(name) {name##_base}
#endif

/* The fastest instruction set of this processor; the environment variable GLESIM_ISA (base, avx2, avx512) may choose
 * a slower one, for tests. */
enum gle_isa gle_isa_best(void);
const char *gle_isa_name(enum gle_isa isa);

#endif
