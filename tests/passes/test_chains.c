// What producers put between attention and quantize, and behind it: each form fuses, whatever its layout chain.
#include "passes_test.h"

TestSuite(chains, .timeout = 20);

// All attentions and quantizes fuse, and the text that is left holds `wanted`, and not `unwanted`.
static void expect_fused(const char *source, const char *wanted, const char *unwanted) {
  run r = run_passes(NULL, source, (qn_pipeline_params){ 0 });
  for (uint32_t i = 0; i < qn_pipeline_get_remark_count(r.pipeline); i++) {
    qn_remark remark;
    cr_assert_eq(qn_pipeline_get_remark(r.pipeline, i, &remark), QN_OK);
    cr_expect(remark.fused, "%s %s: %s at %s, expected %s, found %s; %s", remark.op, remark.node.text,
              remark.code, remark.at, remark.expected, remark.found, remark.closest);
  }
  cr_expect_eq(qn_pipeline_get_remark_count(r.pipeline), 2);
  cr_expect(strstr(r.text.text, wanted), "no %s in\n%s", wanted, r.text.text);
  cr_expect(!unwanted || !strstr(r.text.text, unwanted), "%s in\n%s", unwanted, r.text.text);
  end_run(&r);
}

#define INPUTS      "graph \"g\" (q: f16[B,8,T,64], k: f16[B,2,T,64], v: f16[B,2,T,64], s: f32[], w: f32[512]) {\n"
#define FIXED       "graph \"g\" (q: f16[2,8,9,64], k: f16[2,2,9,64], v: f16[2,2,9,64], s: f32[]) {\n"
#define O           "  o: f16[B,8,T,64] = attention(q, k, v)\n"
#define T           "  t: f16[B,T,8,64] = transpose(o)[perm={0, 2, 1, 3}]\n"
#define SHAPE(text) "  shape: s64[3] = const[value={" text "}]\n"
#define R           "  r: f16[B,T,512] = reshape(t, shape)\n"
#define Q(dims, x)  "  y: e4m3" dims " = quantize(" x ", s)[scheme=fp8_static]\n  return y\n}\n"
#define CHAIN(name, text, wanted, unwanted)                                                                    \
  Test(chains, name) {                                                                                         \
    expect_fused(text, wanted, unwanted);                                                                      \
  }

// --- in front of quantize ----------------------------------------------------------------------------------

CHAIN(reshape_that_infers_the_width, INPUTS O T SHAPE("0, 0, -1") R Q("[B,T,512]", "r"), "out_layout=bsm",
      "reshape")
CHAIN(reshape_that_copies_two_dims, INPUTS O T SHAPE("0, 0, 512") R Q("[B,T,512]", "r"), "out_layout=bsm",
      "reshape")
CHAIN(reshape_to_known_dims,
      FIXED
      "  o: f16[2,8,9,64] = attention(q, k, v)\n  t: f16[2,9,8,64] = transpose(o)[perm={0, 2, 1, 3}]\n" SHAPE(
          "2, 9, 512") "  r: f16[2,9,512] = reshape(t, shape)\n" Q("[2,9,512]", "r"),
      "out_layout=bsm", "reshape")
CHAIN(reshape_to_a_computed_shape,
      INPUTS O T "  dims: s64[4] = shape(q)\n"
                 "  zero: s64[1] = const[value={0}]\n"
                 "  two: s64[1] = const[value={2}]\n"
                 "  width: s64[1] = const[value={-1}]\n"
                 "  b: s64[1] = gather(dims, zero)\n"
                 "  n: s64[1] = gather(dims, two)\n"
                 "  shape: s64[3] = concat(b, n, width)\n" R Q("[B,T,512]", "r"),
      "out_layout=bsm", "reshape(")
CHAIN(contiguous_copies,
      INPUTS O T "  i: f16[B,T,8,64] = identity(t)\n" SHAPE("0, 0, -1") //
      "  r: f16[B,T,512] = reshape(i, shape)\n" Q("[B,T,512]", "r"),
      "out_layout=bsm", "identity")
CHAIN(flatten_of_a_reshape,
      INPUTS O T SHAPE("0, 0, -1") R "  f: f16[B*T,512] = flatten(r)[axis=2]\n" Q("[B*T,512]", "f"),
      "out_layout=tm", "flatten")
CHAIN(a_second_reshape_to_tokens,
      INPUTS O T SHAPE("0, 0, -1") R "  two: s64[2] = const[value={-1, 512}]\n"
                                     "  z: f16[B*T,512] = reshape(r, two)\n" Q("[B*T,512]", "z"),
      "out_layout=tm", "reshape(")
CHAIN(a_transpose_alone, INPUTS O T Q("[B,T,8,64]", "t"), "out_layout=bshd", "transpose")
CHAIN(no_layout_at_all, INPUTS O Q("[B,8,T,64]", "o"), "output=fp8_static", "quantize")
CHAIN(tokens_and_heads,
      "graph \"g\" (q: f16[T,8,64], k: f16[U,2,64], v: f16[U,2,64], n: s32[4], s: f32[]) {\n"
      "  o: f16[T,8,64] = attention(q, k, v, _, _, _, _, _, _, _, n, n)[q_layout=thd, k_layout=thd, "
      "v_layout=thd, "
      "out_layout=thd]\n  two: s64[2] = const[value={-1, 512}]\n  r: f16[T,512] = reshape(o, two)\n" Q(
          "[T,512]", "r"),
      "out_layout=tm", "reshape(")
