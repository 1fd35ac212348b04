// What the fleet publishes beside the page, and the newest of it that was ever here: an old one that comes again, or a
// network that is gone, takes nothing back.

import { anchorOf } from "./x509.js";
import { openHead, openPage } from "./directory.js";
import { openStatus } from "./status.js";
import { Refused } from "./refused.js";

const KEPT = "slip-fleet";
const PATIENCE_MS = 8000;
const HEAD = "directory/head.jws";
const STATUS = "status.jws";

/** @typedef {{format: number, fleet: string, demo: boolean, anchors: string[], revoked: string[], address: string | null}} Fleet */

/** `before`: it was kept here, where it was found good. @typedef {{text: string, before: boolean}} Text */

/**
 * The directory and the list that hold, from the network and from what was kept.
 * @param {Fleet} fleet @param {number} at seconds since 1970
 * @returns {Promise<import("./verify.js").Knowledge>}
 */
export async function learn(fleet, at) {
  const anchor = await anchorOf(fleet.anchors, fleet.revoked);
  const kept = await store();
  const [heads, lists] = await Promise.all([both(HEAD, kept), both(STATUS, kept)]);
  const directory = await newestDirectory(heads, anchor, at, kept);
  const open = (/** @type {Text} */ { text }) => openStatus(text, anchor, at, directory?.head ?? null);
  const found = await newest(lists, open, (status) => status.iat);
  if (found.length > 0) await keep(kept, STATUS, found[0].text);
  return { directory, status: found[0]?.value ?? null };
}

/** The newest whole one. */
async function newestDirectory(heads, anchor, at, kept) {
  const found = await newest(heads, ({ text, before }) => openHead(text, anchor, at, before), (head) => head.version);
  for (const { text, value: head } of found) {
    const texts = await Promise.all(head.pages.map((sha256) => pageText(sha256, kept)));
    try {
      const pages = await Promise.all(head.pages.map((sha256, place) => openPage(texts[place] ?? "", sha256)));
      await keep(kept, HEAD, text);
      await forgetPages(kept, head.pages);
      return { head, pages };
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
    }
  }
  return null;
}

/** Those that open, the newest first. @param {Text[]} texts */
async function newest(texts, open, order) {
  const found = [];
  for (const one of texts) {
    try {
      found.push({ text: one.text, value: await open(one) });
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
    }
  }
  return found.sort((a, b) => order(b.value) - order(a.value));
}

/** What the network has under a name, and what was kept. @param {string} name @param {Cache | null} kept @returns {Promise<Text[]>} */
async function both(name, kept) {
  const [now, then] = await Promise.all([fetched(name), keptText(kept, name)]);
  return [
    { text: now, before: false },
    { text: then, before: true },
  ].filter(({ text }) => text !== null);
}

/** @param {string} sha256 @param {Cache | null} kept */
async function pageText(sha256, kept) {
  const name = pageName(sha256);
  const before = await keptText(kept, name);
  if (before !== null) return before;
  const text = await fetched(name);
  if (text !== null) await keep(kept, name, text);
  return text;
}

/** @param {string} sha256 */
function pageName(sha256) {
  return `directory/${sha256}.json`;
}

/** @param {string} name @returns {Promise<string | null>} */
async function fetched(name) {
  try {
    const options = /** @type {const} */ ({ cache: "no-store", credentials: "omit", redirect: "error" });
    const answer = await fetch(name, { ...options, signal: AbortSignal.timeout(PATIENCE_MS) });
    return answer.ok ? await answer.text() : null;
  } catch {
    return null; // without a network what was kept counts, as long as it says
  }
}

/** Where it is kept; null in browsers and windows that keep nothing. */
async function store() {
  try {
    return await caches.open(KEPT);
  } catch {
    return null;
  }
}

/** @param {Cache | null} kept @param {string} name */
async function keptText(kept, name) {
  const found = await kept?.match(name);
  return found === undefined ? null : found.text();
}

/** @param {Cache | null} kept @param {string} name @param {string} text */
async function keep(kept, name, text) {
  try {
    await kept?.put(name, new Response(text));
  } catch {
    // A full disk costs the offline use alone.
  }
}

/** @param {Cache | null} kept @param {string[]} wanted */
async function forgetPages(kept, wanted) {
  const names = new Set(wanted.map((sha256) => new URL(pageName(sha256), location.href).href));
  const old = ((await kept?.keys()) ?? []).filter(({ url }) => url.endsWith(".json") && !names.has(url));
  await Promise.all(old.map((request) => kept?.delete(request)));
}
