// A graph as one JSON object: for programs that do not want to read the text form.
#include "tool.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void write_str(FILE *to, qn_str text) {
  tool_write_json(to, text.text, text.length);
}

// The shortest decimal that reads back to the same double; infinities and NaN, which JSON lacks, as strings.
static void write_double(FILE *to, double value) {
  if (!isfinite(value)) {
    fputs(isnan(value) ? "\"nan\"" : value > 0 ? "\"inf\"" : "\"-inf\"", to);
    return;
  }
  char text[32];
  for (int digits = 1; digits <= 17; digits++) {
    snprintf(text, sizeof text, "%.*g", digits, value);
    if (strtod(text, NULL) == value) break;
  }
  fputs(text, to);
}

static void write_type(FILE *to, const qn_graph *graph, qn_type type) {
  char text[1024];
  tool_format_type(graph, type, text, sizeof text);
  tool_write_json_text(to, text);
}

// Bytes as hex, since they are the one form that loses nothing of any element type; of large tensors the type
// only.
static void write_tensor(FILE *to, const qn_tensor *tensor) {
  enum { INLINE_BYTES = 512 };
  fprintf(to, "{\"dtype\": \"%s\", \"dims\": [", qn_dtype_name(tensor->dtype));
  for (int32_t i = 0; i < tensor->rank; i++) fprintf(to, "%s%lld", i ? ", " : "", (long long)tensor->dims[i]);
  fprintf(to, "], \"bytes\": %llu", (unsigned long long)tensor->bytes);
  if (tensor->data && tensor->bytes <= INLINE_BYTES) {
    fputs(", \"hex\": \"", to);
    for (uint64_t i = 0; i < tensor->bytes; i++) fprintf(to, "%02x", ((const unsigned char *)tensor->data)[i]);
    fputc('"', to);
  }
  fputc('}', to);
}

static void write_attr(FILE *to, const qn_graph *graph, qn_node node, const qn_attr_info *attr) {
  char text[QN_SCHEME_TEXT_MAX];
  switch (attr->kind) {
  case QN_ATTR_INT: fprintf(to, "%lld", (long long)qn_node_get_int(graph, node, attr->name)); break;
  case QN_ATTR_FLOAT: write_double(to, qn_node_get_float(graph, node, attr->name)); break;
  case QN_ATTR_BOOL: fputs(qn_node_get_int(graph, node, attr->name) ? "true" : "false", to); break;
  case QN_ATTR_ENUM:
    qn_attr_format_choice(attr, qn_node_get_int(graph, node, attr->name), text);
    tool_write_json_text(to, text);
    break;
  case QN_ATTR_DTYPE:
    tool_write_json_text(to, qn_dtype_name((qn_dtype)qn_node_get_int(graph, node, attr->name)));
    break;
  case QN_ATTR_INTS: {
    const int64_t *ints;
    uint32_t count = qn_node_get_ints(graph, node, attr->name, &ints);
    fputc('[', to);
    for (uint32_t i = 0; i < count; i++) fprintf(to, "%s%lld", i ? ", " : "", (long long)ints[i]);
    fputc(']', to);
    break;
  }
  case QN_ATTR_TENSOR: write_tensor(to, qn_node_get_tensor(graph, node, attr->name)); break;
  case QN_ATTR_STRING: write_str(to, qn_node_get_string(graph, node, attr->name)); break;
  case QN_ATTR_SCHEME: {
    qn_scheme scheme = qn_node_get_scheme(graph, node, attr->name);
    qn_scheme_format(&scheme, text);
    tool_write_json_text(to, text);
    break;
  }
  }
}

static void write_node(FILE *to, const qn_graph *graph, qn_node node) {
  const qn_op_info *info = qn_op_get_info(qn_node_get_op(graph, node));
  fprintf(to, "    {\"op\": \"%s\", \"operands\": [", info->name);
  for (uint32_t i = 0; i < qn_node_get_operand_count(graph, node); i++) {
    qn_value value = qn_node_get_operand(graph, node, i);
    if (i) fputs(", ", to);
    if (value == QN_NONE)
      fputs("null", to);
    else
      write_str(to, qn_value_get_name(graph, value));
  }
  fputs("], \"results\": [", to);
  for (uint32_t i = 0; i < qn_node_get_result_count(graph, node); i++) {
    qn_value value = qn_node_get_result(graph, node, i);
    fputs(i ? ", {\"name\": " : "{\"name\": ", to);
    write_str(to, qn_value_get_name(graph, value));
    fputs(", \"type\": ", to);
    write_type(to, graph, qn_value_get_type(graph, value));
    fputc('}', to);
  }
  fputs("], \"attributes\": {", to);
  const char *separator = "";
  for (const qn_attr_info *attr = info->attrs; attr->name; attr++) {
    if (!qn_node_has_attr(graph, node, attr->name)) continue;
    fprintf(to, "%s\"%s\": ", separator, attr->name);
    write_attr(to, graph, node, attr);
    separator = ", ";
  }
  fputc('}', to);
  const struct {
    const char *key;
    qn_str text;
  } marks[] = { { "name", qn_node_get_name(graph, node) },
                { "layer", qn_node_get_layer(graph, node) },
                { "location", qn_node_get_location(graph, node) } };
  if (qn_node_get_id(graph, node))
    fprintf(to, ", \"id\": %llu", (unsigned long long)qn_node_get_id(graph, node));
  for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++) {
    if (marks[i].text.length == 0) continue;
    fprintf(to, ", \"%s\": ", marks[i].key);
    write_str(to, marks[i].text);
  }
  fputc('}', to);
}

void tool_emit_graph_json(const qn_graph *graph, FILE *to) {
  fputs("{\n  \"name\": ", to);
  write_str(to, qn_graph_get_name(graph));
  fputs(",\n  \"nodes\": [", to);
  const char *separator = "\n";
  for (qn_node node = qn_graph_get_first(graph); node != QN_NONE; node = qn_node_get_next(graph, node)) {
    fputs(separator, to);
    write_node(to, graph, node);
    separator = ",\n";
  }
  fputs("\n  ],\n  \"outputs\": [", to);
  for (uint32_t i = 0; i < qn_graph_get_output_count(graph); i++) {
    fputs(i ? ", {\"name\": " : "{\"name\": ", to);
    write_str(to, qn_graph_get_output_name(graph, i));
    fputs(", \"value\": ", to);
    write_str(to, qn_value_get_name(graph, qn_graph_get_output(graph, i)));
    fputc('}', to);
  }
  fputs("]\n}\n", to);
}
