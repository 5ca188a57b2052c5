"""What Airflow says of the instance of a task, asked from within the triggerer.

In Airflow 2 the triggerer works on the database itself; in Airflow 3 it asks its supervisor.
"""

import asyncio
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from .target import TaskKey

AIRFLOW_3 = find_spec("airflow.sdk") is not None
ENDED = frozenset({None, "success", "failed", "skipped", "upstream_failed", "removed"})
"""The states in which an instance has no pod. None: it was cleared and not yet scheduled, or its run was deleted."""
DEFERRED = "deferred"
ANSWER_SECONDS = 30


States = Mapping[tuple[str, int], str | None]
"""The state of each instance of a task, by run and map index."""


async def states(dag_id: str, task_id: str, run_id: str | None = None) -> States:
    """Return the states of the task in all runs, or in one.

    Raises:
        Exception: Airflow can't say.
    """
    asked = _states_3(dag_id, task_id, run_id) if AIRFLOW_3 else asyncio.to_thread(_states_2, dag_id, task_id, run_id)
    async with asyncio.timeout(ANSWER_SECONDS):
        return await asked


async def state(task: TaskKey) -> str | None:
    """Return the instance's state; None if it has none.

    Raises:
        Exception: Airflow can't say.
    """
    found = await states(task.dag_id, task.task_id, task.run_id)
    return found.get((task.run_id, task.map_index))


def _states_2(dag_id: str, task_id: str, run_id: str | None) -> States:
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session

    found: dict[tuple[str, int], str | None] = {}
    with create_session() as session:
        query = session.query(TaskInstance.run_id, TaskInstance.map_index, TaskInstance.state)
        query = query.filter(TaskInstance.dag_id == dag_id, TaskInstance.task_id == task_id)
        if run_id is not None:
            query = query.filter(TaskInstance.run_id == run_id)
        for run, index, value in query:
            found[run, index] = value and str(value)
    return found


async def _states_3(dag_id: str, task_id: str, run_id: str | None) -> States:
    from airflow.sdk.execution_time import task_runner
    from airflow.sdk.execution_time.comms import GetTaskStates

    question = GetTaskStates(dag_id=dag_id, task_ids=[task_id], run_ids=None if run_id is None else [run_id])
    # Not in a thread: that would hang, and with it the triggerer, where its supervisor no longer answers.
    comms: Any = task_runner.SUPERVISOR_COMMS
    answer = await comms.asend(question)
    found: dict[tuple[str, int], str | None] = {}
    for run, by_task in answer.task_states.items():
        for name, value in by_task.items():
            # An instance of a mapped task is "<task>_<index>"; no task's name has a "_".
            index = -1 if name == task_id else int(name.removeprefix(f"{task_id}_"))
            found[run, index] = value and str(value)
    return found
