// What kernels cost on the emulator, a row a kernel, against the committed table.
//
//   kernel_counters TABLE
//
// TAP on stdout. QN_BLESS=1 writes the table anew instead of comparing. The numbers belong to one version of
// NVRTC, which stands at the head of the table; with another there is nothing to compare.
#include "ir/base_priv.h"
#include "tests/kernels/runner.h"

#include <stdio.h>
#include <stdlib.h>

// Per query and key of a head: a kernel that does more for the same result shows in a digit.
// clang-format off
#define COLUMN_MAP(X)                     \
  X(instructions,         "instr")        \
  X(lane_instructions,    "lanes")        \
  X(multiply_adds,        "fma")          \
  X(matrix_loads,         "ldmatrix")     \
  X(special,              "special")      \
  X(barriers,             "barriers")     \
  X(shared_read_bytes,    "sh_read")      \
  X(shared_written_bytes, "sh_write")     \
  X(bank_conflicts,       "conflict")     \
  X(global_read_bytes,    "gl_read")      \
  X(global_written_bytes, "gl_write")     \
  X(global_sectors,       "sectors")

// clang-format on

typedef struct kernel {
  const char *name;
  bool fused;
  kernel_case c;
} kernel;

enum { PLAIN, FUSED };
enum {
  KERNELS = 0
#define KERNEL(name, fused, ...) +1
#include "tests/kernels/counters.def"
#undef KERNEL
};

static kernel_case *start(kernel *out, const char *name, int fused) {
  *out = (kernel){ .name = name,
                   .fused = fused == FUSED,
                   .c = { .dtype = QN_F16,
                          .head_dim = 128,
                          .v_head_dim = 128,
                          .heads = 2,
                          .kv_heads = 2,
                          .batch = 1,
                          .q_len = 128,
                          .kv_len = 256,
                          .window_left = -1,
                          .window_right = -1,
                          .mask_dtype = QN_BOOL,
                          .sinks = QN_ANY,
                          .lengths_dtype = QN_S32,
                          .q_layout = QN_LAYOUT_BSHD,
                          .k_layout = QN_LAYOUT_BSHD,
                          .v_layout = QN_LAYOUT_BSHD,
                          .out_layout = QN_LAYOUT_BSHD,
                          .scheme = qn_scheme_of(QN_SCHEME_fp8_static) } };
  return &out->c;
}

static void make_kernels(kernel out_kernels[KERNELS]) {
  kernel_case *c;
#define KERNEL(name, fused, ...)                                                                               \
  c = start(out_kernels++, name, fused);                                                                       \
  __VA_ARGS__;
#include "tests/kernels/counters.def"
#undef KERNEL
}

static const qn_target targets[] = { QN_TARGET_sm_90a, QN_TARGET_sm_80 };

enum { ROWS = KERNELS * QN_COUNT(targets), ROW_LENGTH = 256 };

typedef struct table {
  char head[ROW_LENGTH], rows[ROWS][ROW_LENGTH];
} table;

// --- measuring ---------------------------------------------------------------------------------------------

static void format_row(const char *name, const kernel_case *c, const qn_counters *counters,
                       char out_row[ROW_LENGTH]) {
  double pairs = (double)c->batch * c->heads * c->q_len * c->kv_len;
  size_t at = (size_t)snprintf(out_row, ROW_LENGTH, "%-22s %-7s", name, qn_target_name(c->target));
#define X(field, title)                                                                                        \
  at += (size_t)snprintf(out_row + at, ROW_LENGTH - at, " %9.4f", (double)counters->field / pairs);
  COLUMN_MAP(X)
#undef X
}

// Outputs for which the operands of a scheme are made: what kernels cost does not depend on them.
static bool set_scheme(kernel_data *data) {
  double *outputs = malloc((data->out_count + 1) * sizeof(*outputs));
  for (uint64_t i = 0; outputs && i < data->out_count; i++) outputs[i] = (double)(i % 11) - 5;
  bool done = outputs && kernel_data_set_scheme(data, outputs, 1);
  free(outputs);
  return done;
}

static qn_status count(kernel_runner *runner, const kernel_case *c, bool fused, qn_counters *out_counters) {
  qn_context *context = runner->context;
  qn_device *device;
  kernel_data data;
  kernel_outputs outputs = { 0 };
  kernel_replay replay;
  QN_TRY(kernel_runner_get_device(runner, c->target, &device));
  QN_TRY(kernel_data_create(context, c, 1, &data));
  qn_status status =
      set_scheme(&data) && kernel_outputs_create(&data, fused, &outputs) ? QN_OK : qn_fail_memory(context);
  qn_device_reset_counters(device);
  if (status == QN_OK) status = kernel_runner_run(runner, &data, fused, NULL, &outputs, &replay);
  if (status == QN_OK) status = qn_device_get_counters(device, out_counters);
  kernel_outputs_free(&outputs);
  kernel_data_free(&data);
  return status;
}

