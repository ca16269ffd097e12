// Loads and stores of every width, vector and space; conversions of addresses.
#include "tests/device/device_test.h"

#include <stdio.h>
#include <string.h>

enum { THREADS = 32, BYTES = 32 };

static uint8_t in[THREADS * BYTES], out[THREADS * BYTES], expected[THREADS * BYTES];

static void fill_in(void) {
  uint64_t state = 7;
  for (size_t i = 0; i < sizeof in; i++) in[i] = (uint8_t)device_random(&state);
  memset(expected, 0xEE, sizeof expected);
}

static void expect(const device_kernel *kernel) {
  device_run(kernel, in, sizeof in, out, sizeof out);
  for (size_t i = 0; i < sizeof out; i++)
    cr_assert_eq(out[i], expected[i], "byte %zu is 0x%x, not 0x%x\n%s", i, out[i], expected[i], kernel->body);
}

TestSuite(access, .init = fill_in);
TestSuite(space, .init = fill_in);
TestSuite(address, .init = fill_in);

// --- widths and vectors ------------------------------------------------------------------------------------

// Copies `bytes` from each thread's place to the other buffer, by a load and a store of the same kind.
static void expect_copy(const char *reg, const char *kind, uint32_t elements, uint32_t bytes,
                        const char *target) {
  char body[1024], names[128] = "", slot[160];
  size_t length = 0;
  for (uint32_t i = 0; i < elements; i++)
    length += (size_t)snprintf(names + length, sizeof names - length, "%s%%x%u", i ? ", " : "", i);
  snprintf(slot, sizeof slot, elements > 1 ? "{%s}" : "%s", names);
  snprintf(body, sizeof body, ".reg .%s %%x<8>;\nld.global.%s %s, [%%src];\nst.global.%s [%%dst], %s;", reg,
           kind, slot, kind, slot);
  memset(expected, 0xEE, sizeof expected);
  for (uint32_t i = 0; i < THREADS; i++) memcpy(expected + i * BYTES, in + i * BYTES, bytes);
  expect(device_kernel(.body = body, .in_stride = BYTES, .out_stride = BYTES, .target = target,
                       .version = target ? "8.8" : NULL));
}

Test(access, of_every_width) {
  expect_copy("b16", "u8", 1, 1, NULL);
  expect_copy("b16", "s8", 1, 1, NULL);
  expect_copy("b32", "b8", 1, 1, NULL);
  expect_copy("b16", "u16", 1, 2, NULL);
  expect_copy("b32", "s16", 1, 2, NULL);
  expect_copy("b64", "b16", 1, 2, NULL);
  expect_copy("b32", "u32", 1, 4, NULL);
  expect_copy("f32", "f32", 1, 4, NULL);
  expect_copy("b64", "s32", 1, 4, NULL);
  expect_copy("b64", "u64", 1, 8, NULL);
  expect_copy("f64", "f64", 1, 8, NULL);
}

Test(access, of_every_vector) {
  expect_copy("b16", "v2.u8", 2, 2, NULL);
  expect_copy("b16", "v4.u8", 4, 4, NULL);
  expect_copy("b16", "v2.b16", 2, 4, NULL);
  expect_copy("b16", "v4.b16", 4, 8, NULL);
  expect_copy("b32", "v2.b32", 2, 8, NULL);
  expect_copy("f32", "v4.f32", 4, 16, NULL);
  expect_copy("b64", "v2.u64", 2, 16, NULL);
}

Test(access, of_32_bytes) {
  expect_copy("b32", "v8.b32", 8, 32, "sm_100a");
  expect_copy("b64", "v4.b64", 4, 32, "sm_100a");
}

Test(access, with_orders_and_hints) {
  static const char *const loads[] = { "ld.weak.global.u32",
                                       "ld.volatile.global.u32",
                                       "ld.relaxed.gpu.global.u32",
                                       "ld.acquire.sys.global.u32",
                                       "ld.global.nc.u32",
                                       "ld.global.ca.u32",
                                       "ld.global.cg.u32",
                                       "ld.global.cs.u32",
                                       "ld.global.L1::no_allocate.L2::128B.u32",
                                       "ldu.global.u32" };
  static const char *const stores[] = { "st.weak.global.u32",        "st.volatile.global.u32",
                                        "st.relaxed.gpu.global.u32", "st.release.cta.global.u32",
                                        "st.global.wb.u32",          "st.global.cs.u32" };
  for (uint32_t i = 0; i < THREADS; i++) memcpy(expected + i * 4, in + i * 4, 4);
  for (size_t i = 0; i < sizeof loads / sizeof *loads; i++) {
    char body[256];
    snprintf(body, sizeof body, ".reg .b32 %%x;\n%s %%x, [%%src];\n%s [%%dst], %%x;", loads[i],
             stores[i % (sizeof stores / sizeof *stores)]);
    expect(device_kernel(.body = body));
  }
}

