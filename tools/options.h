// The command line: one table (options.def) for every subcommand, one parser, one --help.
#ifndef QUENCH_TOOLS_OPTIONS_H
#define QUENCH_TOOLS_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum { TOOL_LIST_MAX = 32 };

typedef struct tool_list {
  const char *items[TOOL_LIST_MAX];
  unsigned count;
} tool_list;

typedef bool tool_option_FLAG;
typedef const char *tool_option_TEXT;
typedef uint64_t tool_option_NUMBER;
typedef tool_list tool_option_LIST;

typedef struct tool_options {
#define OPTION(field, spelling, letter, kind, argument, commands, doc) tool_option_##kind field;
#include "options.def"
  const char *operand; // the one word that is not an option, or NULL
  bool help;
} tool_options;

typedef struct tool_command_info {
  const char *name;
  const char *operands; // "MODEL", "[NAME]", ""
  const char *doc;
} tool_command_info;

// Reads `arguments` (without the program and the subcommand). False after a message on standard error.
bool tool_options_parse(const tool_command_info *command, int count, char **arguments,
                        tool_options *out_options);
// What `quench COMMAND --help` says.
void tool_options_help(const tool_command_info *command, FILE *to);

// Whether `word` stands in `words`, which `separator` divides: word_in("b", "a|b|c", '|').
bool tool_word_in(const char *word, size_t length, const char *words, char separator);

#endif
