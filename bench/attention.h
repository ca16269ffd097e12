// Buffers in device memory that serve the kernels of every output scheme, and the arguments of a launch over
// them.
#ifndef BENCH_ATTENTION_H
#define BENCH_ATTENTION_H

#include <quench/runtime.h>

typedef struct bench_sizes {
  qn_dtype dtype;                // of q, k, v and of the unquantized output
  uint64_t q, kv, out, channels; // elements
  uint64_t workspace;            // bytes
} bench_sizes;

typedef struct bench_buffers {
  qn_context *context;
  qn_device *device;
  bench_sizes sizes;
  qn_device_ptr q, k, v, out, scales, zero_points, workspace; // q, k and v hold random numbers
  qn_device_ptr values;                                       // what a stand-alone quantizer reads
  qn_device_ptr factors, zeros;                               // scales and zero points that are read
} bench_buffers;

// bench_buffers_destroy frees them, also after a failure.
qn_status bench_buffers_create(qn_context *context, qn_device *device, const bench_sizes *sizes,
                               bench_buffers *out_buffers);
void bench_buffers_destroy(bench_buffers *buffers);

// A bf16 kernel without a mask for sm_90a unless the caller changes it.
qn_kernel_spec bench_spec(uint32_t heads, uint32_t kv_heads, uint32_t head_dim, qn_schedule schedule,
                          const qn_scheme *output);
// Dense operands in the layout bshd, and the output as tokens. A stand-alone quantizer takes `values` as its
// rows. Errors: QN_LIMIT where the workspace is too small.
qn_status bench_set_arguments(const bench_buffers *buffers, const qn_kernel_spec *spec, uint32_t batch,
                              uint32_t q_len, uint32_t kv_len, qn_attention_args *args);

#endif
