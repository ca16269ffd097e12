// The harness itself: a kernel's threads find their places in both buffers.
#include "tests/device/device_test.h"

Test(harness, every_thread_copies_its_word) {
  uint32_t in[64], out[64];
  uint64_t random = 1;
  for (int i = 0; i < 64; i++) in[i] = device_random(&random);
  device_run(device_kernel(.threads = 64, .body = ".reg .b32 %x;\n"
                                                  "ld.global.u32 %x, [%src];\n"
                                                  "st.global.u32 [%dst], %x;"),
             in, sizeof(in), out, sizeof(out));
  cr_assert_arr_eq(in, out, sizeof(in));
}

Test(harness, what_is_not_written_keeps_its_filling) {
  uint32_t in[32] = { 0 }, out[32];
  device_run(device_kernel(.body = ".reg .pred %p;\n"
                                   "setp.ge.u32 %p, %thread, 3;\n"
                                   "@%p bra DONE;\n"
                                   "st.global.u32 [%dst], %thread;\n"
                                   "DONE:"),
             in, sizeof(in), out, sizeof(out));
  for (uint32_t i = 0; i < 32; i++) cr_assert_eq(out[i], i < 3 ? i : 0xEEEEEEEE, "word %u is %x", i, out[i]);
}
