// Shared by the tests of the PTX reader: rows of opcodes that stand for themselves, and reading with them.
#ifndef QUENCH_TESTS_PTX_TEST_H
#define QUENCH_TESTS_PTX_TEST_H

#include "runtime/emulator/program_priv.h"

#include <criterion/criterion.h>

// Opcodes of the reader's own tests, so that these say nothing about what the machine implements:
//   add    one result, 2 sources; takes .s32 .u64 .f32
//   mov    one result, 1 source; takes every token
//   ld st setp red mma ret nop bra brx call: as in PTX, every token
//   flaky  binds never: "no flaky today"
extern const qn_ptx_row_set test_rows;

qn_context *make_context(void);
// Status of reading a text; the program, if any, is destroyed.
qn_status try_text(qn_context *context, const char *text, size_t length);
// A text that must be well formed.
qn_ptx_program *read_module(qn_context *context, const char *text);
// The same, of statements in a kernel `k` with the parameters p (.u64) and n (.u32), registers %p<4>, %h<4>
// (.b16), %r<8>, %f<4> and %d<4> (.b64). Line 1 of `body` is line 9.
qn_ptx_program *read_body(qn_context *context, const char *body);
char *wrap_body(const char *body); // to be freed
// Destroys both.
void done(qn_context *context, qn_ptx_program *program);

#endif
