// quench compile: the kernels of a model's attentions, or of one --spec, through NVRTC; no GPU is needed.
#include "spec.h"
#include "tool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { KERNEL_NAME_MAX = 128 };

typedef struct compile_run {
  tool *t;
  qn_target targets[QN_TARGET_COUNT];
  int target_count;
  qn_kernel_spec *specs; // distinct kernels, for every target
  uint32_t spec_count, spec_capacity;
  uint32_t attentions, refused;
  bool folder; // --output names one
  qn_compiler *compiler;
} compile_run;

// --- what to compile -------------------------------------------------------------------------------------

static bool add_targets(compile_run *run) {
  const tool_list *list = &run->t->options.target;
  bool wanted[QN_TARGET_COUNT] = { false };
  if (list->count == 0) wanted[QN_TARGET_sm_90a] = true;
  for (unsigned i = 0; i < list->count; i++) {
    qn_target target = qn_target_find(list->items[i]);
    bool all = strcmp(list->items[i], "all") == 0;
    if (target == QN_TARGET_COUNT && !all) {
      char message[96], hint[160] = "";
      snprintf(message, sizeof message, "unknown target '%.32s'", list->items[i]);
      for (int k = 0; k < QN_TARGET_COUNT; k++)
        snprintf(hint + strlen(hint), sizeof hint - strlen(hint), "%s, ", qn_target_name((qn_target)k));
      snprintf(hint + strlen(hint), sizeof hint - strlen(hint), "or all");
      tool_error("compile", message, hint);
      return false;
    }
    for (int k = 0; k < QN_TARGET_COUNT; k++) wanted[k] |= all || k == (int)target;
  }
  for (int k = 0; k < QN_TARGET_COUNT; k++)
    if (wanted[k]) run->targets[run->target_count++] = (qn_target)k;
  return true;
}

// Two attentions of one shape share a kernel: its name tells all that its text depends on.
static bool add_spec(compile_run *run, const qn_kernel_spec *spec) {
  char name[KERNEL_NAME_MAX], other[KERNEL_NAME_MAX];
  qn_kernel_format_name(spec, name);
  for (uint32_t i = 0; i < run->spec_count; i++) {
    qn_kernel_format_name(&run->specs[i], other);
    if (run->specs[i].target == spec->target && strcmp(name, other) == 0) return true;
  }
  if (run->spec_count == run->spec_capacity) {
    uint32_t capacity = run->spec_capacity ? 2 * run->spec_capacity : 16;
    qn_kernel_spec *grown = realloc(run->specs, capacity * sizeof *grown);
    if (!grown) return false;
    run->specs = grown;
    run->spec_capacity = capacity;
  }
  run->specs[run->spec_count++] = *spec;
  return true;
}

static bool add_refusal(compile_run *run, qn_str node, qn_target target, const qn_reason *reason) {
  char place[256], message[320];
  snprintf(place, sizeof place, "%s%.*s", node.length ? "attention " : "--spec", (int)node.length, node.text);
  snprintf(message, sizeof message, "no kernel for %s: %s: expected %s, found %s", qn_target_name(target),
           qn_why_sentence(reason->why), reason->expected, reason->found);
  tool_error(place, message, qn_why_name(reason->why));
  run->refused++;
  return true;
}

static bool add_graph(compile_run *run, const qn_graph *graph) {
  for (qn_node node = qn_graph_get_first(graph); node != QN_NONE; node = qn_node_get_next(graph, node)) {
    if (qn_node_get_op(graph, node) != QN_OP_attention) continue;
    run->attentions++;
    for (int k = 0; k < run->target_count; k++) {
      qn_kernel_spec spec;
      qn_reason reason;
      qn_status status = qn_kernel_spec_from_node(graph, node, run->targets[k], &spec, &reason);
      if (status == QN_UNSUPPORTED) {
        qn_str name = qn_value_get_name(graph, qn_node_get_result(graph, node, 0));
        add_refusal(run, name, run->targets[k], &reason);
      } else if (status != QN_OK) {
        return tool_fail(run->t), false;
      } else if (!add_spec(run, &spec)) {
        return false;
      }
    }
  }
  return true;
}

