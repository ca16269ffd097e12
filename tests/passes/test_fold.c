// Folding of constants and of what shapes say.
#include "passes_test.h"

// Of a list that is known in part, nothing is folded; a number that is not known is no dim.
Test(fold, shape_values_that_are_partly_known_stay) {
  expect_text("fold",
              "graph (x: s64[1], q: f32[2,B]) {\n"
              "  a: s64[1] = shape(q)[end=1]\n"
              "  y: s64[1] = div(a, x)\n"
              "  z: s64[2] = concat(a, x)\n"
              "  return y, z\n"
              "}\n",
              "graph (x: s64[1], q: f32[2,B]) {\n"
              "  a: s64[1] = const[value={2}]\n"
              "  y: s64[1] = div(a, x)\n"
              "  z: s64[2] = concat(a, x)\n"
              "  return y, z\n"
              "}\n");
}
