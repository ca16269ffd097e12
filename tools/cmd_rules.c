// quench rules: the table of rewrite rules, which is also docs/rule-list.md; one rule as text or as LLVM IR.
#include "tool.h"

#include <string.h>

static void print_json(FILE *to, const qn_rule_info *rule) {
  const struct {
    const char *key, *text;
  } fields[] = { { "name", rule->name },   { "family", rule->family }, { "doc", rule->doc },
                 { "match", rule->match }, { "build", rule->build },   { "sample", rule->sample } };
  for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
    fprintf(to, "%s\"%s\": ", i ? ", " : "{", fields[i].key);
    tool_write_json_text(to, fields[i].text);
  }
  fprintf(to, ", \"gain\": %d}\n", rule->gain);
}

// The lines of a rule's side, indented, behind a label if there is one.
static void print_lines(FILE *to, const char *label, const char *text, const char *indent) {
  for (const char *at = text; at && *at;) {
    size_t length = strcspn(at, "\n");
    size_t shown = length;
    while (shown > 0 && at[shown - 1] == ' ') shown--;
    if (shown) fprintf(to, "%s%-*s%.*s\n", indent, *label ? 8 : 0, at == text ? label : "", (int)shown, at);
    at += length + (at[length] == '\n');
  }
}

static void print_one(FILE *to, const qn_rule_info *rule) {
  fprintf(to, "%s (%s, gain %d)\n  %s\n\n", rule->name, rule->family, rule->gain, rule->doc);
  print_lines(to, "match", rule->match, "  ");
  fputc('\n', to);
  print_lines(to, "build", rule->build, "  ");
  fputc('\n', to);
  print_lines(to, "sample", rule->sample, "  ");
}

static void print_markdown(FILE *to, const qn_rule_info *rule) {
  fprintf(to, "\n## %s\n\n%s (family `%s`)\n\n```\n", rule->name, rule->doc, rule->family);
  print_lines(to, "", rule->match, "");
  fputs("  becomes\n", to);
  print_lines(to, "", rule->build, "");
  fputs("```\n", to);
}

// The two sides of a rule as graphs, whose inputs are the rule's holes.
static int emit_sides(tool *t, uint32_t index, tool_output *output) {
  qn_graph *sides[2] = { NULL, NULL };
  if (qn_rule_get_graphs(t->context, index, &sides[0], &sides[1]) != QN_OK) return tool_fail(t);
  int code = TOOL_DONE;
  if (strcmp(t->options.emit, "llvm") == 0) {
    code = tool_emit_llvm(t, (const qn_graph *const *)sides, 2, output);
  } else {
    for (int i = 0; i < 2 && code == TOOL_DONE; i++)
      code = tool_emit_graph(t, sides[i], t->options.emit, output);
  }
  qn_graph_destroy(sides[0]);
  qn_graph_destroy(sides[1]);
  return code;
}

static int list_rules(tool *t, tool_output *output, void *user) {
  (void)user;
  const tool_options *o = &t->options;
  FILE *to = output->file;
  if (o->emit && !o->operand)
    return tool_error("rules", "--emit needs the name of a rule", "quench rules lists them");
  if (o->markdown)
    fputs("# The rules\n\nPrinted by `quench rules --markdown` from the tables of `patterns/`; the language is "
          "that of rules.md.\n",
          to);
  bool found = false;
  for (uint32_t i = 0; i < qn_rule_get_count(); i++) {
    qn_rule_info rule = qn_rule_get_info(i);
    if (o->operand && strcmp(o->operand, rule.name) != 0) continue;
    found = true;
    if (o->emit) return emit_sides(t, i, output);
    if (o->json)
      print_json(to, &rule);
    else if (o->markdown)
      print_markdown(to, &rule);
    else if (o->operand)
      print_one(to, &rule);
    else
      fprintf(to, "%-36s %-19s %s\n", rule.name, rule.family, rule.doc);
  }
  if (o->operand && !found) return tool_error(o->operand, "no such rule", "quench rules lists them");
  return TOOL_DONE;
}

int tool_cmd_rules(tool *t) {
  return tool_with_output(t, t->options.output, list_rules, NULL);
}
