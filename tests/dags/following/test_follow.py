"""Following one pod: what is seen of it, how it ends, and when it is given up."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from api_server import ApiServer
from following_support import (
    Clock,
    Followed,
    Log,
    at,
    check,
    container,
    ended,
    event,
    pod,
    run,
    running,
    target,
    until,
)
from jobyard.following import follow as module
from jobyard.following import watch as watch_module
from jobyard.following.cluster import Cluster
from jobyard.following.follow import Following
from jobyard.following.target import Ending, Kind
from jobyard.following.watch import PodWatch

GONE = "the pod was deleted while its container had not ended"
UNCONFIRMED = "the pod was deleted, and its machine does not confirm that it has ended"


async def its_ending(followed: Followed) -> Ending:
    return await followed.ending()


def waiting(reason: str, message: str = "") -> dict[str, Any]:
    """Return the status of a pod whose container waits."""
    return {"phase": "Pending", "containerStatuses": [container(waiting={"reason": reason, "message": message})]}


def test_from_pending_to_success_with_log_and_output(
    server: ApiServer, kubeconfig: str, quick: Callable[..., None]
) -> None:
    quick(watch_module, CONFIRM_SECONDS=5)

    async def act(followed: Followed) -> Ending:
        await until(lambda: server.streams == 2)
        server.put(pod("a"))
        server.status("a", **running())
        server.log("a", b"one\n", b"two\n")
        await until(lambda: followed.log.text == "one\ntwo")
        server.log("a", b"three\n")
        server.status("a", **ended(message="[1]"))
        found = await followed.ending()
        assert followed.log.text == "one\ntwo\nthree"
        return found

    found = check(kubeconfig, act)
    assert (found.kind, found.output, found.node, found.log_complete) == (Kind.SUCCEEDED, "[1]", "node-1", True)
    assert server.has("a")


def test_a_pod_that_had_ended_before_it_is_followed(server: ApiServer, kubeconfig: str) -> None:
    server.put(pod("a", **ended(3)))
    server.log("a", b"all\n", b"of it")

    async def act(followed: Followed) -> Ending:
        found = await followed.ending()
        assert followed.log.text == "all\nof it"
        return found

    found = check(kubeconfig, act)
    assert (found.kind, found.log_complete) == (Kind.FAILED, True)


@pytest.mark.parametrize("only", [True, False])
def test_a_pod_that_never_was_is_lost(server: ApiServer, kubeconfig: str, only: bool) -> None:
    found = check(kubeconfig, its_ending, only=only)
    assert (found.kind, found.message, found.log_complete) == (Kind.LOST, GONE, True)
    assert len(server.asked("get")) == 1


def test_a_pod_that_the_watch_shows_late_is_asked_for(server: ApiServer, kubeconfig: str) -> None:
    """The list does not come; who follows it need not wait for that."""
    server.fail(500, 1000, verb="list")
    server.put(pod("a", **ended()))
    assert check(kubeconfig, its_ending).kind is Kind.SUCCEEDED


def test_a_pod_that_comes_after_the_watch_began(server: ApiServer, kubeconfig: str, quick: Callable[..., None]) -> None:
    quick(watch_module, CONFIRM_SECONDS=5)

    async def act(followed: Followed) -> Ending:
        await until(lambda: server.streams == 2)
        server.put(pod("a"))
        await followed.goes_on()
        server.status("a", **ended())
        return await followed.ending()

    assert check(kubeconfig, act, only=False).kind is Kind.SUCCEEDED


def test_another_pod_of_the_same_name_is_not_it(server: ApiServer, kubeconfig: str) -> None:
    server.put(pod("a", uid="another", **ended()))
    found = check(kubeconfig, its_ending)
    assert (found.kind, found.message) == (Kind.LOST, GONE)


def test_a_pod_of_the_same_name_before_it_is_not_it_either(server: ApiServer, kubeconfig: str) -> None:
    """The watch is late: it still shows the one of before, and then that it goes."""
    server.put(pod("a", uid="another", **ended(1)))

    async def all_of_it() -> Ending:
        cluster = Cluster(kubeconfig, "risk")
        watch = PodWatch(cluster, "team-risk", environment="local")
        watch.start()
        await until(lambda: watch.pods)
        with watch.follow("a", "uid-a") as subscription:
            assert (subscription.pod, subscription.gone) == (None, False)
            server.remove("a")
            await until(lambda: not watch.pods)
            assert (subscription.pod, subscription.gone) == (None, False)
            server.put(pod("a", **ended()))
            await until(lambda: subscription.pod)
            assert not subscription.gone
            server.put(pod("a", uid="the next one"))
            await until(lambda: subscription.gone)
        await watch.stop()
        await cluster.close()

    run(all_of_it)


@pytest.mark.parametrize("status", [{}, running()])
def test_a_pod_that_is_deleted_before_its_container_ends_is_lost(
    server: ApiServer, kubeconfig: str, status: dict[str, Any]
) -> None:
    server.put(pod("a", **status))

    async def act(followed: Followed) -> Ending:
        await until(lambda: server.streams >= 2)
        server.remove("a")
        return await followed.ending()

    found = check(kubeconfig, act)
    assert (found.kind, found.message, found.node, found.log_complete) == (Kind.LOST, GONE, "node-1", True)


def test_a_pod_that_is_deleted_as_it_ends_has_ended(server: ApiServer, kubeconfig: str) -> None:
    """Its last state and its deletion come together: somebody cleans up fast."""
    server.put(pod("a", **running()))

    async def act(followed: Followed) -> Ending:
        await until(lambda: server.streams >= 3)
        server.status("a", **ended(message="{}"))
        server.remove("a")
        return await followed.ending()

    found = check(kubeconfig, act)
    assert (found.kind, found.output, found.log_complete) == (Kind.SUCCEEDED, "{}", True)


def test_a_pod_that_went_while_the_watch_was_cut_is_lost(server: ApiServer, kubeconfig: str) -> None:
    server.put(pod("a", **running()))

    async def act(followed: Followed) -> Ending:
        await until(lambda: server.streams >= 3)
        server.away = True
        server.cut()
        server.remove("a")
        server.forget()
        server.away = False
        return await followed.ending()

    assert check(kubeconfig, act).kind is Kind.LOST


def test_a_pod_that_no_list_has_ever_shown_can_go(server: ApiServer, kubeconfig: str) -> None:
    """It was asked for by its name while the list could not be read, and had gone when it could."""
    server.fail(500, 1000, verb="list")
    server.put(pod("a", **running()))

    async def act(followed: Followed) -> Ending:
        await until(lambda: server.asked("log"))
        server.remove("a")
        await followed.goes_on()
        server.faults.clear()
        return await followed.ending()

    found = check(kubeconfig, act)
    assert (found.kind, found.message) == (Kind.LOST, GONE)


def test_a_pod_that_came_after_the_list_was_read_is_not_lost(server: ApiServer, kubeconfig: str) -> None:
    """The list is of before the pod, and arrives after it was asked for."""

    async def all_of_it() -> None:
        cluster = Cluster(kubeconfig, "risk")
        watch = PodWatch(cluster, "team-risk", environment="local")
        with watch.follow("a", "uid-a") as subscription:
            server.put(pod("a", **running()))
            assert await watch.look(subscription)
            watch._replace([])
            assert not subscription.gone
            await watch.confirm(subscription)
            assert subscription.pod is not None and not subscription.gone
        await cluster.close()

    run(all_of_it)


def test_the_grace_period_of_a_deletion_is_waited_for(server: ApiServer, kubeconfig: str) -> None:
    clock = Clock()
    server.put(pod("a", **running(since=900)))

    async def act(followed: Followed) -> Ending:
        await until(lambda: server.streams >= 3)
        deleted = server.read("a")
        deleted["metadata"].update(deletionTimestamp=at(1030), deletionGracePeriodSeconds=30)
        server.put(deleted)
        await followed.goes_on()
        clock.now = 1030 + module.REMOVAL_SECONDS - 1
        await followed.goes_on()
        server.status("a", **ended(143, begin=900, end=1029))
        return await followed.ending()

    found = check(kubeconfig, act, clock=clock)
    assert (found.kind, found.message) == (Kind.LOST, GONE)


@pytest.mark.parametrize("status", [running(since=900), {}])
def test_a_machine_that_does_not_answer_is_given_up(server: ApiServer, kubeconfig: str, status: dict[str, Any]) -> None:
    clock = Clock()
    deleted = pod("a", **status)
    deleted["metadata"].update(deletionTimestamp=at(1030), deletionGracePeriodSeconds=30, creationTimestamp=at(900))
    server.put(deleted)

    async def act(followed: Followed) -> Ending:
        await until(lambda: server.streams >= 2)
        clock.now = 1030 + module.REMOVAL_SECONDS - 1
        await followed.goes_on()
        clock.now += 1
        return await followed.ending()

    found = check(kubeconfig, act, clock=clock)
    assert (found.kind, found.message, found.node) == (Kind.LOST, UNCONFIRMED, "node-1")
    assert server.asked("delete") == []


def test_the_timeout_counts_from_the_container_s_start(server: ApiServer, kubeconfig: str) -> None:
    clock = Clock()
    waiting_long = pod("a")
    waiting_long["metadata"]["creationTimestamp"] = at(500)
    server.put(waiting_long)

    async def act(followed: Followed) -> Ending:
        await until(lambda: server.streams == 2)
        clock.now = 1090
        await followed.goes_on()
        server.status("a", **running(since=1090))
        await until(lambda: server.streams == 3)
        server.log("a", b"so far\n")
        clock.now = 1090 + 119
        await followed.goes_on()
        clock.now += 1
        found = await followed.ending()
        assert followed.log.text == "so far"
        return found

    found = check(kubeconfig, act, clock=clock, timeout=120, startup_timeout=600)
    words = "the task's timeout of 120 s, from its container's start on, is over"
    assert (found.kind, found.message, found.log_complete) == (Kind.TIMED_OUT, words, True)
    assert not server.has("a")


def test_a_task_without_a_timeout_runs_on(server: ApiServer, kubeconfig: str) -> None:
    clock = Clock()
    server.put(pod("a", **running(since=0)))

    async def act(followed: Followed) -> None:
        await until(lambda: server.streams == 3)
        clock.now = 1e9
        await followed.goes_on()

    check(kubeconfig, act, clock=clock)


@pytest.mark.parametrize("end", [ended(begin=990, end=1100), ended(5, begin=990, end=1100)])
def test_a_pod_that_ended_in_time_while_the_server_was_away_was_in_time(
    server: ApiServer, kubeconfig: str, end: dict[str, Any]
) -> None:
    """The clock says that its time is over; what is known of it is of before."""
    clock = Clock()
    server.put(pod("a", **running(since=990)))

    async def act(followed: Followed) -> Ending:
        await until(lambda: server.streams == 3)
        server.away = True
        server.cut()
        clock.now = 2000
        await followed.goes_on()
        server.status("a", **end)
        server.away = False
        return await followed.ending()

    found = check(kubeconfig, act, clock=clock, timeout=120)
    assert found.kind is (Kind.SUCCEEDED if end["phase"] == "Succeeded" else Kind.FAILED)
    assert server.asked("delete") == []


def test_a_pod_that_started_while_the_server_was_away_has_started(server: ApiServer, kubeconfig: str) -> None:
    clock = Clock()
    late = pod("a")
    late["metadata"]["creationTimestamp"] = at(1000)
    server.put(late)

    async def act(followed: Followed) -> None:
        await until(lambda: server.streams == 2)
        server.away = True
        server.cut()
        clock.now = 1700
        server.status("a", **running(since=1010))
        await followed.goes_on()
        server.away = False
        await until(lambda: server.streams == 3)
        await followed.goes_on()

    check(kubeconfig, act, clock=clock)


def test_a_deadline_that_kubernetes_kept_leaves_the_log_to_be_read(server: ApiServer, kubeconfig: str) -> None:
    server.put(pod("a", **running()))
    server.log("a", b"one\n")

    async def act(followed: Followed) -> Ending:
        await until(lambda: followed.log.text == "one")
        server.fail(500, 1000, verb="log")
        server.cut()
        server.log("a", b"two\n")
        server.status("a", **{**ended(137), "reason": "DeadlineExceeded", "message": "too long"})
        return await followed.ending()

    found = check(kubeconfig, act)
    assert (found.kind, found.log_complete, found.log.lines) == (Kind.TIMED_OUT, False, 1)
    assert server.has("a")


def test_a_pod_whose_time_is_over_keeps_the_log_that_was_not_written(
    server: ApiServer, kubeconfig: str, quick: Callable[..., None]
) -> None:
    """Its end says what took so long; who finishes the task reads it, and deletes the pod."""
    quick(module, DRAIN_SECONDS=0.1)
    clock = Clock()
    server.put(pod("a", **running(since=990)))
    server.fail(503, 1000, verb="log")

    async def act(followed: Followed) -> Ending:
        await until(lambda: server.asked("log"))
        clock.now = 2000
        return await followed.ending()

    found = check(kubeconfig, act, clock=clock, timeout=120)
    assert (found.kind, found.log_complete) == (Kind.TIMED_OUT, False)
    assert server.has("a")


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (waiting("ErrImageNeverPull"), Kind.CANNOT_START),
        (waiting("ErrImagePull", "manifest unknown"), Kind.CANNOT_START),
        (waiting("ContainerCreating"), Kind.NOT_STARTED),
        ({}, Kind.NOT_STARTED),
    ],
)
def test_a_pod_that_does_not_start_is_deleted(
    server: ApiServer, kubeconfig: str, status: dict[str, Any], kind: Kind
) -> None:
    clock = Clock()
    late = pod("a", **status)
    late["metadata"]["creationTimestamp"] = at(1000)
    server.put(late)

    async def act(followed: Followed) -> Ending:
        await until(lambda: server.streams == 2 or not server.has("a"))
        if kind is Kind.NOT_STARTED:
            clock.now = 1599
            await followed.goes_on()
            clock.now = 1600
        return await followed.ending()

    found = check(kubeconfig, act, clock=clock)
    assert (found.kind, found.log_complete) == (kind, True)
    assert not server.has("a")


def test_a_pod_that_can_t_be_deleted_is_said_to_be(server: ApiServer, kubeconfig: str) -> None:
    server.denied.add(("delete", "pods"))
    server.put(pod("a", **waiting("InvalidImageName")))

    async def act(followed: Followed) -> Ending:
        found = await followed.ending()
        assert "Could not delete the pod: 403: pods is forbidden" in followed.log.warnings[-1]
        return found

    assert check(kubeconfig, act).kind is Kind.CANNOT_START


def test_trouble_that_has_passed_is_forgotten(server: ApiServer, kubeconfig: str) -> None:
    """The registry was not there for a moment; then the image takes its time."""
    clock = Clock()
    server.put(pod("a", **waiting("ErrImagePull", "i/o timeout")))

    async def act(followed: Followed) -> None:
        await until(lambda: followed.start._trouble_since)
        server.status("a", **waiting("ContainerCreating"))
        await until(lambda: followed.start._trouble_since is None)
        clock.now += 100
        server.status("a", **waiting("ErrImagePull", "i/o timeout"))
        await until(lambda: followed.start._trouble_since)
        clock.now += 59
        await followed.goes_on()
        clock.now += 1
        found = await followed.ending()
        assert found.kind is Kind.NOT_STARTED

    check(kubeconfig, act, clock=clock, startup_timeout=10_000_000)


def test_a_pod_that_is_waited_for_is_not_looked_at_all_the_time(
    server: ApiServer, kubeconfig: str, quick: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    quick(module, LONGEST_WAIT=5.0)
    clock = Clock()
    server.put(pod("a", **waiting("ErrImagePull", "i/o timeout")))
    looked: list[float] = []
    judge = Following._judge
    monkeypatch.setattr(Following, "_judge", lambda self, pod: (looked.append(clock.now), judge(self, pod))[1])

    async def act(followed: Followed) -> None:
        await until(lambda: server.streams == 2 and looked)
        clock.now += 100
        # Its trouble has lasted too long by then, but is over.
        server.status("a", **waiting("ContainerCreating"))
        await until(lambda: len(looked) >= 2)
        before = len(looked)
        await followed.goes_on(0.4)
        assert len(looked) - before <= 1

    check(kubeconfig, act, clock=clock, startup_timeout=10_000_000)


def test_the_time_to_start_counts_from_when_the_queue_is_left(server: ApiServer, kubeconfig: str) -> None:
    clock = Clock()
    gated = pod("a", gated=True, node="")
    gated["metadata"]["creationTimestamp"] = at(1000)
    server.put(gated)

    async def act(followed: Followed) -> Ending:
        await until(lambda: followed.start._was_gated)
        clock.now = 9000
        await followed.goes_on()
        del gated["spec"]["schedulingGates"]
        server.put(gated)
        await until(lambda: followed.start._begin)
        clock.now = 9599
        await followed.goes_on()
        clock.now = 9600
        return await followed.ending()

    assert check(kubeconfig, act, clock=clock).kind is Kind.NOT_STARTED


@pytest.mark.parametrize(("scheduled", "end"), [(8900, 9500), (None, 9600)])
def test_after_a_restart_the_time_in_the_queue_does_not_count_either(
    server: ApiServer, kubeconfig: str, scheduled: float | None, end: float
) -> None:
    """Who follows it first has not seen it in the queue."""
    clock = Clock()
    clock.now = 9000
    out = pod("a")
    out["metadata"]["creationTimestamp"] = at(1000)
    out["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] = "default"
    if scheduled:
        condition = {"type": "PodScheduled", "status": "True", "lastTransitionTime": at(scheduled)}
        out["status"]["conditions"] = [condition]
    server.put(out)

    async def act(followed: Followed) -> Ending:
        await until(lambda: followed.start._begin)
        clock.now = end - 1
        await followed.goes_on()
        clock.now = end
        return await followed.ending()

    assert check(kubeconfig, act, clock=clock).kind is Kind.NOT_STARTED


def test_a_new_follower_goes_on_with_the_same_deadlines(server: ApiServer, kubeconfig: str) -> None:
    """The triggerer was killed while the pod ran: the next one has the pod's own times."""
    clock = Clock()
    server.put(pod("a", **running(since=990)))
    server.log("a", b"one\n")

    async def first(followed: Followed) -> None:
        await until(lambda: followed.log.text == "one")

    check(kubeconfig, first, clock=clock, timeout=120)
    clock.now = 1109

    async def second(followed: Followed) -> Ending:
        await until(lambda: followed.log.text == "one")
        await followed.goes_on()
        clock.now = 1110
        return await followed.ending()

    assert check(kubeconfig, second, clock=clock, timeout=120).kind is Kind.TIMED_OUT
    assert not server.has("a")


