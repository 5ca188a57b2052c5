"""Run cruft, which makes a team's repository from the platform's template and updates it."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path

from jobyard_cli.errors import JobyardError, UsageError
from jobyard_cli.system.programs import Finished, finish

_STOPPED = "Stopping generation because"
"""What cookiecutter prints after the problems that the hook found."""
_REASON = re.compile(r"^[\w.]+: (?=\S)", re.M)
"""The start of an exception's message at the end of a traceback."""


class CruftError(JobyardError):
    """cruft failed; the message is that of the template's hook, or the last one of cruft."""


class AnswersRefusedError(CruftError, UsageError):
    """The template's hook refused an answer; the message has all that it refused."""


def create(template: str, commit: str, answers: Mapping[str, str], output: Path, cwd: Path) -> None:
    """Make a team's repository in a folder from a commit of the template.

    Raises:
        CruftError: an answer is invalid, or the template cannot be fetched.
    """
    options = ["--no-input", "--default-config", "--checkout", commit, "--output-dir", str(output)]
    cruft("create", template, *options, "--extra-context", json.dumps(answers), cwd=cwd)


def cruft(*arguments: str, cwd: Path) -> Finished:
    """Run cruft and wait until it exits.

    Raises:
        CruftError: its exit code is not 0.
        AnswersRefusedError: the template's hook refused an answer.
    """
    # -P: do not import a file of the repository that has the name of one of cruft's modules.
    command = [sys.executable, "-P", "-m", "cruft", *arguments]
    environment = {"_TYPER_STANDARD_TRACEBACK": "1", "NO_COLOR": "1"}
    done = finish(command, what=f"cruft {arguments[0]}", cwd=cwd, environment=environment)
    if done.code != 0:
        raise _failure(done.complaint)
    return done


def _failure(complaint: str) -> CruftError:
    refused, stopped, _ = complaint.partition(_STOPPED)
    if stopped:
        return AnswersRefusedError(refused.strip())
    reasons = list(_REASON.finditer(complaint))
    if reasons:
        complaint = complaint[reasons[-1].end() :].strip()
    return CruftError(complaint)
