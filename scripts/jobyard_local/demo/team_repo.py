"""The team's side of the demo: make the repository, add a job in a merge request, publish the release."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from jobyard_cli.system.programs import run

from jobyard_local.services import git
from jobyard_local.teams import jobyard as jobyard

TEAM = "risk"
NAME = f"{TEAM}-jobs"


def bake(template: Path, folder: Path) -> Path:
    """Answer cookiecutter's questions for team risk, and commit what it makes."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    answers = [f"team={TEAM}"]
    run(
        [_program("cookiecutter"), "--no-input", "--output-dir", folder, template, *answers],
        what="cookiecutter",
        # cookiecutter keeps the answers it was given last in the home folder; the demo leaves none behind.
        environment={"HOME": str(folder)},
    )
    tree = folder / NAME
    git(tree, "init", "--quiet", "--initial-branch=main")
    commit(tree, "Make the team's repository")
    return tree


def commit(tree: Path, message: str) -> str:
    """Commit all of the work tree and return the commit."""
    git(tree, "add", "--all")
    git(tree, "commit", "--quiet", "--message", message)
    return git(tree, "rev-parse", "HEAD").strip()


def merge_request(tree: Path, job: str, write: Callable[[], object]) -> str:
    """Add a job on a branch, have it checked, merge it; the check's answer. `write` writes the job's file."""
    branch = f"add-{job}"
    git(tree, "switch", "--quiet", "--create", branch)
    write()
    answer = jobyard(tree, "check")
    commit(tree, f"Add the job {job}")
    git(tree, "switch", "--quiet", "main")
    git(tree, "merge", "--quiet", "--no-ff", "--message", f"Merge branch {branch}", branch)
    return answer


def _program(name: str) -> Path:
    return Path(sys.executable).parent / name
