// Repeats of lost voice must come before their turn to be heard: where a repeat takes long the voice waits for it.

const SETTLED_S = 4; // a connection's first seconds say nothing of the link
const HOLES = 2; // so many since then; late repeats count as arrived, so the counter of losses stays at nought
const QUICK_MS = 50; // within such a round trip a browser's own patience is long enough
const FOUND_MS = 150; // a loss is seen two packets later, and asked for at once
const LONGEST_MS = 1000;

export class Repairs {
  /** Take a look at the counters; how long the voice waits stays until the connection ends. */
  look(report, pc) {
    if (this.pc !== pc) [this.pc, this.before] = [pc, null];
    let roundTripMs = 0;
    let voice = null;
    for (const entry of report.values()) {
      if (entry.type === "inbound-rtp" && entry.kind === "audio") voice = entry;
      if (entry.type === "candidate-pair") roundTripMs = Math.max(roundTripMs, (entry.currentRoundTripTime || 0) * 1000);
    }
    if (!voice || !(voice.totalSamplesDuration > SETTLED_S)) return;
    this.before ??= voice.concealmentEvents;
    if (voice.concealmentEvents - this.before < HOLES || roundTripMs < QUICK_MS) return;
    const receiver = pc.getReceivers().find(({ track }) => track.kind === "audio");
    if (!receiver || !("jitterBufferTarget" in receiver) || receiver.jitterBufferTarget) return;
    receiver.jitterBufferTarget = Math.min(LONGEST_MS, Math.round(roundTripMs * 1.2 + FOUND_MS));
  }
}
