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
Jobs = Mapping[str, Mapping[str, Any]]


def collisions(changed: set[str], jobs: Jobs, quotas: Mapping[str, Amount], now: datetime) -> Iterator[Caution]:
    """A warning for each set of jobs, one of them changed, that start together and fit the quota only one by one."""
    if not quotas or not changed:
        return
    asked = {name: at_start(job) for name, job in jobs.items()}
    told: set[tuple[str, ...]] = set()
    for moment, names in sorted(_starts(jobs, now).items()):
        if len(names) > 1 and changed.intersection(names) and tuple(names) not in told:
            told.add(tuple(names))
            yield from _together(moment, names, changed, asked, quotas)


def _together(
    moment: datetime, names: list[str], changed: set[str], asked: Mapping[str, Amount], quotas: Mapping[str, Amount]
) -> Iterator[Caution]:
    about = next(name for name in names if name in changed)
    others = ", ".join(f"'{name}'" for name in names if name != about)
    whole = sum((asked[name] for name in names), NOTHING)
    for environment, quota in quotas.items():
        fitting = [name for name in names if not list(asked[name].over(quota))]
        if len(fitting) == len(names) and (over := ", ".join(whole.over(quota))):
            when = f"at {moment:%Y-%m-%d %H:%M} UTC"
            yield Caution(about, f"in '{environment}' it starts together with {others} {when}; they ask for {over}")


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
