// What cannot be said exactly stays as it is, with a remark: wrong counts, types, numbers and shapes, arguments
// that are no constants, results that are used, quantizers without a scheme.
#include "torch_test.h"

static void refuse(const char *inputs, const char *nodes, const char *outputs, const char *reason) {
  char text[TORCH_TEXT_MAX];
  torch_text(text, inputs, nodes, outputs);
  run r = run_passes("read-torch", text, (qn_pipeline_params){ 0 });
  cr_expect_str_eq(r.text.text, text, "expected:\n%s\nfound:\n%s", text, r.text.text);
  qn_remark remark = { .found = "no remark" };
  if (qn_pipeline_get_remark_count(r.pipeline) > 0) qn_pipeline_get_remark(r.pipeline, 0, &remark);
  cr_expect_str_eq(remark.found, reason);
  if (qn_pipeline_get_remark_count(r.pipeline) > 0) {
    cr_expect_str_eq(remark.code, "unread");
    cr_expect_str_eq(remark.stage, "import");
    cr_expect_str_eq(remark.op, "extern");
  }
  end_run(&r);
}

#define REFUSES(name, inputs, nodes, outputs, reason)                                                          \
  Test(refuses, name) {                                                                                        \
    refuse(inputs, nodes, outputs, reason);                                                                    \
  }

// --- arguments ---------------------------------------------------------------------------------------------

REFUSES(too_many_arguments, "x: f32[2]", "  y: f32[2] = extern(x, x)[name=\"aten.neg.default\"]\n", "y",
        "2 arguments, and the operation takes 1")
REFUSES(missing_argument, "x: f32[2]", "  y: f32[2] = extern(x)[name=\"aten.view.default\"]\n", "y",
        "the argument size is missing")
REFUSES(absent_argument, "x: f32[2]", "  y: f32[2] = extern(_, x)[name=\"aten.mul.Tensor\"]\n", "y",
        "the argument self is missing")
REFUSES(no_arguments, "x: f32[2]", "  y: f32[2] = extern[name=\"aten.mul.Tensor\"]\n", "y",
        "the argument self is missing")
REFUSES(number_that_is_computed, "x: f32[2,3], d: s64[]",
        "  y: f32[3,2] = extern(x, d, d)[name=\"aten.transpose.int\"]\n", "y",
        "the argument dim0 is no constant of one element")
REFUSES(number_of_another_type, "x: f32[2,3]",
        "  d: f64[] = const[value={1}]\n  y: f32[3,2] = extern(x, d, d)[name=\"aten.transpose.int\"]\n", "y",
        "the argument dim0 is a f64")
REFUSES(bool_that_is_none, "x: f32[2,3]",
        "  l: s64[1] = const[value={1}]\n  k: s64[] = const[value={1}]\n  y: f32[2,1] = extern(x, l, "
        "k)[name=\"aten.amax.default\"]\n",
        "y", "the argument keepdim is a s64")
REFUSES(list_that_is_none, "x: f32[2,3], s: f32[2]",
        "  y: f32[3,2] = extern(x, s)[name=\"aten.view.default\"]\n", "y",
        "the argument size is no list of integers")
REFUSES(list_that_is_computed, "x: f32[2,3], s: s64[2]",
        "  y: f32[3,2] = extern(x, s)[name=\"aten.permute.default\"]\n", "y", "dims are no constants")
REFUSES(elided_constant, "x: f32[2,3]",
        "  d: s64[] = const[value={#0123456789abcdef}]\n  y: f32[2,3] = extern(x, d)[name=\"aten.to.dtype\"]\n",
        "y", "the argument dtype is no constant of one element")
REFUSES(complex_type, "x: f32[2]",
        "  d: s64[] = const[value={9}]\n  y: ? = extern(x, d)[name=\"aten.to.dtype\"]\n", "y",
        "the argument dtype is ScalarType 9, which is no type of Quench")
REFUSES(negative_type, "x: f32[2]",
        "  d: s64[] = const[value={-1}]\n  y: ? = extern(x, d)[name=\"aten.to.dtype\"]\n", "y",
        "the argument dtype is ScalarType -1, which is no type of Quench")
