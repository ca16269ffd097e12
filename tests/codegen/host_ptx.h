// Runs the text of a kernel on the CPU: what stands here replaces device/ptx.cuh and device/ptx_fp8.cuh,
// function for function, everything else is the kernel's own text, compiled as C++.
//
// A thread of the block is a fiber. Warp-collective functions meet: the last lane to arrive does the work of
// all. Fragment layouts are written from the tables of the PTX ISA ("Matrix Fragments for mma.m16n8k16",
// ".m16n8k8", "ldmatrix"), not from the kernel. It is stricter than a chip:
//
//   asynchronous copies  take effect at the wait that guarantees them; until then the place holds NaN
//   shared memory        starts as NaN; alignment and bounds are checked; two warps that touch one word between
//   the
//                        same two barriers, one of them writing, are an error
//   global memory        alignment is checked, and that the address lies in a buffer of the test
//   collectives          lanes that meet in different functions, or never, are an error
//
// Not modelled: the order of additions inside a tensor core, the last bit of ex2.approx, races inside one warp
// (the test runs every kernel with lanes in both orders instead).
#include <math.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

struct host_range {
  u64 first, bytes;
  u32 writable;
};

enum { HOST_STACK = 128 * 1024, HOST_THREADS = 256, HOST_SHARED = 232448, HOST_COPIES = 1024 };

struct host_copy {
  u32 to;
  const void *from; // NULL: zeros
  int group;
};

struct host_thread {
  ucontext_t context; // for its first run
  jmp_buf jump;       // for all others
  bool started;
  host_copy copies[HOST_COPIES]; // under way
  int copy_count, group;
  const int *wait; // blocked while *wait == seen
  int seen;
  bool done;
};

// A place where `count` threads meet.
struct host_meeting {
  int generation, arrived;
  const char *name;
  void *slots[HOST_THREADS];
};

// Who touched a word since the last barrier, as a set of warps.
struct host_shadow {
  int epoch;
  u32 readers, writers;
};

static struct {
  host_thread threads[HOST_THREADS];
  host_meeting block, warps[HOST_THREADS / 32];
  jmp_buf scheduler;
  u32 thread, thread_count, block_index, shared_bytes;
  const host_range *ranges;
  int range_count;
  bool reversed; // the order in which threads run
  char error[256];
  alignas(128) u8 shared[HOST_SHARED];
  host_shadow shadow[HOST_SHARED / 4];
} host;

alignas(64) static char host_stacks[HOST_THREADS][HOST_STACK];

#define HOST_FAIL(...)                                                                                         \
  do {                                                                                                         \
    if (host.error[0] == '\0') snprintf(host.error, sizeof host.error, __VA_ARGS__);                           \
  } while (0)

static host_thread &host_self() {
  return host.threads[host.thread];
}

// Between scheduler and thread. swapcontext would do, at the price of two system calls each time.
static __attribute__((noinline)) void host_yield() {
  if (_setjmp(host_self().jump) == 0) _longjmp(host.scheduler, 1);
}
static __attribute__((noinline)) void host_resume() {
  if (_setjmp(host.scheduler) != 0) return;
  host_thread &self = host_self();
  if (self.started) _longjmp(self.jump, 1);
  self.started = true;
  setcontext(&self.context);
}

// Blocks until all `count` threads of the meeting have called; the last one runs `work` on their arguments.
template <typename work_fn>
static void host_meet(host_meeting &meeting, u32 count, u32 place, const char *name, void *slot, work_fn work) {
  if (meeting.arrived > 0 && strcmp(meeting.name, name) != 0)
    HOST_FAIL("thread %u is in %s while others wait in %s", host.thread, name, meeting.name);
  meeting.name = name;
  meeting.slots[place] = slot;
  if (++meeting.arrived == (int)count) {
    work(meeting.slots);
    meeting.arrived = 0;
    meeting.generation++;
    return;
  }
  host_thread &self = host_self();
  self.wait = &meeting.generation;
  self.seen = meeting.generation;
  host_yield();
}
template <typename work_fn> static void host_warp(const char *name, void *slot, work_fn work) {
  host_meet(host.warps[host.thread / 32], 32, host.thread % 32, name, slot, work);
}

// --- memory ----------------------------------------------------------------------------------------------

