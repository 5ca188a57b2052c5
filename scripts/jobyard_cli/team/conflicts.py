"""Places in a text where git left two versions for a person to choose from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

_BEFORE, _BETWEEN, _AFTER = "<<<<<<< ", "=======", ">>>>>>> "


@dataclass(frozen=True)
class Conflict:
    """The lines of the three marks, from 1: before the one version, between them, after the other."""

    first: int
    middle: int
    last: int

    def __str__(self) -> str:
        marks = f"{self.first} (<<<<<<<), {self.middle} (=======) and {self.last} (>>>>>>>)"
        return f"a conflict of an upgrade or a merge: keep what is right, and take out lines {marks}"


def conflicts(text: str) -> Iterator[Conflict]:
    """Each conflict, where all three marks begin a line, in their order; in one pass, whatever is in the text."""
    if _BEFORE not in text:
        return
    first = middle = 0
    for number, line in enumerate(text.split("\n"), 1):
        if line.startswith(_BEFORE):
            first, middle = number, 0
        elif first and not middle and line.rstrip("\r") == _BETWEEN:
            middle = number
        elif middle and line.startswith(_AFTER):
            yield Conflict(first, middle, number)
            first = middle = 0
