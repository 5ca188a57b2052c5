// Who ran when: for each node group the day's runs as bars, packed into lanes, with the crowded hours behind them.

import { figure, gridX, legend, plot, tip } from "./charts.js";
import { allJobs } from "./data.js";
import { named, route, shortened, element } from "./dom.js";
import { clock, dayStart, duration, moment, plural } from "./format.js";
import { table } from "./table.js";

const HOUR = 3600;
const STEPS = [300, 600, 900, 1800, HOUR, 2 * HOUR, 3 * HOUR];
const AXIS = 26;
const SIDE = 18;
const LETTER = 6.4;
const REACH = 24;
const THINNEST = 350;

export function timeline(bars, crowded, span) {
  const groups = [...Map.groupBy(bars, (bar) => bar.node_group)];
  return groups.map(([group, own]) =>
    groupFigure(
      group,
      own,
      crowded.filter((hour) => hour.node_group === group),
      span,
    ),
  );
}

// The hours that are drawn, in seconds: the whole day, or those in which pods ran, where these are less than half of it.
export function spanOf(day, bars) {
  const start = dayStart(day);
  const first = Math.floor((d3.min(bars, (bar) => bar.begin) - start) / HOUR);
  const last = Math.max(first + 1, Math.ceil((d3.max(bars, (bar) => bar.until) - start) / HOUR));
  return last - first < 12
    ? { begin: start + first * HOUR, end: start + last * HOUR }
    : { begin: start, end: start + 24 * HOUR };
}

function groupFigure(group, bars, crowded, span) {
  const lanes = pack(bars, (span.end - span.begin) / THINNEST);
  const jobs = new Set(bars.map((bar) => bar.job)).size;
  return figure({
    title: groupName(group),
    note: `${plural(jobs, "job")}, at most ${plural(lanes, "run")} at once`,
    label: `Runs on the node group ${groupName(group)} by time of day`,
    draw: (width) => drawLanes(bars, lanes, crowded, span, width),
    table: () => barTable(group, bars),
  });
}

export const groupName = (group) => group || "(node group not known)";

// First fit: each bar goes to the first lane that is free at its begin; the bars come in the order of their begins.
// `end` is where a bar is drawn to, at least `shortest` seconds after it got its node; `room` the begin of the next bar.
export function pack(bars, shortest) {
  const last = [];
  for (const bar of bars) {
    bar.end = Math.max(bar.until, bar.placed + shortest);
    const free = last.findIndex((other) => other.end <= bar.begin);
    bar.lane = free < 0 ? last.length : free;
    if (free >= 0) last[free].room = bar.begin;
    last[bar.lane] = bar;
  }
  return last.length;
}

const laneHeight = (lanes) => (lanes <= 30 ? 17 : lanes <= 100 ? 7 : 4);

function drawLanes(bars, lanes, crowded, span, width) {
  const height = laneHeight(lanes);
  const scale = (span.end - span.begin) / (width - 2 * SIDE);
  const chart = plot({
    width,
    height: lanes * height + AXIS + 14,
    marginLeft: SIDE,
    marginRight: SIDE,
    marginTop: 14,
    marginBottom: AXIS,
    x: { type: "utc", domain: [new Date(span.begin * 1000), new Date(span.end * 1000)], label: null },
    y: { domain: [0, lanes], reverse: true, axis: null },
    marks: [
      ...hourMarks(crowded, span, width),
      ...barMarks(bars, lane(height)),
      ...(height > 10 ? labels(bars, span, scale) : []),
      barTip(bars, scale),
    ],
  });
  chart.addEventListener("click", () => chart.value && (location.hash = jobRoute(chart.value)));
  return chart;
}

const at = (name) => (row) => new Date(row[name] * 1000);

