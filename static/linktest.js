// The link test: the way to here over the media port, else over HTTP; the way from here over HTTP, timed by the server.

import { offerReceiver, pause, preferCodecs } from "./live/whip-whep.js";

const CONNECT_MS = 8000; // four round trips over a satellite with a queue in front
const MEDIA_MS = 17000;
const WHOLE_MS = 20500;
const UP_LEAST_MS = 3500;
const UP_AGAIN_MS = 2000;
const FAST_KBPS = 250;
const HTTP_DOWN_MS = 7000;
const FIRST_BYTES = 6000; // three quarters of a second on 64 kbit/s
const LOOK_MS = 500;
const PINGS = 4;
const NOISE_MS = 66;
const BLACK = 0xff000000;
const NOISE_BPS = 80_000;
const NOISE_MOST_BPS = 2_000_000;
const RAISE_MS = 400;
const QUIET_BYTES = 200; // consent checks go on when all else has ended
const QUIET_LOOKS = 6;
const UNWANTED = /^(?!video\/(VP8|rtx))/i; // nothing is shown, so one codec will do

const block = (id) => JSON.parse(document.getElementById(id).textContent);
const find = (id) => document.getElementById(id);
const words = block("strings");
const test = block("test");
const phrase = (key, values = {}) => words[key].replace(/%\((\w+)\)s/g, (_, name) => values[name] ?? "");

let running = null;

/** Return the school that the list shows now: the button beside it only shows earlier results. */
function chosenSchool() {
  const list = find("school");
  if (!list) return test.school_id;
  return list.value === "none" ? null : list.value;
}

/** One test: its address, what ends it, when it began. */
class Test {
  constructor() {
    this.abort = new AbortController();
    this.began = performance.now();
    this.url = "";
    this.stage = "";
    this.timer = setInterval(() => this.draw(), LOOK_MS);
  }

  get elapsed() {
    return performance.now() - this.began;
  }

  say(stage) {
    this.stage = stage;
    this.kbps = 0;
    this.draw();
  }

  draw() {
    find("progress").value = Math.min(99, (100 * this.elapsed) / WHOLE_MS);
    const text = phrase(this.stage || "connecting");
    write(find("said"), this.kbps ? phrase("so_far", { text, kbps: this.kbps }) : text);
  }

  /** Send a request of the API; a refusal becomes an Error with the server's words. */
  async ask(method, url, body) {
    const raw = body instanceof Uint8Array;
    const language = document.documentElement.lang; // of the page, which may be another than the browser's
    const headers = { Accept: "application/json", "Accept-Language": language, "X-CSRFToken": test.csrf_token };
    if (body) headers["Content-Type"] = raw ? "application/octet-stream" : "application/json";
    const response = await fetch(url, {
      method,
      headers,
      body: raw ? body : body && JSON.stringify(body),
      cache: "no-store",
      signal: this.abort.signal,
    });
    if (response.ok) return response;
    const problem = await response.json().catch(() => ({}));
    const error = new Error([problem.detail, problem.todo].filter(Boolean).join(" ") || `HTTP ${response.status}`);
    error.said = true;
    throw error;
  }

  async run() {
    this.say("connecting");
    const begun = await (await this.ask("POST", "/api/v1/link-tests", { school_id: chosenSchool() })).json();
    this.url = `/api/v1/link-tests/${begun.id}`;
    this.most = begun.most_bytes;
    let claims = {};
    const media = await this.overMedia("down");
    if (media?.down_kbps === undefined) claims = await this.overHttp(media ? "down" : "down_http");
    const up = media ? await this.overMedia("up") : null;
    // Browsers go up slowly from where they begin; TCP, which stumbles on slow links, tells fast ones better.
    if (!up || up.up_kbps > FAST_KBPS) await this.upwards(up ? UP_AGAIN_MS : UP_LEAST_MS);
    this.say("ending");
    return (await this.ask("POST", `${this.url}/finish`, claims)).json();
  }

