// The fleet's signed directory: which terminals sign, with which keys, and which of them not any more.

import { ascii, hex, sha256 } from "./bytes.js";
import { json, verify } from "./jws.js";
import { need } from "./refused.js";

const MAX_HEAD = 64 * 1024;
const MAX_PAGE = 60 * 1024;
const MAX_PAGES = 100;
export const SKEW = 5 * 60;
export const IN_OTHER_HANDS = ["compromised", "lost", "stolen", "unspecified"];
const SHA256 = /^[0-9a-f]{64}$/;

/**
 * @typedef {{sha256: string, x: string, y: string, not_after: number}} Key
 * @typedef {{name: string, keys: Key[]}} Member
 * @typedef {{sha256: string, at: number, reason: string}} CertificateRevoked
 * @typedef {{role: string, name: string, at: number, reason: string}} PrincipalRevoked
 * @typedef {{name: string, key: Key, at: number, reason: string}} Former
 * @typedef {{devices: Member[], certificates: CertificateRevoked[], revoked: PrincipalRevoked[], former?: Former[]}} Page
 * @typedef {{iss: string, fleet: string, iat: number, exp: number, version: number, pages: string[],
 *            certificates: CertificateRevoked[], revoked: PrincipalRevoked[]}} Head
 * @typedef {{head: Head, pages: Page[]}} Directory
 */

/**
 * A head, verified at `at`. Its signer's certificate may have ended since only if it was `kept` here: whoever finds an old
 * key could date a head back, and number it above all others.
 * @param {string} compact @param {any} anchor @param {number} at @param {boolean} [kept]
 * @returns {Promise<Head>}
 */
export async function openHead(compact, anchor, at, kept = false) {
  const expected = { typ: "directory+jws", role: "admin", anchor, at, most: MAX_HEAD };
  const { holder, payload, certificates, until } = await verify(compact, expected);
  need(kept || at <= until, "expired");
  need(payload.iss === holder.name && payload.fleet === anchor.fleet, "directory");
  need([payload.iat, payload.exp, payload.version].every(Number.isSafeInteger), "directory");
  need(payload.iat <= at + SKEW && payload.exp > payload.iat, "directory");
  need(Array.isArray(payload.pages) && payload.pages.length <= MAX_PAGES, "directory");
  need(payload.pages.every((/** @type {unknown} */ one) => typeof one === "string" && SHA256.test(one)), "directory");
  need(Array.isArray(payload.certificates) && Array.isArray(payload.revoked), "directory");
  need(!revokes(payload, holder, certificates), "revoked");
  return { ...payload, exp: Math.min(payload.exp, until) };
}

/** A page, if it is the one of this hash. @param {string} text @param {string} named @returns {Promise<Page>} */
export async function openPage(text, named) {
  const bytes = ascii(text);
  need(bytes.length <= MAX_PAGE && hex(await sha256(bytes)) === named, "page");
  const page = json(bytes);
  need([page.devices, page.certificates, page.revoked, page.former ?? []].every(Array.isArray), "page");
  return page;
}

/** Whether a head revokes the holder of a chain. @param {Head} head @param {{role: string, name: string}} holder @param {string[]} chain */
export function revokes(head, holder, chain) {
  return (
    head.certificates.some((one) => chain.includes(one.sha256)) ||
    head.revoked.some((one) => one.role === holder.role && one.name === holder.name)
  );
}

/**
 * Every key that is, or was, a terminal's, and since when and why it signs no more: of several reasons, one that says that
 * others may have it.
 * @param {Directory} directory
 * @returns {{device: string, key: Key, ended: number | null, why: string | null}[]}
 */
export function candidates({ pages }) {
  const names = new Map(revokedDevices(pages).map((one) => [one.name, one]));
  const certificates = new Map(pages.flatMap((page) => page.certificates).map((one) => [one.sha256, one]));
  return pages.flatMap((page) => [
    ...page.devices.flatMap(({ name, keys }) =>
      keys.map((key) => ({ device: name, key, ...end([certificates.get(key.sha256), names.get(name)]) })),
    ),
    ...(page.former ?? []).map((one) => ({
      device: one.name,
      key: one.key,
      ...end([one, certificates.get(one.key.sha256), names.get(one.name)]),
    })),
  ]);
}

/** @param {({at: number, reason: string} | undefined)[]} said */
function end(said) {
  const ends = said.filter((one) => one !== undefined);
  if (ends.length === 0) return { ended: null, why: null };
  const graver = ends.filter(({ reason }) => IN_OTHER_HANDS.includes(reason));
  const { at, reason } = (graver.length > 0 ? graver : ends).reduce((first, one) => (one.at < first.at ? one : first));
  return { ended: at, why: reason };
}

/** @param {Page[]} pages */
export function revokedDevices(pages) {
  return pages.flatMap((page) => page.revoked).filter((one) => one.role === "device");
}
