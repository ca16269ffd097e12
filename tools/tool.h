// What the subcommands share: exit codes, messages, reading a model, writing a file, running the pipeline.
#ifndef QUENCH_TOOLS_TOOL_H
#define QUENCH_TOOLS_TOOL_H

#include "options.h"

#include <quench/quench.h>

// The exit codes of `quench`.
enum {
  TOOL_DONE = 0,
  TOOL_NO = 1, // the answer is no: nothing fused, a difference found
  TOOL_BAD = 2 // bad input, bad usage, or something that is needed is not there
};

typedef struct tool {
  const tool_command_info *command;
  tool_options options;
  qn_context *context;
  qn_target target; // of the pipeline's legality check, which refers to it
  bool has_target;  // it is settled: by --target, or by the device that is open
} tool;

// One for each row of commands.def. Returns the exit code.
#define COMMAND(name, operands, doc) int tool_cmd_##name(tool *t);
#include "commands.def"

// --- messages (message.c): one line on standard error, `quench: place: message (hint)` -------------------

// The context's last error. Returns TOOL_BAD.
int tool_fail(const tool *t);
// An error of the tool's own. `hint` may be NULL. Returns TOOL_BAD.
int tool_error(const char *place, const char *message, const char *hint);
// Whether to colour what goes to `file`: a terminal, and NO_COLOR is not set.
bool tool_has_colour(FILE *file);
// `text` as a JSON string with its quotes; bytes that are not UTF-8 become \u00XX.
void tool_write_json(FILE *to, const char *text, size_t length);
void tool_write_json_text(FILE *to, const char *text); // zero-terminated; NULL is ""

// --- output files (output.c) -----------------------------------------------------------------------------

// A file that appears under its name only when it is whole.
typedef struct tool_output {
  FILE *file;
  char *path;      // NULL: standard output
  char *temporary; // NULL: written in place, since the name is that of a device or a pipe
} tool_output;

// `path` NULL or "-": standard output. False after a message.
bool tool_output_open(tool_output *output, const char *path);
// Closes; `keep` false throws away what was written. False after a message.
bool tool_output_close(tool_output *output, bool keep);
// For the library's writers.
qn_writer tool_output_writer(tool_output *output);
// Runs `body`, which writes to the file, and keeps the file unless it gives TOOL_BAD. Returns the exit code.
int tool_with_output(tool *t, const char *path, int (*body)(tool *t, tool_output *output, void *user),
                     void *user);

// --- models (model.c) ------------------------------------------------------------------------------------

typedef struct tool_model {
  const char *place;   // the path, or "<stdin>"
  char *data;          // what was read from standard input, or the text of a .qn
  qn_onnx_model *onnx; // NULL if the model is .qn
  qn_graph *graph;     // owned by `onnx` if there is one
} tool_model;

// Reads an ONNX or .qn file, told apart by content. False after a message.
bool tool_model_read(tool *t, const char *path, tool_model *out_model);
void tool_model_destroy(tool_model *model);

// --- the pipeline (pipeline.c) ---------------------------------------------------------------------------

// Settles `t->target`, if nobody has: that of --target (the first, if several), sm_90a without it. False after
// a message.
bool tool_set_target(tool *t);
// Runs the pipeline as --target, --passes, --fuel, --check, --numerics and --dump-dir say. `passes` overrides
// --passes where it is not NULL. False after a message.
bool tool_run_pipeline(tool *t, qn_graph *graph, const char *passes, qn_pipeline **out_pipeline);
// The table of --stats on standard error.
void tool_print_stats(qn_pipeline *pipeline);

// --- printing graphs (emit.c, emit_json.c) ---------------------------------------------------------------

// The form to write: --emit, else what the ending of --output says, else "text".
const char *tool_get_form(const tool *t);
// Writes a graph as text, llvm, dot or json. Returns the exit code.
int tool_emit_graph(tool *t, const qn_graph *graph, const char *form, tool_output *output);
// Several graphs as one LLVM module.
int tool_emit_llvm(tool *t, const qn_graph *const *graphs, uint32_t count, tool_output *output);
void tool_emit_graph_json(const qn_graph *graph, FILE *to);
// `type` as text into `out_text`, cut with "..." if it is longer.
void tool_format_type(const qn_graph *graph, qn_type type, char *out_text, size_t size);
// The node as one line of the text form, without its metadata: `y: e4m3[B,T,512] = quantize(r, s)[...]`.
void tool_write_node(const qn_graph *graph, qn_node node, FILE *to);

#endif
