// atom and red. Many threads work on one word: what is left and what each of them saw must be those of some
// order. And each thread on a word of its own: what the operations compute.
#include "tests/device/cvt_reference.h"

#include <math.h>
#include <stdlib.h>

enum { THREADS = 96, BLOCKS = 5 };

// The word as it is in the beginning (in `out`: in the end) and, of each thread, its operand (what it saw).
typedef struct memory {
  uint64_t word, threads[THREADS * BLOCKS];
} memory;

typedef uint64_t (*operation)(uint64_t old, uint64_t b);

static int bits_of(const char *type) {
  return strstr(type, "64") ? 64 : strstr(type, "32") || strstr(type, "x2") ? 32 : 16;
}

// All threads of a block on one word, which its first thread puts there. `op`: "add" and what follows it.
static void run(const char *space, const char *op, const char *type, const memory *in, memory *out) {
  char body[2048];
  int bits = bits_of(type);
  const char *letter = bits == 64 ? "d" : bits == 32 ? "r" : "h";
  bool shared = strstr(space, "shared") != NULL;
  snprintf(body, sizeof body,
           ".shared .align 8 .b8 words[8];\n"
           ".reg .b32 %%base, %%r<4>; .reg .b16 %%h<4>; .reg .b64 %%a, %%b, %%w, %%d<4>; .reg .pred %%other;\n"
           "mad.wide.u32 %%a, %%thread, 8, %%in;\nmad.wide.u32 %%b, %%thread, 8, %%out;\n"
           "mov.u32 %%base, words;\n"
           "setp.ne.u32 %%other, %%thread, 0;\n"
           "@%%other bra READY;\n"
           "ld.global.b64 %%w, [%%in];\n"
           "st.%s.b64 [%s], %%w;\n"
           "READY:\n"
           "bar.sync 0;\n"
           "ld.global.b%d %%%s1, [%%a+8];\n"
           "atom.%s.%s.%s %%%s2, [%s], %%%s1;\n"
           "st.global.b%d [%%b+8], %%%s2;\n"
           "bar.sync 0;\n"
           "@%%other bra DONE;\n"
           "ld.%s.b64 %%w, [%s];\n"
           "st.global.b64 [%%out], %%w;\n"
           "DONE:",
           shared ? "shared" : "global", shared ? "%base" : "%out", bits, letter, space, op, type, letter,
           shared ? "%base" : "%out", letter, bits, letter, shared ? "shared" : "global",
           shared ? "%base" : "%out");
  device_run(device_kernel(.body = body, .threads = THREADS), in, 8 * (THREADS + 1), out, 8 * (THREADS + 1));
  out->word = low_bits(out->word, bits);
  for (int i = 0; i < THREADS; i++) out->threads[i] = low_bits(out->threads[i], bits);
}

// Puts the threads in an order in which each saw what the one before it left.
static void check_order(const char *what, operation apply, int bits, const memory *in, const memory *out,
                        int count) {
  static bool done[THREADS * BLOCKS];
  uint64_t current = low_bits(in->word, bits);
  memset(done, 0, sizeof done);
  for (int step = 0; step < count; step++) {
    int next = -1;
    for (int i = 0; i < count; i++) {
      if (done[i] || out->threads[i] != current) continue;
      bool changes = low_bits(apply(current, low_bits(in->threads[i], bits)), bits) != current;
      if (next < 0 || !changes) next = i; // who changes nothing came before who does
      if (!changes) break;
    }
    cr_assert(next >= 0, "%s: after %d threads nobody saw %llx", what, step, (unsigned long long)current);
    done[next] = true;
    current = low_bits(apply(current, low_bits(in->threads[next], bits)), bits);
  }
  cr_assert_eq(out->word, current, "%s: %llx is left, expected %llx", what, (unsigned long long)out->word,
               (unsigned long long)current);
}

// --- integers -------------------------------------------------------------------------------------------

