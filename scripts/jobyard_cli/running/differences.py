"""What differs between a run here and one in production: only what is true of this run."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

from jobyard.entries import Task

from jobyard_cli.check.template_uses import templates_in
from jobyard_cli.running.backends import Backend, Containers, Processes
from jobyard_cli.running.engines import processor
from jobyard_cli.running.prepare import Prepared

GPU = "nvidia.com/gpu"
RUN_ID = re.compile(r"\brun_id\b")
EARLIER_RUNS = re.compile(r"\bprev_\w+_success\b")


def differences(prepared: Prepared, backend: Backend, why: str, places: list[str]) -> list[str]:
    """Return a line for each difference; `why` says why there is no engine, `places` where data and logs are."""
    return [
        "the job and the images are those of this folder, not of a release",
        *_place(prepared, backend, why),
        *places,
        *_job(prepared),
        *_tasks(prepared),
        *_templates(prepared),
    ]


def _place(prepared: Prepared, backend: Backend, why: str) -> Iterator[str]:
    tasks = [prepared.tasks[name] for name in prepared.pods]
    if isinstance(backend, Containers):
        yield from backend.engine.differences(tasks)
        if any(GPU in task["resources"]["limits"] for task in tasks):
            yield "containers get no GPU"
    if isinstance(backend, Processes) and tasks:
        yield f"tasks are processes of this machine, not containers ({why}): memory and processors are not limited"
        yield "/airflow/xcom and /scratch are folders of the run for Python's functions of files, and in arguments"
        for image in sorted({task["image"] for task in tasks}):
            yield from backend.image(image).differences
    yield from _machines(prepared, tasks)


def _machines(prepared: Prepared, tasks: list[Task]) -> Iterator[str]:
    here = processor()
    others: dict[str, str] = {}
    for task in tasks:
        group: Mapping[str, Any] = prepared.repo.node_groups.get(task["node_group"], {})
        there = str(group.get("architecture") or here)
        if there != here:
            others[task["node_group"]] = there
    for group_name, there in sorted(others.items()):
        yield f"this machine's processor is {here}, that of node group {group_name} is {there}"


def _job(prepared: Prepared) -> Iterator[str]:
    job, moments = prepared.job, prepared.moments
    if moments.assumed:
        yield moments.assumed
    day = moments.start.date()
    if day < date.fromisoformat(job["start_date"]):
        yield f"Airflow has no run for this day: the job's start_date is {job['start_date']}"
    if (end := job["end_date"]) and day > date.fromisoformat(end):
        yield f"Airflow has no run for this day: the job's end_date is {end}"
    if waits := [wait["job"] for wait in job.get("wait_for", [])]:
        yield f"other jobs are not waited for: {', '.join(waits)}"
    if job.get("alerts"):
        yield "no alerts are sent"


def _tasks(prepared: Prepared) -> Iterator[str]:
    chosen = {name: prepared.tasks[name] for name in prepared.chosen}
    if typed := [f"{name} ({task['type']})" for name, task in chosen.items() if task.get("type")]:
        yield f"taken as passed, without being run: {', '.join(typed)}"
    if any(task["retries"]["attempts"] for task in chosen.values()):
        yield "a task that fails is not tried again"
    if any(task.get("on_oom") for task in chosen.values()):
        yield "a task that runs out of memory does not get more of it"
    if any(task.get("outputs") for task in chosen.values()):
        yield "no other job is started by the assets that tasks update"
    if any(task.get("scratch") for task in chosen.values()):
        yield "the scratch space is not limited"
    if _side_by_side(prepared):
        yield "tasks run one after the other, also those that do not need each other"


def _side_by_side(prepared: Prepared) -> bool:
    """Whether two tasks of the run could run at the same time."""
    needed: dict[str, set[str]] = {}
    for name in prepared.chosen:
        needs = prepared.tasks[name]["needs"]
        needed[name] = set(needs).union(*(needed.get(need, set()) for need in needs))
    following = zip(prepared.chosen, prepared.chosen[1:], strict=False)
    return any(name not in needed[after] for name, after in following)


def _templates(prepared: Prepared) -> Iterator[str]:
    texts: list[str] = []
    for name in prepared.pods:
        texts += [text for _, text in templates_in((), dict(prepared.tasks[name])) if "{{" in text or "{%" in text]
    if any(RUN_ID.search(text) for text in texts):
        yield f"run_id is {prepared.moments.run_id}, as Airflow 3 would call it; Airflow 2 calls it otherwise"
    if any(EARLIER_RUNS.search(text) for text in texts):
        yield "there is no earlier run: prev_… are none"
