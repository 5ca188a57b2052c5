"""Images as git has them: the folders of `images/` that have a Dockerfile, and the id of each one's content."""

from __future__ import annotations

import re
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jobyard_cli.container_images.errors import Uncommitted
from jobyard_cli.git import git

DOCKERFILE = re.compile(r"images/([^/]+)/Dockerfile")
RUN_STEP = re.compile(r"^\s*RUN\s", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True)
class Source:
    """One image's folder. `tree` is git's id of what is in it: the same files, the same id."""

    name: str
    tree: str

    def tag(self, platforms: Sequence[str]) -> str:
        """What the image is called in a registry: its content and the processors that it is for."""
        return "-".join([self.tree[:20], *(platform.partition("/")[2].replace("/", "") for platform in platforms)])


def sources(root: Path) -> list[Source]:
    """The images of the commit that is checked out.

    Raises:
        Uncommitted: the work tree has others.
        GitFailed: the folder is no git work tree with a commit.
    """
    files = git(root, "ls-tree", "-r", "--name-only", "HEAD", "--", "images").splitlines()
    if changed := git(root, "status", "--porcelain", "--untracked-files=all", "--", "images").splitlines():
        raise Uncommitted(changed)
    names = sorted(found[1] for name in files if (found := DOCKERFILE.fullmatch(name)))
    return [Source(name, git(root, "rev-parse", f"HEAD:./images/{name}").strip()) for name in names]


def has_run_steps(root: Path, source: Source) -> bool:
    """Whether building it runs programs of the image."""
    return RUN_STEP.search(git(root, "show", f"{source.tree}:Dockerfile")) is not None


def export(root: Path, source: Source, folder: Path) -> Path:
    """Write the image's folder as git has it, so that no ignored file gets into the image; where it is.

    Raises:
        GitFailed: the content is not there.
    """
    packed = folder / f"{source.name}.tar"
    git(root, "archive", "--format=tar", f"--output={packed}", source.tree)
    target = folder / source.name
    with tarfile.open(packed) as archive:
        archive.extractall(target, filter="data")
    packed.unlink()
    return target
