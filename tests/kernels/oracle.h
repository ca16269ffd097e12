// What one case must give: attention in f64 by the reference executor, and how far from it a kernel may be.
#ifndef TESTS_KERNELS_ORACLE_H
#define TESTS_KERNELS_ORACLE_H

#include "tests/kernels/outputs.h"

typedef struct kernel_oracle {
  const kernel_data *data;
  double *expected;  // of the unfused output, before any rounding; dense, in the layout of out
  double *magnitude; // the same attention over |v|
  double *bound;     // |twin - expected| is at most this
} kernel_oracle;

// Computes all of it and gives the data the operands of its scheme. kernel_oracle_free frees it.
qn_status kernel_oracle_create(qn_context *context, kernel_data *data, kernel_oracle *out_oracle);
void kernel_oracle_free(kernel_oracle *oracle);

typedef struct kernel_verdict {
  uint64_t outside; // elements beyond the bound
  double worst;     // largest |error| / bound
  double max_error;
  uint64_t first; // the first element outside
} kernel_verdict;

// The output of the fused kernel's twin against the bound.
kernel_verdict kernel_oracle_check_values(const kernel_oracle *oracle, const kernel_outputs *twin);

// How far the values that codes stand for are from the f64 result, root mean square, relative to what is the
// best possible: the quantizer of the library on that result. 1 where there is nothing to tell apart.
qn_status kernel_oracle_get_loss(qn_context *context, const kernel_oracle *oracle, const kernel_outputs *twin,
                                 const kernel_outputs *fused, double *out_loss);

#endif
