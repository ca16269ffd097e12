// Transposes, reshapes and casts between attention and quantize become attention's output layout and type.
// The rules are in patterns/layout.c. What else read the output is left with the inverse of what was absorbed
// in front of it; where that meets its own layout chain, both cancel.
#include "passes/pass_priv.h"

qn_status qn_pass_absorb_layout(qn_pipeline *pipeline) {
  uint32_t rewrites = pipeline->rewrites.count;
  QN_TRY(qn_pass_apply_rules(pipeline, "layout", QN_WALK_WORKLIST));
  return pipeline->rewrites.count == rewrites ? QN_OK : qn_pass_canonicalize(pipeline);
}