def test_events_are_in_the_log_once(server: ApiServer, kubeconfig: str) -> None:
    server.put(event("a.1", "Scheduled", "assigned", "Normal"))
    server.put(event("b.1", "Scheduled", "another's", "Normal", of="b"))
    server.put(pod("a"))

    async def act(followed: Followed) -> list[str]:
        await until(lambda: server.streams == 2)
        server.put(event("a.2", "FailedScheduling", "0/1 nodes"))
        await until(lambda: followed.log.warnings)
        # It comes again, with another count; then all of them, as the version is forgotten.
        server.put(event("a.2", "FailedScheduling", "0/1 nodes"))
        server.away = True
        server.cut()
        server.forget()
        server.away = False
        await until(lambda: len(server.asked("list", "events")) == 2)
        server.put(event("a.3", "Pulled", "done", "Normal"))
        await until(lambda: "Pod event: Pulled: done" in followed.log.lines)
        server.remove("a.1", "events")
        server.status("a", **ended())
        await followed.ending()
        return followed.log.lines

    assert check(kubeconfig, act)[:3] == [
        "Pod event: Scheduled: assigned",
        "Pod event: FailedScheduling: 0/1 nodes",
        "Pod event: Pulled: done",
    ]


def test_events_that_come_before_the_follower_are_in_the_log(server: ApiServer, kubeconfig: str) -> None:
    """The kubelet is faster than the triggerer; the watch is the team's, and was there before."""

    async def all_of_it() -> list[str]:
        cluster = Cluster(kubeconfig, "risk")
        watch = PodWatch(cluster, "team-risk", environment="local")
        watch.start()
        await until(lambda: server.streams == 2)
        for number in range(40):
            server.put(event(f"a.{number}", "Pulling", f"{number}", "Normal"))
        server.put(event("node", "Rebooted", "x", of="b"))
        server.put(pod("a", **ended()))
        await until(lambda: watch.pods)
        await asyncio.sleep(0.05)
        log = Log()
        await Following(target(kubeconfig), cluster, watch, log).run()
        await watch.stop()
        await cluster.close()
        return log.lines

    # The last ones are kept.
    assert run(all_of_it) == [f"Pod event: Pulling: {number}" for number in range(10, 40)]


