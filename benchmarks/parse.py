"""What Airflow's DAG processor spends on a release, beside plain Python that makes the same DAGs."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from pathlib import Path

import yaml
from jobs import ROOT, make_repo
from jobyard_cli.local import airflow
from jobyard_cli.local.settings import AIRFLOW_VERSION, Source, cache_dir
from jobyard_cli.platform_data import platform_data
from jobyard_cli.platform_files import loader_source, node_groups
from jobyard_cli.release import compile_release
from measure import in_turn

JOBS = 1_000
WORKER = Path(__file__).with_name("parse_worker.py")


def make_bucket(folder: Path) -> None:
    """Airflow's dags folder with the release of `JOBS` jobs, and beside it the same DAGs as plain Python."""
    repo = folder / "repo"
    make_repo(repo, JOBS)
    shutil.copytree(ROOT / "dags" / "jobyard", folder / "jobyard", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "jobyard" / "platform.json").write_text(json.dumps(platform_data(node_groups(ROOT / "values"), "dev")))
    (folder / "jobyard" / "kubeconfig.yaml").write_text(yaml.safe_dump({"kind": "Config"}))
    (folder / "risk.py").write_text(loader_source("risk"))
    (folder / "risk").mkdir()
    (folder / "risk" / "jobs.json").write_bytes(compile_release(repo, ""))
    shutil.copy(WORKER.with_name("plain_dags.py"), folder)


def section() -> str:
    """Measure, and return the result as Markdown."""
    installed = airflow.environment(Source.find(), cache_dir(), print)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        make_bucket(folder)

        def seconds(file: str) -> float:
            command = [str(installed / "bin" / "python"), str(WORKER), str(folder / file), str(JOBS)]
            environment = {"AIRFLOW_HOME": scratch, "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR", "PATH": "/usr/bin:/bin"}
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
            return float(done.stdout.splitlines()[-1])

        pairs = in_turn(lambda: seconds("risk.py"), lambda: seconds("plain_dags.py"))
    return f"""\
## Parsing {JOBS:,} jobs of four tasks on Airflow {AIRFLOW_VERSION}

CPU time in seconds of one reading of the file, in a process that has read it once before. Plain Python calls
KubernetesPodOperator with the same arguments, written out in the file.

{pairs.table("a release", "plain Python")}"""
