"""What the ClusterRole `jobyard-launcher` gives is what the job operator uses, no more and no less, on each Airflow.

Two jobs have each supported version do all that it does with pods. What that takes, the API server's audit log says. On
the platform's own Airflow the triggerer follows the pods of the first job, and workers those of the second.
"""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Any

import pytest
from jobyard_cli.airflow.virtualenv import AIRFLOW_VERSION
from jobyard_cli.cli.steps import Steps
from jobyard_cli.system.folders import cache_dir
from jobyard_local import airflow
from jobyard_local.cluster import namespace
from jobyard_local.demo.commands import FinishedDemo
from jobyard_local.demo.story import SECONDS
from jobyard_local.demo.team_repo import TEAM
from jobyard_local.platform import LocalPlatform
from jobyard_local.settings import Source

from tests.charts.test_rights import spelled_out
from tests.end_to_end.audit import Request, requests
from tests.end_to_end.following import job_file, release, run_to_its_end
from tests.end_to_end.older_airflow import Ended, OlderAirflow, Worker
from tests.support.airflow_workers import TEST_PACKAGES
from tests.support.waiting import wait_until

Shown = Callable[[], AbstractContextManager[Steps]]
# Each with a date of its own for its runs: Airflow takes up a pod that another left for the same run of the same task.
OLDER = {"2.11.2": "2026-11-01", "2.10.3": "2026-11-02"}
VERSIONS = (AIRFLOW_VERSION, *OLDER)
WORKING, SLEEPING = "ask-the-cluster", "outlive-a-worker"
USED = {
    "create pods",
    "delete pods",
    "get pods/log",
    "list events",
    "list pods",
    "watch events",
    "watch pods",
}
IN_NEED = {"get pods"}
"""Used where the answer to a pod's creation was lost, or where a watch does not show it: tests/dags has both."""
FAIL_ONCE = """\
import sys
open('/airflow/xcom/return.json', 'w').write('"what the task left"')
print('this is try', sys.argv[1])
sys.exit(sys.argv[1] == '1')
"""
# More than one line, as the operator logs a line once it has read the next one's beginning.
SLEEP = """\
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
for second in range(900):
    print('asleep for', second, 's', flush=True)
    time.sleep(1)
"""


def job(tasks: Mapping[str, Any], **more: Any) -> str:
    """A job.yaml, run by hand, with one more try for each task."""
    retries = {"attempts": 1, "delay": "1s", "backoff": "none"}
    defaults = {"retries": retries, "timeout": "15m", "resources": {"cpu": "100m", "memory": "128Mi"}}
    # YAML is a superset of JSON.
    content = {"apiVersion": "jobyard/v1", "schedule": None, "defaults": defaults, "tasks": tasks, **more}
    return json.dumps(content, indent=1)


def python(program: str, *arguments: str, **more: Any) -> dict[str, Any]:
    """A task that runs a program."""
    return {"image": "inference", "command": ["python", "-c", program], "args": list(arguments), **more}


JOBS = {
    WORKING: job(
        {
            "fails": python(FAIL_ONCE, "{{ ti.try_number }}"),
            "reader": python("import sys; print('read:', sys.argv[1])", "{{ outputs.fails }}", needs=["fails"]),
        }
    ),
    # Airflow counts no deferred task towards that limit: a worker follows the pod.
    SLEEPING: job({"sleeper": python(SLEEP)}, max_active_tasks=1),
}


@pytest.fixture(scope="module", autouse=True)
def released(demo: FinishedDemo) -> None:
    """Both jobs, in Airflow."""
    for name, text in JOBS.items():
        job_file(demo, name).parent.mkdir()
        job_file(demo, name).write_text(text)
    release(demo, "Add jobs that ask all of the cluster that a job asks")
    demo.story.platform.airflow.wait_for_dags({f"{TEAM}.{name}" for name in JOBS}, SECONDS)


@pytest.fixture(scope="module", autouse=True)
def older(
    demo: FinishedDemo, released: None, shown: Shown, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Future[Ended]]]:
    """The jobs on the older versions, while the platform's own runs them too: most of the time is waiting."""
    platform = demo.story.platform
    # Made here, as pytest's own folder for them may not be made in two threads.
    homes = {version: tmp_path_factory.mktemp("airflow") for version in OLDER}
    with shown() as steps, ThreadPoolExecutor() as pool:

        def lived(version: str) -> Ended:
            with steps.step(f"a launcher's jobs on Airflow {version}") as report:
                # With what the tests of the library have there, so that it is the same environment.
                installed = airflow.environment(platform.source, cache_dir(), report, version, extra=TEST_PACKAGES)
                report("running")
                return live_through(OlderAirflow(platform, installed, homes[version]), platform, version)

        yield {version: pool.submit(lived, version) for version in OLDER}


