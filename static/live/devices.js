// Camera, microphone and screen: opening them, listing them, and plain words for whatever goes wrong.

import { phrase } from "./room.js";

const PICTURE = { width: { ideal: 640 }, height: { ideal: 360 }, frameRate: { ideal: 15, max: 30 } };
const SOUND = { echoCancellation: true, noiseSuppression: true, autoGainControl: true, channelCount: { ideal: 1 } };
const SCREEN = { width: { max: 1280 }, height: { max: 720 }, frameRate: { max: 5 } };

const REASONS = {
  NotAllowedError: "denied",
  SecurityError: "denied",
  NotFoundError: "missing",
  OverconstrainedError: "missing",
  NotReadableError: "busy",
  AbortError: "busy",
};

/** Say what is wrong with a device in the user's language; `what` is "camera", "microphone" or "screen". */
export function explain(error, what) {
  return phrase(`${what}_${REASONS[error.name] ?? "broken"}`, { reason: error.message });
}

/** Say whether this page may ask for devices at all: browsers allow it over HTTPS and on the same PC only. */
export const allowed = () => Boolean(window.isSecureContext && navigator.mediaDevices?.getUserMedia);

const exactly = (id) => (id ? { deviceId: { exact: id } } : {});

export async function openCamera(id) {
  const stream = await navigator.mediaDevices.getUserMedia({ video: { ...PICTURE, ...exactly(id) } });
  const [track] = stream.getVideoTracks();
  track.contentHint = "motion";
  return track;
}

export async function openMicrophone(id) {
  const stream = await navigator.mediaDevices.getUserMedia({ audio: { ...SOUND, ...exactly(id) } });
  const [track] = stream.getAudioTracks();
  track.contentHint = "speech";
  return track;
}

export async function openScreen() {
  const stream = await navigator.mediaDevices.getDisplayMedia({ video: SCREEN, audio: false });
  const [track] = stream.getVideoTracks();
  track.contentHint = "detail"; // letters stay sharp, the frame rate gives way
  return track;
}

/** Fill a select with the devices of one kind and mark the one in use. */
export async function list(select, kind, track, unnamed) {
  const devices = (await navigator.mediaDevices.enumerateDevices()).filter((device) => device.kind === kind);
  const current = track?.getSettings().deviceId;
  select.replaceChildren(
    ...devices.map((device, index) => {
      const name = device.label || `${unnamed} ${index + 1}`;
      return new Option(name, device.deviceId, false, device.deviceId === current);
    }),
  );
  select.disabled = devices.length < 2;
}

/** Draw a microphone's level into a <meter> ten times a second; returns a function that stops it. */
export function showLevel(track, meter) {
  const context = new AudioContext();
  const analyser = context.createAnalyser();
  analyser.fftSize = 1024;
  context.createMediaStreamSource(new MediaStream([track])).connect(analyser);
  const samples = new Float32Array(analyser.fftSize);
  const timer = setInterval(() => {
    if (context.state === "suspended") context.resume();
    analyser.getFloatTimeDomainData(samples);
    const power = samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length;
    // -60 dB to 0 dB over the whole width, so that quiet speech moves it too.
    meter.value = Math.max(0, 1 + Math.log10(power + 1e-9) / 6);
  }, 100);
  return () => {
    clearInterval(timer);
    context.close();
  };
}
