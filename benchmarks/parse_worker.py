"""Runs in Airflow's environment: reads a DAG file twice and prints the CPU seconds of the second time."""

import runpy
import sys
import time
from pathlib import Path

from airflow.sdk import DAG


def read(file: str) -> int:
    """The number of DAGs in the file."""
    return sum(isinstance(value, DAG) for value in runpy.run_path(file).values())


if __name__ == "__main__":
    path, expected = sys.argv[1], int(sys.argv[2])
    sys.path.insert(0, str(Path(path).parent))
    read(path)
    started = time.process_time()
    found = read(path)
    spent = time.process_time() - started
    assert found == expected, f"{found} DAGs, not {expected}"
    print(spent)
