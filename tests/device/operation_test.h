// Tests of single instructions: one is run on thousands of operands and compared with a C function.
#ifndef TESTS_DEVICE_OPERATION_TEST_H
#define TESTS_DEVICE_OPERATION_TEST_H

#include "tests/device/device_test.h"

enum { OPERATION_SOURCES = 4 };

// Computes what is expected of the sources, as bits. Values of fewer than 64 bits are zero-extended.
typedef uint64_t expected_function(const uint64_t *s);

typedef struct operation {
  const char *text; // "add.s32"
  // A letter for the result, then one for each source: h, r, d: 16, 32, 64 bits; p: a predicate, 0 or 1; e, b,
  // f, g: f16, bf16, f32, f64; H, E, B, F: pairs of h, e, b, f.
  const char *operands;
  expected_function *expected;
  const char *tail;    // operands behind these: ", 0x1F" [none]
  const char *target;  // ["sm_80"]
  const char *version; // of PTX
  // How far a result may be off on a GPU: relative to the expected value, or absolute, in f64. [exact]
  double relative, absolute;
  bool any_nan; // the ISA does not say which NaN; always so for f64
} operation;

// Runs it on every pair of notable values of its sources and on random ones, and compares.
void operation_check(const operation *operation);
#define OPERATIONS_CHECK(table)                                                                                \
  for (size_t operation_index = 0; operation_index < sizeof(table) / sizeof((table)[0]); operation_index++)    \
  operation_check(&(table)[operation_index])
// Runs it on given sources: those of thread i begin at in[OPERATION_SOURCES * i].
void operation_run(const operation *operation, const uint64_t *in, uint64_t *out, uint32_t threads);
// Whether the instruction is refused, with words that hold `words`.
void operation_refused(const char *instruction, const char *words);

#endif
