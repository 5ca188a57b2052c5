"""Runs in an environment with Airflow in it, on each version of values/mwaa; see values/mwaa/README.md."""

import os
import shutil
import signal
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


def pytest_configure() -> None:
    """End a run at SIGTERM as at Ctrl-C, so that fixtures stop the servers that they have started."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


@pytest.fixture(scope="session")
def database() -> Path:
    """Airflow's own tables, made once, for what runs tasks or reads Variables; returns a copy that stays empty."""
    subprocess.run([sys.executable, "-m", "airflow", "db", "migrate"], check=True, capture_output=True)
    return Path(shutil.copy(Path(HOME.name, "airflow.db"), Path(HOME.name, "empty.db")))


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    """Airflow's own dags folder, with nothing in it but the platform's part."""
    for name in ("_AIRFLOW_PARSING_CONTEXT_DAG_ID", "_AIRFLOW_PARSING_CONTEXT_TASK_ID"):
        monkeypatch.delenv(name, raising=False)
    folder = Path(os.environ["AIRFLOW__CORE__DAGS_FOLDER"])
    yield Bucket(folder)
    shutil.rmtree(folder)


@pytest.fixture
def cluster(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCluster]:
    """A Kubernetes API that the bucket's kubeconfig leads to; every pause between two looks at a pod passes at once."""
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    running = FakeCluster()
    bucket.write("jobyard/kubeconfig.yaml", kubeconfig(running.url))
    yield running
    running.close()
