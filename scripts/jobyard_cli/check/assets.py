"""Check the assets that a job updates: an update starts every job that is scheduled on the asset."""

from __future__ import annotations

import re
from collections.abc import Iterator

from jobyard_cli.check.findings import Finding
from jobyard_cli.check.parts import list_of, tasks_of
from jobyard_cli.parsing.documents import Document
from jobyard_cli.platform.data import AREAS
from jobyard_cli.team.repo import TeamRepo

_ASSET = re.compile(r"(s3|x-(?!jobyard:)[a-z0-9-]+)://[A-Za-z0-9][A-Za-z0-9._~!$&'()*+,;=:/-]*")


def check_assets(document: Document, repo: TeamRepo) -> Iterator[Finding]:
    """Yield a finding for each output that the team may not update.

    Any bucket is accepted here; only the platform knows which one holds the team's data.
    """
    for name, task in tasks_of(document).items():
        for index, asset in enumerate(list_of(task.get("outputs"))):
            # The schema reports malformed assets.
            if not isinstance(asset, str) or not _ASSET.fullmatch(asset):
                continue
            if problem := _problem(repo, asset):
                yield document.finding(("tasks", name, "outputs", index), problem, "asset")


def _problem(repo: TeamRepo, asset: str) -> str | None:
    segments = asset.partition("://")[2].rstrip("/").split("/")[1:]
    if not {"", ".", ".."}.isdisjoint(segments):
        return f"asset '{asset}' must not have an empty segment, '.' or '..' in its path"
    areas = "|".join(AREAS)
    own = re.compile(rf"x-{re.escape(repo.team)}://.*|s3://[^/]+/({areas})/{re.escape(repo.team)}/.+")
    if own.fullmatch(asset) or any(_covers(allowed, asset) for allowed in repo.assets):
        return None
    return (
        f"asset '{asset}' does not belong to team {repo.team}; its jobs may update x-{repo.team}://…, "
        f"s3://<data bucket>/<{areas}>/{repo.team}/…, and the assets listed in values/team.yaml"
    )


def _covers(allowed: str, asset: str) -> bool:
    """Return whether an entry of the team's list allows the asset: a prefix if it ends with a slash, or the same."""
    return asset == allowed or (allowed.endswith("/") and asset.startswith(allowed))
