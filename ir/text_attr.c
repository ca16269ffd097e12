// Attributes of the text form; what a value looks like follows from its kind in ops.def.
#include "ir/element_priv.h"
#include "ir/text_priv.h"

#include <math.h>

// --- scalars ---------------------------------------------------------------------------------------------

// A float, or its bits: `0x..`.
static qn_status read_float(text_reader *r, qn_dtype dtype, uint64_t *out_bits) {
  qn_lexer *lex = &r->lex;
  qn_token place = lex->token;
  bool negative = qn_lexer_accept(lex, '-');
  qn_token token = lex->token;
  double value;
  if (qn_lexer_at_word(lex, "inf")) {
    value = (double)INFINITY;
  } else if (qn_lexer_at_word(lex, "nan") && !negative) {
    value = (double)NAN;
  } else if (token.kind == QN_TOKEN_INT && token.length > 2 && token.text[1] == 'x' && !negative) {
    if (qn_dtype_bits(dtype) < 64 && token.bits >> qn_dtype_bits(dtype))
      return qn_lexer_fail(lex, &place, "expected the bits of one %s, found more", qn_dtype_name(dtype));
    *out_bits = token.bits;
    qn_lexer_next(lex);
    return QN_OK;
  } else if (token.kind == QN_TOKEN_INT || token.kind == QN_TOKEN_FLOAT) {
    value = qn_token_float(&token);
    if (isinf(value)) return qn_lexer_fail(lex, &place, "the number does not fit f64");
  } else {
    return qn_lexer_fail_expected(lex, "a number");
  }
  if (!qn_element_encode(dtype, negative ? -value : value, out_bits))
    return qn_lexer_fail(lex, &place, "expected a value of %s, found '%s%.*s'", qn_dtype_name(dtype),
                         negative ? "-" : "", (int)token.length, token.text);
  qn_lexer_next(lex);
  return QN_OK;
}

// An integer of the element type, as its bits.
static qn_status read_integer(text_reader *r, qn_dtype dtype, uint64_t *out_bits) {
  qn_lexer *lex = &r->lex;
  qn_token place = lex->token;
  uint32_t bits = qn_dtype_bits(dtype);
  bool has_sign = dtype == QN_S4 || dtype == QN_S8 || dtype == QN_S16 || dtype == QN_S32 || dtype == QN_S64;
  uint64_t largest = UINT64_MAX >> (64 - bits + has_sign);
  bool negative = qn_lexer_accept(lex, '-');
  uint64_t size = lex->token.bits;
  QN_TRY(qn_lexer_expect(lex, QN_TOKEN_INT));
  uint64_t limit = negative ? (has_sign ? largest + 1 : 0) : largest;
  if (size > limit)
    return qn_lexer_fail(lex, &place, "expected a value of %s, found %s%llu", qn_dtype_name(dtype),
                         negative ? "-" : "", (unsigned long long)size);
  *out_bits = (negative ? 0 - size : size) & UINT64_MAX >> (64 - bits);
  return QN_OK;
}

static qn_status read_ints(text_reader *r, qn_attr *attr) {
  int64_t *ints = NULL;
  uint32_t count = 0, capacity = 0;
  qn_status status = qn_lexer_expect(&r->lex, '{');
  if (status != QN_OK || qn_lexer_accept(&r->lex, '}')) return status;
  do {
    status = QN_RESERVE(r->context, ints, capacity, count + 1ull);
    if (status == QN_OK) status = qn_text_read_int(r, &ints[count++]);
  } while (status == QN_OK && qn_lexer_accept(&r->lex, ','));
  if (status == QN_OK) status = qn_lexer_expect(&r->lex, '}');
  if (status == QN_OK) {
    int64_t *copy = qn_arena_alloc(&r->scratch, count * sizeof *copy);
    if (copy) memcpy(copy, ints, count * sizeof *copy);
    if (!copy) status = qn_fail_memory(r->context);
    attr->ints = copy;
    attr->length = count;
  }
  qn_free(r->context, ints, capacity * sizeof *ints);
  return status;
}

