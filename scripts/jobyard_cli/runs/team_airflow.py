"""What one team has in an Airflow: its jobs, their runs, tasks and logs. Ids are without the team's prefix.

The lists are asked for by POST with the ids in the body: MWAA documents that a path has at most 64 characters.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any
from urllib.parse import quote

from jobyard_cli.airflow.api import PAGE, AirflowClient
from jobyard_cli.airflow.transport import AirflowError, AirflowNotFoundError, AirflowPermissionError
from jobyard_cli.check.findings import unknown
from jobyard_cli.runs.errors import (
    NoRunsError,
    NotReleasedError,
    RefusedError,
    UnknownJobInAirflowError,
    UnknownRunError,
    UnknownTaskOfRunError,
)
from jobyard_cli.runs.generations import Generation, generation_of
from jobyard_cli.runs.model import NOT_MAPPED, Run, TaskRun

PATIENCE_SECONDS = 10.0
"""How long a person waits for an Airflow that does not answer."""
VIEWER, USER = "Viewer", "User"
READ = ("can_read on DAGs, DAG Runs, Task Instances and Task Logs", VIEWER)
EDIT = ("can_edit on the DAG", USER)
START = ("can_create on DAG Runs and can_edit on the DAG", USER)
CLEAR = ("can_edit on DAG Runs, on Task Instances and on the DAG", USER)
SAFE = ":+~"
"""Of a run's id: what a path has as it is."""


@contextmanager
def permitted(needed: tuple[str, str]) -> Iterator[None]:
    """Say which permission is missing where Airflow refuses what is inside.

    Raises:
        RefusedError: it does not permit it.
    """
    try:
        yield
    except AirflowPermissionError as error:
        raise RefusedError(str(error), *needed) from error


@dataclass(frozen=True)
class Dag:
    """A job that Airflow has."""

    job: str
    id: str
    is_paused: bool


