// What host and watch page share: the page's data and words, the lesson's state as the server tells it, small drawing.

import { pause } from "./whip-whep.js";

const SILENCE_MS = 40000; // the server sends at least a comment each 15 s

const block = (id) => JSON.parse(document.getElementById(id).textContent);
export const words = block("strings");
export const lesson = block("lesson");

export const find = (id) => document.getElementById(id);

/** Return a phrase with its %(name)s filled in. */
export const phrase = (key, values = {}) => words[key].replace(/%\((\w+)\)s/g, (_, name) => values[name] ?? "");

/** Change a text only when it differs, so that screen readers speak once. */
export function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Write seconds as 5:03 or 1:05:03. */
export function clock(seconds) {
  const s = Math.max(0, Math.floor(seconds));
  const tail = [Math.floor(s / 60) % 60, s % 60].map((part) => String(part).padStart(2, "0"));
  return s < 3600 ? `${Math.floor(s / 60)}:${tail[1]}` : `${Math.floor(s / 3600)}:${tail.join(":")}`;
}

/**
 * Follow the lesson's state by server-sent events and come back whenever the stream breaks.
 * fetch instead of EventSource: the ticket stays out of addresses, and comments show that the link is alive.
 * The first request waits for `after`: on the slowest links two at once lose packets of each other.
 */
export class Room {
  constructor(onChange, after = Promise.resolve()) {
    this.state = lesson.state;
    this.facts = { state: lesson.state, viewers: 0 };
    this.heardAt = performance.now();
    this.connected = false;
    this.onChange = onChange;
    after.then(() => this.follow());
  }

  /** Seconds since a moment of the server's clock that came with the last message. */
  since(moment) {
    return moment ? this.facts.at - moment + this.ageS() : 0;
  }

  ageS() {
    return (performance.now() - this.heardAt) / 1000;
  }

  async follow() {
    for (;;) {
      const abort = new AbortController();
      let timer = setTimeout(() => abort.abort(), SILENCE_MS);
      try {
        const headers = { Authorization: `Bearer ${lesson.token}`, Accept: "text/event-stream" };
        const response = await fetch(lesson.events_url, {
          headers,
          cache: "no-store",
          credentials: "omit",
          referrerPolicy: "no-referrer",
          signal: abort.signal,
        });
        if ([401, 403, 404].includes(response.status)) return;
        this.connected = response.ok;
        const reader = response.ok && response.body.pipeThrough(new TextDecoderStream()).getReader();
        for (let text = ""; reader; ) {
          const { done, value } = await reader.read();
          if (done) break;
          clearTimeout(timer);
          timer = setTimeout(() => abort.abort(), SILENCE_MS);
          const parts = (text + value).split("\n\n");
          text = parts.pop();
          parts.forEach((part) => this.take(part));
        }
      } catch {
        // A broken stream is the usual case on these links: the pause below, then again.
      }
      clearTimeout(timer);
      this.connected = false;
      await pause(1000 + Math.random() * 2000);
    }
  }

  take(part) {
    const data = part.split("\n").find((line) => line.startsWith("data: "));
    if (!data || !part.startsWith("event: room")) return;
    const before = this.state;
    this.facts = JSON.parse(data.slice(6));
    this.state = this.facts.state;
    this.heardAt = performance.now();
    this.onChange(before);
  }
}

/** Say in words that the direct way is blocked, while it is. */
export function drawWay(link) {
  write(find("way"), link.running && link.way === "tcp" ? phrase(link.wasDirect ? "now_over_tcp" : "over_tcp") : "");
}
