// What a launch writes, as bytes: the output or its codes, and what comes with codes.
#ifndef TESTS_KERNELS_OUTPUTS_H
#define TESTS_KERNELS_OUTPUTS_H

#include "tests/kernels/data.h"

enum { KERNEL_RESULTS = QN_ATTENTION_UNQUANTIZED + 1, KERNEL_UNTOUCHED = 0xA5 };

// By result of the operation, QN_ATTENTION_OUT .. QN_ATTENTION_UNQUANTIZED. Outputs and codes are dense, packed
// as in a qn_tensor. Scales and zero points are the whole of their buffers: what of it the launch has no
// business with is KERNEL_UNTOUCHED.
typedef struct kernel_outputs {
  uint8_t *bytes[KERNEL_RESULTS]; // NULL: the launch does not write it
  uint64_t length[KERNEL_RESULTS];
} kernel_outputs;

// False if there is no memory. All bytes are KERNEL_UNTOUCHED.
bool kernel_outputs_create(const kernel_data *data, bool fused, kernel_outputs *out_outputs);
void kernel_outputs_free(kernel_outputs *outputs);

qn_dtype kernel_outputs_dtype(const kernel_data *data, bool fused, uint32_t result);
// The buffer that scales are put into: larger than the launch needs where the case says so.
qn_scale_buffer kernel_outputs_buffer(const kernel_data *data);
// The token of that buffer which is the launch's first, and how many the launch writes.
uint32_t kernel_outputs_first_row(const kernel_data *data);
uint32_t kernel_outputs_rows(const kernel_data *data);
// From a buffer that the launch's tokens have for themselves into that one.
void kernel_outputs_place(const kernel_data *data, uint32_t result, const uint8_t *alone,
                          kernel_outputs *outputs);

// What a fused launch must write, from what its twin has written.
qn_status kernel_outputs_expect(qn_context *context, const kernel_data *data, const kernel_outputs *twin,
                                kernel_outputs *out_expected);
// Values of the twin's output, of the unfused output that is rounded to the case's type, and of codes.
void kernel_outputs_load(qn_dtype dtype, const uint8_t *packed, uint64_t count, double *out_values);
// The codes and scales of values under the case's scheme, in buffers of their own.
qn_status kernel_outputs_quantize(qn_context *context, const kernel_data *data, const double *values,
                                  kernel_outputs *outputs);
// The values that codes stand for, as the output has them: without what is added.
qn_status kernel_outputs_dequantize(qn_context *context, const kernel_data *data, const kernel_outputs *outputs,
                                    double *out_values);

#endif
