"""Parts of lines that several modules of a plan write."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from jobyard.entries import OnOom


def prefixed(prefix: str, lines: Iterable[str]) -> Iterator[str]:
    """Yield each line after the prefix."""
    for line in lines:
        yield prefix + line


def quoted(names: Iterable[str]) -> str:
    """Return `'a', 'b'`."""
    return ", ".join(f"'{name}'" for name in names)


def shortened(names: Sequence[str], most: int) -> str:
    """Return `'a', 'b' and 3 more`, where there are more than `most`."""
    listed = quoted(names[:most])
    return listed if len(names) <= most else f"{listed} and {len(names) - most} more"


def counted(number: int, noun: str) -> str:
    """Return `1 job` or `2 jobs`."""
    if number == 1:
        return f"1 {noun}"
    return f"{number} {noun}s"


def growth_words(growth: OnOom) -> str:
    """Return `memory x1.5, at most 32Gi` or `memory +4Gi, at most 32Gi`, as a job has it."""
    percent = growth["percent"]
    amount = f"+{growth['add']}" if percent is None else f"x{percent / 100:g}"
    return f"memory {amount}, at most {growth['at_most']}"
