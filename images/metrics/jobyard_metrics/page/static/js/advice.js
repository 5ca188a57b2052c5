// Requests that fit: what tasks ask for beside what they used, in words and as a table.

import { cpu, memory, money, plural } from "./format.js";
import { named } from "./dom.js";
import { table } from "./table.js";

const MUCH = 1.2;

// "asks for 16Gi; the last 30 runs peaked at 3.1Gi; 4Gi would fit; saves $12 a month"
export function sentence(advice) {
  if (!advice.sampled)
    return `asks for ${memory(advice.requested_memory)} and ${cpu(advice.requested_cpu)} CPU; none of the last ${plural(advice.runs, "run")} was sampled`;
  const parts = [...memoryParts(advice), ...cpuParts(advice)];
  if (advice.saves > 0) parts.push(`saves ${money(advice.saves)} a month`);
  if (advice.saves < 0) parts.push(`costs ${money(-advice.saves)} more a month`);
  return parts.join("; ");
}

function memoryParts(advice) {
  const { requested_memory: asked, memory_peak: peak, fits_memory: fits } = advice;
  const used = `asks for ${memory(asked)}; the last ${plural(advice.sampled, "sampled run")} peaked at ${memory(peak)}`;
  return [used, verdict(asked, fits, memory)];
}

function cpuParts(advice) {
  const { requested_cpu: asked, cpu_p95: p95, fits_cpu: fits } = advice;
  if (asked == null || p95 == null) return [];
  return [`CPU: asks for ${cpu(asked)}, used ${cpu(p95)} (p95)`, verdict(asked, fits, cpu)];
}

function verdict(asked, fits, format) {
  if (fits == null) return "too few runs to say what would fit";
  if (asked != null && fits <= asked && asked <= fits * MUCH) return "fits";
  return `${format(fits)} would fit`;
}

const FIGURES = [
  ["Asked", "requested"],
  ["p95", "p95"],
  ["Peak", "peak"],
  ["Fits", "fits"],
  ["KRR", "krr"],
  ["VPA", "vpa"],
];
const USED = new Set(["p95", "peak"]);

function quantities(group, resource, format) {
  return FIGURES.map(([title, figure]) => {
    const name = USED.has(figure) ? `${resource}_${figure}` : `${figure}_${resource}`;
    return {
      group,
      title,
      numeric: true,
      descending: true,
      value: (row) => row[name],
      cell: (row) => (row[name] == null ? null : format(row[name])),
    };
  });
}

export function adviceTable(advised, first = []) {
  const task = { title: "Task", header: true, value: taskName, cell: (row) => named(taskName(row), 40) };
  const sampled = {
    title: "Sampled",
    numeric: true,
    value: (row) => row.sampled,
    cell: (row) => `${row.sampled} of ${row.runs}`,
    hint: "Runs that the figures rest on; a pod that was not sampled has none",
  };
  const saves = {
    title: "Saves",
    numeric: true,
    descending: true,
    value: (row) => row.saves,
    cell: (row) => (row.saves == null ? null : money(row.saves)),
    hint: "A month",
  };
  const columns = [
    ...first,
    task,
    sampled,
    ...quantities("Memory", "memory", memory),
    ...quantities("CPU", "cpu", cpu),
    saves,
  ];
  const empty = "No advice yet: it needs runs that succeeded.";
  return table({ caption: "Requests that fit", columns, rows: advised, sort: "Saves", empty, limit: 25 });
}

export function taskName(row) {
  return row.map_index >= 0 ? `${row.task}[${row.map_index}]` : row.task;
}
