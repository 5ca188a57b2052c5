"""Work that several processes share: one of Python's uses one core, however many threads it has."""

from __future__ import annotations

import os
import pickle
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import chain
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

FEWEST = 100
"""Fewer items are not worth a process."""
_MOST_PROCESSES = 4
_CHUNK = 20
"""Items that a process takes at a time, unless there are so many that the chunks' numbers would not fit a byte."""
_NUMBERS = 256


def nothing() -> None:
    """What there is to do meanwhile, unless somebody says what."""


def share(
    items: Sequence[Item], work: Callable[[Item], Result], meanwhile: Callable[[], object] = nothing
) -> list[Result]:
    """Return what `work` returns for each item, in their order; results have to be picklable.

    `meanwhile` is called here while the others are at work already. Where there is one core, or few items, or threads,
    which a process would be forked without, everything happens here. So does what another process did not get done:
    an error that ended it is raised here.
    """
    count = _processes(len(items))
    if count == 1:
        meanwhile()
        return list(map(work, items))
    size = max(_CHUNK, -(-len(items) // _NUMBERS))
    chunks = [items[start : start + size] for start in range(0, len(items), size)]
    numbers = _numbers(len(chunks))
    others: list[_Other] = []
    try:
        # A machine may allow fewer processes.
        with suppress(OSError):
            for _ in range(count - 1):
                others.append(_Other(numbers, chunks, work))
        meanwhile()
        done = dict(_taken(numbers, chunks, work))
        for other in others:
            done.update(other.results())
    finally:
        os.close(numbers)
        for other in others:
            other.end()
    return list(chain.from_iterable(done.get(number) or map(work, chunk) for number, chunk in enumerate(chunks)))


def _processes(items: int) -> int:
    # Only Linux has the call, and only there is a fork safe whatever libraries did before.
    if items < FEWEST or threading.active_count() > 1 or not hasattr(os, "sched_getaffinity"):
        return 1
    return min(len(os.sched_getaffinity(0)), _MOST_PROCESSES)


def _numbers(count: int) -> int:
    """Return a pipe to read the chunks' numbers from, a byte each: what one process reads, no other gets."""
    reading, writing = os.pipe()
    os.write(writing, bytes(range(count)))
    os.close(writing)
    return reading


def _taken(
    numbers: int, chunks: Sequence[Sequence[Item]], work: Callable[[Item], Result]
) -> Iterator[tuple[int, list[Result]]]:
    """Yield the results of one chunk after another, until all are taken."""
    while number := os.read(numbers, 1):
        yield number[0], list(map(work, chunks[number[0]]))


class _Other:
    """Another process that takes chunks."""

    def __init__(self, numbers: int, chunks: Sequence[Sequence[Item]], work: Callable[[Item], object]) -> None:
        self._reading, writing = os.pipe()
        self._process = os.fork()
        if self._process == 0:
            # It must not go on with what this process was about to do, whatever happens.
            try:
                with open(writing, "wb") as answer:
                    pickle.dump(dict(_taken(numbers, chunks, work)), answer, pickle.HIGHEST_PROTOCOL)
            finally:
                os._exit(0)
        os.close(writing)

    def results(self) -> dict[int, list[Result]]:
        """Return its results by number of the chunk; none if it ended early."""
        with open(self._reading, "rb", closefd=False) as answer:
            content = answer.read()
        try:
            # What a fork of this process wrote, which nobody else could.
            found: dict[int, list[Result]] = pickle.loads(content)  # noqa: S301
        except (EOFError, pickle.UnpicklingError):
            return {}
        return found

    def end(self) -> None:
        """End it, if it has not ended by itself."""
        os.close(self._reading)
        os.kill(self._process, signal.SIGKILL)
        os.waitpid(self._process, 0)
