// quench ops: the table of operations, which is also docs/ops.md.
#include "tool.h"

#include <string.h>

static const struct {
  uint32_t fact;
  const char *name;
} fact_names[] = {
  { QN_FACT_COMMUTATIVE, "commutative" }, { QN_FACT_ELEMENTWISE, "elementwise" }, { QN_FACT_VIEW, "view" },
  { QN_FACT_LAYOUT, "layout" },           { QN_FACT_EFFECT, "effect" },           { QN_FACT_LEAF, "leaf" }
};

static const char *const kind_names[] = {
  [QN_ATTR_INT] = "int",       [QN_ATTR_FLOAT] = "float",   [QN_ATTR_BOOL] = "bool",
  [QN_ATTR_ENUM] = "choice",   [QN_ATTR_DTYPE] = "type",    [QN_ATTR_INTS] = "ints",
  [QN_ATTR_TENSOR] = "tensor", [QN_ATTR_STRING] = "string", [QN_ATTR_SCHEME] = "scheme",
};

static void print_words(FILE *to, const char *const *words, const char *quote) {
  for (int i = 0; words[i]; i++) fprintf(to, "%s%s%s%s", i ? ", " : "", quote, words[i], quote);
}

// `causal=none`, `scale=0`, `perm={}`: the attribute with its default.
static void print_default(FILE *to, const qn_attr_info *attr) {
  char choice[32];
  fprintf(to, "%s=", attr->name);
  switch (attr->kind) {
  case QN_ATTR_INT:
    if (attr->i == INT64_MAX)
      fputs("max", to);
    else
      fprintf(to, "%lld", (long long)attr->i);
    break;
  case QN_ATTR_FLOAT: fprintf(to, "%g", attr->f); break;
  case QN_ATTR_BOOL: fputs(attr->i ? "true" : "false", to); break;
  case QN_ATTR_ENUM:
    qn_attr_format_choice(attr, attr->i, choice);
    fputs(choice, to);
    break;
  case QN_ATTR_DTYPE: fputs(qn_dtype_name((qn_dtype)attr->i), to); break;
  case QN_ATTR_INTS:
  case QN_ATTR_TENSOR: fputs("{}", to); break;
  case QN_ATTR_STRING: fputs("\"\"", to); break;
  case QN_ATTR_SCHEME: fputs("none", to); break;
  }
}

static void print_facts(FILE *to, uint32_t facts) {
  const char *separator = "";
  for (size_t i = 0; i < sizeof fact_names / sizeof fact_names[0]; i++) {
    if (!(facts & fact_names[i].fact)) continue;
    fprintf(to, "%s%s", separator, fact_names[i].name);
    separator = ", ";
  }
}

static void print_json_list(FILE *to, const char *key, const char *const *words) {
  fprintf(to, ", \"%s\": [", key);
  print_words(to, words, "\"");
  fputc(']', to);
}

static void print_json(FILE *to, const qn_op_info *op) {
  fprintf(to, "{\"name\": \"%s\"", op->name);
  print_json_list(to, "operands", op->operands);
  print_json_list(to, "results", op->results);
  fputs(", \"attributes\": [", to);
  for (const qn_attr_info *attr = op->attrs; attr->name; attr++) {
    fprintf(to, "%s{\"name\": \"%s\", \"kind\": \"%s\"", attr == op->attrs ? "" : ", ", attr->name,
            kind_names[attr->kind]);
    if (attr->choices) fprintf(to, ", \"choices\": \"%s\"", attr->choices);
    fputc('}', to);
  }
  fputs("], \"facts\": \"", to);
  print_facts(to, op->facts);
  fputs("\", \"doc\": ", to);
  tool_write_json_text(to, op->doc);
  fputs("}\n", to);
}

// `y = softmax(x)[axis=-1]`, with each optional operand marked as in the table.
static void print_signature(FILE *to, const qn_op_info *op) {
  print_words(to, op->results, "");
  fprintf(to, " = %s", op->name);
  if (op->operands[0]) {
    fputc('(', to);
    print_words(to, op->operands, "");
    fputc(')', to);
  }
  for (const qn_attr_info *attr = op->attrs; attr->name; attr++) {
    fputs(attr == op->attrs ? "[" : ", ", to);
    print_default(to, attr);
  }
  if (op->attrs[0].name) fputc(']', to);
}

static void print_one(FILE *to, const qn_op_info *op) {
  print_signature(to, op);
  fprintf(to, "\n  %s\n", op->doc);
  for (const qn_attr_info *attr = op->attrs; attr->name; attr++)
    fprintf(to, "  %-16s %s%s%s\n", attr->name, kind_names[attr->kind], attr->choices ? ": " : "",
            attr->choices ? attr->choices : "");
  if (op->facts) {
    fputs("  facts: ", to);
    print_facts(to, op->facts);
    fputc('\n', to);
  }
}

static void print_markdown_row(FILE *to, const qn_op_info *op) {
  fputs("| `", to);
  print_signature(to, op);
  fputs("` | ", to);
  print_facts(to, op->facts);
  fputs(" | ", to);
  for (const char *c = op->doc; *c; c++) fprintf(to, *c == '|' ? "\\|" : "%c", *c);
  fputs(" |\n", to);
}

static int list_ops(tool *t, tool_output *output, void *user) {
  (void)user;
  const tool_options *o = &t->options;
  qn_op only = o->operand ? qn_op_find(o->operand, strlen(o->operand)) : QN_OP_NONE;
  if (o->operand && only == QN_OP_NONE)
    return tool_error(o->operand, "no such operation", "quench ops lists them");
  if (o->markdown)
    fputs("# Operations\n\nPrinted by `quench ops --markdown` from `ir/ops.def`. `x?` may be absent, `x*` is "
          "any number; attributes are\n"
          "shown with their defaults. Semantics are ONNX's (opset 23) where a name is ONNX's in lower case.\n\n"
          "| operation | facts | what it is |\n|---|---|---|\n",
          output->file);
  for (int op = QN_OP_NONE + 1; op < QN_OP_COUNT; op++) {
    const qn_op_info *info = qn_op_get_info((qn_op)op);
    if (only != QN_OP_NONE && op != (int)only) continue;
    if (o->json)
      print_json(output->file, info);
    else if (o->markdown)
      print_markdown_row(output->file, info);
    else if (only != QN_OP_NONE)
      print_one(output->file, info);
    else
      fprintf(output->file, "%-18s %s\n", info->name, info->doc);
  }
  return TOOL_DONE;
}

int tool_cmd_ops(tool *t) {
  return tool_with_output(t, t->options.output, list_ops, NULL);
}
