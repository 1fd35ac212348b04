// The printed lines of a slip, made of its facts alone: the same lines as edged/slip/content.py, by the same catalogue.

import { say } from "./texts.js";

const LANGUAGES = /** @type {const} */ (["zh-CN", "en"]);
const COMMA = { "zh-CN": "、", en: ", " };
const SEMICOLON = { "zh-CN": "；", en: "; " };
const COLON = { "zh-CN": "：", en: ": " };
const RESULTS = ["failed", "aborted", "undetermined", "successful", "not_supported"]; // what matters most first

/**
 * A pair is (zh-CN, en).
 * @typedef {[string, string]} Pair
 * @typedef {{key: string, caption: Pair, value: Pair, style: string}} Line
 * @typedef {{texts: import("./texts.js").Catalogue, groups: Record<string, string[]>}} Words
 */

/** Every line, top first. @param {import("./claims.js").Facts} facts @param {Words} words @returns {Line[]} */
export function lines(facts, words) {
  const said = sayer(words);
  const at = localTime(facts.at, facts.utc_offset_min);
  return [
    line("title", ["", ""], said("slip.title"), "title"),
    ...(facts.kind === "live" ? [] : [line("kind", ["", ""], said(`slip.banner_${facts.kind}`), "banner")]),
    resultLine("result", facts.result, said),
    resultLine("person", facts.person, said),
    ...rows(facts, at, said),
    ...checks(facts.checks, words),
    row("expires", same(localTime(facts.expires, facts.utc_offset_min)), said),
    line("purpose", ["", ""], said("slip.purpose", { scene: `scene.${facts.scene}` }), "small"),
    ...notice(facts, words),
    line("verify", ["", ""], said("slip.verify_here"), "small"),
  ];
}

/** A slip's number as it is printed. @param {string} number */
export function grouped(number) {
  return number.match(/.{1,4}/g).join(" ");
}

/** `2026-11-27 10:04 UTC+08:00`. @param {number} at seconds since 1970 @param {number} offset minutes ahead of UTC */
export function localTime(at, offset) {
  const shown = new Date((at + offset * 60) * 1000).toISOString().slice(0, 16).replace("T", " ");
  const minutes = Math.abs(offset);
  const two = (/** @type {number} */ number) => String(number).padStart(2, "0");
  return `${shown} UTC${offset < 0 ? "-" : "+"}${two(Math.floor(minutes / 60))}:${two(minutes % 60)}`;
}

/** @param {Words} words @returns {(code: string, fillers?: Record<string, string>) => Pair} */
function sayer({ texts }) {
  return (code, fillers) => /** @type {Pair} */ (LANGUAGES.map((language) => say(texts, code, language, fillers)));
}

/** @param {string} key @param {Pair} caption @param {Pair} value @param {string} style @returns {Line} */
function line(key, caption, value, style) {
  return { key, caption, value, style };
}

/** @param {string} text @returns {Pair} */
function same(text) {
  return [text, text];
}

/** A failure stands out as on the paper. @param {string} key @param {string} result @param {ReturnType<typeof sayer>} said */
function resultLine(key, result, said) {
  return line(key, said(`slip.caption_${key}`), said(`result.${result}`), result === "failed" ? "banner" : "result");
}

/** @param {string} key @param {Pair} value @param {ReturnType<typeof sayer>} said */
function row(key, value, said) {
  return line(key, said(`slip.caption_${key}`), value, "row");
}

/** @param {import("./claims.js").Facts} facts @param {string} at @param {ReturnType<typeof sayer>} said */
function rows(facts, at, said) {
  const copy = facts.copy === 1 ? said("slip.copy_first") : said("slip.copy_again", { copy: String(facts.copy) });
  const found = /** @type {[string, Pair | null][]} */ ([
    ["number", same(grouped(facts.number))],
    ["copy", copy],
    ["supersedes", facts.supersedes === null ? null : same(grouped(facts.supersedes))],
    ["site", same(facts.site)],
    ["device", same(facts.device)],
    ["time", facts.clock_trusted ? same(at) : said("slip.clock_not_trusted", { time: at })],
    ["document", documentOf(facts, said)],
    ...["name", "document_number", "document_expires"].map((key) => [key, facts[key] === null ? null : same(facts[key])]),
  ]);
  return found.flatMap(([key, value]) => (value === null ? [] : [row(key, value, said)]));
}

/** @param {import("./claims.js").Facts} facts @param {ReturnType<typeof sayer>} said */
function documentOf(facts, said) {
  const document = `document_class.${facts.document_class}`;
  return facts.issuer === null ? said(document) : said("slip.document_of", { document, issuer: facts.issuer });
}

/** @param {{name: string, result: string}[]} facts @param {Words} words @returns {Line[]} */
function checks(facts, words) {
  const results = new Map(facts.map(({ name, result }) => [name, result]));
  return Object.entries(words.groups).flatMap(([group, names]) => {
    const found = names.filter((name) => results.has(name));
    if (found.length === 0) return [];
    const value = /** @type {Pair} */ (LANGUAGES.map((language) => byResult(found, results, words, language)));
    return [line(`checks.${group}`, sayer(words)(`slip.group_${group}`), value, "row")];
  });
}

/**
 * `failed: contents; passed: read, check digits`.
 * @param {string[]} names @param {Map<string, string>} results @param {Words} words @param {import("./texts.js").Language} language
 */
function byResult(names, results, words, language) {
  return RESULTS.flatMap((result) => {
    const codes = names.filter((name) => results.get(name) === result).map((name) => `slip.check_${name}`);
    if (codes.length === 0) return [];
    return [say(words.texts, `result.${result}`, language) + COLON[language] + list(codes, words, language)];
  }).join(SEMICOLON[language]);
}

/** @param {string[]} codes @param {Words} words @param {import("./texts.js").Language} language */
function list(codes, words, language) {
  return codes.map((code) => say(words.texts, code, language)).join(COMMA[language]);
}

/** What was read, and whom something was told. @param {import("./claims.js").Facts} facts @param {Words} words */
function notice(facts, words) {
  const said = sayer(words);
  const read = facts.read.map((/** @type {string} */ one) => `slip.read_${one}`);
  const found = [];
  if (read.length > 0) {
    const value = /** @type {Pair} */ (LANGUAGES.map((language) => list(read, words, language)));
    found.push(line("notice.read", said("slip.notice_read"), value, "small"));
  }
  if (facts.recipients.length === 0 && facts.more_recipients === 0) {
    found.push(line("notice.nobody", ["", ""], said("slip.notice_nobody"), "small"));
  }
  facts.recipients.forEach((/** @type {any} */ one, /** @type {number} */ at) => {
    const value = /** @type {Pair} */ (LANGUAGES.map((language) => told(one, words, language)));
    found.push(line(`notice.recipient_${at + 1}`, same(one.label), value, "small"));
  });
  if (facts.more_recipients > 0) {
    const more = said("slip.notice_more", { count: String(facts.more_recipients) });
    found.push(line("notice.more", ["", ""], more, "small"));
  }
  return found;
}

/** @param {any} recipient @param {Words} words @param {import("./texts.js").Language} language */
function told(recipient, words, language) {
  const codes = recipient.told.map((/** @type {string} */ one) => `slip.told_${one}`);
  const groups = list(codes, words, language) || say(words.texts, "slip.told_nothing", language);
  if (recipient.retention_days === null) return say(words.texts, "slip.notice_told_unlimited", language, { groups });
  return say(words.texts, "slip.notice_told", language, { groups, days: String(recipient.retention_days) });
}
