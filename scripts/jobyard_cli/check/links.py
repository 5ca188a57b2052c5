"""Find symbolic links that leave a team's repository: they would lead to files of the machine that runs the check."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from jobyard_cli.check.findings import Finding, printable

FOLDERS = ("charts", "dags", "images", "schemas", "values")
MESSAGE = "symbolic links must not leave the repository; put the file itself here"


def leaves(path: Path, root: Path) -> bool:
    """Return whether a path, with links resolved, is outside a folder."""
    if _is_plain(str(path), str(root)):
        return False
    return not path.resolve().is_relative_to(root.resolve())


def _is_plain(path: str, root: str) -> bool:
    """Return whether a path is below the folder, without links on the way: resolving takes four times as long."""
    if not path.startswith(root + os.sep):
        return False
    step = root
    for part in path[len(root) + 1 :].split(os.sep):
        step = f"{step}{os.sep}{part}"
        if part == os.pardir or os.path.islink(step):
            return False
    return True


def check_links(root: Path) -> Iterator[Finding]:
    """Yield a finding for each link out of the repository, in the folders that are read."""
    for name in FOLDERS:
        for path in _links(root / name):
            if leaves(path, root):
                yield Finding(printable(path.relative_to(root).as_posix()), 1, 1, MESSAGE, "link")


def _links(top: Path) -> Iterator[Path]:
    """Yield each link in a folder, or the folder if it is one; none is followed."""
    if top.is_symlink():
        yield top
        return
    yield from map(Path, _links_below(str(top)))


def _links_below(folder: str) -> Iterator[str]:
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return
    for entry in entries:
        if entry.is_symlink():
            yield entry.path
        elif entry.is_dir():
            yield from _links_below(entry.path)
