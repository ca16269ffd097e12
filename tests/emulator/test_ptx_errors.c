// What is no PTX, and what is not supported: status, place and words, the line's text behind them.
#include "ptx_test.h"

#include <stdio.h>
#include <stdlib.h>

typedef struct mistake {
  const char *text;
  qn_status status;
  const char *place, *message;
} mistake;

static void check(const mistake *m, const char *text) {
  qn_context *context = make_context();
  qn_status status = try_text(context, text, strlen(text));
  const qn_error *error = qn_context_get_error(context);
  cr_expect_eq(status, m->status, "%s: %s", m->text, qn_status_name(status));
  cr_expect_str_eq(error->place, m->place, "%s: %s: %s", m->text, error->place, error->message);
  cr_expect_str_eq(error->message, m->message, "%s\nexpected %s\nfound    %s", m->text, m->message,
                   error->message);
  qn_context_destroy(context);
}

// Line 1 of a body is line 9 of the text.
static void check_bodies(const mistake *mistakes, size_t count) {
  for (size_t i = 0; i < count; i++) {
    char *text = wrap_body(mistakes[i].text);
    check(&mistakes[i], text);
    free(text);
  }
}
#define CHECK_BODIES(mistakes) check_bodies(mistakes, QN_COUNT(mistakes))

// Line 1 is line 4 of the text.
static void check_modules(const mistake *mistakes, size_t count) {
  for (size_t i = 0; i < count; i++) {
    char text[1024];
    snprintf(text, sizeof text, ".version 8.0\n.target sm_80\n.address_size 64\n%s", mistakes[i].text);
    check(&mistakes[i], text);
  }
}
#define CHECK_MODULES(mistakes) check_modules(mistakes, QN_COUNT(mistakes))

Test(ptx_errors, head) {
  static const mistake mistakes[] = {
    { "", QN_INVALID, "t.ptx:1:1", "expected '.version', found the end of the text in \"\"" },
    { "hello", QN_INVALID, "t.ptx:1:1", "expected '.version', found 'hello' in \"hello\"" },
    { ".version 5.0\n.target sm_80", QN_UNSUPPORTED, "t.ptx:1:10",
      "PTX of version 5.0 is not read, only 6.0 and later in \".version 5.0\"" },
    { ".version 8", QN_INVALID, "t.ptx:1:10", "expected a version such as 8.4, found '8' in \".version 8\"" },
    { ".version 8.25", QN_INVALID, "t.ptx:1:10",
      "expected a version such as 8.4, found '8.25' in \".version 8.25\"" },
    { ".version 8.0\n\t.entry k", QN_INVALID, "t.ptx:2:2",
      "expected '.target', found '.entry' in \".entry k\"" },
    { ".version 8.0\n.target sm_70", QN_UNSUPPORTED, "t.ptx:2:9",
      "the target 'sm_70' is older than sm_75 in \".target sm_70\"" },
    { ".version 8.0\n.target sm_90x", QN_UNSUPPORTED, "t.ptx:2:9",
      "there is no chip 'sm_90x' in \".target sm_90x\"" },
    { ".version 8.0\n.target debug, x", QN_INVALID, "t.ptx:2:9",
      "the target names no sm_.. in \".target debug, x\"" },
    { ".version 8.0\n.target sm_80\n.address_size 32", QN_UNSUPPORTED, "t.ptx:3:15",
      "addresses have 64 bits in \".address_size 32\"" },
  };
  for (size_t i = 0; i < QN_COUNT(mistakes); i++) check(&mistakes[i], mistakes[i].text);
}

