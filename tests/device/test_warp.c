// What lanes tell each other: shfl, vote, match, redux, activemask, elect.
#include "ir/base_priv.h"
#include "tests/device/device_test.h"

#include <stdio.h>

enum { LANES = 32 };

typedef struct inputs {
  uint32_t words[LANES];
} inputs;

static void fill(inputs *in, uint64_t seed) {
  for (int lane = 0; lane < LANES; lane++) in->words[lane] = device_random(&seed);
}

// --- shfl -----------------------------------------------------------------------------------------------

// The ISA's own words: bval, cval and segmask, maxLane and minLane, j and p.
static uint32_t expected_source(const char *mode, uint32_t lane, uint32_t b, uint32_t c, bool *out_p) {
  int bval = (int)(b & 0x1F), cval = (int)(c & 0x1F), segmask = (int)(c >> 8 & 0x1F);
  int max_lane = ((int)lane & segmask) | (cval & ~segmask), min_lane = (int)lane & segmask, j = 0;
  if (strcmp(mode, "up") == 0) {
    j = (int)lane - bval;
    *out_p = j >= max_lane;
  } else if (strcmp(mode, "down") == 0) {
    j = (int)lane + bval;
    *out_p = j <= max_lane;
  } else if (strcmp(mode, "bfly") == 0) {
    j = (int)lane ^ bval;
    *out_p = j <= max_lane;
  } else {
    j = min_lane | (bval & ~segmask);
    *out_p = j <= max_lane;
  }
  return *out_p ? (uint32_t)j : lane;
}

static void check_shfl(const char *mode, uint32_t b, uint32_t c) {
  inputs in;
  uint32_t out[LANES][2];
  char body[512];
  fill(&in, 1);
  snprintf(body, sizeof body,
           ".reg .b32 %%x, %%y, %%z; .reg .pred %%p;\n"
           "ld.global.b32 %%x, [%%src];\n"
           "shfl.sync.%s.b32 %%y|%%p, %%x, %u, %u, 0xffffffff;\n"
           "selp.b32 %%z, 1, 0, %%p;\n"
           "st.global.v2.b32 [%%dst], {%%y, %%z};",
           mode, b, c);
  device_run(device_kernel(.body = body, .out_stride = 8), &in, sizeof in, out, sizeof out);
  for (uint32_t lane = 0; lane < LANES; lane++) {
    bool p = false;
    uint32_t source = expected_source(mode, lane, b, c, &p);
    cr_assert_eq(out[lane][0], in.words[source], "%s %u %x: lane %u", mode, b, c, lane);
    cr_assert_eq(out[lane][1], p, "%s %u %x: lane %u", mode, b, c, lane);
  }
}

// Whole warps, and segments of 16, 8 and 4 lanes.
static void check_shfl_mode(const char *mode, uint32_t clamp) {
  for (uint32_t b = 0; b < 32; b += b < 4 ? 1 : 5)
    for (uint32_t segment = 0; segment <= 28; segment = segment / 2 + 16)
      if (check_shfl(mode, b, segment << 8 | clamp), segment == 28) break;
}
Test(shfl, up) {
  check_shfl_mode("up", 0);
}
Test(shfl, down) {
  check_shfl_mode("down", 31);
}
Test(shfl, bfly) {
  check_shfl_mode("bfly", 31);
}
Test(shfl, idx) {
  check_shfl_mode("idx", 31);
}
Test(shfl, down_with_a_low_clamp) {
  check_shfl("down", 3, 20);
}

// Lane and clamp from registers, another for each lane; no predicate.
Test(shfl, lanes_choose) {
  inputs in;
  uint32_t out[LANES];
  fill(&in, 2);
  device_run(device_kernel(.body = ".reg .b32 %x, %y, %z;\n"
                                   "ld.global.b32 %x, [%src];\n"
                                   "mul.lo.u32 %z, %thread, 7;\n"
                                   "shfl.sync.idx.b32 %y, %x, %z, 31, 0xffffffff;\n"
                                   "st.global.b32 [%dst], %y;"),
             &in, sizeof in, out, sizeof out);
  for (uint32_t lane = 0; lane < LANES; lane++)
    cr_assert_eq(out[lane], in.words[lane * 7 % 32], "lane %u", lane);
}

