"""`make test`: all tests, in three lanes at once, as those of two lanes mostly wait for what they started.

The lines of the other lanes are marked with the lane's name. The last lines say how long each lane took.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

PYTEST = str(Path(sys.executable).with_name("pytest"))
ALL_OTHERS = tuple(f"tests/{name}" for name in ("unit", "iam", "template", "charts", "metrics", "night"))


@dataclass(frozen=True)
class Lane:
    """Tests that run one after the other, in a process of their own."""

    name: str
    command: Sequence[str]


@dataclass(frozen=True)
class Finished:
    """How a lane ended."""

    name: str
    code: int
    seconds: float

    def __str__(self) -> str:
        minutes, seconds = divmod(round(self.seconds), 60)
        return f"{self.name:<12} {'failed' if self.code else 'passed'}  {minutes:>3} min {seconds:02} s"


def lanes() -> tuple[Lane, ...]:
    """The lane on the terminal, then the others: these wait for a platform, and for the schedulers of Airflows."""
    return (
        Lane("all others", [PYTEST, *ALL_OTHERS]),
        # The browser comes after the hostile images: as root it has processes without rights, whose folders a step of
        # an image's build may look into.
        _beside("end to end", "tests/end_to_end", "tests/page"),
        _beside("airflow", "tests/airflow", "tests/sync"),
    )


def _beside(name: str, *folders: str) -> Lane:
    # A cache of its own, as each run rewrites it. One line a test, as lines are what is passed on.
    cache = f"--override-ini=cache_dir=.pytest_cache/{name.replace(' ', '_')}"
    return Lane(name, [PYTEST, "--verbose", cache, *folders])


def run(first: Lane, *beside: Lane) -> int:
    """Run the lanes at once; return 0 if all passed, or else the code of the first that failed.

    SIGTERM and Ctrl-C end the lanes, each of which stops what it has started.
    """
    # `timeout` and pipelines end a command with SIGTERM; by default Python would leave the lanes running.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    processes = [_start(first), *(_start(lane, stdout=subprocess.PIPE) for lane in beside)]
    lanes = [first, *beside]
    with ThreadPoolExecutor(len(lanes)) as pool:
        try:
            finished = list(pool.map(_follow, lanes, processes))
        except KeyboardInterrupt:
            for process in processes:
                process.terminate()
            raise
    print()
    for lane in finished:
        print(lane)
    return next((lane.code for lane in finished if lane.code), 0)


def _start(lane: Lane, stdout: int | None = None) -> subprocess.Popen[str]:
    return subprocess.Popen(lane.command, stdout=stdout, stderr=stdout and subprocess.STDOUT, text=True)


def _follow(lane: Lane, process: subprocess.Popen[str]) -> Finished:
    """Pass on the lines of a lane that does not write to the terminal itself, until it ends."""
    start = time.monotonic()
    with process:
        for line in process.stdout or ():
            print(f"{lane.name} │ {line}", end="", flush=True)
    return Finished(lane.name, process.returncode, time.monotonic() - start)


if __name__ == "__main__":
    sys.exit(run(*lanes()))
