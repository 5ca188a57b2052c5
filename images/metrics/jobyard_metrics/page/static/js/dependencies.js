// The jobs that wait for or follow others, across teams: a picture of each group of jobs that hang together.

import { unfolding } from "./charts.js";
import { allJobs } from "./data.js";
import { element, route, shortened, svgElement } from "./dom.js";
import { plural } from "./format.js";
import { jobLink } from "./parts.js";
import { table } from "./table.js";

const BOX = { width: 170, height: 38 };
const MARGIN = 4;
const SHOWN = 300;

export function dependenciesView() {
  const jobs = allJobs();
  const parts = components(jobs);
  const heading = element("h1", { tabindex: "-1" }, "Dependencies");
  if (!parts.length)
    return {
      title: "Dependencies",
      node: element("div", {}, heading, element("p", { class: "quiet" }, "No job waits for or follows another.")),
    };
  const linked = parts.flat();
  const edges = linked.reduce((sum, position) => sum + jobs[position].after.length, 0);
  const lead = `${plural(linked.length, "job")} in ${plural(parts.length, "group")}, joined by ${plural(edges, "link")}. An arrow leads from a job to one that waits for or follows it; a thick one crosses from one team to another.`;
  const node = element(
    "div",
    {},
    heading,
    element("p", { class: "quiet" }, lead),
    pictures(parts),
    unfolding("Show as a table", () => linkTable(linked)),
  );
  return { title: "Dependencies", node };
}

// The connected components, largest first, as lists of positions.
export function components(jobs) {
  const parent = jobs.map((_, position) => position);
  const root = (position) => {
    while (parent[position] !== position) position = parent[position] = parent[parent[position]];
    return position;
  };
  jobs.forEach((job, position) => job.after.forEach((other) => (parent[root(position)] = root(other))));
  const groups = Map.groupBy(parent.keys(), root);
  return [...groups.values()].filter((group) => group.length > 1).sort((a, b) => b.length - a.length);
}

function pictures(parts) {
  const room = element("div", { class: "graphs" });
  let budget = SHOWN;
  const now = parts.filter((part) => (budget -= part.length) >= 0 || part === parts[0]);
  room.append(...now.map(picture));
  const later = parts.filter((part) => !now.includes(part));
  if (later.length) room.append(moreButton(room, later));
  return room;
}

function moreButton(room, parts) {
  const show = () => button.replaceWith(...parts.map(picture));
  const button = element(
    "button",
    { type: "button", class: "more", on: { click: show } },
    `Show ${plural(parts.length, "more group")}`,
  );
  return button;
}

function picture(part) {
  const graph = layout(part);
  const [left, top, width, height] = bounds(graph);
  const size = {
    width,
    height,
    viewBox: `${left} ${top} ${width} ${height}`,
    class: "graph",
    role: "group",
    "aria-label": `${part.length} jobs that hang together`,
  };
  const lines = graph.edges().map((edge) => arrow(graph, edge));
  const boxes = part.map((position) => box(allJobs()[position], graph.node(position)));
  const region = { class: "scroll", role: "group", "aria-label": "Graph of jobs", tabindex: "0" };
  return element("div", region, svgElement("svg", size, ...lines, ...boxes));
}

function layout(part) {
  const graph = new dagre.graphlib.Graph().setGraph({ rankdir: "LR", nodesep: 10, ranksep: 46 });
  graph.setDefaultEdgeLabel(() => ({}));
  for (const position of part) graph.setNode(position, { ...BOX });
  for (const position of part) for (const other of allJobs()[position].after) graph.setEdge(other, position);
  dagre.layout(graph);
  return graph;
}

// dagre's own bounds leave out the lines that pass around boxes.
function bounds(graph) {
  const corners = graph
    .nodes()
    .map((name) => graph.node(name))
    .flatMap(({ x, y }) => [
      { x: x - BOX.width / 2, y: y - BOX.height / 2 },
      { x: x + BOX.width / 2, y: y + BOX.height / 2 },
    ]);
  const points = [...corners, ...graph.edges().flatMap((edge) => graph.edge(edge).points)];
  const [left, right] = d3.extent(points, ({ x }) => x);
  const [top, bottom] = d3.extent(points, ({ y }) => y);
  return [left - MARGIN, top - MARGIN, right - left + 2 * MARGIN, bottom - top + 2 * MARGIN];
}

// From the right side of a box to the left side of another, past the boxes between them.
function arrow(graph, edge) {
  const [from, to] = [graph.node(edge.v), graph.node(edge.w)];
  const between = graph
    .edge(edge)
    .points.slice(1, -1)
    .filter(({ x }) => x > from.x + BOX.width / 2 && x < to.x - BOX.width / 2);
  const points = [{ x: from.x + BOX.width / 2, y: from.y }, ...passes(between), { x: to.x - BOX.width / 2, y: to.y }];
  const path = d3
    .line(
      ({ x }) => x,
      ({ y }) => y,
    )
    .curve(d3.curveBumpX);
  const crosses = allJobs()[edge.v].team !== allJobs()[edge.w].team;
  return svgElement("path", {
    d: path(points),
    class: crosses ? "arrow across" : "arrow",
    "marker-end": crosses ? "url(#arrow-across)" : "url(#arrow)",
  });
}

const passes = (points) => (points.length > 1 ? points : []);

function box(job, { x, y }) {
  const left = x - BOX.width / 2;
  const top = y - BOX.height / 2;
  const sign = job.state === "failed" ? "✕ " : "";
  const rect = svgElement("rect", { x: left, y: top, ...BOX, rx: 4 });
  const team = svgElement(
    "text",
    { x: left + 9, y: top + 15, class: "team" },
    shortened(job.team ?? "not released", 24),
  );
  const name = svgElement("text", { x: left + 9, y: top + 30, class: "name" }, sign + shortened(job.job, 22));
  if (job.unknown) return svgElement("g", { class: "box unknown" }, rect, team, name);
  const label = `${job.team}.${shortened(job.job, 200)}${job.state === "failed" ? ", last run failed" : ""}`;
  return svgElement(
    "a",
    { href: route("job", job.team, job.job), class: "box", "aria-label": label },
    svgElement("title", {}, label),
    rect,
    team,
    name,
  );
}

export function linkTable(positions) {
  const jobs = allJobs();
  const followers = new Map(positions.map((position) => [position, []]));
  for (const position of positions) for (const other of jobs[position].after) followers.get(other)?.push(position);
  const links = (others) =>
    others.length ? others.flatMap((other, index) => [index ? ", " : null, jobLink(jobs[other])]) : null;
  const columns = [
    {
      title: "Job",
      header: true,
      value: (row) => `${jobs[row].team}.${jobs[row].job}`,
      cell: (row) => jobLink(jobs[row]),
    },
    { title: "Waits for or follows", value: (row) => jobs[row].after.length, cell: (row) => links(jobs[row].after) },
    { title: "Is followed by", value: (row) => followers.get(row).length, cell: (row) => links(followers.get(row)) },
  ];
  return table({ caption: "Dependencies between jobs", columns, rows: positions, sort: "Job" });
}
