"""Create a job from an example, with the images that only this example has."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from jobyard.contract import JOB_ID, NAME, NAME_RULE

from jobyard_cli.check.findings import unknown
from jobyard_cli.errors import UsageError
from jobyard_cli.team.repo import TeamRepo

EXAMPLES = Path(__file__).parent / "examples"
DEFAULT_EXAMPLE = "batch-inference"
TEAM = "TEAM"
"""Stands for the team's name in the text of an example."""
SCHEDULE = re.compile("^schedule: .*$", re.MULTILINE)
NOT_SOURCE = frozenset({"__pycache__", ".ipynb_checkpoints"})
"""Folders that Python and Jupyter leave beside what people write."""


class NewJobError(UsageError):
    """The name of the new job is invalid or taken, the example does not exist, or a job's id has another form."""


def examples() -> list[str]:
    """Return the names of the examples."""
    return sorted(folder.name for folder in EXAMPLES.iterdir() if (folder / "job.yaml").exists())


def new_job(root: Path, name: str, example: str = DEFAULT_EXAMPLE, after: Sequence[str] = ()) -> list[Path]:
    """Write `dags/<name>/job.yaml` and the example's images, if it has any; return what was written, the job first.

    An existing file is never changed: of an image that the repository has, only missing files are written. With jobs
    in `after`, the new job starts after these, in place of the example's schedule.

    Raises:
        NotATeamRepoError: the folder is not a team's repository.
        NewJobError: the name is invalid or taken, the example does not exist, or a job's id has another form.
    """
    repo = TeamRepo.load(root)
    if not NAME.fullmatch(name):
        raise NewJobError(f"a job must have {NAME_RULE}; got '{name}'")
    if example not in examples():
        raise NewJobError(unknown("example", example, examples(), "available"))
    for job in after:
        if not JOB_ID.fullmatch(job):
            raise NewJobError(f"--after must be <team>.<job>, such as care.ingest; got '{job}'")
    file = repo.root / "dags" / name / "job.yaml"
    if file.exists():
        raise NewJobError(f"dags/{name}/job.yaml already exists; it was not changed")
    source = EXAMPLES / example
    text = (source / "job.yaml").read_text(encoding="utf-8")
    if after:
        text = SCHEDULE.sub(f"schedule: {{after: [{', '.join(after)}]}}", text, count=1)
    _write(file, text, repo.team)
    return [file, *_new_images(source / "images", repo)]


def _new_images(source: Path, repo: TeamRepo) -> Iterator[Path]:
    """Write and yield the files of the example's images that the repository lacks."""
    if not source.is_dir():
        return
    for image in sorted(source.iterdir()):
        # Each may be a link to a folder, into which a search of the folder above does not go.
        for found in sorted(image.rglob("*")):
            target = repo.root / "images" / found.relative_to(source)
            if found.is_file() and NOT_SOURCE.isdisjoint(found.parts) and not target.exists():
                _write(target, found.read_text(encoding="utf-8"), repo.team)
                yield target


def _write(target: Path, text: str, team: str) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text.replace(TEAM, team), encoding="utf-8")
