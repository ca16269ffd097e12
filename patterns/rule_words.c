// What the two sides of a rule share: names, arguments, literals of attributes, and attributes as values.
#include "ir/element_priv.h"
#include "patterns/program_priv.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

qn_status qn_reader_grow(qn_rule_reader *reader, uint16_t *count, uint32_t added, uint32_t limit,
                         const char *what) {
  if (*count + added > limit)
    return qn_lexer_fail_limit(&reader->lexer, &reader->lexer.token, "a rule has at most %u %s", limit, what);
  *count = (uint16_t)(*count + added);
  return QN_OK;
}

qn_status qn_reader_name(qn_rule_reader *reader, const char *what, const char **out_name) {
  qn_lexer *lexer = &reader->lexer;
  if (lexer->token.kind != QN_TOKEN_NAME) return qn_lexer_fail_expected(lexer, "%s", what);
  size_t length;
  *out_name = qn_token_decode(&lexer->token, reader->arena, &length);
  if (!*out_name) return qn_fail_memory(reader->context);
  qn_lexer_next(lexer);
  return QN_OK;
}

uint16_t qn_reader_find_slot(const qn_rule_reader *reader, const char *name) {
  for (uint16_t i = 0; i < reader->program->slot_count; i++)
    if (!strcmp(reader->slots[i].name, name)) return i;
  return QN_NO_INDEX;
}

uint16_t qn_reader_find_attr_slot(const qn_rule_reader *reader, const char *name) {
  for (uint16_t i = 0; i < reader->program->attr_slot_count; i++)
    if (!strcmp(reader->attr_slots[i].name, name)) return i;
  return QN_NO_INDEX;
}

// --- arguments -------------------------------------------------------------------------------------------

qn_predicate_fn qn_family_get_predicate(const qn_family *family, const char *name) {
  const qn_predicate *tables[] = { family->predicates, qn_common_predicates };
  for (size_t t = 0; t < QN_COUNT(tables); t++)
    for (const qn_predicate *row = tables[t]; row && row->name; row++)
      if (!strcmp(row->name, name)) return row->fn;
  return NULL;
}

qn_attr_fn qn_family_get_function(const qn_family *family, const char *name) {
  const qn_function *tables[] = { family->functions, qn_common_functions };
  for (size_t t = 0; t < QN_COUNT(tables); t++)
    for (const qn_function *row = tables[t]; row && row->name; row++)
      if (!strcmp(row->name, name)) return row->fn;
  return NULL;
}

static bool read_number(const char *word, int64_t *out_number) {
  bool negative = *word == '-';
  const char *at = word + negative;
  if (!*at) return false;
  int64_t number = 0;
  for (; *at; at++) {
    if (*at < '0' || *at > '9' || number > (INT64_MAX - 9) / 10) return false;
    number = number * 10 + (*at - '0');
  }
  *out_number = negative ? -number : number;
  return true;
}

bool qn_reader_arg(const qn_rule_reader *reader, const char *word, qn_arg_ref *out_arg) {
  *out_arg = (qn_arg_ref){ .name = word, .slot = QN_NO_INDEX, .attr_slot = QN_NO_INDEX };
  out_arg->slot = qn_reader_find_slot(reader, word);
  if (out_arg->slot != QN_NO_INDEX) return true;
  out_arg->attr_slot = qn_reader_find_attr_slot(reader, word);
  return out_arg->attr_slot != QN_NO_INDEX || read_number(word, &out_arg->number);
}

// --- literals --------------------------------------------------------------------------------------------

static bool at_sign_or_number(const qn_lexer *lexer) {
  int kind = lexer->token.kind;
  return kind == '-' || kind == QN_TOKEN_INT || kind == QN_TOKEN_FLOAT || qn_lexer_at_word(lexer, "inf") ||
         qn_lexer_at_word(lexer, "nan");
}

static bool find_scheme_family(const qn_token *token, qn_scheme *out_scheme) {
  for (int family = 0; family < QN_SCHEME_FAMILY_COUNT; family++) {
    const char *name = qn_scheme_family_name((qn_scheme_family)family);
    if (strlen(name) == token->length && !memcmp(name, token->text, token->length)) {
      *out_scheme = qn_scheme_of((qn_scheme_family)family);
      return true;
    }
  }
  return false;
}

static bool find_dtype(const qn_token *token, int64_t *out_dtype) {
  for (int dtype = 0; dtype < QN_DTYPE_COUNT; dtype++) {
    const char *name = qn_dtype_name((qn_dtype)dtype);
    if (strlen(name) == token->length && !memcmp(name, token->text, token->length)) {
      *out_dtype = dtype;
      return true;
    }
  }
  return false;
}

