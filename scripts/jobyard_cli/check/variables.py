"""Environment variables that are set in two ways."""

from __future__ import annotations

from collections.abc import Iterator

from jobyard_cli.check.findings import Finding
from jobyard_cli.check.parts import defaults_of, is_pod, mapping, tasks_of
from jobyard_cli.parsing.documents import Document
from jobyard_cli.team.repo import TeamRepo


def check_variables(document: Document, repo: TeamRepo) -> Iterator[Finding]:
    """A finding for each variable that is given in `env` and read from a Secret too: it has one value."""
    del repo
    defaults = defaults_of(document)
    for task_name, task in tasks_of(document).items():
        if not is_pod(task):
            continue
        given = {key: {**mapping(defaults.get(key)), **mapping(task.get(key))} for key in ("env", "secrets")}
        for name in sorted(given["env"].keys() & given["secrets"].keys()):
            own = [("tasks", task_name, key, name) for key in ("secrets", "env") if name in mapping(task.get(key))]
            message = f"'{name}' is set in env and in secrets; only one can count"
            place = own[0] if own else ("defaults", "secrets", name)
            yield document.finding(place, message, "secrets", at_key=True)
