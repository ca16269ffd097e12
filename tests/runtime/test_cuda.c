// The CUDA device against an imitation of the driver: what is called, with what, and what is said when it
// fails.
#include "ir/base_priv.h"
#include "runtime/kernel_priv.h"
#include "tests/runtime/fake_cuda.h"

#include <criterion/criterion.h>
#include <dlfcn.h>
#include <stdlib.h>

#define FAKE_CUDA FAKE_DIR "/libfake_cuda.so"

static qn_context *context;
static fake_cuda *fake;

static void set_up(void) {
  cr_assert_eq(qn_context_create(NULL, &context), QN_OK);
  setenv("QUENCH_LIBCUDA", FAKE_CUDA, 1);
  void *handle = dlopen(FAKE_CUDA, RTLD_NOW | RTLD_LOCAL);
  cr_assert_not_null(handle, "%s", dlerror());
  fake_cuda_get_fn get;
  void *address = dlsym(handle, "fake_cuda_get");
  memcpy(&get, &address, sizeof(get));
  fake = get();
}

static void tear_down(void) {
  cr_assert_eq(fake->retained, 0, "the primary context is released");
  cr_assert_eq(fake->pushed, 0, "the caller's context is current again");
  cr_assert_eq(fake->blocks, 0, "no device memory is left");
  cr_assert_eq(fake->libraries, 0, "every library is unloaded");
  cr_assert_eq(fake->outside, 0, "nothing ran outside the context");
  qn_context_destroy(context);
}

TestSuite(cuda, .init = set_up, .fini = tear_down);

static void assert_error(qn_status status, qn_status expected, const char *place, const char *words) {
  const qn_error *error = qn_context_get_error(context);
  cr_assert_eq(status, expected, "%s: %s", qn_status_name(status), error->message);
  cr_assert_str_eq(error->place, place);
  cr_assert_not_null(strstr(error->message, words), "'%s' is not in: %s", words, error->message);
}

static qn_device *create(void) {
  qn_device *device;
  cr_assert_eq(qn_device_create_cuda(context, 0, &device), QN_OK, "%s", qn_context_get_error(context)->message);
  return device;
}

static void plant(const char *call, int result) {
  fake->fail_call = call;
  fake->fail_result = result;
}

// --- opening -----------------------------------------------------------------------------------------------

Test(cuda, tells_its_name) {
  qn_device *device = create();
  cr_assert_str_eq(qn_device_get_name(device), "cuda: Imitation 7, driver 13.2");
  cr_assert_eq(fake->retained, 1);
  qn_device_destroy(device);
}

Test(cuda, the_absence_of_a_driver_is_worded) {
  qn_device *device;
  setenv("QUENCH_LIBCUDA", "/nowhere/libcuda.so.1", 1);
  assert_error(qn_device_create_cuda(context, 0, &device), QN_UNAVAILABLE, "CUDA", "/nowhere/libcuda.so.1");
}

Test(cuda, an_old_driver_is_worded) {
  qn_device *device;
  setenv("QUENCH_LIBCUDA", FAKE_DIR "/libfake_cuda_old.so", 1);
  assert_error(qn_device_create_cuda(context, 0, &device), QN_UNAVAILABLE, "CUDA", "older than CUDA 12.0");
  setenv("QUENCH_LIBCUDA", FAKE_CUDA, 1);
  fake->missing_call = "cuLibraryGetKernel";
  assert_error(qn_device_create_cuda(context, 0, &device), QN_UNAVAILABLE, "CUDA", "cuLibraryGetKernel");
}

Test(cuda, no_device_is_in_the_drivers_words) {
  qn_device *device;
  plant("cuInit", 100);
  assert_error(qn_device_create_cuda(context, 0, &device), QN_UNAVAILABLE, "cuInit",
               "CUDA_ERROR_NO_DEVICE (100): no CUDA-capable device is detected");
  assert_error(qn_device_create_cuda(context, 1, &device), QN_UNAVAILABLE, "CUDA",
               "device 1 was asked for, the driver has 1");
  assert_error(qn_device_create_cuda(context, -1, &device), QN_UNAVAILABLE, "CUDA", "device -1");
  plant("cuDevicePrimaryCtxRetain", 4711);
  assert_error(qn_device_create_cuda(context, 0, &device), QN_UNAVAILABLE, "cuDevicePrimaryCtxRetain",
               "unknown error (4711)");
}