static bool add_spec_option(compile_run *run) {
  qn_kernel_spec spec;
  if (!tool_spec_parse(run->t->options.spec, &spec)) return false;
  const char *numerics = run->t->options.numerics;
  spec.numerics = numerics && strcmp(numerics, "direct") == 0 ? QN_DIRECT : QN_EXACT;
  for (int k = 0; k < run->target_count; k++) {
    qn_reason reason;
    spec.target = run->targets[k];
    if (!qn_target_supports(&spec, &reason)) {
      add_refusal(run, (qn_str){ .text = "" }, spec.target, &reason);
      continue;
    }
    qn_kernel_spec resolved = spec;
    qn_kernel_spec_resolve(&resolved);
    if (!add_spec(run, &resolved)) return false;
  }
  return true;
}

// --- what to write ---------------------------------------------------------------------------------------

typedef struct emission {
  const qn_kernel_spec *spec;
  const qn_kernel_info *info; // NULL for CUDA C, which needs no compiler
} emission;

static int write_kernel(tool *t, tool_output *output, void *user) {
  const emission *e = user;
  qn_writer writer = tool_output_writer(output);
  if (!e->info) return qn_kernel_write_source(t->context, e->spec, &writer) == QN_OK ? TOOL_DONE : tool_fail(t);
  fwrite(e->info->data, 1, e->info->length, output->file);
  return TOOL_DONE;
}

// Before anything is compiled: --output is a folder that is there, or one that its last character says it is to
// be.
static bool find_folder(compile_run *run) {
  const char *out = run->t->options.output;
  struct stat about;
  size_t length = out ? strlen(out) : 0;
  if (length && out[length - 1] == '/' && stat(out, &about) != 0 && mkdir(out, 0777) != 0)
    return tool_error(out, strerror(errno), NULL), false;
  run->folder = out && stat(out, &about) == 0 && S_ISDIR(about.st_mode);
  if (run->folder || run->spec_count <= 1 || !run->t->options.emit) return true;
  tool_error("compile", "several kernels are to be written", "let -o name a folder, or give one --target");
  return false;
}

// One kernel goes to --output; several go into that folder as NAME.TARGET.FORM.
static int emit_kernel(compile_run *run, const qn_kernel_spec *spec, const qn_kernel_info *info) {
  tool *t = run->t;
  const char *out = t->options.output;
  emission e = { .spec = spec, .info = info };
  if (!run->folder) return tool_with_output(t, out, write_kernel, &e);
  char name[KERNEL_NAME_MAX], path[4096];
  qn_kernel_format_name(spec, name);
  snprintf(path, sizeof path, "%s/%s.%s.%s", out, name, qn_target_name(spec->target),
           strcmp(t->options.emit, "cuda") == 0 ? "cu" : t->options.emit);
  return tool_with_output(t, path, write_kernel, &e);
}

static void print_kernel(const compile_run *run, const qn_kernel_spec *spec, const qn_kernel_info *info) {
  uint32_t shared = info->static_shared_bytes + info->dynamic_shared_bytes;
  if (run->t->options.json) {
    printf(
        "{\"kernel\": \"%s\", \"target\": \"%s\", \"registers\": %u, \"spill_bytes\": %u, \"local_bytes\": %u, "
        "\"shared_bytes\": %u, \"threads\": %u, \"bytes\": %zu, \"ms\": %.2f, \"cached\": %s}\n",
        info->name, qn_target_name(spec->target), info->registers, info->spill_bytes, info->local_bytes, shared,
        info->threads, info->length, info->compile_ms, info->from_cache ? "true" : "false");
    return;
  }
  fprintf(stderr,
          "%-8s %s\n         %u registers, %u bytes spilled, %u bytes local, %u bytes shared, %u threads; %zu "
          "bytes in %.1f ms%s\n",
          qn_target_name(spec->target), info->name, info->registers, info->spill_bytes, info->local_bytes,
          shared, info->threads, info->length, info->compile_ms, info->from_cache ? " from the cache" : "");
  if (run->t->options.verbose && info->log && *info->log) fprintf(stderr, "%s\n", info->log);
}

