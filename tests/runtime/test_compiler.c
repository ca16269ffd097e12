// The compiler with an imitation of NVRTC: what is compiled, what the cache answers, what is said on failure.
#include "ir/base_priv.h"
#include "tests/runtime/scratch.h"

#include <criterion/criterion.h>
#include <quench/runtime.h>

static qn_context *context;
static scratch folder;
static char store[512], log_path[512];

#define FAKE_NVRTC FAKE_DIR "/libfake_nvrtc.so"

static void set_up(void) {
  cr_assert_eq(qn_context_create(NULL, &context), QN_OK);
  folder = scratch_create();
  snprintf(store, sizeof(store), "%s/cache", folder.path);
  snprintf(log_path, sizeof(log_path), "%s/log", folder.path);
  setenv("FAKE_NVRTC_LOG", log_path, 1);
  unsetenv("FAKE_NVRTC_FAIL");
}

static void tear_down(void) {
  scratch_remove(folder.path);
  qn_context_destroy(context);
}

TestSuite(compiler, .init = set_up, .fini = tear_down);

static qn_compiler *create(const char *nvrtc, const char *cache) {
  qn_compiler *compiler;
  cr_assert_eq(
      qn_compiler_create(context, qn_compiler_params(.nvrtc_path = nvrtc, .cache_dir = cache), &compiler),
      QN_OK);
  return compiler;
}

static qn_kernel_spec spec_of(uint32_t head_dim) {
  return (qn_kernel_spec){ .target = QN_TARGET_sm_90a,
                           .dtype = QN_F16,
                           .out_dtype = QN_F16,
                           .head_dim = head_dim,
                           .v_head_dim = head_dim,
                           .heads = 8,
                           .kv_heads = 2,
                           .window_left = -1,
                           .window_right = -1,
                           .output = qn_scheme_of(QN_SCHEME_fp8_static) };
}

static qn_kernel *compile(qn_compiler *compiler, uint32_t head_dim, qn_binary binary) {
  qn_kernel_spec spec = spec_of(head_dim);
  qn_kernel *kernel;
  qn_status status = qn_compiler_compile(compiler, &spec, binary, &kernel);
  cr_assert_eq(status, QN_OK, "%s", qn_context_get_error(context)->message);
  return kernel;
}

// How many lines of the imitation's log begin with `word`.
static int count_calls(const char *word) {
  FILE *file = fopen(log_path, "r");
  char line[512];
  int count = 0;
  while (file && fgets(line, sizeof(line), file)) count += strncmp(line, word, strlen(word)) == 0;
  if (file) fclose(file);
  return count;
}

Test(compiler, fills_the_info_of_a_cubin) {
  qn_compiler *compiler = create(FAKE_NVRTC, "");
  qn_kernel *kernel = compile(compiler, 64, QN_CUBIN);
  const qn_kernel_info *info = qn_kernel_get_info(kernel);
  char name[128];
  qn_kernel_format_name(qn_kernel_get_spec(kernel), name);
  cr_assert_str_eq(info->name, name);
  cr_assert_eq(memcmp(info->data, "\177ELF", 4), 0);
  cr_assert_eq(info->registers, 42);
  cr_assert_eq(info->local_bytes, 0);
  cr_assert_eq(info->spill_bytes, 0);
  cr_assert_eq(info->threads, qn_kernel_get_spec(kernel)->warps * 32);
  cr_assert_gt(info->dynamic_shared_bytes, 0);
  cr_assert_gt(info->compile_ms, 0);
  cr_assert_not(info->from_cache);
  qn_compiler_destroy(compiler);
  cr_assert_not_null(strstr(info->log, "Used 42 registers"), "a kernel outlives its compiler");
  qn_kernel_destroy(kernel);
  qn_kernel_destroy(NULL);
  qn_compiler_destroy(NULL);
}

Test(compiler, asks_for_the_exact_chip) {
  qn_compiler *compiler = create(FAKE_NVRTC, "");
  qn_kernel_destroy(compile(compiler, 64, QN_CUBIN));
  cr_assert_eq(count_calls("compile --gpu-architecture=sm_90a --std=c++17 --ptxas-options=-v"), 1);
  qn_kernel_destroy(compile(compiler, 64, QN_PTX));
  cr_assert_eq(count_calls("compile --gpu-architecture=compute_90a --std=c++17 --generate-line-info"), 1);
  qn_compiler_destroy(compiler);
}

