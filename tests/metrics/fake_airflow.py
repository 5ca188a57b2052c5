"""An Airflow of version 2 or 3 in memory: the answers of its REST API, with the faults that a test asks for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

from jobyard_metrics.errors import NotFoundError, SourceError
from jobyard_metrics.patience import Patience
from jobyard_metrics.sources.airflow import Airflow

DAY = date(2026, 11, 25)
NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
NEXT_DAY = datetime(2026, 11, 26, 1, tzinfo=UTC)
Row = dict[str, Any]


def at(minutes: float) -> str:
    """Return the time so many minutes after noon of the day."""
    return (NOON + timedelta(minutes=minutes)).isoformat()


def run(job: str = "risk.score", run_id: str = "scheduled__1", ended: float | None = 5, **changes: Any) -> Row:
    """Return a run as Airflow 3 has it."""
    return {
        "dag_id": job,
        "dag_run_id": run_id,
        "run_type": "scheduled",
        "state": "success",
        "data_interval_start": at(-1440),
        "data_interval_end": at(0),
        "run_after": at(0),
        "queued_at": at(0),
        "start_date": at(0.5),
        "end_date": None if ended is None else at(ended),
        **changes,
    }


def instance(job: str = "risk.score", task: str = "train", ended: float | None = 5, **changes: Any) -> Row:
    """Return a task instance as Airflow 3 has it."""
    return {
        "dag_id": job,
        "dag_run_id": "scheduled__1",
        "task_id": task,
        "map_index": -1,
        "try_number": 1,
        "state": "success",
        "logical_date": at(-1440),
        "run_after": at(0),
        "queued_when": at(0),
        "start_date": at(1),
        "end_date": None if ended is None else at(ended),
        "rendered_fields": {"image": "inference"},
        **changes,
    }


class FakeAirflow:
    """Holds rows; `before` is called before each request, with its number from 1."""

    name = "Airflow at http://airflow.example.com"

    def __init__(self, version: int = 3, page: int = 100) -> None:
        self.version = version
        self.page = page
        self.runs: list[Row] = []
        self.instances: list[Row] = []
        self.dags: list[Row] = []
        self.history: list[Row] = []
        self.xcoms: dict[str, Any] = {}
        self.before: Callable[[int], None] = lambda number: None
        self.asked: list[str] = []
        self.time = 0.0

    @property
    def requests_made(self) -> int:
        """As of any API."""
        return len(self.asked)

    @property
    def source(self) -> Airflow:
        """The source on this Airflow, with ten minutes of patience that pass at once."""
        return Airflow(self, Patience(600, lambda: self.time, self._sleep))

    def _sleep(self, seconds: float) -> None:
        self.time += seconds

    def major(self) -> int:
        """As of any API."""
        return self.version

    def call(self, method: str, path: str, query: dict[str, Any] | None = None, body: Any = None) -> Any:
        """Answer a request."""
        self.asked.append(f"{method} {path}")
        self.before(len(self.asked))
        if path == "dags/~/dagRuns/list":
            return self._batch("dag_runs", self.runs, body)
        if path == "dags/~/dagRuns/~/taskInstances/list":
            if "order_by" in body and self.version == 2:
                raise SourceError("400: {'order_by': ['Unknown field.']}")
            return self._batch("task_instances", self.instances, body)
        if path == "dags":
            assert query
            return self._slice("dags", self.dags, query["offset"], query["limit"])
        if path.endswith("/tries"):
            return {"task_instances": self.history}
        if path in self.xcoms:
            return {"key": "jobyard_output", "value": self.xcoms[path]}
        raise NotFoundError(f"{path} not found")

    def _batch(self, key: str, rows: list[Row], body: Mapping[str, Any]) -> Row:
        known = {"order_by", "page_offset", "page_limit", "end_date_gte", "end_date_lte", "state"}
        due = "run_after_lte" if self.version == 3 else "execution_date_lte"
        assert set(body) <= {*known, due}
        found = [row for row in rows if _matches(row, body, due)]
        if "order_by" in body:
            found.sort(key=lambda row: row["end_date"])
        return self._slice(key, found, body["page_offset"], body["page_limit"])

    def _slice(self, key: str, rows: list[Row], offset: int, limit: int) -> Row:
        return {key: rows[offset : offset + min(limit, self.page)], "total_entries": len(rows)}


def _matches(row: Row, body: Mapping[str, Any], due: str) -> bool:
    ended = row["end_date"]
    if "end_date_gte" in body and not (ended and body["end_date_gte"] <= ended <= body["end_date_lte"]):
        return False
    if "state" in body and row["state"] not in body["state"]:
        return False
    return due not in body or row["run_after"] <= body[due]
