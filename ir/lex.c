// The lexer of the text form and of the rules, and the writing of names and strings that it reads back.
#include "ir/lex_priv.h"

#include <stdio.h>
#include <stdlib.h>

enum { NUMBER_MAX = 64, SHOWN_MAX = 40 };

static bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
static bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}
static bool is_word(char c) {
  return is_letter(c) || is_digit(c);
}
static int hex_value(char c) {
  if (is_digit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// --- tokens ----------------------------------------------------------------------------------------------

void qn_lexer_init(qn_lexer *lexer, qn_context *context, const char *place, const char *text, size_t length) {
  *lexer = (qn_lexer){
    .context = context, .place = place, .at = text, .end = text + length, .line_start = text, .line = 1
  };
  lexer->token.first_on_line = true;
  qn_lexer_next(lexer);
}

// Steps over space and comments; says in the token whether there were any and whether a line ended.
static void skip_space(qn_lexer *lexer) {
  qn_token *token = &lexer->token;
  const char *at = lexer->at, *start = at;
  token->first_on_line = at == lexer->line_start;
  while (at < lexer->end) {
    if (*at == '\n') {
      token->first_on_line = true;
      lexer->line++;
      lexer->line_start = ++at;
    } else if (*at == ' ' || *at == '\t' || *at == '\r') {
      at++;
    } else if (*at == '/' && at + 1 < lexer->end && at[1] == '/') {
      while (at < lexer->end && *at != '\n') at++;
    } else {
      break;
    }
  }
  token->spaced = at != start;
  lexer->at = at;
}

static const char *scan_name(const char *at, const char *end) {
  while (at < end) {
    bool joint = (*at == '.' || *at == '/') && at + 1 < end && is_word(at[1]);
    if (!is_word(*at) && !joint) break;
    at++;
  }
  return at;
}

static const char *scan_digits(const char *at, const char *end) {
  while (at < end && is_digit(*at)) at++;
  return at;
}

static const char *scan_error(qn_token *token, const char *end, const char *problem) {
  token->kind = QN_TOKEN_ERROR;
  token->problem = problem;
  return end;
}

static const char *scan_number(qn_token *token, const char *end) {
  const char *start = token->text, *at = start;
  token->kind = QN_TOKEN_INT;
  token->bits = 0;
  bool fits = true;
  if (end - at > 2 && at[0] == '0' && at[1] == 'x' && hex_value(at[2]) >= 0) {
    for (at += 2; at < end && hex_value(*at) >= 0; at++) {
      fits = fits && token->bits >> 60 == 0;
      token->bits = token->bits << 4 | (uint64_t)hex_value(*at);
    }
  } else {
    at = scan_digits(at, end);
    if (at + 1 < end && *at == '.' && is_digit(at[1])) {
      token->kind = QN_TOKEN_FLOAT;
      at = scan_digits(at + 1, end);
    }
    if (at < end && (*at == 'e' || *at == 'E')) {
      const char *exponent = at + 1 < end && (at[1] == '+' || at[1] == '-') ? at + 2 : at + 1;
      if (exponent < end && is_digit(*exponent)) {
        token->kind = QN_TOKEN_FLOAT;
        at = scan_digits(exponent, end);
      }
    }
    for (const char *d = start; token->kind == QN_TOKEN_INT && d < at; d++) {
      uint64_t digit = (uint64_t)(*d - '0');
      fits = fits &&
             (token->bits < UINT64_MAX / 10 || (token->bits == UINT64_MAX / 10 && digit <= UINT64_MAX % 10));
      token->bits = token->bits * 10 + digit;
    }
  }
  if (at < end && is_word(*at))
    return scan_error(token, scan_name(at, end), "a name may not begin with a digit");
  if (at - start > NUMBER_MAX) return scan_error(token, at, "the number has more than 64 characters");
  if (!fits) return scan_error(token, at, "the integer does not fit 64 bits");
  return at;
}

static const char *scan_string(qn_token *token, const char *end) {
  const char *at = token->text + 1;
  token->kind = QN_TOKEN_STRING;
  for (; at < end && *at != '"'; at++) {
    if (*at == '\n') return scan_error(token, at, "the string does not end on its line");
    if (*at != '\\') continue;
    at++;
    if (at < end && *at == 'x') {
      if (end - at < 3 || hex_value(at[1]) < 0 || hex_value(at[2]) < 0)
        return scan_error(token, at, "\\x is not followed by two hexadecimal digits");
      at += 2;
    } else if (at == end || *at == '\0' || !strchr("nt\"\\", *at)) {
      return scan_error(token, at, "the string has an escape other than \\n \\t \\\" \\\\ \\xHH");
    }
  }
  if (at == end) return scan_error(token, at, "the string does not end");
  return at + 1;
}

static const char *scan_hash(qn_token *token, const char *end) {
  const char *at = token->text + 1;
  token->kind = QN_TOKEN_HASH;
  token->bits = 0;
  while (at < end && is_word(*at)) {
    if (hex_value(*at) < 0)
      return scan_error(token, scan_name(at, end), "a hash is # and 16 hexadecimal digits");
    token->bits = token->bits << 4 | (uint64_t)hex_value(*at++);
  }
  return at - token->text == 17 ? at : scan_error(token, at, "a hash is # and 16 hexadecimal digits");
}

void qn_lexer_next(qn_lexer *lexer) {
  skip_space(lexer);
  qn_token *token = &lexer->token;
  const char *at = lexer->at, *end = lexer->end;
  token->text = at;
  token->line = lexer->line;
  token->column = (uint32_t)QN_MIN((uint64_t)(at - lexer->line_start) + 1, UINT32_MAX);
  token->problem = NULL;
  if (at == end) {
    token->kind = QN_TOKEN_END;
  } else if (is_letter(*at)) {
    token->kind = QN_TOKEN_NAME;
    at = scan_name(at, end);
  } else if (is_digit(*at)) {
    at = scan_number(token, end);
  } else if (*at == '"') {
    at = scan_string(token, end);
  } else if (*at == '#') {
    at = scan_hash(token, end);
  } else if (*at == '.' && end - at >= 2 && at[1] == '.') {
    bool three = end - at >= 3 && at[2] == '.';
    token->kind = three ? QN_TOKEN_DOTS3 : QN_TOKEN_DOTS2;
    at += three ? 3 : 2;
  } else if (*at == '=' && end - at >= 2 && at[1] == '>') {
    token->kind = QN_TOKEN_ARROW;
    at += 2;
  } else if (*at != '\0' && strchr("()[]{},:=|?+-*@", *at)) {
    token->kind = *at++;
  } else {
    at = scan_error(token, at + 1, "the character begins nothing");
  }
  token->length = (size_t)(at - token->text);
  lexer->at = at;
}

// --- expecting -------------------------------------------------------------------------------------------

bool qn_lexer_accept(qn_lexer *lexer, int kind) {
  if (lexer->token.kind != kind) return false;
  qn_lexer_next(lexer);
  return true;
}

bool qn_lexer_at_word(const qn_lexer *lexer, const char *word) {
  const qn_token *token = &lexer->token;
  return token->kind == QN_TOKEN_NAME && token->length == strlen(word) &&
         memcmp(token->text, word, token->length) == 0;
}

qn_status qn_lexer_expect(qn_lexer *lexer, int kind) {
  if (qn_lexer_accept(lexer, kind)) return QN_OK;
  switch (kind) {
  case QN_TOKEN_END: return qn_lexer_fail_expected(lexer, "the end");
  case QN_TOKEN_NAME: return qn_lexer_fail_expected(lexer, "a name");
  case QN_TOKEN_STRING: return qn_lexer_fail_expected(lexer, "a string");
  case QN_TOKEN_INT: return qn_lexer_fail_expected(lexer, "an integer");
  case QN_TOKEN_FLOAT: return qn_lexer_fail_expected(lexer, "a number");
  case QN_TOKEN_HASH: return qn_lexer_fail_expected(lexer, "a hash");
  case QN_TOKEN_DOTS2: return qn_lexer_fail_expected(lexer, "'..'");
  case QN_TOKEN_DOTS3: return qn_lexer_fail_expected(lexer, "'...'");
  case QN_TOKEN_ARROW: return qn_lexer_fail_expected(lexer, "'=>'");
  default: return qn_lexer_fail_expected(lexer, "'%c'", kind);
  }
}

static qn_status fail_at(const qn_lexer *lexer, const qn_token *token, qn_status status, const char *message) {
  char place[512];
  const char *source = lexer->place ? lexer->place : "text";
  snprintf(place, sizeof place, "%.400s:%u:%u", source, (unsigned)token->line, (unsigned)token->column);
  return qn_fail(lexer->context, status, place, "%s", message);
}

qn_status qn_lexer_fail(const qn_lexer *lexer, const qn_token *token, const char *format, ...) {
  char message[512];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(message, sizeof message, format, arguments);
  va_end(arguments);
  return fail_at(lexer, token, QN_INVALID, message);
}

qn_status qn_lexer_fail_limit(const qn_lexer *lexer, const qn_token *token, const char *format, ...) {
  char message[512];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(message, sizeof message, format, arguments);
  va_end(arguments);
  return fail_at(lexer, token, QN_LIMIT, message);
}

qn_status qn_lexer_fail_expected(const qn_lexer *lexer, const char *format, ...) {
  const qn_token *token = &lexer->token;
  char expected[256], found[SHOWN_MAX + 16];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(expected, sizeof expected, format, arguments);
  va_end(arguments);
  int shown = (int)QN_MIN(token->length, (size_t)SHOWN_MAX);
  const char *cut = token->length > SHOWN_MAX ? ".." : "";
  const char *quote = token->kind == QN_TOKEN_STRING ? "" : "'";
  if (token->kind == QN_TOKEN_END)
    snprintf(found, sizeof found, "the end of the text");
  else
    snprintf(found, sizeof found, "%s%.*s%s%s", quote, shown, token->text, cut, quote);
  if (token->problem)
    return qn_lexer_fail(lexer, token, "expected %s, found %s: %s", expected, found, token->problem);
  return qn_lexer_fail(lexer, token, "expected %s, found %s", expected, found);
}

// --- what tokens stand for -------------------------------------------------------------------------------

const char *qn_token_decode(const qn_token *token, qn_arena *arena, size_t *out_length) {
  if (token->kind != QN_TOKEN_STRING) {
    *out_length = token->length;
    return qn_arena_copy(arena, token->text, token->length);
  }
  char *text = qn_arena_alloc(arena, token->length);
  if (!text) return NULL;
  size_t length = 0;
  for (const char *at = token->text + 1, *end = token->text + token->length - 1; at < end; at++) {
    char c = *at;
    if (c == '\\') {
      c = *++at;
      if (c == 'n') c = '\n';
      if (c == 't') c = '\t';
      if (c == 'x') {
        c = (char)(hex_value(at[1]) << 4 | hex_value(at[2]));
        at += 2;
      }
    }
    text[length++] = c;
  }
  text[length] = '\0';
  *out_length = length;
  return text;
}

double qn_token_float(const qn_token *token) {
  if (token->kind == QN_TOKEN_INT) return (double)token->bits;
  // strtod reads the point of the locale, so the digits are given to it without one.
  char text[NUMBER_MAX + 32];
  size_t length = 0;
  int after_point = 0;
  bool point = false;
  const char *at = token->text, *end = at + token->length;
  for (; at < end && (is_digit(*at) || *at == '.'); at++) {
    if (*at == '.') {
      point = true;
    } else {
      text[length++] = *at;
      after_point += point;
    }
  }
  long exponent = 0;
  if (at < end) {
    bool negative = at[1] == '-';
    for (at += at[1] == '-' || at[1] == '+' ? 2 : 1; at < end; at++)
      exponent = QN_MIN(exponent * 10 + (*at - '0'), 99999);
    if (negative) exponent = -exponent;
  }
  snprintf(text + length, sizeof text - length, "e%ld", exponent - after_point);
  return strtod(text, NULL);
}

// --- writing ---------------------------------------------------------------------------------------------

bool qn_name_is_plain(const char *text, size_t length) {
  static const char *const reserved[] = { "_", "return", "ceil_div" };
  if (length == 0 || !is_letter(*text) || scan_name(text, text + length) != text + length) return false;
  for (size_t i = 0; i < QN_COUNT(reserved); i++)
    if (strlen(reserved[i]) == length && memcmp(reserved[i], text, length) == 0) return false;
  return true;
}

void qn_buf_name(qn_buf *buf, const char *text, size_t length) {
  if (qn_name_is_plain(text, length))
    qn_buf_append(buf, text, length);
  else
    qn_buf_quoted(buf, text, length);
}

// The length of the UTF-8 sequence at `text`, or 0 if there is none; overlong forms and surrogates are none.
static size_t utf8_length(const unsigned char *text, size_t length) {
  unsigned char c = text[0];
  size_t count = c >= 0xf0 && c <= 0xf4 ? 4 : c >= 0xe0 && c < 0xf0 ? 3 : c >= 0xc2 && c < 0xe0 ? 2 : 0;
  if (count == 0 || count > length) return 0;
  for (size_t i = 1; i < count; i++)
    if ((text[i] & 0xc0) != 0x80) return 0;
  if ((c == 0xe0 && text[1] < 0xa0) || (c == 0xed && text[1] > 0x9f)) return 0;
  if ((c == 0xf0 && text[1] < 0x90) || (c == 0xf4 && text[1] > 0x8f)) return 0;
  // U+0080..U+009F are control characters.
  return c == 0xc2 && text[1] < 0xa0 ? 0 : count;
}

void qn_buf_quoted(qn_buf *buf, const char *text, size_t length) {
  qn_buf_append(buf, "\"", 1);
  size_t start = 0; // of the bytes that stand for themselves and are not appended yet
  for (size_t i = 0; i < length;) {
    unsigned char c = (unsigned char)text[i];
    size_t run = c < 0x80 ? 1 : utf8_length((const unsigned char *)text + i, length - i);
    if (run && c >= 0x20 && c != 0x7f && c != '"' && c != '\\') {
      i += run;
      continue;
    }
    qn_buf_append(buf, text + start, i - start);
    switch (c) {
    case '\n': qn_buf_append(buf, "\\n", 2); break;
    case '\t': qn_buf_append(buf, "\\t", 2); break;
    case '"': qn_buf_append(buf, "\\\"", 2); break;
    case '\\': qn_buf_append(buf, "\\\\", 2); break;
    default: qn_buf_printf(buf, "\\x%02x", c);
    }
    start = ++i;
  }
  qn_buf_append(buf, text + start, length - start);
  qn_buf_append(buf, "\"", 1);
}
