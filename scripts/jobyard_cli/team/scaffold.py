"""Create a job from an example, with the images that only this example has."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from jobyard.contract import NAME, NAME_RULE

from jobyard_cli.check.findings import unknown
from jobyard_cli.errors import UsageError
from jobyard_cli.team.repo import TeamRepo

EXAMPLES = Path(__file__).parent / "examples"
DEFAULT_EXAMPLE = "batch-inference"


class NewJobError(UsageError):
    """The name of the new job is invalid or taken, or the example does not exist."""


def examples() -> list[str]:
    """Return the names of the examples."""
    return sorted(folder.name for folder in EXAMPLES.iterdir() if (folder / "job.yaml").exists())


def new_job(root: Path, name: str, example: str = DEFAULT_EXAMPLE) -> list[Path]:
    """Write `dags/<name>/job.yaml`, and the example's own images that the repository lacks; return what was written.

    The job is first, then the images' folders. An existing job or image is never changed.

    Raises:
        NotATeamRepoError: the folder is not a team's repository.
        NewJobError: the name is invalid or taken, or the example does not exist.
    """
    repo = TeamRepo.load(root)
    if not NAME.fullmatch(name):
        raise NewJobError(f"a job must have {NAME_RULE}; got '{name}'")
    if example not in examples():
        raise NewJobError(unknown("example", example, examples(), "available"))
    file = repo.root / "dags" / name / "job.yaml"
    if file.exists():
        raise NewJobError(f"dags/{name}/job.yaml already exists; it was not changed")
    text = (EXAMPLES / example / "job.yaml").read_text(encoding="utf-8")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text.replace("TEAM", repo.team), encoding="utf-8")
    return [file, *_copy_images(EXAMPLES / example / "images", repo.root / "images")]


def _copy_images(source: Path, target: Path) -> Iterator[Path]:
    """Copy the images that are missing in `target`; yield their folders there."""
    for folder in sorted(source.glob("*/")):
        copy = target / folder.name
        if not copy.exists():
            shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("__pycache__"))
            yield copy
