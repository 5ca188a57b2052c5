"""The life of pods that Airflow's triggerer follows, on real nodes: their logs, what people and machines do to them.

One run has a task for each case, so that all go on at once. A container's program goes on until the test ends it,
through its file system, as a test can also while the API server is away.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import pytest
from jobyard_cli.system.folders import cache_dir
from jobyard_local import airflow as local_airflow
from jobyard_local import cgroups, control_plane
from jobyard_local.cluster import EmbeddedCluster, namespace
from jobyard_local.demo.commands import FinishedDemo
from jobyard_local.demo.story import SECONDS
from jobyard_local.demo.team_repo import TEAM
from jobyard_local.platform import AIRFLOW_BUCKET, LocalPlatform
from jobyard_local.processes import Process
from jobyard_local.usage import PodUsage

from tests.end_to_end.following import job_file, release, run_to_its_end
from tests.support.waiting import wait_until

LIFE, DELETED, PAUSED, LATER = "pod-life", "pod-life-deleted", "pod-life-paused", "pod-life-later"
KILLED = "pod-life-killed"
RUN = "life"
LOG_SECONDS = 180
"""A line that a container has written is in Airflow's log by then: in seconds, unless other tests keep the machine
busy."""
GONE_SECONDS = 180
"""The pod of a task that a person has cleared, marked or deleted is gone by then: in a minute, unless the machine is
busy."""
SWEPT_SECONDS = 240
"""The pod that has ended while its DAG is paused: `UNFOLLOWED_SECONDS` and two times `SWEEP_SECONDS`, and then some."""
AWAY_SECONDS = 60
"""How long the API server is away: each of its clients has lost its connections and is between two tries by then."""
TIMEOUT = 61
"""The shortest for which a task is deferred."""
PENDING_SECONDS = 25
"""So long the pod with this timeout waits for a node: enough to tell when the timeout began."""
GROUP = "high-cpu"
LINES, PADDING, LONG = 100_000, 20, 1_000_000
"""More lines, and longer ones, than the triggerer writes while a pod runs: a worker writes the rest."""
END, PATH = "tmp/end", "/airflow/xcom/return.json"
LEFT = "what the pod left"
WAIT = f"""\
import os, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
second = 0
while not os.path.exists('/{END}'):
    print('alive for', second, 's', flush=True)
    time.sleep(1)
    second += 1
open('{PATH}', 'w').write('"{LEFT}"')
print('the last line')
"""
BEGIN = f"""\
import os, time
while not os.path.exists('/{END}'):
    time.sleep(0.1)
"""
MANY = f"""\
{BEGIN}
for number in range({LINES}):
    print('line', number, {PADDING} * '.')
"""
NOISE = f"""\
{BEGIN}
import random, sys
print('before the noise', flush=True)
random.seed(18)
for _ in range(200):
    sys.stdout.buffer.write(bytes(range(256)) + random.randbytes(500) + b'\\n')
