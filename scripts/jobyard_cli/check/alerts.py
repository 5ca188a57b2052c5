"""Alerts that could never be sent."""

from __future__ import annotations

from collections.abc import Iterator

from jobyard_cli.check.findings import Finding
from jobyard_cli.check.parts import mapping
from jobyard_cli.check.timing import has_clock
from jobyard_cli.parsing.documents import Document
from jobyard_cli.team.repo import TeamRepo


def check_alerts(document: Document, repo: TeamRepo) -> Iterator[Finding]:
    """A finding where a deadline and the alert of it do not go together."""
    del repo
    job = document.data
    told = "on_missed_deadline" in mapping(job.get("alerts"))
    if told and "deadline" not in job:
        message = "there is no deadline to miss; add deadline: 4h, or what the run may take"
        yield document.finding(("alerts", "on_missed_deadline"), message, "deadline", at_key=True)
    if "deadline" in job and not told:
        message = (
            "nobody is told of a missed deadline; add alerts: {on_missed_deadline: […]}, or use timeout to end the run"
        )
        yield document.finding(("deadline",), message, "deadline", at_key=True)
    if "deadline" in job and not has_clock(job.get("schedule", "@daily")):
        message = "a deadline needs a cron schedule: Airflow 2 counts it from when a run was due"
        yield document.finding(("deadline",), message, "deadline", at_key=True)
