"""A team's advice: what the last runs of each task used, and what would fit.

`images/metrics/jobyard_metrics/tables.py` has the columns with their units. `teams/<team>/advice.json` has the rows as
a list of objects, `teams/<team>/advice.parquet` the same rows as a table.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from io import BytesIO
from typing import Any

from jobyard_cli.errors import JobyardError, MissingExtraError
from jobyard_cli.usage.known import known

FORMATS = ("json", "parquet")
"""Suffixes of the files with the same rows. JSON comes first, as reading it needs nothing that is not installed."""
RECENT = timedelta(days=3)
"""Older advice is called old: the platform's job writes it each day."""


class UnreadableAdviceError(JobyardError):
    """The advice can't be read, or is not what the platform's job writes."""


@dataclass(frozen=True)
class Figures:
    """CPU in cores or memory in bytes; None stands for not known, which is never zero."""

    requested: float | None
    p95: float | None
    peak: float | None
    fits: float | None
    """None: too few runs to say."""
    krr: float | None
    vpa: float | None


@dataclass(frozen=True)
class TaskAdvice:
    """What the last runs of one task used, or those of one instance of a `foreach`."""

    job: str
    task: str
    map_index: int
    """-1 for a task that is not a `foreach`."""
    runs: int
    sampled: int
    """Of the runs, those of whose pod Prometheus has a sample."""
    cpu: Figures
    memory: Figures
    saves: int | None
    """Nanodollars in 30 days; negative where what fits costs more."""
    seconds: float | None = None
    """How long the median of the successful runs lasted; None where no run is known, or the advice is older."""

    @property
    def name(self) -> str:
        """Return `score.features`, or `train.fold[2]` for an instance of a `foreach`."""
        if self.map_index < 0:
            return f"{self.job}.{self.task}"
        return f"{self.job}.{self.task}[{self.map_index}]"


@dataclass(frozen=True)
class Advice:
    """A team's newest advice, and when it was written."""

    tasks: list[TaskAdvice]
    written: datetime

    def old(self, now: datetime) -> date | None:
        """Return the UTC day on which it was written, or None for advice of the last days."""
        if now - self.written <= RECENT:
            return None
        return self.written.date()


def parsed(body: bytes, suffix: str, address: str) -> list[TaskAdvice]:
    """Return the rows of a file of the format that its suffix names.

    Raises:
        UnreadableAdviceError: it is not what the platform's job writes.
        MissingExtraError: reading Parquet needs the extra `usage`.
    """
    try:
        return list(map(_task, _records(body, suffix, address)))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UnreadableAdviceError(f"{address}: not a team's advice: {type(error).__name__}: {error}") from error


def _records(body: bytes, suffix: str, address: str) -> Iterable[Mapping[str, Any]]:
    if suffix == "json":
        records: list[Mapping[str, Any]] = json.loads(body)
        return records
    return _from_parquet(body, address)


def _from_parquet(body: bytes, address: str) -> Iterable[Mapping[str, Any]]:
    try:
        import polars
    except ModuleNotFoundError as error:
        raise MissingExtraError("polars", "usage") from error
    try:
        return polars.read_parquet(BytesIO(body)).to_dicts()
    except polars.exceptions.PolarsError as error:
        raise UnreadableAdviceError(f"{address}: not a Parquet file: {error}") from error


def _task(record: Mapping[str, Any]) -> TaskAdvice:
    return TaskAdvice(
        job=str(record["job"]),
        task=str(record["task"]),
        map_index=int(record["map_index"]),
        runs=int(record["runs"]),
        sampled=int(record["sampled"]),
        cpu=_figures(record, "cpu"),
        memory=_figures(record, "memory"),
        saves=known(int, record["saves"]),
        seconds=known(float, record.get("seconds")),
    )


def _figures(record: Mapping[str, Any], resource: str) -> Figures:
    return Figures(
        requested=known(float, record[f"requested_{resource}"]),
        p95=known(float, record[f"{resource}_p95"]),
        peak=known(float, record[f"{resource}_peak"]),
        fits=known(float, record[f"fits_{resource}"]),
        krr=known(float, record[f"krr_{resource}"]),
        vpa=known(float, record[f"vpa_{resource}"]),
    )
