// The table of reason codes.
#include "ir/reason_priv.h"

#include <stdio.h>

static const struct {
  const char *name, *sentence, *hint;
  qn_stage stage;
} reasons[QN_WHY_COUNT] = {
#define X(name, stage, sentence, hint) { #name, sentence, hint, QN_STAGE_##stage },
  QN_WHY_MAP(X)
#undef X
};

const char *qn_why_name(qn_why why) {
  return why < QN_WHY_COUNT ? reasons[why].name : "?";
}
const char *qn_why_sentence(qn_why why) {
  return why < QN_WHY_COUNT ? reasons[why].sentence : "";
}
const char *qn_why_hint(qn_why why) {
  return why < QN_WHY_COUNT ? reasons[why].hint : "";
}
qn_stage qn_why_get_stage(qn_why why) {
  return why < QN_WHY_COUNT ? reasons[why].stage : QN_STAGE_NONE;
}

const char *qn_stage_name(qn_stage stage) {
  static const char *const names[] = { "", "import", "canonicalize", "match", "legality", "target" };
  return stage < QN_COUNT(names) ? names[stage] : "?";
}

bool qn_refuse(qn_reason *reason, qn_why why, const char *expected, const char *found_format, ...) {
  va_list list;
  va_start(list, found_format);
  reason->why = why;
  snprintf(reason->expected, sizeof reason->expected, "%s", expected);
  vsnprintf(reason->found, sizeof reason->found, found_format, list);
  va_end(list);
  return false;
}
