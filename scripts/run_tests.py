"""`make test`: all tests, in three lanes at once, as those of two lanes mostly wait for what they started.

The lines of the other lanes are marked with the lane's name. The last lines say how long each lane took.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

PYTEST = str(Path(sys.executable).with_name("pytest"))


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
        Lane("all others", [PYTEST, "tests/unit", "tests/iam", "tests/template", "tests/charts"]),
        _beside("end to end", "tests/end_to_end"),
        _beside("airflow", "tests/airflow", "tests/sync"),
    )


def _beside(name: str, *folders: str) -> Lane:
    # A cache of its own, as each run rewrites it. One line a test, as lines are what is passed on.
    cache = f"--override-ini=cache_dir=.pytest_cache/{name.replace(' ', '_')}"
    return Lane(name, [PYTEST, "--verbose", cache, *folders])


def run(first: Lane, *beside: Lane) -> int:
    """Run the lanes at once; return 0 if all passed, or else the code of the first that failed."""
    with ThreadPoolExecutor(len(beside) + 1) as pool:
        running = [pool.submit(_on_terminal, first), *(pool.submit(_marked, lane) for lane in beside)]
        finished = [one.result() for one in running]
    print()
    for one in finished:
        print(one)
    return next((one.code for one in finished if one.code), 0)


def _on_terminal(lane: Lane) -> Finished:
    start = time.monotonic()
    code = subprocess.run(lane.command, check=False).returncode
    return Finished(lane.name, code, time.monotonic() - start)


def _marked(lane: Lane) -> Finished:
    start = time.monotonic()
    with subprocess.Popen(lane.command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(f"{lane.name} │ {line}", end="", flush=True)
    return Finished(lane.name, process.returncode, time.monotonic() - start)


if __name__ == "__main__":
    sys.exit(run(*lanes()))
