// Writes the text form, docs/text.md. Reading it and writing again gives the same bytes.
#include "ir/element_priv.h"
#include "ir/graph_priv.h"
#include "ir/lex_priv.h"
#include "ir/text_priv.h"

#include <assert.h>
#include <inttypes.h>
#include <xxhash.h>

enum { INLINE_LIMIT = 64, FLUSH_SIZE = 1 << 16 };

typedef struct text_writer {
  const qn_graph *graph;
  const qn_writer *out;
  qn_buf buf; // what is not handed to `out` yet
  qn_writer to_buf;
  uint64_t inline_limit;
  bool metadata;
} text_writer;

static void put(text_writer *w, const char *text) {
  qn_buf_append(&w->buf, text, strlen(text));
}

static qn_status flush(text_writer *w) {
  QN_TRY(w->buf.status);
  qn_status status = w->buf.length ? w->out->write(w->out->user, w->buf.text, w->buf.length) : QN_OK;
  w->buf.length = 0;
  return status;
}

// --- names and types -------------------------------------------------------------------------------------

static void write_value(text_writer *w, qn_value value) {
  qn_str name = qn_value_get_name(w->graph, value);
  if (name.length) {
    qn_buf_name(&w->buf, name.text, name.length);
    return;
  }
  // The label of a nameless value may be the name of another one, in a graph that was read from text.
  char label[16], text[32];
  size_t length = strlen(qn_value_label(w->graph, value, label));
  memcpy(text, label, length);
  while (length + 1 < sizeof text && qn_graph_find_value(w->graph, text, length) != QN_NONE)
    text[length++] = '_';
  qn_buf_append(&w->buf, text, length);
}

static void write_type(text_writer *w, qn_type type) {
  qn_status status = qn_type_write(w->graph, type, &w->to_buf);
  if (w->buf.status == QN_OK) w->buf.status = status;
}

static void write_typed_value(text_writer *w, qn_value value) {
  write_value(w, value);
  put(w, ": ");
  write_type(w, qn_value_get_type(w->graph, value));
}

// --- attributes ------------------------------------------------------------------------------------------

bool qn_tensor_is_elided(const qn_tensor *tensor) {
  return !tensor->data && (tensor->dtype == QN_STRING || qn_tensor_count(tensor) > 0);
}

uint64_t qn_tensor_count(const qn_tensor *tensor) {
  uint64_t count = 1;
  for (int32_t i = 0; i < tensor->rank; i++) {
    if (tensor->dims[i] <= 0) return 0;
    if (count > UINT64_MAX / (uint64_t)tensor->dims[i]) return UINT64_MAX;
    count *= (uint64_t)tensor->dims[i];
  }
  return count;
}

// Whether a value's type says all that the type of the tensor does.
static bool type_tells_tensor(const qn_graph *graph, qn_type type, const qn_tensor *tensor) {
  qn_type_info info = qn_type_get_info(graph, type);
  if (info.dtype != tensor->dtype || info.rank != tensor->rank) return false;
  for (int32_t i = 0; i < tensor->rank; i++) {
    int64_t dim;
    if (!qn_dim_is_const(graph, info.dims[i], &dim) || dim != tensor->dims[i]) return false;
  }
  return true;
}

static void write_tensor(text_writer *w, qn_node node, const qn_attr_tensor *attr) {
  const qn_tensor *tensor = &attr->tensor;
  bool told =
      qn_node_get_op(w->graph, node) == QN_OP_const &&
      type_tells_tensor(w->graph, qn_value_get_type(w->graph, qn_node_get_result(w->graph, node, 0)), tensor);
  if (!told) {
    put(w, qn_dtype_name(tensor->dtype));
    put(w, "[");
    for (int32_t i = 0; i < tensor->rank; i++)
      qn_buf_printf(&w->buf, "%s%" PRId64, i ? "," : "", tensor->dims[i]);
    put(w, "]");
  }
  uint64_t count = qn_tensor_count(tensor);
  if (qn_tensor_is_elided(tensor)) {
    qn_buf_printf(&w->buf, "{#%016" PRIx64 "}", attr->elided_hash);
  } else if (count > w->inline_limit || tensor->dtype == QN_STRING) {
    qn_buf_printf(&w->buf, "{#%016" PRIx64 "}", (uint64_t)XXH3_64bits(tensor->data, tensor->bytes));
  } else {
    put(w, "{");
    for (uint64_t i = 0; i < count; i++) {
      char text[QN_ELEMENT_TEXT_MAX];
      qn_element_format(tensor->dtype, qn_element_load(tensor->dtype, tensor->data, i), text);
      if (i) put(w, ", ");
      put(w, text);
    }
    put(w, "}");
  }
}

