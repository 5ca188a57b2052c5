"""A job of the release becomes a DAG. The same release makes the same DAG, to the byte, in any process."""

import re
from graphlib import TopologicalSorter
from typing import Any

from jobyard.broken import broken_dag
from jobyard.compat import DAG
from jobyard.docs import job_page
from jobyard.errors import JobError, JobyardError, UnknownNameError
from jobyard.images import MACRO, ImageLookup
from jobyard.operator import JobPodOperator
from jobyard.platform import Platform
from jobyard.pod import operator_arguments, seconds
from jobyard.release import Job, Task
from jobyard.schedule import schedule_arguments

# The names become labels, a DAG id and task ids.
NAME = re.compile(r"[a-z]([a-z0-9-]{0,48}[a-z0-9])?")


def build(platform: Platform, team: str, name: str, job: Job) -> DAG:
    """Return the job's DAG; of a job that cannot be built, a DAG that says why."""
    try:
        return job_dag(platform, team, name, job)
    except JobyardError as error:
        return broken_dag(team, name, job, str(error))
    # A malformed entry can fail anywhere, in any way, and must not take the team's other jobs with it.
    except Exception as error:
        return broken_dag(team, name, job, f"malformed entry: {type(error).__name__}: {error}")


def job_dag(platform: Platform, team: str, name: str, job: Job) -> DAG:
    """Return the job's DAG.

    Raises:
        JobError: a name is unknown or unfit, or the tasks need each other in a circle.
        Exception: whatever a malformed entry leads to.
    """
    check_name("job", name)
    order = task_order(job["tasks"])
    dag = DAG(**dag_arguments(team, name, job))
    operators: dict[str, JobPodOperator] = {}
    for task_name in order:
        task = job["tasks"][task_name]
        check_name("task", task_name)
        arguments = operator_arguments(platform, team, name, task_name, task)
        operators[task_name] = JobPodOperator(dag=dag, **arguments)
        operators[task_name].set_upstream([operators[need] for need in sorted(task["needs"])])
    return dag


def dag_arguments(team: str, name: str, job: Job) -> dict[str, Any]:
    """Return the keyword arguments of the DAG."""
    owner = job["owner"] or team
    return {
        "dag_id": f"{team}.{name}",
        "description": job["description"],
        "doc_md": job_page(job["description"], job["source"]),
        "default_args": {"owner": owner},
        "tags": sorted({f"team:{team}", f"owner:{owner}", *job["tags"]}),
        "params": job["params"],
        # A merged job runs; Airflow's default is to wait, paused, for somebody's click.
        "is_paused_upon_creation": False,
        "catchup": job["catchup"],
        "max_active_runs": job["max_active_runs"],
        "dagrun_timeout": seconds(job["timeout"]),
        "user_defined_macros": {MACRO: ImageLookup(team)},
        **schedule_arguments(job),
    }


def task_order(tasks: dict[str, Task]) -> list[str]:
    """Return the tasks' names, each after what it needs; the same order every time.

    Raises:
        JobError: there is no task, a need does not exist, or the needs go round in a circle.
    """
    if not tasks:
        raise JobError("the job has no tasks")
    sorter: TopologicalSorter[str] = TopologicalSorter()
    for name in sorted(tasks):
        for need in tasks[name]["needs"]:
            if need not in tasks:
                raise UnknownNameError(f"task in needs of {name!r}:", need, tasks)
        sorter.add(name, *sorted(tasks[name]["needs"]))
    return list(sorter.static_order())


def check_name(what: str, name: str) -> None:
    """Raise JobError unless the name can be a label, a DAG id and a task id."""
    if not NAME.fullmatch(name):
        raise JobError(f"{what} name {name!r} is not lower-case letters, digits and '-', at most 50 of them")
