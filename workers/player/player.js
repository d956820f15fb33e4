// The player of a lesson pack. It runs from file:// in browsers of the last ten years, so: ES5, no modules, nothing is
// fetched; data.js gives LESSON.
(function () {
  "use strict";
  var L = window.LESSON;
  var WORDS = {
    ru: { play: "Слушать", pause: "Пауза", back: "−10 с", backTitle: "Назад на 10 секунд", previous: "◀ Слайд", next: "Слайд ▶",
      previousTitle: "Предыдущий слайд", nextTitle: "Следующий слайд", speed: "Скорость", captions: "Субтитры", none: "выключены",
      search: "Поиск по тексту урока", nothing: "Ничего не найдено.", found: "Найдено: ", chapters: "Содержание", slides: "Слайды",
      slide: "Слайд", reading: "Читать без звука", language: "English", seek: "Место в уроке", of: " из ", onSlide: "на слайде",
      blank: "К этому уроку нет слайдов: слушайте голос.", controls: "Управление",
      keys: "Клавиши: пробел – слушать и пауза, ← → – 5 секунд, Page Up и Page Down – слайды, / – поиск.",
      trouble: "Этот браузер не умеет играть Opus. Положите файл «Голос для старых плееров» этого урока в папку media под именем voice.m4a и обновите страницу, или откройте урок в Firefox или Chrome. Слайды и текст можно читать и так." },
    en: { play: "Play", pause: "Pause", back: "−10 s", backTitle: "Back 10 seconds", previous: "◀ Slide", next: "Slide ▶",
      previousTitle: "Previous slide", nextTitle: "Next slide", speed: "Speed", captions: "Captions", none: "off",
      search: "Search in the lesson", nothing: "Nothing was found.", found: "Found: ", chapters: "Contents", slides: "Slides",
      slide: "Slide", reading: "Read without sound", language: "Русский", seek: "Place in the lesson", of: " of ", onSlide: "on the slide",
      blank: "This lesson has no slides: listen to the voice.", controls: "Controls",
      keys: "Keys: space plays and pauses, ← → move 5 seconds, Page Up and Page Down turn slides, / searches.",
      trouble: "This browser cannot play Opus. Put the file “Voice for old players” of this lesson into the folder media under the name voice.m4a and reload the page, or open the lesson in Firefox or Chrome. Slides and text can be read anyway." }
  };
  var NAMES = { ru: "русский", en: "English" };
  var SPEEDS = [0.75, 1, 1.25, 1.5, 1.75, 2];
  // The clock of the page: how often it is looked whether the slide must turn, in milliseconds.
  var TICK_MS = 100;
  var MOST_FOUND = 100;
  var language = "en";
  var words = WORDS.en;
  var voice, shown = -1, spoken = null, track = -1, dragging = false;

  function el(id) { return document.getElementById(id); }
  function text(node, value) { if (node.textContent !== value) { node.textContent = value; } }
  function make(tag, value) { var node = document.createElement(tag); if (value) { node.textContent = value; } return node; }
  function empty(node) { while (node.firstChild) { node.removeChild(node.firstChild); } }
  function remember(name, value) { try { window.localStorage.setItem("tropa-" + name, value); } catch (refused) { /* file:// may forbid it */ } }
  function recall(name) { try { return window.localStorage.getItem("tropa-" + name); } catch (refused) { return null; } }
  function two(number) { return number < 10 ? "0" + number : String(number); }
  function clock(seconds) {
    var whole = Math.max(0, Math.floor(seconds)), hours = Math.floor(whole / 3600), rest = two(whole % 60);
    var minutes = Math.floor(whole / 60) % 60;
    return hours ? hours + ":" + two(minutes) + ":" + rest : minutes + ":" + rest;
  }
  function length() { return L.duration_s; }
  // The last entry of a list of [seconds, …] that has begun; -1 before the first.
  function at(list, seconds) {
    var low = 0, high = list.length;
    while (low < high) {
      var middle = (low + high) >> 1;
      if (list[middle][0] <= seconds + 0.001) { low = middle + 1; } else { high = middle; }
    }
    return low - 1;
  }

  function showSlide(turn) {
    if (turn === shown) { return; }
    shown = turn;
    var picture = el("slide"), slide = turn < 0 ? null : L.slides[L.turns[turn][1]];
    picture.hidden = !slide;
    el("blank").hidden = !!slide;
    if (slide) {
      picture.alt = slide.text ? slide.text.slice(0, 500) : words.slide + " " + (turn + 1);
      if (picture.getAttribute("src") !== slide.src) { picture.src = slide.src; }
      picture.setAttribute("data-turn", String(turn));
      // The next one is read from the stick before it is its turn.
      if (turn + 1 < L.turns.length) { new Image().src = L.slides[L.turns[turn + 1][1]].src; }
    }
    var items = el("slides").children;
    for (var i = 0; i < items.length; i += 1) {
      var button = items[i].firstChild;
      if (i === turn) { button.setAttribute("aria-current", "true"); } else { button.removeAttribute("aria-current"); }
    }
    if (turn >= 0 && items[turn]) {
      var list = el("slides"), top = items[turn].offsetTop - list.offsetTop;
      if (top < list.scrollTop || top + items[turn].offsetHeight > list.scrollTop + list.clientHeight) { list.scrollTop = top; }
    }
  }

  function showLine(milliseconds) {
    var cue = "";
    if (track >= 0) {
      var cues = L.captions[track].cues, low = 0, high = cues.length;
      while (low < high) { var middle = (low + high) >> 1; if (cues[middle][0] <= milliseconds) { low = middle + 1; } else { high = middle; } }
      if (low && cues[low - 1][1] > milliseconds) { cue = cues[low - 1][2]; }
    }
    if (cue !== spoken) { spoken = cue; text(el("line"), cue); }
  }

  function update() {
    var seconds = voice.currentTime || 0;
    showSlide(at(L.turns, seconds));
    showLine(seconds * 1000);
    text(el("clock"), clock(seconds) + " / " + clock(length()));
    if (!dragging) { el("seek").value = seconds; }
    el("seek").setAttribute("aria-valuetext", clock(seconds) + words.of + clock(length()));
    text(el("play"), voice.paused ? words.play : words.pause);
  }

  function jump(seconds) {
    var target = Math.min(Math.max(0, seconds), length() - 0.05);
    if (voice.readyState > 0) { voice.currentTime = target; update(); return; }
    // Nothing is loaded yet: show the place at once, and go there when the voice is there.
    showSlide(at(L.turns, target));
    showLine(target * 1000);
    voice.addEventListener("loadedmetadata", function once() {
      voice.removeEventListener("loadedmetadata", once);
      voice.currentTime = target;
    });
    voice.load();
  }

  function toggle() {
    if (!voice.paused) { voice.pause(); return; }
    var promise = voice.play();
    if (promise && promise["catch"]) { promise["catch"](function () { if (voice.error) { fail(); } }); }
  }
  function turnBy(step) {
    var turn = Math.min(Math.max(0, shown + step), L.turns.length - 1);
    if (L.turns.length) { jump(L.turns[turn][0]); }
  }
  function fail() { el("trouble").hidden = false; }

  function fold(value) { return value.toLowerCase().replace(/ё/g, "е"); }
  function entries() {
    var all = [], i, j;
    for (i = 0; i < L.chapters.length; i += 1) { all.push([L.chapters[i][0], L.chapters[i][1], false]); }
    for (i = 0; i < L.captions.length; i += 1) {
      for (j = 0; j < L.captions[i].cues.length; j += 1) { all.push([L.captions[i].cues[j][0] / 1000, L.captions[i].cues[j][2], false]); }
    }
    var told = {};
    for (i = 0; i < L.turns.length; i += 1) {
      var slide = L.slides[L.turns[i][1]];
      if (slide.text && !told[slide.src]) { told[slide.src] = true; all.push([L.turns[i][0], slide.text, true]); }
    }
    return all.sort(function (one, other) { return one[0] - other[0]; });
  }
  function snippet(button, whole, word) {
    var flat = whole.replace(/\s+/g, " "), place = fold(flat).indexOf(word), from = Math.max(0, place - 40);
    if (place < 0) { button.appendChild(document.createTextNode(flat.slice(0, 120))); return; }
    button.appendChild(document.createTextNode((from ? "…" : "") + flat.slice(from, place)));
    button.appendChild(make("mark", flat.slice(place, place + word.length)));
    button.appendChild(document.createTextNode(flat.slice(place + word.length, place + word.length + 80)));
  }
  function search() {
    var list = el("found"), wanted = fold(el("words").value).replace(/\s+/g, " ").replace(/^ | $/g, ""), parts = wanted.split(" ");
    empty(list);
    text(el("count"), "");
    if (wanted.length < 2) { return; }
    var found = entries().filter(function (entry) {
      var folded = fold(entry[1]);
      return parts.every(function (part) { return folded.indexOf(part) >= 0; });
    });
    text(el("count"), found.length ? words.found + found.length : words.nothing);
    found.slice(0, MOST_FOUND).forEach(function (entry) {
      var item = make("li"), button = make("button");
      button.type = "button";
      button.appendChild(make("b", clock(entry[0])));
      snippet(button, entry[1], parts[0]);
      if (entry[2]) { button.appendChild(make("span", " (" + words.onSlide + ")")); }
      button.addEventListener("click", function () { jump(entry[0]); });
      item.appendChild(button);
      list.appendChild(item);
    });
  }

  function buildLists() {
    var marks = el("marks"), slides = el("slides"), chapters = el("chapters");
    empty(marks); empty(slides); empty(chapters);
    L.turns.forEach(function (turn, index) {
      var item = make("li"), button = make("button"), picture = make("img"), slide = L.slides[turn[1]], mark = make("i");
      mark.style.left = 100 * turn[0] / length() + "%";
      marks.appendChild(mark);
      button.type = "button";
      picture.src = slide.src;
      picture.width = slide.width;
      picture.height = slide.height;
      picture.alt = "";
      picture.setAttribute("loading", "lazy");
      button.appendChild(picture);
      button.appendChild(make("b", clock(turn[0])));
      button.appendChild(document.createTextNode(words.slide + " " + (index + 1)));
      button.addEventListener("click", function () { jump(turn[0]); });
      item.appendChild(button);
      slides.appendChild(item);
    });
    L.chapters.forEach(function (chapter) {
      var item = make("li"), button = make("button"), mark = make("i");
      mark.className = "chapter";
      mark.style.left = 100 * chapter[0] / length() + "%";
      marks.appendChild(mark);
      button.type = "button";
      button.appendChild(make("b", clock(chapter[0])));
      button.appendChild(document.createTextNode(chapter[1]));
      button.addEventListener("click", function () { jump(chapter[0]); });
      item.appendChild(button);
      chapters.appendChild(item);
    });
    el("slides-box").hidden = !L.turns.length;
    el("chapters-box").hidden = !L.chapters.length;
    el("previous").hidden = el("next").hidden = L.turns.length < 2;
  }

  function buildCaptions() {
    var box = el("captions"), kept = track;
    empty(box);
    var off = make("option", words.none);
    off.value = "-1";
    box.appendChild(off);
    L.captions.forEach(function (one, index) {
      var option = make("option", NAMES[one.language] || one.language);
      option.value = String(index);
      box.appendChild(option);
    });
    box.value = String(kept);
    el("captions-box").hidden = !L.captions.length;
  }

  function speak(code) {
    language = code;
    words = WORDS[code];
    document.documentElement.lang = code;
    ["back", "previous", "next"].forEach(function (id) {
      text(el(id), words[id]);
      el(id).setAttribute("aria-label", words[id + "Title"]);
      el(id).title = words[id + "Title"];
    });
    text(el("reading"), words.reading);
    text(el("language"), words.language);
    el("language").lang = code === "ru" ? "en" : "ru";
    text(el("speed-label"), words.speed);
    text(el("captions-label"), words.captions);
    text(el("search-label"), words.search);
    text(el("chapters-label"), words.chapters);
    text(el("slides-label"), words.slides);
    text(el("keys"), words.keys);
    text(el("blank"), words.blank);
    text(el("trouble"), words.trouble);
    var day = code === "ru" ? L.date.split("-").reverse().join(".") : L.date;
    text(el("facts"), [L.subject, L.grades, L.school, day, clock(length())].filter(Boolean).join(" · "));
    SPEEDS.forEach(function (speed, index) {
      text(el("speed").options[index], (code === "ru" ? String(speed).replace(".", ",") : String(speed)) + "×");
    });
    el("seek").setAttribute("aria-label", words.seek);
    el("controls").setAttribute("aria-label", words.controls);
    buildCaptions();
    var turn = shown;
    shown = -2;
    buildLists();
    showSlide(turn === -2 ? -1 : turn);
    update();
    search();
  }

  // Safari 10 and Chrome 50 know numbers alone.
  var KEYS = { 27: "Escape", 32: " ", 33: "PageUp", 34: "PageDown", 37: "ArrowLeft", 39: "ArrowRight", 191: "/" };
  function onKey(event) {
    var tag = event.target.tagName, key = event.key || KEYS[event.keyCode] || "";
    if (event.ctrlKey || event.altKey || event.metaKey) { return; }
    if (tag === "INPUT" && event.target.type === "search") { if (key === "Escape" || key === "Esc") { el("play").focus(); } return; }
    if (tag === "SELECT") { return; }
    var onButton = tag === "BUTTON" || tag === "A", done = true;
    if ((key === " " || key === "Spacebar") && !onButton) { toggle(); }
    else if ((key === "ArrowLeft" || key === "Left")) { jump(voice.currentTime - 5); }
    else if ((key === "ArrowRight" || key === "Right")) { jump(voice.currentTime + 5); }
    else if (key === "PageUp") { turnBy(-1); }
    else if (key === "PageDown") { turnBy(1); }
    else if (key === "/") { el("words").focus(); }
    else { done = false; }
    if (done) { event.preventDefault(); }
  }

  function start() {
    el("unpacked").hidden = true;
    el("lesson").hidden = false;
    voice = el("voice");
    var playable = L.voice.filter(function (one) { return voice.canPlayType(one.type) !== ""; });
    // Not by <source> elements: on a computer without a sound device Firefox reports an error and plays on in silence, but
    // with those it would leave the voice for the next source.
    var place = 0;
    voice.addEventListener("error", function () {
      if (voice.readyState > 0) { return; }
      place += 1;
      if (place < playable.length) { voice.src = playable[place].src; } else { fail(); }
    });
    if (playable.length) { voice.src = playable[0].src; }
    if (!playable.length) { fail(); }
    SPEEDS.forEach(function (speed) {
      var option = make("option");
      option.value = String(speed);
      el("speed").appendChild(option);
    });
    el("seek").max = String(length());
    var browser = (navigator.language || "ru").slice(0, 2).toLowerCase(), chosen = recall("language");
    language = WORDS[chosen] ? chosen : (browser === "ru" || browser === "be" || browser === "uk" || browser === "kk" ? "ru" : "en");
    L.captions.forEach(function (one, index) { if (track < 0 || one.language === language) { track = index; } });
    speak(language);
    var speed = recall("speed");
    el("speed").value = SPEEDS.map(String).indexOf(speed) >= 0 ? speed : "1";
    voice.playbackRate = voice.defaultPlaybackRate = Number(el("speed").value);

    el("play").addEventListener("click", toggle);
    el("back").addEventListener("click", function () { jump(voice.currentTime - 10); });
    el("previous").addEventListener("click", function () { turnBy(-1); });
    el("next").addEventListener("click", function () { turnBy(1); });
    el("language").addEventListener("click", function () { var other = language === "ru" ? "en" : "ru"; remember("language", other); speak(other); });
    el("speed").addEventListener("change", function () {
      voice.playbackRate = voice.defaultPlaybackRate = Number(el("speed").value);
      remember("speed", el("speed").value);
    });
    el("captions").addEventListener("change", function () { track = Number(el("captions").value); spoken = null; update(); });
    el("seek").addEventListener("input", function () { dragging = true; jump(Number(el("seek").value)); });
    el("seek").addEventListener("change", function () { dragging = false; jump(Number(el("seek").value)); });
    el("search").addEventListener("submit", function (event) { event.preventDefault(); search(); });
    el("words").addEventListener("input", search);
    ["play", "pause", "seeked", "timeupdate", "ended", "loadedmetadata"].forEach(function (name) { voice.addEventListener(name, update); });
    document.addEventListener("keydown", onKey);
    window.setInterval(function () { if (!voice.paused) { update(); } }, TICK_MS);
    update();
  }

  if (L) { start(); }
})();
