"""The calls of Airflow's REST API that Jobyard makes; those of Airflow 2 and 3 that differ are in other modules."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from jobyard_cli.airflow.transport import AirflowError as AirflowError
from jobyard_cli.airflow.transport import NotThere, RestTransport, Transport
from jobyard_cli.errors import JobyardError

FINISHED = ("success", "failed")
PAGE = 100
"""As many entries as Airflow gives at once."""


class AirflowTimeout(JobyardError):
    """Airflow did not get somewhere in time."""


class AirflowClient:
    """One Airflow, by its address or however else it is reached."""

    def __init__(self, airflow: str | Transport) -> None:
        self._transport = RestTransport(airflow) if isinstance(airflow, str) else airflow
        self.address = self._transport.address

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """One call; the parsed answer, or None where there is no content.

        Raises:
            AirflowError: unreachable, or an answer of 400 and above, with Airflow's own words.
        """
        parts = urlsplit(path)
        return self._transport.call(method, parts.path, dict(parse_qsl(parts.query)) or None, body)

    def listed(self, path: str, key: str, **query: Any) -> Iterator[dict[str, Any]]:
        """Every entry of a list, page by page.

        Raises:
            AirflowError: unreachable, or an answer of 400 and above, with Airflow's own words.
        """
        seen = 0
        while True:
            page = self._transport.call("GET", path, {**query, "limit": PAGE, "offset": seen})
            yield from page[key]
            seen += len(page[key])
            if not page[key] or seen >= page["total_entries"]:
                return

    def variable(self, key: str) -> str | None:
        """An Airflow Variable, or None where there is none.

        Raises:
            AirflowError: unreachable, or refused.
        """
        try:
            return str(self.call("GET", f"variables/{key}")["value"])
        except NotThere:
            return None

    def set_variable(self, key: str, value: str) -> None:
        """Create or replace an Airflow Variable.

        Raises:
            AirflowError: unreachable, or refused.
        """
        body = {"key": key, "value": value}
        if self.variable(key) is None:
            self.call("POST", "variables", body)
        else:
            self.call("PATCH", f"variables/{key}", body)

    def dag_ids(self) -> set[str]:
        """The DAGs that Airflow has parsed and not lost since."""
        return {dag["dag_id"] for dag in self.listed("dags", "dags")}

    def import_errors(self) -> dict[str, str]:
        """File name to stack trace of every file that Airflow can't import."""
        return {error["filename"]: error["stack_trace"] for error in self.listed("importErrors", "import_errors")}

    def wait_for_dags(self, wanted: set[str], timeout: float) -> None:
        """Wait until Airflow has parsed these DAGs.

        Raises:
            AirflowError: a file can't be imported.
            AirflowTimeout: some are still missing.
        """
        deadline = time.monotonic() + timeout
        while missing := wanted - self.dag_ids():
            if errors := self.import_errors():
                raise AirflowError(
                    "\n".join(f"Airflow can't import {name}:\n{error}" for name, error in errors.items())
                )
            if time.monotonic() > deadline:
                raise AirflowTimeout(f"Airflow does not have {', '.join(sorted(missing))} after {timeout:.0f} s")
            time.sleep(0.5)

    def trigger(self, dag_id: str, run_id: str, logical_date: str | None) -> str:
        """Start a run; for a logical date (ISO 8601) its data interval is the one the schedule gives that date."""
        self.call("PATCH", f"dags/{dag_id}", {"is_paused": False})
        run = self.call("POST", f"dags/{dag_id}/dagRuns", {"dag_run_id": run_id, "logical_date": logical_date})
        return str(run["dag_run_id"])

    def backfill(self, dag_id: str, first: str, last: str) -> int:
        """Start a backfill over the runs between two dates (ISO 8601), and return its id."""
        self.call("PATCH", f"dags/{dag_id}", {"is_paused": False})
        body = {"dag_id": dag_id, "from_date": first, "to_date": last, "reprocess_behavior": "completed"}
        return int(self.call("POST", "backfills", body)["id"])

    def runs(self, dag_id: str) -> list[dict[str, Any]]:
        """Every run of a DAG."""
        found: list[dict[str, Any]] = self.call("GET", f"dags/{dag_id}/dagRuns?limit=1000")["dag_runs"]
        return found

    def wait_for_first_run(self, dag_id: str, timeout: float) -> dict[str, Any]:
        """The first run that the scheduler made of a DAG.

        Raises:
            AirflowTimeout: it made none in time.
        """
        deadline = time.monotonic() + timeout
        while not (runs := self.runs(dag_id)):
            if time.monotonic() > deadline:
                raise AirflowTimeout(f"Airflow started no run of {dag_id} within {timeout:.0f} s")
            time.sleep(0.5)
        return runs[0]

    def wait_for_run(self, dag_id: str, run_id: str, timeout: float) -> Iterator[list[dict[str, Any]]]:
        """Yield the run's task instances about every second, the last time when it has finished.

        Raises:
            AirflowTimeout: it has not finished in time.
        """
        deadline = time.monotonic() + timeout
        while True:
            state = self.call("GET", f"dags/{dag_id}/dagRuns/{run_id}")["state"]
            yield self.tasks(dag_id, run_id)
            if state in FINISHED:
                return
            if time.monotonic() > deadline:
                raise AirflowTimeout(f"{dag_id} run {run_id} is {state} after {timeout:.0f} s")
            time.sleep(1)

    def tasks(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """The task instances of a run."""
        found: list[dict[str, Any]] = self.call("GET", f"dags/{dag_id}/dagRuns/{run_id}/taskInstances")[
            "task_instances"
        ]
        return found

    def log(self, dag_id: str, run_id: str, task_id: str, attempt: int = 1) -> str:
        """The log of one try of a task, a line for each event and for each exception."""
        path = f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/logs/{attempt}?full_content=true"
        content = self.call("GET", path)["content"]
        return "\n".join(words for line in content for words in _words(line))


def _words(line: Any) -> Iterator[str]:
    if not isinstance(line, dict):
        yield str(line)
        return
    yield str(line.get("event", line))
    for error in line.get("error_detail") or []:
        yield f"{error['exc_type']}: {error['exc_value']}"
