"""A pod that waits for its team's quota: what the task's log says of it, how long it may, and what ends it."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from api_server import ApiServer
from following_support import Clock, Followed, Log, at, check, ended, event, pod, refusal, running, until
from jobyard.following import queue as module
from jobyard.following.queue import QueueWait, positions, reason_of, spoken, words, workload_name
from jobyard.following.target import Ending, Kind
from jobyard.following.watch import trimmed

CPU = "insufficient unused quota for cpu in flavor high-memory, 4 more needed"
MEMORY = "insufficient unused quota for memory in flavor high-memory, 8Gi more needed"
MAIN = "couldn't assign flavors to pod set main: "


def gated(name: str = "a", created: float = 1000, priority: int = 0, group: str = "high-memory") -> dict[str, Any]:
    """Return a pod that waits for quota."""
    found = pod(name, gated=True, node="")
    found["metadata"]["creationTimestamp"] = at(created)
    found["spec"].update(priority=priority, nodeSelector={"group": group})
    return found


def admitted(found: dict[str, Any]) -> dict[str, Any]:
    """Return the pod after Kueue has taken its gate off."""
    spec = {name: value for name, value in found["spec"].items() if name != "schedulingGates"}
    return {**found, "spec": spec}


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("", ""),
        (MAIN + CPU, " of high-memory: 4 more cores"),
        (MAIN + CPU.replace("4 more", "1 more"), " of high-memory: 1 more core"),
        (MAIN + CPU.replace("4 more", "1500m more"), " of high-memory: 1.5 more cores"),
        (MAIN + f"{CPU}, {MEMORY}", " of high-memory: 4 more cores and 8Gi more memory"),
        (
            MAIN + MEMORY.replace("memory in", "ephemeral-storage in"),
            " of high-memory: 8Gi more disk",
        ),
        (
            MAIN + "insufficient unused quota for nvidia.com/gpu in flavor gpu, 2 more needed, untolerated taint"
            " {jobyard.dev/node-group default NoSchedule <nil>} in flavor default",
            " of gpu: 2 more GPUs",
        ),
        (
            MAIN + "flavor default doesn't match node affinity, insufficient quota for cpu in flavor high-memory,"
            " previously considered podsets requests (0) + current podset request (20) > maximum capacity (8)",
            " of high-memory: it requests 20 cores, and the most that there can be is 8",
        ),
        (
            MAIN + "insufficient quota for memory in flavor high-memory,"
            " previously considered podsets requests (0) + current podset request (64Gi) > maximum capacity (32Gi)",
            " of high-memory: it requests 64Gi of memory, and the most that there can be is 32Gi",
        ),
        (
            f"{MAIN}{CPU}. Pending the preemption of 2 workload(s)",
            " of high-memory: 4 more cores; pods that are being stopped for it: 2",
        ),
        ("ClusterQueue team-risk is inactive", ": ClusterQueue team-risk is inactive"),
        (f"{MAIN}flavor x not found", ": flavor x not found"),
    ],
)
def test_what_kueue_says_in_other_words(reason: str, expected: str) -> None:
    assert words(reason) == expected


def test_a_workload_has_the_name_that_kueue_gives_it() -> None:
    """Kueue 0.19's own function made this one."""
    name = workload_name("a", "uid-a")
    assert name == "pod-a-5b54b"
    assert reason_of({"involvedObject": {"kind": "Workload", "name": name}, "type": "Warning", "message": "x"}) == {
        "pod": "a",
        "reason": "x",
    }
    assert len(workload_name("a" * 300, "")) == 253


def test_by_priority_then_by_age_and_only_for_the_same_machines() -> None:
    pods = [
        gated("old", 1000),
        gated("older", 999),
        gated("urgent", 2000, priority=10),
        gated("other", 1, group="gpu"),
        admitted(gated("out", 1)),
    ]
    going = gated("going", 1)
    going["metadata"]["deletionTimestamp"] = at(2000)
    found = positions(trimmed(one) for one in [*pods, going])
    assert found == {"urgent": 0, "older": 1, "old": 2, "other": 0}


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, "1 s"),
        (45.2, "45 s"),
        (89, "89 s"),
        (90, "2 min"),
        (720, "12 min"),
        (5399, "1 h 30 min"),
        (7500, "2 h 5 min"),
    ],
)
def test_a_duration_in_words(seconds: float, expected: str) -> None:
    assert spoken(seconds) == expected


