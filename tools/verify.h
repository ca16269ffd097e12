// The parts of `quench verify`: runs with captured values, each attention by itself.
#ifndef QUENCH_TOOLS_VERIFY_H
#define QUENCH_TOOLS_VERIFY_H

#include "device.h"
#include "inputs.h"

// --- runs (verify_run.c) ---------------------------------------------------------------------------------

// A run of a graph, with copies of the values that were asked for.
typedef struct verify_run {
  const qn_graph *graph;
  qn_results *results;
  qn_tensor *values; // by value index; data NULL where not captured
  uint32_t value_limit;
} verify_run;

// Captures the values that `wanted` (by value index) marks; NULL: none. False after a message.
bool verify_run_graph(tool *t, const qn_graph *graph, const tool_inputs *inputs, const bool *wanted,
                      verify_run *out_run);
void verify_run_destroy(verify_run *run);

// --- one attention by itself (verify_attention.c) --------------------------------------------------------

// `read` is a model's graph, `recovered` the same after recover-attention. Adds a copy of each attention of
// `recovered` to `read`, beside what it replaced, with the operands that the names of values say are the same.
// The originals and the copies are written to two arrays that the caller frees. False after a message.
bool verify_graft(tool *t, qn_graph *read, const qn_graph *recovered, qn_value **out_originals,
                  qn_value **out_copies, uint32_t *out_count);
// Marks the operands of a node in `wanted`.
void verify_want_operands(const qn_graph *graph, qn_node node, bool *wanted);
// The operands of a node as `run` captured them; NULL where absent.
void verify_get_operands(const verify_run *run, qn_node node,
                         const qn_tensor *out_operands[QN_OP_OPERANDS_MAX]);

// An attention without the graph around it.
typedef struct verify_alone {
  const qn_graph *graph;
  qn_node node;
  const qn_tensor *const *operands; // by position, NULL where absent
  bool unfused;                     // without its output scheme
  int scores_mode;                  // of the second result; -1: there is none
} verify_alone;
// Runs it in f64. False after a message.
bool verify_run_alone(tool *t, const verify_alone *alone, qn_results **out_results);

// --- exact values and bounds (verify_exact.c) ------------------------------------------------------------

// What an unquantized attention is in f64, and how far a kernel may be from it.
typedef struct verify_exact {
  qn_results *results; // of the attention itself; the first is its output
  const qn_tensor *out;
  double *bounds; // by element of `out`
  uint64_t count;
} verify_exact;

// `spec` is that of the kernel whose rounding errors the bounds allow. False after a message.
bool verify_exact_make(tool *t, const qn_graph *graph, qn_node node, const qn_tensor *const *operands,
                       const qn_kernel_spec *spec, verify_exact *out_exact);
void verify_exact_destroy(verify_exact *exact);

// --- results of quantization (verify_report.c) -------------------------------------------------------------

// The results of an attention that are compared: QN_ATTENTION_OUT .. QN_ATTENTION_UNQUANTIZED.
enum { VERIFY_RESULTS = QN_ATTENTION_UNQUANTIZED + 1 };
extern const char *const verify_result_names[VERIFY_RESULTS];

// --- verdicts (verify_report.c) --------------------------------------------------------------------------

// How an element's index is told: row-major over `dims`, printed in `order`.
typedef struct verify_axes {
  int32_t rank;
  int64_t dims[QN_RANK_MAX];
  int32_t order[QN_RANK_MAX];
  const char *names; // "b,h,i,d"; NULL: those of the tensor
} verify_axes;

verify_axes verify_axes_of_tensor(const qn_tensor *tensor);
// The result of an attention: its `out` as a tensor, whatever the layout.
verify_axes verify_axes_of_attention(const qn_graph *graph, qn_node node, const qn_tensor *const *operands,
                                     const qn_tensor *out);
// The coordinates of an element, in the order of the names.
void verify_axes_locate(const verify_axes *axes, uint64_t index, int64_t out_place[QN_RANK_MAX]);

enum { VERIFY_SHOWN = 4 };

// The first places where two tensors are not what they should be to each other.
typedef struct verify_difference {
  const qn_tensor *found, *expected;
  verify_axes axes;
  const double *bounds; // by element; NULL: the same bytes are expected
  uint64_t first[VERIFY_SHOWN];
  uint64_t count; // of all
} verify_difference;

typedef enum verify_kind {
  VERIFY_RECOVERED,
  VERIFY_FUSED,
  VERIFY_DEVICE,
  VERIFY_EXPECTED,
  VERIFY_KINDS
} verify_kind;

typedef struct verify_report {
  tool *t;
  uint32_t compared[VERIFY_KINDS], failed[VERIFY_KINDS];
} verify_report;

void verify_print_heading(const verify_report *report, const char *text);
// One line, and those of the differences, which may be NULL. `json` is appended to the object: ", \"count\":
// 3".
void verify_print_verdict(verify_report *report, verify_kind kind, const char *what, qn_str name, bool good,
                          const char *words, const char *json, const verify_difference *difference);
// Why an attention, or all, is not compared.
void verify_print_skipped(const verify_report *report, verify_kind kind, qn_str name, const char *words);
// Notes one place.
void verify_difference_add(verify_difference *difference, uint64_t index);
// Compares bytes. False after a message.
bool verify_compare_bytes(verify_report *report, verify_kind kind, const char *what, qn_str name,
                          const qn_tensor *found, const qn_tensor *expected, const verify_axes *axes);
// The codes of an attention under a static scheme in direct numerics, which leave out one rounding: each is the
// one expected or next to it.
void verify_compare_neighbours(verify_report *report, verify_kind kind, qn_str name, const qn_tensor *found,
                               const qn_tensor *expected, const verify_axes *axes);

// --- on a device (verify_device.c) -----------------------------------------------------------------------

// Each attention of the run's graph, on the operands that the run captured: its kernel without quantization
// against f64, within a bound; and where it quantizes, every result against the quantizer of the CPU on what
// that kernel gave. False after a message.
bool verify_on_device(verify_report *report, const tool_device *device, const verify_run *run);

#endif
