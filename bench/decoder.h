// A decoder as exporters write it, through the public C API: grouped attention in its parts with rotary
// embedding, an additive mask and a layout chain to an FP8 quantize, then a gated MLP. For benchmarks; the
// numbers in it mean nothing.
#ifndef QUENCH_BENCH_DECODER_H
#define QUENCH_BENCH_DECODER_H

#include <quench/graph.h>

typedef struct decoder_params {
  uint32_t layers;
  bool fused_attention; // one attention operation instead of its parts
} decoder_params;

// About 66 nodes a layer with 44 operations among them (48 nodes with fused attention), each with an id and a
// layer name.
qn_status decoder_create(qn_context *context, const decoder_params *params, qn_graph **out_graph);

#endif
