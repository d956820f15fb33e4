// One WebRTC connection to the server, kept alive: WHIP (RFC 9725) for the host, WHEP (draft-ietf-wish-whep) for viewers.
// Knows nothing of the page. The server is ICE-lite, so the offer goes out at once, without waiting for candidates.

const ANSWER_MS = 15000; // a satellite link with a queue in front of it answers late
const CONNECT_MS = 12000;
const LOOK_MS = 500;
const STALL_MS = 2000; // nothing arrived for so long: ask whether the server still knows us
const REROUTE_MS = 3000; // nothing arrived although it should: look for another way, with the session as it is
const GIVE_UP_MS = 8000; // still nothing: build the connection anew
const SETTLE_MS = 6000; // what another way gets to prove itself, three round trips over a satellite included
const ASK_MS = 5000; // a question beside a silent connection: where it hangs too, all of the network is gone
const FRAGMENT = "application/trickle-ice-sdpfrag";
const FINAL = new Set([400, 401, 403, 404, 406, 410, 413, 415, 422]);

export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** A refusal by the server, or no answer at all (status 0). */
export class Refusal extends Error {
  constructor(status, body = {}, retryAfterS = null) {
    super(body.detail || `HTTP ${status}`);
    this.status = status;
    this.body = body;
    this.retryAfterS = retryAfterS;
    this.final = FINAL.has(status);
  }
}

/** Send one request of the protocol; a refusal becomes an exception with the server's own words. */
async function ask(method, url, token, type, body, more = {}, patienceMs = ANSWER_MS) {
  let response;
  try {
    response = await fetch(url, {
      method,
      headers: { Authorization: `Bearer ${token}`, "Content-Type": type, ...more },
      body,
      cache: "no-store",
      // The bearer says it all: cookies and the page's address, with a ticket in it, are half a kilobyte of each request.
      credentials: "omit",
      referrerPolicy: "no-referrer",
      signal: AbortSignal.timeout(patienceMs),
    });
  } catch {
    throw new Refusal(0);
  }
  if (response.ok) return response;
  const problem = await response.json().catch(() => ({}));
  const seconds = parseFloat(response.headers.get("Retry-After"));
  throw new Refusal(response.status, problem, seconds >= 0 ? seconds : null);
}

/** Order codecs for a sender by preference; what is not named keeps its place behind, resends included. */
export function preferCodecs(transceiver, names) {
  const known = RTCRtpSender.getCapabilities?.("video")?.codecs;
  if (!known || !transceiver.setCodecPreferences) return;
  const rank = ({ mimeType }) => (names.indexOf(mimeType.slice(6).toUpperCase()) + 1 || names.length + 1);
  transceiver.setCodecPreferences([...known].sort((a, b) => rank(a) - rank(b)));
}

/** Offer to receive, but not what no lesson is sent in: a browser's whole list costs seconds of a slow uplink. */
export function offerReceiver(pc, kind, unwanted) {
  const transceiver = pc.addTransceiver(kind, { direction: "recvonly" });
  const known = RTCRtpReceiver.getCapabilities?.(kind)?.codecs ?? [];
  const kept = known.filter((codec) => !unwanted.test(`${codec.mimeType} ${codec.sdpFmtpLine ?? ""}`));
  if (kept.length && transceiver.setCodecPreferences) transceiver.setCodecPreferences(kept);
}

const READ =
  /^([vostmc]=|a=(group|mid|bundle-only|recvonly|ice-ufrag|ice-pwd|fingerprint|setup|rtcp-mux|rtpmap|fmtp|rtcp-fb:\d+ transport-cc|extmap:\d+ \S+transport-wide-cc))/;
const SAID_ONCE = /^a=(ice-|fingerprint|setup)/;

/**
 * Leave out of a viewer's offer what the server does not read: on 24 kbit/s each packet of it is half a second. Firefox's
 * second section has port 0 and is refused without its a=bundle-only (RFC 8843 6).
 */
export function slim(sdp) {
  const [head, first, ...more] = sdp.split(/\r\n(?=m=)/);
  const kept = (part, said) => part.split("\r\n").filter((line) => READ.test(line) && !(said && SAID_ONCE.test(line)));
  // What belongs to the transport stands in the first section of the bundle (RFC 8843 7.1.3).
  return [kept(head), kept(first), ...more.map((part) => kept(part, true))].flat().join("\r\n") + "\r\n";
}

