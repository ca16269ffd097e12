// The kernel suite: every case unfused against f64, fused against the unfused result through the CPU quantizer,
// on a device.
//
//   kernel_suite --device cuda|emulator|reference [--tap] [--json FILE] [--shard I/N] [--case N] [--only TEXT]
//                [--threads N] [--cache-dir DIR] [--full [--seconds N] [--seed N]]
//   kernel_suite --list
//
// Exit status: 0 all cases hold, 1 one does not, 2 bad usage, 77 there is no device or no NVRTC (with --tap: 0,
// and the plan says so). With --device reference the reference executor stands in for a device: errors are
// planted in its output, and the suite must find them. --only runs the cases whose line has the text. --full
// runs the full product of element type, head_dim, mask, layout and output in random order, with random choices
// for all else, for as long as it is given.
#include "ir/base_priv.h"
#include "tests/kernels/oracle.h"
#include "tests/kernels/runner.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { SKIP = 77 };

// An error in what a launch has written.
typedef enum plant_site { PLANT_TWIN, PLANT_FUSED } plant_site;
typedef struct plant {
  bool on;
  plant_site site;
  uint32_t result; // of the fused kernel
} plant;

typedef struct suite {
  qn_context *context;
  kernel_runner runner;
  plant plant;
  bool tap;
  FILE *json;
  uint32_t ran, failed;
} suite;

typedef struct options {
  kernel_device device;
  bool device_given, tap, list, full;
  uint32_t shard, shards, threads, seconds;
  long only;
  uint64_t seed;
  const char *json, *cache_dir, *text;
} options;

typedef struct outcome {
  kernel_verdict values;
  uint64_t different[KERNEL_RESULTS]; // bytes unlike the quantizer's on the twin's values
  double loss;                        // against the best quantizer
  uint64_t conflicts;                 // passes over shared memory that banks cost, where the device counts
  kernel_replay replay;
  const char *complaint; // NULL: the case holds
} outcome;

// --- one case ----------------------------------------------------------------------------------------------

// Changes sign and magnitude of the largest output.
static void plant_value(const kernel_oracle *oracle, kernel_outputs *twin) {
  uint32_t size = qn_dtype_bits(kernel_case_twin_dtype(&oracle->data->c)) / 8;
  uint64_t at = 0;
  for (uint64_t i = 1; i < oracle->data->out_count; i++)
    if (fabs(oracle->expected[i]) > fabs(oracle->expected[at])) at = i;
  twin->bytes[QN_ATTENTION_OUT][(at + 1) * size - 1] ^= 0xC0;
}

static void plant_error(const plant *p, const kernel_oracle *oracle, kernel_outputs *twin,
                        kernel_outputs *fused) {
  if (!p->on) return;
  if (p->site == PLANT_TWIN) plant_value(oracle, twin);
  if (p->site == PLANT_FUSED) fused->bytes[p->result][fused->length[p->result] / 3] ^= 1;
}

// Runs both kernels of the case.
static qn_status run_both(suite *s, const kernel_data *data, kernel_outputs *twin, kernel_outputs *fused,
                          outcome *out) {
  qn_device *device;
  qn_counters counters = { 0 };
  bool counts = s->runner.kind == DEVICE_EMULATOR;
  if (counts) QN_TRY(kernel_runner_get_device(&s->runner, data->c.target, &device));
  if (counts) qn_device_reset_counters(device);
  QN_TRY(kernel_runner_run(&s->runner, data, false, NULL, twin, &out->replay));
  QN_TRY(kernel_runner_run(&s->runner, data, true, twin, fused, &out->replay));
  if (counts) QN_TRY(qn_device_get_counters(device, &counters));
  out->conflicts = counters.bank_conflicts;
  return QN_OK;
}

// Every byte of every result, what is added as zeros and what is left alone included.
static void count_different(const kernel_outputs *expected, const kernel_outputs *found, outcome *out) {
  for (uint32_t i = 0; i < KERNEL_RESULTS; i++)
    for (uint64_t at = 0; expected->bytes[i] && at < expected->length[i]; at++)
      out->different[i] += expected->bytes[i][at] != found->bytes[i][at];
}