Test(cuda, the_target_follows_the_chip) {
  static const struct {
    int major, minor;
    const char *target; // NULL: none
  } chips[] = {
    { 7, 5, NULL },     { 8, 0, "sm_80" },    { 8, 6, "sm_86" },    { 8, 7, "sm_86" },
    { 8, 9, "sm_89" },  { 9, 0, "sm_90a" },   { 10, 0, "sm_100a" }, { 10, 3, "sm_103a" },
    { 11, 0, "sm_89" }, { 12, 0, "sm_120a" }, { 12, 1, "sm_89" },
  };
  for (size_t i = 0; i < QN_COUNT(chips); i++) {
    fake->major = chips[i].major;
    fake->minor = chips[i].minor;
    qn_device *device = create();
    qn_target target;
    qn_status status = qn_device_get_target(device, &target);
    if (chips[i].target) {
      cr_assert_eq(status, QN_OK);
      cr_assert_str_eq(qn_target_name(target), chips[i].target, "%d.%d", chips[i].major, chips[i].minor);
    } else {
      assert_error(status, QN_UNSUPPORTED, qn_device_get_name(device), "7.5");
    }
    qn_device_destroy(device);
  }
}

// --- memory ------------------------------------------------------------------------------------------------

Test(cuda, memory_goes_there_and_back) {
  qn_device *device = create();
  qn_device_ptr ptr, empty;
  char back[6] = { 0 };
  cr_assert_eq(qn_device_allocate(device, 6, &ptr), QN_OK);
  cr_assert_eq(qn_device_upload(device, ptr, "hello", 6), QN_OK);
  cr_assert_eq(qn_device_download(device, back, ptr, 6), QN_OK);
  cr_assert_str_eq(back, "hello");
  cr_assert_eq(qn_device_allocate(device, 0, &empty), QN_OK, "an empty tensor has an address too");
  cr_assert_eq(qn_device_upload(device, empty, NULL, 0), QN_OK);
  cr_assert_eq(qn_device_wait(device), QN_OK);
  cr_assert_eq(fake->waits, 1);
  cr_assert_eq(qn_device_free(device, empty), QN_OK);
  cr_assert_eq(qn_device_free(device, ptr), QN_OK);
  cr_assert_eq(qn_device_free(device, 0), QN_OK);
  qn_device_destroy(device);
}

Test(cuda, failures_of_memory_are_worded) {
  qn_device *device = create();
  qn_device_ptr ptr;
  plant("cuMemAlloc", 2);
  assert_error(qn_device_allocate(device, 6, &ptr), QN_MEMORY, "cuMemAlloc", "CUDA_ERROR_OUT_OF_MEMORY (2)");
  plant("cuCtxPushCurrent", 1);
  assert_error(qn_device_allocate(device, 6, &ptr), QN_UNAVAILABLE, "cuCtxPushCurrent",
               "CUDA_ERROR_INVALID_VALUE");
  plant("cuMemcpyDtoH", 1);
  assert_error(qn_device_download(device, &ptr, 16, 1), QN_UNAVAILABLE, "cuMemcpyDtoH", "no words");
  plant("cuCtxSynchronize", 700);
  assert_error(qn_device_wait(device), QN_UNAVAILABLE, "cuCtxSynchronize", "(700)");
  qn_device_destroy(device);
}

// --- kernels -----------------------------------------------------------------------------------------------

static qn_kernel_spec spec_fused(void) {
  qn_kernel_spec spec = { .target = QN_TARGET_sm_90a,
                          .dtype = QN_F16,
                          .out_dtype = QN_F16,
                          .head_dim = 64,
                          .v_head_dim = 64,
                          .heads = 8,
                          .kv_heads = 2,
                          .window_left = -1,
                          .window_right = -1,
                          .output = qn_scheme_of(QN_SCHEME_fp8_static) };
  qn_kernel_spec_resolve(&spec);
  return spec;
}

