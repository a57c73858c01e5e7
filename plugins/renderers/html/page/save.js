"use strict";
// Files that a page saves.

/** RFC 4180. */
function csvText(lines) {
  const field = (text) => (/^[\w.+-]*$/.test(text) ? text : `"${text.replaceAll('"', '""')}"`);
  return lines.map((line) => line.map(field).join(",") + "\r\n").join("");
}

function svgElement(name, attributes, text = "") {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.textContent = text;
  return element;
}

/** An SVG document with nothing but its title and light ground. */
function svgPage(width, height, fontSize) {
  const svg = svgElement("svg", { width, height, viewBox: `0 0 ${width} ${height}`, "font-family": "sans-serif", "font-size": fontSize });
  svg.append(svgElement("title", {}, document.title), svgElement("rect", { width, height, fill: "#fff" }));
  return svg;
}

function svgFile(svg, width, height) { return { text: new XMLSerializer().serializeToString(svg), width, height }; }

/** What says how wide a text is in a font. */
function measure(font) {
  const context = document.createElement("canvas").getContext("2d");
  context.font = font;
  return (text) => context.measureText(text).width;
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
