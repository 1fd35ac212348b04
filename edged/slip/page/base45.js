// Base45 (RFC 9285), strictly: the one spelling of its bytes.

import { need } from "./refused.js";

const ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:";

/** @param {string} text */
export function decode(text) {
  need(text.length % 3 !== 1, "base45");
  const out = [];
  for (let at = 0; at < text.length; at += 3) {
    const group = Array.from(text.slice(at, at + 3), (character) => ALPHABET.indexOf(character));
    need(!group.includes(-1), "base45");
    const number = group.reduceRight((sum, value) => sum * 45 + value, 0);
    if (group.length === 3) out.push(number >> 8);
    need(number < (group.length === 3 ? 0x10000 : 0x100), "base45");
    out.push(number & 0xff);
  }
  return Uint8Array.from(out);
}
