// Launches of kernels that quantize whole tokens, straight on the API of the runtime, and what they must give.
#ifndef TESTS_KERNELS_TOKENS_H
#define TESTS_KERNELS_TOKENS_H

#include <quench/quench.h>

typedef struct tokens_bench {
  qn_context *context;
  qn_compiler *compiler;
  qn_device *devices[QN_TARGET_COUNT]; // emulators of 4 host threads, made when they are needed
} tokens_bench;

// Skips the test where there is no NVRTC.
void tokens_bench_open(tokens_bench *bench);
void tokens_bench_close(tokens_bench *bench);

// What a test chooses beside the spec. Rows lie in the layout bsm, or tm where there are `lengths`.
typedef struct tokens_launch {
  uint32_t batch, q_len, kv_len;
  const uint32_t *lengths; // of `batch` sequences, of queries as of keys; NULL: all are q_len and kv_len long
  uint32_t launches;       // on one workspace, of which the last one is looked at; 0: 1
  float bound;             // of amax, where the spec has it
  bool specials;           // tokens of zeros and of -0, and some values of NaN; of the schedule `quantize`
} tokens_launch;

// The schedule `quantize` against the library's quantizer, byte for byte.
void tokens_check_rows(tokens_bench *bench, const qn_kernel_spec *spec, const tokens_launch *launch);
// The schedule `mma`: codes, scales and zero points against the unfused kernel's output through the library's
// quantizer, byte for byte in exact numerics and within a step of it in direct ones; the second output against
// the unfused one; the workspace's counters against 0.
void tokens_check_attention(tokens_bench *bench, const qn_kernel_spec *spec, const tokens_launch *launch);

#endif
