"use strict";
// The result as the page shows it. What it is made of is written by page_data.cpp.

/** Numbers from base64 text of their little-endian bytes. */
function decode(text, Type) {
  const letters = atob(text);
  const bytes = new Uint8Array(letters.length);
  for (let i = 0; i < letters.length; ++i) bytes[i] = letters.charCodeAt(i);
  return new Type(bytes.buffer);
}

/** The shortest text that gives a 32-bit float back. */
function exactText(value) {
  if (Number.isNaN(value)) return "no influence possible";
  if (!Number.isFinite(value)) return value > 0 ? "inf" : "-inf";
  for (let digits = 1; digits < 9; ++digits) {
    const text = value.toPrecision(digits);
    if (Math.fround(Number(text)) === Math.fround(value)) return String(Number(text));
  }
  return String(value);
}

/** A number as it fits a cell. */
function shortText(value, decimals) {
  if (Number.isNaN(value)) return "";
  if (!Number.isFinite(value)) return value > 0 ? "inf" : "-inf";
  if (Math.abs(value) >= 1e5) return value.toExponential(0);
  const text = value.toFixed(decimals);
  return Number(text) === 0 ? (0).toFixed(decimals) : text;
}

/** One text: its tokens, and its scores for the chosen entry of every granularity dim. */
class Sequence {
  static MEAN = -1;

  constructor(json) {
    Object.assign(this, { title: json.title, start: json.start, steps: json.end - json.start, dims: json.dims, remark: json.remark });
    this.source = json.source;
    this.target = json.target;
    this.parts = json.parts.map((part) => ({ name: part.name, rows: part.rows, side: json[part.name], scores: decode(part.scores, Float32Array) }));
    this.stepScores = json.stepScores.map((score) => ({ name: score.name, whole: score.whole, values: decode(score.values, Float64Array) }));
    this.choose(this.dims.map(() => Sequence.MEAN));
  }

  /** A map between tokens of `json`, the data of a sequence, as a sequence of its own. */
  static ofMap(json, map) {
    return new Sequence({ ...map, title: json.title, source: json.source, target: json[map.columns], stepScores: [], remark: "" });
  }

  /** One index for each dim, or MEAN for the mean over it. */
  choose(choice) {
    this.choice = choice;
    let offsets = [0];
    this.dims.forEach((dim, i) => {
      const entries = choice[i] === Sequence.MEAN ? Array.from({ length: dim.size }, (_, entry) => entry) : [choice[i]];
      offsets = offsets.flatMap((offset) => entries.map((entry) => offset * dim.size + entry));
    });
    const block = this.dims.reduce((size, dim) => size * dim.size, 1);
    for (const part of this.parts) {
      part.values = new Float32Array(part.rows * this.steps);
      for (let i = 0; i < part.values.length; ++i) {
        let sum = 0;
        for (const offset of offsets) sum += part.scores[i * block + offset];
        part.values[i] = sum / offsets.length;
      }
    }
  }

  value(part, row, step) { return part.values[row * this.steps + step]; }

  /** Largest finite magnitude of what is shown, of one step or of all. */
  magnitude(step) {
    let largest = 0;
    for (const part of this.parts)
      for (let i = step ?? 0; i < part.values.length; i += step === undefined ? 1 : this.steps) {
        const size = Math.abs(part.values[i]);
        if (size > largest && size !== Infinity) largest = size;
      }
    return largest;
  }

  /** The tokens a step depends on most: [{part, row, value}], the largest magnitude first. */
  strongest(step, count) {
    const all = this.parts.flatMap((part) =>
      Array.from({ length: part.rows }, (_, row) => ({ part, row, value: this.value(part, row, step) })));
    return all.filter(({ value }) => Math.abs(value) > 0)
      .sort((a, b) => Math.abs(b.value) - Math.abs(a.value)).slice(0, count);
  }

  stepToken(step) { return label(this.target.tokens[this.start + step]); }
}

/** A token with its blanks made visible. */
function label(token) { return token.replaceAll(" ", "·"); }

/** Names of the labelled stretches, such as turns of a chat, that a position is in. */
function labelsAt(side, position) {
  return side.labels.filter(({ start, end }) => start <= position && position < end).map(({ name }) => name);
}
