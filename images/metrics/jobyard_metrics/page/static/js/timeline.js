// Who ran when: for each node group the day's runs as bars, packed into lanes, with the crowded hours behind them.

import { figure, legend, plot, tip } from "./charts.js";
import { allJobs } from "./data.js";
import { named, route, shortened, element } from "./dom.js";
import { clock, dayStart, duration, moment, plural } from "./format.js";
import { table } from "./table.js";

const AXIS = 26;
const LETTER = 6.4;

export function timeline(day, bars, crowded) {
  const groups = [...Map.groupBy(bars, (bar) => bar.node_group)];
  return groups.map(([group, own]) => groupFigure(day, group, own, crowded.filter((hour) => hour.node_group === group)));
}

function groupFigure(day, group, bars, crowded) {
  const lanes = pack(bars);
  const jobs = new Set(bars.map((bar) => bar.job)).size;
  return figure({
    title: groupName(group),
    note: `${plural(jobs, "job")}, at most ${plural(lanes, "run")} at once`,
    label: `Runs on the node group ${groupName(group)} by time of day`,
    draw: (width) => drawLanes(day, bars, lanes, crowded, width),
    table: () => barTable(group, bars),
  });
}

export const groupName = (group) => group || "(node group not known)";

// First fit: each bar goes to the first lane that is free at its begin; the bars come in the order of their begins.
// `room` becomes the begin of the next bar in the lane.
export function pack(bars) {
  const last = [];
  for (const bar of bars) {
    const free = last.findIndex((other) => other.until <= bar.begin);
    bar.lane = free < 0 ? last.length : free;
    if (free >= 0) last[free].room = bar.begin;
    last[bar.lane] = bar;
  }
  return last.length;
}

const laneHeight = (lanes) => (lanes <= 30 ? 17 : lanes <= 100 ? 7 : 4);

function drawLanes(day, bars, lanes, crowded, width) {
  const height = laneHeight(lanes);
  const start = dayStart(day);
  const frame = { width, height: lanes * height + AXIS + 14, marginLeft: 18, marginRight: 18, marginTop: 14, marginBottom: AXIS };
  const chart = plot({
    ...frame,
    x: { type: "utc", domain: [new Date(start * 1000), new Date((start + 86400) * 1000)], label: null },
    y: { domain: [0, lanes], reverse: true, axis: null },
    marks: [...hourMarks(crowded, width), ...barMarks(bars, lane(height)), ...(height > 10 ? labels(bars, day, width - 36) : []), barTip(bars)],
  });
  chart.addEventListener("click", () => chart.value && (location.hash = jobRoute(chart.value)));
  return chart;
}

const at = (name) => (row) => new Date(row[name] * 1000);

function hourMarks(crowded, width) {
  const x2 = (hour) => new Date((hour.hour + 3600) * 1000);
  const ticks = width < 500 ? 6 : 24;
  return [
    Plot.rectX(crowded, { x1: at("hour"), x2, fill: "url(#crowded)" }),
    Plot.gridX({ ticks: 24, stroke: "var(--line)", strokeOpacity: 1 }),
    Plot.axisX({ ticks, tickFormat: (time) => clock(time / 1000).slice(0, width < 900 ? 2 : 5), tickSize: 0, fill: "var(--quiet)" }),
    Plot.text(crowded, { x: (hour) => new Date((hour.hour + 1800) * 1000), frameAnchor: "top", dy: -12, text: () => "▼", fill: "var(--late)", fontSize: 10 }),
  ];
}

function lane(height) {
  const inset = height > 8 ? 1.5 : 0.5;
  return { y1: "lane", y2: (bar) => bar.lane + 1, insetTop: inset, insetBottom: inset };
}

function barMarks(bars, place) {
  const waiting = bars.filter((bar) => bar.placed > bar.begin);
  const fill = (bar) => (bar.failed ? "url(#failing)" : "var(--bar)");
  return [
    Plot.rect(waiting, { ...place, x1: at("begin"), x2: at("placed"), fill: "url(#waiting)", stroke: "var(--bar)", strokeWidth: 0.5 }),
    Plot.rect(bars, { ...place, x1: at("placed"), x2: at("until"), fill, stroke: "var(--surface)", strokeWidth: 0.5 }),
  ];
}

// A bar's label stands in it, or after it where the lane is free for long enough, or is left out.
function labels(bars, day, width) {
  const pixels = (from, to) => ((to - from) / 86400) * width;
  const end = dayStart(day) + 86400;
  const sized = bars.map((bar) => ({ bar, text: label(bar), inside: pixels(bar.placed, bar.until) - 6, after: pixels(bar.until, bar.room ?? end) - 8 }));
  const fits = (room, text) => room > text.length * LETTER;
  const inside = sized.filter(({ inside, text }) => fits(inside, text));
  const after = sized.filter(({ inside, after, text }) => !fits(inside, text) && fits(after, text));
  const place = { y: ({ bar }) => bar.lane + 0.5, text: "text", textAnchor: "start", dx: 4, fontSize: 11 };
  const halo = ({ bar }) => (bar.failed ? "var(--failed)" : "var(--bar)");
  return [
    Plot.text(inside, { ...place, x: ({ bar }) => new Date(bar.placed * 1000), fill: "var(--on-bar)", stroke: halo, strokeWidth: 2 }),
    Plot.text(after, { ...place, x: ({ bar }) => new Date(bar.until * 1000), fill: "var(--ink)" }),
  ];
}

const label = (bar) => (bar.failed ? "✕ " : "") + shortened(jobName(bar), 28);

function barTip(bars) {
  const x = (bar) => new Date((bar.begin + bar.until) * 500);
  return tip(bars, { x, y: (bar) => bar.lane + 0.5, title: sentence, maxRadius: 30 });
}

function sentence(bar) {
  const pods = bar.failed ? `${plural(bar.pods, "pod")}, ${bar.failed} failed` : plural(bar.pods, "pod");
  const lines = [shortened(jobName(bar), 60), `${clock(bar.begin)} to ${clock(bar.until)} UTC, ${pods}`];
  return [...lines, `waited ${duration(bar.waited)} at most`].join("\n");
}

function jobName(bar) {
  const job = allJobs()[bar.job];
  return job ? `${job.team}.${job.job}` : "pods of no job";
}

function jobRoute(bar) {
  const job = allJobs()[bar.job];
  return job ? route("job", job.team, job.job) : location.hash;
}

function barTable(group, bars) {
  const columns = [
    { title: "Job", header: true, value: jobName, cell: (bar) => element("a", { href: jobRoute(bar) }, named(jobName(bar))) },
    { title: "From", value: (bar) => bar.begin, cell: (bar) => moment(bar.begin, clock) },
    { title: "To", value: (bar) => bar.until, cell: (bar) => moment(bar.until, clock) },
    { title: "Longest wait", numeric: true, descending: true, value: (bar) => bar.waited, cell: (bar) => duration(bar.waited) },
    { title: "Pods", numeric: true, descending: true, value: (bar) => bar.pods },
    { title: "Failed", numeric: true, descending: true, value: (bar) => bar.failed },
  ];
  return table({ caption: `Runs on the node group ${groupName(group)}`, columns, rows: bars, sort: "From", limit: 31 });
}

export function timelineLegend() {
  return legend(["bar", "runs"], ["failing", "✕ a pod failed"], ["waiting", "waits for quota or a machine"], ["crowded", "▼ crowded hour"]);
}
