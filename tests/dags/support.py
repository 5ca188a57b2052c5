"""A dags folder as it lies in the bucket, and the entries of a release, for the tests of the library."""

import json
import shutil
from collections import defaultdict
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from runpy import run_path
from types import SimpleNamespace
from typing import Any

import pytest
from jobyard.compat import AIRFLOW_3, DAG
from jobyard.contract import loader_path
from jobyard.operator import JobPodOperator

if AIRFLOW_3:
    from airflow.dag_processing.dagbag import DagBag
else:
    from airflow.models.dagbag import DagBag

ROOT = Path(__file__).parents[2]
LIBRARY = ROOT / "dags"
# The published loader. The command line is not installed here, so its file is run alone; it imports nothing.
loader_source: Callable[[str], str] = run_path(str(ROOT / "scripts/jobyard_cli/platform/loader.py"))["loader_source"]
PLATFORM: dict[str, Any] = {
    "schema_version": 1,
    "environment": "local",
    "kubeconfig": "kubeconfig.yaml",
    "cost_centers": {"risk": "4711"},
    "teams": {
        "risk": {
            "assets": ["x-risk://", "s3://bucket/", "s3://features/", "s3://models/", "s3://shared/scores"],
            "pools": ["gpu"],
            "priority_band": [1000, 9999],
        },
        "care": {"assets": ["x-care://"], "pools": [], "priority_band": [10000, 19999]},
    },
    "variables": ["jobyard_data_bucket"],
    "task_types": {
        "wait-for-s3-key": {
            "operator": "airflow.providers.amazon.aws.sensors.s3.S3KeySensor",
            "arguments": ["bucket_key"],
            "fixed": {"aws_conn_id": "jobyard_aws_<team>", "mode": "reschedule"},
        },
        "gone": {"operator": "airflow.providers.nowhere.NoOperator", "arguments": []},
    },
    "node_groups": {
        "default": {
            "node_selector": {"jobyard.dev/node-group": "default", "kubernetes.io/arch": "amd64"},
            "tolerations": [],
            "startup_timeout": 600,
        },
        "graviton": {
            "node_selector": {"jobyard.dev/node-group": "graviton", "kubernetes.io/arch": "arm64"},
            "tolerations": [
                {
                    "key": "jobyard.dev/node-group",
                    "operator": "Equal",
                    "value": "graviton",
                    "effect": "NoSchedule",
                }
            ],
            "startup_timeout": 900,
        },
    },
}
# Nobody listens there: building a pod connects to nothing.
NO_SERVER = "http://127.0.0.1:9"


def kubeconfig(server: str) -> dict[str, Any]:
    """Return a kubeconfig with one team's context; JSON is YAML."""
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "local", "cluster": {"server": server}}],
        "users": [{"name": "airflow", "user": {"token": "none"}}],
        "contexts": [{"name": "risk", "context": {"cluster": "local", "user": "airflow"}}],
    }


def task(**changes: Any) -> dict[str, Any]:
    """Return a task's entry as the compiler writes it, with some of it changed."""
    entry = {
        "image": "inference",
        "command": None,
        "args": ["--date", "{{ ds }}"],
        "env": {},
        "secrets": {},
        "scratch": None,
        "node_group": "default",
        "resources": {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"memory": "1Gi"}},
        "needs": [],
        "retries": {"attempts": 3, "delay": 300, "backoff": "exponential", "max_delay": 3600},
        "timeout": 7200,
        "trigger_rule": "all_success",
        "service_account": "jobs",
        "priority_class": "risk.normal-2000",
        "startup_timeout": None,
    }
    return {**entry, **changes}


def job(**changes: Any) -> dict[str, Any]:
    """Return a job's entry as the compiler writes it, with some of it changed."""
    entry = {
        "source": "apiVersion: jobyard/v1\nschedule: 0 2 * * *\n",
        "description": "Scores yesterday's consultations.",
        "owner": "risk-ml@example.com",
        "schedule": "0 2 * * *",
        "timezone": "UTC",
        "start_date": "2026-11-01",
        "end_date": None,
        "catchup": False,
        "max_active_runs": 16,
        "timeout": None,
        "tags": [],
        "params": {},
        "tasks": {"score": task()},
    }
    return {**entry, **changes}


