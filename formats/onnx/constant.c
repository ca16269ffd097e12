// Constant and ConstantOfShape: nodes that are data.
#include "formats/onnx/onnx_priv.h"

static void set_tensor(qn_onnx_importer *im) {
  im->attrs[im->attr_count++] = (qn_attr){ .name = "value", .tensor = &im->tensor, .borrow = true };
}

// The one value attribute as a tensor. The bytes belong to the decoded model.
static qn_status read_value(qn_onnx_importer *im, bool *out_read) {
  const pb_node *node = im->item->node;
  *out_read = node->n_attribute == 1;
  if (!*out_read) return QN_OK;
  const pb_attr *attr = node->attribute[0];
  if (qn_onnx_same(attr->name, "value")) {
    *out_read = attr->t && qn_onnx_tensor_readable(attr->t);
    return *out_read ? qn_onnx_tensor_read(im->model, attr->t, &im->tensor) : QN_OK;
  }
  bool list = attr->name[strlen(attr->name) - 1] == 's';
  if (qn_onnx_same(attr->name, "value_int") || qn_onnx_same(attr->name, "value_ints"))
    im->tensor = (qn_tensor){ .dtype = QN_S64,
                              .data = list ? attr->ints : &attr->i,
                              .bytes = 8 * (list ? attr->n_ints : 1) };
  else
    im->tensor = (qn_tensor){ .dtype = QN_F32,
                              .data = list ? attr->floats : &attr->f,
                              .bytes = 4 * (list ? attr->n_floats : 1) };
  im->tensor.rank = list;
  if (list) im->tensor.dims[0] = (int64_t)(im->tensor.dtype == QN_S64 ? attr->n_ints : attr->n_floats);
  return QN_OK;
}

qn_status qn_onnx_special_constant(qn_onnx_importer *im, bool *out_read) {
  QN_TRY(read_value(im, out_read));
  if (*out_read) set_tensor(im);
  return QN_OK;
}

qn_status qn_onnx_special_fill(qn_onnx_importer *im, bool *out_read) {
  const pb_attr *value = qn_onnx_find_attr(im->item->node, "value");
  if (!value) return QN_OK;
  *out_read = value->t && qn_onnx_tensor_readable(value->t);
  if (!*out_read) return QN_OK;
  QN_TRY(qn_onnx_tensor_read(im->model, value->t, &im->tensor));
  set_tensor(im);
  return QN_OK;
}
