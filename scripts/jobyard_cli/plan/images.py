"""Images that a merge builds anew, and the tasks that run them from then on."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from jobyard_cli.plan.model import ADDED, CHANGED, REMOVED, ImageChange
from jobyard_cli.system.git import git

FOLDER = "images"
Content = dict[str, tuple[bool, bytes]]
"""Path in an image's folder to whether the file may be run, and what is in it."""


def image_changes(root: Path, before: Path, jobs: Mapping[str, Mapping[str, Any]]) -> Iterator[ImageChange]:
    """An entry for each image whose folder differs from what it was in another tree.

    Raises:
        GitError: the folder is no git work tree.
    """
    # What git ignores gets into no image.
    listed = git(root, "ls-files", "--cached", "--others", "--exclude-standard", "-z", "--", FOLDER).split("\0")
    then, now = _contents(before, _files(before)), _contents(root, listed)
    for name in sorted(then.keys() | now.keys()):
        if then.get(name) != now.get(name):
            kind = ADDED if name not in then else REMOVED if name not in now else CHANGED
            yield ImageChange(name, kind, sorted(_tasks(name, jobs)))


def _files(tree: Path) -> list[str]:
    return [str(file.relative_to(tree)) for file in (tree / FOLDER).rglob("*")]


def _contents(tree: Path, names: Iterable[str]) -> dict[str, Content]:
    """Each image that has a Dockerfile."""
    found: defaultdict[str, Content] = defaultdict(dict)
    for name in names:
        parts, file = name.split("/", 2), tree / name
        if len(parts) == 3 and file.is_symlink():
            found[parts[1]][parts[2]] = (False, os.readlink(file).encode())
        elif len(parts) == 3 and file.is_file():
            found[parts[1]][parts[2]] = (os.access(file, os.X_OK), file.read_bytes())
    return {image: content for image, content in found.items() if "Dockerfile" in content}


def _tasks(image: str, jobs: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    for name, job in jobs.items():
        yield from (f"{name}.{task}" for task, entry in job["tasks"].items() if entry.get("image") == image)
