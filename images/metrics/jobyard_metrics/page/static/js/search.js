// Finds teams, jobs and owners by parts of their names; all words must occur.

import { allJobs, summary } from "./data.js";
import { element, section } from "./dom.js";
import { plural } from "./format.js";
import { jobTable } from "./jobs.js";
import { teamLink } from "./parts.js";

export function searchView(text) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const jobs = allJobs().filter(
    (job) => !job.unknown && matches(words, [job.team, job.job, job.owner, job.description]),
  );
  const teams = summary().teams.team.filter((team) => matches(words, [team]));
  const found = `${plural(teams.length, "team")} and ${plural(jobs.length, "job")}`;
  const node = element(
    "div",
    {},
    element("h1", { tabindex: "-1" }, "Search"),
    element("p", { role: "status" }, found),
    teams.length
      ? section(
          "Teams",
          element("ul", { class: "inline" }, ...teams.slice(0, 50).map((team) => element("li", {}, teamLink(team)))),
        )
      : null,
    section("Jobs", jobTable(jobs)),
  );
  return { title: `Search: ${text}`, node };
}

function matches(words, fields) {
  const text = fields.filter(Boolean).join(" ").toLowerCase();
  return words.every((word) => text.includes(word) || text.includes(word.replace(".", " ")));
}
