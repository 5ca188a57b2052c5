"""The calls of Airflow's REST API that Jobyard makes; those of Airflow 2 and 3 that differ are in other modules."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlsplit

from jobyard_cli.airflow.transport import (
    AirflowBusyError,
    AirflowConflictError,
    AirflowNotFoundError,
    RestTransport,
    Transport,
)
from jobyard_cli.airflow.transport import AirflowError as AirflowError
from jobyard_cli.errors import JobyardError
from jobyard_cli.system.waiting import CLOCK, PATIENCE_SECONDS, Clock, Deadline, NotYetError, insist, until

FINISHED = ("success", "failed")
PAGE = 100
"""As many entries as Airflow gives at once."""

T = TypeVar("T")


class AirflowTimeoutError(JobyardError):
    """Airflow did not get somewhere in time."""


class AirflowClient:
    """One Airflow, by its address or however else it is reached.

    While it does not answer, or answers that it can't now, it is asked again for `patience` seconds.
    """

    def __init__(self, airflow: str | Transport, patience: float = PATIENCE_SECONDS, clock: Clock = CLOCK) -> None:
        self._transport = RestTransport(airflow) if isinstance(airflow, str) else airflow
        self.patience = patience
        self._clock = clock
        self.address = self._transport.address

    @property
    def once(self) -> AirflowClient:
        """Return this Airflow with each call made once: for waits that have a deadline of their own."""
        return self.within(0)

    def within(self, seconds: float) -> AirflowClient:
        """Return this Airflow with calls that are repeated for so many seconds while it does not answer."""
        return AirflowClient(self._transport, seconds, self._clock)

    @property
    def clock(self) -> Clock:
        """The clock by which calls are repeated."""
        return self._clock

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Return the parsed answer of one call, or None if it has no content. A POST is not repeated.

        Raises:
            AirflowError: unreachable, or an answer of 400 and above, with Airflow's own words.
        """
        parts = urlsplit(path)
        return self._ask(method, parts.path, dict(parse_qsl(parts.query)) or None, body)

    def _ask(self, method: str, path: str, query: dict[str, Any] | None, body: Any = None) -> Any:
        ask = partial(self._transport.call, method, path, query, body)
        if method == "POST":
            return ask()
        return insist(ask, self.patience, clock=self._clock)

    def _create(self, path: str, body: Any) -> Any:
        """A POST, repeated: the answer, or None where one whose answer was lost had created it.

        Raises:
            AirflowConflictError: it was there before.
            AirflowError: unreachable, or refused.
        """
        lost = False

        def attempt() -> Any:
            nonlocal lost
            try:
                return self._transport.call("POST", path, None, body)
            except AirflowBusyError:
                lost = True
                raise
            except AirflowConflictError:
                if lost:
                    return None
                raise

        return insist(attempt, self.patience, clock=self._clock)

    def listed(self, path: str, key: str, **query: Any) -> Iterator[dict[str, Any]]:
        """Return an iterator over every entry of a list, which asks page by page.

        Raises:
            AirflowError: unreachable, or an answer of 400 and above, with Airflow's own words.
        """
        return _entries(key, lambda seen: self._ask("GET", path, {**query, "limit": PAGE, "offset": seen}))

    def found(self, path: str, key: str, body: Mapping[str, Any], page: int = PAGE) -> Iterator[dict[str, Any]]:
        """Return the same for a list that is asked for by a POST. It only reads, so it is repeated.

        Raises:
            AirflowError: unreachable, or an answer of 400 and above, with Airflow's own words.
        """
        return _entries(key, lambda seen: self.look(path, {**body, "page_limit": page, "page_offset": seen}))

    def look(self, path: str, body: Any) -> Any:
        """Return the answer of a POST that changes nothing, and so is repeated.

        Raises:
            AirflowError: unreachable, or an answer of 400 and above, with Airflow's own words.
        """
        return insist(partial(self._transport.call, "POST", path, None, body), self.patience, clock=self._clock)

    def by_name(self, path: str, key: str) -> dict[str, dict[str, Any]]:
        """Return every entry of a list by its `name`.

        Raises:
            AirflowError: unreachable, or an answer of 400 and above, with Airflow's own words.
        """
        return {str(entry["name"]): entry for entry in self.listed(path, key)}

    def variable(self, key: str) -> str | None:
        """Return the value of an Airflow Variable, or None if it does not exist.

        Raises:
            AirflowError: unreachable, or refused.
        """
        try:
            return str(self.call("GET", f"variables/{key}")["value"])
        except AirflowNotFoundError:
            return None

    def set_variable(self, key: str, value: str) -> None:
        """Create or replace an Airflow Variable.

        Raises:
            AirflowError: unreachable, or refused.
        """
        body = {"key": key, "value": value}
        if self.variable(key) is None:
            try:
                self._create("variables", body)
                return
            except AirflowConflictError:
                # Somebody else was quicker.
                pass
        self.call("PATCH", f"variables/{key}", body)

    def dag_ids(self) -> set[str]:
        """Return the DAGs that Airflow has parsed and not lost since."""
        return {dag["dag_id"] for dag in self.listed("dags", "dags")}

    def import_errors(self) -> dict[str, str]:
        """Return file name to stack trace of every file that Airflow can't import."""
        return {error["filename"]: error["stack_trace"] for error in self.listed("importErrors", "import_errors")}

    def wait_for_dags(self, wanted: set[str], timeout: float) -> None:
        """Wait until Airflow has parsed these DAGs.

        Raises:
            AirflowTimeoutError: some are still missing, with what Airflow can't import.
            AirflowError: it refused.
        """
        airflow = self.once

        def look() -> None:
            if missing := wanted - airflow.dag_ids():
                raise NotYetError(_missing_dags(missing, airflow.import_errors()))

        self._until(look, timeout, f"Airflow does not have all of {', '.join(sorted(wanted))}")

    def trigger(
        self, dag_id: str, run_id: str, logical_date: str | None, interval: tuple[str, str] | None = None
    ) -> str:
        """Start a run; its data interval is the given one, or else that of the schedule. Moments are ISO 8601."""
        self.call("PATCH", f"dags/{dag_id}", {"is_paused": False})
        body = {"dag_run_id": run_id, "logical_date": logical_date}
        if interval is not None:
            body["data_interval_start"], body["data_interval_end"] = interval
        self._create(f"dags/{dag_id}/dagRuns", body)
        return run_id

    def backfill(self, dag_id: str, first: str, last: str) -> None:
        """Start a backfill over the runs between two dates (ISO 8601)."""
        self.call("PATCH", f"dags/{dag_id}", {"is_paused": False})
        body = {"dag_id": dag_id, "from_date": first, "to_date": last, "reprocess_behavior": "completed"}
        self._create("backfills", body)

    def runs(self, dag_id: str) -> list[dict[str, Any]]:
        """Return every run of a DAG."""
        runs: list[dict[str, Any]] = self.call("GET", f"dags/{dag_id}/dagRuns?limit=1000")["dag_runs"]
        return runs

    def wait_for_first_run(self, dag_id: str, timeout: float) -> dict[str, Any]:
        """Return the first run that the scheduler made of a DAG.

        Raises:
            AirflowTimeoutError: it made none in time.
        """

        def look() -> dict[str, Any]:
            if not (runs := self.once.runs(dag_id)):
                raise NotYetError("it has none")
            return runs[0]

        return self._until(look, timeout, f"Airflow started no run of {dag_id}")

    def wait_for_run(self, dag_id: str, run_id: str, timeout: float) -> Iterator[list[dict[str, Any]]]:
        """Yield the run's task instances about every second, the last time when it has finished.

        Raises:
            AirflowTimeoutError: it has not finished in time.
        """
        deadline, seen, airflow = Deadline(timeout, self._clock), "unknown", self.once
        while seen not in FINISHED:
            if deadline.is_over:
                raise AirflowTimeoutError(
                    f"{dag_id} run {run_id} has not ended after {timeout:.0f} s; last seen: {seen}"
                )
            try:
                state = str(airflow.call("GET", f"dags/{dag_id}/dagRuns/{run_id}")["state"])
                tasks = airflow.tasks(dag_id, run_id)
            except AirflowBusyError as error:
                seen = str(error)
            else:
                seen = state
                yield tasks
            if seen not in FINISHED:
                deadline.pause(1)

    def _until(self, look: Callable[[], T], seconds: float, problem: str) -> T:
        def late(last: str) -> AirflowTimeoutError:
            return AirflowTimeoutError(f"{problem} after {seconds:.0f} s; last seen: {last}")

        return until(look, seconds, late, clock=self._clock)

    def tasks(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """Return the task instances of a run."""
        answer = self.call("GET", f"dags/{dag_id}/dagRuns/{run_id}/taskInstances")
        instances: list[dict[str, Any]] = answer["task_instances"]
        return instances

    def log(self, dag_id: str, run_id: str, task_id: str, attempt: int = 1) -> str:
        """Return the log of one try of a task, with a line for each event and for each exception."""
        path = f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/logs/{attempt}?full_content=true"
        content = self.call("GET", path)["content"]
        return "\n".join(words for line in content for words in _words(line))


def _missing_dags(missing: set[str], import_errors: Mapping[str, str]) -> str:
    """Return which DAGs are missing, and what Airflow can't import."""
    message = f"{', '.join(sorted(missing))} is missing"
    for name, trace in import_errors.items():
        message += f"\nAirflow can't import {name}:\n{trace}"
    return message


def _words(line: Any) -> Iterator[str]:
    if not isinstance(line, dict):
        yield str(line)
        return
    yield str(line.get("event", line))
    for error in line.get("error_detail") or []:
        yield f"{error['exc_type']}: {error['exc_value']}"


def _entries(key: str, ask: Callable[[int], Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the entries of a list; `ask` returns its page after so many of them."""
    seen = 0
    while True:
        page = ask(seen)
        yield from page[key]
        seen += len(page[key])
        if not page[key] or seen >= page["total_entries"]:
            return
