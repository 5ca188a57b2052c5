"""Compiles a team's jobs into its release."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jobyard.job_rules import TESTS
from jobyard.reading import parse

from jobyard_cli.check.parameters import kind_of
from jobyard_cli.check.parts import is_pod, source_task
from jobyard_cli.check.report import lines
from jobyard_cli.check.run import Checked, check_repo
from jobyard_cli.check.template_uses import used_outputs
from jobyard_cli.errors import JobyardError
from jobyard_cli.parsing.documents import Document
from jobyard_cli.parsing.durations import parse_duration
from jobyard_cli.parsing.quantities import canonical_cpu, canonical_memory, disk_of
from jobyard_cli.release.job_defaults import JOB_DEFAULTS, RESOURCES, RETRIES, WAIT_TIMEOUT
from jobyard_cli.team.repo import TeamRepo

SCHEMA_VERSION = 3
JOB_DIGEST = 12
"""Hexadecimal digits of a job's digest: enough to tell its versions apart."""


class InvalidJobsError(JobyardError):
    """The repository has problems, so there is no release; the message lists them all."""

    def __init__(self, checked: Checked, so: str = "nothing was released") -> None:
        super().__init__("\n".join([*lines(checked, snippets=False), so]))


class ReleaseTooLargeError(JobyardError):
    """The jobs fit a release one by one, and all together make one that Airflow would not read."""

    def __init__(self, error: ValueError) -> None:
        super().__init__(f"the release can't be read by Airflow: {error}; nothing was released")


def compile_release(root: Path, commit: str, images: Mapping[str, str] | None = None) -> bytes:
    """A release of all jobs of a team's repository: the same bytes for the same files, commit and images.

    `images` are the addresses of those that belong to the jobs, by digest, so that going back to this release goes
    back to them too; they are part of the release's digest, the commit is not.

    Raises:
        NotATeamRepoError: the folder is no team's repository.
        InvalidJobsError: the check found something.
        ReleaseTooLargeError: Airflow would not read the release.
    """
    checked = check_repo(root)
    if checked.findings:
        raise InvalidJobsError(checked)
    jobs = compile_jobs(checked)
    content = {"jobs": jobs, "images": dict(images or {})}
    release = _dump(
        {
            "schema_version": SCHEMA_VERSION,
            "team": checked.repo.team,
            "namespace": checked.repo.namespace,
            "commit": commit,
            "digest": f"sha256:{_digest([SCHEMA_VERSION, content])}",
            **content,
        }
    )
    try:
        parse(release)
    except ValueError as error:
        raise ReleaseTooLargeError(error) from error
    return release


def compile_jobs(checked: Checked) -> dict[str, dict[str, Any]]:
    """The jobs of a checked repository, by name, as a release has them; not those in whose file something was found.

    Every mapping in them is sorted, as it will be for Airflow: a pod's variables, for one, come in that order.
    """
    jobs = {name: _with_digest(job_entry(document, checked.repo)) for name, document in checked.sound_jobs.items()}
    ordered: dict[str, dict[str, Any]] = json.loads(_dump(jobs))
    return ordered


def _with_digest(job: dict[str, Any]) -> dict[str, Any]:
    """The job with what its DAG's page shows of it, by which one can tell that Airflow has it as it is here.

    The schema's version is in it: an Airflow that can't read this one yet shows the digests of the version before.
    """
    return {**job, "digest": _digest([SCHEMA_VERSION, job])[:JOB_DIGEST]}


def _digest(value: Any) -> str:
    return hashlib.sha256(_dump(value)).hexdigest()


def _dump(value: Any) -> bytes:
    return (json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False) + "\n").encode()


def job_entry(document: Document, repo: TeamRepo) -> dict[str, Any]:
    """The entry of a valid job as a release has it, without its digest."""
    job: dict[str, Any] = document.data
    stated = {name: job[name] for name in JOB_DEFAULTS if name in job}
    used = used_outputs(job)
    return {
        **JOB_DEFAULTS,
        **stated,
        "source": document.text,
        "schedule": job["schedule"],
        "timeout": _seconds(job.get("timeout")),
        "params": {name: _param(param) for name, param in job.get("params", {}).items()},
        "tasks": {name: _task(name, task, job.get("defaults", {}), used, repo) for name, task in job["tasks"].items()},
        **_stated(
            alerts=job.get("alerts"),
            deadline=_seconds(job.get("deadline")),
            max_active_tasks=job.get("max_active_tasks"),
            wait_for=[_wait(wait) for wait in job.get("wait_for", [])],
        ),
    }


def _stated(**fields: Any) -> dict[str, Any]:
    """The fields that are there: most jobs have few of them, and Airflow reads the release again and again."""
    return {name: value for name, value in fields.items() if value}


