"use strict";
// The text, coloured for one explained token.

class TextView {
  /** `onChoose(step)` is called when the reader chooses a token; `tip` shows exact values. */
  constructor(root, onChoose, tip) {
    this.root = root;
    this.onChoose = onChoose;
    this.tip = tip;
    root.addEventListener("click", (event) => this.pick(event.target.closest(".step")));
    root.addEventListener("keydown", (event) => this.key(event));
    root.addEventListener("pointerover", (event) => this.point(event.target.closest("[data-row]")));
    root.addEventListener("pointerleave", () => tip.hide());
  }

  show(sequence) {
    this.sequence = sequence;
    this.steps = [];
    this.spans = new Map(); // of each part that has scores
    this.root.replaceChildren();
    for (const name of ["source", "target"]) {
      const part = sequence.parts.find((candidate) => candidate.name === name);
      // The source of a decoder-only model is the beginning of its target.
      if (name === "source" && !part) continue;
      const heading = document.createElement("h3");
      heading.textContent = name;
      const paragraph = document.createElement("p");
      paragraph.dir = "auto";
      paragraph.append(...this.tokens(sequence[name], name, part));
      this.root.append(...(sequence.parts.length > 1 ? [heading] : []), paragraph);
    }
  }

  tokens(side, name, part) {
    const spans = [];
    const nodes = side.tokens.flatMap((token, position) => {
      const span = document.createElement("span");
      span.textContent = token;
      const step = position - this.sequence.start;
      if (name === "target" && step >= 0 && step < this.sequence.steps) {
        span.className = "step";
        span.setAttribute("role", "button");
        span.tabIndex = -1;
        span.dataset.step = step;
        this.steps.push(span);
      }
      if (part && position < part.rows) {
        span.dataset.part = name;
        span.dataset.row = position;
        spans.push(span);
      }
      return side.breaks.includes(position) ? [span, document.createElement("br")] : [span];
    });
    if (part) this.spans.set(part, spans);
    return nodes;
  }

  /** Colours the text for a step; `magnitude` ends the scale. */
  color(step, colors, magnitude) {
    this.steps.forEach((span, i) => {
      span.tabIndex = i === step ? 0 : -1;
      span.setAttribute("aria-pressed", String(i === step));
    });
    this.step = step;
    this.scrollTo(this.steps[step]);
    for (const [part, spans] of this.spans)
      spans.forEach((span, row) => {
        const color = colors.of(this.sequence.value(part, row, step), magnitude);
        span.style.background = color ? color.ground : "";
        span.style.color = color ? color.letters : "";
      });
  }

  /** Brings a token into the part of a long text that is visible. */
  scrollTo({ offsetTop, offsetHeight }) {
    const { root } = this;
    if (offsetTop < root.scrollTop || offsetTop + offsetHeight > root.scrollTop + root.clientHeight)
      root.scrollTop = offsetTop - root.clientHeight / 2;
  }

  pick(span) {
    if (span) this.onChoose(Number(span.dataset.step));
  }

  key(event) {
    // In text that runs from right to left the next token stands at the left.
    const forward = getComputedStyle(event.target).direction === "rtl" ? "ArrowLeft" : "ArrowRight";
    const moves = { ArrowRight: forward === "ArrowRight" ? 1 : -1, ArrowLeft: forward === "ArrowLeft" ? 1 : -1,
      ArrowDown: 1, ArrowUp: -1, Home: -this.steps.length, End: this.steps.length };
    if (event.key === "Enter" || event.key === " ") this.pick(event.target.closest(".step"));
    else if (event.key in moves) this.onChoose(Math.max(0, Math.min(this.steps.length - 1, this.step + moves[event.key])));
    else return;
    event.preventDefault();
    this.steps[this.step].focus();
  }

  point(span) {
    if (!span) return this.tip.hide();
    const part = this.sequence.parts.find(({ name }) => name === span.dataset.part);
    this.tip.show(span.getBoundingClientRect(), describe(this.sequence, { part, row: Number(span.dataset.row) }, this.step));
  }
}
