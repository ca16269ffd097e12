// An imitation of the CUDA driver: device memory is host memory, kernels are only recorded.
#include "tests/runtime/fake_cuda.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

static fake_cuda state = { .major = 9, .shared_per_block = 232448, .devices = 1 };

fake_cuda *fake_cuda_get(void);
EXPORT fake_cuda *fake_cuda_get(void) {
  return &state;
}

static int planted(const char *call) {
  if (!state.fail_call || strcmp(state.fail_call, call) != 0) return 0;
  state.fail_call = NULL;
  return state.fail_result;
}

// Begins every function: a planted failure, and whether a context is current where one is needed.
#define CALL(name)                                                                                             \
  do {                                                                                                         \
    int result_ = planted(name);                                                                               \
    if (result_ != 0) return result_;                                                                          \
  } while (0)
#define CALL_INSIDE(name)                                                                                      \
  do {                                                                                                         \
    if (state.pushed == 0) state.outside++;                                                                    \
    CALL(name);                                                                                                \
  } while (0)

static int get_error_name(int result, const char **name) {
  static const struct {
    int result;
    const char *name;
  } names[] = { { 1, "CUDA_ERROR_INVALID_VALUE" }, { 2, "CUDA_ERROR_OUT_OF_MEMORY" },
                { 100, "CUDA_ERROR_NO_DEVICE" },   { 209, "CUDA_ERROR_NO_BINARY_FOR_GPU" },
                { 218, "CUDA_ERROR_INVALID_PTX" }, { 222, "CUDA_ERROR_UNSUPPORTED_PTX_VERSION" } };
  for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
    if (names[i].result == result) {
      *name = names[i].name;
      return 0;
    }
  *name = NULL;
  return 1;
}

static int get_error_string(int result, const char **text) {
  *text = result == 2 ? "out of memory" : result == 100 ? "no CUDA-capable device is detected" : NULL;
  return *text ? 0 : 1;
}

static int init(unsigned flags) {
  (void)flags;
  CALL("cuInit");
  return 0;
}

static int driver_get_version(int *version) {
  *version = 13020;
  return 0;
}

static int device_get_count(int *count) {
  *count = state.devices;
  return 0;
}

static int device_get(int *device, int ordinal) {
  *device = ordinal + 7; // not the ordinal: one is easily taken for the other
  return 0;
}

static int device_get_name(char *name, int size, int device) {
  snprintf(name, (size_t)size, "Imitation %d", device);
  return 0;
}

static int device_get_attribute(int *value, int attribute, int device) {
  (void)device;
  *value = attribute == 75 ? state.major : attribute == 76 ? state.minor : state.shared_per_block;
  return attribute == 75 || attribute == 76 || attribute == 97 ? 0 : 1;
}

static int primary_retain(void **context, int device) {
  (void)device;
  CALL("cuDevicePrimaryCtxRetain");
  state.retained++;
  *context = &state;
  return 0;
}

static int primary_release(int device) {
  (void)device;
  state.retained--;
  return 0;
}

static int push(void *context) {
  CALL("cuCtxPushCurrent");
  if (context != &state) return 201;
  if (++state.pushed > state.deepest) state.deepest = state.pushed;
  return 0;
}

static int pop(void **context) {
  state.pushed--;
  *context = &state;
  return 0;
}

static int synchronize(void) {
  CALL_INSIDE("cuCtxSynchronize");
  state.waits++;
  return 0;
}

static int mem_alloc(uint64_t *ptr, size_t bytes) {
  CALL_INSIDE("cuMemAlloc");
  void *memory = bytes ? malloc(bytes) : NULL;
  if (!memory) return 1;
  state.blocks++;
  *ptr = (uint64_t)(uintptr_t)memory;
  return 0;
}

static int mem_free(uint64_t ptr) {
  CALL_INSIDE("cuMemFree");
  free((void *)(uintptr_t)ptr);
  state.blocks--;
  return 0;
}

static int copy_in(uint64_t to, const void *from, size_t bytes) {
  CALL_INSIDE("cuMemcpyHtoD");
  memcpy((void *)(uintptr_t)to, from, bytes);
  return 0;
}

static int copy_out(void *to, uint64_t from, size_t bytes) {
  CALL_INSIDE("cuMemcpyDtoH");
  memcpy(to, (void *)(uintptr_t)from, bytes);
  return 0;
}

