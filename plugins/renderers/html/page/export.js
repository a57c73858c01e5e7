"use strict";
// A heatmap as CSV and as SVG.

/** One line for each row, exact values; empty where no influence is possible. */
function csvOf(sequence) {
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
  return csvText(lines);
}

/** The whole heatmap as an SVG document, for light paper; `magnitudes(step)` ends the scale of a column. */
function svgOf(sequence, colors, magnitudes, numbers) {
  const size = 11, row = 18, column = numbers ? 44 : 14, gap = 8;
  const widthOf = measure(`${size}px sans-serif`);
  const widest = (texts) => Math.ceil(texts.reduce((width, text) => Math.max(width, widthOf(text)), 0));

  const steps = Array.from({ length: sequence.steps }, (_, step) => step);
  const heads = steps.map((step) => `${sequence.stepToken(step)} ${sequence.start + step}`);
  const lines = sequence.parts.flatMap((part) => [
    ...(sequence.parts.length > 1 ? [{ text: part.name, bold: true }] : []),
    ...Array.from({ length: part.rows }, (_, index) => ({ part, index, text: `${index} ${label(part.side.tokens[index])}` }))]);
  lines.push(...sequence.stepScores.map((score) => ({ score, text: score.name })));
  const left = widest(lines.map(({ text }) => text)) + 3 * gap, top = widest(heads) + 2 * gap;
  const width = left + steps.length * column + gap, height = top + lines.length * row + gap;

  const svg = svgPage(width, height, size);
  heads.forEach((text, step) => {
    const x = left + (step + 0.5) * column + size / 3, y = top - gap / 2;
    svg.append(svgElement("text", { x, y, transform: `rotate(-90 ${x} ${y})` }, text));
  });
  lines.forEach((line, index) => {
    const y = top + index * row, base = y + row - 5;
    svg.append(svgElement("text", { x: left - gap, y: base, "text-anchor": "end", ...(line.bold && { "font-weight": "bold" }) }, line.text));
    for (const step of line.bold ? [] : steps) {
      const x = left + step * column;
      const color = line.part && colors.of(sequence.value(line.part, line.index, step), magnitudes(step));
      if (line.part && !color) continue;
      if (color) svg.append(svgElement("rect", { x, y, width: column - 1, height: row - 1, fill: color.ground }));
      if (!numbers) continue;
      const text = color ? shortText(sequence.value(line.part, line.index, step), 2) : shortText(line.score.values[step], line.score.whole ? 0 : 2);
      svg.append(svgElement("text", { x: x + column - 5, y: base, "text-anchor": "end", fill: color ? color.letters : "#000" }, text));
    }
  });
  return svgFile(svg, width, height);
}
