"""What a check finds."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

from jobyard_cli.check.rules import Rule

ERROR = "error"
WARNING = "warning"


@dataclass(frozen=True, order=True)
class Finding:
    """A problem: its place (path from the repository's root, line and column from 1), a message, and the rule's id.

    A warning does not make the check fail.
    """

    path: str
    line: int
    column: int
    message: str
    rule: Rule
    severity: str = ERROR

    def __str__(self) -> str:
        mark = "" if self.severity == ERROR else f"{self.severity}: "
        return f"{self.path}:{self.line}:{self.column}: {mark}{self.message}"


def printable(text: str) -> str:
    """Return the text on one line, with control characters escaped: a message may quote text from any source."""
    escaped = (
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in text
    )
    return "".join(escaped)


def did_you_mean(word: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """Return `did you mean 'x'?` with the closest known word, or "" if none is close.

    `cutoff` is the least similarity of a close word, from 0 (nothing in common) to 1 (equal).
    """
    closest = difflib.get_close_matches(word, list(known), n=1, cutoff=cutoff)
    return f"did you mean '{closest[0]}'?" if closest else ""


def unknown(what: str, word: str, known: Iterable[str], intro: str) -> str:
    """Return `unknown node group 'high-mem' (did you mean 'high-memory'? team risk may use: default, high-memory)`."""
    names = sorted(known)
    choices = f"{intro}: {', '.join(names) or 'none'}"
    hints = [hint for hint in (did_you_mean(word, names), choices) if hint]
    return f"unknown {what} '{word}' ({' '.join(hints)})"
