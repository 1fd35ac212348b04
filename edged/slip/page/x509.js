// Certificates of a fleet, in the narrow profile that the fleet's authority issues (edged/uplink/roles.py): whatever is
// outside of it is refused, not interpreted.

import { base64, equal, hex, sha256, utf8 } from "./bytes.js";
import * as der from "./der.js";
import { need } from "./refused.js";

const { TAG } = der;

const SCHEME = "edged://";
const DEMO_SCHEME = "edged-demo:";
const DOCUMENT_SIGNING = "1.3.6.1.5.5.7.3.36"; // RFC 9336: a key that signs messages and opens no connection
const COMMON_NAME = "2.5.4.3";
const NAME = /^[a-z0-9]+(-[a-z0-9]+)*$/;
const MAX_NAME = 63;
const MAX_CHAIN = 3; // a leaf and at most two authorities under the root
const MAX_CERTIFICATE = 4096;

const CURVES = { "1.2.840.10045.3.1.7": "P-256", "1.3.132.0.34": "P-384", "1.3.132.0.35": "P-521" };
const FIELD_BYTES = { "P-256": 32, "P-384": 48, "P-521": 66 };
const HASHES = {
  "1.2.840.10045.4.3.2": "SHA-256",
  "1.2.840.10045.4.3.3": "SHA-384",
  "1.2.840.10045.4.3.4": "SHA-512",
};
const EXTENSION = {
  BASIC_CONSTRAINTS: "2.5.29.19",
  KEY_USAGE: "2.5.29.15",
  EXTENDED_KEY_USAGE: "2.5.29.37",
  ALTERNATIVE_NAME: "2.5.29.17",
  NAME_CONSTRAINTS: "2.5.29.30",
};
const UNDERSTOOD = new Set([
  EXTENSION.BASIC_CONSTRAINTS,
  EXTENSION.KEY_USAGE,
  EXTENSION.EXTENDED_KEY_USAGE,
  EXTENSION.ALTERNATIVE_NAME,
]);
const DIGITAL_SIGNATURE = 0; // bits of KeyUsage (RFC 5280 §4.2.1.3)
const CERTIFICATE_SIGN = 5;
const URI_NAME = 0x86; // [6] uniformResourceIdentifier (RFC 5280 §4.2.1.6)

/**
 * @typedef {object} Certificate
 * @property {string} sha256 hex, of the whole certificate
 * @property {Uint8Array} signed
 * @property {string} hash
 * @property {Uint8Array} signature
 * @property {Uint8Array} issuer
 * @property {Uint8Array} subject
 * @property {string[]} commonNames
 * @property {number} notBefore
 * @property {number} notAfter
 * @property {string} curve
 * @property {CryptoKey} key
 * @property {{critical: boolean, ca: boolean, pathLength: number | null}} constraints
 * @property {Set<number>} usage
 * @property {string[] | null} extendedUsage
 * @property {string[]} uris
 */

/** @typedef {{role: string, name: string}} Holder */

/**
 * The fleet's root certificates, that every chain must end at.
 * @param {string[]} encoded DER in base64
 * @param {string[]} [revoked] SHA-256 of certificates that the fleet's offline keys have revoked
 */
export async function anchorOf(encoded, revoked = []) {
  need(encoded.length >= 1, "anchor");
  const roots = await Promise.all(encoded.map((one) => certificate(base64(one))));
  const [fleet, demo] = marks(roots[0]);
  need(roots.every((root) => marks(root).join() === [fleet, demo].join()), "anchor");
  return { roots, fleet, demo, revoked: new Set(revoked) };
}

/**
 * Whose certificate `chain[0]` is, once the whole chain up to a root holds at `at`, or held when `chain[0]` ended.
 * @param {Awaited<ReturnType<typeof anchorOf>>} anchor
 * @param {Uint8Array[]} chain leaf first, without the root
 * @param {number} at seconds since 1970
 * @returns {Promise<{holder: Holder, leaf: Certificate, sha256s: string[]}>}
 */
