// Branches, calls, barriers, special registers, clusters.
#include "tests/device/device_test.h"

#include <stdio.h>

enum { LANES = 32 };

static uint32_t out[1024], nothing[1];

static void expect(const device_kernel *kernel, const uint32_t *expected, uint32_t count) {
  device_run(kernel, nothing, sizeof nothing, out, count * sizeof(uint32_t));
  for (uint32_t i = 0; i < count; i++)
    cr_assert_eq(out[i], expected[i], "word %u is 0x%x, not 0x%x\n%s", i, out[i], expected[i], kernel->body);
}

// --- branches ----------------------------------------------------------------------------------------------

Test(control, lanes_part_and_meet) {
  uint32_t expected[LANES];
  for (uint32_t i = 0; i < LANES; i++) expected[i] = (i & 1 ? 300 : 100) + (i < 10 ? 1 : 2) + i;
  expect(device_kernel(.body = ".reg .pred %p, %q; .reg .b32 %x, %y;\n"
                               "and.b32 %y, %thread, 1;\n"
                               "setp.eq.u32 %p, %y, 1;\n"
                               "setp.lt.u32 %q, %thread, 10;\n"
                               "mov.u32 %x, 100;\n"
                               "@!%p bra EVEN;\n"
                               "mov.u32 %x, 300;\n"
                               "EVEN:\n"
                               "@%q bra LOW;\n"
                               "add.u32 %x, %x, 2;\n"
                               "bra.uni END;\n"
                               "LOW: add.u32 %x, %x, 1;\n"
                               "END: add.u32 %x, %x, %thread;\n"
                               "st.global.u32 [%dst], %x;"),
         expected, LANES);
}

Test(control, loops_of_different_lengths) {
  uint32_t expected[LANES];
  for (uint32_t i = 0; i < LANES; i++) expected[i] = i * (i + 1) / 2;
  expect(device_kernel(.body = ".reg .pred %p; .reg .b32 %x, %n;\n"
                               "mov.u32 %x, 0;\n"
                               "mov.u32 %n, %thread;\n"
                               "NEXT: setp.eq.u32 %p, %n, 0;\n"
                               "@%p bra END;\n"
                               "add.u32 %x, %x, %n;\n"
                               "sub.u32 %n, %n, 1;\n"
                               "bra NEXT;\n"
                               "END: st.global.u32 [%dst], %x;"),
         expected, LANES);
}

Test(control, a_table_of_targets) {
  uint32_t expected[LANES];
  for (uint32_t i = 0; i < LANES; i++) expected[i] = 10 * (i % 3 + 1) + i;
  expect(device_kernel(.body = ".reg .b32 %x, %i;\n"
                               "rem.u32 %i, %thread, 3;\n"
                               "LIST: .branchtargets A, B, C;\n"
                               "brx.idx %i, LIST;\n"
                               "A: mov.u32 %x, 10; bra END;\n"
                               "B: mov.u32 %x, 20; bra END;\n"
                               "C: mov.u32 %x, 30;\n"
                               "END: add.u32 %x, %x, %thread;\n"
                               "st.global.u32 [%dst], %x;"),
         expected, LANES);
}

Test(control, lanes_that_exit) {
  uint32_t expected[LANES];
  for (uint32_t i = 0; i < LANES; i++) expected[i] = i < 20 ? i : 0xEEEEEEEE;
  expect(device_kernel(.body = ".reg .pred %p;\n"
                               "setp.ge.u32 %p, %thread, 20;\n"
                               "@%p exit;\n"
                               "bar.warp.sync 0x000fffff;\n"
                               "st.global.u32 [%dst], %thread;"),
         expected, LANES);
}

// --- calls -------------------------------------------------------------------------------------------------