static uint64_t add(uint64_t old, uint64_t b) {
  return old + b;
}
static uint64_t min_unsigned(uint64_t old, uint64_t b) {
  return old < b ? old : b;
}
static uint64_t max_unsigned(uint64_t old, uint64_t b) {
  return old > b ? old : b;
}
static uint64_t min_s32(uint64_t old, uint64_t b) {
  return (int32_t)old < (int32_t)b ? old : b;
}
static uint64_t max_s32(uint64_t old, uint64_t b) {
  return (int32_t)old > (int32_t)b ? old : b;
}
static uint64_t min_s64(uint64_t old, uint64_t b) {
  return (int64_t)old < (int64_t)b ? old : b;
}
static uint64_t max_s64(uint64_t old, uint64_t b) {
  return (int64_t)old > (int64_t)b ? old : b;
}
static uint64_t both(uint64_t old, uint64_t b) {
  return old & b;
}
static uint64_t either(uint64_t old, uint64_t b) {
  return old | b;
}
static uint64_t differ(uint64_t old, uint64_t b) {
  return old ^ b;
}
static uint64_t exchange(uint64_t old, uint64_t b) {
  (void)old;
  return b;
}
static uint64_t increment(uint64_t old, uint64_t b) {
  return old >= b ? 0 : old + 1;
}
static uint64_t decrement(uint64_t old, uint64_t b) {
  return old == 0 || old > b ? b : old - 1;
}

static const struct {
  const char *op, *type;
  operation apply;
} integers[] = {
  { "add", "u32", add },          { "add", "s32", add },          { "add", "u64", add },
  { "min", "u32", min_unsigned }, { "min", "u64", min_unsigned }, { "max", "u32", max_unsigned },
  { "max", "u64", max_unsigned }, { "min", "s32", min_s32 },      { "max", "s32", max_s32 },
  { "min", "s64", min_s64 },      { "max", "s64", max_s64 },      { "and", "b32", both },
  { "and", "b64", both },         { "or", "b32", either },        { "or", "b64", either },
  { "xor", "b32", differ },       { "xor", "b64", differ },       { "exch", "b32", exchange },
  { "exch", "b64", exchange },    { "inc", "u32", increment },    { "dec", "u32", decrement },
};

static void fill_operands(const char *op, memory *in) {
  uint64_t state = 21;
  in->word = (uint64_t)device_random(&state) << 32 | device_random(&state);
  if (strcmp(op, "inc") == 0 || strcmp(op, "dec") == 0) in->word = 3;
  for (int i = 0; i < THREADS * BLOCKS; i++) {
    in->threads[i] = (uint64_t)device_random(&state) << 32 | device_random(&state);
    // One bit each, so that every one of them shows.
    if (strcmp(op, "and") == 0) in->threads[i] = ~((uint64_t)1 << i % 64);
    if (strcmp(op, "or") == 0) in->threads[i] = (uint64_t)1 << i % 64;
    if (strcmp(op, "inc") == 0 || strcmp(op, "dec") == 0) in->threads[i] = 40;
  }
}

static void check_integers(const char *space) {
  memory in, out;
  for (size_t i = 0; i < QN_COUNT(integers); i++) {
    fill_operands(integers[i].op, &in);
    run(space, integers[i].op, integers[i].type, &in, &out);
    check_order(integers[i].op, integers[i].apply, bits_of(integers[i].type), &in, &out, THREADS);
  }
}
Test(atom, integers_in_global_memory) {
  check_integers("global");
}
Test(atom, integers_in_shared_memory) {
  check_integers("shared");
}
Test(atom, orders_and_scopes) {
  check_integers("relaxed.gpu.global");
  check_integers("acq_rel.cta.shared");
}

// The blocks of a grid may run at the same time. The word is what the harness fills memory with.
Test(atom, blocks_meet) {
  memory in, out;
  uint64_t state = 31;
  for (int i = 0; i < THREADS * BLOCKS; i++) in.threads[i] = device_random(&state);
  in.word = 0xEEEEEEEEEEEEEEEEu;
  device_run(device_kernel(.body =
                               ".reg .b32 %i, %n; .reg .b64 %a, %b, %d<3>;\n"
                               "mov.u32 %i, %ctaid.x;\nmov.u32 %n, %ntid.x;\nmad.lo.u32 %i, %i, %n, %thread;\n"
                               "mad.wide.u32 %a, %i, 8, %in;\nmad.wide.u32 %b, %i, 8, %out;\n"
                               "ld.global.b64 %d1, [%a+8];\n"
                               "atom.global.add.u64 %d2, [%out], %d1;\n"
                               "st.global.b64 [%b+8], %d2;",
                           .threads = THREADS, .blocks = BLOCKS),
             &in, sizeof in, &out, sizeof out);
  check_order("add of blocks", add, 64, &in, &out, THREADS * BLOCKS);
}

