// What one case must give: its data, the f64 result of the reference executor, and how far from it a kernel may
// be.
#ifndef TESTS_GPU_ORACLE_H
#define TESTS_GPU_ORACLE_H

#include "tests/gpu/cases.h"
#include <quench/reference.h>

typedef struct gpu_data {
  gpu_case c;
  qn_tensor q, k, v, mask, scale; // mask.data NULL: none
  uint64_t out_count;
  double *expected; // of the unfused output, before any rounding
  double *bound;    // |unfused kernel - expected| is at most this
  double abs_v_max;
} gpu_data;

// Makes the data from `seed` and computes the rest. Everything is freed by gpu_data_free.
qn_status gpu_data_create(qn_context *context, const gpu_case *c, uint64_t seed, gpu_data *out_data);
void gpu_data_free(gpu_data *data);

// The attention node of the case in a graph of its own, fused or not; inputs in the order q, k, v, mask, scale.
qn_status gpu_case_build(qn_context *context, const gpu_case *c, bool fused, qn_graph **out_graph,
                         qn_node *out_node);
// Runs that graph on the CPU. `v` replaces the values (for the bound), NULL: the data's own.
qn_status gpu_data_run_reference(qn_context *context, const gpu_data *data, bool fused, qn_reference_mode mode,
                                 const qn_tensor *v, qn_results **out_results);

// The codes that the case's scheme gives for `values`, one byte each.
qn_status gpu_data_quantize(qn_context *context, const gpu_data *data, const double *values,
                            uint8_t *out_codes);

typedef struct gpu_verdict {
  uint64_t outside; // elements beyond the bound
  double worst;     // largest |error| / bound
  double max_error;
  uint64_t first; // the first element outside
} gpu_verdict;

// An unfused output, in the case's element type, against the bound.
gpu_verdict gpu_data_check_values(const gpu_data *data, const void *out);
// Codes against those of the two ends of the bound: quantizing is monotone.
qn_status gpu_data_check_codes(qn_context *context, const gpu_data *data, const uint8_t *codes,
                               gpu_verdict *out_verdict);

#endif
