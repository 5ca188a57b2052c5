"""A whole job of a team's repository, run in the process of the tests by the code that `jobyard run` uses.

Gates, foreach, outputs and templates are the command's. Only the programs are called as functions, so that no task
waits for another Python that loads its libraries.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Mapping
from contextlib import redirect_stderr, redirect_stdout
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, cast
from unittest.mock import patch

import feature_generation.__main__ as generation_job
import inference.__main__ as inference_job
import pytest
from jobyard.entries import Task
from jobyard_cli.cli.steps import Steps
from jobyard_cli.running.backends import Backend, Started
from jobyard_cli.running.job import JobRun, Outcome
from jobyard_cli.running.prepare import Options, prepare
from jobyard_cli.running.rendering import Instance, Rendered
from jobyard_cli.running.store import Place
from jobyard_cli.running.tracking import own_server
from jobyard_cli.system.programs import Report, Running
from rich.console import Console

PROGRAMS: Mapping[str, Callable[[list[str]], int]] = {
    "feature-generation": generation_job.main,
    "inference": inference_job.main,
}


class Ended:
    """A program that has ended."""

    def __init__(self, code: int) -> None:
        self.code = code

    def wait(self, _seconds: float) -> int:
        """Its exit code."""
        return self.code


class Functions(Backend):
    """Calls the program of a task as a function."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.monkeypatch = monkeypatch

    @property
    def host(self) -> str | None:
        """Tasks run here."""
        return None

    def prepare(self, image: str, report: Report) -> None:
        """Nothing has to be built."""

    def start(
        self, task: Task, _instance: Instance, rendered: Rendered, place: Place, given: Mapping[str, str]
    ) -> Started:
        """Call it, to its end."""
        self.monkeypatch.setattr(inference_job, "XCOM", place.written)
        variables = patch.dict(os.environ, {**rendered.env, **given})
        with variables, place.log.open("w") as log, redirect_stdout(log), redirect_stderr(log):
            code = PROGRAMS[task["image"]](rendered.args)
        return Started(cast(Running, Ended(code)), lambda: None)

    def failure(self, task: Task, code: int) -> str:
        """What went wrong is in the log."""
        return f"exit code {code}"


def run_job(
    repo: Path,
    job: str,
    day: date,
    bucket: str,
    monkeypatch: pytest.MonkeyPatch,
    environment: Mapping[str, str] | None = None,
) -> tuple[Outcome, dict[str, Any], str]:
    """Run a job of a day: how its tasks ended, what they left, and what was printed of them.

    `environment` are the variables of the person who runs it.
    """
    variables = environment or {}
    options = Options(job=job, day=day, variables=[f"jobyard_data_bucket={bucket}"])
    prepared = prepare(repo, options, datetime.now(UTC), variables)
    printed = io.StringIO()
    steps = Steps(Console(file=printed, width=200))
    # One instance at a time: the programs share standard output.
    given = own_server(prepared.repo.mlflow, variables, None)
    made = JobRun(prepared, Functions(monkeypatch), steps, secrets={}, given=given, data=None, parallel=1, say=print)
    outcome = made.run()
    return outcome, prepared.outputs, printed.getvalue()
