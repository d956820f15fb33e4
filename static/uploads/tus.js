// A small client of tus 1.0: one file, piece by piece, each piece as long as the link carries in some seconds.

import { LEAST, nextBytes, afterCut, waitSeconds } from "./pace.js";

const STALL_MS = 60000; // without a byte either way
const FULL_MS = 60000;
const encode = (text) => btoa(String.fromCharCode(...new TextEncoder().encode(text)));

/** Why a request came to nothing: the status (0: the link), the server's words, the offset where it tells one. */
export class Trouble extends Error {
  constructor(status, reason = "", offset = null) {
    super(reason || `HTTP ${status}`);
    this.status = status;
    this.reason = reason;
    this.offset = offset;
  }
}

/** Send one request; resolves with the XMLHttpRequest, rejects with a Trouble. `hold` gets what aborts it. */
function ask(method, url, headers, body, { sent, hold } = {}) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    let timer = 0;
    const alive = () => {
      clearTimeout(timer);
      timer = setTimeout(() => request.abort(), STALL_MS);
    };
    const fail = () => {
      clearTimeout(timer);
      reject(new Trouble(0));
    };
    request.open(method, url);
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => {
      alive();
      if (sent) sent(event.loaded);
    };
    request.onerror = fail;
    request.onabort = fail;
    request.onload = () => {
      clearTimeout(timer);
      if (request.status >= 200 && request.status < 300) return resolve(request);
      const at = request.getResponseHeader("Upload-Offset");
      return reject(new Trouble(request.status, words(request.responseText), at === null ? null : Number(at)));
    };
    if (hold) hold(() => request.abort());
    alive();
    request.send(body);
  });
}

function words(text) {
  try {
    const problem = JSON.parse(text);
    const errors = Object.values(problem.errors || {}).flat();
    return errors.length ? errors.join(" ") : problem.detail || problem.title || "";
  } catch {
    return "";
  }
}

/**
 * One file on its way. `told(state, facts)` hears: "announcing", "looking", "sending", "again", "offline", "elsewhere",
 * "no_room", "login", "refused", "changed", "paused", "done". A file that was `stopped` is gone on with by `run`.
 */
export class Sender {
  constructor(file, { url = "", metadata = {}, headers, told, announced }) {
    Object.assign(this, { file, url, metadata, told, announced });
    this.base = { "Tus-Resumable": "1.0.0", Accept: "application/problem+json", ...headers };
    this.offset = 0;
    this.piece = LEAST;
    this.failures = 0;
    this.stopped = false;
    this.abort = null;
    this.wake = null;
  }

  /** Go on until the file is there, or until somebody has to decide something. Returns the last state. */
  async run() {
    this.stopped = false;
    this.failures = 0;
    let known = false;
    while (!this.stopped) {
      try {
        if (!this.url) await this.announce();
        if (!known) await this.look();
        known = true;
        if (this.offset >= this.file.size) return this.end("done");
        await this.send();
        this.failures = 0;
      } catch (trouble) {
        if (!(trouble instanceof Trouble)) return this.end("changed");
        known = trouble.offset !== null && this.file.size >= trouble.offset;
        if (known) this.offset = trouble.offset;
        const state = this.judge(trouble);
        if (state) return this.end(state, trouble.reason);
        if (!this.stopped) await this.pause(trouble);
      }
    }
    return this.end("paused");
  }

  /** Stop after what is under way; what has come stays on the server. */
  stop() {
    this.stopped = true;
    if (this.abort) this.abort();
    if (this.wake) this.wake();
  }

  /** Try at once: the network is back. */
  hurry() {
    if (this.wake) this.wake();
  }

  async remove() {
    this.stop();
    if (this.url) await ask("DELETE", this.url, this.base);
  }

  async announce() {
    this.told("announcing", {});
    const pairs = Object.entries(this.metadata).filter(([, value]) => value);
    const headers = {
      ...this.base,
      "Upload-Length": String(this.file.size),
      "Upload-Metadata": pairs.map(([key, value]) => `${key} ${encode(value)}`).join(","),
    };
    const answer = await ask("POST", "/uploads/", headers);
    this.url = answer.getResponseHeader("Location");
    this.announced(this.url);
  }

  async look() {
    this.told("looking", {});
    const answer = await ask("HEAD", this.url, this.base);
    this.offset = Number(answer.getResponseHeader("Upload-Offset"));
  }

  async send() {
    const body = this.file.slice(this.offset, this.offset + this.piece);
    const headers = {
      ...this.base,
      "Content-Type": "application/offset+octet-stream",
      "Upload-Offset": String(this.offset),
    };
    // Over plain HTTP browsers compute no digests; what TCP lets through damaged is then found by nobody.
    if (globalThis.crypto && crypto.subtle) {
      const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", await body.arrayBuffer()));
      headers["Upload-Checksum"] = `sha256 ${btoa(String.fromCharCode(...digest))}`;
    }
    const began = performance.now();
    const sent = (bytes) => this.told("sending", { bytes: this.offset + Math.min(bytes, body.size) });
    sent(0);
    if (this.stopped) return;
    const hold = (abort) => (this.abort = abort);
    try {
      const answer = await ask("PATCH", this.url, headers, body, { sent, hold });
      this.offset = Number(answer.getResponseHeader("Upload-Offset"));
      this.told("sending", { bytes: this.offset });
      this.piece = nextBytes(body.size, (performance.now() - began) / 1000);
    } finally {
      this.abort = null;
    }
  }

  /** Say what ends the sending; "" for what passes by itself. */
  judge({ status }) {
    if (this.stopped) return "paused";
    if (status === 423) return "elsewhere";
    if (status === 401) return "login";
    return status >= 400 && status < 500 && ![408, 409, 460].includes(status) ? "refused" : "";
  }

  async pause({ status }) {
    if (status === 409) return; // the server has told where the file goes on
    this.failures += 1;
    if (status === 0) this.piece = afterCut(this.piece);
    const full = status === 507;
    const seconds = full ? FULL_MS / 1000 : waitSeconds(this.failures);
    const state = full ? "no_room" : navigator.onLine === false ? "offline" : "again";
    for (let left = seconds; left > 0 && !this.stopped; left -= 1) {
      this.told(state, { bytes: this.offset, seconds: left });
      const woken = await new Promise((resolve) => {
        const timer = setTimeout(resolve, 1000, false);
        this.wake = () => {
          clearTimeout(timer);
          resolve(true);
        };
      });
      this.wake = null;
      if (woken) return;
    }
  }

  end(state, reason = "") {
    this.told(state, { bytes: this.offset, reason });
    return state;
  }
}