/**
 * A connection that comes back by itself.
 *
 * options: url, token; prepare(pc) adds the tracks; offer(sdp) returns what is sent of the browser's offer; expects() says whether media should be arriving now; patienceMs() is
 * the least pause between attempts (hurry() ends it); onStats(report, pc) sees every look at the counters;
 * onChange(state, refusal) with state "connecting" | "connected" | "stalled" | "rerouting" | "lost" | "refused" | "taken" |
 * "closed". `way` is "udp", "tcp" or "" while unknown; `wasDirect` says whether UDP has ever worked here.
 */
export class Link {
  constructor(options) {
    Object.assign(this, { offer: (sdp) => sdp }, options);
    this.pc = null;
    this.resource = null;
    this.state = "closed";
    this.running = false;
    this.lastArrivalAt = 0;
    this.way = "";
    this.wasDirect = false;
    this.wake = () => {};
    addEventListener("online", () => this.hurry());
  }

  start() {
    if (this.running) return;
    this.running = true;
    this.run();
  }

  /** End the connection; `tell` sends DELETE, which for a host ends the lesson. */
  stop(tell) {
    this.running = false;
    if (tell) this.dismiss();
    this.drop();
    this.wake();
    this.change("closed");
  }

  /** Try again now instead of when the pause is over. */
  hurry() {
    this.wake();
  }

  change(state, refusal) {
    if (state === this.state && !refusal) return;
    this.state = state;
    this.onChange(state, refusal);
  }

  async run() {
    for (let failures = 0; this.running; ) {
      let delayMs = Math.random() * 500; // many lose the same server in the same moment
      try {
        this.change("connecting");
        await this.connect();
        failures = 0;
        this.change("connected");
        const reason = await this.watch();
        if (!this.running) return;
        if (reason === "taken") return this.finish("taken");
        this.change("lost");
      } catch (error) {
        if (!this.running) return;
        console.warn("connection:", error); // for whoever is asked to help: the page says it in plain words
        const refusal = error instanceof Refusal ? error : new Refusal(0, { detail: String(error) });
        if (refusal.final) return this.finish("refused", refusal);
        failures += 1;
        // Each second at first, so that a restarted server is found at once; later slower, and never all together.
        const usualS = refusal.retryAfterS ?? Math.min(Math.max(failures / 10, 1), 5);
        delayMs = Math.max(usualS * 1000 * (0.75 + Math.random() / 2), this.patienceMs?.() ?? 0);
        this.drop();
        this.change("lost", refusal);
      }
      this.drop();
      await Promise.race([pause(delayMs), new Promise((resolve) => (this.wake = resolve))]);
    }
  }

  finish(state, refusal) {
    this.running = false;
    this.drop();
    this.change(state, refusal);
  }

  async connect() {
    const pc = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
    this.pc = pc;
    await this.prepare(pc);
    await pc.setLocalDescription();
    const response = await ask("POST", this.url, this.token, "application/sdp", this.offer(pc.localDescription.sdp));
    this.resource = new URL(response.headers.get("Location"), response.url).href;
    await pc.setRemoteDescription({ type: "answer", sdp: await response.text() });
    await new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Refusal(0)), CONNECT_MS);
      const look = () => {
        if (pc.connectionState === "connected") resolve();
        else if (pc.connectionState === "failed" || pc.connectionState === "closed") reject(new Refusal(0));
        else return;
        clearTimeout(timer);
      };
      pc.onconnectionstatechange = look;
      look();
    });
    this.lastArrivalAt = performance.now();
  }

  /** Return why the connection is over: "failed", "gone" (the server has forgotten us), "stalled" or "taken". */
  async watch() {
    const pc = this.pc;
    let seen = -1;
    let askedAt = 0;
    let reroutedAt = 0;
    while (this.running) {
      await pause(LOOK_MS);
      // Asked before coming back: whom another page has replaced must not throw that page out again.
      if (over(pc)) return (await this.stillKnown()) || "failed";
      const report = await pc.getStats();
      const arrived = arrivals(report);
      const now = performance.now();
      if (arrived !== seen) {
        seen = arrived;
        this.lastArrivalAt = now;
        this.change("connected");
      }
      this.way = wayOf(report);
      this.wasDirect ||= this.way === "udp";
      this.onStats?.(report, pc);
      const silentMs = now - this.lastArrivalAt;
      const missing = silentMs > REROUTE_MS && this.expects();
      if ((missing || pc.iceConnectionState === "disconnected") && now - reroutedAt > SETTLE_MS) {
        if (reroutedAt && silentMs > GIVE_UP_MS && this.expects()) return "stalled";
        reroutedAt = now;
        this.change("rerouting");
        const verdict = await this.reroute();
        if (verdict) return verdict;
        continue;
      }
      if (silentMs < STALL_MS || now - askedAt < STALL_MS || this.state === "rerouting") continue;
      askedAt = now;
      this.change("stalled");
      const verdict = await this.stillKnown();
      if (verdict) return verdict;
    }
    return "closed";
  }

  /** Send our resource a wish in JSON and return the server's answer. */
  async tell(wish) {
    const body = JSON.stringify(wish);
    return (await ask("PATCH", this.resource, this.token, "application/json", body, {}, ASK_MS)).json();
  }

  /** Ask the server about our resource with an empty trickle fragment; "" means that it is there or cannot be asked. */
  async stillKnown() {
    try {
      await ask("PATCH", this.resource, this.token, FRAGMENT, "a=end-of-candidates\r\n", {}, ASK_MS);
      return "";
    } catch (refusal) {
      return verdictOf(refusal);
    }
  }

  /**
   * Look for another way with the session as it is: an ICE restart by PATCH (RFC 9725 4.3). Where UDP has died, TCP serves;
   * DTLS goes on, so nothing is negotiated anew. Returns "" or why the connection is over.
   */
  async reroute() {
    const pc = this.pc;
    try {
      pc.restartIce();
      await pc.setLocalDescription();
      const ours = fragmentOf(pc.localDescription.sdp);
      const response = await ask("PATCH", this.resource, this.token, FRAGMENT, ours, { "If-Match": '"*"' }, ASK_MS);
      const sdp = renamed(pc.currentRemoteDescription.sdp, await response.text());
      await pc.setRemoteDescription({ type: "answer", sdp });
      return "";
    } catch (error) {
      console.warn("another way:", error);
      if (pc.signalingState === "have-local-offer") await pc.setLocalDescription({ type: "rollback" }).catch(() => {});
      return verdictOf(error);
    }
  }

  /** Tell the server that we leave; keepalive lets the request outlive the page. */
  dismiss() {
    if (!this.resource) return;
    const headers = { Authorization: `Bearer ${this.token}` };
    fetch(this.resource, { method: "DELETE", headers, keepalive: true }).catch(() => {});
    this.resource = null;
  }

  drop() {
    if (this.pc) this.pc.onconnectionstatechange = null;
    this.pc?.close();
    this.pc = null;
  }
}

