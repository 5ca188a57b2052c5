"""Warn of Secrets that the chart does not make for the team, where values/team.yaml names those that it makes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from jobyard_cli.check.findings import Finding, unknown
from jobyard_cli.check.parts import defaults_of, is_pod, mapping, tasks_of
from jobyard_cli.parsing.documents import Document, KeyPath
from jobyard_cli.team.repo import TeamRepo


def doubt_secret_names(document: Document, repo: TeamRepo) -> Iterator[Finding]:
    """Yield a warning for each; an administrator of the cluster may have made it, which no file says.

    A team that names none gets all its Secrets from an administrator.
    """
    if not repo.secrets:
        return
    yield from _unknown(document, repo, ("defaults",), defaults_of(document))
    for name, task in tasks_of(document).items():
        if is_pod(task):
            yield from _unknown(document, repo, ("tasks", name), task)


def _unknown(document: Document, repo: TeamRepo, path: KeyPath, part: dict[str, Any]) -> Iterator[Finding]:
    for variable, reference in mapping(part.get("secrets")).items():
        secret = str(reference).split("/", 1)[0]
        if secret not in repo.secrets:
            message = unknown("secret", secret, repo.secrets, "values/team.yaml has")
            yield document.warning((*path, "secrets", variable), message, "secret-name")