// None is lost of many from blocks that run at the same time.
Test(atom, blocks_lose_nothing) {
  enum { MANY = 64, TURNS = 32 };
  uint32_t nothing = 0, out;
  device_run(device_kernel(.body = ".reg .b32 %i, %one; .reg .pred %p;\n"
                                   "mov.b32 %i, 0;\nmov.b32 %one, 1;\n"
                                   "AGAIN:\n"
                                   "red.global.add.u32 [%out], %one;\n"
                                   "add.u32 %i, %i, 1;\nsetp.lt.u32 %p, %i, 32;\n@%p bra AGAIN;",
                           .threads = THREADS, .blocks = MANY),
             &nothing, sizeof nothing, &out, sizeof out);
  cr_assert_eq(out, 0xEEEEEEEEu + MANY * THREADS * TURNS, "%x", out);
}

// One thread finds what it compares with; all others find what that one left.
static void check_cas(const char *type) {
  char body[1024];
  uint64_t in[THREADS] = { 0 }, out[THREADS + 1], winner = 0;
  int bits = bits_of(type), winners = 0;
  const char *letter = bits == 64 ? "d" : bits == 32 ? "r" : "h";
  snprintf(body, sizeof body,
           ".reg .b64 %%b, %%d<5>; .reg .b32 %%r<5>; .reg .b16 %%h<5>; .reg .pred %%other;\n"
           "mad.wide.u32 %%b, %%thread, 8, %%out;\n"
           "setp.ne.u32 %%other, %%thread, 0;\n@%%other bra READY;\n"
           "mov.b64 %%d1, 7;\nst.global.b64 [%%out], %%d1;\n"
           "READY:\nbar.sync 0;\n"
           "cvt.u%d.u32 %%%s1, %%thread;\nadd.u%d %%%s2, %%%s1, 100;\n"
           "mov.b%d %%%s4, 7;\n"
           "atom.global.cas.%s %%%s3, [%%out], %%%s4, %%%s2;\n"
           "st.global.b%d [%%b+8], %%%s3;",
           bits, letter, bits, letter, letter, bits, letter, type, letter, letter, letter, bits, letter);
  device_run(device_kernel(.body = body, .threads = THREADS), in, sizeof in, out, sizeof out);
  for (int i = 0; i < THREADS; i++)
    if (low_bits(out[i + 1], bits) == 7) winners++, winner = (uint64_t)i + 100;
  cr_assert_eq(winners, 1, "%s", type);
  cr_assert_eq(low_bits(out[0], bits), winner, "%s", type);
  for (int i = 0; i < THREADS; i++)
    cr_assert(low_bits(out[i + 1], bits) == 7 || low_bits(out[i + 1], bits) == winner, "%s: thread %d", type,
              i);
}
Test(atom, compare_and_swap) {
  check_cas("b16");
  check_cas("b32");
  check_cas("b64");
}

// red of every operation, by what is left.
static void check_red(const char *space) {
  for (size_t i = 0; i < QN_COUNT(integers); i++) {
    memory in, seen, out;
    char op[32];
    if (strcmp(integers[i].op, "exch") == 0) continue;
    fill_operands(integers[i].op, &in);
    snprintf(op, sizeof op, "%s", integers[i].op);
    run(space, op, integers[i].type, &in, &seen);
    char body[1024];
    int bits = bits_of(integers[i].type);
    const char *letter = bits == 64 ? "d" : "r";
    snprintf(body, sizeof body,
             ".reg .b64 %%a, %%w, %%d<3>; .reg .b32 %%r<3>; .reg .pred %%other;\n"
             "mad.wide.u32 %%a, %%thread, 8, %%in;\n"
             "setp.ne.u32 %%other, %%thread, 0;\n@%%other bra READY;\n"
             "ld.global.b64 %%w, [%%in];\nst.global.b64 [%%out], %%w;\n"
             "READY:\nbar.sync 0;\n"
             "ld.global.b%d %%%s1, [%%a+8];\nred.%s.%s.%s [%%out], %%%s1;",
             bits, letter, space, integers[i].op, integers[i].type, letter);
    device_run(device_kernel(.body = body, .threads = THREADS), &in, 8 * (THREADS + 1), &out, 8);
    cr_assert_eq(low_bits(out.word, bits), seen.word, "red.%s.%s", integers[i].op, integers[i].type);
  }
}
Test(red, integers) {
  check_red("global");
}

