// ldmatrix, stmatrix and movmatrix: where each element goes, by the tables of the PTX ISA.
#include "ir/base_priv.h"
#include "tests/device/device_test.h"

#include <stdio.h>

enum { LANES = 32, ROWS = 8, MATRICES = 4, PITCH = 48 };

// Element (row, column) of matrix m is 64 * m + 8 * row + column + 1: each is another number.
static uint16_t element(int m, int row, int column) {
  return (uint16_t)(64 * m + 8 * row + column + 1);
}
// Thread t holds, of each matrix, elements 2 * (t % 4) and the one after it of row t / 4; with .trans, of
// column t / 4.
static uint32_t expected_word(int m, int lane, bool trans) {
  int major = lane / 4, minor = lane % 4 * 2;
  uint32_t low = trans ? element(m, minor, major) : element(m, major, minor);
  uint32_t high = trans ? element(m, minor + 1, major) : element(m, major, minor + 1);
  return low | high << 16;
}

// The place in shared memory of row r of matrix m: not in order, and PITCH bytes apart.
static uint32_t row_place(int m, int row) {
  return (uint32_t)((m * ROWS + row) * 5 % LANES) * PITCH;
}

// A lane's input: its row's 16 bytes, and where it stands.
typedef struct lane_input {
  uint16_t row[ROWS];
  uint32_t place, unused[3];
} lane_input;

static void fill_inputs(lane_input in[LANES]) {
  memset(in, 0, LANES * sizeof *in);
  for (int lane = 0; lane < LANES; lane++) {
    for (int column = 0; column < ROWS; column++) in[lane].row[column] = element(lane / 8, lane % 8, column);
    in[lane].place = row_place(lane / 8, lane % 8);
  }
}

static const char *const lists[] = { "", "{%x0}", "{%x0, %x1}", "", "{%x0, %x1, %x2, %x3}" };

// The addresses of lanes beyond the rows are not looked at, so they need not be written.
static void check_load(int count, bool trans, const char *space) {
  lane_input in[LANES];
  uint32_t out[LANES][MATRICES];
  char body[2048];
  fill_inputs(in);
  snprintf(body, sizeof body,
           ".shared .align 16 .b8 tile[%d];\n"
           ".reg .b32 %%x<4>, %%y<4>, %%base, %%place, %%address; .reg .pred %%p;\n"
           "ld.global.v4.b32 {%%y0, %%y1, %%y2, %%y3}, [%%src];\n"
           "ld.global.b32 %%place, [%%src+16];\n"
           "mov.u32 %%base, tile;\n"
           "add.u32 %%place, %%place, %%base;\n"
           "setp.lt.u32 %%p, %%thread, %d;\n"
           "@%%p mov.b32 %%address, %%place;\n"
           "st.shared.v4.b32 [%%place], {%%y0, %%y1, %%y2, %%y3};\n"
           "bar.sync 0;\n"
           "mov.b32 %%x0, 0;\nmov.b32 %%x1, 0;\nmov.b32 %%x2, 0;\nmov.b32 %%x3, 0;\n"
           "ldmatrix.sync.aligned.m8n8.x%d%s%s.b16 %s, [%%address];\n"
           "st.global.v4.b32 [%%dst], {%%x0, %%x1, %%x2, %%x3};",
           LANES * PITCH, 8 * count, count, trans ? ".trans" : "", space, lists[count]);
  device_run(device_kernel(.body = body, .in_stride = sizeof *in, .out_stride = sizeof *out), in, sizeof in,
             out, sizeof out);
  for (int lane = 0; lane < LANES; lane++)
    for (int m = 0; m < MATRICES; m++)
      cr_assert_eq(out[lane][m], m < count ? expected_word(m, lane, trans) : 0,
                   "x%d %d: lane %d, matrix %d: %x", count, trans, lane, m, out[lane][m]);
}

Test(ldmatrix, x1) {
  check_load(1, false, ".shared");
  check_load(1, true, ".shared");
}
Test(ldmatrix, x2) {
  check_load(2, false, ".shared");
  check_load(2, true, ".shared");
}
Test(ldmatrix, x4) {
  check_load(4, false, ".shared");
  check_load(4, true, ".shared");
  check_load(4, true, ".shared::cta");
}

