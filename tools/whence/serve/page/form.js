// What is written in the form: as a request of the API, as a link, and back.

const form = document.getElementById("form");
/// Controls whose value is put together with others; of the others the name is the path in a request.
const joined = new Set(["kind", "method", "method_parameters"]);
/// Fields that are members of `attribution` in a request about context.
const ofAttribution = new Set(["method", "attributed_function"]);

const kind = () => form.elements.kind.value;

/// Controls that count for the chosen kind.
function controls() {
  return [...form.elements].filter((control) => {
    const only = control.closest("[data-kind]")?.dataset.kind;
    return control.name && (!only || only === kind());
  });
}

/// Shows what belongs to the chosen kind, and explains the chosen method.
export function refresh(methods) {
  for (const element of form.querySelectorAll("[data-kind]")) {
    element.hidden = element.dataset.kind !== kind();
    for (const control of element.querySelectorAll("textarea, select, input")) control.disabled = element.hidden;
  }
  const name = form.elements.method.value;
  const method = methods.find((one) => one.name === name || one.presets.includes(name));
  const parameters = method?.parameters.map((one) => one.name).join(", ");
  document.getElementById("method-hint").textContent =
    method ? `${method.summary}${parameters ? `; parameters: ${parameters}` : ""}` : "";
}

export function fillSelect(name, plugins) {
  const select = form.elements[name];
  const names = plugins.flatMap((plugin) => [plugin.name, ...plugin.presets]);
  select.replaceChildren(...names.map((one) => new Option(one)));
  select.value = select.dataset.default;
}

function valueOf(control) {
  return control.type === "number" ? Number(control.value) : control.value;
}

/// "n_steps: 20, baseline: mask" or JSON. Throws what is wrong with it.
function parameters(text) {
  if (text.trim().startsWith("{")) return JSON.parse(text);
  const entries = text.split(",").map((part) => {
    const colon = part.indexOf(":");
    if (colon < 0) throw new Error(`parameters of the method: '${part.trim()}' is not 'name: value'`);
    const value = part.slice(colon + 1).trim();
    try {
      return [part.slice(0, colon).trim(), JSON.parse(value)];
    } catch {
      return [part.slice(0, colon).trim(), value];  // a word needs no quotes here
    }
  });
  return Object.fromEntries(entries);
}

const pathOf = (name) => (kind() === "context" && ofAttribution.has(name) ? ["attribution", name] : name.split("."));

function put(body, name, value) {
  const path = pathOf(name), last = path.pop();
  let part = body;
  for (const key of path) part = part[key] ??= {};
  part[last] = value;
}

/// The request that the form stands for; empty controls leave the server's defaults.
export function request() {
  const body = {kind: kind()};
  for (const control of controls())
    if (!joined.has(control.name) && control.value !== "") put(body, control.name, valueOf(control));
  const chosen = form.elements.method.value, given = form.elements.method_parameters.value;
  put(body, "method", given.trim() ? {[chosen]: parameters(given)} : chosen);
  return body;
}

function reset() {
  form.reset();
  for (const select of form.querySelectorAll("select[data-default]")) select.value = select.dataset.default;
}

/// Puts values of controls, by their names, into the form.
function fill(values) {
  reset();
  for (const [name, value] of values) if (form.elements[name]) form.elements[name].value = value;
  const hidden = document.getElementById("more");
  hidden.open = values.some(([name]) => hidden.querySelector(`[name="${CSS.escape(name)}"]`));
}

/// The values of controls that make up a request.
function valuesOf(part, before = "") {
  return Object.entries(part).flatMap(([key, value]) => {
    if (key === "attribution") return valuesOf(value);
    return typeof value === "object" ? valuesOf(value, `${before}${key}.`) : [[before + key, value]];
  });
}

/// An example of the server: a request of which every value has a control.
export function fillFromRequest(example) {
  fill(valuesOf(example));
}

/// The link that brings the form back. Behind the #, so that texts stay out of what servers and proxies write down.
export function link() {
  const parameters = new URLSearchParams();
  for (const control of controls()) {
    if (control.type === "radio" && !control.checked) continue;
    if (control.value !== "" && control.value !== control.dataset.default) parameters.set(control.name, control.value);
  }
  return `${location.origin}/#${parameters}`;
}

/// Fills the form from the link that the page was opened with. True when it says anything.
export function fillFromLink() {
  const values = [...new URLSearchParams(location.hash.slice(1))];
  if (values.length) fill(values);
  return values.length > 0;
}
