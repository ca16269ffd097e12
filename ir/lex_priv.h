// Tokens of the text form (docs/text.md) and of the rules (docs/rules.md), which share their words.
//
// A lexer reads a text of known length, allocates nothing, and never fails on the spot: a byte that begins no
// token, an unfinished string or a number out of range is a token of kind QN_TOKEN_ERROR, which no parser
// expects, so that the usual "expected .., found .." names it and its place. How floats are written is
// ir/element_priv.h's.
#ifndef QUENCH_IR_LEX_PRIV_H
#define QUENCH_IR_LEX_PRIV_H

#include "ir/base_priv.h"

// Punctuation of one character is its own kind: '(' ')' '[' ']' '{' '}' ',' ':' '=' '|' '?' '+' '-' '*' '@'
enum {
  QN_TOKEN_END = 0,
  QN_TOKEN_NAME = 256, // letter or _, then letters, digits, _; also . and / between two of these
  QN_TOKEN_STRING,     // "...", escapes not yet resolved: qn_token_decode
  QN_TOKEN_INT,        // 12, 0x1f; a sign is a token of its own. `bits` is its value
  QN_TOKEN_FLOAT,      // 1.5, 2e-3: qn_token_float
  QN_TOKEN_HASH,       // #0123456789abcdef, 16 hex digits. `bits` is its value
  QN_TOKEN_DOTS2,      // ..
  QN_TOKEN_DOTS3,      // ...
  QN_TOKEN_ARROW,      // =>
  QN_TOKEN_ERROR       // `problem` says what is wrong with it
};

typedef struct qn_token {
  int kind;
  bool first_on_line;    // nothing but space and comments stands in front of it on its line
  bool spaced;           // space, a comment or a line end stands in front of it
  uint32_t line, column; // from 1; columns count bytes
  const char *text;      // in the source, not terminated
  size_t length;
  uint64_t bits;
  const char *problem; // a static string
} qn_token;

typedef struct qn_lexer {
  qn_context *context;
  const char *place; // names the source in messages; may be NULL
  const char *at, *end, *line_start;
  uint32_t line;
  qn_token token; // the current one
} qn_lexer;

// Starts at the first token. The text must outlive the lexer.
void qn_lexer_init(qn_lexer *lexer, qn_context *context, const char *place, const char *text, size_t length);
// Steps to the next token; the end stays the end.
void qn_lexer_next(qn_lexer *lexer);

// Whether the current token is of `kind`; qn_lexer_accept then steps over it.
bool qn_lexer_accept(qn_lexer *lexer, int kind);
// Steps over a token of `kind`, or fails: "expected ')', found ','".
qn_status qn_lexer_expect(qn_lexer *lexer, int kind);
// Whether the current token is this unquoted word.
bool qn_lexer_at_word(const qn_lexer *lexer, const char *word);

// QN_INVALID at the place of a token: "model.qn:3:14". The second form words "expected <what>, found <token>".
qn_status qn_lexer_fail(const qn_lexer *lexer, const qn_token *token, const char *format, ...) QN_PRINTF(3, 4);
qn_status qn_lexer_fail_expected(const qn_lexer *lexer, const char *format, ...) QN_PRINTF(2, 3);
// QN_LIMIT at the place of a token.
qn_status qn_lexer_fail_limit(const qn_lexer *lexer, const qn_token *token, const char *format, ...)
    QN_PRINTF(3, 4);

// What a NAME or STRING stands for, in `arena`, zero-terminated. NULL if memory ran out.
const char *qn_token_decode(const qn_token *token, qn_arena *arena, size_t *out_length);
// The double nearest to a FLOAT or INT token, whatever the locale.
double qn_token_float(const qn_token *token);

// --- writing the same words ------------------------------------------------------------------------------

// Whether `text` may stand unquoted as a name: it would be read as one NAME, and is no word of the grammar
// (`_`, `return`, `ceil_div`).
bool qn_name_is_plain(const char *text, size_t length);
// The text as it is if it is a plain name, else quoted.
void qn_buf_name(qn_buf *buf, const char *text, size_t length);
// The text in double quotes with \n \t \" \\ and \xHH for other bytes outside of printable ASCII and UTF-8.
void qn_buf_quoted(qn_buf *buf, const char *text, size_t length);

#endif
