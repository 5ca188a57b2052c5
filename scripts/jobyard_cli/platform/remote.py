"""Asking a git server, within a time and without asking the person who waits for a login."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

from jobyard_cli.system.git import GitError

DEADLINE = 30.0
"""Seconds for one command."""
_SSH = "-o BatchMode=yes -o ConnectTimeout=10"


def ask(folder: Path, *arguments: str, deadline: float = DEADLINE) -> str:
    """git's standard output, run in a folder.

    Raises:
        GitError: git refused, wanted a login, did not end in time, or is not installed.
    """
    command = ["git", "-C", str(folder), *arguments]
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=_environment(),
            # A session of its own has no terminal to ask on, and its helpers end with it.
            start_new_session=True,
        )
    except FileNotFoundError as error:
        raise GitError("there is no `git` on this machine") from error
    with process:
        try:
            said, complaint = process.communicate(timeout=deadline)
        except subprocess.TimeoutExpired as error:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            raise GitError(f"git {arguments[0]}: no answer within {deadline:g} s") from error
    if process.returncode != 0:
        raise GitError(f"git {arguments[0]}: {complaint.strip() or f'exit code {process.returncode}'}")
    return said


def _environment() -> dict[str, str]:
    """A login that is stored is used; nobody is asked for one."""
    ssh = os.environ.get("GIT_SSH_COMMAND") or "ssh"
    quiet = {"GIT_TERMINAL_PROMPT": "0", "GIT_ASKPASS": "true", "SSH_ASKPASS": "true", "GCM_INTERACTIVE": "never"}
    return {**os.environ, **quiet, "GIT_SSH_COMMAND": f"{ssh} {_SSH}", "LC_ALL": "C"}
