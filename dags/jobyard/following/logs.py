"""A pod's log, line by line into the task's log, from where it was left off.

Every line comes with its time, by which reading goes on after a cut without a line lost or twice. Memory is bounded: a
line longer than `PIECE` is written in pieces, and only what may be written is read.
"""

import asyncio
import random
import re
import time
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

from .cluster import FAILURES, Cluster, RequestError
from .target import LogPosition, Target
from .waiting import wait_for

PIECE = 64 * 1024
SILENCE_SECONDS = 3600.0
"""A pod that writes nothing for that long has its log opened again: the connection may be dead."""
REOPEN_SECONDS = 1.0
END_SECONDS = 3.0
"""How long the end of the pod is waited for when its log has ended: that is here a moment before."""
PAUSES = (2.0, 20.0, 60.0)
"""After as many refusals the log is left to who reads the rest when the pod has ended."""
LONGEST_PAUSE = 30.0
"""Between two attempts where the network or the API server fails."""
POD_RATE, POD_BURST = 32 * 1024, 2 * 1024 * 1024
"""Bytes of one pod's log that the triggerer writes a second, and at once at most, so that no pod can take its time, or
its memory, from the others."""
BEHIND_SECONDS = 5.0
"""A log that has waited so long for its allowance is left to a worker. The kubelet keeps the last 10 MiB of a log."""
LINE_BYTES = 128
"""What a line costs besides its text: the log's own prefix, and the time that writing it takes."""
# In `time`, as the kubelet writes it: https://pkg.go.dev/time#RFC3339Nano
TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)")
CUT_TIME = re.compile(rb"[-+.:TZ\d]{1,35}")
SECOND = 1_000_000_000


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
        self.waited = 0.0
        """For how many seconds it was waited for, since it last was enough for a second."""

    async def take(self, size: int) -> None:
        """Wait until that many bytes may be written."""
        now = time.monotonic()
        self._left = min(self._most, self._left + (now - self._then) * self._rate)
        self._then = now
        if self._left > self._rate:
            self.waited = 0.0
        self._left -= size
        if self._left < 0:
            wait = -self._left / self._rate
            self.waited += wait
            await asyncio.sleep(wait)
        elif now - self._turn < TURN_SECONDS:
            return
        else:
            await asyncio.sleep(0)
        self._turn = time.monotonic()


class Piece(NamedTuple):
    """A line of a log, or a piece of a long one."""

    time: str  # of the line; "" where the kubelet has written it, not the container
    at: int  # the same, in nanoseconds since the epoch
    begin: int  # bytes of the line before it
    data: bytes
    ends: bool  # the line ends here


class LogReader:
    """Reads the log of one pod."""

    def __init__(self, cluster: Cluster, target: Target, write: Callable[[str], None]) -> None:
        """Read the log of the target's container, from the target's position on."""
        self._cluster = cluster
        self._path = f"{target.path}/log"
        self._container = target.container
        self._write = write
        self._waits = False
        self._failed = 0  # in a row
        self._read_until = _Position(target.log)
        self.failure = ""
        """Why the log can't be read; "" as long as it can."""
        self.written = 0
        """Bytes of the log that have been written here."""
        self.is_excessive = False
        """Whether the container writes more than the first of the allowances, its own, lets pass."""
        self.on_excess: Callable[[], None] = lambda: None
        """Called when that is so."""

    @property
    def position(self) -> LogPosition:
        """How far the log has been read."""
        return self._read_until.known

    @property
    def is_behind(self) -> bool:
        """Whether the container has written more than may be written here, or than can be read."""
        return self._waits or bool(self.failure)

    async def follow(self, ended: asyncio.Event, *allowances: Allowance) -> bool:
        """Write what the container writes until it has `ended`; return whether all of it was written."""
        while True:
            # Of a running container too the answer can end, so only one that began after the container's end is whole.
            had_ended = ended.is_set()
            try:
                await self._read(True, allowances)
                if had_ended:
                    return True
                pause = END_SECONDS
            except (RequestError, *FAILURES) as error:
                self.failure = str(error) if isinstance(error, RequestError) else f"{type(error).__name__}: {error}"
                self._failed += 1
                if self._failed > len(PAUSES) and (had_ended or _is_refusal(error)):
                    return False
                pause = _pause(self._failed, error)
            if had_ended:
                await asyncio.sleep(REOPEN_SECONDS)
            else:
                await wait_for(ended, pause)

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
        known = _Known(self.position)
        async with self._cluster.stream(self._path, SILENCE_SECONDS, parameters) as content:
            self.failure, self._failed = "", 0
            async for piece in _pieces(content.iter_any()):
                data = known.rest(piece)
                if data is None:
                    continue
                await self._pass(len(data) + LINE_BYTES, allowances)
                self.written += len(data) + LINE_BYTES
                # Nothing is left of a line whose last byte had been written before its end was there.
                if data or not (piece.begin or piece.data):
                    self._write(text(data))
                self._read_until.move(piece)

    async def _pass(self, size: int, allowances: tuple[Allowance, ...]) -> None:
        """Wait until that many bytes may be written."""
        self._waits = bool(allowances)
        for allowance in allowances:
            await allowance.take(size)
        self._waits = False
        if allowances and allowances[0].waited > BEHIND_SECONDS and not self.is_excessive:
            self.is_excessive = True
            self.on_excess()


