// What the emulator refuses about order: races, asynchronous copies, lanes and warps that wait. Each check with
// a kernel that violates it and its exact words; the same kernel mended passes.
#include "tests/emulator/machine_test.h"

// Each thread's word of `buf`: %r0; the next thread's: %r1.
#define WORDS                                                                                                  \
  "mov.u32 %r0, buf; mov.u32 %r1, buf; shl.b32 %r2, %thread, 2; add.u32 %r0, %r0, %r2; xor.b32 %r2, %r2, 4; "  \
  "add.u32 %r1, %r1, %r2;\n"

// --- races -------------------------------------------------------------------------------------------------

Test(race, a_read_after_a_write_of_another_warp) {
  const char *body = WORDS "xor.b32 %r1, %r1, 128;\n"
                           "st.shared.u32 [%r0], %thread;\n"
                           "ld.shared.u32 %r3, [%r1];";
  MACHINE_FAILS("0, lane 0, PTX line 12: shared memory: read of 4 bytes at 0x84 that nobody wrote, in "
                "`ld.shared.u32 %r3, [%r1];`",
                .body = body, .threads = 64);
  // The other way round: the second warp finds what the first one wrote, by luck.
  MACHINE_FAILS(
      "1, lane 0, PTX line 12: data race on shared memory: the read at 0x4 is not ordered with the write "
      "by warp 0, lane 1 at line 10, st.shared.u32, in `@%p0 ld.shared.u32 %r3, [%r1];`",
      .body = WORDS "st.shared.u32 [%r0], %thread;\n"
                    "setp.ge.u32 %p0, %thread, 32; xor.b32 %r1, %r1, 128;\n"
                    "@%p0 ld.shared.u32 %r3, [%r1];",
      .threads = 64);
  MACHINE_PASSES(.body = WORDS "xor.b32 %r1, %r1, 128;\n"
                               "st.shared.u32 [%r0], %thread;\n"
                               "bar.sync 0;\n"
                               "ld.shared.u32 %r3, [%r1];",
                 .threads = 64);
}

Test(race, a_read_after_a_write_in_the_same_warp) {
  MACHINE_FAILS(
      "0, lane 0, PTX line 11: data race on shared memory: the read at 0x4 is not ordered with the write "
      "by warp 0, lane 1 at line 10, st.shared.u32, in `ld.shared.u32 %r3, [%r1];`",
      .body = WORDS "st.shared.u32 [%r0], %thread;\n"
                    "ld.shared.u32 %r3, [%r1];");
  MACHINE_PASSES(.body = WORDS "st.shared.u32 [%r0], %thread;\n"
                               "bar.warp.sync 0xffffffff;\n"
                               "ld.shared.u32 %r3, [%r1];");
}

Test(race, a_write_after_a_read) {
  const char *before = WORDS "st.shared.u32 [%r0], %thread;\n bar.sync 0;\n ld.shared.u32 %r3, [%r1];\n";
  (void)before;
  MACHINE_FAILS(
      "0, lane 0, PTX line 13: data race on shared memory: the write at 0x0 is not ordered with the read "
      "by warp 0, lane 1 at line 12, ld.shared.u32, in `st.shared.u32 [%r0], %r3;`",
      .body = WORDS "st.shared.u32 [%r0], %thread;\n"
                    "bar.sync 0;\n"
                    "ld.shared.u32 %r3, [%r1];\n"
                    "st.shared.u32 [%r0], %r3;");
  MACHINE_PASSES(.body = WORDS "st.shared.u32 [%r0], %thread;\n"
                               "bar.sync 0;\n"
                               "ld.shared.u32 %r3, [%r1];\n"
                               "bar.warp.sync -1;\n"
                               "st.shared.u32 [%r0], %r3;");
}

