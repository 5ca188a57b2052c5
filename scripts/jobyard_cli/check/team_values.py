"""Check values/team.yaml, and what the team sets for one environment, before the jobs that use it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from jobyard_cli.check.findings import Finding
from jobyard_cli.check.schema import check_some_values
from jobyard_cli.check.template_uses import variable_findings
from jobyard_cli.check.templates import read_template
from jobyard_cli.parsing.documents import Document
from jobyard_cli.platform.teams import merged
from jobyard_cli.team.repo import TEAM_VALUES, TeamRepo

NEEDED = ("team", "allowedNodeGroups", "serviceAccounts", "priorities")
SCHEMA = "charts/team/values.schema.json"


def check_team_values(repo: TeamRepo) -> Iterator[Finding]:
    """Yield a finding for each mistake in the team's files of values.

    The chart's schema, if the repository has it, says what may be in them. Values of another type than the check
    expects make the document unreadable: its `findings` have them too.
    """
    document = repo.team_values
    if document.findings:
        return
    if not isinstance(document.data, dict):
        message = "the file must be a mapping with the keys team, allowedNodeGroups, serviceAccounts and priorities"
        yield document.finding((), message, "team")
        return
    for name in NEEDED:
        if not document.data.get(name):
            yield document.finding((name,), f"'{name}' must be set and not empty", "team")
    if document.path != TEAM_VALUES:
        # The platform's own team, whose file has values of the bounds' chart, too.
        return
    misfits = list(_misfits(repo, document, document.data))
    document.findings += [misfit for misfit in misfits if misfit.rule == "type"]
    yield from misfits
    if not misfits:
        yield from _tracking(repo)
    yield from _environments(repo, _sound(repo, document) if misfits else document.data)


def _misfits(repo: TeamRepo, document: Document, values: Mapping[str, Any]) -> Iterator[Finding]:
    schema = repo.root / SCHEMA
    if schema.exists() and schema not in repo.conflicted:
        yield from check_some_values(document, values, schema)


def _sound(repo: TeamRepo, document: Document) -> dict[str, Any]:
    """Return the values without those that have a mistake, which would be found again in each environment."""
    return {name: value for name, value in document.data.items() if not any(_misfits(repo, document, {name: value}))}


def _environments(repo: TeamRepo, values: Mapping[str, Any]) -> Iterator[Finding]:
    """Yield a finding for each mistake in the values for one environment, which Helm merges over the team's."""
    for document in repo.own_environments:
        if _is_blank(document.text):
            continue
        yield from document.findings
        if isinstance(document.data, dict):
            yield from _misfits(repo, document, merged(values, document.data))
        elif not document.findings:
            yield document.finding((), "the file must be a mapping of the chart's values", "type")


def _is_blank(text: str) -> bool:
    """Return whether a file has nothing but comments, and so sets nothing."""
    lines = (line.strip() for line in text.splitlines())
    return all(not line or line.startswith("#") for line in lines)


def _tracking(repo: TeamRepo) -> Iterator[Finding]:
    """Yield a finding for each Airflow Variable in the address of MLflow that a template may not read."""
    used = read_template(str(repo.mlflow.get("trackingUri", ""))).variables
    yield from variable_findings(repo.team_values, repo, ("mlflow", "trackingUri"), used)