/** Read a refusal of a PATCH: "gone" and "taken" end the connection, anything else says nothing about it. */
function verdictOf(refusal) {
  if (refusal.status === 404) return refusal.body.on_air ? "taken" : "gone";
  return refusal.status === 503 ? "gone" : "";
}

const line = (text, start) => text.match(new RegExp(`^${start}.*$`, "m"))?.[0];

/** Take out of an offer what an ICE restart sends (RFC 8840 9): the new names, in the frame of the first section. */
function fragmentOf(sdp) {
  const starts = ["a=ice-options:", "a=group:BUNDLE", "m=", "a=mid:", "a=ice-ufrag:", "a=ice-pwd:"];
  return [...starts.map((start) => line(sdp, start)).filter(Boolean), ""].join("\r\n");
}

/** Put the new names and candidates of a fragment into the answer that was good so far. */
function renamed(sdp, fragment) {
  const there = [line(fragment, "a=ice-pwd:"), ...(fragment.match(/^a=candidate:.*$/gm) ?? []), "a=end-of-candidates"];
  return sdp
    .replace(/^a=(candidate:|end-of-candidates).*\r\n/gm, "")
    .replace(/^a=ice-ufrag:.*$/gm, () => line(fragment, "a=ice-ufrag:"))
    .replace(/^a=ice-pwd:.*$/gm, () => there.join("\r\n"));
}

/** Say over which protocol the connection runs: "udp", "tcp", or "" before it is known. */
function wayOf(report) {
  for (const entry of report.values()) {
    const pair = entry.type === "transport" ? report.get(entry.selectedCandidatePairId) : entry.selected ? entry : null;
    const way = pair && report.get(pair.remoteCandidateId)?.protocol;
    if (way) return way.toLowerCase();
  }
  return "";
}

/** Say whether a connection cannot carry anything any more; a server that says goodbye closes DTLS, and no state tells. */
function over(pc) {
  if (pc.connectionState === "failed" || pc.connectionState === "closed") return true;
  const ends = [...pc.getSenders(), ...pc.getReceivers()].map(({ transport }) => transport?.state);
  return ends.includes("closed") || ends.includes("failed");
}

/** Count what came in: media for a viewer, feedback and consent answers for a host. */
function arrivals(report) {
  let sum = 0;
  let media = 0;
  let receives = false;
  for (const entry of report.values()) {
    if (entry.type === "inbound-rtp") {
      receives = true;
      media += entry.packetsReceived || 0;
    } else if (entry.type === "candidate-pair") sum += entry.bytesReceived || 0;
  }
  return receives ? media : sum;
}
