// The centre's signed list of slips that hold no more.

import { revokes, SKEW } from "./directory.js";
import { verify } from "./jws.js";
import { need } from "./refused.js";

const MAX_STATUS = 8 * 1024 * 1024;

/**
 * @typedef {{heard: number, withdrawn: Record<string, number>, superseded: Record<string, {by: string, until: number}>}} DeviceSlips
 * @typedef {{iss: string, fleet: string, iat: number, exp: number, devices: Record<string, DeviceSlips>}} Status
 */

/**
 * A list, verified at `at`. One that is past its `exp` opens: what it says was withdrawn stays so.
 * @param {string} compact @param {any} anchor @param {number} at @param {import("./directory.js").Head | null} head
 * @returns {Promise<Status>}
 */
export async function openStatus(compact, anchor, at, head) {
  const expected = { typ: "slip-status+jws", role: "collector", anchor, at, most: MAX_STATUS };
  const { holder, payload, certificates, until } = await verify(compact, expected);
  need(payload.iss === holder.name && payload.fleet === anchor.fleet, "status");
  need(Number.isSafeInteger(payload.iat) && Number.isSafeInteger(payload.exp), "status");
  need(payload.iat <= at + SKEW && payload.exp > payload.iat && isObject(payload.devices), "status");
  need(Object.values(payload.devices).every((one) => isObject(one?.withdrawn) && isObject(one?.superseded)), "status");
  need(Object.values(payload.devices).every((one) => Number.isSafeInteger(one.heard)), "status");
  need(head === null || !revokes(head, holder, certificates), "revoked");
  return { ...payload, exp: Math.min(payload.exp, until) };
}

/** @param {unknown} value */
function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
