"""A PostgreSQL server of its own: the database that MWAA has, and that images/ingestion reads."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.support.ports import free_ports

# Debian has the programs that are not for users here, in a folder for each version.
DEBIAN = Path("/usr/lib/postgresql")
# Generous, as the machine may have more to do.
START_SECONDS = 600
# The tests' data need survive nothing.
OPTIONS = ("fsync=off", "full_page_writes=off", "synchronous_commit=off", "max_connections=200", "jit=off")


@contextmanager
def postgresql(rules: Sequence[str] = ()) -> Iterator[str]:
    """Run a server with an empty database; yields the address of that, for any of Python's drivers.

    The user `airflow` may do everything, and needs no password, nor does any other. `rules` are lines of pg_hba.conf
    that come before that.

    Raises:
        TimeoutError: the server did not answer.
    """
    folder = Path(tempfile.mkdtemp(prefix="jobyard-postgresql-"))
    data, user = str(folder / "data"), _unprivileged(folder)
    (port,) = free_ports(1)
    try:
        initialise = [_program("initdb"), "-D", data, "-U", "airflow", "-A", "trust", "-E", "UTF8", "-N"]
        subprocess.run([*initialise, "--locale=C.UTF-8"], check=True, capture_output=True, cwd=folder, user=user)
        _prepend(Path(data, "pg_hba.conf"), rules)
        options = [part for option in OPTIONS for part in ("-c", option)]
        address = ["-h", "127.0.0.1", "-p", str(port), "-k", str(folder)]
        with (
            open(folder / "log", "wb") as log,
            subprocess.Popen(
                [_program("postgres"), "-D", data, *address, *options],
                stdout=log,
                stderr=log,
                cwd=folder,
                user=user,
            ) as server,
        ):
            try:
                _wait(server, port, folder / "log")
                yield f"127.0.0.1:{port}/postgres"
            finally:
                # SIGQUIT: at once, without waiting for who is connected.
                server.send_signal(3)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _program(name: str) -> str:
    folders = sorted(DEBIAN.glob("*/bin"), key=lambda folder: float(folder.parent.name))
    found = shutil.which(name, path=os.pathsep.join([*map(str, reversed(folders)), os.environ["PATH"]]))
    assert found, "PostgreSQL is not installed; tests/airflow and tests/ingestion install it"
    return found


def _unprivileged(folder: Path) -> str | None:
    """Give the folder to a user who may run a server, which root may not; returns the user, or None for our own."""
    if os.geteuid():
        return None
    shutil.chown(folder, "postgres")
    return "postgres"


def _prepend(file: Path, lines: Sequence[str]) -> None:
    file.write_text("".join(f"{line}\n" for line in lines) + file.read_text())


def _wait(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    ask = [_program("pg_isready"), "--quiet", "-h", "127.0.0.1", "-p", str(port)]
    end = time.monotonic() + START_SECONDS
    while server.poll() is None and time.monotonic() < end:
        if subprocess.run(ask, check=False).returncode == 0:
            return
        time.sleep(0.1)
    raise TimeoutError(f"PostgreSQL does not answer:\n{log.read_text(errors='replace')}")
