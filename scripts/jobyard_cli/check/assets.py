"""Assets that a job writes: each starts all jobs that wait for it, so it has to be the team's."""

from __future__ import annotations

import re
from collections.abc import Iterator

from jobyard_cli.check.findings import Finding
from jobyard_cli.check.parts import tasks_of
from jobyard_cli.parsing.documents import Document
from jobyard_cli.platform.data import AREAS
from jobyard_cli.team.repo import TeamRepo

_ASSET = re.compile(r"(s3|x-(?!jobyard:)[a-z0-9-]+)://[A-Za-z0-9][A-Za-z0-9._~!$&'()*+,;=:/-]*")


def check_assets(document: Document, repo: TeamRepo) -> Iterator[Finding]:
    """A finding for each output that is not the team's to write; which bucket is its data's, the platform knows."""
    for name, task in tasks_of(document).items():
        outputs = task.get("outputs")
        for number, uri in enumerate(outputs if isinstance(outputs, list) else []):
            # What is no asset at all, the schema has said.
            if isinstance(uri, str) and _ASSET.fullmatch(uri) and (problem := _problem(repo, uri)):
                yield document.finding(("tasks", name, "outputs", number), problem, "asset")


def _problem(repo: TeamRepo, uri: str) -> str | None:
    if {"", ".", ".."} & set(uri.partition("://")[2].rstrip("/").split("/")[1:]):
        return f"asset '{uri}' has a part that is empty, '.' or '..'"
    own = re.compile(rf"x-{re.escape(repo.team)}://.*|s3://[^/]+/({'|'.join(AREAS)})/{re.escape(repo.team)}/.+")
    listed = any(uri == one or (one.endswith("/") and uri.startswith(one)) for one in repo.assets)
    if listed or own.fullmatch(uri):
        return None
    places = f"s3://<data bucket>/<{'|'.join(AREAS)}>/{repo.team}/…"
    return (
        f"asset '{uri}' is not the team's to write: a job may write x-{repo.team}://…, {places}, "
        "and what `assets` in values/team.yaml lists"
    )