def _is_refusal(error: BaseException) -> bool:
    """Return whether asking again is of no use: not where the API server or the network has trouble."""
    if not isinstance(error, RequestError):
        return False
    # What fails between API server and kubelet ends with the node.
    return (400 <= error.status < 500 and error.status not in (401, 429)) or "containerLogs" in str(error)


def _pause(failed: int, error: BaseException) -> float:
    if _is_refusal(error):
        return PAUSES[min(failed, len(PAUSES)) - 1]
    # All pods of a server that has been away come back at once.
    return random.uniform(0.5, 1) * min(REOPEN_SECONDS * 2.0 ** min(failed, 10), LONGEST_PAUSE)  # noqa: S311


class _Known:
    """What of a log has been written before. The server begins with the whole second of the position."""

    def __init__(self, position: LogPosition) -> None:
        self._latest = nanoseconds(position.time)
        self._lines = position.lines
        self._part = position.part

    def rest(self, piece: Piece) -> bytes | None:
        """Return what of the piece is new; None if nothing is.

        The lines of one second are counted, as their times need not be in order: a runtime takes the time of what a
        container writes to its two streams before it has their order. Where the log was rotated meanwhile, those that
        were counted may be gone; so one of a later time is new in any case.
        """
        if not piece.time or piece.at > self._latest:
            return piece.data
        if self._lines > 0:
            self._lines -= piece.ends
            return None
        if piece.at != self._latest or not self._part:
            return piece.data
        begin = max(self._part - piece.begin, 0)
        if piece.ends:
            self._part = 0
        return piece.data[begin:] if begin < len(piece.data) or piece.ends else None


class _Position:
    """How far a log has been read, as it moves."""

    def __init__(self, begin: LogPosition) -> None:
        self._time = begin.time
        self._latest = nanoseconds(begin.time)
        self._lines = begin.lines
        self._part = begin.part

    @property
    def known(self) -> LogPosition:
        return LogPosition(self._time, self._lines, self._part)

    def move(self, piece: Piece) -> None:
        """Take in that the piece was written."""
        second = self._latest - self._latest % SECOND
        if not piece.time or piece.at < second:
            # The server won't send it again.
            return
        if piece.at >= second + SECOND:
            self._lines = 0
        if piece.at > self._latest:
            self._time, self._latest = piece.time, piece.at
        self._lines += piece.ends
        self._part = 0 if piece.ends else piece.begin + len(piece.data)


def nanoseconds(time: str) -> int:
    """Return the nanoseconds from the epoch to that time; -1 of a text that is not one."""
    match = TIME.fullmatch(time)
    if match is None:
        return -1
    seconds, fraction, zone = match.groups()
    since = _epoch(seconds, zone)
    return since if since < 0 else since + int(f"{fraction or '':0<9}")


@lru_cache(maxsize=16)
def _epoch(seconds: str, zone: str) -> int:
    """Return the nanoseconds from the epoch to that second; -1 if there is no such one."""
    try:
        return int(datetime.fromisoformat(seconds + ("+00:00" if zone == "Z" else zone)).timestamp()) * SECOND
    except ValueError:
        return -1


async def _pieces(parts: AsyncIterator[bytes]) -> AsyncIterator[Piece]:
    splitter = _Splitter()
    async for part in parts:
        for piece in splitter.feed(part):
            yield piece
    for piece in splitter.end():
        yield piece


class _Splitter:
    """Makes lines, each with its time, of bytes as they come."""

    def __init__(self) -> None:
        self._rest = b""
        self._time = ""
        self._at = -1
        self._begin = 0
        self._within = False

    def feed(self, part: bytes) -> Iterator[Piece]:
        """Yield the lines that are whole, and pieces of one that is too long."""
        *lines, self._rest = (self._rest + part).split(b"\n")
        for line in lines:
            data = yield from self._long(line)
            yield Piece(self._time, self._at, self._begin, data.removesuffix(b"\r"), True)
            self._within = False
        if len(self._rest) > 2 * PIECE:
            self._rest = yield from self._long(self._rest)

    def end(self) -> Iterator[Piece]:
        """Yield a last line that has no end; one of which only a part of its time is here will be read again."""
        if self._rest and (self._within or not CUT_TIME.fullmatch(self._rest)):
            data = yield from self._long(self._rest)
            yield Piece(self._time, self._at, self._begin, data, False)

    def _long(self, data: bytes) -> Generator[Piece, None, bytes]:
        """Yield all pieces but the last of a line, or of its beginning; return the last."""
        if not self._within:
            data = self._start(data)
        while len(data) > PIECE:
            size = _boundary(data)
            yield Piece(self._time, self._at, self._begin, data[:size], False)
            self._begin += size
            data = data[size:]
        return data

    def _start(self, line: bytes) -> bytes:
        """Take in the time at a line's beginning; return what is behind it."""
        self._within, self._begin = True, 0
        found, _, rest = line.partition(b" ")
        self._time = found.decode(errors="replace")
        self._at = nanoseconds(self._time)
        if self._at >= 0:
            return rest
        # Such as "failed to create fsnotify watcher: too many open files".
        self._time = ""
        return line


def _boundary(data: bytes) -> int:
    """Return where to cut: not within a character of UTF-8, whose bytes but the first are 10xxxxxx."""
    for size in range(PIECE, PIECE - 4, -1):
        if data[size] & 0xC0 != 0x80:
            return size
    return PIECE


def text(line: bytes) -> str:
    """Return bytes, which may be anything, as text that a log can hold."""
    return line.decode(errors="backslashreplace").replace("\0", "\\x00")
