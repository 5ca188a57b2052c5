// A job's durations, waits and costs over the days that are kept.

import {
  dailyFigure,
  dayColumn,
  figure,
  gridY,
  legend,
  morning,
  night,
  noon,
  overDays,
  tip,
  tipX,
  wholeDay,
} from "./charts.js";
import { dated, duration, longDay, money } from "./format.js";
import { table } from "./table.js";

const seconds = (entries, value, most = 5) => {
  const top = d3.max(entries, value) ?? 1;
  const step =
    [1, 5, 10, 30, 60, 300, 600, 1800, 3600, 7200, 14400, 43200, 86400].find((size) => top / size <= most) ?? 172800;
  return { ticks: d3.range(0, top + step, step), domain: [0, Math.max(top * 1.05, 1)] };
};

const scaled = ({ ticks, domain }) => {
  const shown = ticks.filter((tick) => tick <= domain[1]);
  return [gridY(shown), Plot.axisY(shown, { tickFormat: duration, tickSize: 0, label: null })];
};

export function durationChart(runs, days, calendar) {
  const timed = runs.filter((run) => run.started != null).map((run) => ({ ...run, seconds: run.ended - run.started }));
  return figure({
    title: "Duration",
    note: "each run, and the quantiles of the seven days before",
    legend: legend(
      ["success", "succeeded", d3.symbolCircle],
      ["failure", "failed", d3.symbolTimes],
      ["ink", "p50", "line"],
      ["ink", "p95", "dash"],
      ["nodata", "no data"],
    ),
    draw: (width) => drawDurations(timed, days, calendar, width),
    table: () => durationTable(days),
  });
}

function drawDurations(runs, days, calendar, width) {
  const y = seconds([...runs.map((run) => run.seconds), ...days.map((day) => day.p95)], (value) => value);
  const failed = runs.filter((run) => run.state !== "success");
  const x = (run) => new Date(run.ended * 1000);
  const title = (run) => `${dated(run.ended)} UTC\n${run.state}, ${duration(run.seconds)}`;
  const marks = [
    ...scaled(y),
    Plot.dot(
      runs.filter((run) => run.state === "success"),
      { x, y: "seconds", r: 2.5, stroke: "var(--bar)", strokeWidth: 1 },
    ),
    Plot.dot(failed, { x, y: "seconds", r: 4.5, symbol: "times", stroke: "var(--failed)", strokeWidth: 2 }),
    quantile(days, "p50"),
    quantile(days, "p95", "4 3"),
    tip(runs, { x, y: "seconds", title }),
  ];
  return overDays(calendar, width, { height: 230, marginLeft: 76, y: { domain: y.domain, label: null }, marks });
}

// A line; of one day alone, which has none, a stroke.
function quantile(days, y, strokeDasharray) {
  const style = { y, stroke: "var(--ink)", strokeWidth: 1.5, strokeDasharray };
  return days.length > 1
    ? Plot.lineY(days, { x: noon, ...style })
    : Plot.ruleY(days, { x1: morning, x2: night, ...style });
}

const timed = (title, name) => ({
  title,
  numeric: true,
  descending: true,
  value: (row) => row[name],
  cell: (row) => (row[name] == null ? null : duration(row[name])),
});

function durationTable(days) {
  const columns = [
    dayColumn,
    { title: "Runs", numeric: true, value: (row) => row.runs },
    { title: "Failed", numeric: true, value: (row) => row.failed },
    timed("p50", "p50"),
    timed("p95", "p95"),
  ];
  return table({ caption: "Durations by day", columns, rows: days, sort: "Day", limit: 31 });
}

const WAITS = [
  ["wait_slot", "Airflow's queue"],
  ["wait_machine", "quota or machine"],
  ["wait_image", "image and start"],
];

export function waitChart(days, calendar) {
  return figure({
    title: "Waits",
    note: "median of each day: from Airflow's queue to the start; then for quota or a machine; then for the image",
    draw: (width) => drawWaits(days, calendar, width),
    table: () => waitTable(days),
  });
}

function drawWaits(days, calendar, width) {
  const waits = WAITS.flatMap(([name, kind]) =>
    days.filter((day) => day[name] != null).map((day) => ({ day: day.day, kind, seconds: day[name] })),
  );
  const y = seconds(waits, (wait) => wait.seconds, 2.5);
  const title = (wait) => `${longDay(wait.day)}\n${wait.kind}: ${duration(wait.seconds)}`;
  const kinds = WAITS.map(([, kind]) => kind);
  const marks = [
    ...scaled(y),
    Plot.rect(waits, { fy: "kind", ...wholeDay, y1: 0, y2: "seconds", fill: "var(--bar)" }),
    Plot.text(kinds, {
      fy: (kind) => kind,
      text: (kind) => kind,
      frameAnchor: "top-left",
      dx: 2,
      dy: -15,
      fontWeight: 600,
    }),
    tipX(waits, { fy: "kind", x: noon, y: "seconds", title }),
  ];
  const facets = { fy: { domain: kinds, axis: null, padding: 0.36 }, facet: { marginTop: 20 } };
  return overDays(calendar, width, {
    height: 260,
    marginLeft: 76,
    marginTop: 20,
    y: { domain: y.domain, label: null },
    ...facets,
    marks,
  });
}

function waitTable(days) {
  const columns = [dayColumn, ...WAITS.map(([name, kind]) => timed(kind, name))];
  return table({ caption: "Median waits by day", columns, rows: days, sort: "Day", limit: 31 });
}

export function costChart(days, calendar) {
  const known = days.filter((day) => day.cost != null);
  if (!known.length) return null;
  return dailyFigure({
    title: "Cost",
    note: "of the pods, by day",
    days: known,
    calendar,
    amount: (day) => day.cost,
    format: money,
  });
}
