// Loading and launching: what is refused, in words, and the device's memory.
#include "tests/emulator/machine_test.h"

#include <stdio.h>

#define TEXT(target, directives, body)                                                                         \
  ".version 8.6\n.target " target                                                                              \
  "\n.address_size 64\n.visible .entry k(.param .u64 a, .param .u32 b)\n" directives "\n{\n" body              \
  "\nret;\n}\n"

static machine m;
static char words[1024];

static void open_default(void) {
  machine_open(&m, NULL);
}
static void close_it(void) {
  machine_close(&m);
}

static const uint8_t params[12];
static qn_grid grid_of(uint32_t blocks, uint32_t threads) {
  return (qn_grid){
    .blocks = { blocks, 1, 1 }, .threads = { threads, 1, 1 }, .params = params, .params_bytes = 12
  };
}

static void refuses(const char *text, const qn_grid *grid, qn_status status, const char *message) {
  cr_assert_eq(machine_launch(&m, text, grid), status, "%s", message);
  cr_assert_str_eq(machine_message(&m, words, sizeof words), message);
}

TestSuite(launch, .init = open_default, .fini = close_it);
TestSuite(load, .init = open_default, .fini = close_it);
TestSuite(memory_of_device, .init = open_default, .fini = close_it);

// --- launching ---------------------------------------------------------------------------------------------

Test(launch, of_nothing) {
  qn_grid grid = grid_of(1, 1);
  cr_assert_eq(machine_launch(&m, TEXT("sm_80", "", ""), &grid), QN_OK);
}

Test(launch, too_many_threads) {
  qn_grid grid = grid_of(1, 1025);
  refuses(TEXT("sm_80", "", ""), &grid, QN_INVALID,
          "k: a block of 1025 x 1 x 1 threads; allowed are 1 to 1024, at most 64 in z");
  grid = grid_of(1, UINT32_MAX);
  grid.threads[1] = grid.threads[2] = UINT32_MAX;
  refuses(TEXT("sm_80", "", ""), &grid, QN_INVALID,
          "k: a block of 4294967295 x 4294967295 x 4294967295 threads; allowed are 1 to 1024, at most 64 in z");
  grid = grid_of(1, 0);
  refuses(TEXT("sm_80", "", ""), &grid, QN_INVALID,
          "k: a block of 0 x 1 x 1 threads; allowed are 1 to 1024, at most 64 in z");
}

Test(launch, too_many_blocks) {
  qn_grid grid = grid_of(UINT32_MAX, 32);
  refuses(TEXT("sm_80", "", ""), &grid, QN_INVALID,
          "k: the grid has 4294967295 blocks in x, allowed are 1 to 2147483647");
  grid = grid_of(1, 32);
  grid.blocks[1] = 65536;
  refuses(TEXT("sm_80", "", ""), &grid, QN_INVALID,
          "k: the grid has 65536 blocks in y, allowed are 1 to 65535");
}

Test(launch, other_threads_than_the_kernel_says) {
  qn_grid grid = grid_of(1, 96);
  refuses(TEXT("sm_80", ".maxntid 64", ""), &grid, QN_INVALID,
          "k: a block of 96 threads; the kernel allows 64");
  refuses(TEXT("sm_80", ".reqntid 128, 1, 1", ""), &grid, QN_INVALID,
          "k: a block of 96 x 1 x 1 threads; the kernel requires 128 x 1 x 1");
  cr_assert_eq(machine_launch(&m, TEXT("sm_80", ".maxntid 16, 8", ""), &grid), QN_OK);
  cr_assert_eq(machine_launch(&m, TEXT("sm_80", ".reqntid 96", ""), &grid), QN_OK);
}

Test(launch, too_much_shared_memory) {
  qn_grid grid = grid_of(1, 32);
  grid.shared_bytes = 163 * 1024;
  cr_assert_eq(machine_launch(&m, TEXT("sm_80", "", ""), &grid), QN_OK);
  grid.shared_bytes++;
  refuses(TEXT("sm_80", "", ""), &grid, QN_INVALID,
          "k: a block needs 166913 bytes of shared memory, the target has 166912");
  grid.shared_bytes = UINT32_MAX;
  refuses(TEXT("sm_80", "", ".shared .b8 x[16];"), &grid, QN_INVALID,
          "k: a block needs 4294967311 bytes of shared memory, the target has 166912");
}

