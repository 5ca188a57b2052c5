"""A pod's log in the task's log: every line once, whatever happens on the way."""

import asyncio
import random
import tracemalloc
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from api_server import ApiServer, Cut
from following_support import Log, ended, pod, run, running, target, until
from jobyard.following import logs as module
from jobyard.following.cluster import FAILURES, Cluster, RequestError
from jobyard.following.here import write_rest
from jobyard.following.logs import PIECE, Allowance, LogReader, nanoseconds
from jobyard.following.target import LogPosition

PODS = "/api/v1/namespaces/team-risk/pods"
NOON = datetime(2026, 11, 3, 12, 0, 0, tzinfo=UTC)


class Read:
    """A log that is read."""

    def __init__(self, cluster: Cluster, position: LogPosition, *allowances: Allowance) -> None:
        self.lines: list[str] = []
        self.reader = LogReader(cluster, target("", log=position), self.lines.append)
        self.ended = asyncio.Event()
        self.task = asyncio.create_task(self.reader.follow(self.ended, *allowances))

    async def end(self, server: ApiServer, seconds: float = 5) -> bool:
        """Let the pod end; return whether all of its log was read."""
        server.status("a", **ended())
        self.ended.set()
        return await asyncio.wait_for(self.task, seconds)


def follow(
    server: ApiServer,
    kubeconfig: str,
    act: Callable[[Read], Any] | None = None,
    position: LogPosition = LogPosition(),  # noqa: B008
    allowances: tuple[Allowance, ...] = (),
) -> list[str]:
    """Follow the log while that is done to the pod, and to its end; return the lines."""

    async def all_of_it() -> list[str]:
        cluster = Cluster(kubeconfig, "risk")
        read = Read(cluster, position, *allowances)
        if act is not None:
            await act(read)
        assert await read.end(server)
        await cluster.close()
        return read.lines

    server.put(pod("a", **running()))
    return run(all_of_it)


def rest(kubeconfig: str, position: LogPosition = LogPosition()) -> list[str]:  # noqa: B008
    """Return what a worker writes of the log."""
    log = Log()
    write_rest(target(kubeconfig), log, position)
    return [line.removeprefix("[base] ") for line in log.lines]


CONTENTS = {
    "one line": ([b"one\n"], ["one"]),
    "no end": ([b"one\n", b"two"], ["one", "two"]),
    "nothing": ([], []),
    "empty lines": ([b"\n", b"a\n", b"\n", b"\n"], ["", "a", "", ""]),
    "spaces": ([b"  indented\n", b" \n", b"a  b \n"], ["  indented", " ", "a  b "]),
    "CRLF": ([b"one\r\n", b"\r\n", b"two\r\n"], ["one", "", "two"]),
    "a bar": ([b"\r10%\r20%\r30%\n"], ["\r10%\r20%\r30%"]),
    "NUL": ([b"a\0b\n", b"\0\n"], ["a\\x00b", "\\x00"]),
    "noise": ([bytes(set(range(256)) - {0, 10, 13}) + b"\n"], None),
    "half a character": ([b"\xc3\n", b"\xa9\n", b"\xed\xa0\x80\n"], ["\\xc3", "\\xa9", "\\xed\\xa0\\x80"]),
    "other scripts": (["naïve 模型 🚀\n".encode()], ["naïve 模型 🚀"]),
    "times in the text": ([b"2026-11-03T12:00:00.000000000Z not the time\n"], None),
    "a line that looks like the kubelet's": ([b"failed to create fsnotify watcher\n"], None),
}


@pytest.mark.parametrize(("data", "lines"), CONTENTS.values(), ids=CONTENTS)
def test_every_line_as_it_is(server: ApiServer, kubeconfig: str, data: list[bytes], lines: list[str] | None) -> None:
    server.put(pod("a"))
    server.log("a", *data)
    expected = lines if lines is not None else [data[0].decode(errors="backslashreplace").rstrip("\n")]
    assert follow(server, kubeconfig) == expected
    assert rest(kubeconfig) == expected


def test_lines_come_as_they_are_written(server: ApiServer, kubeconfig: str) -> None:
    async def act(read: Read) -> None:
        for number in range(5):
            server.log("a", f"{number}\n".encode())
            await until(lambda number=number: len(read.lines) == number + 1)  # type: ignore[misc]

    assert follow(server, kubeconfig, act) == [str(number) for number in range(5)]
    # One that began after the end shows that nothing is missing.
    assert len(server.asked("log")) == 2