sys.stdout.buffer.flush()
print('after the noise')
"""
LONG_LINE = f"""\
{BEGIN}
print('begin ' + {LONG} * 'x' + ' end')
print('after the long line')
"""
GROW = """\
import sys, time
time.sleep(int(sys.argv[1]))
block = b'x' * (180 * 2**20)
print('it has', len(block) >> 20, 'MiB')
"""
MEMORY, MORE_MEMORY = "128Mi", "256Mi"
Pods = Mapping[str, PodUsage]


def python(program: str, **more: Any) -> dict[str, Any]:
    """A task that runs a program."""
    return {"image": "inference", "command": ["python", "-c", program], **more}


def job(**tasks: Any) -> str:
    """A job.yaml, run by hand, whose tasks have one try."""
    defaults = {"retries": {"attempts": 0}, "timeout": "30m", "resources": {"cpu": "50m", "memory": MEMORY}}
    # YAML is a superset of JSON.
    return json.dumps({"apiVersion": "jobyard/v1", "schedule": None, "defaults": defaults, "tasks": tasks}, indent=1)


HANDLED = ("cleared", "marked-success", "marked-failed")
WAITING = ("logging", "drained", "followed", "ending", "unscheduled", "away", "away-ending", *HANDLED)
"""Tasks whose pods run until a test ends them."""
WRITING = ("many", "noise", "long-line")
MORE: dict[str, Any] = {"on_oom": {"memory": "x2", "at_most": "512Mi"}}
JOBS = {
    LIFE: job(
        **{name: python(WAIT) for name in WAITING},
        **{name: python(program) for name, program in zip(WRITING, (MANY, NOISE, LONG_LINE), strict=True)},
        # One is deferred by then, the other is not.
        grows=python(GROW, args=["20"], resources={"cpu": "50m", "memory": MEMORY, **MORE}),
        stays=python(GROW, args=["0"]),
        late=python(WAIT, node_group=GROUP, timeout=f"{TIMEOUT}s"),
    ),
    DELETED: job(waits=python(WAIT)),
    PAUSED: job(
        waits=python(WAIT),
        reader=python("import sys; print('read:', sys.argv[1])", args=["{{ outputs.waits }}"], needs=["waits"]),
    ),
    LATER: job(waits=python(WAIT)),
    KILLED: job(waits=python(WAIT, retries={"attempts": 1, "delay": "5s"})),
}


@pytest.fixture(scope="module")
def seen(demo: FinishedDemo) -> Iterator[Pods]:
    """Every pod of the team from here on, by UID."""
    with demo.story.watch() as watcher:
        yield watcher.pods


@pytest.fixture(scope="module", autouse=True)
def started(demo: FinishedDemo, seen: Pods) -> Iterator[None]:
    """The jobs, in Airflow, and a run of each but the later one; one node takes no pod yet."""
    platform = demo.story.platform
    for name, text in JOBS.items():
        job_file(demo, name).parent.mkdir()
        job_file(demo, name).write_text(text)
    release(demo, "Add jobs whose pods live through much")
    platform.airflow.wait_for_dags({f"{TEAM}.{name}" for name in JOBS}, SECONDS)
    platform.kubectl("cordon", node_of(platform, GROUP))
    for name in (LIFE, DELETED, PAUSED):
        platform.airflow.trigger(f"{TEAM}.{name}", RUN, None)
    yield
    for group in ("default", GROUP):
        platform.kubectl("uncordon", node_of(platform, group))


def node_of(platform: LocalPlatform, group: str) -> str:
    """The real node of a node group."""
    assert isinstance(platform.cluster, EmbeddedCluster)
    return next(node.name for node in platform.cluster.real_nodes() if node.group == group)


def task(platform: LocalPlatform, name: str, job: str = LIFE) -> dict[str, Any]:
    """The task's instance in the job's run."""
    instances = platform.airflow.tasks(f"{TEAM}.{job}", RUN)
    return next(instance for instance in instances if instance["task_id"] == name)


def state(platform: LocalPlatform, name: str, job: str = LIFE) -> str | None:
    found: str | None = task(platform, name, job)["state"]
    return found


def log(platform: LocalPlatform, name: str, job: str = LIFE, attempt: int = 1) -> list[str]:
    return platform.airflow.log(f"{TEAM}.{job}", RUN, name, attempt).splitlines()


def log_by_time(platform: LocalPlatform, name: str) -> list[str]:
    """The log's lines by their times: Airflow mixes up the order where triggerer and worker both wrote thousands."""
    path = f"dags/{TEAM}.{LIFE}/dagRuns/{RUN}/taskInstances/{name}/logs/1?full_content=true"
    entries = platform.airflow.call("GET", path)["content"]
    timed = [entry for entry in entries if entry.get("timestamp")]
    return [entry["event"] for entry in sorted(timed, key=lambda entry: datetime.fromisoformat(entry["timestamp"]))]


def pods(platform: LocalPlatform, name: str, job: str = LIFE) -> list[dict[str, Any]]:
    """The pods of the task that exist."""
    selector = f"--selector=jobyard.dev/job={job},jobyard.dev/task={name}"
    found: list[dict[str, Any]] = platform.kubectl.json("get", "pods", f"--namespace={namespace(TEAM)}", selector)[
        "items"
    ]
    return found


def uids(platform: LocalPlatform, name: str, job: str = LIFE) -> list[str]:
    return [pod["metadata"]["uid"] for pod in pods(platform, name, job)]


def made(seen: Pods, name: str, job: str = LIFE) -> list[str]:
    """The UIDs of all pods that the task ever had."""
    return [pod.uid for pod in [*seen.values()] if (pod.job, pod.task) == (job, name)]


def wait_for_pod(platform: LocalPlatform, name: str, job: str = LIFE) -> str:
    """Wait until the triggerer has the task, and its only pod runs; the pod's UID."""
    wait_until(lambda: state(platform, name, job) == "deferred", SECONDS)
    wait_until(lambda: [pod["status"]["phase"] for pod in pods(platform, name, job)] == ["Running"], SECONDS)
    return uids(platform, name, job)[0]


