"use strict";
// What the pages of all results have.

const byId = (id) => document.getElementById(id);

/** The box with exact values beside what is pointed at or focused. */
class Tip {
  constructor(root) { this.root = root; }

  show(box, { value, lines }) {
    this.root.replaceChildren(...[value, ...lines].map((text, i) => {
      const line = document.createElement(i === 0 ? "strong" : "div");
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

/** "light" or "dark", as the reader or else the system wants it. */
function look() {
  return byId("theme").value || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
}

function onLook(changed) {
  byId("theme").addEventListener("change", (event) => {
    document.documentElement.dataset.theme = event.target.value;
    changed();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", changed);
}

async function copy(text) {
  const policy = document.permissionsPolicy ?? document.featurePolicy;
  if (navigator.clipboard && (policy?.allowsFeature("clipboard-write") ?? true)) return navigator.clipboard.writeText(text);
  // A frame without that right may still copy what is selected in it.
  const focused = document.activeElement;
  const area = Object.assign(document.createElement("textarea"), { value: text, readOnly: true });
  document.body.append(area);
  area.select();
  const copied = document.execCommand("copy");
  area.remove();
  focused?.focus();
  if (!copied) throw new Error("this browser gives a page no clipboard");
}

/** The buttons that copy and save; files are called `name`. */
function onSave(name, { csv, svg }) {
  const onClick = (id, work, done) => byId(id).addEventListener("click", async () => {
    byId("done").textContent = "";
    try {
      await work();
      byId("done").textContent = done;
    } catch (error) {
      byId("done").textContent = `not ${done}: ${error.message}`;
    }
  });
  onClick("copy-csv", () => copy(csv()), "copied");
  onClick("save-svg", () => save(new Blob([svg().text], { type: "image/svg+xml" }), `${name}.svg`), "saved");
  onClick("save-png", async () => save(await pngOf(svg()), `${name}.png`), "saved");
}