Test(compiler, a_cached_kernel_needs_no_nvrtc_opened) {
  qn_compiler *compiler = create(FAKE_NVRTC, store);
  qn_kernel *first = compile(compiler, 64, QN_CUBIN);
  cr_assert_eq(count_calls("open"), 1);
  qn_compiler_destroy(compiler);

  compiler = create(FAKE_NVRTC, store);
  qn_kernel *second = compile(compiler, 64, QN_CUBIN);
  const qn_kernel_info *a = qn_kernel_get_info(first), *b = qn_kernel_get_info(second);
  cr_assert(b->from_cache);
  cr_assert_eq(count_calls("compile"), 1);
  cr_assert_eq(count_calls("open"), 1, "the library was not opened again");
  cr_assert_not_null(strstr(qn_compiler_get_search_log(compiler), "not opened yet"));
  cr_assert_eq(a->length, b->length);
  cr_assert_eq(memcmp(a->data, b->data, a->length), 0);
  cr_assert_str_eq(a->log, b->log);
  cr_assert_eq(a->registers, b->registers);

  const char *path;
  int major, minor;
  cr_assert_eq(qn_compiler_get_nvrtc(compiler, &path, &major, &minor), QN_OK);
  cr_assert_eq(count_calls("open"), 2, "here it is opened");
  cr_assert_eq(major, 13);
  cr_assert_eq(minor, 7);
  qn_kernel_destroy(first);
  qn_kernel_destroy(second);
  qn_compiler_destroy(compiler);
}

Test(compiler, what_differs_is_compiled) {
  qn_compiler *compiler = create(FAKE_NVRTC, store);
  qn_kernel_destroy(compile(compiler, 64, QN_CUBIN));
  qn_kernel_destroy(compile(compiler, 128, QN_CUBIN));
  qn_kernel_destroy(compile(compiler, 64, QN_PTX));
  cr_assert_eq(count_calls("compile"), 3);
  qn_kernel_spec spec = spec_of(64);
  qn_kernel *kernel;
  spec.target = QN_TARGET_sm_89;
  cr_assert_eq(qn_compiler_compile(compiler, &spec, QN_CUBIN, &kernel), QN_OK);
  cr_assert_eq(count_calls("compile"), 4);
  qn_kernel_destroy(kernel);
  qn_compiler_destroy(compiler);
  // Another version of NVRTC: the answers of the first are not its own.
  compiler = create(FAKE_DIR "/libfake_nvrtc_next.so", store);
  kernel = compile(compiler, 64, QN_CUBIN);
  cr_assert_not(qn_kernel_get_info(kernel)->from_cache);
  qn_kernel_destroy(kernel);
  qn_compiler_destroy(compiler);
}

Test(compiler, an_nvrtc_that_was_replaced_is_noticed) {
  char path[600], command[1400];
  snprintf(path, sizeof(path), "%s/libnvrtc.so.13", folder.path);
  snprintf(command, sizeof(command), "cp '%s' '%s'", FAKE_NVRTC, path);
  cr_assert_eq(system(command), 0);
  qn_compiler *compiler = create(path, store);
  qn_kernel_destroy(compile(compiler, 64, QN_CUBIN));
  qn_compiler_destroy(compiler);
  (void)unlink(path);
  snprintf(command, sizeof(command), "cp '%s' '%s'", FAKE_DIR "/libfake_nvrtc_next.so", path);
  cr_assert_eq(system(command), 0);
  compiler = create(path, store);
  qn_kernel *kernel = compile(compiler, 64, QN_CUBIN);
  cr_assert_not(qn_kernel_get_info(kernel)->from_cache);
  qn_kernel_destroy(kernel);
  qn_compiler_destroy(compiler);
}