def end(platform: LocalPlatform, uid: str) -> None:
    """Have the pod's program end; the API server is not needed for it."""
    folders = [Path(f"/proc/{pid}/root/{END}") for pid in processes_of(platform, uid)]
    inside = [folder for folder in folders if folder.parent.is_dir()]
    assert inside, f"pod {uid} has no process"
    for file in inside:
        file.touch()


def processes_of(platform: LocalPlatform, uid: str) -> set[int]:
    """The processes of a pod on one of the real nodes."""
    assert isinstance(platform.cluster, EmbeddedCluster)
    found: set[int] = set()
    for node in platform.cluster.real_nodes():
        for hierarchy in cgroups.hierarchies():
            for folder in (hierarchy / node.cgroup).glob(f"**/pod{uid}"):
                found |= cgroups.pids(str(folder.relative_to(hierarchy)))
    return found


def succeeded(platform: LocalPlatform, name: str, job: str = LIFE, *, repeated: bool = False) -> None:
    """Wait until the task has ended, and see that it succeeded in its first try with the whole log.

    `repeated`: a triggerer was killed, and the next one wrote again what that had written.
    """
    wait_until(lambda: state(platform, name, job) in ("success", "failed", "up_for_retry"), SECONDS)
    lines = log(platform, name, job)
    assert (state(platform, name, job), task(platform, name, job)["try_number"]) == ("success", 1), "\n".join(lines)
    assert_whole([*dict.fromkeys(lines)] if repeated else lines)


def assert_whole(lines: list[str]) -> None:
    """Every line of the container is in the log once, in order, regardless of who wrote it."""
    written = [line.removeprefix("[base] ") for line in lines if line.startswith("[base] ")]
    assert written == [*(f"alive for {second} s" for second in range(len(written) - 1)), "the last line"]


def assert_same(written: list[str], expected: list[str]) -> None:
    """The same lines; the first difference says where thousands begin."""
    counts = Counter(written)
    first = next((number for number, pair in enumerate(zip(written, expected, strict=False)) if len({*pair}) > 1), None)
    around = [] if first is None else written[max(first - 2, 0) : first + 3]
    missing, repeated = len({*expected} - {*written}), sum(count > 1 for count in counts.values())
    assert (len(written), missing, repeated, first, around) == (len(expected), 0, 0, None, [])


@pytest.fixture(scope="module")
def handled(demo: FinishedDemo, started: None) -> dict[str, str]:
    """What people did to tasks whose pods ran, at once: task to the UID of the pod it had; others begin to write."""
    platform = demo.story.platform
    airflow = platform.airflow
    before = {name: wait_for_pod(platform, name) for name in HANDLED}
    before |= {name: wait_for_pod(platform, "waits", name) for name in (DELETED, PAUSED)}
    run = f"dags/{TEAM}.{LIFE}/dagRuns/{RUN}"
    clear = {"dry_run": False, "dag_run_id": RUN, "task_ids": ["cleared"], "only_failed": False}
    airflow.call("POST", f"dags/{TEAM}.{LIFE}/clearTaskInstances", clear)
    airflow.call("PATCH", f"{run}/taskInstances/marked-success", {"new_state": "success"})
    airflow.call("PATCH", f"{run}/taskInstances/marked-failed", {"new_state": "failed"})
    # Airflow deletes no run that goes on.
    airflow.call("PATCH", f"dags/{TEAM}.{DELETED}/dagRuns/{RUN}", {"state": "failed"})
    airflow.call("DELETE", f"dags/{TEAM}.{DELETED}/dagRuns/{RUN}")
    airflow.call("PATCH", f"dags/{TEAM}.{PAUSED}", {"is_paused": True})
    end(platform, before[PAUSED])
    for name in WRITING:
        end(platform, wait_for_pod(platform, name))
    return before


