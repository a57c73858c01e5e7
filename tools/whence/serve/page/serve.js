// Brings the form, the job at work and its result together.

import {fillFromLink, fillFromRequest, fillSelect, link, refresh, request} from "/page/form.js";
import {ask, Job} from "/page/job.js";

const element = (id) => document.getElementById(id);
const form = element("form");
let methods = [];
let job = null;

function show(id, text) {
  element(id).textContent = text;
  element(id).hidden = text === "";
}

function begin() {
  show("error", "");
  element("warnings").replaceChildren();
  element("result").hidden = true;
  element("work").hidden = false;
  element("run").disabled = true;
  element("cancel").disabled = false;
  element("progress").removeAttribute("value");
  element("phase").textContent = "";
}

function end(outcome) {
  job = null;
  element("work").hidden = true;
  element("run").disabled = false;
  if (outcome.result) {
    for (const name of ["json", "html"]) element(name).href = outcome.result[name];
    element("report").src = outcome.result.html;
    element("result").hidden = false;
  } else {
    show("error", outcome.error ?? outcome.cancelled);
  }
}

const listener = {
  queued(place) {
    element("phase").textContent = place === 0 ? "begins" : `waits behind ${place} other job${place > 1 ? "s" : ""}`;
  },
  progress(phase, done, total) {
    element("phase").textContent = total ? `${phase}: ${done} of ${total}` : phase;
    if (total) {
      element("progress").max = total;
      element("progress").value = done;
    } else {
      element("progress").removeAttribute("value");
    }
  },
  warning(text) {
    const item = document.createElement("li");
    item.textContent = text;
    element("warnings").append(item);
  },
  end,
};

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  begin();
  try {
    job = await Job.submit(request(), listener);
  } catch (error) {
    end({error: error.message});
  }
});

form.addEventListener("change", () => refresh(methods));

element("cancel").addEventListener("click", async () => {
  element("cancel").disabled = true;
  element("phase").textContent = "stopping";
  try {
    await job?.cancel();
  } catch (error) {
    show("error", error.message);
  }
});

element("share").addEventListener("click", async () => {
  history.replaceState(null, "", link());
  try {
    await navigator.clipboard.writeText(location.href);
    element("shared").textContent = "copied";
  } catch {
    element("shared").textContent = "the link is in the address line";
  }
});

element("theme").addEventListener("change", (event) => {
  document.documentElement.dataset.theme = event.target.value;
});

// Nobody would look at what this page asked for.
addEventListener("pagehide", () => job?.cancel(true).catch(() => {}));

addEventListener("hashchange", () => {
  fillFromLink();
  refresh(methods);
});

function exampleButton(example) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = example.name;
  button.addEventListener("click", () => {
    fillFromRequest(example.request);
    refresh(methods);
  });
  return button;
}

async function start() {
  const [model, known, functions, examples] = await Promise.all(
    ["model", "methods", "step-functions", "examples"].map((name) => ask(`/api/${name}`)));
  methods = known;
  element("model").textContent = `· ${model.name}, ${model.class_name}`;
  fillSelect("method", methods);
  fillSelect("attributed_function", functions);
  fillSelect("sensitivity.metric", functions);
  element("examples").append(...examples.map(exampleButton));
  fillFromLink();
  refresh(methods);
  document.documentElement.dataset.ready = "";
}

start().catch((error) => show("error", error.message));
