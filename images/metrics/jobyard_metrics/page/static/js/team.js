// One team: its jobs, their costs, and the requests that would fit.

import { adviceTable } from "./advice.js";
import { dailyFigure } from "./charts.js";
import { allJobs, loadTeam, MissingDataError, rows, summary } from "./data.js";
import { element, outside, section } from "./dom.js";
import { count, money, percent } from "./format.js";
import { jobTable } from "./jobs.js";
import { teamUrl } from "./links.js";
import { jobLink, notice, tiles } from "./parts.js";

export async function teamView(team) {
  const position = summary().teams.team.indexOf(team);
  if (position < 0) return missing(team);
  const jobs = allJobs().filter((job) => job.team === team && !job.unknown);
  const data = await teamData(team);
  const links = element("p", { class: "links" }, outside(teamUrl(team), "Argo CD"));
  const heading = element(
    "div",
    { class: "heading" },
    element("h1", { tabindex: "-1" }, "Team ", element("bdi", {}, team)),
    links,
  );
  const more = data.jobs ? details(data) : [data.notice];
  const list = section("Jobs", jobTable(jobs, { withTeam: false, caption: "Jobs of the team" }));
  const node = element("div", {}, heading, teamTiles(jobs, position), list, ...more);
  return { title: `Team ${team}`, node };
}

export function missing(team) {
  const node = element(
    "div",
    {},
    element("h1", { tabindex: "-1" }, "Unknown team"),
    notice("No team ", element("bdi", {}, team), " has a job, nor had one in the days that are kept."),
  );
  return { title: "Unknown team", node };
}

// The team's data, or a notice of why they are not there.
export async function teamData(team) {
  try {
    return await loadTeam(team);
  } catch (error) {
    if (!(error instanceof MissingDataError)) throw error;
    return { notice: notice(unreadable()) };
  }
}

function unreadable() {
  const rule =
    summary().settings.teamsRead === "own"
      ? " In this environment a team may read its own data, and of the others what the summary has."
      : "";
  return `The data of this team could not be loaded, so this page shows what the summary has.${rule}`;
}

function teamTiles(jobs, position) {
  const sum = (name) => jobs.reduce((total, job) => total + Math.max(0, job[name] ?? 0), 0);
  return tiles(
    ["Jobs", count(jobs.filter((job) => !job.gone).length)],
    ["Runs of 30 days", count(sum("runs"))],
    [
      "Succeeded",
      sum("runs") ? percent(1 - sum("failed") / sum("runs")) : "—",
      sum("failed") ? `${count(sum("failed"))} failed` : null,
    ],
    ["Cost of 30 days", money(summary().teams.cost[position])],
    ["Requests that fit", money(sum("saves")), "could be saved a month"],
  );
}

function details(data) {
  const advised = data.jobs.flatMap((job) =>
    rows(job.advice).map((advice) => ({ ...advice, job: { team: data.team, job: job.job } })),
  );
  const job = { title: "Job", value: (row) => row.job.job, cell: (row) => jobLink(row.job, false) };
  return [costByDay(data), section("Requests that fit", adviceTable(advised, [job]))];
}

function costByDay(data) {
  const days = data.jobs.flatMap((job) => rows(job.days)).filter((day) => day.cost != null);
  const sums = d3.rollups(
    days,
    (own) => d3.sum(own, (day) => day.cost),
    (day) => day.day,
  );
  if (!sums.length) return null;
  const totals = sums.map(([day, cost]) => ({ day, cost }));
  const calendar = rows(summary().calendar);
  return dailyFigure({
    title: "Cost by day",
    note: "of the team's pods",
    days: totals,
    calendar,
    amount: (day) => day.cost,
    format: money,
  });
}
