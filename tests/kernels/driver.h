// The few functions of the CUDA driver that tests and benchmarks need beyond the library: streams, graphs,
// events.
#ifndef TESTS_KERNELS_DRIVER_H
#define TESTS_KERNELS_DRIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// All return CUresult: 0 for success.
// clang-format off
#define GPU_DRIVER_MAP(X)                                                       \
  X(DeviceGet,                "cuDeviceGet",                 (int *device, int ordinal))                     \
  X(DevicePrimaryCtxRetain,   "cuDevicePrimaryCtxRetain",    (void **context, int device))                   \
  X(DevicePrimaryCtxRelease,  "cuDevicePrimaryCtxRelease_v2",(int device))                                   \
  X(CtxSetCurrent,            "cuCtxSetCurrent",             (void *context))                                \
  X(StreamCreate,             "cuStreamCreate",              (void **stream, unsigned flags))                \
  X(StreamDestroy,            "cuStreamDestroy_v2",          (void *stream))                                 \
  X(StreamSynchronize,        "cuStreamSynchronize",         (void *stream))                                 \
  X(StreamBeginCapture,       "cuStreamBeginCapture_v2",     (void *stream, int mode))                       \
  X(StreamEndCapture,         "cuStreamEndCapture",          (void *stream, void **graph))                   \
  X(GraphInstantiate,         "cuGraphInstantiateWithFlags", (void **exec, void *graph, unsigned long long flags)) \
  X(GraphLaunch,              "cuGraphLaunch",               (void *exec, void *stream))                     \
  X(GraphExecDestroy,         "cuGraphExecDestroy",          (void *exec))                                   \
  X(GraphDestroy,             "cuGraphDestroy",              (void *graph))                                  \
  X(EventCreate,              "cuEventCreate",               (void **event, unsigned flags))                 \
  X(EventRecord,              "cuEventRecord",               (void *event, void *stream))                    \
  X(EventSynchronize,         "cuEventSynchronize",          (void *event))                                  \
  X(EventElapsedTime,         "cuEventElapsedTime",          (float *milliseconds, void *start, void *end))  \
  X(EventDestroy,             "cuEventDestroy_v2",           (void *event))                                  \
  X(MemsetD8,                 "cuMemsetD8_v2",               (uint64_t ptr, unsigned char value, size_t bytes))
// clang-format on

typedef struct gpu_driver {
  void *handle;
  void *context; // primary, current on the thread that opened it
  int device;
#define X(name, symbol, arguments) int(*name) arguments;
  GPU_DRIVER_MAP(X)
#undef X
} gpu_driver;

// After a device of the library was created. False, with the missing name, if the driver lacks something.
bool gpu_driver_open(gpu_driver *driver, const char **out_missing);
void gpu_driver_close(gpu_driver *driver);

#endif
