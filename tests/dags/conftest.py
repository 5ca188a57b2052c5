"""Runs in an environment with Airflow in it, on each version of values/mwaa; see values/mwaa/README.md."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

# Airflow reads these when it is first imported, and pytest imports this file before any test.
HOME = tempfile.TemporaryDirectory(prefix="jobyard-airflow-")
os.environ["AIRFLOW_HOME"] = HOME.name
os.environ["AIRFLOW__CORE__DAGS_FOLDER"] = str(Path(HOME.name, "dags"))
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
os.environ["AIRFLOW__CORE__UNIT_TEST_MODE"] = "False"
os.environ["AIRFLOW__LOGGING__LOGGING_LEVEL"] = "WARNING"
os.environ["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] = f"sqlite:///{HOME.name}/airflow.db"

# Airflow reads its settings when it is imported.
from fake_cluster import FakeCluster  # noqa: E402
from support import Bucket, kubeconfig  # noqa: E402


@pytest.fixture(scope="session")
def database() -> Iterator[None]:
    """Airflow's own tables, made once, for what runs tasks or reads Variables."""
    subprocess.run([sys.executable, "-m", "airflow", "db", "migrate"], check=True, capture_output=True)
    yield


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    """Airflow's own dags folder, with nothing in it but the platform's part."""
    for name in ("_AIRFLOW_PARSING_CONTEXT_DAG_ID", "_AIRFLOW_PARSING_CONTEXT_TASK_ID"):
        monkeypatch.delenv(name, raising=False)
    folder = Path(os.environ["AIRFLOW__CORE__DAGS_FOLDER"])
    yield Bucket(folder)
    shutil.rmtree(folder)


@pytest.fixture
def cluster(bucket: Bucket) -> Iterator[FakeCluster]:
    """A Kubernetes API that the bucket's kubeconfig leads to."""
    running = FakeCluster()
    bucket.write("jobyard/kubeconfig.yaml", kubeconfig(running.url))
    yield running
    running.close()
