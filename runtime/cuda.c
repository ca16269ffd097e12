// The CUDA device, through the driver that is opened at run time.
//
// Work happens in the device's primary context, the one that the CUDA runtime uses too, so pointers and streams
// of the embedder are good here. It is pushed around every call: the caller's current context stays what it
// was.
#include "runtime/device_priv.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

// Numbers of the driver's interface, as its documentation gives them.
enum {
  OUT_OF_MEMORY = 2,
  NO_BINARY_FOR_GPU = 209,
  UNSUPPORTED_PTX_VERSION = 222,
  DEVICE_COMPUTE_MAJOR = 75,
  DEVICE_COMPUTE_MINOR = 76,
  DEVICE_SHARED_PER_BLOCK = 97, // with opting in
  KERNEL_DYNAMIC_SHARED = 8,
  JIT_ERROR_LOG = 5,
  JIT_ERROR_LOG_SIZE = 6,
  INTERFACE = 12000 // CUDA 12.0
};

// The words of cuLaunchKernel's list `extra`.
#define PARAM_END            ((void *)0)
#define PARAM_BUFFER_POINTER ((void *)1)
#define PARAM_BUFFER_SIZE    ((void *)2)

typedef struct driver {
  void *handle;
#define SYMBOL(name, arguments) int(*name) arguments;
#include "runtime/cuda_symbols.def"
} driver;

typedef struct symbol {
  const char *name;
  size_t offset;
} symbol;

static const symbol symbols[] = {
#define SYMBOL(name, arguments) { "cu" #name, offsetof(driver, name) },
#include "runtime/cuda_symbols.def"
};

typedef struct cuda_device {
  qn_device base;
  driver driver;
  int device;
  void *primary; // context
  int shared_per_block;
} cuda_device;

static cuda_device *cuda_of(qn_device *device) {
  return (cuda_device *)device;
}

// --- the driver --------------------------------------------------------------------------------------------

static qn_status fail(qn_context *context, const driver *cuda, const char *call, int result) {
  const char *name = NULL, *text = NULL;
  if (cuda->GetErrorName(result, &name) != 0 || !name) name = "unknown error";
  if (cuda->GetErrorString(result, &text) != 0 || !text) text = "the driver has no words for it";
  return qn_fail(context, result == OUT_OF_MEMORY ? QN_MEMORY : QN_UNAVAILABLE, call, "%s (%d): %s", name,
                 result, text);
}

