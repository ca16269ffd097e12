// Shape rules: a row a case, at least one for each operation; and what is refused.
#include "ir_test.h"

#include "ir/shape_priv.h"

#include <stdio.h>

typedef struct shape_case {
  const char *inputs;
  const char *body;     // nodes; the results asked for are named r, or r0, r1, ...
  const char *expected; // their types, or the message of the refusal
} shape_case;

// The text of a graph with untyped results, which the reader infers.
static qn_status read_case(qn_context *context, const shape_case *c, qn_graph **out_graph) {
  char text[4096];
  snprintf(text, sizeof text, "graph (%s) {\n%s\n return\n}\n", c->inputs, c->body);
  return qn_graph_read_text(context, "t.qn", text, strlen(text), out_graph);
}

static void check_case(const shape_case *c) {
  qn_context *context = make_context();
  qn_graph *graph;
  qn_status status = read_case(context, c, &graph);
  cr_assert_eq(status, QN_OK, "%s: %s", c->body, qn_context_get_error(context)->message);
  qn_buf types = QN_BUF(context);
  qn_writer writer = qn_buf_writer(&types);
  for (int i = -1; i < 8; i++) {
    char name[8];
    snprintf(name, sizeof name, i < 0 ? "r" : "r%d", i);
    qn_value value = qn_graph_find_value(graph, name, strlen(name));
    if (!value) continue;
    if (types.length) qn_buf_append(&types, " ", 1);
    qn_type_write(graph, qn_value_get_type(graph, value), &writer);
  }
  cr_assert_str_eq(types.text, c->expected, "%s: expected %s, found %s", c->body, c->expected, types.text);
  qn_buf_free(&types);
  qn_graph_destroy(graph);
  qn_context_destroy(context);
}

static void check_refusal(const shape_case *c) {
  qn_context *context = make_context();
  qn_graph *graph;
  cr_assert_eq(read_case(context, c, &graph), QN_INVALID, "%s", c->body);
  cr_assert_null(graph);
  cr_assert_str_eq(qn_context_get_error(context)->message, c->expected);
  qn_context_destroy(context);
}

#define CHECK_ALL(cases)                                                                                       \
  for (size_t i = 0; i < QN_COUNT(cases); i++) check_case(&(cases)[i])

// clang-format off
static const shape_case elementwise[] = {
  { "x: f32[2,3], y: f32[2,3]",       "r = add(x, y)",                         "f32[2,3]" },
  { "x: f32[B,1,T], y: f32[8,1]",     "r = sub(x, y)",                         "f32[B,8,T]" },
  { "x: f32[A,4], y: f32[B,4]",       "r = mul(x, y)",                         "f32[?1,4]" },
  { "x: f32[T,4], y: f32[5,1]",       "r = div(x, y)",                         "f32[5,4]" },
  { "x: f32[...], y: f32[5,1]",       "r = mul(x, y)",                         "f32[...]" },
  { "x: ?, y: f32[5]",                "r = mul(x, y)",                         "f32[...]" },
  { "x: ?, y: ?",                     "r = mul(x, y)",                         "?" },
  { "x: s64[3], y: s64[]",            "r = mod(x, y)",                         "s64[3]" },
  { "x: f32[3], y: s64[]",            "r = pow(x, y)",                         "f32[3]" },
  { "x: f32[3,1], y: f32[2]",         "r = min(x, y)",                         "f32[3,2]" },
  { "x: f32[3,1], y: f32[0]",         "r = max(x, y)",                         "f32[3,0]" },
  { "x: f16[T]",                      "r = neg(x)",                            "f16[T]" },
  { "x: f16[T]",                      "r = abs(x)",                            "f16[T]" },
  { "x: f16[T]",                      "r = sqrt(x)",                           "f16[T]" },
  { "x: f16[T]",                      "r = rsqrt(x)",                          "f16[T]" },
  { "x: f16[T]",                      "r = reciprocal(x)",                     "f16[T]" },
  { "x: f16[T]",                      "r = exp(x)",                            "f16[T]" },
  { "x: f16[T]",                      "r = log(x)",                            "f16[T]" },
  { "x: f16[T]",                      "r = sin(x)",                            "f16[T]" },
  { "x: f16[T]",                      "r = cos(x)",                            "f16[T]" },
  { "x: f16[T]",                      "r = tanh(x)",                           "f16[T]" },
  { "x: f16[T]",                      "r = erf(x)",                            "f16[T]" },
  { "x: f16[T]",                      "r = sigmoid(x)",                        "f16[T]" },
  { "x: f16[T]",                      "r = relu(x)",                           "f16[T]" },
  { "x: f16[T]",                      "r = gelu(x)[approximate=tanh]",         "f16[T]" },
  { "x: f16[T]",                      "r = swish(x)",                          "f16[T]" },
  { "x: f16[T]",                      "r = floor(x)",                          "f16[T]" },
  { "x: f16[T]",                      "r = ceil(x)",                           "f16[T]" },
  { "x: f16[T]",                      "r = round(x)",                          "f16[T]" },
  { "x: f16[T], l: f16[]",            "r = clip(x, l)",                        "f16[T]" },
  { "x: f16[T]",                      "r = cast(x)[to=e4m3]",                  "e4m3[T]" },
  { "x: f16[T,1], y: f16[S]",         "r = equal(x, y)",                       "bool[T,S]" },
  { "x: f16[T]",                      "r = less(x, x)",                        "bool[T]" },
  { "x: f16[T]",                      "r = less_equal(x, x)",                  "bool[T]" },
  { "x: f16[T]",                      "r = greater(x, x)",                     "bool[T]" },
  { "x: f16[T]",                      "r = greater_equal(x, x)",               "bool[T]" },
  { "x: bool[T], y: bool[]",          "r = and(x, y)",                         "bool[T]" },
  { "x: bool[T], y: bool[]",          "r = or(x, y)",                          "bool[T]" },
  { "x: bool[T], y: bool[]",          "r = xor(x, y)",                         "bool[T]" },
  { "x: bool[T]",                     "r = not(x)",                            "bool[T]" },
  { "x: f32[T]",                      "r = is_nan(x)",                         "bool[T]" },
  { "x: f32[T]",                      "r = is_inf(x)",                         "bool[T]" },
  { "c: bool[T,1], x: f32[], y: f32[S]", "r = where(c, x, y)",                 "f32[T,S]" },
};
Test(shape, elementwise) { CHECK_ALL(elementwise); }

