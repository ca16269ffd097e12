// A text with every construct: cut at every byte, with any byte changed, and read while memory runs out. Each
// time the reader answers, and nothing is lost.
#include "ptx_test.h"

#include <stdlib.h>

static const char text[] =
    "// a kernel\n.version 8.6\n.target sm_90a, debug\n.address_size 64\n.file 2 \"a.cu\", 1, 2\n"
    ".extern .shared .align 16 .b8 dyn[];\n.global .align 4 .b8 str[] = {104, 105, 0};\n"
    ".const .f32 table[4] = {0f3F800000, -1.5};\n.extern .global .u32 later;\n.global .u32 later = 0x10;\n"
    ".func (.param .b32 r) f(.param .align 8 .b8 a[16]);\n"
    ".visible .entry k(.param .u64 .ptr .align 4 p, .param .u32 n)\n.maxntid 64, 1, 1 .pragma \"x\";\n{\n"
    "\t.reg .pred %p<3>;\n\t.reg .b32 %r<9>, %q1<4>;\n\t.reg .b64 %rd<3>;\n\t.local .align 8 .b8 depot[64];\n"
    "\t.loc 2 5 3, function_name $L__info+4, inlined_at 2 8 1\n\tmov.u64 %rd0, depot+4;\n"
    "$L1:\n\t@!%p1 bra.uni $L2;\n\tld.global.nc.v4.b32 {%r0, %r1, _, %q13}, [%rd0+-16]; /* four */\n"
    "\t{\n\t.reg .b32 %r0; .param .b32 res; .param .align 8 .b8 arg[16];\n\tmov.u32 %r0, %ctaid.x;\n"
    "\tst.param.b32 [arg+4], %r0;\n\tcall.uni (res), f, (arg);\n\tld.param.b32 %r0, [res];\n\t}\n"
    "T: .branchtargets $L1, $L2;\n\tbrx.idx %r1, T;\n\tsetp.eq.s32 %p0|%p1, %r1, -(1+2)*3, !%p2;\n"
    "$L2:\n\tret;\n}\n"
    ".func (.param .b32 r) f(.param .align 8 .b8 a[16]) .noreturn { .reg .f64 x; mov.f64 x, "
    "0d3FF0000000000000; mov.f64 x, 2.5e-1; ret; }\n.section .debug_x { .b8 1 }\n";

Test(ptx_memory, cut_at_every_byte) {
  qn_context *context = make_context();
  size_t whole = strlen(text);
  cr_assert_eq(try_text(context, text, whole), QN_OK, "%s", qn_context_get_error(context)->message);
  for (size_t length = 0; length < whole; length++) {
    // A copy of exactly that length, so that a sanitizer sees a byte that is read too far.
    char *cut = malloc(length ? length : 1);
    cr_assert_not_null(cut);
    memcpy(cut, text, length);
    if (try_text(context, cut, length) != QN_OK)
      cr_expect_neq(qn_context_get_error(context)->message[0], 0, "a refusal without words");
    free(cut);
  }
  qn_context_destroy(context);
}

Test(ptx_memory, any_byte_changed) {
  qn_context *context = make_context();
  size_t whole = strlen(text);
  char *copy = malloc(whole + 1);
  cr_assert_not_null(copy);
  static const char bytes[] = { 0, '}', '{', '"', '.', '9', ';', '%', '(', '\xff' };
  for (size_t i = 0; i < whole; i++)
    for (size_t k = 0; k < sizeof bytes; k++) {
      memcpy(copy, text, whole);
      copy[i] = bytes[k];
      qn_status status = try_text(context, copy, whole);
      cr_expect(status == QN_OK || status == QN_INVALID || status == QN_UNSUPPORTED || status == QN_LIMIT);
    }
  free(copy);
  qn_context_destroy(context);
}

typedef struct budget {
  long left; // allocations until one fails; the later ones succeed again
  long live; // bytes given out
} budget;

static void *limited_realloc(void *user, void *ptr, size_t old_size, size_t new_size) {
  budget *b = user;
  if (new_size != 0 && b->left-- == 0) return NULL;
  b->live += (long)new_size - (long)old_size;
  if (new_size != 0) return realloc(ptr, new_size);
  free(ptr);
  return NULL;
}

Test(ptx_memory, every_allocation_may_fail) {
  for (long allocations = 0;; allocations++) {
    cr_assert_lt(allocations, 1000);
    budget b = { .left = allocations };
    qn_allocator allocator = { .realloc = limited_realloc, .user = &b };
    qn_context *context;
    qn_status status = qn_context_create(&(qn_context_params){ .allocator = &allocator }, &context);
    if (status == QN_OK) {
      status = try_text(context, text, strlen(text));
      qn_context_destroy(context);
    }
    cr_assert_eq(b.live, 0, "%ld bytes lost after %ld allocations", b.live, allocations);
    if (status == QN_OK) {
      cr_expect_gt(allocations, 15);
      return;
    }
    cr_assert_eq(status, QN_MEMORY, "%s after %ld allocations", qn_status_name(status), allocations);
  }
}
