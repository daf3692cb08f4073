// What the server is asked, and what it tells. All addresses are relative: they begin with the token.

export class ServerError extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

async function checked(answer) {
  if (answer.ok) return answer;
  let message = `${answer.status} ${answer.statusText}`;
  try {
    const text = await answer.text();
    message = text.startsWith("{") ? JSON.parse(text).error : text.trim() || message;
  } catch {
    // the status says enough
  }
  throw new ServerError(message, answer.status);
}

export async function get(path) {
  return checked(await fetch(path));
}

export async function send(path, facts, signal) {
  const headers = { "Content-Type": "application/json" };
  return checked(await fetch(path, { method: "POST", headers, body: JSON.stringify(facts), signal }));
}

export async function upload(path, file, name) {
  const form = new FormData();
  form.append("file", file, name ?? file.name ?? "picture");
  return (await checked(await fetch(path, { method: "POST", body: form }))).json();
}

export async function sendBytes(path, bytes) {
  return (await checked(await fetch(path, { method: "POST", body: bytes }))).json();
}

export async function end(job) {
  await fetch(`jobs/${job}`, { method: "DELETE" }).catch(() => {});
}

/* The stream by which the server knows that this page is open: when it ends, so does the page's work. `page` is the
   page's name, a promise until the first word; `job` follows one job until it is done. */
export class Stream {
  #jobs = new Map();
  #early = new Map();

  constructor(lost) {
    let known;
    this.page = new Promise((resolve) => (known = resolve));
    const source = new EventSource("events");
    source.addEventListener("hello", (event) => {
      const { page } = JSON.parse(event.data);
      if (known) {
        known(page);
        known = null;
      } else {
        this.page = Promise.resolve(page); // the connection was lost, and with it what was being made
        for (const job of this.#jobs.values()) job.cancelled({});
        this.#jobs.clear();
        lost("The connection was lost and is there again.");
      }
    });
    source.addEventListener("error", () => {
      if (source.readyState === EventSource.CLOSED) lost("The studio is closed: start it again, and open its new address.");
    });
    for (const kind of ["progress", "strip", "done", "failed", "cancelled"]) {
      source.addEventListener(kind, (event) => this.#told(kind, JSON.parse(event.data)));
    }
  }

  #told(kind, facts) {
    const job = this.#jobs.get(facts.job);
    if (!job) {
      const waiting = this.#early.get(facts.job) ?? []; // it may be told before the request is answered
      if (waiting.length < 100) waiting.push([kind, facts]);
      this.#early.set(facts.job, waiting);
      return;
    }
    job[kind]?.(facts);
    if (["done", "failed", "cancelled"].includes(kind)) this.#jobs.delete(facts.job);
  }

  follow(name, handlers) {
    this.#jobs.set(name, handlers);
    for (const [kind, facts] of this.#early.get(name) ?? []) this.#told(kind, facts);
    this.#early.delete(name);
  }
}
