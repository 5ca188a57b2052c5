// Numbers and times as text. Null is "not known", and never zero.

import { element } from "./dom.js";

export const UNKNOWN = "not known";
const GROUPED = new Intl.NumberFormat("en");
const UTC = (options) => new Intl.DateTimeFormat("en-GB", { timeZone: "UTC", ...options });
const CLOCK = UTC({ hour: "2-digit", minute: "2-digit" });
const DATED = UTC({ day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
const DAY = UTC({ weekday: "long", day: "numeric", month: "long", year: "numeric" });
const SHORT_DAY = UTC({ day: "numeric", month: "short" });
const LOCAL = new Intl.DateTimeFormat("en-GB", {
  weekday: "short",
  day: "numeric",
  month: "short",
  year: "numeric",
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  timeZoneName: "short",
});

const known = (format) => (value) => (value == null ? UNKNOWN : format(value));

export const count = known((value) => GROUPED.format(value));
export const percent = known((share) =>
  share === 0 || share === 1 ? `${share * 100} %` : `${Math.min(99.9, share * 100).toFixed(1)} %`,
);

export function plural(number, word, words = `${word}s`) {
  return `${count(number)} ${number === 1 ? word : words}`;
}

// Of microdollars: two digits where it is cents, the first two that matter where it is less.
export const money = known((micros) => {
  const dollars = Math.abs(micros) / 1e6;
  return (micros < 0 ? "−$" : "$") + amount(dollars);
});

const isCents = (dollars) => dollars > 0 && Math.abs(dollars * 100 - Math.round(dollars * 100)) < 1e-9;

function amount(dollars) {
  if (dollars >= 1000) return GROUPED.format(Math.round(dollars));
  if (dollars >= 0.0995 || isCents(dollars)) return dollars.toFixed(2);
  return dollars === 0 ? "0" : dollars.toFixed(1 - Math.floor(Math.log10(dollars)));
}

// Of bytes, as Kubernetes writes quantities.
export const memory = known((bytes) => {
  const units = ["", "Ki", "Mi", "Gi", "Ti"];
  const exponent = Math.min(4, Math.floor(Math.log2(Math.max(1, bytes)) / 10));
  const value = bytes / 1024 ** exponent;
  return `${Number(value.toFixed(value < 10 ? 1 : 0))}${units[exponent]}`;
});

// Of cores.
export const cpu = known((cores) => (cores < 1 ? `${Math.round(cores * 1000)}m` : String(Number(cores.toFixed(1)))));

export const duration = known((seconds) => {
  const whole = Math.round(seconds);
  if (whole < 10) return `${Number(seconds.toFixed(1))} s`;
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return pair(whole, 60, "min", "s");
  return whole < 172800 ? pair(Math.round(whole / 60), 60, "h", "min") : pair(Math.round(whole / 3600), 24, "d", "h");
});

function pair(value, base, large, small) {
  const rest = value % base;
  return `${Math.floor(value / base)} ${large}${rest ? ` ${rest} ${small}` : ""}`;
}

// British English has "Sept", which would be the only month of four letters.
const threeLetters = (text) => text.replace("Sept", "Sep");

const date = (seconds) => new Date(seconds * 1000);

export const clock = (seconds) => CLOCK.format(date(seconds));
export const dated = (seconds) => threeLetters(DATED.format(date(seconds)).replace(",", ""));
export const longDay = (day) => DAY.format(new Date(`${day}T00:00Z`));
export const shortDay = (day) => threeLetters(SHORT_DAY.format(new Date(`${day}T00:00Z`)));
export const dayStart = (day) => Date.parse(`${day}T00:00Z`) / 1000;

// In the viewer's zone, which the browser knows with all its clock changes.
export function localTime(seconds) {
  return `${LOCAL.format(date(seconds))} (${LOCAL.resolvedOptions().timeZone})`;
}

export function moment(seconds, format = dated) {
  if (seconds == null) return "—";
  const stamp = date(seconds).toISOString();
  return element("time", { datetime: stamp, title: localTime(seconds) }, format(seconds));
}
