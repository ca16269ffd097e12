// What the deferred quantization of whole tokens costs, against a kernel of its own. The model is in
// docs/tokens.md, "Fused or not"; nothing in it was measured here.
#include "codegen/cost_priv.h"
#include "codegen/tokens_priv.h"

#include "ir/base_priv.h"
#include "ir/reason_priv.h"

#include <math.h>

// Time is in ns, sizes are in bytes.
static const double LAUNCH = 1250; // of one more kernel within a CUDA graph: 1000 to 1500
static const double L2_READ =
    67; // a ns that one multiprocessor reads from L2: 5120 a cycle for 108 of them at 1.41 GHz

// Bytes a ns that the chip with the fastest memory reads and writes: the faster, the less is saved by not
// touching it.
static const double MEMORY[QN_TARGET_COUNT] = {
  [QN_TARGET_sm_80] = 2039,   [QN_TARGET_sm_86] = 936,    [QN_TARGET_sm_89] = 1008,   [QN_TARGET_sm_90a] = 4800,
  [QN_TARGET_sm_100a] = 8000, [QN_TARGET_sm_103a] = 8000, [QN_TARGET_sm_120a] = 1792,
};

bool qn_cost_check(const qn_kernel_spec *unresolved, uint64_t tokens, uint64_t q_len, qn_reason *out_reason) {
  qn_kernel_spec spec = *unresolved;
  qn_kernel_spec_resolve(&spec);
  if (spec.schedule != QN_SCHEDULE_mma || !qn_kernel_is_deferred(&spec) || tokens == 0 || q_len == 0)
    return true;
  double columns = (double)spec.heads * spec.v_head_dim;
  double row = columns * qn_dtype_bits(qn_kernel_get_staged_dtype(&spec)) / 8;
  double codes = columns * qn_dtype_bits((qn_dtype)spec.output.target) / 8;
  // The last tile is read by one multiprocessor when there is nothing else left to do. The tiles before it are
  // read beside the work of others, at no less than twice the rate of memory, and codes are written at any
  // time.
  double tail = row * (double)QN_MIN(q_len, spec.tile_q / qn_kernel_get_pack(&spec)) / L2_READ;
  double saved = LAUNCH + (double)tokens * (row / 2 + codes) / MEMORY[spec.target];
  if (tail <= saved) return true;
  return qn_refuse(out_reason, QN_WHY_slower,
                   "the last tile's tokens quantized in the time that a launch and its traffic take",
                   "%.1f us for the tile, %.1f us for a quantizer of %llu tokens", tail / 1000, saved / 1000,
                   (unsigned long long)tokens);
}

bool qn_cost_check_node(const qn_graph *graph, qn_node attention, const qn_kernel_spec *spec,
                        qn_reason *out_reason) {
  qn_value q = qn_node_get_operand(graph, attention, QN_ATTENTION_Q);
  qn_type_info type = qn_type_get_info(graph, qn_value_get_type(graph, q));
  qn_layout layout = (qn_layout)qn_node_get_int(graph, attention, "q_layout");
  bool flat = layout == QN_LAYOUT_TM || layout == QN_LAYOUT_THD; // sequences end to end
  int32_t positions = flat ? 0 : layout == QN_LAYOUT_BHSD ? 2 : 1;
  int64_t batch = 1, length;
  if (!qn_dim_is_const(graph, type.dims[positions], &length) ||
      (!flat && !qn_dim_is_const(graph, type.dims[0], &batch)) || length < 1 || batch < 1 ||
      length > INT64_MAX / batch)
    return true;
  return qn_cost_check(spec, (uint64_t)(batch * length), (uint64_t)length, out_reason);
}
