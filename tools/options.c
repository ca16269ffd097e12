// Parses the command line of every subcommand against options.def.
#include "options.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

typedef enum option_kind { FLAG, TEXT, NUMBER, LIST } option_kind;

typedef struct option_row {
  size_t offset; // of the field in tool_options
  const char *name;
  char letter;
  option_kind kind;
  const char *argument;
  const char *commands;
  const char *doc;
} option_row;

static const option_row option_rows[] = {
#define OPTION(field, spelling, letter, kind, argument, commands, doc)                                         \
  { offsetof(tool_options, field), spelling, letter, kind, argument, commands, doc },
#include "options.def"
};
enum { OPTION_COUNT = sizeof(option_rows) / sizeof(option_rows[0]) };

bool tool_word_in(const char *word, size_t length, const char *words, char separator) {
  for (const char *at = words;; at++) {
    const char *end = strchr(at, separator);
    size_t n = end ? (size_t)(end - at) : strlen(at);
    if (n == length && memcmp(at, word, n) == 0) return true;
    if (!end) return false;
    at = end;
  }
}

// Whether a command takes the row; `out_words` are the words that it accepts there (empty: any), copied since a
// command may narrow them.
static bool option_applies(const option_row *row, const char *command, char out_words[96]) {
  size_t length = strlen(command);
  for (const char *at = row->commands; *at;) {
    size_t n = strcspn(at, " ");
    size_t name = strcspn(at, ": ");
    if (name == length && memcmp(at, command, name) == 0) {
      bool narrowed = name < n;
      bool words = row->argument && strchr(row->argument, '|') && !strpbrk(row->argument, "=,");
      const char *from = narrowed ? at + name + 1 : words ? row->argument : "";
      snprintf(out_words, 96, "%.*s", narrowed ? (int)(n - name - 1) : (int)strlen(from), from);
      return true;
    }
    at += n + (at[n] == ' ');
  }
  return false;
}

static bool usage_error(const tool_command_info *command, const char *what, const char *name,
                        const char *hint) {
  fprintf(stderr, "quench: %s: %s %s (%s)\n", command->name, what, name, hint);
  return false;
}

// The option of this command whose spelling shares the longest beginning with what was typed, for the hint.
static const char *nearest_option(const tool_command_info *command, const char *typed, size_t length) {
  const char *best = NULL;
  size_t best_length = 1;
  char words[96];
  for (int i = 0; i < OPTION_COUNT; i++) {
    if (!option_applies(&option_rows[i], command->name, words)) continue;
    size_t same = 0;
    while (same < length && option_rows[i].name[same] == typed[same]) same++;
    if (same > best_length) {
      best = option_rows[i].name;
      best_length = same;
    }
  }
  return best;
}

static const option_row *find_option(const tool_command_info *command, const char *name, size_t length,
                                     char letter, char out_words[96]) {
  for (int i = 0; i < OPTION_COUNT; i++) {
    const option_row *row = &option_rows[i];
    bool same = letter != '\0' ? row->letter == letter
                               : strlen(row->name) == length && memcmp(row->name, name, length) == 0;
    if (same && option_applies(row, command->name, out_words)) return row;
  }
  return NULL;
}

static bool store(const tool_command_info *command, const option_row *row, const char *words, const char *value,
                  tool_options *options) {
  void *field = (char *)options + row->offset;
  char name[64];
  snprintf(name, sizeof name, "--%s", row->name);
  if (row->kind != FLAG && words[0] != '\0' && !tool_word_in(value, strlen(value), words, '|')) {
    char hint[160];
    snprintf(hint, sizeof hint, "it takes %s, not '%.32s'", words, value);
    return usage_error(command, "unknown word for", name, hint);
  }
  switch (row->kind) {
  case FLAG: *(bool *)field = true; return true;
  case TEXT: *(const char **)field = value; return true;
  case NUMBER: {
    char *end;
    unsigned long long number = strtoull(value, &end, 10);
    if (*value < '0' || *value > '9' || *end != '\0')
      return usage_error(command, "no number after", name, "a decimal number is expected");
    *(uint64_t *)field = number;
    return true;
  }
  case LIST: {
    tool_list *list = field;
    if (list->count == TOOL_LIST_MAX) return usage_error(command, "too many of", name, "32 are taken");
    list->items[list->count++] = value;
    return true;
  }
  }
  return false;
}

