// One job of the server, from its request to its end.

/// Answer of the server as JSON; throws its error as text.
export async function ask(path, options = {}) {
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Error("the server cannot be reached");
  }
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error.message);
  return answer;
}

export class Job {
  /// `listener` has queued(place), progress(phase, done, total), warning(text) and end(outcome): {result}, {error} or
  /// {cancelled: true}.
  static async submit(request, listener) {
    const headers = {"Content-Type": "application/json"};
    const state = await ask("/api/jobs", {method: "POST", headers, body: JSON.stringify(request)});
    return new Job(state.id, listener);
  }

  constructor(id, listener) {
    this.path = `/api/jobs/${id}`;
    this.listener = listener;
    this.events = new EventSource(`${this.path}/events`);
    const on = (name, handle) => this.events.addEventListener(name, (event) => handle(JSON.parse(event.data)));
    on("queued", (data) => listener.queued(data.place));
    on("phase", (data) => listener.progress(data.phase, 0, 0));
    on("progress", (data) => listener.progress(data.phase, data.done, data.total));
    on("warning", (data) => listener.warning(data.message));
    on("result", (data) => this.end({result: data}));
    on("cancelled", (data) => this.end({cancelled: data.error.message}));
    // The same name as that of a broken connection, after which the browser tries again unless it was refused.
    this.events.addEventListener("error", (event) => {
      if (event.data) this.end({error: JSON.parse(event.data).error.message});
      else if (this.events.readyState === EventSource.CLOSED) this.end({error: "the server no longer knows the job"});
    });
  }

  end(outcome) {
    if (!this.events) return;
    this.events.close();
    this.events = null;
    this.listener.end(outcome);
  }

  /// Asks the server to stop; the end comes when it has. `leaving`: the page goes, but the request must not.
  cancel(leaving = false) {
    return ask(this.path, {method: "DELETE", keepalive: leaving});
  }
}
