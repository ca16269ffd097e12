// What one case must give: attention in f64 by the reference executor, and how far from it a kernel may be.
#ifndef TESTS_KERNELS_ORACLE_H
#define TESTS_KERNELS_ORACLE_H

#include "tests/kernels/data.h"

typedef struct kernel_oracle {
  const kernel_data *data;
  double *expected;  // of the unfused output, before any rounding; dense, in the layout of out
  double *magnitude; // the same attention over |v|
  double *bound;     // |unfused kernel - expected| is at most this
  double *fused;     // the same for the value that a fused kernel quantizes
} kernel_oracle;

// Computes all of it and gives the data its output_scale. kernel_oracle_free frees it.
qn_status kernel_oracle_create(qn_context *context, kernel_data *data, kernel_oracle *out_oracle);
void kernel_oracle_free(kernel_oracle *oracle);

typedef struct kernel_verdict {
  uint64_t outside; // elements beyond the bound
  double worst;     // largest |error| / bound
  double max_error;
  uint64_t first; // the first element outside
} kernel_verdict;

// An unfused output, in the case's element type, against the bound.
kernel_verdict kernel_oracle_check_values(const kernel_oracle *oracle, const void *out);
// Codes against those of the two ends of the bound: quantizing is monotone.
qn_status kernel_oracle_check_codes(qn_context *context, const kernel_oracle *oracle, const uint8_t *codes,
                                    kernel_verdict *out_verdict);
// How many codes differ from the unfused output through the quantizer of the library.
qn_status kernel_oracle_count_different(qn_context *context, const kernel_oracle *oracle, const void *unfused,
                                        const uint8_t *codes, uint64_t *out_different);

#endif
