"""A release of the work tree, laid out as in Airflow's bucket, and what an Airflow makes of it."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from jobyard.contract import release_path

from jobyard_cli.airflow.virtualenv import AIRFLOW_VERSION
from jobyard_cli.airflow.virtualenv import environment as airflow_environment
from jobyard_cli.check.findings import unknown
from jobyard_cli.errors import UsageError
from jobyard_cli.images.addresses import pod_limits
from jobyard_cli.platform import files as platform_files
from jobyard_cli.platform.data import platform_data
from jobyard_cli.platform.environments import Environment, load_environment, load_node_groups
from jobyard_cli.release.compile import compile_release
from jobyard_cli.system.folders import cache_dir
from jobyard_cli.system.git import commit
from jobyard_cli.system.programs import Report, run
from jobyard_cli.team.repo import TeamRepo

WORKER = Path(__file__).with_name("worker.py")
MWAA = "values/mwaa"


class UnknownAirflowError(UsageError):
    """The platform has no pins for this version of Airflow."""

    def __init__(self, version: str, known: list[str]) -> None:
        super().__init__(unknown("Airflow version", version, known, f"{MWAA} has"))


@dataclass(frozen=True)
class Built:
    """What Airflow has of the team's jobs: the number of DAGs, and what is wrong, one line each."""

    airflow: str
    dags: int
    problems: list[str]


@dataclass(frozen=True)
class Platform:
    """Work trees of the platform's repository: as it is now, and at the commit whose library this command fits."""

    now: Path
    library: Path


def build(root: Path, platform: Platform, name: str, version: str | None, report: Report) -> Built:
    """Build all DAGs of a team's work tree on the Airflow of an environment, or on another version.

    Raises:
        InvalidJobsError: the check found something already.
        UnknownEnvironmentError, UnknownAirflowError, InvalidValuesError, NotAPlatformRepoError:
            nothing to build for.
        ProgramError: Airflow could not be installed, or not start.
    """
    release = compile_release(root, commit(root))
    environment, pins = load_environment(platform.now, name), platform.now / MWAA
    airflow = version or str(environment.values.get("airflowVersion", AIRFLOW_VERSION))
    known = sorted(folder.name for folder in pins.iterdir() if folder.is_dir())
    if airflow not in known:
        raise UnknownAirflowError(airflow, known)
    installed = airflow_environment(pins, cache_dir(), report, airflow)
    report(f"building the DAGs on Airflow {airflow}")
    with tempfile.TemporaryDirectory(prefix="jobyard-dags-") as folder:
        dags = Path(folder) / "dags"
        lay_out(dags, TeamRepo.load(root).team, release.body, platform.library, environment)
        answer = _ask(installed, dags, Path(folder))
    return Built(airflow, len(answer["dags"]), list(_problems(answer)))


def lay_out(dags: Path, team: str, release: bytes, platform: Path, environment: Environment) -> None:
    """Write the files that Airflow's bucket would have below `dags/`, of this team alone."""
    data = platform_data(
        load_node_groups(platform),
        environment.name,
        task_types=platform_files.task_types(platform / "values"),
        # A team's repository may be older than the team's own file.
        teams={team: {}, **environment.teams},
        limits=pod_limits(environment),
        roles=bool(environment.values.get("airflowRoles")),
        data_buckets=environment.data_buckets,
        variables=platform_files.shared_variables(platform / "values"),
    )
    # Building needs a kubeconfig that exists, and does not read it.
    files = platform_files.platform_files(platform / "dags", {team: 1}, data, "{}\n")
    for name, content in {**files.flat, release_path(team): release}.items():
        (dags / name).parent.mkdir(parents=True, exist_ok=True)
        (dags / name).write_bytes(content)


class _Answer(TypedDict):
    """What the worker found: why each DAG is broken, by its id, and each file that could not be imported."""

    dags: dict[str, str | None]
    import_errors: dict[str, str]


def _ask(installed: Path, dags: Path, home: Path) -> _Answer:
    """The worker's answer, from an Airflow that has nothing but its defaults."""
    settings = {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        # A pipeline's machine may be slow; how long parsing takes is measured elsewhere.
        "AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT": "300",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'airflow.db'}",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR",
        "PATH": f"{installed / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(dags),
    }
    command: list[str | Path] = [installed / "bin" / "python", "-W", "ignore", WORKER, dags]
    output = run(command, what="building the DAGs", environment=settings)
    answer: _Answer = json.loads(output.splitlines()[-1])
    return answer


def _problems(answer: _Answer) -> Iterator[str]:
    """Yield a line for each file that could not be imported, then for each DAG that is broken."""
    for error in answer["import_errors"].values():
        yield f"no DAG was built: {error.strip()}"
    for dag_id, problem in answer["dags"].items():
        if problem:
            yield f"dags/{dag_id.partition('.')[2]}/job.yaml: {problem}"
