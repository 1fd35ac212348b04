// The one error of everything that reads strangers' bytes.

/** Bytes that are not what they should be. `code` is for a developer; a person reads the verdict's sentence. */
export class Refused extends Error {
  /** @param {string} code */
  constructor(code) {
    super(code);
    this.name = "Refused";
    this.code = code;
  }
}

/**
 * @param {unknown} holds
 * @param {string} code
 * @returns {asserts holds}
 */
export function need(holds, code) {
  if (!holds) throw new Refused(code);
}
