"""`jobyard run`: a job, or one of its tasks, on this machine."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jobyard_cli.cli.options import JobName, Parameters, RunDay, RunTime, TeamRepository, team_root

if TYPE_CHECKING:
    from jobyard_cli.running.backends import Backend
    from jobyard_cli.running.data_folder import DataFolder
    from jobyard_cli.running.job import Outcome
    from jobyard_cli.running.prepare import Prepared

PARALLEL = 2
"""Instances of a foreach that run at once, where nothing says how many."""

Repeated = list[str] | None


def run(
    job: JobName,
    task: Annotated[
        str | None, typer.Argument(metavar="TASK", help="Task to run, alone.", show_default="all tasks")
    ] = None,
    day: RunDay = None,
    at: RunTime = None,
    data: Annotated[
        Path | None,
        typer.Option(help="Folder that stands for the data bucket.", show_default="the bucket, with your own rights"),
    ] = None,
    environment: Annotated[
        str | None, typer.Option(help="Environment whose data bucket is used, such as dev.", show_default="none")
    ] = None,
    engine: Annotated[
        str,
        typer.Option(
            help="What tasks run in: docker, podman, buildah, or process (no container).",
            show_default="the first that works, else process",
        ),
    ] = "",
    param: Parameters = None,
    variable: Annotated[Repeated, typer.Option(help="Value of an Airflow Variable, NAME=VALUE. Repeatable.")] = None,
    output: Annotated[
        Repeated,
        typer.Option(help="Output of a task that is not run: TASK=JSON or TASK.NAME=VALUE. Repeatable."),
    ] = None,
    item: Annotated[
        Repeated, typer.Option(help="Item of the TASK's foreach to run: its index, text or name. Repeatable.")
    ] = None,
    secrets: Annotated[
        Path | None,
        typer.Option(help="File of NAME=VALUE lines for secrets.", show_default="variables of the environment"),
    ] = None,
    parallel: Annotated[int, typer.Option(min=1, help="Instances of a foreach that run at the same time.")] = PARALLEL,
    log: Annotated[bool, typer.Option("--log", help="Print what the tasks print, as it comes.")] = False,
    repo: TeamRepository = None,
) -> None:
    """Run a job, or one task of it, on this machine: production's code, arguments, environment and templates.

    In the image of each task where a container engine is there, else as a process with the image's requirements. It
    first says what differs from production. Logs and outputs are in .jobyard/runs.

    Exit codes: 0 nothing failed (tasks may be skipped), 1 a task failed or the run can't be started, 2 the command
    itself is wrong.
    """
    from datetime import UTC, datetime

    from jobyard_cli.running.backends import check_images
    from jobyard_cli.running.engines import find_engine
    from jobyard_cli.running.prepare import Options, day_of, prepare, time_of
    from jobyard_cli.running.tracking import in_words, own_server

    _check_engine(engine)
    root = team_root(repo)
    options = Options(
        job=job,
        task=task,
        day=day_of(day),
        at=time_of(at),
        environment=environment,
        data=data,
        params=param or (),
        variables=variable or (),
        outputs=output or (),
        secrets=secrets,
        items=item or (),
    )
    prepared = prepare(root, options, datetime.now(UTC), os.environ)
    found, why = find_engine(engine) if prepared.pods else (None, "")
    check_images(root / "images", prepared.tasks, prepared.pods, found)
    backend = _backend(root, found)
    # What stops this command stops its tasks.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with _data(data, prepared) as folder:
        credentials, words = _credentials(folder, data, backend)
        given = {**credentials, **own_server(prepared.repo.mlflow, os.environ, backend.host)}
        tracking = in_words(prepared.repo.mlflow, os.environ)
        _announce(prepared, backend, why, [words, tracking] if tracking else [words])
        outcome = _run(prepared, backend, given, folder, parallel, log)
    _finish(prepared, outcome)


def _check_engine(name: str) -> None:
    from jobyard_cli.check.findings import unknown
    from jobyard_cli.errors import UsageError
    from jobyard_cli.running.engines import ENGINES, PROCESS

    known = [*ENGINES, PROCESS]
    if name and name not in known:
        raise UsageError(unknown("engine", name, known, "available"))


def _backend(root: Path, engine: object) -> Backend:
    from jobyard_cli.running.backends import Containers, Processes
    from jobyard_cli.running.engines import Engine
    from jobyard_cli.running.store import FOLDER

    if isinstance(engine, Engine):
        return Containers(engine, root / "images")
    return Processes(root / "images", root / FOLDER / "images")


@contextmanager
def _data(folder: Path | None, prepared: Prepared) -> Iterator[DataFolder | None]:
    if folder is None:
        yield None
        return
    from jobyard_cli.running.data_folder import served

    with served(folder.absolute(), prepared.bucket) as data:
        yield data


def _credentials(data: DataFolder | None, folder: Path | None, backend: Backend) -> tuple[Mapping[str, str], str]:
    """Variables for every task, by which it finds the data; and where that is, in words."""
    from jobyard_cli.running.data_folder import LOOPBACK, own_credentials

    if data is not None:
        words = f"the folder {folder} stands for s3://{data.bucket}; what tasks write is written there"
        return data.environment(backend.host or LOOPBACK), words
    given, are_there = own_credentials(os.environ)
    if not are_there:
        return given, "tasks have no AWS credentials: none of yours were found"
    return given, "tasks have your own AWS credentials, not their role's"


def _announce(prepared: Prepared, backend: Backend, why: str, places: list[str]) -> None:
    from jobyard_cli.running.differences import differences

    print(f"{prepared.repo.team}.{prepared.name}: {prepared.moments.words}")
    print("unlike in production:")
    for line in differences(prepared, backend, why, places):
        print(f"  - {line}")
    sys.stdout.flush()


def _run(
    prepared: Prepared, backend: Backend, given: Mapping[str, str], data: DataFolder | None, parallel: int, log: bool
) -> Outcome:
    from rich.markup import escape

    from jobyard_cli.cli.steps import Steps, new_console
    from jobyard_cli.running.job import JobRun

    with Steps(new_console()) as steps:

        def say(line: str) -> None:
            if log:
                steps.note(escape(line))

        made = JobRun(
            prepared,
            backend,
            steps,
            secrets=prepared.secret_values(os.environ),
            given=given,
            data=data,
            parallel=parallel,
            say=say,
        )
        return made.run()


def _finish(prepared: Prepared, outcome: Outcome) -> None:
    """Say how it ended.

    Raises:
        Exit: a task has failed.
    """
    from jobyard_cli.running.trigger_rules import State

    counts = [f"{len(outcome.of(State.SUCCESS))} succeeded"]
    for state, words in ((State.SKIPPED, "skipped"), (State.FAILED, "failed"), (State.UPSTREAM_FAILED, "not run")):
        if ended := outcome.of(state):
            counts.append(f"{len(ended)} {words}")
    for one in outcome.of(State.FAILED):
        print(f"{one.instance.label}: {one.words}", file=sys.stderr)
    print(f"{', '.join(counts)}; logs and outputs: {_shown(prepared.store.folder)}")
    if outcome.has_failed:
        raise typer.Exit(1)


def _shown(folder: Path) -> str:
    """The folder as a person types it from where they are."""
    try:
        return str(folder.relative_to(Path.cwd()))
    except ValueError:
        return str(folder)
