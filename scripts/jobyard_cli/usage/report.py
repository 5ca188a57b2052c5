"""The table of what tasks used and what would fit: for a person, and for another program."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from io import StringIO

from jobyard_cli.check.findings import printable, unknown
from jobyard_cli.errors import UsageError
from jobyard_cli.usage import quantities
from jobyard_cli.usage.advice import Advice, Figures, TaskAdvice
from jobyard_cli.usage.known import known
from jobyard_cli.usage.read import NothingCollectedError

UNKNOWN = "-"
NOT_SAMPLED = "not sampled"
TOO_FEW = "too few runs"
_HEADINGS = ("TASK", "SAMPLED", "RESOURCE", "REQUESTED", "PEAK", "P95", "WOULD FIT")
_OTHERS = ("KRR", "VPA")
_SAVES = "SAVES A MONTH"
_WIDE = 10_000
"""Characters, so that no line is wrapped: a pipeline's log has no width."""
Quantity = Callable[[float], str]
_RESOURCES: tuple[tuple[str, Quantity], ...] = (("cpu", quantities.cpu), ("memory", quantities.memory))


class UnknownJobError(UsageError):
    """The team has no such job, and no such job has run."""

    def __init__(self, job: str, known: Iterable[str]) -> None:
        super().__init__(unknown("job", job, known, "available"))


@dataclass(frozen=True)
class Usage:
    """What is reported: the tasks, those first that save most; `where` is the environment or the folder."""

    team: str
    where: str
    tasks: Sequence[TaskAdvice]
    written: datetime
    old: date | None
    """The day from which the advice is, unless it is recent."""


def usage(advice: Advice, team: str, where: str, jobs: Iterable[str], job: str, now: datetime) -> Usage:
    """Return what there is to report of a job, or of all jobs where `job` is empty; `jobs` are those of the repository.

    Raises:
        UnknownJobError: neither the repository nor the advice has the job.
        NothingCollectedError: there are no runs to report of.
    """
    names = {*jobs, *(task.job for task in advice.tasks)}
    if job and job not in names:
        raise UnknownJobError(job, names)
    tasks = [task for task in advice.tasks if job in ("", task.job)]
    if job and not tasks:
        raise NothingCollectedError(f"job '{job}'", where)
    if not tasks:
        raise NothingCollectedError(f"team {team}", where)
    return Usage(team, where, sorted(tasks, key=_order), advice.written, advice.old(now))


def _order(task: TaskAdvice) -> tuple[bool, int, str, str, int]:
    return task.saves is None, -(task.saves or 0), task.job, task.task, task.map_index


def as_json(report: Usage, others: bool = False) -> str:
    """Return an object with all rows; a quantity that is not known is null."""
    content = {
        "team": report.team,
        "from": report.where,
        "written": f"{report.written:%Y-%m-%dT%H:%M:%SZ}",
        "tasks": [_record(task, others) for task in report.tasks],
    }
    return json.dumps(content, indent=1, ensure_ascii=False)


def _record(task: TaskAdvice, others: bool) -> dict[str, object]:
    record: dict[str, object] = {
        "job": task.job,
        "task": task.task,
        "map_index": task.map_index,
        "runs": task.runs,
        "sampled": task.sampled,
    }
    for resource, quantity in _RESOURCES:
        record[resource] = dict(_quantities(getattr(task, resource), quantity, others))
    record["saves_usd_a_month"] = known(_rounded_dollars, task.saves)
    return record


def _rounded_dollars(nanodollars: int) -> float:
    return round(nanodollars / quantities.NANODOLLARS, 2)


def _quantities(figures: Figures, quantity: Quantity, others: bool) -> Iterator[tuple[str, str | None]]:
    names = ["requested", "peak", "p95", "fits"]
    if others:
        names += ["krr", "vpa"]
    for name in names:
        yield name, known(quantity, getattr(figures, name))


def lines(report: Usage, others: bool = False) -> Iterator[str]:
    """Yield the table, with two lines for each task, and what a reader should know beside it."""
    stated = f"Usage of team {report.team} in {report.where}"
    if report.old:
        stated += f", as of {report.old}: `platform.metrics` has written no newer advice"
    yield printable(stated)
    yield ""
    yield from _table(report.tasks, others)
    yield ""
    yield _total(report.tasks)
    if any(task.sampled < task.runs for task in report.tasks):
        yield "Prometheus did not sample every run: what the others used is not known, which is not zero."


def _total(tasks: Sequence[TaskAdvice]) -> str:
    savings = [task.saves for task in tasks if task.saves is not None]
    if not savings:
        return "What fitting requests would save is not known."
    return f"Fitting requests would save {quantities.dollars(sum(savings))} a month."


def _table(tasks: Sequence[TaskAdvice], others: bool) -> Iterator[str]:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in _headings(others):
        table.add_column(heading, no_wrap=True)
    for task in tasks:
        for row in _rows(task, others):
            table.add_row(*row)
    text = StringIO()
    Console(file=text, width=_WIDE, color_system=None, markup=False, highlight=False, emoji=False).print(table)
    for line in text.getvalue().splitlines():
        yield line.rstrip()


def _headings(others: bool) -> Iterator[str]:
    yield from _HEADINGS
    if others:
        yield from _OTHERS
    yield _SAVES


def _rows(task: TaskAdvice, others: bool) -> Iterator[list[str]]:
    saves = known(quantities.dollars, task.saves) or UNKNOWN
    first = [printable(task.name), f"{task.sampled} of {task.runs}"]
    for resource, quantity in _RESOURCES:
        yield [*first, resource, *_cells(task, getattr(task, resource), quantity, others), saves]
        first, saves = ["", ""], ""


def _cells(task: TaskAdvice, figures: Figures, quantity: Quantity, others: bool) -> Iterator[str]:
    shown = {name: value or UNKNOWN for name, value in _quantities(figures, quantity, others)}
    if not task.sampled and figures.peak is None:
        shown["peak"] = NOT_SAMPLED
    elif figures.fits is None:
        shown["fits"] = TOO_FEW
    yield from shown.values()
