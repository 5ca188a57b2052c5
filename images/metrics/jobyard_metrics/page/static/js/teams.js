// All teams: their costs by day, and the table of them.

import { dayColumn, figure, gridY, legend, noon, overDays, tipX, wholeDay } from "./charts.js";
import { allJobs, rows, summary } from "./data.js";
import { element } from "./dom.js";
import { count, longDay, money, percent } from "./format.js";
import { teamLink, tiles } from "./parts.js";
import { table } from "./table.js";

export function teamsView() {
  const teams = rows(summary().teams);
  const calendar = rows(summary().calendar);
  const parts = [element("h1", { tabindex: "-1" }, "Teams"), totals(teams), costByDay(calendar), teamTable(teams)];
  return { title: "Teams", node: element("div", {}, ...parts) };
}

function totals(teams) {
  const month = rows(summary().calendar).slice(-30);
  const sum = (name) => month.reduce((total, day) => total + (day[name] ?? 0), 0);
  const saves = allJobs().reduce((total, job) => total + Math.max(0, job.saves ?? 0), 0);
  return tiles(
    ["Teams", count(teams.length)],
    ["Cost of 30 days", money(sum("cost"))],
    ["Idle", money(sum("idle")), sum("cost") ? `${percent(sum("idle") / sum("cost"))} of the cost` : null],
    ["Requests that fit", money(saves), "could be saved a month"],
  );
}

function costByDay(calendar) {
  if (!calendar.some((day) => day.cost)) return null;
  return figure({
    title: "Cost by day",
    legend: legend(["bar", "pods"], ["idle", "idle"], ["nodata", "no data"]),
    draw: (width) => draw(calendar, width),
    table: () => dayTable(calendar),
  });
}

const used = (day) => day.cost - day.idle;

function draw(calendar, width) {
  const known = calendar.filter((day) => day.cost != null);
  const title = (day) => `${longDay(day.day)}\n${money(day.cost)}, of which ${money(day.idle)} idle`;
  const marks = [
    gridY({ ticks: 4 }),
    Plot.axisY({ ticks: 4, tickSize: 0, tickFormat: money, label: null }),
    Plot.rect(known, { ...wholeDay, y1: 0, y2: used, fill: "var(--bar)" }),
    Plot.rect(known, { ...wholeDay, y1: used, y2: "cost", fill: "url(#idle)" }),
    Plot.ruleY([0], { stroke: "var(--quiet)" }),
    tipX(known, { x: noon, y: "cost", title }),
  ];
  return overDays(calendar, width, { height: 220, y: { label: null }, marks });
}

function dayTable(calendar) {
  const columns = [
    dayColumn,
    { title: "Cost", numeric: true, descending: true, value: (row) => row.cost, cell: (row) => money(row.cost) },
    { title: "Idle", numeric: true, descending: true, value: (row) => row.idle, cell: (row) => money(row.idle) },
  ];
  return table({ caption: "Cost by day", columns, rows: calendar, sort: "Day", limit: 31 });
}

function teamTable(teams) {
  const jobs = Map.groupBy(allJobs(), (job) => job.team);
  const sum = (team, name) =>
    (jobs.get(team.team) ?? []).reduce((total, job) => total + Math.max(0, job[name] ?? 0), 0);
  const total = teams.reduce((costs, team) => costs + (team.cost ?? 0), 0);
  const columns = [
    { title: "Team", header: true, value: (team) => team.team, cell: (team) => teamLink(team.team) },
    { title: "Jobs", numeric: true, descending: true, value: (team) => team.jobs },
    {
      title: "Runs",
      numeric: true,
      descending: true,
      value: (team) => sum(team, "runs"),
      cell: (team) => count(sum(team, "runs")),
    },
    {
      title: "Failed",
      numeric: true,
      descending: true,
      value: (team) => sum(team, "failed"),
      cell: (team) => count(sum(team, "failed")),
    },
    { title: "Cost", numeric: true, descending: true, value: (team) => team.cost, cell: (team) => money(team.cost) },
    {
      title: "Share",
      numeric: true,
      descending: true,
      value: (team) => team.cost,
      cell: (team) => (total && team.cost != null ? percent(team.cost / total) : null),
    },
    {
      title: "Could save",
      numeric: true,
      descending: true,
      value: (team) => sum(team, "saves"),
      cell: (team) => (sum(team, "saves") ? money(sum(team, "saves")) : null),
      hint: "A month, with requests that fit",
    },
  ];
  const heading = element("h2", {}, "The last 30 days");
  return element(
    "section",
    {},
    heading,
    table({ caption: "Teams, by the last 30 days", columns, rows: teams, sort: "Cost", empty: "No team has a job." }),
  );
}