Test(race, a_read_that_many_lanes_made) {
  MACHINE_FAILS(
      "0, lane 7, PTX line 13: data race on shared memory: the write at 0x0 is not ordered with the read "
      "by warp 0, lane 31 at line 12, ld.shared.u32, in `@%p0 st.shared.u32 [buf], 1;`",
      .body = "setp.eq.u32 %p0, %thread, 7;\n"
              "@%p0 st.shared.u32 [buf], 1;\n"
              "bar.sync 0;\n"
              "ld.shared.u32 %r3, [buf];\n"
              "@%p0 st.shared.u32 [buf], 1;");
}

Test(race, two_writes) {
  MACHINE_FAILS(
      "0, lane 1, PTX line 9: data race on shared memory: the write at 0x0 is not ordered with the write "
      "by warp 0, lane 0 at line 9, st.shared.u32, in `st.shared.u32 [buf], %thread;`",
      .body = "st.shared.u32 [buf], %thread;");
  MACHINE_PASSES(.body = "setp.eq.u32 %p0, %thread, 0;\n @%p0 st.shared.u32 [buf], %thread;");
}

Test(race, neighbouring_bytes_do_not_race) {
  MACHINE_PASSES(.body = "mov.u32 %r0, buf; add.u32 %r0, %r0, %thread;\n"
                         "st.shared.u8 [%r0], %thread;\n"
                         "ld.shared.u8 %r1, [%r0];",
                 .threads = 64);
  MACHINE_FAILS(
      "0, lane 1, PTX line 11: data race on shared memory: the write at 0x0 is not ordered with the write "
      "by warp 0, lane 0 at line 11, st.shared.u8, in `st.shared.u8 [%r0], %thread;`",
      .body = "mov.u32 %r0, buf; shr.u32 %r1, %thread, 1;\n"
              "add.u32 %r0, %r0, %r1;\n"
              "st.shared.u8 [%r0], %thread;");
}

Test(race, a_part_of_a_warp_is_ordered_by_its_mask) {
  // Lanes 0 to 15 exchange with one another.
  MACHINE_PASSES(.body = WORDS "setp.ge.u32 %p0, %thread, 16;\n"
                               "@%p0 bra END;\n"
                               "st.shared.u32 [%r0], %thread;\n"
                               "bar.warp.sync 0x0000ffff;\n"
                               "ld.shared.u32 %r3, [%r1];\n"
                               "END:");
  // A mask of one lane orders nothing.
  MACHINE_FAILS(
      "0, lane 0, PTX line 14: data race on shared memory: the read at 0x4 is not ordered with the write "
      "by warp 0, lane 1 at line 10, st.shared.u32, in `ld.shared.u32 %r3, [%r1];`",
      .body = WORDS "st.shared.u32 [%r0], %thread;\n"
                    "mov.u32 %r4, 1;\n"
                    "shl.b32 %r4, %r4, %thread;\n"
                    "bar.warp.sync %r4;\n"
                    "ld.shared.u32 %r3, [%r1];");
}

Test(race, named_barriers_order_whom_they_join) {
  // Warp 0 makes, warp 1 takes: arrive and sync of the same barrier.
  const char *made = WORDS "setp.ge.u32 %p0, %thread, 32;\n"
                           "@%p0 bra TAKE;\n"
                           "st.shared.u32 [%r0], %thread;\n"
                           "bar.arrive 1, 64;\n"
                           "bra END;\n"
                           "TAKE: bar.sync 1, 64;\n"
                           "xor.b32 %r0, %r0, 128;\n"
                           "ld.shared.u32 %r3, [%r0];\n"
                           "END:";
  MACHINE_PASSES(.body = made, .threads = 64);
  MACHINE_FAILS(
      "1, lane 0, PTX line 17: data race on shared memory: the read at 0x0 is not ordered with the write "
      "by warp 0, lane 0 at line 14, st.shared.u32, in `ld.shared.u32 %r3, [%r0];`",
      .body = WORDS "setp.ge.u32 %p0, %thread, 32;\n"
                    "@%p0 bra TAKE;\n"
                    "mov.u32 %r4, 1;\n"
                    "bar.arrive 1, 64;\n"
                    "st.shared.u32 [%r0], %thread; bra END;\n"
                    "TAKE: bar.sync 1, 64;\n"
                    "xor.b32 %r0, %r0, 128;\n"
                    "ld.shared.u32 %r3, [%r0];\n"
                    "END:",
      .threads = 64);
}

