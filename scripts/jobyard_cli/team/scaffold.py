"""Starts a new job from an example."""

from __future__ import annotations

from pathlib import Path

from jobyard_cli.check.findings import unknown
from jobyard_cli.check.run import JOB_NAME
from jobyard_cli.errors import UsageError
from jobyard_cli.team.repo import TeamRepo

EXAMPLES = Path(__file__).parent / "examples"
DEFAULT_EXAMPLE = "batch-inference"


class NewJobError(UsageError):
    """The new job's name can't be used, or there is no such example."""


def examples() -> list[str]:
    """Names of the examples."""
    return sorted(folder.name for folder in EXAMPLES.iterdir() if (folder / "job.yaml").exists())


def new_job(root: Path, name: str, example: str = DEFAULT_EXAMPLE) -> Path:
    """Write `dags/<name>/job.yaml` and return its path. An existing job is never touched.

    Raises:
        NotATeamRepoError: the folder is no team's repository.
        NewJobError: the name can't be a job's, is taken, or the example is not known.
    """
    repo = TeamRepo.load(root)
    if not JOB_NAME.fullmatch(name):
        rule = "lower-case letters, digits and '-', starting with a letter, at most 50 characters"
        raise NewJobError(f"'{name}' can't be a job's name: {rule}")
    if example not in examples():
        raise NewJobError(unknown("example", example, examples(), "there are"))
    file = repo.root / "dags" / name / "job.yaml"
    if file.exists():
        raise NewJobError(f"dags/{name}/job.yaml is there already; it was left as it is")
    text = (EXAMPLES / example / "job.yaml").read_text(encoding="utf-8")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text.replace("TEAM", repo.team), encoding="utf-8")
    return file
