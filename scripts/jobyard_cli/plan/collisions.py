"""Jobs that start in the same minute and ask for more together than the team may have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta

from jobyard.entries import Job

from jobyard_cli.check.timing import has_clock
from jobyard_cli.plan.model import Caution, Jobs
from jobyard_cli.plan.phrases import shortened
from jobyard_cli.plan.quota import NOTHING, Amount, at_start
from jobyard_cli.plan.runs import upcoming_starts

DAYS = 32
"""Look-ahead, in days; it covers every monthly job."""
MOST_RUNS = 300
MOST_NAMES = 5


def collisions(changed: set[str], jobs: Jobs, quotas: Mapping[str, Amount], now: datetime) -> Iterator[Caution]:
    """Yield a warning for changed jobs that start together and exceed the quota only together: each first time."""
    if not quotas or not changed:
        return
    requests = {environment: _requests(jobs, quota) for environment, quota in quotas.items()}
    warned: set[tuple[str, str]] = set()
    for moment, names in sorted(_starts(jobs, now).items()):
        name = min(changed.intersection(names), default=None)
        if name is None or len(names) == 1:
            continue
        for environment, quota in quotas.items():
            if (environment, name) in warned:
                continue
            if excess := _excess(names, requests[environment], quota):
                warned.add((environment, name))
                yield Caution(name, f"in '{environment}' {_together(name, names, moment)}; they ask for {excess}")


def _requests(jobs: Jobs, quota: Amount) -> dict[str, Amount]:
    return {name: at_start(job, quota) for name, job in jobs.items()}


def _excess(names: list[str], requests: Mapping[str, Amount], quota: Amount) -> str:
    """What the jobs request together beyond the quota; empty if one of them alone does: another warning says so."""
    total = NOTHING
    for name in names:
        if any(requests[name].over(quota)):
            return ""
        total += requests[name]
    return ", ".join(total.over(quota))


def _together(name: str, names: list[str], moment: datetime) -> str:
    others = names.copy()
    others.remove(name)
    return f"it starts together with {shortened(others, MOST_NAMES)} at {moment:%Y-%m-%d %H:%M} UTC"


def _starts(jobs: Jobs, now: datetime) -> dict[datetime, list[str]]:
    """Minutes in which runs start, with the jobs' names; not jobs that wait for others first."""
    starts: dict[datetime, list[str]] = {}
    for name, job in sorted(jobs.items()):
        if has_clock(job["schedule"]) and not job.get("wait_for"):
            for moment in _starts_of(job, now):
                starts.setdefault(moment, []).append(name)
    return starts


def _starts_of(job: Job, now: datetime) -> Iterator[datetime]:
    last = now + timedelta(days=DAYS)
    for start in upcoming_starts(job, now, MOST_RUNS):
        if start > last:
            return
        yield start.astimezone(UTC)
