"""Figures that may not be known: None stands for that, and is never zero."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

A = TypeVar("A")
B = TypeVar("B")


def known(convert: Callable[[A], B], figure: A | None) -> B | None:
    """Return the converted figure, or None for one that is not known."""
    if figure is None:
        return None
    return convert(figure)