def test_old_events_of_pods_that_nobody_follows_are_dropped(
    server: ApiServer, kubeconfig: str, quick: Callable[..., None]
) -> None:
    quick(watch_module, EVENT_SECONDS=0.05)

    async def all_of_it() -> None:
        cluster = Cluster(kubeconfig, "risk")
        watch = PodWatch(cluster, "team-risk", environment="local")
        watch.start()
        await until(lambda: server.streams == 2)
        for number in range(50):
            server.put(event(f"e.{number}", "Pulling", "", of=f"pod-{number}"))
        await until(lambda: len(watch._events) == 50 or "pod-49" in watch._events)
        await asyncio.sleep(0.06)
        server.put(event("last", "Pulling", "", of="last"))
        await until(lambda: list(watch._events) == ["last"])
        await watch.stop()
        await cluster.close()

    run(all_of_it)


def test_events_that_can_t_be_read_are_said_once_and_hold_nothing_up(server: ApiServer, kubeconfig: str) -> None:
    server.denied.add(("list", "events"))
    server.put(pod("a", **running()))

    async def act(followed: Followed) -> Ending:
        await until(lambda: followed.log.warnings)
        await followed.goes_on()
        words = "Could not read the pod's events: 403: events is forbidden: User cannot list resource"
        assert followed.log.warnings == [words]
        server.denied.clear()
        server.put(event("a.1", "Pulled", "x"))
        await until(lambda: len(followed.log.warnings) == 2)
        server.status("a", **ended())
        return await followed.ending()

    assert check(kubeconfig, act).kind is Kind.SUCCEEDED