function hourMarks(crowded, span, width) {
  const x2 = (hour) => new Date((hour.hour + HOUR) * 1000);
  const middle = (hour) => new Date((hour.hour + HOUR / 2) * 1000);
  const step = STEPS.find((size) => (size * width) / (span.end - span.begin) > 44) ?? 6 * HOUR;
  const ticks = d3.range(span.begin, span.end + 1, step).map((time) => new Date(time * 1000));
  return [
    Plot.rectX(crowded, { x1: at("hour"), x2, fill: "url(#crowded)" }),
    gridX(ticks),
    Plot.axisX(ticks, { tickFormat: (time) => clock(time / 1000), tickSize: 0, fill: "var(--quiet)", label: null }),
    Plot.text(crowded, { x: middle, frameAnchor: "top", dy: -12, text: () => "▼", fill: "var(--late)", fontSize: 10 }),
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
    Plot.rect(waiting, {
      ...place,
      x1: at("begin"),
      x2: at("placed"),
      fill: "url(#waiting)",
      stroke: "var(--bar)",
      strokeWidth: 0.5,
    }),
    Plot.rect(bars, { ...place, x1: at("placed"), x2: at("end"), fill, stroke: "var(--surface)", strokeWidth: 0.5 }),
  ];
}

// A bar's label stands in it, or after it where the lane is free for long enough, or is left out.
function labels(bars, span, scale) {
  const sized = bars.map((bar) => ({
    bar,
    text: label(bar),
    inside: (bar.end - bar.placed) / scale - 6,
    after: ((bar.room ?? span.end) - bar.end) / scale - 8,
  }));
  const fits = (room, text) => room > text.length * LETTER;
  const inside = sized.filter(({ inside, text }) => fits(inside, text));
  const after = sized.filter(({ inside, after, text }) => !fits(inside, text) && fits(after, text));
  const place = { y: ({ bar }) => bar.lane + 0.5, text: "text", textAnchor: "start", dx: 4, fontSize: 11 };
  const halo = ({ bar }) => (bar.failed ? "var(--failed-bar)" : "var(--bar)");
  return [
    Plot.text(inside, {
      ...place,
      x: ({ bar }) => new Date(bar.placed * 1000),
      fill: "var(--on-bar)",
      stroke: halo,
      strokeWidth: 2,
    }),
    Plot.text(after, { ...place, x: ({ bar }) => new Date(bar.end * 1000), fill: "var(--ink)" }),
  ];
}

const label = (bar) => (bar.failed ? "✕ " : "") + shortened(jobName(bar), 28);

// The pointer is drawn to points, so a long bar has several.
function barTip(bars, scale) {
  const gap = scale * REACH;
  const points = bars.flatMap((bar) => d3.range(bar.begin, bar.end + gap / 2, gap).map((time) => ({ ...bar, time })));
  return tip(points, { x: at("time"), y: (bar) => bar.lane + 0.5, title: sentence, maxRadius: REACH });
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
    {
      title: "Job",
      header: true,
      value: jobName,
      cell: (bar) => element("a", { href: jobRoute(bar) }, named(jobName(bar))),
    },
    { title: "From", value: (bar) => bar.begin, cell: (bar) => moment(bar.begin, clock) },
    { title: "To", value: (bar) => bar.until, cell: (bar) => moment(bar.until, clock) },
    {
      title: "Longest wait",
      numeric: true,
      descending: true,
      value: (bar) => bar.waited,
      cell: (bar) => duration(bar.waited),
    },
    { title: "Pods", numeric: true, descending: true, value: (bar) => bar.pods },
    { title: "Failed", numeric: true, descending: true, value: (bar) => bar.failed },
  ];
  return table({ caption: `Runs on the node group ${groupName(group)}`, columns, rows: bars, sort: "From", limit: 31 });
}

export function timelineLegend() {
  return legend(
    ["bar", "runs"],
    ["failing", "✕ a pod failed"],
    ["waiting", "waits for quota or a machine"],
    ["crowded", "▼ crowded hour"],
  );
}
