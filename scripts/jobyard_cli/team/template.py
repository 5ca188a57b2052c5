"""cruft, which makes a team's repository from the platform's, and brings later versions of it."""

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
"""What cookiecutter says after the problems that the hook found."""
_REASON = re.compile(r"^[\w.]+: (?=\S)", re.M)
"""Where Python's traceback ends with an exception's message."""


class CruftError(JobyardError):
    """cruft could not do it; the message is the hook's, or the last one of cruft's own."""


def create(template: str, commit: str, answers: Mapping[str, str], output: Path, cwd: Path) -> None:
    """Make a team's repository in a folder from one commit of the template.

    Raises:
        CruftError: an answer is wrong, or the template can't be had.
    """
    options = ["--no-input", "--default-config", "--checkout", commit, "--output-dir", str(output)]
    cruft("create", template, *options, "--extra-context", json.dumps(answers), cwd=cwd)


def cruft(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run cruft to its end.

    Raises:
        CruftError: it exited with another code than 0.
    """
    # -P: a file of the repository that is called like a module of cruft's is not taken for it.
    command = [sys.executable, "-P", "-m", "cruft", *arguments]
    environment = {**os.environ, "_TYPER_STANDARD_TRACEBACK": "1", "NO_COLOR": "1"}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise CruftError(_reason(done.stderr))
    return done


def _reason(stderr: str) -> str:
    said, stopped, _ = stderr.partition(_STOPPED)
    if stopped:
        return said.strip()
    reasons = list(_REASON.finditer(stderr))
    return stderr[reasons[-1].end() :].strip() if reasons else stderr.strip()
