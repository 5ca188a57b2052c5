"""Pods that wait for their quota in the triggerer."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from api_server import ApiServer
from following_support import Log, ended, pod, run, until
from jobyard.following import create as module
from jobyard.following.cluster import Cluster
from jobyard.following.create import NotAdmittedError, create
from jobyard.following.watch import PodWatch

Act = Callable[[Cluster, PodWatch, Log], Any]


def check(kubeconfig: str, act: Act) -> Any:
    """Do that with a team's watch."""

    async def all_of_it() -> Any:
        cluster = Cluster(kubeconfig, "risk")
        watch = PodWatch(cluster, "team-risk", environment="local")
        watch.start()
        try:
            return await act(cluster, watch, Log())
        finally:
            await watch.stop()
            await cluster.close()

    return run(all_of_it)


def test_a_pod_for_which_there_is_room_is_made_at_once(server: ApiServer, kubeconfig: str) -> None:
    assert check(kubeconfig, lambda *found: create(found[0], found[1], pod("a"), found[2])) == "uid-a"
    assert server.has("a")


def test_a_pod_waits_until_another_ends(server: ApiServer, kubeconfig: str) -> None:
    server.quota = 1
    server.put(pod("other"))

    async def act(cluster: Cluster, watch: PodWatch, log: Log) -> None:
        task = asyncio.create_task(create(cluster, watch, pod("a"), log))
        await until(lambda: server.asked("create"))
        await asyncio.sleep(0.1)
        assert len(server.asked("create")) == 1
        server.status("other", **ended())
        assert await task == "uid-a"
        assert [line.partition(": pods")[0] for line in log.lines] == [
            "The pod waits for the team's quota: 403",
        ]

    check(kubeconfig, act)


def test_many_that_wait_ask_one_after_the_other_and_all_are_made(
    server: ApiServer, kubeconfig: str, quick: Callable[..., None]
) -> None:
    quick(module, LOOK_SECONDS=0.05)
    server.quota = 4
    for number in range(4):
        server.put(pod(f"other-{number}"))

    async def act(cluster: Cluster, watch: PodWatch, log: Log) -> None:
        await until(lambda: len(watch.pods) == 4)
        names = [f"pod-{number}" for number in range(8)]
        tasks = [asyncio.create_task(create(cluster, watch, pod(name), log)) for name in names]
        await until(lambda: server.asked("create"))
        await asyncio.sleep(0.2)
        # The one that has its turn asks, nobody else.
        assert len(server.asked("create")) <= 5
        made: list[str] = []
        task_of = dict(zip(names, tasks, strict=True))
        while len(made) < 8:
            for name in server.names("pods"):
                server.status(name, **ended())
            await asyncio.wait(task_of.values(), return_when=asyncio.FIRST_COMPLETED)
            made += [name for name, task in task_of.items() if task.done()]
            task_of = {name: task for name, task in task_of.items() if not task.done()}
        assert sorted(made) == names

    check(kubeconfig, act)


@pytest.mark.parametrize("status", [401, 429, 500, 503])
def test_a_server_in_trouble_is_not_a_refusal(
    server: ApiServer, kubeconfig: str, quick: Callable[..., None], status: int
) -> None:
    quick(module, LOOK_SECONDS=0.01)
    server.fail(status, 5, verb="create")

    async def act(cluster: Cluster, watch: PodWatch, log: Log) -> None:
        assert await create(cluster, watch, pod("a"), log) == "uid-a"
        assert all(line.startswith("The API server can't be asked") for line in log.lines)

    check(kubeconfig, act)


def test_a_server_that_is_away_is_not_a_refusal(server: ApiServer, kubeconfig: str, quick: Callable[..., None]) -> None:
    quick(module, LOOK_SECONDS=0.01)
    server.away = True

    async def act(cluster: Cluster, watch: PodWatch, log: Log) -> None:
        task = asyncio.create_task(create(cluster, watch, pod("a"), log))
        await until(lambda: len(log.lines) > 4)
        server.away = False
        assert await task == "uid-a"

    check(kubeconfig, act)


def test_another_refusal_is_one(server: ApiServer, kubeconfig: str) -> None:
    server.fail(403, 1, verb="create", message="ValidatingAdmissionPolicy 'pods' denied request: no")
    with pytest.raises(NotAdmittedError, match="403: ValidatingAdmissionPolicy 'pods' denied request: no"):
        check(kubeconfig, lambda *found: create(found[0], found[1], pod("a"), found[2]))


def test_a_pod_that_an_earlier_request_made_is_that_one(server: ApiServer, kubeconfig: str) -> None:
    """The answer was lost, or the triggerer was."""
    server.put(pod("a", uid="made before"))
    assert check(kubeconfig, lambda *found: create(found[0], found[1], pod("a"), found[2])) == "made before"


def test_two_that_change_the_quota_at_once_are_no_refusal(
    server: ApiServer, kubeconfig: str, quick: Callable[..., None]
) -> None:
    """kubernetes: staging/src/k8s.io/apiserver/pkg/admission/plugin/resourcequota/controller.go."""
    quick(module, LOOK_SECONDS=0.01)
    words = 'Operation cannot be fulfilled on resourcequotas "team": the object has been modified'
    server.fail(409, 2, verb="create", message=words)
    assert check(kubeconfig, lambda *found: create(found[0], found[1], pod("a"), found[2])) == "uid-a"


def test_a_quota_that_never_has_room_ends_the_wait(
    server: ApiServer, kubeconfig: str, quick: Callable[..., None]
) -> None:
    quick(module, LOOK_SECONDS=0.01, QUOTA_SECONDS=0.1)
    server.quota = 0
    with pytest.raises(NotAdmittedError, match="quota had no room"):
        check(kubeconfig, lambda *found: create(found[0], found[1], pod("a"), found[2]))


def test_one_that_is_cancelled_leaves_its_turn_to_the_next(server: ApiServer, kubeconfig: str) -> None:
    server.quota = 1
    server.put(pod("other"))

    async def act(cluster: Cluster, watch: PodWatch, log: Log) -> None:
        first, second = (asyncio.create_task(create(cluster, watch, pod(name), log)) for name in ("a", "b"))
        await until(lambda: server.asked("create"))
        first.cancel()
        await until(lambda: len(server.asked("create")) == 2)
        server.remove("other")
        assert await second == "uid-b"

    check(kubeconfig, act)
    assert not server.has("a")
