"""Baking team repositories with the real cookiecutter and cruft, from a git clone of this repository's template."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.git import commit_all
from tests.support.paths import ROOT

TEMPLATE = (
    "cookiecutter.json",
    "hooks",
    "{{cookiecutter.repo_name}}",
    "charts",
    "images",
    "schemas",
    "values",
)
ANSWERS = {"team": "risk", "owner": "risk-ml@example.com"}

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def template(tmp_path: Path) -> Path:
    """A git repository of the files, as they are on disk now, that make a team repository; links stay links."""
    folder = tmp_path / "template"
    for name in TEMPLATE:
        source, target = ROOT / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    commit_all(folder)
    return folder


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run a Python program of this environment, with no configuration of the user's."""
    config = tmp_path / "cookiecutter.yaml"
    config.write_text(f"replay_dir: {tmp_path}/replay\ncookiecutters_dir: {tmp_path}/cookiecutters\n")

    def call(*command: str, cwd: Path = tmp_path) -> subprocess.CompletedProcess[str]:
        program = Path(sys.executable).parent / command[0]
        options = ["--config-file", str(config)] if command[0] == "cookiecutter" else []
        environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")}
        return subprocess.run(
            [str(program), *options, *command[1:]],
            cwd=cwd,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    return call


@pytest.fixture
def bake(tmp_path: Path, template: Path, run: Run) -> Callable[..., Path]:
    """cookiecutter with some answers; the default ones are team risk's."""

    def call(**answers: str) -> Path:
        chosen = [f"{name}={value}" for name, value in {**ANSWERS, **answers}.items()]
        output = tmp_path / "baked"
        made = run("cookiecutter", "--no-input", "--output-dir", str(output), str(template), *chosen)
        assert made.returncode == 0, made.stderr
        (repo,) = output.iterdir()
        return repo

    return call


@pytest.fixture
def crufted(tmp_path: Path, template: Path, run: Run) -> Path:
    """Team risk's repository as cruft makes it, committed."""
    answers = json.dumps({"team": "risk", "owner": "risk-ml@example.com"})
    options = ["--no-input", "--config-file", str(tmp_path / "cookiecutter.yaml")]
    options += ["--output-dir", str(tmp_path / "crufted"), "--extra-context", answers]
    made = run("cruft", "create", str(template), *options)
    assert made.returncode == 0, made.stdout + made.stderr
    repo = tmp_path / "crufted" / "risk-jobs"
    commit_all(repo)
    return repo
