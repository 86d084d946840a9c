/* build.h - from YAML text to a graph and a net, for tests. */
#ifndef GLE_TESTS_BUILD_H
#define GLE_TESTS_BUILD_H

#include "graph/graph.h"
#include "kernel/isa.h"
#include "solver/net.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* An experiment, its graph and its net, initialised with the experiment's seed. */
struct built {
    struct gle_experiments list;
    const struct gle_experiment *exp;
    struct gle_graph *graph;
    struct gle_net *net;
};

/* Fails the test with the messages if anything is wrong. threads 0: one. The net can be looked into, and opens windows
 * as long as learning.window and a step. */
struct built build_text(const char *yaml, size_t threads);
/* The same with windows of so many steps. */
struct built build_windows(const char *yaml, size_t tape_steps, size_t threads);
/* The experiment alone. */
struct built built_load(const char *yaml);
struct built build_file(const char *path, const struct gle_override *overrides, size_t n_overrides, size_t threads);
/* Tests are run once on the processor and once more on the device that the environment's GLE_TEST_DEVICE names. It is
 * opened once for the whole program, for one thread. NULL: none is named. Skips the test, and says why, where it cannot
 * be opened. */
struct gle_fleet *test_fleet(void);
/* That device, once test_fleet() has been called. */
struct gle_device *test_device(void);
/* Moves a net there, if one is named. */
void to_device(struct gle_net *net);
/* Skips the test there, and says why. */
void skip_on_device(const char *why);
void built_clear(struct built *b);

/* Nets that are built from now on use an instruction set, or, if name is NULL, the fastest one again. Skips the test,
 * and says why, where the processor lacks it. */
void use_isa(const char *name);
/* Rows of a group's tests, one for each instruction set, whose name *state then is. */
#define ISA_TEST(test, isa) {#test "_with_" isa, test, NULL, NULL, isa}
#ifdef GLE_ISA_X86
#define ISA_TESTS(test) ISA_TEST(test, "base"), ISA_TEST(test, "avx2"), ISA_TEST(test, "avx512")
#else
#define ISA_TESTS(test) ISA_TEST(test, "base")
#endif

/* Copies rows (B, n) of float or double into the net's input or target buffer. */
void put_rows(float *to, size_t ld, const float *from, size_t B, size_t n);

/* Puts text into a new file, whose name replaces the XXXXXX of path. */
void temporary_file(char *path, const char *text);

/* Path of a file in the source tree's tests folder: GLE_TEST_DIR/name. Static buffer. */
const char *test_path(const char *name);

#endif