Test(ptx_errors, module) {
  static const mistake mistakes[] = {
    { "mov.u32 %r1, 2;", QN_INVALID, "t.ptx:4:1", "expected a directive, found 'mov' in \"mov.u32 %r1, 2;\"" },
    { "  .alias a, b;", QN_UNSUPPORTED, "t.ptx:4:3",
      "the directive '.alias' is not known here in \".alias a, b;\"" },
    { ".global .texref t;", QN_INVALID, "t.ptx:4:9",
      "expected a type, found '.texref' in \".global .texref t;\"" },
    { ".local .u32 x;", QN_UNSUPPORTED, "t.ptx:4:1",
      "the directive '.local' is not known here in \".local .u32 x;\"" },
    { ".global .u32 x\n;.global .u32 x;", QN_INVALID, "t.ptx:5:15",
      "the scope has a 'x' already in \";.global .u32 x;\"" },
    { ".global .pred x;", QN_INVALID, "t.ptx:4:9",
      "a variable has a type of 8 bits or more in \".global .pred x;\"" },
    { ".global .align 3 .u32 x;", QN_INVALID, "t.ptx:4:16",
      "an alignment is a power of two up to 4096 in \".global .align 3 .u32 x;\"" },
    { ".global .b8 x[];", QN_INVALID, "t.ptx:4:13", "the array 'x' has no size in \".global .b8 x[];\"" },
    { ".global .b8 x[] = {};", QN_INVALID, "t.ptx:4:13",
      "the array 'x' has no size in \".global .b8 x[] = {};\"" },
    { ".global .b8 x[0];", QN_INVALID, "t.ptx:4:15",
      "an array has at least one element in \".global .b8 x[0];\"" },
    { ".global .b8 x[2] = {1, 2, 3};", QN_INVALID, "t.ptx:4:27",
      "more than 2 bytes of initial values in \".global .b8 x[2] = {1, 2, 3};\"" },
    { ".global .u64 x = y;", QN_UNSUPPORTED, "t.ptx:4:18",
      "an address as an initial value is not supported in \".global .u64 x = y;\"" },
    { ".global .b8 x[2] = {0xFF(y), 2};", QN_UNSUPPORTED, "t.ptx:4:21",
      "an address as an initial value is not supported in \".global .b8 x[2] = {0xFF(y), 2};\"" },
    { ".global .f32 x = 1;", QN_INVALID, "t.ptx:4:18",
      "the initial value is not of type '.f32' in \".global .f32 x = 1;\"" },
    { ".global .u32 x = 1.0;", QN_INVALID, "t.ptx:4:18",
      "the initial value is not of type '.u32' in \".global .u32 x = 1.0;\"" },
    { ".global .b8 x[2] = {1;", QN_INVALID, "t.ptx:4:22",
      "expected '}', found ';' in \".global .b8 x[2] = {1;\"" },
    { ".shared .u32 x = 1;", QN_INVALID, "t.ptx:4:14",
      "only a variable of .global or .const has an initial value in \".shared .u32 x = 1;\"" },
    { ".extern .global .u32 x;", QN_UNSUPPORTED, "t.ptx:4:22",
      "a variable that is defined in another module in \".extern .global .u32 x;\"" },
    { ".section .debug { .b8 1, { 2 }", QN_INVALID, "t.ptx:4:31",
      "expected '}', found the end of the text in \".section .debug { .b8 1, { 2 }\"" },
    { ".file 1 a.cu", QN_INVALID, "t.ptx:4:9", "expected a quoted text, found 'a' in \".file 1 a.cu\"" },
    { ".file 1 \"a.cu", QN_INVALID, "t.ptx:4:9",
      "expected a quoted text, found a text without its closing quote in \".file 1 \"a.cu\"" },
    { ".file 70000 \"a\"", QN_LIMIT, "t.ptx:4:7", "a number here is at most 65535 in \".file 70000 \"a\"\"" },
    { "/* open\n", QN_INVALID, "t.ptx:4:1",
      "expected a directive, found a comment without its end in \"/* open\"" },
  };
  CHECK_MODULES(mistakes);
}

Test(ptx_errors, functions) {
  static const mistake mistakes[] = {
    { ".entry (", QN_INVALID, "t.ptx:4:9", "expected the name of a function in \".entry (\"" },
    { ".entry k() {", QN_INVALID, "t.ptx:4:13",
      "expected an instruction, found the end of the text in \".entry k() {\"" },
    { ".entry k() { ret; }\n.entry k() { ret; }", QN_INVALID, "t.ptx:5:8",
      "there is a function 'k' already in \".entry k() { ret; }\"" },
    { ".func k();\n.entry k() { ret; }", QN_INVALID, "t.ptx:5:8",
      "there is a function 'k' already in \".entry k() { ret; }\"" },
    { ".global .u32 k;\n.entry k() { ret; }", QN_INVALID, "t.ptx:5:8",
      "the scope has a 'k' already in \".entry k() { ret; }\"" },
    { ".entry k(.param .u32 a, .param .u32 a) { ret; }", QN_INVALID, "t.ptx:4:37",
      "the scope has a 'a' already in \".entry k(.param .u32 a, .param .u32 a) { ret; }\"" },
    { ".func (.reg .u32 a) k() { ret; }", QN_UNSUPPORTED, "t.ptx:4:8",
      "parameters in registers are not supported, only those of .param in \".func (.reg .u32 a) k() { ret; "
      "}\"" },
    { ".entry k() .fast { ret; }", QN_UNSUPPORTED, "t.ptx:4:12",
      "the directive '.fast' is not known here in \".entry k() .fast { ret; }\"" },
    { ".entry k() .maxntid { ret; }", QN_INVALID, "t.ptx:4:21",
      "expected a number, found '{' in \".entry k() .maxntid { ret; }\"" },
    { ".entry k(u32 a)", QN_INVALID, "t.ptx:4:10", "expected '.param', found 'u32' in \".entry k(u32 a)\"" },
  };
  CHECK_MODULES(mistakes);
}

