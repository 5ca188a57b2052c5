"""Asking a git server, within a time and without asking the person who waits for a login."""

from __future__ import annotations

import os
from pathlib import Path

from jobyard_cli.system.git import git

DEADLINE = 30.0
"""Seconds for one command."""
_SSH = "-o BatchMode=yes -o ConnectTimeout=10"


def ask(folder: Path, *arguments: str, deadline: float = DEADLINE) -> str:
    """Return git's standard output, run in a folder.

    Raises:
        GitError: git refused, wanted a login, did not end in time, or is not installed.
    """
    # A session of its own has no terminal to ask on.
    return git(folder, *arguments, variables=_environment(), deadline=deadline, session=True)


def _environment() -> dict[str, str]:
    """A login that is stored is used; nobody is asked for one."""
    ssh = os.environ.get("GIT_SSH_COMMAND") or "ssh"
    quiet = {"GIT_TERMINAL_PROMPT": "0", "GIT_ASKPASS": "true", "SSH_ASKPASS": "true", "GCM_INTERACTIVE": "never"}
    return {**quiet, "GIT_SSH_COMMAND": f"{ssh} {_SSH}", "LC_ALL": "C"}
