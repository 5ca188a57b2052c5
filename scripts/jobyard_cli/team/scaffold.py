"""Starts a new job from an example."""

from __future__ import annotations

from pathlib import Path

from jobyard.contract import NAME, NAME_RULE

from jobyard_cli.check.findings import unknown
from jobyard_cli.errors import JobyardError
from jobyard_cli.team.repo import TeamRepo

EXAMPLES = Path(__file__).parent / "examples"
DEFAULT_EXAMPLE = "batch-inference"


class CannotStart(JobyardError):
    """The new job's name can't be used, or there is no such example."""


def examples() -> list[str]:
    """Names of the examples."""
    return sorted(folder.name for folder in EXAMPLES.iterdir() if (folder / "job.yaml").exists())


def new_job(root: Path, name: str, example: str = DEFAULT_EXAMPLE) -> Path:
    """Write `dags/<name>/job.yaml` and return its path. An existing job is never touched.

    Raises:
        NotATeamRepo: the folder is no team's repository.
        CannotStart: the name can't be a job's, is taken, or the example is not known.
    """
    repo = TeamRepo.load(root)
    if not NAME.fullmatch(name):
        raise CannotStart(f"'{name}' can't be a job's name: {NAME_RULE}")
    if example not in examples():
        raise CannotStart(unknown("example", example, examples(), "there are"))
    file = repo.root / "dags" / name / "job.yaml"
    if file.exists():
        raise CannotStart(f"dags/{name}/job.yaml is there already; it was left as it is")
    text = (EXAMPLES / example / "job.yaml").read_text(encoding="utf-8")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text.replace("TEAM", repo.team), encoding="utf-8")
    return file
