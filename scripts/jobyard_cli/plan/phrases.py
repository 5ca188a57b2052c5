"""Parts of lines that several modules of a plan write."""

from __future__ import annotations

from collections.abc import Iterable, Iterator


def prefixed(prefix: str, lines: Iterable[str]) -> Iterator[str]:
    """Yield each line after the prefix."""
    for line in lines:
        yield prefix + line


def quoted(names: Iterable[str]) -> str:
    """Return `'a', 'b'`."""
    return ", ".join(f"'{name}'" for name in names)


def counted(number: int, noun: str) -> str:
    """Return `1 job` or `2 jobs`."""
    if number == 1:
        return f"1 {noun}"
    return f"{number} {noun}s"