// Narrow values are extended to the register, with their sign or with zeros.
static void expect_extended(const char *type, int64_t low, uint32_t bytes, bool is_signed) {
  char body[256];
  snprintf(body, sizeof body, ".reg .b64 %%x;\nld.global.%s %%x, [%%src];\nst.global.u64 [%%dst], %%x;", type);
  memset(expected, 0xEE, sizeof expected);
  for (uint32_t i = 0; i < THREADS; i++) {
    uint64_t value = 0;
    memcpy(&value, in + i * BYTES, bytes);
    if (is_signed && value >> (8 * bytes - 1)) value |= (uint64_t)low;
    memcpy(expected + i * 8, &value, 8);
  }
  expect(device_kernel(.body = body, .in_stride = BYTES, .out_stride = 8));
}

Test(access, extends_narrow_values) {
  expect_extended("u8", 0, 1, false);
  expect_extended("s8", -256, 1, true);
  expect_extended("u16", 0, 2, false);
  expect_extended("s16", -65536, 2, true);
  expect_extended("u32", 0, 4, false);
  expect_extended("s32", -(INT64_C(1) << 32), 4, true);
}

Test(access, extends_to_16_and_32_bits) {
  for (uint32_t i = 0; i < THREADS; i++) {
    uint32_t value = (uint16_t)(int16_t)(int8_t)in[i * BYTES];
    value |= (uint32_t)(int32_t)(int16_t)(in[i * BYTES] | in[i * BYTES + 1] << 8) << 16;
    memcpy(expected + i * 4, &value, 4);
  }
  expect(device_kernel(.in_stride = BYTES, .body = ".reg .b16 %h; .reg .b32 %x, %y;\n"
                                                   "ld.global.s8 %h, [%src];\n"
                                                   "ld.global.s16 %x, [%src];\n"
                                                   "cvt.u32.u16 %y, %h;\n"
                                                   "shl.b32 %x, %x, 16;\n"
                                                   "or.b32 %x, %x, %y;\n"
                                                   "st.global.u32 [%dst], %x;"));
}

Test(access, stores_the_low_bits) {
  for (uint32_t i = 0; i < THREADS; i++) expected[i] = in[i * BYTES];
  expect(device_kernel(.in_stride = BYTES, .out_stride = 1,
                       .body = ".reg .b64 %x;\nld.global.u64 %x, [%src];\nst.global.u8 [%dst], %x;"));
}

Test(access, leaves_elements_out) {
  for (uint32_t i = 0; i < THREADS; i++) memcpy(expected + i * 4, in + i * BYTES + 8, 4);
  expect(
      device_kernel(.in_stride = BYTES,
                    .body = ".reg .b32 %x;\nld.global.v4.u32 {_, _, %x, _}, [%src];\nst.global.u32 [%dst], %x;",
                    .version = "8.3"));
}

// --- spaces ------------------------------------------------------------------------------------------------

Test(space, constants) {
  const uint32_t table[4] = { 3, 1, 4, 1 };
  for (uint32_t i = 0; i < THREADS; i++) memcpy(expected + i * 4, &table[i % 4], 4);
  expect(device_kernel(.module = ".const .align 4 .b32 table[4] = { 3, 1, 4, 1 };",
                       .body = ".reg .b32 %x; .reg .b64 %a, %i;\n"
                               "mov.u64 %a, table;\n"
                               "and.b32 %x, %thread, 3; mul.wide.u32 %i, %x, 4; add.u64 %a, %a, %i;\n"
                               "ld.const.u32 %x, [%a];\n"
                               "st.global.u32 [%dst], %x;"));
}

Test(space, variables_of_the_module) {
  for (uint32_t i = 0; i < THREADS; i++) memcpy(expected + i * 4, &(uint32_t){ 42 + i }, 4);
  expect(device_kernel(.module = ".global .align 4 .u32 base = 42;\n.global .align 4 .b8 room[128];",
                       .body = ".reg .b32 %x, %y; .reg .b64 %a, %i;\n"
                               "ld.global.u32 %x, [base];\n"
                               "mov.u64 %a, room; mul.wide.u32 %i, %thread, 4; add.u64 %a, %a, %i;\n"
                               "ld.global.u32 %y, [%a]; add.u32 %y, %y, %thread;\n"
                               "st.global.u32 [%a], %y; ld.global.u32 %y, [%a];\n"
                               "add.u32 %x, %x, %y;\n"
                               "st.global.u32 [%dst], %x;"));
}

Test(space, local_memory_is_a_lanes_own) {
  for (uint32_t i = 0; i < THREADS; i++) memcpy(expected + i * 4, &(uint32_t){ 7 * i }, 4);
  expect(device_kernel(.body = ".local .align 8 .b8 mine[64];\n"
                               ".reg .b32 %x; .reg .b64 %a;\n"
                               "mul.lo.u32 %x, %thread, 7;\n"
                               "st.local.u32 [mine+8], %x;\n"
                               "mov.u32 %x, 0;\n"
                               "mov.u64 %a, mine; cvta.local.u64 %a, %a;\n"
                               "ld.u32 %x, [%a+8];\n"
                               "st.global.u32 [%dst], %x;"));
}

