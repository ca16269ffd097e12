// The machine itself: what it counts, that it repeats itself, clusters, and the memory that a launch takes.
#include "tests/emulator/machine_test.h"

#include <stdio.h>

static machine_result result;

#define COUNTERS(...)                                                                                          \
  do {                                                                                                         \
    machine_run(&(const machine_kernel){ __VA_ARGS__ }, &result);                                              \
    cr_assert_eq(result.status, QN_OK, "%s", result.message);                                                  \
  } while (0)

// --- counters ----------------------------------------------------------------------------------------------

// Every kernel begins with two ld.param and a mov and ends with a ret.
enum { FRAME = 4 };

Test(counters, instructions_and_lanes) {
  COUNTERS(.body = "mov.u32 %r0, 1;\n setp.lt.u32 %p0, %thread, 3;\n @%p0 mov.u32 %r0, 2;", .threads = 40,
           .blocks = 3);
  cr_assert_eq(result.counters.blocks, 3);
  cr_assert_eq(result.counters.instructions, 3 * 2 * (FRAME + 3));
  cr_assert_eq(result.counters.lane_instructions, 3 * (40 * (FRAME + 2) + 3));
}

Test(counters, branches_that_part_a_warp) {
  COUNTERS(.body = "setp.lt.u32 %p0, %thread, 3;\n @%p0 bra L;\n mov.u32 %r0, 2;\n L:", .threads = 64);
  cr_assert_eq(result.counters.divergent_branches, 1);
  cr_assert_eq(result.counters.control, 2 * 2);
}

Test(counters, sectors_of_global_memory) {
  // 32 lanes, 4 bytes each, in a row: 4 sectors; 32 bytes apart: 32.
  COUNTERS(.body = "mul.wide.u32 %d0, %thread, 4; add.u64 %d0, %in, %d0;\n ld.global.u32 %r0, [%d0];");
  cr_assert_eq(result.counters.global_sectors, 4);
  cr_assert_eq(result.counters.global_loads, 1);
  cr_assert_eq(result.counters.global_read_bytes, 128);
  COUNTERS(.body = "mul.wide.u32 %d0, %thread, 32; add.u64 %d0, %out, %d0;\n st.global.u32 [%d0], %thread;");
  cr_assert_eq(result.counters.global_sectors, 32);
  cr_assert_eq(result.counters.global_stores, 1);
  cr_assert_eq(result.counters.global_written_bytes, 128);
  // Backwards, and all lanes in one place.
  COUNTERS(.body = "sub.u32 %r1, 31, %thread; mul.wide.u32 %d0, %r1, 4; add.u64 %d0, %in, %d0;\n"
                   "ld.global.u32 %r0, [%d0]; ld.global.u32 %r0, [%in];");
  cr_assert_eq(result.counters.global_sectors, 5);
}

Test(counters, conflicts_of_banks) {
  static const struct {
    uint32_t stride, bytes;
    const char *load;
    uint32_t conflicts;
  } cases[] = {
    { 4, 4, "ld.shared.u32 %r0, [%r2];", 0 },
    { 8, 4, "ld.shared.u32 %r0, [%r2];", 1 },
    { 0, 4, "ld.shared.u32 %r0, [%r2];", 0 }, // broadcast
    { 128, 4, "ld.shared.u32 %r0, [%r2];", 31 },
    { 8, 8, "ld.shared.v2.u32 {%r0, %r1}, [%r2];", 0 },
    { 16, 8, "ld.shared.v2.u32 {%r0, %r1}, [%r2];", 2 },
    { 16, 16, "ld.shared.v4.u32 {%r0, %r1, %r3, %r4}, [%r2];", 0 },
    { 128, 16, "ld.shared.v4.u32 {%r0, %r1, %r3, %r4}, [%r2];", 28 },
    { 1, 1, "ld.shared.u8 %r0, [%r2];", 0 },
  };
  for (size_t i = 0; i < QN_COUNT(cases); i++) {
    char body[512];
    snprintf(body, sizeof body, "mov.u32 %%r2, dyn; mad.lo.u32 %%r2, %%thread, %u, %%r2;\n%s", cases[i].stride,
             cases[i].load);
    COUNTERS(.module = ".extern .shared .align 16 .b8 dyn[];", .shared_bytes = 4096, .body = body,
             .lenient = true);
    cr_assert_eq(result.counters.bank_conflicts, cases[i].conflicts, "case %zu: %lu", i,
                 (unsigned long)result.counters.bank_conflicts);
    cr_assert_eq(result.counters.shared_read_bytes, 32 * cases[i].bytes);
  }
}

