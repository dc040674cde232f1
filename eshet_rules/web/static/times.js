/**
 * Times and lengths of time as text, by the clock of the server.
 */

let ahead = 0; // milliseconds by which the clock of the server is ahead of this one

/**
 * Compares the clocks, so that ages are right on a device whose clock is wrong.
 *
 * @param {string | null} date The header `Date` of an answer, which has whole seconds.
 */
export function compareClocks(date) {
  const server = date ? Date.parse(date) : NaN;
  if (Number.isNaN(server)) return;
  const difference = server + 500 - Date.now();
  ahead = Math.abs(difference) > 2000 ? difference : 0;
}

/** Returns the present time of the server in milliseconds since 1970. */
export function now() {
  return Date.now() + ahead;
}

const two = (number) => String(number).padStart(2, "0");

function day(date) {
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}

/**
 * Returns a time as local time of day, with the date unless it is of today.
 *
 * @param {string} iso
 * @returns {string}
 */
export function clockText(iso) {
  const date = new Date(iso);
  if (Number.isNaN(date.getTime())) return String(iso);
  const time = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
  return day(date) === day(new Date(now())) ? time : `${day(date)} ${time}`;
}

/**
 * Returns a length as text with at most two units: `3 h 20 min`.
 *
 * @param {number} seconds
 * @returns {string}
 */
export function lengthText(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 10 && whole % 60) return `${minutes} min ${whole % 60} s`;
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return minutes % 60 ? `${hours} h ${minutes % 60} min` : `${hours} h`;
  const days = Math.floor(hours / 24);
  return days < 10 && hours % 24 ? `${days} d ${hours % 24} h` : `${days} d`;
}

/**
 * Returns how long ago a time is, or in how long it comes: `12 min ago`, `in 5 s`.
 *
 * @param {string} iso
 * @returns {string}
 */
export function agoText(iso) {
  const seconds = (now() - Date.parse(iso)) / 1000;
  if (Number.isNaN(seconds)) return "";
  if (seconds >= 0) return seconds < 1 ? "now" : `${lengthText(seconds)} ago`;
  return `in ${lengthText(-seconds)}`;
}

const AGE = /^(\d+(?:\.\d+)?)\s*(s|m|min|h|d)$/;
const LENGTHS = {s: 1, m: 60, min: 60, h: 3600, d: 86_400}; // seconds
const TIME_OF_DAY = /^(\d{1,2}):(\d{2})(?::(\d{2}))?$/;

/**
 * Returns the time that a person has typed: an age such as `2h`, a time of today, a date, or both.
 *
 * @param {string} text
 * @returns {string} In ISO 8601, in UTC; empty for an empty text.
 * @throws {Error} If it is none of these.
 */
export function typedTime(text) {
  const trimmed = text.trim();
  if (!trimmed || trimmed === "now") return "";
  const age = AGE.exec(trimmed);
  if (age) return new Date(now() - Number(age[1]) * LENGTHS[age[2]] * 1000).toISOString();
  const time = TIME_OF_DAY.exec(trimmed);
  const date = time
    ? new Date(now())
    : new Date(trimmed.replace(/^(\d{4}-\d\d-\d\d)$/, "$1T00:00"));
  if (time) date.setHours(Number(time[1]), Number(time[2]), Number(time[3] ?? 0), 0);
  if (Number.isNaN(date.getTime())) {
    throw new Error(
      `“${trimmed}” is no time; write an age (2h), a time of today (18:30) or a date`,
    );
  }
  return date.toISOString();
}
