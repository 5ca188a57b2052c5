"""The same release makes the same DAG in every process: Airflow 3 would count any difference as a version."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support import Bucket, job, task

MARK = "dags: "
# Files that have one name in all versions of the library.
SHARED = ("__init__.py", "kubeconfig.yaml", "token_plugin.py")
# What the scheduler stores of each DAG, and by which Airflow 3, having sorted it, tells versions apart. Airflow is
# loaded once; the library is loaded for each answer, in a process of its own.
SERIALISE = """
import importlib, json, os, runpy, sys
try:
    from airflow.serialization.serialized_objects import DagSerialization as Serialised
except ImportError:
    from airflow.serialization.serialized_objects import SerializedDAG as Serialised
assert "jobyard" not in sys.modules
for line in sys.stdin:
    if os.fork():
        if os.wait()[1]:
            sys.exit("the loader has failed")
        continue
    loader = line.rstrip()
    # Python remembers that the bucket was not there, if it looked before the bucket was made.
    importlib.invalidate_caches()
    # The bucket first, as Airflow has it: the library is the one that is there.
    sys.path.insert(0, os.path.dirname(loader))
    dags = runpy.run_path(loader)
    dags = {name: dag for name, dag in dags.items() if name.startswith("risk.")}
    for dag in dags.values():
        dag.fileloc = loader  # as Airflow's bag of DAGs does
    made = {name: Serialised.to_dict(dag) for name, dag in dags.items()}
    print("dags: " + json.dumps(made, sort_keys=True), flush=True)
    os._exit(0)
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


class Serialiser:
    """A process, with its own order of sets, that says what it makes of a release."""

    def __init__(self, seed: int) -> None:
        environment = {**os.environ, "PYTHONHASHSEED": str(seed), "PYTHONPATH": os.pathsep.join(sys.path)}
        command = [sys.executable, "-W", "ignore", "-c", SERIALISE]
        self._process = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def dags(self, loader: Path) -> str:
        """Return the serialised DAGs of the loader's release."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(f"{loader}\n")
        self._process.stdin.flush()
        line = next((line for line in self._process.stdout if line.startswith(MARK)), None)
        assert line, "the process has ended"
        return line.removeprefix(MARK)

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()


@pytest.fixture(scope="module")
def serialisers() -> Iterator[tuple[Serialiser, Serialiser]]:
    """Two with different orders."""
    both = Serialiser(1), Serialiser(2)
    yield both
    for one in both:
        one.close()


def test_two_processes_agree_to_the_byte(bucket: Bucket, serialisers: tuple[Serialiser, Serialiser]) -> None:
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
    one, other = [process.dags(loader) for process in serialisers]
    assert sorted(json.loads(one)) == ["risk.bad", "risk.follows", "risk.score", "risk.whole"]
    assert [
        dag for dag in ("risk.score", "risk.follows", "risk.whole") if "Broken: " in json.dumps(json.loads(one)[dag])
    ] == []
    assert one == other
    assert " object at 0x" not in one


def put_into_versions(library: Path, *folders: str) -> None:
    """Make of the library versions that are the same, as the platform's files are in a real bucket."""
    files: dict[str, int] = {}
    own: dict[str, Path] = {}
    for file in filter(Path.is_file, library.rglob("*")):
        name = str(file.relative_to(library))
        if name not in SHARED:
            own[name], files[name] = file, file.stat().st_size
    for folder in folders:
        for name in files:
            (library / folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(own[name], library / folder / name)
    for name in files:
        own[name].unlink()
    index = {"versions": [{"folder": folder, "files": files} for folder in folders]}
    (library / "versions.json").write_text(json.dumps(index))


def test_another_version_of_the_library_makes_no_other_dags(
    bucket: Bucket, serialisers: tuple[Serialiser, Serialiser]
) -> None:
    process, _ = serialisers
    loader = bucket.release({"whole": job(**EVERYTHING)})
    before = process.dags(loader)
    library = bucket.folder / "jobyard"
    put_into_versions(library, "2", "1")
    after = process.dags(loader)
    (library / "2" / "loader.py").unlink()
    fallen_back = process.dags(loader)
    assert "Broken: " not in before
    assert before == after == fallen_back
