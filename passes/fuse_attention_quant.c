// Attention followed by quantize becomes attention with an output scale. The rules are in
// patterns/attention_quant.c; the target is asked before anything changes. One walk: a fused attention has
// nothing left to fuse with.
#include "passes/pass_priv.h"

qn_status qn_pass_fuse_attention_quant(qn_pipeline *pipeline) {
  uint32_t first = pipeline->fusions.count;
  QN_TRY(qn_pass_apply_rules(pipeline, "attention_quant", QN_WALK_ONCE));
  for (uint32_t i = first; pipeline->numerics && i < pipeline->fusions.count; i++)
    QN_TRY(qn_node_set_attr(pipeline->graph, pipeline->fusions.at[i].fused,
                            &(qn_attr){ .name = "numerics", .i = pipeline->numerics }));
  return QN_OK;
}