static qn_status read_scheme(text_reader *r, qn_attr *attr) {
  qn_lexer *lex = &r->lex;
  qn_token first = lex->token;
  const char *end = first.text + first.length;
  char text[QN_SCHEME_TEXT_MAX];
  QN_TRY(qn_lexer_expect(lex, QN_TOKEN_NAME));
  if (lex->token.kind == '{') {
    while (lex->token.kind != '}' && lex->token.kind != QN_TOKEN_END) qn_lexer_next(lex);
    end = lex->token.text + lex->token.length;
    QN_TRY(qn_lexer_expect(lex, '}'));
  }
  size_t length = (size_t)(end - first.text);
  qn_scheme *scheme = qn_arena_alloc(&r->scratch, sizeof *scheme);
  if (!scheme) return qn_fail_memory(r->context);
  if (length < sizeof text) {
    memcpy(text, first.text, length);
    text[length] = '\0';
  }
  if (length >= sizeof text || strlen(text) != length || !qn_scheme_parse(text, scheme))
    return qn_lexer_fail(lex, &first, "expected a quantization scheme, found '%.*s'",
                         (int)QN_MIN(length, (size_t)100), first.text);
  attr->scheme = scheme;
  return QN_OK;
}

// --- tensors ---------------------------------------------------------------------------------------------

static qn_status tensor_of_type(text_reader *r, qn_type type, const qn_token *place, qn_tensor *out_tensor) {
  qn_type_info info = qn_type_get_info(r->graph, type);
  qn_tensor tensor = { .dtype = info.dtype, .rank = info.rank };
  bool known = info.rank >= 0 && info.dtype != QN_ANY;
  for (int32_t i = 0; known && i < info.rank; i++)
    known = qn_dim_is_const(r->graph, info.dims[i], &tensor.dims[i]);
  if (!known)
    return qn_lexer_fail(&r->lex, place,
                         "expected a tensor whose type is constant: its own, or that of the result");
  uint64_t count = qn_tensor_count(&tensor);
  tensor.bytes = qn_dtype_bytes(tensor.dtype, count);
  if (tensor.bytes > INT64_MAX) return qn_lexer_fail_limit(&r->lex, place, "the tensor does not fit 64 bits");
  *out_tensor = tensor;
  return QN_OK;
}

// The elements, after '{'. Room grows with what is there, not with what the type promises.
static qn_status read_elements(text_reader *r, qn_tensor *tensor, unsigned char **data, uint32_t *capacity) {
  qn_lexer *lex = &r->lex;
  uint64_t count = qn_tensor_count(tensor), found = 0, bits;
  qn_token place = lex->token;
  if (lex->token.kind != '}') {
    do {
      place = lex->token;
      if (found == count)
        return qn_lexer_fail(lex, &place, "expected %llu elements, found more", (unsigned long long)count);
      if (qn_dtype_is_float(tensor->dtype))
        QN_TRY(read_float(r, tensor->dtype, &bits));
      else
        QN_TRY(read_integer(r, tensor->dtype, &bits));
      uint64_t bytes = qn_dtype_bytes(tensor->dtype, found + 1);
      QN_TRY(QN_RESERVE(r->context, *data, *capacity, bytes));
      if (qn_dtype_bits(tensor->dtype) == 4 && found % 2 == 0) (*data)[bytes - 1] = 0;
      qn_element_store(tensor->dtype, *data, found++, bits);
    } while (qn_lexer_accept(lex, ','));
  }
  if (found != count)
    return qn_lexer_fail(lex, &lex->token, "expected %llu elements, found %llu", (unsigned long long)count,
                         (unsigned long long)found);
  return qn_lexer_expect(lex, '}');
}

