// Prints a graph in the form that was asked for. LLVM IR comes from libquench-llvm, which is opened only then,
// so that the start of the program does not pay for libLLVM.
#include "tool.h"

#include <dlfcn.h>
#include <string.h>

// A writer into a fixed array, for short texts; what does not fit is cut.
typedef struct fixed_text {
  char *text;
  size_t size, length;
} fixed_text;

static qn_status write_fixed(void *user, const char *text, size_t length) {
  fixed_text *fixed = user;
  size_t room = fixed->size - 1 - fixed->length;
  size_t n = length < room ? length : room;
  memcpy(fixed->text + fixed->length, text, n);
  fixed->length += n;
  fixed->text[fixed->length] = '\0';
  if (n < length && fixed->size > 4) strcpy(fixed->text + fixed->size - 4, "...");
  return QN_OK;
}

void tool_format_type(const qn_graph *graph, qn_type type, char *out_text, size_t size) {
  fixed_text fixed = { .text = out_text, .size = size };
  out_text[0] = '\0';
  qn_writer writer = { .write = write_fixed, .user = &fixed };
  qn_type_write(graph, type, &writer);
}

void tool_write_node(const qn_graph *graph, qn_node node, FILE *to) {
  tool_output output = { .file = to };
  qn_writer writer = tool_output_writer(&output);
  qn_node_write_text(graph, node, &(qn_text_params){ .no_metadata = true }, &writer);
  fputc('\n', to);
}

int tool_emit_llvm(tool *t, const qn_graph *const *graphs, uint32_t count, tool_output *output) {
  void *library = dlopen("libquench-llvm.so.0", RTLD_NOW);
  if (!library)
    return tool_error("--emit llvm", dlerror(), "libquench-llvm is built where LLVM 18 or later is found");
  // ISO C has no cast from an object pointer to a function pointer; POSIX promises that this is one.
  qn_status (*write_llvm)(const qn_graph *const *, uint32_t, const qn_writer *);
  *(void **)&write_llvm = dlsym(library, "qn_graphs_write_llvm");
  if (!write_llvm) return tool_error("--emit llvm", dlerror(), NULL);
  // The library stays open: libLLVM does not survive being closed and opened again.
  qn_writer writer = tool_output_writer(output);
  return write_llvm(graphs, count, &writer) == QN_OK ? TOOL_DONE : tool_fail(t);
}

const char *tool_get_form(const tool *t) {
  static const struct {
    const char *ending, *form;
  } endings[] = { { ".onnx", "onnx" }, { ".ll", "llvm" }, { ".dot", "dot" }, { ".json", "json" } };
  if (t->options.emit) return t->options.emit;
  const char *path = t->options.output, *dot = path ? strrchr(path, '.') : NULL;
  for (size_t i = 0; dot && i < sizeof endings / sizeof endings[0]; i++)
    if (strcmp(dot, endings[i].ending) == 0) return endings[i].form;
  return "text";
}

int tool_emit_graph(tool *t, const qn_graph *graph, const char *form, tool_output *output) {
  qn_writer writer = tool_output_writer(output);
  const tool_options *o = &t->options;
  if (strcmp(form, "llvm") == 0) return tool_emit_llvm(t, &graph, 1, output);
  if (strcmp(form, "json") == 0) {
    tool_emit_graph_json(graph, output->file);
    return TOOL_DONE;
  }
  uint32_t limit = o->inline_limit < UINT32_MAX ? (uint32_t)o->inline_limit : UINT32_MAX;
  qn_status status =
      strcmp(form, "dot") == 0
          ? qn_graph_write_dot(graph, &(qn_dot_params){ .expand_repeats = o->expand }, &writer)
          : qn_graph_write_text(
                graph, &(qn_text_params){ .inline_limit = limit, .no_metadata = o->no_metadata }, &writer);
  return status == QN_OK ? TOOL_DONE : tool_fail(t);
}
