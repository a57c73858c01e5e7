"use strict";
// Joins the views of attributions and the controls.

class Page {
  static ATTRIBUTIONS = -1;

  constructor(data) {
    this.data = data;
    this.sequences = data.sequences.map((json) => new Sequence(json));
    this.tip = new Tip(byId("tip"));
    this.text = new TextView(byId("text"), (step) => this.choose(step), this.tip);
    this.heatmap = new Heatmap(byId("heatmap"), (step) => this.choose(step), this.tip);
    // Single layers and heads are pale on the scale of all.
    byId("scale").value = this.sequences.some(({ dims }) => dims.length > 0) ? "view" : "result";
    byId("sequence").append(...this.sequences.map(({ title }, i) => new Option(`${i}: ${title}`, i)));
    byId("sequence-control").hidden = this.sequences.length < 2;
    byId("sequence").addEventListener("change", (event) => this.show(Number(event.target.value)));
    byId("map").addEventListener("change", (event) => this.showMap(Number(event.target.value)));
    byId("scale").addEventListener("change", () => this.color());
    byId("numbers").addEventListener("change", () => this.draw());
    onLook(() => this.color());
    onSave("heatmap", { csv: () => csvOf(this.sequence), svg: () => this.svg() });
    this.show(0);
  }

  show(index) {
    this.index = index;
    const { maps } = this.data.sequences[index];
    byId("map").replaceChildren(new Option("attributions", Page.ATTRIBUTIONS), ...maps.map(({ name }, i) => new Option(name, i)));
    byId("map-control").hidden = maps.length === 0;
    this.showMap(Page.ATTRIBUTIONS);
  }

  /** Map `number` of the sequence, or its attributions. */
  showMap(number) {
    const json = this.data.sequences[this.index];
    this.isMap = number !== Page.ATTRIBUTIONS;
    this.sequence = this.isMap ? Sequence.ofMap(json, json.maps[number]) : this.sequences[this.index];
    this.step = 0;
    this.makeSliders();
    this.draw();
  }

  draw() {
    this.text.show(this.sequence);
    this.heatmap.show(this.sequence, byId("numbers").checked);
    byId("heatmap").hidden = this.heatmap.rows.length === 0 || this.sequence.steps === 0;
    byId("remark").textContent = this.sequence.remark;
    this.color();
  }

  makeSliders() {
    const { sequence } = this;
    byId("dims").replaceChildren(...sequence.dims.map((dim, i) => {
      const control = document.createElement("label");
      const slider = Object.assign(document.createElement("input"), { type: "range", min: Sequence.MEAN, max: dim.size - 1, value: sequence.choice[i] });
      const output = document.createElement("output");
      const say = () => {
        output.textContent = sequence.choice[i] === Sequence.MEAN ? "mean" : String(sequence.choice[i]);
        slider.setAttribute("aria-valuetext", `${dim.name} ${output.textContent}`);
      };
      slider.addEventListener("input", () => {
        sequence.choose(sequence.choice.with(i, Number(slider.value)));
        say();
        this.color();
      });
      say();
      control.append(`${dim.name} `, slider, output);
      return control;
    }));
  }

  choose(step) {
    this.step = step;
    this.color();
  }

  /** Where the scale of a column ends, as the reader chose it. */
  magnitudes() {
    const { sequence, data } = this;
    const kind = byId("scale").value;
    if (kind === "step") {
      const ends = Array.from({ length: sequence.steps }, (_, step) => sequence.magnitude(step));
      return (step) => ends[step];
    }
    // The scale of the result is that of attributions.
    const end = kind === "view" || this.isMap ? sequence.magnitude() : data.scale;
    return () => end;
  }

  color() {
    if (this.sequence.steps === 0) return;
    const colors = new Colors(this.data.palettes[look()]), magnitudes = this.magnitudes();
    this.text.color(this.step, colors, magnitudes(this.step));
    this.heatmap.color(this.step, colors, magnitudes);
    const end = byId("scale").value === "step" ? "largest of the step" : exactText(Math.fround(magnitudes(0)));
    byId("legend").replaceChildren(`Colours: -${end}`, colors.strip(), end);
    this.summarize();
  }

  /** The chosen step in words. */
  summarize() {
    const { sequence, step } = this;
    const strongest = sequence.strongest(step, 5)
      .map(({ part, row, value }) => `${label(part.side.tokens[row])} (${sequence.parts.length > 1 ? `${part.name} ` : ""}${row}) ${shortText(value, 3)}`);
    const scores = sequence.stepScores.map(({ name, whole, values }) => `${name} ${shortText(values[step], whole ? 0 : 3)}`);
    const text = `${sequence.stepToken(step)} (${sequence.start + step})`;
    byId("summary").textContent = [strongest.length ? `${text} depends most on ${strongest.join(", ")}` : text, ...scores].join("; ");
  }

  svg() {
    return svgOf(this.sequence, new Colors(this.data.palettes.light), this.magnitudes(), byId("numbers").checked);
  }
}

const data = JSON.parse(byId("data").textContent);
if (data.sequences.length > 0) new Page(data);
else byId("remark").textContent = "no sequences";
