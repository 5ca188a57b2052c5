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
        position = f"{self.path}:{self.line}:{self.column}"
        if self.severity == ERROR:
            return f"{position}: {self.message}"
        return f"{position}: {self.severity}: {self.message}"


def printable(text: str) -> str:
    """Return the text on one line, with control characters escaped: a message may quote text from any source."""
    if text.isprintable():
        return text
    printed = ""
    for character in text:
        printed += character if character.isprintable() else character.encode("unicode_escape").decode()
    return printed


def did_you_mean(word: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """Return `did you mean 'x'?` with the closest known word, or "" if none is close.

    `cutoff` is the least similarity of a close word, from 0 (nothing in common) to 1 (equal).
    """
    for closest in difflib.get_close_matches(word, list(known), n=1, cutoff=cutoff):
        return f"did you mean '{closest}'?"
    return ""


def unknown(what: str, word: str, known: Iterable[str], intro: str) -> str:
    """Return `unknown node group 'high-mem' (did you mean 'high-memory'? team risk may use: default, high-memory)`."""
    names = sorted(known)
    hint = f"{intro}: {', '.join(names) or 'none'}"
    if closest := did_you_mean(word, names):
        hint = f"{closest} {hint}"
    return f"unknown {what} '{word}' ({hint})"