// One word that begins with `-` and, if the option takes one, its argument. Returns the number of words used; 0
// on an error.
static int parse_option(const tool_command_info *command, int left, char **words, tool_options *options) {
  const char *word = words[0];
  bool is_long = word[1] == '-';
  const char *name = word + (is_long ? 2 : 1);
  size_t length = is_long ? strcspn(name, "=") : 1;
  const char *value = name[length] == '\0' ? NULL : name + length + (is_long ? 1 : 0);
  char shown[64], accepted[96], hint[96];
  snprintf(shown, sizeof shown, "%.*s", (int)(name - word) + (int)length, word);

  const option_row *row = find_option(command, name, length, is_long ? '\0' : name[0], accepted);
  if (!row) {
    const char *near = is_long ? nearest_option(command, name, length) : NULL;
    if (near)
      snprintf(hint, sizeof hint, "is --%s meant?", near);
    else
      snprintf(hint, sizeof hint, "see quench %s --help", command->name);
    return usage_error(command, "unknown option", shown, hint), 0;
  }
  if (row->kind == FLAG) {
    if (value) return usage_error(command, "an argument for", shown, "it takes none"), 0;
    return store(command, row, accepted, "", options) ? 1 : 0;
  }
  int used = 1;
  if (!value) {
    if (left < 2) {
      snprintf(hint, sizeof hint, "it takes %s", row->argument);
      return usage_error(command, "no argument for", shown, hint), 0;
    }
    value = words[1];
    used = 2;
  }
  return store(command, row, accepted, value, options) ? used : 0;
}

bool tool_options_parse(const tool_command_info *command, int count, char **arguments,
                        tool_options *out_options) {
  *out_options = (tool_options){ 0 };
  bool only_operands = false;
  for (int i = 0; i < count;) {
    const char *word = arguments[i];
    if (!only_operands && strcmp(word, "--") == 0) {
      only_operands = true;
      i++;
    } else if (!only_operands && (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)) {
      out_options->help = true;
      return true;
    } else if (!only_operands && word[0] == '-' && word[1] != '\0') {
      int used = parse_option(command, count - i, arguments + i, out_options);
      if (used == 0) return false;
      i += used;
    } else {
      if (command->operands[0] == '\0')
        return usage_error(command, "an operand that is not taken:", word, "it takes none");
      if (out_options->operand) return usage_error(command, "a second operand:", word, "one is taken");
      out_options->operand = word;
      i++;
    }
  }
  if (!out_options->operand && command->operands[0] != '\0' && command->operands[0] != '[')
    return usage_error(command, "no", command->operands, "a file, or - for standard input");
  return true;
}

void tool_options_help(const tool_command_info *command, FILE *to) {
  fprintf(to, "quench %s [options]%s%s\n  %s\n\n", command->name, command->operands[0] != '\0' ? " " : "",
          command->operands, command->doc);
  char words[96];
  for (int i = 0; i < OPTION_COUNT; i++) {
    const option_row *row = &option_rows[i];
    if (!option_applies(row, command->name, words)) continue;
    char left[128];
    snprintf(left, sizeof left, "%c%c%c --%s%s%s", row->letter != '\0' ? '-' : ' ',
             row->letter != '\0' ? row->letter : ' ', row->letter != '\0' ? ',' : ' ', row->name,
             row->kind == FLAG ? "" : " ",
             row->kind == FLAG  ? ""
             : words[0] != '\0' ? words
                                : row->argument);
    bool wide = strlen(left) > 33;
    fprintf(to, "  %-34s%s%*s%s\n", left, wide ? "\n  " : "", wide ? 34 : 0, "", row->doc);
  }
  fprintf(to, "  -h, --help                        this text\n");
}
