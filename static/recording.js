// Keeps the progress of files that are being made up to date. Without this script the page reloads itself now and then.
const list = document.getElementById("files");
const words = JSON.parse(document.getElementById("recording-words").textContent);
const EVERY_MS = 3000;
const AFTER_TROUBLE_MS = 15000;
let ready = list.querySelectorAll("a.button").length;

function show(progress) {
  document.getElementById("state").textContent = progress.text;
  for (const file of progress.files) {
    const row = document.getElementById("file-" + file.kind);
    const state = row && row.querySelector(".state");
    if (!state) continue;
    state.textContent = file.text;
    let bar = row.querySelector("progress");
    if (file.running && !bar) {
      bar = document.createElement("progress");
      bar.max = 100;
      bar.setAttribute("aria-label", row.querySelector("b").textContent);
      row.append(bar);
    }
    if (bar) bar.value = file.percent;
    if (bar && !file.running) bar.remove();
  }
}

function reload() {
  // Whoever is listening or watching is not interrupted.
  const playing = [...document.querySelectorAll("audio, video")].some((player) => player.currentTime > 0 && !player.ended);
  if (playing) document.getElementById("state").textContent = words.ready;
  else location.reload();
}

async function poll() {
  let pause = EVERY_MS;
  try {
    const answer = await fetch(list.dataset.progress, { headers: { Accept: "application/json" } });
    if (!answer.ok) throw new Error(String(answer.status));
    const progress = await answer.json();
    show(progress);
    if (progress.ready !== ready || progress.done) {
      ready = progress.ready;
      reload();
      if (progress.done) return;
    }
  } catch {
    pause = AFTER_TROUBLE_MS; // the link is down or the server restarts: ask again later
  }
  setTimeout(poll, document.hidden ? AFTER_TROUBLE_MS : pause);
}

setTimeout(poll, EVERY_MS);
