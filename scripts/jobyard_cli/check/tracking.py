"""Check `mlflow` in values/team.yaml, which becomes a part of every task's environment."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from jobyard_cli.check.findings import Finding
from jobyard_cli.check.parts import mapping
from jobyard_cli.check.schema import compiled, part_findings
from jobyard_cli.check.template_uses import variable_findings
from jobyard_cli.check.templates import read_template
from jobyard_cli.team.repo import TeamRepo

NAME = "mlflow"


def check_tracking(repo: TeamRepo) -> Iterator[Finding]:
    """Yield a finding for each mistake in it; the chart's schema, which the repository has, says what may be there."""
    document = repo.team_values
    if NAME not in mapping(document.data):
        return
    findings = list(part_findings(document, (NAME,), document.data[NAME], compiled(_schema(repo))))
    yield from findings
    if not findings:
        used = read_template(str(repo.mlflow.get("trackingUri", ""))).variables
        yield from variable_findings(document, repo, (NAME, "trackingUri"), used)


def _schema(repo: TeamRepo) -> dict[str, Any]:
    """Return the schema of the part; an empty one, which anything fits, where the chart is older."""
    file = repo.root / "charts/team/values.schema.json"
    properties: dict[str, Any] = json.loads(file.read_text())["properties"] if file.exists() else {}
    return dict(properties.get(NAME, {}))
