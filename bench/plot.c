// Axes, curves and their names, in the order in which they are drawn.
#include "plot.h"

#include <stdio.h>

enum { WIDTH = 860, HEIGHT = 460, LEFT = 64, TOP = 48, RIGHT = 240, BOTTOM = 56 };

static const char *const COLOURS[] = { "#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b",
                                       "#e377c2", "#7f7f7f", "#bcbd22", "#17becf", "#393b79", "#ad494a" };
// Where colours come again, the stroke tells the curves apart.
static const char *const DASHES[] = { "", " stroke-dasharray=\"6 3\"", " stroke-dasharray=\"2 3\"" };
enum { COLOUR_COUNT = sizeof COLOURS / sizeof *COLOURS, DASH_COUNT = sizeof DASHES / sizeof *DASHES };

static double place_x(const plot *p, int point) {
  double width = WIDTH - LEFT - RIGHT;
  return LEFT + (p->points > 1 ? width * point / (p->points - 1) : width / 2);
}

static double place_y(const plot *p, double y) {
  double inside = y < p->y_from ? p->y_from : y > p->y_to ? p->y_to : y;
  return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (inside - p->y_from) / (p->y_to - p->y_from);
}

static void write_axes(const plot *p, FILE *file) {
  fprintf(file, "<text x=\"%d\" y=\"24\" font-size=\"15\">%s</text>\n", LEFT, p->title);
  for (int i = 0; p->y_from + i * p->y_step <= p->y_to + p->y_step / 2; i++) {
    double value = p->y_from + i * p->y_step, y = place_y(p, value);
    fprintf(file, "<line x1=\"%d\" y1=\"%.1f\" x2=\"%d\" y2=\"%.1f\" stroke=\"#ddd\"/>\n", LEFT, y,
            WIDTH - RIGHT, y);
    fprintf(file, "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%.2f</text>\n", LEFT - 8, y + 4, value);
  }
  for (int i = 0; i < p->points; i++)
    fprintf(file, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%u</text>\n", place_x(p, i),
            HEIGHT - BOTTOM + 18, p->x[i]);
  fprintf(file, "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">%s</text>\n", (LEFT + WIDTH - RIGHT) / 2,
          HEIGHT - 14, p->x_label);
  fprintf(file, "<text transform=\"translate(16 %d) rotate(-90)\" text-anchor=\"middle\">%s</text>\n",
          (TOP + HEIGHT - BOTTOM) / 2, p->y_label);
  fprintf(file,
          "<line x1=\"%d\" y1=\"%.1f\" x2=\"%d\" y2=\"%.1f\" stroke=\"#333\" stroke-dasharray=\"8 4\"/>\n",
          LEFT, place_y(p, p->y_mark), WIDTH - RIGHT, place_y(p, p->y_mark));
}

static void write_curve(const plot *p, int index, FILE *file) {
  const plot_curve *curve = &p->curves[index];
  const char *colour = COLOURS[index % COLOUR_COUNT], *dash = DASHES[index / COLOUR_COUNT % DASH_COUNT];
  double key = TOP + 8 + index * 17;
  fprintf(file, "<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"2\"%s points=\"", colour, dash);
  for (int i = 0; i < p->points; i++) fprintf(file, "%.1f,%.1f ", place_x(p, i), place_y(p, curve->y[i]));
  fprintf(file,
          "\"/>\n<line x1=\"%d\" y1=\"%.1f\" x2=\"%d\" y2=\"%.1f\" stroke=\"%s\" stroke-width=\"2\"%s/>\n",
          WIDTH - RIGHT + 16, key, WIDTH - RIGHT + 40, key, colour, dash);
  fprintf(file, "<text x=\"%d\" y=\"%.1f\">%s</text>\n", WIDTH - RIGHT + 46, key + 4, curve->name);
}

bool plot_write(const plot *p, const char *path) {
  FILE *file = fopen(path, "w");
  if (!file) return false;
  fprintf(file,
          "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" font-family=\"sans-serif\" "
          "font-size=\"12\" fill=\"#222\">\n<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n",
          WIDTH, HEIGHT);
  write_axes(p, file);
  for (int i = 0; i < p->curve_count; i++) write_curve(p, i, file);
  fprintf(file, "</svg>\n");
  return fclose(file) == 0;
}
