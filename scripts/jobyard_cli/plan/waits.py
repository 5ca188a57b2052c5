"""How long a team's tasks will wait for its quota, and at what hour: its week as Kueue would queue it.

Each task lasts as long as the median of its last runs. A task that is not known to have run lasts no time here, so that
the estimate is rather too short. Quota that other teams lend is left out: nobody knows when they do.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from heapq import heappop, heappush
from itertools import count, takewhile
from math import ceil

from jobyard.entries import Job, Task

from jobyard_cli.check.timing import has_clock
from jobyard_cli.parsing.durations import duration_text
from jobyard_cli.plan.model import Caution, Jobs
from jobyard_cli.plan.phrases import shortened
from jobyard_cli.plan.quota import NOTHING, Amount, Shares, instances, of_task
from jobyard_cli.plan.runs import upcoming_starts
from jobyard_cli.usage.advice import Advice

DAYS = 7
MOST_RUNS = 300
"""Of each job."""
LEAST = timedelta(minutes=5)
"""A shorter wait is nothing to warn of: a machine takes as long to start."""
MOST_NAMES = 3


@dataclass(frozen=True)
class Wait:
    """One pod that waits for quota; `running` are the tasks that have the quota when it begins to wait."""

    job: str
    task: str
    begin: datetime
    time: timedelta
    running: frozenset[str]


def waits(
    changed: set[str], jobs: Jobs, shares: Mapping[str, Shares], advice: Mapping[str, Advice], now: datetime
) -> Iterator[Caution]:
    """Yield a warning for the longest wait of each changed job in the next days, in each of these environments.

    `shares` are those that `foreseen` returns.
    """
    for environment, quota in shares.items():
        found: defaultdict[str, list[Wait]] = defaultdict(list)
        for wait in _simulated(jobs, changed, quota, _durations(advice[environment]), now):
            if wait.job in changed and wait.time >= LEAST:
                found[wait.job].append(wait)
        for name, of_job in found.items():
            yield Caution(name, f"in '{environment}' {_words(of_job)}")


def foreseen(quotas: Mapping[str, Amount], advice: Mapping[str, Advice]) -> dict[str, Shares]:
    """Return the quotas of the environments whose waits can be estimated.

    Pods wait in queues there, and it is known how long tasks last.
    """
    found = {}
    for name, quota in quotas.items():
        known = advice[name].tasks if name in advice else []
        if isinstance(quota, Shares) and any(row.seconds is not None for row in known):
            found[name] = quota
    return found


def _words(of_job: Sequence[Wait]) -> str:
    longest = max(of_job, key=lambda wait: wait.time)
    minutes = round(longest.time.total_seconds() / 60)
    days = len({wait.begin.astimezone(UTC).date() for wait in of_job if wait.task == longest.task})
    shown = shortened(sorted(longest.running), MOST_NAMES)
    return (
        f"task '{longest.task}' waits for quota for about {duration_text(minutes * 60)} at "
        f"{longest.begin.astimezone(UTC):%Y-%m-%d %H:%M} UTC, on {days} of the next {DAYS} days, as {shown} have it; "
        "tasks are taken to last as long as usual, and quota that other teams lend shortens it"
    )


def _durations(advice: Advice) -> dict[tuple[str, str], float]:
    """Return how many seconds a pod of each task usually lasts; of a foreach, its longest."""
    found: dict[tuple[str, str], float] = {}
    for row in advice.tasks:
        key = (row.job, row.task)
        found[key] = max(found.get(key, 0.0), row.seconds or 0.0)
    return found


@dataclass(frozen=True)
class _Run:
    """A run of a job, with the number of tasks that each of its tasks still needs, and of the pods that each has."""

    name: str
    job: Job
    needs: dict[str, int]
    pods: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, name: str, job: Job) -> _Run:
        return cls(name, job, {task: len(made["needs"]) for task, made in job["tasks"].items()})


@dataclass
class _Pod:
    run: _Run
    task: str
    amount: Amount
    time: timedelta
    ready: datetime
    running: frozenset[str] | None = None
    """What had the quota when it did not fit; None where it has not been looked at."""

    @property
    def name(self) -> str:
        return f"{self.run.name}.{self.task}"


class _Week:
    """The team's quota as time goes on: what starts, what waits, what ends."""

    def __init__(self, quota: Shares, durations: Mapping[tuple[str, str], float]) -> None:
        self._quota = quota
        self._durations = durations
        self._free = dict(quota.by_kind)
        self._running: Counter[str] = Counter()
        self._waiting: list[tuple[int, int, _Pod]] = []
        self._events: list[tuple[datetime, int, Callable[[datetime], None]]] = []
        self._order = count()

    def add(self, run: _Run, start: datetime) -> None:
        """Have the run start then."""
        self._at(start, partial(self._begin, run))

    def waits(self) -> Iterator[Wait]:
        """Let time go on to the end of the last pod, and yield each wait as it ends."""
        while self._events:
            now = self._events[0][0]
            while self._events and self._events[0][0] == now:
                heappop(self._events)[2](now)
            yield from self._admit(now)

    def _at(self, moment: datetime, action: Callable[[datetime], None]) -> None:
        heappush(self._events, (moment, next(self._order), action))

    def _begin(self, run: _Run, now: datetime) -> None:
        for task in [name for name, needed in run.needs.items() if not needed]:
            self._make_ready(run, task, now)

    def _make_ready(self, run: _Run, name: str, now: datetime) -> None:
        task = run.job["tasks"][name]
        amount = of_task(task, self._quota)
        if any(amount.over(self._quota)):
            # It never fits: another warning says so.
            amount = NOTHING
        number = instances(run.job, task)
        time = timedelta(seconds=self._durations.get((run.name, name), 0.0) * _rounds(task, number))
        run.pods[name] = number
        for _ in range(number):
            pod = _Pod(run, name, amount, time, now)
            heappush(self._waiting, (-_priority(task), next(self._order), pod))

    def _admit(self, now: datetime) -> Iterator[Wait]:
        """Start each pod for which there is quota, the higher priority first, then the older one."""
        left = []
        while self._waiting:
            entry = heappop(self._waiting)
            pod = entry[2]
            if self._fits(pod.amount):
                self._start(pod, now)
                yield Wait(pod.run.name, pod.task, pod.ready, now - pod.ready, pod.running or frozenset())
            else:
                pod.running = frozenset(+self._running) if pod.running is None else pod.running
                left.append(entry)
        self._waiting = left

    def _fits(self, amount: Amount) -> bool:
        return all(value <= self._free.get(kind, 0) for kind, value in amount.by_kind.items())

    def _start(self, pod: _Pod, now: datetime) -> None:
        for kind, value in pod.amount.by_kind.items():
            self._free[kind] -= value
        self._running[pod.name] += 1
        self._at(now + pod.time, partial(self._end, pod))

    def _end(self, pod: _Pod, now: datetime) -> None:
        for kind, value in pod.amount.by_kind.items():
            self._free[kind] += value
        self._running[pod.name] -= 1
        pod.run.pods[pod.task] -= 1
        if not pod.run.pods[pod.task]:
            self._finish(pod.run, pod.task, now)

    def _finish(self, run: _Run, ended: str, now: datetime) -> None:
        for name, task in run.job["tasks"].items():
            if ended in task["needs"]:
                run.needs[name] -= 1
                if not run.needs[name]:
                    self._make_ready(run, name, now)


def _simulated(
    jobs: Jobs, changed: set[str], quota: Shares, durations: Mapping[tuple[str, str], float], now: datetime
) -> Iterator[Wait]:
    """Yield each wait of the next days, of jobs with a clock that do not wait for others first.

    Of runs that start at the same moment, those of changed jobs are last.
    """
    week = _Week(quota, durations)
    last = now + timedelta(days=DAYS)
    for name, job in sorted(jobs.items(), key=lambda item: (item[0] in changed, item[0])):
        if has_clock(job["schedule"]) and not job.get("wait_for"):
            starts = upcoming_starts(job, now, MOST_RUNS)
            for start in takewhile(lambda moment: moment <= last, starts):
                week.add(_Run.of(name, job), start)
    return week.waits()


def _rounds(task: Task, number: int) -> int:
    """Return how many pods come one after the other where that number of them may run at once."""
    foreach = task.get("foreach")
    items = foreach["items"] if foreach else None
    return ceil(len(items) / number) if items else 1


def _priority(task: Task) -> int:
    """Return the value of its priority class, whose name ends with it; a task without a pod has none."""
    return 0 if task.get("type") else int(task["priority_class"].rpartition("-")[2])
