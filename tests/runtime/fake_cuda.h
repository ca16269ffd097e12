// What the imitation of the CUDA driver has seen, and what it shall do. `fake_cuda_get` gives the one instance.
#ifndef TESTS_RUNTIME_FAKE_CUDA_H
#define TESTS_RUNTIME_FAKE_CUDA_H

#include "codegen/launch_priv.h"

typedef struct fake_cuda {
  // Set by the test.
  int major, minor, shared_per_block, devices;
  const char *fail_call; // "cuMemAlloc": the next call of it gives `fail_result`
  int fail_result;
  const char *missing_call; // not known to cuGetProcAddress
  const char *jit_log;      // put into the error log of a failing cuLibraryLoadData
  // Seen.
  int retained, pushed, deepest, blocks, libraries, waits,
      outside; // `outside`: calls without a current context
  const void *code;
  char entry[2][136]; // a kernel and its merge
  int entries;        // of the library that is loaded
  int dynamic_shared[2];
  struct {
    int count;
    int entry; // of the last launch
    unsigned grid[3], block[3], shared_bytes;
    void *stream;
    qn_launch_params params;
  } launch;
} fake_cuda;

typedef fake_cuda *(*fake_cuda_get_fn)(void);

#endif