static const shape_case reductions[] = {
  { "x: f32[A,B,4]", "a: s64[1] = const[value={-1}]\n r = reduce_sum(x, a)",                       "f32[A,B,1]" },
  { "x: f32[A,B,4]", "a: s64[2] = const[value={0, 2}]\n r = reduce_mean(x, a)[keepdims=false]",    "f32[B]" },
  { "x: f32[A,B,4]", "r = reduce_max(x)[keepdims=false]",                                          "f32[]" },
  { "x: f32[A,B,4]", "r = reduce_min(x)[noop_if_empty=true]",                                      "f32[A,B,4]" },
  { "x: f32[A,B], a: s64[1]", "r = reduce_min(x, a)",                                              "f32[?1,?2]" },
  { "x: f32[A,B], a: s64[]", "r = cumsum(x, a)",                                                   "f32[A,B]" },
  { "x: f32[A,B]",   "r = softmax(x)",                                                             "f32[A,B]" },
  { "x: f16[A,B,C], s: f16[C], b: f16[C]", "r0, r1, r2 = layer_norm(x, s, b)",                     "f16[A,B,C] f32[A,B,1] f32[A,B,1]" },
  { "x: f16[A,B], s: f32[B]", "r = rms_norm(x, s)",                                                "f32[A,B]" },
  { "x: f16[B,H,T,D], c: f16[T,D], s: f16[T,D]", "r = rotary_embedding(x, c, s)",                  "f16[B,H,T,D]" },
};
Test(shape, reductions_and_norms) { CHECK_ALL(reductions); }

static const shape_case products[] = {
  { "a: f32[2,3], b: f32[3,4]",              "r = matmul(a, b)",                     "f32[2,4]" },
  { "a: f32[B,8,T,64], b: f32[B,8,64,S]",    "r = matmul(a, b)",                     "f32[B,8,T,S]" },
  { "a: f32[B,1,T,64], b: f32[8,64,S]",      "r = matmul(a, b)",                     "f32[B,8,T,S]" },
  { "a: f32[64], b: f32[B,64,S]",            "r = matmul(a, b)",                     "f32[B,S]" },
  { "a: f32[B,T,64], b: f32[64]",            "r = matmul(a, b)",                     "f32[B,T]" },
  { "a: f32[K], b: f32[K]",                  "r = matmul(a, b)",                     "f32[]" },
  { "a: f32[K,M], b: f32[N,K], c: f32[N]",   "r = gemm(a, b, c)[trans_a=true, trans_b=true]", "f32[M,N]" },
  { "x: f32[B,3,224,H], w: f32[64,3,7,7]",   "r = conv(x, w)[strides={2, 2}, pads={3, 3, 3, 3}]", "f32[B,64,112,ceil_div(H, 2)]" },
  { "x: f32[1,4,10], w: f32[6,2,3]",         "r = conv(x, w)[group=2, dilations={2}]",     "f32[1,6,6]" },
  { "x: f32[1,4,10], w: f32[6,4,3]",         "r = conv(x, w)[auto_pad=same_upper, strides={3}]", "f32[1,6,4]" },
  { "x: f32[1,4,10], w: f32[6,4,3]",         "r = conv(x, w)[auto_pad=valid, strides={3}]", "f32[1,6,3]" },
};
Test(shape, products) { CHECK_ALL(products); }

