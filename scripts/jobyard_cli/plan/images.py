"""Images that a merge rebuilds, and the tasks that run them from then on."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

from jobyard_cli.plan.model import ImageChange, Jobs, kind_of_change
from jobyard_cli.system.git import git

FOLDER = "images"
Content = dict[str, tuple[bool, bytes]]
"""Path in an image's folder to whether the file may be run, and what is in it."""


def image_changes(root: Path, before: Path, jobs: Jobs) -> Iterator[ImageChange]:
    """Yield an entry for each image whose folder differs from another tree's.

    Raises:
        GitError: the folder is not a git work tree.
    """
    # What git ignores gets into no image.
    listed = git(root, "ls-files", "--cached", "--others", "--exclude-standard", "-z", "--", FOLDER).split("\0")
    then = _contents(before, _files(before))
    now = _contents(root, listed)
    for name in sorted(then.keys() | now.keys()):
        old = then.get(name)
        new = now.get(name)
        if old != new:
            yield ImageChange(name, kind_of_change(old, new), sorted(_tasks(name, jobs)))


def _files(tree: Path) -> list[str]:
    return [str(file.relative_to(tree)) for file in (tree / FOLDER).rglob("*")]


def _contents(tree: Path, names: Iterable[str]) -> dict[str, Content]:
    """Each image that has a Dockerfile."""
    contents: defaultdict[str, Content] = defaultdict(dict)
    for name in names:
        file = tree / name
        parts = name.split("/", 2)
        if len(parts) < 3:
            continue
        _, image, path = parts
        if file.is_symlink():
            contents[image][path] = (False, os.readlink(file).encode())
        elif file.is_file():
            contents[image][path] = (os.access(file, os.X_OK), file.read_bytes())
    return {image: content for image, content in contents.items() if "Dockerfile" in content}


def _tasks(image: str, jobs: Jobs) -> Iterator[str]:
    for name, job in jobs.items():
        yield from (f"{name}.{task}" for task, entry in job["tasks"].items() if entry.get("image") == image)