CHAIN(a_cast_before_the_transpose,
      INPUTS O
      "  c: f32[B,8,T,64] = cast(o)[to=f32]\n  t: f32[B,T,8,64] = transpose(c)[perm={0, 2, 1, 3}]\n" SHAPE(
          "0, 0, -1") "  r: f32[B,T,512] = reshape(t, shape)\n" Q("[B,T,512]", "r"),
      "out_layout=bsm", "cast")
CHAIN(a_cast_before_the_reshape,
      INPUTS O T "  c: f32[B,T,8,64] = cast(t)[to=f32]\n" SHAPE("0, 0, -1") //
      "  r: f32[B,T,512] = reshape(c, shape)\n" Q("[B,T,512]", "r"),
      "out_layout=bsm", "cast")
CHAIN(a_cast_before_quantize,
      INPUTS O T SHAPE("0, 0, -1") R "  c: f32[B,T,512] = cast(r)[to=f32]\n" Q("[B,T,512]", "c"),
      "out_layout=bsm", "cast")
// Grouped queries that kept their groups apart: [B, kv_heads, groups, T, D].
CHAIN(groups_apart,
      INPUTS O "  five: s64[5] = const[value={0, 2, 4, -1, 64}]\n"
               "  g: f16[B,2,4,T,64] = reshape(o, five)\n"
               "  t: f16[B,T,2,4,64] = transpose(g)[perm={0, 3, 1, 2, 4}]\n" SHAPE("0, 0, -1")
                   R Q("[B,T,512]", "r"),
      "out_layout=bsm", "transpose")
// Heads that went into the batch and come back.
CHAIN(heads_in_the_batch,
      FIXED "  o: f16[2,8,9,64] = attention(q, k, v)\n"
            "  three: s64[3] = const[value={16, 9, 64}]\n"
            "  m: f16[16,9,64] = reshape(o, three)\n"
            "  four: s64[4] = const[value={2, 8, 9, 64}]\n"
            "  n: f16[2,8,9,64] = reshape(m, four)\n"
            "  t: f16[2,9,8,64] = transpose(n)[perm={0, 2, 1, 3}]\n" SHAPE("2, 9, 512") //
      "  r: f16[2,9,512] = reshape(t, shape)\n" Q("[2,9,512]", "r"),
      "out_layout=bsm", "transpose")

// Attention in parts whose heads are part of the batch all the way: views to three dims around each product.
CHAIN(batched_products,
      "graph \"g\" (x: f16[2,9,512], s: f32[], mask: f16[2,1,9,9]) {\n"
      "  c: f16[] = const[value={0.125}]\n"
      "  heads: s64[4] = const[value={2, 9, 8, 64}]\n"
      "  three: s64[3] = const[value={16, -1, 64}]\n"
      "  xq: f16[2,9,512] = mul(x, c)\n"
      "  q4: f16[2,9,8,64] = reshape(xq, heads)\n"
      "  qt: f16[2,8,9,64] = transpose(q4)[perm={0, 2, 1, 3}]\n"
      "  q: f16[16,9,64] = reshape(qt, three)\n"
      "  k4: f16[2,9,8,64] = reshape(x, heads)\n"
      "  kt: f16[2,8,9,64] = transpose(k4)[perm={0, 2, 1, 3}]\n"
      "  k3: f16[16,9,64] = reshape(kt, three)\n"
      "  k: f16[16,64,9] = transpose(k3)[perm={0, 2, 1}]\n"
      "  v4: f16[2,9,8,64] = reshape(x, heads)\n"
      "  vt: f16[2,8,9,64] = transpose(v4)[perm={0, 2, 1, 3}]\n"
      "  v: f16[16,9,64] = reshape(vt, three)\n"
      "  w: f16[16,9,9] = matmul(q, k)\n"
      "  scores: s64[4] = const[value={2, 8, 9, 9}]\n"
      "  batch: s64[3] = const[value={16, 9, 9}]\n"
      "  w4: f16[2,8,9,9] = reshape(w, scores)\n"
      "  wm: f16[2,8,9,9] = add(w4, mask)\n"
      "  w3: f16[16,9,9] = reshape(wm, batch)\n"
      "  p: f16[16,9,9] = softmax(w3)\n"
      "  o3: f16[16,9,64] = matmul(p, v)\n"
      "  out: s64[4] = const[value={2, 8, 9, 64}]\n"
      "  o: f16[2,8,9,64] = reshape(o3, out)\n"
      "  t: f16[2,9,8,64] = transpose(o)[perm={0, 2, 1, 3}]\n" SHAPE("2, 9, 512") //
      "  r: f16[2,9,512] = reshape(t, shape)\n" Q("[2,9,512]", "r"),
      "out_layout=bsm", "softmax")

