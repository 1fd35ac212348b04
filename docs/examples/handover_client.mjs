#!/usr/bin/env node
/* A complete client of a terminal's handover service (docs/integration.md). Needs Node.js 18 or newer, and nothing else.

     node handover_client.mjs --socket /run/edged-handover/handover.sock --scene bank --reference T-1042
     node handover_client.mjs --host 192.168.7.2 --port 7443 --ca fleet-ca.pem \
       --cert audience.bank-tls.pem --key audience.bank-tls.key --scene bank

   It shows the holder's notice, asks for one inspection, shows its progress, takes the fields, says which came, and
   what the holder is to be told of what was read and who learned what. Values are printed with `--json --values` alone,
   for the program that fills the form. Ctrl-C cancels the inspection.

   Exit status: 0 fields came; 1 the inspection ended without any; 64 wrong arguments; 65 the slip can't be replaced;
   69 the terminal can't be reached; 75 try again; 76 this program and the terminal don't understand each other; 77 the administrator has to
   allow it. */

import { readFileSync } from "node:fs";
import net from "node:net";
import { createInterface } from "node:readline/promises";
import tls from "node:tls";
import { parseArgs } from "node:util";

const VERSION = 1;
const CONNECT_MS = 10_000; // to connect, and for every answer but an inspection's
const MAX_LINE = 256 * 1024; // no answer is longer

const AGAIN = 75;
const ADMIN = 77;
const PROGRAM = 76;
const SLIP = 65;
const UNREACHABLE = 69;

/* Every code that the service may refuse with, and what to do. Of one that isn't here: call the administrator. */
const REFUSALS = {
  // The document has to be inspected again; the fields are gone.
  "handover.taken_already": AGAIN,
  "handover.too_late": AGAIN,
  "handover.replaced": AGAIN,
  "handover.application_left": AGAIN,
  "handover.settings_changed": AGAIN,
  "handover.stopped": AGAIN,
  "handover.not_yours": AGAIN,
  "handover.internal_error": AGAIN,
  "inspection.busy": AGAIN,
  // What the holder was shown is out of date: show the new notice, and ask again.
  "inspection.notice_changed": AGAIN,
  // The slip that was to be replaced isn't one that can be.
  "slip.no_such_slip": SLIP,
  "slip.not_replaceable": SLIP,
  // Somebody has to look at the terminal, its settings or the certificate.
  "handover.not_journalled": ADMIN,
  "handover.not_allowed": ADMIN,
  "handover.not_an_application": ADMIN,
  "handover.unknown_user": ADMIN,
  "handover.other_scene": ADMIN,
  "cert.revoked": ADMIN,
  "cert.expired": ADMIN,
  "cert.not_yet_valid": ADMIN,
  "cert.unknown_issuer": ADMIN,
  "cert.wrong_fleet": ADMIN,
  "cert.wrong_usage": ADMIN,
  "cert.demo_mismatch": ADMIN,
  "cert.malformed": ADMIN,
  "slip.not_configured": ADMIN,
  "slip.too_many_withdrawn": ADMIN,
  // This program is wrong.
  "handover.no_such_inspection": PROGRAM,
  "slip.training_replaces_nothing": PROGRAM,
  "handover.not_json": PROGRAM,
  "handover.not_a_request": PROGRAM,
  "handover.unknown_version": PROGRAM,
  "handover.unknown_method": PROGRAM,
  "handover.bad_parameter": PROGRAM,
  "handover.request_too_long": PROGRAM,
  "handover.too_many_requests": PROGRAM,
  "handover.too_many_refusals": PROGRAM,
};

const NEXT = {
  [SLIP]: "Look at the number on the slip, or inspect without one.",
  [AGAIN]: "Inspect the document again.",
  [ADMIN]: "Call the administrator of the terminals.",
  [PROGRAM]: "Correct this program; see docs/integration.md.",
};

/* The terminal refused a request, or the connection; `code` says why. */
class RefusedError extends Error {
  constructor(code) {
    super(code);
    this.code = code;
  }
}

/* The terminal can't be reached, or the connection broke. */
class LostError extends Error {}

/* One connection. It must stay open from `inspect` to `take`: when it ends, the terminal overwrites the fields. */
class Handover {
  #socket;
  #onEvent;
  #received = Buffer.alloc(0);
  #waiting = new Map();
  #number = 0;
  #ended = null;

