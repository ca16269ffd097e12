// Types, dims, integers and names of the text form.
#include "ir/text_priv.h"

enum { DEPTH_MAX = 64 };

// --- words -----------------------------------------------------------------------------------------------

qn_status qn_text_read_string(text_reader *r, const char *what, const char **out_text) {
  qn_token token = r->lex.token;
  if (token.kind != QN_TOKEN_NAME && token.kind != QN_TOKEN_STRING)
    return qn_lexer_fail_expected(&r->lex, "%s", what);
  size_t length;
  *out_text = qn_token_decode(&token, &r->scratch, &length);
  if (!*out_text) return qn_fail_memory(r->context);
  if (memchr(*out_text, '\0', length))
    return qn_lexer_fail(&r->lex, &token, "expected %s without a zero byte", what);
  qn_lexer_next(&r->lex);
  return QN_OK;
}

qn_status qn_text_read_name(text_reader *r, const char *what, const char **out_text) {
  qn_token token = r->lex.token;
  QN_TRY(qn_text_read_string(r, what, out_text));
  if (!**out_text) return qn_lexer_fail(&r->lex, &token, "expected %s, found empty text", what);
  return QN_OK;
}

qn_status qn_text_read_int(text_reader *r, int64_t *out_value) {
  qn_token first = r->lex.token;
  bool negative = qn_lexer_accept(&r->lex, '-');
  uint64_t size = r->lex.token.bits;
  QN_TRY(qn_lexer_expect(&r->lex, QN_TOKEN_INT));
  if (size > (uint64_t)INT64_MAX + negative)
    return qn_lexer_fail(&r->lex, &first, "the integer does not fit 64 bits");
  *out_value = negative ? (int64_t)(0 - size) : (int64_t)size;
  return QN_OK;
}

// --- dims ------------------------------------------------------------------------------------------------

static qn_status read_sum(text_reader *r, uint32_t depth, qn_dim *out_dim);

// An operation on constants that leaves int64 gives an unknown dim; written out it is a mistake.
static qn_status check_overflow(text_reader *r, const qn_token *place, qn_dim a, qn_dim b, qn_dim result) {
  int64_t value;
  bool constant = qn_dim_is_const(r->graph, a, &value) && qn_dim_is_const(r->graph, b, &value);
  if (!constant || qn_dim_is_const(r->graph, result, &value)) return QN_OK;
  return qn_lexer_fail(&r->lex, place, "the dim does not fit 64 bits");
}

static qn_status read_ceil_div(text_reader *r, uint32_t depth, qn_dim *out_dim) {
  qn_token place = r->lex.token;
  qn_dim a, b;
  int64_t divisor;
  qn_lexer_next(&r->lex);
  QN_TRY(qn_lexer_expect(&r->lex, '('));
  QN_TRY(read_sum(r, depth, &a));
  QN_TRY(qn_lexer_expect(&r->lex, ','));
  QN_TRY(read_sum(r, depth, &b));
  QN_TRY(qn_lexer_expect(&r->lex, ')'));
  if (qn_dim_is_const(r->graph, b, &divisor) && divisor <= 0)
    return qn_lexer_fail(&r->lex, &place, "expected a positive divisor of ceil_div, found %lld",
                         (long long)divisor);
  *out_dim = qn_dim_ceil_div(r->graph, a, b);
  return QN_OK;
}

static qn_status read_unknown(text_reader *r, qn_dim *out_dim) {
  qn_token mark = r->lex.token;
  qn_lexer_next(&r->lex);
  const qn_token *number = &r->lex.token;
  if (number->kind != QN_TOKEN_INT || number->spaced)
    return qn_lexer_fail_expected(&r->lex, "a number after '?'");
  *out_dim = qn_dim_symbol(r->graph, mark.text, (size_t)(number->text + number->length - mark.text));
  qn_lexer_next(&r->lex);
  return QN_OK;
}

