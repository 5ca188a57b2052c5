"""What a person should know before a change is merged; few, so that each is read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise

from jobyard.entries import Job, Task, Timing

from jobyard_cli.check.timing import has_clock
from jobyard_cli.parsing.durations import duration_text
from jobyard_cli.plan.collisions import collisions
from jobyard_cli.plan.model import ADDED, CHANGED, REMOVED, RENAMED, Caution, JobChange, Jobs
from jobyard_cli.plan.quota import Amount, Shares, after_oom, at_start, instances, of_task
from jobyard_cli.plan.requests import misfits
from jobyard_cli.plan.runs import COUNTED, missed, upcoming_starts
from jobyard_cli.plan.waits import foreseen, waits
from jobyard_cli.platform.published import KnownJobs
from jobyard_cli.usage.advice import Advice

MANY = 5
"""The plan warns of catchup from this number of runs on."""
_LOOKED_AT = 50
_WHEN = tuple(Timing.__annotations__)


@dataclass(frozen=True)
class Situation:
    """What changes, and what is around it: the known jobs of all teams; quotas and advice by environment."""

    team: str
    before: Jobs
    after: Jobs
    quotas: Mapping[str, Amount]
    others: KnownJobs
    now: datetime
    advice: Mapping[str, Advice] = field(default_factory=dict)


def warnings(changes: Sequence[JobChange], situation: Situation) -> list[Caution]:
    """Return all warnings, by job."""
    cautions: set[Caution] = set()
    starting: set[str] = set()
    for change in changes:
        if change.kind in (REMOVED, RENAMED):
            cautions.update(_awaited(change.was or change.name, situation))
        if change.kind != REMOVED:
            cautions.update(_of_job(change, situation))
            cautions.update(misfits(change, situation.after[change.name], situation.advice, situation.now))
        if _starts_otherwise(change, situation):
            starting.add(change.name)
    cautions.update(_of_starts(starting, situation))
    return sorted(cautions)


def _of_starts(starting: set[str], situation: Situation) -> Iterator[Caution]:
    """Warnings of jobs that start otherwise: how long they wait where that is known, else with what they collide."""
    if not starting:
        return
    jobs, quotas, now = situation.after, situation.quotas, situation.now
    known = foreseen(quotas, situation.advice)
    yield from waits(starting, jobs, known, situation.advice, now)
    others = {name: quota for name, quota in quotas.items() if name not in known}
    yield from collisions(starting, jobs, others, now)


def _starts_otherwise(change: JobChange, situation: Situation) -> bool:
    """Whether a job starts at other moments than before, or asks for something else then."""
    if change.kind != CHANGED:
        return change.kind == ADDED
    before = situation.before[change.name]
    after = situation.after[change.name]
    return at_start(before) != at_start(after) or bool(_changed(before, after, _WHEN))


def _changed(before: Job, after: Job, names: Sequence[str]) -> list[str]:
    """Those of the fields that differ."""
    old: Mapping[str, object] = before
    new: Mapping[str, object] = after
    return [name for name in names if old[name] != new[name]]


def _of_job(change: JobChange, situation: Situation) -> Iterator[Caution]:
    name = change.name
    before = situation.before.get(name)
    job = situation.after[name]
    if change.kind != RENAMED:
        yield from _over_quota(name, job, situation.quotas)
    if has_clock(job["schedule"]):
        yield from _overlapping(name, job, situation.now)
        if before is None:
            yield from _catching_up(name, job, situation.now)
        else:
            yield from _moved(name, before, job)


def _awaited(old_name: str, situation: Situation) -> Iterator[Caution]:
    """A warning for each job that starts after, or waits for, a job whose name is gone."""
    dag_id = f"{situation.team}.{old_name}"
    for other, job in sorted(situation.others.items()):
        schedule = job.get("schedule")
        if isinstance(schedule, dict) and dag_id in schedule.get("after", []):
            yield Caution(old_name, f"job '{other}' starts after '{dag_id}', which no longer runs under this name")
        elif dag_id in job.get("wait_for", []):
            yield Caution(old_name, f"job '{other}' waits for '{dag_id}', which no longer runs under this name")


def _over_quota(name: str, job: Job, quotas: Mapping[str, Amount]) -> Iterator[Caution]:
    for task_name, task in job["tasks"].items():
        for environment, quota in quotas.items():
            number = instances(job, task)
            if isinstance(quota, Shares):
                problem = _waits(task_name, task, number, quota)
            else:
                problem = _too_much(task_name, task, number, quota)
            if problem:
                yield Caution(name, f"in '{environment}' {problem}")


def _too_much(name: str, task: Task, number: int, quota: Amount) -> str:
    """What of a task exceeds the quota: a pod, its instances together, or either of them after an OOM."""
    pod, grown = of_task(task), after_oom(task)
    together = f"{number} instances of task '{name}' may run at once and ask for"
    if excess := _excess(pod, quota):
        return f"no pod of task '{name}' can start: it asks for {excess}"
    if excess := _excess(pod.times(number), quota):
        return f"{together} {excess}; those over the quota wait for others to end"
    if excess := _excess(grown, quota):
        return f"a pod of task '{name}' can't start again after an OOM: it may ask for {excess}"
    if excess := _excess(grown.times(number), quota):
        return f"{together} {excess} after an OOM of each; those over the quota wait for others to end"
    return ""


def _waits(name: str, task: Task, number: int, shares: Shares) -> str:
    """What of a task waits in the team's queue, or for other teams, or for ever."""
    pod, grown = of_task(task, shares), after_oom(task, shares)
    together = f"{number} instances of task '{name}' may run at once and ask for"
    again = f"a pod of task '{name}' that starts again after an OOM"
    if excess := _beyond(pod, shares):
        return f"no pod of task '{name}' can start, nor borrow what it lacks: it asks for {excess}"
    if excess := _excess(pod, shares):
        return f"a pod of task '{name}' waits until other teams lend it quota: it asks for {excess}"
    if excess := _beyond(grown, shares):
        return f"{again} waits for ever, as it can't borrow what it lacks: it may ask for {excess}"
    if excess := _excess(grown, shares):
        return f"{again} waits until other teams lend it quota: it may ask for {excess}"
    if excess := _excess(pod.times(number), shares):
        return f"{together} {excess}; those over the quota wait in the queue or borrow, and lose no try"
    return ""