def context(**changes: Any) -> Any:
    """Return the context of a task in a run for the second of November, as far as the library reads it."""
    import pendulum

    instance = SimpleNamespace(
        dag_id="risk.score", task_id="score", map_index=-1, try_number=1, max_tries=0, xcom_push=lambda **_: None
    )
    whole = {
        "ti": instance,
        "run_id": "scheduled__2026-11-02",
        "dag": SimpleNamespace(),
        "data_interval_start": pendulum.datetime(2026, 11, 2),
        "data_interval_end": pendulum.datetime(2026, 11, 3),
        "logical_date": pendulum.datetime(2026, 11, 2),
        "outlet_events": defaultdict(lambda: SimpleNamespace(extra={})),
    }
    return {**whole, **changes}


def core_dag(dag: DAG) -> Any:
    """Return the DAG as the scheduler has it."""
    if not AIRFLOW_3:
        return dag
    from airflow.serialization.serialized_objects import DagSerialization

    return DagSerialization.from_dict(DagSerialization.to_dict(dag))


COMMIT = "c0ffee" + "0" * 34


class Bucket:
    """The dags folder of an environment: the library, the platform's data, and whatever teams release."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.copytree(LIBRARY / "jobyard", folder / "jobyard", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(LIBRARY / ".airflowignore", folder)
        self.write("jobyard/platform.json", PLATFORM)
        self.write("jobyard/kubeconfig.yaml", kubeconfig(NO_SERVER))

    def write(self, path: str, data: object) -> Path:
        """Put a JSON file into the bucket."""
        file = self.folder / path
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps(data))
        return file

    def loader(self, team: str = "risk", part: int = 1) -> Path:
        """Put one of a team's loaders into the bucket."""
        file = self.folder / loader_path(team, part)
        file.write_text(loader_source(team))
        return file

    def release(self, jobs: dict[str, Any], team: str = "risk", **changes: Any) -> Path:
        """Put a team's loader and release into the bucket; return the loader."""
        names = {"team": team, "namespace": f"team-{team}"}
        self.write(f"{team}/jobs.json", {"schema_version": 1, **names, "commit": COMMIT, "jobs": jobs, **changes})
        return self.loader(team)

    def parse(self, folder: Path | None = None) -> DagBag:
        """Return what Airflow finds in the bucket, or in one file of it, with its default settings."""
        return DagBag(str(folder or self.folder), safe_mode=True)

    def dag(self, entry: dict[str, Any], name: str = "score") -> DAG:
        """Return the DAG that a team's only job becomes."""
        bag = self.parse(self.release({name: entry}))
        assert bag.import_errors == {}
        return bag.dags[f"risk.{name}"]


def run(bucket: Bucket, **entry: Any) -> dict[str, tuple[str, int]]:
    """Have Airflow run the job once; return each task's state and number of tries."""
    instances = bucket.dag(job(**entry)).test().get_task_instances()
    return {ti.task_id: (str(ti.state), ti.try_number) for ti in instances}


def states(bucket: Bucket, **entry: Any) -> dict[str, Any]:
    """Have Airflow run the job once; return each task's state, of a task with `foreach` the sorted list of them."""
    return states_of(bucket.dag(job(**entry)).test())


def states_of(run: Any) -> dict[str, Any]:
    """Return the states of a run's tasks, likewise."""
    found: dict[str, Any] = {}
    for ti in run.get_task_instances():
        if ti.map_index < 0:
            found[ti.task_id] = str(ti.state)
        else:
            found.setdefault(ti.task_id, []).append(str(ti.state))
    return {name: sorted(state) if isinstance(state, list) else state for name, state in found.items()}


NO_RETRIES = {"attempts": 0, "delay": 0, "backoff": "none", "max_delay": None}


def within_a_run(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch, act: Callable[[JobPodOperator, Any], None], **entry: Any
) -> None:
    """Have Airflow run the job, and do that in place of each pod: with a real operator and its real context."""
    monkeypatch.setattr(JobPodOperator, "execute", act)
    found = states(bucket, **entry)
    assert set(found.values()) == {"success"}, found


def run_once(dag: DAG, moment: datetime) -> Any:
    """Have Airflow run the DAG for the data interval that ends last at that moment; return the run."""
    return dag.test(logical_date=moment, run_after=moment) if AIRFLOW_3 else dag.test(execution_date=moment)
