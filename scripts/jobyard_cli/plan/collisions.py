"""Jobs that start in the same minute and ask for more together than the team may have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import islice

from jobyard.entries import Job

from jobyard_cli.check.timing import has_clock
from jobyard_cli.plan.model import Caution, Jobs
from jobyard_cli.plan.quota import NOTHING, Amount, at_start
from jobyard_cli.plan.runs import upcoming

DAYS = 32
"""Look-ahead, in days; it covers every monthly job."""
MOST_RUNS = 300
MOST_NAMES = 5


def collisions(changed: set[str], jobs: Jobs, quotas: Mapping[str, Amount], now: datetime) -> Iterator[Caution]:
    """Yield a warning for changed jobs that start together and exceed the quota only together: each first time."""
    if not quotas or not changed:
        return
    asked = {name: at_start(job) for name, job in jobs.items()}
    warned: set[tuple[str, str]] = set()
    for moment, names in sorted(_starts(jobs, now).items()):
        name = next((name for name in names if name in changed), None)
        if name is None or len(names) == 1:
            continue
        for environment, quota in quotas.items():
            over = "" if (environment, name) in warned else _over(names, asked, quota)
            if over:
                warned.add((environment, name))
                yield Caution(name, f"in '{environment}' {_together(name, names, moment)}; they ask for {over}")


def _over(names: list[str], asked: Mapping[str, Amount], quota: Amount) -> str:
    """Of what the jobs ask for too much, where each alone does not: that is another warning's."""
    if any(list(asked[name].over(quota)) for name in names):
        return ""
    return ", ".join(sum((asked[name] for name in names), NOTHING).over(quota))


def _together(name: str, names: list[str], moment: datetime) -> str:
    others = [other for other in names if other != name]
    return f"it starts together with {_listed(others)} at {moment:%Y-%m-%d %H:%M} UTC"


def _listed(names: list[str]) -> str:
    listed = ", ".join(f"'{name}'" for name in names[:MOST_NAMES])
    return f"{listed} and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else listed


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
    for _, end in islice(upcoming(job, now), MOST_RUNS):
        if end > last:
            return
        yield end.astimezone(UTC)
