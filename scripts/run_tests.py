"""`make test`: all tests, in three lanes at once, as those of two lanes mostly wait for what they started.

Each line is marked with its lane's name. The last lines name the tests that failed, and say how long each lane took.
"""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

PYTEST = str(Path(sys.executable).with_name("pytest"))
# Also of the pytest that a test has started in an environment with Airflow, which its own failure quotes.
FAILURE = re.compile(r"\b(?:FAILED|ERROR) tests/\S+::.*")
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
    failures: Sequence[str] = ()

    def __str__(self) -> str:
        minutes, seconds = divmod(round(self.seconds), 60)
        return f"{self.name:<12} {'failed' if self.code else 'passed'}  {minutes:>3} min {seconds:02} s"


def lanes() -> tuple[Lane, ...]:
    """The tests that compute, then those that wait: for a platform, and for the schedulers of Airflows.

    Those that wait go first, as they leave time enough: the platform's above all, whose servers use almost half of a
    processor for as long as they are up.
    """
    return (
        _lane("all others", *ALL_OTHERS, niceness=5),
        # The browser comes after the hostile images: as root it has processes without rights, whose folders a step of
        # an image's build may look into.
        _lane("end to end", "--verbose", "tests/end_to_end", "tests/page"),
        _lane("airflow", "--verbose", "tests/airflow", "tests/sync", "tests/ingestion", niceness=3),
    )


def _lane(name: str, *arguments: str, niceness: int = 0) -> Lane:
    # A cache of its own, as each run rewrites it.
    cache = f"--override-ini=cache_dir=.pytest_cache/{name.replace(' ', '_')}"
    return Lane(name, ["nice", "-n", str(niceness), PYTEST, cache, *arguments])


def run(*lanes: Lane) -> int:
    """Run the lanes at once; return 0 if all passed, or else the code of the first that failed.

    SIGTERM and Ctrl-C end the lanes, each of which stops what it has started.
    """
    # `timeout` and pipelines end a command with SIGTERM; by default Python would leave the lanes running.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    processes = [_start(lane) for lane in lanes]
    with ThreadPoolExecutor(len(lanes)) as pool:
        try:
            finished = list(pool.map(_follow, lanes, processes))
        except KeyboardInterrupt:
            for process in processes:
                process.terminate()
            raise
    _summarize(finished)
    return next((lane.code for lane in finished if lane.code), 0)


def _summarize(finished: Sequence[Finished]) -> None:
    print()
    for lane in finished:
        for failure in lane.failures:
            print(f"{lane.name} │ {failure}")
    for lane in finished:
        print(lane)


def _start(lane: Lane) -> subprocess.Popen[str]:
    return subprocess.Popen(lane.command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def _follow(lane: Lane, process: subprocess.Popen[str]) -> Finished:
    """Pass on the lines of a lane until it ends."""
    start = time.monotonic()
    failures: dict[str, None] = {}  # each once, in their order
    with process:
        for line in process.stdout or ():
            print(f"{lane.name} │ {line}", end="", flush=True)
            if failure := FAILURE.search(line):
                failures[failure[0]] = None
    return Finished(lane.name, process.returncode, time.monotonic() - start, list(failures))


if __name__ == "__main__":
    sys.exit(run(*lanes()))
