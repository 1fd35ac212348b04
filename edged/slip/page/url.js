// What a QR code holds: `HTTPS://HOST/PATH#…`, the signed slip in the fragment (docs/slip-format.md).

import { decode } from "./base45.js";
import { Refused } from "./refused.js";

const MAX_SCANNED = 2048;
const ADDRESS = /^https?:\/\/[!"$-~]{1,400}$/i;
const FRAGMENT = /^(?:[0-9A-Z$*+\-./:]|%20|%25)+$/;
const SPACE = /^[\s\x1c-\x1f\x85]+|[\s\x1c-\x1f\x85]+$/g;

/** A text that is no slip at all, such as another QR code. */
export class NotASlip extends Refused {
  constructor() {
    super("not_a_slip");
  }
}

/**
 * The signed slip in what was scanned, typed or copied: a whole URL, or its fragment alone.
 * @param {string} text
 */
export function slipIn(text) {
  if (text.length > MAX_SCANNED) throw new NotASlip();
  const stripped = text.replace(SPACE, "");
  const mark = stripped.indexOf("#");
  const address = mark < 0 ? "" : stripped.slice(0, mark);
  const fragment = stripped.slice(mark + 1);
  if ((address !== "" && !ADDRESS.test(address)) || !FRAGMENT.test(fragment)) throw new NotASlip();
  return decode(fragment.replaceAll("%20", " ").replaceAll("%25", "%"));
}
