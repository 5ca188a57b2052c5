"""Find environment variables that are set twice."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from jobyard_cli.check.findings import Finding
from jobyard_cli.check.parts import defaults_of, is_pod, mapping, tasks_of
from jobyard_cli.parsing.documents import Document, KeyPath
from jobyard_cli.team.repo import TeamRepo


def check_variables(document: Document, repo: TeamRepo) -> Iterator[Finding]:
    """Yield a finding for each variable that a task gets from both `env` and `secrets`."""
    del repo
    defaults = defaults_of(document)
    for task_name, task in tasks_of(document).items():
        if not is_pod(task):
            continue
        for name in sorted(_names(task, defaults, "env") & _names(task, defaults, "secrets")):
            message = f"'{name}' must be set either in env or in secrets; got both"
            yield document.finding(_path(task_name, task, name), message, "secrets", at_key=True)


def _names(task: dict[str, Any], defaults: dict[str, Any], key: str) -> set[str]:
    return mapping(defaults.get(key)).keys() | mapping(task.get(key)).keys()


def _path(task_name: str, task: dict[str, Any], variable: str) -> KeyPath:
    """Return the path of the variable in the task, or, if only the defaults have it, in those."""
    for key in ("secrets", "env"):
        if variable in mapping(task.get(key)):
            return ("tasks", task_name, key, variable)
    return ("defaults", "secrets", variable)
