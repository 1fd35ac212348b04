// Sentences: edged's own catalogue, as `edged slip page` wrote it into `texts.json`.

/**
 * @typedef {"zh-CN" | "en"} Language
 * @typedef {Record<string, Record<Language, string>>} Catalogue
 */

const MISSING = "…";

/** The language of a page for a browser that prefers `tags`, the first that is known. @param {readonly string[]} tags @returns {Language} */
export function preferred(tags) {
  for (const tag of tags) {
    const primary = tag.toLowerCase().split("-")[0];
    if (primary === "zh") return "zh-CN";
    if (primary === "en") return "en";
  }
  return "en";
}

/**
 * The sentence for `code`, its placeholders filled; a filler that is a code, or a word of its own, is translated.
 * @param {Catalogue} catalogue
 * @param {string} code
 * @param {Language} language
 * @param {Record<string, string>} [fillers]
 */
export function say(catalogue, code, language, fillers = {}) {
  const sentence = entry(catalogue, code)?.[language] ?? code;
  return sentence.replace(/\{([a-z][a-z0-9_]*)\}/g, (_, name) =>
    Object.hasOwn(fillers, name) ? word(catalogue, fillers[name], language) : MISSING,
  );
}

/** @param {Catalogue} catalogue @param {string} value @param {Language} language */
function word(catalogue, value, language) {
  return (entry(catalogue, `word.${value}`) ?? entry(catalogue, value))?.[language] ?? value;
}

/** @param {Catalogue} catalogue @param {string} code */
function entry(catalogue, code) {
  return Object.hasOwn(catalogue, code) ? catalogue[code] : undefined;
}
