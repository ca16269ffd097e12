// The workspace of a launch: counters, rows that wait for the other heads of their tokens, parts of rows.

#include "codegen/tokens_priv.h"

#include "ir/base_priv.h"

uint32_t qn_kernel_get_arrivals(const qn_kernel_spec *spec) {
  // The merge kernel of the schedule split has single heads.
  return spec->schedule == QN_SCHEDULE_split ? spec->heads : spec->heads / qn_kernel_get_pack(spec);
}

bool qn_kernel_defers_unquantized(const qn_kernel_spec *spec) {
  return spec->schedule != QN_SCHEDULE_quantize && qn_kernel_is_deferred(spec) && spec->unquantized &&
         qn_kernel_get_staged_dtype(spec) == spec->out_dtype;
}

uint64_t qn_kernel_get_workspace_bytes(const qn_kernel_spec *spec, const qn_attention_args *args) {
  bool splits = spec->schedule == QN_SCHEDULE_split;
  bool defers = spec->schedule != QN_SCHEDULE_quantize && qn_kernel_is_deferred(spec);
  uint64_t tokens = (uint64_t)args->batch * args->q_len; // at most, where sequences lie end to end
  uint64_t bytes = 0;
  if (splits || defers) bytes = QN_MAX(tokens, QN_WORKSPACE_COUNTERS) * sizeof(uint32_t);
  if (defers && !qn_kernel_defers_unquantized(spec))
    bytes += tokens * spec->heads * spec->v_head_dim * (qn_dtype_bits(qn_kernel_get_staged_dtype(spec)) / 8);
  if (splits) bytes += qn_split_get_workspace_bytes(spec, args);
  return bytes;
}
