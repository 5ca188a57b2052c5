"""The cgroups below which a node's pods run, in cgroup v1's hierarchies or in v2's single one."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
_POD = re.compile(r"pod([0-9a-f-]{36})$")


def hierarchies() -> list[Path]:
    """Return the folders in which a cgroup must be made to exist in every hierarchy."""
    if (ROOT / "cgroup.controllers").exists():
        return [ROOT]
    return [folder for folder in ROOT.iterdir() if (folder / "cgroup.procs").exists()]


def create(name: str) -> None:
    """Make a cgroup in every hierarchy; the kubelet wants its parent cgroup to be there."""
    for hierarchy in hierarchies():
        (hierarchy / name).mkdir(parents=True, exist_ok=True)
    _fill_cpuset(name)


def _fill_cpuset(name: str) -> None:
    """In cgroup v1 a new cpuset is empty, and nothing can run in an empty one: fill it from its parent."""
    folder = ROOT / "cpuset"
    if not (folder / "cpuset.cpus").exists():
        return
    for part in name.split("/"):
        for file in ("cpuset.cpus", "cpuset.mems"):
            (folder / part / file).write_text((folder / file).read_text())
        folder = folder / part


def remove(name: str) -> None:
    """Take away a cgroup and those below it, as far as no process is left in them."""
    for hierarchy in hierarchies():
        for folder in sorted(_folders(hierarchy / name), reverse=True):
            try:
                folder.rmdir()
            except OSError:
                continue


def pids(name: str) -> set[int]:
    """Return every process in a cgroup or below it."""
    folders = [folder for hierarchy in hierarchies() for folder in _folders(hierarchy / name)]
    return {int(pid) for folder in folders for pid in _read(folder / "cgroup.procs").split()}


def memory_peaks(name: str) -> Iterator[tuple[str, int]]:
    """Yield UID and peak memory use so far, in bytes, of every pod below a cgroup."""
    memory = ROOT if (ROOT / "cgroup.controllers").exists() else ROOT / "memory"
    file = "memory.peak" if memory == ROOT else "memory.max_usage_in_bytes"
    for folder in _folders(memory / name / "kubepods"):
        if (found := _POD.search(folder.name)) and (text := _read(folder / file)):
            yield found[1], int(text)


def _folders(top: Path) -> Iterator[Path]:
    """Yield a cgroup and those below it; unlike Path.glob, skip one that is removed meanwhile."""
    return (Path(folder) for folder, _, _ in os.walk(top))


def _read(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:
        return ""