@pytest.mark.parametrize("only", [True, False])
def test_pods_that_may_not_be_listed_are_asked_for_by_name(server: ApiServer, kubeconfig: str, only: bool) -> None:
    server.denied |= {("list", "pods"), ("watch", "pods")}
    server.put(pod("a", **running()))

    async def act(followed: Followed) -> Ending:
        await until(lambda: followed.log.warnings)
        await followed.goes_on()
        words = "The team's pods can't be watched; this one is asked for by its name: 403: pods is forbidden"
        assert [line.partition(": User")[0] for line in followed.log.warnings] == [words]
        server.status("a", **ended())
        return await followed.ending()

    assert check(kubeconfig, act, only=only).kind is Kind.SUCCEEDED


def test_rights_that_are_lost_for_a_while_lose_no_pod(server: ApiServer, kubeconfig: str) -> None:
    """A refused list is not an empty one."""
    server.put(pod("a", **running()))

    async def act(followed: Followed) -> Ending:
        await until(lambda: server.streams == 3)
        server.denied |= {("list", "pods"), ("watch", "pods"), ("get", "pods"), ("log", "pods")}
        server.forget()
        server.cut()
        await until(lambda: followed.log.warnings)
        await followed.goes_on()
        server.denied.clear()
        await followed.goes_on()
        server.status("a", **ended())
        return await followed.ending()

    assert check(kubeconfig, act).kind is Kind.SUCCEEDED


