"""What is different between two releases' jobs."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime

from jobyard.contract import DURATIONS
from jobyard.entries import Job, PodFields, Task
from jobyard.platform_entries import PlatformFile

from jobyard_cli.check.findings import printable
from jobyard_cli.parsing.durations import duration_text
from jobyard_cli.plan.differences import difference
from jobyard_cli.plan.graph import flowchart
from jobyard_cli.plan.model import (
    FATE,
    ONLY_LAYOUT,
    REMOVED,
    RENAMED,
    JobChange,
    Jobs,
    Setting,
    TaskChange,
    kind_of_change,
)
from jobyard_cli.plan.phrases import growth_words
from jobyard_cli.plan.pods import pod
from jobyard_cli.plan.runs import timing

# The source is what all else was made from, and the digest is of all else.
_DERIVED = ("source", "digest", "tasks")
IN_POD = frozenset(PodFields.__annotations__)
"""Fields of a task that show in its pod, and need not be said twice."""
_NOT_SETTINGS = IN_POD | {"type", "arguments"}


class Comparison:
    """Jobs before and after, and the platform in whose pods they run."""

    def __init__(
        self, team: str, before: Jobs, after: Jobs, old_platform: PlatformFile, new_platform: PlatformFile
    ) -> None:
        """Take the platform's data for the jobs before and after."""
        self.team = team
        self.before = before
        self.after = after
        self.old_platform = old_platform
        self.new_platform = new_platform
        self.renamed = dict(_renamed(before, after))

    def changes(self, moment: datetime) -> Iterator[JobChange]:
        """Yield each job that differs, by name; next runs are those after the moment."""
        old_names = set(self.renamed.values())
        for name in sorted({*self.before, *self.after} - old_names):
            change = self._change(name, moment)
            if change is not None:
                yield change

    def _change(self, name: str, moment: datetime) -> JobChange | None:
        after = self.after.get(name)
        if after is None:
            return JobChange(name, REMOVED, note=FATE[REMOVED])
        if name in self.renamed:
            runs = timing(after, moment, is_new=True)
            return JobChange(name, RENAMED, was=self.renamed[name], note=FATE[RENAMED], timing=runs)
        return self._different_job(name, self.before.get(name), after, moment)

    def _different_job(self, name: str, before: Job | None, after: Job, moment: datetime) -> JobChange | None:
        settings = list(_job_settings(before, after))
        tasks = list(self._tasks(name, before, after))
        note = None
        if before is not None and not settings and not tasks:
            if before["source"] == after["source"]:
                return None
            note = ONLY_LAYOUT
        return JobChange(
            name,
            kind_of_change(before, after),
            note=note,
            settings=settings,
            tasks=tasks,
            timing=timing(after, moment, is_new=before is None),
            graph=flowchart(after),
        )

    def _tasks(self, job: str, before: Job | None, after: Job) -> Iterator[TaskChange]:
        old_tasks: Mapping[str, Task] = {}
        if before is not None:
            old_tasks = before["tasks"]
        new_tasks = after["tasks"]
        for name in sorted({*old_tasks, *new_tasks}):
            old = old_tasks.get(name)
            new = new_tasks.get(name)
            settings = list(_task_settings(old, new))
            old_pod = self._pod(self.old_platform, job, name, old)
            new_pod = self._pod(self.new_platform, job, name, new)
            pod_lines = difference(old_pod, new_pod)
            if old is None or new is None or settings or pod_lines:
                yield TaskChange(name, kind_of_change(old, new), settings, pod_lines)

    def _pod(self, platform: PlatformFile, job: str, name: str, task: Task | None) -> Mapping[str, object] | None:
        """The task's pod; of a task with a type, which has no pod, the type and its arguments."""
        if task is None:
            return None
        if task.get("type"):
            return {"type": task["type"], "with": task["arguments"]}
        return pod(platform, self.team, job, name, task)


def _renamed(before: Jobs, after: Jobs) -> Iterator[tuple[str, str]]:
    """New name and old one of each job that is the same under another name, as far as that can be seen."""
    removed: dict[str, list[str]] = {}
    for name in sorted({*before} - {*after}):
        removed.setdefault(_content(before[name]), []).append(name)
    for name in sorted({*after} - {*before}):
        if old_names := removed.get(_content(after[name])):
            yield name, old_names.pop(0)


def _content(job: Job) -> str:
    return json.dumps(_without(job, ("source", "digest")), sort_keys=True)


def _job_settings(before: Job | None, after: Job) -> Iterator[Setting]:
    if before is not None:
        yield from _different(_without(before, _DERIVED), _without(after, _DERIVED))


def _task_settings(before: Task | None, after: Task | None) -> Iterator[Setting]:
    """What differs of a task that both have, apart from its pod."""
    if before is not None and after is not None:
        yield from _different(_settings_of(before), _settings_of(after))


def _settings_of(task: Task) -> dict[str, object]:
    settings = _without(task, _NOT_SETTINGS)
    if growth := task.get("on_oom"):
        settings["on_oom"] = growth_words(growth)
    return settings


def _without(fields: Mapping[str, object], names: Collection[str]) -> dict[str, object]:
    return {name: value for name, value in fields.items() if name not in names}


def _different(before: Mapping[str, object], after: Mapping[str, object], parent: str = "") -> Iterator[Setting]:
    """The fields that differ, those of mappings one by one."""
    for name in sorted({*before, *after}):
        old = before.get(name)
        new = after.get(name)
        if old == new:
            continue
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            yield from _different(old, new, f"{parent}{name}.")
        else:
            yield Setting(printable(parent + name), _shown(name, old), _shown(name, new))


def _shown(name: str, value: object) -> str | None:
    if value is None:
        return None
    if isinstance(value, str):
        return printable(value)
    if name in DURATIONS and isinstance(value, int):
        return duration_text(value)
    return printable(json.dumps(value, ensure_ascii=False))
