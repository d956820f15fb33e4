// The host's page: checks camera and microphone, goes live, and stays live through outages until the host ends the lesson.

import { Link, preferCodecs } from "./whip-whep.js";
import { Room, clock, drawWay, find, lesson, phrase, write } from "./room.js";
import { allowed, explain, list, openCamera, openMicrophone, openScreen, showLevel } from "./devices.js";

const CODECS = ["AV1", "VP9", "H264", "VP8"];
const FIRST_BPS = 350000;
const SIZES = { camera: [640, 360, 15], screen: [1280, 720, 5] };

const tracks = { camera: null, screen: null, microphone: null };
let source = "camera"; // or "screen", "voice"
let stopMeter = () => {};
let senders = null;
let sent = { bytes: 0, at: 0 };
let refusal = null;
let ending = false;

const link = new Link({
  url: lesson.whip_url,
  token: lesson.token,
  async prepare(pc) {
    const video = addPicture(pc);
    const audio = pc.addTransceiver(tracks.microphone ?? "audio", { direction: "sendonly" });
    preferCodecs(video, CODECS);
    senders = { video: video.sender, audio: audio.sender };
  },
  expects: () => true,
  onStats: look,
  onChange(_state, problem) {
    if (problem || _state === "connected") refusal = problem ?? null;
    if (_state === "connected") keepAwake();
    draw();
  },
});

const room = new Room((before) => {
  if (room.state === "ended" && before !== "ended" && link.running && !ending) link.stop(false);
  draw();
});

const picture = () => (source === "voice" ? null : tracks[source]);

/** Add the picture, in three temporal layers where the browser can: who has a slow link then gets fewer of its frames. */
function addPicture(pc) {
  const add = (more) =>
    pc.addTransceiver(picture() ?? "video", { direction: "sendonly", sendEncodings: [{ ...encoding(), ...more }] });
  try {
    return add({ scalabilityMode: "L1T3" });
  } catch {
    return add({}); // no codec here knows this mode
  }
}

/** Size, rate and bits for what is being shown: a slow school uplink is the usual case. */
function encoding() {
  const [width, height, fps] = SIZES[source] ?? SIZES.camera;
  const now = picture()?.getSettings() ?? {};
  const scale = Math.max(1, (now.width || 0) / width, (now.height || 0) / height);
  return { maxBitrate: FIRST_BPS, maxFramerate: fps, scaleResolutionDownBy: scale };
}

async function applySource() {
  if (!senders || !link.pc) return;
  await senders.video.replaceTrack(picture());
  // Refused in the middle of a renegotiation, or for the layers: then without those, and else it stays as it was.
  await adjust(encoding()).catch(() => adjust({ ...encoding(), scalabilityMode: undefined }).catch(() => {}));
}

async function adjust(changes) {
  const parameters = senders.video.getParameters(); // good for one setParameters in the same task only
  if (!parameters.encodings?.length) return;
  Object.assign(parameters.encodings[0], changes);
  await senders.video.setParameters(parameters);
}

// ---- devices

function complain(text) {
  write(find("trouble"), text);
  find("trouble").hidden = !text;
}

async function take(kind, open, id) {
  const old = tracks[kind];
  try {
    if (old) old.onended = null;
    old?.stop();
    tracks[kind] = await open(id);
  } catch (error) {
    tracks[kind] = null;
    return explain(error, kind);
  }
  tracks[kind].onended = () => lose(kind);
  return "";
}

/** A device was pulled out, or the sharing of the screen ended in the browser's own bar. */
async function lose(kind) {
  tracks[kind] = null;
  if (kind === "microphone") complain(phrase("microphone_lost"));
  else if (source === kind) await choose(kind === "screen" && tracks.camera ? "camera" : "voice");
  draw();
}

/** Open what is chosen; each device on its own, so that a missing camera never costs the voice. */
async function check() {
  if (!allowed()) return complain(phrase("insecure"));
  const troubles = [await take("microphone", openMicrophone, find("microphone").value)];
  if (tracks.microphone) {
    stopMeter();
    stopMeter = showLevel(tracks.microphone, find("level"));
    await list(find("microphone"), "audioinput", tracks.microphone, phrase("microphone"));
    if (link.pc) await senders.audio.replaceTrack(tracks.microphone);
    setMuted(find("mute").ariaPressed === "true");
  }
  if (source === "camera") troubles.push(await useCamera());
  complain(troubles.filter(Boolean).join(" "));
  draw();
}

async function useCamera() {
  const trouble = await take("camera", openCamera, find("camera").value);
  if (tracks.camera) await list(find("camera"), "videoinput", tracks.camera, phrase("camera"));
  else source = "voice";
  await show();
  return trouble;
}

async function show() {
  const track = picture();
  find("self").srcObject = track ? new MediaStream([track]) : null;
  find("stage").classList.toggle("voice", !track);
  find("self").classList.toggle("mirror", source === "camera");
  await applySource();
}

