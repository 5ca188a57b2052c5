"""Run cruft, which makes a team's repository from the platform's template and updates it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from jobyard_cli.errors import JobyardError

_STOPPED = "Stopping generation because"
"""What cookiecutter prints after the problems that the hook found."""
_REASON = re.compile(r"^[\w.]+: (?=\S)", re.M)
"""The start of an exception's message at the end of a traceback."""


class CruftError(JobyardError):
    """cruft failed; the message is that of the template's hook, or the last one of cruft."""


def create(template: str, commit: str, answers: Mapping[str, str], output: Path, cwd: Path) -> None:
    """Make a team's repository in a folder from a commit of the template.

    Raises:
        CruftError: an answer is invalid, or the template cannot be fetched.
    """
    options = ["--no-input", "--default-config", "--checkout", commit, "--output-dir", str(output)]
    cruft("create", template, *options, "--extra-context", json.dumps(answers), cwd=cwd)


def cruft(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run cruft and wait until it exits.

    Raises:
        CruftError: its exit code is not 0.
    """
    # -P: do not import a file of the repository that has the name of one of cruft's modules.
    command = [sys.executable, "-P", "-m", "cruft", *arguments]
    environment = {**os.environ, "_TYPER_STANDARD_TRACEBACK": "1", "NO_COLOR": "1"}
    completed = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    if completed.returncode != 0:
        raise CruftError(_reason(completed.stderr))
    return completed


def _reason(stderr: str) -> str:
    problems, stopped, _ = stderr.partition(_STOPPED)
    if stopped:
        return problems.strip()
    return _REASON.split(stderr)[-1].strip()
