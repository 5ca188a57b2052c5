"""A pod's log, line by line into the task's log, from where it was left off.

Every line comes with its time, by which reading goes on after a cut without a line lost or twice. Memory is bounded: a
line longer than `PIECE` is written in pieces, and no more is read than may be written.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass

from .cluster import FAILURES, Cluster, RequestError
from .target import LogPosition

PIECE = 64 * 1024
SILENCE_SECONDS = 3600.0
"""A pod that writes nothing for that long has its log opened anew: the connection may be dead."""
FAILURES_IN_A_ROW = 3
"""After as many refusals the log is left to who reads the rest when the pod has ended."""
REOPEN_SECONDS = 1.0
END_SECONDS, END_LOOK_SECONDS = 3.0, 0.1
PAUSES = (2.0, 20.0, 60.0)


TURN_SECONDS = 0.02
"""How long lines are written before all else in the event loop has its turn: a burst of them takes seconds."""


class Allowance:
    """How many bytes may be written: so many a second, and what was not used before, up to a limit."""

    def __init__(self, rate: float, most: float) -> None:
        self._rate = rate
        self._most = most
        self._left = most
        self._then = time.monotonic()
        self._turn = self._then

    async def take(self, size: int) -> None:
        """Wait until that many bytes may be written."""
        now = time.monotonic()
        self._left = min(self._most, self._left + (now - self._then) * self._rate)
        self._then = now
        self._left -= size
        if self._left < 0:
            await asyncio.sleep(-self._left / self._rate)
        elif now - self._turn < TURN_SECONDS:
            return
        else:
            await asyncio.sleep(0)
        self._turn = time.monotonic()


async def _comes(condition: Callable[[], bool]) -> bool:
    """Return whether the condition holds soon: the end of a log is here a moment before that of its pod is."""
    for _ in range(round(END_SECONDS / END_LOOK_SECONDS)):
        if condition():
            return True
        await asyncio.sleep(END_LOOK_SECONDS)
    return condition()


@dataclass(frozen=True)
class Line:
    """A line of a log, or a piece of a long one: of those, only the first has a time."""

    time: str
    text: str


class LogReader:
    """Reads the log of one container."""

    def __init__(
        self, cluster: Cluster, pod_path: str, container: str, position: LogPosition, write: Callable[[str], None]
    ) -> None:
        self._cluster = cluster
        self._path = f"{pod_path}/log"
        self._container = container
        self._write = write
        self.position = position
        self.failure = ""
        """Why the log could not be read to its end; "" if it could."""

    async def follow(self, has_ended: Callable[[], bool], *allowances: Allowance) -> bool:
        """Write what the container writes until it has ended; return whether all of it was written."""
        failed = 0
        while True:
            pause = REOPEN_SECONDS
            try:
                # Of a running container too the answer can end: its kubelet closes connections after some hours.
                ended_before = has_ended()
                await self._read(True, allowances)
                failed = 0
                if ended_before or await _comes(has_ended):
                    return True
            except RequestError as error:
                self.failure = str(error)
                failed += 1
                if failed > FAILURES_IN_A_ROW:
                    return False
                pause = PAUSES[failed - 1]
            except FAILURES as error:
                self.failure = f"{type(error).__name__}: {error}"
                pause = PAUSES[0]
            await asyncio.sleep(pause)

    async def rest(self) -> None:
        """Write what the container has written since.

        Raises:
            RequestError: the API server refused.
            Exception: one of `cluster.FAILURES`.
        """
        await self._read(False, ())

    async def _read(self, follow: bool, allowances: tuple[Allowance, ...]) -> None:
        parameters = {"container": self._container, "timestamps": "true"}
        if follow:
            parameters["follow"] = "true"
        if self.position.time:
            parameters["sinceTime"] = self.position.time
        skip = _Skip(self.position)
        async with self._cluster.stream(self._path, SILENCE_SECONDS, parameters) as content:
            async for line in _lines(content.iter_any()):
                if skip.is_known(line):
                    continue
                for allowance in allowances:
                    await allowance.take(len(line.text))
                self._write(line.text)
                self.position = _after(self.position, line)


class _Skip:
    """The server begins with the whole second of the position; says which lines have been written before."""

    def __init__(self, position: LogPosition) -> None:
        self._until = sortable(position.time)
        self._same = position.lines
        self._last = False

    def is_known(self, line: Line) -> bool:
        if not line.time:
            return self._last
        at = sortable(line.time)
        self._last = at < self._until or (at == self._until and self._same > 0)
        if at == self._until:
            self._same -= 1
        return self._last


def _after(position: LogPosition, line: Line) -> LogPosition:
    if not line.time:
        return position
    if line.time == position.time:
        return LogPosition(position.time, position.lines + 1)
    return LogPosition(line.time, 1)


def sortable(time: str) -> str:
    """Return the time in a form whose order as text is that in time: Go leaves out zeros at a fraction's end."""
    seconds, _, fraction = time.removesuffix("Z").partition(".")
    return f"{seconds}.{fraction:0<9}" if time else ""


async def _lines(parts: AsyncIterator[bytes]) -> AsyncIterator[Line]:
    splitter = _Splitter()
    async for part in parts:
        for line in splitter.feed(part):
            yield line
    for line in splitter.end():
        yield line


class _Splitter:
    """Makes lines, each with its time, of bytes as they come."""

    def __init__(self) -> None:
        self._rest = b""
        self._within = False

    def feed(self, part: bytes) -> Iterator[Line]:
        """Yield the lines that are whole, and pieces of one that is too long."""
        *lines, self._rest = (self._rest + part).split(b"\n")
        for line in lines:
            yield self._line(line)
            self._within = False
        while len(self._rest) > PIECE:
            yield self._line(self._rest[:PIECE])
            self._rest = self._rest[PIECE:]
            self._within = True

    def end(self) -> Iterator[Line]:
        """Yield a last line that has no end."""
        if self._rest:
            yield self._line(self._rest)

    def _line(self, line: bytes) -> Line:
        if self._within:
            return Line("", text(line))
        time, _, rest = line.partition(b" ")
        return Line(time.decode(errors="replace"), text(rest))


def text(line: bytes) -> str:
    """Return bytes, which may be anything, as text that a log can hold."""
    return line.rstrip(b"\r").decode(errors="backslashreplace").replace("\0", "\\x00")
