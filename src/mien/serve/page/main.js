// What happens when: pictures come in by button, drop, paste or camera; answers go to the canvas and the cards.

import { askPicture, problemOf } from "./ask.js";
import { Camera } from "./camera.js";
import { Cards } from "./cards.js";
import { readPicture } from "./picture.js";
import { Stage } from "./stage.js";
import { expression, percent, preferredLanguage, rememberLanguage, say, sayProblem, setLanguage } from "./words.js";

const at = (id) => document.getElementById(id);
const SPEAK_EVERY_MILLISECONDS = 3000;
const KEY = /^[\x21-\x7e]+$/; // as the server takes them; fetch and WebSocket send no others
const CAMERA_PROBLEMS = { NotAllowedError: "refusedCamera", NotReadableError: "busyCamera" };
const FEW = 2; // cards that fit beside a picture

const stage = new Stage(at("canvas"), at("stage"));
const cards = new Cards(at("faces"), { onChoose: choose });
let key = ""; // in memory only
let camera = null;
let starting = false; // a camera that is asked for
let asking = null;
let latest = null; // the last answer, told anew when the language changes
let problem = null; // the last one, told anew as well
let again = null; // what to do once a key is there
let spokenAt = -Infinity;

// --- what a person sees and hears ---

function choose(number) {
  stage.choose(number);
  cards.choose(number);
}

/** A picture whose faces have a number each: their own, by which a stream's are followed, or else their place. */
function numbered(picture) {
  return { ...picture, faces: picture.faces.map((face, i) => ({ ...face, number: face.number ?? i + 1 })) };
}

function sentence(picture) {
  if (!picture.faces.length) return say("nobody");
  const one = (face) => (face.unsure ? say("unsure") : say("sentence", expression(face.label), percent(face.probability)));
  return say("summary", picture.faces.length, picture.faces.map(one).join(", "));
}

function tell(answered) {
  const picture = numbered(answered);
  latest = picture;
  arrange(picture.faces.length);
  stage.mark(picture);
  keepingFocus(() => cards.show(picture.faces, (number, canvas) => stage.cutOut(number, canvas)));
  note(picture.faces.length ? (picture.is_crop ? "cropped" : "") : "nobody");
  const words = sentence(picture);
  at("canvas").setAttribute("aria-label", words);
  if (!camera || performance.now() - spokenAt > SPEAK_EVERY_MILLISECONDS) speak(words);
}

/** Many cards have room below a picture; before a camera, where people come and go, nothing moves about. */
function arrange(count) {
  document.body.classList.toggle("many", !camera && count > FEW);
}

function speak(words) {
  if (at("said").textContent === words) return;
  at("said").textContent = words;
  spokenAt = performance.now();
}

/** A word of the page below the heading of the faces; "" for none. */
function note(word) {
  at("none").dataset.t = word; // told anew when the language changes
  at("none").textContent = word && say(word);
  at("none").hidden = !word;
}

/** A problem of the page or the server, said once as long as it lasts; null for none. */
function complain(told) {
  problem = told;
  const words = told ? sayProblem(told) : "";
  if (at("problem").textContent === words) return;
  at("problem").textContent = words;
  at("problem").hidden = !told;
}

function showLanguage(language) {
  setLanguage(language);
  document.documentElement.lang = language === "zh" ? "zh-Hans" : "en";
  for (const place of document.querySelectorAll('[data-t]:not([data-t=""])')) place.textContent = say(place.dataset.t);
  for (const button of document.querySelectorAll("[data-language]")) {
    button.setAttribute("aria-pressed", String(button.dataset.language === language));
  }
  if (camera) at("camera").textContent = say("stop");
  complain(problem);
  if (latest) tell(latest);
}

/** Change the page; where that takes away what has the focus, it goes to the buttons and not to the top of the page. */
function keepingFocus(change) {
  const focused = document.activeElement;
  change();
  if (focused && (!focused.isConnected || focused.closest("[hidden]"))) at("tools").focus();
}

function reset() {
  asking?.abort();
  asking = again = latest = null;
  camera?.stop();
  camera = null;
  arrange(0);
  stage.clear();
  complain(null);
  note("waiting");
  hush();
  at("camera").textContent = say("camera");
  at("camera").setAttribute("aria-pressed", "false");
  keepingFocus(() => {
    cards.show([], () => {});
    for (const id of ["clear", "rate", "key-form"]) at(id).hidden = true;
  });
  at("empty").hidden = false;
}

/** Nothing is shown any more that was said: the same words about the next picture are said again. */
function hush() {
  at("said").textContent = "";
  at("canvas").removeAttribute("aria-label");
  spokenAt = -Infinity;
}