// --- quantize before the merge -----------------------------------------------------------------------------

CHAIN(quantize_before_the_reshape,
      INPUTS O T "  c: e4m3[B,T,8,64] = quantize(t, s)[scheme=fp8_static]\n" SHAPE("0, 0, -1") //
      "  y: e4m3[B,T,512] = reshape(c, shape)\n  return y\n}\n",
      "out_layout=bshd", "quantize")
CHAIN(quantize_before_the_transpose,
      INPUTS O "  c: e4m3[B,8,T,64] = quantize(o, s)[scheme=fp8_static]\n"
               "  t: e4m3[B,T,8,64] = transpose(c)[perm={0, 2, 1, 3}]\n" SHAPE("0, 0, -1") //
      "  y: e4m3[B,T,512] = reshape(t, shape)\n  return y\n}\n",
      "output=fp8_static", "quantize")
CHAIN(groups_before_the_transpose,
      INPUTS O "  c: e4m3[B,8,T,64], z: e8m0[B,8,T,2] = quantize(o)[scheme=mxfp8]\n"
               "  t: e4m3[B,T,8,64] = transpose(c)[perm={0, 2, 1, 3}]\n  return t, z\n}\n",
      "output=mxfp8", "quantize")

// --- behind quantize ---------------------------------------------------------------------------------------

CHAIN(a_view_of_the_codes,
      INPUTS O T SHAPE("0, 0, -1") R "  c: e4m3[B,T,512] = quantize(r, s)[scheme=fp8_static]\n"
                                     "  two: s64[2] = const[value={-1, 512}]\n"
                                     "  y: e4m3[B*T,512] = reshape(c, two)\n  return y\n}\n",
      "output=fp8_static", "quantize")
CHAIN(a_slice_of_the_codes_and_of_the_scales,
      INPUTS O T SHAPE("0, 0, -1") R "  c: e4m3[B,T,512], z: e8m0[B,T,16] = quantize(r)[scheme=mxfp8]\n"
                                     "  from: s64[1] = const[value={0}]\n"
                                     "  to: s64[1] = const[value={1}]\n"
                                     "  axis: s64[1] = const[value={1}]\n"
                                     "  y: e4m3[B,1,512] = slice(c, from, to, axis)\n"
                                     "  ys: e8m0[B,1,16] = slice(z, from, to, axis)\n  return y, ys\n}\n",
      "output=mxfp8", "quantize")
CHAIN(a_view_of_the_scales_in_another_type,
      INPUTS O T SHAPE("0, 0, -1") R
      "  c: e2m1[B,T,512], z: e4m3[128*ceil_div(B*T, 128),32] = quantize(r, s)[scheme=nvfp4]\n"
      "  u: ? = extern(z)[name=\"view_as_u8\"]\n  return c, u\n}\n",
      "output=nvfp4", "quantize")

// --- in the way of nobody ----------------------------------------------------------------------------------

// The residual reads what the merge gives; attention writes both.
CHAIN(a_reader_of_the_value,
      INPUTS O T SHAPE("0, 0, -1") R
      "  n: f16[B,T,512] = neg(r)\n"
      "  y: e4m3[B,T,512] = quantize(r, s)[scheme=fp8_static]\n  return y, n\n}\n",
      "r: f16[B,T,512] = attention", "quantize(")
// A second chain to the same place: it cancels with what absorb-layout leaves.
CHAIN(a_reader_with_a_chain_of_its_own,
      INPUTS O T SHAPE("0, 0, -1") R
      "  t2: f16[B,T,8,64] = transpose(o)[perm={0, 2, 1, 3}]\n"
      "  r2: f16[B,T,512] = reshape(t2, shape)\n"
      "  n: f16[B,T,512] = neg(r2)\n"
      "  y: e4m3[B,T,512] = quantize(r, s)[scheme=fp8_static]\n  return y, n\n}\n",
      "neg(r)", "transpose")
// Readers of the cast that the quantize reads, in front of the layout and behind it.
CHAIN(a_reader_of_the_cast,
      INPUTS O T SHAPE("0, 0, -1") R
      "  c: f32[B,T,512] = cast(r)[to=f32]\n"
      "  n: f32[B,T,512] = neg(c)\n"
      "  y: e4m3[B,T,512] = quantize(c, s)[scheme=fp8_static]\n  return y, n\n}\n",
      "f16[B,T,512] = attention(q, k, v, _, _, _, _, s)[out_layout=bsm", "quantize(")
CHAIN(a_reader_of_a_cast_in_front_of_the_layout,
      INPUTS O "  c: f32[B,8,T,64] = cast(o)[to=f32]\n  n: f32[B,8,T,64] = neg(c)\n"
               "  t: f32[B,T,8,64] = transpose(c)[perm={0, 2, 1, 3}]\n" SHAPE("0, 0, -1") //
      "  r: f32[B,T,512] = reshape(t, shape)\n"
      "  y: e4m3[B,T,512], z: f32[B,T,1] = quantize(r)[scheme=fp8_token]\n  return y, z, n\n}\n",
      "f16[B,T,512] = attention(q, k, v)[out_layout=bsm", "quantize(")