static void host_touch(u32 address, u32 bytes, u32 warp, bool write) {
  for (u32 word = address / 4; word < (address + bytes + 3) / 4; word++) {
    host_shadow &shadow = host.shadow[word];
    if (shadow.epoch != host.block.generation) shadow = { host.block.generation, 0, 0 };
    u32 others = (write ? shadow.readers | shadow.writers : shadow.writers) & ~(1u << warp);
    if (others != 0)
      HOST_FAIL("race: warp %u %s shared byte %u that another warp %s since the last barrier", warp,
                write ? "writes" : "reads", word * 4, shadow.writers & others ? "wrote" : "read");
    (write ? shadow.writers : shadow.readers) |= 1u << warp;
  }
}

static u8 *host_shared(u32 address, u32 bytes, u32 warp, bool write) {
  if (address % bytes != 0 || (u64)address + bytes > host.shared_bytes) {
    HOST_FAIL("shared access of %u bytes at %u, of %u", bytes, address, host.shared_bytes);
    return host.shared;
  }
  host_touch(address, bytes, warp, write);
  return host.shared + address;
}

static bool host_global(const void *at, u32 bytes, bool write) {
  u64 first = (u64)at;
  if (first % bytes != 0) {
    HOST_FAIL("global access of %u bytes at a misaligned address", bytes);
    return false;
  }
  for (int i = 0; i < host.range_count; i++)
    if (first >= host.ranges[i].first && first + bytes <= host.ranges[i].first + host.ranges[i].bytes &&
        (!write || host.ranges[i].writable))
      return true;
  HOST_FAIL("global %s of %u bytes outside of every buffer", write ? "write" : "read", bytes);
  return false;
}

template <typename type> static type host_load(const void *from) {
  type value = 0;
  if (host_global(from, sizeof value, false)) memcpy(&value, from, sizeof value);
  return value;
}
template <typename type> static void host_store(void *to, type value) {
  if (host_global(to, sizeof value, true)) memcpy(to, &value, sizeof value);
}

static u32 thread_index() {
  return host.thread;
}
static u32 block_index() {
  return host.block_index;
}
static u32 shared_base() {
  return 0;
}

static void block_sync() {
  host_meet(host.block, host.thread_count, host.thread, "block_sync", NULL, [](void **) {});
}
static void warp_sync() {
  host_warp("warp_sync", NULL, [](void **) {});
}

static void cp_async_16(u32 to, const void *from, bool valid) {
  host_thread &self = host_self();
  if (self.copy_count == HOST_COPIES) {
    HOST_FAIL("too many copies under way");
    return;
  }
  if (valid && !host_global(from, 16, false)) return;
  memset(host_shared(to, 16, host.thread / 32, true), 0xFF, 16);
  self.copies[self.copy_count++] = { to, valid ? from : NULL, self.group };
}
static void cp_async_commit() {
  host_self().group++;
}
template <int pending> static void cp_async_wait() {
  host_thread &self = host_self();
  int kept = 0;
  for (int i = 0; i < self.copy_count; i++) {
    host_copy &copy = self.copies[i];
    if (copy.group >= self.group - pending) {
      self.copies[kept++] = copy;
      continue;
    }
    u8 *to = host_shared(copy.to, 16, host.thread / 32, true);
    if (copy.from != NULL)
      memcpy(to, copy.from, 16);
    else
      memset(to, 0, 16);
  }
  self.copy_count = kept;
}

static u32 ld_shared_u32(u32 from) {
  u32 value;
  memcpy(&value, host_shared(from, 4, host.thread / 32, false), 4);
  return value;
}
static void ld_shared_16(u32 (&value)[4], u32 from) {
  memcpy(value, host_shared(from, 16, host.thread / 32, false), 16);
}
static void st_shared_u32(u32 to, u32 value) {
  memcpy(host_shared(to, 4, host.thread / 32, true), &value, 4);
}
static void st_shared_u64(u32 to, u64 value) {
  memcpy(host_shared(to, 8, host.thread / 32, true), &value, 8);
}
static u32 ld_global_u8(const void *from) {
  return host_load<u8>(from);
}
static u32 ld_global_u16(const void *from) {
  return host_load<u16>(from);
}
static u32 ld_global_u32(const void *from) {
  return host_load<u32>(from);
}
template <u32 words> static void st_global(void *to, const u32 (&value)[words]) {
  if (host_global(to, words * 4, true)) memcpy(to, value, words * 4);
}
static void st_global_u8(void *to, u32 value) {
  host_store<u8>(to, (u8)value);
}
static void st_global_u16(void *to, u32 value) {
  host_store<u16>(to, (u16)value);
}
static void st_global_u32(void *to, u32 value) {
  host_store<u32>(to, value);
}

