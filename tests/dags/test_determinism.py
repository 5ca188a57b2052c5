"""The same release makes the same DAG in every process: Airflow 3 would count any difference as a version."""

import json
import os
import subprocess
import sys
from pathlib import Path

from support import Bucket, job, task

# What the scheduler stores of each DAG, and by which Airflow 3, having sorted it, tells versions apart.
SERIALISE = """
import json, runpy, sys
dags = runpy.run_path(sys.argv[1])
dags = {name: dag for name, dag in dags.items() if name.startswith("risk.")}
try:
    from airflow.serialization.serialized_objects import DagSerialization as Serialised
except ImportError:
    from airflow.serialization.serialized_objects import SerializedDAG as Serialised
print(json.dumps({name: Serialised.to_dict(dag) for name, dag in dags.items()}, sort_keys=True))
"""


def serialise(loader: Path, seed: int) -> subprocess.Popen[str]:
    """Start a process, with its own order of sets, that writes what it makes of the release."""
    environment = {**os.environ, "PYTHONHASHSEED": str(seed), "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-W", "ignore", "-c", SERIALISE, str(loader)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


def test_two_processes_agree_to_the_byte(bucket: Bucket) -> None:
    first = task(env={"B": "1", "A": "2", "C": "3"}, node_group="graviton")
    tasks = {"a": first, "b": task(needs=["a"]), "c": task(needs=["a"]), "d": task(needs=["c", "b", "a"])}
    bad = job(tasks={"score": task(node_group="gone")})
    tags = ["nightly", "quality", "slow"]
    loader = bucket.release(
        {"score": job(tasks=tasks, tags=tags, params={"b": 1, "a": "x"}, timezone="Asia/Jakarta"), "bad": bad}
    )
    processes = [serialise(loader, seed) for seed in (1, 2)]
    one, other = [process.communicate()[0].splitlines()[-1] for process in processes]
    assert sorted(json.loads(one)) == ["risk.bad", "risk.score"]
    assert one == other
    assert " object at 0x" not in one
