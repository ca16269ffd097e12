// Finding and opening NVRTC: the order of the places, libraries that do not serve, absence.
#include "runtime/nvrtc_priv.h"
#include "tests/runtime/scratch.h"

#include <criterion/criterion.h>
#include <dlfcn.h>
#include <fcntl.h>

static qn_context *context;
static scratch folder;
static qn_cache cache;
static qn_nvrtc nvrtc;
static qn_buf text;

static void set_up(void) {
  static const char *const variables[] = { "QUENCH_NVRTC", "CUDA_HOME",   "CUDA_PATH",
                                           "CONDA_PREFIX", "VIRTUAL_ENV", "LD_LIBRARY_PATH" };
  cr_assert_eq(qn_context_create(NULL, &context), QN_OK);
  folder = scratch_create();
  for (size_t i = 0; i < QN_COUNT(variables); i++) unsetenv(variables[i]);
  setenv("HOME", folder.path, 1);
  cr_assert_eq(qn_cache_open(context, "", 0, &cache), QN_OK);
  nvrtc = (qn_nvrtc){ .context = context };
  text = QN_BUF(context);
}

static void tear_down(void) {
  qn_nvrtc_close(&nvrtc);
  qn_cache_close(&cache);
  qn_buf_free(&text);
  scratch_remove(folder.path);
  qn_context_destroy(context);
}

TestSuite(nvrtc, .init = set_up, .fini = tear_down);

// Makes <scratch>/<path> and the folders above it; the path lives until the next call.
static const char *make(const char *path, const char *target) {
  static char full[512];
  snprintf(full, sizeof(full), "%s/%s", folder.path, path);
  for (char *slash = full + strlen(folder.path) + 1; (slash = strchr(slash, '/')) != NULL; slash++) {
    *slash = 0;
    (void)mkdir(full, 0700);
    *slash = '/';
  }
  if (target)
    cr_assert_eq(symlink(target, full), 0, "%s", full);
  else
    (void)mkdir(full, 0700);
  return full;
}

// The index of the place <scratch>/<path>.
static int place_of(const qn_places *places, const char *path) {
  char full[512];
  snprintf(full, sizeof(full), "%s/%s", folder.path, path);
  for (uint32_t i = 0; i < places->count; i++)
    if (strcmp(places->items[i].path, full) == 0) return (int)i;
  cr_assert_fail("%s is not among the places", full);
  return -1;
}

Test(nvrtc, the_places_stand_in_the_documented_order) {
  static const char *const order[] = {
    "home/lib64",
    "home/lib",
    "home/targets/x86_64-linux/lib",
    "home/targets/sbsa-linux/lib",
    "path/lib64",
    "path/lib",
    "conda/lib64",
    "conda/lib",
    "venv/lib/python3.12/site-packages/nvidia/cu13/lib",
    "venv/lib/python3.12/site-packages/nvidia/cuda_nvrtc/lib",
    "venv/lib/python3.9/site-packages/nvidia/cu13/lib",
    "conda/lib/python3.11/site-packages/nvidia/cu13/lib",
    ".local/lib/python3.10/site-packages/nvidia/cu13/lib",
    ".local/lib/python3.10/dist-packages/nvidia/cuda_nvrtc/lib",
  };
  make("home/targets/sbsa-linux", NULL);
  make("home/targets/x86_64-linux", NULL);
  make("venv/lib/python3.9", NULL);
  make("venv/lib/python3.12", NULL);
  make("venv/lib/node", NULL);
  make("conda/lib/python3.11", NULL);
  make(".local/lib/python3.10", NULL);
  static const char *const variables[][2] = {
    { "CUDA_HOME", "home" }, { "CUDA_PATH", "path" }, { "CONDA_PREFIX", "conda" }, { "VIRTUAL_ENV", "venv" }
  };
  for (size_t i = 0; i < QN_COUNT(variables); i++) setenv(variables[i][0], make(variables[i][1], NULL), 1);

  qn_places places;
  cr_assert_eq(qn_nvrtc_list_places(context, NULL, &places), QN_OK);
  for (size_t i = 1; i < QN_COUNT(order); i++)
    cr_assert_lt(place_of(&places, order[i - 1]), place_of(&places, order[i]), "%s before %s", order[i - 1],
                 order[i]);
  int loader = -1;
  for (uint32_t i = 0; i < places.count; i++)
    if (places.items[i].kind == QN_PLACE_LOADER) loader = (int)i;
  cr_assert_lt(place_of(&places, "path/lib"), loader);
  cr_assert_lt(loader, place_of(&places, "conda/lib64"));
  qn_places_free(&places);
}

