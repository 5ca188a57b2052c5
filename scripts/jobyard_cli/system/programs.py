"""Runs other programs: no other module of the command starts one.

| function | deadline | for |
|---|---|---|
| `run`, `finish` | yes | a program whose output is wanted |
| `stream` | none | a build whose lines a person or a pipeline's log sees as they come |
| `attach` | none | a program that prints to the person's own terminal |
| `start` | none | a program that goes on until its caller ends it; `exit_code` looks whether it has ended |
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from jobyard_cli.system.errors import ProgramError, ProgramNotFoundError, ProgramTimeoutError

Report = Callable[[str], None]
"""Where a long step says what it is doing, one short line at a time."""
DEADLINE = 1800.0
"""Seconds for a program whose caller names no other deadline: only a program that hangs takes so long."""
_KEPT_LINES = 40

Running = subprocess.Popen[bytes]
"""A program that goes on."""


@dataclass(frozen=True)
class Finished:
    """A program that ended: its exit code, and what it wrote."""

    code: int
    stdout: bytes
    stderr: bytes

    @property
    def text(self) -> str:
        """Return standard output as text, with only line feeds between lines."""
        return _text(self.stdout)

    @property
    def complaint(self) -> str:
        """Return standard error as text."""
        return _text(self.stderr).strip()


def finish(
    command: Sequence[str | Path],
    *,
    what: str = "",
    stdin: str = "",
    environment: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    deadline: float = DEADLINE,
    session: bool = False,
) -> Finished:
    """Run a program to its end, whatever its exit code.

    `environment` is added to ours. In a `session` of its own a program has no terminal to ask a person on.

    Raises:
        ProgramNotFoundError: it is not installed.
        ProgramTimeoutError: it did not end within `deadline` seconds.
    """
    with _started(
        command,
        stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        environment=environment,
        cwd=cwd,
        session=session,
    ) as process:
        try:
            stdout, stderr = process.communicate(stdin.encode() or None, timeout=deadline)
        except subprocess.TimeoutExpired as error:
            kill_tree(process.pid)
            raise ProgramTimeoutError(what or _name(command), deadline) from error
        except BaseException:
            # Ctrl-C, too: what was started here does not go on alone.
            kill_tree(process.pid)
            raise
    return Finished(process.returncode, stdout, stderr)


def run(
    command: Sequence[str | Path],
    *,
    what: str = "",
    stdin: str = "",
    environment: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    deadline: float = DEADLINE,
) -> str:
    """Return the program's standard output.

    Raises:
        ProgramError: it exited with another code than 0, is not installed, or did not end within `deadline` seconds.
            `what` names the step, and the message ends with the program's output.
    """
    done = finish(command, what=what, stdin=stdin, environment=environment, cwd=cwd, deadline=deadline)
    if done.code != 0:
        raise ProgramError(what or _name(command), done.text + _text(done.stderr))
    return done.text


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
        ProgramError: it exited with another code than 0, or is not installed.
    """
    lines: list[str] = []
    with _started(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        environment=environment,
        cwd=cwd,
        alone=alone,
    ) as child:
        assert child.stdout is not None
        for line in child.stdout:
            lines.append(_text(line))
            on_line(lines[-1].rstrip())
    if child.returncode != 0:
        raise ProgramError(what, "".join(lines[-_KEPT_LINES:]))


def attach(command: Sequence[str | Path], *, cwd: Path) -> int:
    """Run a program with our own standard input and output; its exit code.

    Raises:
        ProgramNotFoundError: it is not installed.
    """
    with _started(command, cwd=cwd) as child:
        return child.wait()


def start(
    command: Sequence[str | Path],
    *,
    output: IO[bytes] | int = subprocess.PIPE,
    environment: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    session: bool = False,
    alone: bool = False,
) -> Running:
    """Start a program that goes on until the caller ends it.

    `output` gets what it writes: standard output where it is `PIPE`, else both streams. In a `session` of its own it
    outlives this command. `environment` is added to ours, or where it is `alone` is all that the program gets.

    Raises:
        ProgramNotFoundError: it is not installed.
    """
    both = None if output == subprocess.PIPE else subprocess.STDOUT
    return _started(
        command,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=both,
        environment=environment,
        cwd=cwd,
        session=session,
        alone=alone,
    )


def exit_code(process: Running, seconds: float) -> int | None:
    """Return the exit code of a program that ends within so many seconds; None if it goes on."""
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        return None


def kill_tree(pid: int) -> None:
    """Kill a process and all that it started."""
    import psutil

    with suppress(psutil.NoSuchProcess):
        parent = psutil.Process(pid)
        for process in (*parent.children(recursive=True), parent):
            with suppress(psutil.NoSuchProcess):
                process.kill()


def _started(
    command: Sequence[str | Path],
    *,
    stdin: int | None = None,
    stdout: IO[bytes] | int | None = None,
    stderr: int | None = None,
    environment: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    alone: bool = False,
    session: bool = False,
) -> Running:
    variables = dict(environment or {})
    if not alone:
        variables = {**os.environ, **variables}
    words = [str(word) for word in command]
    try:
        return subprocess.Popen(
            words,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            env=variables,
            cwd=cwd,
            start_new_session=session,
        )
    except FileNotFoundError as error:
        if cwd is not None and not cwd.is_dir():
            raise
        raise ProgramNotFoundError(words[0]) from error


def _name(command: Sequence[str | Path]) -> str:
    return " ".join(str(word) for word in command[:3])


def _text(written: bytes) -> str:
    return written.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")
