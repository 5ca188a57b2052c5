"""What the triggers of one triggerer share, and what is swept up behind them."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from api_server import ApiServer
from following_support import KEY, Log, ended, event, pod, run, running, target, until, write_kubeconfig
from jobyard.following import follow as follow_module
from jobyard.following import logs, task_state, watch
from jobyard.following import shared as module
from jobyard.following.cluster import FAILURES
from jobyard.following.here import follow_here
from jobyard.following.shared import Shared, abandon, follow, shared
from jobyard.following.target import Ending, Kind, LogPosition, Target, TaskKey


class Airflow:
    """The states of all instances of tasks."""

    def __init__(self) -> None:
        self.states: dict[tuple[str, str, str, int], str | None] = {}
        self.questions: list[tuple[str, str, str | None]] = []
        self.asked_at: list[float] = []
        """When each question came, in seconds."""
        self.is_away = False

    def set(self, state: str | None, run_id: str = "run", index: int = -1, task: str = "score") -> None:
        """Set the state of an instance."""
        self.states["risk.score", task, run_id, index] = state

    async def answer(self, dag_id: str, task_id: str, run_id: str | None = None) -> Any:
        """Answer as `task_state.states` does."""
        self.questions.append((dag_id, task_id, run_id))
        self.asked_at.append(time.monotonic())
        if self.is_away:
            raise RuntimeError("no database")
        found = {}
        for (dag, task, its_run, index), state in self.states.items():
            if (dag, task) == (dag_id, task_id) and run_id in (None, its_run):
                found[its_run, index] = state
        return found


@pytest.fixture
def airflow(monkeypatch: pytest.MonkeyPatch) -> Airflow:
    found = Airflow()
    found.set("deferred")
    monkeypatch.setattr(task_state, "states", found.answer)
    return found


Act = Callable[[Shared], Any]


def triggerer(act: Act) -> Any:
    """Run that in a triggerer; return what comes of it."""

    async def all_of_it() -> Any:
        found = shared()
        try:
            return await act(found)
        finally:
            for team in list(found._teams.values()):
                await team.close()
            if found._closing is not None:
                found._closing.cancel()

    return run(all_of_it)


def of(name: str, run_id: str = "run", index: int = -1, **labels: str) -> dict[str, Any]:
    """Return a pod of an instance."""
    found = pod(name, **running())
    found["metadata"]["labels"].update(run_id=run_id, **labels)
    if index >= 0:
        found["metadata"]["labels"]["map_index"] = str(index)
    return found


def key(run_id: str = "run", index: int = -1) -> TaskKey:
    return TaskKey("risk.score", run_id, "score", index)


def test_two_hundred_pods_of_a_team_cost_one_watch(
    server: ApiServer, kubeconfig: str, airflow: Airflow, quick: Callable[..., None]
) -> None:
    """Also where their events are here before they are, as after a restart."""
    quick(watch, CONFIRM_SECONDS=10)
    quick(follow_module, DRAIN_SECONDS=60)
    names = [f"pod-{number:03}" for number in range(200)]
    for name in names:
        server.put(pod(name))
        server.put(event(f"{name}.1", "Scheduled", "x", of=name))

    async def act(found: Shared) -> list[Ending]:
        targets = [target(kubeconfig, name, startup_timeout=10**9) for name in names]
        tasks = [asyncio.create_task(found.follow(one, Log())) for one in targets]
        await until(lambda: server.streams == 2, 10)
        for name in names:
            server.status(name, **ended())
        return await asyncio.gather(*tasks)

    endings = triggerer(act)
    assert {ending.kind for ending in endings} == {Kind.SUCCEEDED}
    assert len(server.asked("list", "pods")) == len(server.asked("list", "events")) == 1
    assert len(server.asked("watch", "pods")) == len(server.asked("watch", "events")) == 1
    assert server.asked("get") == []
    # Each pod's log, once.
    assert len(server.asked("log")) == 200


def test_a_pod_that_writes_too_much_is_left_to_a_worker_with_no_line_lost_or_twice(
    server: ApiServer, kubeconfig: str, airflow: Airflow, quick: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    quick(module, POD_RATE=20_000, POD_BURST=40_000)
    monkeypatch.setattr(logs, "BEHIND_SECONDS", 0.5)
    written = [f"{number:03} {500 * 'x'}" for number in range(200)]
    server.put(pod("a", **running()))
    server.log("a", *[f"{line}\n".encode() for line in written], after=0.001)
    log = Log()

    async def act(found: Shared) -> Ending:
        return await found.follow(target(kubeconfig), log)

    ending = triggerer(act)
    assert ending.kind is Kind.BEHIND and not ending.log_complete
    live = log.text.splitlines()
    assert live == written[: len(live)] and 60 < len(live) < len(written)
    server.status("a", **ended())
    rest = replace(target(kubeconfig), log=ending.log)
    assert follow_here(rest, log).kind is Kind.SUCCEEDED
    assert log.text.splitlines() == written


def test_what_all_pods_share_leaves_none_to_a_worker(
    server: ApiServer, kubeconfig: str, airflow: Airflow, quick: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    quick(module, LINES_OF_ALL=(5_000, 10_000))
    monkeypatch.setattr(logs, "BEHIND_SECONDS", 0.1)
    server.put(pod("a", **running()))
    server.log("a", *[f"{number:03} {500 * 'x'}\n".encode() for number in range(40)], after=0.001)

    async def act(found: Shared) -> Ending:
        task = asyncio.create_task(found.follow(target(kubeconfig), Log()))
        await asyncio.sleep(0.5)
        server.status("a", **ended())
        return await task

    assert triggerer(act).kind is Kind.SUCCEEDED


def test_two_teams_have_a_watch_each(server: ApiServer, tmp_path: Path, airflow: Airflow) -> None:
    users = {"risk": {"token": "of-risk"}, "care": {"token": "of-care"}}
    kubeconfig = write_kubeconfig(tmp_path / "kubeconfig", server.url, users)
    server.put(pod("a", **ended()))
    server.put(pod("b", **ended()))

    async def act(found: Shared) -> None:
        targets = [target(kubeconfig, "a"), target(kubeconfig, "b", context="care", namespace="team-care")]
        await asyncio.gather(*[found.follow(one, Log()) for one in targets])
        assert len(found._teams) == 2

    triggerer(act)
    seen = {(one.path.split("/")[4], one.token) for one in server.requests}
    assert seen == {("team-risk", "of-risk"), ("team-care", "of-care")}


def test_a_watch_that_nobody_needs_is_closed_and_begun_again(
    server: ApiServer, kubeconfig: str, airflow: Airflow, quick: Callable[..., None]
) -> None:
    quick(module, IDLE_SECONDS=0.1)
    server.put(pod("a", **ended()))
    server.put(pod("of-a-worker", **running()))

    async def act(found: Shared) -> None:
        await found.follow(target(kubeconfig), Log())
        await until(lambda: server.streams == 2)
        # A pod that is still there may have to be looked after.
        await asyncio.sleep(0.25)
        assert len(found._teams) == 1
        server.remove("of-a-worker")
        await until(lambda: not found._teams and server.streams == 0)
        server.put(pod("b", **ended()))
        assert (await found.follow(target(kubeconfig, "b"), Log())).kind is Kind.SUCCEEDED

    triggerer(act)


def test_a_watch_is_not_closed_under_a_pod_that_waits_for_its_quota(
    server: ApiServer, kubeconfig: str, airflow: Airflow, quick: Callable[..., None]
) -> None:
    quick(module, IDLE_SECONDS=0.05)
    server.quota = 0
    # The server says of every pod that it was made long ago.
    waits = target(kubeconfig, uid="", manifest=pod("a"), startup_timeout=10**9)

    async def act(found: Shared) -> Ending:
        task = asyncio.create_task(found.follow(waits, Log()))
        await until(lambda: server.asked("create"))
        await asyncio.sleep(0.2)
        assert found._teams and not task.done()
        server.quota = 1
        server.put(pod("other", **ended()))
        await until(lambda: server.has("a"))
        server.status("a", **ended())
        return await task

    assert triggerer(act).kind is Kind.SUCCEEDED


def test_what_a_loop_shared_is_forgotten_with_it(server: ApiServer, kubeconfig: str, airflow: Airflow) -> None:
    server.put(pod("a", **ended()))
    seen: list[Shared] = []

    async def act(found: Shared) -> None:
        assert shared() is found
        seen.append(found)
        await follow(target(kubeconfig).arguments(), Log())

    triggerer(act)
    triggerer(act)
    assert seen[0] is not seen[1]
    run(_none)
    assert len(module._shared) == 1


async def _none() -> None:
    shared()


def test_targets_and_endings_cross_as_json_values(server: ApiServer, kubeconfig: str, airflow: Airflow) -> None:
    import json

    server.put(pod("a", **ended(3, message="[1]")))
    server.log("a", b"one\n")

    async def act(found: Shared) -> dict[str, Any]:
        arguments = json.loads(json.dumps(target(kubeconfig).arguments()))
        return json.loads(json.dumps(await follow(arguments, Log())))  # type: ignore[no-any-return]

    found = Ending.of(triggerer(act))
    assert (found.kind, found.output, found.node, found.log.lines) == (Kind.FAILED, "[1]", "node-1", 1)


@pytest.mark.parametrize("newer", [{}, {"more": 1}])
def test_another_version_s_target_and_ending_are_understood(kubeconfig: str, newer: dict[str, Any]) -> None:
    arguments = {**target(kubeconfig).arguments(), **newer}
    arguments["task"] = {**arguments["task"], **newer}
    assert Target.of(arguments) == target(kubeconfig)
    del arguments["manifest"], arguments["log"], arguments["events"]
    assert Target.of(arguments) == target(kubeconfig)
    ending = {**Ending(Kind.LOST, log=LogPosition("x", 1)).arguments(), **newer}
    ending["log"] = {**ending["log"], **newer}
    assert Ending.of(ending) == Ending(Kind.LOST, log=LogPosition("x", 1))


def test_a_kind_that_is_not_known_yet_has_a_worker_look(kubeconfig: str) -> None:
    assert Ending.of({"kind": "suspended", "message": "x"}) == Ending(Kind.UNKNOWN, "x")


WANTED = ["deferred", "running", "queued", "scheduled", "restarting", "up_for_retry", "up_for_reschedule"]


@pytest.mark.parametrize("state", WANTED)
def test_a_pod_whose_task_goes_on_stays(server: ApiServer, kubeconfig: str, airflow: Airflow, state: str) -> None:
    """A worker, or another triggerer, follows it: Airflow is not asked all the time."""
    airflow.set(state)
    server.put(of("a"))
    server.put(of("b", "another run"))
    airflow.set(state, "another run")

    async def act(found: Shared) -> None:
        found.team(target(kubeconfig))
        await until(lambda: airflow.questions)
        await asyncio.sleep(0.1)

    triggerer(act)
    assert server.asked("delete") == []
    assert airflow.questions == [("risk.score", "score", None)]


@pytest.mark.parametrize("state", [None, "success", "failed", "skipped", "upstream_failed", "removed"])
def test_a_pod_whose_task_has_ended_goes(
    server: ApiServer, kubeconfig: str, airflow: Airflow, state: str | None
) -> None:
    airflow.set(state)
    server.put(of("a"))

    async def act(found: Shared) -> None:
        found.team(target(kubeconfig))
        await until(lambda: not server.has("a"))

    triggerer(act)


def test_only_the_pod_of_that_very_instance_goes(server: ApiServer, kubeconfig: str, airflow: Airflow) -> None:
    """By run, though its label is not its name, and by map index; with one question for all."""
    from airflow.providers.cncf.kubernetes.pod_generator import make_safe_label_value

    runs = {name: make_safe_label_value(name) for name in ("scheduled__2026-11-02T00:00:00+00:00", "manual__x" * 9)}
    for number, (name, label) in enumerate(runs.items()):
        assert label != name
        for index in range(3):
            server.put(of(f"{number}-{index}", label, index))
            airflow.set("running", name, index)
    airflow.set("success", "scheduled__2026-11-02T00:00:00+00:00", 1)

    async def act(found: Shared) -> None:
        found.team(target(kubeconfig))
        await until(lambda: not server.has("0-1"))
        await asyncio.sleep(0.1)

    triggerer(act)
    assert [one.name for one in server.asked("delete")] == ["0-1"]
    assert len(airflow.questions) == 1


def test_airflow_is_asked_less_and_less_for_a_pod_that_somebody_else_follows(
    server: ApiServer, kubeconfig: str, airflow: Airflow, quick: Callable[..., None]
) -> None:
    quick(module, SWEEP_SECONDS=0.01, WANTED_SECONDS=0.1, LONGEST_WANTED_SECONDS=0.4)
    server.put(of("a"))

    async def act(found: Shared) -> None:
        found.team(target(kubeconfig))
        await until(lambda: len(airflow.asked_at) >= 5)

    triggerer(act)
    waits = [after - before for before, after in pairwise(airflow.asked_at)]
    assert waits[0] >= 0.09
    assert waits[3] >= 0.35


def test_pods_that_no_airflow_here_knows_stay(server: ApiServer, kubeconfig: str, airflow: Airflow) -> None:
    """Another Airflow of the same environment may have them; or somebody has made them by hand."""
    server.put(of("unknown", "of-another-airflow"))
    for name in ("jobyard.dev/team", "jobyard.dev/job", "jobyard.dev/task", "run_id"):
        by_hand = of(f"without-{name.rpartition('/')[2].replace('_', '-')}")
        del by_hand["metadata"]["labels"][name]
        server.put(by_hand)
    odd = of("odd")
    odd["metadata"]["labels"]["map_index"] = "x"
    server.put(odd)
    another = of("another", "ended", **{"jobyard.dev/environment": "prod"})
    airflow.set("success", "ended")
    server.put(another)
    server.put(of("z", "ended"))

    async def act(found: Shared) -> None:
        found.team(target(kubeconfig))
        # None of them keeps those after them from being looked after.
        await until(lambda: not server.has("z"))
        await asyncio.sleep(0.1)

    triggerer(act)
    assert [one.name for one in server.asked("delete")] == ["z"]


def test_a_pod_that_is_followed_or_new_or_going_stays(
    server: ApiServer, kubeconfig: str, airflow: Airflow, quick: Callable[..., None]
) -> None:
    quick(module, UNFOLLOWED_SECONDS=0.3)
    airflow.set("success")
    server.put(of("a"))
    going = of("going")
    going["metadata"].update(deletionTimestamp="2026-11-03T12:00:00Z", deletionGracePeriodSeconds=30)
    server.put(going)

    async def act(found: Shared) -> None:
        task = asyncio.create_task(found.follow(target(kubeconfig), Log()))
        await until(lambda: server.streams >= 2)
        server.put(of("new"))
        await asyncio.sleep(0.15)
        assert server.asked("delete") == []
        await until(lambda: not server.has("new"))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    triggerer(act)
    assert [one.name for one in server.asked("delete")] == ["new"]


@pytest.mark.parametrize("state", ["missing", "success", "deferred"])
def test_a_pod_that_was_followed_here_goes_with_its_run(
    server: ApiServer, kubeconfig: str, airflow: Airflow, state: str
) -> None:
    """Its run was deleted, and the request to delete the pod failed. Airflow is asked for that run alone."""
    airflow.states.clear()
    server.put(of("a"))

    async def act(found: Shared) -> None:
        task = asyncio.create_task(found.follow(target(kubeconfig), Log()))
        await until(lambda: server.streams >= 3)
        if state != "missing":
            airflow.set(state)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await until(lambda: airflow.questions)
        if state != "deferred":
            await until(lambda: not server.has("a"))
        await asyncio.sleep(0.05)

    triggerer(act)
    assert server.has("a") is (state == "deferred")
    assert airflow.questions == [("risk.score", "score", "run")]


def test_an_airflow_that_can_t_be_asked_keeps_all_pods(server: ApiServer, kubeconfig: str, airflow: Airflow) -> None:
    airflow.set("success")
    airflow.is_away = True
    server.put(of("a"))

    async def act(found: Shared) -> None:
        found.team(target(kubeconfig))
        await until(lambda: len(airflow.questions) > 2)
        assert server.has("a")
        airflow.is_away = False
        await until(lambda: not server.has("a"))

    triggerer(act)


def test_a_pod_that_can_t_be_deleted_does_not_keep_the_others(
    server: ApiServer, kubeconfig: str, airflow: Airflow
) -> None:
    airflow.set("success")
    server.put(of("a"))
    server.put(of("b"))
    server.fail(403, 1, verb="delete")

    async def act(found: Shared) -> None:
        found.team(target(kubeconfig))
        await until(lambda: not server.has("a") and not server.has("b"))

    triggerer(act)


@pytest.mark.parametrize("is_complete", [True, False])
def test_an_ended_pod_goes_once_its_log_is_whole(
    server: ApiServer, kubeconfig: str, airflow: Airflow, is_complete: bool
) -> None:
    """While its DAG is paused, nobody finishes the task; a log that is not whole is still to be read."""
    airflow.set("scheduled")
    server.put(of("a"))
    server.status("a", **ended())
    server.log("a", b"one\n")
    if not is_complete:
        server.denied.add(("log", "pods"))

    async def act(found: Shared) -> None:
        ending = await found.follow(target(kubeconfig), Log())
        assert ending.log_complete is is_complete
        if is_complete:
            await until(lambda: not server.has("a"))
        else:
            await until(lambda: airflow.questions)
            await asyncio.sleep(0.05)

    triggerer(act)
    assert server.has("a") is not is_complete
    assert bool(airflow.questions) is not is_complete


@pytest.mark.parametrize(
    ("state", "is_deleted"),
    [("deferred", False), (None, True), ("success", True), ("failed", True), ("scheduled", True), ("running", True)],
)
def test_a_cancelled_trigger_deletes_the_pod_unless_its_task_waits_for_it(
    server: ApiServer, kubeconfig: str, airflow: Airflow, state: str | None, is_deleted: bool
) -> None:
    """A triggerer that stops cancels its triggers too."""
    airflow.set(state)
    server.put(of("a"))

    async def act(found: Shared) -> None:
        await abandon(target(kubeconfig).arguments())

    triggerer(act)
    assert server.has("a") is not is_deleted


def test_a_cancelled_trigger_of_a_run_that_was_deleted(server: ApiServer, kubeconfig: str, airflow: Airflow) -> None:
    airflow.states.clear()
    server.put(of("a"))
    triggerer(lambda found: abandon(target(kubeconfig).arguments()))
    assert not server.has("a")
    # It was deleted already.
    triggerer(lambda found: abandon(target(kubeconfig).arguments()))


def test_a_trigger_that_is_cancelled_once_more_deletes_the_pod_all_the_same(
    server: ApiServer, kubeconfig: str, airflow: Airflow
) -> None:
    """Airflow's triggerer cancels a trigger about once a second until it has ended, also while its `on_kill` runs."""
    airflow.set("running")
    server.put(of("a"))

    async def act(found: Shared) -> None:
        server.delay = 0.2
        abandoning = asyncio.create_task(abandon(target(kubeconfig).arguments()))
        await until(lambda: server.asked("delete"))
        abandoning.cancel()
        with pytest.raises(asyncio.CancelledError):
            await abandoning
        await until(lambda: not server.has("a"), 10)

    triggerer(act)