// --- arithmetic ------------------------------------------------------------------------------------------

static u32 bits_of(float value) {
  u32 bits;
  memcpy(&bits, &value, 4);
  return bits;
}
static float float_of(u32 bits) {
  float value;
  memcpy(&value, &bits, 4);
  return value;
}
static float minus_infinity() {
  return -INFINITY;
}
static i64 mul_wide(int a, int b) {
  return (i64)a * b;
}
static float exp2_fast(float x) {
  float result = (float)exp2((double)x);
  return result < 0x1p-126f ? 0.0f : result;
}
static float rcp_fast(float x) {
  float result = (float)(1 / (double)x);
  return result < 0x1p-126f ? 0.0f : result;
}
static float abs_f32(float x) {
  return fabsf(x);
}
static float fma_rn(float a, float b, float c) {
  return fmaf(a, b, c);
}
static float mul_rn(float a, float b) {
  return a * b;
}
static float sub_rn(float a, float b) {
  return a - b;
}
static float div_rn(float a, float b) {
  return a / b;
}
static float max_f32(float a, float b) {
  return fmaxf(a, b);
}

// |x| in units of the spacing of a format around it, rounded to nearest even, and the exponent of that unit.
static double host_round(double x, int mantissa, int smallest, int &exponent) {
  int own;
  frexp(x, &own);
  exponent = (own - 1 < smallest || x == 0 ? smallest : own - 1) - mantissa;
  return nearbyint(ldexp(x, -exponent));
}

// The code of a format with an exponent field: nearest even, then what overflows becomes `overflow`.
static u32 host_encode(float value, int mantissa, int smallest, u32 sign, u32 largest, u32 overflow, u32 nan) {
  if (isnan(value)) return nan;
  u32 negative = signbit(value) ? sign : 0;
  if (isinf(value)) return negative | overflow;
  int exponent;
  double units = host_round(fabs((double)value), mantissa, smallest, exponent);
  // One binade is 2^mantissa units; the subnormal one counts from zero.
  u32 binade = (u32)(exponent + mantissa - smallest);
  u32 code = (u32)units + (binade << mantissa);
  return negative | (code > largest ? overflow : code);
}
static u32 host_f16(float x) {
  return host_encode(x, 10, -14, 0x8000, 0x7BFF, 0x7C00, 0x7FFF);
}
static u32 host_bf16(float x) {
  return host_encode(x, 7, -126, 0x8000, 0x7F7F, 0x7F80, 0x7FFF);
}
static u32 host_e4m3(float x) {
  return host_encode(x, 3, -6, 0x80, 0x7E, 0x7E, 0x7F);
}
static u32 host_e5m2(float x) {
  return host_encode(x, 2, -14, 0x80, 0x7B, 0x7B, 0x7F);
}

static u32 tf32_from_f32(float value) {
  if (!isfinite(value)) return bits_of(value) & 0xFFFFE000u;
  return (bits_of(value) + 0x1000u) & 0xFFFFE000u; // ties away from zero: add half a unit to the magnitude
}
static u32 f16x2_from_f32(float low, float high) {
  return host_f16(low) | host_f16(high) << 16;
}
static u32 bf16x2_from_f32(float low, float high) {
  return host_bf16(low) | host_bf16(high) << 16;
}
static float f32_from_f16(u32 bits) {
  u32 magnitude = bits & 0x7FFF;
  double value = magnitude < 0x400     ? ldexp(magnitude, -24)
                 : magnitude > 0x7C00  ? NAN
                 : magnitude == 0x7C00 ? INFINITY
                                       : ldexp((magnitude & 0x3FF) | 0x400, (int)(magnitude >> 10) - 25);
  return (float)(bits & 0x8000 ? -value : value);
}
#ifdef HOST_FP8_CVT
static u16 e4m3x2_from_f32(float low, float high) {
  return (u16)(host_e4m3(low) | host_e4m3(high) << 8);
}
static u16 e5m2x2_from_f32(float low, float high) {
  return (u16)(host_e5m2(low) | host_e5m2(high) << 8);
}
#endif

