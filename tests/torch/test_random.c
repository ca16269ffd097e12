// Random externs of every row: whatever the operands, the pass ends well and the graph stays valid.
#include "torch_test.h"

#include <stdlib.h>

static uint32_t state;
static uint32_t pick(uint32_t count) {
  state = state * 1664525u + 1013904223u;
  return (state >> 8) % count;
}

static const char HEAD[] =
    "graph \"g\" (a: f32[4,32], b: bf16[T,32], c: f32[1], d: s64[2], e: e4m3[4,32], f: f32[2,4,8,16], h: ?, i: "
    "f32[...], j: f32[4,1], k: s32[0], l: f32[1,2,3,4,5,6,7,8]) {\n"
    "  m: s64[] = const[value={1}]\n  n: s64[] = const[value={-128}]\n  o: s64[] = const[value={127}]\n"
    "  p: f64[] = const[value={448}]\n  q: f64[] = const[value={-448}]\n  r: bool[] = const[value={1}]\n"
    "  s: s64[2] = const[value={1, 32}]\n  t: s64[2] = const[value={4, 32}]\n  u: s64[] = const[value={24}]\n"
    "  v: f64[] = const[value={1e-10}]\n  w: s64[9] = const[value={1, 2, 3, 4, 5, 6, 7, 8, 9}]\n  x: s64[] = "
    "const[value={9223372036854775807}]\n  y: f64[] = const[value={nan}]\n  z: s64[] = const[value={16}]\n";

Test(random, every_row_with_any_operands, .timeout = 120) {
  const qn_torch_op *row;
  uint32_t read = 0;
  for (uint32_t round = 0; round < 60; round++) {
    for (uint32_t i = 0; (row = qn_torch_op_get(i)) != NULL; i++) {
      char text[4096];
      state = round * 4096 + i;
      int length = snprintf(text, sizeof text, "%s  r0: ?, r1: ?, r2: ? = extern", HEAD);
      uint32_t operands = pick(12);
      for (uint32_t k = 0; k < operands; k++) {
        uint32_t letter = pick(28);
        length += snprintf(text + length, sizeof text - (size_t)length, "%s%c", k ? ", " : "(",
                           letter > 24   ? '_'
                           : letter == 6 ? 'a'
                                         : (char)('a' + letter));
      }
      snprintf(text + length, sizeof text - (size_t)length,
               "%s[name=\"%s\", raw=\"mapping_type=SYMMETRIC\"]\n  return r0%s\n}\n", operands ? ")" : "",
               row->name, pick(4) ? "" : ", r1");
      run r = run_passes("read-torch", text, (qn_pipeline_params){ 0 });
      read += qn_pipeline_get_remark_count(r.pipeline) == 0;
      end_run(&r);
    }
  }
  cr_expect_gt(read, 20);
}