static const shape_case views[] = {
  { "x: f32[B,T]",            "r = identity(x)",                                                        "f32[B,T]" },
  { "x: f32[B,T,8,64]",       "s: s64[3] = const[value={0, 0, -1}]\n r = reshape(x, s)",                "f32[B,T,512]" },
  { "x: f32[B,T,512]",        "s: s64[4] = const[value={0, -1, 8, 64}]\n r = reshape(x, s)",            "f32[B,T,8,64]" },
  { "x: f32[B,T,8,64]",       "s: s64[2] = const[value={-1, 512}]\n r = reshape(x, s)",                 "f32[B*T,512]" },
  { "x: f32[2,0]",            "s: s64[2] = const[value={0, 3}]\n r = reshape(x, s)[allowzero=true]",    "f32[0,3]" },
  { "x: f32[B,T], s: s64[3]", "r = reshape(x, s)",                                                      "f32[?1,?2,?3]" },
  { "x: f32[B,T], s: s64[N]", "r = reshape(x, s)",                                                      "f32[...]" },
  { "x: f32[...]",            "s: s64[2] = const[value={-1, 512}]\n r = reshape(x, s)",                 "f32[?1,512]" },
  { "x: f32[A,B,3,4]",        "r = flatten(x)[axis=2]",                                                 "f32[A*B,12]" },
  { "x: f32[A,B]",            "r = flatten(x)[axis=0]",                                                 "f32[1,A*B]" },
  { "x: f32[1,3,1]",          "r = squeeze(x)",                                                         "f32[3]" },
  { "x: f32[1,T,1]",          "a: s64[1] = const[value={-1}]\n r = squeeze(x, a)",                      "f32[1,T]" },
  { "x: f32[1,T]",            "r = squeeze(x)",                                                         "f32[...]" },
  { "x: f32[A,B]",            "a: s64[2] = const[value={0, -1}]\n r = unsqueeze(x, a)",                 "f32[1,A,B,1]" },
  { "x: f32[A,B,C]",          "r = transpose(x)[perm={0, 2, 1}]",                                       "f32[A,C,B]" },
  { "x: f32[A,B,C]",          "r = transpose(x)",                                                       "f32[C,B,A]" },
  { "x: f32[...]",            "r = transpose(x)[perm={1, 0}]",                                          "f32[?1,?2]" },
  { "x: f32[B,2,1,T,64]",     "s: s64[5] = const[value={1, 1, 4, 1, 1}]\n r = expand(x, s)",            "f32[B,2,4,T,64]" },
  { "x: f32[A,1]",            "s: s64[2] = const[value={1, 5}]\n r = expand(x, s)",                     "f32[A,5]" },
};
Test(shape, views) { CHECK_ALL(views); }

