// The page of uploads: files are announced as soon as they are chosen, sent one after the other, and found again later.

import { fingerprint, rate } from "./pace.js";
import { Sender } from "./tus.js";

const RATE_S = 20;
const SAVE_MS = 800;
const SAVE_AGAIN_MS = 10000;
const FOLLOW_MS = 5000;
const KEPT = "tropa-upload-words:"; // what was typed and has not reached the server yet

const find = (id) => document.getElementById(id);
const block = (id) => JSON.parse(find(id).textContent);
const words = block("strings");
const settings = block("settings");
const language = document.documentElement.lang;
const list = find("uploads");
const headers = { "X-CSRFToken": settings.csrf_token, "Accept-Language": language };
const queue = [];
let sending = null;

const phrase = (key, values = {}) => words[key].replace(/%\((\w+)\)s/g, (_, name) => values[name] ?? "");
const digits = (value, most) => value.toLocaleString(language, { maximumFractionDigits: most });

function size(bytes) {
  const units = ["B", "kB", "MB", "GB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < 3) {
    value /= 1000;
    unit += 1;
  }
  return `${digits(value, value < 10 && unit > 1 ? 1 : 0)}\u00a0${words[units[unit]]}`;
}

function speed(bytesPerS) {
  const kbps = (bytesPerS * 8) / 1000;
  return kbps < 1000 ? phrase("kbps", { n: digits(kbps, 0) }) : phrase("mbps", { n: digits(kbps / 1000, 1) });
}

function time(seconds) {
  if (seconds < 90) return phrase("seconds", { n: Math.max(1, Math.round(seconds)) });
  const minutes = Math.round(seconds / 60);
  if (minutes < 90) return phrase("minutes", { n: minutes });
  return phrase("hours", { n: Math.floor(minutes / 60), m: minutes % 60 });
}

/** One file on the page: its card, its sender, what is typed about it. */
class Card {
  constructor(file, place) {
    this.file = file;
    this.print = fingerprint(file);
    this.place = place;
    this.marks = [];
    const known = [...list.children].find(
      (item) => item.dataset.print === this.print && item.dataset.state === "receiving" && !item.card,
    );
    const shown = known && { title: known.querySelector(".title").textContent };
    this.item = find("row").content.firstElementChild.cloneNode(true);
    this.item.card = this;
    this.part = (name) => this.item.querySelector(name);
    if (known) known.replaceWith(this.item);
    else list.prepend(this.item);
    this.part(".title").textContent = shown ? shown.title : file.name;
    this.part(".muted").textContent = `${file.name}, ${size(file.size)}`;
    this.part("progress").max = file.size || 1;
    this.part("progress").setAttribute("aria-label", file.name);
    for (const label of this.item.querySelectorAll("label")) {
      const field = label.nextElementSibling;
      field.id = `${field.id}-${this.print}`;
      label.htmlFor = field.id;
    }
    this.fields = [...this.item.querySelectorAll("input, textarea")];
    this.part(".words").hidden = true; // until the server knows the file: from then on nothing typed is lost
    this.part(".hold").onclick = () => (this.running || queue.includes(this) ? this.pause() : enqueue(this, true));
    this.part("button.gone").onclick = () => this.remove();
    this.item.addEventListener("input", () => this.typed());
    this.sender = new Sender(file, {
      url: known ? `/uploads/${known.dataset.id}` : "",
      metadata: { filename: file.name, filetype: file.type, fingerprint: this.print, held: held(file), ...place },
      headers,
      told: (state, facts) => this.show(state, facts),
      announced: (url) => this.name(url),
    });
    if (known) {
      this.part("progress").value = Number(known.dataset.offset);
      this.name(this.sender.url);
    }
    this.show("waiting", {});
  }

  get running() {
    return sending === this;
  }

  /** Take the address that the server has given, and show what it keeps about the file. */
  async name(url) {
    const id = url.split("/").pop();
    Object.assign(this.item.dataset, { id, print: this.print, state: "receiving" });
    this.item.id = `u-${id}`;
    this.api = `/api/v1/uploads/${id}`;
    const kept = localStorage.getItem(KEPT + id);
    try {
      const answer = await fetch(this.api, { headers: { Accept: "application/json" }, cache: "no-store" });
      const row = answer.ok ? await answer.json() : {};
      for (const field of this.fields) field.value = row[field.name] ?? field.value;
    } catch {
      // The link is down; what the server keeps is shown when it is asked next.
    }
    if (kept) for (const field of this.fields) field.value = JSON.parse(kept)[field.name] ?? field.value;
    this.part(".words").hidden = false;
    if (kept) this.save();
  }

  typed() {
    if (!this.api) return;
    localStorage.setItem(KEPT + this.item.dataset.id, JSON.stringify(this.said()));
    this.part(".title").textContent = this.said().title || this.file.name;
    this.part(".kept").textContent = words.saving;
    clearTimeout(this.saving);
    this.saving = setTimeout(() => this.save(), SAVE_MS);
  }

  said() {
    return Object.fromEntries(this.fields.map((field) => [field.name, field.value]));
  }

  async save() {
    const said = this.said();
    clearTimeout(this.saving);
    try {
      const answer = await fetch(this.api, {
        method: "PATCH",
        headers: { ...headers, Accept: "application/json", "Content-Type": "application/json" },
        body: JSON.stringify(said),
      });
      if (!answer.ok && answer.status < 500) {
        const problem = await answer.json();
        this.part(".kept").textContent = Object.values(problem.errors || { "": [problem.detail] }).flat().join(" ");
        return;
      }
      if (!answer.ok) throw new Error(String(answer.status));
      if (JSON.stringify(said) === JSON.stringify(this.said())) localStorage.removeItem(KEPT + this.item.dataset.id);
      this.part(".kept").textContent = words.saved;
    } catch {
      this.part(".kept").textContent = words.not_saved;
      this.saving = setTimeout(() => this.save(), SAVE_AGAIN_MS);
    }
  }

