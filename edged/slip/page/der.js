// A strict reader of DER (X.690 §10): definite lengths in their shortest form, tags of one byte.

import { need } from "./refused.js";

export const TAG = Object.freeze({
  BOOLEAN: 0x01,
  INTEGER: 0x02,
  BIT_STRING: 0x03,
  OCTET_STRING: 0x04,
  OID: 0x06,
  SEQUENCE: 0x30,
  SET: 0x31,
  UTC_TIME: 0x17,
  GENERALIZED_TIME: 0x18,
});

/**
 * @typedef {object} Node
 * @property {number} tag
 * @property {Uint8Array} body
 * @property {Uint8Array} raw tag, length and body
 */

/**
 * One element at the start of `bytes`.
 * @param {Uint8Array} bytes
 * @returns {Node}
 */
function first(bytes) {
  need(bytes.length >= 2, "der");
  const tag = bytes[0];
  need((tag & 0x1f) !== 0x1f, "der");
  let length = bytes[1];
  let start = 2;
  if (length >= 0x80) {
    const count = length & 0x7f;
    need(count >= 1 && count <= 2 && bytes.length >= 2 + count, "der");
    length = count === 1 ? bytes[2] : (bytes[2] << 8) | bytes[3];
    need(length >= (count === 1 ? 0x80 : 0x100), "der");
    start += count;
  }
  need(bytes.length >= start + length, "der");
  return { tag, body: bytes.subarray(start, start + length), raw: bytes.subarray(0, start + length) };
}

/** The one element that `bytes` is. @param {Uint8Array} bytes @param {number} tag */
export function only(bytes, tag) {
  const node = first(bytes);
  need(node.raw.length === bytes.length && node.tag === tag, "der");
  return node;
}

/** The elements that a body is made of. @param {Uint8Array} body */
export function children(body) {
  const found = [];
  for (let rest = body; rest.length > 0; rest = rest.subarray(found.at(-1).raw.length)) found.push(first(rest));
  return found;
}

/** The elements of a SEQUENCE. @param {Node | undefined} node */
export function sequence(node) {
  need(node?.tag === TAG.SEQUENCE, "der");
  return children(node.body);
}

/** A dotted object identifier (X.690 §8.19). @param {Node | undefined} node */
export function oid(node) {
  need(node?.tag === TAG.OID && node.body.length > 0 && (node.body.at(-1) & 0x80) === 0, "der");
  const arcs = [];
  let arc = 0;
  let begins = true;
  for (const byte of node.body) {
    need(!(begins && byte === 0x80) && arc < 2 ** 40, "der");
    arc = arc * 128 + (byte & 0x7f);
    begins = (byte & 0x80) === 0;
    if (begins) {
      arcs.push(arc);
      arc = 0;
    }
  }
  const root = Math.min(Math.floor(arcs[0] / 40), 2);
  return [root, arcs[0] - root * 40, ...arcs.slice(1)].join(".");
}

/** The magnitude of an INTEGER that isn't negative, in its shortest form. @param {Node | undefined} node */
export function unsigned(node) {
  need(node?.tag === TAG.INTEGER && node.body.length > 0 && node.body[0] < 0x80, "der");
  const { body } = node;
  if (body.length === 1 || body[0] !== 0) return body;
  need(body[1] >= 0x80, "der");
  return body.subarray(1);
}

/** A small INTEGER. @param {Node | undefined} node */
export function small(node) {
  const magnitude = unsigned(node);
  need(magnitude.length <= 2, "der");
  return magnitude.reduce((number, byte) => number * 256 + byte, 0);
}

/** A BOOLEAN, in DER's two spellings. @param {Node} node */
export function boolean(node) {
  need(node.tag === TAG.BOOLEAN && node.body.length === 1 && (node.body[0] === 0 || node.body[0] === 0xff), "der");
  return node.body[0] === 0xff;
}

/** The bytes of a BIT STRING of whole bytes. @param {Node | undefined} node */
export function octets(node) {
  need(node?.tag === TAG.BIT_STRING && node.body.length > 0 && node.body[0] === 0, "der");
  return node.body.subarray(1);
}

/** The named bits of a BIT STRING, as the set of their numbers. @param {Node} node */
export function bits(node) {
  need(node.tag === TAG.BIT_STRING && node.body.length > 1 && node.body[0] <= 7, "der");
  const found = new Set();
  node.body.subarray(1).forEach((byte, at) => {
    for (let bit = 0; bit < 8; bit += 1) if (byte & (0x80 >> bit)) found.add(at * 8 + bit);
  });
  return found;
}

/** A Time (RFC 5280 §4.1.2.5) in seconds since 1970. @param {Node | undefined} node */
export function time(node) {
  need(node?.tag === TAG.UTC_TIME || node?.tag === TAG.GENERALIZED_TIME, "der");
  const text = String.fromCharCode(...node.body);
  const short = node.tag === TAG.UTC_TIME;
  need((short ? /^\d{12}Z$/ : /^\d{14}Z$/).test(text), "der");
  const full = short ? (Number(text.slice(0, 2)) < 50 ? "20" : "19") + text : text;
  const parts = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/.exec(full).slice(1);
  const spelled = `${parts.slice(0, 3).join("-")}T${parts.slice(3).join(":")}.000Z`;
  const at = Date.parse(spelled);
  need(Number.isFinite(at) && new Date(at).toISOString() === spelled, "der");
  return at / 1000;
}