Test(race, volatile_accesses_order_what_is_around_them) {
  MACHINE_PASSES(.body = "setp.ge.u32 %p0, %thread, 32;\n"
                         "setp.eq.u32 %p1, %thread, 0;\n"
                         "@%p1 st.volatile.shared.u32 [buf+4], 0;\n"
                         "bar.sync 0;\n"
                         "@%p0 bra TAKE;\n"
                         "@!%p1 bra END;\n"
                         "st.shared.u32 [buf], 5;\n"
                         "st.volatile.shared.u32 [buf+4], 1;\n"
                         "bra END;\n"
                         "TAKE: ld.volatile.shared.u32 %r0, [buf+4];\n"
                         "setp.eq.u32 %p2, %r0, 0;\n"
                         "@%p2 bra TAKE;\n"
                         "ld.shared.u32 %r1, [buf];\n"
                         "END:",
                 .threads = 64);
}

Test(race, lenient_leaves_races_alone) {
  MACHINE_PASSES(.body = "st.shared.u32 [buf], %thread;", .lenient = true);
}

// --- asynchronous copies -----------------------------------------------------------------------------------

#define COPY                                                                                                   \
  WORDS                                                                                                        \
      "mul.wide.u32 %d0, %thread, 16; add.u64 %d0, %in, %d0; mul.lo.u32 %r4, %thread, 16; mov.u32 %r5, buf; "  \
      "add.u32 %r4, %r4, %r5;\n"                                                                               \
      "cp.async.cg.shared.global [%r4], [%d0], 16;\n"

Test(async, a_read_before_the_wait) {
  MACHINE_FAILS(
      "0, lane 0, PTX line 12: shared memory: read of 4 bytes at 0x0 before the wait of its asynchronous "
      "copy, in `ld.shared.u32 %r3, [%r4];`",
      .body = COPY "ld.shared.u32 %r3, [%r4];");
  MACHINE_FAILS(
      "0, lane 0, PTX line 13: shared memory: read of 4 bytes at 0x0 before the wait of its asynchronous "
      "copy, in `ld.shared.u32 %r3, [%r4];`",
      .body = COPY "cp.async.commit_group;\n ld.shared.u32 %r3, [%r4];");
  MACHINE_PASSES(.body = COPY "cp.async.wait_all;\n ld.shared.u32 %r3, [%r4];");
}

Test(async, a_wait_that_leaves_the_group_under_way) {
  MACHINE_FAILS(
      "0, lane 0, PTX line 14: shared memory: read of 4 bytes at 0x0 before the wait of its asynchronous "
      "copy, in `ld.shared.u32 %r3, [%r4];`",
      .body = COPY "cp.async.commit_group;\n cp.async.wait_group 1;\n ld.shared.u32 %r3, [%r4];");
  MACHINE_PASSES(.body = COPY "cp.async.commit_group;\n cp.async.wait_group 0;\n ld.shared.u32 %r3, [%r4];");
  // An empty group behind it is the one that may be under way.
  MACHINE_PASSES(.body = COPY "cp.async.commit_group;\n cp.async.commit_group;\n cp.async.wait_group 1;\n"
                              "ld.shared.u32 %r3, [%r4];");
}

Test(async, a_wait_for_groups_does_not_wait_for_what_is_in_none) {
  MACHINE_FAILS(
      "0, lane 0, PTX line 13: shared memory: read of 4 bytes at 0x0 before the wait of its asynchronous "
      "copy, in `ld.shared.u32 %r3, [%r4];`",
      .body = COPY "cp.async.wait_group 0;\n ld.shared.u32 %r3, [%r4];");
}

