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
    return not path.resolve().is_relative_to(root.resolve())


def check_links(root: Path) -> Iterator[Finding]:
    """Yield a finding for each link out of the repository, in the folders that are read."""
    for name in FOLDERS:
        for path in _tree(root / name):
            if path.is_symlink() and leaves(path, root):
                yield Finding(printable(path.relative_to(root).as_posix()), 1, 1, MESSAGE, "link")


def _tree(top: Path) -> Iterator[Path]:
    """Yield a folder and everything in it, without following links."""
    yield top
    if top.is_symlink():
        return
    for folder, folders, files in os.walk(top):
        for name in (*folders, *files):
            yield Path(folder, name)