// --- floats ---------------------------------------------------------------------------------------------

enum { PAIRS = 1024 };

// Each thread adds to a word of its own, in ".global" or ".shared" memory; "": in global memory by a generic
// address.
static void run_own(const char *op, const char *type, const char *space, uint64_t in[PAIRS][2], uint64_t *out) {
  char body[1024];
  int bits = bits_of(type);
  const char *letter = bits == 64   ? "d"
                       : bits == 32 ? "r"
                                    : "h",
             *at = strcmp(space, ".shared") == 0 ? "%at" : "%dst";
  snprintf(body, sizeof body,
           ".shared .align 8 .b8 words[%d];\n"
           ".reg .b64 %%d<4>; .reg .b32 %%at, %%base, %%r<4>; .reg .b16 %%h<4>;\n"
           "mov.u32 %%base, words;\nshl.b32 %%at, %%thread, 3;\nadd.u32 %%at, %%at, %%base;\n"
           "ld.global.b%d %%%s1, [%%src];\nld.global.b%d %%%s2, [%%src+8];\n"
           "st%s.b%d [%s], %%%s1;\n"
           "atom%s.%s.%s %%%s3, [%s], %%%s2;\n"
           "ld%s.b%d %%%s3, [%s];\n"
           "st.global.b%d [%%dst], %%%s3;",
           PAIRS * 8, bits, letter, bits, letter, space, bits, at, letter, space, op, type, letter, at, letter,
           space, bits, letter, at, bits, letter);
  device_run(device_kernel(.body = body, .threads = PAIRS, .in_stride = 16, .out_stride = 8,
                           .target = strstr(type, "bf16") ? "sm_90a" : NULL),
             in, PAIRS * sizeof *in, out, PAIRS * sizeof *out);
  for (int i = 0; i < PAIRS; i++) out[i] = low_bits(out[i], bits);
}

static uint64_t add_of(const float_type *type, uint64_t a, uint64_t b, bool flush) {
  long double x = decode(type, a), y = decode(type, b);
  const long double least = ldexpl(1, -126);
  if (flush && fabsl(x) < least) x = copysignl(0, x);
  if (flush && fabsl(y) < least) y = copysignl(0, y);
  // More than twice the digits of f32 and narrower types, so rounding the sum again is rounding it once.
  uint64_t sum =
      type == &type_f64 ? encode(type, (double)x + (double)y, "rn", false) : encode(type, x + y, "rn", false);
  return flush && fabsl(decode(type, sum)) < least ? sum & 0x80000000u : sum;
}