def test_a_server_that_was_away_then_has_the_pod_swept_up(
    server: ApiServer, kubeconfig: str, airflow: Airflow, quick: Callable[..., None]
) -> None:
    """Also long after: the watch is not closed before the pods could be listed."""
    quick(module, IDLE_SECONDS=0.05)
    airflow.set("success")
    server.put(of("a"))

    async def act(found: Shared) -> None:
        server.away = True
        with pytest.raises(FAILURES):
            await abandon(target(kubeconfig).arguments())
        await asyncio.sleep(0.2)
        server.away = False
        await until(lambda: not server.has("a"))

    triggerer(act)


def test_lines_of_the_watch_are_not_in_the_log_of_a_task(server: ApiServer, kubeconfig: str, airflow: Airflow) -> None:
    """Airflow knows by a context variable whose log a line belongs to; what is shared belongs to none."""
    import contextvars

    whose = contextvars.ContextVar("whose", default="nobody")
    seen: list[str] = []
    server.put(pod("a", **ended()))

    async def act(found: Shared) -> None:
        whose.set("task 1")
        team = found.team(target(kubeconfig))
        team.watch._pod_reflector._on_list = lambda items: seen.append(whose.get())
        await until(lambda: seen)

    triggerer(act)
    assert seen[0] == "nobody"