static void check_store(int count, bool trans) {
  struct {
    uint32_t words[MATRICES], address, place, unused[2];
  } in[LANES];
  uint16_t out[LANES][ROWS];
  char body[2048];
  for (int lane = 0; lane < LANES; lane++) {
    for (int m = 0; m < MATRICES; m++) in[lane].words[m] = expected_word(m, lane, trans);
    in[lane].place = row_place(lane / 8, lane % 8);
    in[lane].address = lane < 8 * count ? in[lane].place : 0xFFFFFFF1u;
  }
  snprintf(body, sizeof body,
           ".shared .align 16 .b8 tile[%d];\n"
           ".reg .b32 %%x<4>, %%y<4>, %%base, %%place, %%address, %%zero;\n"
           "ld.global.v4.b32 {%%x0, %%x1, %%x2, %%x3}, [%%src];\n"
           "ld.global.v2.b32 {%%address, %%place}, [%%src+16];\n"
           "mov.u32 %%base, tile;\nmov.b32 %%zero, 0;\n"
           "add.u32 %%place, %%place, %%base;\nadd.u32 %%address, %%address, %%base;\n"
           "st.shared.v4.b32 [%%place], {%%zero, %%zero, %%zero, %%zero};\n"
           "bar.sync 0;\n"
           "stmatrix.sync.aligned.m8n8.x%d%s.shared.b16 [%%address], %s;\n"
           "bar.sync 0;\n"
           "ld.shared.v4.b32 {%%y0, %%y1, %%y2, %%y3}, [%%place];\n"
           "st.global.v4.b32 [%%dst], {%%y0, %%y1, %%y2, %%y3};",
           LANES * PITCH, count, trans ? ".trans" : "", lists[count]);
  device_run(
      device_kernel(.body = body, .target = "sm_90a", .in_stride = sizeof *in, .out_stride = sizeof *out), in,
      sizeof in, out, sizeof out);
  for (int lane = 0; lane < LANES; lane++)
    for (int column = 0; column < ROWS; column++)
      cr_assert_eq(out[lane][column], lane / 8 < count ? element(lane / 8, lane % 8, column) : 0,
                   "x%d %d: matrix %d, row %d, column %d: %x", count, trans, lane / 8, lane % 8, column,
                   out[lane][column]);
}

Test(stmatrix, x1) {
  check_store(1, false);
  check_store(1, true);
}
Test(stmatrix, x2) {
  check_store(2, false);
  check_store(2, true);
}
Test(stmatrix, x4) {
  check_store(4, false);
  check_store(4, true);
}

Test(movmatrix, transposes) {
  uint32_t in[LANES], out[LANES];
  for (int lane = 0; lane < LANES; lane++) in[lane] = expected_word(0, lane, false);
  device_run(device_kernel(.body = ".reg .b32 %x, %y;\n"
                                   "ld.global.b32 %x, [%src];\n"
                                   "movmatrix.sync.aligned.m8n8.trans.b16 %y, %x;\n"
                                   "st.global.b32 [%dst], %y;"),
             in, sizeof in, out, sizeof out);
  for (int lane = 0; lane < LANES; lane++)
    cr_assert_eq(out[lane], expected_word(0, lane, true), "lane %d: %x", lane, out[lane]);
}

// --- what is wrong --------------------------------------------------------------------------------------

static void check_fault(const char *op, qn_status status, const char *words) {
  char body[1024];
  uint32_t nothing = 0;
  if (!device_is_emulator()) cr_skip_test("the driver has words of its own");
  snprintf(body, sizeof body,
           ".shared .align 16 .b8 tile[1024];\n.reg .b32 %%x<4>, %%at;\nmov.u32 %%at, tile;\nshl.b32 %%x0, "
           "%%thread, 4;\n"
           "add.u32 %%at, %%at, %%x0;\nst.shared.v4.b32 [%%at], {%%x0, %%x0, %%x0, %%x0};\nbar.sync 0;\n%s;",
           op);
  cr_assert_eq(device_try(device_kernel(.body = body, .target = "sm_90a"), &nothing, 4, &nothing, 4), status,
               "%s: %s", op, device_message());
  cr_assert(strstr(device_message(), words), "%s: %s", op, device_message());
}

Test(ldmatrix, refusals_are_worded) {
  check_fault("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%x0}, [%at]", QN_UNSUPPORTED,
              "a register of 32 bits each");
  check_fault("ldmatrix.aligned.m8n8.x1.shared.b16 {%x0}, [%at]", QN_UNSUPPORTED, "only .sync.aligned");
  check_fault("movmatrix.sync.aligned.m8n8.b16 %x0, %x0", QN_UNSUPPORTED, "movmatrix is .trans");
}
Test(ldmatrix, a_row_is_aligned) {
  check_fault("ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%x0}, [%at+8]", QN_BUG, "align");
}
Test(ldmatrix, a_row_is_within_shared_memory) {
  check_fault("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%x0, %x1, %x2, %x3}, [%at+65536]", QN_BUG, "shared");
}
Test(ldmatrix, a_row_was_written) {
  check_fault("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%x0, %x1, %x2, %x3}, [%at+512]", QN_BUG,
              "that nobody wrote");
}
