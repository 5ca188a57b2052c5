"""Tasks that are no pods: types that the platform has, with the arguments that the type takes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from jobyard.entries import EveryTask, Task

from jobyard_cli.check.findings import Finding, unknown
from jobyard_cli.check.parts import is_pod, mapping, tasks_of
from jobyard_cli.check.schema import compiled, part_findings
from jobyard_cli.parsing.documents import Document, KeyPath
from jobyard_cli.team.repo import TeamRepo

_COMPILED = {"output", "priority_class"}
"""Fields of a pod that a release alone has."""
_WRITTEN = {"concurrency", "priority"}
"""Fields of a pod that job.yaml has, and a release elsewhere or under another name."""
POD_ALONE = frozenset((Task.__annotations__.keys() - EveryTask.__annotations__.keys() - _COMPILED) | _WRITTEN)
"""What a task without a pod can't have."""


def check_types(document: Document, repo: TeamRepo) -> Iterator[Finding]:
    """A finding for each task whose type is unknown, or given what is not for it."""
    for name, task in tasks_of(document).items():
        path: KeyPath = ("tasks", name)
        if is_pod(task):
            if "with" in task:
                message = "'with' is for a task with a type; a pod has command, args and env"
                yield document.finding((*path, "with"), message, "type", at_key=True)
        elif isinstance(task["type"], str):
            yield from _typed(document, repo, path, task)


def _typed(document: Document, repo: TeamRepo, path: KeyPath, task: dict[str, Any]) -> Iterator[Finding]:
    chosen = repo.task_types.get(task["type"])
    if chosen is None:
        message = unknown("task type", task["type"], repo.task_types, "the platform has")
        yield document.finding((*path, "type"), message, "type")
        return
    for name in sorted(POD_ALONE & task.keys()):
        message = f"'{name}' is for pods, and a task of type '{task['type']}' has none"
        yield document.finding((*path, name), message, "type", at_key=True)
    given = task.get("with", {})
    schema = _schema(json.dumps(mapping(chosen.get("with"))))
    yield from part_findings(document, (*path, "with"), given, schema)


@lru_cache(maxsize=256)
def _schema(text: str) -> Any:
    return compiled(json.loads(text))
