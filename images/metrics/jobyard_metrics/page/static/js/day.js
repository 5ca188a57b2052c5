// The day of all teams: what needs a look, who ran when, what it cost.

import { calendarChart } from "./calendar.js";
import { costs } from "./costs.js";
import { allJobs, loadDay, rows, summary } from "./data.js";
import { element, named, outside, route, section } from "./dom.js";
import { clock, count, dayStart, duration, longDay, money, moment, percent, plural, shortDay } from "./format.js";
import { runUrl } from "./links.js";
import { jobLink, notice, replacedTile, tiles } from "./parts.js";
import { badge } from "./states.js";
import { table } from "./table.js";
import { groupName, spanOf, timeline, timelineLegend } from "./timeline.js";

export async function dayView(wanted) {
  const calendar = rows(summary().calendar);
  const day = wanted ?? summary().day;
  if (Number.isNaN(dayStart(day))) return unknownDay(day);
  const totals = calendar.find((entry) => entry.day === day);
  const data = totals?.known ? await loadDay(day) : null;
  const heading = [element("h1", { tabindex: "-1" }, longDay(day)), chooser(calendar, day)];
  const body = data ? sections(day, totals, data) : [notice(emptyDay(totals, calendar))];
  return {
    title: longDay(day),
    node: element("div", {}, element("div", { class: "heading" }, ...heading), calendarChart(calendar, day), ...body),
  };
}

function unknownDay(day) {
  const text = notice(named(day), " is no day; a day is written as in 2026-11-25.");
  return { title: "Unknown day", node: element("div", {}, element("h1", { tabindex: "-1" }, "Unknown day"), text) };
}

function emptyDay(totals, calendar) {
  if (!calendar.some((entry) => entry.known))
    return "No day has been collected yet. The page fills when the job platform.metrics has run once.";
  if (!totals) return "This day is outside of the days that are kept.";
  return "No data was collected for this day. A backfill for the job platform.metrics over this day brings it in.";
}

function chooser(calendar, day) {
  const position = calendar.findIndex((entry) => entry.day === day);
  const options = calendar.toReversed().map((entry) => dayOption(entry, day));
  if (position < 0) options.unshift(element("option", { value: day, selected: true }, day));
  const choice = element(
    "select",
    { "aria-label": "Day", on: { change: () => (location.hash = route("day", choice.value)) } },
    ...options,
  );
  return element(
    "div",
    { class: "chooser" },
    step(calendar[position - 1], "‹", "Day before"),
    choice,
    step(calendar[position + 1], "›", "Day after"),
  );
}

function dayOption(entry, day) {
  return element(
    "option",
    { value: entry.day, selected: entry.day === day },
    shortDay(entry.day),
    entry.known ? null : " (no data)",
  );
}

function step(entry, sign, label) {
  if (!entry) return element("span", { class: "step", "aria-hidden": "true" }, sign);
  return element("a", { class: "step", href: route("day", entry.day), "aria-label": label }, sign);
}

function sections(day, totals, data) {
  if (data.edition !== summary().edition)
    return [notice("The data were renewed while this page was open. Reload the page.")];
  const runs = rows(data.runs);
  const newest = day === summary().day;
  return [
    totalTiles(totals, newest),
    section("Needs a look", attention(runs, newest)),
    timelineSection(day, rows(data.bars), rows(data.crowded)),
    section("Cost", costs(rows(data.teams), rows(data.groups), totals)),
  ];
}

function totalTiles(totals, newest) {
  const overdue = newest ? allJobs().filter((job) => job.overdue).length : 0;
  return tiles(
    ["Runs", count(totals.runs), `${count(totals.runs - totals.failed)} succeeded`],
    ["Failed", count(totals.failed), null, totals.failed ? "failed" : null],
    [
      "Late",
      count(totals.late + overdue),
      overdue ? `${count(totals.late)} started late, ${count(overdue)} overdue` : null,
      totals.late + overdue ? "late" : null,
    ],
    ["Missed deadline", count(totals.missed), null, totals.missed ? "late" : null],
    [
      "Cost",
      money(totals.cost),
      totals.unpriced ? `without ${plural(totals.unpriced, "node")} of unknown price` : null,
    ],
    ["Idle", money(totals.idle), totals.cost ? `${percent(totals.idle / totals.cost)} of the cost` : null],
    ["Pods", count(totals.pods), totals.unsampled ? `${count(totals.unsampled)} ended before they were sampled` : null],
    replacedTile(totals),
  );
}

