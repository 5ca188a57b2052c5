"""Write what an import made into a team's repository, and change nothing that exists unless asked to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from jobyard_cli.errors import JobyardError
from jobyard_cli.importing.model import JobDraft, NewFile
from jobyard_cli.importing.report import Written


class NotWrittenError(JobyardError):
    """A file of the import could not be written."""

    def __init__(self, path: str, why: str) -> None:
        super().__init__(f"{path}: cannot write the file: {why}")


def write(root: Path | None, files: Sequence[NewFile], *, overwrite: bool, dry_run: bool) -> Iterator[Written]:
    """Write the files below `root`, and yield what was done with each.

    Raises:
        NotWrittenError: a folder or file could not be written.
    """
    for file in files:
        state = _state(root, file, overwrite)
        if root is not None and state in ("new", "replaced") and not dry_run:
            _write(root, file)
        yield Written(file.path, state)


def replaced_by_chains(root: Path | None, jobs: Sequence[JobDraft]) -> Iterator[Written]:
    """Yield the job of each task that is in a joined job now, where an earlier import wrote it."""
    for job in jobs:
        for task in job.tasks:
            path = f"dags/{task.name}/job.yaml"
            if root is not None and task.name != job.name and (root / path).exists():
                yield Written(path, "joined")


def _state(root: Path | None, file: NewFile, overwrite: bool) -> str:
    target = None if root is None else root / file.path
    if target is None or not target.exists():
        return "new"
    try:
        same = target.read_bytes() == file.content
    except OSError as error:
        raise NotWrittenError(file.path, error.strerror or str(error)) from None
    if same:
        return "unchanged"
    return "replaced" if overwrite else "kept"


def _write(root: Path, file: NewFile) -> None:
    target = root / file.path
    # A link would lead the file to elsewhere.
    if not target.resolve().is_relative_to(root.resolve()):
        raise NotWrittenError(file.path, "it leads out of the repository")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file.content)
    except OSError as error:
        raise NotWrittenError(file.path, error.strerror or str(error)) from None