Test(async, a_write_under_a_copy) {
  MACHINE_FAILS(
      "0, lane 0, PTX line 12: shared memory: write of 4 bytes at 0x0 before the wait of its asynchronous "
      "copy, in `st.shared.u32 [%r4], 1;`",
      .body = COPY "st.shared.u32 [%r4], 1;");
}

Test(async, the_wait_is_the_issuing_threads_own) {
  // Another lane's bytes, behind the wait but without a barrier.
  MACHINE_FAILS(
      "0, lane 0, PTX line 14: data race on shared memory: the read at 0x10 is not ordered with the write "
      "by warp 0, lane 1 at line 11, cp.async.cg.shared.global, in `ld.shared.u32 %r3, [%r4];`",
      .body = COPY "cp.async.wait_all;\n xor.b32 %r4, %r4, 16;\n ld.shared.u32 %r3, [%r4];");
  // A barrier between copy and wait does not help.
  MACHINE_FAILS(
      "0, lane 0, PTX line 15: data race on shared memory: the read at 0x10 is not ordered with the write "
      "by warp 0, lane 1 at line 11, cp.async.cg.shared.global, in `ld.shared.u32 %r3, [%r4];`",
      .body = COPY "bar.sync 0;\n cp.async.wait_all;\n xor.b32 %r4, %r4, 16;\n ld.shared.u32 %r3, [%r4];");
  MACHINE_PASSES(.body = COPY
                 "cp.async.wait_all;\n bar.sync 0;\n xor.b32 %r4, %r4, 16;\n ld.shared.u32 %r3, [%r4];");
}

Test(async, a_copy_over_bytes_that_others_still_read) {
  MACHINE_FAILS(
      "1, lane 0, PTX line 13: data race on shared memory: the write at 0x0 is not ordered with the read "
      "by warp 1, lane 31 at line 12, ld.shared.u32, in `@%p0 cp.async.ca.shared.global [buf], [%in], 4;`",
      .body = "setp.eq.u32 %p0, %thread, 32; setp.eq.u32 %p1, %thread, 0;\n"
              "@%p1 st.shared.u32 [buf], 1;\n"
              "bar.sync 0;\n"
              "@!%p0 ld.shared.u32 %r0, [buf];\n"
              "@%p0 cp.async.ca.shared.global [buf], [%in], 4;",
      .threads = 64);
}

Test(async, the_source_is_checked) {
  MACHINE_FAILS(
      "0, lane 0, PTX line 9: the source 0x100000000004 of a copy of 16 bytes is not a multiple of 16, in "
      "`cp.async.cg.shared.global [buf], [%in+4], 16;`",
      .body = "cp.async.cg.shared.global [buf], [%in+4], 16;", .threads = 1);
  MACHINE_FAILS("0, lane 0, PTX line 10: 17 bytes of the source are asked for, the copy has 16, in "
                "`cp.async.cg.shared.global [buf], [%in], 16, %r0;`",
                .body = "mov.u32 %r0, 17;\n cp.async.cg.shared.global [buf], [%in], 16, %r0;", .threads = 1);
}

Test(async, lenient_copies_at_once) {
  MACHINE_PASSES(.body = COPY "ld.shared.u32 %r3, [%r4];", .lenient = true);
}

// --- lanes that must meet ----------------------------------------------------------------------------------

Test(together, a_lane_that_has_gone_elsewhere) {
  MACHINE_FAILS("0, PTX line 11: bar must be executed together, and its lanes cannot meet: lanes 0-15 wait at "
                "bar.warp.sync, line 11; lanes 16-31 wait at bar.warp.sync, line 13, in `bar.warp.sync -1;`",
                .body = "setp.ge.u32 %p0, %thread, 16;\n"
                        "@%p0 bra HIGH;\n"
                        "bar.warp.sync -1;\n"
                        "bra END;\n"
                        "HIGH: bar.warp.sync -1;\n"
                        "END:");
  MACHINE_PASSES(.body = "setp.ge.u32 %p0, %thread, 16;\n"
                         "@%p0 bra HIGH;\n"
                         "bar.warp.sync 0x0000ffff;\n"
                         "bra END;\n"
                         "HIGH: bar.warp.sync 0xffff0000;\n"
                         "END:");
}