def _wait(stated: str | Mapping[str, Any]) -> dict[str, Any]:
    wait = {"job": stated} if isinstance(stated, str) else stated
    return {"job": wait["job"], "timeout": parse_duration(wait.get("timeout", WAIT_TIMEOUT))}


def _param(stated: Any) -> dict[str, Any]:
    """The arguments of Airflow's Param: with a type, its form shows the fitting field."""
    param = dict(stated) if isinstance(stated, dict) else {"default": stated}
    kind = param.pop("type", kind_of(param["default"]))
    return {**param, "type": kind if param["default"] is not None else [kind, "null"]}


def _task(
    name: str, task: Mapping[str, Any], defaults: Mapping[str, Any], used: set[str], repo: TeamRepo
) -> dict[str, Any]:
    pool = task.get("pool", defaults.get("pool"))
    common = {
        "needs": task.get("needs", []),
        "retries": _retries(task.get("retries", defaults.get("retries", {}))),
        "timeout": _seconds(task.get("timeout", defaults.get("timeout"))),
        "trigger_rule": task.get("trigger_rule", "all_success"),
        **_stated(
            group=task.get("group"),
            # A pool of Airflow's is everybody's: the team's name keeps it the team's.
            pool=f"{repo.team}.{pool}" if pool else None,
            inputs=task.get("inputs"),
            outputs=task.get("outputs"),
        ),
    }
    if not is_pod(dict(task)):
        return {**common, "type": task["type"], "arguments": task.get("with", {})}
    return {
        **common,
        **_pod(task, defaults, repo),
        **_stated(output=name in used, foreach=_foreach(task), gate=_gate(task.get("gate"))),
    }


def _pod(task: Mapping[str, Any], defaults: Mapping[str, Any], repo: TeamRepo) -> dict[str, Any]:
    def setting(name: str, default: Any = None) -> Any:
        return task.get(name, defaults.get(name, default))

    level = setting("priority", "normal")
    return {
        "image": task["image"],
        "command": task.get("command"),
        "args": task.get("args"),
        "env": {**defaults.get("env", {}), **task.get("env", {})},
        "secrets": _secrets({**defaults.get("secrets", {}), **task.get("secrets", {})}),
        "node_group": setting("node_group", "default"),
        "resources": _resources(setting("resources", {}), setting("scratch")),
        "scratch": None if setting("scratch") is None else canonical_memory(setting("scratch")),
        "service_account": setting("service_account", "jobs"),
        "priority_class": f"{repo.team}.{level}-{repo.priorities[level]}",
        "startup_timeout": _seconds(setting("startup_timeout")),
    }


def _foreach(task: Mapping[str, Any]) -> dict[str, Any] | None:
    stated = task.get("foreach")
    if stated is None:
        return None
    items = stated if isinstance(stated, list) else None
    return {"items": items, "output_of": source_task(stated), "concurrency": task.get("concurrency")}


def _gate(stated: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if stated is None:
        return None
    test = next(test for test in TESTS if test in stated)
    return {"output_of": stated["output_of"], "value": stated.get("value"), "test": test, "bound": stated[test]}


def _retries(stated: Mapping[str, Any]) -> dict[str, Any]:
    retries = {**RETRIES, **stated}
    return {**retries, "delay": _seconds(retries["delay"]), "max_delay": _seconds(retries["max_delay"])}


def _secrets(stated: Mapping[str, str]) -> dict[str, dict[str, str]]:
    return {name: dict(zip(("secret", "key"), place.split("/"), strict=True)) for name, place in stated.items()}


def _resources(stated: Mapping[str, Any], scratch: str | None) -> dict[str, dict[str, str]]:
    """Memory can't be taken back from a pod, so by default its limit is the request; CPU can, so it has none.

    Of the disk, request and limit are the same: what a pod writes is what the machine has for it and the quota counts.
    """
    asked = {**RESOURCES, **stated}
    memory = canonical_memory(asked["memory"])
    gpu = {"nvidia.com/gpu": str(asked["gpu"])} if asked.get("gpu") else {}
    disk = {"ephemeral-storage": disk_of(scratch)}
    cpu_limit = {"cpu": canonical_cpu(asked["cpu_limit"])} if "cpu_limit" in asked else {}
    memory_limit = canonical_memory(asked.get("memory_limit", asked["memory"]))
    return {
        "requests": {"cpu": canonical_cpu(asked["cpu"]), "memory": memory, **disk, **gpu},
        "limits": {**cpu_limit, "memory": memory_limit, **disk, **gpu},
    }


def _seconds(duration: str | None) -> int | None:
    return None if duration is None else parse_duration(duration)
