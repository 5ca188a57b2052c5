"""Starts the command as a pipeline does, once or many times at once."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FORKED = Path(__file__).with_name("forked.py")


@dataclass(frozen=True)
class Ended:
    """What became of a run."""

    code: int
    out: str
    err: str


@dataclass
class Run:
    """One run of the command in a team's repository."""

    repo: Path
    arguments: Sequence[str]
    environment: dict[str, str] = field(default_factory=dict)
    die: tuple[str, int] | None = None
    """`("before", 3)` ends the process as it is about to send its third request, `("after", 3)` once it is answered."""
    read_seconds: float = 20
    skew: float = 0
    """By how many seconds the machine's clock is wrong."""


class Forked:
    """The process from which the runs are forked."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        environment = {"PYTHONPATH": ":".join(sys.path), "PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(folder)}
        self._process = subprocess.Popen(
            [sys.executable, str(FORKED)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**environment, "AWS_EC2_METADATA_DISABLED": "true"},
        )

    def at_once(self, runs: Sequence[Run]) -> list[Ended]:
        """Start all, and wait for all."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([self._asked(run) for run in runs]) + "\n")
        self._process.stdin.flush()
        return [Ended(**ended) for ended in json.loads(self._process.stdout.readline())]

    def run(self, run: Run) -> Ended:
        """Start one, and wait for it."""
        (ended,) = self.at_once([run])
        return ended

    def close(self) -> None:
        """End the process."""
        self._process.communicate()

    def _asked(self, run: Run) -> dict[str, Any]:
        return {
            "folder": str(self._folder),
            "repo": str(run.repo),
            "arguments": list(run.arguments),
            "environment": {"AWS_EC2_METADATA_DISABLED": "true", **run.environment},
            "die": run.die,
            "read_seconds": run.read_seconds,
            "skew": run.skew,
        }
