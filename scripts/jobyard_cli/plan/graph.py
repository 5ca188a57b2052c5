"""A job as a Mermaid flowchart.

Nodes have numbers for names, as a task may be called `end`; every other word is text in quotes, whose characters are
written as codes where they could mean something.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from jobyard.contract import DEFAULT_TRIGGER_RULE, GATE_TESTS
from jobyard.entries import AfterJobs, Foreach, GateTest, Job, Task

from jobyard_cli.check.findings import printable
from jobyard_cli.plan.phrases import prefixed

# Mermaid's own defaults, `maxTextSize` and `maxEdges`.
MOST_CHARACTERS = 50_000
MOST_EDGES = 500
LONGEST = 80
"""Characters of a line of a node."""
_NOT_IN_TEXT = re.compile(r"[^A-Za-z0-9 .,:/_=-]")
_NOT_IN_IDENTIFIER = re.compile(r"[^A-Za-z0-9]")
Tasks = Mapping[str, Task]
Nodes = Mapping[str, str]
"""Node by task."""


def flowchart(job: Job) -> str | None:
    """Return the flowchart of a compiled job: tasks with node groups, what each needs, what the job waits for.

    None where Mermaid would refuse it for its size.
    """
    tasks = job["tasks"]
    nodes = _numbered("t", tasks)
    lines = ["flowchart LR", *_groups(tasks, nodes), *_needs(tasks, nodes), *_before(job, nodes), *_data(tasks, nodes)]
    chart = "\n".join(lines)
    # No text has an arrow, as `>` is written as a code.
    if len(chart) > MOST_CHARACTERS or chart.count("-> ") > MOST_EDGES:
        return None
    return chart


def _numbered(letter: str, names: Iterable[str]) -> dict[str, str]:
    """A node for each name: `{"a": "t0", "b": "t1"}`."""
    return {name: f"{letter}{number}" for number, name in enumerate(sorted(names))}


def _groups(tasks: Tasks, nodes: Nodes) -> Iterator[str]:
    """The tasks' nodes, those of a group in a box of its own."""
    by_group: defaultdict[str, list[str]] = defaultdict(list)
    for name, node in nodes.items():
        by_group[tasks[name].get("group") or ""].append(_node(node, name, tasks[name]))
    yield from prefixed("  ", by_group.pop("", []))
    for group, lines in sorted(by_group.items()):
        yield f"  subgraph g_{_NOT_IN_IDENTIFIER.sub(_hexadecimal, group)} [{_quoted(group)}]"
        yield from prefixed("    ", lines)
        yield "  end"


def _hexadecimal(character: re.Match[str]) -> str:
    return f"_{ord(character[0]):x}_"


def _node(node: str, name: str, task: Task) -> str:
    lines = [name, task.get("type") or task.get("node_group", "")]
    opening, closing = "[", "]"
    if foreach := task.get("foreach"):
        lines.append(_foreach(foreach))
        opening, closing = "[[", "]]"
    if gate := task.get("gate"):
        lines.append(_gate(gate))
        opening, closing = "{{", "}}"
    if task["trigger_rule"] != DEFAULT_TRIGGER_RULE:
        lines.append(task["trigger_rule"])
    return f"{node}{opening}{_quoted(*lines)}{closing}"


def _foreach(foreach: Foreach) -> str:
    items = f"{len(foreach['items'] or [])} items"
    if foreach["output_of"]:
        items = f"the output of {foreach['output_of']}"
    if foreach["concurrency"]:
        items += f", {foreach['concurrency']} at once"
    return f"for each of {items}"


def _gate(gate: GateTest) -> str:
    value = gate["output_of"]
    if gate["value"]:
        value += f".{gate['value']}"
    return f"only if {value} {GATE_TESTS[gate['test']]} {gate['bound']}"


def _needs(tasks: Tasks, nodes: Nodes) -> Iterator[str]:
    for name, node in nodes.items():
        for need in sorted(tasks[name]["needs"]):
            if need in nodes:
                yield f"  {nodes[need]} --> {node}"


def _before(job: Job, nodes: Nodes) -> Iterator[str]:
    """What has to have happened before the first tasks start."""
    first_nodes = [node for name, node in nodes.items() if not job["tasks"][name]["needs"]]
    for number, (name, relation) in enumerate(_awaited_jobs(job)):
        yield f"  b{number}([{_quoted(name)}])"
        yield from prefixed(f"  b{number} -. {relation} .-> ", first_nodes)
    for number, uri in enumerate(_schedule(job).get("assets", [])):
        yield f"  a{number}[({_quoted(uri)})]"
        yield from prefixed(f"  a{number} -. new data .-> ", first_nodes)


def _awaited_jobs(job: Job) -> Iterator[tuple[str, str]]:
    """Each job that runs before this one, and how the two are related."""
    for name in _schedule(job).get("after", []):
        yield name, "after"
    for wait in job.get("wait_for", []):
        yield wait["job"], "waits for"


def _schedule(job: Job) -> AfterJobs:
    """The jobs and assets that start a job; without any for a job with a clock."""
    if isinstance(job["schedule"], dict):
        return job["schedule"]
    return AfterJobs()


def _data(tasks: Tasks, nodes: Nodes) -> Iterator[str]:
    """Assets that tasks read and write."""
    uris: set[str] = set()
    for task in tasks.values():
        uris.update(task.get("inputs", []), task.get("outputs", []))
    assets = _numbered("d", uris)
    for uri, asset in assets.items():
        yield f"  {asset}[({_quoted(uri)})]"
    for name, node in nodes.items():
        for uri in tasks[name].get("inputs", []):
            yield f"  {assets[uri]} -.-> {node}"
        for uri in tasks[name].get("outputs", []):
            yield f"  {node} -.-> {assets[uri]}"


def _quoted(*lines: str) -> str:
    return '"' + "<br/>".join(_text(line) for line in lines if line) + '"'


def _text(text: str) -> str:
    line = printable(text)
    if len(line) > LONGEST:
        line = f"{line[: LONGEST - 1]}…"
    return _NOT_IN_TEXT.sub(_entity, line)


def _entity(character: re.Match[str]) -> str:
    return f"#{ord(character[0])};"