Test(counters, copies_and_barriers) {
  COUNTERS(.body = "mul.wide.u32 %d0, %thread, 16; add.u64 %d0, %in, %d0; mad.lo.u32 %r0, %thread, 16, 0;\n"
                   "cp.async.cg.shared.global [%r0], [%d0], 16, 8;\n cp.async.wait_all;\n bar.sync 0;");
  cr_assert_eq(result.counters.async_copies, 32);
  cr_assert_eq(result.counters.barriers, 1);
  cr_assert_eq(result.counters.global_read_bytes, 32 * 8);
  cr_assert_eq(result.counters.shared_written_bytes, 32 * 16);
}

Test(counters, of_a_launch_that_fails_there_are_none) {
  machine_run(&(const machine_kernel){ .body = "trap;" }, &result);
  cr_assert_eq(result.counters.instructions, 0);
}

Test(counters, are_the_same_on_any_number_of_threads) {
  qn_counters first = { 0 };
  for (uint32_t threads = 1; threads <= 4; threads++) {
    COUNTERS(.body =
                 "mov.u32 %r0, %ctaid.x;\n L: add.u32 %r0, %r0, 1;\n setp.lt.u32 %p0, %r0, 40;\n @%p0 bra L;\n"
                 "mov.u32 %r1, %ctaid.x; mul.wide.u32 %d0, %r1, 4; add.u64 %d0, %out, %d0;\n"
                 "setp.eq.u32 %p1, %thread, 0; @%p1 st.global.u32 [%d0], %r0;",
             .blocks = 50, .threads = 96, .host_threads = threads);
    if (threads == 1) first = result.counters;
    cr_assert_arr_eq(&first, &result.counters, sizeof first);
    for (uint32_t i = 0; i < 50; i++) cr_assert_eq(result.out[i], QN_MAX(i + 1, 40));
  }
}

// --- faults ------------------------------------------------------------------------------------------------

Test(faults, the_first_block_of_the_grid_is_told) {
  // Later blocks fail at once, block 5 after a long loop.
  for (uint32_t threads = 1; threads <= 4; threads++) {
    machine_run(
        &(const machine_kernel){ .blocks = 64,
                                 .threads = 32,
                                 .host_threads = threads,
                                 .body = "mov.u32 %r0, %ctaid.x;\n setp.lt.u32 %p0, %r0, 5;\n @%p0 exit;\n"
                                         "setp.gt.u32 %p0, %r0, 5;\n @%p0 trap;\n mov.u32 %r1, 0;\n"
                                         "L: add.u32 %r1, %r1, 1;\n setp.lt.u32 %p0, %r1, 5000;\n @%p0 bra L;\n"
                                         "trap;" },
        &result);
    cr_assert_eq(result.status, QN_BUG);
    cr_assert_str_eq(result.message,
                     "kernel 'k', block 5, warp 0, lane 0, PTX line 18: the kernel stops itself, in `trap;`");
  }
}

Test(faults, blocks_of_a_grid_with_more_axes) {
  machine m;
  char words[1024];
  machine_open(&m, NULL);
  const char *text =
      ".version 8.0\n.target sm_80\n.address_size 64\n.entry k() {\n.reg .b32 %r<4>; .reg .pred %p;\n"
      "mov.u32 %r0, %ctaid.y; mov.u32 %r1, %ctaid.z; add.u32 %r0, %r0, %r1;\n"
      "setp.eq.u32 %p, %r0, 3;\n@%p trap;\nret; }\n";
  const qn_grid grid = { .blocks = { 2, 3, 2 }, .threads = { 4, 4, 4 } };
  cr_assert_eq(machine_launch(&m, text, &grid), QN_BUG);
  cr_assert_str_eq(
      machine_message(&m, words, sizeof words),
      "kernel 'k', block (0, 2, 1), warp 0, lane 0, PTX line 8: the kernel stops itself, in `@%p trap;`");
  machine_close(&m);
}

// --- clusters ----------------------------------------------------------------------------------------------

#define CLUSTER_SYNC "barrier.cluster.arrive.aligned; barrier.cluster.wait.aligned;\n"

