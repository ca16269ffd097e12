// A node that is evaluated outside of the executor: what it is given, what it may give, what it is held to.
#include "reference_test.h"

typedef struct {
  qn_tensor shape;    // of what is given
  bool decline, fail; // after the result was asked for
  uint32_t result;
  int asked, given;
  uint64_t operand_bytes[4];
  int64_t last[4]; // the last byte of each operand
} outside;

static qn_status take_over(void *user, qn_reference_call *call, qn_node node, const qn_tensor *const *operands,
                           uint32_t operand_count, bool *out_done) {
  outside *o = user;
  void *data;
  o->asked++;
  (void)node;
  for (uint32_t i = 0; i < operand_count && i < 4; i++) {
    o->operand_bytes[i] = operands[i] ? operands[i]->bytes : 0;
    o->last[i] = operands[i] ? ((const uint8_t *)operands[i]->data)[operands[i]->bytes - 1] : -1;
  }
  if (operand_count != 2 || !operands[1]) return QN_OK; // another node than the test's
  QN_TRY(qn_reference_call_new_result(call, o->result, &o->shape, &data));
  o->given++;
  memset(data, 0x40, qn_dtype_bytes(o->shape.dtype, 3));
  if (o->fail) return QN_IO;
  *out_done = !o->decline;
  return QN_OK;
}

static outcome run(const char *text, outside *o) {
  outcome out = { 0 };
  cr_assert_eq(qn_context_create(NULL, &out.context), QN_OK);
  cr_assert_eq(qn_graph_read_text(out.context, "test", text, strlen(text), &out.graph), QN_OK, "%s",
               qn_context_get_error(out.context)->message);
  out.status = qn_reference_run(out.graph, qn_reference_params(.execute = take_over, .user = o), &out.results);
  return out;
}

static const char text[] = "graph () {\n  a: f32[3] = const[value={1, 2, 3}]\n  b: f32[3] = add(a, a)\n"
                           "  c: f32[3] = neg(b)\n  return c, b\n}\n";
#define THREE { .dtype = QN_F32, .rank = 1, .dims = { 3 } }

Test(execute, a_node_is_taken_over) {
  outside o = { .shape = THREE };
  outcome out = run(text, &o);
  cr_assert_eq(out.status, QN_OK);
  cr_assert_eq(o.asked, 2, "for add and neg, not for the constant");
  cr_assert_eq(o.given, 1);
  cr_assert_eq(((const float *)qn_results_get(out.results, 1)->data)[2], 0x1.808080p+1f);
  cr_assert_eq(((const float *)qn_results_get(out.results, 0)->data)[2], -0x1.808080p+1f, "neg saw it");
  end(&out);
}

Test(execute, what_is_declined_is_evaluated_here) {
  outside o = { .shape = THREE, .decline = true };
  outcome out = run(text, &o);
  cr_assert_eq(out.status, QN_OK);
  cr_assert_eq(o.given, 1);
  cr_assert_eq(((const float *)qn_results_get(out.results, 1)->data)[2], 6.0f);
  end(&out);
}

Test(execute, operands_of_four_bits_come_packed) {
  outside o = { .shape = { .dtype = QN_S8, .rank = 1, .dims = { 3 } }, .decline = true };
  outcome out =
      run("graph () {\n  a: s4[3] = const[value={1, -2, 3}]\n  b: s4[6] = concat(a, a)\n  return b\n}\n", &o);
  cr_assert_eq(out.status, QN_OK);
  cr_assert_eq(o.operand_bytes[0], 2);
  cr_assert_eq(o.last[0], 3);
  end(&out);
}

// 0x40: the codes 0 and 4, and 0 alone.
Test(execute, a_result_of_four_bits_is_given_packed) {
  outside o = { .shape = { .dtype = QN_S4, .rank = 1, .dims = { 3 } } };
  outcome out = run("graph () {\n  a: s4[3] = const[value={1, -2, 3}]\n  b: s4[3] = add(a, a)\n"
                    "  c: s32[3] = cast(b)[to=s32]\n  return c, b\n}\n",
                    &o);
  cr_assert_eq(out.status, QN_OK, "%s", qn_context_get_error(out.context)->message);
  static const int32_t seen[] = { 0, 4, 0 };
  cr_assert_arr_eq(qn_results_get(out.results, 0)->data, seen, sizeof seen);
  cr_assert_eq(qn_results_get(out.results, 1)->bytes, 2);
  cr_assert_eq(((const uint8_t *)qn_results_get(out.results, 1)->data)[0], 0x40);
  end(&out);
}

static void check_refusal(outside o, qn_status status, const char *words) {
  outcome out = run(text, &o);
  const qn_error *error = qn_context_get_error(out.context);
  cr_assert_eq(out.status, status, "%s: %s", qn_status_name(out.status), error->message);
  cr_assert(strstr(error->message, words), "the message is '%s'", error->message);
  end(&out);
}

Test(execute, results_are_held_to_what_the_graph_declares) {
  check_refusal((outside){ .shape = { .dtype = QN_S32, .rank = 1, .dims = { 3 } } }, QN_INVALID,
                "declared f32, found s32");
  check_refusal((outside){ .shape = { .dtype = QN_F32, .rank = 1, .dims = { 4 } } }, QN_INVALID,
                "declared as 3 here, found 4");
  check_refusal((outside){ .shape = { .dtype = QN_F32, .rank = 2, .dims = { 3, 1 } } }, QN_INVALID, "rank");
  check_refusal((outside){ .shape = { .dtype = QN_F32, .rank = 1, .dims = { -3 } } }, QN_INVALID, "-3");
  check_refusal((outside){ .shape = { .dtype = QN_S4, .rank = 1, .dims = { 3 } } }, QN_INVALID,
                "declared f32, found s4");
  check_refusal((outside){ .shape = { .dtype = QN_STRING, .rank = 1, .dims = { 3 } } }, QN_UNSUPPORTED,
                "string");
  check_refusal((outside){ .shape = THREE, .result = 1 }, QN_INVALID, "result 1 of 1");
  check_refusal((outside){ .shape = THREE, .fail = true }, QN_IO, "");
}