Test(nvrtc, a_named_place_is_the_only_one) {
  qn_places places;
  setenv("QUENCH_NVRTC", folder.path, 1);
  setenv("CUDA_HOME", "/elsewhere", 1);
  cr_assert_eq(qn_nvrtc_list_places(context, NULL, &places), QN_OK);
  cr_assert_eq(places.count, 1);
  cr_assert_eq(places.items[0].kind, QN_PLACE_FOLDER);
  qn_places_free(&places);
  cr_assert_eq(qn_nvrtc_list_places(context, "/a/libnvrtc.so", &places), QN_OK);
  cr_assert_eq(places.count, 1);
  cr_assert_eq(places.items[0].kind, QN_PLACE_FILE);
  cr_assert_str_eq(places.items[0].path, "/a/libnvrtc.so", "the parameter is stronger than the variable");
  qn_places_free(&places);
}

static void assert_absent(const char *path, const char *log_words) {
  text.length = 0;
  qn_status status = qn_nvrtc_find(&nvrtc, path, &cache, false, &text);
  cr_assert_eq(status, QN_UNAVAILABLE);
  cr_assert_null(nvrtc.handle);
  cr_assert_not_null(strstr(text.text, log_words), "'%s' is not in: %s", log_words, text.text);
  cr_assert_not_null(strstr(qn_context_get_error(context)->message, path));
}

Test(nvrtc, absence_is_worded) {
  assert_absent("/nowhere/libnvrtc.so.13", "/nowhere/libnvrtc.so.13: ");
  assert_absent(folder.path, "no libnvrtc there");
  setenv("QUENCH_NVRTC", "/nowhere", 1);
  cr_assert_eq(qn_nvrtc_find(&nvrtc, NULL, &cache, false, &text), QN_UNAVAILABLE);
  cr_assert_not_null(strstr(qn_context_get_error(context)->message, "QUENCH_NVRTC"));
}

Test(nvrtc, what_is_no_nvrtc_is_passed_over) {
  char file[512];
  snprintf(file, sizeof(file), "%s/libnvrtc.so.13", folder.path);
  FILE *stream = fopen(file, "w");
  fputs("This is text.\n", stream);
  fclose(stream);
  assert_absent(file, "libnvrtc.so.13: ");
  assert_absent(FAKE_DIR "/libfake_cuda.so", "has no nvrtcGetErrorString");
  assert_absent(FAKE_DIR "/libfake_nvrtc_partial.so", "has no nvrtcGetCUBIN");
  assert_absent(FAKE_DIR "/libfake_nvrtc_old.so", "NVRTC 11.8, older than 12.4");
}

Test(nvrtc, the_first_that_serves_is_taken) {
  make("lib/libnvrtc.so.13", FAKE_DIR "/libfake_nvrtc_old.so");
  make("lib/libnvrtc.so.12", FAKE_DIR "/libfake_nvrtc_partial.so");
  const char *good = make("lib/libnvrtc.so", FAKE_DIR "/libfake_nvrtc.so");
  char path[512];
  snprintf(path, sizeof(path), "%s", good);
  *strrchr(path, '/') = 0;
  cr_assert_eq(qn_nvrtc_find(&nvrtc, path, &cache, false, &text), QN_OK);
  cr_assert_not_null(nvrtc.handle);
  cr_assert_eq(nvrtc.major, 13);
  cr_assert_eq(nvrtc.minor, 7);
  cr_assert_not_null(strstr(text.text, "older than 12.4"), "the log tells of the others: %s", text.text);
  cr_assert_not_null(strstr(text.text, "has no nvrtcGetCUBIN"));
  cr_assert_not_null(strstr(text.text, "libnvrtc.so: NVRTC 13.7"));
}

static void find_remembered(const char *path, bool opened) {
  qn_nvrtc_close(&nvrtc);
  cr_assert_eq(qn_nvrtc_find(&nvrtc, path, &cache, true, &text), QN_OK);
  cr_assert_eq(nvrtc.handle != NULL, opened);
  cr_assert_eq(nvrtc.major, 13);
  cr_assert_eq(nvrtc.minor, 7);
}

// The copy of a file, because a changed time shall be seen.
static void copy_file(const char *from, const char *to) {
  char command[1200];
  snprintf(command, sizeof(command), "cp '%s' '%s'", from, to);
  cr_assert_eq(system(command), 0);
}