Test(together, a_lane_that_is_not_in_its_mask) {
  MACHINE_FAILS("0, lane 4, PTX line 9: the lane is not in the mask 0x0000000f that it gives, in "
                "`bar.warp.sync 15;`",
                .body = "bar.warp.sync 15;");
}

Test(together, lanes_that_disagree_about_the_mask) {
  MACHINE_FAILS(
      "0, lane 0, PTX line 11: the lane gives the mask 0xffffffff, lane 31 of it gives 0xfffffffe, in "
      "`bar.warp.sync %r0;`",
      .body = "mov.u32 %r0, -1;\n setp.eq.u32 %p0, %thread, 31; @%p0 mov.u32 %r0, 0xfffffffe;\n"
              "bar.warp.sync %r0;");
}

Test(together, lanes_that_have_exited_are_not_awaited) {
  MACHINE_PASSES(.body = "setp.ge.u32 %p0, %thread, 16;\n @%p0 exit;\n bar.warp.sync -1;\n bar.sync 0;");
}

Test(together, lanes_meet_where_their_ways_do) {
  MACHINE_PASSES(.body = "setp.ge.u32 %p0, %thread, 16;\n @%p0 bra HIGH;\n mov.u32 %r0, 1;\n bra MEET;\n"
                         "HIGH: mov.u32 %r0, 2;\n MEET: bar.warp.sync -1;\n bar.sync 0;");
}

Test(together, a_branch_that_says_all) {
  MACHINE_FAILS("0, lane 4, PTX line 10: the branch says that all lanes take it, and some do not, in "
                "`@%p0 bra.uni END;`",
                .body = "setp.lt.u32 %p0, %thread, 4;\n @%p0 bra.uni END;\n mov.u32 %r0, 1;\n END:");
}

// --- barriers ----------------------------------------------------------------------------------------------

Test(barrier, divergent_lanes_at_a_barrier) {
  MACHINE_FAILS("0, PTX line 11: bar must be executed together, and its lanes cannot meet: lanes 0-3 wait at "
                "bar.sync, line 11; lanes 4-31 wait at bar.sync, line 13, in `bar.sync 0;`",
                .body = "setp.ge.u32 %p0, %thread, 4;\n"
                        "@%p0 bra HIGH;\n"
                        "bar.sync 0;\n"
                        "bra END;\n"
                        "HIGH: bar.sync 1;\n"
                        "END:");
}

Test(barrier, warps_at_different_barriers) {
  MACHINE_FAILS(
      "0: deadlock: warp 0: lanes 0-31 wait at bar.sync (barrier 0), line 11. warp 1: lanes 0-31 wait at "
      "bar.sync (barrier 1), line 13",
      .body = "setp.ge.u32 %p0, %thread, 32;\n"
              "@%p0 bra HIGH;\n"
              "bar.sync 0;\n"
              "bra END;\n"
              "HIGH: bar.sync 1;\n"
              "END:",
      .threads = 64);
}

Test(barrier, a_barrier_that_too_few_come_to) {
  MACHINE_FAILS("0: deadlock: warp 0: lanes 0-31 wait at bar.sync (barrier 3), line 11",
                .body = "setp.ge.u32 %p0, %thread, 32;\n @%p0 exit;\n bar.sync 3, 64;", .threads = 64);
  // Without a number, those that are left suffice. A warp counts as 32 threads, however many it has.
  MACHINE_PASSES(.body = "setp.ge.u32 %p0, %thread, 32;\n @%p0 exit;\n bar.sync 3;", .threads = 64);
  MACHINE_PASSES(.body = "bar.sync 3, 64;", .threads = 33);
}