static const shape_case moves[] = {
  { "x: f32[A,2], y: f32[A,3]",  "r = concat(x, y)[axis=-1]",                                            "f32[A,5]" },
  { "x: f32[A,2], y: f32[B,2]",  "r = concat(x, y)",                                                     "f32[A + B,2]" },
  { "x: f32[A,6]",               "r0, r1, r2 = split(x)[axis=1]",                                        "f32[A,2] f32[A,2] f32[A,2]" },
  { "x: f32[A,7]",               "r0, r1 = split(x)[axis=1]",                                            "f32[A,4] f32[A,3]" },
  { "x: f32[2*T]",               "r0, r1 = split(x)",                                                    "f32[T] f32[T]" },
  { "x: f32[6]",                 "s: s64[2] = const[value={4, 2}]\n r0, r1 = split(x, s)",               "f32[4] f32[2]" },
  { "x: f32[A,10]",              "b: s64[1] = const[value={2}]\n e: s64[1] = const[value={-1}]\n a: s64[1] = const[value={1}]\n r = slice(x, b, e, a)", "f32[A,7]" },
  { "x: f32[A,10]",              "b: s64[1] = const[value={-1}]\n e: s64[1] = const[value={-9223372036854775808}]\n a: s64[1] = const[value={1}]\n t: s64[1] = const[value={-3}]\n r = slice(x, b, e, a, t)", "f32[A,4]" },
  { "x: f32[A,B]",               "b: s64[1] = const[value={0}]\n e: s64[1] = const[value={9223372036854775807}]\n a: s64[1] = const[value={1}]\n r = slice(x, b, e, a)", "f32[A,B]" },
  { "x: f32[A + B], y: f32[A]",  "b: s64[1] = shape(y)\n e: s64[1] = shape(x)\n r = slice(x, b, e)",     "f32[B]" },
  { "x: f32[A], y: f32[B]",      "b: s64[1] = const[value={0}]\n e: s64[1] = shape(y)\n r = slice(x, b, e)", "f32[?1]" },
  { "x: f32[A,10], i: s64[B,C]", "r = gather(x, i)[axis=0]",                                             "f32[B,C,10]" },
  { "x: f32[A,10], i: s64[]",    "r = gather(x, i)[axis=-1]",                                            "f32[A]" },
  { "x: f32[A,10], i: s64[A,3]", "r = gather_elements(x, i)[axis=1]",                                    "f32[A,3]" },
  { "x: f32[A,B,C], i: s64[N,2]", "r = gather_nd(x, i)",                                                 "f32[N,C]" },
  { "x: f32[A,B,C], i: s64[A,N,1]", "r = gather_nd(x, i)[batch_dims=1]",                                 "f32[A,N,C]" },
  { "x: f32[A,B], i: s64[N,1], u: f32[N,B]", "r = scatter_nd(x, i, u)",                                  "f32[A,B]" },
  { "x: f32[A,2]",               "n: s64[2] = const[value={3, 2}]\n r = tile(x, n)",                     "f32[3*A,4]" },
  { "x: f32[A,2,T]",             "r = repeat(x)[axis=1, count=4]",                                       "f32[A,8,T]" },
  { "x: f32[A,2]",               "n: s64[4] = const[value={0, 1, 0, 2}]\n r = pad(x, n)",                "f32[A,5]" },
  { "x: f32[A,2]",               "n: s64[2] = const[value={1, 1}]\n a: s64[1] = const[value={0}]\n r = pad(x, n, _, a)", "f32[A + 2,2]" },
  { "x: f32[A,2]",               "r = trilu(x)",                                                         "f32[A,2]" },
};
Test(shape, moves) { CHECK_ALL(moves); }

static const shape_case makers[] = {
  { "x: f32[A,B,3]",  "r = shape(x)",                                                                     "s64[3]" },
  { "x: f32[A,B,3]",  "r = shape(x)[start=-2]",                                                           "s64[2]" },
  { "x: f32[...]",    "r = shape(x)",                                                                     "s64[?1]" },
  { "x: f32[A]",      "r = size(x)",                                                                      "s64[]" },
  { "",               "a: s64[] = const[value={2}]\n b: s64[] = const[value={9}]\n c: s64[] = const[value={3}]\n r = range(a, b, c)", "s64[3]" },
  { "",               "a: s64[] = const[value={2}]\n b: s64[] = const[value={-9}]\n c: s64[] = const[value={-5}]\n r = range(a, b, c)", "s64[3]" },
  { "x: f32[T]",      "a: s64[] = const[value={0}]\n b = size(x)\n c: s64[] = const[value={1}]\n r = range(a, b, c)", "s64[T]" },
  { "x: f32[A,B]",    "s = shape(x)\n r = fill(s)",                                                       "f32[A,B]" },
  { "",               "s: s64[1] = const[value={4}]\n r = fill(s)[value=bool[1]{1}]",                     "bool[4]" },
  { "",               "r: s4[2] = const[value={1, 2}]",                                                   "s4[2]" },
  { "x: f32[T]",      "r: f16[7], e: ? = extern(x)[name=\"op\"]",                                         "f16[7]" },
};
Test(shape, makers) { CHECK_ALL(makers); }

static const shape_case quantization[] = {
  { "x: bf16[B,T,512], s: f32[]",  "r = quantize(x, s)[scheme=fp8_static]",                               "e4m3[B,T,512]" },
  { "x: bf16[B,T,512]",            "r0, r1, r2 = quantize(x)[scheme=int8_dynamic]",                       "u8[B,T,512] f32[] u8[]" },
  { "x: bf16[B,T,512]",            "r0, r1 = quantize(x)[scheme=fp8_block{dynamic=true, group=128}]",     "e4m3[B,T,512] f32[B,T,4]" },
  { "x: bf16[B,T,512]",            "r0, r1 = quantize(x)[scheme=fp8_static{granularity=token, dynamic=true}]", "e4m3[B,T,512] f32[B,T,1]" },
  { "x: bf16[B,T,512]",            "r0, r1 = quantize(x)[scheme=fp8_channel{dynamic=true}]",              "e4m3[B,T,512] f32[512]" },
  { "x: e4m3[B,T], s: f16[]",      "r = dequantize(x, s)[scheme=fp8_static]",                             "f16[B,T]" },
  { "x: e4m3[B,T], s: f16[]",      "r = dequantize(x, s)[scheme=fp8_static, to=f32]",                     "f32[B,T]" },
};
Test(shape, quantization) { CHECK_ALL(quantization); }

