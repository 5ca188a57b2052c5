"""Several ways of doing the same, measured in turn, so that a machine whose speed drifts is fair to all of them."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass

ROUNDS = 7
LONGER = "takes {} times as long as"


@dataclass(frozen=True)
class Target:
    """What a measured number should be; `words` is "at most" or "at least"."""

    words: str
    bound: float
    unit: str = ""

    def verdict(self, measured: float) -> str:
        """A line of Markdown: the target, the number, and whether they agree."""
        met = measured <= self.bound if self.words == "at most" else measured >= self.bound
        answer = "met" if met else "**not met**"
        return f"Target: {self.words} {self.bound:g}{self.unit}; measured {measured:.2f}{self.unit}: {answer}."


@dataclass(frozen=True)
class Rounds:
    """What each side took, round by round."""

    sides: Mapping[str, list[float]]

    def table(self, scale: float = 1) -> str:
        """Markdown: median, least and most of each side."""
        count = len(next(iter(self.sides.values())))
        rows = [_row(name, [scale * value for value in values]) for name, values in self.sides.items()]
        return "\n".join([f"| {count} rounds | median | least | most |", "|---|---|---|---|", *rows, ""])

    def compare(self, name: str, base: str, target: Target | None = None, words: str = LONGER) -> str:
        """A paragraph of Markdown: how many times as much `name` takes as `base`, and whether that is the target."""
        ratios = [one / other for one, other in zip(self.sides[name], self.sides[base], strict=True)]
        median = statistics.median(ratios)
        spread = f"round by round {min(ratios):.2f} to {max(ratios):.2f}"
        verdict = f" {target.verdict(median)}" if target else ""
        return f"{name} {words.format(f'{median:.2f}')} {base} ({spread}).{verdict}\n"


def _row(name: str, values: list[float]) -> str:
    return f"| {name} | {statistics.median(values):.2f} | {min(values):.2f} | {max(values):.2f} |"


def in_turn(sides: Mapping[str, Callable[[], float]], rounds: int = ROUNDS) -> Rounds:
    """Run each side once without counting, then all of them in turn, round after round."""
    for side in sides.values():
        side()
    counted = [{name: side() for name, side in sides.items()} for _ in range(rounds)]
    return Rounds({name: [one[name] for one in counted] for name in sides})
