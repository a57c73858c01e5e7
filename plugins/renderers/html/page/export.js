"use strict";
// What is shown as CSV, SVG and PNG.

/** RFC 4180: one line for each row, exact values; empty where no influence is possible. */
function csvOf(sequence) {
  const field = (text) => (/^[\w.+-]*$/.test(text) ? text : `"${text.replaceAll('"', '""')}"`);
  const steps = Array.from({ length: sequence.steps }, (_, step) => step);
  const lines = [["part", "position", "token", ...steps.map((step) => `${sequence.start + step} ${sequence.target.tokens[sequence.start + step]}`)]];
  for (const part of sequence.parts)
    for (let row = 0; row < part.rows; ++row)
      lines.push([part.name, String(row), part.side.tokens[row], ...steps.map((step) => {
        const value = sequence.value(part, row, step);
        return Number.isNaN(value) ? "" : exactText(value);
      })]);
  for (const score of sequence.stepScores)
    lines.push(["step score", "", score.name, ...steps.map((step) => (Number.isNaN(score.values[step]) ? "" : String(score.values[step])))]);
  return lines.map((line) => line.map(field).join(",") + "\r\n").join("");
}

/** The whole heatmap as an SVG document, for light paper; `magnitudes(step)` ends the scale of a column. */
function svgOf(sequence, colors, magnitudes, numbers) {
  const space = "http://www.w3.org/2000/svg";
  const make = (name, attributes, text = "") => {
    const element = document.createElementNS(space, name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    element.textContent = text;
    return element;
  };
  const size = 11, row = 18, column = numbers ? 44 : 14, gap = 8;
  const measure = document.createElement("canvas").getContext("2d");
  measure.font = `${size}px sans-serif`;
  const widest = (texts) => Math.ceil(texts.reduce((width, text) => Math.max(width, measure.measureText(text).width), 0));

  const steps = Array.from({ length: sequence.steps }, (_, step) => step);
  const heads = steps.map((step) => `${sequence.stepToken(step)} ${sequence.start + step}`);
  const lines = sequence.parts.flatMap((part) => [
    ...(sequence.parts.length > 1 ? [{ text: part.name, bold: true }] : []),
    ...Array.from({ length: part.rows }, (_, index) => ({ part, index, text: `${index} ${label(part.side.tokens[index])}` }))]);
  lines.push(...sequence.stepScores.map((score) => ({ score, text: score.name })));
  const left = widest(lines.map(({ text }) => text)) + 3 * gap, top = widest(heads) + 2 * gap;
  const width = left + steps.length * column + gap, height = top + lines.length * row + gap;

  const svg = make("svg", { xmlns: space, width, height, viewBox: `0 0 ${width} ${height}`, "font-family": "sans-serif", "font-size": size });
  svg.append(make("title", {}, document.title), make("rect", { width, height, fill: "#fff" }));
  heads.forEach((text, step) => {
    const x = left + (step + 0.5) * column + size / 3, y = top - gap / 2;
    svg.append(make("text", { x, y, transform: `rotate(-90 ${x} ${y})` }, text));
  });
  lines.forEach((line, index) => {
    const y = top + index * row, base = y + row - 5;
    svg.append(make("text", { x: left - gap, y: base, "text-anchor": "end", ...(line.bold && { "font-weight": "bold" }) }, line.text));
    for (const step of line.bold ? [] : steps) {
      const x = left + step * column;
      const color = line.part && colors.of(sequence.value(line.part, line.index, step), magnitudes(step));
      if (line.part && !color) continue;
      if (color) svg.append(make("rect", { x, y, width: column - 1, height: row - 1, fill: color.ground }));
      if (!numbers) continue;
      const text = color ? shortText(sequence.value(line.part, line.index, step), 2) : shortText(line.score.values[step], line.score.whole ? 0 : 2);
      svg.append(make("text", { x: x + column - 5, y: base, "text-anchor": "end", fill: color ? color.letters : "#000" }, text));
    }
  });
  return { text: new XMLSerializer().serializeToString(svg), width, height };
}

/** A PNG of an SVG document, at twice its size where a browser can hold that. */
async function pngOf({ text, width, height }) {
  const longest = 16000;
  const scale = Math.min(2, longest / Math.max(width, height));
  const image = new Image();
  image.src = URL.createObjectURL(new Blob([text], { type: "image/svg+xml" }));
  await image.decode();
  const canvas = document.createElement("canvas");
  canvas.width = Math.ceil(width * scale);
  canvas.height = Math.ceil(height * scale);
  canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
  URL.revokeObjectURL(image.src);
  return new Promise((done, fail) => canvas.toBlob((blob) => (blob ? done(blob) : fail(new Error("the picture is too large"))), "image/png"));
}

function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}