static const shape_case attentions[] = {
  { "q: bf16[B,8,T,64], k: bf16[B,2,S,64], v: bf16[B,2,S,32]", "r = attention(q, k, v)",                  "bf16[B,8,T,32]" },
  { "q: bf16[B,8,T,64], k: bf16[B,2,S,64], v: bf16[B,2,S,32]", "r = attention(q, k, v)[out_layout=bshd]", "bf16[B,T,8,32]" },
  { "q: bf16[B,8,T,64], k: bf16[B,2,S,64], v: bf16[B,2,S,32]", "r = attention(q, k, v)[out_layout=bsm]",  "bf16[B,T,256]" },
  { "q: bf16[B,8,T,64], k: bf16[B,2,S,64], v: bf16[B,2,S,32]", "r = attention(q, k, v)[out_layout=tm]",   "bf16[B*T,256]" },
  { "q: bf16[B,T,8,64], k: bf16[B,S,2,64], v: bf16[B,2,S,32]", "r = attention(q, k, v)[q_layout=bshd, k_layout=bshd, out_layout=bshd]", "bf16[B,T,8,32]" },
  { "q: bf16[B,T,512], k: bf16[B,S,128], v: bf16[B,S,128]", "r = attention(q, k, v)[q_layout=bsm, k_layout=bsm, v_layout=bsm, out_layout=bsm, heads=8, kv_heads=2]", "bf16[B,T,512]" },
  { "q: bf16[B,8,T,64], k: bf16[B,2,S,64], v: bf16[B,2,S,64], s: f32[]", "r = attention(q, k, v, _, _, _, _, s)[output=fp8_static]", "e4m3[B,8,T,64]" },
  { "q: bf16[B,8,T,64], k: bf16[B,2,T,64], v: bf16[B,2,T,64], p: bf16[B,2,P,64], w: bf16[B,2,P,64]", "r0, _1, _2, _3, r1, r2, r3 = attention(q, k, v, _, p, w)",
    "bf16[B,8,T,64] bf16[B,2,P + T,64] bf16[B,2,P + T,64] bf16[B,8,T,P + T]" },
  { "q: bf16[2,T,8,64], k: bf16[2,T,2,64], v: bf16[2,T,2,64], g: f32[]", "r0, r1, r2, r3 = attention(q, k, v, _, _, _, _, g)[q_layout=bshd, k_layout=bshd, v_layout=bshd, out_layout=tm, output=nvfp4]",
    "e2m1[2*T,512] e4m3[128*ceil_div(2*T, 128),32] ? bf16[2*T,512]" },
  { "q: bf16[4,1,8,64], k: bf16[P,16,2,64], v: bf16[P,16,2,64], n: s32[4], t: s32[4,M]", "r = attention(q, k, v, _, _, _, n, _, _, _, _, _, _, _, _, t)[q_layout=bshd, k_layout=pshd, v_layout=pshd, out_layout=bsm]", "bf16[4,1,512]" },
  { "x: bf16[T,512]", "r0, r1 = quantize(x)[scheme=fp8_group]", "e4m3[T,512] f32[T,4]" },
  { "x: bf16[T,512]", "r0, r1 = quantize(x)[scheme=fp8_group{scale_layout=column}]", "e4m3[T,512] f32[4,T]" },
  { "x: bf16[T,512]", "r0, r1 = quantize(x)[scheme=fp8_group{scale_layout=tma_aligned}]", "e4m3[T,512] f32[4,4*ceil_div(T, 4)]" },
  { "x: bf16[T,640]", "r0, r1 = quantize(x)[scheme=fp8_group{scale=e8m0, scale_layout=packed, rule=up}]", "e4m3[T,640] e8m0[2,4*ceil_div(T, 4),4]" },
  { "x: bf16[T,80]", "r0, r1 = quantize(x)[scheme=nvfp4{pad=64}]", "e2m1[T,128] e4m3[128*ceil_div(T, 128),8]" },
  { "x: bf16[B,S,80]", "r0, r1, r2 = quantize(x)[scheme=int8_token_zp]", "s8[B,S,80] f32[B,S,1] s32[B,S,1]" },
  { "q: bf16[B,8,T,64], k: bf16[B,2,S,64], v: bf16[B,2,S,64]", "r = attention(q, k, v)[out_type=f32]",    "f32[B,8,T,64]" },
  { "q: ?, k: bf16[B,2,S,64], v: bf16[B,2,S,64]", "r = attention(q, k, v)[heads=8]",                      "?[B,8,?1,64]" },
  { "q: bf16[B,8,T,64], k: bf16[B,2,S,64], v: bf16[B,2,S,32]", "r = attention(q, k, v)[out_layout=thd]",  "bf16[B*T,8,32]" },
  { "q: bf16[B,8,T,64], k: bf16[B,2,S,64], v: bf16[B,2,S,32], n: bf16[8], a: f32[8]", "r = attention(q, k, v, _, _, _, _, _, n, a)", "bf16[B,8,T,32]" },
  { "q: bf16[T,8,64], k: bf16[S,2,64], v: bf16[S,2,32], c: s32[B], d: s32[B]",
    "r = attention(q, k, v, _, _, _, _, _, _, _, c, d)[q_layout=thd, k_layout=thd, v_layout=thd, out_layout=thd]", "bf16[T,8,32]" },
  { "q: bf16[T,512], k: bf16[S,2,64], v: bf16[S,64], c: s64[3], d: s64[3]",
    "r = attention(q, k, v, _, _, _, _, _, _, _, c, d)[q_layout=tm, k_layout=thd, v_layout=tm, out_layout=tm, heads=8, kv_heads=2]", "bf16[T,256]" },
};
Test(shape, attention) { CHECK_ALL(attentions); }

