// Opens the table of driver.h.
#include "tests/kernels/driver.h"

#include <dlfcn.h>
#include <string.h>

bool gpu_driver_open(gpu_driver *driver, const char **out_missing) {
  static const struct {
    const char *symbol;
    size_t offset;
  } table[] = {
#define X(name, symbol, arguments) { symbol, offsetof(gpu_driver, name) },
    GPU_DRIVER_MAP(X)
#undef X
  };
  *driver = (gpu_driver){ 0 };
  *out_missing = "libcuda.so.1";
  if (!(driver->handle = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL))) return false;
  for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
    void *address = dlsym(driver->handle, table[i].symbol);
    *out_missing = table[i].symbol;
    if (!address) return false;
    memcpy((char *)driver + table[i].offset, &address, sizeof(address));
  }
  *out_missing = "a primary context";
  return driver->DeviceGet(&driver->device, 0) == 0 &&
         driver->DevicePrimaryCtxRetain(&driver->context, driver->device) == 0 &&
         driver->CtxSetCurrent(driver->context) == 0;
}

void gpu_driver_close(gpu_driver *driver) {
  if (driver->context) (void)driver->DevicePrimaryCtxRelease(driver->device);
  *driver = (gpu_driver){ 0 };
}
