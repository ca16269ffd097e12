// The parts of `quench verify`: runs with captured values, each attention by itself.
#ifndef QUENCH_TOOLS_VERIFY_H
#define QUENCH_TOOLS_VERIFY_H

#include "inputs.h"

// --- runs (verify_run.c) ---------------------------------------------------------------------------------

// A run of a graph, with copies of the values that were asked for.
typedef struct verify_run {
  const qn_graph *graph;
  qn_results *results;
  qn_tensor *values; // by value index; data NULL where not captured
  uint32_t value_limit;
} verify_run;

// Captures the values that `wanted` (by value index) marks; NULL: none. False after a message.
bool verify_run_graph(tool *t, const qn_graph *graph, const tool_inputs *inputs, const bool *wanted,
                      verify_run *out_run);
void verify_run_destroy(verify_run *run);

// --- one attention by itself (verify_attention.c) --------------------------------------------------------

// `read` is a model's graph, `recovered` the same after recover-attention. Adds a copy of each attention of
// `recovered` to `read`, beside what it replaced, with the operands that the names of values say are the same.
// The originals and the copies are written to two arrays that the caller frees. False after a message.
bool verify_graft(tool *t, qn_graph *read, const qn_graph *recovered, qn_value **out_originals,
                  qn_value **out_copies, uint32_t *out_count);
// Marks in `wanted` what verify_attention_f64 needs of a grafted attention.
void verify_want_attention(const qn_graph *graph, qn_value original, qn_value copy, bool *wanted);
// The f64 result of the attention whose result is `copy`, on the operands that `run` captured. False after a
// message.
bool verify_attention_f64(tool *t, const verify_run *run, qn_value copy, qn_results **out_results);

#endif
