// Charts by Observable Plot: SVG that takes its colours from the style sheet, with the same data as a table below.

import { element, svgElement } from "./dom.js";
import { dayStart, longDay, shortDay } from "./format.js";
import { table } from "./table.js";

const BASE = { className: "plot", style: { fontSize: "12px", fontFamily: "inherit" } };
const GRID = { stroke: "var(--line)", strokeOpacity: 1 };
const TIP = {
  fill: "var(--surface)",
  stroke: "var(--line)",
  fontSize: 12,
  lineWidth: 30,
  lineHeight: 1.35,
  ariaHidden: "true",
};
const PATTERNS = [
  ["waiting", 45, 5],
  ["failing", -45, 4],
  ["idle", 45, 6],
  ["crowded", 90, 8],
  ["nodata", -45, 7],
];

// A figure whose chart is drawn as wide as its room, again when that changes. `table` makes the table when it is opened.
export function figure({ title, note, draw, table, legend, label }) {
  const room = element("div", { class: "chart" });
  const redraw = (width) => room.replaceChildren(described(draw(width), label ?? title));
  new ResizeObserver(([{ contentRect }]) => drawOnce(room, Math.floor(contentRect.width), redraw)).observe(room);
  const caption = element("figcaption", {}, element("strong", {}, title), note ? element("span", {}, note) : null);
  return element("figure", {}, caption, legend, room, table ? unfolding("Show as a table", table) : null);
}

function drawOnce(room, width, redraw) {
  if (width < 50 || room.drawn === width || matchMedia("print").matches) return;
  room.drawn = width;
  redraw(width);
}

function described(chart, label) {
  chart.setAttribute("role", "img");
  chart.setAttribute("aria-label", label);
  return chart;
}

export function unfolding(title, make) {
  const details = element("details", {}, element("summary", {}, title));
  details.addEventListener("toggle", () => details.open && !details.children[1] && details.append(make()));
  return details;
}

// Plot puts its rules into a <style>, which the page's policy refuses; style.css has them. Its names of marks tell a
// reader nothing, and ARIA allows no name there.
export function plot(options) {
  const chart = Plot.plot({ ...BASE, ...options });
  chart.querySelector("style")?.remove();
  for (const group of chart.querySelectorAll("g[aria-label]")) group.removeAttribute("aria-label");
  return chart;
}

export const gridX = (ticks) => Plot.gridX(ticks, GRID);
export const gridY = (ticks) => Plot.gridY(ticks, GRID);
export const tip = (data, options) => Plot.tip(data, Plot.pointer({ ...options, ...TIP }));
export const tipX = (data, options) => Plot.tip(data, Plot.pointerX({ ...options, ...TIP }));

// What is drawn by day takes the whole day's width.
export const morning = (entry) => new Date(dayStart(entry.day) * 1000);
export const noon = (entry) => new Date((dayStart(entry.day) + 43200) * 1000);
export const night = (entry) => new Date((dayStart(entry.day) + 86400) * 1000);
export const wholeDay = { x1: morning, x2: night, insetLeft: 0.5, insetRight: 0.5 };

// The time axis of all charts over the calendar's days, with the days that have no data as bands.
export function overDays(calendar, width, { marks, ...options }) {
  const domain = [morning(calendar[0]), night(calendar.at(-1))];
  const unknown = calendar.filter((day) => !day.known);
  const axis = Plot.axisX(dayTicks(calendar, width), {
    x: noon,
    text: (entry) => shortDay(entry.day),
    tickSize: 3,
    label: null,
  });
  const gaps = Plot.rectX(unknown, { x1: morning, x2: night, fill: "url(#nodata)" });
  return plot({
    width,
    marginLeft: 52,
    marginRight: 6,
    marginTop: 12,
    marginBottom: 24,
    x: { type: "utc", domain, label: null },
    marks: [gaps, axis, ...marks],
    ...options,
  });
}

// Days to name under the axis: evenly spaced, and none at the edge, where its name would not fit.
function dayTicks(calendar, width) {
  const step = Math.ceil(calendar.length / Math.max(2, width / 80));
  return calendar.filter((_, index) => index % step === Math.floor(step / 2));
}

// Bars of one amount a day, with their table; `amount` and `format` give a row's number and its text.
export function dailyFigure({ title, note, days, calendar, amount, format, height = 150, ticks = 3 }) {
  const words = (day) => `${longDay(day.day)}\n${format(amount(day))}`;
  const marks = [
    gridY({ ticks }),
    Plot.axisY({ ticks, tickSize: 0, tickFormat: format, label: null }),
    Plot.rect(days, { ...wholeDay, y1: 0, y2: amount, fill: "var(--bar)" }),
    Plot.ruleY([0], { stroke: "var(--quiet)" }),
    tipX(days, { x: noon, y: amount, title: words }),
  ];
  const draw = (width) => overDays(calendar, width, { height, y: { label: null }, marks });
  const column = { title, numeric: true, descending: true, value: amount, cell: (day) => format(amount(day)) };
  const key = calendar.every((day) => day.known) ? null : legend(["nodata", "no data"]);
  return figure({
    title,
    note,
    draw,
    legend: key,
    table: () => table({ caption: title, columns: [dayColumn, column], rows: days, sort: "Day", limit: 31 }),
  });
}

export const dayColumn = {
  title: "Day",
  header: true,
  descending: true,
  value: (row) => row.day,
  cell: (row) => shortDay(row.day),
};

// Round quantities of memory, in bytes, from 0 to the top.
export function memoryTicks(top, most) {
  const step = 2 ** Math.ceil(Math.log2(Math.max(1, top / most)));
  return d3.range(0, top + 1, step);
}

// Patterns for fills, so that nothing depends on colour; defined once, outside of every chart.
export function definePatterns() {
  const defs = svgElement("defs", {}, ...PATTERNS.map(hatch), arrowHead("arrow"), arrowHead("arrow-across"));
  document.body.append(svgElement("svg", { width: 0, height: 0, class: "unseen", "aria-hidden": "true" }, defs));
}

function hatch([name, angle, gap]) {
  const line = svgElement("line", { x1: 0, y1: 0, x2: 0, y2: gap, class: `hatch ${name}` });
  const ground = svgElement("rect", { width: gap, height: gap, class: `ground ${name}` });
  const size = { width: gap, height: gap, patternUnits: "userSpaceOnUse", patternTransform: `rotate(${angle})` };
  return svgElement("pattern", { id: name, ...size }, ground, line);
}

function arrowHead(id) {
  const size = { viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 9, markerHeight: 9, markerUnits: "userSpaceOnUse" };
  return svgElement("marker", { id, ...size, orient: "auto" }, svgElement("path", { d: "M0 0L8 4L0 8z", class: id }));
}

// The key of a chart, one [class, word, shape] an entry: a box, or a "line", "dash" or symbol of d3.
export function legend(...entries) {
  const keys = entries.map(([name, word, shape]) => element("li", {}, swatch(name, shape), word));
  return element("ul", { class: "legend" }, ...keys);
}

function swatch(name, shape) {
  return svgElement("svg", { width: 18, height: 12, viewBox: "0 0 18 12", "aria-hidden": "true" }, sign(name, shape));
}

function sign(name, shape) {
  if (!shape) return svgElement("rect", { width: 16, height: 11, x: 0.5, y: 0.5, class: `fill-${name}` });
  if (shape === "line" || shape === "dash")
    return svgElement("path", { d: "M0 6H18", class: `stroke-${name} ${shape}` });
  return svgElement("path", { d: d3.symbol(shape, 50)(), transform: "translate(9 6)", class: `sign-${name}` });
}
