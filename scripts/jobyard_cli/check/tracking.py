"""Check `mlflow` in values/team.yaml, which becomes a part of every task's environment."""

from __future__ import annotations

from collections.abc import Iterator

from jobyard_cli.check.findings import Finding
from jobyard_cli.check.parts import mapping
from jobyard_cli.check.schema import check_value
from jobyard_cli.check.template_uses import variable_findings
from jobyard_cli.check.templates import read_template
from jobyard_cli.team.repo import TeamRepo

NAME = "mlflow"


def check_tracking(repo: TeamRepo) -> Iterator[Finding]:
    """Yield a finding for each mistake in it; the chart's schema, if the repository has it, says what may be there."""
    document = repo.team_values
    if NAME not in mapping(document.data):
        return
    schema = repo.root / "charts/team/values.schema.json"
    findings = list(check_value(document, schema, NAME)) if schema.exists() else []
    yield from findings
    if not findings:
        used = read_template(str(repo.mlflow.get("trackingUri", ""))).variables
        yield from variable_findings(document, repo, (NAME, "trackingUri"), used)
