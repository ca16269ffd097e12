// What the emulator refuses about values and addresses: each check with a kernel that violates it and its exact
// words; the same kernel mended passes.
#include "tests/emulator/machine_test.h"

#include <stdio.h>

// --- poison ------------------------------------------------------------------------------------------------

Test(strict, a_register_that_nobody_wrote) {
  MACHINE_FAILS(
      "0, lane 0, PTX line 9: register %r3 is read before it was written, in `st.global.u32 [%out], %r3;`",
      .body = "st.global.u32 [%out], %r3;", .threads = 1);
  MACHINE_PASSES(.body = "mov.u32 %r3, 7;\n st.global.u32 [%out], %r3;", .threads = 1);
}

Test(strict, a_register_that_some_lanes_wrote) {
  MACHINE_FAILS(
      "0, lane 4, PTX line 12: register %r3 is read before it was written, in `L: add.u32 %r4, %r3, 1;`",
      .body = "setp.ge.u32 %p0, %thread, 4;\n @%p0 bra L;\n mov.u32 %r3, 1;\n L: add.u32 %r4, %r3, 1;");
  MACHINE_PASSES(.body = "mov.u32 %r3, 0;\n setp.ge.u32 %p0, %thread, 4;\n @%p0 bra L;\n mov.u32 %r3, 1;\n"
                         "L: add.u32 %r4, %r3, 1;");
}

Test(strict, a_predicate_that_nobody_wrote) {
  MACHINE_FAILS("0, lane 0, PTX line 9: register %p1 is read before it was written, in `@%p1 exit;`",
                .body = "@%p1 exit;");
  MACHINE_PASSES(.body = "setp.eq.u32 %p1, %thread, 1;\n @%p1 exit;");
}

Test(strict, an_address_that_nobody_wrote) {
  MACHINE_FAILS(
      "0, lane 0, PTX line 9: register %d5 is read before it was written, in `ld.global.u32 %r0, [%d5];`",
      .body = "ld.global.u32 %r0, [%d5];");
}

Test(strict, registers_start_anew_with_every_block) {
  // One host thread runs both blocks in the same memory.
  static machine_result result;
  machine_run(&(const machine_kernel){ .blocks = 2,
                                       .body = "mov.u32 %r0, %ctaid.x;\n setp.eq.u32 %p0, %r0, 0;\n"
                                               "@%p0 mov.u32 %r1, 5;\n st.global.u32 [%out], %r1;" },
              &result);
  cr_assert_eq(result.status, QN_BUG);
  cr_assert_str_eq(result.message,
                   "kernel 'k', block 1, warp 0, lane 0, PTX line 12: register %r1 is read before "
                   "it was written, in `st.global.u32 [%out], %r1;`");
}

Test(strict, shared_memory_that_nobody_wrote) {
  MACHINE_FAILS("0, lane 0, PTX line 9: shared memory: read of 4 bytes at 0x40 that nobody wrote, in "
                "`ld.shared.u32 %r0, [buf+64];`",
                .body = "ld.shared.u32 %r0, [buf+64];");
  MACHINE_PASSES(.body = "st.shared.u32 [buf+64], 3;\n ld.shared.u32 %r0, [buf+64];", .threads = 1);
}

Test(strict, shared_memory_that_is_written_in_part) {
  MACHINE_FAILS("0, lane 0, PTX line 10: shared memory: read of 4 bytes at 0x40 that nobody wrote, in "
                "`ld.shared.u32 %r0, [buf+64];`",
                .body = "st.shared.u16 [buf+64], 3;\n ld.shared.u32 %r0, [buf+64];", .threads = 1);
}

Test(strict, dynamic_shared_memory_is_poison_too) {
  MACHINE_FAILS("0, lane 0, PTX line 9: shared memory: read of 16 bytes at 0x200 that nobody wrote, in "
                "`ld.shared.v4.u32 {%r0, %r1, %r2, %r3}, [dyn];`",
                .module = ".extern .shared .align 16 .b8 dyn[];", .shared_bytes = 64,
                .body = "ld.shared.v4.u32 {%r0, %r1, %r2, %r3}, [dyn];");
}