// --- matrices --------------------------------------------------------------------------------------------

struct host_ldmatrix {
  u32 row, *result;
};
static void host_load_matrix(u32 (&m)[4], u32 row, bool transposed) {
  host_ldmatrix slot = { row, m };
  u32 warp = host.thread / 32;
  host_warp(transposed ? "ldmatrix_x4_trans" : "ldmatrix_x4", &slot, [=](void **slots) {
    for (int matrix = 0; matrix < 4; matrix++) {
      u16 element[8][8];
      u32 banks = 0;
      for (int r = 0; r < 8; r++) {
        u32 row = ((host_ldmatrix *)slots[matrix * 8 + r])->row;
        memcpy(element[r], host_shared(row, 16, warp, false), 16);
        banks |= 1u << row / 16 % 8;
      }
      if (banks != 0xFF) HOST_FAIL("rows of one matrix share banks");
      for (int lane = 0; lane < 32; lane++) {
        int row = lane / 4, column = lane % 4 * 2;
        u32 low = transposed ? element[column][row] : element[row][column];
        u32 high = transposed ? element[column + 1][row] : element[row][column + 1];
        ((host_ldmatrix *)slots[lane])->result[matrix] = low | high << 16;
      }
    }
  });
}
static void ldmatrix_x4(u32 (&m)[4], u32 row) {
  host_load_matrix(m, row, false);
}
static void ldmatrix_x4_trans(u32 (&m)[4], u32 row) {
  host_load_matrix(m, row, true);
}

struct host_mma {
  float *c;
  const u32 *a, *b;
};

// c += a b of 16 x 8 x k, once the operands are matrices.
static void host_product(void **slots, const double (&a)[16][16], const double (&b)[16][8], int k) {
  for (int lane = 0; lane < 32; lane++)
    for (int i = 0; i < 4; i++) {
      int row = lane / 4 + (i < 2 ? 0 : 8), column = lane % 4 * 2 + (i & 1);
      float &c = ((host_mma *)slots[lane])->c[i];
      double sum = c;
      for (int j = 0; j < k; j++) sum += a[row][j] * b[j][column];
      c = (float)sum;
    }
}

static double host_half(const u32 *registers, int element, bool bf16) {
  u32 bits = registers[element / 2] >> element % 2 * 16 & 0xFFFF;
  return bf16 ? float_of(bits << 16) : f32_from_f16(bits);
}
static void host_mma_16(float (&c)[4], const u32 (&a)[4], const u32 (&b)[2], bool bf16) {
  host_mma slot = { c, a, b };
  host_warp(bf16 ? "mma_bf16" : "mma_f16", &slot, [=](void **slots) {
    double am[16][16], bm[16][8];
    for (int lane = 0; lane < 32; lane++) {
      const host_mma &from = *(host_mma *)slots[lane];
      int group = lane >> 2, in_group = lane % 4;
      for (int i = 0; i < 8; i++) {
        int row = (0 <= i && i < 2) || (4 <= i && i < 6) ? group : group + 8;
        int column = i < 4 ? in_group * 2 + (i & 1) : in_group * 2 + (i & 1) + 8;
        am[row][column] = host_half(from.a, i, bf16);
      }
      for (int i = 0; i < 4; i++) {
        int row = i < 2 ? in_group * 2 + (i & 1) : in_group * 2 + (i & 1) + 8;
        bm[row][group] = host_half(from.b, i, bf16);
      }
    }
    host_product(slots, am, bm, 16);
  });
}
static void mma_f16(float (&c)[4], const u32 (&a)[4], const u32 (&b)[2]) {
  host_mma_16(c, a, b, false);
}
static void mma_bf16(float (&c)[4], const u32 (&a)[4], const u32 (&b)[2]) {
  host_mma_16(c, a, b, true);
}