static void complain(const kernel_data *data, outcome *out) {
  static const char *const complaints[KERNEL_RESULTS] = { "codes differ from the quantized output of the twin",
                                                          "scales differ from those of the twin's output",
                                                          "zero points differ from those of the twin's output",
                                                          "the unquantized output is not that of the twin" };
  if (out->values.outside) out->complaint = "the unfused output is beyond the bound";
  for (uint32_t i = 0; i < KERNEL_RESULTS && !out->complaint; i++)
    if (out->different[i]) out->complaint = complaints[i];
  if (!out->complaint && data->c.numerics == QN_DIRECT && !(out->loss <= 1.02))
    out->complaint = "codes lose more than 2 % over the best quantizer";
  if (!out->complaint && out->replay == REPLAY_DIFFERENT) out->complaint = "a second launch gives other bytes";
  if (!out->complaint && out->conflicts) out->complaint = "lanes meet in banks of shared memory";
}

static qn_status compare(suite *s, const kernel_oracle *oracle, kernel_outputs *twin, kernel_outputs *fused,
                         kernel_outputs *expected, outcome *out) {
  QN_TRY(run_both(s, oracle->data, twin, fused, out));
  plant_error(&s->plant, oracle, twin, fused);
  out->values = kernel_oracle_check_values(oracle, twin);
  QN_TRY(kernel_outputs_expect(s->context, oracle->data, twin, expected));
  count_different(expected, fused, out);
  QN_TRY(kernel_oracle_get_loss(s->context, oracle, twin, fused, &out->loss));
  complain(oracle->data, out);
  return QN_OK;
}

static qn_status run_on(suite *s, kernel_data *data, outcome *out) {
  kernel_oracle oracle;
  kernel_outputs twin = { 0 }, fused = { 0 }, expected = { 0 };
  QN_TRY(kernel_oracle_create(s->context, data, &oracle));
  bool made = kernel_outputs_create(data, false, &twin) && kernel_outputs_create(data, true, &fused) &&
              kernel_outputs_create(data, true, &expected);
  qn_status status = made ? compare(s, &oracle, &twin, &fused, &expected, out) : qn_fail_memory(s->context);
  kernel_outputs_free(&twin);
  kernel_outputs_free(&fused);
  kernel_outputs_free(&expected);
  kernel_oracle_free(&oracle);
  return status;
}

static qn_status run_case(suite *s, const kernel_case *c, uint64_t seed, outcome *out) {
  kernel_data data;
  *out = (outcome){ 0 };
  QN_TRY(kernel_data_create(s->context, c, seed, &data));
  qn_status status = run_on(s, &data, out);
  kernel_data_free(&data);
  return status;
}

// --- reporting ---------------------------------------------------------------------------------------------

static void report(suite *s, uint32_t index, const char *text, qn_status status, const outcome *out) {
  static const char *const replays[] = { "none", "same", "different" };
  const qn_error *error = qn_context_get_error(s->context);
  bool holds = status == QN_OK && !out->complaint;
  s->ran++;
  s->failed += !holds;
  printf("%s %u - %u: %s\n", holds ? "ok" : "not ok", s->ran, index, text);
  if (status != QN_OK)
    printf("# %s: %s: %s\n", qn_status_name(status), error->place ? error->place : "", error->message);
  else if (out->complaint)
    printf("# %s: %llu values (first %llu); unlike are %llu bytes of codes, %llu of scales, %llu of zero "
           "points, %llu "
           "unquantized; %llu bank conflicts\n",
           out->complaint, (unsigned long long)out->values.outside, (unsigned long long)out->values.first,
           (unsigned long long)out->different[0], (unsigned long long)out->different[1],
           (unsigned long long)out->different[2], (unsigned long long)out->different[3],
           (unsigned long long)out->conflicts);
  if (status == QN_OK)
    printf("# worst %.3f of the bound, loss %.4f, replay %s\n", out->values.worst, out->loss,
           replays[out->replay]);
  fflush(stdout);
  if (s->json)
    fprintf(
        s->json,
        "{\"case\": %u, \"what\": \"%s\", \"holds\": %s, \"status\": \"%s\", \"values_worst\": %.4g, "
        "\"values_max_error\": %.4g, \"loss\": %.6g, \"codes_different\": %llu, \"scales_different\": %llu, "
        "\"replay\": \"%s\"}\n",
        index, text, holds ? "true" : "false", qn_status_name(status), out->values.worst, out->values.max_error,
        out->loss, (unsigned long long)out->different[0], (unsigned long long)out->different[1],
        replays[out->replay]);
}

