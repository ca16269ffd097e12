// quench fuse: runs the pipeline, says what became what, writes the model. The talk goes to standard error, so
// that the model may go to standard output.
#include "tool.h"

#include <stdlib.h>
#include <string.h>

// The nodes of the graph as read, by the embedder's id; ids of ONNX nodes are small and dense.
typedef struct id_table {
  qn_node *nodes;
  uint64_t count;
} id_table;

static bool id_table_fill(id_table *table, const qn_graph *graph) {
  uint64_t limit = 2 * (uint64_t)qn_graph_get_node_limit(graph) + 1024; // ids beyond are not shown
  *table = (id_table){ .nodes = calloc(limit, sizeof(qn_node)), .count = limit };
  if (!table->nodes) return false;
  for (qn_node node = qn_graph_get_first(graph); node != QN_NONE; node = qn_node_get_next(graph, node)) {
    uint64_t id = qn_node_get_id(graph, node);
    if (id && id < limit) table->nodes[id] = node;
  }
  return true;
}

typedef struct fuse_run {
  tool_model model;
  qn_graph *before; // a clone of the graph as read
  id_table ids;
  qn_pipeline *pipeline;
} fuse_run;

static bool is_fused(const qn_graph *graph, qn_node node) {
  return qn_node_get_op(graph, node) == QN_OP_attention &&
         qn_node_get_scheme(graph, node, "output").family != QN_SCHEME_none;
}

// The nodes that went into one fused attention, and what they became.
static int show_rewrite(tool *t, const fuse_run *run, qn_node node, bool in_full) {
  enum { LINES_MAX = 40 };
  int64_t index = qn_pipeline_find_rewrite(run->pipeline, node);
  qn_rewrite rewrite = { .rule = "" };
  if (index >= 0 && qn_pipeline_get_rewrite(run->pipeline, (uint32_t)index, &rewrite) != QN_OK)
    return tool_fail(t);
  qn_str layer = qn_node_get_layer(run->model.graph, node);
  fprintf(stderr, "%s%.*s%sby rule %s: %u nodes became 1\n", layer.length ? "layer " : "", (int)layer.length,
          layer.text, layer.length ? ", " : "", rewrite.rule, rewrite.id_count);
  if (!in_full) return TOOL_DONE;
  fputs("  before\n", stderr);
  uint32_t shown = 0;
  for (uint32_t i = 0; i < rewrite.id_count && shown < LINES_MAX; i++) {
    uint64_t id = rewrite.ids[i];
    if (id >= run->ids.count || run->ids.nodes[id] == QN_NONE) continue;
    fputs("    ", stderr);
    tool_write_node(run->before, run->ids.nodes[id], stderr);
    shown++;
  }
  if (shown == LINES_MAX && rewrite.id_count > shown)
    fprintf(stderr, "    ... and %u more\n", rewrite.id_count - shown);
  fputs("  after\n    ", stderr);
  tool_write_node(run->model.graph, node, stderr);
  return TOOL_DONE;
}

// Without --verbose one rewrite is shown in full: a model's layers are alike.
static int show_summary(tool *t, const fuse_run *run) {
  uint32_t fused = 0, attentions = 0;
  const qn_graph *graph = run->model.graph;
  for (qn_node node = qn_graph_get_first(graph); node != QN_NONE; node = qn_node_get_next(graph, node)) {
    if (qn_node_get_op(graph, node) != QN_OP_attention) continue;
    attentions++;
    if (!is_fused(graph, node)) continue;
    if (show_rewrite(t, run, node, fused == 0 || t->options.verbose) != TOOL_DONE) return TOOL_BAD;
    fused++;
  }
  fprintf(stderr, "%u nodes became %u; fused %u of %u attentions\n", qn_graph_count_nodes(run->before),
          qn_graph_count_nodes(graph), fused, attentions);
  if (fused < attentions) fprintf(stderr, "quench explain says why not %s\n", fused ? "all" : "one");
  return fused ? TOOL_DONE : TOOL_NO;
}

static int write_graph(tool *t, tool_output *output, void *user) {
  fuse_run *run = user;
  return tool_emit_graph(t, run->model.graph, tool_get_form(t), output);
}

// What cannot be written is said before anything is done.
static bool can_write(const tool *t, const tool_model *model) {
  if (strcmp(tool_get_form(t), "onnx") != 0) return true;
  const char *path = t->options.output;
  if (!model->onnx)
    tool_error(model->place, "a .qn model cannot be written as ONNX", "only what was ONNX can");
  else if (!path || strcmp(path, "-") == 0)
    tool_error("fuse", "an ONNX model is written to a file", "-o OUT.onnx");
  else
    return true;
  return false;
}

static int write_model(tool *t, fuse_run *run) {
  if (strcmp(tool_get_form(t), "onnx") != 0) return tool_with_output(t, t->options.output, write_graph, run);
  return qn_onnx_write_file(run->model.onnx, t->options.output) == QN_OK ? TOOL_DONE : tool_fail(t);
}

// The file is written before the talk, so that a failure is the one thing that is said.
static int fuse(tool *t, fuse_run *run) {
  if (!can_write(t, &run->model)) return TOOL_BAD;
  if (qn_graph_clone(run->model.graph, &run->before) != QN_OK) return tool_fail(t);
  if (!id_table_fill(&run->ids, run->before)) return tool_error("fuse", "out of memory", NULL);
  if (!tool_run_pipeline(t, run->model.graph, NULL, &run->pipeline)) return TOOL_BAD;
  if (write_model(t, run) != TOOL_DONE) return TOOL_BAD;
  if (t->options.stats) tool_print_stats(run->pipeline);
  return show_summary(t, run);
}

int tool_cmd_fuse(tool *t) {
  fuse_run run = { 0 };
  if (!tool_model_read(t, t->options.operand, &run.model)) return TOOL_BAD;
  int code = fuse(t, &run);
  qn_pipeline_destroy(run.pipeline);
  free(run.ids.nodes);
  qn_graph_destroy(run.before);
  tool_model_destroy(&run.model);
  return code;
}
