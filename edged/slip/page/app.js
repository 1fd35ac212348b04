// The page: takes a slip from the address, the camera, a photo or a text, and shows what it is. Nothing of it is sent.

import { Camera } from "./camera.js";
import { learn } from "./knowledge.js";
import { inPhoto } from "./qr.js";
import { preferred, say } from "./texts.js";
import { NotASlip, slipIn } from "./url.js";
import { verify } from "./verify.js";
import { element, showAbout, showTexts, showVerdict } from "./view.js";

const MAX_PHOTO = 40 * 1024 * 1024;

/** @type {import("./texts.js").Language} */
let language = preferred(navigator.languages ?? [navigator.language]);
/** @type {any} */
let words;
/** @type {import("./knowledge.js").Fleet} */
let fleet;
/** @type {import("./verify.js").Knowledge} */
let knowledge = { directory: null, status: null };
/** @type {import("./verify.js").Verification | null} */
let found = null;
/** What is wrong with what was given, as a code. @type {string} */
let trouble = "";
let turn = 0;

const camera = new Camera(element("video"));

/** @param {string} code */
function said(code) {
  return say(words.texts, code, language);
}

/** Seconds since 1970. */
function now() {
  return Math.floor(Date.now() / 1000);
}

/** Everything in the language that is chosen. */
function show() {
  showTexts(words.texts, language);
  showAbout(fleet, knowledge, now(), words.texts, language);
  element("refused").textContent = trouble === "" ? "" : said(trouble);
  if (found !== null) showVerdict(found, words.texts, language);
}

/** The slip in the address, which is taken out of it: what the window remembers says nothing of anybody. */
function fromAddress() {
  const { hash, pathname, search } = location;
  if (hash.length < 2) return null;
  history.replaceState(null, "", pathname + search);
  return hash;
}

/** @param {string} text */
async function judge(text) {
  turn += 1;
  const mine = turn;
  trouble = "";
  found = null;
  element("verdict").hidden = true;
  element("working").hidden = false;
  element("working").textContent = said("slip_page.working");
  const learnt = await learn(fleet, now());
  const judged = await verify(text, learnt, now(), words);
  if (mine !== turn) return;
  [knowledge, found] = [learnt, judged];
  element("working").hidden = true;
  show();
  element("announced").textContent = said(`slip.verdict_${judged.verdict}`);
  element("verdict").focus();
}

/** Whether a text is a slip's, from the camera: of anything else it says so and goes on looking. @param {string} text */
function taken(text) {
  try {
    slipIn(text);
  } catch (error) {
    if (!(error instanceof NotASlip)) return begin(text);
    return refuse("slip.not_a_slip");
  }
  return begin(text);
}

/** @param {string} text */
function begin(text) {
  void judge(text);
  return true;
}

/** @param {string} code */
function refuse(code) {
  trouble = code;
  element("refused").textContent = said(code);
  return false;
}

async function startCamera() {
  trouble = "";
  element("refused").textContent = "";
  element("camera").hidden = false;
  element("camera-stop").focus();
  try {
    await camera.look(taken);
  } catch (error) {
    if (!(error instanceof DOMException)) throw error;
    refuse(error.name === "NotAllowedError" ? "slip_page.camera_refused" : "slip_page.camera_missing");
  } finally {
    element("camera").hidden = true;
    camera.stop();
  }
}

/** @param {File} file */
async function fromPhoto(file) {
  if (file.type === "application/pdf") return refuse("slip_page.pdf");
  if (file.size > MAX_PHOTO) return refuse("slip_page.no_picture");
  let picture;
  try {
    picture = await createImageBitmap(file);
  } catch {
    return refuse("slip_page.no_picture");
  }
  const text = await inPhoto(picture);
  picture.close();
  return text === null ? refuse("slip_page.no_code") : taken(text);
}

function listen() {
  for (const button of document.querySelectorAll("[data-language]")) {
    button.addEventListener("click", () => {
      language = button.dataset.language;
      show();
    });
  }
  element("camera-start").addEventListener("click", () => void startCamera());
  element("camera-stop").addEventListener("click", () => {
    camera.stop();
    element("camera").hidden = true;
    element("camera-start").focus();
  });
  element("photo").addEventListener("change", (event) => {
    const [file] = event.target.files;
    event.target.value = "";
    if (file !== undefined) void fromPhoto(file);
  });
  element("typed").addEventListener("submit", (event) => {
    event.preventDefault();
    const text = element("address").value;
    element("address").value = "";
    if (!taken(text)) element("address").focus();
  });
  addEventListener("hashchange", () => {
    const text = fromAddress();
    if (text !== null) void judge(text);
  });
  addEventListener("pagehide", () => camera.stop());
}

/** Keep the page for when there is no network. */
async function keepOffline() {
  const line = element("offline");
  if (navigator.serviceWorker === undefined) return;
  const policy = globalThis.trustedTypes?.createPolicy("slip-worker", { createScriptURL: () => "sw.js" });
  try {
    await navigator.serviceWorker.register(policy?.createScriptURL("") ?? "sw.js");
    await navigator.serviceWorker.ready;
    line.dataset.text = "slip_page.offline";
    line.textContent = said("slip_page.offline");
  } catch {
    line.textContent = ""; // a private window keeps nothing
  }
}

/** @param {string} name */
async function own(name) {
  return (await fetch(name)).json();
}

async function start() {
  const text = fromAddress();
  [words, fleet] = await Promise.all([own("texts.json"), own("fleet.json")]);
  show();
  listen();
  element("ways").hidden = false;
  element("about").hidden = false;
  if (text !== null) {
    await judge(text);
  } else {
    knowledge = await learn(fleet, now());
    show();
  }
  await keepOffline();
}

void start();
