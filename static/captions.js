// Comfort for the captions' editor: plays the recording from a caption on. Everything else works without this script.
const player = document.querySelector(".cue-bar audio");
const words = JSON.parse(document.getElementById("caption-words").textContent);

function seconds(text) {
  return text.replace(",", ".").split(":").reduce((sum, part) => sum * 60 + Number(part), 0);
}

function play(row) {
  const at = seconds(row.querySelector("[name=start]").value);
  if (!Number.isFinite(at)) return;
  const begin = () => {
    player.currentTime = at;
    player.play();
  };
  if (player.readyState > 0) begin();
  else {
    player.addEventListener("loadedmetadata", begin, { once: true });
    player.load();
    player.preload = "auto";
  }
}

for (const row of document.querySelectorAll(".cue")) {
  const place = row.querySelector("p:last-child");
  if (!place || !row.querySelector("[name=start]").value) continue;
  const button = document.createElement("button");
  button.type = "button";
  button.className = "plain";
  button.textContent = words.play;
  button.addEventListener("click", () => play(row));
  place.append(" ", button);
}
