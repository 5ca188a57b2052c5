"""A job as a release has it: every default filled in, durations in seconds, quantities canonical."""

from __future__ import annotations

import json
from typing import Any, cast

from jobyard import contract
from jobyard.entries import EveryTask, Foreach, GateTest, Job, Resources, Retries, SecretKey, Task, WaitFor
from jobyard.quantities import canonical_memory

from jobyard_cli.check.parameters import kind_of
from jobyard_cli.check.parts import is_pod, source_task
from jobyard_cli.check.template_uses import used_outputs
from jobyard_cli.parsing.documents import Document, Written
from jobyard_cli.parsing.durations import parse_duration
from jobyard_cli.parsing.growth import parse_growth
from jobyard_cli.parsing.quantities import canonical_cpu, disk_of
from jobyard_cli.release.job_defaults import JOB_DEFAULTS, RESOURCES, RETRIES, WAIT_TIMEOUT
from jobyard_cli.release.tracking import tracking_variables
from jobyard_cli.team.repo import TeamRepo


def job_entry(document: Document, repo: TeamRepo) -> Job:
    """Return the entry of a valid job, without its digest, with every mapping in it sorted, as Airflow gets it.

    A pod's variables, for one, come in that order. What a job does not state and has no default is left out: most jobs
    have little of it, and Airflow reads the release again and again.
    """
    stated: Written = document.data
    settings = {**JOB_DEFAULTS, **stated}
    params = {name: _param(param) for name, param in stated.get("params", {}).items()}
    compiler = _Tasks(stated.get("defaults", {}), used_outputs(document.data), repo)
    tasks = {name: compiler.entry(name, task) for name, task in stated["tasks"].items()}
    job = Job(
        source=document.text,
        description=settings["description"],
        owner=settings["owner"],
        schedule=settings["schedule"],
        timezone=settings["timezone"],
        start_date=settings["start_date"],
        end_date=settings["end_date"],
        catchup=settings["catchup"],
        max_active_runs=settings["max_active_runs"],
        timeout=_seconds(stated.get("timeout")),
        tags=settings["tags"],
        params=params,
        tasks=tasks,
    )
    if alerts := stated.get("alerts"):
        job["alerts"] = alerts
    if deadline := _seconds(stated.get("deadline")):
        job["deadline"] = deadline
    if most := stated.get("max_active_tasks"):
        job["max_active_tasks"] = most
    if waits := [_wait(wait) for wait in stated.get("wait_for", [])]:
        job["wait_for"] = waits
    # Sorting it here takes three times as long.
    ordered: Job = json.loads(json.dumps(job, sort_keys=True))
    return ordered


def _wait(stated: str | Written) -> WaitFor:
    if isinstance(stated, str):
        return WaitFor(job=stated, timeout=parse_duration(WAIT_TIMEOUT))
    return WaitFor(job=stated["job"], timeout=parse_duration(stated.get("timeout", WAIT_TIMEOUT)))


def _param(stated: object) -> dict[str, object]:
    """The arguments of Airflow's Param: with a type, its form shows the fitting field."""
    param: dict[str, object] = {"default": stated}
    if isinstance(stated, dict):
        param = dict(stated)
    kind = param.setdefault("type", kind_of(param["default"]))
    if param["default"] is None:
        param["type"] = [kind, "null"]
    return param


