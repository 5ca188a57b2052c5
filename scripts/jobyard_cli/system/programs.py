"""Run another program to its end."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from jobyard_cli.system.errors import ProgramError

Report = Callable[[str], None]
"""Where a long step says what it is doing, one short line at a time."""


def run(
    command: Sequence[str | Path],
    *,
    what: str = "",
    stdin: str | None = None,
    environment: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> str:
    """The program's standard output.

    Raises:
        ProgramError: it exited with another code than 0; `what` names the step, the message ends with its output.
    """
    words = [str(word) for word in command]
    done = subprocess.run(
        words,
        input=stdin,
        capture_output=True,
        text=True,
        env={**os.environ, **(environment or {})},
        cwd=cwd,
        check=False,
    )
    if done.returncode != 0:
        raise ProgramError(what or " ".join(words[:3]), done.stdout + done.stderr)
    return done.stdout


def stream(
    command: Sequence[str | Path],
    on_line: Callable[[str], None],
    *,
    what: str,
    environment: Mapping[str, str],
    cwd: Path,
    alone: bool = False,
) -> None:
    """Run a program and hand over each line that it prints, on either stream, as it comes.

    `environment` is added to ours, or where it is `alone` is all that the program gets.

    Raises:
        ProgramError: it exited with another code than 0.
    """
    lines: list[str] = []
    with subprocess.Popen(
        [str(word) for word in command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**({} if alone else os.environ), **environment},
        cwd=cwd,
    ) as child:
        assert child.stdout is not None
        for line in child.stdout:
            lines.append(line)
            on_line(line.rstrip())
    if child.returncode != 0:
        raise ProgramError(what, "".join(lines[-40:]))
