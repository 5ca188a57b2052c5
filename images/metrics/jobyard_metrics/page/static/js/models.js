// The numbers that tasks left in their outputs, over time, with the bounds of the gates on them.

import { taskName } from "./advice.js";
import { figure, gridY, legend, overDays, tip } from "./charts.js";
import { shortened } from "./dom.js";
import { dated, moment } from "./format.js";
import { table } from "./table.js";

const MOST = 60;
const number = (value) => (Math.abs(value) >= 1e5 ? d3.format(".4~s")(value) : String(Number(value.toPrecision(4))));

export function modelCharts(models, tasks, calendar) {
  return models.slice(0, MOST).map((model) => modelFigure(model, thresholdsOf(model, tasks), calendar));
}

function thresholdsOf(model, tasks) {
  const task = tasks.find((other) => other.name === model.task);
  return (task?.thresholds ?? []).filter((threshold) => threshold.name === model.name);
}

// Whether a gate would stop at the value: "above" stands for a gate that passes, or stops, past its bound.
const isPast = (value, { test, bound }) => (test === "below" ? value < bound : value > bound);

function modelFigure(model, thresholds, calendar) {
  const points = model.value.map((value, index) => ({
    value,
    ended: model.ended[index],
    past: thresholds.some((threshold) => isPast(value, threshold)),
  }));
  const past = points.filter((point) => point.past).length;
  const bounds = thresholds.map(({ test, bound }) => `${test} ${number(bound)}`).join(", ");
  return figure({
    title: `${shortened(taskName(model), 30)}: ${shortened(model.name || "output", 40)}`,
    note: bounds ? `${past} of ${points.length} values are ${bounds}` : `last ${number(points.at(-1).value)}`,
    legend: bounds
      ? legend(
          ["success", "value", d3.symbolCircle],
          ["past", bounds, d3.symbolDiamond],
          ["failed", "threshold of the gate", "dash"],
        )
      : null,
    draw: (width) => drawModel(points, thresholds, calendar, width),
    table: () => modelTable(points),
  });
}

function drawModel(points, thresholds, calendar, width) {
  const x = (point) => new Date(point.ended * 1000);
  const title = (point) => `${dated(point.ended)} UTC\n${number(point.value)}`;
  const label = ({ test, bound }) => `${test} ${number(bound)}`;
  const marks = [
    gridY({ ticks: 4 }),
    Plot.axisY({ ticks: 4, tickSize: 0, tickFormat: number, label: null }),
    Plot.lineY(points, { x, y: "value", stroke: "var(--bar)", strokeWidth: 1, strokeOpacity: 0.6 }),
    Plot.dot(
      points.filter((point) => !point.past),
      { x, y: "value", r: 2, stroke: "var(--bar)", fill: "var(--surface)" },
    ),
    Plot.dot(
      points.filter((point) => point.past),
      { x, y: "value", r: 4, symbol: "diamond", fill: "var(--failed)" },
    ),
    Plot.ruleY(thresholds, { y: "bound", stroke: "var(--failed)", strokeWidth: 1.5, strokeDasharray: "6 3" }),
    Plot.text(thresholds, {
      y: "bound",
      frameAnchor: "left",
      text: label,
      textAnchor: "start",
      dx: 4,
      dy: -7,
      fill: "var(--failed)",
    }),
    tip(points, { x, y: "value", title }),
  ];
  return overDays(calendar, width, { height: 165, y: { label: null, nice: true }, marks });
}

function modelTable(points) {
  const columns = [
    {
      title: "Ended",
      header: true,
      descending: true,
      value: (point) => point.ended,
      cell: (point) => moment(point.ended),
    },
    {
      title: "Value",
      numeric: true,
      descending: true,
      value: (point) => point.value,
      cell: (point) => number(point.value),
    },
  ];
  return table({ caption: "Values", columns, rows: points, sort: "Ended", limit: 31 });
}