class _Tasks:
    """The tasks of one job, as they are compiled."""

    def __init__(self, defaults: Written, used: set[str], repo: TeamRepo) -> None:
        """Take as `used` the tasks whose output another one uses."""
        self._defaults = defaults
        self._used = used
        self._repo = repo

    def entry(self, name: str, task: Written) -> Task:
        """Return the task's entry."""
        if not is_pod(task):
            # A task with a type has the fields of EveryTask alone.
            return cast(Task, self._typed(task))
        entry = self._pod(task)
        if self._setting(task, "read_only_root_filesystem"):
            entry["read_only_root_filesystem"] = True
        if longest := _seconds(self._setting(task, "queue_timeout")):
            entry["queue_timeout"] = longest
        if growth := self._setting(task, "resources", {}).get("on_oom"):
            entry["on_oom"] = parse_growth(growth)
        if name in self._used:
            entry["output"] = True
        if "foreach" in task:
            entry["foreach"] = _foreach(task)
        if "gate" in task:
            entry["gate"] = _gate(task["gate"])
        return entry

    def _typed(self, task: Written) -> EveryTask:
        entry = EveryTask(
            needs=task.get("needs", []),
            retries=_retries(self._setting(task, "retries", {})),
            timeout=_seconds(self._setting(task, "timeout")),
            trigger_rule=task.get("trigger_rule", contract.DEFAULT_TRIGGER_RULE),
            type=task["type"],
            arguments=task.get("with", {}),
        )
        self._add_stated(entry, task)
        return entry

    def _pod(self, task: Written) -> Task:
        level = self._setting(task, "priority", "normal")
        scratch = self._setting(task, "scratch")
        entry = Task(
            needs=task.get("needs", []),
            retries=_retries(self._setting(task, "retries", {})),
            timeout=_seconds(self._setting(task, "timeout")),
            trigger_rule=task.get("trigger_rule", contract.DEFAULT_TRIGGER_RULE),
            image=task["image"],
            command=task.get("command"),
            args=task.get("args"),
            env=self._environment(task),
            secrets={name: _secret(key) for name, key in self._merged(task, "secrets").items()},
            node_group=self._setting(task, "node_group", "default"),
            resources=_resources(self._setting(task, "resources", {}), scratch),
            scratch=None if scratch is None else canonical_memory(scratch),
            service_account=self._setting(task, "service_account", "jobs"),
            priority_class=f"{self._repo.team}.{level}-{self._repo.priorities[level]}",
            startup_timeout=_seconds(self._setting(task, "startup_timeout")),
        )
        self._add_stated(entry, task)
        return entry

    def _add_stated(self, entry: EveryTask, task: Written) -> None:
        """Add what any task may have, and most have not."""
        if group := task.get("group"):
            entry["group"] = group
        if pool := self._setting(task, "pool"):
            # A pool of Airflow's is everybody's: the team's name keeps it the team's.
            entry["pool"] = f"{self._repo.team}.{pool}"
        if inputs := task.get("inputs"):
            entry["inputs"] = inputs
        if outputs := task.get("outputs"):
            entry["outputs"] = outputs

    def _environment(self, task: Written) -> dict[str, str]:
        """The environment of the task's pod; what the job states comes before what the team's values do."""
        stated = self._merged(task, "env")
        if not self._repo.mlflow:
            return stated
        secrets = self._merged(task, "secrets")
        tracking = tracking_variables(self._repo.mlflow, self._repo.team, task["image"], has_items="foreach" in task)
        of_team = {name: value for name, value in tracking.items() if name not in secrets}
        return {**of_team, **stated}

    def _setting(self, task: Written, name: str, default: object = None) -> Any:
        """What the task states, or else what the job states for all of them."""
        return task.get(name, self._defaults.get(name, default))

    def _merged(self, task: Written, name: str) -> dict[str, str]:
        """What the job states for all tasks and what the task states, which comes first."""
        return {**self._defaults.get(name, {}), **task.get(name, {})}


def _foreach(task: Written) -> Foreach:
    stated = task["foreach"]
    foreach = Foreach(items=None, output_of=source_task(stated), concurrency=task.get("concurrency"))
    if isinstance(stated, list):
        foreach["items"] = stated
    return foreach


def _gate(stated: Written) -> GateTest:
    test = next(test for test in contract.GATE_TESTS if test in stated)
    return GateTest(output_of=stated["output_of"], value=stated.get("value"), test=test, bound=stated[test])


def _retries(stated: Written) -> Retries:
    retries = {**RETRIES, **stated}
    return Retries(
        attempts=retries["attempts"],
        delay=parse_duration(retries["delay"]),
        backoff=retries["backoff"],
        max_delay=_seconds(retries["max_delay"]),
    )


def _secret(stated: str) -> SecretKey:
    secret, key = stated.split("/")
    return SecretKey(secret=secret, key=key)


def _resources(stated: Written, scratch: str | None) -> Resources:
    """Memory can't be taken back from a pod, so by default its limit is the request; CPU can, so it has none.

    Of the disk, request and limit are the same: what a pod writes is what the machine has for it and the quota counts.
    """
    resources = {**RESOURCES, **stated}
    both = {"ephemeral-storage": disk_of(scratch)}
    if resources.get("gpu"):
        both["nvidia.com/gpu"] = str(resources["gpu"])
    requests = {"cpu": canonical_cpu(resources["cpu"]), "memory": canonical_memory(resources["memory"]), **both}
    limits = {"memory": canonical_memory(resources.get("memory_limit", resources["memory"])), **both}
    if "cpu_limit" in resources:
        limits["cpu"] = canonical_cpu(resources["cpu_limit"])
    return Resources(requests=requests, limits=limits)


def _seconds(duration: str | None) -> int | None:
    return None if duration is None else parse_duration(duration)
