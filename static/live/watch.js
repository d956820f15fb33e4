// The watch page: plays the lesson, says in words how it stands, and comes back by itself.

import { Meter } from "./meter.js";
import { Repairs } from "./repair.js";
import { Link, offerReceiver, pause, slim } from "./whip-whep.js";
import { Room, clock, drawWay, find, lesson, phrase, write } from "./room.js";

const VOICE_FIRST_MS = 6000; // so long the lesson's events wait for its voice
const VOICE_ONLY_MS = 4000; // no picture for so long although voice comes

const NO_LESSON =
  /\/(red|ulpfec|flexfec)|VP9 .*profile-id=[1-9]|AV1 .*profile=[1-9]|H264 (?!.*packetization-mode=1)|H264 .*level-id=(?!42)/i;

const video = find("picture");
// The voice has an element of its own: one element for both stays silent until the first picture is there.
const voice = find("voice");
const stage = find("stage");
let refusal = null;
let everLive = false;
let tried;
const firstTry = Promise.race([new Promise((resolve) => (tried = resolve)), pause(VOICE_FIRST_MS)]);
let frames = { count: 0, at: 0 };

const link = new Link({
  url: lesson.whep_url,
  token: lesson.token,
  prepare(pc) {
    offerReceiver(pc, "video", NO_LESSON);
    offerReceiver(pc, "audio", /^audio\/(?!opus)/i);
    pc.ontrack = ({ track }) => {
      const element = track.kind === "audio" ? voice : video;
      element.srcObject = new MediaStream([track]);
      play();
    };
  },
  offer: slim,
  expects: () => room.state === "live",
  // Before the lesson the events say when it begins; asking every few seconds as well would be 400 schools' chatter.
  patienceMs: () => (room.connected && room.state === "waiting" && !everLive ? 15000 : 0),
  onStats: look,
  onChange(_state, problem) {
    refusal = problem ?? null;
    if (_state !== "connecting") tried();
    if (_state === "connected") everLive = true;
    draw();
  },
});

const meter = new Meter(link);
const repairs = new Repairs();

const room = new Room(() => {
  if (room.state === "ended" || room.state === "cancelled") link.stop(true);
  else if (!link.running && link.state !== "refused") link.start();
  else if (room.state === "live" && link.state === "lost") link.hurry();
  draw();
}, firstTry);

/** Begin to play; where the browser wants a click first, show the one big button. */
async function play() {
  video.play().catch(() => {}); // without sound it is never refused; a stream that was replaced is no trouble
  try {
    await voice.play();
    find("start").hidden = true;
  } catch (error) {
    if (error.name === "NotAllowedError") find("start").hidden = false;
  }
}

/** Tell a lesson by voice alone from one whose picture has not come yet. */
function look(report) {
  drawWay(link);
  meter.look(report);
  if (link.pc) repairs.look(report, link.pc);
  const now = performance.now();
  for (const entry of report.values()) {
    if (entry.type !== "inbound-rtp" || entry.kind !== "video") continue;
    if ((entry.framesDecoded || 0) !== frames.count) frames = { count: entry.framesDecoded || 0, at: now };
  }
  stage.classList.toggle("voice", link.state === "connected" && room.state === "live" && now - frames.at > VOICE_ONLY_MS);
}

/** Choose the words for how the lesson stands: [key, is everything well]. */
function standing() {
  if (room.state === "ended" || room.state === "cancelled") return [room.state, false];
  if (link.state === "refused") return ["refused", false];
  if (link.state === "connected" && room.state !== "host_lost") return ["live", true];
  if (!navigator.onLine) return ["offline", false];
  if (room.state === "host_lost") return ["host_lost", false];
  if (link.state === "rerouting") return ["rerouting", false];
  if (room.state === "live" || room.state === "away" || refusal?.status === 0) {
    return [everLive ? "reconnecting" : "connecting", false];
  }
  return [everLive ? "host_lost" : "waiting", false];
}

function draw() {
  const [key, well] = standing();
  const full = refusal?.status === 503 && refusal.body.reason === "full";
  const text = link.state === "refused" ? refusal?.message || phrase("refused") : phrase(full ? "full" : key);
  write(find("state"), text);
  stage.dataset.state = key;
  stage.classList.toggle("quiet", !well);
  write(find("viewers"), well ? phrase("viewers", { count: room.facts.viewers ?? 0 }) : "");
  find("again").hidden = link.state !== "refused";
  drawWay(link);
}

function drawSound() {
  const silent = voice.muted || voice.volume === 0;
  write(find("sound"), phrase(silent ? "sound_on" : "sound_off"));
}

find("start").onclick = play;
find("again").onclick = () => location.reload();
find("sound").onclick = () => {
  const silent = voice.muted || voice.volume === 0;
  voice.muted = !silent;
  if (silent && voice.volume === 0) find("volume").value = voice.volume = 1;
};
find("volume").oninput = ({ target }) => {
  voice.volume = target.value;
  voice.muted = false;
};
voice.onvolumechange = drawSound;
find("full").onclick = () => {
  if (document.fullscreenElement) document.exitFullscreen();
  else if (stage.requestFullscreen) stage.requestFullscreen();
  else video.webkitEnterFullscreen?.();
};
if (!stage.requestFullscreen && !video.webkitEnterFullscreen) find("full").hidden = true;

addEventListener("pagehide", () => link.stop(true));
addEventListener("pageshow", (event) => event.persisted && link.start());
addEventListener("offline", draw);
setInterval(() => {
  const shown = link.state === "connected" && room.facts.since && room.state === "live";
  write(find("time"), shown ? clock(room.since(room.facts.since)) : "");
}, 1000);

drawSound();
draw();
if (room.state !== "ended" && room.state !== "cancelled") link.start();