Test(control, a_function_with_results) {
  uint32_t expected[LANES];
  for (uint32_t i = 0; i < LANES; i++) expected[i] = i % 2 ? 3 * i + 7 : i;
  expect(device_kernel(.module = ".func (.param .b32 r) triple(.param .b32 a, .param .b32 b) {\n"
                                 ".reg .b32 %x, %y;\n"
                                 "ld.param.u32 %x, [a]; ld.param.u32 %y, [b];\n"
                                 "mad.lo.u32 %x, %x, 3, %y;\n"
                                 "st.param.b32 [r], %x;\n"
                                 "ret; }",
                       .body = ".reg .b32 %x, %y; .reg .pred %p;\n"
                               "mov.u32 %x, %thread;\n"
                               "and.b32 %y, %thread, 1;\n"
                               "setp.eq.u32 %p, %y, 0;\n"
                               "@%p bra END;\n"
                               "{ .param .b32 a, b, r;\n"
                               "st.param.b32 [a], %x; st.param.b32 [b], 7;\n"
                               "call.uni (r), triple, (a, b);\n"
                               "ld.param.b32 %x, [r]; }\n"
                               "END: st.global.u32 [%dst], %x;"),
         expected, LANES);
}

Test(control, lanes_that_call_from_different_places) {
  uint32_t expected[LANES];
  for (uint32_t i = 0; i < LANES; i++) expected[i] = i < 16 ? 2 * i + 1 : 4 * i;
  expect(device_kernel(.module = ".func (.param .b32 r) twice(.param .b32 a) {\n"
                                 ".reg .b32 %x;\n"
                                 "ld.param.u32 %x, [a]; add.u32 %x, %x, %x; st.param.b32 [r], %x; ret; }\n"
                                 ".func (.param .b32 r) four(.param .b32 a) {\n"
                                 ".reg .b32 %x; .param .b32 p, q;\n"
                                 "ld.param.u32 %x, [a]; st.param.b32 [p], %x;\n"
                                 "call (q), twice, (p);\n"
                                 "ld.param.u32 %x, [q]; st.param.b32 [p], %x;\n"
                                 "call (q), twice, (p);\n"
                                 "ld.param.u32 %x, [q]; st.param.b32 [r], %x; ret; }",
                       .body = ".reg .b32 %x; .reg .pred %p; .param .b32 a, r;\n"
                               "setp.lt.u32 %p, %thread, 16;\n"
                               "st.param.b32 [a], %thread;\n"
                               "@%p bra LOW;\n"
                               "call (r), four, (a);\n"
                               "ld.param.b32 %x, [r];\n"
                               "bra END;\n"
                               "LOW: call (r), twice, (a);\n"
                               "ld.param.b32 %x, [r];\n"
                               "add.u32 %x, %x, 1;\n"
                               "END: st.global.u32 [%dst], %x;"),
         expected, LANES);
}

// --- special registers -------------------------------------------------------------------------------------

static void expect_special(const char *text, const uint32_t *expected, uint32_t threads) {
  char body[256];
  snprintf(body, sizeof body, ".reg .b32 %%x;\nmov.u32 %%x, %s;\nst.global.u32 [%%dst], %%x;", text);
  expect(device_kernel(.body = body, .threads = threads), expected, threads);
}

Test(special, of_threads_and_lanes) {
  uint32_t lane[64], mask_lt[64], mask_le[64], mask_ge[64], mask_gt[64], mask_eq[64], count[64], one[64];
  for (uint32_t i = 0; i < 64; i++) {
    lane[i] = i % 32;
    mask_eq[i] = 1u << lane[i];
    mask_lt[i] = mask_eq[i] - 1;
    mask_le[i] = mask_lt[i] | mask_eq[i];
    mask_ge[i] = ~mask_lt[i];
    mask_gt[i] = ~mask_le[i];
    count[i] = 64;
    one[i] = 1;
  }
  expect_special("%laneid", lane, 64);
  expect_special("%lanemask_eq", mask_eq, 64);
  expect_special("%lanemask_lt", mask_lt, 64);
  expect_special("%lanemask_le", mask_le, 64);
  expect_special("%lanemask_ge", mask_ge, 64);
  expect_special("%lanemask_gt", mask_gt, 64);
  expect_special("%ntid.x", count, 64);
  expect_special("%ntid.y", one, 64);
  expect_special("%nctaid.x", one, 64);
}