#define CUDA_TRY(context, cuda, name, ...)                                                                     \
  do {                                                                                                         \
    int result_ = (cuda)->name(__VA_ARGS__);                                                                   \
    if (result_ != 0) return fail((context), (cuda), "cu" #name, result_);                                     \
  } while (0)

typedef int (*get_proc_address)(const char *name, void **out, int version, uint64_t flags, int *out_status);

// The file without the number belongs to development packages. QUENCH_LIBCUDA names another driver, and then no
// other is tried.
static void *open_library(void) {
  const char *named = getenv("QUENCH_LIBCUDA");
  if (named && *named) return dlopen(named, RTLD_NOW | RTLD_LOCAL);
  void *handle = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  return handle ? handle : dlopen("libcuda.so", RTLD_NOW | RTLD_LOCAL);
}

static qn_status open_driver(qn_context *context, driver *cuda) {
  cuda->handle = open_library();
  if (!cuda->handle) {
    const char *why = dlerror();
    return qn_fail(context, QN_UNAVAILABLE, "CUDA", "the CUDA driver does not open: %s",
                   why ? why : "no libcuda.so.1");
  }
  get_proc_address get;
  void *address = dlsym(cuda->handle, "cuGetProcAddress_v2");
  if (!address)
    return qn_fail(context, QN_UNAVAILABLE, "CUDA",
                   "the driver has no cuGetProcAddress_v2: it is older than CUDA 12.0");
  memcpy(&get, &address, sizeof(get));
  for (size_t i = 0; i < QN_COUNT(symbols); i++) {
    void *function = NULL;
    if (get(symbols[i].name, &function, INTERFACE, 0, NULL) != 0 || !function)
      return qn_fail(context, QN_UNAVAILABLE, "CUDA", "the driver has no %s: it is older than CUDA 12.0",
                     symbols[i].name);
    memcpy((char *)cuda + symbols[i].offset, &function, sizeof(function));
  }
  return QN_OK;
}

// --- memory ------------------------------------------------------------------------------------------------

static qn_status enter(cuda_device *device) {
  CUDA_TRY(device->base.context, &device->driver, CtxPushCurrent, device->primary);
  return QN_OK;
}

// Leaves the primary context; `result` is what `call` gave inside.
static qn_status leave(cuda_device *device, const char *call, int result) {
  void *popped;
  int pop_result = device->driver.CtxPopCurrent(&popped);
  if (result != 0) return fail(device->base.context, &device->driver, call, result);
  if (pop_result != 0) return fail(device->base.context, &device->driver, "cuCtxPopCurrent", pop_result);
  return QN_OK;
}

static qn_status cuda_allocate(qn_device *base, size_t bytes, qn_device_ptr *out_ptr) {
  cuda_device *device = cuda_of(base);
  QN_TRY(enter(device));
  // The driver refuses 0 bytes; an empty tensor is an ordinary one here.
  return leave(device, "cuMemAlloc", device->driver.MemAlloc(out_ptr, bytes ? bytes : 1));
}

static qn_status cuda_free(qn_device *base, qn_device_ptr ptr) {
  cuda_device *device = cuda_of(base);
  QN_TRY(enter(device));
  return leave(device, "cuMemFree", device->driver.MemFree(ptr));
}

static qn_status cuda_upload(qn_device *base, qn_device_ptr to, const void *from, size_t bytes) {
  cuda_device *device = cuda_of(base);
  QN_TRY(enter(device));
  return leave(device, "cuMemcpyHtoD", device->driver.MemcpyHtoD(to, from, bytes));
}

static qn_status cuda_download(qn_device *base, void *to, qn_device_ptr from, size_t bytes) {
  cuda_device *device = cuda_of(base);
  QN_TRY(enter(device));
  return leave(device, "cuMemcpyDtoH", device->driver.MemcpyDtoH(to, from, bytes));
}

static qn_status cuda_wait(qn_device *base) {
  cuda_device *device = cuda_of(base);
  QN_TRY(enter(device));
  return leave(device, "cuCtxSynchronize", device->driver.CtxSynchronize());
}

// --- kernels -----------------------------------------------------------------------------------------------

static void cuda_unload(qn_loaded_kernel *loaded) {
  cuda_device *device = cuda_of(loaded->device);
  // Nothing can be said by a destructor; a library that does not unload goes with the process.
  (void)device->driver.LibraryUnload(loaded->library);
}

static qn_status load_code(cuda_device *device, const qn_kernel_info *kernel, void **out_library) {
  qn_context *context = device->base.context;
  // For PTX, which the driver compiles: what it has against it.
  char log[512] = { 0 };
  int options[] = { JIT_ERROR_LOG, JIT_ERROR_LOG_SIZE };
  void *values[] = { log, (void *)(uintptr_t)sizeof(log) };
  unsigned count = kernel->binary == QN_PTX ? QN_COUNT(options) : 0;
  int result = device->driver.LibraryLoadData(out_library, kernel->data, options, values, count, NULL, NULL, 0);
  if (result == 0) return QN_OK;
  qn_status status = fail(context, &device->driver, "cuLibraryLoadData", result);
  log[sizeof(log) - 1] = 0;
  if (result == NO_BINARY_FOR_GPU && kernel->binary == QN_CUBIN)
    return qn_fail(
        context, status, "cuLibraryLoadData",
        "the kernel %s is machine code for another chip than compute capability %d.%d: compile for the "
        "device's target, or to PTX",
        kernel->name, device->base.sm / 10, device->base.sm % 10);
  if (result == UNSUPPORTED_PTX_VERSION)
    return qn_fail(context, status, "cuLibraryLoadData",
                   "the PTX of kernel %s is newer than the driver understands: compile to a cubin",
                   kernel->name);
  if (log[0])
    return qn_fail(context, status, "cuLibraryLoadData", "the driver does not compile the PTX: %s", log);
  return status;
}

static qn_status take_entry(cuda_device *device, void *library, const char *name, uint32_t shared_bytes,
                            void **out_entry) {
  qn_context *context = device->base.context;
  const driver *cuda = &device->driver;
  CUDA_TRY(context, cuda, LibraryGetKernel, out_entry, library, name);
  CUDA_TRY(context, cuda, KernelSetAttribute, KERNEL_DYNAMIC_SHARED, (int)shared_bytes, *out_entry,
           device->device);
  return QN_OK;
}

static qn_status cuda_load(qn_device *base, const qn_kernel_info *kernel, qn_loaded_kernel *loaded) {
  cuda_device *device = cuda_of(base);
  if (kernel->dynamic_shared_bytes > (uint32_t)device->shared_per_block)
    return qn_fail(base->context, QN_UNSUPPORTED, base->name,
                   "the kernel %s needs %u bytes of shared memory in a block, the device has %d", kernel->name,
                   kernel->dynamic_shared_bytes, device->shared_per_block);
  QN_TRY(load_code(device, kernel, &loaded->library));
  qn_status status =
      take_entry(device, loaded->library, kernel->name, kernel->dynamic_shared_bytes, &loaded->entry);
  if (status == QN_OK && kernel->merge.name)
    status = take_entry(device, loaded->library, kernel->merge.name, kernel->merge.dynamic_shared_bytes,
                        &loaded->merge);
  if (status != QN_OK) cuda_unload(loaded);
  return status;
}

static qn_status cuda_launch(const qn_loaded_kernel *loaded, const qn_grid *grid, void *stream) {
  cuda_device *device = cuda_of(loaded->device);
  const uint32_t *blocks = grid->blocks, *threads = grid->threads;
  size_t bytes = grid->params_bytes;
  // The driver takes a copy; its interface is not const.
  void *extra[] = { PARAM_BUFFER_POINTER, (void *)(uintptr_t)grid->params, PARAM_BUFFER_SIZE, &bytes,
                    PARAM_END };
  QN_TRY(enter(device));
  // A CUkernel is accepted where a CUfunction is: the driver finds the function for the current context.
  return leave(device, "cuLaunchKernel",
               device->driver.LaunchKernel(grid->merge ? loaded->merge : loaded->entry, blocks[0], blocks[1],
                                           blocks[2], threads[0], threads[1], threads[2], grid->shared_bytes,
                                           stream, NULL, extra));
}

// --- the device --------------------------------------------------------------------------------------------

static void cuda_destroy(qn_device *base) {
  cuda_device *device = cuda_of(base);
  if (device->primary) (void)device->driver.DevicePrimaryCtxRelease(device->device);
  // The driver keeps threads and handlers of its own: it must not be unmapped once it was initialised.
  qn_free(base->context, device, sizeof(*device));
}

static const qn_device_ops cuda_ops = {
  .destroy = cuda_destroy,
  .allocate = cuda_allocate,
  .free = cuda_free,
  .upload = cuda_upload,
  .download = cuda_download,
  .wait = cuda_wait,
  .load = cuda_load,
  .unload = cuda_unload,
  .launch = cuda_launch,
};

static qn_status start(cuda_device *device, int ordinal) {
  qn_context *context = device->base.context;
  driver *cuda = &device->driver;
  QN_TRY(open_driver(context, cuda));
  CUDA_TRY(context, cuda, Init, 0);
  int count = 0, version = 0, major = 0, minor = 0;
  CUDA_TRY(context, cuda, DeviceGetCount, &count);
  if (ordinal < 0 || ordinal >= count)
    return qn_fail(context, QN_UNAVAILABLE, "CUDA", "device %d was asked for, the driver has %d", ordinal,
                   count);
  CUDA_TRY(context, cuda, DeviceGet, &device->device, ordinal);
  CUDA_TRY(context, cuda, DriverGetVersion, &version);
  CUDA_TRY(context, cuda, DeviceGetAttribute, &major, DEVICE_COMPUTE_MAJOR, device->device);
  CUDA_TRY(context, cuda, DeviceGetAttribute, &minor, DEVICE_COMPUTE_MINOR, device->device);
  CUDA_TRY(context, cuda, DeviceGetAttribute, &device->shared_per_block, DEVICE_SHARED_PER_BLOCK,
           device->device);
  char name[128] = { 0 };
  CUDA_TRY(context, cuda, DeviceGetName, name, (int)sizeof(name) - 1, device->device);
  device->base.sm = major * 10 + minor;
  snprintf(device->base.name, sizeof(device->base.name), "cuda: %s, driver %d.%d", name, version / 1000,
           version % 1000 / 10);
  CUDA_TRY(context, cuda, DevicePrimaryCtxRetain, &device->primary, device->device);
  return QN_OK;
}

qn_status qn_device_create_cuda(qn_context *context, int ordinal, qn_device **out_device) {
  cuda_device *device = qn_alloc_zero(context, sizeof(*device));
  if (!device) return qn_fail_memory(context);
  device->base = (qn_device){ .ops = &cuda_ops, .context = context };
  pthread_mutex_init(&device->base.lock, NULL);
  qn_status status = start(device, ordinal);
  if (status != QN_OK) {
    qn_device_destroy(&device->base);
    return status;
  }
  *out_device = &device->base;
  return QN_OK;
}
