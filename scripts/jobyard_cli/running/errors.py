"""What can go wrong when a job runs on this machine, each said so that a person can act on it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from jobyard_cli.check.findings import unknown
from jobyard_cli.errors import JobyardError, UsageError


class LocalRunError(JobyardError):
    """A job can't be run on this machine."""


class UnknownTaskError(LocalRunError, UsageError):
    """The job has no such task."""

    def __init__(self, task: str, known: Iterable[str]) -> None:
        super().__init__(unknown("task", task, known, "the job has"))


class NoSuchRunError(LocalRunError, UsageError):
    """The schedule has no run for the day, or several."""


class InvalidOptionError(LocalRunError, UsageError):
    """Values of options that do not fit the job; the message has every one."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))


class MissingValuesError(LocalRunError):
    """Values that Airflow or the cluster has are not known here; the message has every one, and how to give it."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join([*problems, "nothing was run"]))


class EngineError(LocalRunError):
    """The container engine that was asked for does not work."""


class ImageSourceMissingError(LocalRunError):
    """Images can't be run as a process, as nothing here says what is in them; the message has every one."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join([*problems, "nothing was run"]))


class DataFolderError(LocalRunError):
    """A folder can't stand for a bucket."""
