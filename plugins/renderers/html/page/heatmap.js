"use strict";
// The heatmap: a grid of which only the visible part is in the page, so that its size doesn't matter.

/** What a cell says: {value, row, column, lines}; the lines are those of a tip. `entry` is {part, row} of a token or {score} of a step score. */
function describe(sequence, entry, step) {
  const column = `${sequence.stepToken(step)} (${sequence.start + step})`;
  const said = (value, row) => ({ value, row, column, lines: [`→ ${column}`, `↓ ${row}`] });
  if (entry.score) return said(String(entry.score.values[step]), entry.score.name);
  const { part, row } = entry;
  const where = [`${part.name} ${row}`, ...labelsAt(part.side, row)].join(", ");
  return said(exactText(sequence.value(part, row, step)), `${label(part.side.tokens[row])} (${where})`);
}

class Heatmap {
  static ROW = 24;
  static LABEL = 170;
  static SPARE = 6; // rows and columns drawn beyond what is visible

  /** `onChoose(step)` is called when the reader goes to another column; `tip` shows exact values. */
  constructor(root, onChoose, tip) {
    Object.assign(this, { root, onChoose, tip, active: null });
    root.addEventListener("scroll", () => {
      if (!this.frame) this.frame = requestAnimationFrame(() => this.draw());
    });
    new ResizeObserver(() => this.draw()).observe(root);
    root.addEventListener("keydown", (event) => this.key(event));
    root.addEventListener("focus", () => {
      // A click chooses its own cell.
      if (root.matches(":focus-visible")) this.move(this.active ?? { row: this.firstRow(), step: this.step });
    });
    root.addEventListener("blur", () => tip.hide());
    root.addEventListener("pointerover", (event) => this.point(event.target.closest("[data-row]")));
    root.addEventListener("pointerleave", () => tip.hide());
    root.addEventListener("click", (event) => this.click(event.target.closest("[data-step]")));
  }

  show(sequence, numbers) {
    this.sequence = sequence;
    this.active = null;
    this.step = 0;
    this.rows = [];
    for (const part of sequence.parts) {
      if (sequence.parts.length > 1) this.rows.push({ title: part.name });
      for (let row = 0; row < part.rows; ++row) this.rows.push({ part, row });
    }
    this.tokenRows = this.rows.length;
    for (const score of sequence.stepScores) this.rows.push({ score });
    this.width = numbers ? 62 : 20;
    this.headHeight = numbers ? 44 : 110;
    this.root.classList.toggle("narrow", !numbers);
    this.root.setAttribute("aria-rowcount", String(this.rows.length + 1));
    this.root.setAttribute("aria-colcount", String(sequence.steps + 1));
    this.head = this.layer("head", this.headHeight);
    this.body = this.layer("body", this.tokenRows * Heatmap.ROW);
    this.foot = this.layer("foot", (this.rows.length - this.tokenRows) * Heatmap.ROW);
    this.root.replaceChildren(this.head, this.body, this.foot);
    this.root.scrollTo(0, 0);
  }

  layer(name, height) {
    const element = document.createElement("div");
    element.className = name;
    element.setAttribute("role", "rowgroup");
    element.style.height = `${height}px`;
    element.style.width = `${Heatmap.LABEL + this.sequence.steps * this.width}px`;
    return element;
  }

  /** Colours everything anew; `magnitudes(step)` ends the scale of a column. */
  color(step, colors, magnitudes) {
    Object.assign(this, { step, colors, magnitudes });
    this.drawn = [];
    this.draw();
  }

  /** The rows and columns to draw, in steps, so that it changes rarely while scrolling. */
  visible() {
    const range = (offset, size, unit, count) => [
      Math.max(0, (Math.floor(offset / unit / Heatmap.SPARE) - 1) * Heatmap.SPARE),
      Math.min(count, (Math.ceil((offset + size) / unit / Heatmap.SPARE) + 1) * Heatmap.SPARE)];
    const { scrollTop, scrollLeft, clientHeight, clientWidth } = this.root;
    return [...range(scrollTop, clientHeight, Heatmap.ROW, this.tokenRows),
      ...range(scrollLeft, clientWidth, this.width, this.sequence.steps)];
  }

  draw() {
    this.frame = 0;
    if (!this.colors) return;
    const range = this.visible();
    const [firstRow, endRow, firstStep, endStep] = range;
    const [oldFirst, oldEnd, oldFirstStep, oldEndStep] = this.drawn;
    const sameColumns = firstStep === oldFirstStep && endStep === oldEndStep;
    if (sameColumns && firstRow === oldFirst && endRow === oldEnd) return;
    this.drawn = range;
    const kept = new Map(sameColumns ? [...this.body.children].map((row, i) => [oldFirst + i, row]) : []);
    const rows = (first, end, above) => Array.from({ length: end - first }, (_, i) => kept.get(first + i) ?? this.row(first + i, above + i, firstStep, endStep));
    this.body.replaceChildren(...rows(firstRow, endRow, firstRow));
    if (!sameColumns) {
      this.head.replaceChildren(this.columns(firstStep, endStep));
      this.foot.replaceChildren(...rows(this.tokenRows, this.rows.length, 0));
    }
    this.mark();
  }