export async function verifyChain(anchor, chain, at) {
  need(chain.length >= 1 && chain.length <= MAX_CHAIN, "chain");
  const given = await Promise.all(chain.map(certificate));
  const path = [...given, await rootOf(anchor, given.at(-1))];
  path.slice(1).forEach((issuer, depth) => checkAuthority(issuer, depth, anchor));
  for (let link = 1; link < given.length; link += 1) need(await issued(given[link - 1], given[link]), "chain");
  const holder = holderOf(given[0], anchor);
  const moment = Math.min(at, given[0].notAfter);
  for (const one of path) need(one.notBefore <= moment && moment <= one.notAfter, "expired");
  return { holder, leaf: given[0], sha256s: path.map((one) => one.sha256) };
}

/** @param {Awaited<ReturnType<typeof anchorOf>>} anchor @param {Certificate} last */
async function rootOf(anchor, last) {
  for (const root of anchor.roots) if (await issued(last, root)) return root;
  return need(false, "chain");
}

/** @param {Certificate} child @param {Certificate} issuer */
async function issued(child, issuer) {
  if (!equal(child.issuer, issuer.subject)) return false;
  const signature = plainSignature(child.signature, FIELD_BYTES[issuer.curve]);
  return crypto.subtle.verify({ name: "ECDSA", hash: child.hash }, issuer.key, signature, child.signed);
}

/** RFC 5280 §6.1.4. @param {Certificate} issuer @param {number} below @param {{fleet: string, demo: boolean}} anchor */
function checkAuthority(issuer, below, anchor) {
  const { constraints, extendedUsage } = issuer;
  need(constraints.critical && constraints.ca && issuer.usage.has(CERTIFICATE_SIGN), "authority");
  need(constraints.pathLength === null || constraints.pathLength >= below, "authority");
  need(extendedUsage === null || extendedUsage.includes(DOCUMENT_SIGNING), "authority");
  need(marks(issuer).join() === [anchor.fleet, anchor.demo].join(), "authority");
}

/** Fleet and demo mark of an authority. @param {Certificate} authority @returns {[string, boolean]} */
function marks(authority) {
  const fleets = named(authority.uris);
  need(authority.constraints.ca && fleets.length === 1 && validName(fleets[0]), "authority");
  return [fleets[0], authority.uris.includes(DEMO_SCHEME + fleets[0])];
}

/** @param {Certificate} leaf @param {{fleet: string, demo: boolean}} anchor @returns {Holder} */
function holderOf(leaf, anchor) {
  need(!leaf.constraints.ca && !leaf.usage.has(CERTIFICATE_SIGN) && leaf.usage.has(DIGITAL_SIGNATURE), "usage");
  need(leaf.extendedUsage?.join() === DOCUMENT_SIGNING, "usage");
  const uris = named(leaf.uris);
  need(uris.length === 1, "holder");
  const [fleet, role, name, ...more] = uris[0].split("/");
  need(more.length === 0 && fleet === anchor.fleet && validName(role ?? "") && validName(name ?? ""), "holder");
  need(leaf.commonNames.join("\n") === (role === "device" ? name : `${role}.${name}`), "holder");
  need(leaf.uris.some((uri) => uri.startsWith(DEMO_SCHEME)) === anchor.demo, "demo");
  return { role, name };
}

/** @param {string[]} uris */
function named(uris) {
  return uris.filter((uri) => uri.startsWith(SCHEME)).map((uri) => uri.slice(SCHEME.length));
}

/** @param {string} name */
function validName(name) {
  return name.length <= MAX_NAME && NAME.test(name);
}

/** @param {Uint8Array} bytes @returns {Promise<Certificate>} */
export async function certificate(bytes) {
  need(bytes.length <= MAX_CERTIFICATE, "certificate");
  const parts = der.sequence(der.only(bytes, TAG.SEQUENCE));
  need(parts.length === 3, "certificate");
  const [body, algorithm, signature] = parts;
  const [version, serial, inner, issuer, validity, subject, spki, extensions, ...more] = der.sequence(body);
  need(version?.tag === 0xa0 && der.small(der.only(version.body, TAG.INTEGER)) === 2, "certificate");
  need(der.unsigned(serial).length <= 20 && equal(inner.raw, algorithm.raw), "certificate");
  need(extensions?.tag === 0xa3 && more.length === 0, "certificate");
  const times = der.sequence(validity);
  need(times.length === 2, "certificate");
  return {
    sha256: hex(await sha256(bytes)),
    signed: body.raw,
    hash: hashOf(algorithm),
    signature: der.octets(signature),
    issuer: issuer.raw,
    subject: subject.raw,
    commonNames: commonNames(subject),
    notBefore: der.time(times[0]),
    notAfter: der.time(times[1]),
    ...(await publicKey(spki)),
    ...extensionsOf(extensions),
  };
}

