// What a day cost, by team and by node group, with what no pod asked for.

import { figure, legend, plot } from "./charts.js";
import { summary } from "./data.js";
import { element, shortened } from "./dom.js";
import { count, money, percent, plural } from "./format.js";
import { teamLink } from "./parts.js";
import { table } from "./table.js";
import { groupName } from "./timeline.js";

const SHOWN = 15;
const NOBODY = "(pods of no team)";

const teamName = (row) => summary().teams.team[row.team] ?? NOBODY;

export function costs(teams, groups, totals) {
  return element("div", { class: "grid wide" }, costByGroup(groups, totals), costByTeam(teams, totals));
}

function costByTeam(teams, totals) {
  const paying = teams.filter((row) => row.cost).sort((a, b) => b.cost - a.cost);
  const bars = paying.slice(0, SHOWN).map((row) => ({ name: teamName(row), used: row.cost }));
  const others = d3.sum(paying.slice(SHOWN), (row) => row.cost);
  return figure({
    title: "By team",
    note: others
      ? `and ${plural(paying.length - SHOWN, "other team")} with ${money(others)}`
      : "the pods' shares of their nodes",
    draw: (width) => draw(bars, width),
    table: () => teamTable(teams, totals),
  });
}

function costByGroup(groups, totals) {
  const priced = groups.filter((row) => row.cost != null).sort((a, b) => b.cost - a.cost);
  const bars = priced.map((row) => ({ name: groupName(row.node_group), used: row.cost - row.idle, idle: row.idle }));
  return figure({
    title: "By node group",
    note:
      totals.cost == null
        ? "no node of this day has a known price"
        : `${money(totals.cost)} for the nodes, of which ${money(totals.idle)} idle`,
    legend: legend(["bar", "pods"], ["idle", "idle: paid for, and no pod asked for it"]),
    draw: (width) => draw(bars, width),
    table: () => groupTable(groups),
  });
}

function draw(bars, width) {
  const keyed = bars.map((bar, position) => ({ idle: 0, ...bar, position }));
  const marginLeft = Math.min(140, width / 3);
  const cost = (bar) => bar.used + bar.idle;
  return plot({
    width,
    marginLeft,
    marginRight: 64,
    marginTop: 4,
    marginBottom: 4,
    height: 8 + 23 * Math.max(1, bars.length),
    x: { axis: null, domain: [0, Math.max(1, ...keyed.map(cost))] },
    y: { type: "band", domain: keyed.map((bar) => bar.position), axis: null, padding: 0.25 },
    marks: [
      Plot.barX(keyed, { x1: 0, x2: "used", y: "position", fill: "var(--bar)" }),
      Plot.barX(keyed, { x1: "used", x2: cost, y: "position", fill: "url(#idle)" }),
      Plot.text(keyed, {
        x: 0,
        y: "position",
        text: (bar) => shortened(bar.name, Math.floor(marginLeft / 7)),
        textAnchor: "end",
        dx: -6,
      }),
      Plot.text(keyed, {
        x: cost,
        y: "position",
        text: (bar) => money(cost(bar)),
        textAnchor: "start",
        dx: 6,
        fill: "var(--quiet)",
      }),
    ],
  });
}

function teamTable(teams, totals) {
  const pods = totals.cost == null ? null : totals.cost - totals.idle;
  const columns = [
    {
      title: "Team",
      header: true,
      value: teamName,
      cell: (row) => (row.team == null ? NOBODY : teamLink(teamName(row))),
    },
    { title: "Runs", numeric: true, descending: true, value: (row) => row.runs, cell: (row) => count(row.runs) },
    { title: "Failed", numeric: true, descending: true, value: (row) => row.failed, cell: (row) => count(row.failed) },
    { title: "Pods", numeric: true, descending: true, value: (row) => row.pods, cell: (row) => count(row.pods) },
    {
      title: "Not sampled",
      numeric: true,
      descending: true,
      value: (row) => row.unsampled,
      cell: (row) => count(row.unsampled),
    },
    { title: "Cost", numeric: true, descending: true, value: (row) => row.cost, cell: (row) => money(row.cost) },
    {
      title: "Share",
      numeric: true,
      descending: true,
      value: (row) => row.cost,
      cell: (row) => (pods && row.cost != null ? percent(row.cost / pods) : null),
    },
  ];
  return table({ caption: "Cost by team", columns, rows: teams, sort: "Cost" });
}

function groupTable(groups) {
  const columns = [
    { title: "Node group", header: true, value: (row) => groupName(row.node_group) },
    { title: "Nodes", numeric: true, descending: true, value: (row) => row.nodes, cell: (row) => count(row.nodes) },
    {
      title: "Hours",
      numeric: true,
      descending: true,
      value: (row) => row.hours,
      cell: (row) => count(Math.round(row.hours * 10) / 10),
    },
    { title: "Cost", numeric: true, descending: true, value: (row) => row.cost, cell: (row) => money(row.cost) },
    { title: "Idle", numeric: true, descending: true, value: (row) => row.idle, cell: (row) => money(row.idle) },
    {
      title: "Idle share",
      numeric: true,
      descending: true,
      value: idleShare,
      cell: (row) => (idleShare(row) == null ? null : percent(idleShare(row))),
    },
    {
      title: "Without a price",
      numeric: true,
      descending: true,
      value: (row) => row.unpriced,
      cell: (row) => (row.unpriced ? plural(row.unpriced, "node") : "none"),
    },
  ];
  const empty = "No node was seen on this day.";
  return table({ caption: "Cost by node group", columns, rows: groups, sort: "Cost", empty });
}

const idleShare = (row) => (row.cost ? row.idle / row.cost : null);
