"""The same release makes the same DAG in every process: Airflow 3 would count any difference as a version."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from support import Bucket, job, task

# What the scheduler stores of each DAG, and by which Airflow 3, having sorted it, tells versions apart.
SERIALISE = """
import json, runpy, sys
dags = runpy.run_path(sys.argv[1])
dags = {name: dag for name, dag in dags.items() if name.startswith("risk.")}
for dag in dags.values():
    dag.fileloc = sys.argv[1]  # as Airflow's bag of DAGs does
try:
    from airflow.serialization.serialized_objects import DagSerialization as Serialised
except ImportError:
    from airflow.serialization.serialized_objects import SerializedDAG as Serialised
print(json.dumps({name: Serialised.to_dict(dag) for name, dag in dags.items()}, sort_keys=True))
"""

TARGETS = [{"webhook": "/x"}, {"slack": "#a"}, {"email": "a@example.com"}]
EACH = {"items": [{"b": 1, "a": 2}, "c"], "output_of": None, "concurrency": 2}
GATE = {"output_of": "split", "value": "psi", "test": "above", "bound": 0.2}
EVERYTHING: dict[str, Any] = {
    "alerts": {name: TARGETS for name in ("on_failure", "on_retry", "on_success", "on_missed_deadline")},
    "deadline": 3600,
    "max_active_tasks": 4,
    "wait_for": [{"job": "care.b", "timeout": 60}, {"job": "care.a", "timeout": 60}],
    "params": {"limit": {"default": 5, "type": "integer", "enum": [5, 6]}},
    "tasks": {
        "arrived": task(
            type="wait-for-s3-key", arguments={"bucket_key": "s3://raw/{{ ds }}"}, outputs=["s3://bucket/x"]
        ),
        "split": task(
            output=True,
            group="model",
            needs=["arrived"],
            inputs=["s3://b/y", "s3://a/x"],
            scratch="1Gi",
            read_only_root_filesystem=True,
        ),
        "train": task(foreach=EACH, group="model", needs=["split"], output=True, pool="risk.gpu"),
        "each": task(foreach={"items": None, "output_of": "split", "concurrency": None}, needs=["split", "arrived"]),
        "gated": task(gate=GATE, needs=["split"], outputs=["s3://bucket/z", "s3://bucket/a/z"]),
        "last": task(
            needs=["train", "each", "gated"], trigger_rule="none_failed", secrets={"P": {"secret": "s", "key": "k"}}
        ),
    },
}


def serialise(loader: Path, seed: int) -> subprocess.Popen[str]:
    """Start a process, with its own order of sets, that writes what it makes of the release."""
    # The bucket first, as Airflow has it: the library is the one that is there.
    path = os.pathsep.join([str(loader.parent), *sys.path])
    environment = {**os.environ, "PYTHONHASHSEED": str(seed), "PYTHONPATH": path}
    command = [sys.executable, "-W", "ignore", "-c", SERIALISE, str(loader)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


def test_two_processes_agree_to_the_byte(bucket: Bucket) -> None:
    first = task(env={"B": "1", "A": "2", "C": "3"}, node_group="graviton")
    tasks = {"a": first, "b": task(needs=["a"]), "c": task(needs=["a"]), "d": task(needs=["c", "b", "a"])}
    whole = job(**EVERYTHING)
    bad = job(tasks={"score": task(node_group="gone")})
    tags = ["nightly", "quality", "slow"]
    loader = bucket.release(
        {
            "score": job(tasks=tasks, tags=tags, params={"b": 1, "a": "x"}, timezone="Asia/Jakarta"),
            "whole": whole,
            "follows": job(schedule={"after": ["risk.whole", "care.b"], "assets": ["s3://b/y", "s3://a/x"]}),
            "bad": bad,
        }
    )
    processes = [serialise(loader, seed) for seed in (1, 2)]
    one, other = [process.communicate()[0].splitlines()[-1] for process in processes]
    assert sorted(json.loads(one)) == ["risk.bad", "risk.follows", "risk.score", "risk.whole"]
    assert [
        dag for dag in ("risk.score", "risk.follows", "risk.whole") if "Broken: " in json.dumps(json.loads(one)[dag])
    ] == []
    assert one == other
    assert " object at 0x" not in one


def put_into_versions(library: Path, *folders: str) -> None:
    """Make of the library versions that are the same, as the platform's files are in a real bucket."""
    own = {file.name: file for file in library.iterdir() if file.name not in ("__init__.py", "kubeconfig.yaml")}
    files = {name: file.stat().st_size for name, file in own.items() if file.is_file()}
    for folder in folders:
        (library / folder).mkdir()
        for name in files:
            shutil.copy(own[name], library / folder)
    for name in files:
        own[name].unlink()
    index = {"versions": [{"folder": folder, "files": files} for folder in folders]}
    (library / "versions.json").write_text(json.dumps(index))


def test_another_version_of_the_library_makes_no_other_dags(bucket: Bucket) -> None:
    loader = bucket.release({"whole": job(**EVERYTHING)})
    before = serialise(loader, 1).communicate()[0].splitlines()[-1]
    library = bucket.folder / "jobyard"
    put_into_versions(library, "2", "1")
    after = serialise(loader, 1).communicate()[0].splitlines()[-1]
    (library / "2" / "loader.py").unlink()
    fallen_back = serialise(loader, 1).communicate()[0].splitlines()[-1]
    assert "Broken: " not in before
    assert before == after == fallen_back