/** Switch between camera, screen and voice alone; what is no longer shown is switched off, its lamp too. */
async function choose(next) {
  let trouble = "";
  if (next === "screen") trouble = await take("screen", openScreen);
  if (next === "screen" && !tracks.screen) next = source;
  source = next;
  for (const kind of ["camera", "screen"]) {
    if (kind === source || !tracks[kind]) continue;
    tracks[kind].onended = null;
    tracks[kind].stop();
    tracks[kind] = null;
  }
  if (source === "camera" && !tracks.camera) trouble = await useCamera();
  else await show();
  complain(trouble);
  draw();
}

function setMuted(muted) {
  if (tracks.microphone) tracks.microphone.enabled = !muted;
  find("mute").ariaPressed = String(muted);
  write(find("mute"), phrase(muted ? "unmute" : "mute"));
}

// ---- on air

/** Note whether our own packets really leave. */
function look(report) {
  let bytes = 0;
  for (const entry of report.values()) if (entry.type === "outbound-rtp") bytes += entry.bytesSent || 0;
  if (bytes !== sent.bytes) sent = { bytes, at: performance.now() };
  draw();
}

/** On air means: the server says that media arrives, our connection stands, and our packets leave. */
function onAir() {
  return link.state === "connected" && room.state === "live" && performance.now() - sent.at < 3000;
}

function standing() {
  if (link.state === "refused" || link.state === "taken") return link.state;
  if (!link.running) return room.state === "live" ? "elsewhere" : room.state === "ended" ? "ended" : "ready";
  if (onAir()) return "on_air";
  if (!navigator.onLine) return "offline";
  if (link.state === "rerouting") return "rerouting";
  if (link.state === "connected") return "no_media";
  return sent.at ? "reconnecting" : "connecting";
}

function draw() {
  const key = standing();
  write(find("state"), key === "refused" ? refusal?.message || phrase(key) : phrase(key));
  document.body.dataset.state = key;
  find("go").hidden = link.running;
  find("go").disabled = !tracks.microphone && !picture();
  write(find("go"), phrase(room.state === "live" || room.state === "host_lost" ? "go_again" : "go"));
  find("end").hidden = !link.running && room.state !== "live" && room.state !== "host_lost";
  for (const button of document.querySelectorAll("[data-source]")) {
    button.ariaPressed = String(button.dataset.source === source);
  }
  drawWay(link);
  find("camera").closest("p").hidden = source !== "camera" || !tracks.camera;
}

setInterval(() => {
  const live = onAir();
  const { viewers, since, recording } = room.facts;
  write(find("viewers"), live ? phrase("viewers", { count: viewers ?? 0 }) : "");
  write(find("time"), live && since ? phrase("on_air_for", { time: clock(room.since(since)) }) : "");
  const trouble = recording?.trouble;
  const grows = live && (!trouble || trouble === "picture");
  const seconds = recording ? recording.seconds + (grows ? room.ageS() : 0) : 0;
  write(find("recorded"), recording ? phrase("recorded", { time: clock(seconds) }) : "");
  write(find("unrecorded"), trouble ? phrase(`unrecorded_${trouble}`, { time: clock(seconds) }) : "");
  find("unrecorded").hidden = !trouble;
}, 1000);

async function keepAwake() {
  // A sleeping laptop would end the lesson; not every browser knows this, and none needs it.
  await navigator.wakeLock?.request("screen").catch(() => {});
}

async function end() {
  ending = true;
  find("end").disabled = true;
  try {
    const body = new URLSearchParams({ csrf_token: lesson.csrf_token });
    const response = await fetch(lesson.end_url, { method: "POST", body, headers: { Accept: "application/json" } });
    if (!response.ok) throw new Error((await response.json()).detail);
    link.stop(false);
    room.state = "ended";
    for (const kind of Object.keys(tracks)) {
      if (tracks[kind]) tracks[kind].onended = null;
      tracks[kind]?.stop();
      tracks[kind] = null;
    }
    stopMeter();
    find("self").srcObject = null;
    find("after").hidden = false;
    find("controls").hidden = true;
  } catch (error) {
    complain(phrase("end_failed", { reason: error.message }));
  }
  ending = false;
  find("end").disabled = false;
  draw();
}

find("open").onclick = check;
find("go").onclick = () => {
  refusal = null;
  link.start();
};
find("mute").onclick = () => setMuted(find("mute").ariaPressed !== "true");
find("microphone").onchange = check;
find("camera").onchange = async () => complain(await useCamera());
for (const button of document.querySelectorAll("[data-source]")) {
  button.onclick = () => (allowed() ? choose(button.dataset.source) : complain(phrase("insecure")));
}
find("end").onclick = () => find("sure").showModal();
find("sure").onclose = () => find("sure").returnValue === "yes" && end();

addEventListener("offline", draw);
addEventListener("beforeunload", (event) => {
  if (link.running) event.preventDefault();
});

if (!navigator.mediaDevices?.getDisplayMedia) document.querySelector("[data-source=screen]").hidden = true;
if (!allowed()) complain(phrase("insecure"));
draw();
// With the permission already given there is nothing to ask: show the picture at once.
navigator.permissions
  ?.query({ name: "camera" })
  .then(({ state }) => state === "granted" && check())
  .catch(() => {});
