"""Images as git has them: the folders of `images/` that have a Dockerfile, and the id of each one's content."""

from __future__ import annotations

import re
import tarfile
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from jobyard_cli.images.errors import ImageFileError, ImageNameError, UncommittedError
from jobyard_cli.system.git import git

DOCKERFILE = re.compile(r"(\d{6}) \w+ \w+\timages/([^/]+)/Dockerfile", re.DOTALL)
NAME = re.compile(r"(?!.{101})[a-z0-9]+([._-][a-z0-9]+)*")
LINK = "120000"
RUN_STEP = re.compile(r"^\s*RUN\s", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True)
class Source:
    """One image's folder. `tree` is git's id of what is in it: the same files, the same id."""

    name: str
    tree: str

    def tag(self, platforms: Sequence[str]) -> str:
        """Return the image's tag in a registry: its content and the processors that it is for."""
        tag = self.tree[:20]
        for platform in platforms:
            processor = platform.partition("/")[2].replace("/", "")
            tag += f"-{processor}"
        return tag


def sources(root: Path, only: Collection[str] | None = None) -> list[Source]:
    """Return the images of the commit that is checked out: those named in `only`, where it is given.

    Raises:
        UncommittedError: the work tree has others.
        ImageNameError: a folder's name can't be an image's.
        ImageFileError: a Dockerfile is a link.
        GitError: the folder is not a git work tree with a commit.
    """
    modes = _dockerfile_modes(root)
    if changed := git(root, "status", "--porcelain", "--untracked-files=all", "--", "images").splitlines():
        raise UncommittedError(changed)
    if invalid := [name for name in modes if not NAME.fullmatch(name)]:
        raise ImageNameError(invalid)
    images: list[Source] = []
    for name, mode in modes.items():
        if mode == LINK:
            raise ImageFileError(f"images/{name}/Dockerfile", "is a link")
        if only is None or name in only:
            images.append(Source(name, git(root, "rev-parse", f"HEAD:./images/{name}").strip()))
    return images


def _dockerfile_modes(root: Path) -> dict[str, str]:
    """Git's mode of the Dockerfile in each folder of `images/` that has one, sorted by the folder's name."""
    modes: dict[str, str] = {}
    for entry in git(root, "ls-tree", "-r", "-z", "HEAD", "--", "images").split("\0"):
        if match := DOCKERFILE.fullmatch(entry):
            mode, name = match.groups()
            modes[name] = mode
    return dict(sorted(modes.items()))


def dockerfile(root: Path, source: Source) -> str:
    """Return the text of its Dockerfile."""
    return git(root, "show", f"{source.tree}:Dockerfile")


def has_run_steps(root: Path, source: Source) -> bool:
    """Return whether building it runs programs of the image."""
    return RUN_STEP.search(dockerfile(root, source)) is not None


def export(root: Path, source: Source, folder: Path) -> Path:
    """Write the image's folder as git has it, so that no ignored file gets into the image; where it is.

    Raises:
        ImageFileError: a link leaves the folder.
        GitError: the content is not there.
    """
    packed = folder / f"{source.name}.tar"
    git(root, "archive", "--format=tar", f"--output={packed}", source.tree)
    target = folder / source.name
    with tarfile.open(packed) as archive:
        try:
            archive.extractall(target, filter="data")
        except tarfile.FilterError as error:
            raise ImageFileError(f"images/{source.name}/{error.tarinfo.name}", "leaves the image's folder") from error
    packed.unlink()
    return target