// Two halves, each with a mask of its own.
Test(shfl, halves_of_a_warp) {
  inputs in;
  uint32_t out[LANES];
  fill(&in, 3);
  device_run(device_kernel(.body = ".reg .b32 %x, %y; .reg .pred %p;\n"
                                   "ld.global.b32 %x, [%src];\n"
                                   "setp.lt.u32 %p, %thread, 16;\n"
                                   "@%p bra LOW;\n"
                                   "shfl.sync.bfly.b32 %y, %x, 8, 31, 0xffff0000;\n"
                                   "bra DONE;\n"
                                   "LOW:\n"
                                   "shfl.sync.bfly.b32 %y, %x, 4, 31, 0x0000ffff;\n"
                                   "DONE:\n"
                                   "st.global.b32 [%dst], %y;"),
             &in, sizeof in, out, sizeof out);
  for (uint32_t lane = 0; lane < LANES; lane++)
    cr_assert_eq(out[lane], in.words[lane ^ (lane < 16 ? 4 : 8)], "lane %u", lane);
}

// --- vote -----------------------------------------------------------------------------------------------

// Each lane's bit of `given` is its predicate; returns the bits of what they were told.
static uint32_t run_vote(const char *mode, uint32_t given, const char *negation) {
  uint32_t in[LANES], out[LANES], result = 0;
  char body[512];
  for (int lane = 0; lane < LANES; lane++) in[lane] = given >> lane & 1;
  snprintf(body, sizeof body,
           ".reg .b32 %%x; .reg .pred %%p, %%q;\n"
           "ld.global.b32 %%x, [%%src];\nsetp.ne.u32 %%p, %%x, 0;\n"
           "vote.sync.%s.pred %%q, %s%%p, 0xffffffff;\n"
           "selp.b32 %%x, 1, 0, %%q;\nst.global.b32 [%%dst], %%x;",
           mode, negation);
  device_run(device_kernel(.body = body), in, sizeof in, out, sizeof out);
  for (int lane = 0; lane < LANES; lane++) result |= out[lane] << lane;
  return result;
}
Test(vote, predicates) {
  const uint32_t all = UINT32_MAX;
  cr_assert_eq(run_vote("all", all, ""), all);
  cr_assert_eq(run_vote("all", all - 2, ""), 0);
  cr_assert_eq(run_vote("all", 0, "!"), all);
  cr_assert_eq(run_vote("any", 0, ""), 0);
  cr_assert_eq(run_vote("any", 1u << 31, ""), all);
  cr_assert_eq(run_vote("any", all, "!"), 0);
  cr_assert_eq(run_vote("uni", 0, ""), all);
  cr_assert_eq(run_vote("uni", all, ""), all);
  cr_assert_eq(run_vote("uni", 5, ""), 0);
}

Test(vote, ballot) {
  inputs in;
  uint32_t out[LANES], expected = 0;
  fill(&in, 4);
  for (int lane = 0; lane < LANES; lane++) expected |= (in.words[lane] & 1) << lane;
  device_run(device_kernel(.body = ".reg .b32 %x, %y; .reg .pred %p;\n"
                                   "ld.global.b32 %x, [%src];\n"
                                   "and.b32 %x, %x, 1;\nsetp.ne.u32 %p, %x, 0;\n"
                                   "vote.sync.ballot.b32 %y, %p, 0xffffffff;\n"
                                   "st.global.b32 [%dst], %y;"),
             &in, sizeof in, out, sizeof out);
  for (int lane = 0; lane < LANES; lane++) cr_assert_eq(out[lane], expected, "lane %d", lane);
}

// Those that are not in the mask count as nothing.
Test(vote, some_lanes) {
  uint32_t in[LANES] = { 0 }, out[LANES];
  device_run(device_kernel(.body = ".reg .b32 %y; .reg .pred %p, %q;\n"
                                   "mov.b32 %y, 0;\n"
                                   "setp.ge.u32 %p, %thread, 5;\n"
                                   "@!%p bra DONE;\n"
                                   "setp.ne.u32 %q, %thread, 7;\n"
                                   "vote.sync.ballot.b32 %y, %q, 0xffffffe0;\n"
                                   "DONE:\n"
                                   "st.global.b32 [%dst], %y;"),
             in, sizeof in, out, sizeof out);
  for (int lane = 0; lane < LANES; lane++) cr_assert_eq(out[lane], lane < 5 ? 0 : 0xFFFFFF60, "lane %d", lane);
}