/** @param {der.Node} algorithm */
function hashOf(algorithm) {
  const parts = der.sequence(algorithm);
  const hash = HASHES[der.oid(parts[0])];
  need(parts.length === 1 && hash !== undefined, "certificate");
  return hash;
}

/** @param {der.Node} spki */
async function publicKey(spki) {
  const [algorithm, point, ...more] = der.sequence(spki);
  const [kind, named, ...rest] = der.sequence(algorithm);
  need(more.length === 0 && rest.length === 0 && der.oid(kind) === "1.2.840.10045.2.1", "key");
  const curve = CURVES[der.oid(named)];
  need(curve !== undefined, "key");
  return { curve, key: await ecdsaKey(curve, der.octets(point)) };
}

/** A public key of an uncompressed point. @param {string} curve @param {Uint8Array} point */
export async function ecdsaKey(curve, point) {
  need(point.length === 1 + 2 * FIELD_BYTES[curve] && point[0] === 4, "key");
  try {
    return await crypto.subtle.importKey("raw", point, { name: "ECDSA", namedCurve: curve }, true, ["verify"]);
  } catch {
    return need(false, "key");
  }
}

/** The two numbers of a DER signature side by side, as WebCrypto takes them. @param {Uint8Array} encoded @param {number} width */
function plainSignature(encoded, width) {
  const numbers = der.sequence(der.only(encoded, TAG.SEQUENCE)).map(der.unsigned);
  need(numbers.length === 2 && numbers.every((number) => number.length <= width), "signature");
  const plain = new Uint8Array(2 * width);
  numbers.forEach((number, at) => plain.set(number, (at + 1) * width - number.length));
  return plain;
}

/** @param {der.Node} subject */
function commonNames(subject) {
  const found = [];
  for (const set of der.sequence(subject)) {
    need(set.tag === TAG.SET, "certificate");
    for (const attribute of der.children(set.body)) {
      const [kind, value] = der.sequence(attribute);
      if (der.oid(kind) === COMMON_NAME) found.push(utf8(value?.body ?? new Uint8Array()));
    }
  }
  return found;
}

/** @param {der.Node} tagged */
function extensionsOf(tagged) {
  const found = new Map();
  for (const extension of der.sequence(der.only(tagged.body, TAG.SEQUENCE))) {
    const parts = der.sequence(extension);
    const kind = der.oid(parts[0]);
    const critical = parts.length === 3 && der.boolean(parts[1]);
    const value = parts.at(-1);
    need((parts.length === 2 || critical) && value.tag === TAG.OCTET_STRING, "extension");
    need(!found.has(kind) && kind !== EXTENSION.NAME_CONSTRAINTS, "extension");
    need(!critical || UNDERSTOOD.has(kind), "extension");
    found.set(kind, { critical, value: value.body });
  }
  const extended = found.get(EXTENSION.EXTENDED_KEY_USAGE);
  return {
    constraints: constraintsOf(found.get(EXTENSION.BASIC_CONSTRAINTS)),
    usage: der.bits(der.only(found.get(EXTENSION.KEY_USAGE)?.value ?? new Uint8Array(), TAG.BIT_STRING)),
    extendedUsage: extended ? der.sequence(der.only(extended.value, TAG.SEQUENCE)).map(der.oid) : null,
    uris: urisOf(found.get(EXTENSION.ALTERNATIVE_NAME)),
  };
}

/** @param {{critical: boolean, value: Uint8Array} | undefined} extension */
function constraintsOf(extension) {
  need(extension !== undefined, "extension");
  const parts = der.sequence(der.only(extension.value, TAG.SEQUENCE));
  const ca = parts.length > 0 && der.boolean(parts[0]);
  need(parts.length === 0 || (ca && parts.length <= 2), "extension");
  return { critical: extension.critical, ca, pathLength: parts.length === 2 ? der.small(parts[1]) : null };
}

/** @param {{value: Uint8Array} | undefined} extension */
function urisOf(extension) {
  need(extension !== undefined, "extension");
  const names = der.sequence(der.only(extension.value, TAG.SEQUENCE));
  need(names.every((name) => name.tag === URI_NAME), "extension");
  return names.map((name) => utf8(name.body));
}