// A kernel that nothing compiled.
static qn_kernel *make_kernel_of(qn_kernel_spec spec, qn_binary binary) {
  qn_kernel *kernel;
  cr_assert_eq(qn_kernel_create(context, &spec, binary, &kernel), QN_OK);
  qn_buf_printf(&kernel->binary, ".entry %s(", kernel->name);
  kernel->info.data = kernel->binary.text;
  kernel->info.length = kernel->binary.length;
  return kernel;
}

static qn_kernel *make_kernel(qn_binary binary) {
  return make_kernel_of(spec_fused(), binary);
}

Test(cuda, a_kernel_is_loaded_with_its_shared_memory) {
  qn_device *device = create();
  qn_kernel *kernel = make_kernel(QN_CUBIN);
  const qn_kernel_info *info = qn_kernel_get_info(kernel);
  qn_loaded_kernel *loaded;
  cr_assert_eq(qn_device_load(device, kernel, &loaded), QN_OK);
  cr_assert_eq(fake->libraries, 1);
  cr_assert_eq(fake->code, info->data);
  cr_assert_str_eq(fake->entry[0], info->name);
  cr_assert_eq(fake->entries, 1);
  cr_assert_eq(fake->dynamic_shared[0], (int)info->dynamic_shared_bytes);
  qn_kernel_destroy(kernel); // the device has its own copy
  qn_loaded_kernel_destroy(loaded);
  qn_loaded_kernel_destroy(NULL);
  qn_device_destroy(device);
}

Test(cuda, what_does_not_load_is_worded_and_unloaded) {
  qn_device *device = create();
  qn_kernel *cubin = make_kernel(QN_CUBIN), *ptx = make_kernel(QN_PTX);
  qn_loaded_kernel *loaded;
  plant("cuLibraryLoadData", 209);
  assert_error(qn_device_load(device, cubin, &loaded), QN_UNAVAILABLE, "cuLibraryLoadData",
               "machine code for another chip than compute capability 9.0");
  fake->jit_log = "ptxas fatal : planted";
  plant("cuLibraryLoadData", 218);
  assert_error(qn_device_load(device, ptx, &loaded), QN_UNAVAILABLE, "cuLibraryLoadData",
               "ptxas fatal : planted");
  plant("cuLibraryLoadData", 222);
  assert_error(qn_device_load(device, ptx, &loaded), QN_UNAVAILABLE, "cuLibraryLoadData",
               "newer than the driver");
  plant("cuLibraryGetKernel", 1);
  assert_error(qn_device_load(device, cubin, &loaded), QN_UNAVAILABLE, "cuLibraryGetKernel",
               "CUDA_ERROR_INVALID_VALUE");
  plant("cuKernelSetAttribute", 1);
  assert_error(qn_device_load(device, cubin, &loaded), QN_UNAVAILABLE, "cuKernelSetAttribute", "INVALID_VALUE");
  cr_assert_eq(fake->libraries, 0);
  qn_kernel_destroy(cubin);
  qn_kernel_destroy(ptx);
  qn_device_destroy(device);
}

Test(cuda, a_device_with_too_little_shared_memory_is_told) {
  fake->shared_per_block = 1024;
  qn_device *device = create();
  qn_kernel *kernel = make_kernel(QN_CUBIN);
  qn_loaded_kernel *loaded;
  assert_error(qn_device_load(device, kernel, &loaded), QN_UNSUPPORTED, qn_device_get_name(device), "has 1024");
  qn_kernel_destroy(kernel);
  qn_device_destroy(device);
}

// --- launching ---------------------------------------------------------------------------------------------

static qn_attention_args make_args(const qn_kernel_spec *spec) {
  qn_attention_args args = { .batch = 3, .q_len = 100, .kv_len = 70 };
  qn_attention_args_set_dense(spec, QN_LAYOUT_BHSD, QN_LAYOUT_BSHD, QN_LAYOUT_BSHD, QN_LAYOUT_BSM, &args);
  args.q = 0x10000;
  args.k = 0x20000;
  args.v = 0x30000;
  args.out = 0x40000;
  args.output_scale = 0x50000;
  return args;
}

