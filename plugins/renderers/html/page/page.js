"use strict";
// Joins the views and the controls.

const byId = (id) => document.getElementById(id);

/** The box with exact values beside what is pointed at or focused. */
class Tip {
  constructor(root) { this.root = root; }

  show(box, { value, row, column }) {
    const lines = [["strong", value], ["div", `→ ${column}`], ["div", `↓ ${row}`]];
    this.root.replaceChildren(...lines.map(([name, text]) => {
      const line = document.createElement(name);
      line.textContent = text;
      line.dir = "auto";
      return line;
    }));
    this.root.hidden = false;
    const { offsetWidth, offsetHeight } = this.root;
    const below = box.bottom + 6, fits = below + offsetHeight <= innerHeight;
    this.root.style.left = `${Math.max(4, Math.min(box.left, innerWidth - offsetWidth - 4))}px`;
    this.root.style.top = `${fits ? below : Math.max(4, box.top - offsetHeight - 6)}px`;
  }

  hide() { this.root.hidden = true; }
}

class Page {
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
    byId("scale").addEventListener("change", () => this.color());
    byId("numbers").addEventListener("change", () => this.draw());
    byId("theme").addEventListener("change", (event) => {
      document.documentElement.dataset.theme = event.target.value;
      this.color();
    });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.color());
    this.onClick("copy-csv", () => this.copy(csvOf(this.sequence)), "copied");
    this.onClick("save-svg", () => save(new Blob([this.svg().text], { type: "image/svg+xml" }), "heatmap.svg"), "saved");
    this.onClick("save-png", async () => save(await pngOf(this.svg()), "heatmap.png"), "saved");
    this.show(0);
  }

  onClick(id, work, done) {
    byId(id).addEventListener("click", async () => {
      byId("done").textContent = "";
      try {
        await work();
        byId("done").textContent = done;
      } catch (error) {
        byId("done").textContent = `not ${done}: ${error.message}`;
      }
    });
  }

  async copy(text) {
    if (navigator.clipboard) return navigator.clipboard.writeText(text);
    throw new Error("this browser gives a page no clipboard");
  }

  show(index) {
    this.sequence = this.sequences[index];
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

  palette() {
    const theme = byId("theme").value || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
    return new Colors(this.data.palettes[theme]);
  }

  /** Where the scale of a column ends, as the reader chose it. */
  magnitudes() {
    const { sequence, data } = this;
    const kind = byId("scale").value;
    if (kind === "step") {
      const ends = Array.from({ length: sequence.steps }, (_, step) => sequence.magnitude(step));
      return (step) => ends[step];
    }
    const end = kind === "view" ? sequence.magnitude() : data.scale;
    return () => end;
  }

  color() {
    if (this.sequence.steps === 0) return;
    const colors = this.palette(), magnitudes = this.magnitudes();
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
