// Passes, the pipeline, its remarks and its list of rewrites, and the table of rules.
#ifndef QUENCH_PIPELINE_H
#define QUENCH_PIPELINE_H

#include <quench/reason.h>

#ifdef __cplusplus
extern "C" {
#endif

// --- the pipeline ----------------------------------------------------------------------------------------

typedef struct qn_pipeline qn_pipeline;

typedef enum qn_check {
  QN_CHECK_VERIFY = 1 << 0,    // verify after each pass
  QN_CHECK_CLONE = 1 << 1,     // go on with a clone and compare texts
  QN_CHECK_ROUND_TRIP = 1 << 2 // print, read back, print again, compare
} qn_check;

// Called before the first pass (pass "input", index 0) and after each. `changed`: the pass rewrote something.
typedef qn_status (*qn_pass_fn)(void *user, const qn_graph *graph, uint32_t index, const char *pass,
                                bool changed);

typedef struct qn_pipeline_params {
  qn_legality legality;
  const char *passes; // "fold,canonicalize" instead of all; NULL: all of passes.def, in order
  uint64_t fuel;      // stop after this many rewrites; 0: no bound
  uint32_t checks;    // QN_CHECK_*
  qn_pass_fn on_pass; // NULL: none
  void *user;
  uint8_t numerics; // 0 exact, 1 direct: the `numerics` of fused nodes
} qn_pipeline_params;
#define qn_pipeline_params(...) (&(const qn_pipeline_params){ __VA_ARGS__ })

// Runs the passes over `graph`, which is changed in place and stays the caller's. The pipeline object holds
// what happened: rewrites, remarks, statistics; it refers to the graph and must be destroyed before it.
// Errors: QN_INVALID for an unknown pass, QN_BUG from a check, or what `on_pass` returned; the graph is then
// between two passes and valid.
QN_API qn_status qn_pipeline_run(qn_graph *graph, const qn_pipeline_params *params, qn_pipeline **out_pipeline);
QN_API void qn_pipeline_destroy(qn_pipeline *pipeline);

// Rewrites, in the order in which they were made.
typedef struct qn_rewrite {
  const char *pass;       // a row of passes.def
  const char *rule;       // the rule's name, or the pass's word for what it did
  const uint64_t *ids;    // the embedder's ids of all nodes that went into it, through earlier rewrites too,
  uint32_t id_count;      // sorted, each once, zeros left out
  const qn_node *created; // nodes that it made; some may be gone by now
  uint32_t created_count;
} qn_rewrite;
QN_API uint32_t qn_pipeline_get_rewrite_count(const qn_pipeline *pipeline);
// Valid until the pipeline is destroyed. Ids are expanded when asked for.
QN_API qn_status qn_pipeline_get_rewrite(qn_pipeline *pipeline, uint32_t index, qn_rewrite *out_rewrite);
// The rewrite that made a node, or -1 if the embedder did.
QN_API int64_t qn_pipeline_find_rewrite(const qn_pipeline *pipeline, qn_node node);

// One for each attention and one for each quantize that an attention's output could reach, in graph order.
typedef struct qn_remark {
  qn_str node;    // the name of the node, or of its first result
  uint64_t id;    // the embedder's id, or 0
  const char *op; // "attention" or "quantize"
  qn_str layer;
  bool fused;
  const char *rule;     // that fused it, or the one that came closest; "" if none
  const char *stage;    // qn_stage_name; "" if fused
  const char *code;     // qn_why_name; "none" if fused
  const char *at;       // name of the node or value at fault; "" if fused
  const char *expected; // in words
  const char *found;    // in words
  const char *closest;  // "rule: row of its text" that was reached
  uint32_t depth;       // rows of that rule matched before the failure
  const char *hint;
} qn_remark;
QN_API uint32_t qn_pipeline_get_remark_count(const qn_pipeline *pipeline);
// The strings live as long as the pipeline.
QN_API qn_status qn_pipeline_get_remark(qn_pipeline *pipeline, uint32_t index, qn_remark *out_remark);

typedef struct qn_rule_stats {
  const char *rule;
  uint64_t tried;   // roots that passed the filter
  uint64_t matched; // rewrites made
  uint64_t steps;   // of the matcher
  uint64_t missed[QN_WHY_COUNT];
} qn_rule_stats;
QN_API uint32_t qn_pipeline_get_rule_stats_count(const qn_pipeline *pipeline);
QN_API qn_status qn_pipeline_get_rule_stats(const qn_pipeline *pipeline, uint32_t index,
                                            qn_rule_stats *out_stats);

// --- tables ----------------------------------------------------------------------------------------------

typedef struct qn_pass_info {
  const char *name;
  const char *doc;
} qn_pass_info;
QN_API uint32_t qn_pass_get_count(void);
QN_API qn_pass_info qn_pass_get_info(uint32_t index);

typedef struct qn_rule_info {
  const char *name;
  const char *family; // the table it stands in: "attention", "attention_quant", ...
  const char *doc;
  const char *match;
  const char *build;
  const char *sample;
  int gain;
} qn_rule_info;
QN_API uint32_t qn_rule_get_count(void);
QN_API qn_rule_info qn_rule_get_info(uint32_t index);
// The match side and the build side of a rule, each as a graph whose inputs are the rule's holes.
QN_API qn_status qn_rule_get_graphs(qn_context *context, uint32_t index, qn_graph **out_match,
                                    qn_graph **out_build);
// Why rule `index` does not match at `root`: like a remark, with depth; fused = true if it does match.
// The strings live as long as `pipeline`.
QN_API qn_status qn_pipeline_why(qn_pipeline *pipeline, uint32_t rule, qn_node root, qn_remark *out_remark);

#ifdef __cplusplus
}
#endif
#endif