Test(launch, dense_strides_of_every_layout) {
  qn_kernel_spec spec = { .head_dim = 64, .v_head_dim = 32, .heads = 8, .kv_heads = 2 };
  qn_attention_args args = { .batch = 3, .q_len = 100, .kv_len = 70 };
  qn_attention_args_set_dense(&spec, QN_LAYOUT_BHSD, QN_LAYOUT_BSHD, QN_LAYOUT_BHSD, QN_LAYOUT_BHSD, &args);
  cr_assert_eq(args.q_stride.batch, 8 * 100 * 64);
  cr_assert_eq(args.q_stride.head, 100 * 64);
  cr_assert_eq(args.q_stride.position, 64);
  cr_assert_eq(args.k_stride.batch, 2 * 70 * 64);
  cr_assert_eq(args.k_stride.head, 64);
  cr_assert_eq(args.k_stride.position, 2 * 64);
  cr_assert_eq(args.v_stride.batch, 2 * 70 * 32);
  cr_assert_eq(args.v_stride.head, 70 * 32);
  cr_assert_eq(args.v_stride.position, 32);
  cr_assert_eq(args.out_stride.head, 100 * 32);
  static const qn_layout merged[] = { QN_LAYOUT_BSHD, QN_LAYOUT_BSM, QN_LAYOUT_TM };
  for (size_t i = 0; i < QN_COUNT(merged); i++) {
    qn_attention_args_set_dense(&spec, merged[i], merged[i], merged[i], merged[i], &args);
    cr_assert_eq(args.out_stride.batch, 100 * 8 * 32);
    cr_assert_eq(args.out_stride.head, 32);
    cr_assert_eq(args.out_stride.position, 8 * 32);
  }
}

Test(cuda, a_split_is_launched_as_two_kernels_of_one_library) {
  qn_device *device = create();
  qn_kernel_spec spec = spec_fused();
  spec.schedule = QN_SCHEDULE_split;
  spec.tile_q = spec.tile_kv = spec.warps = spec.stages = 0;
  qn_kernel_spec_resolve(&spec);
  qn_kernel *kernel = make_kernel_of(spec, QN_CUBIN);
  const qn_kernel_info *info = qn_kernel_get_info(kernel);
  qn_loaded_kernel *loaded;
  cr_assert_eq(qn_device_load(device, kernel, &loaded), QN_OK);
  cr_assert_eq(fake->libraries, 1);
  cr_assert_eq(fake->entries, 2);
  cr_assert_str_eq(fake->entry[0], info->name);
  cr_assert_str_eq(fake->entry[1], info->merge.name);
  cr_assert_eq(strncmp(info->merge.name, info->name, strlen(info->name)), 0);
  cr_assert_eq(fake->dynamic_shared[0], (int)info->dynamic_shared_bytes);
  cr_assert_eq(fake->dynamic_shared[1], (int)info->merge.dynamic_shared_bytes);
  qn_attention_args args = make_args(&spec);
  args.workspace = 0x60000;
  cr_assert_eq(qn_launch_attention(loaded, &args, NULL), QN_OK, "%s", qn_context_get_error(context)->message);
  cr_assert_eq(fake->launch.count, 2);
  cr_assert_eq(fake->launch.entry, 1);
  cr_assert_eq(fake->launch.grid[0], 100 * 3 * 8);
  cr_assert_eq(fake->launch.block[0], info->merge.threads);
  cr_assert_eq(fake->launch.params.workspace, 0x60000);
  qn_loaded_kernel_destroy(loaded);
  plant("cuLibraryGetKernel", 1);
  assert_error(qn_device_load(device, kernel, &loaded), QN_UNAVAILABLE, "cuLibraryGetKernel", "INVALID_VALUE");
  cr_assert_eq(fake->libraries, 0);
  qn_kernel_destroy(kernel);
  qn_device_destroy(device);
}

