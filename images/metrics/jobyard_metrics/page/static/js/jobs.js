// The table of all jobs, and of a team's.

import { allJobs } from "./data.js";
import { element, named } from "./dom.js";
import { count, duration, moment, money, percent } from "./format.js";
import { jobLink } from "./parts.js";
import { badge, strip } from "./states.js";
import { table } from "./table.js";

const FILTERS = new Map([
  ["all", ["all jobs", () => true]],
  ["failed", ["whose last run failed", (job) => job.state === "failed"]],
  ["overdue", ["overdue", (job) => job.overdue]],
  ["paused", ["paused", (job) => job.paused]],
  ["gone", ["removed", (job) => job.gone]],
]);

export function jobsView() {
  const jobs = allJobs().filter((job) => !job.unknown);
  const room = element("div");
  const choice = element(
    "select",
    { id: "filter", on: { change: () => show(room, jobs, choice.value) } },
    ...options(jobs),
  );
  const label = element("label", { for: "filter" }, "Show ");
  show(room, jobs, "all");
  const heading = element(
    "div",
    { class: "heading" },
    element("h1", { tabindex: "-1" }, "Jobs"),
    element("p", {}, label, choice),
  );
  return { title: "Jobs", node: element("div", {}, heading, room) };
}

function options(jobs) {
  return [...FILTERS].map(([key, [word, test]]) =>
    element("option", { value: key }, `${word} (${count(jobs.filter(test).length)})`),
  );
}

function show(room, jobs, filter) {
  room.replaceChildren(jobTable(jobs.filter(FILTERS.get(filter)[1])));
}

export function jobTable(jobs, { withTeam = true, caption = "Jobs" } = {}) {
  const columns = [
    {
      title: "Job",
      header: true,
      value: (job) => (withTeam ? `${job.team}.${job.job}` : job.job),
      cell: (job) => jobLink(job, withTeam),
    },
    { title: "Owner", value: (job) => job.owner, cell: (job) => (job.owner ? named(job.owner, 32) : null) },
    { title: "Schedule", value: (job) => job.schedule, cell: schedule },
    { title: "Next run", value: (job) => job.next_run, cell: nextRun },
    { title: "Last result", value: (job) => job.ended, cell: lastResult, hint: "Sorted by when it ended" },
    {
      title: "14 days",
      value: (job) => -failures(job),
      cell: (job) => strip(job.results ?? ""),
      hint: "Sorted by days with a failure",
    },
    {
      title: "Success",
      numeric: true,
      value: success,
      cell: (job) => (job.runs ? percent(success(job)) : null),
      hint: "Of the runs of the last 30 days",
    },
    {
      title: "Took",
      numeric: true,
      descending: true,
      value: (job) => job.duration,
      cell: (job) => (job.duration == null ? null : duration(job.duration)),
      hint: "Duration of the last run",
    },
    {
      title: "Cost",
      numeric: true,
      descending: true,
      value: (job) => job.cost,
      cell: (job) => (job.cost == null ? null : money(job.cost)),
      hint: "Of the last 30 days",
    },
    {
      title: "Could save",
      numeric: true,
      descending: true,
      value: (job) => job.saves,
      cell: saving,
      hint: "A month, with requests that fit",
    },
  ];
  return table({ caption, columns, rows: jobs, sort: "Job", empty: "No job matches." });
}

const failures = (job) => (job.results ?? "").split("f").length - 1;
const success = (job) => (job.runs ? (job.runs - job.failed) / job.runs : null);
const saving = (job) => (job.saves > 0 ? money(job.saves) : null);

function schedule(job) {
  if (!job.schedule) return null;
  const zone = job.timezone && job.timezone !== "UTC" ? element("small", {}, ` ${job.timezone}`) : null;
  return [named(job.schedule), zone];
}

function nextRun(job) {
  if (job.gone) return badge("gone");
  if (job.paused) return badge("paused");
  return job.overdue ? [badge("overdue"), " ", moment(job.next_run)] : moment(job.next_run);
}

function lastResult(job) {
  if (job.ended == null) return element("span", { class: "quiet" }, "no run yet");
  return [badge(job.state), " ", moment(job.ended)];
}
