"""A real MLflow server, in an environment of its own, as the group `mlflow` of uv.lock has it."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests
import uv
from jobyard_cli.system.folders import cache_dir
from jobyard_cli.system.locks import one_builder
from jobyard_cli.system.programs import Report, run

from tests.support.paths import ROOT
from tests.support.ports import free_ports
from tests.support.waiting import wait_until

GROUP = ("--locked", "--quiet", "--only-group", "mlflow")
# Neither client nor server of a test sends anything to other machines.
QUIET = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_UV_AUTO_DETECT": "false"}
# Its own jobs are of no use here.
SERVER = {**QUIET, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
# It makes its database first, and imports much; the machine may have more to do.
START_SECONDS = 600


def environment(report: Report) -> Path:
    """The folder of an environment with the server, made once for these pins."""
    pins = run([uv.find_uv_bin(), "export", *GROUP], cwd=ROOT, what="reading the pins of MLflow's server")
    folder = cache_dir() / f"mlflow-{hashlib.sha256(pins.encode()).hexdigest()[:12]}"
    with one_builder(folder.with_name(f"{folder.name}.lock")):
        report("installing MLflow's server")
        variables = {"UV_PROJECT_ENVIRONMENT": str(folder), "UV_LINK_MODE": "copy"}
        run([uv.find_uv_bin(), "sync", *GROUP], cwd=ROOT, environment=variables, what="installing MLflow's server")
    return folder


@contextmanager
def mlflow_server(python: Path, folder: Path) -> Iterator[str]:
    """Run a server whose database and artifacts are in a folder; yields its address."""
    (port,) = free_ports(1)
    address = f"http://127.0.0.1:{port}"
    command = [
        *(str(python / "bin" / "mlflow"), "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
        *("--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--artifacts-destination", str(folder / "artifacts")),
    ]
    with (
        open(folder / "log", "wb") as log,
        subprocess.Popen(
            command, stdout=log, stderr=log, cwd=folder, env={**os.environ, **SERVER}, start_new_session=True
        ) as server,
    ):
        try:
            wait_until(lambda: _answers(server, address, folder / "log"), START_SECONDS)
            yield address
        finally:
            # With the processes that it has started; its data need survive nothing.
            os.killpg(server.pid, signal.SIGKILL)


def _answers(server: subprocess.Popen[bytes], address: str, log: Path) -> bool:
    assert server.poll() is None, log.read_text()
    try:
        return requests.get(f"{address}/health", timeout=30).ok
    except requests.ConnectionError:
        return False
