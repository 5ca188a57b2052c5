"""A worker that follows a pod: to its end, or for as long as that saves a second start."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from api_server import ApiServer
from following_support import Log, container, ended, pod, running, target
from jobyard.following import here as module
from jobyard.following.cluster import Cluster
from jobyard.following.here import follow_briefly, follow_here, follow_unless_queued, write_rest
from jobyard.following.logs import POD_RATE
from jobyard.following.target import Ending, Kind, Target

LONG = 10**9


@pytest.fixture(autouse=True)
def patience(quick: Callable[..., None]) -> None:
    quick(module, QUEUED_SECONDS=0.2, WAITING_SECONDS=0.4, RUNNING_SECONDS=0.8)


@pytest.fixture
def later() -> Iterator[Callable[[Callable[[], object]], None]]:
    """Do something in a moment, in a thread, as the worker's own is busy."""
    threads: list[threading.Thread] = []

    def start(act: Callable[[], object]) -> None:
        def wait() -> None:
            time.sleep(0.1)
            act()

        threads.append(threading.Thread(target=wait))
        threads[-1].start()

    yield start
    for thread in threads:
        thread.join()


def test_to_the_end_with_the_whole_log(
    server: ApiServer, kubeconfig: str, later: Callable[[Callable[[], object]], None]
) -> None:
    server.put(pod("a", **running()))
    server.log("a", b"one\n")

    def end() -> None:
        server.log("a", b"two\n")
        server.status("a", **ended())

    later(end)
    log = Log()
    found = follow_here(target(kubeconfig), log)
    assert (found.kind, found.log_complete, log.text) == (Kind.SUCCEEDED, True, "one\ntwo")


def test_a_pod_that_ends_soon_needs_no_triggerer(server: ApiServer, kubeconfig: str) -> None:
    server.put(pod("a", **ended(3)))
    found = follow_briefly(target(kubeconfig), Log())
    assert isinstance(found, Ending) and found.kind is Kind.FAILED


def test_what_is_left_goes_on_without_a_line_lost_or_twice(server: ApiServer, kubeconfig: str) -> None:
    server.put(pod("a", **running()))
    server.log("a", b"one\n", b"two\n")
    log = Log()
    rest = follow_briefly(target(kubeconfig), log)
    assert isinstance(rest, Target) and log.text == "one\ntwo"
    assert (rest.log.lines, rest.pod) == (2, "a")
    server.log("a", b"three\n")
    server.status("a", **ended())
    again = Target.of(rest.arguments())
    found = follow_here(again, log)
    assert (found.kind, log.text) == (Kind.SUCCEEDED, "one\ntwo\nthree")


@pytest.mark.parametrize(("node", "seconds"), [("", 0.4), ("node-1", 0.8)], ids=["waits", "has-a-node"])
def test_a_pod_that_waits_for_its_node_is_left_sooner(
    server: ApiServer, kubeconfig: str, quick: Callable[..., None], node: str, seconds: float
) -> None:
    quick(module, RUNNING_SECONDS=0.8 if node else 5.0)
    server.put(pod("a", node=node))
    begin = time.monotonic()
    assert isinstance(follow_briefly(target(kubeconfig, startup_timeout=LONG), Log()), Target)
    assert seconds <= time.monotonic() - begin < 5


def test_a_pod_that_waits_for_quota_is_left_at_once(
    server: ApiServer, kubeconfig: str, quick: Callable[..., None]
) -> None:
    quick(module, QUEUED_SECONDS=0.4, WAITING_SECONDS=20.0, RUNNING_SECONDS=20.0)
    server.put(pod("a", node="", gated=True))
    begin = time.monotonic()
    rest = follow_briefly(target(kubeconfig, queue_timeout=LONG), Log())
    assert isinstance(rest, Target) and Target.of(rest.arguments()).queue_timeout == LONG
    assert 0.4 <= time.monotonic() - begin < 10


def test_a_pod_of_a_short_task_is_left_only_while_it_waits_for_quota(
    server: ApiServer, kubeconfig: str, later: Callable[[Callable[[], object]], None]
) -> None:
    server.put(pod("a", node="", gated=True))
    assert isinstance(follow_unless_queued(target(kubeconfig), Log()), Target)
    # It waits for its node for longer than a worker would follow it otherwise.
    server.put(pod("a", node=""))

    def end() -> None:
        time.sleep(1.5)
        server.status("a", **ended())

    later(end)
    found = follow_unless_queued(target(kubeconfig, startup_timeout=LONG), Log())
    assert isinstance(found, Ending) and found.kind is Kind.SUCCEEDED


def test_a_pod_that_is_admitted_at_once_is_not(
    server: ApiServer,
    kubeconfig: str,
    quick: Callable[..., None],
    later: Callable[[Callable[[], object]], None],
) -> None:
    quick(module, QUEUED_SECONDS=0.8, WAITING_SECONDS=20.0)
    server.put(pod("a", node="", gated=True))

    def admit() -> None:
        server.put(pod("a"))
        time.sleep(1)
        server.status("a", **ended())

    later(admit)
    log = Log()
    found = follow_briefly(target(kubeconfig), log)
    assert isinstance(found, Ending) and found.kind is Kind.SUCCEEDED


def test_a_pod_that_writes_much_is_left_when_it_writes_less(
    server: ApiServer, kubeconfig: str, later: Callable[[Callable[[], object]], None]
) -> None:
    server.put(pod("a", **running()))
    much = [b"x" * 1000 + b"\n" for _ in range(round(POD_RATE / 1000))]
    server.log("a", *much)

    def more() -> None:
        for _ in range(5):
            time.sleep(0.3)
            server.log("a", *much)

    later(more)
    log = Log()
    rest = follow_briefly(target(kubeconfig), log)
    assert isinstance(rest, Target)
    assert len(log.lines) == 6 * len(much)


def test_one_that_is_being_deleted_for_its_failure_is_not_left(
    server: ApiServer, kubeconfig: str, quick: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who follows it next would take it for lost."""
    quick(module, WAITING_SECONDS=0.7, RUNNING_SECONDS=0.7)
    server.put(pod("a", containerStatuses=[container(waiting={"reason": "ErrImageNeverPull"})]))
    delete = Cluster.delete

    async def slow(self: Cluster, path: str) -> None:
        await delete(self, path)
        await asyncio.sleep(1)

    monkeypatch.setattr(Cluster, "delete", slow)
    found = follow_briefly(target(kubeconfig, startup_timeout=LONG), Log())
    assert isinstance(found, Ending) and found.kind is Kind.CANNOT_START


def test_the_rest_of_a_log_is_written_whole_and_once(server: ApiServer, kubeconfig: str) -> None:
    server.put(pod("a", **running()))
    server.log("a", *[f"{number}\n".encode() for number in range(10)], after=0.3)
    log = Log()
    rest = follow_briefly(target(kubeconfig), log)
    assert isinstance(rest, Target)
    server.log("a", *[f"{number}\n".encode() for number in range(10, 20)], after=0.3)
    write_rest(rest, log, rest.log)
    assert log.text.split() == [str(number) for number in range(20)]