  columns(first, end) {
    const row = this.element("row", "row");
    row.setAttribute("aria-rowindex", "1");
    row.style.height = "100%";
    row.append(this.rowLabel("columnheader", "", ""));
    for (let step = first; step < end; ++step) {
      const cell = this.element("column", "columnheader");
      this.place(cell, step);
      const position = this.element("position");
      position.textContent = String(this.sequence.start + step);
      const token = document.createElement("bdi");
      token.textContent = this.sequence.stepToken(step);
      cell.append(position, token);
      cell.title = token.textContent;
      row.append(cell);
    }
    return row;
  }

  /** Row `index` with `above` rows of its layer before it. */
  row(index, above, first, end) {
    const entry = this.rows[index];
    const row = this.element(entry.title ? "row part" : "row", "row");
    row.setAttribute("aria-rowindex", String(index + 2));
    row.style.top = `${above * Heatmap.ROW}px`;
    row.style.height = `${Heatmap.ROW}px`;
    if (entry.title) {
      row.append(this.rowLabel("rowheader", "", entry.title));
      return row;
    }
    row.append(entry.score ? this.rowLabel("rowheader", "", entry.score.name)
      : this.rowLabel("rowheader", String(entry.row), label(entry.part.side.tokens[entry.row])));
    for (let step = first; step < end; ++step) row.append(this.cell(index, entry, step));
    return row;
  }

  rowLabel(role, position, text) {
    const element = this.element("label", role);
    element.setAttribute("aria-colindex", "1");
    element.style.width = `${Heatmap.LABEL}px`;
    const number = this.element("position");
    number.textContent = position;
    const token = document.createElement("bdi");
    token.textContent = text;
    element.append(number, token);
    element.title = text;
    return element;
  }

  cell(index, entry, step) {
    const cell = this.element("cell", "gridcell");
    cell.id = `cell-${index}-${step}`;
    cell.dataset.row = index;
    this.place(cell, step);
    if (entry.score) {
      cell.textContent = shortText(entry.score.values[step], entry.score.whole ? 0 : 2);
      return cell;
    }
    const score = this.sequence.value(entry.part, entry.row, step);
    const color = this.colors.of(score, this.magnitudes(step));
    cell.textContent = shortText(score, 2);
    if (color) Object.assign(cell.style, { background: color.ground, color: color.letters });
    return cell;
  }

  element(className, role) {
    const element = document.createElement(role ? "div" : "span");
    element.className = className;
    if (role) element.setAttribute("role", role);
    return element;
  }

  place(element, step) {
    element.dataset.step = step;
    element.setAttribute("aria-colindex", String(step + 2));
    element.style.left = `${Heatmap.LABEL + step * this.width}px`;
    element.style.width = `${this.width}px`;
    element.classList.toggle("chosen", step === this.step);
  }

  firstRow() { return this.rows.findIndex((row) => !row.title); }

  activeCell() { return this.active && document.getElementById(`cell-${this.active.row}-${this.active.step}`); }

  /** Marks the active cell, if it is drawn, for readers and for screen readers. */
  mark() {
    this.root.querySelector(".active")?.classList.remove("active");
    const cell = this.activeCell();
    cell?.classList.add("active");
    if (!cell) return this.root.removeAttribute("aria-activedescendant");
    const { value, row, column } = describe(this.sequence, this.rows[this.active.row], this.active.step);
    cell.setAttribute("aria-label", `${column} from ${row}: ${value}`);
    this.root.setAttribute("aria-activedescendant", cell.id);
  }

  move(place) {
    if (this.sequence.steps === 0 || place.row < 0) return;
    this.active = place;
    if (place.step !== this.step) this.onChoose(place.step);
    const { root } = this;
    const left = place.step * this.width, top = place.row * Heatmap.ROW;
    const width = root.clientWidth - Heatmap.LABEL - this.width, height = root.clientHeight - this.headHeight - this.foot.offsetHeight - Heatmap.ROW;
    root.scrollLeft = Math.max(left - width, Math.min(root.scrollLeft, left));
    if (place.row < this.tokenRows) root.scrollTop = Math.max(top - height, Math.min(root.scrollTop, top));
    this.draw();
    this.mark();
    this.point(this.activeCell());
  }

  key(event) {
    if (event.key === "Escape") return this.tip.hide();
    if (!this.active) return;
    const { row, step } = this.active;
    const last = this.rows.length - 1, lastStep = this.sequence.steps - 1;
    const page = Math.max(1, Math.floor(this.root.clientHeight / Heatmap.ROW) - 4);
    const all = event.ctrlKey || event.metaKey;
    const targets = { ArrowLeft: [row, step - 1], ArrowRight: [row, step + 1], ArrowUp: [row - 1, step], ArrowDown: [row + 1, step],
      PageUp: [row - page, step], PageDown: [row + page, step], Home: [all ? 0 : row, 0], End: [all ? last : row, lastStep] };
    if (!(event.key in targets)) return;
    event.preventDefault();
    let [toRow, toStep] = targets[event.key];
    toRow = Math.max(0, Math.min(last, toRow));
    // Titles hold nothing to go to.
    while (this.rows[toRow].title) toRow += toRow < row && toRow > 0 ? -1 : 1;
    this.move({ row: toRow, step: Math.max(0, Math.min(lastStep, toStep)) });
  }

  point(cell) {
    if (!cell) return this.tip.hide();
    this.tip.show(cell.getBoundingClientRect(), describe(this.sequence, this.rows[cell.dataset.row], Number(cell.dataset.step)));
  }

  click(cell) {
    if (!cell) return;
    const row = cell.dataset.row === undefined ? this.active?.row ?? this.firstRow() : Number(cell.dataset.row);
    this.move({ row, step: Number(cell.dataset.step) });
  }
}