bool qn_reader_at_literal(const qn_rule_reader *reader, const qn_attr_info *attr) {
  const qn_lexer *lexer = &reader->lexer;
  const qn_token *token = &lexer->token;
  int64_t ignored;
  qn_scheme scheme;
  switch (attr->kind) {
  case QN_ATTR_INT:
  case QN_ATTR_FLOAT: return at_sign_or_number(lexer);
  case QN_ATTR_BOOL:
    return token->kind == QN_TOKEN_INT || qn_lexer_at_word(lexer, "true") || qn_lexer_at_word(lexer, "false");
  case QN_ATTR_ENUM:
    return token->kind == QN_TOKEN_NAME && qn_attr_find_choice(attr, token->text, token->length) >= 0;
  case QN_ATTR_DTYPE: return token->kind == QN_TOKEN_NAME && find_dtype(token, &ignored);
  case QN_ATTR_INTS: return token->kind == '{';
  case QN_ATTR_STRING: return token->kind == QN_TOKEN_STRING;
  case QN_ATTR_SCHEME: return token->kind == QN_TOKEN_NAME && find_scheme_family(token, &scheme);
  case QN_ATTR_TENSOR: break;
  }
  return false;
}

static qn_status read_int(qn_rule_reader *reader, int64_t *out_value) {
  qn_lexer *lexer = &reader->lexer;
  bool negative = qn_lexer_accept(lexer, '-');
  if (lexer->token.kind != QN_TOKEN_INT) return qn_lexer_fail_expected(lexer, "an integer");
  if (lexer->token.bits > INT64_MAX)
    return qn_lexer_fail_limit(lexer, &lexer->token, "the integer exceeds 63 bits");
  *out_value = (int64_t)lexer->token.bits;
  if (negative) *out_value = -*out_value;
  qn_lexer_next(lexer);
  return QN_OK;
}

static qn_status read_ints(qn_rule_reader *reader, qn_literal *out_literal) {
  int64_t ints[64];
  size_t count = 0;
  QN_TRY(qn_lexer_expect(&reader->lexer, '{'));
  if (!qn_lexer_accept(&reader->lexer, '}')) {
    do {
      if (count == QN_COUNT(ints))
        return qn_lexer_fail_limit(&reader->lexer, &reader->lexer.token,
                                   "a list in a rule has at most 64 integers");
      QN_TRY(read_int(reader, &ints[count++]));
    } while (qn_lexer_accept(&reader->lexer, ','));
    QN_TRY(qn_lexer_expect(&reader->lexer, '}'));
  }
  int64_t *copy = qn_arena_alloc(reader->arena, QN_MAX(count, 1) * sizeof *copy);
  if (!copy) return qn_fail_memory(reader->context);
  if (count) memcpy(copy, ints, count * sizeof *copy);
  out_literal->ints = copy;
  out_literal->length = count;
  return QN_OK;
}

static qn_status read_scheme(qn_rule_reader *reader, qn_literal *out_literal) {
  qn_lexer *lexer = &reader->lexer;
  qn_token start = lexer->token;
  if (!find_scheme_family(&start, &out_literal->scheme))
    return qn_lexer_fail_expected(lexer, "a quantization scheme");
  qn_lexer_next(lexer);
  if (lexer->token.kind != '{') return QN_OK;
  while (lexer->token.kind != '}') {
    if (lexer->token.kind == QN_TOKEN_END) return qn_lexer_fail_expected(lexer, "'}'");
    qn_lexer_next(lexer);
  }
  char text[QN_SCHEME_TEXT_MAX];
  size_t length = (size_t)(lexer->token.text + 1 - start.text);
  if (length < sizeof text) {
    memcpy(text, start.text, length);
    text[length] = 0;
  }
  if (length >= sizeof text || !qn_scheme_parse(text, &out_literal->scheme))
    return qn_lexer_fail(lexer, &start, "'%.*s' is not a quantization scheme", (int)QN_MIN(length, 80),
                         start.text);
  out_literal->exact_scheme = true;
  qn_lexer_next(lexer);
  return QN_OK;
}

static qn_status read_float(qn_rule_reader *reader, double *out_value) {
  qn_lexer *lexer = &reader->lexer;
  bool negative = qn_lexer_accept(lexer, '-');
  double value;
  if (lexer->token.kind == QN_TOKEN_INT || lexer->token.kind == QN_TOKEN_FLOAT)
    value = qn_token_float(&lexer->token);
  else if (qn_lexer_at_word(lexer, "inf"))
    value = (double)INFINITY;
  else if (qn_lexer_at_word(lexer, "nan"))
    value = (double)NAN;
  else
    return qn_lexer_fail_expected(lexer, "a number");
  *out_value = negative ? -value : value;
  qn_lexer_next(lexer);
  return QN_OK;
}

