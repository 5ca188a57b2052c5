// What several views show alike.

import { element, named, route } from "./dom.js";
import { count, plural } from "./format.js";

export function jobLink(job, withTeam = true) {
  const name = withTeam && job.team != null ? `${job.team}.${job.job}` : job.job;
  if (job.unknown) return named(name);
  return element("a", { href: route("job", job.team, job.job) }, named(name));
}

export function teamLink(team) {
  return element("a", { href: route("team", team) }, named(team));
}

export function tiles(...entries) {
  const items = entries
    .filter(Boolean)
    .map(([term, value, more, state]) =>
      element(
        "div",
        { class: state ? `tile ${state}` : "tile" },
        element("dt", {}, term),
        element("dd", {}, element("strong", {}, value), more ? element("span", {}, more) : null),
      ),
    );
  return element("dl", { class: "tiles" }, ...items);
}

// What a run or a job has of pods that were replaced in the same try; null where there was none.
export function replacedPods({ lost, out_of_memory: killed }) {
  const parts = [
    lost ? `${plural(lost, "pod")} lost to machines` : null,
    killed ? `${plural(killed, "pod")} out of memory` : null,
  ].filter(Boolean);
  return parts.length ? `${parts.join(" and ")}, replaced in the same try` : null;
}

export function replacedTile({ lost, out_of_memory: killed }) {
  if (!lost && !killed) return null;
  const words = `${count(lost)} lost to machines, ${count(killed)} out of memory; in the same try`;
  return ["Replaced pods", count(lost + killed), words];
}

export function pairs(...entries) {
  const items = entries.filter(([, value]) => value != null && value !== "");
  return element(
    "dl",
    { class: "pairs" },
    ...items.flatMap(([term, value]) => [element("div", {}, element("dt", {}, term), element("dd", {}, value))]),
  );
}

export function notice(...content) {
  return element("p", { class: "notice" }, ...content);
}
