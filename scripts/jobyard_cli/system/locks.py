"""Commands that run side by side and build or use the same."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def one_builder(path: Path) -> Iterator[None]:
    """Hold the lock file exclusively: a second command waits for the first one's result instead of building again."""
    with _lock(path, -1):
        yield


@contextmanager
def no_waiting(path: Path) -> Iterator[bool]:
    """Hold the lock file exclusively if it is free; yield whether it was."""
    from filelock import Timeout

    try:
        with _lock(path, 0):
            yield True
    except Timeout:
        yield False


@contextmanager
def _lock(path: Path, seconds: float) -> Iterator[None]:
    from filelock import FileLock

    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path, timeout=seconds):
        yield