// What exporters write where a person would write a constant: the shape operand is computed.
static const shape_case computed[] = {
  { "x: f32[B,S,8,64]", "i0: s64[] = const[value={0}]\n i1: s64[] = const[value={1}]\n z: s64[1] = const[value={0}]\n m: s64[1] = const[value={-1}]\n"
    "s = shape(x)\n b = gather(s, i0)\n t = gather(s, i1)\n bb = unsqueeze(b, z)\n tt = unsqueeze(t, z)\n c = concat(bb, tt, m)\n r = reshape(x, c)", "f32[B,S,512]" },
  { "x: f32[B,2,S,64]", "z: s64[1] = const[value={2}]\n u = unsqueeze(x, z)\n s = shape(x)\n b: s64[1] = const[value={0}]\n e: s64[1] = const[value={2}]\n"
    "n: s64[1] = const[value={4}]\n h = slice(s, b, e)\n l: s64[1] = const[value={9223372036854775807}]\n t = slice(s, e, l)\n c = concat(h, n, t)\n r = expand(u, c)", "f32[B,2,4,S,64]" },
  { "x: f32[B,S,512]", "i: s64[] = const[value={2}]\n n: s64[] = const[value={8}]\n z: s64[1] = const[value={0}]\n s = shape(x)\n d = gather(s, i)\n h = div(d, n)\n"
    "hh = unsqueeze(h, z)\n o: s64[3] = const[value={0, 0, 8}]\n c = concat(o, hh)\n r = reshape(x, c)", "f32[B,S,8,64]" },
  { "x: f32[B,T]", "n: s64[1] = const[value={127}]\n d: s64[1] = const[value={128}]\n s = shape(x)[start=1]\n a = add(s, n)\n q = div(a, d)\n p = mul(q, d)\n r = fill(p)", "f32[128*ceil_div(T, 128)]" },
  { "x: f32[B,1,T]", "w: s64[3] = const[value={-1, 8, -1}]\n m: s64[] = const[value={-1}]\n o: s64[3] = const[value={1, 1, 1}]\n c = equal(w, m)\n s = where(c, o, w)\n r = expand(x, s)", "f32[B,8,T]" },
  { "x: f32[B,8,S,64]", "s = shape(x)\n n: s64[1] = const[value={-1}]\n h, l = split(s)\n c = concat(n, l)\n r = reshape(x, c)", "f32[8*B,S,64]" },
  { "x: f32[B,S,512], y: s64[1]", "z: s64[1] = const[value={0}]\n h: s64[2] = const[value={8, 64}]\n c = concat(z, y, h)\n r = reshape(x, c)", "f32[B,S,8,64]" },
};
Test(shape, computed_shape_operands) { CHECK_ALL(computed); }