static double host_tf32(u32 bits) {
  if ((bits & 0x1FFF) != 0 && isfinite(float_of(bits))) HOST_FAIL("a tf32 operand that was not rounded");
  return float_of(bits);
}
static void mma_tf32(float (&c)[4], const u32 (&a)[4], const u32 (&b)[2]) {
  host_mma slot = { c, a, b };
  host_warp("mma_tf32", &slot, [](void **slots) {
    double am[16][16], bm[16][8];
    for (int lane = 0; lane < 32; lane++) {
      const host_mma &from = *(host_mma *)slots[lane];
      int group = lane >> 2, in_group = lane % 4;
      for (int i = 0; i < 4; i++)
        am[i == 0 || i == 2 ? group : group + 8][i < 2 ? in_group : in_group + 4] = host_tf32(from.a[i]);
      for (int i = 0; i < 2; i++) bm[i == 0 ? in_group : in_group + 4][group] = host_tf32(from.b[i]);
    }
    host_product(slots, am, bm, 8);
  });
}

struct host_shuffle {
  float value, result;
  u32 lanes;
};
static float shuffle_xor(float value, u32 lanes) {
  host_shuffle slot = { value, 0, lanes };
  host_warp("shuffle_xor", &slot, [](void **slots) {
    for (u32 lane = 0; lane < 32; lane++) {
      host_shuffle &own = *(host_shuffle *)slots[lane];
      own.result = ((host_shuffle *)slots[lane ^ own.lanes])->value;
    }
  });
  return slot.result;
}

struct host_vote {
  bool value, result;
};
static bool warp_all(bool value) {
  host_vote slot = { value, false };
  host_warp("warp_all", &slot, [](void **slots) {
    bool all = true;
    for (u32 lane = 0; lane < 32; lane++) all = all && ((host_vote *)slots[lane])->value;
    for (u32 lane = 0; lane < 32; lane++) ((host_vote *)slots[lane])->result = all;
  });
  return slot.result;
}

// --- running ---------------------------------------------------------------------------------------------

extern "C" void HOST_KERNEL(const launch_params params);
static const launch_params *host_params;

static void host_enter() {
  HOST_KERNEL(*host_params);
  if (host_self().copy_count > 0) HOST_FAIL("thread %u ends with copies under way", host.thread);
  host_self().done = true;
  host_yield();
}

static void host_run_block() {
  u32 finished = 0;
  for (u32 i = 0; i < host.shared_bytes; i++) host.shared[i] = 0xFF;
  memset(&host.block, 0, sizeof host.block);
  memset(host.warps, 0, sizeof host.warps);
  memset(host.shadow, 0, sizeof host.shadow);
  host.block.generation = 1; // the shadow's epoch 0 is "never"
  while (finished < host.thread_count && host.error[0] == '\0') {
    bool moved = false;
    for (u32 i = 0; i < host.thread_count; i++) {
      host.thread = host.reversed ? host.thread_count - 1 - i : i;
      host_thread &self = host_self();
      if (self.done || (self.wait != NULL && *self.wait == self.seen)) continue;
      self.wait = NULL;
      moved = true;
      host_resume();
      finished += self.done;
    }
    if (!moved) HOST_FAIL("deadlock: %u of %u threads have ended", finished, host.thread_count);
  }
}

// Runs the grid. NULL, or the first error.
extern "C" const char *host_run(const void *params, u32 grid, u32 threads, u32 shared_bytes,
                                const host_range *ranges, int range_count, int reversed) {
  host_params = (const launch_params *)params;
  host.error[0] = '\0';
  host.thread_count = threads;
  host.shared_bytes = shared_bytes;
  host.ranges = ranges;
  host.range_count = range_count;
  host.reversed = reversed != 0;
  for (u32 b = 0; b < grid && host.error[0] == '\0'; b++) {
    host.block_index = b;
    for (u32 i = 0; i < threads; i++) {
      host_thread &thread = host.threads[i];
      thread.copy_count = thread.group = 0;
      thread.wait = NULL;
      thread.done = thread.started = false;
      getcontext(&thread.context);
      thread.context.uc_stack.ss_sp = host_stacks[i];
      thread.context.uc_stack.ss_size = HOST_STACK;
      thread.context.uc_link = NULL;
      makecontext(&thread.context, host_enter, 0);
    }
    host_run_block();
  }
  return host.error[0] != '\0' ? host.error : NULL;
}
