// From a kernel's spec to its machine code: source, cache, NVRTC.
//
// NVRTC compiles inside this process. It can crash there on device code that its assembler mishandles, which a
// forked child would survive; but a fork of a process with threads or a CUDA context may do almost nothing
// safely, and the code that is compiled here is Quench's own and is tested for every target. docs/nvrtc.md
#include "codegen/launch_priv.h"
#include "runtime/kernel_priv.h"
#include "runtime/nvrtc_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

enum { CACHE_LIMIT = 256 << 20 };

struct qn_compiler {
  qn_context *context;
  char *nvrtc_path; // of the params; may be NULL
  size_t nvrtc_path_size;
  qn_cache cache;
  qn_nvrtc nvrtc;
  qn_buf search_log;
};

// The assembler's report is where spills are told; PTX has none.
static const char *const cubin_options[] = { "--std=c++17", "--ptxas-options=-v" };
// Line numbers: what the emulator says of a kernel names the line of the source too. The instructions stay the same.
static const char *const ptx_options[] = { "--std=c++17", "--generate-line-info" };

typedef struct option_list {
  const char *const *items;
  int count;
} option_list;

static option_list options_for(qn_binary binary) {
  return binary == QN_CUBIN ? (option_list){ cubin_options, QN_COUNT(cubin_options) }
                            : (option_list){ ptx_options, QN_COUNT(ptx_options) };
}

// A folder that the caller names must keep kernels; the user's own is used if it can be.
static qn_status check_named_cache(qn_context *context, const char *folder, const qn_cache *cache) {
  if (!folder || !*folder) return QN_OK;
  const char *off = "off: ", *words = cache->state;
  if (cache->folder < 0)
    return qn_fail(context, QN_IO, NULL, "the cache folder cannot be used: %s",
                   strncmp(words, off, strlen(off)) ? words : words + strlen(off));
  if (faccessat(cache->folder, ".", W_OK, 0) == 0) return QN_OK;
  return qn_fail(context, QN_IO, folder, "the cache folder cannot be written: %s", strerror(errno));
}

qn_status qn_compiler_create(qn_context *context, const qn_compiler_params *params,
                             qn_compiler **out_compiler) {
  static const qn_compiler_params defaults = { 0 };
  if (!params) params = &defaults;
  qn_compiler *compiler = qn_alloc_zero(context, sizeof(*compiler));
  if (!compiler) return qn_fail_memory(context);
  compiler->context = context;
  compiler->nvrtc.context = context;
  compiler->search_log = QN_BUF(context);
  qn_status status = qn_cache_open(context, params->cache_dir,
                                   params->cache_limit ? params->cache_limit : CACHE_LIMIT, &compiler->cache);
  if (status == QN_OK) status = check_named_cache(context, params->cache_dir, &compiler->cache);
  if (status == QN_OK && params->nvrtc_path) {
    compiler->nvrtc_path_size = strlen(params->nvrtc_path) + 1;
    compiler->nvrtc_path = qn_alloc(context, compiler->nvrtc_path_size);
    if (compiler->nvrtc_path)
      memcpy(compiler->nvrtc_path, params->nvrtc_path, compiler->nvrtc_path_size);
    else
      status = qn_fail_memory(context);
  }
  if (status != QN_OK) {
    qn_compiler_destroy(compiler);
    return status;
  }
  qn_buf_printf(&compiler->search_log, "cache: %s\n", compiler->cache.state);
  *out_compiler = compiler;
  return QN_OK;
}

void qn_compiler_destroy(qn_compiler *compiler) {
  if (!compiler) return;
  qn_nvrtc_close(&compiler->nvrtc);
  qn_cache_close(&compiler->cache);
  qn_buf_free(&compiler->search_log);
  qn_free(compiler->context, compiler->nvrtc_path, compiler->nvrtc_path_size);
  qn_free(compiler->context, compiler, sizeof(*compiler));
}

const char *qn_compiler_get_search_log(const qn_compiler *compiler) {
  return compiler->search_log.length > 0 ? compiler->search_log.text : "";
}

// Makes path and version known, from memory if that is `enough`, else by opening.
static qn_status find_nvrtc(qn_compiler *compiler, bool memory_is_enough) {
  if (compiler->nvrtc.handle || (compiler->nvrtc.path && memory_is_enough)) return QN_OK;
  compiler->search_log.length = 0;
  qn_buf_printf(&compiler->search_log, "cache: %s\n", compiler->cache.state);
  return qn_nvrtc_find(&compiler->nvrtc, compiler->nvrtc_path, &compiler->cache, memory_is_enough,
                       &compiler->search_log);
}

qn_status qn_compiler_get_nvrtc(qn_compiler *compiler, const char **out_path, int *out_major, int *out_minor) {
  QN_TRY(find_nvrtc(compiler, false));
  *out_path = compiler->nvrtc.path;
  *out_major = compiler->nvrtc.major;
  *out_minor = compiler->nvrtc.minor;
  return QN_OK;
}