Test(ptx_errors, statements) {
  static const mistake mistakes[] = {
    { ".maxntid 3;", QN_UNSUPPORTED, "t.ptx:9:1",
      "the directive '.maxntid' is not known here in \".maxntid 3;\"" },
    { "ret; }\n}", QN_INVALID, "t.ptx:10:1", "expected a directive, found '}' in \"}\"" },
    { "A: ret;\nA: ret;", QN_INVALID, "t.ptx:10:1", "the scope has a 'A' already in \"A: ret;\"" },
    { "bra A;\n{ A: ret; }", QN_INVALID, "t.ptx:9:5", "there is no label 'A' here in \"bra A;\"" },
    { "bra n;", QN_INVALID, "t.ptx:9:5", "there is no label 'n' here in \"bra n;\"" },
    { "bra %r1;", QN_INVALID, "t.ptx:9:5", "there is no label '%r1' here in \"bra %r1;\"" },
    { "%A: ret;", QN_INVALID, "t.ptx:9:1", "a label does not begin with '%' in \"%A: ret;\"" },
    { "brx.idx %r0, A; A: ret;", QN_INVALID, "t.ptx:9:14",
      "there is no .branchtargets 'A' here in \"brx.idx %r0, A; A: ret;\"" },
    { "A: .branchtargets B;", QN_INVALID, "t.ptx:9:19",
      "there is no label 'B' here in \"A: .branchtargets B;\"" },
    { "A: .calltargets k;", QN_UNSUPPORTED, "t.ptx:9:4",
      "a call through a register is not supported in \"A: .calltargets k;\"" },
    { "/* a\n * b\n */ // c\n  frob;", QN_UNSUPPORTED, "t.ptx:12:3",
      "the opcode 'frob' is not known in \"frob;\"" },
    { "A: .callprototype _ ();", QN_UNSUPPORTED, "t.ptx:9:4",
      "a call through a register is not supported in \"A: .callprototype _ ();\"" },
    { ".loc 1 2 3, nonsense 4", QN_UNSUPPORTED, "t.ptx:9:13",
      "'.loc' does not take 'nonsense' in \".loc 1 2 3, nonsense 4\"" },
    { ".reg .b32 %r<8>;", QN_INVALID, "t.ptx:9:11", "the scope has a '%r' already in \".reg .b32 %r<8>;\"" },
    { ".reg .b32 x, x;", QN_INVALID, "t.ptx:9:14", "the scope has a 'x' already in \".reg .b32 x, x;\"" },
    { ".reg .v2 .b32 x;", QN_UNSUPPORTED, "t.ptx:9:6",
      "vector registers are not supported in \".reg .v2 .b32 x;\"" },
    { ".reg .b128 x;", QN_UNSUPPORTED, "t.ptx:9:6",
      "registers of more than 64 bits are not supported in \".reg .b128 x;\"" },
    { ".reg .rn x;", QN_INVALID, "t.ptx:9:6", "expected a type, found '.rn' in \".reg .rn x;\"" },
  };
  CHECK_BODIES(mistakes);
}

