// Reading CBOR of strangers: deterministic encoding alone (RFC 8949 §4.2.1), and of it what a slip is made of. No tags,
// floats, indefinite lengths or undefined.

import { utf8 } from "./bytes.js";
import { need } from "./refused.js";

const MAX_DEPTH = 5;
const [UNSIGNED, NEGATIVE, BYTES, TEXT, ARRAY, , TAG, SIMPLE] = [0, 1, 2, 3, 4, 5, 6, 7]; // 5 is a map
const SIMPLES = new Map([
  [20, false],
  [21, true],
  [22, null],
]);

/** @typedef {number | boolean | null | string | Uint8Array | Value[] | Map<any, any>} Value */

/** @typedef {{bytes: Uint8Array, at: number}} Reader */

/**
 * The one value that `bytes` is. Integers beyond 2^53 lose their last figures: nothing of a slip may be as large.
 * @param {Uint8Array} bytes
 * @param {number} most
 * @returns {Value}
 */
export function decode(bytes, most) {
  need(bytes.length <= most, "cbor");
  const reader = { bytes, at: 0 };
  const value = item(reader, MAX_DEPTH);
  need(reader.at === bytes.length, "cbor");
  return value;
}

/** @param {Reader} reader @param {number} count */
function take(reader, count) {
  need(reader.at + count <= reader.bytes.length, "cbor");
  reader.at += count;
  return reader.bytes.subarray(reader.at - count, reader.at);
}

/** Major type and argument. @param {Reader} reader */
function head(reader) {
  const [initial] = take(reader, 1);
  const major = initial >> 5;
  const short = initial & 0x1f;
  if (short <= 23) return [major, short];
  need(short <= 27 && major !== SIMPLE, "cbor");
  const size = 1 << (short - 24);
  const argument = take(reader, size).reduce((number, byte) => number * 256 + byte, 0);
  need(argument > 23 && (size === 1 || argument >= 2 ** (4 * size)), "cbor");
  return [major, argument];
}

/** @param {Reader} reader @param {number} depth @returns {Value} */
function item(reader, depth) {
  const [major, argument] = head(reader);
  if (major === SIMPLE && SIMPLES.has(argument)) return SIMPLES.get(argument);
  need(major !== SIMPLE && major !== TAG, "cbor");
  if (major === UNSIGNED) return argument;
  if (major === NEGATIVE) return -1 - argument;
  if (major === BYTES) return take(reader, argument);
  if (major === TEXT) return utf8(take(reader, argument));
  need(depth > 0 && argument <= reader.bytes.length, "cbor");
  return major === ARRAY
    ? Array.from({ length: argument }, () => item(reader, depth - 1))
    : map(reader, argument, depth - 1);
}

/** @param {Reader} reader @param {number} count @param {number} depth */
function map(reader, count, depth) {
  const found = new Map();
  let last = "";
  for (let left = count; left > 0; left -= 1) {
    const start = reader.at;
    const key = item(reader, 0);
    const spelled = String.fromCharCode(...reader.bytes.subarray(start, reader.at));
    need(spelled > last, "cbor");
    last = spelled;
    found.set(key, item(reader, depth));
  }
  return found;
}

