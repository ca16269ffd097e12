// Buffers of scales: the shape is that of the shape rule, and every scale has a place of its own.
#include "ir/base_priv.h"
#include "quant/scale_buffer_priv.h"

#include <criterion/criterion.h>
#include <quench/graph.h>
#include <stdlib.h>

static const struct {
  int32_t rank;
  int64_t dims[4];
} shapes[] = { { 2, { 1, 16 } },        { 2, { 5, 64 } }, { 2, { 533, 96 } },  { 3, { 2, 65, 160 } },
               { 4, { 3, 4, 11, 80 } }, { 2, { 0, 32 } }, { 2, { 128, 2048 } } };

static qn_scheme scheme_of(qn_scheme_family family, qn_scale_layout layout) {
  qn_scheme scheme = qn_scheme_of(family);
  scheme.scale_layout = (uint8_t)layout;
  return scheme;
}

// The type that the graph gives the scales of these codes.
static void check_shape(qn_context *context, const qn_scheme *scheme, int32_t rank, const int64_t *dims) {
  qn_graph *graph;
  qn_value x, results[2];
  qn_dim wanted[QN_RANK_MAX];
  qn_scale_buffer buffer;
  int64_t padded[4], size;
  cr_assert_eq(qn_graph_create(context, "test", &graph), QN_OK);
  for (int32_t d = 0; d < rank; d++) wanted[d] = qn_dim_const(graph, padded[d] = dims[d]);
  if (scheme->pad) padded[rank - 1] = (dims[rank - 1] + scheme->pad - 1) / scheme->pad * scheme->pad;
  cr_assert_eq(qn_graph_add_input(graph, "x", qn_type_get(graph, QN_F32, rank, wanted), &x), QN_OK);
  const qn_attr attr = { .name = "scheme", .scheme = scheme };
  cr_assert_eq(qn_graph_add(graph,
                            qn_node_params(.op = QN_OP_quantize, .operands = &x, .operand_count = 1,
                                           .attrs = &attr, .attr_count = 1, .result_count = 2),
                            results),
               QN_OK, "%s", qn_context_get_error(context)->message);
  qn_type_info type = qn_type_get_info(graph, qn_value_get_type(graph, results[1]));
  cr_assert(qn_scale_buffer_of(scheme, rank, padded, &buffer));
  cr_assert_eq(buffer.rank, type.rank);
  uint64_t count = 1;
  for (int32_t d = 0; d < type.rank; d++) {
    cr_assert(qn_dim_is_const(graph, type.dims[d], &size));
    cr_expect_eq(buffer.dims[d], size, "%s: dim %d is %lld, not %lld",
                 qn_scheme_family_name((qn_scheme_family)scheme->family), (int)d, (long long)buffer.dims[d],
                 (long long)size);
    count *= (uint64_t)size;
  }
  cr_expect_eq(buffer.count, count);
  qn_graph_destroy(graph);
}

Test(scale_buffer, has_the_shape_that_the_graph_says) {
  qn_context *context;
  cr_assert_eq(qn_context_create(NULL, &context), QN_OK);
  static const qn_scheme_family families[] = { QN_SCHEME_fp8_group, QN_SCHEME_mxfp8, QN_SCHEME_nvfp4,
                                               QN_SCHEME_fp8_token };
  for (size_t f = 0; f < QN_COUNT(families); f++)
    for (int layout = 0; layout < QN_SCALE_LAYOUT_COUNT; layout++)
      for (size_t s = 0; s < QN_COUNT(shapes); s++) {
        qn_scheme scheme = scheme_of(families[f], (qn_scale_layout)layout);
        check_shape(context, &scheme, shapes[s].rank, shapes[s].dims);
        scheme.pad = 64;
        check_shape(context, &scheme, shapes[s].rank, shapes[s].dims);
      }
  qn_scheme inner = qn_scheme_of(QN_SCHEME_fp8_group);
  inner.axis = 1;
  check_shape(context, &inner, 3, shapes[3].dims);
  qn_context_destroy(context);
}

// Every token and group has a place of its own within the buffer.
Test(scale_buffer, scales_do_not_meet) {
  for (int layout = 0; layout < QN_SCALE_LAYOUT_COUNT; layout++)
    for (size_t s = 0; s < QN_COUNT(shapes); s++) {
      const qn_scheme scheme = scheme_of(QN_SCHEME_mxfp8, (qn_scale_layout)layout);
      qn_scale_buffer buffer;
      cr_assert(qn_scale_buffer_of(&scheme, shapes[s].rank, shapes[s].dims, &buffer));
      bool *taken = calloc(buffer.count + 1, sizeof(*taken));
      for (int64_t token = 0; token < buffer.tokens; token++)
        for (int64_t group = 0; group < buffer.groups; group++) {
          uint64_t at = qn_scale_buffer_index(&scheme, &buffer, token, group);
          cr_assert_lt(at, buffer.count, "layout %d, token %lld, group %lld", layout, (long long)token,
                       (long long)group);
          cr_assert_not(taken[at]);
          taken[at] = true;
        }
      free(taken);
    }
}

// Places by hand: 5 groups of 299 tokens.
Test(scale_buffer, places) {
  static const struct {
    qn_scale_layout layout;
    int64_t token, group;
    uint64_t at;
  } places[] = {
    { QN_SCALES_ROW, 7, 3, 7 * 5 + 3 },
    { QN_SCALES_COLUMN, 7, 3, 3 * 299 + 7 },
    { QN_SCALES_TMA_ALIGNED, 7, 3, 3 * 300 + 7 },
    { QN_SCALES_PACKED, 7, 4, (300 + 7) * 4 },
    { QN_SCALES_PACKED, 298, 3, 298 * 4 + 3 },
    { QN_SCALES_SWIZZLED, 0, 1, 1 },
    { QN_SCALES_SWIZZLED, 1, 0, 16 },
    { QN_SCALES_SWIZZLED, 32, 0, 4 },
    { QN_SCALES_SWIZZLED, 0, 4, 512 },
    { QN_SCALES_SWIZZLED, 128, 0, 1024 },
    { QN_SCALES_SWIZZLED, 298, 4, 2 * 1024 + 512 + 10 * 16 + 1 * 4 },
  };
  for (size_t i = 0; i < QN_COUNT(places); i++) {
    const qn_scheme scheme = scheme_of(QN_SCHEME_mxfp8, places[i].layout);
    qn_scale_buffer buffer;
    cr_assert(qn_scale_buffer_of(&scheme, 2, (int64_t[]){ 299, 160 }, &buffer));
    cr_expect_eq(qn_scale_buffer_index(&scheme, &buffer, places[i].token, places[i].group), places[i].at,
                 "place %zu", i);
  }
}

Test(scale_buffer, refuses_what_has_none) {
  qn_scale_buffer buffer;
  qn_scheme scheme = qn_scheme_of(QN_SCHEME_nvfp4);
  cr_expect_not(qn_scale_buffer_of(&scheme, 0, NULL, &buffer));
  scheme.axis = 0;
  cr_expect_not(qn_scale_buffer_of(&scheme, 2, shapes[1].dims, &buffer), "swizzled along the first axis");
  scheme.axis = 2;
  cr_expect_not(qn_scale_buffer_of(&scheme, 2, shapes[1].dims, &buffer));
  scheme = qn_scheme_of(QN_SCHEME_fp8_group);
  scheme.group = 0;
  cr_expect_not(qn_scale_buffer_of(&scheme, 2, shapes[1].dims, &buffer));
}
