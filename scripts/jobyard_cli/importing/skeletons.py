"""A Dockerfile to start from, where a command names a script that is beside the crontab."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from jobyard_cli.importing import secrets
from jobyard_cli.importing.model import NewFile
from jobyard_cli.importing.names import slug

MAXIMUM_BYTES = 1 << 18
MARK = "# A skeleton by `jobyard import crontab`"
_PYTHON = "docker.io/library/python:3.11-slim-bookworm"
_DEBIAN = "docker.io/library/debian:bookworm-slim"
_BASES = {".py": _PYTHON, ".sh": _DEBIAN, ".bash": _DEBIAN}
_REQUIREMENTS = "requirements.txt"


@dataclass
class Skeleton:
    """An image for the scripts of one folder. `target` is where they are in the image: where the machine had them."""

    name: str
    base: str
    target: str
    source: Path
    scripts: list[str] = field(default_factory=list)


@dataclass
class Skeletons:
    """The images that an import proposes, by folder of the scripts. `known` are those that the repository has."""

    folder: Path | None
    known: frozenset[str] = frozenset()
    made: dict[tuple[Path, str], Skeleton] = field(default_factory=dict)
    kept_back: list[str] = field(default_factory=list)
    """Why scripts that exist are not in an image."""

    def image_for(self, program: str, working_folder: str) -> str:
        """Return the name of an image with the script, "" if it is not beside the crontab."""
        suffix = Path(program).suffix
        if suffix not in _BASES or self.folder is None or "$" in program:
            return ""
        written = program if program.startswith("/") else f"{working_folder or '/app'}/{program}"
        script = _find(self.folder, written)
        if script is None or self._has_secret(script):
            return ""
        target = str(Path(written).parent)
        skeleton = self.made.get((script.parent, target))
        if skeleton is None:
            name = self._name(script, target)
            skeleton = self.made[(script.parent, target)] = Skeleton(name, _BASES[suffix], target, script.parent)
        if suffix == ".py":
            skeleton.base = _PYTHON
        if script.name not in skeleton.scripts:
            skeleton.scripts.append(script.name)
        return skeleton.name

    def _has_secret(self, script: Path) -> bool:
        text = script.read_bytes().decode("utf-8", "replace")
        if not secrets.find(text):
            return False
        reason = f"{script.name} has what looks like a secret, so it was not copied into images/"
        if reason not in self.kept_back:
            self.kept_back.append(reason)
        return True

    def _name(self, script: Path, target: str) -> str:
        base = slug(Path(target).name) or slug(script.stem) or "scripts"
        taken = {skeleton.name for skeleton in self.made.values()} | self.known
        name, number = base[:40], 1
        while name in taken:
            number += 1
            name = f"{base[:40]}-{number}"
        return name

    def files(self) -> Iterator[NewFile]:
        """Yield the files of the images."""
        for skeleton in self.made.values():
            folder = f"images/{skeleton.name}"
            requirements = skeleton.source / _REQUIREMENTS
            with_libraries = skeleton.base == _PYTHON and _readable(requirements)
            dockerfile = "\n".join(_dockerfile(skeleton, with_libraries)) + "\n"
            yield NewFile(f"{folder}/Dockerfile", dockerfile.encode())
            for script in [*skeleton.scripts, *([_REQUIREMENTS] if with_libraries else [])]:
                yield NewFile(f"{folder}/{script}", (skeleton.source / script).read_bytes())


def images_of_others(root: Path, images: Iterable[str]) -> frozenset[str]:
    """Return the images of a repository that no earlier import made, whose names are taken."""
    return frozenset(name for name in images if not _is_skeleton(root / "images" / name / "Dockerfile"))


def _is_skeleton(dockerfile: Path) -> bool:
    return _readable(dockerfile) and dockerfile.read_bytes().startswith(MARK.encode())


def _dockerfile(skeleton: Skeleton, with_libraries: bool) -> Iterator[str]:
    yield f"{MARK}: add the libraries and files that the scripts need, then build it."
    yield f"FROM {skeleton.base}"
    yield ""
    yield f"WORKDIR {skeleton.target}"
    if with_libraries:
        yield f"COPY {_REQUIREMENTS} ./"
        yield f"RUN pip install --no-cache-dir --requirement {_REQUIREMENTS}"
    yield f"COPY --chmod=755 {' '.join(sorted(skeleton.scripts))} ./"
    yield ""
    yield "# A number, so that Kubernetes can tell that it is not root."
    yield "USER 10001:10001"


def _find(folder: Path, written: str) -> Path | None:
    """Return the script that a command names, beside the crontab or in a folder below it or next to it."""
    parts = [part for part in Path(written).parts if part not in ("/", "..")]
    if not all(re.fullmatch(r"[\w.@+-]+", part) for part in parts):
        return None
    for first in range(len(parts)):
        for top in (folder, folder.parent):
            candidate = top.joinpath(*parts[first:])
            if _readable(candidate):
                return candidate
    return None


def _readable(file: Path) -> bool:
    try:
        return file.is_file() and not file.is_symlink() and file.stat().st_size <= MAXIMUM_BYTES
    except OSError:
        return False
