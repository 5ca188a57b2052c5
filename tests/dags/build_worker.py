"""Builds jobs for another process, whose Python has no Airflow: reads a job's entry a line, answers with what is wrong.

An answer is a line of JSON after `MARK`: null, or why Airflow would not have the job's DAG.
"""

import json
import sys
from pathlib import Path
from typing import Any

from jobyard.compat import AIRFLOW_3
from jobyard.contract import BROKEN_TAG
from support import Bucket

if AIRFLOW_3:
    from airflow.serialization.serialized_objects import DagSerialization as Serialization
else:
    from airflow.serialization.serialized_objects import SerializedDAG as Serialization

MARK = "answer: "


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


def main() -> None:
    """Answer until the other process closes the input."""
    bucket = Bucket(Path(sys.argv[1]))
    bucket.write("jobyard/platform.json", json.loads(sys.argv[2]))
    for line in sys.stdin:
        print(MARK + json.dumps(problem(bucket, json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
