// quench dump: prints a model's graph, as read or after the passes that --passes names.
#include "tool.h"

#include <string.h>

static int write_graph(tool *t, tool_output *output, void *user) {
  const qn_graph *graph = user;
  return tool_emit_graph(t, graph, tool_get_form(t), output);
}

int tool_cmd_dump(tool *t) {
  if (strcmp(tool_get_form(t), "onnx") == 0)
    return tool_error(t->options.output, "dump does not write ONNX", "quench fuse does, or give --emit");
  tool_model model;
  if (!tool_model_read(t, t->options.operand, &model)) return TOOL_BAD;
  qn_pipeline *pipeline = NULL;
  int code = TOOL_DONE;
  if (t->options.passes || t->options.dump_dir) {
    if (!tool_run_pipeline(t, model.graph, NULL, &pipeline)) code = TOOL_BAD;
    if (pipeline && t->options.stats) tool_print_stats(pipeline);
  }
  if (code == TOOL_DONE) code = tool_with_output(t, t->options.output, write_graph, model.graph);
  qn_pipeline_destroy(pipeline);
  tool_model_destroy(&model);
  return code;
}
