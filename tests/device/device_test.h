// The conformance suite's harness: kernels given as PTX text, run on a device and compared with values computed
// in C.
//
// The same tests run on the emulator and, with QN_TEST_DEVICE=cuda, on a GPU; so they hold nothing that the PTX
// ISA leaves undefined. What the emulator checks beyond hardware is tested in tests/emulator.
#ifndef TESTS_DEVICE_DEVICE_TEST_H
#define TESTS_DEVICE_DEVICE_TEST_H

#include <criterion/criterion.h>
#include <quench/runtime.h>

// What runs. Fields that are zero take the value in brackets.
typedef struct device_kernel {
  // The body of the kernel: PTX statements. Declared already: %in and %out (.b64: addresses of the two
  // buffers), %thread (.b32: %tid.x, also the lane where there is one warp), %src and %dst (.b64: in + thread *
  // in_stride, out + thread * out_stride).
  const char *body;
  const char *module;             // declarations and functions in front of the kernel [none]
  const char *target;             // ["sm_80"]
  const char *version;            // of PTX ["8.0"; "8.6" for a target from sm_90 on]
  const char *directives;         // between the kernel's parameters and its body, such as ".reqntid 64" [none]
  uint32_t threads;               // of a block [32]
  uint32_t blocks;                // [1]
  uint32_t shared_bytes;          // dynamic shared memory: the module declares `.extern .shared` [0]
  uint32_t in_stride, out_stride; // bytes a thread [4]
} device_kernel;
#define device_kernel(...) (&(const device_kernel){ __VA_ARGS__ })

// Runs it on `in`, into `out`, which is filled with 0xEE bytes first. The test is skipped where the device that
// QN_TEST_DEVICE names is not there, or does not run the target. The status and, with device_message, the
// words.
qn_status device_try(const device_kernel *kernel, const void *in, size_t in_bytes, void *out, size_t out_bytes);
// The same; a failure ends the test with its words.
void device_run(const device_kernel *kernel, const void *in, size_t in_bytes, void *out, size_t out_bytes);
// "PLACE: MESSAGE" of the last failure.
const char *device_message(void);
// Whether the tests run on the emulator: where an approximation has a bound on hardware, and one value here.
bool device_is_emulator(void);

// Numbers for inputs: the same for the same seed, on every machine.
uint32_t device_random(uint64_t *state);

#endif
