"""Check the order of tasks: needs that exist and form no cycle, and outputs that are complete when they are used."""

from __future__ import annotations

from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from typing import Any

from jobyard.contract import GATE_TESTS

from jobyard_cli.check.findings import Finding, unknown
from jobyard_cli.check.parts import is_pod, list_of, mapping, source_task, tasks_of
from jobyard_cli.parsing.documents import Document, KeyPath
from jobyard_cli.team.repo import TeamRepo

Tasks = dict[str, dict[str, Any]]


def check_flow(document: Document, repo: TeamRepo) -> Iterator[Finding]:
    """Yield a finding for each dependency between tasks that cannot be satisfied."""
    del repo
    tasks = tasks_of(document)
    yield from _needs(document, mapping(document.data.get("tasks")))
    for name, task in tasks.items():
        path: KeyPath = ("tasks", name)
        yield from _foreach(document, path, task, tasks)
        yield from _gate(document, path, task, tasks)
        yield from _group(document, path, task, tasks)


def needs_of(task: Any) -> list[Any]:
    """Return what a task needs, in the order of the file."""
    return list_of(mapping(task).get("needs"))


def before(name: str, tasks: Tasks) -> set[str]:
    """Return the tasks that have ended when this one starts: those that it needs, directly or indirectly."""
    ended: set[str] = set()
    remaining = list(needs_of(tasks.get(name)))
    while remaining:
        need = remaining.pop()
        if isinstance(need, str) and need in tasks and need not in ended:
            ended.add(need)
            remaining += needs_of(tasks[need])
    return ended


def source_problem(source: str, name: str, tasks: Tasks) -> str | None:
    """Return why a task cannot use the output of another; None if it can."""
    if source not in tasks:
        return _unknown_task(source, name, tasks)
    if source not in before(name, tasks):
        return f"task '{source}' may not have ended yet; add it to the needs of '{name}'"
    if not is_pod(tasks[source]):
        return f"task '{source}' has no output: only pods have one, and its type is '{tasks[source]['type']}'"
    return None


def _unknown_task(missing: str, name: str, tasks: dict[str, Any]) -> str:
    others = [other for other in tasks if other != name]
    return unknown("task", missing, others, "this job has")


def _needs(document: Document, tasks: dict[str, Any]) -> Iterator[Finding]:
    graph: dict[str, list[str]] = {}
    for name, task in tasks.items():
        graph[name] = []
        for index, need in enumerate(needs_of(task)):
            if not isinstance(need, str):
                continue
            if need in tasks:
                graph[name].append(need)
            else:
                message = _unknown_task(need, name, tasks)
                yield document.finding(("tasks", name, "needs", index), message, "needs")
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        cycle: list[str] = error.args[1]
        message = f"tasks need each other in a cycle: {' -> '.join(reversed(cycle))}"
        yield document.finding(("tasks", cycle[0], "needs"), message, "cycle")


def _foreach(document: Document, path: KeyPath, task: dict[str, Any], tasks: Tasks) -> Iterator[Finding]:
    if "foreach" not in task:
        if "concurrency" in task:
            message = "'concurrency' requires a foreach; to limit the tasks of the job, use max_active_tasks"
            yield document.finding((*path, "concurrency"), message, "foreach", at_key=True)
        return
    if "outputs" in task:
        message = "a task with a foreach would update these assets once per item; move them to a task that needs it"
        yield document.finding((*path, "outputs"), message, "foreach", at_key=True)
    source = source_task(task["foreach"])
    if source is not None and (problem := _foreach_problem(source, str(path[-1]), tasks)):
        yield document.finding((*path, "foreach", "output_of"), problem, "foreach")


def _foreach_problem(source: str, name: str, tasks: Tasks) -> str | None:
    if problem := source_problem(source, name, tasks):
        return problem
    if source not in needs_of(tasks[name]):
        return f"task '{source}' must be in the needs of '{name}' directly"
    return _several_outputs(source, tasks)


def _several_outputs(source: str, tasks: Tasks) -> str | None:
    if "foreach" in tasks[source]:
        return f"task '{source}' yields one output per item; add a task that combines them"
    return None


def _gate(document: Document, path: KeyPath, task: dict[str, Any], tasks: Tasks) -> Iterator[Finding]:
    gate = task.get("gate")
    if not isinstance(gate, dict):
        return
    given = [test for test in GATE_TESTS if test in gate]
    if len(given) != 1:
        message = f"'gate' must have exactly one of {', '.join(GATE_TESTS)}; got {', '.join(given) or 'none'}"
        yield document.finding((*path, "gate"), message, "gate")
    source = source_task(gate)
    if source is None:
        return
    problem = source_problem(source, str(path[-1]), tasks) or _several_outputs(source, tasks)
    if problem:
        yield document.finding((*path, "gate", "output_of"), problem, "gate")


def _group(document: Document, path: KeyPath, task: dict[str, Any], tasks: Tasks) -> Iterator[Finding]:
    group = task.get("group")
    if isinstance(group, str) and group in tasks:
        message = f"group '{group}' must not have the name of a task"
        yield document.finding((*path, "group"), message, "group")
