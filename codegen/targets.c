// The table of chips.

#include "codegen/spec_priv.h"

#include <string.h>

#define KIB 1024u

// clang-format off
// Shared memory: CUDA C++ Programming Guide, "Technical Specifications per Compute Capability"; one KiB of each
// block is the system's. Multiprocessors: of A100, A40, L40, H100 SXM, B200, B300 and RTX 5090 in NVIDIA's architecture
// papers and data sheets; other chips of a row have other counts, which costs a launch some balance and nothing else.
static const qn_target_info TARGETS[QN_TARGET_COUNT] = {
  //                     sm   fp8_cvt  fp4_cvt  multiprocessors  shared_block  shared_sm
  [QN_TARGET_sm_80]   = { 80,  false,  false,  108,             163 * KIB,    164 * KIB },
  [QN_TARGET_sm_86]   = { 86,  false,  false,  84,               99 * KIB,    100 * KIB },
  [QN_TARGET_sm_89]   = { 89,  true,   false,  142,              99 * KIB,    100 * KIB },
  [QN_TARGET_sm_90a]  = { 90,  true,   false,  132,             227 * KIB,    228 * KIB },
  [QN_TARGET_sm_100a] = { 100, true,   true,  148,             227 * KIB,    228 * KIB },
  [QN_TARGET_sm_103a] = { 103, true,   true,  148,             227 * KIB,    228 * KIB },
  [QN_TARGET_sm_120a] = { 120, true,   true,  170,              99 * KIB,    100 * KIB },
};
// clang-format on

static const struct {
  const char *name, *doc;
} NAMES[QN_TARGET_COUNT] = {
#define X(name, arch, sm, doc) { arch, doc },
  QN_TARGET_MAP(X)
#undef X
};

const char *qn_target_name(qn_target target) {
  return target < QN_TARGET_COUNT ? NAMES[target].name : "?";
}

const char *qn_target_doc(qn_target target) {
  return target < QN_TARGET_COUNT ? NAMES[target].doc : "";
}

qn_target qn_target_find(const char *name) {
  for (int i = 0; i < QN_TARGET_COUNT; i++)
    if (strcmp(NAMES[i].name, name) == 0) return (qn_target)i;
  return QN_TARGET_COUNT;
}

const qn_target_info *qn_target_get_info(qn_target target) {
  return &TARGETS[target];
}
