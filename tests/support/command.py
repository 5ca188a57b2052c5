"""The `jobyard` command inside the process of the tests: no start-up of another Python for each call."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from jobyard_cli.cli import main

Jobyard = Callable[..., tuple[int, str, str]]
"""Run the command with these arguments: exit code, standard output, standard error."""


def jobyard_in(folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Jobyard:
    """Return the command as it runs in a folder."""

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.chdir(folder)
        monkeypatch.setattr(sys, "argv", ["jobyard", *arguments])
        with pytest.raises(SystemExit) as exited:
            main.run()
        written = capsys.readouterr()
        return int(exited.value.code or 0), written.out, written.err

    return run