  constructor(socket, onEvent) {
    this.#socket = socket;
    this.#onEvent = onEvent;
    socket.on("data", (octets) => this.#take(octets));
    socket.on("error", (error) => this.#end(new LostError(error.message)));
    socket.on("close", () => this.#end(new LostError("the terminal closed the connection")));
  }

  /* Over the terminal's own socket: this process is known by its system user. */
  static local(path, onEvent) {
    return Handover.#connected(net.connect({ path }), "connect", onEvent);
  }

  /* Over mutual TLS 1.3: the fleet's authority says who either side is, and the address must be the terminal's. */
  static remote({ host, port, ca, cert, key }, onEvent) {
    const files = { ca: readFileSync(ca), cert: readFileSync(cert), key: readFileSync(key) };
    return Handover.#connected(tls.connect({ host, port, minVersion: "TLSv1.3", ...files }), "secureConnect", onEvent);
  }

  static #connected(socket, event, onEvent) {
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => socket.destroy(new Error("no connection in time")), CONNECT_MS);
      const failed = (error) => {
        clearTimeout(late);
        reject(new LostError(error.message));
      };
      socket.once("error", failed);
      socket.once(event, () => {
        clearTimeout(late);
        socket.off("error", failed);
        resolve(new Handover(socket, onEvent));
      });
    });
  }

  /* Leave; what wasn't taken is overwritten on the terminal, and what was received here. */
  close() {
    this.#received.fill(0);
    this.#socket.destroy();
  }

  /* Which fields and scenes policy allows. */
  hello() {
    return this.#call("hello", {});
  }

  /* From now on `onEvent` hears of the progress of this application's inspections. */
  subscribe() {
    return this.#call("subscribe", {});
  }

  /* What the holder has to be told before an inspection in `scene`, and whether consent is needed. */
  notice(scene) {
    return this.#call("notice", scene === undefined ? {} : { scene });
  }

  /* Run one inspection; resolves when it is over. */
  inspect(params, timeoutMs) {
    return this.#call("inspect", params, timeoutMs);
  }

  /* Cancel the inspection that runs; `inspect` then says how it ended. */
  cancel() {
    return this.#call("cancel", {});
  }

  /* The fields, by name. Once: whoever asks again is refused. */
  async take(inspection) {
    return (await this.#call("take", { inspection })).fields;
  }

  #call(method, params, timeoutMs = CONNECT_MS) {
    return new Promise((resolve, reject) => {
      if (this.#ended) {
        reject(this.#ended);
        return;
      }
      const id = ++this.#number;
      const late = setTimeout(() => this.#end(new LostError("no answer in time")), timeoutMs);
      this.#waiting.set(id, { resolve, reject, late });
      this.#socket.write(JSON.stringify({ v: VERSION, id, method, params }) + "\n");
    });
  }

  #take(octets) {
    const before = this.#received;
    this.#received = Buffer.concat([before, octets]);
    before.fill(0);
    octets.fill(0); // as far as JavaScript lets us: texts that JSON made stay until their memory is used again
    for (let end; (end = this.#received.indexOf(10)) >= 0; ) {
      const line = this.#received.subarray(0, end);
      let message;
      try {
        message = JSON.parse(line.toString("utf8"));
      } catch {
        this.#end(new LostError("an answer that is no JSON"));
        return;
      }
      line.fill(0);
      this.#received = this.#received.subarray(end + 1);
      this.#hear(message);
    }
    if (this.#received.length > MAX_LINE) this.#end(new LostError("the answer has no end"));
  }

  #hear(message) {
    if (message?.v !== VERSION) {
      this.#end(new RefusedError("handover.unknown_version"));
    } else if ("event" in message) {
      this.#onEvent(message);
    } else if (message.id === null || message.id === undefined) {
      this.#end(new RefusedError(message.error.code)); // the connection itself is refused
    } else {
      const waiting = this.#waiting.get(message.id);
      if (!waiting) return;
      this.#waiting.delete(message.id);
      clearTimeout(waiting.late);
      if (message.error) waiting.reject(new RefusedError(message.error.code));
      else waiting.resolve(message.result);
    }
  }

  #end(error) {
    this.#ended ??= error;
    for (const { reject, late } of this.#waiting.values()) {
      clearTimeout(late);
      reject(this.#ended);
    }
    this.#waiting.clear();
  }
}

const PROMPTS = {
  place_document: "Lay the document into the window.",
  reading: "Reading …",
  turn_over: "Turn the document over.",
  remove: "Take the document away.",
};

/* Progress for the counter's screen. */
function show(event) {
  if (event.event === "indication" && event.indication in PROMPTS) console.error(PROMPTS[event.indication]);
  else if (event.event === "advice") console.error(`Another picture is taken (${event.reason}).`);
  else if (event.event === "forgotten") console.error(`The fields have been overwritten (${event.code}).`);
}

/* For a program with --json, else for a person: then names of fields, never values. */
function tell(args, said, status) {
  if (args.json) {
    console.log(JSON.stringify(said));
  } else if ("error" in said) {
    console.error(`${said.error}: ${said.detail}`);
  } else {
    for (const line of said.notice?.lines[args.lang] ?? []) console.log(line);
    const names = Array.isArray(said.fields) ? said.fields : Object.keys(said.fields).sort();
    console.log(`Inspection ${said.inspection}: ${said.result ?? said.reason ?? said.outcome}`);
    console.log(`Fields that came: ${names.join(", ") || "none"}`);
    for (const [field, code] of Object.entries(said.withheld)) console.log(`Without a value: ${field} (${code})`);
  }
  return status;
}

/* The notice alone, to be shown on another screen: its `sha256` comes back with --consent --notice. */
function tellNotice(args, notice) {
  console.log(args.json ? JSON.stringify(notice) : notice.lines[args.lang].join("\n"));
  return 0;
}

/* The notice on the counter's screen, and what the holder says to it, as parameters of `inspect`. A consent is to one
   notice: if settings change what it says before the document is read, the terminal refuses. With --json nothing
   is shown here: whoever shows it says which it was. */
async function askedForConsent(args, notice) {
  if (!args.json) console.error(notice.lines[args.lang].join("\n"));
  let given = args.consent;
  if (notice.consent && !given && !args.json && process.stdin.isTTY) {
    const asking = createInterface({ input: process.stdin, output: process.stderr });
    given = (await asking.question("Does the holder consent? [y/N] ")).trim().toLowerCase() === "y";
    asking.close();
  }
  return { consent: given, notice: args.notice ?? notice.sha256 };
}

async function run(args) {
  const onEvent = args.json ? () => {} : show;
  let client;
  try {
    client = args.socket
      ? await Handover.local(args.socket, onEvent)
      : await Handover.remote({ ...args, port: Number(args.port) }, onEvent);
  } catch (error) {
    return tell(args, { error: "unreachable", detail: error.message }, UNREACHABLE);
  }
  const interrupted = () => client.cancel().catch(() => {});
  try {
    await client.hello();
    await client.subscribe();
    const notice = await client.notice(args.scene);
    if (args["show-notice"]) return tellNotice(args, notice);
    const asked = { ...(await askedForConsent(args, notice)), training: args.training };
    for (const name of ["scene", "reference", "purpose", "operator", "supersedes"]) {
      if (args[name] !== undefined) asked[name] = args[name];
    }
    process.on("SIGINT", interrupted);
    const told = await client.inspect(asked, Number(args.timeout) * 1000);
    process.off("SIGINT", interrupted);
    const { inspection, outcome, result, reason, handover: ready } = told;
    if (outcome === "refused" && reason in REFUSALS) throw new RefusedError(reason); // before anything was read
    const said = { inspection, outcome, result, reason, notice: told.notice };
    if (ready === null) return tell(args, { ...said, fields: [], withheld: {} }, 1);
    const fields = await client.take(inspection);
    if (args.twice) await client.take(inspection);
    const names = Object.keys(fields).sort();
    const came = args.values ? fields : names;
    return tell(args, { ...said, fields: came, withheld: ready.withheld }, names.length ? 0 : 1);
  } catch (error) {
    if (error instanceof RefusedError) {
      const status = REFUSALS[error.code] ?? ADMIN;
      return tell(args, { error: error.code, detail: NEXT[status] }, status);
    }
    if (error instanceof LostError) return tell(args, { error: "lost", detail: error.message }, UNREACHABLE);
    throw error;
  } finally {
    client.close();
  }
}

function parsed() {
  const text = { type: "string" };
  const flag = { type: "boolean", default: false };
  const { values } = parseArgs({
    options: {
      socket: text, host: text, port: { type: "string", default: "7443" }, ca: text, cert: text, key: text,
      scene: text, reference: text, purpose: text, operator: text,
      supersedes: text, notice: text, lang: { type: "string", default: "en" },
      "show-notice": flag, consent: flag, training: flag, timeout: { type: "string", default: "180" },
      json: flag, values: flag, twice: flag,
    },
  });
  if (Boolean(values.socket) === Boolean(values.host)) throw new Error("name --socket or --host");
  if (values.host && !(values.ca && values.cert && values.key)) throw new Error("--host needs --ca, --cert and --key");
  if (values.json && values.consent && !values.notice)
    throw new Error("--json shows no notice: --consent needs --notice, the one that the holder was shown");
  if (values.values && !values.json) throw new Error("--values is for --json: a screen is read by others");
  if (!["en", "zh-CN"].includes(values.lang)) throw new Error("--lang is en or zh-CN");
  if (!(Number(values.timeout) > 0)) throw new Error("--timeout is a number of seconds");
  return values;
}

let args;
try {
  args = parsed();
} catch (error) {
  console.error(error.message);
  process.exit(64);
}
process.exitCode = await run(args);
