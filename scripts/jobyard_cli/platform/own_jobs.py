"""The platform's own jobs, `dags/platform/<job>/job.yaml`: the release of the reserved team `platform`.

They are in the format that teams use, and checked and compiled as teams' jobs are. What differs from one environment to
the next is added to the compiled tasks as variables, from the environment's file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from jobyard.entries import Job, SecretKey, Task

from jobyard_cli.check.run import Checked, check_jobs
from jobyard_cli.parsing.documents import load
from jobyard_cli.platform.environments import CATALOGUE, PLATFORM_TEAM_FILE, Environment
from jobyard_cli.platform.metrics import metrics_bucket, metrics_prefix
from jobyard_cli.platform.missing_values import require
from jobyard_cli.platform.teams import PLATFORM_TEAM
from jobyard_cli.release.compile import release_of
from jobyard_cli.release.file import ReleaseFile
from jobyard_cli.team.repo import TeamRepo

JOBS = "dags/platform"
TASK_TYPES = "values/task-types.yaml"
SERVICE_ACCOUNT = "jobs"
"""Of the pods; charts/bounds gives it to the team's namespace."""
LOGIN = "airflow"
"""The Secret in the team's namespace with `username` and `password` of an Airflow that is not MWAA's."""


def own_release(repo: Path, environment: Environment, commit: str, images: Mapping[str, str]) -> ReleaseFile | None:
    """Return the release of the platform's jobs for an environment; None where it has no `metrics`.

    `repo` is the platform's repository, `images` has the addresses of the images that belong to the jobs, by digest.

    Raises:
        InvalidJobsError: the check found something.
        IncompleteEnvironmentError: the environment's file lacks something that the jobs need.
    """
    if environment.platform_team is None:
        return None
    require(environment, "the platform's job is", _needed(environment.values))
    checked = check_own_jobs(repo)
    entries = {name: _configured(job, environment) for name, job in checked.entries.items()}
    return release_of(replace(checked, entries=entries), commit, images)


def prices(repo: Path, environment: Environment) -> bytes | None:
    """Return the prices of machines for the job; None without metrics, or without the file: then nothing has a cost."""
    file = repo / "values" / "prices.yaml"
    return file.read_bytes() if environment.platform_team is not None and file.is_file() else None


def check_own_jobs(repo: Path) -> Checked:
    """Return the platform's jobs with what a team's check finds in them."""
    return check_jobs(as_team(repo))


def own_images(repo: Path) -> list[str]:
    """Return the names of the images that the platform's jobs run."""
    tasks = [task for job in check_own_jobs(repo).entries.values() for task in job["tasks"].values()]
    return sorted({str(task["image"]) for task in tasks if "image" in task})


def is_platform(repo: Path) -> bool:
    """Return whether a folder is the platform's repository, and no team's."""
    return (repo / PLATFORM_TEAM_FILE).is_file() and not (repo / "values" / "team.yaml").exists()


def as_team(repo: Path) -> TeamRepo:
    """Return the platform's repository as that of a team, which has the same parts in other places."""
    repo = repo.absolute()
    team = load(repo / PLATFORM_TEAM_FILE, PLATFORM_TEAM_FILE)
    if isinstance(team.data, dict):
        team.data = {**team.data, "team": PLATFORM_TEAM, "serviceAccounts": {SERVICE_ACCOUNT: {}}}
    return TeamRepo(
        root=repo,
        team_values=team,
        catalogue=load(repo / CATALOGUE, CATALOGUE),
        types=load(repo / TASK_TYPES, TASK_TYPES),
        job_files=sorted((repo / JOBS).glob("*/job.yaml")),
        platform=repo,
    )


def _needed(values: Mapping[str, Any]) -> dict[str, str]:
    needed = {"bucket": "example-jobyard-prod"}
    if "bucket" not in values["metrics"]:
        needed["dataBucket"] = "example-jobyard-prod-data"
    if "airflow" not in values:
        needed["airflowUrl"] = "https://airflow.example.com"
    if "prometheusWorkspace" in values["metrics"]:
        needed["region"] = "eu-central-1"
    return needed


def _configured(job: Job, environment: Environment) -> Job:
    variables = dict(sorted(settings(environment).items()))
    secrets = {} if "airflow" in environment.values else _login()
    tasks = {name: _with(task, variables, secrets) for name, task in job["tasks"].items()}
    return {**job, "tasks": tasks}


def _with(task: Task, variables: Mapping[str, str], secrets: Mapping[str, SecretKey]) -> Task:
    env = dict(sorted({**variables, **task["env"]}.items()))
    return {**task, "env": env, "secrets": dict(sorted({**secrets, **task["secrets"]}.items()))}


def _login() -> dict[str, SecretKey]:
    names = ("username", "password")
    return {f"JOBYARD_AIRFLOW_{name.upper()}": SecretKey(secret=LOGIN, key=name) for name in names}


def settings(environment: Environment) -> dict[str, str]:
    """Return the variables of the job's container, by name, as images/metrics reads them."""
    values, metrics = environment.values, environment.values["metrics"]
    return {
        "JOBYARD_ENVIRONMENT": environment.name,
        "JOBYARD_RELEASES": f"s3://{values['bucket']}/dags",
        "JOBYARD_METRICS_STORE": f"s3://{metrics_bucket(values)}/{metrics_prefix(values)}",
        "JOBYARD_TEAMS_READ": metrics.get("teamsRead", "own"),
        **dict(_sources(values)),
        **dict(_pages(values)),
    }


def _sources(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    metrics = values["metrics"]
    if "airflow" in values:
        yield "JOBYARD_AIRFLOW_MWAA", values["airflow"]
    else:
        yield "JOBYARD_AIRFLOW_URL", values["airflowUrl"]
    if "prometheusWorkspace" in metrics:
        yield "JOBYARD_PROMETHEUS_WORKSPACE", metrics["prometheusWorkspace"]
    else:
        yield "JOBYARD_PROMETHEUS_URL", metrics["prometheusUrl"]
    if "region" in values:
        yield "AWS_REGION", values["region"]


def _pages(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The addresses that the page links to, as far as the file has them."""
    if page := values["metrics"].get("airflowUrl", values.get("airflowUrl")):
        yield "JOBYARD_AIRFLOW_PAGE", page.rstrip("/")
    if "argocdUrl" in values["metrics"]:
        yield "JOBYARD_ARGOCD_PAGE", values["metrics"]["argocdUrl"].rstrip("/")
