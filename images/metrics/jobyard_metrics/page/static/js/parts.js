// What several views show alike.

import { element, named, route } from "./dom.js";

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