Test(ptx_errors, instructions) {
  static const mistake mistakes[] = {
    { "  frobnicate.b32 %r0, %r1;", QN_UNSUPPORTED, "t.ptx:9:3",
      "the opcode 'frobnicate' is not known in \"frobnicate.b32 %r0, %r1;\"" },
    { "add.s16 %h0, %h1, %h2;", QN_UNSUPPORTED, "t.ptx:9:4",
      "'add' does not take '.s16' in \"add.s16 %h0, %h1, %h2;\"" },
    { "add.s3 %h0, %h1, %h2;", QN_UNSUPPORTED, "t.ptx:9:4",
      "'add' does not take '.s3' in \"add.s3 %h0, %h1, %h2;\"" },
    { "flaky;", QN_UNSUPPORTED, "t.ptx:9:1", "no flaky today in \"flaky;\"" },
    { "add.s32 %r0, %r1;", QN_INVALID, "t.ptx:9:1",
      "'add' takes 3 operands, found 2 in \"add.s32 %r0, %r1;\"" },
    { "setp.eq.s32 %p0, %r0;", QN_INVALID, "t.ptx:9:1",
      "'setp' takes 3 to 4 operands, found 2 in \"setp.eq.s32 %p0, %r0;\"" },
    { "nop 1,2,3,4,5,6,7,8,9;", QN_INVALID, "t.ptx:9:21",
      "an instruction has at most 8 operands in \"nop 1,2,3,4,5,6,7,8,9;\"" },
    { "add.s32 1, %r0, %r1;", QN_INVALID, "t.ptx:9:1",
      "a result of 'add' is no register in \"add.s32 1, %r0, %r1;\"" },
    { "setp.eq.s32 !%p0, %r0, %r1;", QN_INVALID, "t.ptx:9:1",
      "a result of 'setp' is no register in \"setp.eq.s32 !%p0, %r0, %r1;\"" },
    { "add.s32 %r0, %r1, %r2", QN_INVALID, "t.ptx:10:1", "expected ';', found '}' in \"}\"" },
    { "add.s32 %r0,, %r2;", QN_INVALID, "t.ptx:9:13",
      "expected a constant, found ',' in \"add.s32 %r0,, %r2;\"" },
    { "@%r0 ret;", QN_INVALID, "t.ptx:9:2",
      "'%r0' guards an instruction but is no predicate in \"@%r0 ret;\"" },
    { "@%q ret;", QN_INVALID, "t.ptx:9:2", "there is no register '%q' here in \"@%q ret;\"" },
    { "@%p1 { ret; }", QN_INVALID, "t.ptx:9:6", "expected an instruction, found '{' in \"@%p1 { ret; }\"" },
    { "@%p1 .reg .b32 x;", QN_INVALID, "t.ptx:9:6",
      "expected an instruction, found '.reg' in \"@%p1 .reg .b32 x;\"" },
  };
  CHECK_BODIES(mistakes);
}

