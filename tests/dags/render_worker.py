"""What Airflow renders of jobs, for another process, whose Python has no Airflow: reads a question a line.

A question is an object: `entry` of a job, a moment `after` which the run is to begin, the `outputs` of its tasks and
the `variables` of Airflow. An answer is a line of JSON after `MARK`: the run's id, and of each task, for each item of
its `foreach`, the command, arguments and environment with which its pod is made.
"""

import os
from datetime import datetime
from types import SimpleNamespace
from typing import Any

import pendulum
from airflow.models.dagrun import DagRun
from airflow.timetables.base import TimeRestriction
from airflow.utils.types import DagRunType
from jobyard.plain import encode
from support import AIRFLOW_3, Bucket, core_dag
from worker import answer_all

PREFIX = "AIRFLOW_VAR_"


def run_of(dag: Any, after: str) -> Any:
    """Return what the timetable says of the first run whose data interval begins no earlier."""
    restriction = TimeRestriction(pendulum.instance(datetime.fromisoformat(after)), dag.end_date, catchup=True)
    return dag.timetable.next_dagrun_info(last_automated_data_interval=None, restriction=restriction)


def run_id(dag: Any, info: Any) -> str:
    """Return the id that the scheduler gives such a run."""
    if AIRFLOW_3:
        named = {"run_type": DagRunType.SCHEDULED, "logical_date": info.logical_date, "run_after": info.run_after}
        return str(DagRun.generate_run_id(**named))
    return str(DagRun.generate_run_id(DagRunType.SCHEDULED, info.logical_date))


class Instance(SimpleNamespace):
    """A task instance, as far as rendering asks it."""

    def xcom_pull(self, task_ids: list[str], key: str) -> list[str]:
        """Return the outputs of one task as they are stored: of a task with several instances, one each."""
        assert key == "jobyard_output"
        value = self.outputs[task_ids[0]]
        return [encode(one) for one in value] if task_ids[0] in self.mapped else [encode(value)]


def rendered(dag: Any, entry: dict[str, Any], info: Any, outputs: dict[str, Any]) -> dict[str, Any]:
    """Return what is rendered of each task, by the task's name and the item's index."""
    found: dict[str, Any] = {}
    mapped = {name for name, task in entry["tasks"].items() if task.get("foreach")}
    for name in entry["tasks"]:
        items = (entry["tasks"][name].get("foreach") or {"items": [None]})["items"]
        for index, item in enumerate(items):
            operator = dag.get_task(name)
            one = operator.unmap({"item": item}) if name in mapped else operator
            given = context(dag, one, info, index if name in mapped else -1)
            given["ti"].outputs, given["ti"].mapped = outputs, mapped
            one.render_template_fields(given)
            env = {variable.name: variable.value for variable in one.env_vars}
            found[f"{name} {index}"] = {"command": one.cmds, "args": one.arguments, "env": env}
    return found


def context(dag: Any, task: Any, info: Any, index: int) -> dict[str, Any]:
    """Return the context of the task in that run, of which the times are the timetable's."""
    names = {"dag_id": dag.dag_id, "task_id": task.task_id, "run_id": run_id(core_dag(dag), info)}
    run = SimpleNamespace(run_type=DagRunType.SCHEDULED, conf={}, run_after=info.run_after)
    return {
        "ti": Instance(**names, map_index=index, try_number=1),
        "task": task,
        "dag": dag,
        "dag_run": run,
        "run_id": names["run_id"],
        "params": {name: param.value for name, param in dag.params.items()},
        "data_interval_start": info.data_interval.start,
        "data_interval_end": info.data_interval.end,
        "logical_date": info.logical_date,
        "task_instance_key_str": f"{dag.dag_id}__{task.task_id}__{info.logical_date.strftime('%Y%m%d')}",
    }


def answer(bucket: Bucket, question: dict[str, Any]) -> dict[str, Any]:
    """Return the answer to one question."""
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        del os.environ[name]
    for name, value in question["variables"].items():
        os.environ[PREFIX + name.upper()] = value
    dag = bucket.dag(question["entry"])
    info = run_of(core_dag(dag), question["after"])
    return {
        "run_id": run_id(core_dag(dag), info),
        "tasks": rendered(dag, question["entry"], info, question["outputs"]),
    }


if __name__ == "__main__":
    answer_all(answer)
