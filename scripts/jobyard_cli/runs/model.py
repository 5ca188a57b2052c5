"""Runs and their tasks as Airflow lists them, the same for its versions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from jobyard_cli.airflow.api import FINISHED

KINDS = {"asset_triggered": "asset", "dataset_triggered": "asset", "asset_materialization": "asset"}
"""Airflow's name for how a run started to ours, where they differ."""
RUN_STATES = ("queued", "running", "success", "failed")
TASK_ENDED = frozenset({"success", "failed", "skipped", "upstream_failed", "removed"})
TASK_FAILED = frozenset({"failed", "upstream_failed"})
NOT_SCHEDULED = "none"
"""What we call the state of a task that Airflow has not looked at yet."""
NOT_MAPPED = -1

T = TypeVar("T", "Run", "TaskRun")


def moment(text: object) -> datetime | None:
    """Return the moment that Airflow writes, with its zone; None for none."""
    return datetime.fromisoformat(str(text)).astimezone(UTC) if text else None


@dataclass(frozen=True)
class Run:
    """One run of a job; moments are in UTC."""

    job: str
    id: str
    kind: str
    """scheduled, manual, backfill or asset."""
    state: str
    logical: datetime | None
    """None of a run that assets, or a call without a date, started in Airflow 3."""
    interval: tuple[datetime, datetime] | None
    start: datetime | None
    end: datetime | None

    @classmethod
    def of(cls, entry: Mapping[str, Any]) -> Run:
        """Return the run of an entry of Airflow's list."""
        first, last = moment(entry.get("data_interval_start")), moment(entry.get("data_interval_end"))
        kind = str(entry["run_type"])
        return cls(
            job=str(entry["dag_id"]).partition(".")[2],
            id=str(entry["dag_run_id"]),
            kind=KINDS.get(kind, kind),
            state=str(entry["state"]),
            logical=moment(entry.get("logical_date")),
            interval=(first, last) if first and last else None,
            start=moment(entry.get("start_date")),
            end=moment(entry.get("end_date")),
        )

    @property
    def is_finished(self) -> bool:
        """Return whether nothing more happens."""
        return self.state in FINISHED

    @property
    def day(self) -> datetime | None:
        """Return the start of the data interval, or else the logical date."""
        return self.interval[0] if self.interval else self.logical


@dataclass(frozen=True)
class TaskRun:
    """One task of a run, or one instance of its foreach; moments are in UTC."""

    task: str
    map_index: int
    state: str
    attempt: int
    """Number of the current try; 0 before the first."""
    start: datetime | None
    end: datetime | None

    @classmethod
    def of(cls, entry: Mapping[str, Any]) -> TaskRun:
        """Return the task of an entry of Airflow's list."""
        return cls(
            task=str(entry["task_id"]),
            map_index=int(entry["map_index"]),
            state=str(entry["state"] or NOT_SCHEDULED),
            attempt=int(entry["try_number"] or 0),
            start=moment(entry.get("start_date")),
            end=moment(entry.get("end_date")),
        )

    @property
    def label(self) -> str:
        """Return `train`, or `fold[3]` for an instance of a foreach."""
        return self.task if self.map_index == NOT_MAPPED else f"{self.task}[{self.map_index}]"

    @property
    def has_ended(self) -> bool:
        """Return whether nothing more happens to it unless somebody clears it."""
        return self.state in TASK_ENDED


def duration(what: Run | TaskRun, now: datetime) -> timedelta | None:
    """Return how long it took, or has been running until now; None if it has not started."""
    if what.start is None:
        return None
    return max((what.end or now) - what.start, timedelta())