Test(ptx_errors, operands) {
  static const mistake mistakes[] = {
    { "mov.b32 %r0, %r8;", QN_INVALID, "t.ptx:9:14",
      "there is no register '%r8' here in \"mov.b32 %r0, %r8;\"" },
    { "mov.b32 %r0, %r01;", QN_INVALID, "t.ptx:9:14",
      "there is no register '%r01' here in \"mov.b32 %r0, %r01;\"" },
    { "{ .reg .b32 t; }\nmov.b32 %r0, t;", QN_INVALID, "t.ptx:10:14",
      "there is no variable 't' here in \"mov.b32 %r0, t;\"" },
    { "mov.b32 %r0, %tid.w;", QN_UNSUPPORTED, "t.ptx:9:14",
      "there is no register '%tid.w' here in \"mov.b32 %r0, %tid.w;\"" },
    { "mov.b32 %r0, %r1.x;", QN_UNSUPPORTED, "t.ptx:9:17",
      "elements of vector registers are not read in \"mov.b32 %r0, %r1.x;\"" },
    { "mov.b32 %r0, !%r1;", QN_INVALID, "t.ptx:9:14",
      "'!' stands before a predicate register only in \"mov.b32 %r0, !%r1;\"" },
    { "mov.b64 %d0, k;", QN_UNSUPPORTED, "t.ptx:9:14",
      "the address of a function is not supported in \"mov.b64 %d0, k;\"" },
    { "mov.b64 %d0, {%r0, %r1;", QN_INVALID, "t.ptx:9:23",
      "expected '}', found ';' in \"mov.b64 %d0, {%r0, %r1;\"" },
    { "ld.b32 %r0, [%p0];", QN_INVALID, "t.ptx:9:14",
      "an address begins with a register of 32 or 64 bits, a variable or a number in \"ld.b32 %r0, [%p0];\"" },
    { "ld.b32 %r0, [%tid.x];", QN_INVALID, "t.ptx:9:14",
      "an address begins with a register of 32 or 64 bits, a variable or a number in \"ld.b32 %r0, "
      "[%tid.x];\"" },
    { "ld.b32 %r0, [%d0 + %r1];", QN_INVALID, "t.ptx:9:20",
      "expected a constant, found '%r1' in \"ld.b32 %r0, [%d0 + %r1];\"" },
    { "ld.b32 %r0, [%d0;", QN_INVALID, "t.ptx:9:17", "expected ']', found ';' in \"ld.b32 %r0, [%d0;\"" },
    { "mov.b32 %r0, 0f3F80;", QN_INVALID, "t.ptx:9:14",
      "expected a constant, found a number 0f of other than 8 hexadecimal digits in \"mov.b32 %r0, 0f3F80;\"" },
    { "mov.b64 %d0, 0d3FF000000000000G;", QN_INVALID, "t.ptx:9:14",
      "expected a constant, found a number 0d of other than 16 hexadecimal digits in "
      "\"mov.b64 %d0, 0d3FF000000000000G;\"" },
    { "mov.b32 %r0, 12ab;", QN_INVALID, "t.ptx:9:14",
      "expected a constant, found a number that is none, or needs more than 64 bits in \"mov.b32 %r0, "
      "12ab;\"" },
    { "mov.b32 %r0, 08;", QN_INVALID, "t.ptx:9:14",
      "expected a constant, found a number that is none, or needs more than 64 bits in \"mov.b32 %r0, 08;\"" },
    { "mov.b32 %r0, 0x;", QN_INVALID, "t.ptx:9:14",
      "expected a constant, found a number that is none, or needs more than 64 bits in \"mov.b32 %r0, 0x;\"" },
    { "mov.b64 %d0, 18446744073709551616;", QN_INVALID, "t.ptx:9:14",
      "expected a constant, found a number that is none, or needs more than 64 bits in "
      "\"mov.b64 %d0, 18446744073709551616;\"" },
    { "mov.b32 %r0, #;", QN_INVALID, "t.ptx:9:14",
      "expected a constant, found a character that PTX does not have in \"mov.b32 %r0, #;\"" },
    { "mov.b32 %r0, 1 + ;", QN_INVALID, "t.ptx:9:18",
      "expected a constant, found ';' in \"mov.b32 %r0, 1 + ;\"" },
  };
  CHECK_BODIES(mistakes);
}

Test(ptx_errors, calls) {
  static const mistake mistakes[] = {
    { "call f;", QN_INVALID, "t.ptx:9:6", "there is no function 'f' here in \"call f;\"" },
    { "call %d0, ();", QN_UNSUPPORTED, "t.ptx:9:6",
      "a call through a register is not supported in \"call %d0, ();\"" },
    { "call (%r0), k, ();", QN_UNSUPPORTED, "t.ptx:9:7",
      "a call takes and gives .param variables only in \"call (%r0), k, ();\"" },
    { "{ .param .b64 a, b; call k, (a, b); }", QN_INVALID, "t.ptx:9:21",
      "the call gives other arguments than the function takes in \"{ .param .b64 a, b; call k, (a, b); }\"" },
    { "call k;", QN_INVALID, "t.ptx:9:1",
      "the call gives other arguments than the function takes in \"call k;\"" },
    { "{ .param .b64 a; .param .b32 b; call (a), k, (a, b); }", QN_INVALID, "t.ptx:9:33",
      "the call takes other results than the function gives in "
      "\"{ .param .b64 a; .param .b32 b; call (a), k, (a, b); }\"" },
    { "call k, (p+4, n);", QN_UNSUPPORTED, "t.ptx:9:10",
      "a call takes and gives .param variables only in \"call k, (p+4, n);\"" },
  };
  CHECK_BODIES(mistakes);
}

Test(ptx_errors, a_long_line_is_cut_and_the_place_may_be_absent) {
  qn_context *context = make_context();
  char body[400] = "frob ";
  memset(body + 5, 'x', 300);
  char *text = wrap_body(body);
  qn_ptx_program *program;
  cr_expect_eq(qn_ptx_read_with(context, &test_rows, text, strlen(text), NULL, &program), QN_UNSUPPORTED);
  const qn_error *error = qn_context_get_error(context);
  cr_expect_str_eq(error->place, "ptx:9:1");
  cr_expect_eq(strlen(error->message), strlen("the opcode 'frob' is not known in \"...\"") + 100);
  free(text);
  qn_context_destroy(context);
}
