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


def image_changes(root: Path, before: Path | None, jobs: Jobs) -> Iterator[ImageChange]:
    """Yield an entry for each image whose folder differs from that of the tree before; nothing without such a tree.

    Raises:
        GitError: the folder is not a git work tree.
    """
    if before is None:
        return
    # What git ignores gets into no image.
    paths = git(root, "ls-files", "--cached", "--others", "--exclude-standard", "-z", "--", FOLDER).split("\0")
    old_images = _contents(before, _files(before))
    new_images = _contents(root, paths)
    for name in sorted(old_images.keys() | new_images.keys()):
        old = old_images.get(name)
        new = new_images.get(name)
        if old != new:
            yield ImageChange(name, kind_of_change(old, new), sorted(_tasks(name, jobs)))


def _files(tree: Path) -> Iterator[str]:
    for file in (tree / FOLDER).rglob("*"):
        yield str(file.relative_to(tree))


def _contents(tree: Path, paths: Iterable[str]) -> dict[str, Content]:
    """Each image that has a Dockerfile."""
    contents: defaultdict[str, Content] = defaultdict(dict)
    for relative_path in paths:
        file = tree / relative_path
        parts = relative_path.split("/", 2)
        if len(parts) < 3:
            continue
        _, image, path = parts
        if file.is_symlink():
            contents[image][path] = (False, os.readlink(file).encode())
        elif file.is_file():
            contents[image][path] = (os.access(file, os.X_OK), file.read_bytes())
    return {image: content for image, content in contents.items() if "Dockerfile" in content}


def _tasks(image: str, jobs: Jobs) -> Iterator[str]:
    for job_name, job in jobs.items():
        for task_name, task in job["tasks"].items():
            if task.get("image") == image:
                yield f"{job_name}.{task_name}"