Test(special, clocks_do_not_run_back) {
  const uint32_t one[LANES] = { [0] = 1 };
  expect(device_kernel(.body = ".reg .b64 %a, %b; .reg .pred %p; .reg .b32 %x;\n"
                               "mov.u64 %a, %clock64;\n"
                               "mov.u64 %b, %clock64;\n"
                               "setp.ge.u64 %p, %b, %a;\n"
                               "selp.u32 %x, 1, 0, %p;\n"
                               "st.global.u32 [%dst], %x;",
                       .threads = 1),
         one, 1);
}

Test(special, blocks) {
  uint32_t expected[6];
  for (uint32_t i = 0; i < 6; i++) expected[i] = i * 100 + 6;
  expect(device_kernel(.body = ".reg .b32 %b, %n; .reg .b64 %a;\n"
                               "mov.u32 %b, %ctaid.x;\n"
                               "mov.u32 %n, %nctaid.x;\n"
                               "mul.wide.u32 %a, %b, 4;\n"
                               "add.u64 %a, %out, %a;\n"
                               "mad.lo.u32 %n, %b, 100, %n;\n"
                               "st.global.u32 [%a], %n;",
                       .blocks = 6, .threads = 1),
         expected, 6);
}

// --- barriers ----------------------------------------------------------------------------------------------

#define OWN_WORD "shl.b32 %i, %thread, 2; mov.u32 %a, buf; add.u32 %a, %a, %i;\n"

Test(barriers, words_go_from_warp_to_warp) {
  uint32_t expected[128];
  for (uint32_t i = 0; i < 128; i++) expected[i] = 127 - i;
  expect(device_kernel(.module = ".shared .align 4 .b8 buf[512];", .threads = 128,
                       .body = ".reg .b32 %a, %i, %x;\n" OWN_WORD "st.shared.u32 [%a], %thread;\n"
                               "bar.sync 0;\n"
                               "sub.u32 %i, 508, %i; mov.u32 %a, buf; add.u32 %a, %a, %i;\n"
                               "ld.shared.u32 %x, [%a];\n"
                               "st.global.u32 [%dst], %x;"),
         expected, 128);
}

Test(barriers, a_maker_and_a_taker) {
  // Warp 0 fills and warp 1 empties, in turns, at two barriers.
  uint32_t expected[64];
  for (uint32_t i = 0; i < 64; i++) expected[i] = i < 32 ? 0xEEEEEEEE : (i - 32) * 3 + 3;
  expect(device_kernel(.module = ".shared .align 4 .b8 buf[512];", .threads = 64,
                       .body =
                           ".reg .b32 %a, %i, %x, %n, %sum; .reg .pred %p, %q;\n"
                           "and.b32 %i, %thread, 31; shl.b32 %i, %i, 2; mov.u32 %a, buf; add.u32 %a, %a, %i;\n"
                           "mov.u32 %n, 0; mov.u32 %sum, 0;\n"
                           "setp.ge.u32 %p, %thread, 32;\n"
                           "@%p bra TAKE;\n"
                           "MAKE: barrier.sync 2, 64;\n"
                           "add.u32 %x, %thread, %n;\n"
                           "st.shared.u32 [%a], %x;\n"
                           "barrier.arrive 1, 64;\n"
                           "add.u32 %n, %n, 1; setp.lt.u32 %q, %n, 3; @%q bra MAKE;\n"
                           "bra END;\n"
                           "TAKE: barrier.arrive 2, 64;\n"
                           "barrier.sync 1, 64;\n"
                           "ld.shared.u32 %x, [%a];\n"
                           "add.u32 %sum, %sum, %x;\n"
                           "add.u32 %n, %n, 1; setp.lt.u32 %q, %n, 3; @%q bra TAKE;\n"
                           "st.global.u32 [%dst], %sum;\n"
                           "END:"),
         expected, 64);
}

