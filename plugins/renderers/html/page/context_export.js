"use strict";
// A context attribution as CSV and as SVG.

/** Sensitivities of the output, then scores of the contexts, with a column for each selected token; exact values. */
function contextCsv({ data, selected, sensitivities }) {
  const lines = [["part", "position", "token", data.sensitivity, ...selected.map(({ index }) => `${index} ${data.output.tokens[index]}`)]];
  data.output.tokens.forEach((token, i) => lines.push(["output", String(i), token, exactText(sensitivities[i]), ...selected.map(() => "")]));
  data.contexts.forEach((context, index) => {
    const scores = (name, i) => selected.map(({ cues }) => (cues[index] ? exactText(cues[index][name][i]) : ""));
    context.tokens.forEach((token, i) => lines.push([context.name, String(i), token, "", ...scores("scores", i)]));
    context.units.forEach(({ name, start, end }, i) => lines.push([`unit of ${context.name}`, `${start} ${end}`, name, "", ...scores("units", i)]));
  });
  return csvText(lines);
}

/** The output and, coloured for the chosen token, the contexts, for light paper. */
function contextSvg(page, colors) {
  const { data, chosen } = page;
  const size = 13, row = 23, gap = 10, width = 820;
  const font = `${size}px sans-serif`, widthOf = measure(font), boldWidthOf = measure(`bold ${font}`);
  const shapes = [];
  let top = gap;
  const write = (text, attributes = {}) => {
    shapes.push(svgElement("text", { x: gap, y: top + 16, ...attributes }, text));
    top += row;
  };
  // Every token stands alone, from the side where its text begins.
  const draw = (name, text, { tokens, breaks }, scores, magnitude, strong) => {
    write(name, { "font-weight": "bold" });
    const lineEnds = new Set(breaks), bold = new Set(strong);
    const leftward = getComputedStyle(text.root.firstChild).direction === "rtl";
    let place = 0;
    tokens.forEach((token, i) => {
      const taken = Math.max(3, bold.has(i) ? boldWidthOf(token) : widthOf(token));
      if (place > 0 && place + taken > width - 2 * gap) [place, top] = [0, top + row];
      const x = leftward ? width - gap - place - taken : gap + place;
      const color = scores ? colors.of(scores[i], magnitude) : null;
      if (color) shapes.push(svgElement("rect", { x, y: top, width: taken, height: row - 3, fill: color.ground }));
      shapes.push(svgElement("text", { x, y: top + 15, fill: color ? color.letters : "#000", ...(bold.has(i) && { "font-weight": "bold" }), style: "white-space:pre" }, token));
      place += taken;
      if (lineEnds.has(i)) [place, top] = [0, top + row];
    });
    top += row + gap;
  };
  draw(`output, coloured by ${data.sensitivity}`, page.output.text, data.output, page.sensitivities, page.mostSensitive, chosen ? [chosen.index] : []);
  data.contexts.forEach((context, i) => {
    const part = chosen?.cues[i];
    draw(part ? `${context.name}, cues of ${page.outputLabel(chosen.index)}` : context.name, page.contexts[i], context, part?.scores, page.scale(), part?.strong ?? []);
  });
  const svg = svgPage(width, top, size);
  svg.append(...shapes);
  return svgFile(svg, width, top);
}