def test_a_task_whose_pod_runs_holds_no_worker_and_its_log_grows(platform: LocalPlatform) -> None:
    wait_for_pod(platform, "logging")
    [status] = pods(platform, "logging")[0]["status"]["containerStatuses"]
    began = datetime.fromisoformat(status["state"]["running"]["startedAt"]).timestamp()
    wait_until(lambda: any("alive for" in line for line in log(platform, "logging")), LOG_SECONDS)
    first = max(int(line.split()[-2]) for line in log(platform, "logging") if "alive for" in line)
    wait_until(lambda: f"[base] alive for {first + 5} s" in log(platform, "logging"), LOG_SECONDS)
    assert time.time() - began < LOG_SECONDS + first + 5
    instance = task(platform, "logging")
    assert instance["state"] == "deferred"
    assert instance["triggerer_job"]["hostname"]
    wait_until(lambda: not psutil.pid_exists(instance["pid"]))
    end(platform, uids(platform, "logging")[0])


def test_a_pod_that_waited_for_a_node_has_its_whole_timeout(platform: LocalPlatform) -> None:
    """The node takes it now; the test at the end sees when it was ended."""
    wait_until(lambda: state(platform, "late") == "deferred", SECONDS)
    [pod] = pods(platform, "late")
    assert pod["status"]["phase"] == "Pending"
    made_at = datetime.fromisoformat(pod["metadata"]["creationTimestamp"])
    wait_until(lambda: (datetime.now(UTC) - made_at).total_seconds() > PENDING_SECONDS)
    platform.kubectl("uncordon", node_of(platform, GROUP))


@pytest.mark.parametrize(("name", "ended"), [("marked-success", "success"), ("marked-failed", "failed")])
def test_the_pod_of_a_task_that_was_marked_is_gone(
    platform: LocalPlatform, seen: Pods, handled: dict[str, str], name: str, ended: str
) -> None:
    wait_until(lambda: not pods(platform, name), GONE_SECONDS)
    assert state(platform, name) == ended
    assert made(seen, name) == [handled[name]]


def test_the_pod_of_a_run_that_was_deleted_is_gone(platform: LocalPlatform, handled: dict[str, str]) -> None:
    wait_until(lambda: not pods(platform, "waits", DELETED), GONE_SECONDS)
    assert platform.airflow.runs(f"{TEAM}.{DELETED}") == []


def test_a_task_that_was_cleared_gets_a_new_pod_and_loses_the_other(
    platform: LocalPlatform, seen: Pods, handled: dict[str, str]
) -> None:
    wait_until(lambda: handled["cleared"] not in uids(platform, "cleared"), GONE_SECONDS)
    wait_until(lambda: len(made(seen, "cleared")) == 2, SECONDS)
    end(platform, wait_for_pod(platform, "cleared"))
    wait_until(lambda: state(platform, "cleared") == "success", SECONDS)
    assert task(platform, "cleared")["try_number"] == 2
    assert len(made(seen, "cleared")) == 2
    lines = log(platform, "cleared", attempt=2)
    # Where the triggerer deletes the other pod late, the try has taken that up before.
    begins = [number for number, line in enumerate(lines) if line.startswith("Building pod ")]
    assert_whole(lines[begins[-1] :])


def test_a_pod_on_a_node_that_is_drained_is_replaced_in_the_same_try(platform: LocalPlatform, seen: Pods) -> None:
    before = wait_for_pod(platform, "drained")
    node = node_of(platform, "default")
    selector = f"--pod-selector=jobyard.dev/job={LIFE},jobyard.dev/task=drained"
    platform.kubectl("drain", node, selector, "--force", "--timeout=120s")
    wait_until(lambda: len(made(seen, "drained")) == 2, SECONDS)
    platform.kubectl("uncordon", node)
    end(platform, wait_for_pod(platform, "drained"))
    wait_until(lambda: state(platform, "drained") in ("success", "failed"), SECONDS)
    lines = log(platform, "drained")
    assert (state(platform, "drained"), task(platform, "drained")["try_number"]) == ("success", 1), lines
    [lost, _] = made(seen, "drained")
    assert lost == before
    name = seen[before].name
    [words] = [line for line in lines if "was lost" in line]
    assert words.startswith(f"Pod {name} was lost (node: {node}): EvictionByEvictionAPI: Eviction API: evicting; ")
    assert words.endswith("replacement 1 of 5, in the same try")


