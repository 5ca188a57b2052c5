// What tasks asked for beside what they used: where each adviser's figure lies, and the use by day.

import { taskName } from "./advice.js";
import {
  dayColumn,
  figure,
  gridX,
  gridY,
  legend,
  memoryTicks,
  morning,
  night,
  noon,
  overDays,
  plot,
  tip,
  tipX,
  wholeDay,
} from "./charts.js";
import { shortened } from "./dom.js";
import { cpu, longDay, memory, plural } from "./format.js";
import { table } from "./table.js";

const MOST = 20;
const SHAPES = new Map([
  ["requested", d3.symbolSquare],
  ["peak", d3.symbolTriangle],
  ["fits", d3.symbolDiamond2],
  ["krr", d3.symbolPlus],
  ["vpa", d3.symbolTimes],
]);
const SIGNS = [
  ["requested", "asked for", "square", "ink"],
  ["peak", "peak", "triangle", "failed"],
  ["fits", "would fit", "diamond2", "success"],
  ["krr", "KRR", "plus", "quiet"],
  ["vpa", "VPA", "times", "quiet"],
];
const MEMORY = {
  title: "Memory",
  format: memory,
  field: (sign) => (sign === "peak" ? "memory_peak" : `${sign}_memory`),
  ticks: memoryTicks,
};
const CPU = {
  title: "CPU",
  format: cpu,
  field: (sign) => (sign === "peak" ? "cpu_peak" : `${sign}_cpu`),
  ticks: (top, most) => d3.ticks(0, top, most),
};

// Where each adviser's figure lies, for memory and for CPU.
export function fitCharts(advised) {
  return [MEMORY, CPU].map((resource) => fitFigure(advised.slice(0, MOST), advised.length, resource)).filter(Boolean);
}

function fitFigure(advised, total, resource) {
  const points = SIGNS.flatMap((sign) => advised.flatMap((row, task) => point(row, task, sign, resource)));
  if (!points.length) return null;
  return figure({
    title: resource.title,
    note:
      total > advised.length ? `the first ${advised.length} of ${total} tasks` : "asked for, used, and what would fit",
    legend: legend(...SIGNS.map(([sign, word]) => [sign, word, SHAPES.get(sign)])),
    draw: (width) => drawFit(advised, points, resource, width),
  });
}

function point(row, task, [sign, word, symbol, color], { field, format }) {
  const value = row[field(sign)];
  if (value == null) return [];
  return [
    {
      task,
      value,
      sign,
      symbol,
      color: `var(--${color})`,
      words: `${shortened(taskName(row), 40)}\n${word}: ${format(value)}`,
    },
  ];
}

function drawFit(advised, points, resource, width) {
  const top = d3.max(points, (point) => point.value);
  const ticks = resource.ticks(top, Math.max(3, width / 100));
  const spans = d3.rollups(
    points,
    (own) => d3.extent(own, (point) => point.value),
    (point) => point.task,
  );
  const marginLeft = Math.min(130, width / 3);
  const name = (_, task) => shortened(taskName(advised[task]), Math.floor(marginLeft / 7));
  return plot({
    width,
    height: 40 + 28 * advised.length,
    marginLeft,
    marginRight: 24,
    marginTop: 4,
    marginBottom: 26,
    x: { domain: [0, top * 1.02], label: null },
    y: { type: "band", domain: d3.range(advised.length), axis: null },
    marks: [
      gridX(ticks),
      Plot.axisX(ticks, { tickFormat: resource.format, tickSize: 0, label: null }),
      Plot.ruleY(spans, {
        y: ([task]) => task,
        x1: ([, [low]]) => low,
        x2: ([, [, high]]) => high,
        stroke: "var(--line)",
        strokeWidth: 3,
      }),
      Plot.text(d3.range(advised.length), { x: 0, y: (task) => task, text: name, textAnchor: "end", dx: -8 }),
      ...SIGNS.map(([sign]) => dots(points.filter((point) => point.sign === sign))),
      tip(points, { x: "value", y: "task", title: "words" }),
    ],
  });
}

function dots(points) {
  if (!points.length) return null;
  const { symbol, color } = points[0];
  const open = symbol === "plus" || symbol === "times";
  const fill = symbol === "diamond2" ? color : open ? "none" : "var(--surface)";
  return Plot.dot(points, { x: "value", y: "task", symbol, r: 5, stroke: color, strokeWidth: open ? 2 : 1.5, fill });
}

export function usageCharts(usage, calendar) {
  const tasks = [...Map.groupBy(usage, (row) => row.task)];
  return tasks.slice(0, MOST).map(([task, days]) => usageFigure(task, days, calendar));
}

function usageFigure(task, days, calendar) {
  const unsampled = days.reduce((sum, day) => sum + day.unsampled, 0);
  return figure({
    title: `Memory of ${shortened(task, 40)}`,
    note: unsampled ? `${plural(unsampled, "pod")} ended before being sampled` : "every pod was sampled",
    legend: legend(["bar", "highest peak"], ["ink", "asked for", "line"]),
    draw: (width) => drawUsage(days, calendar, width),
    table: () => usageTable(task, days),
  });
}

function drawUsage(days, calendar, width) {
  const known = days.filter((day) => day.memory_peak != null);
  const unknown = days.filter((day) => day.memory_peak == null);
  const top = d3.max(days, (day) => Math.max(day.memory_peak ?? 0, day.requested_memory ?? 0)) || 1;
  const ticks = memoryTicks(top, 4);
  const title = (day) => `${longDay(day.day)}\npeak ${memory(day.memory_peak)} of ${memory(day.requested_memory)}`;
  const marks = [
    gridY(ticks),
    Plot.axisY(ticks, { tickSize: 0, tickFormat: memory, label: null }),
    Plot.rect(known, { ...wholeDay, y1: 0, y2: "memory_peak", fill: "var(--bar)" }),
    Plot.text(unknown, { x: noon, frameAnchor: "bottom", text: () => "?", dy: -2, fill: "var(--quiet)" }),
    Plot.ruleY(
      days.filter((day) => day.requested_memory != null),
      { x1: morning, x2: night, y: "requested_memory", stroke: "var(--ink)", strokeWidth: 1.5 },
    ),
    tipX(known, { x: noon, y: "memory_peak", title }),
  ];
  return overDays(calendar, width, { height: 145, y: { label: null, domain: [0, top * 1.05] }, marks });
}

function usageTable(task, days) {
  const sized = (title, name) => ({
    title,
    numeric: true,
    descending: true,
    value: (row) => row[name],
    cell: (row) => (row[name] == null ? "not sampled" : memory(row[name])),
  });
  const columns = [
    dayColumn,
    sized("Peak", "memory_peak"),
    sized("Working set", "memory_working_set"),
    {
      title: "Asked for",
      numeric: true,
      value: (row) => row.requested_memory,
      cell: (row) => memory(row.requested_memory),
    },
    {
      title: "Not sampled",
      numeric: true,
      value: (row) => row.unsampled,
      cell: (row) => `${row.unsampled} of ${row.pods}`,
    },
  ];
  return table({ caption: `Memory of ${shortened(task, 80)}`, columns, rows: days, sort: "Day", limit: 31 });
}
