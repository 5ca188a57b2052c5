"""Find merge conflicts: places in a text where git left two versions for a person to choose from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

_START = "<<<<<<< "
_SEPARATOR = "======="
_END = ">>>>>>> "


@dataclass(frozen=True)
class Conflict:
    """The lines of the three conflict markers, from 1: at the start, between the two versions, and at the end."""

    first: int
    middle: int
    last: int

    def __str__(self) -> str:
        markers = f"{self.first} (<<<<<<<), {self.middle} (=======) and {self.last} (>>>>>>>)"
        return f"unresolved conflict of an upgrade or a merge: keep the right version, and remove lines {markers}"


def conflicts(text: str) -> Iterator[Conflict]:
    """Yield each conflict: all three markers in order, each at the start of a line. The text is read once."""
    if _START not in text:
        return
    first = 0
    middle = 0
    for number, line in enumerate(text.split("\n"), 1):
        if line.startswith(_START):
            first = number
            middle = 0
        elif first and not middle and line.rstrip("\r") == _SEPARATOR:
            middle = number
        elif middle and line.startswith(_END):
            yield Conflict(first, middle, number)
            first = 0
            middle = 0