function attention(runs, newest) {
  const problems = [
    ...runs.flatMap(problemsOf),
    ...(newest
      ? allJobs()
          .filter((job) => job.overdue)
          .map(overdueProblem)
      : []),
  ];
  const columns = [
    { title: "What", value: (row) => row.state, cell: (row) => badge(row.state) },
    { title: "Job", header: true, value: (row) => `${row.job.team}.${row.job.job}`, cell: (row) => jobLink(row.job) },
    { title: "Owner", value: (row) => row.job.owner, cell: (row) => (row.job.owner ? named(row.job.owner) : null) },
    { title: "When", value: (row) => row.at, cell: (row) => moment(row.at, clock) },
    { title: "How", value: (row) => row.how },
    { title: "Run", value: (row) => row.run, cell: (row) => outside(runUrl(row.job, row.run), "Airflow") },
  ];
  const empty = "Nothing failed, started late or missed its deadline.";
  return table({ caption: "Runs that need a look", columns, rows: problems, limit: 15, empty });
}

function problemsOf(run) {
  const base = { job: allJobs()[run.job], run: run.run };
  const took = run.started == null ? null : `after ${duration(run.ended - run.started)}`;
  const problems = [];
  if (run.state === "failed") problems.push({ ...base, state: "failed", at: run.ended, how: took });
  if (run.missed)
    problems.push({
      ...base,
      state: "missed",
      at: run.ended,
      how: `took ${duration(run.ended - run.started)}${ofDeadline(base.job)}`,
    });
  if (run.late != null)
    problems.push({ ...base, state: "late", at: run.started, how: `${duration(run.late)} after it was due` });
  return problems;
}

const ofDeadline = (job) => (job.deadline == null ? "" : ` of ${duration(job.deadline)}`);

function overdueProblem(job) {
  return { job, state: "overdue", at: job.next_run, how: "due, and had not started by the end of the day", run: null };
}

function timelineSection(day, bars, crowded) {
  if (!bars.length) return section("Who ran when", element("p", { class: "quiet" }, "No pod ran on this day."));
  const span = spanOf(day, bars);
  return section(
    "Who ran when",
    crowdedList(crowded),
    restOfDay(span),
    timelineLegend(),
    ...timeline(bars, crowded, span),
  );
}

function restOfDay({ begin, end }) {
  if (end - begin === 86400) return null;
  return element(
    "p",
    { class: "quiet" },
    "Drawn from ",
    moment(begin, clock),
    " to ",
    moment(end, clock),
    ": no pod ran in the other hours of the day.",
  );
}

function crowdedList(crowded) {
  const bound = duration(summary().settings.crowdedAfter);
  const rule = `An hour is crowded if pods of two or more jobs share a node group in it, and one waits ${bound} or longer for quota or a machine.`;
  if (!crowded.length) return element("p", { class: "quiet" }, "No hour was crowded. ", rule);
  const columns = [
    {
      title: "Hour",
      header: true,
      value: (row) => row.hour,
      cell: (row) => [moment(row.hour, clock), " to ", moment(row.hour + 3600, clock)],
    },
    { title: "Node group", value: (row) => groupName(row.node_group) },
    { title: "Jobs", numeric: true, descending: true, value: (row) => row.jobs },
    { title: "Teams", numeric: true, descending: true, value: (row) => row.teams },
    {
      title: "Pods that waited",
      numeric: true,
      descending: true,
      value: (row) => row.waiting,
      cell: (row) => `${row.waiting} of ${row.pods}`,
    },
    {
      title: "Longest wait",
      numeric: true,
      descending: true,
      value: (row) => row.waited,
      cell: (row) => duration(row.waited),
    },
  ];
  const caption = "Hours in which jobs collided";
  return element(
    "div",
    {},
    element("p", { class: "quiet" }, rule),
    table({ caption, columns, rows: crowded, limit: 8 }),
  );
}