function begin() {
  at("empty").hidden = true;
  at("clear").hidden = false;
  note("looking");
  at("said").textContent = say("looking");
}

// --- pictures ---

async function look(file) {
  reset();
  const mine = (asking = new AbortController());
  try {
    const { bitmap, picture } = await readPicture(file);
    if (mine.signal.aborted) return;
    begin();
    stage.show(bitmap);
    tell(await askPicture(picture, key, mine.signal));
  } catch (error) {
    if (!mine.signal.aborted) refused(error, () => look(file));
  }
}

function refused(error, retry) {
  note("");
  hush();
  if (error.code === "unauthorised") {
    again = retry;
    at("key-form").hidden = false;
    at("key").focus();
  }
  complain(error);
}

// --- the camera ---

async function watch() {
  reset();
  if (!navigator.mediaDevices) {
    complain({ code: "insecure" });
    return;
  }
  const mine = new Camera(key, {
    onAnswer: (picture, { frames, milliseconds }) => {
      if (camera !== mine) return;
      complain(null);
      tell(picture);
      at("rate").textContent = say("rate", frames, milliseconds);
      at("rate").hidden = false;
    },
    onProblem: complain,
    onEnd: (opened) => (camera === mine ? cameraEnded(opened) : undefined),
    onLost: () => (camera === mine ? cameraLost() : undefined),
  });
  camera = mine;
  setStarting(true);
  try {
    await mine.start();
    if (camera !== mine) return mine.stop();
    begin();
    stage.show(mine.video, { mirrored: true });
    at("camera").textContent = say("stop");
    at("camera").setAttribute("aria-pressed", "true");
  } catch (error) {
    mine.stop();
    if (camera !== mine) return; // a picture came meanwhile
    reset();
    complain({ code: CAMERA_PROBLEMS[error.name] ?? "noCamera" });
  } finally {
    setStarting(false);
  }
}

/** The button keeps the focus, which one that is disabled would lose. */
function setStarting(now) {
  starting = now;
  at("camera").setAttribute("aria-disabled", String(now));
}

function cameraLost() {
  reset();
  complain({ code: "lostCamera" });
}

async function cameraEnded(opened) {
  reset();
  if (opened) return complain({ code: "streamEnded" });
  // A browser does not say why a handshake was refused; the same question over HTTP does.
  const { signal } = (asking = new AbortController());
  const headers = key ? { Authorization: `Bearer ${key}` } : {};
  const answer = await fetch("/v1/model", { headers, signal }).catch(() => null);
  const told = answer && !answer.ok ? await problemOf(answer) : { code: "unreachable" };
  if (signal.aborted) return; // a picture came meanwhile
  if (answer?.ok) complain({ code: "streamEnded" });
  else refused(told, watch);
}

// --- ways in ---

at("choose").addEventListener("click", () => at("file").click());
at("file").addEventListener("change", () => {
  const [file] = at("file").files;
  at("file").value = ""; // so that the same file can be chosen again
  if (file) look(file);
});
at("camera").addEventListener("click", () => {
  if (!starting) (camera ? reset : watch)();
});
at("clear").addEventListener("click", () => {
  reset();
  at("choose").focus();
});
at("canvas").addEventListener("click", ({ clientX, clientY }) => {
  const number = stage.at(clientX, clientY);
  if (number !== undefined) cards.choose(number, { focus: true });
});
at("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const given = at("key").value.trim();
  if (!KEY.test(given)) {
    at("key").select();
    return complain({ code: "noKey" });
  }
  key = given;
  at("key").value = "";
  const retry = again;
  keepingFocus(() => (at("key-form").hidden = true));
  complain(null);
  retry?.();
});

for (const event of ["dragenter", "dragover"]) {
  document.addEventListener(event, (dragged) => {
    dragged.preventDefault();
    at("stage").classList.add("over");
  });
}
for (const event of ["dragleave", "drop"]) {
  document.addEventListener(event, (dragged) => {
    dragged.preventDefault();
    if (event === "drop" || !dragged.relatedTarget) at("stage").classList.remove("over");
  });
}
document.addEventListener("drop", ({ dataTransfer }) => {
  const [file] = dataTransfer.files;
  if (file) look(file);
});
document.addEventListener("paste", ({ clipboardData }) => {
  const [file] = clipboardData.files;
  if (file) look(file);
});
for (const button of document.querySelectorAll("[data-language]")) {
  button.addEventListener("click", () => {
    rememberLanguage(button.dataset.language);
    showLanguage(button.dataset.language);
  });
}
// A page that is come back to has its camera off, and says so; a picture stays.
addEventListener("pagehide", () => camera && reset());
showLanguage(preferredLanguage());
