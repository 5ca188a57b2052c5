// One job: its runs, waits, costs, use and models over the days that are kept.

import { adviceTable, sentence, taskName } from "./advice.js";
import { allJobs, rows, summary } from "./data.js";
import { element, named, outside, route, section } from "./dom.js";
import { count, duration, moment, money, percent, plural } from "./format.js";
import { costChart, durationChart, waitChart } from "./job-charts.js";
import { jobUrl, runUrl, teamUrl } from "./links.js";
import { modelCharts } from "./models.js";
import { jobLink, notice, pairs, replacedPods, replacedTile, teamLink, tiles } from "./parts.js";
import { badge } from "./states.js";
import { table } from "./table.js";
import { missing, teamData } from "./team.js";
import { fitCharts, usageCharts } from "./usage.js";

export async function jobView(team, name) {
  const job = allJobs().find((other) => other.team === team && other.job === name);
  if (!job) return summary().teams.team.includes(team) ? missingJob(team, name) : missing(team);
  const data = await teamData(team);
  const own = data.jobs?.find((other) => other.job === name);
  const parts = own ? sections(job, own) : [data.notice];
  return { title: `${team}.${name}`, node: element("div", {}, ...heading(job, own), ...parts, neighbours(job)) };
}

function missingJob(team, name) {
  const text = [
    named(name),
    " is no job of team ",
    teamLink(team),
    ", nor was it one in the days that are kept. It may have been renamed.",
  ];
  return {
    title: "Unknown job",
    node: element("div", {}, element("h1", { tabindex: "-1" }, "Unknown job"), notice(...text)),
  };
}

function heading(job, own) {
  const title = element("h1", { tabindex: "-1" }, teamLink(job.team), ".", named(job.job, 120));
  const links = element(
    "p",
    { class: "links" },
    outside(jobUrl(job), "Airflow"),
    " ",
    outside(teamUrl(job.team), "Argo CD"),
  );
  const description = own?.description || job.description;
  return [
    element("div", { class: "heading" }, title, links),
    description ? element("p", { class: "lead" }, element("bdi", {}, description)) : null,
    facts(job, own),
  ];
}

function facts(job, own) {
  const next = job.gone ? badge("gone") : job.paused ? badge("paused") : moment(job.next_run);
  return pairs(
    ["Owner", job.owner ? named(job.owner) : null],
    ["Schedule", job.schedule ? named(job.schedule) : null],
    ["Time zone", job.timezone],
    ["Next run", next],
    ["Last result", job.ended == null ? "no run yet" : [badge(job.state), " ", moment(job.ended)]],
    ["Deadline", job.deadline == null ? null : duration(job.deadline)],
    ["Release", own?.commit ? element("code", {}, own.commit.slice(0, 12)) : null],
  );
}

function sections(job, own) {
  const days = rows(own.days);
  const runs = rows(own.runs);
  const calendar = rows(summary().calendar);
  const empty = element("p", { class: "quiet" }, "The job has not run in the days that are kept.");
  const charts = days.length
    ? [durationChart(runs, days, calendar), waitChart(days, calendar), costChart(days, calendar)]
    : [empty];
  return [
    jobTiles(job, days),
    section("Runs", ...charts),
    requests(own, calendar),
    modelSection(own, calendar),
    days.length ? section("Newest runs", runTable(job, runs)) : null,
  ];
}

