// What a call says about itself, for an engine that launches the fused kernel instead of running the body: the
// fused node with whatever leads from the call's inputs to its operands, and from its results to the call's
// outputs, as a graph in the text form.
#include "formats/onnx/export_priv.h"

typedef struct description {
  qn_onnx_exporter *ex;
  qn_graph *graph;
  // Values of the model's graph and what they are here.
  qn_onnx_list from, to;
} description;

static qn_value find(const description *d, qn_value value) {
  for (uint32_t i = 0; i < d->from.count; i++) {
    if (d->from.at[i] == value) return d->to.at[i];
  }
  return QN_NONE;
}

static qn_status remember(description *d, qn_value from, qn_value to) {
  QN_TRY(qn_onnx_list_add(d->ex, &d->from, from));
  return qn_onnx_list_add(d->ex, &d->to, to);
}

// Element type and rank, and the dims that are constants.
static qn_type copy_type(description *d, qn_type type) {
  if (!type) return 0;
  qn_type_info info = qn_type_get_info(d->ex->graph, type);
  qn_dim dims[QN_RANK_MAX];
  for (int32_t i = 0; i < info.rank; i++) {
    int64_t value = 0;
    dims[i] = qn_dim_is_const(d->ex->graph, info.dims[i], &value) ? qn_dim_const(d->graph, value)
                                                                  : qn_dim_fresh(d->graph);
  }
  return qn_type_get(d->graph, info.dtype, info.rank, dims);
}

static qn_status copy_attrs(description *d, qn_node from, qn_attr *attrs, qn_scheme *scheme,
                            uint32_t *out_count) {
  const qn_graph *graph = d->ex->graph;
  const qn_op_info *row = qn_op_get_info(qn_node_get_op(graph, from));
  for (uint32_t i = 0; i < QN_OP_ATTRS_MAX && row->attrs[i].name; i++) {
    const char *name = row->attrs[i].name;
    qn_attr *attr = &attrs[*out_count];
    if (!qn_node_has_attr(graph, from, name)) continue;
    *attr = (qn_attr){ .name = name };
    switch (row->attrs[i].kind) {
    case QN_ATTR_FLOAT: attr->f = qn_node_get_float(graph, from, name); break;
    case QN_ATTR_INTS: attr->length = qn_node_get_ints(graph, from, name, &attr->ints); break;
    case QN_ATTR_TENSOR: attr->tensor = qn_node_get_tensor(graph, from, name); break;
    case QN_ATTR_STRING: {
      qn_str text = qn_node_get_string(graph, from, name);
      attr->text = text.text;
      attr->length = text.length;
      break;
    }
    case QN_ATTR_SCHEME:
      *scheme = qn_node_get_scheme(graph, from, name);
      attr->scheme = scheme;
      break;
    default: attr->i = qn_node_get_int(graph, from, name);
    }
    ++*out_count;
  }
  return QN_OK;
}

// Copies the node that makes `value`, and what it needs, unless it is here already.
static qn_status copy_value(description *d, qn_value value) {
  if (value == QN_NONE || find(d, value)) return QN_OK;
  const qn_graph *graph = d->ex->graph;
  qn_node from = qn_value_get_node(graph, value);
  uint32_t operand_count = qn_node_get_operand_count(graph, from),
           result_count = qn_node_get_result_count(graph, from);
  for (uint32_t i = 0; i < operand_count; i++) QN_TRY(copy_value(d, qn_node_get_operand(graph, from, i)));
  qn_attr attrs[QN_OP_ATTRS_MAX];
  qn_scheme scheme;
  uint32_t attr_count = 0;
  QN_TRY(copy_attrs(d, from, attrs, &scheme, &attr_count));
  uint32_t *values =
      qn_onnx_alloc(d->ex->memory, ((size_t)operand_count + 2 * (size_t)result_count) * sizeof *values);
  if (!values) return qn_fail_memory(d->ex->context);
  uint32_t *types = values + operand_count, *results = types + result_count;
  for (uint32_t i = 0; i < operand_count; i++) values[i] = find(d, qn_node_get_operand(graph, from, i));
  for (uint32_t i = 0; i < result_count; i++)
    types[i] = copy_type(d, qn_value_get_type(graph, qn_node_get_result(graph, from, i)));
  QN_TRY(qn_graph_add(d->graph,
                      qn_node_params(.op = qn_node_get_op(graph, from), .operands = values,
                                     .operand_count = operand_count, .attrs = attrs, .attr_count = attr_count,
                                     .result_count = result_count, .types = types),
                      results));
  for (uint32_t i = 0; i < result_count; i++)
    QN_TRY(remember(d, qn_node_get_result(graph, from, i), results[i]));
  return QN_OK;
}

static qn_status describe(description *d, const qn_onnx_fusion *fusion, qn_buf *buf) {
  qn_onnx_exporter *ex = d->ex;
  for (uint32_t i = 0; i < fusion->inputs.count; i++) {
    const qn_onnx_name *name = &ex->model->names.entries[fusion->inputs.at[i]];
    qn_value from = qn_graph_find_value(ex->graph, name->text, name->length), to = QN_NONE;
    qn_type type = from ? copy_type(d, qn_value_get_type(ex->graph, from)) : 0;
    QN_TRY(qn_graph_add_input(d->graph, fusion->input_names[i], type, &to));
    if (from) QN_TRY(remember(d, from, to));
  }
  for (uint32_t i = 0; i < fusion->outputs.count; i++) {
    const qn_onnx_name *name = &ex->model->names.entries[fusion->outputs.at[i]];
    qn_value value = qn_graph_find_value(ex->graph, name->text, name->length);
    QN_TRY(copy_value(d, value));
    QN_TRY(qn_graph_add_output(d->graph, find(d, value), fusion->output_names[i]));
  }
  qn_writer writer = qn_buf_writer(buf);
  return qn_graph_write_text(d->graph, &(qn_text_params){ .inline_limit = UINT32_MAX, .no_metadata = true },
                             &writer);
}

qn_status qn_onnx_describe_fusion(qn_onnx_exporter *ex, const qn_onnx_fusion *fusion, char **out_text) {
  description d = { .ex = ex };
  qn_buf buf = QN_BUF(ex->context);
  qn_status status = qn_graph_create(ex->context, "", &d.graph);
  if (status == QN_OK) status = describe(&d, fusion, &buf);
  *out_text = status == QN_OK && buf.text ? qn_onnx_printf(ex->memory, "%s", buf.text) : NULL;
  if (status == QN_OK && !*out_text) status = qn_fail_memory(ex->context);
  qn_buf_free(&buf);
  qn_graph_destroy(d.graph);
  qn_free(ex->context, d.from.at, d.from.capacity * sizeof *d.from.at);
  qn_free(ex->context, d.to.at, d.to.capacity * sizeof *d.to.at);
  return status;
}