REFUSES(axis_out_of_range, "x: f32[2,3]",
        "  d: s64[] = const[value={2}]\n  y: f32[3,2] = extern(x, d, d)[name=\"aten.transpose.int\"]\n", "y",
        "dim 2 of a tensor of rank 2")
REFUSES(unknown_rank, "x: f32[...]",
        "  d: s64[] = const[value={0}]\n  y: f32[...] = extern(x, d, d)[name=\"aten.transpose.int\"]\n", "y",
        "the rank is not known")

// --- types and shapes --------------------------------------------------------------------------------------

REFUSES(impossible_view, "x: f32[2,3]",
        "  s: s64[1] = const[value={7}]\n  y: f32[7] = extern(x, s)[name=\"aten.view.default\"]\n", "y",
        "operand 'x' is f32[2,3], operand 's' is s64[1]: 6 elements cannot become 7")
REFUSES(declared_type, "x: f32[2,3]", "  y: f16[2,3] = extern(x)[name=\"aten.neg.default\"]\n", "y",
        "declares a result of type f16, and it is f32")
REFUSES(declared_rank, "x: f32[2,3]", "  y: f32[6] = extern(x)[name=\"aten.neg.default\"]\n", "y",
        "declares a result of rank 1, and it has 2")
REFUSES(declared_dim, "x: f32[2,3]", "  y: f32[2,4] = extern(x)[name=\"aten.neg.default\"]\n", "y",
        "declares 4 elements in dim 1 of a result, and there are 3")
REFUSES(fp8_does_not_promote, "x: e4m3[2], z: bf16[2]",
        "  y: bf16[2] = extern(x, z)[name=\"aten.mul.Tensor\"]\n", "y", "element types without promotion")
REFUSES(unknown_type, "x: ?, z: bf16[2]", "  y: ? = extern(x, z)[name=\"aten.mul.Tensor\"]\n", "y",
        "element types without promotion")
REFUSES(alpha, "x: f32[2]",
        "  a: s64[] = const[value={2}]\n  y: f32[2] = extern(x, x, a)[name=\"aten.add.Tensor\"]\n", "y",
        "alpha is 2")
REFUSES(second_result, "q: f32[1,2,4,8]",
        "  y: f32[1,2,4,8], l: f32[1,2,4] = extern(q, q, q)[name=\"aten._scaled_dot_product_flash_attention."
        "default\"]\n",
        "y, l", "result 1 is used")

// --- attention ---------------------------------------------------------------------------------------------

#define SDPA "aten.scaled_dot_product_attention.default"
REFUSES(dropout, "q: f32[1,2,4,8]",
        "  d: f64[] = const[value={0.5}]\n  y: f32[1,2,4,8] = extern(q, q, q, _, d)[name=\"" SDPA "\"]\n", "y",
        "dropout")
REFUSES(attention_of_rank_3, "q: f32[2,4,8]", "  y: f32[2,4,8] = extern(q, q, q)[name=\"" SDPA "\"]\n", "y",
        "query, key and value are not all of rank 4")
REFUSES(mask_and_causal, "q: f32[1,2,4,8], m: bool[4,4]",
        "  c: bool[] = const[value={1}]\n  y: f32[1,2,4,8] = extern(q, q, q, m, _, c)[name=\"" SDPA "\"]\n",
        "y", "is_causal together with a mask")
REFUSES(mask_broadcast_along_keys, "q: f32[1,2,4,8], m: bool[4,1]",
        "  y: f32[1,2,4,8] = extern(q, q, q, m)[name=\"" SDPA "\"]\n", "y",
        "a mask that is broadcast along the keys")
REFUSES(vllm_attention_without_lengths, "q: bf16[T,4,16], o: bf16[T,4,16]",
        "  y: bf16[T,4,16] = extern(q, q, q, o)[name=\"vllm.unified_attention_with_output.default\", "
        "raw=\"layer_name=attn\"]\n",
        "y",
        "the graph does not say where sequences begin, nor the factor of the scores: give cu_seqlens_q, "
        "cu_seqlens_kv and scale")
REFUSES(vllm_attention_fused_already, "q: bf16[T,4,16], s: f32[1]",
        "  y: e4m3[T,4,16] = extern(q, q, q, _, _, s)[name=\"vllm.unified_attention_with_output.default\"]\n",
        "y", "its output is quantized already")

