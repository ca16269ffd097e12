// quench passes: the table of passes.
#include "tool.h"

static int list_passes(tool *t, tool_output *output, void *user) {
  (void)user;
  const tool_options *o = &t->options;
  FILE *to = output->file;
  for (uint32_t i = 0; i < qn_pass_get_count(); i++) {
    qn_pass_info info = qn_pass_get_info(i);
    if (o->json) {
      fputs("{\"name\": ", to);
      tool_write_json_text(to, info.name);
      fputs(", \"doc\": ", to);
      tool_write_json_text(to, info.doc);
      fputs("}\n", to);
    } else {
      fprintf(to, "%-22s %s\n", info.name, info.doc);
    }
  }
  return TOOL_DONE;
}

int tool_cmd_passes(tool *t) {
  return tool_with_output(t, t->options.output, list_passes, NULL);
}
