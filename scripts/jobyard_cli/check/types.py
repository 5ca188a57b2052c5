"""Check tasks without a pod: the type must exist, and have the arguments that it takes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from jobyard.entries import EveryTask, Task

from jobyard_cli.check.findings import Finding, unknown
from jobyard_cli.check.parts import is_pod, mapping, tasks_of
from jobyard_cli.check.schema import compiled, part_findings
from jobyard_cli.parsing.documents import Document, KeyPath
from jobyard_cli.team.repo import TeamRepo

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator

_COMPILED = {"on_oom", "output", "priority_class"}
# Fields of a pod that job.yaml does not have, or not there.
_WRITTEN = {"concurrency", "priority"}
# Fields of a pod in job.yaml that a release has elsewhere or under another name.
POD_ONLY = frozenset((Task.__annotations__.keys() - EveryTask.__annotations__.keys() - _COMPILED) | _WRITTEN)
# Keys that apply to pods only.


def check_types(document: Document, repo: TeamRepo) -> Iterator[Finding]:
    """Yield a finding for each task whose type is unknown, or that has keys that do not apply to its type."""
    for name, task in tasks_of(document).items():
        path: KeyPath = ("tasks", name)
        if is_pod(task):
            if "with" in task:
                message = "'with' requires a type; a pod has command, args and env"
                yield document.finding((*path, "with"), message, "task-type", at_key=True)
        elif isinstance(task["type"], str):
            yield from _typed(document, repo, path, task)


def _typed(document: Document, repo: TeamRepo, path: KeyPath, task: dict[str, Any]) -> Iterator[Finding]:
    task_type = repo.task_types.get(task["type"])
    if task_type is None:
        message = unknown("task type", task["type"], repo.task_types, "the platform has")
        yield document.finding((*path, "type"), message, "task-type")
        return
    for name in sorted(POD_ONLY & task.keys()):
        message = f"'{name}' applies to pods only; a task of type '{task['type']}' runs without one"
        yield document.finding((*path, name), message, "task-type", at_key=True)
    arguments = task.get("with", {})
    schema = _schema(json.dumps(mapping(task_type.get("with"))))
    yield from part_findings(document, (*path, "with"), arguments, schema)


@lru_cache(maxsize=256)
def _schema(text: str) -> Draft202012Validator:
    return compiled(json.loads(text))
