// Transposes, reshapes and casts between attention and quantize become attention's output layout and type.
// The rules are in patterns/layout.c.
#include "passes/pass_priv.h"

qn_status qn_pass_absorb_layout(qn_pipeline *pipeline) {
  return qn_pass_apply_rules(pipeline, "layout", QN_WALK_WORKLIST);
}
