"""Airflow's dags folder with many jobs, as a release and as each of the other ways to write the same DAGs."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from jobs import ROOT, make_repo
from jobyard.contract import loader_path
from jobyard_cli.platform.data import platform_data
from jobyard_cli.platform.files import node_groups, task_types
from jobyard_cli.platform.loader import loader_source
from jobyard_cli.release.compile import compile_release
from jobyard_cli.system.folders import cache_dir
from jobyard_cli.system.programs import run
from jobyard_local import airflow
from jobyard_local.settings import Source

IN_AIRFLOW = ROOT / "benchmarks" / "in_airflow"
NOT_DAGS = ("__pycache__", "gusty", "dag_factory.yaml", "pods")
VERSIONS = ("3.3.1", "2.10.3")
"""The newest and the oldest Airflow that Jobyard supports, each with MWAA's pins."""

PEERS = ("dag-factory==1.1.0", "gusty==0.23.1")
TASKS = 4

RELEASE, PLAIN, DAG_FACTORY, GUSTY = "Jobyard", "plain Python", "dag-factory", "gusty"
FILES = {RELEASE: "risk.py", PLAIN: "plain_dags.py", DAG_FACTORY: "dag_factory_loader.py", GUSTY: "gusty_loader.py"}
"""What Airflow reads of each side."""


@dataclass(frozen=True)
class Bucket:
    """The folder, and the Airflow that reads it."""

    folder: Path
    jobs: int
    version: str
    python: Path
    tasks: int = TASKS

    def measure(self, what: str, side: str, part: int = 1) -> dict[str, Any]:
        """What in_airflow/worker.py measures, in a process of its own; `part` is one of our loaders.

        Raises:
            ProgramError: the DAGs can't be read, or are not all there.
        """
        dags = self.folder / "dags"
        name = loader_path("risk", part) if side == RELEASE else FILES[side]
        counts = [str(self.jobs), str(self.tasks)]
        command = [str(self.python), str(IN_AIRFLOW / "worker.py"), what, str(dags / name), *counts]
        variables = {
            "AIRFLOW_HOME": str(self.folder / "home"),
            "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
            "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR",
            # With it a plain cron expression, which is what a person writes in YAML, means the same in all of them.
            "AIRFLOW__SCHEDULER__CREATE_CRON_DATA_INTERVALS": "True",
            "AIRFLOW__DAG_FACTORY__ENABLE_TELEMETRY": "False",
            "JOBS": str(self.jobs),
            "TASKS": str(self.tasks),
        }
        printed = run(
            command,
            what=f"reading {side} on Airflow {self.version}",
            environment=variables,
        )
        measured: dict[str, Any] = json.loads(printed.splitlines()[-1])
        return measured


@contextmanager
def bucket(jobs: int, version: str) -> Iterator[Bucket]:
    """A folder with the DAGs of `jobs` jobs, on every side the same ones; gone afterwards.

    Raises:
        ProgramError: Airflow can't be installed.
    """
    # The same environment for all sides, so that none is at an advantage.
    installed = airflow.environment(Source.find(), cache_dir(), print, version, extra=PEERS)
    with tempfile.TemporaryDirectory() as scratch:
        dags = Path(scratch) / "dags"
        shutil.copytree(IN_AIRFLOW, dags, ignore=shutil.ignore_patterns(*NOT_DAGS))
        _add_release(dags, Path(scratch) / "repo", jobs)
        # How Airflow 2 and Airflow 3 call a delay that doubles.
        _add_peers(dags, jobs, backoff="true" if version.startswith("2.") else "2.0")
        yield Bucket(Path(scratch), jobs, version, installed / "bin" / "python")


def _add_release(dags: Path, repo: Path, jobs: int) -> None:
    make_repo(repo, jobs)
    library = dags / "jobyard"
    shutil.copytree(ROOT / "dags" / "jobyard", library, ignore=shutil.ignore_patterns("__pycache__"))
    groups, types = node_groups(ROOT / "values"), task_types(ROOT / "values")
    platform = platform_data(groups, "dev", task_types=types, teams={"risk": {}})
    (library / "platform.json").write_text(json.dumps(platform))
    (library / "kubeconfig.yaml").write_text(yaml.safe_dump({"kind": "Config"}))
    (dags / FILES[RELEASE]).write_text(loader_source("risk"))
    (dags / "risk").mkdir()
    (dags / "risk" / "jobs.json").write_bytes(compile_release(repo, "").body)


def _add_peers(dags: Path, jobs: int, backoff: str) -> None:
    """dag-factory: a file for each DAG; gusty: a folder for each DAG, with a file for each task."""
    (dags / "dag_factory").mkdir()
    for number in range(jobs):
        words = {"job-NUMBER": f"job-{number:04d}", "NUMBER": str(number), "BACKOFF": backoff}
        _fill(IN_AIRFLOW / "dag_factory.yaml", dags / "dag_factory" / f"job-{number:04d}.yaml", words)
        folder = dags / "gusty" / f"gusty.job-{number:04d}"
        folder.mkdir(parents=True)
        for template in (IN_AIRFLOW / "gusty").glob("*.yml"):
            _fill(template, folder / template.name, words)


def _fill(template: Path, target: Path, words: Mapping[str, str]) -> None:
    text = template.read_text()
    for placeholder, value in words.items():
        text = text.replace(placeholder, value)
    target.write_text(text)
