// COSE_Sign1 (RFC 9052 §4.2) with ES256 as the slip uses it: untagged, `alg` and `kid` protected, nothing unprotected.

import * as ecdsa from "./ecdsa.js";
import { ascii, base64url, concat } from "./bytes.js";
import { decode } from "./cbor.js";
import { need } from "./refused.js";

export const MAX_CLAIMS = 400;
const MAX_COSE = MAX_CLAIMS + 100;
const KID_BYTES = 8;
const SIGNATURE_BYTES = 64;
const ALG = 1;
const KID = 4;
const ES256 = -7;

/** @typedef {{kid: Uint8Array, protectedHeader: Uint8Array, payload: Uint8Array, signature: Uint8Array}} Sign1 */

/** A signed slip taken apart; nothing is proven by it. @param {Uint8Array} bytes @returns {Sign1} */
export function parse(bytes) {
  const parts = decode(bytes, MAX_COSE);
  need(Array.isArray(parts) && parts.length === 4, "cose");
  const [protectedHeader, unprotected, payload, signature] = parts;
  need(unprotected instanceof Map && unprotected.size === 0, "cose");
  need([protectedHeader, payload, signature].every((part) => part instanceof Uint8Array), "cose");
  const header = decode(protectedHeader, MAX_COSE);
  need(header instanceof Map && header.size === 2 && header.get(ALG) === ES256, "cose");
  const kid = header.get(KID);
  need(kid instanceof Uint8Array && kid.length === KID_BYTES && signature.length === SIGNATURE_BYTES, "cose");
  return { kid, protectedHeader, payload, signature };
}

/** Whether the key at these coordinates made the signature. @param {Sign1} slip @param {{x: string, y: string}} key */
export async function verify(slip, key) {
  const held = await ecdsa.keyAt(base64url(key.x), base64url(key.y));
  return ecdsa.verify(held, slip.signature, toBeSigned(slip));
}

/** Sig_structure (RFC 9052 §4.4), without external data. @param {Sign1} slip */
export function toBeSigned({ protectedHeader, payload }) {
  const context = ascii("Signature1");
  return concat(Uint8Array.of(0x84, 0x60 + context.length), context, bstr(protectedHeader), Uint8Array.of(0x40), bstr(payload));
}

/** A byte string. @param {Uint8Array} bytes */
function bstr(bytes) {
  const { length } = bytes;
  if (length < 24) return concat(Uint8Array.of(0x40 + length), bytes);
  if (length < 256) return concat(Uint8Array.of(0x58, length), bytes);
  return concat(Uint8Array.of(0x59, length >> 8, length & 0xff), bytes);
}