// With the reference executor in the place of a device: whether planted errors are found, one in each result.
static void find_errors(suite *s, uint64_t seed, const kernel_case *c, outcome *out) {
  static const char *const missed[KERNEL_RESULTS] = {
    "a planted error in the codes was not found", "a planted error in the scales was not found",
    "a planted error in the zero points was not found",
    "a planted error in the unquantized output was not found"
  };
  outcome planted;
  kernel_data shape;
  if (c->q_len == 0 || kernel_data_create(s->context, c, seed, &shape) != QN_OK) return;
  bool has[KERNEL_RESULTS];
  for (uint32_t i = 0; i < KERNEL_RESULTS; i++) has[i] = kernel_data_has_result(&shape, i);
  kernel_data_free(&shape);
  s->plant = (plant){ .on = c->kv_len > 0, .site = PLANT_TWIN }; // all zeros: a change of the sign is none
  if (s->plant.on && (run_case(s, c, seed, &planted) != QN_OK || !planted.complaint))
    out->complaint = "a planted error in the values was not found";
  for (uint32_t i = 0; i < KERNEL_RESULTS && !out->complaint; i++) {
    s->plant = (plant){ .on = true, .site = PLANT_FUSED, .result = i };
    if (has[i] && (run_case(s, c, seed, &planted) != QN_OK || !planted.different[i]))
      out->complaint = missed[i];
  }
  s->plant = (plant){ 0 };
}

static void name_case(const kernel_case *c, char out_text[640]) {
  char text[512];
  kernel_case_format(c, text);
  snprintf(out_text, 640, "kernel: %s: %s", c->cell ? c->cell->name : "", text);
}

static void run_one(suite *s, uint32_t index, uint64_t seed, const kernel_case *c) {
  char text[640];
  outcome out;
  name_case(c, text);
  qn_status status = run_case(s, c, seed, &out);
  // Every case is one that Quench supports: what refuses is an NVRTC or a driver that is older than the target.
  // On the emulator a kernel is not to be had where there is no NVRTC and the cache does not hold it; of a GPU
  // the same status is the driver's failure.
  bool no_compiler = status == QN_UNAVAILABLE && s->runner.kind == DEVICE_EMULATOR;
  if (status == QN_UNSUPPORTED || no_compiler) {
    printf("ok %u - %u: %s # SKIP %s\n", ++s->ran, index, text, qn_context_get_error(s->context)->message);
    return;
  }
  if (status == QN_OK && s->runner.kind == DEVICE_REFERENCE) find_errors(s, seed, c, &out);
  report(s, index, text, status, &out);
}

static int finish(const suite *s) {
  printf("# %u cases, %u failed\n", s->ran, s->failed);
  return s->failed > 0 || s->ran == 0;
}

// --- the covering set --------------------------------------------------------------------------------------

static bool is_chosen(const options *o, const kernel_case *c, uint32_t index) {
  char text[640];
  name_case(c, text);
  if (o->text && !strstr(text, o->text)) return false;
  return o->only >= 0 ? (uint32_t)o->only == index : index % o->shards == o->shard;
}

