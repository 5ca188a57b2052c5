"""Two ways of doing the same, measured in turn, so that a machine whose speed drifts is fair to both."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass

PAIRS = 7


@dataclass(frozen=True)
class Pairs:
    """Seconds of ours and of the peer's, pair by pair."""

    ours: list[float]
    theirs: list[float]

    @property
    def ratios(self) -> list[float]:
        """How many times as long the peer takes."""
        return [their / our for our, their in zip(self.ours, self.theirs, strict=True)]

    def table(self, our_name: str, their_name: str) -> str:
        """Markdown: median, least and most of each, and of the ratio."""
        rows = [_row(our_name, self.ours), _row(their_name, self.theirs)]
        ratio = f"{statistics.median(self.ratios):.2f} times as long"
        spread = f"pair by pair {min(self.ratios):.2f} to {max(self.ratios):.2f}"
        head = [f"| {len(self.ours)} pairs | median | least | most |", "|---|---|---|---|"]
        return "\n".join([*head, *rows, "", f"{their_name} takes {ratio} ({spread}).", ""])


def _row(name: str, seconds: list[float]) -> str:
    return f"| {name} | {statistics.median(seconds):.2f} | {min(seconds):.2f} | {max(seconds):.2f} |"


def in_turn(ours: Callable[[], float], theirs: Callable[[], float]) -> Pairs:
    """Run each once without counting, then both in turn."""
    ours(), theirs()
    counted = [(ours(), theirs()) for _ in range(PAIRS)]
    return Pairs([our for our, _ in counted], [their for _, their in counted])
