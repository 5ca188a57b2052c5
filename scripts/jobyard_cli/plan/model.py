"""What a plan says; text, Markdown and JSON are made from this alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from jobyard.entries import Job

from jobyard_cli.plan.phrases import counted, quoted

ADDED = "added"
CHANGED = "changed"
REMOVED = "removed"
RENAMED = "renamed"
FATE = {
    REMOVED: "its DAG is paused, its history is kept",
    RENAMED: "Airflow sees a new DAG; runs, history and paused state stay with the old name, which is paused",
}
ONLY_LAYOUT = "only comments or layout differ, which Airflow's page of the job shows"
KINDS = (ADDED, CHANGED, REMOVED, RENAMED)
Jobs = Mapping[str, Job]
"""The jobs of a release, by name."""


def kind_of_change(before: object, after: object) -> str:
    """Return the kind of change between two values; None stands for a missing one."""
    if before is None:
        return ADDED
    if after is None:
        return REMOVED
    return CHANGED


@dataclass(frozen=True)
class Setting:
    """A field that is different; None where it is not there."""

    name: str
    before: str | None
    after: str | None


@dataclass(frozen=True)
class TaskChange:
    """A task that is added, changed or removed: its settings in Airflow, and the difference of its pod in YAML.

    A task with a type has no pod; what it is given stands there instead.
    """

    name: str
    kind: str
    settings: list[Setting] = field(default_factory=list)
    pod: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Timing:
    """When a job runs: in words, the next runs in the job's time zone, and the run that is made at once, if one is."""

    words: str
    next_runs: list[str] = field(default_factory=list)
    at_once: str | None = None


@dataclass(frozen=True)
class JobChange:
    """A job that is added, changed, removed or renamed; `was` is the name that it had, `note` what follows of it."""

    name: str
    kind: str
    was: str | None = None
    note: str | None = None
    settings: list[Setting] = field(default_factory=list)
    tasks: list[TaskChange] = field(default_factory=list)
    timing: Timing | None = None
    graph: str | None = None
    """A Mermaid flowchart."""


@dataclass(frozen=True)
class ImageChange:
    """An image that a merge builds, or that is no longer here; `tasks` run it, each as `<job>.<task>`."""

    name: str
    kind: str
    tasks: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class ObjectChange:
    """An object of the team's chart; `environments` are those in which it changes so, none where that is all."""

    name: str
    kind: str
    environments: list[str] = field(default_factory=list)
    difference: list[str] = field(default_factory=list)

    @property
    def scope(self) -> str:
        """Return ` in dev, prod`, or nothing where that is all."""
        if not self.environments:
            return ""
        return f" in {', '.join(self.environments)}"


@dataclass(frozen=True, order=True)
class Caution:
    """What a person should know before it is merged; names in it are between single quotes."""

    job: str
    message: str


@dataclass(frozen=True)
class Plan:
    """All that would change for a team. `notes` say what is not known, and why."""

    team: str
    base: str
    jobs: list[JobChange] = field(default_factory=list)
    unchanged: int = 0
    images: list[ImageChange] = field(default_factory=list)
    objects: list[ObjectChange] = field(default_factory=list)
    warnings: list[Caution] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    bounds: str = ""
    """Which state of the platform's repository the team's bounds and the others' jobs are from."""


def image_fate(change: ImageChange) -> str:
    """Return what follows from an image's change; names in it are between single quotes."""
    if change.kind == REMOVED:
        return "it is no longer built"
    if not change.tasks:
        return "it is built; no task runs it"
    return f"it is built, and then run by {quoted(change.tasks)}"


def counts(plan: Plan) -> str:
    """Return `1 job added, 2 changed; 1 object of the chart changed; 3 warnings`, or that nothing changes."""
    parts = [
        _by_kind("job", plan.jobs),
        _by_kind("image", plan.images),
        _by_kind("object", plan.objects, " of the chart"),
    ]
    changes = [part for part in parts if part] or ["nothing changes"]
    if plan.warnings:
        changes.append(counted(len(plan.warnings), "warning"))
    return "; ".join(changes)


def _by_kind(noun: str, changes: Sequence[JobChange | ImageChange | ObjectChange], owner: str = "") -> str:
    """`1 job added, 2 changed`: the first number names what is counted."""
    numbers = Counter(change.kind for change in changes)
    parts: list[str] = []
    for kind in KINDS:
        number = numbers[kind]
        if not number:
            continue
        if parts:
            parts.append(f"{number} {kind}")
        else:
            parts.append(f"{counted(number, noun)}{owner} {kind}")
    return ", ".join(parts)