Test(barriers, votes) {
  uint32_t expected[96];
  for (uint32_t i = 0; i < 96; i++) expected[i] = 50 * 4 + 2 + 0;
  expect(device_kernel(.threads = 96, .body = ".reg .b32 %n, %x; .reg .pred %p, %a, %o;\n"
                                              "setp.lt.u32 %p, %thread, 50;\n"
                                              "bar.red.popc.u32 %n, 0, %p;\n"
                                              "bar.red.or.pred %o, 0, %p;\n"
                                              "bar.red.and.pred %a, 0, %p;\n"
                                              "shl.b32 %n, %n, 2;\n"
                                              "selp.u32 %x, 2, 0, %o; or.b32 %n, %n, %x;\n"
                                              "selp.u32 %x, 1, 0, %a; or.b32 %n, %n, %x;\n"
                                              "st.global.u32 [%dst], %n;"),
         expected, 96);
}

Test(barriers, votes_of_the_other_sign) {
  uint32_t expected[64];
  for (uint32_t i = 0; i < 64; i++) expected[i] = 63;
  expect(device_kernel(.threads = 64, .body = ".reg .b32 %n; .reg .pred %p;\n"
                                              "setp.eq.u32 %p, %thread, 5;\n"
                                              "barrier.red.popc.aligned.u32 %n, 1, 64, !%p;\n"
                                              "st.global.u32 [%dst], %n;"),
         expected, 64);
}

Test(barriers, fences_and_naps_are_taken) {
  const uint32_t one[1] = { 1 };
  expect(device_kernel(.threads = 1, .body =
                                         "membar.cta; membar.gl; membar.sys; fence.acq_rel.gpu; fence.sc.cta;\n"
                                         "nanosleep.u32 20;\n"
                                         "st.global.u32 [%dst], 1;"),
         one, 1);
}

// --- clusters ----------------------------------------------------------------------------------------------

Test(cluster, blocks_reach_one_another) {
  // Each of two blocks writes into the other's shared memory.
  const uint32_t expected[] = { 11, 10 };
  expect(device_kernel(.target = "sm_90a", .blocks = 2, .threads = 1,
                       .directives = ".reqnctapercluster 2, 1, 1", .module = ".shared .align 4 .b8 buf[16];",
                       .body = ".reg .b32 %rank, %other, %a, %x; .reg .b64 %p;\n"
                               "mov.u32 %rank, %cluster_ctarank;\n"
                               "xor.b32 %other, %rank, 1;\n"
                               "barrier.cluster.arrive.aligned; barrier.cluster.wait.aligned;\n"
                               "mov.u32 %a, buf;\n"
                               "mapa.shared::cluster.u32 %a, %a, %other;\n"
                               "add.u32 %x, %rank, 10;\n"
                               "st.shared::cluster.u32 [%a], %x;\n"
                               "barrier.cluster.arrive.release.aligned; barrier.cluster.wait.acquire.aligned;\n"
                               "ld.shared.u32 %x, [buf];\n"
                               "mul.wide.u32 %p, %rank, 4; add.u64 %p, %out, %p;\n"
                               "st.global.u32 [%p], %x;"),
         expected, 2);
}

Test(cluster, ranks_of_addresses) {
  const uint32_t expected[] = { 1, 0 };
  expect(device_kernel(.target = "sm_90a", .blocks = 2, .threads = 1,
                       .directives = ".reqnctapercluster 2, 1, 1", .module = ".shared .align 4 .b8 buf[16];",
                       .body = ".reg .b32 %rank, %other, %x; .reg .b64 %p, %g;\n"
                               "mov.u32 %rank, %cluster_ctarank;\n"
                               "xor.b32 %other, %rank, 1;\n"
                               "mov.u64 %g, buf; cvta.shared.u64 %g, %g;\n"
                               "mapa.u64 %g, %g, %other;\n"
                               "getctarank.u64 %x, %g;\n"
                               "mul.wide.u32 %p, %rank, 4; add.u64 %p, %out, %p;\n"
                               "st.global.u32 [%p], %x;"),
         expected, 2);
}
