// cp.async: sizes, sources that are shorter, groups.
#include "tests/device/device_test.h"

#include <stdio.h>
#include <string.h>

enum { THREADS = 64, BYTES = 16 };

static uint8_t in[THREADS * BYTES], out[THREADS * BYTES], expected[THREADS * BYTES];

static void fill_in(void) {
  uint64_t state = 11;
  for (size_t i = 0; i < sizeof in; i++) in[i] = (uint8_t)device_random(&state);
  memset(expected, 0xEE, sizeof expected);
}

TestSuite(copy, .init = fill_in);

#define BEGIN                                                                                                  \
  ".reg .b32 %a, %i, %n, %x<4>; .reg .pred %p;\n"                                                              \
  "mul.lo.u32 %i, %thread, 16; mov.u32 %a, buf; add.u32 %a, %a, %i;\n"
#define END                                                                                                    \
  "ld.shared.v4.u32 {%x0, %x1, %x2, %x3}, [%a];\n"                                                             \
  "st.global.v4.u32 [%dst], {%x0, %x1, %x2, %x3};"

static void expect(const char *body) {
  device_run(device_kernel(.module = ".shared .align 16 .b8 buf[2048];", .body = body, .threads = THREADS,
                           .in_stride = BYTES, .out_stride = BYTES),
             in, sizeof in, out, sizeof out);
  for (size_t i = 0; i < sizeof out; i++)
    cr_assert_eq(out[i], expected[i], "byte %zu is 0x%x, not 0x%x\n%s", i, out[i], expected[i], body);
}

Test(copy, of_every_size) {
  memcpy(expected, in, sizeof in);
  expect(BEGIN "cp.async.cg.shared.global [%a], [%src], 16;\n"
               "cp.async.wait_all;\n" END);
  expect(BEGIN "cp.async.ca.shared.global.L2::128B [%a], [%src], 16;\n"
               "cp.async.commit_group; cp.async.wait_group 0;\n" END);
  expect(BEGIN "cp.async.ca.shared.global [%a], [%src], 8;\n"
               "cp.async.ca.shared.global [%a+8], [%src+8], 8;\n"
               "cp.async.wait_all;\n" END);
  expect(BEGIN
         "cp.async.ca.shared.global [%a], [%src], 4; cp.async.ca.shared.global [%a+4], [%src+4], 4;\n"
         "cp.async.ca.shared.global [%a+8], [%src+8], 4; cp.async.ca.shared.global [%a+12], [%src+12], 4;\n"
         "cp.async.wait_all;\n" END);
}

Test(copy, of_a_shorter_source) {
  // Thread t copies t % 17 bytes; zeros follow.
  memset(expected, 0, sizeof expected);
  for (uint32_t i = 0; i < THREADS; i++) memcpy(expected + i * BYTES, in + i * BYTES, i % 17);
  expect(BEGIN "rem.u32 %n, %thread, 17;\n"
               "cp.async.cg.shared.global [%a], [%src], 16, %n;\n"
               "cp.async.wait_all;\n" END);
}

Test(copy, that_ignores_its_source) {
  memset(expected, 0, sizeof expected);
  for (uint32_t i = 0; i < THREADS; i++)
    if (i >= 9) memcpy(expected + i * BYTES, in + i * BYTES, BYTES);
  expect(BEGIN "setp.lt.u32 %p, %thread, 9;\n"
               "cp.async.cg.shared.global [%a], [%src], 16, %p;\n"
               "cp.async.wait_all;\n" END);
}

Test(copy, that_reads_nothing_may_have_any_source) {
  memset(expected, 0, sizeof expected);
  expect(BEGIN "cp.async.cg.shared.global [%a], [%src], 16, 0;\n"
               "cp.async.wait_all;\n" END);
}

Test(copy, groups_are_waited_for_in_order) {
  memcpy(expected, in, sizeof in);
  // Two groups are under way; the first is waited for alone, then the second.
  expect(BEGIN "cp.async.ca.shared.global [%a], [%src], 8;\n"
               "cp.async.commit_group;\n"
               "cp.async.ca.shared.global [%a+8], [%src+8], 8;\n"
               "cp.async.commit_group;\n"
               "cp.async.wait_group 1;\n"
               "ld.shared.v2.u32 {%x0, %x1}, [%a];\n"
               "cp.async.wait_group 0;\n"
               "ld.shared.v2.u32 {%x2, %x3}, [%a+8];\n"
               "st.global.v4.u32 [%dst], {%x0, %x1, %x2, %x3};");
}

Test(copy, others_see_it_behind_a_barrier) {
  for (uint32_t i = 0; i < THREADS; i++) memcpy(expected + i * BYTES, in + (THREADS - 1 - i) * BYTES, BYTES);
  expect(BEGIN "cp.async.cg.shared.global [%a], [%src], 16;\n"
               "cp.async.wait_all;\n"
               "bar.sync 0;\n"
               "sub.u32 %i, 1008, %i; mov.u32 %a, buf; add.u32 %a, %a, %i;\n" END);
}

Test(copy, a_pipeline_of_two_stages) {
  // Eight tiles of 64 bytes: each thread of one warp sums its words of all tiles.
  static uint32_t words[THREADS * 4], sums[16], wanted[16];
  for (uint32_t i = 0; i < 128; i++) {
    words[i] = i * i + 1;
    wanted[i % 16] += words[i];
  }
  device_run(device_kernel(.module = ".shared .align 16 .b8 buf[128];", .threads = 16,
                           .body = ".reg .b32 %a, %b, %i, %n, %sum, %x; .reg .b64 %s; .reg .pred %p, %q;\n"
                                   "setp.lt.u32 %p, %thread, 4;\n"
                                   "mul.wide.u32 %s, %thread, 16; add.u64 %s, %in, %s;\n"
                                   "mov.u32 %a, buf; mad.lo.u32 %a, %thread, 16, %a;\n"
                                   "mov.u32 %b, buf; mad.lo.u32 %b, %thread, 4, %b;\n"
                                   "mov.u32 %sum, 0; mov.u32 %n, 0;\n"
                                   "@%p cp.async.cg.shared.global [%a], [%s], 16;\n"
                                   "cp.async.commit_group;\n"
                                   "NEXT: xor.b32 %a, %a, 64; add.u64 %s, %s, 64;\n"
                                   "setp.lt.and.u32 %q, %n, 7, %p;\n"
                                   "@%q cp.async.cg.shared.global [%a], [%s], 16;\n"
                                   "cp.async.commit_group;\n"
                                   "cp.async.wait_group 1;\n"
                                   "bar.sync 0;\n"
                                   "ld.shared.u32 %x, [%b];\n"
                                   "add.u32 %sum, %sum, %x;\n"
                                   "xor.b32 %b, %b, 64;\n"
                                   "bar.sync 0;\n"
                                   "add.u32 %n, %n, 1; setp.lt.u32 %q, %n, 8;\n"
                                   "@%q bra NEXT;\n"
                                   "st.global.u32 [%dst], %sum;"),
             words, sizeof words, sums, sizeof sums);
  cr_assert_arr_eq(sums, wanted, sizeof sums);
}
