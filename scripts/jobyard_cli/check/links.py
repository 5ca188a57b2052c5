"""Links in a team's repository that leave it: what they point to is the reader's, not the team's."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from jobyard_cli.check.findings import Finding, printable

FOLDERS = ("charts", "dags", "images", "schemas", "values")
MESSAGE = "a link to outside of the repository; put the file itself here"


def leaves(path: Path, root: Path) -> bool:
    """Whether what a path leads to is not in a folder."""
    return not path.resolve().is_relative_to(root.resolve())


def check_links(root: Path) -> Iterator[Finding]:
    """A finding for each link out of the repository, in the folders that are read."""
    tops = [root / name for name in FOLDERS]
    for path in (*tops, *_below(top for top in tops if not top.is_symlink())):
        if path.is_symlink() and leaves(path, root):
            yield Finding(printable(path.relative_to(root).as_posix()), 1, 1, MESSAGE, "link")


def _below(tops: Iterable[Path]) -> Iterator[Path]:
    for top in tops:
        for folder, folders, files in os.walk(top):
            yield from (Path(folder, name) for name in (*folders, *files))
