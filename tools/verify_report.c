// What `quench verify` says of each comparison, as text or as JSON.
#include "verify.h"

#include <inttypes.h>

const char *const verify_result_names[VERIFY_RESULTS] = { "codes", "scales", "zero points", "unquantized" };

// --- places ----------------------------------------------------------------------------------------------

verify_axes verify_axes_of_tensor(const qn_tensor *tensor) {
  verify_axes axes = { .rank = tensor->rank };
  for (int32_t d = 0; d < tensor->rank; d++) {
    axes.dims[d] = tensor->dims[d];
    axes.order[d] = d;
  }
  return axes;
}

verify_axes verify_axes_of_attention(const qn_graph *graph, qn_node node, const qn_tensor *const *operands,
                                     const qn_tensor *out) {
  qn_layout layout = (qn_layout)qn_node_get_int(graph, node, "out_layout");
  qn_layout q_layout = (qn_layout)qn_node_get_int(graph, node, "q_layout");
  const qn_tensor *q = operands[0];
  int64_t heads = q->rank == 4                ? q->dims[q_layout == QN_LAYOUT_BHSD ? 1 : 2]
                  : q_layout == QN_LAYOUT_THD ? q->dims[1]
                                              : qn_node_get_int(graph, node, "heads");
  int64_t last = out->dims[out->rank - 1], batch = q->dims[0];
  bool merged = layout == QN_LAYOUT_BSM || layout == QN_LAYOUT_TM;
  if (qn_node_get_scheme(graph, node, "output").pad > 0)
    return verify_axes_of_tensor(out); // not all are a head's
  int64_t dim = merged && heads > 0 ? last / heads : last;
  if (q_layout == QN_LAYOUT_TM || q_layout == QN_LAYOUT_THD)
    return (verify_axes){ 3, { out->dims[0], heads, dim }, { 1, 0, 2 }, "h,t,d" };
  if (layout == QN_LAYOUT_BHSD)
    return (verify_axes){ 4, { batch, heads, out->dims[2], dim }, { 0, 1, 2, 3 }, "b,h,i,d" };
  bool by_tokens = layout == QN_LAYOUT_TM || layout == QN_LAYOUT_THD;
  int64_t length = !by_tokens ? out->dims[1] : batch > 0 ? out->dims[0] / batch : 0;
  return (verify_axes){ 4, { batch, length, heads, dim }, { 0, 2, 1, 3 }, "b,h,i,d" };
}

void verify_axes_locate(const verify_axes *axes, uint64_t index, int64_t out_place[QN_RANK_MAX]) {
  int64_t at[QN_RANK_MAX];
  for (int32_t d = axes->rank - 1; d >= 0; d--) {
    at[d] = (int64_t)(index % (uint64_t)axes->dims[d]);
    index /= (uint64_t)axes->dims[d];
  }
  for (int32_t d = 0; d < axes->rank; d++) out_place[d] = at[axes->order[d]];
}

// --- differences -----------------------------------------------------------------------------------------

static void print_place(const verify_axes *axes, uint64_t index) {
  int64_t place[QN_RANK_MAX];
  verify_axes_locate(axes, index, place);
  putchar('[');
  for (int32_t d = 0; d < axes->rank; d++) printf("%s%" PRId64, d ? ", " : "", place[d]);
  putchar(']');
}

// The code in as many hexadecimal digits as it has; an f64 has only its value.
static void print_element(const qn_tensor *tensor, uint64_t index, bool json) {
  double value = 0;
  uint64_t bits = 0;
  int digits = (int)(qn_dtype_bits(tensor->dtype) + 3) / 4;
  qn_tensor_get_element(tensor, index, &value, &bits);
  if (json) // a number, but where JSON has none
    printf(value - value == 0 ? "%.17g, \"0x%0*" PRIx64 "\"" : "\"%g\", \"0x%0*" PRIx64 "\"", value, digits,
           bits);
  else if (tensor->dtype == QN_F64)
    printf("%.9g", value);
  else
    printf("%.9g (0x%0*" PRIx64 ")", value, digits, bits);
}

static void print_differences(const verify_report *report, const verify_difference *difference) {
  bool json = report->t->options.json;
  uint64_t shown = difference->count < VERIFY_SHOWN ? difference->count : VERIFY_SHOWN;
  if (json) printf(", \"differences\": [");
  for (uint64_t i = 0; i < shown; i++) {
    uint64_t index = difference->first[i];
    if (json) {
      printf("%s{\"at\": ", i ? ", " : "");
      print_place(&difference->axes, index);
      printf(", \"found\": ["), print_element(difference->found, index, true);
      printf("], \"expected\": ["), print_element(difference->expected, index, true);
      printf("]%s", difference->bounds ? ", \"bound\": " : "}");
      if (difference->bounds) printf("%.9g}", difference->bounds[index]);
    } else {
      printf("       at %s%s", difference->axes.names ? difference->axes.names : "",
             difference->axes.names ? " = " : "");
      print_place(&difference->axes, index);
      printf(": "), print_element(difference->found, index, false);
      printf(", expected "), print_element(difference->expected, index, false);
      if (difference->bounds) printf(" within %.3g", difference->bounds[index]);
      putchar('\n');
    }
  }
  if (json)
    putchar(']');
  else if (difference->count > shown)
    printf("       and %" PRIu64 " more\n", difference->count - shown);
}

