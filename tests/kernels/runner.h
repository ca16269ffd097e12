// Runs the kernels of a case on a device.
#ifndef TESTS_KERNELS_RUNNER_H
#define TESTS_KERNELS_RUNNER_H

#include "tests/kernels/driver.h"
#include "tests/kernels/outputs.h"
#include "tests/kernels/storage.h"

typedef enum kernel_device { DEVICE_CUDA, DEVICE_EMULATOR, DEVICE_REFERENCE } kernel_device;

typedef struct kernel_runner {
  qn_context *context;
  kernel_device kind;
  qn_compiler *compiler;
  qn_device *devices[QN_TARGET_COUNT]; // of cuda one alone, of the emulator those that were needed
  uint32_t threads;                    // of an emulator
  qn_target only;                      // the one target of the device; QN_TARGET_COUNT: any
  gpu_driver driver;                   // for CUDA graphs
  bool has_driver;
} kernel_runner;

// DEVICE_REFERENCE needs nothing. Errors: QN_UNAVAILABLE where device or NVRTC are absent.
qn_status kernel_runner_open(qn_context *context, kernel_device kind, uint32_t threads, const char *cache_dir,
                             kernel_runner *out_runner);
void kernel_runner_close(kernel_runner *runner);
// The device for kernels of a target.
qn_status kernel_runner_get_device(kernel_runner *runner, qn_target target, qn_device **out_device);

// Runs the case's fused kernel, or its twin, and fills the outputs. What only quantizes takes the rows of
// `twin`. A fused kernel on cuda is also captured in a CUDA graph and replayed; `out_replay` then says whether
// the replay gave the same. Errors: also QN_BUG for what a kernel did to bytes that are not its output's.
typedef enum kernel_replay { REPLAY_NONE, REPLAY_SAME, REPLAY_DIFFERENT } kernel_replay;
qn_status kernel_runner_run(kernel_runner *runner, const kernel_data *data, bool fused,
                            const kernel_outputs *twin, kernel_outputs *outputs, kernel_replay *out_replay);

#endif