Test(barrier, warps_that_have_exited_are_not_awaited) {
  MACHINE_PASSES(.body = "setp.ge.u32 %p0, %thread, 32;\n @%p0 exit;\n bar.sync 0;", .threads = 128);
}

Test(barrier, misuse) {
  MACHINE_FAILS("0, lane 0, PTX line 10: there is no barrier 16, they are 0 to 15, in `bar.sync %r0;`",
                .body = "mov.u32 %r0, 16;\n bar.sync %r0;");
  MACHINE_FAILS("0, lane 0, PTX line 9: barrier 1: 48 threads are asked for, which is no multiple of 32, in "
                "`bar.sync 1, 48;`",
                .body = "bar.sync 1, 48;");
  MACHINE_FAILS("0, lane 0, PTX line 9: barrier 1: 0 threads are asked for, which is no multiple of 32, in "
                "`bar.sync 1, 0;`",
                .body = "bar.sync 1, 0;");
  MACHINE_FAILS("0, lane 0, PTX line 9: barrier 1: 96 threads are asked for, the block has 64, in "
                "`bar.sync 1, 96;`",
                .body = "bar.sync 1, 96;", .threads = 64);
  MACHINE_FAILS("0, lane 1, PTX line 9: the lanes of the warp name different barriers, in `bar.sync %thread;`",
                .body = "bar.sync %thread;");
}

Test(barrier, counts_that_differ) {
  MACHINE_FAILS("1, lane 0, PTX line 13: barrier 1: 64 threads are asked for here and 96 at line 11, in "
                "`HIGH: bar.sync 1, 64;`",
                .body = "setp.ge.u32 %p0, %thread, 32;\n"
                        "@%p0 bra HIGH;\n"
                        "bar.sync 1, 96;\n"
                        "bra END;\n"
                        "HIGH: bar.sync 1, 64;\n"
                        "END:",
                .threads = 96);
}

Test(barrier, the_barrier_of_a_cluster) {
  MACHINE_FAILS(
      "0, lane 0, PTX line 9: the thread waits at the barrier of the cluster and has not arrived there, in "
      "`barrier.cluster.wait.aligned;`",
      .body = "barrier.cluster.wait.aligned;");
  MACHINE_FAILS(
      "0, lane 0, PTX line 10: the thread arrives at the barrier of the cluster again and has not waited "
      "in between, in `barrier.cluster.arrive.aligned;`",
      .body = "barrier.cluster.arrive.aligned;\n barrier.cluster.arrive.aligned;");
  MACHINE_PASSES(.body = "barrier.cluster.arrive.aligned;\n barrier.cluster.wait.aligned;");
}

// --- the end -----------------------------------------------------------------------------------------------

Test(limit, an_endless_loop) {
  MACHINE_FAILS(
      "0, PTX line 9: the block has executed 1000 lane instructions, the limit, and has not ended: an "
      "endless loop?, in `L: bra L;`",
      .body = "L: bra L;", .limit = 1000);
}

Test(limit, a_lane_that_waits_for_another_of_its_warp) {
  MACHINE_FAILS(
      "0, PTX line 12: the block has executed 1048576 lane instructions, the limit, and has not ended: an "
      "endless loop?, in `setp.eq.u32 %p1, %r0, 0;`",
      .body = "setp.eq.u32 %p0, %thread, 0;\n @%p0 bra SET;\n"
              "L: ld.volatile.global.u32 %r0, [%out];\n setp.eq.u32 %p1, %r0, 0;\n @%p1 bra L;\n"
              "bra END;\n SET: st.volatile.global.u32 [%out], 1;\n END:");
}

Test(limit, a_trap) {
  MACHINE_FAILS("0, lane 3, PTX line 10: the kernel stops itself, in `@%p0 trap;`",
                .body = "setp.eq.u32 %p0, %thread, 3;\n @%p0 trap;");
}