Test(nvrtc, what_was_opened_once_is_remembered_until_its_file_changes) {
  char path[512], store[512];
  snprintf(path, sizeof(path), "%s/libnvrtc.so.13", folder.path);
  snprintf(store, sizeof(store), "%s/cache", folder.path);
  copy_file(FAKE_DIR "/libfake_nvrtc.so", path);
  qn_cache_close(&cache);
  cr_assert_eq(qn_cache_open(context, store, 1 << 20, &cache), QN_OK);
  find_remembered(path, true);
  find_remembered(path, false);
  cr_assert_str_eq(nvrtc.path, path);
  qn_nvrtc_close(&nvrtc);
  cr_assert_eq(qn_nvrtc_find(&nvrtc, path, &cache, false, &text), QN_OK);
  cr_assert_not_null(nvrtc.handle, "memory is used only where it is asked for");
  struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = 1000 } };
  cr_assert_eq(utimensat(AT_FDCWD, path, times, 0), 0);
  find_remembered(path, true);
  find_remembered(path, false);
  (void)unlink(path);
  qn_nvrtc_close(&nvrtc);
  cr_assert_eq(qn_nvrtc_find(&nvrtc, path, &cache, true, &text), QN_UNAVAILABLE);
}

static qn_status compile(const char *source, qn_target target, qn_binary binary, qn_buf *out, qn_buf *log) {
  static const char *const options[] = { "--std=c++17", "--ptxas-options=-v" };
  return qn_nvrtc_compile(&nvrtc, source, "kernel", target, binary, options, 2, out, log);
}

Test(nvrtc, compiles_to_both_binaries) {
  qn_buf out = QN_BUF(context), log = QN_BUF(context);
  cr_assert_eq(qn_nvrtc_find(&nvrtc, FAKE_DIR "/libfake_nvrtc.so", &cache, false, &text), QN_OK);
  cr_assert_eq(compile("kernel", QN_TARGET_sm_90a, QN_CUBIN, &out, &log), QN_OK);
  cr_assert_eq(memcmp(out.text, "\177ELF", 4), 0);
  cr_assert_not_null(strstr(log.text, "Used 42 registers"));
  out.length = log.length = 0;
  cr_assert_eq(compile("kernel", QN_TARGET_sm_90a, QN_PTX, &out, &log), QN_OK);
  cr_assert_not_null(strstr(out.text, ".entry kernel("));
  cr_assert_eq(strlen(out.text), out.length, "no zero at the end");
  qn_buf_free(&out);
  qn_buf_free(&log);
}

Test(nvrtc, failures_of_a_compile_are_worded) {
  qn_buf out = QN_BUF(context), log = QN_BUF(context);
  cr_assert_eq(qn_nvrtc_find(&nvrtc, FAKE_DIR "/libfake_nvrtc.so", &cache, false, &text), QN_OK);
  cr_assert_eq(compile("another", QN_TARGET_sm_90a, QN_CUBIN, &out, &log), QN_BUG);
  const qn_error *error = qn_context_get_error(context);
  cr_assert_not_null(strstr(error->message, "kernel.cu(2): error: planted"), "%s", error->message);
  cr_assert_null(strstr(error->message, "noise"), "%s", error->message);
  cr_assert_not_null(strstr(log.text, "noise"), "the whole log is there");
  cr_assert_eq(compile("kernel", QN_TARGET_sm_120a, QN_CUBIN, &out, &log), QN_UNSUPPORTED);
  cr_assert_not_null(strstr(error->message, "NVRTC 13.7 does not compile for sm_120a"), "%s", error->message);
  qn_buf_free(&out);
  qn_buf_free(&log);
}

// NVRTC asks the loader for its builtins by their bare name: they must be open by then.
Test(nvrtc, builtins_of_the_same_folder_are_opened) {
  char path[512];
  snprintf(path, sizeof(path), "%s", make("lib/libnvrtc.so.13", FAKE_DIR "/libfake_nvrtc.so"));
  make("lib/libnvrtc-builtins.so.13.7", FAKE_DIR "/libfake_builtins.so");
  cr_assert_null(dlopen("libnvrtc-builtins.so.13.7", RTLD_LAZY | RTLD_NOLOAD));
  cr_assert_eq(qn_nvrtc_find(&nvrtc, path, &cache, false, &text), QN_OK);
  void *known = dlopen("libnvrtc-builtins.so.13.7", RTLD_LAZY | RTLD_NOLOAD);
  cr_assert_not_null(known);
  dlclose(known);
}
