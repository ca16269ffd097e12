// Curves over a length that doubles from point to point, as an SVG file.
#ifndef BENCH_PLOT_H
#define BENCH_PLOT_H

#include <stdbool.h>

enum { PLOT_POINTS_MAX = 16, PLOT_CURVES_MAX = 24 };

typedef struct plot_curve {
  const char *name;
  double y[PLOT_POINTS_MAX];
} plot_curve;

typedef struct plot {
  const char *title, *x_label, *y_label;
  int points;
  unsigned x[PLOT_POINTS_MAX]; // evenly spaced, each written under its place
  double y_from, y_to, y_step; // the axis; values beyond it are cut
  double y_mark;               // a dashed line that curves are judged by
  int curve_count;
  plot_curve curves[PLOT_CURVES_MAX];
} plot;

// False if the file cannot be written.
bool plot_write(const plot *p, const char *path);

#endif
