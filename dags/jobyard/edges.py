"""The arrows between the tasks of a DAG."""

from collections.abc import Iterable
from typing import Any


def put_before(task: Any, others: Iterable[Any]) -> None:
    """Let the task run after the others, all of them operators of one DAG.

    It does what `set_upstream` ends with. Before that, in every version of Airflow, `set_upstream` computes the hash of
    the DAG for each of the tasks, and the hash is of the names of all tasks of the DAG: the time grows with their
    square.
    """
    for other in others:
        other.downstream_task_ids.add(task.task_id)
        task.upstream_task_ids.add(other.task_id)
