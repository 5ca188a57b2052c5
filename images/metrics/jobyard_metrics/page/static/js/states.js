// How results look: a sign and a word, and a colour besides.

import { element } from "./dom.js";

const STATES = new Map([
  ["success", ["✓", "succeeded"]],
  ["failed", ["✕", "failed"]],
  ["late", ["◷", "started late"]],
  ["missed", ["⚑", "missed its deadline"]],
  ["overdue", ["…", "overdue"]],
  ["paused", ["‖", "paused"]],
  ["gone", ["∅", "removed"]],
]);

export function badge(state, word) {
  const [sign, usual] = STATES.get(state) ?? ["?", state ?? "no run yet"];
  const known = STATES.has(state) ? state : "none";
  return element("span", { class: `badge ${known}` }, element("span", { "aria-hidden": "true" }, sign), word ?? usual);
}

const MARKS = new Map([
  ["s", "•"],
  ["f", "✕"],
  ["-", "·"],
  ["?", "?"],
]);

// The results of the last days, a sign each.
export function strip(results) {
  const of = (mark) => Array.from(results).filter((other) => other === mark).length;
  const label = `${results.length} days: ${of("s")} succeeded, ${of("f")} with a failure, ${of("-")} without a run`;
  const unknown = of("?") ? `, ${of("?")} without data` : "";
  const signs = Array.from(results, (mark) =>
    element("span", { class: mark === "f" ? "failed" : mark === "s" ? "ran" : null }, MARKS.get(mark)),
  );
  return element(
    "span",
    { class: "strip", role: "img", "aria-label": label + unknown, title: label + unknown },
    ...signs,
  );
}
