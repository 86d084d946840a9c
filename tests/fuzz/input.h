/* input.h - the bytes that a fuzzer makes, as a file. */
#ifndef GLE_TESTS_FUZZ_INPUT_H
#define GLE_TESTS_FUZZ_INPUT_H

#include <stddef.h>
#include <stdint.h>

/* What libFuzzer calls. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* Puts the bytes into a file in memory, in place of those before, and returns its path. Static buffer. */
const char *fuzz_file(const void *bytes, size_t size);

/* Ends the program with a message, which the fuzzer counts as a crash. */
_Noreturn void fuzz_fail(const char *what);

#endif
