// Runs modules of the verifying page for tests: one JSON array of questions on the standard input, one of answers back.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const site = process.argv[2];
const load = (name) => import(pathToFileURL(`${site}/${name}`).href);
const [{ verify }, { lines }, base45, cbor, cose, { anchorOf }, { openHead }, { openStatus }, { preferred }] =
  await Promise.all(
    ["verify.js", "lines.js", "base45.js", "cbor.js", "cose.js", "x509.js", "directory.js", "status.js", "texts.js"].map(load),
  );
const words = JSON.parse(readFileSync(`${site}/texts.json`, "utf8"));
const fleet = JSON.parse(readFileSync(`${site}/fleet.json`, "utf8"));
const bytes = (hex) => Uint8Array.from(Buffer.from(hex, "hex"));
const hex = (one) => Buffer.from(one).toString("hex");

const answers = {
  verify: ({ text, directory, status, at }) => verify(text, { directory, status }, at, words),
  lines: ({ facts }) => lines(facts, words),
  base45: ({ text }) => hex(base45.decode(text)),
  cbor: ({ data }) => cbor.decode(bytes(data), 500) !== undefined,
  cose: ({ data }) => hex(cose.toBeSigned(cose.parse(bytes(data)))),
  head: async ({ text, at, revoked, kept }) => openHead(text, await anchorOf(fleet.anchors, revoked), at, kept),
  status: async ({ text, at, head }) => openStatus(text, await anchorOf(fleet.anchors), at, head),
  preferred: ({ tags }) => preferred(tags),
};

async function answer(question) {
  try {
    return { answer: await answers[question.ask](question) };
  } catch (error) {
    if (error.name !== "Refused" && error.constructor.name !== "NotASlip") throw error;
    return { refused: error.code };
  }
}

const found = [];
for (const question of JSON.parse(readFileSync(0, "utf8"))) found.push(await answer(question));
process.stdout.write(JSON.stringify(found));
