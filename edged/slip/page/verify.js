// Whether a slip is genuine: the rules of edged/slip/verifying.py, in the same order. Nothing is genuine by default.

import * as cose from "./cose.js";
import { decode, Newer } from "./claims.js";
import { candidates, IN_OTHER_HANDS, revokedDevices, SKEW } from "./directory.js";
import { hex } from "./bytes.js";
import { grouped, lines } from "./lines.js";
import { Refused } from "./refused.js";
import { NotASlip, slipIn } from "./url.js";

const KID_DIGITS = 16;
const LIST_LIFE = 7 * 86400; // of a terminal's own list: edged.uplink.slip_status

/**
 * @typedef {"genuine" | "altered" | "unknown" | "withdrawn" | "superseded" | "expired" | "undetermined"} Word
 * @typedef {{code: string, params?: Record<string, string>}} Reason
 * @typedef {{verdict: Word, reasons: Reason[], facts: import("./claims.js").Facts | null,
 *            lines: import("./lines.js").Line[], signed: boolean}} Verification
 * @typedef {{directory: import("./directory.js").Directory | null, status: import("./status.js").Status | null}} Knowledge
 * @typedef {import("./lines.js").Words & {registry: import("./claims.js").Registry}} Words
 */

/**
 * Judge a scanned text at the moment `at` (seconds since 1970). Never throws for a text.
 * @param {string} text @param {Knowledge} knowledge @param {number} at @param {Words} words
 * @returns {Promise<Verification>}
 */
export async function verify(text, knowledge, at, words) {
  let slip;
  try {
    slip = cose.parse(slipIn(text));
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    return judged("unknown", { code: error instanceof NotASlip ? "slip.not_a_slip" : "slip.malformed" });
  }
  const { facts, fault } = factsIn(slip.payload, words);
  const shown = { facts, lines: facts === null ? [] : lines(facts, words) };
  const { directory } = knowledge;
  if (directory === null) return { ...judged("undetermined", { code: "slip.no_directory" }), ...shown };
  const kid = hex(slip.kid);
  const found = candidates(directory).filter((one) => one.key.sha256.startsWith(kid));
  if (found.length === 0) return { ...withoutKey(directory, kid, facts, at), ...shown };
  const signer = await signerOf(slip, found);
  if (signer === null || facts === null || facts.device !== signer.device) {
    return { ...refused(signer, fault, facts), ...shown };
  }
  return { ...decided(facts, signer, knowledge, directory, at), ...shown, signed: true };
}

/** @param {Word} verdict @param {...Reason} reasons @returns {Verification} */
function judged(verdict, ...reasons) {
  return { verdict, reasons, facts: null, lines: [], signed: false };
}

/** @param {Uint8Array} payload @param {Words} words */
function factsIn(payload, words) {
  try {
    return { facts: decode(payload, words.registry), fault: null };
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    return { facts: null, fault: error instanceof Newer ? "slip.newer" : "slip.malformed" };
  }
}

/** @param {cose.Sign1} slip @param {ReturnType<typeof candidates>} found */
async function signerOf(slip, found) {
  for (const one of found) if (await signedBy(slip, one.key)) return one;
  return null;
}

/** @param {cose.Sign1} slip @param {import("./directory.js").Key} key */
async function signedBy(slip, key) {
  try {
    return await cose.verify(slip, key);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    return false;
  }
}

/** The directory lists no such key: was it revoked, is the directory too old to know it, or is it nobody's? */
function withoutKey(directory, kid, facts, at) {
  const { pages } = directory;
  const certificates = pages.flatMap((page) => page.certificates);
  const over =
    certificates.find((one) => one.sha256.slice(0, KID_DIGITS) === kid) ??
    revokedDevices(pages).find((one) => one.name === facts?.device);
  if (over !== undefined) return judged("undetermined", revoked(over.at, over.reason));
  if (at > directory.head.exp) return judged("undetermined", directoryExpired(directory));
  return judged("unknown", { code: "slip.key_unknown" });
}

