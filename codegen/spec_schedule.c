// The spec of an attention node: the schedule that its kernel takes, and whether heads share tiles.

#include "codegen/spec_read_priv.h"
#include "codegen/tokens_priv.h"

#include "ir/base_priv.h"

enum {
  SPLIT_ROWS = 32, // of a kv head: two tiles of the schedule split
  SPLIT_KEYS = 512 // fewer are read in less time than a second kernel takes to start
};

// The length of q, k or v where the graph says it.
static bool read_length(const qn_graph *graph, qn_node node, uint32_t operand, const char *layout_name,
                        uint64_t *out_length) {
  qn_layout layout = (qn_layout)qn_node_get_int(graph, node, layout_name);
  qn_type_info type =
      qn_type_get_info(graph, qn_value_get_type(graph, qn_node_get_operand(graph, node, operand)));
  int64_t length;
  if (layout == QN_LAYOUT_PSHD || layout == QN_LAYOUT_PHSD) return false; // a table says which pages are whose
  if (!qn_dim_is_const(graph, type.dims[layout == QN_LAYOUT_BHSD ? 2 : 1], &length) || length > INT32_MAX)
    return false;
  *out_length = (uint64_t)length;
  return true;
}

// Whether the heads of a kv head need at most half the tiles together that each would need alone: then the work
// saved is worth more than the blocks that run beside each other.
static bool packing_pays(const qn_kernel_spec *spec, uint64_t length) {
  qn_tiles tiles = qn_schedule_get_tiles(spec);
  uint64_t tile = tiles.tile_q, group = spec->heads / spec->kv_heads;
  // Whole tokens are quantized by warps that have all packed heads of a token.
  bool whole = spec->schedule == QN_SCHEDULE_mma && qn_kernel_is_deferred(spec);
  if (tile > 0 && whole && tile / tiles.warps % group != 0) return false;
  return tile > 0 && 2 * ((length * group + tile - 1) / tile) <= group * ((length + tile - 1) / tile);
}

// Whether a block for each kv head would have few rows and many keys.
static bool splitting_pays(const qn_graph *graph, qn_node node, const qn_kernel_spec *spec, uint64_t length) {
  uint64_t keys;
  bool window = spec->window_left >= 0 && (spec->causal != QN_CAUSAL_NONE || spec->window_right >= 0);
  if (length * (spec->heads / spec->kv_heads) > SPLIT_ROWS) return false;
  if (window && (uint64_t)spec->window_left + (uint64_t)QN_MAX(spec->window_right, 0) < SPLIT_KEYS)
    return false;
  return !read_length(graph, node, QN_ATTENTION_K, "k_layout", &keys) || keys >= SPLIT_KEYS;
}

void qn_spec_choose_schedule(const qn_graph *graph, qn_node node, qn_kernel_spec *spec) {
  uint64_t length;
  qn_reason unused;
  spec->schedule = QN_SCHEDULE_mma;
  spec->pack_heads = false;
  if (spec->varlen || spec->kv_heads == 0 || spec->heads % spec->kv_heads != 0 ||
      !read_length(graph, node, QN_ATTENTION_Q, "q_layout", &length))
    return;
  if (splitting_pays(graph, node, spec, length)) spec->schedule = QN_SCHEDULE_split;
  spec->pack_heads = packing_pays(spec, length);
  if (!qn_supports_deferred(spec, &unused)) spec->pack_heads = false; // a warp would have parts of tokens
}
