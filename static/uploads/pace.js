// How long the next piece of a file shall be, and how long to wait after trouble. Nothing here asks a clock.

export const LEAST = 64 * 1024;
export const MOST = 8 * 1024 * 1024;
const TARGET_S = 7; // a cut costs half of this on average where a piece counts only whole
const STEP = 64 * 1024;
const WAITS_S = [1, 2, 4, 8, 15, 30];

/** The piece after one of `bytes` that took `seconds`: what the link carries in TARGET_S, at most twice the last one. */
export function nextBytes(bytes, seconds) {
  const wanted = seconds > 0 ? (bytes / seconds) * TARGET_S : MOST;
  const bounded = Math.min(wanted, bytes * 2, MOST);
  return Math.max(LEAST, Math.floor(bounded / STEP) * STEP);
}

/** The piece after one that did not get through: half of it. */
export function afterCut(bytes) {
  return Math.max(LEAST, Math.floor(bytes / 2 / STEP) * STEP);
}

/** Seconds to wait before the try after `failures` in a row. */
export function waitSeconds(failures) {
  return WAITS_S[Math.min(failures, WAITS_S.length) - 1];
}

/** A rate in bytes per second over the last while: a list of [seconds, bytes so far], the oldest first. */
export function rate(marks, windowS) {
  if (marks.length < 2) return 0;
  const [endS, end] = marks[marks.length - 1];
  const first = marks.find(([at]) => endS - at <= windowS) || marks[0];
  const span = endS - first[0];
  return span >= 1 ? (end - first[1]) / span : 0;
}

/** The name by which a file is known again: its size, its time, its name. At most 64 characters. */
export function fingerprint(file) {
  let hash = 0x811c9dc5; // FNV-1a over the name's UTF-16 units
  for (let i = 0; i < file.name.length; i += 1) hash = Math.imul(hash ^ file.name.charCodeAt(i), 0x01000193) >>> 0;
  return `${file.size}-${file.lastModified}-${hash.toString(16)}`;
}
