// Bytes and their spellings, each with exactly one spelling: anything else is refused.

import { need } from "./refused.js";

/** @param {Uint8Array} a @param {Uint8Array} b */
export function equal(a, b) {
  return a.length === b.length && a.every((byte, at) => byte === b[at]);
}

/** @param {...Uint8Array} parts */
export function concat(...parts) {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** @param {Uint8Array} bytes */
export function hex(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** UTF-8, strictly: nothing replaced, no byte order mark swallowed. @param {Uint8Array} bytes */
export function utf8(bytes) {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return need(false, "utf8");
  }
}

/** @param {string} text */
export function ascii(text) {
  return new TextEncoder().encode(text);
}

/** Base64 with padding (RFC 4648 §4). @param {string} text */
export function base64(text) {
  need(/^[A-Za-z0-9+/]*={0,2}$/.test(text) && text.length % 4 === 0, "base64");
  try {
    const last = text.slice(-4); // only the last group can be written in two ways
    need(btoa(atob(last)) === last, "base64");
    return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  } catch {
    return need(false, "base64");
  }
}

/** Base64url without padding (RFC 7515 §2). @param {string} text */
export function base64url(text) {
  need(/^[A-Za-z0-9_-]+$/.test(text), "base64url");
  const plain = text.replaceAll("-", "+").replaceAll("_", "/");
  return base64(plain + "=".repeat((4 - (plain.length % 4)) % 4));
}

/** @param {Uint8Array} bytes */
export async function sha256(bytes) {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
}
