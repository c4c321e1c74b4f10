/** Formats numbers and dates. A time is shown in the zone of its UTC offset: that of the sender for pages, otherwise UTC. */

const LANGUAGE = "en-GB";
const numbers = new Intl.NumberFormat(LANGUAGE);
const fractions = new Intl.NumberFormat(LANGUAGE, { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const days = new Intl.DateTimeFormat(LANGUAGE, { day: "numeric", month: "short", year: "numeric", timeZone: "UTC" });
const minutes = new Intl.DateTimeFormat(LANGUAGE, {
  day: "numeric",
  month: "short",
  year: "numeric",
  hour: "2-digit",
  minute: "2-digit",
  timeZone: "UTC",
});
const relative = new Intl.RelativeTimeFormat(LANGUAGE, { numeric: "auto" });
const UNITS = [
  ["year", 31557600],
  ["month", 2629800],
  ["day", 86400],
  ["hour", 3600],
  ["minute", 60],
];

/** @returns {string} an integer with thousands separators */
export function count(number) {
  return numbers.format(number);
}

/** @returns {string} a number with two decimal places */
export function decimal(number) {
  return fractions.format(number === 0 ? 0 : number);
}

/** @returns {Date} a date whose UTC fields are those of the given local time */
function localFields(at) {
  return new Date(typeof at === "string" ? at.replace(/(T.*)[+-]\d\d:\d\d$/, "$1Z") : at);
}

/** @returns {string} for example "8 May 2023" */
export function day(at) {
  return days.format(localFields(at));
}

/** @returns {string} for example "8 May 2023, 13:56" */
export function moment(at) {
  return minutes.format(localFields(at));
}

let ahead = 0;

/** Sets the current time to the server's, because its clock and the browser's may differ. @param {string} at */
export function setClock(at) {
  ahead = new Date(at).getTime() - Date.now();
}

/** @returns {number} the server's time in milliseconds */
export function serverNow() {
  return Date.now() + ahead;
}

/** @returns {string} for example "3 days ago" */
export function ago(at, now = serverNow()) {
  const seconds = (new Date(at).getTime() - now) / 1000;
  const [unit, size] = UNITS.find(([, length]) => Math.abs(seconds) >= length) ?? ["second", 1];
  return relative.format(Math.round(seconds / size), unit);
}