// Whole for the cache and yet no kernel, as another build of the same version might leave.
Test(compiler, a_cached_kernel_that_cannot_be_read_is_compiled_again) {
  qn_compiler *compiler = create(FAKE_NVRTC, store);
  qn_kernel_destroy(compile(compiler, 64, QN_CUBIN));
  DIR *stream = opendir(store);
  for (struct dirent *entry; (entry = readdir(stream)) != NULL;) {
    char file[1024];
    snprintf(file, sizeof(file), "%s/%s", store, entry->d_name);
    struct stat info;
    if (stat(file, &info) == 0 && S_ISREG(info.st_mode) && info.st_size > 500)
      cr_assert_eq(truncate(file, 100), 0);
  }
  closedir(stream);
  qn_kernel *kernel = compile(compiler, 64, QN_CUBIN);
  cr_assert_not(qn_kernel_get_info(kernel)->from_cache);
  cr_assert_eq(count_calls("compile"), 2);
  qn_kernel_destroy(kernel);
  kernel = compile(compiler, 64, QN_CUBIN);
  cr_assert(qn_kernel_get_info(kernel)->from_cache);
  qn_kernel_destroy(kernel);
  qn_compiler_destroy(compiler);
}

// The user's own folder is a help that may be missing; one that is named is a wish that cannot be met.
Test(compiler, an_unusable_cache_is_said_and_does_no_harm) {
  setenv("XDG_CACHE_HOME", "/proc", 1);
  qn_compiler *compiler = create(FAKE_NVRTC, NULL);
  cr_assert_not_null(strstr(qn_compiler_get_search_log(compiler), "cache: off: /proc/quench: "));
  qn_kernel_destroy(compile(compiler, 64, QN_CUBIN));
  qn_kernel_destroy(compile(compiler, 64, QN_CUBIN));
  cr_assert_eq(count_calls("compile"), 2);
  cr_assert_not_null(strstr(qn_compiler_get_search_log(compiler), "cache: off: /proc/quench: "));
  qn_compiler_destroy(compiler);
}

Test(compiler, a_named_cache_must_be_usable) {
  qn_compiler *compiler;
  cr_assert_eq(qn_compiler_create(context,
                                  qn_compiler_params(.nvrtc_path = FAKE_NVRTC, .cache_dir = "/proc/quench"),
                                  &compiler),
               QN_IO);
  cr_assert_not_null(
      strstr(qn_context_get_error(context)->message, "the cache folder cannot be used: /proc/quench: "));
}

static void assert_error(qn_status status, qn_status expected, const char *words) {
  const qn_error *error = qn_context_get_error(context);
  cr_assert_eq(status, expected, "%s", qn_status_name(status));
  cr_assert_not_null(strstr(error->message, words), "'%s' is not in: %s", words, error->message);
}

Test(compiler, failures_are_worded) {
  qn_kernel_spec spec = spec_of(64);
  qn_kernel *kernel;
  const char *path;
  int major, minor;
  qn_compiler *compiler = create("/nowhere", store);
  assert_error(qn_compiler_compile(compiler, &spec, QN_CUBIN, &kernel), QN_UNAVAILABLE, "/nowhere");
  assert_error(qn_compiler_get_nvrtc(compiler, &path, &major, &minor), QN_UNAVAILABLE, "/nowhere");
  cr_assert_not_null(strstr(qn_compiler_get_search_log(compiler), "/nowhere"));
  qn_compiler_destroy(compiler);

  compiler = create(FAKE_NVRTC, store);
  setenv("FAKE_NVRTC_FAIL", "1", 1);
  assert_error(qn_compiler_compile(compiler, &spec, QN_CUBIN, &kernel), QN_BUG, "error: planted");
  unsetenv("FAKE_NVRTC_FAIL");
  qn_kernel_destroy(compile(compiler, 64, QN_CUBIN));
  cr_assert_eq(count_calls("compile"), 2, "a failure is not cached");
  spec.head_dim = spec.v_head_dim = 260;
  assert_error(qn_compiler_compile(compiler, &spec, QN_CUBIN, &kernel), QN_UNSUPPORTED, "found head_dim 260");
  spec = spec_of(64);
  spec.target = QN_TARGET_sm_120a;
  assert_error(qn_compiler_compile(compiler, &spec, QN_CUBIN, &kernel), QN_UNSUPPORTED,
               "does not compile for sm_120a");
  qn_compiler_destroy(compiler);
}
