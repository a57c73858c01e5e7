"use strict";
// Colours of scores. The palettes come with the data.

class Colors {
  static ENTRIES = 200;

  /** `points`: colours at -1, -0.5, 0, 0.5 and 1. */
  constructor(points) {
    this.table = Array.from({ length: Colors.ENTRIES + 1 }, (_, i) => {
      const place = (i / Colors.ENTRIES) * (points.length - 1);
      const from = Math.min(Math.floor(place), points.length - 2);
      const rgb = points[from].map((a, channel) => Math.round(a + (points[from + 1][channel] - a) * (place - from)));
      return { ground: `rgb(${rgb.join(", ")})`, letters: Colors.lettersOn(rgb) };
    });
  }

  /** Black or white, whichever has the larger WCAG 2.1 contrast. */
  static lettersOn(rgb) {
    const linear = rgb.map((channel) => (channel <= 10 ? channel / 3294 : ((channel / 255 + 0.055) / 1.055) ** 2.4));
    const luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
    return (luminance + 0.05) / 0.05 >= 1.05 / (luminance + 0.05) ? "#000" : "#fff";
  }

  /** Of a score on a scale that ends at `magnitude`; null where there is none. */
  of(score, magnitude) {
    if (Number.isNaN(score)) return null;
    const position = magnitude > 0 ? Math.max(-1, Math.min(1, score / magnitude)) : 0;
    return this.table[Math.round(((position + 1) / 2) * Colors.ENTRIES)];
  }

  /** A strip of all colours, for the legend. */
  strip() {
    const canvas = document.createElement("canvas");
    canvas.width = this.table.length;
    canvas.height = 12;
    const context = canvas.getContext("2d");
    this.table.forEach((color, x) => {
      context.fillStyle = color.ground;
      context.fillRect(x, 0, 1, canvas.height);
    });
    return canvas;
  }
}
