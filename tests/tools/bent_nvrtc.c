// An NVRTC that makes a mistake: all calls go to the real one, whose path BENT_NVRTC says, but in the PTX that
// comes back every BENT_FROM is written as BENT_TO, of equal length. It shows that a wrong kernel is found.
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

static void *find(const char *name) {
  const char *path = getenv("BENT_NVRTC");
  void *library = path ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL;
  return library ? dlsym(library, name) : NULL;
}

// A call whose arguments are all words goes on as it came.
#define FORWARD(name, parameters, arguments)                                                                   \
  int name parameters;                                                                                         \
  EXPORT int name parameters {                                                                                 \
    int(*call) parameters;                                                                                     \
    void *address = find(#name);                                                                               \
    if (!address) return 1;                                                                                    \
    memcpy(&call, &address, sizeof call);                                                                      \
    return call arguments;                                                                                     \
  }

FORWARD(nvrtcVersion, (int *major, int *minor), (major, minor))
FORWARD(nvrtcGetNumSupportedArchs, (int *count), (count))
FORWARD(nvrtcGetSupportedArchs, (int *archs), (archs))
FORWARD(nvrtcCreateProgram,
        (void **program, const char *source, const char *name, int count, const char *const *headers,
         const char *const *names),
        (program, source, name, count, headers, names))
FORWARD(nvrtcDestroyProgram, (void **program), (program))
FORWARD(nvrtcCompileProgram, (void *program, int count, const char *const *options), (program, count, options))
FORWARD(nvrtcGetProgramLogSize, (void *program, size_t *size), (program, size))
FORWARD(nvrtcGetProgramLog, (void *program, char *log), (program, log))
FORWARD(nvrtcGetPTXSize, (void *program, size_t *size), (program, size))
FORWARD(nvrtcGetCUBINSize, (void *program, size_t *size), (program, size))
FORWARD(nvrtcGetCUBIN, (void *program, char *cubin), (program, cubin))

const char *nvrtcGetErrorString(int result);
EXPORT const char *nvrtcGetErrorString(int result) {
  (void)result;
  return "NVRTC_ERROR";
}

int nvrtcGetPTX(void *program, char *ptx);
EXPORT int nvrtcGetPTX(void *program, char *ptx) {
  int (*call)(void *, char *);
  void *address = find("nvrtcGetPTX");
  const char *from = getenv("BENT_FROM"), *to = getenv("BENT_TO");
  if (!address || !from || !to || strlen(from) != strlen(to)) return 1;
  memcpy(&call, &address, sizeof call);
  int result = call(program, ptx);
  for (char *at = ptx; result == 0 && (at = strstr(at, from)) != NULL;) memcpy(at, to, strlen(to));
  return result;
}
