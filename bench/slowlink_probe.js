// Put into every page of the bench before its own scripts: notes connections, requests for them, counters and frames.
// All moments are Unix milliseconds, so that they can be laid beside the link's own reports.
(() => {
  const EACH_MS = 500;
  const VOICE_LOOK_MS = 50;
  const bench = { peers: [], posts: [], samples: [], frames: [], sizes: [], states: [], voiceAt: null };
  window.bench = bench;

  const Native = window.RTCPeerConnection;
  window.RTCPeerConnection = class extends Native {
    constructor(...settings) {
      super(...settings);
      bench.peers.push(this);
    }
  };

  const nativeFetch = window.fetch;
  window.fetch = async (resource, options = {}) => {
    const url = String(resource.url ?? resource);
    if (options.method !== "POST" || !/\/wh[ei]p\//.test(url)) return nativeFetch(resource, options);
    const post = { at: Date.now(), bytes: String(options.body).length, status: null, answeredAt: null };
    bench.posts.push(post);
    const response = await nativeFetch(resource, options);
    post.status = response.status;
    post.answeredAt = Date.now();
    return response;
  };

  const current = () => bench.peers.findLastIndex((peer) => peer.connectionState !== "closed");

  const AUDIO = [
    ["total", "totalSamplesReceived"],
    ["concealed", "concealedSamples"],
    ["silent", "silentConcealedSamples"],
    ["emitted", "jitterBufferEmittedCount"],
    ["delay", "jitterBufferDelay"],
    ["energy", "totalAudioEnergy"],
    ["packets", "packetsReceived"],
    ["lost", "packetsLost"],
    ["bytes", "bytesReceived"],
  ];
  const VIDEO = [
    ["decoded", "framesDecoded"],
    ["dropped", "framesDropped"],
    ["keyframes", "keyFramesDecoded"],
    ["freezes", "freezeCount"],
    ["frozen", "totalFreezesDuration"],
    ["width", "frameWidth"],
    ["height", "frameHeight"],
    ["bytes", "bytesReceived"],
    ["emitted", "jitterBufferEmittedCount"],
    ["delay", "jitterBufferDelay"],
    ["plis", "pliCount"],
    ["nacks", "nackCount"],
  ];
  const SENT = [
    ["bytes", "bytesSent"],
    ["headers", "headerBytesSent"],
    ["frames", "framesEncoded"],
    ["width", "frameWidth"],
    ["height", "frameHeight"],
    ["keyframes", "keyFramesEncoded"],
    ["target", "targetBitrate"],
  ];
  const pick = (entry, names) => Object.fromEntries(names.map(([short, long]) => [short, entry[long] ?? 0]));

  async function look() {
    const index = current();
    if (index < 0) return null;
    const sample = { at: Date.now(), peer: index };
    const report = await bench.peers[index].getStats();
    for (const entry of report.values()) {
      if (entry.type === "inbound-rtp") {
        sample[entry.kind] = pick(entry, entry.kind === "audio" ? AUDIO : VIDEO);
        sample[`${entry.kind}_codec`] = report.get(entry.codecId)?.mimeType ?? "";
      } else if (entry.type === "outbound-rtp") {
        sample[`sent_${entry.kind}`] = pick(entry, SENT);
        sample[`${entry.kind}_codec`] = report.get(entry.codecId)?.mimeType ?? "";
      } else if (entry.type === "candidate-pair" && (entry.selected ?? entry.nominated) && entry.state === "succeeded") {
        sample.rtt = entry.currentRoundTripTime ?? 0;
        sample.available = entry.availableOutgoingBitrate ?? 0;
        sample.protocol = report.get(entry.localCandidateId)?.protocol ?? "";
      }
    }
    const element = document.querySelector("video");
    if (element) sample.element = { ready: element.readyState, time: element.currentTime, muted: element.muted };
    return sample;
  }

  setInterval(async () => {
    const sample = await look();
    if (sample) bench.samples.push(sample);
    const said = document.getElementById("state")?.textContent.trim();
    if (said && bench.states.at(-1)?.text !== said) bench.states.push({ at: Date.now(), text: said });
  }, EACH_MS);

  // Heard: samples have left the jitter buffer and were not silence. A page that does not play them has no energy.
  const voice = setInterval(async () => {
    const sample = await look();
    if (!sample?.audio || sample.audio.emitted === 0 || sample.audio.energy === 0) return;
    bench.voiceAt ??= sample.at;
    clearInterval(voice);
  }, VOICE_LOOK_MS);

  // Frames as they are shown, for the longest gap between two of them.
  const followed = new WeakSet();
  setInterval(() => {
    const video = document.querySelector("video");
    if (!video || followed.has(video) || !video.requestVideoFrameCallback) return;
    followed.add(video);
    const onFrame = (now, { width, height }) => {
      const at = Math.round(performance.timeOrigin + now);
      bench.frames.push(at);
      const last = bench.sizes.at(-1);
      if (!last || last.width !== width || last.height !== height) bench.sizes.push({ at, width, height });
      video.requestVideoFrameCallback(onFrame);
    };
    video.requestVideoFrameCallback(onFrame);
  }, 100);

  async function connect(url, token, prepare) {
    const pc = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
    prepare(pc);
    await pc.setLocalDescription();
    const headers = { Authorization: `Bearer ${token}`, "Content-Type": "application/sdp" };
    const response = await fetch(url, { method: "POST", headers, body: pc.localDescription.sdp });
    if (response.status !== 201) throw new Error(`${url} answered ${response.status}: ${await response.text()}`);
    await pc.setRemoteDescription({ type: "answer", sdp: await response.text() });
  }

  /**
   * Watch with nothing of ours and a plain offer. Voice and picture each have an element of their own: where one
   * holds both, Chromium may not begin to play (readyState 0, no sound) before the first picture is decoded.
   */
  bench.watch = (url, token) =>
    connect(url, token, (pc) => {
      pc.ontrack = ({ track }) => {
        const element = document.body.appendChild(document.createElement(track.kind));
        Object.assign(element, { autoplay: true, playsInline: true, width: 640, height: 360 });
        element.srcObject = new MediaStream([track]);
      };
      pc.addTransceiver("audio", { direction: "recvonly" });
      pc.addTransceiver("video", { direction: "recvonly" });
    });

  /** Be a host with nothing of ours: whatever the browser gives for a camera of 640x360. */
  bench.host = async (url, token) => {
    const stream = await navigator.mediaDevices.getUserMedia({ audio: true, video: { width: 640, height: 360 } });
    await connect(url, token, (pc) => {
      for (const track of stream.getTracks()) pc.addTransceiver(track, { direction: "sendonly", streams: [stream] });
    });
  };
})();