Test(launch, other_parameters) {
  qn_grid grid = grid_of(1, 32);
  grid.params_bytes = 16;
  refuses(TEXT("sm_80", "", ""), &grid, QN_INVALID, "k: 16 bytes of parameters are given, the kernel takes 12");
  grid.params = NULL;
  grid.params_bytes = 12;
  refuses(TEXT("sm_80", "", ""), &grid, QN_INVALID, "k: 0 bytes of parameters are given, the kernel takes 12");
}

Test(launch, clusters_that_do_not_divide_the_grid) {
  machine_close(&m);
  machine_open(&m, qn_emulator_params(.target = QN_TARGET_sm_90a));
  qn_grid grid = grid_of(3, 32);
  refuses(TEXT("sm_90", ".reqnctapercluster 2, 1, 1", ""), &grid, QN_INVALID,
          "k: the grid has 3 blocks in x, no multiple of the cluster's 2");
  grid = grid_of(32, 32);
  refuses(TEXT("sm_90", ".reqnctapercluster 32, 1, 1", ""), &grid, QN_INVALID,
          "k: the kernel asks for clusters of more than 16 blocks");
}

// --- loading -----------------------------------------------------------------------------------------------

Test(load, machine_code) {
  const qn_kernel_info info = { .name = "k", .binary = QN_CUBIN, .data = "\177ELF", .length = 4, .log = "" };
  qn_loaded_kernel loaded = { .device = m.device };
  cr_assert_eq(m.device->ops->load(m.device, &info, &loaded), QN_UNSUPPORTED);
  cr_assert_str_eq(machine_message(&m, words, sizeof words),
                   "emulator: sm_80: the kernel k is machine code; the emulator runs PTX: compile to PTX");
}

Test(load, no_such_entry) {
  qn_grid grid = grid_of(1, 1);
  refuses(".version 8.0\n.target sm_80\n.address_size 64\n.entry other() { ret; }\n", &grid, QN_INVALID,
          "emulator: sm_80: the PTX has no entry k");
}

Test(load, a_newer_target) {
  qn_grid grid = grid_of(1, 1);
  refuses(TEXT("sm_86", "", ""), &grid, QN_UNSUPPORTED,
          "emulator: sm_80: the PTX of kernel k is for sm_86 and later, the device is sm_80");
  refuses(TEXT("sm_90a", "", ""), &grid, QN_UNSUPPORTED,
          "emulator: sm_80: the PTX of kernel k is for sm_90a alone, the device is sm_80");
}

Test(load, an_older_target) {
  machine_close(&m);
  machine_open(&m, qn_emulator_params(.target = QN_TARGET_sm_100a));
  qn_grid grid = grid_of(1, 1);
  cr_assert_eq(machine_launch(&m, TEXT("sm_80", "", ""), &grid), QN_OK);
  cr_assert_eq(machine_launch(&m, TEXT("sm_90", "", ""), &grid), QN_OK);
  cr_assert_eq(machine_launch(&m, TEXT("sm_100a", "", ""), &grid), QN_OK);
  refuses(TEXT("sm_90a", "", ""), &grid, QN_UNSUPPORTED,
          "emulator: sm_100a: the PTX of kernel k is for sm_90a alone, the device is sm_100");
}

Test(load, a_family) {
  machine_close(&m);
  machine_open(&m, qn_emulator_params(.target = QN_TARGET_sm_103a));
  qn_grid grid = grid_of(1, 1);
  cr_assert_eq(machine_launch(&m, TEXT("sm_100f", "", ""), &grid), QN_OK);
  machine_close(&m);
  machine_open(&m, qn_emulator_params(.target = QN_TARGET_sm_120a));
  refuses(TEXT("sm_100f", "", ""), &grid, QN_UNSUPPORTED,
          "emulator: sm_120a: the PTX of kernel k is for sm_100 and later ones of its family, the device is "
          "sm_120");
}