static qn_status read_tensor(text_reader *r, qn_attr *attr) {
  qn_lexer *lex = &r->lex;
  qn_token place = lex->token;
  qn_type type = r->op == QN_OP_const && r->result_count ? r->types[0] : 0;
  if (lex->token.kind != '{') QN_TRY(qn_text_read_type(r, &type));
  qn_tensor *tensor = qn_arena_alloc(&r->scratch, sizeof *tensor);
  if (!tensor) return qn_fail_memory(r->context);
  QN_TRY(tensor_of_type(r, type, &place, tensor));
  QN_TRY(qn_lexer_expect(lex, '{'));
  attr->tensor = tensor;
  if (lex->token.kind == QN_TOKEN_HASH) {
    uint64_t hash = lex->token.bits;
    memcpy(&attr->i, &hash, sizeof hash); // of the bytes that are not here
    qn_lexer_next(lex);
    return qn_lexer_expect(lex, '}');
  }
  if (tensor->dtype == QN_STRING) return qn_lexer_fail_expected(lex, "the hash of a tensor of strings");
  unsigned char *data = NULL;
  uint32_t capacity = 0;
  qn_status status = read_elements(r, tensor, &data, &capacity);
  if (status == QN_OK) {
    tensor->data = qn_arena_copy(&r->scratch, (const char *)data, tensor->bytes);
    if (!tensor->data) status = qn_fail_memory(r->context);
  }
  qn_free(r->context, data, capacity);
  return status;
}

// --- attributes ------------------------------------------------------------------------------------------

static qn_status read_value(text_reader *r, const qn_attr_info *info, qn_attr *attr) {
  qn_lexer *lex = &r->lex;
  qn_token token = lex->token;
  size_t length;
  switch (info->kind) {
  case QN_ATTR_INT: return qn_text_read_int(r, &attr->i);
  case QN_ATTR_BOOL:
    attr->i = qn_lexer_at_word(lex, "true");
    if (!attr->i && !qn_lexer_at_word(lex, "false")) return qn_lexer_fail_expected(lex, "true or false");
    break;
  case QN_ATTR_ENUM:
    attr->i = token.kind == QN_TOKEN_NAME ? qn_attr_find_choice(info, token.text, token.length) : -1;
    if (attr->i < 0) return qn_lexer_fail_expected(lex, "one of %s", info->choices);
    break;
  case QN_ATTR_DTYPE: {
    char name[16] = { 0 };
    if (token.length < sizeof name) memcpy(name, token.text, token.length);
    qn_dtype dtype = qn_dtype_find(name);
    if (dtype == QN_DTYPE_COUNT) return qn_lexer_fail_expected(lex, "an element type");
    attr->i = dtype;
    break;
  }
  case QN_ATTR_FLOAT: {
    uint64_t bits;
    QN_TRY(read_float(r, QN_F64, &bits));
    memcpy(&attr->f, &bits, sizeof bits);
    return QN_OK;
  }
  case QN_ATTR_STRING:
    if (token.kind != QN_TOKEN_STRING) return qn_lexer_fail_expected(lex, "a string");
    attr->text = qn_token_decode(&token, &r->scratch, &length);
    if (!attr->text) return qn_fail_memory(r->context);
    attr->length = length;
    break;
  case QN_ATTR_INTS: return read_ints(r, attr);
  case QN_ATTR_SCHEME: return read_scheme(r, attr);
  case QN_ATTR_TENSOR: return read_tensor(r, attr);
  }
  qn_lexer_next(lex);
  return QN_OK;
}

qn_status qn_text_read_attrs(text_reader *r) {
  qn_lexer *lex = &r->lex;
  const qn_op_info *row = qn_op_get_info(r->op);
  uint32_t seen = 0;
  if (!qn_lexer_accept(lex, '[')) return QN_OK;
  do {
    qn_token key = lex->token;
    int index = key.kind == QN_TOKEN_NAME ? qn_op_find_attr(r->op, key.text, key.length) : -1;
    if (index < 0) return qn_lexer_fail_expected(lex, "an attribute of %s", row->name);
    if (seen & 1u << index)
      return qn_lexer_fail(lex, &key, "attribute '%s' is given twice", row->attrs[index].name);
    seen |= 1u << index;
    qn_lexer_next(lex);
    QN_TRY(qn_lexer_expect(lex, '='));
    qn_attr *attr = &r->attrs[r->attr_count];
    *attr = (qn_attr){ .name = row->attrs[index].name };
    QN_TRY(read_value(r, &row->attrs[index], attr));
    r->attr_count++;
  } while (qn_lexer_accept(lex, ','));
  return qn_lexer_expect(lex, ']');
}