Test(vote, activemask) {
  uint32_t in[LANES] = { 0 }, out[LANES];
  device_run(device_kernel(.body = ".reg .b32 %y; .reg .pred %p;\n"
                                   "setp.lt.u32 %p, %thread, 9;\n"
                                   "@%p bra LOW;\n"
                                   "activemask.b32 %y;\n"
                                   "bra DONE;\n"
                                   "LOW:\n"
                                   "activemask.b32 %y;\n"
                                   "DONE:\n"
                                   "st.global.b32 [%dst], %y;"),
             in, sizeof in, out, sizeof out);
  for (int lane = 0; lane < LANES; lane++) cr_assert_eq(out[lane], lane < 9 ? 0x1FF : ~0x1FFu, "lane %d", lane);
}

// Which lane is elected is not said; that it is one and the same for all is.
Test(elect, one_lane) {
  uint32_t in[LANES] = { 0 }, out[LANES][2], elected = 0;
  device_run(device_kernel(.body = ".reg .b32 %y, %z; .reg .pred %p;\n"
                                   "elect.sync %y|%p, 0xffffffff;\n"
                                   "selp.b32 %z, 1, 0, %p;\n"
                                   "st.global.v2.b32 [%dst], {%y, %z};",
                           .target = "sm_90a", .out_stride = 8),
             in, sizeof in, out, sizeof out);
  for (uint32_t lane = 0; lane < LANES; lane++) {
    cr_assert_eq(out[lane][0], out[0][0]);
    cr_assert_eq(out[lane][1], out[0][0] == lane, "lane %u", lane);
    elected += out[lane][1];
  }
  cr_assert_eq(elected, 1);
}

// --- match ----------------------------------------------------------------------------------------------

Test(match, any) {
  uint32_t in[LANES], out[LANES];
  for (uint32_t lane = 0; lane < LANES; lane++) in[lane] = lane * lane % 7;
  device_run(device_kernel(.body = ".reg .b32 %x, %y;\n"
                                   "ld.global.b32 %x, [%src];\n"
                                   "match.any.sync.b32 %y, %x, 0xffffffff;\n"
                                   "st.global.b32 [%dst], %y;"),
             in, sizeof in, out, sizeof out);
  for (uint32_t lane = 0; lane < LANES; lane++) {
    uint32_t expected = 0;
    for (uint32_t other = 0; other < LANES; other++) expected |= (uint32_t)(in[other] == in[lane]) << other;
    cr_assert_eq(out[lane], expected, "lane %u", lane);
  }
}

// 64 bits, of which only the upper half may differ.
static void check_match_all(bool same) {
  uint64_t in[LANES];
  uint32_t out[LANES][2];
  for (uint32_t lane = 0; lane < LANES; lane++) in[lane] = 5 + ((uint64_t)(!same && lane == 17) << 40);
  device_run(device_kernel(.body = ".reg .b32 %y, %z; .reg .b64 %x; .reg .pred %p;\n"
                                   "ld.global.b64 %x, [%src];\n"
                                   "match.all.sync.b64 %y|%p, %x, 0xffffffff;\n"
                                   "selp.b32 %z, 1, 0, %p;\n"
                                   "st.global.v2.b32 [%dst], {%y, %z};",
                           .in_stride = 8, .out_stride = 8),
             in, sizeof in, out, sizeof out);
  for (uint32_t lane = 0; lane < LANES; lane++) {
    cr_assert_eq(out[lane][0], same ? UINT32_MAX : 0, "lane %u", lane);
    cr_assert_eq(out[lane][1], same, "lane %u", lane);
  }
}
Test(match, all) {
  check_match_all(true);
  check_match_all(false);
}

// --- redux ----------------------------------------------------------------------------------------------

static void run_redux(const char *op, const uint32_t in[LANES], uint32_t out[LANES], const char *target) {
  char body[256];
  snprintf(body, sizeof body,
           ".reg .%s %%x, %%y;\nld.global.b32 %%x, [%%src];\nredux.sync.%s %%y, %%x, 0xffffffff;\n"
           "st.global.b32 [%%dst], %%y;",
           strstr(op, "f32") ? "f32" : "b32", op);
  device_run(device_kernel(.body = body, .target = target), in, LANES * 4, out, LANES * 4);
}