class TestTheLinesOfTheLog:
    """Each is one look at the pod."""

    log: Log
    clock: Clock
    wait: QueueWait

    @pytest.fixture(autouse=True)
    def start(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "SETTLE_SECONDS", 4.0)
        self.log, self.clock = Log(), Clock()
        self.wait = QueueWait(None, self.log, self.clock)

    def look(self, now: float, reason: str = MAIN + CPU, before: int | None = None) -> None:
        self.clock.now = now
        self.wait.look(trimmed(gated()), reason, before)

    def leave(self, now: float) -> None:
        self.clock.now = now
        self.wait.look(trimmed(admitted(gated())), "", None)

    def test_a_pod_that_is_admitted_at_once_has_none(self) -> None:
        self.look(1000)
        self.look(1003.9)
        self.leave(1004)
        assert self.log.lines == []

    def test_of_the_wait_and_of_its_end(self) -> None:
        self.look(1001)
        assert self.wait.next_look(trimmed(gated())) == 1004
        self.look(1005, before=3)
        self.leave(1720)
        self.leave(1721)
        assert self.log.lines == [
            "Waiting for quota of high-memory: 4 more cores; 3 before it",
            "Admitted after 12 min in the queue",
        ]

    def test_of_changes_ever_more_seldom(self) -> None:
        for now in range(1000, 8200):
            self.look(now, before=9000 - now)
        waits = [9000 - int(line.split("; ")[1].split()[0]) for line in self.log.lines]
        assert waits == [1004, 1064, 1184, 1424, 1904, 2504, 3104, 3704, 4304, 4904, 5504, 6104, 6704, 7304, 7904]

    def test_none_without_a_change(self) -> None:
        for now in range(1000, 3000, 10):
            self.look(now, before=0)
        # What Kueue said stays true until it says something else.
        self.look(3000, reason="", before=0)
        assert self.log.lines == ["Waiting for quota of high-memory: 4 more cores; it is the team's next"]

    def test_without_a_word_of_kueues(self) -> None:
        for now in range(1000, 1010):
            self.look(now, reason="")
        assert self.log.lines == ["Waiting for quota"]

    def test_who_follows_it_later_hears_first_why_it_waits(self) -> None:
        self.look(1010, reason="")
        assert self.wait.next_look(trimmed(gated())) == 1014
        self.look(1011)
        assert self.log.lines == ["Waiting for quota of high-memory: 4 more cores"]


@pytest.mark.parametrize("only", [True, False], ids=["one pod", "the team's"])
def test_the_log_says_what_a_pod_waits_for_and_when_that_has_come(
    server: ApiServer, kubeconfig: str, quick: Callable[..., None], only: bool
) -> None:
    clock = Clock()
    server.put(gated("b", 990))
    server.put(gated("a"))
    server.put(refusal(f"{MAIN}{MEMORY}", of="b"))
    # Kueue has said it before the pod is followed; the later of two events counts.
    server.put(refusal(f"{MAIN}{MEMORY}", number=1))
    server.put(refusal(MAIN + CPU, number=2))
    server.put(refusal("Admitted by ClusterQueue team-risk", number=3, kind="Normal"))

    async def act(followed: Followed) -> list[str]:
        await until(lambda: followed.watch._reasons.get("a", "").endswith(CPU))
        assert not followed.log.lines
        clock.now += 20
        await until(lambda: followed.log.lines)
        clock.now += 680
        server.put(refusal(MAIN + CPU.replace("4 more", "2 more"), number=4))
        await until(lambda: "2 more cores" in followed.log.lines[-1])
        clock.now += 20
        server.put(admitted(gated()))
        await until(lambda: "Admitted" in followed.log.lines[-1])
        server.put({**admitted(gated()), "status": ended()})
        assert (await followed.ending()).kind is Kind.SUCCEEDED
        return followed.log.lines

    quick(module, SETTLE_SECONDS=4.0)
    position = "" if only else "; 1 before it"
    assert check(kubeconfig, act, clock=clock, only=only) == [
        f"Waiting for quota of high-memory: 4 more cores{position}",
        f"Waiting for quota of high-memory: 2 more cores{position}",
        "Admitted after 12 min in the queue",
    ]


def test_where_no_pod_waits_nothing_is_asked_of_queues(server: ApiServer, kubeconfig: str) -> None:
    server.put(pod("a", **running()))

    async def act(followed: Followed) -> None:
        await until(lambda: server.streams == 3)
        await followed.goes_on()

    check(kubeconfig, act)
    assert all("Workload" not in one.query.get("fieldSelector", "") for one in server.requests)


def test_that_events_may_not_be_read_ends_no_wait(server: ApiServer, kubeconfig: str) -> None:
    server.denied = {("list", "events"), ("watch", "events")}
    server.put(gated())

    async def act(followed: Followed) -> list[str]:
        await until(lambda: "Waiting for quota" in followed.log.lines)
        server.put({**admitted(gated()), "status": ended()})
        assert (await followed.ending()).kind is Kind.SUCCEEDED
        return followed.log.warnings

    assert len(check(kubeconfig, act)) == 1


def test_one_that_waits_too_long_is_deleted_and_says_what_it_waited_for(server: ApiServer, kubeconfig: str) -> None:
    clock = Clock()
    server.put(gated())
    server.put(refusal(MAIN + CPU))

    async def act(followed: Followed) -> Ending:
        await until(lambda: followed.watch._reasons)
        clock.now = 1000 + 3599
        await followed.goes_on()
        clock.now = 1000 + 3600
        return await followed.ending()

    found = check(kubeconfig, act, clock=clock, queue_timeout=3600, startup_timeout=60, timeout=60)
    words = "the pod has waited for quota of high-memory: 4 more cores for longer than its queue_timeout of 3600 s"
    assert (found.kind, found.message, found.log_complete) == (Kind.QUEUE_TIMED_OUT, words, True)
    assert not server.has("a")