  /** Have the server measure one direction over the media port; return its report, null where it could not. */
  async overMedia(direction) {
    if (!window.RTCPeerConnection) return null;
    const pc = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
    this.abort.signal.addEventListener("abort", () => pc.close());
    const noise = direction === "up" ? new Noise() : null;
    try {
      if (noise) await noise.send(pc);
      else offerReceiver(pc, "video", UNWANTED);
      await pc.setLocalDescription();
      const offer = { direction, offer: pc.localDescription.sdp };
      const response = await this.ask("POST", `${this.url}/media`, offer);
      await pc.setRemoteDescription({ type: "answer", sdp: (await response.json()).answer });
      if (!(await this.until(() => pc.connectionState === "connected", CONNECT_MS))) return null;
      this.say(direction);
      for (const end = performance.now() + MEDIA_MS; performance.now() < end; ) {
        await this.untilMeasured(pc, direction, noise);
        const { media } = await (await this.ask("GET", this.url)).json();
        if (media[direction]?.state !== "running") return media[direction]?.state === "done" ? media[direction] : null;
      }
      return null;
    } catch (error) {
      if (this.abort.signal.aborted) throw error;
      console.warn("over the media port:", error); // for whoever is asked to help; the page goes on over HTTP
      return null;
    } finally {
      noise?.stop();
      pc.close();
    }
  }

  /** The server closes when it has its result; it is not asked meanwhile, as the answers would take part of the link. */
  async untilMeasured(pc, direction, noise) {
    let seen = null;
    let raised = performance.now();
    let silent = 0;
    const [end] = direction === "up" ? pc.getSenders() : pc.getReceivers();
    await this.until(async () => {
      const now = await moved(pc, direction);
      if (seen) this.kbps = Math.max(this.kbps, Math.round(((now.bytes - seen.bytes) * 8) / (now.at - seen.at)));
      silent = seen && now.bytes - seen.bytes < QUIET_BYTES ? silent + 1 : 0;
      seen = now;
      if (noise && now.at - raised > RAISE_MS) {
        raised = now.at;
        await noise.raise(now.carriesBps);
      }
      return silent > QUIET_LOOKS || end.transport?.state === "closed";
    }, MEDIA_MS);
  }

  /** Wait until something is so, or for so long; say whether it came. */
  async until(isSo, longestMs) {
    const end = performance.now() + longestMs;
    while (performance.now() < end) {
      if (this.abort.signal.aborted) throw new DOMException("stopped", "AbortError");
      if (await isSo()) return true;
      await pause(LOOK_MS / 2);
    }
    return false;
  }

  /** Time downloads: a small one to learn how long a good one has to be. */
  async overHttp(stage) {
    this.say(stage);
    const trips = [];
    for (let i = 0; i < PINGS; i += 1) {
      const sent = performance.now();
      await this.ask("GET", `${this.url}/piece?bytes=0`);
      trips.push(performance.now() - sent);
    }
    const end = performance.now() + HTTP_DOWN_MS;
    const claims = { rtt_ms: Math.max(1, Math.round(Math.min(...trips))) };
    for (let size = FIRST_BYTES; size; ) {
      const { bytes, ms } = await this.download(size);
      this.kbps = Math.round((bytes * 8) / ms);
      if (ms >= 20 && bytes > 0) Object.assign(claims, { down_bytes: bytes, down_ms: ms });
      size = this.next(size, ms, end);
    }
    return claims;
  }

  /** Fetch a piece and time what comes after its first part: the wait for an answer is no matter of rate. */
  async download(size) {
    const asked = performance.now();
    const response = await this.ask("GET", `${this.url}/piece?bytes=${size}`);
    const reader = response.body.getReader();
    let first = null;
    let total = 0;
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      total += value.length;
      first ??= { at: performance.now(), bytes: value.length };
    }
    const now = performance.now();
    if (!first || total === first.bytes) return { bytes: total, ms: now - asked };
    return { bytes: total - first.bytes, ms: now - first.at };
  }

  /** Return the next piece's size: what takes most of the time left, four times the last one at most; 0 for the end. */
  next(size, ms, end) {
    const leftMs = end - performance.now();
    if (size >= this.most || leftMs < 600) return 0;
    const fits = Math.floor((size / Math.max(ms, 1)) * leftMs * 0.8);
    return fits < size * 0.7 ? 0 : Math.min(this.most, fits, size * 4);
  }

  /** Send pieces; the server times how they come. */
  async upwards(leastMs) {
    this.say("up");
    const end = Math.max(this.began + WHOLE_MS, performance.now() + leastMs);
    for (let size = Math.min(FIRST_BYTES, this.most); size; ) {
      const piece = new Uint8Array(size);
      for (let at = 0; at < size; at += 65536) crypto.getRandomValues(piece.subarray(at, at + 65536));
      const sent = performance.now();
      const told = await (await this.ask("POST", `${this.url}/piece`, piece)).json();
      this.kbps = told.kbps ?? this.kbps;
      size = this.next(size, performance.now() - sent, end);
    }
  }

  /** Stop at once; the server is told, so that it sends no more. */
  stop() {
    this.abort.abort();
    if (!this.url) return;
    fetch(this.url, { method: "DELETE", headers: { "X-CSRFToken": test.csrf_token }, keepalive: true }).catch(() => {});
  }
}

