// Tokens of PTX text. A lexer allocates nothing and never fails on the spot: what is no token is one of kind
// ERROR, which no parser expects.
#include "ir/lex_priv.h"
#include "runtime/emulator/ptx_read_priv.h"

static bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
static bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) || c == '_' || c == '$';
}
static int digit_value(char c) {
  if (is_digit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return 99;
}
static const char *scan_word(const char *at) {
  while (is_word(*at)) at++;
  return at;
}

// Steps over space and comments. False: a comment has no end.
static bool skip_space(qn_ptx_lexer *lexer) {
  for (;; lexer->at++) {
    const char *at = lexer->at;
    if (*at == '\n') {
      lexer->line++;
    } else if (*at == '/' && at[1] == '/') {
      const char *newline = memchr(at, '\n', (size_t)(lexer->end - at));
      lexer->at = (newline ? newline : lexer->end) - 1;
    } else if (*at == '/' && at[1] == '*') {
      const char *end = strstr(at + 2, "*/");
      if (!end) return false;
      for (; at < end; at++) lexer->line += *at == '\n';
      lexer->at = end + 1;
    } else if (*at != ' ' && *at != '\t' && *at != '\r') {
      return true;
    }
  }
}

// The literal of `digits` hexadecimal digits behind "0f" or "0d".
static void scan_bits(qn_ptx_lexeme *token, int kind, size_t digits) {
  token->kind = kind;
  for (size_t i = 2; i < token->length; i++)
    token->bits = token->bits << 4 | (uint64_t)(digit_value(token->text[i]) & 15);
  bool all = token->length == digits + 2;
  for (size_t i = 2; i < token->length; i++) all = all && digit_value(token->text[i]) < 16;
  if (all) return;
  token->kind = QN_LEX_ERROR;
  token->problem = digits == 8 ? "a number 0f of other than 8 hexadecimal digits"
                               : "a number 0d of other than 16 hexadecimal digits";
}

static void scan_integer(qn_ptx_lexeme *token) {
  const char *at = token->text, *end = at + token->length;
  uint64_t base = 10;
  if (*at == '0' && token->length > 1) {
    bool hex = at[1] == 'x' || at[1] == 'X', binary = at[1] == 'b' || at[1] == 'B';
    base = hex ? 16 : binary ? 2 : 8;
    at += hex || binary ? 2 : 1;
  }
  if (end[-1] == 'U' || end[-1] == 'u') end--;
  token->kind = QN_LEX_INT;
  bool sound = at < end || base == 8; // "0U"
  for (; at < end && sound; at++) {
    uint64_t digit = (uint64_t)digit_value(*at);
    sound = digit < base && token->bits <= (UINT64_MAX - digit) / base;
    if (sound) token->bits = token->bits * base + digit;
  }
  if (sound) return;
  token->kind = QN_LEX_ERROR;
  token->problem = "a number that is none, or needs more than 64 bits";
}

// 1.5, 2e-3: digits, then a point, an exponent or both. Returns the end; NULL: this is no such number.
static const char *scan_decimal(const char *at) {
  const char *start = at;
  bool decimal = false;
  while (is_digit(*at)) at++;
  if (*at == '.' && is_digit(at[1])) {
    decimal = true;
    for (at++; is_digit(*at);) at++;
  }
  if (*at == 'e' || *at == 'E') {
    const char *exponent = at + (at[1] == '-' || at[1] == '+' ? 2 : 1);
    if (!is_digit(*exponent)) return NULL;
    decimal = true;
    for (at = exponent; is_digit(*at);) at++;
  }
  return decimal && at > start ? at : NULL;
}

static void scan_number(qn_ptx_lexer *lexer, qn_ptx_lexeme *token) {
  enum { DIGITS_MAX = 64 };
  char second = token->text[0] == '0' ? token->text[1] : 0;
  bool prefixed = second && strchr("fFdDxXbB", second);
  const char *end = prefixed ? NULL : scan_decimal(token->text);
  lexer->at = end ? end : scan_word(token->text);
  token->length = (size_t)(lexer->at - token->text);
  if (second == 'f' || second == 'F') {
    scan_bits(token, QN_LEX_F32, 8);
  } else if (second == 'd' || second == 'D') {
    scan_bits(token, QN_LEX_F64, 16);
  } else if (!end) {
    scan_integer(token);
  } else if (token->length > DIGITS_MAX) {
    token->problem = "a number of more than 64 digits";
  } else {
    double value =
        qn_token_float(&(qn_token){ .kind = QN_TOKEN_FLOAT, .text = token->text, .length = token->length });
    token->kind = QN_LEX_F64;
    memcpy(&token->bits, &value, sizeof value);
  }
}

static void scan_string(qn_ptx_lexer *lexer, qn_ptx_lexeme *token) {
  const char *at = token->text + 1;
  while (at < lexer->end && *at != '"' && *at != '\n')
    at += *at == '\\' && at[1] != '\n' && at + 1 < lexer->end ? 2 : 1;
  lexer->at = at;
  if (*at != '"') {
    token->problem = "a text without its closing quote";
    return;
  }
  lexer->at++;
  token->kind = QN_LEX_STRING;
  token->length = (size_t)(at - ++token->text);
}

// ".reg", ".shared::cta", ".L2::128B"
static void scan_dot(qn_ptx_lexer *lexer, qn_ptx_lexeme *token) {
  const char *at = scan_word(++token->text);
  while (at[0] == ':' && at[1] == ':' && is_word(at[2])) at = scan_word(at + 2);
  token->kind = QN_LEX_DOT;
  token->length = (size_t)(at - token->text);
  lexer->at = at;
}

qn_ptx_lexeme qn_ptx_lex(qn_ptx_lexer *lexer) {
  bool sound = skip_space(lexer);
  const char *at = lexer->at;
  qn_ptx_lexeme token = { .kind = QN_LEX_ERROR, .line = lexer->line, .text = at };
  if (!sound) {
    token.problem = "a comment without its end";
    lexer->at = lexer->end;
  } else if (at == lexer->end) {
    token.kind = QN_LEX_END;
  } else if (is_digit(*at)) {
    scan_number(lexer, &token);
  } else if (is_word(*at) || (*at == '%' && is_word(at[1]))) {
    token.kind = QN_LEX_NAME;
    lexer->at = scan_word(at + 1);
    token.length = (size_t)(lexer->at - at);
  } else if (*at == '.' && is_word(at[1])) {
    scan_dot(lexer, &token);
  } else if (*at == '"') {
    scan_string(lexer, &token);
  } else {
    token.length = 1;
    lexer->at++;
    if (*at && strchr("()[]{}<>,;:=|!@+-*/%&^~", *at))
      token.kind = (unsigned char)*at;
    else
      token.problem = "a character that PTX does not have";
  }
  return token;
}

bool qn_ptx_is(const qn_ptx_lexeme *token, const char *word) {
  return strncmp(word, token->text, token->length) == 0 && word[token->length] == 0;
}