static void write_attr(text_writer *w, qn_node node, const qn_attr_info *info, const qn_node_attr *attr) {
  char text[QN_SCHEME_TEXT_MAX];
  switch (info->kind) {
  case QN_ATTR_INT: qn_buf_printf(&w->buf, "%" PRId64, attr->i); break;
  case QN_ATTR_BOOL: put(w, attr->i ? "true" : "false"); break;
  case QN_ATTR_DTYPE: put(w, qn_dtype_name((qn_dtype)attr->i)); break;
  case QN_ATTR_ENUM:
    qn_attr_format_choice(info, attr->i, text);
    put(w, text);
    break;
  case QN_ATTR_FLOAT: {
    uint64_t bits;
    memcpy(&bits, &attr->f, sizeof bits);
    qn_element_format(QN_F64, bits, text);
    put(w, text);
    break;
  }
  case QN_ATTR_INTS:
    put(w, "{");
    for (uint32_t i = 0; i < attr->length; i++)
      qn_buf_printf(&w->buf, "%s%" PRId64, i ? ", " : "", attr->ints[i]);
    put(w, "}");
    break;
  case QN_ATTR_STRING: qn_buf_quoted(&w->buf, attr->string, attr->length); break;
  case QN_ATTR_SCHEME:
    qn_scheme_format(attr->scheme, text);
    put(w, text);
    break;
  case QN_ATTR_TENSOR: write_tensor(w, node, attr->tensor); break;
  }
}

static bool write_attrs(text_writer *w, qn_node node, const char *opening) {
  const qn_op_info *row = qn_op_get_info(qn_node_get_op(w->graph, node));
  bool any = false;
  for (int i = 0; row->attrs[i].name; i++) {
    const qn_node_attr *attr = qn_node_find_attr(w->graph, node, i);
    if (!attr) continue;
    put(w, any ? ", " : opening);
    put(w, row->attrs[i].name);
    put(w, "=");
    write_attr(w, node, &row->attrs[i], attr);
    any = true;
  }
  return any;
}

void qn_text_append_attrs(qn_buf *buf, const qn_graph *graph, qn_node node) {
  text_writer w = { .graph = graph, .buf = *buf, .inline_limit = INLINE_LIMIT };
  write_attrs(&w, node, "");
  *buf = w.buf;
}

// --- nodes -----------------------------------------------------------------------------------------------

static void write_metadata(text_writer *w, qn_node node) {
  if (!w->metadata) return;
  const struct {
    const char *key;
    qn_str text;
  } texts[] = { { "name", qn_node_get_name(w->graph, node) },
                { "layer", qn_node_get_layer(w->graph, node) },
                { "location", qn_node_get_location(w->graph, node) } };
  uint64_t id = qn_node_get_id(w->graph, node);
  const char *separator = " {";
  if (id) {
    qn_buf_printf(&w->buf, "%sid=%" PRIu64, separator, id);
    separator = ", ";
  }
  for (size_t i = 0; i < QN_COUNT(texts); i++) {
    if (!texts[i].text.length) continue;
    qn_buf_printf(&w->buf, "%s%s=", separator, texts[i].key);
    qn_buf_quoted(&w->buf, texts[i].text.text, texts[i].text.length);
    separator = ", ";
  }
  if (separator[0] == ',') put(w, "}");
}

