"""Builds jobs for another process, whose Python has no Airflow: reads a job's entry a line, answers with what is wrong.

An answer is a line of JSON after `MARK`: null, or why Airflow would not have the job's DAG.
"""

import json
from typing import Any

from jobyard.compat import AIRFLOW_3
from jobyard.contract import BROKEN_TAG
from support import Bucket
from worker import answer_all

if AIRFLOW_3:
    from airflow.serialization.serialized_objects import DagSerialization as Serialization
else:
    from airflow.serialization.serialized_objects import SerializedDAG as Serialization


def problem(bucket: Bucket, entry: dict[str, Any]) -> str | None:
    """Return why the job can't be built, or can't be stored by the scheduler; None if it can."""
    found = bucket.parse(bucket.release({"score": entry}))
    if found.import_errors:
        return str(found.import_errors)
    dag = found.dags["risk.score"]
    if BROKEN_TAG in dag.tags:
        return str(dag.description)
    try:
        stored = json.loads(json.dumps(Serialization.to_dict(dag)))
        Serialization.from_dict(stored)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return None


if __name__ == "__main__":
    answer_all(problem)
