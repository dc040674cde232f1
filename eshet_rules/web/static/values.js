/**
 * Values, paths and other texts of the house as text for the screen.
 *
 * All of them may be hostile, so characters that change the direction of the text or that are
 * invisible are written as escapes. The results only ever become text nodes.
 */

// Control characters, soft hyphen, direction marks, zero-width characters, line separators, tags,
// and halves of surrogate pairs.
const HIDDEN =
  /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u115f\u1160\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}\p{Surrogate}]/gu;
const SHORT = {"\n": "\\n", "\t": "\\t", "\r": "\\r"};
const DEEPEST = 60;

function escaped(character) {
  if (SHORT[character]) return SHORT[character];
  const code = character.codePointAt(0);
  const digits = code.toString(16);
  return code > 0xffff ? `\\u{${digits}}` : `\\u${digits.padStart(4, "0")}`;
}

/**
 * Returns a text in one line, with escapes for all characters that are not seen as what they are.
 *
 * @param {unknown} text
 * @returns {string}
 */
export function visible(text) {
  return String(text ?? "").replace(HIDDEN, escaped);
}

/**
 * Returns a text of several lines, as `visible` does for each of them. Tabs stay.
 *
 * @param {unknown} text
 * @returns {string}
 */
export function visibleLines(text) {
  return String(text ?? "").replace(HIDDEN, (character) =>
    character === "\n" || character === "\t" ? character : escaped(character),
  );
}

function bytes(base64) {
  try {
    const data = atob(base64);
    let digits = "";
    for (let index = 0; index < data.length && index < 4096; index += 1) {
      digits += data.charCodeAt(index).toString(16).padStart(2, "0");
    }
    const rest = data.length > 4096 ? "…" : "";
    return `bytes(${data.length}) ${digits}${rest}`.trimEnd();
  } catch {
    return `bytes ${base64}`;
  }
}

function special(key, content) {
  if (key === "$bytes" && typeof content === "string") return bytes(content);
  if (key === "$float" || key === "$int") return String(content);
  return null;
}

function pairs(list, depth) {
  return list.map(([key, value]) => `${written(key, depth)}: ${written(value, depth)}`).join(", ");
}

function written(value, depth) {
  if (depth > DEEPEST) return "…";
  if (Array.isArray(value)) return `[${value.map((each) => written(each, depth + 1)).join(", ")}]`;
  if (value === null || typeof value !== "object") return JSON.stringify(value) ?? "null";
  const entries = Object.entries(value);
  if (entries.length === 1 && entries[0][0].startsWith("$")) {
    const [key, content] = entries[0];
    if (key === "$map" && Array.isArray(content)) return `{${pairs(content, depth + 1)}}`;
    const text = special(key, content);
    if (text !== null) return text;
  }
  return `{${pairs(entries, depth + 1)}}`;
}

/**
 * Returns a value as JSON in one line, and what JSON can't express in words: `bytes(2) 00ff`, `NaN`.
 *
 * @param {any} value As the server writes it.
 * @param {boolean} [known] Whether the state is known; else the result is `unknown`.
 * @returns {string}
 */
export function valueText(value, known = true) {
  return known ? visible(written(value, 0)) : "unknown";
}

/**
 * Returns the value that a person has typed: JSON, or else the text itself.
 *
 * @param {string} text
 * @returns {any} As the server reads it; a whole number that JavaScript can't hold is `{"$int": …}`.
 */
export function typedValue(text) {
  const trimmed = text.trim();
  if (/^-?\d+$/.test(trimmed) && !Number.isSafeInteger(Number(trimmed))) return {$int: trimmed};
  try {
    return JSON.parse(trimmed);
  } catch {
    return text;
  }
}

/**
 * Returns the number that a value is for a chart: true is 1 and false is 0.
 *
 * @param {any} value
 * @returns {number | null} Null if it is not a number.
 */
export function chartNumber(value) {
  if (typeof value === "boolean") return value ? 1 : 0;
  if (typeof value === "number") return value;
  if (value && typeof value.$int === "string") return Number(value.$int);
  return null;
}

/**
 * Returns a text as one word of a POSIX shell; with `$'…'` of bash if it has hidden characters.
 *
 * @param {string} word
 * @returns {string}
 */
export function shellWord(word) {
  if (/^[\w@%+=:,./-]+$/.test(word)) return word;
  if (visible(word) === word) return `'${word.replaceAll("'", "'\\''")}'`;
  const inner = word.replace(/[\\']/g, "\\$&").replace(HIDDEN, (character) => {
    if (SHORT[character]) return SHORT[character];
    return `\\U${character.codePointAt(0).toString(16).padStart(8, "0")}`;
  });
  return `$'${inner}'`;
}

/**
 * Returns the command line of some words.
 *
 * @param {...string} words
 * @returns {string}
 */
export function commandLine(...words) {
  return words.map(shellWord).join(" ");
}
