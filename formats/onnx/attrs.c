// Attributes by the words of a row: renamed, turned into constant operands, demanded or ignored.
#include "formats/onnx/onnx_priv.h"
#include <ctype.h>

// One word of a row. `kind`: 0 carried under the name in `text`, '@' operand, ':' demanded, '-' ignored.
typedef struct word {
  char kind;
  const char *text;
  size_t length;
} word;

// Finds the word for an attribute.
static bool find_word(const char *words, const char *name, word *out_word) {
  size_t name_length = strlen(name);
  while (*words) {
    size_t length = strcspn(words, " ");
    bool ignored = *words == '-';
    const char *start = words + ignored;
    size_t own = strcspn(start, " @=:");
    if (own == name_length && strncmp(start, name, own) == 0) {
      char mark = start[own];
      bool plain = mark == ' ' || mark == 0;
      *out_word = (word){ .kind = ignored                ? '-'
                                  : plain || mark == '=' ? 0
                                                         : mark,
                          .text = plain ? start : start + own + 1 };
      out_word->length = plain ? own : (size_t)(words + length - out_word->text);
      return true;
    }
    words += length;
    words += *words == ' ';
  }
  return false;
}

static bool meets_demand(const pb_attr *attr, const word *w) {
  if (attr->has_s) return attr->s.len == w->length && memcmp(attr->s.data, w->text, w->length) == 0;
  return attr->has_i && attr->i == w->text[0] - '0' && w->length == 1;
}

// "SAME_UPPER" -> the choice same_upper.
static int find_choice(const qn_attr_info *info, const pb_attr *attr) {
  char text[32];
  if (!attr->has_s || attr->s.len >= sizeof text) return -1;
  for (size_t i = 0; i < attr->s.len; i++) text[i] = (char)tolower(attr->s.data[i]);
  return qn_attr_find_choice(info, text, attr->s.len);
}

static bool carry(qn_onnx_importer *im, const pb_attr *attr, const word *w) {
  int index = qn_op_find_attr(im->op, w->text, w->length);
  assert(index >= 0);
  const qn_attr_info *info = &qn_op_get_info(im->op)->attrs[index];
  qn_attr out = { .name = info->name };
  switch (info->kind) {
  case QN_ATTR_INT:
  case QN_ATTR_BOOL:
    if (!attr->has_i) return false;
    out.i = info->kind == QN_ATTR_BOOL ? attr->i != 0 : attr->i;
    break;
  case QN_ATTR_FLOAT:
    if (!attr->has_f) return false;
    out.f = (double)attr->f;
    break;
  case QN_ATTR_INTS:
    out.ints = attr->ints;
    out.length = attr->n_ints;
    break;
  case QN_ATTR_ENUM:
    out.i = find_choice(info, attr);
    if (out.i < 0) return false;
    break;
  default: return false; // the other kinds are made by specials
  }
  im->attrs[im->attr_count++] = out;
  return true;
}

// An attribute that later versions made an operand. Lists are s64[n]; a number has the type of operand 0.
static qn_status add_operand(qn_onnx_importer *im, const pb_attr *attr, const word *w, bool *out_read) {
  qn_tensor tensor = {
    .dtype = QN_S64, .rank = 1, .dims = { (int64_t)attr->n_ints }, .data = attr->ints, .bytes = 8 * attr->n_ints
  };
  if (attr->has_f) {
    *out_read = qn_onnx_operand_type(im, 0).dtype == QN_F32;
    tensor = (qn_tensor){ .dtype = QN_F32, .data = &attr->f, .bytes = 4 };
  }
  if (!*out_read) return QN_OK;
  qn_value value = QN_NONE;
  QN_TRY(qn_onnx_add_const(im, attr->name, &tensor, &value));
  return qn_onnx_set_operand(im, (uint32_t)(w->text[0] - '0'), value);
}

qn_status qn_onnx_map_attrs(qn_onnx_importer *im, const char *words, bool *out_read) {
  const pb_node *node = im->item->node;
  *out_read = node->n_attribute <= QN_OP_ATTRS_MAX;
  for (size_t i = 0; i < node->n_attribute && *out_read;
       i++) { // nothing is made for a node that is then left alone
    const pb_attr *attr = node->attribute[i];
    if (qn_onnx_find_attr(node, qn_onnx_text(attr->name)) != attr)
      return qn_onnx_fail_node(im->model, QN_INVALID, node, "its attribute '%s' occurs twice",
                               qn_onnx_text(attr->name));
    word w;
    if (!find_word(words, qn_onnx_text(attr->name), &w) || (attr->ref_attr_name && *attr->ref_attr_name) ||
        (w.kind == ':' && !meets_demand(attr, &w))) {
      *out_read = false;
      return QN_OK;
    }
  }
  for (size_t i = 0; i < node->n_attribute && *out_read; i++) {
    word w;
    find_word(words, node->attribute[i]->name, &w);
    if (w.kind == 0) *out_read = carry(im, node->attribute[i], &w);
    if (w.kind == '@') QN_TRY(add_operand(im, node->attribute[i], &w, out_read));
  }
  return QN_OK;
}