static const char *const kind_names[] = { [VERIFY_RECOVERED] = "recovered",
                                          [VERIFY_FUSED] = "fused",
                                          [VERIFY_DEVICE] = "device",
                                          [VERIFY_EXPECTED] = "expected" };

// --- verdicts --------------------------------------------------------------------------------------------

void verify_print_heading(const verify_report *report, const char *text) {
  if (!report->t->options.json) printf("%s\n", text);
}

void verify_print_verdict(verify_report *report, verify_kind kind, const char *what, qn_str name, bool good,
                          const char *words, const char *json, const verify_difference *difference) {
  bool differs = difference && difference->count > 0;
  report->compared[kind]++;
  report->failed[kind] += !good;
  if (!report->t->options.json) {
    printf("  %-4s %s %.*s: %s\n", good ? "good" : "BAD", what, (int)name.length, name.text, words);
    if (differs) print_differences(report, difference);
    return;
  }
  printf("{\"comparison\": \"%s\", \"what\": \"%s\", \"name\": ", kind_names[kind], what);
  tool_write_json(stdout, name.text, name.length);
  printf(", \"good\": %s%s", good ? "true" : "false", json);
  if (differs) print_differences(report, difference);
  printf("}\n");
}

void verify_print_skipped(const verify_report *report, verify_kind kind, qn_str name, const char *words) {
  if (report->t->options.json) {
    printf("{\"comparison\": \"%s\", \"name\": ", kind_names[kind]);
    tool_write_json(stdout, name.text, name.length);
    printf(", \"skipped\": ");
    tool_write_json_text(stdout, words);
    printf("}\n");
  } else {
    printf("  skipped%s%.*s: %s\n", name.length ? " " : "", (int)name.length, name.text, words);
  }
}

void verify_difference_add(verify_difference *difference, uint64_t index) {
  if (difference->count < VERIFY_SHOWN) difference->first[difference->count] = index;
  difference->count++;
}

bool verify_compare_bytes(verify_report *report, verify_kind kind, const char *what, qn_str name,
                          const qn_tensor *found, const qn_tensor *expected, const verify_axes *axes) {
  qn_difference difference;
  verify_difference shown = { .found = found, .expected = expected, .axes = *axes };
  double value;
  uint64_t a, b;
  if (qn_tensor_compare(report->t->context, found, expected, &difference) != QN_OK)
    return tool_fail(report->t), false;
  bool same = difference.different == 0 && found->dtype == expected->dtype;
  for (uint64_t i = difference.first; i < difference.count && shown.count < difference.different; i++) {
    if (!qn_tensor_get_element(found, i, &value, &a) || !qn_tensor_get_element(expected, i, &value, &b)) break;
    if (a != b) verify_difference_add(&shown, i);
  }
  char words[128], json[160];
  snprintf(json, sizeof json, ", \"count\": %" PRIu64 ", \"different\": %" PRIu64 ", \"max\": %.9g",
           difference.count, difference.different, difference.max_abs);
  if (found->dtype != expected->dtype)
    snprintf(words, sizeof words, "%s, expected %s", qn_dtype_name(found->dtype),
             qn_dtype_name(expected->dtype));
  else if (same)
    snprintf(words, sizeof words, "%" PRIu64 " of %" PRIu64 " the same", difference.count, difference.count);
  else
    snprintf(words, sizeof words, "%" PRIu64 " of %" PRIu64 " differ, by up to %.3g", difference.different,
             difference.count, difference.max_abs);
  verify_print_verdict(report, kind, what, name, same, words, json,
                       found->dtype == expected->dtype ? &shown : NULL);
  return true;
}

// Float codes of one sign follow each other as integers do; those of the two zeros are neighbours too.
static bool is_next(qn_dtype dtype, uint64_t a, uint64_t b) {
  uint64_t sign = UINT64_C(1) << (qn_dtype_bits(dtype) - 1);
  int64_t x = (int64_t)a, y = (int64_t)b;
  if (qn_dtype_is_float(dtype))
    x = a & sign ? -(int64_t)(a ^ sign) : x, y = b & sign ? -(int64_t)(b ^ sign) : y;
  else if (dtype != QN_U8)
    x = (x ^ (int64_t)sign) - (int64_t)sign, y = (y ^ (int64_t)sign) - (int64_t)sign;
  return x - y <= 1 && y - x <= 1;
}

void verify_compare_neighbours(verify_report *report, verify_kind kind, qn_str name, const qn_tensor *found,
                               const qn_tensor *expected, const verify_axes *axes) {
  verify_difference shown = { .found = found, .expected = expected, .axes = *axes };
  uint64_t count = 0, same = 0, a, b;
  double value;
  for (; qn_tensor_get_element(found, count, &value, &a); count++) {
    bool both = qn_tensor_get_element(expected, count, &value, &b);
    same += both && a == b;
    if (!both || !is_next(found->dtype, a, b)) verify_difference_add(&shown, count);
  }
  char words[160], json[160];
  snprintf(words, sizeof words, "%" PRIu64 " of %" PRIu64 " the same, %" PRIu64 " next to it", same, count,
           count - same - shown.count);
  snprintf(json, sizeof json, ", \"count\": %" PRIu64 ", \"different\": %" PRIu64 ", \"next\": %" PRIu64, count,
           count - same, count - same - shown.count);
  verify_print_verdict(report, kind, "codes", name, shown.count == 0, words, json, &shown);
}
