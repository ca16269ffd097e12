// quench: reads a dataflow graph, fuses attention with the quantization of its output, compiles the kernel.
#include "tool.h"

#include <string.h>

static const struct {
  tool_command_info info;
  int (*run)(tool *t);
} commands[] = {
#define COMMAND(name, operands, doc) { { #name, operands, doc }, tool_cmd_##name },
#include "commands.def"
};
enum { COMMAND_COUNT = sizeof commands / sizeof commands[0] };

static int print_help(FILE *to) {
  fprintf(to, "quench %s: fuses attention with the quantization of its output\n\n", qn_version());
  for (int i = 0; i < COMMAND_COUNT; i++)
    fprintf(to, "  quench %-8s %-8s %s\n", commands[i].info.name, commands[i].info.operands,
            commands[i].info.doc);
  fprintf(to,
          "\nquench COMMAND --help lists the options. MODEL is an ONNX or a .qn file, - is standard input.\n"
          "Exit codes: 0 done, 1 the answer is no, 2 bad input or usage.\n");
  return to == stdout ? TOOL_DONE : TOOL_BAD;
}

static int run_command(int index, int count, char **arguments) {
  tool t = { .command = &commands[index].info };
  if (!tool_options_parse(t.command, count, arguments, &t.options)) return TOOL_BAD;
  if (t.options.help) {
    tool_options_help(t.command, stdout);
    return TOOL_DONE;
  }
  if (qn_context_create(NULL, &t.context) != QN_OK) return tool_error("", "out of memory", NULL);
  int code = commands[index].run(&t);
  qn_context_destroy(t.context);
  return code;
}

int main(int argc, char **argv) {
  const char *word = argc > 1 ? argv[1] : "";
  if (!*word) return print_help(stderr);
  if (strcmp(word, "help") == 0 || strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
    return print_help(stdout);
  if (strcmp(word, "--version") == 0) return printf("quench %s\n", qn_version()) > 0 ? TOOL_DONE : TOOL_BAD;
  for (int i = 0; i < COMMAND_COUNT; i++)
    if (strcmp(word, commands[i].info.name) == 0) return run_command(i, argc - 2, argv + 2);
  return tool_error(word, "unknown subcommand", "see quench help");
}