def test_a_worker_that_is_killed_before_it_defers_leaves_its_pod_to_the_next_try(
    platform: LocalPlatform, seen: Pods
) -> None:
    platform.airflow.trigger(f"{TEAM}.{KILLED}", RUN, None)
    wait_until(lambda: [pod["status"]["phase"] for pod in pods(platform, "waits", KILLED)] == ["Running"], SECONDS)
    [pod] = uids(platform, "waits", KILLED)
    assert state(platform, "waits", KILLED) == "running"
    psutil.Process(task(platform, "waits", KILLED)["pid"]).kill()
    wait_until(lambda: task(platform, "waits", KILLED)["try_number"] == 2, SECONDS)
    assert wait_for_pod(platform, "waits", KILLED) == pod
    end(platform, pod)
    wait_until(lambda: state(platform, "waits", KILLED) == "success", SECONDS)
    assert made(seen, "waits", KILLED) == [pod]


def test_a_pod_that_ended_while_its_dag_was_paused_is_gone_and_its_task_has_its_output(
    platform: LocalPlatform, seen: Pods, handled: dict[str, str]
) -> None:
    dag = f"{TEAM}.{PAUSED}"
    wait_until(lambda: not pods(platform, "waits", PAUSED), SWEPT_SECONDS)
    assert state(platform, "waits", PAUSED) == "scheduled"
    platform.airflow.call("PATCH", f"dags/{dag}", {"is_paused": False})
    tasks = run_to_its_end(platform, dag, RUN)
    assert {task["task_id"]: (task["state"], task["try_number"]) for task in tasks} == {
        "waits": ("success", 1),
        "reader": ("success", 1),
    }
    assert f"[base] read: {LEFT}" in log(platform, "reader", PAUSED)
    assert_whole(log(platform, "waits", PAUSED))
    assert made(seen, "waits", PAUSED) == [handled[PAUSED]]


@pytest.mark.parametrize("name", WRITING)
def test_a_log_is_whole_whatever_the_container_writes(
    platform: LocalPlatform, handled: dict[str, str], name: str
) -> None:
    wait_until(lambda: state(platform, name) in ("success", "failed"), SECONDS)
    lines = log_by_time(platform, name)
    assert state(platform, name) == "success", "\n".join(lines)[-3000:]
    written = [line.removeprefix("[base] ") for line in lines if line.startswith("[base] ")]
    if name == "many":
        assert_same(written, [f"line {number} {PADDING * '.'}" for number in range(LINES)])
    elif name == "noise":
        assert (written[0], written[-1]) == ("before the noise", "after the noise")
        assert sum(line.count("\\x00") for line in lines) >= 200
    else:
        *pieces, last = written
        assert "".join(pieces) == f"begin {LONG * 'x'} end"
        assert last == "after the long line"


def test_a_triggerer_that_is_killed_loses_no_pod_and_makes_no_second(
    demo: FinishedDemo, seen: Pods, handled: dict[str, str]
) -> None:
    """When a task is just deferred, when its pod runs, and when it has just ended; another goes on with all.

    It comes after the tests of what a triggerer remembers: which logs it has written, and which pods are done with.
    """
    platform = demo.story.platform
    running, ending = wait_for_pod(platform, "followed"), wait_for_pod(platform, "ending")
    platform.airflow.trigger(f"{TEAM}.{LATER}", RUN, None)
    wait_until(lambda: state(platform, "waits", LATER) == "deferred", SECONDS)
    frozen = triggerer(platform)
    assert len(frozen) > 1
    for process in frozen:
        process.suspend()
    end(platform, ending)
    wait_until(lambda: [pod["status"]["phase"] for pod in pods(platform, "ending")] != ["Running"])
    for process in frozen:
        process.kill()
    psutil.wait_procs(frozen, timeout=60)
    platform.supervisor.start(airflow_process(platform, "airflow-triggerer"))
    succeeded(platform, "ending", repeated=True)
    end(platform, running)
    end(platform, wait_for_pod(platform, "waits", LATER))
    succeeded(platform, "followed", repeated=True)
    succeeded(platform, "waits", LATER, repeated=True)
    assert made(seen, "followed") == [running]
    assert made(seen, "ending") == [ending]
    assert len(made(seen, "waits", LATER)) == 1


def triggerer(platform: LocalPlatform) -> list[psutil.Process]:
    """The triggerer, and the process in which triggers run."""
    pid = platform.supervisor.pid("airflow-triggerer")
    assert pid
    top = psutil.Process(pid)
    return [top, *top.children(recursive=True)]


def airflow_process(platform: LocalPlatform, name: str) -> Process:
    installed = local_airflow.ensure(platform.source, cache_dir(), lambda _: None)
    processes = local_airflow.processes(platform.layout, installed, AIRFLOW_BUCKET, {})
    return next(process for process in processes if process.name == name)


