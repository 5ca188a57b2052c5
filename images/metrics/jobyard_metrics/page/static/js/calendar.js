// The days that are kept, one bar each, to choose a day from.

import { figure, legend, morning, night, noon, overDays, tipX, wholeDay } from "./charts.js";
import { element, route } from "./dom.js";
import { count, longDay, money, shortDay } from "./format.js";
import { table } from "./table.js";

export function calendarChart(calendar, day) {
  if (!calendar.some((entry) => entry.known)) return null;
  return figure({
    title: "Runs by day",
    note: `${count(calendar.length)} days; select one to see it`,
    legend: legend(["bar", "succeeded"], ["failing", "failed"], ["nodata", "no data"]),
    draw: (width) => draw(calendar, day, width),
    table: () => calendarTable(calendar),
  });
}

function draw(calendar, day, width) {
  const succeeded = (entry) => entry.runs - entry.failed;
  const chosen = calendar.filter((entry) => entry.day === day);
  const marks = [
    Plot.rect(calendar, { ...wholeDay, y1: 0, y2: succeeded, fill: "var(--bar)" }),
    Plot.rect(calendar, { ...wholeDay, y1: succeeded, y2: "runs", fill: "url(#failing)" }),
    Plot.rectX(chosen, { x1: morning, x2: night, fill: "none", stroke: "var(--ink)", strokeWidth: 1.5 }),
    tipX(calendar, { x: noon, y: "runs", title: words }),
  ];
  const chart = overDays(calendar, width, { height: 94, marginLeft: 6, marginTop: 6, y: { axis: null }, marks });
  chart.addEventListener("click", () => chart.value && (location.hash = route("day", chart.value.day)));
  return chart;
}

function words(entry) {
  if (!entry.known) return `${longDay(entry.day)}\nno data`;
  return `${longDay(entry.day)}\n${count(entry.runs)} runs, ${count(entry.failed)} failed\n${money(entry.cost)}`;
}

function calendarTable(calendar) {
  const columns = [
    {
      title: "Day",
      header: true,
      descending: true,
      value: (row) => row.day,
      cell: (row) => element("a", { href: route("day", row.day) }, shortDay(row.day)),
    },
    {
      title: "Runs",
      numeric: true,
      value: (row) => (row.known ? row.runs : null),
      cell: (row) => (row.known ? count(row.runs) : "no data"),
    },
    { title: "Failed", numeric: true, value: (row) => (row.known ? row.failed : null) },
    { title: "Started late", numeric: true, value: (row) => (row.known ? row.late : null) },
    { title: "Missed deadline", numeric: true, value: (row) => (row.known ? row.missed : null) },
    { title: "Cost", numeric: true, value: (row) => row.cost, cell: (row) => (row.known ? money(row.cost) : null) },
    { title: "Idle", numeric: true, value: (row) => row.idle, cell: (row) => (row.known ? money(row.idle) : null) },
  ];
  return table({ caption: "All days", columns, rows: calendar, sort: "Day", limit: 31 });
}
