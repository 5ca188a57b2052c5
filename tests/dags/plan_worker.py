"""What Airflow makes of jobs, for another process, whose Python has no Airflow: reads a job's entry a line.

An answer is a line of JSON after `MARK`: the pod of each task, and the first data intervals since the start_date.
"""

import re
from itertools import islice
from typing import Any

from airflow.timetables.base import TimeRestriction
from jobyard.template_guard import unguarded
from kubernetes.client import ApiClient
from support import Bucket, context, core_dag
from worker import answer_all

INTERVALS = 12
# What Airflow adds for itself.
OWN_LABELS = ("airflow_version", "airflow_kpo_in_cluster", "kubernetes_pod_operator")
MACRO = re.compile(r"\{\{ jobyard_image\('(.*)'\) \}\}")


def pods(dag: Any, entry: dict[str, Any]) -> dict[str, Any]:
    """Return each task's pod as it would be sent to the API server, in the words of the job."""
    return {name: pod(dag.get_task(name)) for name, task in entry["tasks"].items() if not task.get("type")}


def sent(dag: Any, entry: dict[str, Any]) -> dict[str, Any]:
    """Return each task's pod as it is sent to the API server in a run, but for what is rendered."""
    return {name: _sent(dag.get_task(name), name) for name, task in entry["tasks"].items() if not task.get("type")}


def _sent(operator: Any, name: str) -> dict[str, Any]:
    one = operator.unmap({"item": None}) if hasattr(operator, "unmap") else operator
    given = context()
    given["ti"].task_id = name
    whole: dict[str, Any] = ApiClient().sanitize_for_serialization(one.build_pod_request_obj(given))
    return whole


def pod(operator: Any) -> dict[str, Any]:
    """Return the pod without what is empty, what is Airflow's own, and what an environment prefers."""
    one = operator.unmap({"item": None}) if hasattr(operator, "unmap") else operator
    sent = ApiClient().sanitize_for_serialization(one.build_pod_request_obj())
    del sent["metadata"]["name"]
    sent["spec"].pop("affinity", None)
    labels = sent["metadata"]["labels"]
    sent["metadata"]["labels"] = {name: value for name, value in labels.items() if name not in OWN_LABELS}
    # Kubernetes' default, which the provider writes out.
    del sent["spec"]["containers"][0]["terminationMessagePolicy"]
    return plain(sent)


def plain(value: Any) -> Any:
    """Return the value without what is empty or false on its own, templates as they were written."""
    if isinstance(value, dict):
        filled = {key: plain(entry) for key, entry in value.items()}
        kept = ("automountServiceAccountToken", "allowPrivilegeEscalation", "value")
        return {key: entry for key, entry in filled.items() if key in kept or entry not in (None, [], {}, False)}
    if isinstance(value, list):
        return [plain(entry) for entry in value]
    if isinstance(value, str):
        return MACRO.sub(r"\1", unguarded(value))
    return value


def intervals(dag: Any) -> list[list[str]]:
    """Return the first data intervals since the start_date."""
    return [[start.isoformat(), end.isoformat()] for start, end in islice(_intervals(dag), INTERVALS)]


def _intervals(dag: Any) -> Any:
    restriction = TimeRestriction(dag.start_date, dag.end_date, catchup=True)
    last = None
    while run := dag.timetable.next_dagrun_info(last_automated_data_interval=last, restriction=restriction):
        last = run.data_interval
        yield last.start, last.end


def answer(bucket: Bucket, entry: dict[str, Any]) -> dict[str, Any]:
    """Return what Airflow makes of the job."""
    dag = bucket.dag(entry)
    on_clock = isinstance(entry["schedule"], str) and entry["schedule"] not in ("@once", "@continuous")
    return {
        "pods": pods(dag, entry),
        "sent": sent(dag, entry),
        "intervals": intervals(core_dag(dag)) if on_clock else [],
    }


if __name__ == "__main__":
    answer_all(answer)
