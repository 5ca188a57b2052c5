"""What a check found."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

ERROR, WARNING = "error", "warning"


@dataclass(frozen=True, order=True)
class Finding:
    """One problem: where (path from the repository's root, line and column from 1), what, and the rule's name.

    A warning is what a person should know and the check does not fail for.
    """

    path: str
    line: int
    column: int
    message: str
    rule: str
    severity: str = ERROR

    def __str__(self) -> str:
        mark = "" if self.severity == ERROR else f"{self.severity}: "
        return f"{self.path}:{self.line}:{self.column}: {mark}{self.message}"


def printable(text: str) -> str:
    """The text on one line, and with nothing in it that a terminal would obey: what is quoted is anybody's."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def did_you_mean(word: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """The nearest known word as `did you mean 'x'?`, or nothing where none is near (1 is the same, 0 all different)."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=cutoff)
    return f"did you mean '{near[0]}'?" if near else ""


def unknown(what: str, word: str, known: Iterable[str], may: str) -> str:
    """`unknown node group 'high-mem' (did you mean 'high-memory'? team risk may use: default, high-memory)`."""
    names = sorted(known)
    hint = " ".join(part for part in (did_you_mean(word, names), f"{may}: {', '.join(names) or 'none'}") if part)
    return f"unknown {what} '{word}' ({hint})"