#define QKV_4 "q: f16[2,8,T,64], k: f16[2,2,S,64], v: f16[2,2,S,64]"
#define QKV_THD "q: f16[T,8,64], k: f16[S,2,64], v: f16[S,2,64]"
static const shape_case refusals[] = {
  { "x: f32[2,3], y: f32[2,4]",     "r = add(x, y)",                     "operand 'x' is f32[2,3], operand 'y' is f32[2,4]: the dims do not broadcast" },
  { "x: f32[2], y: f16[2]",         "r = add(x, y)",                     "operand 'x' is f32[2], operand 'y' is f16[2]: the element types differ" },
  { "a: f32[2,3], b: f32[4,5]",     "r = matmul(a, b)",                  "operand 'a' is f32[2,3], operand 'b' is f32[4,5]: the inner dims differ" },
  { "a: f32[], b: f32[4,5]",        "r = matmul(a, b)",                  "operand 'a' is f32[], operand 'b' is f32[4,5]: a scalar has no rows and columns" },
  { "x: f32[2,3]",                  "s: s64[1] = const[value={5}]\n r = reshape(x, s)", "operand 'x' is f32[2,3], operand 's' is s64[1]: 6 elements cannot become 5" },
  { "x: f32[2,3]",                  "s: s64[2] = const[value={-1, 4}]\n r = reshape(x, s)", "operand 'x' is f32[2,3], operand 's' is s64[2]: 6 elements cannot be split by 4" },
  { "x: f32[2,3]",                  "s: s64[2] = const[value={-1, -1}]\n r = reshape(x, s)", "operand 'x' is f32[2,3], operand 's' is s64[2]: -1 stands twice" },
  { "x: f32[2,3]",                  "s: s64[1] = const[value={-2}]\n r = reshape(x, s)", "operand 'x' is f32[2,3], operand 's' is s64[1]: expected a dim, 0 or -1, found -2" },
  { "x: f32[2,3]",                  "s: s64[3] = const[value={2, 3, 0}]\n r = reshape(x, s)", "operand 'x' is f32[2,3], operand 's' is s64[3]: 0 copies a dim that is not there" },
  { "x: f32[2,3]",                  "r = transpose(x)[perm={0, 0}]",     "perm is not a permutation of 0..1" },
  { "x: f32[2,3]",                  "r = transpose(x)[perm={0, 1, 2}]",  "perm has 3 elements, the operand has rank 2" },
  { "x: f32[2,3]",                  "r = softmax(x)[axis=2]",            "expected an axis in -2..1, found 2" },
  { "x: f32[2,3]",                  "r = quantize(x)",                   "has no scheme" },
  { "",                             "r: f32[2] = const",                 "has no value" },
  { "x: f32[2], y: f32[3,1]",       "r = concat(x, y)",                  "operand 1 has rank 2, the ones before it 1" },
  { "x: f32[2,3]",                  "r: f32[3,2] = identity(x)",         "result 'r': expected f32[2,3], found f32[3,2]" },
  { "x: f32[2,3]",                  "r: f16[2,3] = identity(x)",         "result 'r': expected f32[2,3], found f16[2,3]" },
  { "q: f16[B,8,T,64], k: f16[B,8,T,32], v: f16[B,8,T,64]", "r = attention(q, k, v)", "the head dims of q and k differ: 64 and 32" },
  { "q: f16[B,8,T], k: f16[B,8,T,32], v: f16[B,8,T,64]", "r = attention(q, k, v)", "expected rank 4 of operand q in its layout, found 3" },
  { QKV_4 ", s: f32[2]",            "r = attention(q, k, v, _, _, _, _, _, s)", "heads and the length of sinks differ: 8 and 2" },
  { QKV_4 ", s: f32[1,8]",          "r = attention(q, k, v, _, _, _, _, _, s)", "expected rank 1 of sinks, found 2" },
  { QKV_4 ", s: s32[8]",            "r = attention(q, k, v, _, _, _, _, _, _, s)", "expected alibi_slopes in a floating-point type, found s32" },
  { QKV_4 ", c: s32[3]",            "r = attention(q, k, v, _, _, _, _, _, _, _, c)", "one of cu_seqlens_q and cu_seqlens_kv without the other" },
  { QKV_4 ", c: s32[3]",            "r = attention(q, k, v, _, _, _, _, _, _, _, c, c)[out_layout=thd]", "cumulative lengths need q in the layout tm or thd" },
  { QKV_4 ", c: s32[3]",            "r = attention(q, k, v, _, _, _, c)", "the batch and the length of kv_lengths differ: 2 and 3" },
  { QKV_THD,                        "r = attention(q, k, v)[q_layout=thd, k_layout=thd, v_layout=thd]", "q in the layout thd needs cumulative lengths" },
  { QKV_THD ", c: s32[3], d: s32[4]", "r = attention(q, k, v, _, _, _, _, _, _, _, c, d)[q_layout=thd, k_layout=thd, v_layout=thd, out_layout=thd]",
    "the lengths of cu_seqlens_q and cu_seqlens_kv differ: 3 and 4" },
  { QKV_THD ", c: s32[3]",          "r = attention(q, k, v, _, _, _, _, _, _, _, c, c)[q_layout=thd, k_layout=thd, v_layout=thd]",
    "cumulative lengths need out in the layout tm or thd" },
  { QKV_THD ", c: s32[3], m: bool[4,4]", "r = attention(q, k, v, m, _, _, _, _, _, _, c, c)[q_layout=thd, k_layout=thd, v_layout=thd, out_layout=thd]",
    "mask together with cumulative lengths" },
  { QKV_THD ", c: s32[3]",          "r, _1, _2, _3, r1 = attention(q, k, v, _, _, _, _, _, _, _, c, c)[q_layout=thd, k_layout=thd, v_layout=thd, out_layout=thd]",
    "cumulative lengths have no results present_key, present_value and scores" },
  { QKV_THD ", c: f32[3]",          "r = attention(q, k, v, _, _, _, _, _, _, _, c, c)[q_layout=thd, k_layout=thd, v_layout=thd, out_layout=thd]",
    "expected cu_seqlens_q in s32 or s64, found f32" },
  { "x: f32[1,4,2], w: f32[6,4,3]", "r = conv(x, w)",                    "operand 'x' is f32[1,4,2], operand 'w' is f32[6,4,3]: the kernel is larger than dim 2" },
};
// clang-format on
Test(shape, refusals) {
  for (size_t i = 0; i < QN_COUNT(refusals); i++) check_refusal(&refusals[i]);
}