Test(load, text_that_is_no_ptx) {
  qn_grid grid = grid_of(1, 1);
  cr_assert_neq(machine_launch(&m, "This is no PTX.", &grid), QN_OK);
  cr_assert(strncmp(machine_message(&m, words, sizeof words), "k:1:", 4) == 0, "%s", words);
}

Test(load, functions_that_call_themselves) {
  qn_grid grid = { .blocks = { 1, 1, 1 }, .threads = { 1, 1, 1 } };
  refuses(".version 8.0\n.target sm_80\n.address_size 64\n.func g();\n.func f() { call g; ret; }\n"
          ".func g() { call f; ret; }\n.entry k() { call f; ret; }\n",
          &grid, QN_UNSUPPORTED, "g: the function calls itself, directly or through others");
}

Test(load, functions_without_an_end) {
  qn_grid grid = { .blocks = { 1, 1, 1 }, .threads = { 1, 1, 1 } };
  refuses(".version 8.0\n.target sm_80\n.address_size 64\n.entry k() { bar.sync 0; }\n", &grid, QN_INVALID,
          "k: the function must end with ret, exit, trap or a branch");
}

Test(load, leaves_the_device_as_it_was_after_a_failure) {
  qn_grid grid = grid_of(1, 1);
  for (int i = 0; i < 3; i++)
    cr_assert_neq(machine_launch(&m, TEXT("sm_80", "", "add.u32 1, 2;"), &grid), QN_OK);
  cr_assert_eq(machine_launch(&m, TEXT("sm_80", "", ""), &grid), QN_OK);
}

// --- memory ------------------------------------------------------------------------------------------------

Test(memory_of_device, what_is_uploaded_comes_back) {
  uint8_t in[5] = { 1, 2, 3, 4, 5 }, out[5] = { 0 };
  cr_assert_eq(qn_device_upload(m.device, m.in + 3, in, 5), QN_OK);
  cr_assert_eq(qn_device_download(m.device, out, m.in + 3, 5), QN_OK);
  cr_assert_arr_eq(in, out, 5);
}

Test(memory_of_device, copies_out_of_bounds) {
  uint8_t bytes[32] = { 0 };
  cr_assert_eq(qn_device_upload(m.device, m.in + 16384 - 16, bytes, 32), QN_INVALID);
  cr_assert_str_eq(
      machine_message(&m, words, sizeof words),
      "emulator: sm_80: upload of 32 bytes at 0x100000003ff0, which ends beyond an allocation of 16384 "
      "bytes: it begins 16 bytes before its end");
  cr_assert_eq(qn_device_download(m.device, bytes, 0, 32), QN_INVALID);
  cr_assert_str_eq(machine_message(&m, words, sizeof words),
                   "emulator: sm_80: download of 32 bytes at 0x0, a null pointer");
}

Test(memory_of_device, freeing_what_is_none) {
  cr_assert_eq(qn_device_free(m.device, 0), QN_OK);
  cr_assert_eq(qn_device_free(m.device, m.in + 4), QN_INVALID);
  cr_assert_str_eq(machine_message(&m, words, sizeof words),
                   "emulator: sm_80: no allocation begins at 0x100000000004");
  cr_assert_eq(qn_device_free(m.device, m.in), QN_OK);
  cr_assert_eq(qn_device_free(m.device, m.in), QN_INVALID);
}

Test(memory_of_device, absurd_sizes) {
  qn_device_ptr ptr;
  cr_assert_eq(qn_device_allocate(m.device, SIZE_MAX, &ptr), QN_LIMIT);
  cr_assert_eq(qn_device_allocate(m.device, 0, &ptr), QN_OK);
  cr_assert_eq(qn_device_free(m.device, ptr), QN_OK);
}

Test(memory_of_device, the_target_is_the_one_that_was_asked_for) {
  qn_target target;
  cr_assert_eq(qn_device_get_target(m.device, &target), QN_OK);
  cr_assert_eq(target, QN_TARGET_sm_80);
  cr_assert_str_eq(qn_device_get_name(m.device), "emulator: sm_80");
  qn_device *device;
  cr_assert_eq(qn_device_create_emulator(m.context, qn_emulator_params(.target = QN_TARGET_COUNT), &device),
               QN_INVALID);
}