def _beyond(amount: Amount, shares: Shares) -> str:
    """What a team can neither have nor borrow, of the kinds of which that is bounded."""
    bounded = {kind: value for kind, value in amount.by_kind.items() if kind in shares.most.by_kind}
    return _excess(Amount(bounded), shares.most)


def _excess(amount: Amount, quota: Amount) -> str:
    return ", ".join(amount.over(quota))


def _overlapping(name: str, job: Job, now: datetime) -> Iterator[Caution]:
    """Runs that may last longer than until the next starts, where the job lets them run beside each other."""
    if job["max_active_runs"] == 1 or job["timeout"] is None:
        return
    shortest = timedelta.max
    for start, next_start in pairwise(upcoming_starts(job, now, _LOOKED_AT)):
        shortest = min(shortest, next_start - start)
    if shortest < timedelta(seconds=job["timeout"]):
        gap = duration_text(int(shortest.total_seconds()))
        overlap = f"a run may take {duration_text(job['timeout'])} and the next starts {gap} after it"
        yield Caution(name, f"{overlap}: up to {job['max_active_runs']} runs at once (max_active_runs)")


def _catching_up(name: str, job: Job, now: datetime) -> Iterator[Caution]:
    if not job["catchup"]:
        return
    number = missed(job, now)
    if number < MANY:
        return
    runs = f"{number:,}"
    if number == COUNTED:
        runs += " or more"
    message = f"catchup makes {runs} runs since {job['start_date']} as soon as Airflow has the job"
    yield Caution(name, f"{message}, {job['max_active_runs']} at a time")


def _moved(name: str, before: Job, job: Job) -> Iterator[Caution]:
    moved = _changed(before, job, ("schedule", "timezone", "start_date"))
    if moved and job["catchup"] and before["catchup"]:
        yield Caution(
            name,
            f"{' and '.join(moved)} changed while catchup is on: Airflow continues from the last run it has; "
            "it neither repeats runs nor creates those before the first (a backfill does)",
        )