/** A picture of pure noise: it fills whatever the browser thinks the link carries, and shows nobody anything. */
class Noise {
  async send(pc) {
    const canvas = Object.assign(document.createElement("canvas"), { width: 640, height: 360 });
    const context = canvas.getContext("2d");
    const image = context.createImageData(canvas.width, canvas.height);
    const pixels = new Uint32Array(image.data.buffer);
    pixels.fill(BLACK);
    this.most = NOISE_BPS;
    this.timer = setInterval(() => {
      // About a bit for each pixel of noise: more than that no encoder could press into the rate.
      const noisy = Math.min(pixels.length, (this.most * NOISE_MS) / 1000);
      for (let i = 0; i < noisy; i += 1) pixels[i] = BLACK | (Math.random() * 0xffffff);
      context.putImageData(image, 0, 0);
    }, NOISE_MS);
    [this.track] = canvas.captureStream().getVideoTracks();
    const sendEncodings = [{ maxBitrate: NOISE_BPS }];
    const transceiver = pc.addTransceiver(this.track, { direction: "sendonly", sendEncodings });
    preferCodecs(transceiver, ["VP8"]);
    this.sender = transceiver.sender;
  }

  /** Allow more while the link follows: a browser that is allowed everything at once floods a slow link. */
  async raise(carriesBps) {
    if (carriesBps < this.most * 0.5 || this.most >= NOISE_MOST_BPS) return;
    this.most = Math.min(this.most * 4, NOISE_MOST_BPS);
    const parameters = this.sender.getParameters();
    parameters.encodings[0].maxBitrate = this.most;
    await this.sender.setParameters(parameters);
  }

  stop() {
    clearInterval(this.timer);
    this.track.stop();
  }
}

/** Return what has gone over a connection so far in one direction. */
async function moved(pc, direction) {
  let bytes = 0;
  let carriesBps = 0;
  for (const entry of (await pc.getStats()).values()) {
    if (entry.type !== "candidate-pair" || !entry.nominated) continue;
    bytes += (direction === "up" ? entry.bytesSent : entry.bytesReceived) || 0;
    carriesBps = Math.max(carriesBps, entry.availableOutgoingBitrate || 0);
  }
  return { bytes, carriesBps, at: performance.now() };
}

/** Change a text only when it differs, so that screen readers speak once. */
function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

const element = (name, text) => Object.assign(document.createElement(name), { textContent: text });

function show(result) {
  find("verdict").replaceChildren(...result.verdict.map((text) => element("p", text)));
  find("figures").replaceChildren(
    ...result.figures.flatMap(({ name, value }) => [element("dt", name), element("dd", value)]),
  );
  find("advice").replaceChildren(...result.advice.map((text) => element("li", text)));
  find("result").hidden = false;
  find("result").focus();
}

function turn(on) {
  find("begin").hidden = on;
  find("stop").hidden = !on;
  find("progress").hidden = !on;
  if (on) find("result").hidden = true;
  else write(find("begin"), words.again);
}

async function begin() {
  running = new Test();
  turn(true);
  const mine = running;
  let said = "";
  try {
    show(await mine.run());
    said = words.done;
  } catch (error) {
    if (mine.abort.signal.aborted) said = words.stopped;
    else said = error.said ? phrase("failed", { reason: error.message }) : words.no_network;
    if (!error.said) console.warn("link test:", error);
    mine.stop();
  }
  clearInterval(mine.timer);
  running = null;
  turn(false);
  write(find("said"), said);
}

find("begin").onclick = begin;
find("stop").onclick = () => running?.stop();
addEventListener("pagehide", () => running?.stop());
find("controls").hidden = false;
