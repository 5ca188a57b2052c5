"""What an import makes of a file: jobs, and what became of each line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from jobyard_cli.importing.chains import Chain
from jobyard_cli.importing.commands import Command
from jobyard_cli.importing.schedules import Schedule
from jobyard_cli.importing.secrets import Secret

TODO = "TODO"
"""What stands for something that a person must fill in; the check reports each."""


class Fate(StrEnum):
    """What became of a line."""

    imported = "imported"
    proposed = "proposed to leave out"
    left_out = "left out"
    setting = "setting"
    comment = "comment"
    blank = "blank"
    unreadable = "unreadable"


@dataclass(frozen=True)
class Outcome:
    """What became of one line, by its number, and why. Nothing in it is a secret."""

    number: int
    text: str
    fate: Fate
    reason: str = ""
    job: str = ""
    notes: tuple[str, ...] = ()
    looks: tuple[str, ...] = ()
    """What a person must look at."""
    column: int = 1


@dataclass(frozen=True)
class TaskDraft:
    """An entry as a task, with all that its job needs to know. `secrets` has variables to `<secret>/<key>` or TODO."""

    name: str
    line: int
    source: str
    """The line as it is in the crontab, without secrets."""
    schedule: Schedule
    timezone: str
    command: Command
    comment: str = ""
    comment_lines: tuple[int, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)
    recipients: tuple[str, ...] = ()
    image: str = TODO
    todos: tuple[str, ...] = ()
    """What is missing in the job; the check reports each."""
    decisions: tuple[str, ...] = ()
    """Those of them that are about this entry alone."""
    folder: str = ""
    """The folder in which the command runs, "" if it does not say."""


@dataclass(frozen=True)
class JobDraft:
    """A job that is not written yet. `text` is its job.yaml."""

    name: str
    tasks: tuple[TaskDraft, ...]
    text: str

    @property
    def lines(self) -> list[int]:
        """The lines of the crontab that it comes from."""
        return [task.line for task in self.tasks]


@dataclass(frozen=True)
class NewFile:
    """A file to write, by its path in the team's repository."""

    path: str
    content: bytes


@dataclass(frozen=True)
class Imported:
    """The result of an import. Each line of the file has one outcome."""

    source: str
    outcomes: Sequence[Outcome]
    jobs: Sequence[JobDraft]
    files: Sequence[NewFile]
    chains: Sequence[Chain] = ()
    secrets: Sequence[Secret] = ()
    notes: Sequence[str] = ()
    """What is true of the whole file, such as its encoding and its time zone."""

    def count(self, fate: Fate) -> int:
        """Return how many lines have that fate."""
        return sum(1 for outcome in self.outcomes if outcome.fate is fate)
