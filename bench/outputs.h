// The output schemes that the benchmarks go through: one for each kind of epilogue.
#ifndef BENCH_OUTPUTS_H
#define BENCH_OUTPUTS_H

typedef struct bench_output {
  const char *name, *scheme;
  double limit; // of what it may cost against bf16 output
} bench_output;

enum { BENCH_OUTPUT_COUNT = 13 };
extern const bench_output bench_outputs[BENCH_OUTPUT_COUNT];

#endif
