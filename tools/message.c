// Talking to a person and to a program: errors on standard error, colour on a terminal, JSON strings.
#include "tool.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int tool_error(const char *place, const char *message, const char *hint) {
  fflush(stdout); // so that the two streams keep their order where they end in one place
  fprintf(stderr, "quench: %s%s%s%s%s%s\n", place, place[0] ? ": " : "", message, hint ? " (" : "",
          hint ? hint : "", hint ? ")" : "");
  return TOOL_BAD;
}

int tool_fail(const tool *t) {
  const qn_error *error = qn_context_get_error(t->context);
  return tool_error(error->place, error->message, qn_status_advice(error->status));
}

bool tool_has_colour(FILE *file) {
  const char *no = getenv("NO_COLOR");
  return (!no || !*no) && isatty(fileno(file));
}

// The length of the UTF-8 sequence at `text`, or 0 if there is none (RFC 3629: shortest form, no surrogates).
static size_t utf8_length(const unsigned char *text, size_t left) {
  static const struct {
    unsigned char first, last, low, high, length; // of the first byte; of the second; of the sequence
  } forms[] = { { 0xc2, 0xdf, 0x80, 0xbf, 2 }, { 0xe0, 0xe0, 0xa0, 0xbf, 3 }, { 0xe1, 0xec, 0x80, 0xbf, 3 },
                { 0xed, 0xed, 0x80, 0x9f, 3 }, { 0xee, 0xef, 0x80, 0xbf, 3 }, { 0xf0, 0xf0, 0x90, 0xbf, 4 },
                { 0xf1, 0xf3, 0x80, 0xbf, 4 }, { 0xf4, 0xf4, 0x80, 0x8f, 4 } };
  if (text[0] < 0x80) return 1;
  for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
    if (text[0] < forms[i].first || text[0] > forms[i].last) continue;
    if (left < forms[i].length || text[1] < forms[i].low || text[1] > forms[i].high) return 0;
    for (size_t k = 2; k < forms[i].length; k++)
      if ((text[k] & 0xc0) != 0x80) return 0;
    return forms[i].length;
  }
  return 0;
}

void tool_write_json(FILE *to, const char *text, size_t length) {
  fputc('"', to);
  for (size_t i = 0; i < length;) {
    unsigned char c = (unsigned char)text[i];
    size_t n = utf8_length((const unsigned char *)text + i, length - i);
    if (c == '"' || c == '\\')
      fprintf(to, "\\%c", c);
    else if (c == '\n')
      fputs("\\n", to);
    else if (c < 0x20 || c == 0x7f || n == 0)
      fprintf(to, "\\u%04x", c);
    else
      fwrite(text + i, 1, n, to);
    i += n ? n : 1;
  }
  fputc('"', to);
}

void tool_write_json_text(FILE *to, const char *text) {
  tool_write_json(to, text ? text : "", text ? strlen(text) : 0);
}