Test(clusters, blocks_read_each_others_shared_memory) {
  // Block r of four writes r + 100 and reads what block r + 1 wrote.
  const uint32_t expected[] = { 101, 102, 103, 100, 101, 102, 103, 100 };
  MACHINE_GIVES(expected, 8, .blocks = 8, .threads = 1, .directives = ".reqnctapercluster 4, 1, 1",
                .body = "mov.u32 %r0, %cluster_ctarank; add.u32 %r1, %r0, 100;\n"
                        "st.shared.u32 [buf], %r1;\n" CLUSTER_SYNC
                        "add.u32 %r2, %r0, 1; and.b32 %r2, %r2, 3; mov.u32 %r3, buf;\n"
                        "mapa.shared::cluster.u32 %r3, %r3, %r2;\n"
                        "ld.shared::cluster.u32 %r4, [%r3];\n" CLUSTER_SYNC
                        "mov.u32 %r5, %ctaid.x; mul.wide.u32 %d0, %r5, 4; add.u64 %d0, %out, %d0;\n"
                        "st.global.u32 [%d0], %r4;");
}

Test(clusters, an_exchange_without_a_barrier_races) {
  MACHINE_FAILS(
      "0, lane 0, PTX line 13: data race on shared memory: the read at 0x0 is not ordered with the write by "
      "block 1 of the cluster, warp 0, lane 0 at line 9, st.shared.u32, in `@%p0 ld.shared::cluster.u32 %r4, "
      "[%r3];`",
      .blocks = 2, .threads = 1, .directives = ".reqnctapercluster 2",
      .body =
          "st.shared.u32 [buf], 1;\n"
          "mov.u32 %r0, %cluster_ctarank; setp.eq.u32 %p0, %r0, 0;\n"
          "mov.u32 %r3, buf; mov.u32 %r6, 1; mapa.shared::cluster.u32 %r3, %r3, %r6;\n"
          "W: @!%p0 st.global.u32 [%out], 1; @%p0 ld.volatile.global.u32 %r5, [%out]; @%p0 setp.eq.u32 %p1, "
          "%r5, 0; @!%p0 setp.eq.u32 %p1, 1, 0; @%p1 bra W;\n"
          "@%p0 ld.shared::cluster.u32 %r4, [%r3];");
}

Test(clusters, only_shared_cluster_reaches_another_block) {
  MACHINE_FAILS("0, lane 0, PTX line 11: shared memory: read of 4 bytes at 0x1000000, which is block 1 of the "
                "cluster's and reached by shared::cluster alone, in `ld.shared.u32 %r4, [%r3];`",
                .blocks = 2, .threads = 1, .directives = ".reqnctapercluster 2",
                .body = "mov.u32 %r3, buf; mov.u32 %r6, 1;\n mapa.shared::cluster.u32 %r3, %r3, %r6;\n"
                        "ld.shared.u32 %r4, [%r3];");
}

Test(clusters, a_block_that_is_not_there) {
  MACHINE_FAILS("0, lane 0, PTX line 9: block 2 of the cluster is asked for, it has 2, in "
                "`mapa.shared::cluster.u32 %r3, 0, 2;`",
                .blocks = 2, .threads = 1, .directives = ".reqnctapercluster 2",
                .body = "mapa.shared::cluster.u32 %r3, 0, 2;");
}

Test(clusters, a_deadlock_names_the_blocks) {
  MACHINE_FAILS(
      "0: deadlock: block 0 of the cluster, warp 0: lane 0 waits at barrier.cluster.wait.aligned, line 12; "
      "the block has no lanes 1-31. block 1 of the cluster, warp 0: lane 0 waits at barrier.sync (barrier 0), "
      "line 11; the block has no lanes 1-31",
      .blocks = 2, .threads = 1, .directives = ".reqnctapercluster 2",
      .body = "mov.u32 %r0, %cluster_ctarank; setp.eq.u32 %p0, %r0, 1;\n"
              "@!%p0 bra W;\n barrier.sync 0, 32;\n"
              "W: barrier.cluster.arrive.aligned; barrier.cluster.wait.aligned;");
}

Test(clusters, threads_that_have_exited_are_not_awaited) {
  MACHINE_PASSES(.blocks = 2, .threads = 64, .directives = ".reqnctapercluster 2",
                 .body = "mov.u32 %r0, %cluster_ctarank; setp.eq.u32 %p0, %r0, 1; @%p0 exit;\n" CLUSTER_SYNC);
}

// --- speed -------------------------------------------------------------------------------------------------

Test(memory, of_a_launch_does_not_grow_with_its_grid) {
  // A hundred thousand blocks with 48 KiB of shared memory each.
  MACHINE_PASSES(.blocks = 100000, .threads = 32, .module = ".shared .align 4 .b8 big[40000];",
                 .body = "mov.u32 %r0, 1;", .host_threads = 2, .lenient = true);
}
