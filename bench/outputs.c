// The rows of outputs.h: schemes as their text.
#include "outputs.h"

// clang-format off
const bench_output bench_outputs[BENCH_OUTPUT_COUNT] = {
  { "fp8 cast",                  "fp8_cast",                                     1.02 },
  { "fp8 static, divide",        "fp8_static",                                   1.02 },
  { "fp8 static, reciprocal",    "fp8_static{arithmetic=reciprocal}",            1.02 },
  { "fp8 channel",               "fp8_channel",                                  1.02 },
  { "fp8 group 128",             "fp8_group",                                    1.02 },
  { "fp8 group 64",              "fp8_group{group=64}",                          1.02 },
  { "fp8 group 32, packed e8m0", "fp8_group{scale=e8m0, scale_layout=packed, rule=up, arithmetic=reciprocal, group=32}", 1.02 },
  { "int8 static",               "int8_static{zero_point=none}",                 1.02 },
  { "nvfp4",                     "nvfp4",                                        1.05 },
  { "mxfp8",                     "mxfp8",                                        1.05 },
  { "mxfp4",                     "mxfp4",                                        1.05 },
  { "fp8 token",                 "fp8_token",                                    1.02 },
  { "int8 token",                "int8_token",                                   1.02 },
};
// clang-format on
