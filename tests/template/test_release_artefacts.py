"""What a release consists of: the wheel outside a checkout, the charts in a registry, and the bill of materials."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
import release_artefacts
import uv
import yaml

from tests.support.paths import ROOT

CHARTS = ("bootstrap", "bounds", "platform", "team")
HELM = Path(sys.executable).parent / "helm"


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a running registry without TLS."""
    program = shutil.which("docker-registry")
    if program is None:
        pytest.skip("Debian's docker-registry is not installed; `jobyard local up` installs it")
    folder = tmp_path_factory.mktemp("registry")
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        port = server.getsockname()[1]
    config = {
        "version": 0.1,
        "log": {"level": "warn"},
        "storage": {"filesystem": {"rootdirectory": str(folder / "storage")}},
        "http": {"addr": f"127.0.0.1:{port}"},
    }
    (folder / "registry.yml").write_text(yaml.safe_dump(config))
    with subprocess.Popen([program, "serve", str(folder / "registry.yml")], stderr=subprocess.DEVNULL) as process:
        try:
            _wait_for(port)
            yield f"127.0.0.1:{port}"
        finally:
            process.terminate()


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
            return
        time.sleep(0.1)
    pytest.fail(f"no registry on port {port} after 60 s")


@pytest.fixture(scope="module")
def dist(registry: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release, made as the pipeline makes it."""
    folder = tmp_path_factory.mktemp("dist")
    tag = f"v{release_artefacts.version()}"
    options = ["--tag", tag, "--push", f"oci://{registry}/jobyard/charts", "--plain-http"]
    assert release_artefacts.main([str(folder), *options]) == 0
    return folder


def test_it_consists_of_wheel_charts_bill_and_checksums(dist: Path) -> None:
    version = release_artefacts.version()
    wheel = f"jobyard-{version}-py3-none-any.whl"
    made = {wheel, f"jobyard-{version}.cdx.json", *(f"{chart}-{version}.tgz" for chart in CHARTS)}
    assert {file.name for file in dist.iterdir()} == {*made, "SHA256SUMS"}
    lines = (dist / "SHA256SUMS").read_text().splitlines()
    assert {line.partition("  ")[2] for line in lines} == made
    assert f"{hashlib.sha256((dist / wheel).read_bytes()).hexdigest()}  {wheel}" in lines


def test_a_chart_that_is_pulled_is_the_one_that_was_packaged(dist: Path, registry: str, tmp_path: Path) -> None:
    version = release_artefacts.version()
    for chart in CHARTS:
        source = f"oci://{registry}/jobyard/charts/{chart}"
        pull = [str(HELM), "pull", source, "--version", version, "--plain-http", "--destination", str(tmp_path)]
        subprocess.run(pull, check=True, capture_output=True)
        assert (tmp_path / f"{chart}-{version}.tgz").read_bytes() == (dist / f"{chart}-{version}.tgz").read_bytes()


def test_the_bill_names_what_is_installed_and_no_more(dist: Path) -> None:
    bill = json.loads((dist / f"jobyard-{release_artefacts.version()}.cdx.json").read_text())
    names = {component["name"].lower().replace("_", "-") for component in bill["components"]}
    assert bill["bomFormat"] == "CycloneDX"
    assert bill["metadata"]["component"]["name"] == "jobyard"
    assert {"pyyaml", "boto3", "typer", "helm-binary"} <= names
    assert names.isdisjoint({"pytest", "ruff", "sphinx"})


@pytest.fixture(scope="module")
def installed(dist: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run `jobyard` of an environment in which only the wheel is installed."""
    environment = tmp_path_factory.mktemp("installed") / "environment"
    (wheel,) = dist.glob("*.whl")
    quiet = [uv.find_uv_bin(), "--quiet"]
    subprocess.run([*quiet, "venv", "--python", sys.executable, str(environment)], check=True)
    subprocess.run([*quiet, "pip", "install", "--python", str(environment), f"{wheel}[local]"], check=True)

    def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "JOBYARD_CACHE")}
        variables = {**kept, "XDG_CACHE_HOME": str(environment.parent / "cache")}
        command = [str(environment / "bin" / "jobyard"), *arguments]
        return subprocess.run(command, cwd=cwd, env=variables, capture_output=True, text=True, check=False)

    return run


def test_the_wheel_works_in_a_teams_repository(
    bake: Callable[..., Path], installed: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    repo = bake()
    made = installed("new", "score-records", "--like", "batch-training", cwd=repo)
    assert made.returncode == 0, made.stderr
    checked = installed("check", cwd=repo)
    assert (checked.returncode, checked.stdout) == (0, "1 job, no problems\n"), checked.stderr
    job = repo / "dags" / "score-records" / "job.yaml"
    job.write_text(job.read_text().replace("image: ", "imag: ", 1))
    assert installed("check", cwd=repo).returncode == 1


def test_the_wheel_has_the_image_of_an_example(dist: Path) -> None:
    # In the sources it is a link.
    (wheel,) = dist.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        dockerfile = archive.read("jobyard_cli/team/examples/ingestion/images/ingestion/Dockerfile")
    assert dockerfile == (ROOT / "images" / "ingestion" / "Dockerfile").read_bytes()


def test_the_wheel_has_airflows_plugin(
    installed: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    done = installed("airflow-plugin", "plugins.zip", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(tmp_path / "plugins.zip") as archive:
        assert archive.namelist() == ["jobyard_trigger.py"]
        plugin = ROOT / "dags" / "jobyard" / "plugin" / "jobyard_trigger.py"
        assert archive.read("jobyard_trigger.py") == plugin.read_bytes()


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (("local", "status"), "the local platform needs a git clone of Jobyard's repository"),
        (("demo",), "the local platform needs a git clone of Jobyard's repository"),
        (("node-groups", "--environment", "dev"), "run this in the root directory of the platform repository"),
    ],
)
def test_what_needs_a_clone_says_so(
    installed: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path, command: tuple[str, ...], message: str
) -> None:
    done = installed(*command, cwd=tmp_path)
    assert done.returncode != 0
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_tag_that_is_not_the_version_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        release_artefacts.main([str(tmp_path / "dist"), "--tag", "v99"])
    assert "the tag must be v" in capsys.readouterr().err
    assert not (tmp_path / "dist").exists()
