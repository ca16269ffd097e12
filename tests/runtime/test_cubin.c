// Reading a cubin and the assembler's report: the right numbers, and no byte of bad input followed blindly.
#include "runtime/cubin_priv.h"
#include "tests/runtime/tiny_cubin.h"

#include <criterion/criterion.h>
#include <stdlib.h>

Test(cubin, numbers_of_the_entry) {
  uint8_t bytes[TINY_CUBIN_MAX];
  size_t length = tiny_cubin(bytes, "kernel", 168, 40);
  qn_cubin_info info;
  cr_assert(qn_cubin_read(bytes, length, "kernel", &info));
  cr_assert_eq(info.registers, 168);
  cr_assert_eq(info.frame_bytes, 40);
  cr_assert_eq(info.code_bytes, 128);
}

Test(cubin, another_name_is_not_the_entry) {
  uint8_t bytes[TINY_CUBIN_MAX];
  size_t length = tiny_cubin(bytes, "kernel", 168, 40);
  qn_cubin_info info;
  cr_assert_not(qn_cubin_read(bytes, length, "kerne", &info));
  cr_assert_not(qn_cubin_read(bytes, length, "kernel_", &info));
}

// A copy of exactly `length` bytes, so that a sanitizer sees every read beyond them.
static bool read_exactly(const uint8_t *bytes, size_t length, qn_cubin_info *info) {
  uint8_t *copy = malloc(length ? length : 1);
  cr_assert_not_null(copy);
  memcpy(copy, bytes, length);
  bool read = qn_cubin_read(copy, length, "kernel", info);
  free(copy);
  return read;
}

Test(cubin, every_truncation_is_refused) {
  uint8_t bytes[TINY_CUBIN_MAX];
  size_t length = tiny_cubin(bytes, "kernel", 168, 40);
  qn_cubin_info info;
  for (size_t cut = 0; cut < length; cut++) cr_assert_not(read_exactly(bytes, cut, &info), "cut at %zu", cut);
}

Test(cubin, any_changed_byte_is_survived) {
  static const uint8_t changes[] = { 0x01, 0x80, 0xff };
  uint8_t bytes[TINY_CUBIN_MAX];
  size_t length = tiny_cubin(bytes, "kernel", 168, 40);
  qn_cubin_info info;
  for (size_t at = 0; at < length; at++)
    for (size_t i = 0; i < sizeof(changes); i++) {
      bytes[at] ^= changes[i];
      (void)read_exactly(bytes, length, &info);
      bytes[at] ^= changes[i];
    }
  cr_assert(read_exactly(bytes, length, &info), "the bytes are as they were");
}

Test(cubin, offsets_that_overflow_are_refused) {
  uint8_t bytes[TINY_CUBIN_MAX];
  size_t length = tiny_cubin(bytes, "kernel", 168, 40);
  Elf64_Ehdr head;
  memcpy(&head, bytes, sizeof(head));
  head.e_shoff = UINT64_MAX - 16;
  memcpy(bytes, &head, sizeof(head));
  qn_cubin_info info;
  cr_assert_not(read_exactly(bytes, length, &info));
}

static const char report[] =
    "ptxas info    : 0 bytes gmem\n"
    "ptxas info    : Compiling entry function 'other' for 'sm_90a'\n"
    "ptxas info    : Function properties for other\n"
    "ptxas         .     8 bytes stack frame, 4 bytes spill stores, 12 bytes spill loads\n"
    "ptxas info    : Used 8 registers, used 0 barriers\n"
    "ptxas info    : Compiling entry function 'kern' for 'sm_90a'\n"
    "ptxas info    : Function properties for kern\n"
    "ptxas         .     160 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads\n"
    "ptxas info    : Used 40 registers, used 1 barriers, 160 bytes cumulative stack size, 256 bytes smem\n";

Test(ptxas, each_entry_has_its_own_numbers) {
  qn_ptxas_info info;
  cr_assert(qn_ptxas_read(report, "kern", &info));
  cr_assert_eq(info.registers, 40);
  cr_assert_eq(info.frame_bytes, 160);
  cr_assert_eq(info.spill_bytes, 0);
  cr_assert_eq(info.shared_bytes, 256);
  cr_assert(qn_ptxas_read(report, "other", &info));
  cr_assert_eq(info.registers, 8);
  cr_assert_eq(info.frame_bytes, 8);
  cr_assert_eq(info.spill_bytes, 16);
  cr_assert_eq(info.shared_bytes, 0);
}

Test(ptxas, no_report_is_said) {
  qn_ptxas_info info;
  cr_assert_not(qn_ptxas_read("", "kern", &info));
  cr_assert_not(qn_ptxas_read(report, "ker", &info));
  cr_assert_not(qn_ptxas_read("ptxas info    : Compiling entry function 'kern' for 'sm_90a'\n", "kern", &info));
  cr_assert_not(qn_ptxas_read("Compiling entry function 'kern", "kern", &info));
}
