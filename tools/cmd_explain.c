// quench explain: one remark for each attention and each quantize that an attention's output could reach.
#include "tool.h"

#include <stdlib.h>
#include <string.h>

// --- JSON: the names of the fields are stable ------------------------------------------------------------

static void print_json(FILE *to, const qn_remark *r) {
  const struct {
    const char *key;
    qn_str text;
  } fields[] = {
#define FIELD(key, string)                                                                                     \
  {                                                                                                            \
    key, {                                                                                                     \
      string, strlen(string)                                                                                   \
    }                                                                                                          \
  }
    { "node", r->node },
    FIELD("op", r->op),
    { "layer", r->layer },
    FIELD("verdict", r->fused ? "fused" : "missed"),
    FIELD("rule", r->rule),
    FIELD("stage", r->stage),
    FIELD("code", r->code),
    FIELD("at", r->at),
    FIELD("expected", r->expected),
    FIELD("found", r->found),
    FIELD("closest", r->closest),
  };
  for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
    fprintf(to, "%s\"%s\": ", i ? ", " : "{", fields[i].key);
    tool_write_json(to, fields[i].text.text, fields[i].text.length);
  }
  fprintf(to, ", \"depth\": %u, \"hint\": ", r->depth);
  tool_write_json_text(to, r->hint);
  fputs("}\n", to);
#undef FIELD
}

// --- YAML: LLVM's remark format (llvm/Remarks), as `opt -pass-remarks-output` writes it ------------------

static void print_quoted(FILE *to, const char *text, size_t length) {
  fputc('\'', to);
  for (size_t i = 0; i < length; i++) {
    if (text[i] == '\'') fputc('\'', to);
    fputc(text[i] == '\n' ? ' ' : text[i], to);
  }
  fputc('\'', to);
}

static void print_yaml_argument(FILE *to, const char *key, const char *text, size_t length) {
  if (length == 0) return;
  fprintf(to, "  - %-10s", key);
  print_quoted(to, text, length);
  fputc('\n', to);
}

static void print_yaml(FILE *to, const qn_remark *r, qn_str graph_name) {
  fprintf(to, "--- !%s\nPass:            quench\nName:            %s\nFunction:        ",
          r->fused ? "Passed" : "Missed", r->fused ? r->rule : r->code);
  print_quoted(to, graph_name.text, graph_name.length);
  fputs("\nArgs:\n", to);
  print_yaml_argument(to, "Node:", r->node.text, r->node.length);
  print_yaml_argument(to, "Op:", r->op, strlen(r->op));
  print_yaml_argument(to, "Layer:", r->layer.text, r->layer.length);
  print_yaml_argument(to, "Rule:", r->rule, strlen(r->rule));
  print_yaml_argument(to, "Stage:", r->stage, strlen(r->stage));
  print_yaml_argument(to, "At:", r->at, strlen(r->at));
  print_yaml_argument(to, "Expected:", r->expected, strlen(r->expected));
  print_yaml_argument(to, "Found:", r->found, strlen(r->found));
  print_yaml_argument(to, "Closest:", r->closest, strlen(r->closest));
  print_yaml_argument(to, "Hint:", r->hint, strlen(r->hint));
  fputs("...\n", to);
}

// --- text: a paragraph a remark --------------------------------------------------------------------------

static const char *sentence_of(const char *code) {
  for (int why = 0; why < QN_WHY_COUNT; why++)
    if (strcmp(qn_why_name((qn_why)why), code) == 0) return qn_why_sentence((qn_why)why);
  return "";
}

static void print_line(FILE *to, const char *label, const char *text) {
  if (*text) fprintf(to, "  %-9s %s\n", label, text);
}

static void print_text(FILE *to, const qn_remark *r) {
  bool colour = tool_has_colour(to);
  const char *on = !colour ? "" : r->fused ? "\033[32m" : "\033[33m", *off = colour ? "\033[0m" : "";
  fprintf(to, "%s%s%s  %s %.*s", on, r->fused ? "fused " : "missed", off, r->op, (int)r->node.length,
          r->node.text);
  if (r->layer.length) fprintf(to, "  (%.*s)", (int)r->layer.length, r->layer.text);
  fputc('\n', to);
  if (r->fused) {
    print_line(to, "by rule", r->rule);
    return;
  }
  fprintf(to, "  %-9s %s (%s, %s)\n", "because", sentence_of(r->code), r->stage, r->code);
  print_line(to, "at", r->at);
  print_line(to, "expected", r->expected);
  print_line(to, "found", r->found);
  if (*r->closest)
    fprintf(to, "  %-9s %s, %u row%s deep\n", "closest", r->closest, r->depth, r->depth == 1 ? "" : "s");
  print_line(to, "hint", r->hint);
}

