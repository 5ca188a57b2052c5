"""Check what a schema cannot express: that names exist, nodes are large enough, dates are in order."""

from __future__ import annotations

from collections.abc import Iterator

from jobyard.entries import Job

from jobyard_cli.check.alerts import check_alerts
from jobyard_cli.check.assets import check_assets
from jobyard_cli.check.environment_limits import check_environment_limits
from jobyard_cli.check.findings import Finding
from jobyard_cli.check.flow import check_flow
from jobyard_cli.check.machines import check_machines
from jobyard_cli.check.more_memory import check_more_memory, doubt_more_memory
from jobyard_cli.check.names import check_names
from jobyard_cli.check.other_jobs import check_other_jobs
from jobyard_cli.check.parameters import check_parameters
from jobyard_cli.check.secret_names import doubt_secret_names
from jobyard_cli.check.template_uses import check_templates
from jobyard_cli.check.time_limits import doubt_time_limits
from jobyard_cli.check.timing import check_timing
from jobyard_cli.check.types import check_types
from jobyard_cli.check.variables import check_variables
from jobyard_cli.parsing.documents import Document
from jobyard_cli.team.repo import TeamRepo

CHECKS = (
    check_timing,
    check_other_jobs,
    check_names,
    check_machines,
    check_more_memory,
    check_environment_limits,
    check_types,
    check_flow,
    check_templates,
    check_variables,
    check_parameters,
    check_alerts,
    check_assets,
)


def check_meaning(document: Document, repo: TeamRepo) -> Iterator[Finding]:
    """Yield a finding for each part of a job that the schema allows and that cannot work."""
    if isinstance(document.data, dict):
        for check in CHECKS:
            yield from check(document, repo)


def doubts(document: Document, job: Job, repo: TeamRepo) -> Iterator[Finding]:
    """Yield a warning for each part of a compiled job, in whose file nothing was found, that may not work."""
    yield from doubt_time_limits(document, job, repo)
    yield from doubt_more_memory(document, repo)
    yield from doubt_secret_names(document, repo)
