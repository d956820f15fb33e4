// Puts a button beside every read-only link: one click copies it. Without this script the link can be selected by hand.
const words = JSON.parse(document.getElementById("copy-words").textContent);
for (const field of document.querySelectorAll("input.copy")) {
  field.addEventListener("focus", () => field.select());
  if (!navigator.clipboard) continue; // plain http: browsers give the clipboard to secure pages only
  const button = document.createElement("button");
  button.type = "button";
  button.className = "quiet";
  button.textContent = words.copy;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(field.value);
    button.textContent = words.copied;
  });
  field.after(" ", button);
}
