"""Pods wait for quota, on the platform with Kueue, the scheduler and simulated machines; a real job's tasks too."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from jobyard_local import argocd
from jobyard_local.demo.commands import FinishedDemo
from jobyard_local.demo.story import SECONDS
from jobyard_local.demo.team_repo import TEAM
from jobyard_local.platform import LocalPlatform

from tests.end_to_end.following import job_file, most_at_once, release, run_to_its_end
from tests.end_to_end.queues import OWN, Queues, teams_of_their_own
from tests.support.waiting import wait_until

MANY, FEW, IDLE = "many", ("few-a", "few-b"), "idle"
TEAMS = (MANY, *FEW, IDLE)
ALL = OWN * len(TEAMS)
"""So many pods fit in the quota of all teams together."""
JOB, RUN = "wait-for-quota", "over-the-quota"
TASKS, AT_ONCE = 10, 4
HELD_SECONDS = 3
"""How long no other pod may start: Kueue admits one within a second."""


@pytest.fixture(scope="module")
def queues(demo: FinishedDemo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Queues]:
    """Teams whose quotas are alike, and nobody else's."""
    with teams_of_their_own(demo.story.platform, TEAMS, tmp_path_factory.mktemp("teams")) as made:
        yield made


@pytest.fixture
def empty(queues: Queues) -> Iterator[Queues]:
    """None has a pod."""
    yield queues
    queues.clear(TEAMS)


def names(first: str, count: int) -> list[str]:
    return [f"{first}-{number}" for number in range(count)]


def test_pods_over_the_quota_wait_in_idle_quota_of_others_too_and_none_fails(empty: Queues) -> None:
    started = names("job", ALL + 2)
    empty.start(MANY, *started)
    wait_until(lambda: len(empty.running(MANY)) == ALL)
    time.sleep(HELD_SECONDS)
    assert (len(empty.running(MANY)), len(empty.waiting(MANY))) == (ALL, 2)
    waited = empty.waiting(MANY)
    empty.end(MANY, empty.running(MANY)[:1])
    wait_until(lambda: len(empty.waiting(MANY)) == 1)
    others = [name for name in empty.running(MANY) if name not in waited]
    empty.end(MANY, others[:3])
    wait_until(lambda: set(waited) <= set(empty.running(MANY)))
    empty.end(MANY, empty.running(MANY))
    assert {name: pod["status"]["phase"] for name, pod in empty.pods(MANY).items()} == dict.fromkeys(
        started, "Succeeded"
    )


def test_of_ten_that_wait_the_one_of_the_highest_priority_goes_first(empty: Queues) -> None:
    empty.start(MANY, *names("before", ALL))
    wait_until(lambda: len(empty.running(MANY)) == ALL)
    empty.start(MANY, *names("normal", 9))
    empty.start(MANY, "high", priority="high")
    wait_until(lambda: len(empty.waiting(MANY)) == 10)
    empty.end(MANY, ["before-0"])
    wait_until(lambda: len(empty.waiting(MANY)) < 10)
    time.sleep(HELD_SECONDS)
    assert "high" not in empty.waiting(MANY)
    assert empty.waiting(MANY) == names("normal", 9)


def test_a_team_of_many_pods_lets_none_of_few_starve_and_shares_what_is_lent(empty: Queues) -> None:
    empty.start(MANY, *names("job", 60))
    wait_until(lambda: len(empty.running(MANY)) == ALL)
    for team in FEW:
        empty.start(team, *names("job", 9))
    for _ in range(OWN * len(FEW)):
        end_one(empty, MANY)
    # Each has its own back, and the one that came first still has all that is lent.
    assert running_of(empty) == {MANY: 2 * OWN, **dict.fromkeys(FEW, OWN), IDLE: 0}
    for _ in range(2 * OWN):
        end_one(empty, MANY)
    # Its pods have waited longest, and yet what is lent is shared.
    assert running_of(empty)[MANY] == OWN + 1


def end_one(queues: Queues, team: str) -> None:
    """End a pod of the team, and wait until another, of whichever team, runs in its place."""
    queues.end(team, queues.running(team)[:1])
    wait_until(lambda: sum(running_of(queues).values()) == ALL)


def running_of(queues: Queues) -> dict[str, int]:
    return {team: len(queues.running(team)) for team in TEAMS}


def job() -> str:
    """A job.yaml, run by hand: tasks beside each other, with one try each."""
    task = {"image": "inference", "command": ["python", "-c", "import time; time.sleep(3)"]}
    resources = {"cpu": "50m", "memory": "64Mi"}
    defaults = {"retries": {"attempts": 0}, "resources": resources}
    tasks = dict.fromkeys(names("task", TASKS), task)
    # YAML is a superset of JSON.
    return json.dumps({"apiVersion": "jobyard/v1", "schedule": None, "defaults": defaults, "tasks": tasks}, indent=1)


@pytest.fixture(scope="module")
def narrow(demo: FinishedDemo) -> Iterator[LocalPlatform]:
    """The demo's team may have `AT_ONCE` such pods at once, and borrows nothing."""
    platform = demo.story.platform
    grant = platform.teams()[TEAM]
    share = {"cpu": f"{AT_ONCE * 50}m", "borrow": {"cpu": "0"}}
    grant_now(platform, {**grant, "queue": {"nodeGroups": {"default": share}}})
    yield platform
    grant_now(platform, grant)


def grant_now(platform: LocalPlatform, grant: Mapping[str, Any]) -> None:
    """Change what the platform gives the demo's team, and wait until the cluster has it."""
    revision = platform.register({**platform.teams(), TEAM: grant})
    argocd.wait_settled(platform.kubectl, f"bounds-{TEAM}", revision)


def test_tasks_over_the_quota_wait_and_none_loses_its_try(demo: FinishedDemo, narrow: LocalPlatform) -> None:
    job_file(demo, JOB).parent.mkdir()
    job_file(demo, JOB).write_text(job())
    release(demo, "Add a job that is larger than its team's quota")
    dag = f"{TEAM}.{JOB}"
    narrow.airflow.wait_for_dags({dag}, SECONDS)
    with demo.story.watch() as watcher:
        run = narrow.airflow.trigger(dag, RUN, None)
        tasks = run_to_its_end(narrow, dag, run)
    assert {task["state"] for task in tasks} == {"success"}
    assert {task["try_number"] for task in tasks} == {1}
    pods = [pod for pod in watcher.pods.values() if pod.job == JOB]
    assert len(pods) == TASKS
    assert most_at_once(pods) <= AT_ONCE
