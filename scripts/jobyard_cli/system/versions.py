"""Versions in what other programs print."""

from __future__ import annotations

import re
from collections.abc import Iterable

_VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)")
NO_VERSION = (0,)
"""Less than any version."""


def version_in(text: str) -> tuple[int, ...]:
    """Return the first version in a text: (1, 38, 1) of `buildah version 1.38.1`; `NO_VERSION` without one."""
    match = _VERSION.search(text)
    if match is None:
        return NO_VERSION
    return tuple(int(part) for part in match.groups())


def dotted(version: Iterable[int]) -> str:
    """Return a version as programs print it: `1.38.1`."""
    return ".".join(str(part) for part in version)
