"""What is different between two releases' jobs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from jobyard_cli.check.findings import printable
from jobyard_cli.parsing.durations import duration_text
from jobyard_cli.plan.differences import difference
from jobyard_cli.plan.graph import flowchart
from jobyard_cli.plan.model import ADDED, CHANGED, FATE, ONLY_LAYOUT, REMOVED, RENAMED, JobChange, Setting, TaskChange
from jobyard_cli.plan.pods import pod
from jobyard_cli.plan.runs import timing

Job = Mapping[str, Any]
Jobs = Mapping[str, Job]

# The source is what all else was made from, and the digest is of all else.
_MADE = ("source", "digest", "tasks")
_DURATIONS = ("timeout", "deadline", "startup_timeout", "delay", "max_delay")
IN_POD = ("image", "command", "args", "env", "secrets", "resources", "scratch", "service_account", "priority_class")
"""Fields of a task that show in its pod, and need not be told twice."""


class Comparison:
    """Jobs before and after, and the platform in whose pods they run."""

    def __init__(self, team: str, before: Jobs, after: Jobs, then: Mapping[str, Any], now: Mapping[str, Any]) -> None:
        """`then` and `now` are the platform's data, as `platform_data` makes it."""
        self.team, self.before, self.after = team, before, after
        self.then, self.now = then, now
        self.renamed = dict(_renamed(before, after))

    def changes(self, moment: datetime) -> Iterator[JobChange]:
        """Each job that is not as it was, by name; next runs are those after the moment."""
        gone = set(self.renamed.values())
        for name in sorted({*self.before, *self.after} - gone):
            change = self._change(name, moment)
            if change is not None:
                yield change

    def _change(self, name: str, moment: datetime) -> JobChange | None:
        before, after = self.before.get(name), self.after.get(name)
        if after is None:
            return JobChange(name, REMOVED, note=FATE[REMOVED])
        if name in self.renamed:
            timed = timing(after, moment, is_new=True)
            return JobChange(name, RENAMED, was=self.renamed[name], note=FATE[RENAMED], timing=timed)
        return self._different_job(name, before, after, moment)

    def _different_job(self, name: str, before: Job | None, after: Job, moment: datetime) -> JobChange | None:
        settings, tasks = list(_settings(before, after)), list(self._tasks(name, before, after))
        same = before is not None and not settings and not tasks
        if same and before is not None and before["source"] == after["source"]:
            return None
        return JobChange(
            name,
            ADDED if before is None else CHANGED,
            note=ONLY_LAYOUT if same else None,
            settings=settings,
            tasks=tasks,
            timing=timing(after, moment, is_new=before is None),
            graph=flowchart(after),
        )

    def _tasks(self, job: str, before: Job | None, after: Job) -> Iterator[TaskChange]:
        old, new = (before or {"tasks": {}})["tasks"], after["tasks"]
        for name in sorted({*old, *new}):
            one, other = old.get(name), new.get(name)
            kind = ADDED if one is None else REMOVED if other is None else CHANGED
            settings = list(_different(_told(one or {}), _told(other or {}))) if kind == CHANGED else []
            pods = difference(self._runs(self.then, job, name, one), self._runs(self.now, job, name, other))
            if kind != CHANGED or settings or pods:
                yield TaskChange(name, kind, settings, pods)

    def _runs(self, platform: Mapping[str, Any], job: str, name: str, task: Job | None) -> dict[str, Any] | None:
        if task is None:
            return None
        if task.get("type"):
            return {"type": task["type"], "with": task["arguments"]}
        return pod(platform, self.team, job, name, task)


def _renamed(before: Jobs, after: Jobs) -> Iterator[tuple[str, str]]:
    """New name and old one of each job that is the same under another name, as far as that can be told."""
    gone: dict[str, list[str]] = {}
    for name in sorted({*before} - {*after}):
        gone.setdefault(_content(before[name]), []).append(name)
    for name in sorted({*after} - {*before}):
        if same := gone.get(_content(after[name])):
            yield name, same.pop(0)


def _content(job: Job) -> str:
    return json.dumps({name: value for name, value in job.items() if name not in ("source", "digest")}, sort_keys=True)


def _settings(before: Job | None, after: Job) -> Iterator[Setting]:
    if before is None:
        return
    yield from _different(_without(before, _MADE), _without(after, _MADE))


def _told(task: Job) -> dict[str, Any]:
    return _without(task, ("type", "arguments", *IN_POD))


def _without(fields: Job, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name not in names}


def _different(before: Job, after: Job, within: str = "") -> Iterator[Setting]:
    """The fields that differ, those of mappings one by one."""
    for name in sorted({*before, *after}):
        one, other = before.get(name), after.get(name)
        if one == other:
            continue
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            yield from _different(one, other, f"{within}{name}.")
        else:
            yield Setting(printable(within + name), _shown(name, one), _shown(name, other))


def _shown(name: str, value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return None if value is None else printable(value)
    if name in _DURATIONS and isinstance(value, int):
        return duration_text(value)
    return printable(json.dumps(value, ensure_ascii=False))