static void write_node(text_writer *w, qn_node node) {
  const qn_graph *graph = w->graph;
  uint32_t results = qn_node_get_result_count(graph, node), operands = qn_node_get_operand_count(graph, node);
  for (uint32_t i = 0; i < results; i++) {
    if (i) put(w, ", ");
    write_typed_value(w, qn_node_get_result(graph, node, i));
  }
  if (results) put(w, " = ");
  put(w, qn_op_get_info(qn_node_get_op(graph, node))->name);
  for (uint32_t i = 0; i < operands; i++) {
    put(w, i ? ", " : "(");
    qn_value operand = qn_node_get_operand(graph, node, i);
    if (operand)
      write_value(w, operand);
    else
      put(w, "_");
  }
  if (operands) put(w, ")");
  if (write_attrs(w, node, "[")) put(w, "]");
  write_metadata(w, node);
}

static void write_header(text_writer *w) {
  qn_str name = qn_graph_get_name(w->graph);
  put(w, "graph ");
  if (name.length) {
    qn_buf_quoted(&w->buf, name.text, name.length);
    put(w, " ");
  }
  put(w, "(");
  bool any = false;
  for (qn_node node = qn_graph_get_first(w->graph); node; node = qn_node_get_next(w->graph, node)) {
    if (qn_node_get_op(w->graph, node) != QN_OP_input) continue;
    if (any) put(w, ", ");
    write_typed_value(w, qn_node_get_result(w->graph, node, 0));
    write_metadata(w, node);
    any = true;
  }
  put(w, ") {\n");
}

static void write_outputs(text_writer *w) {
  put(w, "  return");
  for (uint32_t i = 0; i < qn_graph_get_output_count(w->graph); i++) {
    qn_value value = qn_graph_get_output(w->graph, i);
    qn_str own = qn_value_get_name(w->graph, value), name = qn_graph_get_output_name(w->graph, i);
    put(w, i ? ", " : " ");
    write_value(w, value);
    if (!name.length || (name.length == own.length && memcmp(name.text, own.text, own.length) == 0)) continue;
    put(w, " as ");
    qn_buf_quoted(&w->buf, name.text, name.length);
  }
  put(w, "\n}\n");
}

static qn_status write_graph(text_writer *w) {
  write_header(w);
  for (qn_node node = qn_graph_get_first(w->graph); node; node = qn_node_get_next(w->graph, node)) {
    if (qn_node_get_op(w->graph, node) == QN_OP_input) continue;
    put(w, "  ");
    write_node(w, node);
    put(w, "\n");
    if (w->buf.length >= FLUSH_SIZE) QN_TRY(flush(w));
  }
  write_outputs(w);
  return flush(w);
}

static text_writer writer_for(const qn_graph *graph, const qn_text_params *params, const qn_writer *out) {
  text_writer w = { .graph = graph, .out = out, .buf = QN_BUF(qn_graph_get_context(graph)), .metadata = true };
  w.inline_limit = params && params->inline_limit ? params->inline_limit : INLINE_LIMIT;
  if (params) w.metadata = !params->no_metadata;
  return w;
}

qn_status qn_graph_write_text(const qn_graph *graph, const qn_text_params *params, const qn_writer *writer) {
  text_writer w = writer_for(graph, params, writer);
  w.to_buf = qn_buf_writer(&w.buf);
  qn_status status = write_graph(&w);
  qn_buf_free(&w.buf);
  return status;
}

qn_status qn_node_write_text(const qn_graph *graph, qn_node node, const qn_text_params *params,
                             const qn_writer *writer) {
  text_writer w = writer_for(graph, params, writer);
  w.to_buf = qn_buf_writer(&w.buf);
  write_node(&w, node);
  qn_status status = flush(&w);
  qn_buf_free(&w.buf);
  return status;
}

qn_status qn_node_write_attr(const qn_graph *graph, qn_node node, const char *name, const qn_writer *writer) {
  text_writer w = writer_for(graph, NULL, writer);
  w.to_buf = qn_buf_writer(&w.buf);
  qn_op op = qn_node_get_op(graph, node);
  int index = qn_op_find_attr(op, name, strlen(name));
  assert(index >= 0);
  const qn_node_attr *attr = qn_node_find_attr(graph, node, index);
  if (attr) write_attr(&w, node, &qn_op_get_info(op)->attrs[index], attr);
  qn_status status = flush(&w);
  qn_buf_free(&w.buf);
  return status;
}