static qn_status read_factor(text_reader *r, bool negative, uint32_t depth, qn_dim *out_dim) {
  qn_lexer *lex = &r->lex;
  qn_token place = lex->token;
  if (depth > DEPTH_MAX)
    return qn_lexer_fail_limit(lex, &place, "the dim is nested more than %d deep", DEPTH_MAX);
  if (lex->token.kind == QN_TOKEN_INT) {
    uint64_t size = lex->token.bits;
    if (size > (uint64_t)INT64_MAX + negative)
      return qn_lexer_fail(lex, &place, "the dim does not fit 64 bits");
    *out_dim = qn_dim_const(r->graph, negative ? (int64_t)(0 - size) : (int64_t)size);
    qn_lexer_next(lex);
    return QN_OK;
  }
  if (qn_lexer_accept(lex, '(')) {
    QN_TRY(read_sum(r, depth + 1, out_dim));
    QN_TRY(qn_lexer_expect(lex, ')'));
  } else if (qn_lexer_at_word(lex, "ceil_div")) {
    QN_TRY(read_ceil_div(r, depth + 1, out_dim));
  } else if (lex->token.kind == '?') {
    QN_TRY(read_unknown(r, out_dim));
  } else if (lex->token.kind == QN_TOKEN_NAME || lex->token.kind == QN_TOKEN_STRING) {
    const char *name;
    QN_TRY(qn_text_read_name(r, "the name of a dim", &name));
    *out_dim = qn_dim_symbol(r->graph, name, strlen(name));
  } else {
    return qn_lexer_fail_expected(lex, "a dim");
  }
  if (negative) *out_dim = qn_dim_mul(r->graph, *out_dim, qn_dim_const(r->graph, -1));
  return QN_OK;
}

static qn_status read_product(text_reader *r, bool negative, uint32_t depth, qn_dim *out_dim) {
  qn_dim factor, product;
  QN_TRY(read_factor(r, negative, depth, out_dim));
  for (qn_token place = r->lex.token; qn_lexer_accept(&r->lex, '*'); *out_dim = product) {
    QN_TRY(read_factor(r, false, depth, &factor));
    product = qn_dim_mul(r->graph, *out_dim, factor);
    QN_TRY(check_overflow(r, &place, *out_dim, factor, product));
  }
  return QN_OK;
}

static qn_status read_sum(text_reader *r, uint32_t depth, qn_dim *out_dim) {
  qn_dim term, sum;
  bool negative = qn_lexer_accept(&r->lex, '-');
  QN_TRY(read_product(r, negative, depth, out_dim));
  for (qn_token place = r->lex.token; place.kind == '+' || place.kind == '-'; place = r->lex.token) {
    qn_lexer_next(&r->lex);
    QN_TRY(read_product(r, place.kind == '-', depth, &term));
    sum = qn_dim_add(r->graph, *out_dim, term);
    QN_TRY(check_overflow(r, &place, *out_dim, term, sum));
    *out_dim = sum;
  }
  return QN_OK;
}

// --- types -----------------------------------------------------------------------------------------------

// What follows the element type, `[..]`.
static qn_status read_dims(text_reader *r, int32_t *out_rank, qn_dim dims[QN_RANK_MAX]) {
  qn_lexer *lex = &r->lex;
  *out_rank = 0;
  QN_TRY(qn_lexer_expect(lex, '['));
  if (qn_lexer_accept(lex, QN_TOKEN_DOTS3)) {
    *out_rank = QN_RANK_UNKNOWN;
    return qn_lexer_expect(lex, ']');
  }
  if (qn_lexer_accept(lex, ']')) return QN_OK;
  do {
    qn_token place = lex->token;
    int64_t value;
    if (*out_rank == QN_RANK_MAX)
      return qn_lexer_fail_limit(lex, &place, "the type has more than %d dims", QN_RANK_MAX);
    QN_TRY(read_sum(r, 0, &dims[*out_rank]));
    if (qn_dim_is_const(r->graph, dims[*out_rank], &value) && value < 0)
      return qn_lexer_fail(lex, &place, "expected a dim that is not negative, found %lld", (long long)value);
    (*out_rank)++;
  } while (qn_lexer_accept(lex, ','));
  return qn_lexer_expect(lex, ']');
}

qn_status qn_text_read_type(text_reader *r, qn_type *out_type) {
  qn_lexer *lex = &r->lex;
  qn_dtype dtype = QN_DTYPE_COUNT;
  if (lex->token.kind == '?') {
    dtype = QN_ANY;
  } else if (lex->token.kind == QN_TOKEN_NAME && lex->token.length < 16) {
    char name[16] = { 0 };
    memcpy(name, lex->token.text, lex->token.length);
    dtype = qn_dtype_find(name);
  }
  if (dtype == QN_DTYPE_COUNT) return qn_lexer_fail_expected(lex, "a type");
  qn_lexer_next(lex);
  *out_type = 0;
  if (dtype == QN_ANY && lex->token.kind != '[') return QN_OK;
  int32_t rank;
  qn_dim dims[QN_RANK_MAX];
  QN_TRY(read_dims(r, &rank, dims));
  *out_type = qn_type_get(r->graph, dtype, rank, dims);
  return QN_OK;
}
