"""Runs in Airflow's environment, in a process of its own for each measurement, and prints the result as JSON.

worker.py parse|one|large|memory FILE DAGS TASKS
"""

import gc
import json
import os
import runpy
import statistics
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

# What every side needs, so that none pays for it.
from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from kubernetes.client import ApiClient  # type: ignore[import-untyped]

if TYPE_CHECKING or find_spec("airflow.sdk"):
    from airflow.sdk import DAG, CronDataIntervalTimetable
    from airflow.serialization.serialized_objects import DagSerialization as SERIALIZATION
else:
    from airflow.models import DAG
    from airflow.serialization.serialized_objects import SerializedDAG as SERIALIZATION
    from airflow.timetables.interval import CronDataIntervalTimetable

CLIENT = ApiClient()
REPEATS = 15
DAG_FIELDS = "description start_date catchup max_active_runs timetable"
TASK_FIELDS = """
    name image cmds arguments env_vars labels annotations container_resources node_selector tolerations
    service_account_name priority_class_name startup_timeout_seconds active_deadline_seconds security_context
    container_security_context config_file cluster_context namespace in_cluster kubernetes_conn_id on_finish_action
    get_logs log_events_on_failure owner trigger_rule execution_timeout retries retry_delay retry_exponential_backoff
    max_retry_delay upstream_task_ids
"""


def read(file: Path, dags: int, tasks: int) -> list[DAG]:
    """Return the DAGs of the file; the number of DAGs, and of pods in each, must be as expected."""
    found = [value for value in runpy.run_path(str(file)).values() if isinstance(value, DAG)]
    if len(found) != dags:
        sys.exit(f"{file.name}: {len(found)} DAGs, not {dags}")
    for dag in found:
        pods = [task for task in dag.tasks if isinstance(task, KubernetesPodOperator)]
        # With several last tasks, Jobyard's DAG has one more, which announces the success.
        others = {task.task_id for task in dag.tasks} - {task.task_id for task in pods} - {"job.finished"}
        if len(pods) != tasks or others:
            count = f"{len(dag.tasks)} tasks, {len(pods)} of them pods, not {tasks}"
            sys.exit(f"{file.name}: {dag.dag_id} ({dag.description}) has {count}")
    return found


def parse(file: Path, dags: int, tasks: int) -> dict[str, Any]:
    """The CPU seconds of a second reading, and what is in the first DAG by name."""
    read(file, dags, tasks)
    gc.collect()
    seconds, found = spent(lambda: read(file, dags, tasks))
    return {"seconds": seconds, "content": content(min(found, key=lambda dag: str(dag.dag_id)))}


def one(file: Path, dags: int, tasks: int) -> dict[str, Any]:
    """The CPU seconds of reading a release for one DAG, as a task's own run does, and of reading its JSON alone."""
    os.environ["_AIRFLOW_PARSING_CONTEXT_DAG_ID"] = f"{file.stem}.job-0000"
    release = file.parent / file.stem / "jobs.json"
    read(file, 1, tasks)
    pairs = [
        (spent(lambda: read(file, 1, tasks))[0], spent(lambda: json.loads(release.read_bytes()))[0])
        for _ in range(REPEATS)
    ]
    load, reading = (statistics.median(values) for values in zip(*pairs, strict=True))
    return {"load": load, "reading": reading, "bytes": release.stat().st_size}


def large(file: Path, dags: int, tasks: int) -> dict[str, Any]:
    """The CPU seconds of a second reading, and of what Airflow then does with each DAG for its database."""
    _without_limits()
    read(file, dags, tasks)
    gc.collect()
    reading, found = spent(lambda: read(file, dags, tasks))
    for dag in found:
        dag.fileloc = str(file)
    gc.collect()
    serializing, _ = spent(lambda: [SERIALIZATION.to_dict(dag) for dag in found])
    return {"reading": reading, "serializing": serializing}


def _without_limits() -> None:
    """Let a job have more tasks than a release may have: the library reads its limits when it is imported."""
    from jobyard import limits

    for name in ("TASKS", "INSTANCES", "ACTIVE_INSTANCES", "EDGES"):
        setattr(limits, name, 100_000)


def memory(file: Path, dags: int, tasks: int) -> dict[str, Any]:
    """How many bytes more than before are resident at the peak of a first reading."""
    # With the first timetable Airflow loads further modules, once for all DAGs.
    CronDataIntervalTimetable("@daily", timezone="UTC")
    gc.collect()
    before = resident("VmRSS")
    found = read(file, dags, tasks)
    return {"growth": resident("VmHWM") - before, "dags": len(found)}


def resident(name: str) -> int:
    """The process's resident memory, or the peak of it. `ru_maxrss` can be the peak of the process that started it."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status[name].split()[0]) * 1024


def spent(action: Callable[[], Any]) -> tuple[float, Any]:
    """The CPU seconds of the action, and its result."""
    started = time.process_time()
    result = action()
    return time.process_time() - started, result


def content(dag: DAG) -> dict[str, str]:
    """The arguments of the DAG and its operators, as text that can be compared between processes."""
    found = {name: text(getattr(dag, name)) for name in DAG_FIELDS.split()}
    for task in dag.tasks:
        for name in TASK_FIELDS.split():
            found[f"{task.task_id}.{name}"] = text(getattr(task, name))
    return found


def text(value: Any) -> str:
    """The value: a part of a pod as the API server gets it, a set in order, a timetable by what is in it."""
    if isinstance(value, CronDataIntervalTimetable):
        return str(vars(value))
    if isinstance(value, (set, frozenset)):
        return str(sorted(value))
    if isinstance(value, (dict, list)) or hasattr(value, "openapi_types"):
        return json.dumps(CLIENT.sanitize_for_serialization(value), sort_keys=True)
    return str(value)


if __name__ == "__main__":
    measures = {"parse": parse, "one": one, "large": large, "memory": memory}
    path = Path(sys.argv[2])
    sys.path.insert(0, str(path.parent))
    print(json.dumps(measures[sys.argv[1]](path, int(sys.argv[3]), int(sys.argv[4]))))