  show(state, facts) {
    const bytes = facts.bytes ?? 0;
    const hold = this.part(".hold");
    if (state === "sending" || facts.bytes) this.part("progress").value = bytes;
    if (state !== "sending") this.marks = [];
    const values = { have: size(bytes), all: size(this.file.size), s: facts.seconds, reason: facts.reason };
    let text = state;
    if (state === "sending") {
      this.marks.push([performance.now() / 1000, bytes]);
      if (this.marks.length > 400) this.marks.splice(0, 200);
      const bytesPerS = rate(this.marks, RATE_S);
      text = bytesPerS > 0 ? "sending" : "starting";
      if (bytesPerS > 0) {
        values.rate = speed(bytesPerS);
        values.left = time((this.file.size - bytes) / bytesPerS);
      }
    }
    const said = phrase(text, values);
    if (this.part(".state").textContent !== said) this.part(".state").textContent = said;
    const stopped = ["paused", "elsewhere", "login", "refused", "changed"].includes(state);
    hold.textContent = stopped ? words.resume : words.pause;
    hold.hidden = state === "done";
    if (state === "done") {
      this.part("progress").remove();
      this.part("button.gone").hidden = true;
      this.item.dataset.state = "received";
      setTimeout(() => this.follow(), FOLLOW_MS);
    }
    if (state === "done" || stopped) find("said").textContent = `${this.file.name}: ${said}`;
  }

  /** Look what becomes of a file that has come: a recording, or a reason why not. */
  async follow() {
    let row = {};
    try {
      const answer = await fetch(this.api, { headers: { Accept: "application/json" }, cache: "no-store" });
      if (answer.ok) row = await answer.json();
    } catch {
      // The link is down; asked again below.
    }
    if (row.state === "taken") {
      const link = document.createElement("a");
      link.className = "button";
      link.href = `/recordings/${row.recording_id}`;
      link.textContent = words.recording;
      this.part(".actions").prepend(link);
      this.part(".words").hidden = true;
      this.part(".state").textContent = words.taken;
    } else if (row.state === "refused") this.part(".state").textContent = phrase("not_made", { reason: row.reason });
    else setTimeout(() => this.follow(), document.hidden ? 4 * FOLLOW_MS : FOLLOW_MS);
  }

  pause() {
    const waiting = queue.indexOf(this);
    if (waiting >= 0) {
      queue.splice(waiting, 1);
      this.show("paused", { bytes: Number(this.part("progress").value) });
    } else this.sender.stop();
  }

  async remove() {
    if (!confirm(words.sure)) return;
    const waiting = queue.indexOf(this);
    if (waiting >= 0) queue.splice(waiting, 1);
    try {
      await this.sender.remove();
    } catch (trouble) {
      if (trouble.status !== 404) return this.show("refused", { reason: trouble.reason });
    }
    localStorage.removeItem(KEPT + this.item.dataset.id);
    this.item.remove();
    find("said").textContent = words.removed;
  }
}

/** When the lesson was held, by the file; cameras whose clock was never set say 1970 or 1980. */
function held(file) {
  const at = new Date(file.lastModified);
  return at.getFullYear() >= 2000 && at <= new Date() ? at.toISOString() : "";
}

/** Send files one after the other: two at once would only share the link. */
async function enqueue(card, first = false) {
  if (first) queue.unshift(card);
  else queue.push(card);
  card.show("waiting", {});
  if (sending) return;
  while (queue.length) {
    sending = queue.shift();
    await sending.sender.run();
  }
  sending = null;
}

function place() {
  const value = (name) => (find(`f-${name}`) ? find(`f-${name}`).value : "");
  const session = value("session_id");
  return session ? { session } : { school: value("school_id"), subject: value("subject"), grades: value("grades") };
}

function add(files) {
  find("list-head").hidden = false;
  for (const file of files) {
    if (file.size > settings.most_bytes) {
      find("said").textContent = `${file.name}: ${words.too_long}`;
      continue;
    }
    const print = fingerprint(file);
    const there = [...list.children].find((item) => item.card && item.card.print === print);
    if (!there) enqueue(new Card(file, place()));
    else if (!there.card.running && there.dataset.state !== "received") enqueue(there.card, true);
  }
}

const chooser = find("f-file");
chooser.multiple = true; // without this script the form takes one
chooser.addEventListener("change", () => {
  add(chooser.files);
  chooser.value = "";
});
find("choose").addEventListener("submit", (event) => event.preventDefault());
const lesson = find("f-session_id");
const showPlace = () => (find("unbooked").hidden = lesson.value !== "");
lesson.addEventListener("change", showPlace);
showPlace();
const drop = find("drop");
for (const name of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(name, (event) => {
    event.preventDefault(); // a file beside the frame must not replace the page
    drop.classList.toggle("over", name === "dragover");
    if (name === "drop" && event.dataTransfer) add(event.dataTransfer.files);
  });
}
addEventListener("online", () => sending && sending.sender.hurry());
addEventListener("beforeunload", (event) => {
  if (!sending) return;
  event.preventDefault();
  event.returnValue = words.leave;
});