// The cells that no case runs: no kernel is there for them. The first shard answers for them.
static uint32_t list_cells(suite *s, const options *o, const kernel_case *cases, uint32_t count, bool print) {
  uint32_t missing = 0;
  if (o->shard != 0 || o->only >= 0 || o->text) return 0;
  for (uint32_t i = 0; i < kernel_cells_count(); i++) {
    const kernel_cell *cell = kernel_cells_get(i);
    bool found = false;
    for (uint32_t k = 0; k < count && !found; k++) found = cases[k].cell == cell;
    missing += !found;
    if (found || !print) continue;
    printf("not ok %u - kernel: %s: no case, since no kernel is supported for it\n", ++s->ran, cell->name);
    s->failed++;
  }
  return missing;
}

static int run_cover(suite *s, const options *o) {
  static kernel_case cases[KERNEL_CASES_MAX];
  cover_totals totals;
  uint32_t count = kernel_cases_cover(s->runner.only, cases, &totals), chosen = 0;
  for (uint32_t i = 0; i < count; i++) chosen += is_chosen(o, &cases[i], i);
  printf("1..%u\n", chosen + list_cells(s, o, cases, count, false));
  printf("# %u cases cover %u pairs of options; %u more exclude each other\n", count,
         totals.pairs - totals.refused, totals.refused);
  for (uint32_t i = 0; i < count; i++)
    if (is_chosen(o, &cases[i], i)) run_one(s, i, i + 1, &cases[i]);
  list_cells(s, o, cases, count, true);
  return finish(s);
}

static int list(void) {
  static kernel_case cases[KERNEL_CASES_MAX];
  cover_totals totals;
  char text[640];
  uint32_t count = kernel_cases_cover(QN_TARGET_COUNT, cases, &totals);
  for (uint32_t i = 0; i < count; i++) {
    name_case(&cases[i], text);
    printf("%3u %s\n", i, text);
  }
  printf("%u cases, %u pairs, %u of them excluded\n", count, totals.pairs, totals.refused);
  return 0;
}

// --- the full product --------------------------------------------------------------------------------------

static double seconds_now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

// A random order of 0 .. count - 1.
static uint32_t *shuffled(uint32_t count, uint64_t seed) {
  uint32_t *order = malloc(count * sizeof(*order));
  for (uint32_t i = 0; order && i < count; i++) {
    uint32_t at = cover_random(&seed) % (i + 1);
    order[i] = order[at];
    order[at] = i;
  }
  return order;
}

static int run_full(suite *s, const options *o) {
  uint32_t count = kernel_cases_count_product(), refused = 0, i = o->shard;
  uint32_t *order = shuffled(count, o->seed);
  double end = seconds_now() + o->seconds;
  if (!order) return 1;
  for (; i < count && (o->seconds == 0 || seconds_now() < end); i += o->shards) {
    kernel_case c;
    if (!kernel_cases_get_product(s->runner.only, order[i], o->seed, &c))
      refused++;
    else
      run_one(s, order[i], o->seed + order[i], &c);
  }
  free(order);
  printf("1..%u\n# %u of the %u combinations, seed %llu; %u more are refused\n", s->ran, s->ran, count,
         (unsigned long long)o->seed, refused);
  return finish(s);
}

// --- the program -------------------------------------------------------------------------------------------

static int skip(const suite *s) {
  const qn_error *error = qn_context_get_error(s->context);
  printf("1..0 # SKIP %s: %s\n", error->place ? error->place : "", error->message);
  return s->tap ? 0 : SKIP;
}

// A GPU without NVRTC is no reason to call the kernels tested. For the emulator NVRTC is not opened here: the
// cache may have all that is needed.
static int say_device(suite *s) {
  const char *path;
  int major, minor;
  qn_device *device;
  if (s->runner.kind == DEVICE_REFERENCE) return 0;
  if (kernel_runner_get_device(&s->runner, QN_TARGET_sm_90a, &device) != QN_OK) return 1;
  printf("# %s\n", qn_device_get_name(device));
  if (s->runner.kind == DEVICE_EMULATOR) return 0;
  if (qn_compiler_get_nvrtc(s->runner.compiler, &path, &major, &minor) != QN_OK) {
    printf("# %s\n", qn_context_get_error(s->context)->message);
    return 1;
  }
  printf("# NVRTC %d.%d: %s\n", major, minor, path);
  return 0;
}

