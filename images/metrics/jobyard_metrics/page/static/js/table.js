// Sortable tables. A column is {title, value, cell?, numeric?, header?, descending?, group?, hint?}: `value` gives what is
// sorted and, without a `cell`, shown; neighbours of one `group` have a common heading.

import { element } from "./dom.js";
import { plural } from "./format.js";

const LIMIT = 100;

export function table({ caption, columns, rows, sort = null, limit = LIMIT, empty = "Nothing to show." }) {
  if (!rows.length) return element("p", { class: "quiet" }, empty);
  const state = { columns, rows: [...rows], limit, body: element("tbody"), heads: [] };
  state.heads = columns.map((column) => head(column, state));
  if (sort)
    order(
      state,
      columns.find((column) => column.title === sort),
    );
  else fill(state);
  const grid = element(
    "table",
    {},
    element("caption", { class: "unseen" }, caption),
    element("thead", {}, groups(columns), element("tr", {}, ...state.heads)),
    state.body,
  );
  const region = { class: "scroll", role: "group", "aria-label": caption, tabindex: "0" };
  return element("div", {}, element("div", region, grid), more(state));
}

function groups(columns) {
  if (!columns.some((column) => column.group)) return null;
  const spans = [...Map.groupBy(columns, (column) => column.group ?? column)];
  return element("tr", { class: "groups" }, ...spans.map(([group, own]) => span(group, own)));
}

function span(group, columns) {
  if (typeof group !== "string") return element("td");
  return element("th", { scope: "colgroup", colspan: columns.length }, group);
}

function head(column, state) {
  const button = element("button", { type: "button", on: { click: () => order(state, column) } }, column.title);
  return element("th", { scope: "col", class: column.numeric ? "number" : null, title: column.hint }, button);
}

function order(state, column) {
  const position = state.columns.indexOf(column);
  const current = state.heads[position].getAttribute("aria-sort");
  const first = column.descending ? "descending" : "ascending";
  const direction = current ? opposite(current) : first;
  for (const other of state.heads) other.removeAttribute("aria-sort");
  state.heads[position].setAttribute("aria-sort", direction);
  state.rows.sort(comparing(column.value, direction === "ascending" ? 1 : -1));
  fill(state);
}

const opposite = (direction) => (direction === "ascending" ? "descending" : "ascending");

// What is not known comes last, whichever way the others go.
export function comparing(value, sign) {
  return (left, right) => {
    const [a, b] = [value(left), value(right)];
    if (a == null || b == null) return (a == null) - (b == null);
    return sign * (typeof a === "string" ? compareText(a, String(b)) : a - b);
  };
}

const compareText = new Intl.Collator("en", { numeric: true }).compare;

function fill(state) {
  const lines = state.rows.slice(0, state.limit).map((row) => line(state.columns, row));
  state.body.replaceChildren(...lines);
}

function line(columns, row) {
  return element("tr", {}, ...columns.map((column) => cell(column, row)));
}

function cell(column, row) {
  const content = column.cell ? column.cell(row) : column.value(row);
  const tag = column.header ? "th" : "td";
  const scope = column.header ? "row" : null;
  return element(tag, { scope, class: column.numeric ? "number" : null }, content ?? "—");
}

function more(state) {
  const hidden = state.rows.length - state.limit;
  if (hidden <= 0) return null;
  const button = element("button", { type: "button", class: "more" }, `Show ${plural(hidden, "more row")}`);
  button.addEventListener("click", () => {
    state.limit = Infinity;
    fill(state);
    state.body.rows[state.rows.length - hidden]?.querySelector("a")?.focus();
    button.remove();
  });
  return button;
}
