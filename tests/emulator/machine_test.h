// Shared by the tests of the machine: a kernel around a few statements, run on an emulator of one's own.
#ifndef QUENCH_TESTS_MACHINE_TEST_H
#define QUENCH_TESTS_MACHINE_TEST_H

#include "runtime/device_priv.h"

#include <criterion/criterion.h>

enum { MACHINE_WORDS = 4096, MACHINE_FIRST_LINE = 9 };

// What runs; fields that are zero take the value in brackets.
typedef struct machine_kernel {
  // Statements; their first line is line 9. Declared: %in and %out (.b64: a buffer of MACHINE_WORDS words
  // each), %thread (.b32: %tid.x), %r<16>, %d<16>, %p<8>, %h<4>; `buf`, 512 bytes of shared memory.
  const char *body;
  const char *module;     // one line in front of the kernel [none]
  const char *directives; // [none]
  const char *target;     // of the text and the device ["sm_90"; the device is sm_90a]
  uint32_t threads;       // [32]
  uint32_t blocks;        // [1]
  uint32_t shared_bytes;  // dynamic [0]
  uint32_t host_threads;  // [1]
  uint64_t limit;         // [1 << 20]
  bool lenient;
} machine_kernel;

// What came of it.
typedef struct machine_result {
  qn_status status;
  char message[1024]; // "PLACE: MESSAGE"
  uint32_t out[MACHINE_WORDS];
  qn_counters counters;
} machine_result;

// The input holds its own index in each word; the output is uploaded as zeros.
void machine_run(const machine_kernel *kernel, machine_result *result);
// It ends well; the first words of the output.
#define MACHINE_GIVES(words, count, ...)                                                                       \
  do {                                                                                                         \
    static machine_result result_;                                                                             \
    machine_run(&(const machine_kernel){ __VA_ARGS__ }, &result_);                                             \
    cr_assert_eq(result_.status, QN_OK, "%s", result_.message);                                                \
    for (uint32_t i_ = 0; i_ < (uint32_t)(count); i_++)                                                        \
      cr_assert_eq(result_.out[i_], (words)[i_], "word %u is %u, not %u", i_, result_.out[i_], (words)[i_]);   \
  } while (0)
// It ends well.
#define MACHINE_PASSES(...)                                                                                    \
  do {                                                                                                         \
    static machine_result result_;                                                                             \
    machine_run(&(const machine_kernel){ __VA_ARGS__ }, &result_);                                             \
    cr_assert_eq(result_.status, QN_OK, "%s", result_.message);                                                \
  } while (0)
// It fails with exactly this text behind "kernel 'k', block 0, warp ".
#define MACHINE_FAILS(text, ...)                                                                               \
  do {                                                                                                         \
    static machine_result result_;                                                                             \
    machine_run(&(const machine_kernel){ __VA_ARGS__ }, &result_);                                             \
    cr_assert_eq(result_.status, QN_BUG, "%s", result_.message);                                               \
    cr_assert_str_eq(result_.message, "kernel 'k', block 0, warp " text);                                      \
  } while (0)

// A device with an input buffer of MACHINE_WORDS words, for tests that do more than one thing with it.
typedef struct machine {
  qn_context *context;
  qn_device *device;
  qn_device_ptr in, out;
} machine;
void machine_open(machine *m, const qn_emulator_params *params);
void machine_close(machine *m);
// Loads a text and launches its entry `k` once.
qn_status machine_launch(machine *m, const char *text, const qn_grid *grid);
// "PLACE: MESSAGE" of the last failure.
const char *machine_message(const machine *m, char *out, size_t size);

#endif
