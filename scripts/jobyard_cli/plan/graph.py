"""A job as a Mermaid flowchart.

Nodes have numbers for names, as a task may be called `end`; every other word is text in quotes, whose characters are
written as codes where they could mean something.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from jobyard_cli.check.findings import printable

# Mermaid's own defaults, `maxTextSize` and `maxEdges`.
MOST_CHARACTERS = 50_000
MOST_EDGES = 500
LONGEST = 80
"""Characters of a line of a node."""
_PLAIN = re.compile(r"[A-Za-z0-9 .,:/_=-]")
_SIGNS = {"above": ">", "at_least": "≥", "below": "<", "at_most": "≤", "equals": "="}


def flowchart(job: Mapping[str, Any]) -> str | None:
    """The flowchart of a compiled job: tasks with their node groups, what each needs, and what the job waits for.

    None where Mermaid would refuse it for its size.
    """
    tasks: Mapping[str, Mapping[str, Any]] = job["tasks"]
    nodes = {name: f"t{number}" for number, name in enumerate(sorted(tasks))}
    lines = ["flowchart LR"]
    for group in sorted({task.get("group") or "" for task in tasks.values()}):
        inside = [name for name in nodes if (tasks[name].get("group") or "") == group]
        lines += _grouped(group, [_node(nodes[name], name, tasks[name]) for name in inside])
    lines += _edges(tasks, nodes)
    lines += _befores(job, [nodes[name] for name in nodes if not tasks[name]["needs"]])
    lines += _data(tasks, nodes)
    chart = "\n".join(lines)
    edges = sum("-> " in line for line in lines)
    return chart if len(chart) <= MOST_CHARACTERS and edges <= MOST_EDGES else None


def _grouped(group: str, nodes: list[str]) -> list[str]:
    if not group:
        return [f"  {node}" for node in nodes]
    return [f"  subgraph g_{_identifier(group)} [{_quoted(group)}]", *(f"    {node}" for node in nodes), "  end"]


def _identifier(name: str) -> str:
    return "".join(one if one.isalnum() and one.isascii() else f"_{ord(one):x}_" for one in name)


def _node(node: str, name: str, task: Mapping[str, Any]) -> str:
    lines = [name, task.get("type") or task.get("node_group", "")]
    if foreach := task.get("foreach"):
        source, items = foreach["output_of"], foreach["items"]
        lines.append(f"for each of the output of {source}" if source else f"for each of {len(items)} items")
        if foreach["concurrency"]:
            lines[-1] += f", {foreach['concurrency']} at once"
    if gate := task.get("gate"):
        value = gate["output_of"] + (f".{gate['value']}" if gate["value"] else "")
        lines.append(f"only if {value} {_SIGNS[gate['test']]} {gate['bound']}")
    if task["trigger_rule"] != "all_success":
        lines.append(task["trigger_rule"])
    opening, closing = ("{{", "}}") if gate else ("[[", "]]") if foreach else ("[", "]")
    return f"{node}{opening}{_quoted(*lines)}{closing}"


def _edges(tasks: Mapping[str, Mapping[str, Any]], nodes: Mapping[str, str]) -> Iterator[str]:
    for name, node in nodes.items():
        yield from (f"  {nodes[need]} --> {node}" for need in sorted(tasks[name]["needs"]) if need in nodes)


def _befores(job: Mapping[str, Any], first: list[str]) -> Iterator[str]:
    """What has to have happened before the first tasks start."""
    schedule = job["schedule"] if isinstance(job["schedule"], Mapping) else {}
    told = [(name, "after") for name in schedule.get("after", [])]
    told += [(wait["job"], "waits for") for wait in job.get("wait_for", [])]
    for number, (name, word) in enumerate(told):
        yield f"  b{number}([{_quoted(name)}])"
        yield from (f"  b{number} -. {word} .-> {node}" for node in first)
    for number, uri in enumerate(schedule.get("assets", [])):
        yield f"  a{number}[({_quoted(uri)})]"
        yield from (f"  a{number} -. new data .-> {node}" for node in first)


def _data(tasks: Mapping[str, Mapping[str, Any]], nodes: Mapping[str, str]) -> Iterator[str]:
    """Assets that tasks read and write."""
    uris = sorted({uri for task in tasks.values() for uri in (*task.get("inputs", []), *task.get("outputs", []))})
    known = {uri: f"d{number}" for number, uri in enumerate(uris)}
    yield from (f"  {name}[({_quoted(uri)})]" for uri, name in known.items())
    for name, node in nodes.items():
        yield from (f"  {known[uri]} -.-> {node}" for uri in tasks[name].get("inputs", []))
        yield from (f"  {node} -.-> {known[uri]}" for uri in tasks[name].get("outputs", []))


def _quoted(*lines: str) -> str:
    return '"' + "<br/>".join(_text(line) for line in lines if line) + '"'


def _text(text: str) -> str:
    shown = printable(text)
    shown = shown if len(shown) <= LONGEST else f"{shown[: LONGEST - 1]}…"
    return "".join(one if _PLAIN.fullmatch(one) else f"#{ord(one)};" for one in shown)
