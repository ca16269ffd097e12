// Reads the assembler's report, which NVRTC puts into the log:
//
//   ptxas info    : Compiling entry function 'name' for 'sm_90a'
//   ptxas info    : Function properties for name
//       0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
//   ptxas info    : Used 168 registers, used 1 barriers, 256 bytes smem
#include "runtime/cubin_priv.h"

#include <stdlib.h>
#include <string.h>

// The number in front of `label` in [text, end), 0 if there is none.
static uint32_t number_before(const char *text, const char *end, const char *label) {
  const char *at = strstr(text, label);
  if (!at || at >= end) return 0;
  const char *digits = at;
  while (digits > text && digits[-1] >= '0' && digits[-1] <= '9') digits--;
  return (uint32_t)strtoul(digits, NULL, 10);
}

bool qn_ptxas_read(const char *log, const char *entry, qn_ptxas_info *out_info) {
  static const char opening[] = "Compiling entry function '";
  for (const char *at = log; at && (at = strstr(at, opening)) != NULL;) {
    at += sizeof(opening) - 1;
    size_t length = strcspn(at, "'");
    if (length != strlen(entry) || memcmp(at, entry, length) != 0) continue;
    const char *end = strstr(at, opening);
    if (!end) end = at + strlen(at);
    const char *used = strstr(at, "Used ");
    if (!used || used >= end) return false;
    *out_info = (qn_ptxas_info){
      .registers = number_before(used, end, " registers"),
      .frame_bytes = number_before(at, end, " bytes stack frame"),
      .spill_bytes =
          number_before(at, end, " bytes spill stores") + number_before(at, end, " bytes spill loads"),
      .shared_bytes = number_before(used, end, " bytes smem"),
    };
    return true;
  }
  return false;
}
