"""Runs in Airflow's own Python: reads a folder of DAGs and answers on the last line, in JSON, what Airflow has of it.

It imports nothing of the `jobyard` command, which is not installed there.
"""

import json
import sys
from typing import Any

try:  # Airflow 3.1 and later
    from airflow.dag_processing.dagbag import DagBag
except ImportError:
    from airflow.models.dagbag import DagBag  # type: ignore[no-redef]

try:  # Airflow 3
    from airflow.serialization.serialized_objects import DagSerialization as Serialization
except ImportError:
    from airflow.serialization.serialized_objects import SerializedDAG as Serialization  # type: ignore[attr-defined,assignment]


def problem(dag: Any) -> str | None:
    """Return why the scheduler could not run this DAG; None if it can."""
    if "broken" in dag.tags:
        return str(dag.description).removeprefix("Broken: ")
    try:
        Serialization.from_dict(json.loads(json.dumps(Serialization.to_dict(dag))))
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return None


def main() -> None:
    """Answer for the folder that the first argument names."""
    bag = DagBag(sys.argv[1], safe_mode=True)
    answer = {
        "import_errors": bag.import_errors,
        "dags": {dag_id: problem(dag) for dag_id, dag in sorted(bag.dags.items())},
    }
    print("\n" + json.dumps(answer))


if __name__ == "__main__":
    main()
