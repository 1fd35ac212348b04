// What the fleet signs for everybody: compact JWS (RFC 7515), ES256, with the signer's chain in `x5c`.

import * as ecdsa from "./ecdsa.js";
import { ascii, base64, base64url, hex, sha256, utf8 } from "./bytes.js";
import { need, Refused } from "./refused.js";
import { verifyChain } from "./x509.js";

const MAX_HEADER = 12 * 1024;
const COMPACT = /^([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]{86})$/;

/**
 * @typedef {object} Verified
 * @property {import("./x509.js").Holder} holder
 * @property {string} text the payload
 * @property {any} payload
 * @property {string} sha256 of the whole message
 * @property {number} until when its signer's certificate ends: no message holds for longer
 * @property {string[]} certificates SHA-256 of each certificate up to the root
 */

/**
 * One signed message, of a type and a role. Its chain holds at `at`, or held when its signer's certificate ended: what a
 * message says of how long it counts is for whoever reads it.
 * @param {string} compact
 * @param {{typ: string, role: string, anchor: any, at: number, most: number}} expected
 * @returns {Promise<Verified>}
 */
export async function verify(compact, { typ, role, anchor, at, most }) {
  need(compact.length <= most, "jws");
  const segments = COMPACT.exec(compact);
  need(segments !== null && segments[1].length <= MAX_HEADER, "jws");
  const chain = chainOf(json(base64url(segments[1])), typ);
  const { holder, leaf, sha256s } = await verifyChain(anchor, chain, at);
  need(!sha256s.some((one) => anchor.revoked.has(one)), "revoked");
  need(holder.role === role && leaf.curve === "P-256", "jws");
  const payload = base64url(segments[2]);
  const signed = ascii(`${segments[1]}.${segments[2]}`);
  need(await ecdsa.verify(leaf.key, base64url(segments[3]), signed), "jws");
  const parsed = json(payload);
  need(leaf.notBefore <= parsed.iat && parsed.iat <= leaf.notAfter, "jws");
  const named = hex(await sha256(ascii(compact)));
  return { holder, text: utf8(payload), payload: parsed, sha256: named, until: leaf.notAfter, certificates: sha256s };
}

/** @param {any} header @param {string} typ @returns {Uint8Array[]} */
function chainOf(header, typ) {
  need(Object.keys(header).sort().join() === "alg,typ,x5c", "jws");
  need(header.alg === "ES256" && header.typ === typ && Array.isArray(header.x5c), "jws");
  need(header.x5c.every((/** @type {unknown} */ link) => typeof link === "string"), "jws");
  return header.x5c.map(base64);
}

/** A JSON object. @param {Uint8Array} bytes */
export function json(bytes) {
  let value;
  try {
    value = JSON.parse(utf8(bytes));
  } catch {
    throw new Refused("json");
  }
  need(typeof value === "object" && value !== null && !Array.isArray(value), "json");
  return value;
}