def live_through(older: OlderAirflow, platform: LocalPlatform, version: str) -> Ended:
    """Run both jobs; the worker is lost while the second's pod runs, and the next one receives the signal to stop."""
    dags = [f"{TEAM}.{name}" for name in (WORKING, SLEEPING)]
    with older.worker(OLDER[version], dags) as lost:
        lost.wait_until(lambda: phases(platform, version) == ["Running"] and bool(lost.ended()))
    ended, log = lost.ended(), lost.log()
    before = names(platform, version)
    for line in ("this is try 1", "this is try 2", "read: what the task left"):
        assert line in log, log
    with older.worker(OLDER[version], dags[1:]) as taking_up:
        taking_up.wait_until(lambda: "asleep for" in taking_up.log())
        assert names(platform, version) == before
        stop(taking_up)
    wait_until(lambda: not names(platform, version))
    return ended


def stop(worker: Worker) -> None:
    """What ends a task whose run was marked, or whose machine goes."""
    worker.process.send_signal(signal.SIGTERM)
    wait_until(lambda: worker.process.poll() is not None)


def pods(platform: LocalPlatform, version: str) -> list[dict[str, Any]]:
    """The pods of the sleeping job that this version of Airflow has made."""
    selector = f"jobyard.dev/job={SLEEPING},airflow_version={version}"
    found: list[dict[str, Any]] = platform.kubectl.json(
        "get", "pods", f"--namespace={namespace(TEAM)}", f"--selector={selector}"
    )["items"]
    return found


def phases(platform: LocalPlatform, version: str) -> list[str]:
    return [pod["status"]["phase"] for pod in pods(platform, version)]


def names(platform: LocalPlatform, version: str) -> list[str]:
    return [pod["metadata"]["name"] for pod in pods(platform, version)]


def agents(version: str) -> set[str]:
    """How this version of Airflow names itself, in its provider's requests and the library's: each has other names."""
    pins = (Source.find().mwaa / version / "constraints.txt").read_text()
    [pin] = re.findall(r"^kubernetes==(\S+)$", pins, flags=re.MULTILINE)
    return {f"OpenAPI-Generator/{pin}/python", f"jobyard (kubernetes {pin})"}


def asked(platform: LocalPlatform) -> list[Request]:
    """All that launchers have asked for, but for what other tests have tried with kubectl."""
    return [request for request in requests(platform) if not request.agent.startswith("kubectl/")]


def used(platform: LocalPlatform, version: str) -> set[str]:
    """The rights that this version has used."""
    return {request.right for request in asked(platform) if request.agent in agents(version) and request.status < 400}


def test_the_platforms_airflow_lives_through_it(platform: LocalPlatform) -> None:
    """Its own scheduler restarts the task whose process was lost, and ends the one whose run is marked."""
    airflow = platform.airflow
    working, sleeping = (f"{TEAM}.{name}" for name in (WORKING, SLEEPING))
    for dag in (working, sleeping):
        airflow.trigger(dag, "rights", None)
    wait_until(lambda: phases(platform, AIRFLOW_VERSION) == ["Running"])
    before = names(platform, AIRFLOW_VERSION)
    [sleeper] = airflow.tasks(sleeping, "rights")
    os.kill(sleeper["pid"], signal.SIGKILL)
    wait_until(lambda: tries(platform, sleeping) == [("running", 2)])
    wait_until(lambda: "asleep for" in airflow.log(sleeping, "rights", "sleeper", attempt=2))
    assert names(platform, AIRFLOW_VERSION) == before
    airflow.call("PATCH", f"dags/{sleeping}/dagRuns/rights", {"state": "failed"})
    wait_until(lambda: not names(platform, AIRFLOW_VERSION))
    ended = run_to_its_end(platform, working, "rights")
    assert {task["task_id"]: (task["state"], task["try_number"]) for task in ended} == {
        "fails": ("success", 2),
        "reader": ("success", 1),
    }
    assert "this is try 1" in airflow.log(working, "rights", "fails")
    assert "read: what the task left" in airflow.log(working, "rights", "reader")


def tries(platform: LocalPlatform, dag: str) -> list[tuple[str, int]]:
    return [(task["state"], task["try_number"]) for task in platform.airflow.tasks(dag, "rights")]


@pytest.mark.parametrize("version", OLDER)
def test_an_older_airflow_lives_through_it(older: dict[str, Future[Ended]], version: str) -> None:
    assert older[version].result() == [{"fails": ["success", 2], "reader": ["success", 1]}]


@pytest.mark.parametrize("version", VERSIONS)
def test_it_has_used_these_rights(platform: LocalPlatform, version: str) -> None:
    assert used(platform, version) - IN_NEED == USED


def test_the_role_gives_the_rights_that_were_used_and_no_other(platform: LocalPlatform) -> None:
    rules = platform.kubectl.json("get", "clusterrole", "jobyard-launcher")["rules"]
    given = {right for rule in rules for right in spelled_out(rule)}
    assert given == IN_NEED.union(*(used(platform, version) for version in VERSIONS))


def test_none_was_missing(platform: LocalPlatform) -> None:
    assert {request.user for request in requests(platform)} == {"airflow-risk", "airflow-platform"}
    assert {request.agent for request in asked(platform)} == set[str]().union(*map(agents, VERSIONS))
    assert {request.right for request in asked(platform) if request.status == 403} == set()
