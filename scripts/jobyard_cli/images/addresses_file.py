"""The file that says where a release's images are, as `jobyard images` writes it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jobyard_cli.check.findings import printable
from jobyard_cli.errors import JobyardError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_URL = re.compile(r"[^\s@]+@sha256:[0-9a-f]{64}")


class ImagesFileError(JobyardError):
    """The file is not what it has to be; the message has every problem with its place."""

    def __init__(self, file: Path, problems: list[str]) -> None:
        super().__init__("\n".join(f"{file}: {problem}" for problem in problems))


def read_images(file: Path) -> dict[str, str]:
    """Return image to address, by digest: `{"inference": "registry.example.com/risk/inference@sha256:…"}`.

    Raises:
        ImagesFileError: it can't be read, or is something else.
    """
    try:
        pairs = json.loads(file.read_text(encoding="utf-8"), object_pairs_hook=_Pairs)
    except (OSError, UnicodeError) as error:
        raise ImagesFileError(file, [f"can't be read: {error}"]) from error
    except ValueError as error:
        raise ImagesFileError(file, [f"is not JSON: {error}"]) from error
    if not isinstance(pairs, _Pairs):
        raise ImagesFileError(
            file, ['must be an object: {"<image>": "<registry>/<image>@sha256:<64 hexadecimal digits>"}']
        )
    if problems := list(_problems(pairs)):
        raise ImagesFileError(file, problems)
    return dict(pairs)


class _Pairs(list[tuple[str, Any]]):
    """An object's entries, among which one key may be there twice."""


def _problems(pairs: _Pairs) -> Iterator[str]:
    seen: set[str] = set()
    for name, url in pairs:
        label = f"'{printable(name)}'"
        if name in seen:
            yield f"{label}: appears twice"
        seen.add(name)
        if not _NAME.fullmatch(name):
            yield f"{label}: an image's name must consist of letters, digits, '.', '_' and '-'"
        if not isinstance(url, str) or not _URL.fullmatch(url):
            rule = "must be an address by digest, <registry>/<image>@sha256:<64 hexadecimal digits>"
            yield f"{label}: {rule}; got '{_shown(url)}'"


def _shown(url: Any) -> str:
    if isinstance(url, str):
        return printable(url)
    return json.dumps(url, default=list)
