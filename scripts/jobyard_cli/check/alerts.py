"""Check that a deadline and its alert go together."""

from __future__ import annotations

from collections.abc import Iterator

from jobyard_cli.check.findings import Finding
from jobyard_cli.check.parts import mapping
from jobyard_cli.check.timing import has_clock
from jobyard_cli.parsing.documents import Document
from jobyard_cli.team.repo import TeamRepo


def check_alerts(document: Document, repo: TeamRepo) -> Iterator[Finding]:
    """Yield a finding for each deadline without an alert or a cron schedule, and each such alert without a deadline."""
    del repo
    job = document.data
    has_alert = "on_missed_deadline" in mapping(job.get("alerts"))
    has_deadline = "deadline" in job
    if has_alert and not has_deadline:
        message = "'on_missed_deadline' requires a deadline; add one, such as deadline: 4h"
        yield document.finding(("alerts", "on_missed_deadline"), message, "deadline", at_key=True)
    if has_deadline and not has_alert:
        message = (
            "'deadline' requires an alert; add alerts: {on_missed_deadline: […]}, or use timeout to end a long run"
        )
        yield document.finding(("deadline",), message, "deadline", at_key=True)
    if has_deadline and not has_clock(job.get("schedule", "@daily")):
        message = "'deadline' requires a cron schedule: Airflow 2 counts it from the time at which the run was due"
        yield document.finding(("deadline",), message, "deadline", at_key=True)