def test_after_an_oom_the_next_pod_of_the_same_try_has_more_memory(platform: LocalPlatform, seen: Pods) -> None:
    wait_until(lambda: state(platform, "grows") in ("success", "failed"), SECONDS)
    lines = log(platform, "grows")
    assert (state(platform, "grows"), task(platform, "grows")["try_number"]) == ("success", 1), lines
    first, _ = made(seen, "grows")
    words = f"Pod {seen[first].name} ran out of memory at {MEMORY}. The next one has {MORE_MEMORY}, in the same try"
    assert words in lines
    assert "[base] it has 180 MiB" in lines
    assert f"It took {MORE_MEMORY} of memory to succeed: write `memory: {MORE_MEMORY}` into the job" in lines


def test_an_oom_without_on_oom_fails_the_try_and_says_what_to_write(platform: LocalPlatform, seen: Pods) -> None:
    wait_until(lambda: state(platform, "stays") in ("success", "failed"), SECONDS)
    lines = log(platform, "stays")
    assert state(platform, "stays") == "failed", lines
    assert f"Its limit was {MEMORY}: raise 'memory', or let it grow with 'on_oom'." in "\n".join(lines)
    assert len(made(seen, "stays")) == 1


def test_the_timeout_began_with_the_container(platform: LocalPlatform, seen: Pods) -> None:
    wait_until(lambda: state(platform, "late") in ("success", "failed"), SECONDS)
    lines = log(platform, "late")
    assert state(platform, "late") == "failed", lines
    words = f"the task's timeout of {TIMEOUT} s, from its container's start on, is over"
    assert words in "\n".join(lines)
    # A busy machine makes its seconds longer, and ends it later.
    last = max(int(line.split()[-2]) for line in lines if line.startswith("[base] alive for"))
    assert TIMEOUT - PENDING_SECONDS + 5 < last <= TIMEOUT + 60
    assert len(made(seen, "late")) == 1
    wait_until(lambda: not pods(platform, "late"), GONE_SECONDS)


def test_a_scheduler_that_was_killed_finds_the_pod_that_ended_meanwhile(platform: LocalPlatform, seen: Pods) -> None:
    pod = wait_for_pod(platform, "unscheduled")
    platform.supervisor.stop(["airflow-scheduler"], grace=0)
    end(platform, pod)
    wait_until(lambda: state(platform, "unscheduled") == "scheduled", SECONDS)
    platform.supervisor.start(airflow_process(platform, "airflow-scheduler"))
    # Its triggerer was killed before.
    succeeded(platform, "unscheduled", repeated=True)
    assert made(seen, "unscheduled") == [pod]


def test_pods_outlive_an_api_server_that_is_away(demo: FinishedDemo, seen: Pods) -> None:
    """One goes on until it is back, one ends meanwhile; each task has the pod that it had."""
    platform = demo.story.platform
    staying, ending = wait_for_pod(platform, "away"), wait_for_pod(platform, "away-ending")
    platform.supervisor.stop(["kube-apiserver"])
    came = time.monotonic() + AWAY_SECONDS
    end(platform, ending)
    wait_until(lambda: len(processes_of(platform, ending)) <= 1)
    wait_until(lambda: time.monotonic() > came)
    assert {state(platform, name) for name in ("away", "away-ending")} == {"deferred"}
    start_api_server(platform)
    # Their triggerer was killed before.
    succeeded(platform, "away-ending", repeated=True)
    end(platform, staying)
    succeeded(platform, "away", repeated=True)
    assert made(seen, "away") == [staying]
    assert made(seen, "away-ending") == [ending]
    assert all(platform.processes().values())


def start_api_server(platform: LocalPlatform) -> None:
    assert isinstance(platform.cluster, EmbeddedCluster)
    processes = control_plane.processes(platform.layout, platform.cluster.authority)
    platform.supervisor.start(next(process for process in processes if process.name == "kube-apiserver"))


def test_nothing_is_left(platform: LocalPlatform) -> None:
    """Kueue, which takes its finalizer off pods that have ended, comes back to the API server in its own time."""
    run_to_its_end(platform, f"{TEAM}.{LIFE}", RUN)
    selector = f"--selector=jobyard.dev/job in ({', '.join(JOBS)})"
    found = ("get", "pods", f"--namespace={namespace(TEAM)}", selector)
    wait_until(lambda: platform.kubectl.json(*found)["items"] == [], GONE_SECONDS)