Test(cuda, a_launch_arrives_as_it_was_given) {
  qn_device *device = create();
  qn_kernel *kernel = make_kernel(QN_CUBIN);
  qn_loaded_kernel *loaded;
  cr_assert_eq(qn_device_load(device, kernel, &loaded), QN_OK);
  qn_kernel_spec spec = *qn_kernel_get_spec(kernel);
  qn_attention_args args = make_args(&spec);
  int stream;
  cr_assert_eq(qn_launch_attention(loaded, &args, &stream), QN_OK, "%s",
               qn_context_get_error(context)->message);
  cr_assert_eq(fake->launch.count, 1);
  unsigned q_tiles = (100 + spec.tile_q - 1) / spec.tile_q;
  cr_assert_eq(fake->launch.grid[0], q_tiles * 3 * 8);
  cr_assert_eq(fake->launch.grid[1], 1);
  cr_assert_eq(fake->launch.grid[2], 1);
  cr_assert_eq(fake->launch.block[0], qn_kernel_get_info(kernel)->threads);
  cr_assert_eq(fake->launch.block[1], 1);
  cr_assert_eq(fake->launch.block[2], 1);
  cr_assert_eq(fake->launch.shared_bytes, qn_kernel_get_info(kernel)->dynamic_shared_bytes);
  cr_assert_eq(fake->launch.stream, &stream);
  qn_launch_params params = fake->launch.params;
  cr_assert_eq(params.q, 0x10000);
  cr_assert_eq(params.k, 0x20000);
  cr_assert_eq(params.v, 0x30000);
  cr_assert_eq(params.out, 0x40000);
  cr_assert_eq(params.output_scale, 0x50000);
  cr_assert_eq(params.mask, 0);
  cr_assert_eq(params.q_head, 100 * 64);
  cr_assert_eq(params.k_position, 2 * 64);
  cr_assert_eq(params.out_position, 8 * 64);
  cr_assert_eq(params.q_len, 100);
  cr_assert_eq(params.kv_len, 70);
  cr_assert_eq(fake->waits, 0, "a launch does not wait");
  cr_assert_eq(fake->blocks, 0, "a launch does not allocate");
  qn_loaded_kernel_destroy(loaded);
  qn_kernel_destroy(kernel);
  qn_device_destroy(device);
}

Test(cuda, an_empty_launch_does_nothing) {
  qn_device *device = create();
  qn_kernel *kernel = make_kernel(QN_CUBIN);
  qn_loaded_kernel *loaded;
  cr_assert_eq(qn_device_load(device, kernel, &loaded), QN_OK);
  qn_attention_args args = make_args(qn_kernel_get_spec(kernel));
  args.batch = 0;
  cr_assert_eq(qn_launch_attention(loaded, &args, NULL), QN_OK);
  args.batch = 1;
  args.q_len = 0;
  cr_assert_eq(qn_launch_attention(loaded, &args, NULL), QN_OK);
  cr_assert_eq(fake->launch.count, 0);
  qn_loaded_kernel_destroy(loaded);
  qn_kernel_destroy(kernel);
  qn_device_destroy(device);
}

Test(cuda, a_launch_that_is_refused_is_worded) {
  qn_device *device = create();
  qn_kernel *kernel = make_kernel(QN_CUBIN);
  qn_loaded_kernel *loaded;
  cr_assert_eq(qn_device_load(device, kernel, &loaded), QN_OK);
  qn_attention_args args = make_args(qn_kernel_get_spec(kernel));
  plant("cuLaunchKernel", 1);
  assert_error(qn_launch_attention(loaded, &args, NULL), QN_UNAVAILABLE, "cuLaunchKernel",
               "CUDA_ERROR_INVALID_VALUE");
  args.q += 8;
  assert_error(qn_launch_attention(loaded, &args, NULL), QN_INVALID, "launch", "aligned to 16 bytes");
  args = make_args(qn_kernel_get_spec(kernel));
  args.output_scale = 0;
  assert_error(qn_launch_attention(loaded, &args, NULL), QN_INVALID, "launch", "output_scale");
  args = make_args(qn_kernel_get_spec(kernel));
  args.batch = UINT32_MAX;
  assert_error(qn_launch_attention(loaded, &args, NULL), QN_LIMIT, "launch", "blocks");
  cr_assert_eq(fake->launch.count, 0);
  qn_loaded_kernel_destroy(loaded);
  qn_kernel_destroy(kernel);
  qn_device_destroy(device);
}
