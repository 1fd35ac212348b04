// Open what an edged envelope has sealed for you: `node open-sealed.mjs KEY.pem < payload.json` (Node.js 20 or newer).
//
// HPKE (RFC 9180), base mode, DHKEM(P-256, HKDF-SHA256), HKDF-SHA256, AES-256-GCM, of WebCrypto's own primitives and no
// packages. The input is the payload of an envelope that you have VERIFIED. Prints what was sealed: personal data.
import { createHash, createPrivateKey, createPublicKey } from "node:crypto";
import { readFileSync } from "node:fs";

const subtle = globalThis.crypto.subtle;
const P256 = { name: "ECDH", namedCurve: "P-256" };
const KEM = Buffer.concat([Buffer.from("KEM"), Buffer.from([0x00, 0x10])]);
const SUITE = Buffer.concat([Buffer.from("HPKE"), Buffer.from([0x00, 0x10, 0x00, 0x01, 0x00, 0x02])]);
const text = (string) => Buffer.from(string, "utf8");

async function hmac(key, data) {
  const used = key.length ? key : Buffer.alloc(32); // HKDF's empty salt (RFC 5869 §2.2)
  const made = await subtle.importKey("raw", used, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  return Buffer.from(await subtle.sign("HMAC", made, data));
}

// LabeledExtract and LabeledExpand (RFC 9180 §4); nothing here needs more than one block of 32 bytes.
const extract = (suite, salt, label, key) =>
  hmac(salt, Buffer.concat([text("HPKE-v1"), suite, text(label), key]));
const expand = async (suite, prk, label, info, length) =>
  (await hmac(prk, Buffer.concat([
    Buffer.from([0, length]), text("HPKE-v1"), suite, text(label), info, Buffer.from([1]),
  ]))).subarray(0, length);

async function decrypt(data, privateKey, publicPoint, info) {
  const encapsulated = data.subarray(0, 65);
  const theirs = await subtle.importKey("raw", encapsulated, P256, false, []);
  const shared = Buffer.from(await subtle.deriveBits({ name: "ECDH", public: theirs }, privateKey, 256));
  const context = Buffer.concat([encapsulated, publicPoint]);
  const secret = await expand(
    KEM, await extract(KEM, Buffer.alloc(0), "eae_prk", shared), "shared_secret", context, 32);
  const none = Buffer.alloc(0);
  const schedule = Buffer.concat([
    Buffer.from([0]), // base mode
    await extract(SUITE, none, "psk_id_hash", none),
    await extract(SUITE, none, "info_hash", info),
  ]);
  const prk = await extract(SUITE, secret, "secret", none);
  const key = await subtle.importKey("raw", await expand(SUITE, prk, "key", schedule, 32), "AES-GCM", false, ["decrypt"]);
  const iv = await expand(SUITE, prk, "base_nonce", schedule, 12); // the first message's
  return Buffer.from(await subtle.decrypt({ name: "AES-GCM", iv }, key, data.subarray(65)));
}

function load(path) {
  const key = createPrivateKey(readFileSync(path));
  const { x, y } = createPublicKey(key).export({ format: "jwk" });
  const point = Buffer.concat([Buffer.from([4]), Buffer.from(x, "base64url"), Buffer.from(y, "base64url")]);
  const spki = createPublicKey(key).export({ format: "der", type: "spki" });
  return { pkcs8: key.export({ format: "der", type: "pkcs8" }), point,
    kid: createHash("sha256").update(spki).digest("hex").slice(0, 16) };
}

async function openPart(payload, name, what, keys) {
  const sealed = payload[name];
  if (!sealed) return null;
  if (sealed.alg !== "HPKE-P256-SHA256-A256GCM" || sealed.what !== what)
    throw new Error(`${name}: sealed in another way, or for another use`);
  const key = keys.find((one) => one.kid === sealed.kid);
  if (!key) throw new Error(`${name}: sealed to the key ${sealed.kid}, which isn't here`);
  const info = text(JSON.stringify(["edged/1/sealed", what, payload.fleet, payload.iss, payload.audience,
    payload.policy.sha256, (what === "record" ? payload.record_id : null) ?? ""]));
  const own = await subtle.importKey("pkcs8", key.pkcs8, P256, false, ["deriveBits"]);
  try {
    return JSON.parse(await decrypt(Buffer.from(sealed.data, "base64url"), own, key.point, info));
  } catch {
    throw new Error(`${name}: changed on the way, or another envelope's`);
  }
}

try {
  const keys = process.argv.slice(2).map(load);
  const payload = JSON.parse(readFileSync(0, "utf8"));
  const claims = (await openPart(payload, "encrypted", "claims", keys)) ?? payload.claims;
  console.log(JSON.stringify({ claims, record: await openPart(payload, "record", "record", keys) }));
} catch (error) {
  console.error(`refused: ${error.message}`);
  process.exitCode = 1;
}
