"""Airflow 2 with MWAA's pins on the platform's cluster: it runs what is in the bucket of the platform's Airflow 3."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from jobyard_local.demo.team_repo import TEAM
from jobyard_local.platform import AIRFLOW_BUCKET, DATA_BUCKET, LocalPlatform

from tests.support.waiting import wait_until

RUN_JOBS = "tests/dags/run_jobs.py"
MARK = "ended: "
INHERITED = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "PYTEST"))}
"""Read here, as pytest changes its own variable for each test, and a thread that reads all of them then fails."""
Ended = list[dict[str, list[object]]]
"""Of each run that came to its end: task to state and number of tries."""


@dataclass
class Worker:
    """A process that runs jobs, one after the other, and the file with what it and its tasks have said."""

    process: subprocess.Popen[bytes]
    output: Path

    def log(self) -> str:
        return self.output.read_text()

    def ended(self) -> Ended:
        lines = self.log().splitlines()
        return [json.loads(line.removeprefix(MARK)) for line in lines if line.startswith(MARK)]

    def wait_until(self, holds: Callable[[], bool]) -> None:
        """Wait for what it does; its log is the message where it has ended without."""

        def look() -> bool:
            assert self.process.poll() is None, self.log()
            return holds()

        wait_until(look)


class OlderAirflow:
    """An installed version, with a database and a copy of the bucket of its own in the folder `home`."""

    def __init__(self, platform: LocalPlatform, installed: Path, home: Path) -> None:
        self._root = platform.source.root
        self._python = installed / "bin" / "python"
        self._home = home
        copy_bucket(platform, home / "dags")
        self._environment = {
            **INHERITED,
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
            f"AIRFLOW_VAR_JOBYARD_IMAGES_{TEAM.upper()}": images(platform),
            "AIRFLOW_VAR_JOBYARD_DATA_BUCKET": DATA_BUCKET,
        }

    @contextmanager
    def worker(self, date: str, dag_ids: Sequence[str]) -> Iterator[Worker]:
        """A worker that runs these DAGs for a date; what is left of it in the end is killed, as by the kernel."""
        output = self._home / f"worker-{len(list(self._home.glob('worker-*')))}.log"
        loader = self._home / "dags" / f"{TEAM}.py"
        command = [str(self._python), str(self._root / RUN_JOBS), str(loader), date, *dag_ids]
        with output.open("wb") as log:
            process = subprocess.Popen(command, env=self._environment, stdout=log, stderr=subprocess.STDOUT)
        try:
            yield Worker(process, output)
        finally:
            process.kill()
            process.wait()


def images(platform: LocalPlatform) -> str:
    """The content of the Variable that says where the team's images are."""
    return str(platform.airflow.call("GET", f"variables/jobyard_images_{TEAM}")["value"])


def copy_bucket(platform: LocalPlatform, folder: Path) -> None:
    """The `dags/` of Airflow's bucket, as MWAA copies it to a worker; the kubeconfig in it is the launchers'."""
    for key in _keys(platform):
        path = folder / key.removeprefix("dags/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(platform.s3().get_object(Bucket=AIRFLOW_BUCKET, Key=key)["Body"].read())


def _keys(platform: LocalPlatform) -> Iterator[str]:
    for page in platform.s3().get_paginator("list_objects_v2").paginate(Bucket=AIRFLOW_BUCKET, Prefix="dags/"):
        yield from (entry["Key"] for entry in page["Contents"])
