"""A job as a Mermaid flowchart.

Nodes have numbers for names, as a task may be called `end`; every other word is text in quotes, whose characters are
written as codes where they could mean something.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from jobyard.contract import DEFAULT_TRIGGER_RULE, GATE_TESTS
from jobyard.entries import AfterJobs, Foreach, GateTest, Job, Task

from jobyard_cli.check.findings import printable

# Mermaid's own defaults, `maxTextSize` and `maxEdges`.
MOST_CHARACTERS = 50_000
MOST_EDGES = 500
LONGEST = 80
"""Characters of a line of a node."""
_PLAIN = re.compile(r"[A-Za-z0-9 .,:/_=-]")
Tasks = Mapping[str, Task]
Nodes = Mapping[str, str]
"""Node by task."""


def flowchart(job: Job) -> str | None:
    """Return the flowchart of a compiled job: tasks with node groups, what each needs, what the job waits for.

    None where Mermaid would refuse it for its size.
    """
    tasks = job["tasks"]
    nodes = {name: f"t{number}" for number, name in enumerate(sorted(tasks))}
    first = [node for name, node in nodes.items() if not tasks[name]["needs"]]
    lines = ["flowchart LR", *_groups(tasks, nodes), *_needs(tasks, nodes), *_before(job, first), *_data(tasks, nodes)]
    chart = "\n".join(lines)
    edges = sum("-> " in line for line in lines)
    return chart if len(chart) <= MOST_CHARACTERS and edges <= MOST_EDGES else None


def _groups(tasks: Tasks, nodes: Nodes) -> Iterator[str]:
    """The tasks' nodes, those of a group in a box of its own."""
    by_group: dict[str, list[str]] = {}
    for name, node in nodes.items():
        by_group.setdefault(tasks[name].get("group") or "", []).append(_node(node, name, tasks[name]))
    for group, lines in sorted(by_group.items()):
        if not group:
            yield from (f"  {line}" for line in lines)
            continue
        yield f"  subgraph g_{_identifier(group)} [{_quoted(group)}]"
        yield from (f"    {line}" for line in lines)
        yield "  end"


def _identifier(name: str) -> str:
    return "".join(_identifier_part(character) for character in name)


def _identifier_part(character: str) -> str:
    return character if character.isalnum() and character.isascii() else f"_{ord(character):x}_"


def _node(node: str, name: str, task: Task) -> str:
    lines = [name, task.get("type") or task.get("node_group", "")]
    foreach = task.get("foreach")
    gate = task.get("gate")
    if foreach:
        lines.append(_foreach(foreach))
    if gate:
        lines.append(_gate(gate))
    if task["trigger_rule"] != DEFAULT_TRIGGER_RULE:
        lines.append(task["trigger_rule"])
    text = _quoted(*lines)
    if gate:
        return f"{node}{{{{{text}}}}}"
    return f"{node}[[{text}]]" if foreach else f"{node}[{text}]"


def _foreach(foreach: Foreach) -> str:
    source = foreach["output_of"]
    items = f"the output of {source}" if source else f"{len(foreach['items'] or [])} items"
    limit = f", {foreach['concurrency']} at once" if foreach["concurrency"] else ""
    return f"for each of {items}{limit}"


def _gate(gate: GateTest) -> str:
    value = f"{gate['output_of']}.{gate['value']}" if gate["value"] else gate["output_of"]
    return f"only if {value} {GATE_TESTS[gate['test']]} {gate['bound']}"


def _needs(tasks: Tasks, nodes: Nodes) -> Iterator[str]:
    for name, node in nodes.items():
        yield from (f"  {nodes[need]} --> {node}" for need in sorted(tasks[name]["needs"]) if need in nodes)


def _before(job: Job, first: list[str]) -> Iterator[str]:
    """What has to have happened before the first tasks start."""
    schedule = job["schedule"] if isinstance(job["schedule"], dict) else AfterJobs()
    edges = [(name, "after") for name in schedule.get("after", [])]
    edges += [(wait["job"], "waits for") for wait in job.get("wait_for", [])]
    for number, (name, word) in enumerate(edges):
        yield f"  b{number}([{_quoted(name)}])"
        yield from (f"  b{number} -. {word} .-> {node}" for node in first)
    for number, uri in enumerate(schedule.get("assets", [])):
        yield f"  a{number}[({_quoted(uri)})]"
        yield from (f"  a{number} -. new data .-> {node}" for node in first)


def _data(tasks: Tasks, nodes: Nodes) -> Iterator[str]:
    """Assets that tasks read and write."""
    uris: set[str] = set()
    for task in tasks.values():
        uris.update(task.get("inputs", []), task.get("outputs", []))
    assets = {uri: f"d{number}" for number, uri in enumerate(sorted(uris))}
    yield from (f"  {asset}[({_quoted(uri)})]" for uri, asset in assets.items())
    for name, node in nodes.items():
        yield from (f"  {assets[uri]} -.-> {node}" for uri in tasks[name].get("inputs", []))
        yield from (f"  {node} -.-> {assets[uri]}" for uri in tasks[name].get("outputs", []))


def _quoted(*lines: str) -> str:
    return '"' + "<br/>".join(_text(line) for line in lines if line) + '"'


def _text(text: str) -> str:
    line = printable(text)
    cut = line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"
    return "".join(_character(character) for character in cut)


def _character(character: str) -> str:
    return character if _PLAIN.fullmatch(character) else f"#{ord(character)};"