static int library_load(void **library, const void *code, const int *jit_options, void **jit_values,
                        unsigned jit_count, const int *options, void **values, unsigned count) {
  (void)options, (void)values, (void)count;
  if (state.fail_call && strcmp(state.fail_call, "cuLibraryLoadData") == 0 && state.jit_log)
    for (unsigned i = 0; i + 1 < jit_count; i++)
      if (jit_options[i] == 5)
        snprintf(jit_values[i], (size_t)(uintptr_t)jit_values[i + 1], "%s", state.jit_log);
  CALL("cuLibraryLoadData");
  state.code = code;
  state.entries = 0;
  state.libraries++;
  *library = &state.libraries;
  return 0;
}

static int library_unload(void *library) {
  if (library != &state.libraries) return 1;
  state.libraries--;
  return 0;
}

static int library_get_kernel(void **kernel, void *library, const char *name) {
  CALL("cuLibraryGetKernel");
  if (library != &state.libraries) return 1;
  if (state.entries == 2) return 1;
  snprintf(state.entry[state.entries], sizeof(state.entry[0]), "%s", name);
  *kernel = state.entry[state.entries++];
  return 0;
}

static int kernel_set_attribute(int attribute, int value, void *kernel, int device) {
  CALL("cuKernelSetAttribute");
  if (attribute != 8 || (kernel != state.entry[0] && kernel != state.entry[1]) || device != 7) return 1;
  state.dynamic_shared[kernel == state.entry[1]] = value;
  return 0;
}

static int launch_kernel(void *kernel, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x,
                         unsigned block_y, unsigned block_z, unsigned shared_bytes, void *stream, void **params,
                         void **extra) {
  CALL_INSIDE("cuLaunchKernel");
  // The words of the driver's list: 1 the parameters' address, 2 the address of their size, 0 the end.
  if ((kernel != state.entry[0] && kernel != state.entry[1]) || params || !extra || extra[0] != (void *)1 ||
      extra[2] != (void *)2 || extra[4])
    return 1;
  if (*(const size_t *)extra[3] != sizeof(state.launch.params)) return 1;
  state.launch.count++;
  state.launch.entry = kernel == state.entry[1];
  const unsigned grid[] = { grid_x, grid_y, grid_z }, block[] = { block_x, block_y, block_z };
  memcpy(state.launch.grid, grid, sizeof(grid));
  memcpy(state.launch.block, block, sizeof(block));
  state.launch.shared_bytes = shared_bytes;
  state.launch.stream = stream;
  memcpy(&state.launch.params, extra[1], sizeof(state.launch.params));
  return 0;
}

#ifndef FAKE_TOO_OLD
int cuGetProcAddress_v2(const char *name, void **out, int version, uint64_t flags, int *out_status);
EXPORT int cuGetProcAddress_v2(const char *name, void **out, int version, uint64_t flags, int *out_status) {
  (void)flags, (void)out_status;
  static const struct {
    const char *name;
    void *function;
  } table[] = {
#define ROW(name, function) { name, (void *)(uintptr_t)(function) }
    ROW("cuGetErrorName", get_error_name),
    ROW("cuGetErrorString", get_error_string),
    ROW("cuInit", init),
    ROW("cuDriverGetVersion", driver_get_version),
    ROW("cuDeviceGetCount", device_get_count),
    ROW("cuDeviceGet", device_get),
    ROW("cuDeviceGetName", device_get_name),
    ROW("cuDeviceGetAttribute", device_get_attribute),
    ROW("cuDevicePrimaryCtxRetain", primary_retain),
    ROW("cuDevicePrimaryCtxRelease", primary_release),
    ROW("cuCtxPushCurrent", push),
    ROW("cuCtxPopCurrent", pop),
    ROW("cuCtxSynchronize", synchronize),
    ROW("cuMemAlloc", mem_alloc),
    ROW("cuMemFree", mem_free),
    ROW("cuMemcpyHtoD", copy_in),
    ROW("cuMemcpyDtoH", copy_out),
    ROW("cuLibraryLoadData", library_load),
    ROW("cuLibraryUnload", library_unload),
    ROW("cuLibraryGetKernel", library_get_kernel),
    ROW("cuKernelSetAttribute", kernel_set_attribute),
    ROW("cuLaunchKernel", launch_kernel),
#undef ROW
  };
  *out = NULL;
  if (version != 12000 || (state.missing_call && strcmp(state.missing_call, name) == 0)) return 500;
  for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
    if (strcmp(table[i].name, name) == 0) *out = table[i].function;
  return *out ? 0 : 500;
}
#endif
