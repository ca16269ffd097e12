// Embedding Quench: build a graph through the API with one's own ids, run the pipeline, take the rewrites back
// by those ids, compile the kernel. docs/embedding.md walks through it; the test suite builds and runs it.
#include <quench/quench.h>

#include <inttypes.h>
#include <stdio.h>

// The ids of the embedder's own nodes: layer L has ids 100 L + these.
enum { ID_ATTENTION = 1, ID_TRANSPOSE, ID_RESHAPE, ID_QUANTIZE, ID_DEQUANTIZE };
enum { HEADS = 8, KV_HEADS = 2, HEAD_DIM = 64, LAYERS = 2 };

// Adds a node that has one result.
static qn_status add(qn_graph *graph, qn_op op, const qn_value *operands, uint32_t operand_count,
                     const qn_attr *attrs, uint32_t attr_count, uint64_t id, const char *layer,
                     qn_value *out_value) {
  return qn_graph_add(graph,
                      qn_node_params(.op = op, .operands = operands, .operand_count = operand_count,
                                     .attrs = attrs, .attr_count = attr_count, .id = id, .layer = layer),
                      out_value);
}

// One layer: attention, heads merged, quantized to FP8 with a scale that is known before the run, and back, as
// a projection with FP8 weights would read it. Nothing says that these belong together; Quench finds out.
static qn_status add_layer(qn_graph *graph, int number) {
  char layer[32], name[32];
  snprintf(layer, sizeof layer, "layers.%d.self_attn", number);
  uint64_t base = 100 * (uint64_t)number;
  qn_dim batch = qn_dim_symbol(graph, "B", 1), length = qn_dim_symbol(graph, "T", 1);
  qn_value qkv[3];
  for (int i = 0; i < 3; i++) {
    qn_dim dims[] = { batch, qn_dim_const(graph, i == 0 ? HEADS : KV_HEADS), length,
                      qn_dim_const(graph, HEAD_DIM) };
    snprintf(name, sizeof name, "%c%d", "qkv"[i], number);
    QN_TRY(qn_graph_add_input(graph, name, qn_type_get(graph, QN_BF16, 4, dims), &qkv[i]));
  }
  qn_value o, t, r, y, d, scale, shape;
  QN_TRY(add(graph, QN_OP_attention, qkv, 3, &(qn_attr){ .name = "causal", .text = "top_left" }, 1,
             base + ID_ATTENTION, layer, &o));
  int64_t perm[] = { 0, 2, 1, 3 }, merged[] = { 0, 0, HEADS * HEAD_DIM };
  QN_TRY(add(graph, QN_OP_transpose, &o, 1, &(qn_attr){ .name = "perm", .ints = perm, .length = 4 }, 1,
             base + ID_TRANSPOSE, layer, &t));
  QN_TRY(
      qn_graph_add_const(graph, NULL, &(qn_tensor){ QN_S64, 1, { 3 }, merged, sizeof merged }, false, &shape));
  QN_TRY(add(graph, QN_OP_reshape, (qn_value[]){ t, shape }, 2, NULL, 0, base + ID_RESHAPE, layer, &r));

  float one_step = 0.0625f;
  qn_scheme scheme = qn_scheme_of(QN_SCHEME_fp8_static);
  QN_TRY(qn_graph_add_const(graph, NULL,
                            &(qn_tensor){ .dtype = QN_F32, .data = &one_step, .bytes = sizeof one_step }, false,
                            &scale));
  QN_TRY(add(graph, QN_OP_quantize, (qn_value[]){ r, scale }, 2,
             &(qn_attr){ .name = "scheme", .scheme = &scheme }, 1, base + ID_QUANTIZE, layer, &y));
  qn_attr back[] = { { .name = "scheme", .scheme = &scheme }, { .name = "to", .i = QN_BF16 } };
  QN_TRY(add(graph, QN_OP_dequantize, (qn_value[]){ y, scale }, 2, back, 2, base + ID_DEQUANTIZE, layer, &d));
  snprintf(name, sizeof name, "out%d", number);
  return qn_graph_add_output(graph, d, name);
}

// What became of the embedder's nodes, in the order in which it happened.
static qn_status print_rewrites(const qn_graph *graph, qn_pipeline *pipeline) {
  for (uint32_t i = 0; i < qn_pipeline_get_rewrite_count(pipeline); i++) {
    qn_rewrite rewrite;
    QN_TRY(qn_pipeline_get_rewrite(pipeline, i, &rewrite));
    printf("%s:", rewrite.rule);
    for (uint32_t k = 0; k < rewrite.id_count; k++) printf(" %" PRIu64, rewrite.ids[k]);
    for (uint32_t k = 0; k < rewrite.created_count; k++) {
      qn_op op = qn_node_get_op(graph, rewrite.created[k]); // QN_OP_NONE if a later rewrite took the node
      if (op != QN_OP_NONE) printf(" -> %s", qn_op_get_info(op)->name);
    }
    putchar('\n');
  }
  return QN_OK;
}

// The kernels of the fused nodes. Without NVRTC everything above still holds; only this is not done.
static qn_status compile_kernels(qn_context *context, const qn_graph *graph, qn_target target) {
  qn_compiler *compiler;
  QN_TRY(qn_compiler_create(context, NULL, &compiler));
  qn_status status = QN_OK;
  for (qn_node node = qn_graph_get_first(graph); node != QN_NONE && status == QN_OK;
       node = qn_node_get_next(graph, node)) {
    if (qn_node_get_op(graph, node) != QN_OP_attention) continue;
    qn_kernel *kernel;
    status = qn_compiler_compile_node(compiler, graph, node, target, QN_CUBIN, &kernel);
    if (status != QN_OK) break;
    const qn_kernel_info *info = qn_kernel_get_info(kernel);
    printf("kernel %s: %zu bytes, %u registers, %u bytes spilled\n", info->name, info->length, info->registers,
           info->spill_bytes);
    qn_kernel_destroy(kernel);
  }
  qn_compiler_destroy(compiler);
  if (status != QN_UNAVAILABLE) return status;
  printf("no kernel compiled: %s\n", qn_context_get_error(context)->message);
  return QN_OK;
}

static qn_status run(qn_context *context) {
  qn_graph *graph;
  qn_pipeline *pipeline = NULL;
  qn_target target = QN_TARGET_sm_90a;
  QN_TRY(qn_graph_create(context, "two layers", &graph));
  qn_status status = QN_OK;
  for (int number = 1; number <= LAYERS && status == QN_OK; number++) status = add_layer(graph, number);
  // What may fuse is what a kernel for this chip exists for.
  if (status == QN_OK)
    status = qn_pipeline_run(graph, qn_pipeline_params(.legality = qn_legality_of_target(&target)), &pipeline);
  if (status == QN_OK) status = print_rewrites(graph, pipeline);
  if (status == QN_OK) status = compile_kernels(context, graph, target);
  qn_pipeline_destroy(pipeline); // before the graph, which it refers to
  qn_graph_destroy(graph);
  return status;
}

int main(void) {
  qn_context *context;
  if (qn_context_create(NULL, &context) != QN_OK) return 2;
  qn_status status = run(context);
  const qn_error *error = qn_context_get_error(context);
  if (status != QN_OK)
    fprintf(stderr, "%s: %s (%s)\n", error->place, error->message, qn_status_advice(error->status));
  qn_context_destroy(context);
  return status == QN_OK ? 0 : 2;
}
