// An imitation of NVRTC: it has the interface and compiles nothing. Built in several forms (meson.build): a
// good one, one that is too old, one that lacks a function.
//
// Each call that a test wants to count is a line in the file that FAKE_NVRTC_LOG names.
#include "tests/runtime/tiny_cubin.h"

#include <stdlib.h>

#ifndef FAKE_MAJOR
#define FAKE_MAJOR 13
#endif
#ifndef FAKE_MINOR
#define FAKE_MINOR 7
#endif

typedef struct program {
  char name[128];
  char options[512];
  int failed;
} program;

#define EXPORT __attribute__((visibility("default")))

const char *nvrtcGetErrorString(int result);
int nvrtcVersion(int *major, int *minor);
int nvrtcGetNumSupportedArchs(int *count);
int nvrtcGetSupportedArchs(int *archs);
int nvrtcCreateProgram(void **out, const char *source, const char *name, int header_count,
                       const char *const *headers, const char *const *include_names);
int nvrtcDestroyProgram(void **p);
int nvrtcCompileProgram(void *p, int option_count, const char *const *options);
int nvrtcGetProgramLogSize(void *p, size_t *size);
int nvrtcGetProgramLog(void *p, char *log);
int nvrtcGetPTXSize(void *p, size_t *size);
int nvrtcGetPTX(void *p, char *ptx);
int nvrtcGetCUBINSize(void *p, size_t *size);
int nvrtcGetCUBIN(void *p, char *cubin);

static void note(const char *what, const char *detail) {
  const char *path = getenv("FAKE_NVRTC_LOG");
  FILE *file = path ? fopen(path, "a") : NULL;
  if (!file) return;
  fprintf(file, "%s%s\n", what, detail);
  fclose(file);
}

EXPORT const char *nvrtcGetErrorString(int result) {
  return result == 6 ? "NVRTC_ERROR_COMPILATION" : "NVRTC_ERROR";
}

EXPORT int nvrtcVersion(int *major, int *minor) {
  note("open", "");
  *major = FAKE_MAJOR;
  *minor = FAKE_MINOR;
  return 0;
}

EXPORT int nvrtcGetNumSupportedArchs(int *count) {
  *count = 4;
  return 0;
}

// Neither sm_103 nor sm_120: an NVRTC that is older than a target.
EXPORT int nvrtcGetSupportedArchs(int *archs) {
  static const int known[] = { 80, 86, 89, 90 };
  memcpy(archs, known, sizeof(known));
  return 0;
}

EXPORT int nvrtcCreateProgram(void **out, const char *source, const char *name, int header_count,
                              const char *const *headers, const char *const *include_names) {
  (void)header_count, (void)headers, (void)include_names;
  program *p = calloc(1, sizeof(*p));
  if (!p) return 1;
  // "/quench/kernel.cu": the kernel has the name of the file.
  const char *base = strrchr(name, '/') ? strrchr(name, '/') + 1 : name;
  snprintf(p->name, sizeof(p->name), "%.*s", (int)strcspn(base, "."), base);
  p->failed = getenv("FAKE_NVRTC_FAIL") != NULL || strstr(source, p->name) == NULL;
  *out = p;
  return 0;
}

EXPORT int nvrtcDestroyProgram(void **p) {
  free(*p);
  *p = NULL;
  return 0;
}

EXPORT int nvrtcCompileProgram(void *p, int option_count, const char *const *options) {
  program *self = p;
  for (int i = 0; i < option_count; i++) {
    strcat(self->options, " ");
    strcat(self->options, options[i]);
  }
  note("compile", self->options);
  return self->failed ? 6 : 0;
}

static const char *log_of(const program *p) {
  static char text[512];
  if (p->failed) return "kernel.cu(1): warning: noise\nkernel.cu(2): error: planted\n1 error detected\n";
  if (strstr(p->options, "-v") == NULL) return "";
  snprintf(text, sizeof(text),
           "ptxas info    : Compiling entry function '%s' for 'sm_90a'\n"
           "    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads\n"
           "ptxas info    : Used 42 registers, used 1 barriers\n",
           p->name);
  return text;
}

EXPORT int nvrtcGetProgramLogSize(void *p, size_t *size) {
  *size = strlen(log_of(p)) + 1;
  return 0;
}

EXPORT int nvrtcGetProgramLog(void *p, char *log) {
  strcpy(log, log_of(p));
  return 0;
}

static size_t ptx_of(const program *p, char text[256]) {
  return (size_t)snprintf(text, 256, ".version 9.0\n.visible .entry %s(\n)\n{\n}\n", p->name) + 1;
}

EXPORT int nvrtcGetPTXSize(void *p, size_t *size) {
  char text[256];
  *size = ptx_of(p, text);
  return 0;
}

EXPORT int nvrtcGetPTX(void *p, char *ptx) {
  char text[256];
  memcpy(ptx, text, ptx_of(p, text));
  return 0;
}

EXPORT int nvrtcGetCUBINSize(void *p, size_t *size) {
  uint8_t bytes[TINY_CUBIN_MAX];
  *size = tiny_cubin(bytes, ((program *)p)->name, 42, 0);
  return 0;
}

#ifndef FAKE_WITHOUT_CUBIN
EXPORT int nvrtcGetCUBIN(void *p, char *cubin) {
  uint8_t bytes[TINY_CUBIN_MAX];
  size_t length = tiny_cubin(bytes, ((program *)p)->name, 42, 0);
  memcpy(cubin, bytes, length);
  return 0;
}
#endif
