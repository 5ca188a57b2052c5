"""Baking team repositories with the real cookiecutter and cruft, from a git clone of this repository's template."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from tests.support.command import jobyard_in
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

Finished = subprocess.CompletedProcess[str]
Run = Callable[..., Finished]


@pytest.fixture(scope="session")
def first_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A git repository of the files, as they are on disk now, that make a team repository; links stay links."""
    folder = tmp_path_factory.mktemp("first") / "template"
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
def template(tmp_path: Path, first_template: Path) -> Path:
    """A copy of that repository, which the test may change."""
    return copy_repo(first_template, tmp_path / "template")


def copy_repo(source: Path, target: Path) -> Path:
    return Path(shutil.copytree(source, target, symlinks=True))


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a Python program of this environment, with no configuration of the user's; `jobyard` in this process."""
    config = cookiecutter_config(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def call(*command: str, cwd: Path = tmp_path) -> Finished:
        if command[0] == "jobyard":
            code, out, err = jobyard_in(cwd, capsys, monkeypatch)(*command[1:])
            return Finished(command, code, out, err)
        options = ["--config-file", str(config)] if command[0] == "cookiecutter" else []
        return run_program(command[0], *options, *command[1:], cwd=cwd)

    return call


def cookiecutter_config(folder: Path) -> Path:
    """Write the settings with which cookiecutter keeps its files in this folder."""
    config = folder / "cookiecutter.yaml"
    config.write_text(f"replay_dir: {folder}/replay\ncookiecutters_dir: {folder}/cookiecutters\n")
    return config


def run_program(name: str, *arguments: str, cwd: Path) -> Finished:
    """Run a program of this Python's environment."""
    program = Path(sys.executable).with_name(name)
    return subprocess.run([str(program), *arguments], cwd=cwd, capture_output=True, text=True, check=False)


@pytest.fixture(scope="session")
def first_bakes(first_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """What cookiecutter or cruft makes of the template with some answers: made once, and copied by the tests."""

    @cache
    def make(program: str, answers: tuple[tuple[str, str], ...]) -> Path:
        folder = tmp_path_factory.mktemp(program)
        options = ["--no-input", "--config-file", str(cookiecutter_config(folder)), "--output-dir", str(folder / "out")]
        if program == "cookiecutter":
            given = [*options, str(first_template), *(f"{name}={value}" for name, value in answers)]
        else:
            given = ["create", str(first_template), *options, "--extra-context", json.dumps(dict(answers))]
        made = run_program(program, *given, cwd=folder)
        assert made.returncode == 0, made.stdout + made.stderr
        (repo,) = (folder / "out").iterdir()
        return repo

    return make


def copy_bake(first: Path, target: Path, first_template: Path, template: Path) -> Path:
    """Copy a repository as if it had been made from that copy of the template."""
    repo = copy_repo(first, target / first.name)
    state = repo / ".cruft.json"
    state.write_text(state.read_text().replace(str(first_template), str(template)))
    return repo


@pytest.fixture
def bake(tmp_path: Path, first_bakes: Callable[..., Path], first_template: Path, template: Path) -> Callable[..., Path]:
    """cookiecutter with some answers; the default ones are team risk's."""

    def call(**answers: str) -> Path:
        first = first_bakes("cookiecutter", tuple({**ANSWERS, **answers}.items()))
        return copy_bake(first, tmp_path / "baked", first_template, template)

    return call


@pytest.fixture
def crufted(tmp_path: Path, first_bakes: Callable[..., Path], first_template: Path, template: Path) -> Path:
    """Team risk's repository as cruft makes it, committed."""
    first = first_bakes("cruft", tuple(ANSWERS.items()))
    repo = copy_bake(first, tmp_path / "crufted", first_template, template)
    commit_all(repo)
    return repo
