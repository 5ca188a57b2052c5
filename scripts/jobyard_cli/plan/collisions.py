"""Jobs that start in the same minute and ask for more together than the team may have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from jobyard_cli.check.timing import has_clock
from jobyard_cli.plan.model import Caution
from jobyard_cli.plan.quota import NOTHING, Amount, at_start
from jobyard_cli.plan.runs import upcoming

DAYS = 32
"""As far is looked ahead: monthly jobs come in it."""
MOST_RUNS = 300
MOST_NAMES = 5
Jobs = Mapping[str, Mapping[str, Any]]


def collisions(changed: set[str], jobs: Jobs, quotas: Mapping[str, Amount], now: datetime) -> Iterator[Caution]:
    """A warning for changed jobs that start with others and fit the quota only one by one: of each, the first time."""
    if not quotas or not changed:
        return
    asked = {name: at_start(job) for name, job in jobs.items()}
    told: set[tuple[str, str]] = set()
    for moment, names in sorted(_starts(jobs, now).items()):
        about = next((name for name in names if name in changed), None)
        for environment, quota in quotas.items():
            if about is None or len(names) == 1 or (environment, about) in told:
                continue
            if over := _over(names, asked, quota):
                told.add((environment, about))
                with_others = f"it starts together with {_listed([name for name in names if name != about])}"
                when = f"at {moment:%Y-%m-%d %H:%M} UTC"
                yield Caution(about, f"in '{environment}' {with_others} {when}; they ask for {over}")


def _over(names: list[str], asked: Mapping[str, Amount], quota: Amount) -> str:
    """Of what the jobs ask for too much, where each alone does not: that is another warning's."""
    if any(list(asked[name].over(quota)) for name in names):
        return ""
    return ", ".join(sum((asked[name] for name in names), NOTHING).over(quota))


def _listed(names: list[str]) -> str:
    shown = ", ".join(f"'{name}'" for name in names[:MOST_NAMES])
    return f"{shown} and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else shown


def _starts(jobs: Jobs, now: datetime) -> dict[datetime, list[str]]:
    """Minutes in which runs start, with the jobs' names; not jobs that wait for others first."""
    starts: dict[datetime, list[str]] = {}
    for name, job in sorted(jobs.items()):
        if has_clock(job["schedule"]) and not job.get("wait_for"):
            for _, end in islice(upcoming(job, now), MOST_RUNS):
                if end > now + timedelta(days=DAYS):
                    break
                starts.setdefault(end.astimezone(UTC), []).append(name)
    return starts