static void set_head(int major, int minor, table *out) {
  size_t at = (size_t)snprintf(out->head, ROW_LENGTH, "# NVRTC %d.%d", major, minor);
  at += (size_t)snprintf(out->head + at, ROW_LENGTH - at, "%*s", (int)(30 - at), "");
#define X(field, title) at += (size_t)snprintf(out->head + at, ROW_LENGTH - at, " %9s", title);
  COLUMN_MAP(X)
#undef X
}

// --- the table ---------------------------------------------------------------------------------------------

static int bless(const char *path, const table *now) {
  FILE *file = fopen(path, "w");
  if (!file) {
    perror(path);
    return 1;
  }
  fprintf(file, "%s\n", now->head);
  for (uint32_t i = 0; i < ROWS; i++) fprintf(file, "%s\n", now->rows[i]);
  return fclose(file) != 0;
}

static bool read_line(FILE *file, char out_line[ROW_LENGTH]) {
  if (!fgets(out_line, ROW_LENGTH, file)) return false;
  out_line[strcspn(out_line, "\n")] = 0;
  return true;
}

static bool read_table(const char *path, table *out) {
  FILE *file = fopen(path, "r");
  if (!file) return false;
  bool whole = read_line(file, out->head);
  for (uint32_t i = 0; whole && i < ROWS; i++) whole = read_line(file, out->rows[i]);
  fclose(file);
  return whole;
}

static int measure(kernel_runner *runner, table *out) {
  kernel kernels[KERNELS];
  make_kernels(kernels);
  for (uint32_t i = 0; i < ROWS; i++) {
    kernel *k = &kernels[i / QN_COUNT(targets)];
    qn_counters counters;
    k->c.target = targets[i % QN_COUNT(targets)];
    if (count(runner, &k->c, k->fused, &counters) != QN_OK) {
      const qn_error *error = qn_context_get_error(runner->context);
      printf("Bail out! %s: %s: %s\n", k->name, error->place ? error->place : "", error->message);
      return 1;
    }
    format_row(k->name, &k->c, &counters, out->rows[i]);
  }
  return 0;
}

// One line for each row that is as it was; of others both are shown.
static int compare(const table *then, const table *now) {
  int failed = 0;
  printf("1..%d\n", ROWS);
  for (uint32_t i = 0; i < ROWS; i++) {
    bool same = strcmp(then->rows[i], now->rows[i]) == 0;
    failed |= !same;
    printf("%s %u - %.30s\n", same ? "ok" : "not ok", i + 1, now->rows[i]);
    if (!same) printf("#   %s\n# - %s\n# + %s\n", now->head, then->rows[i], now->rows[i]);
  }
  return failed;
}

static int run(kernel_runner *runner, const char *path) {
  static table then, now;
  const char *nvrtc;
  int major, minor;
  if (qn_compiler_get_nvrtc(runner->compiler, &nvrtc, &major, &minor) != QN_OK) {
    printf("1..0 # SKIP there is no NVRTC\n");
    return 0;
  }
  set_head(major, minor, &now);
  if (getenv("QN_BLESS")) return measure(runner, &now) || bless(path, &now);
  if (!read_table(path, &then)) {
    printf("Bail out! %s has not %d rows; QN_BLESS=1 writes it anew\n", path, ROWS);
    return 1;
  }
  if (strcmp(then.head, now.head) != 0) {
    printf("1..0 # SKIP the table is of another NVRTC: %.14s, not %.14s\n", then.head, now.head);
    return 0;
  }
  return measure(runner, &now) || compare(&then, &now);
}

int main(int argc, char **argv) {
  qn_context *context;
  kernel_runner runner;
  if (argc != 2) {
    fprintf(stderr, "usage: kernel_counters TABLE\n");
    return 2;
  }
  if (qn_context_create(NULL, &context) != QN_OK) return 1;
  qn_status status = kernel_runner_open(context, DEVICE_EMULATOR, 0, NULL, &runner);
  if (status != QN_OK) printf("1..0 # SKIP %s\n", qn_context_get_error(context)->message);
  int code = status == QN_OK ? run(&runner, argv[1]) : status != QN_UNAVAILABLE;
  if (status == QN_OK) kernel_runner_close(&runner);
  qn_context_destroy(context);
  return code;
}
