"""Start, watch and stop the platform's processes.

Each runs in a session of its own, so it outlives the command that started it. A record file a process (its id and the
kernel's start time of that id) tells ours from a stranger that got the same id later.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from jobyard_cli.system.programs import Running, start
from jobyard_cli.system.waiting import NotYetError, until

from jobyard_local.errors import ProcessDiedError, ProcessNotReadyError

START_SECONDS = 900.0
"""For one process: on a machine with ten times as much to do as it has cores, Airflow needs minutes."""
PROBE_SECONDS = 30.0
"""For one answer to "do you serve yet?": on a busy machine a server that serves may take long."""


@dataclass(frozen=True)
class Process:
    """One long-running program.

    `ready` answers whether it serves yet; it may raise OSError or HTTPException while it does not. One that ends is
    seen at once, so `timeout` is only for one that hangs.
    """

    name: str
    command: Sequence[str]
    ready: Callable[[], bool] = lambda: True
    environment: Mapping[str, str] = field(default_factory=dict)
    timeout: float = START_SECONDS


class Supervisor:
    """The processes of one platform, with their records in `run/` and their output in `logs/`."""

    def __init__(self, state: Path) -> None:
        self.run = state / "run"
        self.logs = state / "logs"
        self._children: dict[str, Running] = {}

    def start(self, process: Process) -> None:
        """Start a process unless it runs already, and wait until it is ready.

        Raises:
            ProcessDiedError: it ended while starting; the message carries the end of its log.
            ProcessNotReadyError: it runs but did not answer within its time.
        """
        if not self.alive(process.name):
            self._spawn(process)
        self._wait(process)

    def _spawn(self, process: Process) -> None:
        self.run.mkdir(parents=True, exist_ok=True)
        self.logs.mkdir(parents=True, exist_ok=True)
        # Children of one that was killed may live on, and hold its port.
        if (group := self._group(process.name)) is not None:
            _end_group(group)
        with self.log(process.name).open("wb") as log:
            child = start(process.command, output=log, environment=process.environment, cwd=self.run, session=True)
        if (before := self._children.pop(process.name, None)) is not None:
            before.wait()
        self._children[process.name] = child
        record = {"pid": child.pid, "started": _start_time(child.pid)}
        self._record(process.name).write_text(json.dumps(record))

    def _wait(self, process: Process) -> None:
        def look() -> None:
            if _is_ready(process.ready):
                return
            if not self.alive(process.name):
                raise ProcessDiedError(process.name, self.log(process.name))
            raise NotYetError("it does not answer")

        def late(_last: str) -> ProcessNotReadyError:
            return ProcessNotReadyError(process.name, process.timeout, self.log(process.name))

        until(look, process.timeout, late, pause=0.1)

    def alive(self, name: str) -> bool:
        """Return whether the process recorded under this name still runs."""
        return self.pid(name) is not None

    def pid(self, name: str) -> int | None:
        """Return the id of the process recorded under this name, if it still runs."""
        pid, started = self._recorded(name)
        # One that ended before its start time could be read has none recorded.
        return pid if pid is not None and started is not None and _start_time(pid) == started else None

    def names(self) -> list[str]:
        """Return every process with a record, the last started first."""
        records = sorted(self.run.glob("*.json"), key=lambda path: path.stat().st_mtime, reverse=True)
        return [path.stem for path in records]

    def stop(self, names: Sequence[str], grace: float = 10.0) -> None:
        """End these processes and their children: SIGTERM, and SIGKILL to what is left after `grace` seconds."""
        groups = [group for name in names if (group := self._group(name)) is not None]
        for group in groups:
            _signal_group(group, signal.SIGTERM)
        deadline = time.monotonic() + grace
        while any(self.alive(name) for name in names) and time.monotonic() < deadline:
            time.sleep(0.05)
        for group in groups:
            _end_group(group)
        for name in names:
            self._record(name).unlink(missing_ok=True)
            if child := self._children.pop(name, None):
                child.wait()

    def log(self, name: str) -> Path:
        """Return the file with a process's output."""
        return self.logs / f"{name}.log"

    def _record(self, name: str) -> Path:
        return self.run / f"{name}.json"

    def _group(self, name: str) -> int | None:
        """Return the group of the process started under this name, also if only its children are left.

        The kernel gives an id to no new process as long as a group has it, so a stranger with that id means that
        nothing of ours is left.
        """
        pid, started = self._recorded(name)
        return pid if pid is not None and _start_time(pid) in (None, started) else None

    def _recorded(self, name: str) -> tuple[int | None, str | None]:
        try:
            record = json.loads(self._record(name).read_text())
        except (OSError, ValueError):
            return None, None
        return int(record["pid"]), record["started"]


def listens(host: str, port: int) -> Callable[[], bool]:
    """Return a readiness probe: something accepts connections at the address."""

    def ready() -> bool:
        with socket.create_connection((host, port), timeout=PROBE_SECONDS):
            return True

    return ready


def listens_on_socket(path: Path) -> Callable[[], bool]:
    """Return a readiness probe for a Unix socket; a socket file that a killed server left is not enough."""

    def ready() -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            probe.connect(str(path))
            return True

    return ready


def answers(url: str) -> Callable[[], bool]:
    """Return a readiness probe: the web server answers 200 at this address."""

    def ready() -> bool:
        # The address is the platform's own.
        with urllib.request.urlopen(url, timeout=PROBE_SECONDS) as answer:  # noqa: S310
            return bool(answer.status == 200)

    return ready


def _is_ready(ready: Callable[[], bool]) -> bool:
    try:
        return ready()
    except (OSError, http.client.HTTPException):
        return False


def _start_time(pid: int) -> str | None:
    """Return the kernel's start time of a process, in clock ticks since boot; None if it ended or is a zombie.

    psutil's is a time of day, which changes when the machine's clock is set. These are the fields after the name in
    /proc/PID/stat, the state first (see proc(5)).
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else fields[19]


def _end_group(group: int, timeout: float = 60) -> None:
    """Kill every process of a group, and wait until the kernel has taken back what they held (ports, files)."""
    _signal_group(group, signal.SIGKILL)
    deadline = time.monotonic() + timeout
    while _members(group) and time.monotonic() < deadline:
        time.sleep(0.02)


def _members(group: int) -> list[int]:
    """Return the processes of a group that have not ended."""
    return [process.pid for process in psutil.process_iter(["status"]) if _is_alive_in(group, process)]


def _is_alive_in(group: int, process: psutil.Process) -> bool:
    if process.info["status"] == psutil.STATUS_ZOMBIE:
        return False
    try:
        return os.getpgid(process.pid) == group
    except ProcessLookupError:
        return False


def _signal_group(pid: int, number: signal.Signals) -> None:
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):
        return
