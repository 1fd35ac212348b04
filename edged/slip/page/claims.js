// The facts in a signed slip's payload (docs/slip-format.md). One slip has one spelling; anything else is refused.

import { decode as decodeCbor } from "./cbor.js";
import { MAX_CLAIMS } from "./cose.js";
import { need, Refused } from "./refused.js";

const [ISS, EXP, IAT, CTI, SLIP] = [1, 4, 6, 7, -65537];
const FORMAT = 1;
const FIELDS = 19;
const NUMBER_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const NUMBER_CHARACTERS = 12;
const LAST_TIME = 2 ** 32 - 1;
const [FIRST_MONTH, LAST_MONTH] = [1900 * 12, 2200 * 12];
const MOST = { site: 24, device: 32, name: 12, documentNumber: 24, label: 24, issuer: 3 };
const MAX_LABEL_CHARACTERS = 16;
const MAX_RECIPIENTS = 4;
const MAX_DAYS = 65535;
const MAX_WORD = 255;
const MAX_BITS = 31;
const NIBBLE = 16;
const DEVICE = /^[a-z0-9]+(-[a-z0-9]+)*$/;
const UNPRINTABLE = /[\p{C}\p{Z}]/u;

/**
 * Words by their numbers: of `texts.json`, made of edged/slip/registry.py.
 * @typedef {{results: Words, kinds: Words, scenes: Words, classes: Words, checks: Words, read: Words, told: Words,
 *            max_checks: number}} Registry
 * @typedef {Record<string, number>} Words
 */

/** Facts by the names that edged/slip/facts.py gives them. @typedef {Record<string, any>} Facts */

/** A slip of a newer release than this page. */
export class Newer extends Refused {
  constructor() {
    super("newer");
  }
}

/** The signature is somebody else's to check. @param {Uint8Array} payload @param {Registry} registry @returns {Facts} */
export function decode(payload, registry) {
  const claims = decodeCbor(payload, MAX_CLAIMS);
  need(claims instanceof Map && Array.from(claims.keys()).join() === [ISS, EXP, IAT, CTI, SLIP].join(), "claims");
  const rest = claims.get(SLIP);
  need(Array.isArray(rest) && Number.isInteger(rest[0]), "claims");
  if (rest[0] !== FORMAT) throw new Newer();
  need(rest.length === FIELDS, "claims");
  return check(factsOf(claims, rest, registry));
}

/** @param {Map<any, any>} claims @param {any[]} rest @param {Registry} registry */
function factsOf(claims, rest, registry) {
  const [, copy, supersedes, site, offset, kind, clockTrusted, scene, result, documentClass, issuer, ...others] = rest;
  const [name, documentNumber, documentExpires, checks, person, read, recipients, more] = others;
  // In this order: a word of a newer release is found where it stands, as edged does.
  return {
    supersedes: optional(supersedes, number),
    number: number(claims.get(CTI)),
    copy,
    site: text(site, MOST.site),
    device: text(claims.get(ISS), MOST.device),
    at: time(claims.get(IAT)),
    utc_offset_min: offset,
    clock_trusted: clockTrusted,
    expires: time(claims.get(EXP)),
    kind: word(registry.kinds, kind, MAX_WORD),
    scene: word(registry.scenes, scene, MAX_WORD),
    result: word(registry.results, result, NIBBLE - 1),
    document_class: word(registry.classes, documentClass, MAX_WORD),
    issuer: optional(issuer, (value) => text(value, MOST.issuer)),
    name: optional(name, (value) => text(value, MOST.name)),
    document_number: optional(documentNumber, (value) => text(value, MOST.documentNumber)),
    document_expires: optional(documentExpires, month),
    checks: checkFacts(checks, registry),
    person: word(registry.results, person, NIBBLE - 1),
    read: words(registry.read, read),
    recipients: recipientFacts(recipients, registry),
    more_recipients: more,
  };
}

