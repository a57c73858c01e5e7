"use strict";
// A context attribution: its tokens as text, and rankings of cues and of units. The data is written by context_data.cpp.

/** Numbers of one selected token: `cues` has {scores, strong, units} for each context, or null. */
function selectedOf(json) {
  const cues = json.cues.map((part) => part && { scores: decode(part.scores, Float32Array), strong: part.strong, units: part.units });
  const magnitude = cues.reduce((largest, part) => (part?.scores ?? []).reduce((size, score) => Math.max(size, Number.isFinite(score) ? Math.abs(score) : 0), largest), 0);
  return { ...json, cues, magnitude };
}

/** Names of the units, such as documents, that a position of a context is in. */
function unitsAt(context, position) {
  return context.units.filter(({ start, end }) => start <= position && position < end).map(({ name }, i, all) => name || String(i + 1));
}

/** Tokens of a text, without gaps so that letters join across them. */
class TokenText {
  /** `say(position)` is what the tip says, or null. */
  constructor(root, { tokens, breaks }, say, tip) {
    const lineEnds = new Set(breaks);
    this.colors = [];
    const paragraph = document.createElement("p");
    paragraph.dir = "auto";
    this.spans = tokens.map((token, position) => {
      const span = document.createElement("span");
      span.textContent = token;
      span.dataset.position = position;
      paragraph.append(span);
      if (lineEnds.has(position)) paragraph.append(document.createElement("br"));
      return span;
    });
    root.replaceChildren(paragraph);
    root.addEventListener("pointerover", (event) => {
      const span = event.target.closest("[data-position]");
      const said = span && say(Number(span.dataset.position));
      if (said) tip.show(span.getBoundingClientRect(), said);
      else tip.hide();
    });
    root.addEventListener("pointerleave", () => tip.hide());
    root.addEventListener("scroll", () => tip.hide());
    this.root = root;
  }

  /** Colours by scores on a scale that ends at `magnitude`; only what changes is touched, since texts are long. */
  color(scores, colors, magnitude) {
    this.spans.forEach((span, i) => {
      const color = scores ? colors.of(scores[i], magnitude) : null;
      if (color === this.colors[i]) return;
      this.colors[i] = color;
      span.style.background = color ? color.ground : "";
      span.style.color = color ? color.letters : "";
    });
  }

  /** Frames the cues and writes their weights behind them. */
  mark(strong, scores) {
    for (const span of this.root.querySelectorAll(".cue")) {
      span.classList.remove("cue");
      delete span.dataset.weight;
    }
    for (const position of strong) {
      this.spans[position].classList.add("cue");
      this.spans[position].dataset.weight = shortText(scores[position], 2);
    }
  }

  /** Outlines a stretch that is pointed at in a ranking, and brings it into sight. */
  point(start, end) {
    this.unpoint();
    for (let i = start; i < end; ++i) this.spans[i].classList.add("pointed");
    if (start < end) this.scrollTo(start);
  }

  unpoint() {
    for (const span of this.root.querySelectorAll(".pointed")) span.classList.remove("pointed");
  }

  /** Brings a token into the part of a long text that is visible. */
  scrollTo(position) {
    const { root } = this, { offsetTop, offsetHeight } = this.spans[position];
    if (offsetTop < root.scrollTop || offsetTop + offsetHeight > root.scrollTop + root.clientHeight)
      root.scrollTop = offsetTop - root.clientHeight / 2;
  }
}

/** The output, in which a selected token is chosen. */
class OutputView {
  /** `onChoose(rank)` is called when the reader chooses a token; `say` as in TokenText. */
  constructor(root, output, selected, onChoose, say, tip) {
    this.text = new TokenText(root, output, say, tip);
    this.onChoose = onChoose;
    // Arrow keys go through the text, not through the ranking.
    this.order = selected.map((_, rank) => rank).sort((a, b) => selected[a].index - selected[b].index);
    this.steps = selected.map(({ index }) => this.text.spans[index]);
    this.steps.forEach((span, rank) => {
      span.classList.add("step");
      span.setAttribute("role", "button");
      span.dataset.rank = rank;
    });
    root.addEventListener("click", (event) => this.pick(event.target.closest(".step")));
    root.addEventListener("keydown", (event) => this.key(event));
  }

  choose(rank) {
    this.rank = rank;
    this.steps.forEach((span, i) => {
      span.tabIndex = i === rank ? 0 : -1;
      span.setAttribute("aria-pressed", String(i === rank));
    });
    this.text.scrollTo(Number(this.steps[rank].dataset.position));
  }

  pick(span) {
    if (span) this.onChoose(Number(span.dataset.rank));
  }

  key(event) {
    const { order } = this, last = order.length - 1;
    // In text that runs from right to left the next token stands at the left.
    const forward = getComputedStyle(event.target).direction === "rtl" ? -1 : 1;
    const moves = { ArrowRight: forward, ArrowLeft: -forward, ArrowDown: 1, ArrowUp: -1, Home: -last, End: last };
    if (event.key === "Enter" || event.key === " ") this.pick(event.target.closest(".step"));
    else if (event.key in moves && order.length > 0)
      this.onChoose(order[Math.max(0, Math.min(last, order.indexOf(this.rank) + moves[event.key]))]);
    else return;
    event.preventDefault();
    this.steps[this.rank].focus();
  }
}

/** What matters most first; each entry is {text, score, say, point}. */
class Ranking {
  static MOST = 50;

  constructor(root, more, tip) {
    Object.assign(this, { root, more, tip });
    root.addEventListener("keydown", (event) => this.key(event));
  }

  show(entries, magnitude) {
    const shown = entries.slice(0, Ranking.MOST);
    this.more.textContent = entries.length > shown.length ? `${shown.length} of ${entries.length}, those with the largest scores` : "";
    this.buttons = shown.map((entry, i) => this.button(entry, i, magnitude));
    this.root.replaceChildren(...this.buttons.map((button) => {
      const item = document.createElement("li");
      item.append(button);
      return item;
    }));
  }

  button({ text, score, say, point, unpoint }, index, magnitude) {
    const button = Object.assign(document.createElement("button"), { type: "button", tabIndex: index === 0 ? 0 : -1 });
    const weight = document.createElement("span"), token = document.createElement("bdi"), bar = document.createElement("span");
    weight.className = "weight";
    weight.textContent = shortText(score, 3);
    token.textContent = text;
    bar.className = score < 0 ? "bar negative" : "bar";
    bar.style.setProperty("--share", magnitude > 0 ? Math.min(1, Math.abs(score) / magnitude) : 0);
    button.append(weight, token, bar);
    const show = () => {
      point();
      this.tip.show(button.getBoundingClientRect(), say());
    };
    const hide = () => {
      unpoint();
      this.tip.hide();
    };
    for (const name of ["pointerenter", "focus", "click"]) button.addEventListener(name, show);
    for (const name of ["pointerleave", "blur"]) button.addEventListener(name, hide);
    return button;
  }

  key(event) {
    const moves = { ArrowDown: 1, ArrowUp: -1, Home: -Ranking.MOST, End: Ranking.MOST };
    if (!(event.key in moves)) return;
    event.preventDefault();
    const from = this.buttons.indexOf(event.target);
    const to = Math.max(0, Math.min(this.buttons.length - 1, from + moves[event.key]));
    this.buttons[from].tabIndex = -1;
    this.buttons[to].tabIndex = 0;
    this.buttons[to].focus();
  }
}
