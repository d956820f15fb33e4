// What the link carries and what is made of it: in words, kbit/s and megabytes; and the viewer's own choice of quality.

import { find, phrase, write } from "./room.js";

const ASK_MS = 12000; // the server chooses by itself; the page only shows it, so it asks seldom
const SOON_MS = 2000; // after a choice, or when the picture has changed

export class Meter {
  /** Show how a Link to the server stands; tell the server what the viewer chooses. */
  constructor(link) {
    this.link = link;
    this.total = 0; // bytes of the connections before this one
    this.seen = { bytes: 0, at: 0, size: "" };
    this.told = null;
    this.askAt = 0;
    find("mode").onchange = () => this.ask(SOON_MS); // the answer still tells what was sent until now
  }

  /** Take a look at the counters: rate and sum from what arrived, the reason from the server. */
  look(report) {
    const now = performance.now();
    let bytes = 0;
    let size = "";
    for (const entry of report.values()) {
      // The pairs of addresses: Firefox has no counters of the whole transport, and all add up the same bytes.
      if (entry.type === "candidate-pair") bytes += entry.bytesReceived || 0;
      if (entry.type === "inbound-rtp" && entry.kind === "video") size = `${entry.frameWidth}x${entry.frameHeight}`;
    }
    if (bytes < this.seen.bytes) {
      this.total += this.seen.bytes;
      this.seen = { bytes: 0, at: now, size: "" };
      this.askAt = now;
    }
    if (size !== this.seen.size) this.askAt = Math.min(this.askAt, now + SOON_MS);
    this.seen.size = size;
    if (now >= this.askAt) this.ask();
    if (now - this.seen.at < 2000) return;
    const kbps = Math.round(((bytes - this.seen.bytes) * 8) / (now - this.seen.at));
    this.seen = { bytes, at: now, size };
    this.draw(kbps, (this.total + bytes) / 1e6);
  }

  draw(kbps, mb) {
    if (!this.told) return;
    const shown = mb.toLocaleString(document.documentElement.lang, { minimumFractionDigits: 1, maximumFractionDigits: 1 });
    write(find("meter"), phrase("meter", { rung: phrase(`rung_${this.told.rung}`), kbps, mb: shown }));
    write(find("why"), phrase(`why_${this.told.why}`));
  }

  /** Tell the server the choice and learn what is sent and why; a server that is away is asked again later. */
  async ask(againMs = ASK_MS) {
    this.askAt = performance.now() + againMs;
    const chosen = find("mode").value;
    try {
      this.told = await this.link.tell({ mode: chosen });
      if (this.told.why === "start") this.askAt = performance.now() + SOON_MS;
    } catch {
      // The connection is looked after elsewhere.
    }
  }
}
