// The arithmetic of quantization behind an attention becomes quantize (patterns/quantize_arithmetic.c);
// canonicalize then merges those that turn out to be equal.
#include "passes/pass_priv.h"

qn_status qn_pass_recover_quantize(qn_pipeline *pipeline) {
  uint32_t rewrites = pipeline->rewrites.count;
  QN_TRY(qn_pass_apply_rules(pipeline, "quantize_arithmetic", QN_WALK_WORKLIST));
  return pipeline->rewrites.count == rewrites ? QN_OK : qn_pass_canonicalize(pipeline);
}
