// ES256 in its one spelling: `s` in the lower half of the order, so that nobody can make another signature of one.

import { ecdsaKey } from "./x509.js";
import { concat } from "./bytes.js";

const WIDTH = 32;
const HALF_ORDER = 0x7fffffff800000007fffffffffffffffde737d56d38bcf4279dce5617e3192a8n; // of P-256, FIPS 186-4 D.1.2.3

/** @param {CryptoKey} key @param {Uint8Array} signature r and s side by side @param {Uint8Array} signed */
export async function verify(key, signature, signed) {
  if (signature.length !== 2 * WIDTH || !lowS(signature.subarray(WIDTH))) return false;
  return crypto.subtle.verify({ name: "ECDSA", hash: "SHA-256" }, key, signature, signed);
}

/** A P-256 key by its coordinates. @param {Uint8Array} x @param {Uint8Array} y */
export async function keyAt(x, y) {
  return ecdsaKey("P-256", concat(Uint8Array.of(4), x, y));
}

/** @param {Uint8Array} s */
function lowS(s) {
  return s.reduce((number, byte) => number * 256n + BigInt(byte), 0n) <= HALF_ORDER;
}