function jobTiles(job, days) {
  const sum = (name) => days.reduce((total, day) => total + (day[name] ?? 0), 0);
  const last = days.findLast((day) => day.p50 != null);
  const unsampled = sum("unsampled");
  return tiles(
    [
      "Succeeded",
      sum("runs") ? percent(1 - sum("failed") / sum("runs")) : "—",
      `${plural(sum("runs"), "run")}, ${count(sum("failed"))} failed`,
      sum("failed") ? "failed" : null,
    ],
    ["Duration", last ? duration(last.p50) : "—", last ? `p95 ${duration(last.p95)}; last 7 days` : null],
    [
      "Tries",
      count(sum("tries")),
      sum("retries") ? `${count(sum("retries"))} after a failure` : "none after a failure",
    ],
    [
      "Cost of 30 days",
      job.cost == null && job.runs ? "not known" : money(job.cost ?? 0),
      sum("unpriced") ? `without ${count(sum("unpriced"))} pods of unknown price` : null,
    ],
    ["Pods", count(sum("pods")), unsampled ? `${count(unsampled)} ended before they were sampled` : "all sampled"],
    replacedTile({ lost: sum("lost"), out_of_memory: sum("out_of_memory") }),
    ["Could save", job.saves == null ? "—" : money(Math.max(0, job.saves)), "a month, with requests that fit"],
  );
}

function requests(own, calendar) {
  const advised = rows(own.advice);
  const lines = advised.map((advice) =>
    element("li", {}, element("strong", {}, named(taskName(advice))), " ", sentence(advice), "."),
  );
  const charts = usageCharts(rows(own.usage), calendar);
  if (!advised.length && !charts.length) return null;
  return section(
    "Requested and used",
    element("ul", { class: "advice" }, ...lines),
    element("div", { class: "grid wide" }, ...fitCharts(advised)),
    adviceTable(advised),
    element("div", { class: "grid" }, ...charts),
  );
}

function modelSection(own, calendar) {
  const charts = modelCharts(rows(own.models), own.tasks, calendar);
  return charts.length ? section("What the models measured", element("div", { class: "grid" }, ...charts)) : null;
}

function runTable(job, runs) {
  const columns = [
    { title: "Ended", header: true, descending: true, value: (run) => run.ended, cell: (run) => moment(run.ended) },
    { title: "Result", value: (run) => run.state, cell: (run) => badge(run.state) },
    { title: "Notes", value: (run) => notes(run).length, cell: (run) => notes(run) },
    { title: "Kind", value: (run) => run.run_type },
    {
      title: "Duration",
      numeric: true,
      descending: true,
      value: took,
      cell: (run) => (took(run) == null ? null : duration(took(run))),
    },
    {
      title: "Tries",
      numeric: true,
      descending: true,
      value: (run) => run.tries,
      cell: (run) => (run.retries ? `${run.tries} (${run.retries} again)` : run.tries),
    },
    {
      title: "Cost",
      numeric: true,
      descending: true,
      value: (run) => run.cost,
      cell: (run) => (run.cost == null ? null : money(run.cost)),
    },
    {
      title: "Run",
      value: (run) => run.run_id,
      cell: (run) => outside(runUrl(job, run.run_id), "Airflow") ?? named(run.run_id, 40),
    },
  ];
  return table({ caption: "Newest runs", columns, rows: runs, sort: "Ended", limit: 20 });
}

const took = (run) => (run.started == null ? null : run.ended - run.started);

function notes(run) {
  const late = run.late == null ? null : badge("late", `started ${duration(run.late)} late`);
  const missed = run.missed_deadline ? badge("missed") : null;
  const found = [late, missed, replacedPods(run)].filter(Boolean);
  return found.flatMap((note, position) => (position ? [" ", note] : [note]));
}

function neighbours(job) {
  const jobs = allJobs();
  const followers = jobs.filter((other) => other.after.includes(job.position));
  if (!job.after.length && !followers.length) return null;
  const list = (others) =>
    element("ul", { class: "inline" }, ...others.map((other) => element("li", {}, jobLink(other))));
  return section(
    "Dependencies",
    job.after.length
      ? element("div", {}, element("h3", {}, "Waits for or follows"), list(job.after.map((position) => jobs[position])))
      : null,
    followers.length ? element("div", {}, element("h3", {}, "Is followed by"), list(followers)) : null,
    element("p", {}, element("a", { href: route("dependencies") }, "All dependencies")),
  );
}
