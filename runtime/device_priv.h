// What a device implements; device.c and launch.c are the same for all of them.
#ifndef QUENCH_RUNTIME_DEVICE_PRIV_H
#define QUENCH_RUNTIME_DEVICE_PRIV_H

#include "codegen/launch_priv.h"
#include "ir/base_priv.h"
#include <pthread.h>
#include <quench/runtime.h>

// A launch of any kernel. Blocks of a cluster, where there are clusters, are the kernel's own directive.
typedef struct qn_grid {
  bool merge; // of the second entry
  uint32_t blocks[3], threads[3];
  uint32_t shared_bytes; // dynamic shared memory of a block, at most what the kernel was loaded with
  const void *params; // the kernel's whole parameter space, `params_bytes` long; read before the call returns
  size_t params_bytes;
} qn_grid;

// Failures are told in the device's context, QN_UNAVAILABLE with the driver's words where it is the driver's.
typedef struct qn_device_ops {
  void (*destroy)(qn_device *device); // frees the object
  qn_status (*allocate)(qn_device *device, size_t bytes, qn_device_ptr *out_ptr);
  qn_status (*free)(qn_device *device, qn_device_ptr ptr);
  qn_status (*upload)(qn_device *device, qn_device_ptr to, const void *from, size_t bytes);
  qn_status (*download)(qn_device *device, void *to, qn_device_ptr from, size_t bytes);
  qn_status (*wait)(qn_device *device);
  // Makes a kernel ready to launch, with the dynamic shared memory that it asks for.
  qn_status (*load)(qn_device *device, const qn_kernel_info *kernel, qn_loaded_kernel *loaded);
  void (*unload)(qn_loaded_kernel *loaded);
  // No axis of the grid is 0. Asynchronous on `stream` where the device has streams.
  qn_status (*launch)(const qn_loaded_kernel *loaded, const qn_grid *grid, void *stream);
  qn_counters *(*get_counters)(qn_device *device); // the device's own; NULL: the device does not count
  bool ptx_only;                                   // it does not take machine code
} qn_device_ops;

// The first member of every device.
struct qn_device {
  const qn_device_ops *ops;
  qn_context *context;
  pthread_mutex_t lock; // launches may come from several threads, and failing writes to the context
  char name[256];
  int sm; // compute capability, 10 * major + minor
};

struct qn_loaded_kernel {
  qn_device *device;
  qn_kernel_spec spec;
  void *library;       // of the device
  void *entry, *merge; // NULL: there is no second one
};

#endif