Test(space, dynamic_shared_memory) {
  for (uint32_t i = 0; i < THREADS; i++) memcpy(expected + i * 16, in + (THREADS - 1 - i) * 16, 16);
  expect(device_kernel(.module = ".shared .align 4 .b8 before[20];\n.extern .shared .align 16 .b8 dynamic[];",
                       .shared_bytes = 512, .in_stride = 16, .out_stride = 16,
                       .body = ".reg .b32 %x<4>, %a, %i; .reg .pred %p;\n"
                               "setp.eq.u32 %p, %thread, 0;\n"
                               "@%p st.shared.u32 [before+16], 0;\n"
                               "bar.warp.sync -1;\n"
                               "mul.lo.u32 %i, %thread, 16; mov.u32 %a, dynamic; add.u32 %a, %a, %i;\n"
                               "ld.global.v4.u32 {%x0, %x1, %x2, %x3}, [%src];\n"
                               "st.shared.v4.u32 [%a], {%x0, %x1, %x2, %x3};\n"
                               "bar.sync 0;\n"
                               "sub.u32 %i, 496, %i; mov.u32 %a, dynamic; add.u32 %a, %a, %i;\n"
                               "ld.shared.v4.u32 {%x0, %x1, %x2, %x3}, [%a];\n"
                               "st.global.v4.u32 [%dst], {%x0, %x1, %x2, %x3};"));
}

Test(space, parameters_by_a_register) {
  // %out itself is the second parameter.
  for (uint32_t i = 0; i < THREADS; i++) memcpy(expected + i * 4, &(uint32_t){ 1 }, 4);
  expect(device_kernel(.body = ".reg .b64 %p, %x; .reg .pred %q; .reg .b32 %y;\n"
                               "ld.param.u64 %x, [params+8];\n"
                               "setp.eq.u64 %q, %x, %out;\n"
                               "selp.u32 %y, 1, 0, %q;\n"
                               "st.global.u32 [%dst], %y;"));
}

// --- addresses ---------------------------------------------------------------------------------------------

Test(address, generic_ones_reach_every_space) {
  for (uint32_t i = 0; i < THREADS; i++) memcpy(expected + i * 4, &(uint32_t){ 3 * i }, 4);
  expect(device_kernel(.module = ".shared .align 4 .b8 buf[128];",
                       .body = ".reg .b32 %x, %a; .reg .b64 %g, %i, %s;\n"
                               "mov.u64 %g, buf; cvta.shared.u64 %g, %g;\n"
                               "mul.wide.u32 %i, %thread, 4; add.u64 %g, %g, %i;\n"
                               "mul.lo.u32 %x, %thread, 3;\n"
                               "st.u32 [%g], %x;\n"
                               "cvta.to.shared.u64 %s, %g; cvt.u32.u64 %a, %s;\n"
                               "ld.shared.u32 %x, [%a];\n"
                               "cvta.to.global.u64 %s, %dst;\n"
                               "st.global.u32 [%s], %x;"));
}

#define ASK(n)                                                                                                 \
  "isspacep.shared %p, %g" n "; selp.u32 %x, 1, 0, %p;\n"                                                      \
  "isspacep.local %p, %g" n "; selp.u32 %y, 2, 0, %p; or.b32 %x, %x, %y;\n"                                    \
  "isspacep.global %p, %g" n "; selp.u32 %y, 4, 0, %p; or.b32 %x, %x, %y;\n"
Test(address, know_their_space) {
  // Bits: shared, local, global of an address in each.
  const uint32_t bits[3] = { 1, 2, 4 };
  for (uint32_t i = 0; i < 3; i++) memcpy(expected + i * 4, &bits[i], 4);
  expect(device_kernel(.module = ".shared .align 4 .b8 buf[128];", .threads = 1,
                       .body =
                           ".local .align 4 .b8 mine[8]; .reg .b64 %g<3>; .reg .b32 %x, %y; .reg .pred %p;\n"
                           "mov.u64 %g0, buf; cvta.shared.u64 %g0, %g0;\n"
                           "mov.u64 %g1, mine; cvta.local.u64 %g1, %g1;\n"
                           "mov.u64 %g2, %in;\n" ASK("0") "st.global.u32 [%out], %x;\n" ASK(
                               "1") "st.global.u32 [%out+4], %x;\n" ASK("2") "st.global.u32 [%out+8], %x;"));
}

Test(address, hints_change_nothing) {
  for (uint32_t i = 0; i < THREADS; i++) memcpy(expected + i * 4, in + i * 4, 4);
  expect(device_kernel(.body = ".reg .b32 %x; .reg .b64 %policy;\n"
                               "prefetch.global.L2 [%src]; prefetch.L1 [%src]; prefetchu.L1 [%src];\n"
                               "createpolicy.fractional.L2::evict_last.b64 %policy, 1.0;\n"
                               "ld.global.L2::cache_hint.u32 %x, [%src], %policy;\n"
                               "st.global.L2::cache_hint.u32 [%dst], %x, %policy;"));
}