def test_a_task_is_deferred_for_some_time_at_least(
    server: ApiServer, kubeconfig: str, airflow: Airflow, quick: Callable[..., None]
) -> None:
    quick(module, LEAST_SECONDS=0.4)
    server.put(pod("a", **ended()))

    async def act(found: Shared) -> float:
        begin = asyncio.get_running_loop().time()
        await found.follow(target(kubeconfig, deferred_at=time.time()), Log())
        return asyncio.get_running_loop().time() - begin

    assert triggerer(act) >= 0.39


@pytest.mark.parametrize(
    ("passed", "least"),
    [(0, 20), (2, 26), (20, 80), (30, 90), (120, 0), (86_400, 0), (-5, 20)],
    ids=["idle", "usual", "busy", "very-busy", "restarted", "a-day-later", "another-clock"],
)
def test_on_a_busy_machine_it_is_deferred_for_longer(monkeypatch: pytest.MonkeyPatch, passed: int, least: int) -> None:
    monkeypatch.setattr(module, "LEAST_SECONDS", 20.0)
    assert max(0, round(module._least_seconds(time.time() - passed))) == least


def test_a_pod_that_a_finalizer_keeps_is_deleted_once(server: ApiServer, kubeconfig: str, airflow: Airflow) -> None:
    """Kueue's, while Kueue is away: the object stays until it is back."""
    airflow.set("success")
    server.graceful = 0
    server.put(of("a"))

    async def act(found: Shared) -> None:
        found.team(target(kubeconfig, "other"))
        await until(lambda: server.asked("delete"))
        await until(lambda: "deletionTimestamp" in server.read("a")["metadata"])
        asked = len(airflow.questions)
        await asyncio.sleep(0.3)
        assert len(airflow.questions) - asked <= 1

    triggerer(act)
    assert len(server.asked("delete")) == 1
    assert server.has("a")


def test_the_keys_of_pods_that_are_gone_are_forgotten(server: ApiServer, kubeconfig: str, airflow: Airflow) -> None:
    server.put(pod("a", **ended()))

    async def act(found: Shared) -> None:
        await found.follow(target(kubeconfig), Log())
        [team] = found._teams.values()
        assert team._tasks == {"a": KEY}
        await until(lambda: not server.has("a"))
        await until(lambda: not (team._tasks or team._handed_over or team._unfollowed or team._wanted))

    triggerer(act)
