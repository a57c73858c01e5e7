"use strict";
// Joins the views of a context attribution and the controls.

class ContextPage {
  constructor(data) {
    this.data = data;
    this.selected = data.selected.map(selectedOf);
    this.sensitivities = decode(data.output.scores, Float32Array);
    this.mostSensitive = this.sensitivities.reduce((size, score) => Math.max(size, Number.isFinite(score) ? Math.abs(score) : 0), 0);
    this.tip = new Tip(byId("tip"));
    this.output = new OutputView(byId("output"), data.output, this.selected, (rank) => this.choose(rank), (position) => this.sayOutput(position), this.tip);
    this.contexts = data.contexts.map((context, i) => this.addContext(context, i));
    this.cues = new Ranking(byId("cues"), byId("more-cues"), this.tip);
    this.units = new Ranking(byId("units"), byId("more-units"), this.tip);
    byId("contexts-title").hidden = data.contexts.length === 0;
    byId("ranked").hidden = this.selected.length === 0;
    onLook(() => this.color());
    onSave("context", { csv: () => contextCsv(this), svg: () => contextSvg(this, new Colors(data.palettes.light)) });
    if (this.selected.length > 0) this.choose(0);
    else this.color();
  }

  addContext(context, index) {
    const heading = document.createElement("h3"), box = document.createElement("div");
    heading.textContent = context.name;
    heading.id = `context-${index}`;
    box.className = "text";
    box.tabIndex = 0; // for scrolling by keys
    box.setAttribute("role", "group");
    box.setAttribute("aria-labelledby", heading.id);
    byId("contexts").append(heading, box);
    return new TokenText(box, context, (position) => this.sayCue(index, position), this.tip);
  }

  get chosen() { return this.selected[this.rank]; }

  /** The token of the output, and what would be there without context. */
  outputLabel(position) {
    const other = this.data.output.contrasts[position];
    return label(this.data.output.tokens[position]) + (other === undefined ? "" : ` → ${label(other)}`);
  }

  sayOutput(position) {
    return { value: exactText(this.sensitivities[position]), lines: [`${this.outputLabel(position)} (${position})`, this.data.sensitivity] };
  }

  sayCue(index, position) {
    const context = this.data.contexts[index], part = this.chosen?.cues[index];
    if (!part) return null;
    const where = [`${context.name} ${position}`, ...unitsAt(context, position)].join(", ");
    return { value: exactText(part.scores[position]), lines: [`→ ${this.outputLabel(this.chosen.index)} (${this.chosen.index})`, `↓ ${label(context.tokens[position])} (${where})`] };
  }

  choose(rank) {
    this.rank = rank;
    this.output.choose(rank);
    this.contexts.forEach((text, i) => {
      const part = this.chosen.cues[i];
      text.mark(part?.strong ?? [], part?.scores);
      if (part?.strong.length) text.scrollTo(part.strong[0]);
    });
    this.showCues();
    this.showUnits();
    this.summarize();
    this.color();
  }

  /** Strong cues of all contexts: [{index, position, score}], the largest magnitude first. */
  strongest() {
    return this.chosen.cues.flatMap((part, index) => (part?.strong ?? []).map((position) => ({ index, position, score: part.scores[position] })))
      .sort((a, b) => Math.abs(b.score) - Math.abs(a.score));
  }

  cueText({ index, position }) {
    const context = this.data.contexts[index];
    return `${label(context.tokens[position])} (${this.contexts.length > 1 ? `${context.name} ` : ""}${position})`;
  }

  showCues() {
    this.cues.show(this.strongest().map((cue) => ({ text: this.cueText(cue), score: cue.score,
      say: () => this.sayCue(cue.index, cue.position),
      point: () => this.contexts[cue.index].point(cue.position, cue.position + 1),
      unpoint: () => this.contexts[cue.index].unpoint() })), this.chosen.magnitude);
  }

  /** Units of all contexts that have a score: [{index, unit, number, score}], the largest magnitude first. */
  rankedUnits() {
    return this.chosen.cues.flatMap((part, index) => this.data.contexts[index].units.map((unit, i) => ({ index, unit, number: i + 1, score: part?.units[i] ?? 0 })))
      .filter(({ score }) => score !== 0).sort((a, b) => Math.abs(b.score) - Math.abs(a.score));
  }

  showUnits() {
    const ranked = this.rankedUnits();
    byId("citations").hidden = this.data.contexts.every(({ units }) => units.length === 0);
    this.units.show(ranked.map(({ index, unit, number, score }) => ({ text: `${number}. ${unit.name}`, score,
      say: () => ({ value: exactText(score), lines: [`→ ${this.outputLabel(this.chosen.index)} (${this.chosen.index})`, `↓ ${number}. ${unit.name} (${this.data.contexts[index].name} ${unit.start} – ${unit.end - 1})`] }),
      point: () => this.contexts[index].point(unit.start, unit.end),
      unpoint: () => this.contexts[index].unpoint() })), Math.abs(ranked[0]?.score ?? 0));
  }

  /** The chosen token in words. */
  summarize() {
    const { chosen } = this, most = 5;
    const cues = this.strongest().slice(0, most).map((cue) => `${this.cueText(cue)} ${shortText(cue.score, 3)}`);
    const parts = [`${this.outputLabel(chosen.index)} (${chosen.index}): ${this.data.sensitivity} ${shortText(chosen.sensitivity, 3)}`];
    if (chosen.contrast !== null) parts.push(`without context ${label(chosen.contrast)}`);
    parts.push(cues.length ? `depends most on ${cues.join(", ")}` : "no cue stands out");
    byId("summary").textContent = parts.join("; ");
    byId("contextless").hidden = chosen.contextless === null;
    byId("contextless").textContent = chosen.contextless === null ? "" : `Without context: ${chosen.contextless}`;
  }

  color() {
    const colors = new Colors(this.data.palettes[look()]);
    this.output.text.color(this.sensitivities, colors, this.mostSensitive);
    const end = this.scale();
    this.contexts.forEach((text, i) => text.color(this.chosen?.cues[i]?.scores, colors, end));
    if (!this.chosen) return;
    const said = exactText(Math.fround(end));
    byId("legend").replaceChildren(`Colours: -${said}`, colors.strip(), `${said}; in the output the largest is ${exactText(this.mostSensitive)}`);
  }

  /** Where the scale of the contexts ends. */
  scale() { return this.data.scale ?? this.chosen?.magnitude ?? 0; }
}

new ContextPage(JSON.parse(byId("data").textContent));