qn_status qn_reader_literal(qn_rule_reader *reader, const qn_attr_info *attr, qn_literal *out_literal) {
  qn_lexer *lexer = &reader->lexer;
  const qn_token *token = &lexer->token;
  *out_literal = (qn_literal){ 0 };
  switch (attr->kind) {
  case QN_ATTR_INT: return read_int(reader, &out_literal->i);
  case QN_ATTR_FLOAT: return read_float(reader, &out_literal->f);
  case QN_ATTR_BOOL:
    if (token->kind == QN_TOKEN_INT) {
      if (token->bits > 1) break;
      out_literal->i = (int64_t)token->bits;
    } else if (qn_lexer_at_word(lexer, "true")) {
      out_literal->i = 1;
    } else if (!qn_lexer_at_word(lexer, "false")) {
      break;
    }
    qn_lexer_next(lexer);
    return QN_OK;
  case QN_ATTR_ENUM:
    if (token->kind != QN_TOKEN_NAME) break;
    out_literal->i = qn_attr_find_choice(attr, token->text, token->length);
    if (out_literal->i < 0) break;
    qn_lexer_next(lexer);
    return QN_OK;
  case QN_ATTR_DTYPE:
    if (token->kind != QN_TOKEN_NAME || !find_dtype(token, &out_literal->i)) break;
    qn_lexer_next(lexer);
    return QN_OK;
  case QN_ATTR_INTS: return read_ints(reader, out_literal);
  case QN_ATTR_SCHEME: return read_scheme(reader, out_literal);
  case QN_ATTR_STRING:
    if (token->kind != QN_TOKEN_STRING) break;
    out_literal->text = qn_token_decode(token, reader->arena, &out_literal->length);
    if (!out_literal->text) return qn_fail_memory(reader->context);
    qn_lexer_next(lexer);
    return QN_OK;
  case QN_ATTR_TENSOR: break;
  }
  static const char *const words[] = {
    [QN_ATTR_BOOL] = "true or false",
    [QN_ATTR_ENUM] = "one of ",
    [QN_ATTR_DTYPE] = "an element type",
    [QN_ATTR_STRING] = "a string",
    [QN_ATTR_TENSOR] = "a function: a tensor has no literal",
  };
  return qn_lexer_fail_expected(lexer, "%s%s", words[attr->kind],
                                attr->kind == QN_ATTR_ENUM ? attr->choices : "");
}

// --- attributes ------------------------------------------------------------------------------------------

qn_literal qn_attr_get(const qn_graph *graph, qn_node node, const qn_attr_info *attr) {
  qn_literal literal = { .exact_scheme = true };
  switch (attr->kind) {
  case QN_ATTR_INT:
  case QN_ATTR_BOOL:
  case QN_ATTR_ENUM:
  case QN_ATTR_DTYPE: literal.i = qn_node_get_int(graph, node, attr->name); break;
  case QN_ATTR_FLOAT: literal.f = qn_node_get_float(graph, node, attr->name); break;
  case QN_ATTR_INTS: literal.length = qn_node_get_ints(graph, node, attr->name, &literal.ints); break;
  case QN_ATTR_STRING: {
    qn_str text = qn_node_get_string(graph, node, attr->name);
    literal.text = text.text;
    literal.length = text.length;
    break;
  }
  case QN_ATTR_SCHEME: literal.scheme = qn_node_get_scheme(graph, node, attr->name); break;
  case QN_ATTR_TENSOR: literal.tensor = qn_node_get_tensor(graph, node, attr->name); break;
  }
  return literal;
}

bool qn_tensor_same(const qn_tensor *a, const qn_tensor *b) {
  if (a == b) return true;
  return a && b && a->dtype == b->dtype && a->rank == b->rank && a->bytes == b->bytes && a->data && b->data &&
         !memcmp(a->dims, b->dims, (size_t)a->rank * sizeof *a->dims) && !memcmp(a->data, b->data, a->bytes);
}

bool qn_literal_equal(qn_attr_kind kind, const qn_literal *value, const qn_literal *wanted) {
  switch (kind) {
  case QN_ATTR_INT:
  case QN_ATTR_BOOL:
  case QN_ATTR_ENUM:
  case QN_ATTR_DTYPE: return value->i == wanted->i;
  case QN_ATTR_FLOAT: return value->f == wanted->f || (isnan(value->f) && isnan(wanted->f));
  case QN_ATTR_INTS:
    return value->length == wanted->length &&
           (!value->length || !memcmp(value->ints, wanted->ints, value->length * sizeof *value->ints));
  case QN_ATTR_STRING:
    return value->length == wanted->length &&
           (!value->length || !memcmp(value->text, wanted->text, value->length));
  case QN_ATTR_SCHEME:
    return wanted->exact_scheme ? qn_scheme_equal(&value->scheme, &wanted->scheme)
                                : value->scheme.family == wanted->scheme.family;
  case QN_ATTR_TENSOR: return qn_tensor_same(value->tensor, wanted->tensor);
  }
  return false;
}

