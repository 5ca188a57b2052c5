"""`jobyard run` in real containers: of buildah, which the platform has, and of podman, where this machine has it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from jobyard_cli.cli.steps import Steps
from jobyard_cli.system.folders import cache_dir
from jobyard_local.images import BASE_IMAGE, Builder

AddJob = Callable[..., Path]
Shown = Callable[[], AbstractContextManager[Steps]]

# A limit of files that machines allow which are containers themselves.
CONTAINERS = """\
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
"""
STORAGE = """\
[storage]
driver = "overlay"
graphroot = "{own}/root"
runroot = "{own}/run"
[storage.options]
additionalimagestores = ["{base}"]
"""
PROGRAM = """\
import json, os, pathlib, sys, urllib.request

def ask(key, **options):
    # The image has no boto3; the server looks for a signature, and not into it.
    scope = os.environ["AWS_ACCESS_KEY_ID"] + "/20261120/us-east-1/s3/aws4_request"
    signed = f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"
    address = f"{os.environ['AWS_ENDPOINT_URL_S3']}/{sys.argv[2]}/{key}"
    headers = {"Authorization": signed, "Content-Type": "text/plain"}
    request = urllib.request.Request(address, headers=headers, **options)
    return urllib.request.urlopen(request).read().decode()

pathlib.Path("/scratch/file").write_text("x")
read = ask("raw/a.txt")
ask("made/b.txt", data=b"made", method="PUT")
names = ("PASSWORD", "DAY")
output = {"day": sys.argv[1], "uid": os.getuid(), "read": read, **{name: os.environ[name] for name in names}}
pathlib.Path("/airflow/xcom/return.json").write_text(json.dumps(output))
print("done", sys.argv[1:])
"""
DOCKERFILE = f"""\
FROM {BASE_IMAGE}
COPY program.py /app/
USER 10001:10001
ENTRYPOINT ["python", "/app/program.py"]
"""
JOB = """\
apiVersion: jobyard/v1
schedule: "0 2 * * *"
tasks:
  one:
    image: program
    args: ["{{ ds }}", "{{ var.value.jobyard_data_bucket }}"]
    env: {DAY: "{{ day }}"}
    secrets: {PASSWORD: db/password}
    scratch: 1Gi
  two:
    needs: [one]
    image: program
    command: [python, -c, "import sys; sys.exit(int(sys.argv[1]))"]
    args: ["{{ outputs.one.uid - 9999 }}"]
"""


@pytest.mark.parametrize("engine", ["buildah", "podman"])
def test_a_job_in_containers(shown: Shown, team_repo: Path, add_job: AddJob, tmp_path: Path, engine: str) -> None:
    if shutil.which(engine) is None:
        pytest.skip(f"this machine has no {engine}")
    with shown() as steps, steps.step("base image") as report:
        Builder(cache_dir()).ensure_base(report)
    image = team_repo / "images" / "program"
    image.mkdir()
    (image / "Dockerfile").write_text(DOCKERFILE)
    (image / "program.py").write_text(PROGRAM)
    data = tmp_path / "sample"
    (data / "raw").mkdir(parents=True)
    (data / "raw" / "a.txt").write_text("rows")
    add_job("score", JOB)
    (tmp_path / "storage.conf").write_text(STORAGE.format(own=tmp_path / "own", base=cache_dir() / "images" / "root"))
    (tmp_path / "containers.conf").write_text(CONTAINERS)
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(sys.path),
        "CONTAINERS_STORAGE_CONF": str(tmp_path / "storage.conf"),
        "CONTAINERS_CONF": str(tmp_path / "containers.conf"),
        "PASSWORD": "hunter2's $HOME",
    }
    command = [sys.executable, "-m", "jobyard_cli", "run", "score", "--day", "2026-11-20", "--engine", engine]
    try:
        done = subprocess.run(
            [*command, "--data", str(data)], cwd=team_repo, env=environment, capture_output=True, text=True, check=False
        )
        left = subprocess.run(
            [engine, "ps", "--all"] if engine == "podman" else [engine, "containers"],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
    finally:
        # Its layers are mounts and files of other users, which pytest can't remove.
        subprocess.run(["buildah", "rmi", "--all", "--force"], env=environment, capture_output=True, check=False)
    # The second task's exit code is 2: what it ends with comes from the first one's output.
    assert done.returncode == 1, done.stderr
    assert "two: its program ended with exit code 2" in done.stderr
    assert "1 succeeded, 1 failed" in done.stdout
    output = json.loads((team_repo / ".jobyard/runs/score/2026-11-20/one/output.json").read_text())
    assert output == {
        "day": "2026-11-20",
        "uid": 10001,
        "read": "rows",
        "PASSWORD": "hunter2's $HOME",
        "DAY": "2026-11-20",
    }
    assert (data / "made" / "b.txt").read_text() == "made"
    assert "jobyard-" not in left.stdout