Test(strict, global_memory_that_nobody_wrote) {
  machine m;
  machine_open(&m, NULL);
  qn_device_ptr fresh;
  cr_assert_eq(qn_device_allocate(m.device, 64, &fresh), QN_OK);
  const char *text = ".version 8.0\n.target sm_80\n.address_size 64\n.entry k(.param .u64 p) {\n"
                     ".reg .b64 %d; .reg .b32 %r;\nld.param.u64 %d, [p];\nld.global.u32 %r, [%d+8];\nret; }\n";
  const qn_grid grid = { .blocks = { 1, 1, 1 }, .threads = { 1, 1, 1 }, .params = &fresh, .params_bytes = 8 };
  char words[1024], expected[256];
  cr_assert_eq(machine_launch(&m, text, &grid), QN_BUG);
  snprintf(
      expected, sizeof expected,
      "kernel 'k', block 0, warp 0, lane 0, PTX line 7: global memory: read of 4 bytes at 0x%llx that nobody "
      "wrote, in `ld.global.u32 %%r, [%%d+8];`",
      (unsigned long long)fresh + 8);
  cr_assert_str_eq(machine_message(&m, words, sizeof words), expected);
  const uint32_t value = 5;
  cr_assert_eq(qn_device_upload(m.device, fresh + 8, &value, 4), QN_OK);
  cr_assert_eq(machine_launch(&m, text, &grid), QN_OK, "%s", machine_message(&m, words, sizeof words));
  machine_close(&m);
}

Test(strict, local_memory_that_nobody_wrote) {
  MACHINE_FAILS("0, lane 0, PTX line 10: local memory: read of 4 bytes at 0x4 that nobody wrote, in "
                "`ld.local.u32 %r0, [mine+4];`",
                .body = ".local .align 4 .b8 mine[8];\n ld.local.u32 %r0, [mine+4];");
  MACHINE_PASSES(
          .body =
              ".local .align 4 .b8 mine[8];\n st.local.u32 [mine+4], %thread;\n ld.local.u32 %r0, [mine+4];");
}

Test(strict, lenient_leaves_poison_alone) {
  const uint32_t zero[1] = { 0 };
  MACHINE_GIVES(zero, 1,
                .body = "ld.shared.u32 %r0, [buf];\n add.u32 %r0, %r0, %r1;\n st.global.u32 [%out], %r0;",
                .threads = 1, .lenient = true);
}

// --- bounds and alignment, which are checked always --------------------------------------------------------

static void fails_in_both(const char *body, const char *message) {
  static machine_result result;
  for (int lenient = 0; lenient < 2; lenient++) {
    machine_run(&(const machine_kernel){ .body = body, .threads = 1, .lenient = lenient }, &result);
    cr_assert_eq(result.status, QN_BUG, "%s", body);
    cr_assert_str_eq(result.message, message);
  }
}

Test(strict, behind_the_end_of_an_allocation) {
  fails_in_both(
      "ld.global.u32 %r0, [%in+16384];",
      "kernel 'k', block 0, warp 0, lane 0, PTX line 9: global memory: read of 4 bytes at 0x100000004000, "
      "0 bytes behind the end of an allocation of 16384 bytes, in `ld.global.u32 %r0, [%in+16384];`");
  fails_in_both("mov.u32 %r0, 0;\n st.global.v2.u32 [%in+16388], {%r0, %r0};",
                "kernel 'k', block 0, warp 0, lane 0, PTX line 10: global memory: write of 8 bytes at "
                "0x100000004004, which is not a multiple of 8, in `st.global.v2.u32 [%in+16388], {%r0, %r0};`");
}

Test(strict, in_front_of_an_allocation) {
  fails_in_both(
      "ld.global.u32 %r0, [%in+-8];",
      "kernel 'k', block 0, warp 0, lane 0, PTX line 9: global memory: read of 4 bytes at 0xffffffffff8, 8 "
      "bytes in front of an allocation of 16384 bytes, in `ld.global.u32 %r0, [%in+-8];`");
}

Test(strict, a_null_pointer) {
  fails_in_both(
      "mov.u64 %d0, 0;\n ld.global.u8 %r0, [%d0+4];",
      "kernel 'k', block 0, warp 0, lane 0, PTX line 10: global memory: read of 1 byte at 0x4, a null "
      "pointer, in `ld.global.u8 %r0, [%d0+4];`");
  fails_in_both(
      "mov.u64 %d0, 0;\n st.u32 [%d0], 1;",
      "kernel 'k', block 0, warp 0, lane 0, PTX line 10: global memory: write of 4 bytes at 0x0, a null "
      "pointer, in `st.u32 [%d0], 1;`");
}

