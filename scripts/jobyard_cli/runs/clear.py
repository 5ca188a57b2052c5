"""Clears tasks of a run, so that Airflow runs them again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from jobyard_cli.airflow.transport import AirflowBusyError
from jobyard_cli.runs.errors import AnswerLostError
from jobyard_cli.runs.model import TASK_FAILED, Run, TaskRun
from jobyard_cli.runs.team_airflow import CLEAR, TeamAirflow, permitted


@dataclass(frozen=True)
class Clearing:
    """What is to be cleared of a run."""

    run: Run
    task: str | None = None
    """None for all tasks."""
    downstream: bool = False
    """Whether the tasks that need it are cleared, too."""
    failed_only: bool = False

    def body(self, *, dry_run: bool) -> dict[str, Any]:
        """Return the call's body, the same for every version; their defaults differ, so it leaves none out."""
        body: dict[str, Any] = {
            "dry_run": dry_run,
            "dag_run_id": self.run.id,
            "only_failed": self.failed_only,
            "only_running": False,
            "reset_dag_runs": True,
            "include_downstream": self.downstream,
        }
        if self.task is not None:
            body["task_ids"] = [self.task]
        return body


def to_clear(airflow: TeamAirflow, clearing: Clearing) -> list[TaskRun]:
    """Return the tasks that would be cleared, with their states.

    Raises:
        RefusedError: not permitted.
        AirflowError: unreachable, or refused.
    """
    with permitted(CLEAR):
        answer = airflow.client.look(_path(airflow, clearing), clearing.body(dry_run=True))
    # Airflow 2 answers with names alone, and none of a foreach's instances.
    entries = answer["task_instances"]
    names = {entry["task_id"] for entry in entries}
    instances = {(entry["task_id"], entry["map_index"]) for entry in entries if "map_index" in entry}
    tasks = [task for task in airflow.tasks(clearing.run) if task.task in names]
    if instances:
        return [task for task in tasks if (task.task, task.map_index) in instances]
    if clearing.failed_only:
        return [task for task in tasks if task.state in TASK_FAILED]
    return tasks


def clear(airflow: TeamAirflow, clearing: Clearing) -> None:
    """Clear them.

    Raises:
        RefusedError: not permitted.
        AnswerLostError: Airflow did not answer.
        AirflowError: unreachable, or refused.
    """
    try:
        with permitted(CLEAR):
            airflow.client.call("POST", _path(airflow, clearing), clearing.body(dry_run=False))
    except AirflowBusyError as error:
        what = f"whether Airflow has cleared tasks of run {clearing.run.id} is not known"
        look = f"jobyard runs {clearing.run.job} '{clearing.run.id}'"
        raise AnswerLostError(what, str(error), look) from error


def _path(airflow: TeamAirflow, clearing: Clearing) -> str:
    return f"dags/{airflow.dag_id(clearing.run.job)}/clearTaskInstances"
