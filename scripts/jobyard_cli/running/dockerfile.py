"""What a Dockerfile says of its image, as far as its program can run without a container.

https://docs.docker.com/reference/dockerfile/
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

CONTINUED = re.compile(r"\\[ \t]*\n(?:[ \t]*#[^\n]*\n)*")
COMMENT = re.compile(r"^[ \t]*#.*$", re.MULTILINE)
PYTHON = re.compile(r"(?:^|/)python:(\d+\.\d+)")
VARIABLE = re.compile(r"\$(?:\{(\w+)(?::-([^}]*))?\}|(\w+))")
EXPANDED = frozenset({"ENV", "WORKDIR", "COPY", "ADD"})
"""Instructions in which a build puts the values of variables; in a program's words, its shell does."""
ASSIGNMENT = re.compile(r"""(\w+)=("(?:[^"\\]|\\.)*"|'[^']*'|\S*)""")
PIP = re.compile(r"\b(pip3?|uv pip)\s+install\b|^python\d?(\.\d+)?\s+-m\s+pip\s+install\b")
REQUIREMENTS = re.compile(r"(?:-r|--requirement)[= ]?\s*(\S+)")


@dataclass(frozen=True)
class Copy:
    """Files of the image's folder, and where they are in the image."""

    source: str
    target: str
    into_folder: bool
    """Whether the target is a folder, into which a file goes under its own name."""


@dataclass
class Image:
    """The last stage of a Dockerfile."""

    base: str = ""
    env: dict[str, str] = field(default_factory=dict)
    workdir: str = "/"
    entrypoint: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)
    copies: list[Copy] = field(default_factory=list)
    requirements: list[str] = field(default_factory=list)
    """The files from which pip installs, by their paths in the image."""
    not_done: list[str] = field(default_factory=list)
    """Instructions that only a build can carry out, as they are written."""

    @property
    def python(self) -> str | None:
        """The minor version of Python, where the base image's name says it."""
        found = PYTHON.search(self.base)
        return found[1] if found else None


def read_dockerfile(file: Path) -> Image:
    """Return the image that the Dockerfile describes."""
    image = Image()
    arguments: dict[str, str] = {}
    for instruction, text in _instructions(file.read_text(encoding="utf-8")):
        if instruction == "FROM":
            image = Image(base=_expanded(_without_options(text).split()[0], arguments))
        elif instruction == "ARG":
            name, _, value = text.partition("=")
            arguments[name] = value.strip("\"'")
        else:
            values = {**arguments, **image.env}
            shown = _expanded(text, values) if instruction in EXPANDED else text
            _HANDLERS.get(instruction, _ignore)(image, shown)
    return image


def _instructions(text: str) -> Iterator[tuple[str, str]]:
    joined = CONTINUED.sub(" ", text.replace("\r\n", "\n"))
    for line in COMMENT.sub("", joined).splitlines():
        instruction, _, rest = line.strip().partition(" ")
        if instruction:
            yield instruction.upper(), rest.strip()


def _expanded(text: str, values: Mapping[str, str]) -> str:
    return VARIABLE.sub(lambda found: values.get(found[1] or found[3], found[2] or ""), text)


def _without_options(text: str) -> str:
    return " ".join(word for word in text.split() if not word.startswith("--"))


def _env(image: Image, text: str) -> None:
    if "=" not in text.split(" ")[0]:
        name, _, value = text.partition(" ")
        image.env[name] = value
        return
    for name, value in ASSIGNMENT.findall(text):
        image.env[name] = value[1:-1] if value[:1] in ("'", '"') else value


def _workdir(image: Image, text: str) -> None:
    image.workdir = str(PurePosixPath(image.workdir, text))


def _copy(image: Image, text: str) -> None:
    if "--from" in text or "<<" in text:
        image.not_done.append(f"COPY {text}")
        return
    plain = _without_options(text)
    words = json.loads(plain) if plain.startswith("[") else plain.split()
    *sources, target = map(str, words)
    folder = target.endswith(("/", ".")) or len(sources) > 1
    place = str(PurePosixPath(image.workdir, target))
    for source in sources:
        if "://" in source:
            image.not_done.append(f"ADD {text}")
        else:
            image.copies.append(Copy(source, place, folder))


def _run(image: Image, text: str) -> None:
    files = REQUIREMENTS.findall(text)
    if PIP.search(text) and files:
        for file in files:
            image.requirements.append(str(PurePosixPath(image.workdir, file)))
    else:
        image.not_done.append(f"RUN {text}")


def _entrypoint(image: Image, text: str) -> None:
    image.entrypoint = _words(text)
    image.command = []


def _command(image: Image, text: str) -> None:
    image.command = _words(text)


def _words(text: str) -> list[str]:
    """The program and its arguments; a text that is not a JSON list is a shell's."""
    if text.startswith("["):
        return [str(word) for word in json.loads(text)]
    return ["/bin/sh", "-c", text]


def _ignore(image: Image, text: str) -> None:
    """Do nothing: the instruction says nothing of how the program runs."""


_HANDLERS: Mapping[str, Callable[[Image, str], None]] = {
    "ENV": _env,
    "WORKDIR": _workdir,
    "COPY": _copy,
    "ADD": _copy,
    "RUN": _run,
    "ENTRYPOINT": _entrypoint,
    "CMD": _command,
}
