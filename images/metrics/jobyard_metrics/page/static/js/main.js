// Starts the page and shows the view that the address names.

import { definePatterns } from "./charts.js";
import { MissingDataError, summary } from "./data.js";
import { dayView } from "./day.js";
import { dependenciesView } from "./dependencies.js";
import { element, route } from "./dom.js";
import { longDay } from "./format.js";
import { jobView } from "./job.js";
import { jobsView } from "./jobs.js";
import { notice } from "./parts.js";
import { searchView } from "./search.js";
import { teamView } from "./team.js";
import { teamsView } from "./teams.js";
import { startTheme } from "./theme.js";

const VIEWS = new Map([
  ["", () => dayView(null)],
  ["day", dayView],
  ["jobs", jobsView],
  ["teams", teamsView],
  ["dependencies", dependenciesView],
  ["team", teamView],
  ["job", jobView],
  ["search", searchView],
]);
const TABS = new Map([
  ["day", ""],
  ["job", "jobs"],
  ["team", "teams"],
]);

const main = document.getElementById("main");
const search = document.getElementById("search");
let shown = 0;

async function show() {
  const turn = ++shown;
  const [name, ...parts] = address();
  const view = await drawn(name, parts);
  if (turn !== shown) return;
  document.title = `${view.title.slice(0, 100)} · Jobyard metrics`;
  main.replaceChildren(view.node);
  markTab(name);
  arrive(turn);
}

function address() {
  try {
    return location.hash.replace(/^#\/?/, "").split("/").map(decodeURIComponent);
  } catch {
    return ["unknown"];
  }
}

async function drawn(name, parts) {
  try {
    const view = VIEWS.get(name);
    return view ? await view(...parts) : failure("Unknown page", "The address names no view of this page.");
  } catch (error) {
    if (error instanceof MissingDataError) return failure("No data", `The file ${error.message} could not be loaded.`);
    console.error(error);
    return failure("This view failed", String(error));
  }
}

function failure(title, text) {
  return { title, node: element("div", {}, element("h1", { tabindex: "-1" }, title), notice(text)) };
}

function markTab(name) {
  const tab = `#/${TABS.get(name) ?? name}`;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.getAttribute("href") === tab) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

// A new view begins at its heading, for the eye and for a screen reader, unless somebody is typing.
function arrive(turn) {
  if (turn === 1 || document.activeElement === search) return;
  scrollTo(0, 0);
  main.querySelector("h1")?.focus({ preventScroll: true });
}

function startSearch() {
  search.form.addEventListener("submit", (event) => {
    event.preventDefault();
    main.querySelector("h1")?.focus();
  });
  search.addEventListener("input", () => location.replace(search.value ? route("search", search.value) : "#/"));
  addEventListener("keydown", (event) => {
    const isTyping = /^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement?.tagName ?? "");
    if (event.key !== "/" || isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    search.focus();
  });
}

// The address names the view, so a link within the page may not change it.
function startSkipLink() {
  document.querySelector(".skip").addEventListener("click", (event) => {
    event.preventDefault();
    main.focus();
  });
}

function start() {
  startSkipLink();
  startTheme(document.getElementById("theme"));
  if (!summary()) {
    main.replaceChildren(
      notice(
        "The file data/summary.js could not be loaded. The job platform.metrics writes it; you may lack the right to read it.",
      ),
    );
    return;
  }
  definePatterns();
  document.getElementById("environment").textContent = summary().settings.environment;
  document.getElementById("footnote").textContent = `Data up to ${longDay(summary().day)}.`;
  startSearch();
  addEventListener("hashchange", show);
  show();
}

addEventListener("DOMContentLoaded", start);
