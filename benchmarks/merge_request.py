"""What a merge request waits for: the check and the plan, in a team's repository of ordinary size."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from check import seconds
from jobs import ROOT, make_repo
from measure import Target, in_turn

JOBS = 50
BOTH = Target("at most", 15, " s")
WHO = ["-c", "user.name=bench", "-c", "user.email=bench@example.com", "-c", "commit.gpgsign=false"]


def section() -> str:
    """Measure, and return the result as Markdown."""
    with tempfile.TemporaryDirectory() as scratch:
        repo = _repo(Path(scratch))
        sides = {
            "check": lambda: _jobyard(repo, "check"),
            "plan, one job changed": lambda: _plan(repo, 1),
            "plan, every job changed": lambda: _plan(repo, JOBS),
        }
        rounds = in_turn(sides)
    both = max(rounds.sides["check"]) + max(rounds.sides["plan, every job changed"])
    return f"""\
## A merge request in a repository of {JOBS} jobs of four tasks

Wall time in seconds of the whole process. The plan has the difference of each pod, graphs, runs, warnings about the
quota and the chart's difference; it compares with a commit.

{rounds.table()}
The check and the longest plan, each at its slowest, together. {BOTH.verdict(both)}
"""


def _repo(folder: Path) -> Path:
    """The repository with the team's chart, and branches on which every pod of one job, or of every job, is another."""
    files = make_repo(folder, JOBS)
    shutil.copytree(ROOT / "charts" / "team", folder / "charts" / "team", symlinks=False)
    _git(folder, "init", "--quiet", "--initial-branch=main")
    _commit(folder, "before")
    for branch, changed in ((_branch(1), files[:1]), (_branch(JOBS), files)):
        _git(folder, "checkout", "--quiet", "-b", branch, "main")
        for file in changed:
            file.write_text(file.read_text().replace("  timeout: 2h", "  timeout: 3h\n  scratch: 5Gi"))
        _commit(folder, branch)
    return folder


def _branch(jobs: int) -> str:
    return f"changes-{jobs}"


def _plan(repo: Path, changed: int) -> float:
    _git(repo, "checkout", "--quiet", _branch(changed))
    return _jobyard(repo, "plan", "--base", "main", "--platform", str(ROOT), "--format", "markdown")


def _jobyard(repo: Path, *arguments: str) -> float:
    return seconds([str(Path(sys.executable).parent / "jobyard"), *arguments], repo)


def _commit(repo: Path, message: str) -> None:
    _git(repo, "add", "--all")
    _git(repo, "commit", "--quiet", "--message", message)


def _git(repo: Path, *arguments: str) -> None:
    subprocess.run(["git", "-C", str(repo), *WHO, *arguments], check=True)