Test(strict, a_wild_pointer) {
  fails_in_both("mov.u64 %d0, 0x7fffffffffffff00;\n ld.global.u32 %r0, [%d0];",
                "kernel 'k', block 0, warp 0, lane 0, PTX line 10: global memory: read of 4 bytes at "
                "0x7fffffffffffff00, where no allocation is near, in `ld.global.u32 %r0, [%d0];`");
  fails_in_both("mov.u64 %d0, -4;\n ld.global.v4.u32 {%r0, %r1, %r2, %r3}, [%d0+-12];",
                "kernel 'k', block 0, warp 0, lane 0, PTX line 10: global memory: read of 16 bytes at "
                "0xfffffffffffffff0, where no allocation is near, in `ld.global.v4.u32 {%r0, %r1, %r2, %r3}, "
                "[%d0+-12];`");
}

Test(strict, misaligned) {
  fails_in_both(
      "ld.global.v4.u32 {%r0, %r1, %r2, %r3}, [%in+8];",
      "kernel 'k', block 0, warp 0, lane 0, PTX line 9: global memory: read of 16 bytes at 0x100000000008, "
      "which is not a multiple of 16, in `ld.global.v4.u32 {%r0, %r1, %r2, %r3}, [%in+8];`");
  fails_in_both(
      "st.shared.u32 [buf+2], 1;",
      "kernel 'k', block 0, warp 0, lane 0, PTX line 9: shared memory: write of 4 bytes at 0x2, which is "
      "not a multiple of 4, in `st.shared.u32 [buf+2], 1;`");
}

Test(strict, behind_shared_memory) {
  fails_in_both(
      "st.shared.u32 [buf+512], 1;",
      "kernel 'k', block 0, warp 0, lane 0, PTX line 9: shared memory: write of 4 bytes at 0x200, the "
      "block has 512 bytes, in `st.shared.u32 [buf+512], 1;`");
  fails_in_both(
      "mov.u32 %r0, 0xfffffffc;\n st.shared.u32 [%r0], 1;",
      "kernel 'k', block 0, warp 0, lane 0, PTX line 10: shared memory: write of 4 bytes at 0xfffffffc, "
      "the block has 512 bytes, in `st.shared.u32 [%r0], 1;`");
}

Test(strict, behind_local_memory_and_parameters) {
  fails_in_both(
      ".local .align 4 .b8 mine[8];\n st.local.u32 [mine+4096], 1;",
      "kernel 'k', block 0, warp 0, lane 0, PTX line 10: local memory: write of 4 bytes at 0x1000, there "
      "are 128, in `st.local.u32 [mine+4096], 1;`");
  fails_in_both(
      "mov.b64 %d0, pin;\n cvta.param.u64 %d0, %d0;\n ld.u32 %r0, [%d0+4096];",
      "kernel 'k', block 0, warp 0, lane 0, PTX line 11: param memory: read of 4 bytes at 0x1000, there "
      "are 128, in `ld.u32 %r0, [%d0+4096];`");
}

Test(strict, constants_and_parameters_are_read_only) {
  fails_in_both(
      "mov.b64 %d0, pin;\n cvta.param.u64 %d0, %d0;\n st.u32 [%d0], 1;",
      "kernel 'k', block 0, warp 0, lane 0, PTX line 11: param memory: write of 4 bytes at 0x0, which can "
      "only be read, in `st.u32 [%d0], 1;`");
}

Test(strict, an_address_of_another_space) {
  MACHINE_FAILS("0, lane 0, PTX line 9: the generic address 0x100000000000 is none of shared memory, in "
                "`cvta.to.shared.u64 %d0, %in;`",
                .body = "cvta.to.shared.u64 %d0, %in;");
}

Test(strict, memory_that_was_freed) {
  machine m;
  machine_open(&m, NULL);
  char words[1024];
  cr_assert_eq(qn_device_free(m.device, m.out), QN_OK);
  const char *text = ".version 8.0\n.target sm_80\n.address_size 64\n.entry k(.param .u64 p) {\n"
                     ".reg .b64 %d; .reg .b32 %r;\nld.param.u64 %d, [p];\nst.global.u32 [%d], 1;\nret; }\n";
  const qn_grid grid = { .blocks = { 1, 1, 1 }, .threads = { 1, 1, 1 }, .params = &m.out, .params_bytes = 8 };
  cr_assert_eq(machine_launch(&m, text, &grid), QN_BUG);
  cr_assert(strstr(machine_message(&m, words, sizeof words), "where no allocation is near"), "%s", words);
  machine_close(&m);
}

Test(strict, the_source_line_is_told) {
  MACHINE_FAILS("0, lane 0, PTX line 10, source line 45: register %r3 is read before it was written, in "
                "`st.global.u32 [%out], %r3;`",
                .module = ".file 1 \"kernel.cu\"", .body = ".loc 1 45 7\n st.global.u32 [%out], %r3;");
}