/** The signature isn't of this content by the terminal that it names, or nobody here can read the content. */
function refused(signer, fault, facts) {
  if (signer !== null && fault === "slip.newer") return { ...judged("undetermined", { code: fault }), signed: true };
  if (signer !== null && facts !== null) {
    return judged("altered", { code: "slip.other_terminal", params: { device: signer.device } });
  }
  return judged("altered", { code: "slip.signature_wrong" });
}

/** A slip whose signature holds: the first thing that speaks against it decides. */
function decided(facts, signer, { status }, directory, at) {
  const against = [
    ...withdrawn(facts, directory, status),
    ...keyFaults(facts, signer),
    ...timeFaults(facts, directory, at),
    ...statusTrouble(directory, status, at),
  ];
  if (against.length > 0) return judged(...against[0]);
  return judged("genuine", ...notes(facts, status, at));
}

/** A list that is too old still says what was withdrawn: that never becomes untrue. @returns {[Word, Reason][]} */
function withdrawn(facts, directory, status) {
  if (status === null || status.fleet !== directory.head.fleet) return [];
  if (!Object.hasOwn(status.devices, facts.device)) return [];
  const listed = status.devices[facts.device];
  if (Object.hasOwn(listed.withdrawn, facts.number)) return [["withdrawn", { code: "slip.withdrawn" }]];
  if (!Object.hasOwn(listed.superseded, facts.number)) return [];
  const params = { number: grouped(listed.superseded[facts.number].by) };
  return [["superseded", { code: "slip.superseded", params }]];
}

/** A thief can date a slip back, so nothing of a key that others may have counts. @returns {[Word, Reason][]} */
function keyFaults(facts, { key, ended, why }) {
  if (ended !== null && IN_OTHER_HANDS.includes(why)) return [["undetermined", revoked(ended, why)]];
  const last = ended === null ? key.not_after : Math.min(ended, key.not_after);
  return facts.at > last ? [["unknown", { code: "slip.key_had_ended" }]] : [];
}

/** @returns {[Word, Reason][]} */
function timeFaults(facts, directory, at) {
  const found = [];
  if (at > facts.expires) found.push(["expired", { code: "slip.expired" }]);
  if (facts.at > at + SKEW) found.push(["undetermined", { code: "slip.from_the_future" }]);
  if (at > directory.head.exp) found.push(["undetermined", directoryExpired(directory)]);
  return found;
}

/** Why the list can't say that the slip still holds. @returns {[Word, Reason][]} */
function statusTrouble(directory, status, at) {
  if (status === null) return [["undetermined", { code: "slip.status_missing" }]];
  if (status.fleet !== directory.head.fleet) return [["undetermined", { code: "slip_status.wrong_fleet" }]];
  if (at <= status.exp) return [];
  return [["undetermined", { code: "slip.status_expired", params: { since: date(status.exp) } }]];
}

/** What to know of a genuine slip. @returns {Reason[]} */
function notes(facts, status, at) {
  const code = { live: "slip.genuine", test: "slip.genuine_test", training: "slip.genuine_training" }[facts.kind];
  const found = [{ code }];
  const heard = Object.hasOwn(status.devices, facts.device) ? status.devices[facts.device].heard : null;
  if (heard === null) found.push({ code: "slip.terminal_not_heard" });
  else if (heard < at - LIST_LIFE) found.push({ code: "slip.terminal_silent", params: { since: date(heard) } });
  if (!facts.clock_trusted) found.push({ code: "slip.clock_in_doubt" });
  return found;
}

/** @param {number} at @param {string} why @returns {Reason} */
function revoked(at, why) {
  return { code: "slip.key_revoked", params: { since: date(at), why: `slip.why_${why}` } };
}

/** @param {import("./directory.js").Directory} directory @returns {Reason} */
function directoryExpired(directory) {
  return { code: "slip.directory_expired", params: { since: date(directory.head.exp) } };
}

/** @param {number} seconds */
function date(seconds) {
  return new Date(seconds * 1000).toISOString().slice(0, 10);
}
