"""Where a run on a person's machine logs to, of a team that has an MLflow server.

A try must not move the alias by which others take the team's models. So a run here logs nothing, unless the person's
own environment names a server.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast
from urllib.parse import urlsplit, urlunsplit

from jobyard.entries import Job, Task

from jobyard_cli.release.tracking import URI, VARIABLES
from jobyard_cli.system.addresses import without_login

LOOPBACK = ("localhost", "127.0.0.1", "::1")


def without_teams_server(job: Job, mlflow: Mapping[str, Any], environment: Mapping[str, str]) -> Job:
    """Return the job without the server that values/team.yaml names.

    `environment` are the person's variables. Without a server among them, the tasks have no other variable of MLflow's
    from the values either.
    """
    if not mlflow:
        return job
    dropped = (URI,) if environment.get(URI) else VARIABLES
    tasks = {name: _without(task, mlflow["trackingUri"], dropped) for name, task in job["tasks"].items()}
    return cast(Job, {**job, "tasks": tasks})


def _without(task: Task, server: str, dropped: tuple[str, ...]) -> Task:
    variables = task.get("env", {})
    if variables.get(URI) != server:
        # The task states its own, or has no pod.
        return task
    return cast(Task, {**task, "env": {name: value for name, value in variables.items() if name not in dropped}})


def own_server(mlflow: Mapping[str, Any], environment: Mapping[str, str], host: str | None) -> dict[str, str]:
    """Return the variable with the person's server, as a task reaches it to which this machine is `host`."""
    server = environment.get(URI)
    if not mlflow or not server:
        return {}
    return {URI: _reachable(server, host) if host else server}


def _reachable(address: str, host: str) -> str:
    parts = urlsplit(address)
    if parts.hostname not in LOOPBACK:
        return address
    login, at, _ = parts.netloc.rpartition("@")
    port = f":{parts.port}" if parts.port else ""
    return urlunsplit(parts._replace(netloc=f"{login}{at}{host}{port}"))


def in_words(mlflow: Mapping[str, Any], environment: Mapping[str, str]) -> str | None:
    """Return what differs from production; None for a team without a server."""
    if not mlflow:
        return None
    if server := environment.get(URI):
        return f"tasks log to your own MLflow server, {URI}={without_login(server)}"
    return f"tasks log nothing in MLflow; set {URI} to log to a server of your own"
