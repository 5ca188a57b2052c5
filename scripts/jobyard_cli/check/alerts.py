"""Check that an alert goes together with the limit that it is about."""

from __future__ import annotations

from collections.abc import Iterator

from jobyard_cli.check.findings import Finding
from jobyard_cli.check.parts import defaults_of, is_pod, mapping, tasks_of
from jobyard_cli.check.timing import has_clock
from jobyard_cli.parsing.documents import Document
from jobyard_cli.team.repo import TeamRepo


def check_alerts(document: Document, repo: TeamRepo) -> Iterator[Finding]:
    """Yield a finding for each deadline without an alert or a cron schedule, and each alert without its limit."""
    del repo
    job = document.data
    yield from _queue_timeout(document)
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


def _queue_timeout(document: Document) -> Iterator[Finding]:
    parts = [defaults_of(document), *filter(is_pod, tasks_of(document).values())]
    has_alert = "on_queue_timeout" in mapping(document.data.get("alerts"))
    if has_alert and not any("queue_timeout" in part for part in parts):
        message = (
            "'on_queue_timeout' requires a queue_timeout; add one to a task or to defaults, such as queue_timeout: 6h"
        )
        yield document.finding(("alerts", "on_queue_timeout"), message, "timeout", at_key=True)