bool qn_literal_to_attr(const qn_attr_info *attr, const qn_literal *literal, qn_arena *arena,
                        qn_attr *out_attr) {
  *out_attr = (qn_attr){ .name = attr->name,
                         .i = literal->i,
                         .f = literal->f,
                         .ints = literal->ints,
                         .length = literal->length,
                         .tensor = literal->tensor };
  if (attr->kind == QN_ATTR_STRING) out_attr->text = literal->text ? literal->text : "";
  if (attr->kind != QN_ATTR_SCHEME) return true;
  qn_scheme *scheme = qn_arena_alloc(arena, sizeof *scheme);
  if (!scheme) return false;
  *scheme = literal->scheme;
  out_attr->scheme = scheme;
  return true;
}

// --- numbers -----------------------------------------------------------------------------------------------

bool qn_number_read(const qn_tensor *tensor, double *out_number) {
  uint32_t bits = qn_dtype_bits(tensor->dtype);
  uint64_t count = 1;
  for (int32_t d = 0; d < tensor->rank; d++) count *= (uint64_t)tensor->dims[d];
  if (!tensor->data || count != 1 || !bits) return false;
  uint64_t code = qn_element_load(tensor->dtype, tensor->data, 0);
  if (qn_dtype_is_float(tensor->dtype)) {
    *out_number = qn_element_decode(tensor->dtype, code);
    return true;
  }
  bool is_signed = qn_dtype_name(tensor->dtype)[0] == 's';
  int64_t integer = is_signed ? (int64_t)(code << (64 - bits)) >> (64 - bits) : (int64_t)code;
  *out_number = (double)integer;
  // Beyond 2^53 a double may name a neighbour.
  return integer >= -(INT64_C(1) << 53) && integer <= INT64_C(1) << 53;
}

bool qn_number_encode(qn_dtype dtype, double number, uint64_t *out_bits) {
  if (qn_dtype_is_float(dtype)) return qn_element_encode(dtype, number, out_bits);
  if (!qn_dtype_bits(dtype) || !(fabs(number) <= 0x1p53) || number != nearbyint(number)) return false;
  *out_bits = (uint64_t)(int64_t)number;
  return true;
}

// --- attributes in words ---------------------------------------------------------------------------------

static void write_ints(const int64_t *ints, size_t count, char *out_text, size_t size) {
  size_t at = (size_t)snprintf(out_text, size, "{");
  for (size_t i = 0; i < count && at < size; i++)
    at += (size_t)snprintf(out_text + at, size - at, "%s%" PRId64, i ? ", " : "", ints[i]);
  if (at < size) snprintf(out_text + at, size - at, "}");
}

void qn_literal_write(const qn_attr_info *attr, const qn_literal *literal, char *out_text, size_t size) {
  char choice[QN_SCHEME_TEXT_MAX];
  switch (attr->kind) {
  case QN_ATTR_INT: snprintf(out_text, size, "%" PRId64, literal->i); return;
  case QN_ATTR_FLOAT: snprintf(out_text, size, "%.9g", literal->f); return;
  case QN_ATTR_BOOL: snprintf(out_text, size, "%s", literal->i ? "true" : "false"); return;
  case QN_ATTR_ENUM:
    qn_attr_format_choice(attr, literal->i, choice);
    snprintf(out_text, size, "%s", choice);
    return;
  case QN_ATTR_DTYPE: snprintf(out_text, size, "%s", qn_dtype_name((qn_dtype)literal->i)); return;
  case QN_ATTR_INTS: write_ints(literal->ints, literal->length, out_text, size); return;
  case QN_ATTR_STRING:
    snprintf(out_text, size, "\"%.*s\"", (int)QN_MIN(literal->length, 60), literal->text ? literal->text : "");
    return;
  case QN_ATTR_SCHEME:
    if (literal->exact_scheme)
      qn_scheme_format(&literal->scheme, choice);
    else
      snprintf(choice, sizeof choice, "%s", qn_scheme_family_name((qn_scheme_family)literal->scheme.family));
    snprintf(out_text, size, "%s", choice);
    return;
  case QN_ATTR_TENSOR: snprintf(out_text, size, "a tensor"); return;
  }
}
