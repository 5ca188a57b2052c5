"""How tasks follow each other: needs that exist and go round in no circle, and outputs that are there when used."""

from __future__ import annotations

from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from typing import Any

from jobyard.contract import GATE_TESTS

from jobyard_cli.check.findings import Finding, unknown
from jobyard_cli.check.parts import is_pod, mapping, source_task, tasks_of
from jobyard_cli.parsing.documents import Document, KeyPath
from jobyard_cli.team.repo import TeamRepo


def check_flow(document: Document, repo: TeamRepo) -> Iterator[Finding]:
    """A finding for each dependency that can't be."""
    del repo
    tasks = tasks_of(document)
    yield from _needs(document, mapping(document.data.get("tasks")))
    for name, task in tasks.items():
        path: KeyPath = ("tasks", name)
        yield from _foreach(document, path, task, tasks)
        yield from _gate(document, path, task, tasks)
        yield from _group(document, path, task, tasks)


def needs_of(task: Any) -> list[Any]:
    """What a task needs, as far as it is a list; the place in it is the place in the file."""
    needs = mapping(task).get("needs")
    return needs if isinstance(needs, list) else []


def before(name: str, tasks: dict[str, dict[str, Any]]) -> set[str]:
    """The tasks that have ended when this one starts: what it needs, what those need, and so on."""
    found: set[str] = set()
    ahead = [need for need in needs_of(tasks.get(name)) if isinstance(need, str)]
    while ahead:
        one = ahead.pop()
        if one in tasks and one not in found:
            found.add(one)
            ahead += [need for need in needs_of(tasks[one]) if isinstance(need, str)]
    return found


def source_problem(source: str, name: str, tasks: dict[str, dict[str, Any]]) -> str | None:
    """Why a task can't use the output of another, in words; None where it can."""
    if source not in tasks:
        return unknown("task", source, [other for other in tasks if other != name], "this job has")
    if source not in before(name, tasks):
        return f"task '{source}' may not have ended yet; add it to the needs of '{name}'"
    if not is_pod(tasks[source]):
        return f"task '{source}' is of type '{tasks[source]['type']}' and has no output; pods have"
    return None


def _needs(document: Document, tasks: dict[str, Any]) -> Iterator[Finding]:
    graph: dict[str, list[str]] = {}
    for name, task in tasks.items():
        graph[name] = []
        for number, need in enumerate(needs_of(task)):
            if not isinstance(need, str):
                continue
            if need in tasks:
                graph[name].append(need)
            else:
                message = unknown("task", need, [other for other in tasks if other != name], "this job has")
                yield document.finding(("tasks", name, "needs", number), message, "needs")
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        circle = [str(name) for name in error.args[1]]
        first = circle[0]
        message = f"tasks need each other in a circle: {' -> '.join(reversed(circle))}"
        yield document.finding(("tasks", first, "needs"), message, "cycle")


def _foreach(
    document: Document, path: KeyPath, task: dict[str, Any], tasks: dict[str, dict[str, Any]]
) -> Iterator[Finding]:
    if "foreach" not in task:
        if "concurrency" in task:
            message = (
                "'concurrency' is for the pods of a foreach, and this task has none; max_active_tasks bounds a job"
            )
            yield document.finding((*path, "concurrency"), message, "foreach", at_key=True)
        return
    if "outputs" in task:
        message = "a foreach would write these assets once for each item; give them to a task that needs this one"
        yield document.finding((*path, "outputs"), message, "foreach", at_key=True)
    source = source_task(task["foreach"])
    if source is None:
        return
    where: KeyPath = (*path, "foreach", "output_of")
    if problem := source_problem(source, str(path[-1]), tasks):
        yield document.finding(where, problem, "foreach")
    elif source not in needs_of(task):
        yield document.finding(where, f"task '{source}' has to be among the needs of '{path[-1]}' itself", "foreach")
    elif "foreach" in tasks[source]:
        message = f"task '{source}' has a foreach itself, so its output is no one list; put a task between them"
        yield document.finding(where, message, "foreach")


def _gate(
    document: Document, path: KeyPath, task: dict[str, Any], tasks: dict[str, dict[str, Any]]
) -> Iterator[Finding]:
    gate = task.get("gate")
    if not isinstance(gate, dict):
        return
    given = [test for test in GATE_TESTS if test in gate]
    if len(given) != 1:
        found = f"not {len(given)} ({', '.join(given)})" if given else "and has none"
        yield document.finding((*path, "gate"), f"a gate has one test of {', '.join(GATE_TESTS)}, {found}", "gate")
    source = source_task(gate)
    if source is None:
        return
    where: KeyPath = (*path, "gate", "output_of")
    if problem := source_problem(source, str(path[-1]), tasks):
        yield document.finding(where, problem, "gate")
    elif "foreach" in tasks[source]:
        message = (
            f"task '{source}' has a foreach, so there are several outputs; let a task that needs it make one of them"
        )
        yield document.finding(where, message, "gate")


def _group(
    document: Document, path: KeyPath, task: dict[str, Any], tasks: dict[str, dict[str, Any]]
) -> Iterator[Finding]:
    group = task.get("group")
    if isinstance(group, str) and group in tasks:
        message = f"'{group}' is the name of a task already; a group needs a name of its own"
        yield document.finding((*path, "group"), message, "group")
