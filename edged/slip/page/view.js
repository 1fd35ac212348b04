// What a person sees of a verification. Everything is set as text, never as HTML: a slip's texts are strangers'.

import { say } from "./texts.js";

const ICONS = {
  genuine: "M10 25l10 10 18-22",
  altered: "M12 12l24 24M36 12L12 36",
  unknown: "M16 17a8 8 0 1 1 11 7c-3 1.500-3 3-3 6M24 38v.1",
  withdrawn: "M24 7a17 17 0 1 0 .1 0M12 12l24 24",
  superseded: "M38 20a15 15 0 1 0 0 9M38 9v11H27",
  expired: "M24 7a17 17 0 1 0 .1 0M24 14v11l7 5",
  undetermined: "M24 6L4 41h40zM24 18v11M24 35v.1",
};
const TONES = { genuine: "good", altered: "bad", unknown: "bad", withdrawn: "bad" };

/** @param {string} id @returns {any} */
export function element(id) {
  return document.getElementById(id);
}

/** @param {Element} within @param {string} name @param {string} text @param {string} [className] */
function add(within, name, text, className = "") {
  const made = document.createElement(name);
  made.textContent = text;
  if (className !== "") made.className = className;
  within.append(made);
  return made;
}

/** The words that stand still. @param {any} texts @param {import("./texts.js").Language} language */
export function showTexts(texts, language) {
  document.documentElement.lang = language;
  document.title = say(texts, "slip_page.title", language);
  for (const one of document.querySelectorAll("[data-text]")) one.textContent = say(texts, one.dataset.text, language);
  for (const one of document.querySelectorAll("[data-label]")) {
    one.setAttribute("aria-label", say(texts, one.dataset.label, language));
  }
  for (const one of document.querySelectorAll("[data-language]")) {
    one.setAttribute("aria-pressed", String(one.dataset.language === language));
  }
}

/**
 * The verdict, large, and what to do; then every line that is signed.
 * @param {import("./verify.js").Verification} found @param {any} texts @param {import("./texts.js").Language} language
 */
export function showVerdict(found, texts, language) {
  const { verdict, reasons, facts } = found;
  const unreal = verdict === "genuine" && facts.kind !== "live";
  const section = element("verdict");
  section.dataset.verdict = verdict;
  section.dataset.tone = unreal ? "unsure" : (TONES[verdict] ?? "unsure");
  element("verdict-icon").setAttribute("d", unreal ? ICONS.undetermined : ICONS[verdict]);
  element("verdict-word").textContent = say(texts, `slip.verdict_${verdict}`, language);
  element("verdict-banner").hidden = !unreal;
  element("verdict-banner").textContent = unreal ? say(texts, `slip.banner_${facts.kind}`, language) : "";
  const sentences = reasons.map(({ code, params }) => say(texts, code, language, params));
  element("verdict-sentence").textContent = sentences.join(" ");
  element("verdict-next").textContent = say(texts, `slip_page.next_${unreal ? "test" : verdict}`, language);
  showLines(found, language);
  section.hidden = false;
}

/** Lines are shown only when the signature covers them. @param {import("./verify.js").Verification} found @param {import("./texts.js").Language} language */
function showLines({ signed, lines }, language) {
  const shown = signed ? lines : [];
  const list = element("lines");
  list.replaceChildren();
  const [own, other] = language === "zh-CN" ? [0, 1] : [1, 0];
  for (const line of shown) {
    const item = add(list, "li", "", line.style);
    item.dataset.key = line.key;
    if (line.caption[own] !== "") add(item, "span", captionOf(line, own, other), "caption");
    add(item, "span", line.value[own], "value");
    if (line.value[other] !== line.value[own]) add(item, "span", line.value[other], "other").lang = LANGUAGES[other];
  }
  element("covered").hidden = shown.length === 0;
}

const LANGUAGES = ["zh-CN", "en"];

/** Both languages, as on the paper. @param {import("./lines.js").Line} line @param {number} own @param {number} other */
function captionOf({ caption }, own, other) {
  return caption[own] === caption[other] ? caption[own] : `${caption[own]} · ${caption[other]}`;
}

/**
 * Whom the page believes, and how old what it knows is.
 * @param {import("./knowledge.js").Fleet} fleet @param {import("./verify.js").Knowledge} knowledge
 * @param {number} at @param {any} texts @param {import("./texts.js").Language} language
 */
export function showAbout(fleet, { directory, status }, at, texts, language) {
  const said = (/** @type {string} */ code, /** @type {Record<string, string>} */ fillers = {}) =>
    say(texts, code, language, fillers);
  const address = fleet.address ?? new URL("./", location.href).href;
  element("place").textContent = said(fleet.demo ? "slip_page.place_demo" : "slip_page.place", { address, fleet: fleet.fleet });
  element("known").textContent =
    directory === null ? said("slip_page.no_directory") : said("slip_page.directory", span(directory.head, at));
  element("list").textContent = status === null ? said("slip_page.no_list") : said("slip_page.list", span(status, at));
}

/** @param {{iat: number, exp: number}} signed @param {number} at */
function span({ iat, exp }, at) {
  const minute = (/** @type {number} */ seconds) => `${new Date(seconds * 1000).toISOString().slice(0, 16).replace("T", " ")} UTC`;
  return { since: minute(iat), until: minute(exp), hours: String(Math.max(0, Math.floor((at - iat) / 3600))) };
}