@pytest.mark.parametrize("now", [1000 + 3599, 1000 + 3600])
def test_who_follows_it_next_does_not_count_anew(server: ApiServer, kubeconfig: str, now: float) -> None:
    """As after a restart of the triggerer."""
    clock = Clock()
    clock.now = now
    server.put(gated())

    async def act(followed: Followed) -> bool:
        await asyncio.sleep(0.3)
        return followed.task.done()

    assert check(kubeconfig, act, clock=clock, queue_timeout=3600) == (now == 1000 + 3600)


def test_one_that_was_admitted_meanwhile_goes_on(server: ApiServer, kubeconfig: str) -> None:
    """The watch is behind: the server is asked before anything is deleted."""
    clock = Clock()
    server.put(gated())

    async def act(followed: Followed) -> Ending:
        await until(lambda: followed.log.lines)
        server.fail(500, 1000, verb="watch")
        server.cut()
        server.put(admitted(gated()))
        clock.now = 1000 + 3600
        await followed.goes_on(0.2)
        assert server.has("a")
        server.status("a", **ended())
        clock.now += 599
        server.faults.clear()
        return await followed.ending()

    assert check(kubeconfig, act, clock=clock, queue_timeout=3600).kind is Kind.SUCCEEDED


def test_the_wait_counts_against_no_other_limit(server: ApiServer, kubeconfig: str) -> None:
    clock = Clock()
    server.put(gated())

    async def act(followed: Followed) -> Ending:
        await until(lambda: followed.log.lines)
        clock.now = 90_000
        await followed.goes_on()
        server.put(admitted(gated()))
        await until(lambda: "Admitted after 24 h 43 min in the queue" in followed.log.lines)
        clock.now += 59
        server.status("a", **running(clock.now))
        await followed.goes_on()
        clock.now += 59
        await followed.goes_on()
        clock.now += 1
        return await followed.ending()

    assert check(kubeconfig, act, clock=clock, startup_timeout=60, timeout=60).kind is Kind.TIMED_OUT


STOPPED = {
    "type": "TerminationTarget",
    "status": "True",
    "reason": "WorkloadEvictedDueToPreempted",
    "message": "Preempted to accommodate a workload",
    "lastTransitionTime": at(1000),
}


@pytest.mark.parametrize("node", ["", "node-1"], ids=["before it has a node", "on its node"])
def test_what_kueue_stops_is_lost_also_while_its_finalizer_stays(server: ApiServer, kubeconfig: str, node: str) -> None:
    """Kueue went away before it took its finalizer off: the object stays."""
    found = admitted(gated())
    found["spec"]["nodeName"] = node
    server.put(found)

    async def act(followed: Followed) -> Ending:
        await until(lambda: followed.watch.pods)
        status = (
            {**ended(137, end=1000), "conditions": [STOPPED]} if node else {"phase": "Pending", "conditions": [STOPPED]}
        )
        metadata = {**found["metadata"], "deletionTimestamp": at(1000), "deletionGracePeriodSeconds": 0}
        server.put({**found, "metadata": metadata, "status": status})
        return await followed.ending(5)

    clock = Clock()
    ending = check(kubeconfig, act, clock=clock)
    words = "Kueue: WorkloadEvictedDueToPreempted: Preempted to accommodate a workload"
    assert (ending.kind, ending.message) == (Kind.LOST, words)
    assert server.has("a")


def test_one_that_somebody_deletes_while_it_waits_and_kueue_is_away_is_lost(server: ApiServer, kubeconfig: str) -> None:
    server.graceful = 0
    server.put(gated())

    async def act(followed: Followed) -> Ending:
        await until(lambda: followed.log.lines)
        metadata = {**gated()["metadata"], "deletionTimestamp": at(1000), "deletionGracePeriodSeconds": 0}
        server.put({**gated(), "metadata": metadata})
        return await followed.ending(5)

    ending = check(kubeconfig, act)
    assert (ending.kind, ending.message) == (Kind.LOST, "the pod was deleted while its container had not ended")
    assert server.has("a")


def test_events_of_other_pods_and_of_pods_that_are_gone_are_not_kept(server: ApiServer, kubeconfig: str) -> None:
    server.put(gated())
    server.put(refusal(MAIN + CPU, of="gone"))
    server.put(event("x", "FailedScheduling", "no node", of="a"))

    async def act(followed: Followed) -> dict[str, str]:
        await until(lambda: followed.log.lines)
        server.put(refusal(MAIN + CPU, of="late"))
        server.put(refusal(MAIN + CPU, of="a"))
        await until(lambda: followed.watch._reasons)
        kept = dict(followed.watch._reasons)
        server.remove("a")
        await until(lambda: not followed.watch._reasons)
        return kept

    assert check(kubeconfig, act, only=False) == {"a": MAIN + CPU}