// --- quantizers --------------------------------------------------------------------------------------------

#define BOUNDS "  lo: s64[] = const[value={-128}]\n  hi: s64[] = const[value={127}]\n"
REFUSES(
    codes_beyond_the_type, "x: f32[2,4]",
    "  s: f64[] = const[value={0.5}]\n  z: s64[] = const[value={0}]\n  hi: s64[] = const[value={255}]\n  d: "
    "s64[] = const[value={1}]\n"
    "  y: s8[2,4] = extern(x, s, z, z, hi, d)[name=\"quantized_decomposed.quantize_per_tensor.default\"]\n",
    "y", "codes from 0 to 255 in s8")
REFUSES(
    zero_point_beyond_the_type, "x: f32[2,4]",
    "  s: f64[] = const[value={0.5}]\n  z: s64[] = const[value={200}]\n" BOUNDS
    "  d: s64[] = const[value={1}]\n"
    "  y: s8[2,4] = extern(x, s, z, lo, hi, d)[name=\"quantized_decomposed.quantize_per_tensor.default\"]\n",
    "y", "codes from 200 to 200 in s8")
REFUSES(
    scale_of_zero, "x: f32[2,4]",
    "  s: f64[] = const[value={0}]\n  z: s64[] = const[value={0}]\n" BOUNDS "  d: s64[] = const[value={1}]\n"
    "  y: s8[2,4] = extern(x, s, z, lo, hi, d)[name=\"quantized_decomposed.quantize_per_tensor.default\"]\n",
    "y", "a scale of 0")
REFUSES(
    fp8_codes_that_are_integers, "x: f32[2,4]",
    "  s: f64[] = const[value={0.5}]\n  z: s64[] = const[value={0}]\n" BOUNDS "  d: s64[] = const[value={24}]\n"
    "  y: e4m3[2,4] = extern(x, s, z, lo, hi, d)[name=\"quantized_decomposed.quantize_per_tensor.default\"]\n",
    "y", "codes of type e4m3, which are rounded to integers first")
REFUSES(scale_in_f64, "x: f32[2,4], s: f64[4], z: s64[4]",
        "  a: s64[] = const[value={1}]\n" BOUNDS "  y: s8[2,4] = extern(x, s, z, a, lo, hi, "
        "a)[name=\"quantized_decomposed.quantize_per_channel.default\"]\n",
        "y", "a scale of type f64")
REFUSES(token_scale_that_is_given, "x: f32[2,4], s: f32[2,1], z: s32[2,1]",
        "  d: s64[] = const[value={1}]\n" BOUNDS
        "  y: s8[2,4] = extern(x, s, z, lo, hi, d)[name=\"quantized_decomposed.quantize_per_token.default\"]\n",
        "y", "no scheme has a scale for each token that is known before the run")
REFUSES(zero_points_from_the_end_that_errs_less, "x: f32[2,4]",
        "  d: s64[] = const[value={1}]\n" BOUNDS "  s: f64[2,1], z: s64[2,1] = extern(x, "
        "d)[name=\"quantized_decomposed.choose_qparams_per_token_asymmetric.default\"]\n"
        "  y: s8[2,4] = extern(x, s, z, lo, hi, d)[name=\"quantized_decomposed.quantize_per_token.default\"]\n",
        "y",
        "no scheme for the zero points of quantized_decomposed.choose_qparams_per_token_asymmetric.default")
REFUSES(scale_of_another_tensor, "x: f32[2,4], w: f32[2,4]",
        "  b: s64[2] = const[value={1, 4}]\n  d: s64[] = const[value={1}]\n"
        "  s: f32[2,1], z: s32[2,1] = extern(w, _, b, d)[name=\"torchao.choose_qparams_affine.default\", "
        "raw=\"mapping_type=SYMMETRIC\"]\n"
        "  y: s8[2,4] = extern(x, b, s, z, d)[name=\"torchao.quantize_affine.default\"]\n",
        "y", "the scale is chosen from another tensor")
