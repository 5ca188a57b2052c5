"""How a list is kept up to date: https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from api_server import ApiServer
from following_support import pod, run, until
from jobyard.following import reflector
from jobyard.following.cluster import Cluster
from jobyard.following.reflector import Reflector

PATH = "/api/v1/namespaces/team-risk/pods"


class Seen:
    """What a reflector tells."""

    def __init__(self) -> None:
        self.lists: list[list[str]] = []
        self.changes: list[tuple[str, str]] = []
        self.refusals = 0

    def on_list(self, items: list[dict[str, Any]]) -> None:
        self.lists.append([item["metadata"]["name"] for item in items])

    def on_change(self, kind: str, item: dict[str, Any]) -> None:
        self.changes.append((kind, item["metadata"]["name"]))

    def on_refusal(self) -> None:
        self.refusals += 1


class Reflected:
    """A reflector that runs."""

    def __init__(self, found: Reflector, seen: Seen) -> None:
        self.reflector = found
        self.seen = seen


@asynccontextmanager
async def reflected(kubeconfig: str, **options: Any) -> AsyncIterator[Reflected]:
    seen = Seen()
    cluster = Cluster(kubeconfig, "risk")
    found = Reflector(cluster, PATH, {}, seen.on_list, seen.on_change, on_refusal=seen.on_refusal, **options)
    task = asyncio.create_task(found.run())
    try:
        yield Reflected(found, seen)
    finally:
        assert not task.done(), "the reflector has ended"
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await cluster.close()


def check(kubeconfig: str, act: Callable[[Reflected], Any], **options: Any) -> None:
    """Run a reflector, and that beside it."""

    async def both() -> None:
        async with reflected(kubeconfig, **options) as running:
            await act(running)

    run(both)


def test_it_tells_all_and_then_each_change(server: ApiServer, kubeconfig: str) -> None:
    server.put(pod("a"))

    async def act(running: Reflected) -> None:
        await until(lambda: server.streams == 1)
        server.put(pod("b"))
        server.status("a", phase="Running")
        server.remove("b")
        await until(lambda: len(running.seen.changes) == 3)
        assert running.seen.lists == [["a"]]
        assert running.seen.changes == [("ADDED", "b"), ("MODIFIED", "a"), ("DELETED", "b")]

    check(kubeconfig, act)
    assert [(one.verb, one.query.get("allowWatchBookmarks")) for one in server.requests] == [
        ("list", None),
        ("watch", "true"),
    ]


def test_a_cut_watch_goes_on_where_it_was(server: ApiServer, kubeconfig: str) -> None:
    async def act(running: Reflected) -> None:
        await until(lambda: server.streams == 1)
        server.put(pod("a"))
        await until(lambda: running.seen.changes)
        seen = server.version
        server.cut()
        # What comes while it is away is not lost.
        server.put(pod("b"))
        await until(lambda: len(running.seen.changes) == 2)
        assert running.seen.changes == [("ADDED", "a"), ("ADDED", "b")]
        assert server.asked("watch")[-1].query["resourceVersion"] == str(seen)

    check(kubeconfig, act)
    assert len(server.asked("list")) == 1


def test_a_bookmark_moves_the_version(server: ApiServer, kubeconfig: str) -> None:
    async def act(running: Reflected) -> None:
        await until(lambda: server.streams == 1)
        version = server.bookmark()
        server.put(pod("a"))
        await until(lambda: running.seen.changes)
        server.bookmark()
        version = server.bookmark()
        await asyncio.sleep(0.05)
        server.cut()
        await until(lambda: server.streams == 1 and len(server.asked("watch")) > 1)
        assert server.asked("watch")[-1].query["resourceVersion"] == str(version)
        assert running.seen.changes == [("ADDED", "a")]

    check(kubeconfig, act)


@pytest.mark.parametrize("as_status", [True, False])
def test_a_forgotten_version_is_listed_anew(server: ApiServer, kubeconfig: str, as_status: bool) -> None:
    server.gone_as_status = as_status
    server.put(pod("a"))
    server.put(pod("b"))

    async def act(running: Reflected) -> None:
        await until(lambda: server.streams == 1)
        server.away = True
        server.cut()
        server.remove("a")
        server.put(pod("c"))
        server.forget()
        server.away = False
        await until(lambda: len(running.seen.lists) == 2 and server.streams)
        assert running.seen.lists == [["a", "b"], ["b", "c"]]
        server.put(pod("d"))
        await until(lambda: running.seen.changes)
        assert running.seen.changes == [("ADDED", "d")]

    check(kubeconfig, act)


@pytest.mark.parametrize("as_status", [True, False])
def test_a_server_that_forgets_at_once_is_not_asked_without_a_pause(
    server: ApiServer, kubeconfig: str, quick: Callable[..., None], as_status: bool
) -> None:
    server.gone_as_status = as_status
    server.forgets_at_once = True
    quick(reflector, FIRST_PAUSE=0.05, LONGEST_PAUSE=0.2)

    async def act(running: Reflected) -> None:
        await until(lambda: running.seen.lists)
        await asyncio.sleep(0.4)
        server.forgets_at_once = False
        server.put(pod("a"))
        await until(lambda: running.seen.lists[-1] == ["a"] or running.seen.changes)

    check(kubeconfig, act)
    assert 4 <= len(server.requests) <= 24


def test_a_watch_that_ends_at_once_is_not_begun_without_a_pause(
    server: ApiServer, kubeconfig: str, quick: Callable[..., None]
) -> None:
    server.watch_ends_at_once = True
    quick(reflector, FIRST_PAUSE=0.05, LONGEST_PAUSE=0.2)

    async def act(running: Reflected) -> None:
        await until(lambda: server.asked("watch"))
        await asyncio.sleep(0.4)
        server.watch_ends_at_once = False
        server.put(pod("a"))
        await until(lambda: running.seen.changes)

    check(kubeconfig, act)
    assert 3 <= len(server.requests) <= 15
    assert len(server.asked("list")) == 1


def test_a_refused_watch_becomes_a_poll_until_it_is_allowed(
    server: ApiServer, kubeconfig: str, quick: Callable[..., None]
) -> None:
    quick(reflector, POLLS=3)
    server.denied.add(("watch", "pods"))

    async def act(running: Reflected) -> None:
        await until(lambda: len(running.seen.lists) >= 3)
        server.put(pod("a"))
        await until(lambda: running.seen.lists[-1] == ["a"])
        assert len(server.asked("watch")) <= 1 + len(server.asked("list")) / 2
        server.denied.clear()
        await until(lambda: server.streams == 1)
        lists = len(running.seen.lists)
        server.put(pod("b"))
        await until(lambda: running.seen.changes)
        assert len(running.seen.lists) == lists
        assert running.reflector.refusal == ""

    check(kubeconfig, act)


def test_a_refused_list_is_told_as_a_refusal_not_as_an_empty_list(server: ApiServer, kubeconfig: str) -> None:
    server.put(pod("a"))

    async def act(running: Reflected) -> None:
        await until(lambda: server.streams == 1)
        server.denied |= {("list", "pods"), ("watch", "pods")}
        server.forget()
        server.cut()
        await until(lambda: running.reflector.refusal)
        assert running.reflector.refusal == "403: pods is forbidden: User cannot list resource"
        await asyncio.sleep(0.1)
        assert running.seen.lists == [["a"]]
        assert running.seen.refusals >= 1
        server.denied.clear()
        await until(lambda: server.streams == 1)
        assert running.reflector.refusal == ""
        assert running.seen.lists[-1] == ["a"]

    check(kubeconfig, act)


@pytest.mark.parametrize("status", [429, 500, 503])
@pytest.mark.parametrize("verb", ["list", "watch"])
def test_a_busy_server_is_asked_again(server: ApiServer, kubeconfig: str, status: int, verb: str) -> None:
    server.put(pod("a"))
    server.fail(status, 5, verb=verb)

    async def act(running: Reflected) -> None:
        await until(lambda: server.streams == 1)
        assert running.seen.lists == [["a"]]
        assert running.reflector.refusal == ""

    check(kubeconfig, act)
    assert len(server.asked(verb)) == 6


def test_a_server_that_is_away_for_five_minutes_is_found_again(
    server: ApiServer, kubeconfig: str, quick: Callable[..., None]
) -> None:
    """The pauses are those of five minutes, each a thousandth as long."""
    quick(reflector, FIRST_PAUSE=0.0005, LONGEST_PAUSE=0.03)
    server.put(pod("a"))

    async def act(running: Reflected) -> None:
        await until(lambda: server.streams == 1)
        server.away = True
        server.cut()
        server.put(pod("b"))
        await asyncio.sleep(0.3)
        server.away = False
        await until(lambda: running.seen.changes)
        assert running.seen.changes == [("ADDED", "b")]

    check(kubeconfig, act)
    assert len(server.asked("list")) == 1


@pytest.mark.parametrize(
    "line",
    [
        b"{\n",
        b"no JSON\n",
        b"[]\n",
        b'"text"\n',
        b"null\n",
        b"{}\n",
        b'{"type": "MODIFIED"}\n',
        b'{"type": "MODIFIED", "object": null}\n',
        b'{"type": "MODIFIED", "object": {"metadata": {}}}\n',
        b'{"type": "ERROR", "object": {}}\n',
        b'{"type": "ERROR", "object": {"code": 500, "message": "etcd"}}\n',
        b'{"type": "ERROR", "object": {"code": "x"}}\n',
        b"\xff\xfe\n",
    ],
)
def test_a_malformed_line_does_not_end_it(server: ApiServer, kubeconfig: str, line: bytes) -> None:
    server.put(pod("a"))

    async def act(running: Reflected) -> None:
        await until(lambda: server.streams == 1)
        server.raw(line)
        server.put(pod("b"))
        await until(lambda: ("ADDED", "b") in running.seen.changes or running.seen.lists[-1] == ["a", "b"])
        # The server notices that an earlier one was left when it has something to say.
        await until(lambda: server.streams >= 1)

    check(kubeconfig, act)
    assert len(server.requests) <= 6


def test_a_kind_of_change_that_is_not_known_yet_moves_the_version_alone(server: ApiServer, kubeconfig: str) -> None:
    async def act(running: Reflected) -> None:
        await until(lambda: server.streams == 1)
        server.raw(b'{"type": "RENAMED", "object": {"metadata": {"resourceVersion": "101", "name": "a"}}}\n')
        server.put(pod("b"))
        await until(lambda: running.seen.changes)
        assert running.seen.changes == [("ADDED", "b")]

    check(kubeconfig, act)
    assert len(server.requests) == 2


def test_a_list_of_pages_is_one_list(server: ApiServer, kubeconfig: str) -> None:
    names = [f"pod-{number:02}" for number in range(25)]
    for name in names:
        server.put(pod(name))
    server.page = 10

    async def act(running: Reflected) -> None:
        await until(lambda: server.streams == 1)
        assert running.seen.lists == [names]

    check(kubeconfig, act)
    assert [one.query.get("continue", "") for one in server.asked("list")] == ["", "10", "20"]


def test_the_first_page_is_enough_to_begin_a_watch(server: ApiServer, kubeconfig: str) -> None:
    for number in range(25):
        server.put(pod(f"pod-{number:02}"))
    server.page = 10

    async def act(running: Reflected) -> None:
        await until(lambda: server.streams == 1)
        assert len(running.seen.lists[0]) == 10

    check(kubeconfig, act, pages=False)
    assert len(server.asked("list")) == 1


def test_a_watch_is_begun_anew_after_its_time(server: ApiServer, kubeconfig: str, quick: Callable[..., None]) -> None:
    quick(reflector, WATCH_SECONDS=1.0)

    async def act(running: Reflected) -> None:
        await until(lambda: len(server.asked("watch")) == 2)
        server.put(pod("a"))
        await until(lambda: running.seen.changes)

    check(kubeconfig, act)
    assert len(server.asked("list")) == 1


def test_a_connection_that_says_nothing_is_given_up(
    server: ApiServer, kubeconfig: str, quick: Callable[..., None]
) -> None:
    """The server vanished without a word: its end of a watch never comes."""
    quick(reflector, WATCH_SECONDS=0, SILENCE_SECONDS=0.1)
    server.delay = 0.0

    async def act(running: Reflected) -> None:
        await until(lambda: server.asked("list"))
        server.delay = 3
        await until(lambda: len(server.asked("watch")) >= 2)
        server.delay = 0

    check(kubeconfig, act)


def test_an_object_of_a_megabyte_and_a_half_comes_whole(server: ApiServer, kubeconfig: str) -> None:
    async def act(running: Reflected) -> None:
        await until(lambda: server.streams == 1)
        large = pod("a")
        large["metadata"]["annotations"] = {"large": "x" * 1_500_000}
        server.put(large)
        server.put(pod("b"))
        await until(lambda: len(running.seen.changes) == 2)

    check(kubeconfig, act)
    assert len(server.requests) == 2