class TeamAirflow:
    """One team in one Airflow."""

    def __init__(self, client: AirflowClient, team: str, own_jobs: Collection[str]) -> None:
        """Take the client, and the jobs of the team's repository."""
        self.client = client
        self.team = team
        self._own_jobs = own_jobs

    @cached_property
    def generation(self) -> Generation:
        """The generation of this Airflow."""
        return generation_of(self.client)

    def dag_id(self, job: str) -> str:
        """Return the id of a job's DAG."""
        return f"{self.team}.{job}"

    def jobs(self) -> list[str]:
        """Return the team's jobs that Airflow has.

        Raises:
            RefusedError: not permitted.
            AirflowError: unreachable, or refused.
        """
        prefix = self.dag_id("")
        with permitted(READ):
            # Both versions take the pattern as a part of the id, of any team's.
            ids = [str(dag["dag_id"]) for dag in self.client.listed("dags", "dags", dag_id_pattern=prefix)]
        return sorted(dag.removeprefix(prefix) for dag in ids if dag.startswith(prefix))

    def dag(self, job: str) -> Dag:
        """Return a job as Airflow has it.

        Raises:
            UnknownJobInAirflowError: neither Airflow nor the repository has it.
            NotReleasedError: the repository has it, and Airflow does not.
            RefusedError: not permitted.
            AirflowError: unreachable, or refused.
        """
        dag_id = self.dag_id(job)
        try:
            entry = self.client.call("GET", f"dags/{quote(dag_id)}")
        except (AirflowNotFoundError, AirflowPermissionError) as error:
            # With a role for single DAGs, one that does not exist is refused.
            raise self._missing(job, error) from error
        return Dag(job, dag_id, bool(entry["is_paused"]))

    def _missing(self, job: str, error: AirflowError) -> Exception:
        """Return why Airflow has no such job."""
        known = self.jobs()
        if job in known:
            return RefusedError(str(error), *READ)
        if job in self._own_jobs:
            return NotReleasedError(job, self.dag_id(job), self.client.address)
        return UnknownJobInAirflowError(job, {*known, *self._own_jobs}, self.client.address)

    def unpause(self, dag: Dag) -> None:
        """Let a DAG's runs start.

        Raises:
            RefusedError: not permitted.
            AirflowError: unreachable, or refused.
        """
        with permitted(EDIT):
            self.client.call("PATCH", f"dags/{dag.id}", {"is_paused": False})

    def runs(self, jobs: Sequence[str], limit: int, states: Sequence[str] = ()) -> list[Run]:
        """Return the newest runs of these jobs, the newest first.

        Raises:
            RefusedError: not permitted.
            AirflowError: unreachable, or refused.
        """
        found: list[Run] = []
        for run in self._listed_runs(jobs, {"states": list(states)} if states else {}, min(limit, PAGE)):
            found.append(run)
            if len(found) == limit:
                break
        return found

    def runs_between(self, job: str, first: datetime, last: datetime) -> list[Run]:
        """Return a job's runs with logical dates from the first to the last moment, both included.

        Raises:
            RefusedError: not permitted.
            AirflowError: unreachable, or refused.
        """
        field = self.generation.date_field
        between = {f"{field}_gte": first.isoformat(), f"{field}_lte": last.isoformat()}
        return list(self._listed_runs([job], between, PAGE))

    def run(self, job: str, run_id: str) -> Run:
        """Return a run of a job by its id.

        Raises:
            UnknownRunError: there is no such run.
            RefusedError: not permitted.
            AirflowError: unreachable, or refused.
        """
        known: list[str] = []
        for run in self._listed_runs([job], {}, PAGE):
            if run.id == run_id:
                return run
            known.append(run.id)
        raise UnknownRunError(job, run_id, known)

    def again(self, run: Run) -> Run:
        """Return a run as it is now.

        Raises:
            UnknownRunError: somebody has deleted it.
            RefusedError: not permitted.
            AirflowError: unreachable, or refused.
        """
        if run.logical is None:
            return self.run(run.job, run.id)
        for candidate in self.runs_between(run.job, run.logical, run.logical):
            if candidate.id == run.id:
                return candidate
        raise UnknownRunError(run.job, run.id, [])

    def newest(self, job: str) -> Run:
        """Return the run of a job that was made last.

        Raises:
            NoRunsError: it has none.
            RefusedError: not permitted.
            AirflowError: unreachable, or refused.
        """
        for run in self._listed_runs([job], {}, 1):
            return run
        raise NoRunsError(job)

    def tasks(self, run: Run) -> list[TaskRun]:
        """Return the tasks of a run, by when they started.

        Raises:
            RefusedError: not permitted.
            AirflowError: unreachable, or refused.
        """
        body = {"dag_ids": [self.dag_id(run.job)], "dag_run_ids": [run.id]}
        with permitted(READ):
            entries = list(self.client.found("dags/~/dagRuns/~/taskInstances/list", "task_instances", body))
        return sorted(map(TaskRun.of, entries), key=_order)

    def task(self, run: Run, name: str, map_index: int | None = None) -> TaskRun:
        """Return a task of a run; of a foreach, the instance with that index.

        Raises:
            UnknownTaskOfRunError: there is no such task or instance, or several and no index says which.
            RefusedError: not permitted.
            AirflowError: unreachable, or refused.
        """
        tasks = self.tasks(run)
        found = [task for task in tasks if task.task == name]
        if not found:
            raise UnknownTaskOfRunError(_unknown_task(run, name, {task.task for task in tasks}))
        indexes = [task.map_index for task in found]
        if map_index is None and len(found) == 1:
            return found[0]
        for task in found:
            if task.map_index == map_index:
                return task
        raise UnknownTaskOfRunError(_unknown_index(name, map_index, indexes))

    def require_task(self, run: Run, name: str) -> None:
        """Make sure that a run has a task.

        Raises:
            UnknownTaskOfRunError: it does not.
            RefusedError: not permitted.
            AirflowError: unreachable, or refused.
        """
        known = {task.task for task in self.tasks(run)}
        if name not in known:
            raise UnknownTaskOfRunError(_unknown_task(run, name, known))

    def log(self, run: Run, task: TaskRun, attempt: int) -> list[str]:
        """Return the lines of the log of one try of a task.

        Raises:
            RefusedError: not permitted.
            AirflowError: unreachable, or refused.
        """
        path = f"dags/{self.dag_id(run.job)}/dagRuns/{quote(run.id, SAFE)}/taskInstances/{task.task}/logs/{attempt}"
        with permitted(READ):
            answer = self.client.call("GET", f"{path}?full_content=true&map_index={task.map_index}")
        return list(self.generation.log_lines(answer["content"]))

    def _listed_runs(self, jobs: Sequence[str], body: Mapping[str, Any], page: int) -> Iterator[Run]:
        wanted = {"dag_ids": [*map(self.dag_id, jobs)], "order_by": "-id", **body}
        with permitted(READ):
            for entry in self.client.found("dags/~/dagRuns/list", "dag_runs", wanted, page):
                yield Run.of(entry)


def _order(task: TaskRun) -> tuple[bool, str, str, int]:
    start = task.start or task.end
    return (start is None, start.isoformat() if start else "", task.task, task.map_index)


def _unknown_task(run: Run, name: str, known: Collection[str]) -> str:
    return unknown("task", name, known, f"run {run.id} has")


def _unknown_index(name: str, index: int | None, known: Sequence[int]) -> str:
    if list(known) == [NOT_MAPPED]:
        return f"task {name} has no foreach: leave --map-index out"
    shown = f"{min(known)} to {max(known)}"
    if index is None:
        return f"task {name} has {len(known)} instances: choose one with --map-index ({shown})"
    return f"task {name} has no instance {index}: --map-index may be {shown}"
