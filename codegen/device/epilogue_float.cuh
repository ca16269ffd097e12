// Output as it is: the staged values are the result.

struct epilogue {
  DEVICE void prepare(const launch_params &) {}
  DEVICE void enter(const launch_params &, const row_place &, u32) {}
  DEVICE void convert(u32 (&out)[PIECE_WORDS], const u32 (&staged)[STAGED_WORDS], const launch_params &, const row_place &, u32, bool) {
#pragma unroll
    for (int i = 0; i < 4; i++) out[i] = staged[i];
  }
};