/** What places and values must keep beside their form. @param {Facts} facts */
function check(facts) {
  need(between(facts.copy, 1, 255) && between(facts.utc_offset_min, -840, 840), "claims");
  need(typeof facts.clock_trusted === "boolean" && between(facts.more_recipients, 0, 255), "claims");
  need(DEVICE.test(facts.device) && facts.recipients.length <= MAX_RECIPIENTS, "claims");
  need(facts.recipients.every((/** @type {any} */ one) => Array.from(one.label).length <= MAX_LABEL_CHARACTERS), "claims");
  need(facts.expires >= facts.at, "claims");
  return facts;
}

/** @param {unknown} value @param {number} least @param {number} most */
function between(value, least, most) {
  return Number.isInteger(value) && value >= least && value <= most;
}

/** @template T @param {unknown} value @param {(value: any) => T} reader @returns {T | null} */
function optional(value, reader) {
  return value === null ? null : reader(value);
}

/** A slip's number: 60 bits in 8 bytes. @param {unknown} value */
function number(value) {
  need(value instanceof Uint8Array && value.length === 8 && value[0] < 16, "claims");
  const whole = value.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
  const places = Array.from({ length: NUMBER_CHARACTERS }, (_, at) => BigInt(5 * (NUMBER_CHARACTERS - 1 - at)));
  return places.map((place) => NUMBER_ALPHABET[Number((whole >> place) & 31n)]).join("");
}

/** Printable text of at most so many bytes. @param {unknown} value @param {number} most */
function text(value, most) {
  need(typeof value === "string" && !UNPRINTABLE.test(value.replaceAll(" ", "")), "claims");
  const size = new TextEncoder().encode(value).length;
  need(size > 0 && size <= most, "claims");
  return value;
}

/** @param {unknown} value */
function time(value) {
  need(between(value, 0, LAST_TIME), "claims");
  return value;
}

/** @param {unknown} value */
function month(value) {
  need(between(value, FIRST_MONTH, LAST_MONTH - 1), "claims");
  return `${Math.floor(value / 12)}-${String((value % 12) + 1).padStart(2, "0")}`;
}

/** @param {Words} registry @param {unknown} value @param {number} most */
function word(registry, value, most) {
  need(between(value, 0, most), "claims");
  const found = Object.keys(registry).find((name) => registry[name] === value);
  if (found === undefined) throw new Newer();
  return found;
}

/** The words of a number's bits, in the registry's order. @param {Words} registry @param {unknown} value */
function words(registry, value) {
  need(between(value, 0, 2 ** (MAX_BITS + 1) - 1), "claims");
  const names = Object.keys(registry).filter((name) => Math.floor(value / 2 ** registry[name]) % 2 === 1);
  if (names.reduce((sum, name) => sum + 2 ** registry[name], 0) !== value) throw new Newer();
  return names;
}

/** A nibble for each check, the first one high. @param {unknown} value @param {Registry} registry */
function checkFacts(value, registry) {
  need(value instanceof Uint8Array && value.length <= registry.max_checks / 2, "claims");
  const nibbles = Array.from(value).flatMap((byte) => [byte >> 4, byte & 15]);
  const found = nibbles.flatMap((nibble, at) =>
    nibble === 0
      ? []
      : [{ name: word(registry.checks, at, registry.max_checks), result: word(registry.results, nibble, NIBBLE - 1) }],
  );
  need(value.length === 0 || value.at(-1) !== 0, "claims");
  return found;
}

/** @param {unknown} value @param {Registry} registry */
function recipientFacts(value, registry) {
  need(Array.isArray(value), "claims");
  return value.map((one) => {
    need(Array.isArray(one) && one.length === 3, "claims");
    const [label, told, days] = one;
    need(days === null || between(days, 0, MAX_DAYS), "claims");
    const groups = words(registry.told, told);
    return { label: text(label, MOST.label), told: groups, retention_days: days };
  });
}
