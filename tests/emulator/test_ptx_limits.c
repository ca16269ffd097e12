// Texts that ask for too much, and texts that are large.
#include "ptx_test.h"

#include <stdlib.h>

static void expect_limit(const char *body, const char *message) {
  qn_context *context = make_context();
  char *text = wrap_body(body);
  cr_expect_eq(try_text(context, text, strlen(text)), QN_LIMIT, "%s", body);
  const char *found = qn_context_get_error(context)->message;
  cr_expect_eq(strncmp(found, message, strlen(message)), 0, "%s", found);
  free(text);
  qn_context_destroy(context);
}

Test(ptx_limits, registers) {
  expect_limit(".reg .b32 %x<4000000000>;", "a program has at most 1048576 registers");
  expect_limit(".reg .b32 %x<18446744073709551615>;", "a program has at most 1048576 registers");
  expect_limit(".reg .b64 %x<1000000>; { .reg .b64 %x<1000000>; }", "a program has at most 1048576 registers");
}

Test(ptx_limits, variables) {
  expect_limit(".shared .b8 x[1048577];", "variables of '.shared' have at most 1048576 bytes");
  expect_limit(".shared .b8 x[1048576]; .shared .b8 y;", "variables of '.shared' have at most 1048576 bytes");
  expect_limit(".local .b8 x[4096][4096];", "variables of '.local' have at most 524288 bytes");
  expect_limit(".global .b64 x[0x7FFFFFFFFFFFFFFF];", "variables of '.global' have at most 1073741824 bytes");
  expect_limit(".global .b8 x[1073741824]; .global .b8 y[1];",
               "variables of '.global' have at most 1073741824");
  expect_limit(".const .b32 x[1000000];", "variables of '.const' have at most 1048576 bytes");
  expect_limit(".param .b8 x[65537];", "variables of '.param' have at most 65536 bytes");
  expect_limit(".global .b8 x[100000000] = {1};", "a variable with initial values has at most 16777216 bytes");
}

Test(ptx_limits, nesting) {
  char body[2 * 70 + 1] = "";
  memset(body, '{', 63);
  memset(body + 63, '}', 63);
  qn_context *context = make_context();
  done(context, read_body(context, body));
  memset(body, '{', 64);
  memset(body + 64, '}', 64);
  expect_limit(body, "scopes nest more than 64 deep");
  char deep[80] = "mov.b32 %r0, ";
  memset(deep + 13, '-', 40);
  memcpy(deep + 53, "1;", 3);
  expect_limit(deep, "an expression nests more than 32 deep");
}

Test(ptx_limits, operands_and_modifiers) {
  char body[8192] = "nop {%r0";
  for (int i = 0; i < 1024; i++) memcpy(body + 8 + 4 * i, ",%r0", 5);
  memcpy(body + 8 + 4 * 1024, "};", 3);
  expect_limit(body, "an instruction with more than 1024 operands");
  memcpy(body, "nop", 4);
  for (int i = 0; i < 17; i++) memcpy(body + 3 + 3 * i, ".rn", 4);
  memcpy(body + 3 + 3 * 17, ";", 2);
  expect_limit(body, "an opcode with more than 16 modifiers");
}

Test(ptx_limits, text) {
  qn_context *context = make_context();
  size_t length = (64 << 20) + 1;
  char *text = calloc(length, 1);
  cr_assert_not_null(text);
  cr_expect_eq(try_text(context, text, length), QN_LIMIT);
  cr_expect_str_eq(qn_context_get_error(context)->message, "PTX of more than 64 MiB is not read");
  free(text);
  qn_context_destroy(context);
}

Test(ptx_limits, many_instructions_labels_and_scopes) {
  enum { COUNT = 20000 };
  qn_context *context = make_context();
  qn_buf body = QN_BUF(context);
  for (int i = 0; i < COUNT; i++)
    qn_buf_printf(&body, "L%d: { .reg .b32 t%d; mov.b32 t%d, %d; bra L%d; }\n", i, i, i, i, COUNT - 1 - i);
  qn_ptx_program *program = read_body(context, body.text);
  cr_assert_eq(program->instr_count, 2 * COUNT);
  for (uint32_t i = 0; i < COUNT; i++) {
    cr_assert_eq(qn_ptx_at(&program->instrs[2 * i], 1, 0)->value, i);
    cr_assert_eq(program->instrs[2 * i + 1].target, 2 * (COUNT - 1 - i));
  }
  qn_buf_free(&body);
  done(context, program);
}