Test(redux, integers) {
  static const char *const ops[] = { "add.u32", "add.s32", "min.u32", "max.u32", "min.s32",
                                     "max.s32", "and.b32", "or.b32",  "xor.b32" };
  inputs in;
  uint32_t out[LANES], expected[9] = { 0, 0, UINT32_MAX, 0, 0x7FFFFFFF, 0x80000000, UINT32_MAX, 0, 0 };
  fill(&in, 6);
  for (int lane = 0; lane < LANES; lane++) {
    uint32_t x = in.words[lane] |= 0x100, *e = expected;
    e[0] += x, e[1] += x, e[2] = x < e[2] ? x : e[2], e[3] = x > e[3] ? x : e[3];
    e[4] = (int32_t)x<(int32_t)e[4] ? x : e[4], e[5] = (int32_t)x>(int32_t) e[5] ? x : e[5];
    e[6] &= x, e[7] |= x, e[8] ^= x;
  }
  for (size_t i = 0; i < QN_COUNT(ops); i++) {
    run_redux(ops[i], in.words, out, NULL);
    for (int lane = 0; lane < LANES; lane++)
      cr_assert_eq(out[lane], expected[i], "%s: lane %d: %x, expected %x", ops[i], lane, out[lane],
                   expected[i]);
  }
}

static uint32_t bits_of(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

// Values from -8 to 7.5, one NaN.
Test(redux, floats) {
  uint32_t in[LANES], out[LANES];
  static const struct {
    const char *op;
    uint32_t expected;
  } cases[] = {
    { "min.f32", 0xC1000000 },     { "max.f32", 0x40F00000 },     { "min.abs.f32", 0x00000000 },
    { "max.abs.f32", 0x41000000 }, { "min.NaN.f32", 0x7FFFFFFF }, { "max.abs.NaN.f32", 0x7FFFFFFF }
  };
  for (int lane = 0; lane < LANES; lane++) in[lane] = bits_of((float)(lane * 11 % 32) / 2 - 8);
  in[30] = 0x7FC00001; // 30 * 11 % 32 = 10: one that is neither end nor zero
  for (size_t i = 0; i < QN_COUNT(cases); i++) {
    run_redux(cases[i].op, in, out, "sm_100a");
    for (int lane = 0; lane < LANES; lane++)
      cr_assert_eq(out[lane], cases[i].expected, "%s: %x", cases[i].op, out[lane]);
  }
}

// --- what is wrong --------------------------------------------------------------------------------------

static void check_fault(const char *code, qn_status status, const char *words) {
  char body[512];
  uint32_t nothing = 0;
  if (!device_is_emulator()) cr_skip_test("the driver has words of its own");
  snprintf(body, sizeof body,
           ".reg .b32 %%x, %%y; .reg .pred %%p;\nmov.b32 %%x, 1;\nsetp.lt.u32 %%p, %%thread, 16;\n%s", code);
  cr_assert_eq(device_try(device_kernel(.body = body), &nothing, 4, &nothing, 4), status, "%s: %s", code,
               device_message());
  cr_assert(strstr(device_message(), words), "%s: %s", code, device_message());
}

Test(shfl, from_a_lane_that_does_not_take_part) {
  check_fault("@!%p bra DONE;\nshfl.sync.idx.b32 %y, %x, 17, 31, 0x0000ffff;\nDONE:", QN_BUG,
              "shfl reads lane 17, which does not take part");
}
Test(shfl, refusals_are_worded) {
  check_fault("shfl.bfly.b32 %y, %x, 1, 31;", QN_UNSUPPORTED, "only the form with .sync is executed");
  check_fault("shfl.sync.b32 %y, %x, 1, 31, 0xffffffff;", QN_UNSUPPORTED,
              "shfl.sync is .up, .down, .bfly or .idx");
  check_fault("vote.ballot.b32 %y, %p;", QN_UNSUPPORTED, "only the form with .sync is executed");
  check_fault("vote.sync.all.b32 %y, %p, 0xffffffff;", QN_UNSUPPORTED,
              "vote.sync is .all, .any, .uni of .pred");
  check_fault("redux.sync.add.b32 %y, %x, 0xffffffff;", QN_UNSUPPORTED, "redux.sync is .add, .min, .max");
  check_fault("match.any.sync.b32 %y|%p, %x, 0xffffffff;", QN_UNSUPPORTED,
              "only match.all has a second result");
}