static int run(suite *s, const options *o) {
  qn_status status = kernel_runner_open(s->context, o->device, o->threads, o->cache_dir, &s->runner);
  if (status == QN_UNAVAILABLE) return skip(s);
  if (status != QN_OK) {
    printf("Bail out! %s\n", qn_context_get_error(s->context)->message);
    return 1;
  }
  int code = say_device(s);
  if (code != 0) return code;
  return o->full ? run_full(s, o) : run_cover(s, o);
}

static bool read_number(const char *text, unsigned long most, uint32_t *out) {
  char *end;
  unsigned long value = strtoul(text, &end, 10);
  if (end == text || *end || value > most) return false;
  *out = (uint32_t)value;
  return true;
}

static bool read_shard(const char *text, options *o) {
  char end;
  return sscanf(text, "%u/%u%c", &o->shard, &o->shards, &end) == 2 && o->shards > 0 && o->shard < o->shards;
}

static bool read_device(const char *text, options *o) {
  static const char *const names[] = { "cuda", "emulator", "reference" };
  for (size_t i = 0; i < QN_COUNT(names); i++)
    if (strcmp(text, names[i]) == 0) {
      o->device = (kernel_device)i;
      return o->device_given = true;
    }
  return false;
}

static bool read_flag(const char *name, options *o) {
  if (strcmp(name, "--tap") == 0) return o->tap = true;
  if (strcmp(name, "--list") == 0) return o->list = true;
  if (strcmp(name, "--full") == 0) return o->full = true;
  return false;
}

static bool read_option(const char *name, const char *value, options *o) {
  uint32_t number;
  if (strcmp(name, "--device") == 0) return read_device(value, o);
  if (strcmp(name, "--shard") == 0) return read_shard(value, o);
  if (strcmp(name, "--threads") == 0) return read_number(value, 1024, &o->threads);
  if (strcmp(name, "--seconds") == 0) return read_number(value, UINT32_MAX, &o->seconds);
  if (strcmp(name, "--case") == 0 && read_number(value, INT32_MAX, &number)) return (o->only = number) >= 0;
  if (strcmp(name, "--seed") == 0 && read_number(value, UINT32_MAX, &number)) return (o->seed = number), true;
  if (strcmp(name, "--only") == 0) return (o->text = value) != NULL;
  if (strcmp(name, "--json") == 0) return (o->json = value) != NULL;
  if (strcmp(name, "--cache-dir") == 0) return (o->cache_dir = value) != NULL;
  return false;
}

static bool read_options(int argc, char **argv, options *o) {
  for (int i = 1; i < argc; i++) {
    if (read_flag(argv[i], o)) continue;
    if (i + 1 == argc || !read_option(argv[i], argv[i + 1], o)) return false;
    i++;
  }
  return o->device_given || o->list;
}

int main(int argc, char **argv) {
  options o = { .shards = 1, .only = -1, .seed = 1 };
  suite s = { 0 };
  if (!read_options(argc, argv, &o)) {
    fprintf(
        stderr,
        "usage: kernel_suite --device cuda|emulator|reference [--tap] [--json FILE] [--shard I/N] [--case N]\n"
        "                    [--only TEXT] [--threads N] [--cache-dir DIR] [--full [--seconds N] [--seed N]]\n"
        "       kernel_suite --list\n");
    return 2;
  }
  if (o.list) return list();
  if (qn_context_create(NULL, &s.context) != QN_OK) return 1;
  if (o.json && !(s.json = fopen(o.json, "w"))) {
    perror(o.json);
    return 2;
  }
  s.tap = o.tap;
  int code = run(&s, &o);
  kernel_runner_close(&s.runner);
  if (s.json) fclose(s.json);
  qn_context_destroy(s.context);
  return code;
}