@pytest.mark.parametrize(("count", "width"), [(100_000, 60), (20_000, 500)])
def test_a_hundred_thousand_lines_in_bounded_memory(server: ApiServer, kubeconfig: str, count: int, width: int) -> None:
    """Of ten megabytes, never more than a few parts are here at once, the server's included."""

    def source() -> Iterator[bytes]:
        for begin in range(0, count, 100):
            second = begin // 100
            yield b"".join(
                b"2026-11-03T12:%02d:%02d.%09dZ %s %d\n" % (second // 60, second % 60, number, b"x" * width, number)
                for number in range(begin, begin + 100)
            )

    server.put(pod("a", **ended()))
    server.log_sources["a"] = source
    seen = [0]

    def write(line: str) -> None:
        assert line.endswith(f"x {seen[0]}")
        seen[0] += 1

    async def all_of_it() -> int:
        cluster = Cluster(kubeconfig, "risk")
        await cluster.get(PODS)
        reader = LogReader(cluster, target(""), write)
        # Measuring makes each line five times as slow.
        if width == 500:
            tracemalloc.start()
        await reader.rest()
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        await cluster.close()
        return peak

    peak = run(all_of_it, 60)
    assert seen == [count]
    assert peak < 2 * 1024 * 1024, peak


@pytest.mark.parametrize("arrives", [700, 16 * 1024, 10**7])
def test_a_line_of_a_megabyte_in_pieces_in_bounded_memory(server: ApiServer, kubeconfig: str, arrives: int) -> None:
    """Also where it comes at once: as one record, and in one part of the answer."""
    line = "é".encode() * 600_000
    prefix = b"2026-11-03T12:00:00.000000001Z "

    def source() -> Iterator[bytes]:
        whole = prefix + line + b"\n" + prefix.replace(b"01Z", b"02Z") + b"next\n"
        for begin in range(0, len(whole), arrives):
            yield whole[begin : begin + arrives]

    server.put(pod("a", **ended()))
    server.log_sources["a"] = source
    lines = rest(kubeconfig)
    assert lines[-1] == "next"
    assert "".join(lines[:-1]) == line.decode()
    assert max(len(piece.encode()) for piece in lines) <= PIECE
    assert len(lines) == 20


def test_cut_anywhere_no_line_is_lost_or_written_twice(server: ApiServer, kubeconfig: str) -> None:
    """Within a line, within its time, between lines of one time, and where nothing has come yet."""
    server.put(pod("a", **running()))
    lines = [f"line {number} {'x' * number}" for number in range(9)]
    for number, line in enumerate(lines):
        # Three lines each at the same time, all within three seconds.
        server.log("a", f"{line}\n".encode(), time=NOON + timedelta(seconds=number // 3 * 0.7))
    length = sum(len(line) + 1 + 31 for line in lines)
    points = [0, 1, 30, 31, 32, 38, 39, 40, *random.Random(1).sample(range(length), 12), length - 1, length]

    async def read_cut(cluster: Cluster, *cuts: Cut) -> list[str]:
        server.cuts.extend(cuts)
        read = Read(cluster, LogPosition())
        await until(
            lambda: not server.cuts and "".join(read.lines) == "".join(lines),
            3,
            lambda: f"{cuts} {read.lines}",
        )
        assert await read.end(server)
        server.status("a", **running())
        return read.lines

    async def all_of_it() -> None:
        cluster = Cluster(kubeconfig, "risk")
        for after in points:
            # Once, and again within the second to which reading went back.
            assert await read_cut(cluster, Cut(after), Cut(20), Cut(33)) == lines, after
            # Where an answer ends as it should, but within a line, that line is in two.
            assert "".join(await read_cut(cluster, Cut(after, cleanly=True))) == "".join(lines), after
        await cluster.close()

    run(all_of_it, 60)


def test_cut_in_the_middle_of_a_long_line(server: ApiServer, kubeconfig: str) -> None:
    """Pieces of it have been written; the rest follows, in pieces."""
    server.put(pod("a"))
    text = "".join(f"{number:07}" for number in range(60_000))
    records = [text[begin : begin + 16 * 1024].encode() for begin in range(0, len(text), 16 * 1024)]
    server.log("a", b"before\n", time=NOON)
    server.log("a", *records[:-1], records[-1] + b"\n", time=NOON)
    server.log("a", b"after\n", time=NOON)
    for after in (100_000, 150_000, 200_000, 300_000, 419_000, 420_060):
        server.cuts.append(Cut(after))

    async def act(read: Read) -> None:
        await until(lambda: not server.cuts and read.lines[-1:] == ["after"], seconds=10)

    found = follow(server, kubeconfig, act)
    assert (found[0], found[-1]) == ("before", "after")
    assert "".join(found[1:-1]) == text


def test_a_line_that_crosses_a_second_hides_none_after_it(server: ApiServer, kubeconfig: str) -> None:
    """Reading goes on in the second in which its end came, so that is sent again, as if it were a line."""
    server.put(pod("a"))
    server.log("a", b"x" * 20_000, time=NOON + timedelta(seconds=0.9))
    server.log("a", b"y\n", time=NOON + timedelta(seconds=1.1))
    server.log("a", b"next\n", time=NOON + timedelta(seconds=1.2))
    server.status("a", **ended())
    position = LogPosition("2026-11-03T12:00:01.200000000Z", 1)
    server.log("a", b"new\n", time=NOON + timedelta(seconds=1.3))
    assert rest(kubeconfig, position)[-1] == "new"


def test_lines_of_two_streams_are_not_in_the_order_of_their_times(server: ApiServer, kubeconfig: str) -> None:
    """The runtime takes the time of each before it has their order."""
    server.put(pod("a"))
    for number, fraction in enumerate([0.3, 0.1, 0.2, 0.5, 0.4]):
        server.log("a", f"{number}\n".encode(), time=NOON + timedelta(seconds=fraction))
    for lines in range(1, 5):
        server.cuts.append(Cut(33 * lines))

    async def act(read: Read) -> None:
        await until(lambda: not server.cuts)

    assert follow(server, kubeconfig, act) == ["0", "1", "2", "3", "4"]


@pytest.mark.parametrize(
    "times",
    [
        ["2026-11-03T12:00:00Z", "2026-11-03T12:00:00.1Z", "2026-11-03T12:00:00.12Z", "2026-11-03T12:00:01Z"],
        ["2026-11-03T12:00:00.000000001Z", "2026-11-03T12:00:00.000000002Z", "2026-11-03T12:00:00.1Z"],
        ["2026-11-03T19:00:00.100000000+07:00", "2026-11-03T19:00:00.200000000+07:00", "2026-11-03T19:00:01+07:00"],
        ["2026-11-03T08:30:00.5-03:30", "2026-11-03T08:30:00.6-03:30"],
        # The clocks go back.
        ["2026-10-25T02:59:59.9+02:00", "2026-10-25T02:00:00.1+01:00", "2026-10-25T02:00:00.2+01:00"],
    ],
)
def test_times_with_and_without_fractions_and_zones(server: ApiServer, kubeconfig: str, times: list[str]) -> None:
    server.put(pod("a"))
    for number, time in enumerate(times):
        second = nanoseconds(time) // 10**9
        server.log("a", f"{number}\n".encode(), time=datetime.fromtimestamp(second, UTC), text=time)
    expected = [str(number) for number in range(len(times))]
    position = LogPosition()
    seen: list[str] = []

    async def act(read: Read) -> None:
        nonlocal position
        await until(lambda: len(read.lines) == len(times))
        position = read.reader.position

    for cut in range(1, len(times)):
        server.cuts.append(Cut(sum(len(time) + 3 for time in times[:cut])))
    assert follow(server, kubeconfig, act) == expected
    assert rest(kubeconfig, position) == seen


@pytest.mark.parametrize(
    "time", ["", "failed", "2026-11-03", "2026-13-03T12:00:00Z", "2026-11-03T12:00:00", "12:00:00Z", "0" * 30]
)
def test_a_text_that_is_not_a_time(time: str) -> None:
    assert nanoseconds(time) == -1


def test_what_the_kubelet_writes_into_a_log_is_not_a_time(server: ApiServer, kubeconfig: str) -> None:
    """A node without inotify instances ends every answer so (kubernetes: staging/src/k8s.io/cri-client/pkg/logs)."""
    text = b"failed to create fsnotify watcher: too many open files"
    server.put(pod("a"))
    server.log("a", b"one\n")
    server.cuts.append(Cut(35, cleanly=True, text=text))

    async def act(read: Read) -> None:
        await until(lambda: not server.cuts and len(read.lines) == 2)
        server.log("a", b"two\n")
        await until(lambda: len(read.lines) == 3)

    assert follow(server, kubeconfig, act) == ["one", text.decode(), "two"]


def test_a_kubelet_that_ends_the_answer_of_a_running_container(server: ApiServer, kubeconfig: str) -> None:
    async def act(read: Read) -> None:
        for number in range(3):
            server.log("a", f"{number}\n".encode())
            await until(lambda number=number: len(read.lines) == number + 1)  # type: ignore[misc]
            server.end_streams()
            await until(lambda number=number: len(server.asked("log")) == number + 2)  # type: ignore[misc]

    assert follow(server, kubeconfig, act) == ["0", "1", "2"]


def test_lines_between_the_end_of_an_answer_and_that_of_the_pod(
    server: ApiServer, kubeconfig: str, quick: Callable[..., None]
) -> None:
    """The answer ends for a reason of its own just before the container does."""
    quick(module, END_SECONDS=5)

    async def act(read: Read) -> None:
        server.log("a", b"one\n")
        await until(lambda: read.lines)
        server.end_streams()
        await until(lambda: server.streams == 0)
        await asyncio.sleep(0.05)
        server.log("a", b"last words\n")

    assert follow(server, kubeconfig, act) == ["one", "last words"]


def test_a_silent_connection_is_opened_again(server: ApiServer, kubeconfig: str, quick: Callable[..., None]) -> None:
    quick(module, SILENCE_SECONDS=0.05)

    async def act(read: Read) -> None:
        server.log("a", b"one\n")
        await until(lambda: len(server.asked("log")) > 3)
        server.log("a", b"two\n")

    assert follow(server, kubeconfig, act) == ["one", "two"]


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_server_in_trouble_is_asked_for_as_long_as_it_takes(server: ApiServer, kubeconfig: str, status: int) -> None:
    server.fail(status, 10, verb="log")

    async def act(read: Read) -> None:
        server.log("a", b"one\n")
        await until(lambda: read.reader.is_behind)
        await until(lambda: read.lines)
        assert not read.reader.is_behind

    assert follow(server, kubeconfig, act) == ["one"]


def test_a_server_that_is_away_for_long_is_asked_again(server: ApiServer, kubeconfig: str) -> None:
    async def act(read: Read) -> None:
        server.log("a", b"one\n")
        await until(lambda: read.lines)
        server.away = True
        server.cut()
        await asyncio.sleep(0.3)
        server.away = False
        server.log("a", b"two\n")
        await until(lambda: len(read.lines) == 2)

    assert follow(server, kubeconfig, act) == ["one", "two"]


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (403, "pods is forbidden"),
        (404, "the server could not find the requested resource"),
        # Between API server and kubelet: its machine was removed, or is simulated.
        (500, 'Get "https://10.0.0.1:10250/containerLogs/team-risk/a/base": dial tcp: connect: connection refused'),
        (502, 'Get "https://10.0.0.1:10250/containerLogs/team-risk/a/base": proxy error'),
    ],
)
def test_a_refused_log_is_left_to_who_reads_the_rest(
    server: ApiServer, kubeconfig: str, status: int, message: str
) -> None:
    server.put(pod("a", **running()))
    server.log("a", b"one\n")
    server.fail(status, 1000, verb="log", message=message)

    async def all_of_it() -> None:
        cluster = Cluster(kubeconfig, "risk")
        read = Read(cluster, LogPosition())
        assert not await asyncio.wait_for(read.task, 5)
        assert read.reader.failure == f"{status}: {message}"
        await cluster.close()

    run(all_of_it)
    assert len(server.asked("log")) == len(module.PAUSES) + 1
    server.faults.clear()
    assert rest(kubeconfig) == ["one"]


def test_a_refusal_now_and_then_is_not_several_in_a_row(server: ApiServer, kubeconfig: str) -> None:
    async def act(read: Read) -> None:
        for number in range(8):
            server.log("a", f"{number}\n".encode())
            await until(lambda number=number: len(read.lines) == number + 1)  # type: ignore[misc]
            server.fail(404, 1, verb="log")
            server.cut()
            await until(lambda: server.faults[-1].times == 0 and server.streams == 1)

    assert len(follow(server, kubeconfig, act)) == 8


def test_a_container_that_has_not_quite_started(server: ApiServer, kubeconfig: str) -> None:
    """The pod runs for the API server, which refuses its log for a moment."""
    server.put(pod("a"))

    async def all_of_it() -> list[str]:
        cluster = Cluster(kubeconfig, "risk")
        read = Read(cluster, LogPosition())
        await until(lambda: len(server.asked("log")) == 2)
        server.status("a", **running())
        server.log("a", b"one\n")
        await until(lambda: read.lines)
        assert await read.end(server)
        await cluster.close()
        return read.lines

    assert run(all_of_it) == ["one"]


def test_the_end_does_not_wait_for_a_pause(server: ApiServer, kubeconfig: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSES", (60.0, 60.0, 60.0))
    server.fail(404, 1, verb="log")
    server.put(pod("a"))
    server.log("a", b"one\n")

    async def act(read: Read) -> None:
        await until(lambda: read.reader.failure)

    assert follow(server, kubeconfig, act) == ["one"]


def test_the_log_of_a_pod_that_is_gone(server: ApiServer, kubeconfig: str) -> None:
    with pytest.raises(RequestError, match=r'404: pods "a" not found'):
        rest(kubeconfig)
    server.away = True
    with pytest.raises(FAILURES):
        rest(kubeconfig)


def test_the_allowance_holds_the_rate_and_the_rest_follows_whole_and_once(server: ApiServer, kubeconfig: str) -> None:
    """What was not written live is what a worker writes; each line is in one of the two."""
    written = [f"line {number:04}" for number in range(400)]
    server.put(pod("a", **running()))
    server.log("a", *[f"{line}\n".encode() for line in written], after=0.01)
    live: list[str] = []
    size = len(written[0]) + module.LINE_BYTES

    async def all_of_it() -> LogPosition:
        cluster = Cluster(kubeconfig, "risk")
        read = Read(cluster, LogPosition(), Allowance(100 * size, 50 * size))
        await until(lambda: len(read.lines) >= 60)
        assert read.reader.is_behind
        begin, before = asyncio.get_running_loop().time(), len(read.lines)
        await asyncio.sleep(0.5)
        seconds = asyncio.get_running_loop().time() - begin
        assert len(read.lines) - before <= 100 * seconds + 2
        read.task.cancel()
        await asyncio.gather(read.task, return_exceptions=True)
        live.extend(read.lines)
        await cluster.close()
        return read.reader.position

    position = run(all_of_it)
    assert live == written[: len(live)]
    assert live + rest(kubeconfig, position) == written


def test_all_pods_together_stay_within_what_they_share(server: ApiServer, kubeconfig: str) -> None:
    async def all_of_it() -> None:
        shared = Allowance(1000, 100)
        begin = asyncio.get_running_loop().time()
        taken = 0

        async def write() -> None:
            nonlocal taken
            for _ in range(10):
                await shared.take(10)
                taken += 10

        await asyncio.gather(*[write() for _ in range(5)])
        seconds = asyncio.get_running_loop().time() - begin
        assert taken == 500
        assert seconds >= (500 - 100) / 1000 - 0.05

    run(all_of_it)


def test_empty_lines_are_not_free(server: ApiServer, kubeconfig: str) -> None:
    """`yes ""` writes a hundred megabytes of them in a second."""
    server.put(pod("a", **running()))
    server.log("a", *[b"\n"] * 500, after=0)

    async def all_of_it() -> int:
        cluster = Cluster(kubeconfig, "risk")
        read = Read(cluster, LogPosition(), Allowance(10 * module.LINE_BYTES, 20 * module.LINE_BYTES))
        await until(lambda: read.lines)
        await asyncio.sleep(0.2)
        read.task.cancel()
        await asyncio.gather(read.task, return_exceptions=True)
        await cluster.close()
        return len(read.lines)

    assert run(all_of_it) <= 30


def test_who_writes_much_does_not_keep_others_from_the_loop(server: ApiServer, kubeconfig: str) -> None:
    """Without an allowance too, as in a worker: the watch of the pod goes on beside its log."""
    server.put(pod("a", **running()))
    line = b"2026-11-03T12:00:00.000000001Z x\n"
    server.log_sources["a"] = lambda: (line * 2000 for _ in range(10))

    async def all_of_it() -> None:
        cluster = Cluster(kubeconfig, "risk")
        read = Read(cluster, LogPosition())
        most = seen = 0
        while seen < 20_000:
            await asyncio.sleep(0)
            seen, before = len(read.lines), seen
            most = max(most, seen - before)
        # What has come can be worked off at once, and nothing else comes meanwhile.
        assert most <= 10_000
        read.task.cancel()
        await asyncio.gather(read.task, return_exceptions=True)
        await cluster.close()

    run(all_of_it)


def test_a_position_of_an_older_version_is_understood() -> None:
    assert LogPosition.of({"time": "x", "lines": 2}) == LogPosition("x", 2, 0)
    assert LogPosition.of({"time": "x", "lines": 2, "part": 3, "newer": 1}) == LogPosition("x", 2, 3)
