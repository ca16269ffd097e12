// Which module of the network a node belongs to, from what exporters leave behind.
#include "formats/onnx/onnx_priv.h"

static const char *find_metadata(const pb_node *node, const char *key) {
  for (size_t i = 0; i < node->n_metadata_props; i++) {
    if (qn_onnx_same(node->metadata_props[i]->key, key)) return node->metadata_props[i]->value;
  }
  return NULL;
}

// `['', 'model', 'model.layers.0', 'softmax']`: PyTorch's list of enclosing modules, outermost first; the last
// entry is the node itself. Finds the last but one.
static bool last_scope(const char *list, const char **out_text, size_t *out_length) {
  const char *text[2] = { NULL, NULL }; // the last two entries
  size_t length[2] = { 0, 0 };
  for (const char *c = list; *c;) {
    if (*c != '\'' && *c != '"') {
      c++;
      continue;
    }
    const char *start = c + 1, *end = strchr(start, *c);
    if (!end) return false;
    text[0] = text[1], length[0] = length[1];
    text[1] = start, length[1] = (size_t)(end - start);
    c = end + 1;
  }
  if (!length[0]) return false;
  *out_text = text[0];
  *out_length = length[0];
  return true;
}

// `: Model/model.layers.0: Block/softmax: aten.softmax`: slash-separated `name: class`, the last one the node
// itself.
static bool last_namespace(const char *list, const char **out_text, size_t *out_length) {
  const char *end = strrchr(list, '/');
  if (!end) return false;
  const char *start = end;
  while (start > list && start[-1] != '/') start--;
  const char *colon = memchr(start, ':', (size_t)(end - start));
  *out_text = start;
  *out_length = (size_t)((colon ? colon : end) - start);
  return *out_length > 0;
}

// "/model/layers.0/self_attn/MatMul_1" -> "model.layers.0.self_attn". Names without slashes tell nothing.
static void from_node_name(const char *name, qn_buf *out) {
  const char *end = strrchr(name, '/');
  if (!end) return;
  if (*name == '/') name++;
  for (const char *part = name; part < end;) {
    const char *next = memchr(part, '/', (size_t)(end - part));
    if (!next) next = end;
    if (out->length) qn_buf_append(out, ".", 1);
    qn_buf_append(out, part, (size_t)(next - part));
    part = next + (next < end);
  }
}

void qn_onnx_layer(const pb_node *node, qn_buf *out) {
  const char *text = NULL;
  size_t length = 0;
  const char *scopes = find_metadata(node, "pkg.torch.onnx.name_scopes");
  const char *names = scopes ? NULL : find_metadata(node, "namespace");
  if (scopes ? last_scope(scopes, &text, &length) : names && last_namespace(names, &text, &length))
    qn_buf_append(out, text, length);
  else if (!scopes && !names && node->name)
    from_node_name(node->name, out);
}