REFUSES(mapping_type, "x: f32[2,4]",
        "  b: s64[2] = const[value={1, 4}]\n  d: s64[] = const[value={1}]\n"
        "  s: f32[2,1], z: s32[2,1] = extern(x, _, b, d)[name=\"torchao.choose_qparams_affine.default\", "
        "raw=\"mapping_type=SYMMETRIC_NO_CLIPPING_ERR\"]\n"
        "  y: s8[2,4] = extern(x, b, s, z, d)[name=\"torchao.quantize_affine.default\"]\n",
        "y", "mapping_type is 'SYMMETRIC_NO_CLIPPING_ERR'")
REFUSES(blocks_in_two_dims, "x: f32[4,4], s: f32[2,2]",
        "  b: s64[2] = const[value={2, 2}]\n  d: s64[] = const[value={1}]\n"
        "  y: s8[4,4] = extern(x, b, s, _, d)[name=\"torchao.quantize_affine.default\"]\n",
        "y", "blocks in more than one dim share a scale")
REFUSES(
    chooser_alone, "x: f32[2,4]",
    "  d: s64[] = const[value={1}]\n" BOUNDS "  e: f64[] = const[value={0.5}]\n"
    "  s: f64[1], z: s64[1] = extern(x, lo, hi, e, d)[name=\"quantized_decomposed.choose_qparams.tensor\"]\n",
    "s", "no quantizer that is read takes its scale")
REFUSES(
    eps_without_a_floor, "x: f32[2,4]",
    "  d: s64[] = const[value={1}]\n" BOUNDS "  e: f64[] = const[value={0.5}]\n"
    "  s: f64[1], z: s64[1] = extern(x, lo, hi, e, d)[name=\"quantized_decomposed.choose_qparams.tensor\"]\n"
    "  y: s8[2,4] = extern(x, s, z, lo, hi, d)[name=\"quantized_decomposed.quantize_per_tensor.tensor\"]\n",
    "y", "no scheme has 0.5 as the smallest scale")
REFUSES(vllm_codes_of_fnuz, "x: bf16[2,4], s: f32[1]",
        "  y: e4m3fnuz[2,4] = extern(_, x, s)[name=\"_C.static_scaled_fp8_quant.default\"]\n", "y",
        "codes of type e4m3fnuz")
REFUSES(vllm_token_scale_that_is_given, "x: bf16[4,4], s: f32[4]",
        "  g: s64[2] = const[value={1, -1}]\n"
        "  y: e4m3[4,4] = extern(_, x, s, g)[name=\"_C.static_scaled_fp8_quant.default\"]\n",
        "y", "a scale for each token, or for each block")
REFUSES(vllm_nvfp4_of_half_a_block, "x: bf16[4,24], g: f32[1]",
        "  t: bool[] = const[value={1}]\n"
        "  y: u8[4,12], s: s32[128,1] = extern(x, g, t)[name=\"_C.scaled_fp4_quant.out\"]\n",
        "y", "rows that are no whole number of blocks of 16")
REFUSES(vllm_ir_padding, "x: bf16[4,4], s: f32[]",
        "  d: s64[] = const[value={24}]\n  n: s64[] = const[value={16}]\n"
        "  y: e4m3[16,4] = extern(x, s, d, n)[name=\"vllm_ir.static_quant_fp8.default\"]\n",
        "y", "tokens that are added")

// Fuel ends between two operations.
Test(refuses, without_fuel) {
  run r =
      run_passes("read-torch",
                 "graph \"g\" (x: f32[2]) {\n  y: f32[2] = extern(x)[name=\"aten.neg.default\"]\n  z: f32[2] = "
                 "extern(y)[name=\"aten.abs.default\"]\n  return z\n}\n",
                 (qn_pipeline_params){ .fuel = 1 });
  cr_expect_str_eq(r.text.text, "graph \"g\" (x: f32[2]) {\n  y: f32[2] = neg(x)\n  z: f32[2] = "
                                "extern(y)[name=\"aten.abs.default\"]\n  return z\n}\n");
  end_run(&r);
}

// An operation that has no row is nobody's business here.
Test(refuses, unknown_operation_without_a_remark) {
  run r =
      run_passes("read-torch",
                 "graph \"g\" (x: f32[2]) {\n  y: f32[2] = extern(x)[name=\"aten.erfinv.default\"]\n  return "
                 "y\n}\n",
                 (qn_pipeline_params){ 0 });
  cr_expect_eq(qn_pipeline_get_remark_count(r.pipeline), 0);
  end_run(&r);
}
