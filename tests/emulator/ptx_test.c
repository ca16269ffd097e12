// Rows and reading for the tests of the PTX reader.
#include "ptx_test.h"

#include <stdio.h>
#include <stdlib.h>

#define TOKEN(name, text, kind, bits) text " "
static const char every_token[] =
#include "runtime/emulator/tokens.def"
    ;

static bool bind(const qn_ptx_program *program, qn_ptx_instr *instr, const char **out_words) {
  (void)program, (void)out_words;
  instr->immediate = 7;
  return true;
}
static bool refuse(const qn_ptx_program *program, qn_ptx_instr *instr, const char **out_words) {
  (void)program, (void)instr;
  *out_words = "no flaky today";
  return false;
}

static const qn_ptx_row rows[] = {
  { "add", 1, 2, 2, bind, "s32 u64  f32" }, // two spaces do no harm
  { "bra", 0, 1, 1, bind, "uni" },          { "brx", 0, 2, 2, bind, "idx uni" },
  { "call", 0, 3, 3, bind, "uni" },         { "flaky", 0, 0, 0, refuse, "" },
  { "ld", 1, 1, 2, bind, every_token },     { "mma", 1, 3, 3, bind, every_token },
  { "mov", 1, 1, 1, bind, every_token },    { "nop", 0, 0, 8, bind, every_token },
  { "red", 0, 2, 2, bind, every_token },    { "ret", 0, 0, 0, bind, "uni" },
  { "setp", 1, 2, 3, bind, every_token },   { "st", 0, 2, 3, bind, every_token },
};
const qn_ptx_row_set test_rows = { rows, QN_COUNT(rows) };

qn_context *make_context(void) {
  qn_context *context;
  cr_assert_eq(qn_context_create(NULL, &context), QN_OK);
  return context;
}

qn_status try_text(qn_context *context, const char *text, size_t length) {
  qn_ptx_program *program;
  qn_status status = qn_ptx_read_with(context, &test_rows, text, length, "t.ptx", &program);
  cr_assert_eq(status == QN_OK, program != NULL);
  qn_ptx_program_destroy(program);
  return status;
}

qn_ptx_program *read_module(qn_context *context, const char *text) {
  qn_ptx_program *program;
  qn_status status = qn_ptx_read_with(context, &test_rows, text, strlen(text), "t.ptx", &program);
  const qn_error *error = qn_context_get_error(context);
  cr_assert_eq(status, QN_OK, "%s: %s", error->place, error->message);
  return program;
}

char *wrap_body(const char *body) {
  static const char form[] = ".version 8.0\n.target sm_80\n.address_size 64\n"
                             ".visible .entry k(.param .u64 p, .param .u32 n)\n{\n"
                             ".reg .pred %%p<4>; .reg .b16 %%h<4>;\n.reg .b32 %%r<8>; .reg .f32 %%f<4>;\n"
                             ".reg .b64 %%d<4>;\n%s\n}\n";
  int length = snprintf(NULL, 0, form, body);
  char *text = malloc((size_t)length + 1);
  cr_assert_not_null(text);
  snprintf(text, (size_t)length + 1, form, body);
  return text;
}

qn_ptx_program *read_body(qn_context *context, const char *body) {
  char *text = wrap_body(body);
  qn_ptx_program *program = read_module(context, text);
  free(text);
  return program;
}

void done(qn_context *context, qn_ptx_program *program) {
  qn_ptx_program_destroy(program);
  qn_context_destroy(context);
}