static void check_adds(const float_type *type, const char *op, const char *name, const char *space,
                       bool flush) {
  static uint64_t codes[FLOAT_INPUTS], in[PAIRS][2], out[PAIRS];
  bool packed = strstr(name, "x2") != NULL;
  int bits = type->bits;
  uint64_t state = 41;
  fill_floats(type, codes);
  for (int i = 0; i < PAIRS; i++)
    for (int s = 0; s < 2; s++) {
      in[i][s] = codes[device_random(&state) % FLOAT_INPUTS];
      // Some near each other, so that digits are lost and sums round.
      if (s && i % 3)
        in[i][s] = in[i][0] ^ (device_random(&state) & (((uint64_t)1 << (type->mantissa + 2)) - 1));
      if (packed) in[i][s] |= codes[device_random(&state) % FLOAT_INPUTS] << 16;
    }
  run_own(op, name, space, in, out);
  for (int i = 0; i < PAIRS; i++)
    for (int half = 0; half <= packed; half++) {
      uint64_t a = low_bits(in[i][0] >> 16 * half, bits), b = low_bits(in[i][1] >> 16 * half, bits);
      uint64_t found = low_bits(out[i] >> 16 * half, bits), expected = add_of(type, a, b, flush);
      if (type == &type_f64 && isnan(decode(type, found)) && isnan(decode(type, expected))) continue;
      cr_assert_eq(found, expected, "%s: %llx + %llx = %llx, expected %llx", name, (unsigned long long)a,
                   (unsigned long long)b, (unsigned long long)found, (unsigned long long)expected);
    }
}
// In global memory, subnormal numbers of f32 are zero.
Test(atom, add_f32) {
  check_adds(&type_f32, "add", "f32", ".global", true);
  check_adds(&type_f32, "add", "f32", "", true);
  check_adds(&type_f32, "add", "f32", ".shared", false);
}
Test(atom, add_f64) {
  check_adds(&type_f64, "add", "f64", ".global", false);
  check_adds(&type_f64, "add", "f64", ".shared", false);
}
Test(atom, add_f16) {
  check_adds(&type_f16, "add.noftz", "f16", ".global", false);
  check_adds(&type_f16, "add.noftz", "f16x2", ".global", false);
}
Test(atom, add_bf16) {
  check_adds(&type_bf16, "add.noftz", "bf16", ".global", false);
  check_adds(&type_bf16, "add.noftz", "bf16x2", ".shared", false);
}

// Four values at once.
Test(red, vectors) {
  uint32_t in[4] = { 0x3F800000, 0x40000000, 0x40400000, 0x40800000 }, out[4];
  device_run(device_kernel(.body = ".reg .b32 %r<9>; .reg .pred %other;\n"
                                   "setp.ne.u32 %other, %thread, 0;\n@%other bra READY;\n"
                                   "mov.b32 %r0, 0;\nst.global.v4.b32 [%out], {%r0, %r0, %r0, %r0};\n"
                                   "READY:\nbar.sync 0;\n"
                                   "ld.global.v4.b32 {%r1, %r2, %r3, %r4}, [%in];\n"
                                   "red.global.add.v4.f32 [%out], {%r1, %r2, %r3, %r4};\n"
                                   "bar.sync 0;",
                           .target = "sm_90a"),
             in, sizeof in, out, sizeof out);
  for (int i = 0; i < 4; i++)
    cr_assert_eq(out[i], encode(&type_f32, 32 * (i + 1), "rn", false), "%d: %x", i, out[i]);
}

// --- what is wrong --------------------------------------------------------------------------------------

static void check_fault(const char *op, qn_status status, const char *words) {
  char body[256];
  uint32_t nothing = 0;
  if (!device_is_emulator()) cr_skip_test("the driver has words of its own");
  snprintf(body, sizeof body, ".reg .b32 %%r<5>; .reg .b16 %%h<3>; .reg .b64 %%d<3>;\nmov.b32 %%r1, 1;\n%s;",
           op);
  cr_assert_eq(device_try(device_kernel(.body = body), &nothing, 4, &nothing, 4), status, "%s: %s", op,
               device_message());
  cr_assert(strstr(device_message(), words), "%s: %s", op, device_message());
}
Test(atom, refusals_are_worded) {
  check_fault("atom.global.add.b32 %r2, [%out], %r1", QN_UNSUPPORTED, "no atomic operation on this type");
  check_fault("atom.global.add.f16 %h1, [%out], %h2", QN_UNSUPPORTED, "need .noftz");
  check_fault("red.global.exch.b32 [%out], %r1", QN_UNSUPPORTED, "red has no .exch");
  check_fault("atom.global.add.u64 %d1, [%out], %r1", QN_UNSUPPORTED, "not the address and the operands");
  check_fault("atom.global.add.v2.u32 {%r2, %r3}, [%out], {%r1, %r1}", QN_UNSUPPORTED,
              "not the address and the operands");
}
Test(atom, an_address_is_aligned) {
  check_fault("atom.global.add.u32 %r2, [%out+2], %r1", QN_BUG, "multiple of 4");
}
Test(atom, an_address_is_within_an_allocation) {
  check_fault("atom.global.add.u32 %r2, [%out+4096], %r1", QN_BUG, "allocation");
}
