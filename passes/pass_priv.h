// Inside of the pipeline: what a pass is given, and how it says what it did.
//
// A pass changes the graph and logs each rewrite; it takes one unit of fuel for each before it changes
// anything. Rules run through qn_pass_apply_rules, which does both.
#ifndef QUENCH_PASSES_PASS_PRIV_H
#define QUENCH_PASSES_PASS_PRIV_H

#include "ir/graph_priv.h"
#include "patterns/rule_priv.h"

#include <quench/pipeline.h>

// A node that went into a rewrite: the embedder's id, or the rewrite that had made it (origin), or neither.
typedef struct qn_consumed {
  uint64_t id;
  uint32_t origin;
} qn_consumed;

typedef struct qn_rewrite_entry {
  const char *pass, *rule;
  uint32_t consumed, consumed_count; // in pipeline->consumed
  uint32_t created, created_count;   // in pipeline->created
} qn_rewrite_entry;

// An attention and a quantize that became one node; their names are kept, since the nodes are gone.
typedef struct qn_fusion_entry {
  qn_node fused;
  const char *rule;
  qn_str attention_name, attention_layer, quantize_name, quantize_layer;
  uint64_t attention_id, quantize_id;
} qn_fusion_entry;

typedef struct qn_stats_entry {
  const qn_rule *rule;
  qn_rule_stats stats;
} qn_stats_entry;

struct qn_pipeline {
  qn_context *context;
  qn_graph *graph;
  qn_arena arena; // texts of remarks
  qn_legality legality;
  uint8_t numerics;
  uint64_t fuel;    // left; UINT64_MAX: no bound
  const char *pass; // running
  QN_ARRAY(qn_rewrite_entry) rewrites;
  QN_ARRAY(qn_consumed) consumed;
  QN_ARRAY(qn_node) created;
  QN_ARRAY(qn_fusion_entry) fusions;
  QN_ARRAY(qn_stats_entry) stats;
  QN_ARRAY(qn_remark) remarks;
  QN_ARRAY(uint64_t) ids; // scratch of qn_pipeline_get_rewrite
};

#define PASS(id, name, doc) qn_status qn_pass_##id(qn_pipeline *pipeline);
#include "passes/passes.def"

// True if another rewrite may be made; takes its unit of fuel.
bool qn_pass_spend(qn_pipeline *pipeline);
// Logs a rewrite, before the consumed nodes are removed. Created nodes get it as their origin.
qn_status qn_pass_log(qn_pipeline *pipeline, const char *rule, const qn_node *consumed, uint32_t consumed_count,
                      const qn_node *created, uint32_t created_count);
// Replaces the first result of `node` by `by`, which takes its name, and removes the node and what is dead
// then. `created` may be empty: a rewrite that only removes.
qn_status qn_pass_replace(qn_pipeline *pipeline, const char *rule, qn_node node, qn_value by,
                          const qn_node *created, uint32_t created_count);
// Runs the rules of some families over the graph.
qn_status qn_pass_apply_rules(qn_pipeline *pipeline, const char *families, qn_walk walk);
// Whether nothing uses the node and it may go.
bool qn_node_is_dead(const qn_graph *graph, qn_node node);
// Removes all dead nodes. Returns how many.
uint32_t qn_remove_all_dead(qn_graph *graph);

// passes/remark.c: fills pipeline->remarks.
qn_status qn_pipeline_make_remarks(qn_pipeline *pipeline);

#endif