// A chain of doublings of a shape is as deep as it likes to be; the question about it stays cheap and bounded.
Test(shape, deep_values_cost_little) {
  qn_context *context = make_context();
  qn_buf text = QN_BUF(context);
  qn_buf_printf(&text, "graph (x: f32[T]) {\n v0 = shape(x)\n");
  for (int i = 0; i < 200; i++) qn_buf_printf(&text, " v%d = add(v%d, v%d)\n", i + 1, i, i);
  qn_buf_printf(&text, " r = fill(v200)\n return r\n}\n");
  qn_graph *graph = read_text(context, text.text);
  qn_type_info info = qn_type_get_info(graph, qn_value_get_type(graph, qn_graph_get_output(graph, 0)));
  cr_assert_eq(info.rank, 1);
  qn_graph_destroy(graph);
  qn_buf_free(&text);
  qn_context_destroy(context);
}

// The enums of <quench/graph.h> are positions and choices in the table: same order, same number.
Test(shape, the_names_of_attention_stand_where_its_row_says) {
  static const char *const OPERANDS[] = { [QN_ATTENTION_Q] = "q",
                                          [QN_ATTENTION_K] = "k",
                                          [QN_ATTENTION_V] = "v",
                                          [QN_ATTENTION_MASK] = "mask?",
                                          [QN_ATTENTION_PAST_KEY] = "past_key?",
                                          [QN_ATTENTION_PAST_VALUE] = "past_value?",
                                          [QN_ATTENTION_KV_LENGTHS] = "kv_lengths?",
                                          [QN_ATTENTION_OUTPUT_SCALE] = "output_scale?",
                                          [QN_ATTENTION_SINKS] = "sinks?",
                                          [QN_ATTENTION_ALIBI_SLOPES] = "alibi_slopes?",
                                          [QN_ATTENTION_CU_SEQLENS_Q] = "cu_seqlens_q?",
                                          [QN_ATTENTION_CU_SEQLENS_KV] = "cu_seqlens_kv?",
                                          [QN_ATTENTION_OUTPUT_ZERO_POINT] = "output_zero_point?",
                                          [QN_ATTENTION_PRE_SCALE] = "pre_scale?",
                                          [QN_ATTENTION_SCALE_BOUND] = "scale_bound?",
                                          [QN_ATTENTION_PAGE_TABLE] = "page_table?",
                                          [QN_ATTENTION_K_SCALE] = "k_scale?",
                                          [QN_ATTENTION_V_SCALE] = "v_scale?" };
  static const char *const RESULTS[] = { [QN_ATTENTION_OUT] = "out",
                                         [QN_ATTENTION_BLOCK_SCALE] = "block_scale?",
                                         [QN_ATTENTION_ZERO_POINT] = "zero_point?",
                                         [QN_ATTENTION_UNQUANTIZED] = "unquantized?",
                                         [QN_ATTENTION_PRESENT_KEY] = "present_key?",
                                         [QN_ATTENTION_PRESENT_VALUE] = "present_value?",
                                         [QN_ATTENTION_SCORES] = "scores?" };
  const qn_op_info *info = qn_op_get_info(QN_OP_attention);
  cr_assert_eq(info->operand_count, QN_ATTENTION_OPERAND_COUNT);
  cr_assert_eq(info->result_count, QN_ATTENTION_RESULT_COUNT);
  for (int i = 0; i < QN_ATTENTION_OPERAND_COUNT; i++) cr_expect_str_eq(info->operands[i], OPERANDS[i]);
  for (int i = 0; i < QN_ATTENTION_RESULT_COUNT; i++) cr_expect_str_eq(info->results[i], RESULTS[i]);
  int layout = qn_op_find_attr(QN_OP_attention, "out_layout", strlen("out_layout"));
  cr_assert_str_eq(info->attrs[layout].choices, "bhsd|bshd|bsm|tm|thd");
}
