"""`make try`: a team's repository, a job, a mistake and a plan, in seconds and without a platform.

It runs the commands that a person would type, prints each before its output, and leaves the folder for further use.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SOURCE = "$JOBYARD_SOURCE"
"""Stands for the repository to clone, in a step's command."""
PLATFORM = "jobyard"
TEAM = "fraud-jobs"
JOB = "dags/score-records/job.yaml"
AUTHOR = "Jobyard try"
EMAIL = "try@example.com"


@dataclass(frozen=True)
class Step:
    """One command: what a person reads before it, the folder to run it in, and the exit code that it ends with."""

    says: str
    folder: str
    command: str
    code: int = 0


STEPS = (
    Step("The platform's repository: a clone of this one.", ".", f"git clone --quiet {SOURCE} {PLATFORM}"),
    # Without an origin, the team's repository refers to the clone, not to this repository.
    Step("", PLATFORM, "git remote remove origin"),
    Step(
        "The platform engineer adds a team.",
        PLATFORM,
        "jobyard team new fraud --owner fraud-ml@example.com --repo-url https://git.example.com/fraud/fraud-jobs.git",
    ),
    Step("", PLATFORM, "git add --all && git commit --quiet --message='Add team fraud'"),
    Step(
        "The team has its repository.",
        TEAM,
        "git init --quiet --initial-branch=main && git add --all && git commit --quiet --message='Make the repository'",
    ),
    Step("", TEAM, "ls"),
    Step("A data scientist adds a job, on a branch.", TEAM, "git switch --quiet --create score-records"),
    Step("", TEAM, "jobyard new score-records --like batch-inference"),
    Step("", TEAM, f"cat {JOB}"),
    Step(
        "A typing mistake: the check names the line, the rule and the fix.", TEAM, f"sed -i s/high-cpu/high-cpus/ {JOB}"
    ),
    Step("", TEAM, "jobyard check", code=1),
    Step("", TEAM, f"sed -i s/high-cpus/high-cpu/ {JOB}"),
    Step("", TEAM, "jobyard check"),
    Step(
        "What the merge request would change. Without the grep, you also see each pod.",
        TEAM,
        "jobyard plan | grep --invert-match '  | '",
    ),
)


def main(folder: str = "", source: Path = ROOT) -> int:
    """Run the steps in this folder, by default a new temporary one; 0 if each ended as expected."""
    if not (source / ".git").exists():
        return _refuse(f"{source} must be a git clone of Jobyard; got a folder without history")
    place = Path(folder).absolute() if folder else Path(tempfile.mkdtemp(prefix="jobyard-try-"))
    if place.exists() and any(place.iterdir()):
        return _refuse(f"FOLDER must be empty or new; got {place}, which has files")
    place.mkdir(parents=True, exist_ok=True)
    print(f"$ cd {place}")
    if not _run_steps(place, source):
        return 1
    print(f"\nBoth repositories are in {place}. To go on:")
    print(f"  export PATH={Path(sys.executable).parent}:$PATH")
    print(f"  cd {place / TEAM}")
    print("  jobyard new --help")
    return 0


def _run_steps(place: Path, source: Path) -> bool:
    environment = _environment(place)
    current = "."
    for step in STEPS:
        command = step.command.replace(SOURCE, shlex.quote(str(source)))
        if step.says:
            print(f"\n# {step.says}")
        if step.folder != current:
            print(f"$ cd {os.path.relpath(step.folder, current)}")
            current = step.folder
        print(f"$ {command}", flush=True)
        done = subprocess.run(["sh", "-c", command], cwd=place / step.folder, env=environment, check=False)
        if done.returncode != step.code:
            _refuse(f"`{command}` must end with exit code {step.code}; it ended with {done.returncode}")
            return False
    return True


def _environment(place: Path) -> dict[str, str]:
    """The caller's, with this environment's programs first, an author for the commits, and the caches in the folder."""
    kept = {name: value for name, value in os.environ.items() if name != "JOBYARD_CACHE"}
    return {
        **kept,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "XDG_CACHE_HOME": str(place / ".cache"),
        "GIT_AUTHOR_NAME": AUTHOR,
        "GIT_AUTHOR_EMAIL": EMAIL,
        "GIT_COMMITTER_NAME": AUTHOR,
        "GIT_COMMITTER_EMAIL": EMAIL,
    }


def _refuse(why: str) -> int:
    print(f"try: {why}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else ""))
