"""A plan for a person at a terminal, and for another program."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict

from jobyard_cli.check.findings import printable
from jobyard_cli.plan.model import (
    ADDED,
    CHANGED,
    REMOVED,
    RENAMED,
    JobChange,
    Plan,
    Setting,
    TaskChange,
    counts,
    image_fate,
)

SIGNS = {ADDED: "+", CHANGED: "~", REMOVED: "-", RENAMED: ">"}


def as_json(plan: Plan) -> str:
    """Return an object with all that the plan says."""
    return json.dumps({"summary": counts(plan), **asdict(plan)}, indent=1, ensure_ascii=False)


def lines(plan: Plan) -> Iterator[str]:
    """Yield the plan's lines, without the graphs, which are unreadable in a terminal."""
    yield f"Plan for team {plan.team}, compared with {printable(plan.base)}"
    if plan.bounds:
        yield f"Bounds and published jobs: {printable(plan.bounds)}"
    for change in plan.jobs:
        yield ""
        yield from _job(change)
    for image in plan.images:
        yield ""
        yield printable(f"{SIGNS[image.kind]} image {image.name} {image.kind}: {image_fate(image)}".replace("'", ""))
    for item in plan.objects:
        yield ""
        where = f" in {', '.join(item.environments)}" if item.environments else ""
        yield printable(f"{SIGNS[item.kind]} {item.name} {item.kind}{where}")
        yield from _indented(item.difference)
    yield from _listed("warnings:", [f"{warning.job}: {warning.message}" for warning in plan.warnings])
    yield from _listed("not known:", plan.notes)
    yield ""
    yield counts(plan)


def _listed(title: str, items: list[str]) -> Iterator[str]:
    if items:
        yield ""
        yield title
        for item in items:
            yield from (f"  ! {line}" for line in item.splitlines())


def _job(change: JobChange) -> Iterator[str]:
    was = f" from {change.was}" if change.was else ""
    yield printable(f"{SIGNS[change.kind]} job {change.name} {change.kind}{was}")
    if change.note:
        yield f"    {change.note}"
    if change.timing:
        yield printable(f"    runs: {change.timing.words}")
        if change.timing.at_once:
            yield f"    first: at once, {change.timing.at_once}"
        if change.timing.next_runs:
            yield f"    next: {', '.join(change.timing.next_runs)}"
    yield from (f"    {setting_line(setting)}" for setting in change.settings)
    for task in change.tasks:
        yield from (f"    {line}" for line in _task(task))


def setting_line(setting: Setting) -> str:
    """Return `timeout: 2h -> 3h`."""
    if setting.before is None:
        return f"{setting.name}: {setting.after} (new)"
    return f"{setting.name}: {setting.before} -> {'(gone)' if setting.after is None else setting.after}"


def _task(task: TaskChange) -> Iterator[str]:
    yield printable(f"{SIGNS[task.kind]} task {task.name} {task.kind}")
    yield from (f"    {setting_line(setting)}" for setting in task.settings)
    # A pod that is gone needs no description.
    if task.kind != REMOVED:
        yield from _indented(task.pod)


def _indented(lines: list[str]) -> Iterator[str]:
    return (f"    | {line}" for line in lines)
