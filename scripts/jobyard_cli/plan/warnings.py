"""What a person should know before a change is merged; few, so that each is read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

from jobyard.entries import Job, Timing

from jobyard_cli.check.timing import has_clock
from jobyard_cli.parsing.durations import duration_text
from jobyard_cli.plan.collisions import collisions
from jobyard_cli.plan.model import ADDED, CHANGED, REMOVED, RENAMED, Caution, JobChange, Jobs
from jobyard_cli.plan.quota import Amount, at_start, instances, of_task
from jobyard_cli.plan.runs import COUNTED, missed, upcoming
from jobyard_cli.platform.published import KnownJobs

MANY = 5
"""The plan warns of catchup from this number of runs on."""
_LOOKED_AT = 50
_WHEN = tuple(Timing.__annotations__)


@dataclass(frozen=True)
class Situation:
    """What changes, and what is around it: quotas by environment, and the known jobs of all teams."""

    team: str
    before: Jobs
    after: Jobs
    quotas: Mapping[str, Amount]
    others: KnownJobs
    now: datetime


def warnings(changes: Sequence[JobChange], around: Situation) -> list[Caution]:
    """Return all warnings, by job."""
    cautions: list[Caution] = []
    for change in changes:
        if change.kind in (REMOVED, RENAMED):
            cautions += _followed(change.was or change.name, around)
        if change.kind != REMOVED:
            cautions += _of_job(change, around)
    starting = {change.name for change in changes if _starts_otherwise(change, around)}
    return sorted({*cautions, *collisions(starting, around.after, around.quotas, around.now)})


def _starts_otherwise(change: JobChange, around: Situation) -> bool:
    """Whether a job starts at other moments than before, or asks for something else then."""
    if change.kind != CHANGED:
        return change.kind == ADDED
    before = around.before[change.name]
    after = around.after[change.name]
    return at_start(before) != at_start(after) or bool(_changed(before, after, _WHEN))


def _changed(before: Job, after: Job, names: Sequence[str]) -> list[str]:
    """Those of the fields that differ."""
    old: Mapping[str, object] = before
    new: Mapping[str, object] = after
    return [name for name in names if old[name] != new[name]]


def _of_job(change: JobChange, around: Situation) -> Iterator[Caution]:
    name = change.name
    before = around.before.get(name)
    job = around.after[name]
    if change.kind != RENAMED:
        yield from _over_quota(name, job, around.quotas)
    if has_clock(job["schedule"]):
        yield from _overlapping(name, job, around.now)
        if before is None:
            yield from _catching_up(name, job, around.now)
        else:
            yield from _moved(name, before, job)


def _followed(gone: str, around: Situation) -> Iterator[Caution]:
    name = f"{around.team}.{gone}"
    for other, job in sorted(around.others.items()):
        schedule = job.get("schedule")
        if isinstance(schedule, dict) and name in schedule.get("after", []):
            yield Caution(gone, f"job '{other}' starts after '{name}', which no longer runs under this name")
        elif name in job.get("wait_for", []):
            yield Caution(gone, f"job '{other}' waits for '{name}', which no longer runs under this name")


def _over_quota(name: str, job: Job, quotas: Mapping[str, Amount]) -> Iterator[Caution]:
    for task_name, task in job["tasks"].items():
        for environment, quota in quotas.items():
            number = instances(job, task)
            pod = of_task(task)
            if excess := ", ".join(pod.over(quota)):
                yield Caution(name, f"in '{environment}' no pod of task '{task_name}' can start: it asks for {excess}")
            elif excess := ", ".join(pod.times(number).over(quota)):
                what = f"{number} instances of task '{task_name}' may run at once and ask for {excess}"
                yield Caution(name, f"in '{environment}' {what}; those over the quota fail and are retried")


def _overlapping(name: str, job: Job, now: datetime) -> Iterator[Caution]:
    """Runs that may last longer than until the next starts, where the job lets them run beside each other."""
    if job["max_active_runs"] == 1 or job["timeout"] is None:
        return
    ends = [end for _, end in islice(upcoming(job, now), _LOOKED_AT)]
    between = min((later - end for end, later in zip(ends, ends[1:], strict=False)), default=timedelta.max)
    if between < timedelta(seconds=job["timeout"]):
        words = f"a run may take {duration_text(job['timeout'])} and the next starts {_span(between)} after it"
        yield Caution(name, f"{words}: up to {job['max_active_runs']} runs at once (max_active_runs)")


def _span(between: timedelta) -> str:
    return duration_text(int(between.total_seconds()))


def _catching_up(name: str, job: Job, now: datetime) -> Iterator[Caution]:
    number = missed(job, now) if job["catchup"] else 0
    if number >= MANY:
        many = f"{number:,} or more" if number == COUNTED else f"{number:,}"
        at_once = f"{job['max_active_runs']} at a time"
        yield Caution(
            name, f"catchup makes {many} runs since {job['start_date']} as soon as Airflow has the job, {at_once}"
        )


def _moved(name: str, before: Job, job: Job) -> Iterator[Caution]:
    moved = _changed(before, job, ("schedule", "timezone", "start_date"))
    if moved and job["catchup"] and before["catchup"]:
        yield Caution(
            name,
            f"{' and '.join(moved)} changed while catchup is on: Airflow continues from the last run it has; "
            "it neither repeats runs nor creates those before the first (a backfill does)",
        )