def test_a_token_that_expires_while_a_pod_runs(server: ApiServer, kubeconfig: str, quick: Callable[..., None]) -> None:
    from pathlib import Path

    from jobyard.following import cluster as cluster_module

    quick(cluster_module, RENEW_SECONDS=0)
    server.tokens = {"first"}
    server.put(pod("a", **running()))

    async def act(followed: Followed) -> Ending:
        await until(lambda: server.streams == 3)
        server.tokens = {"second"}
        server.cut()
        await followed.goes_on()
        config = Path(kubeconfig)
        config.write_text(config.read_text().replace("first", "second"))
        await until(lambda: server.streams == 3)
        server.log("a", b"after\n")
        server.status("a", **ended())
        found = await followed.ending()
        assert followed.log.text == "after"
        return found

    assert check(kubeconfig, act).log_complete


def test_a_log_of_the_airflow_that_fails_is_not_the_end(server: ApiServer, kubeconfig: str) -> None:
    """Whatever the task's log raises for a line, the pod is followed, and its log is not said to be whole."""
    server.put(pod("a", **running()))
    server.log("a", b"one\n")

    async def act(followed: Followed) -> Ending:
        def fail(message: str) -> None:
            raise RuntimeError("no log")

        followed.log.info = fail  # type: ignore[method-assign]
        await until(lambda: server.asked("log"))
        await followed.goes_on()
        server.status("a", **ended())
        return await followed.ending()

    found = check(kubeconfig, act)
    assert (found.kind, found.log_complete) == (Kind.SUCCEEDED, False)


def test_cancelling_leaves_no_request_behind(server: ApiServer, kubeconfig: str) -> None:
    server.put(pod("a", **running()))

    async def act(followed: Followed) -> None:
        await until(lambda: server.streams == 3)
        followed.task.cancel()
        await until(lambda: server.streams == 2)
        assert not followed.watch.is_followed("a")

    check(kubeconfig, act)
    assert server.asked("delete") == []