// All that decides the binary's bytes; the name and the spec are in the source.
static qn_status make_key(qn_compiler *compiler, const qn_kernel *kernel, const qn_buf *source,
                          qn_cache_key *out_key) {
  qn_buf text = QN_BUF(compiler->context);
  qn_buf_printf(&text, "kernel\nquench %s\nnvrtc %d.%d\n%s\n%s\n", qn_version(), compiler->nvrtc.major,
                compiler->nvrtc.minor, qn_target_name(kernel->spec.target),
                kernel->info.binary == QN_CUBIN ? "cubin" : "ptx");
  option_list options = options_for(kernel->info.binary);
  for (int i = 0; i < options.count; i++) qn_buf_printf(&text, "%s\n", options.items[i]);
  qn_buf_append(&text, source->text, source->length);
  *out_key = qn_cache_hash(text.text, text.length);
  qn_status status = text.status;
  qn_buf_free(&text);
  return status;
}

// Takes the kernel from the cache if it is there and sound.
static bool take_cached(qn_compiler *compiler, qn_cache_key key, qn_kernel *kernel) {
  qn_buf bytes = QN_BUF(compiler->context);
  bool found = qn_cache_get(&compiler->cache, key, &bytes);
  if (found && !qn_kernel_unpack(kernel, bytes.text, bytes.length)) {
    qn_cache_remove(&compiler->cache, key);
    found = false;
  }
  qn_buf_free(&bytes);
  kernel->info.from_cache = found;
  return found;
}

static qn_status compile(qn_compiler *compiler, const qn_buf *source, qn_kernel *kernel) {
  const qn_kernel_info *info = &kernel->info;
  option_list options = options_for(info->binary);
  kernel->log.length = kernel->binary.length = 0;
  QN_TRY(qn_nvrtc_compile(&compiler->nvrtc, source->text, info->name, kernel->spec.target, info->binary,
                          options.items, options.count, &kernel->binary, &kernel->log));
  if (!qn_kernel_read_info(kernel))
    return qn_fail(compiler->context, QN_BUG, info->name, "NVRTC %d.%d gave no %s that holds the kernel",
                   compiler->nvrtc.major, compiler->nvrtc.minor, info->binary == QN_CUBIN ? "cubin" : "PTX");
  return QN_OK;
}

static qn_status obtain(qn_compiler *compiler, const qn_buf *source, qn_kernel *kernel) {
  qn_cache_key key;
  QN_TRY(find_nvrtc(compiler, true));
  QN_TRY(make_key(compiler, kernel, source, &key));
  if (take_cached(compiler, key, kernel)) return QN_OK;
  if (!compiler->nvrtc.handle) {
    // What opens need not be what was remembered: another version has another key.
    QN_TRY(find_nvrtc(compiler, false));
    QN_TRY(make_key(compiler, kernel, source, &key));
    if (take_cached(compiler, key, kernel)) return QN_OK;
  }
  QN_TRY(compile(compiler, source, kernel));
  qn_buf bytes = QN_BUF(compiler->context);
  qn_kernel_pack(kernel, &bytes);
  if (bytes.status == QN_OK) qn_cache_put(&compiler->cache, key, bytes.text, bytes.length);
  qn_buf_free(&bytes);
  return QN_OK;
}

static double milliseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec * 1e3 + (double)now.tv_nsec * 1e-6;
}

qn_status qn_compiler_compile(qn_compiler *compiler, const qn_kernel_spec *spec, qn_binary binary,
                              qn_kernel **out_kernel) {
  qn_context *context = compiler->context;
  double start = milliseconds();
  qn_reason reason;
  if (!qn_target_supports(spec, &reason))
    return qn_fail(context, QN_UNSUPPORTED, "kernel", "%s: expected %s, found %s", qn_why_sentence(reason.why),
                   reason.expected, reason.found);
  qn_kernel_spec resolved = *spec;
  qn_kernel_spec_resolve(&resolved);
  qn_kernel *kernel;
  QN_TRY(qn_kernel_create(context, &resolved, binary, &kernel));
  qn_buf source = QN_BUF(context);
  qn_writer writer = qn_buf_writer(&source);
  qn_status status = qn_kernel_write_source(context, &resolved, &writer);
  if (status == QN_OK) status = source.status;
  if (status == QN_OK) status = obtain(compiler, &source, kernel);
  qn_buf_free(&source);
  if (status != QN_OK) {
    qn_kernel_destroy(kernel);
    return status;
  }
  kernel->info.compile_ms = milliseconds() - start;
  *out_kernel = kernel;
  return QN_OK;
}

qn_status qn_compiler_compile_node(qn_compiler *compiler, const qn_graph *graph, qn_node attention,
                                   qn_target target, qn_binary binary, qn_kernel **out_kernel) {
  qn_kernel_spec spec;
  qn_reason reason;
  qn_status status = qn_kernel_spec_from_node(graph, attention, target, &spec, &reason);
  if (status != QN_OK) {
    // The failure is told in the graph's context, which need not be the compiler's.
    const qn_error *error = qn_context_get_error(qn_graph_get_context(graph));
    if (qn_graph_get_context(graph) == compiler->context) return status;
    return qn_fail(compiler->context, status, error->place, "%s", error->message);
  }
  return qn_compiler_compile(compiler, &spec, binary, out_kernel);
}