static int compile_one(compile_run *run, const qn_kernel_spec *spec) {
  tool *t = run->t;
  const char *form = t->options.emit;
  if (form && strcmp(form, "cuda") == 0) return emit_kernel(run, spec, NULL);
  qn_kernel *kernel;
  qn_binary binary = form && strcmp(form, "ptx") == 0 ? QN_PTX : QN_CUBIN;
  if (qn_compiler_compile(run->compiler, spec, binary, &kernel) != QN_OK) return tool_fail(t);
  const qn_kernel_info *info = qn_kernel_get_info(kernel);
  print_kernel(run, spec, info);
  int code = form ? emit_kernel(run, spec, info) : TOOL_DONE;
  qn_kernel_destroy(kernel);
  return code;
}

// Which NVRTC is used and where it was looked for. Asked for before compiling: a cached kernel would open none.
static int print_nvrtc(compile_run *run) {
  const char *path;
  int major, minor;
  qn_status status = qn_compiler_get_nvrtc(run->compiler, &path, &major, &minor);
  fputs(qn_compiler_get_search_log(run->compiler), stderr);
  if (status != QN_OK) return tool_fail(run->t);
  fprintf(stderr, "NVRTC %d.%d: %s\n", major, minor, path);
  return TOOL_DONE;
}

static int compile_all(compile_run *run) {
  tool *t = run->t;
  const tool_options *o = &t->options;
  if (!find_folder(run)) return TOOL_BAD;
  if (qn_compiler_create(t->context, qn_compiler_params(.nvrtc_path = o->nvrtc, .cache_dir = o->cache_dir),
                         &run->compiler) != QN_OK)
    return tool_fail(t);
  int code = o->verbose ? print_nvrtc(run) : TOOL_DONE;
  for (uint32_t i = 0; i < run->spec_count && code == TOOL_DONE; i++) code = compile_one(run, &run->specs[i]);
  if (code == TOOL_DONE && !o->json)
    fprintf(stderr, "%u kernel%s%s\n", run->spec_count, run->spec_count == 1 ? "" : "s",
            o->emit && strcmp(o->emit, "cuda") == 0 ? " written" : " compiled");
  return code == TOOL_DONE && run->spec_count == 0 ? TOOL_NO : code;
}

// --- the subcommand --------------------------------------------------------------------------------------

static bool collect_model(compile_run *run) {
  tool_model model;
  qn_pipeline *pipeline = NULL;
  if (!tool_model_read(run->t, run->t->options.operand, &model)) return false;
  bool good = tool_run_pipeline(run->t, model.graph, NULL, &pipeline) && add_graph(run, model.graph);
  qn_pipeline_destroy(pipeline);
  tool_model_destroy(&model);
  return good;
}

int tool_cmd_compile(tool *t) {
  if (!t->options.spec == !t->options.operand)
    return tool_error("compile", "one MODEL or one --spec is expected", "quench compile --help");
  compile_run run = { .t = t };
  int code = TOOL_BAD;
  if (add_targets(&run)) {
    // The pipeline asks one target what fuses: the first of those to compile for.
    t->options.target = (tool_list){ .items = { qn_target_name(run.targets[0]) }, .count = 1 };
    if (t->options.spec ? add_spec_option(&run) : collect_model(&run)) code = compile_all(&run);
  }
  qn_compiler_destroy(run.compiler);
  free(run.specs);
  return code;
}
