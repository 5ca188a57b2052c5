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
from jobyard_cli.plan.phrases import prefixed

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
        yield printable(f"{SIGNS[item.kind]} {item.name} {item.kind}{item.scope}")
        yield from prefixed("    | ", item.difference)
    yield from _listed("warnings:", [f"{warning.job}: {warning.message}" for warning in plan.warnings])
    yield from _listed("not known:", plan.notes)
    yield ""
    yield counts(plan)


def _listed(title: str, items: list[str]) -> Iterator[str]:
    if items:
        yield ""
        yield title
        for item in items:
            yield from prefixed("  ! ", item.splitlines())


def _job(change: JobChange) -> Iterator[str]:
    title = f"{SIGNS[change.kind]} job {change.name} {change.kind}"
    if change.was:
        title += f" from {change.was}"
    yield printable(title)
    if change.note:
        yield f"    {change.note}"
    if change.timing:
        yield printable(f"    runs: {change.timing.words}")
        if change.timing.at_once:
            yield f"    first: at once, {change.timing.at_once}"
        if change.timing.next_runs:
            yield f"    next: {', '.join(change.timing.next_runs)}"
    yield from _settings(change.settings)
    for task in change.tasks:
        yield from prefixed("    ", _task(task))


def _settings(settings: list[Setting]) -> Iterator[str]:
    """A line for each: `timeout: 2h -> 3h`."""
    for setting in settings:
        if setting.before is None:
            yield f"    {setting.name}: {setting.after} (new)"
        elif setting.after is None:
            yield f"    {setting.name}: {setting.before} -> (gone)"
        else:
            yield f"    {setting.name}: {setting.before} -> {setting.after}"


def _task(task: TaskChange) -> Iterator[str]:
    yield printable(f"{SIGNS[task.kind]} task {task.name} {task.kind}")
    yield from _settings(task.settings)
    # A pod that is gone needs no description.
    if task.kind != REMOVED:
        yield from prefixed("    | ", task.pod)