// --- --why -----------------------------------------------------------------------------------------------

typedef struct explanation {
  const qn_graph *graph;
  qn_pipeline *pipeline;
} explanation;

static void print_remark(tool *t, const explanation *e, const qn_remark *remark, FILE *to) {
  if (t->options.json)
    print_json(to, remark);
  else if (t->options.yaml)
    print_yaml(to, remark, qn_graph_get_name(e->graph));
  else
    print_text(to, remark);
}

static bool node_is_called(const qn_graph *graph, qn_node node, const char *name) {
  size_t length = strlen(name);
  qn_str own = qn_node_get_name(graph, node);
  if (own.length == length && memcmp(own.text, name, length) == 0) return true;
  for (uint32_t i = 0; i < qn_node_get_result_count(graph, node); i++) {
    qn_str result = qn_value_get_name(graph, qn_node_get_result(graph, node, i));
    if (result.length == length && memcmp(result.text, name, length) == 0) return true;
  }
  return false;
}

// RULE@NODE asks at that node; RULE alone asks everywhere and prints the nodes where the rule got deepest.
static int print_why(tool *t, const explanation *e, FILE *to) {
  const char *why = t->options.why, *at = strchr(why, '@');
  size_t length = at ? (size_t)(at - why) : strlen(why);
  uint32_t rule = 0;
  for (; rule < qn_rule_get_count(); rule++) {
    const char *name = qn_rule_get_info(rule).name;
    if (strlen(name) == length && memcmp(name, why, length) == 0) break;
  }
  if (rule == qn_rule_get_count()) return tool_error("--why", "no such rule", "quench rules lists them");

  uint32_t deepest = 0, shown = 0;
  for (int round = at ? 1 : 0; round < 2; round++) { // without a node: find the depth first, then print
    for (qn_node node = qn_graph_get_first(e->graph); node != QN_NONE;
         node = qn_node_get_next(e->graph, node)) {
      if (at && !node_is_called(e->graph, node, at + 1)) continue;
      qn_remark remark;
      if (qn_pipeline_why(e->pipeline, rule, node, &remark) != QN_OK) return tool_fail(t);
      if (round == 0 && remark.depth > deepest) deepest = remark.depth;
      if (round == 0 || (!at && !remark.fused && remark.depth < deepest)) continue;
      if (shown && !t->options.json && !t->options.yaml) fputc('\n', to);
      print_remark(t, e, &remark, to);
      shown++;
    }
  }
  if (at && !shown)
    return tool_error("--why", "no node of that name after the passes",
                      "a node's name, or that of one of its results");
  return TOOL_DONE;
}

// --- the subcommand --------------------------------------------------------------------------------------

static int print_all(tool *t, tool_output *output, void *user) {
  explanation *e = user;
  FILE *to = output->file;
  if (t->options.why) return print_why(t, e, to);
  bool text = !t->options.json && !t->options.yaml;
  uint32_t count = qn_pipeline_get_remark_count(e->pipeline), attentions = 0, fused = 0;
  for (uint32_t i = 0; i < count; i++) {
    qn_remark remark;
    if (qn_pipeline_get_remark(e->pipeline, i, &remark) != QN_OK) return tool_fail(t);
    bool attention = strcmp(remark.op, "attention") == 0;
    attentions += attention;
    fused += attention && remark.fused;
    print_remark(t, e, &remark, to);
    if (text) fputc('\n', to);
  }
  if (text) fprintf(to, "fused %u of %u attentions\n", fused, attentions);
  return fused ? TOOL_DONE : TOOL_NO;
}

int tool_cmd_explain(tool *t) {
  if (t->options.json && t->options.yaml)
    return tool_error("explain", "--json and --yaml exclude each other", NULL);
  tool_model model;
  if (!tool_model_read(t, t->options.operand, &model)) return TOOL_BAD;
  explanation e = { .graph = model.graph };
  int code = TOOL_BAD;
  if (tool_run_pipeline(t, model.graph, NULL, &e.pipeline)) {
    if (t->options.stats) tool_print_stats(e.pipeline);
    code = tool_with_output(t, t->options.output, print_all, &e);
  }
  qn_pipeline_destroy(e.pipeline);
  tool_model_destroy(&model);
  return code;
}
