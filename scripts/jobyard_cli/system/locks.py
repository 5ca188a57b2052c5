"""Commands that run side by side and build the same."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def one_builder(path: Path) -> Iterator[None]:
    """One at a time holds this file: a second command waits for the first one's result instead of building it again."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
