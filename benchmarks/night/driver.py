"""Plays a night: makes each task's pod when the crontab, or the task before it, says, and writes down what happens.

It also ends the pods, as a stage of kwok's begins its delay again each time that the pod changes.
"""

from __future__ import annotations

import heapq
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any

import requests
from jobyard.contract import QUEUE, QUEUE_LABEL
from jobyard.pod_parts import CONTAINER_SECURITY, DO_NOT_DISRUPT, LONG_SECONDS, NEAR_OTHER_TASKS, POD_SECURITY, labels
from jobyard_cli.errors import JobyardError

from night.cluster import Cluster
from night.scenario import Object, Scenario
from night.workload import Job, Task

HANDS = 8
"""Requests at one time."""
TRIES = 5
LONGEST = 8 * 3600
"""Seconds of the night after which something hangs."""
PODS, CLAIMS, NODES = "/api/v1/pods", "/apis/karpenter.sh/v1/nodeclaims", "/api/v1/nodes"
CREATED_BY_US = {"labelSelector": QUEUE_LABEL}


class NightError(JobyardError):
    """A night can't be played to its end."""


@dataclass
class Pod:
    """What became of one pod; times are seconds of the night, None for what did not happen."""

    task: Task
    due: float  # when the crontab or the task before it says so
    created: float | None = None
    admitted: float | None = None  # Kueue let it go
    bound: float | None = None
    running: float | None = None
    ended: float | None = None
    succeeded: bool = False
    node: str = ""


@dataclass
class Machine:
    """What became of one machine."""

    group: str
    launched: float
    instance_type: str = ""
    capacity_type: str = ""
    node: str = ""
    ready: float | None = None
    gone: float | None = None


@dataclass
class Record:
    """All that happened in a night."""

    scenario: Scenario
    pods: dict[str, Pod] = field(default_factory=dict)
    machines: dict[str, Machine] = field(default_factory=dict)

    def save(self, file: Path) -> None:
        """Write it as JSON."""
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(asdict(self)))

    @classmethod
    def load(cls, file: Path) -> Record:
        """Read what `save` wrote."""
        fields = json.loads(file.read_text())
        pods = {name: Pod(**{**one, "task": Task(**one["task"])}) for name, one in fields["pods"].items()}
        machines = {name: Machine(**one) for name, one in fields["machines"].items()}
        return cls(Scenario(**fields["scenario"]), pods, machines)


class Night:
    """One night, played on a cluster."""

    def __init__(self, cluster: Cluster, scenario: Scenario) -> None:
        self.record = Record(scenario)
        self._cluster = cluster
        self._scenario = scenario
        self._session = self._new_session()
        self._hands = ThreadPoolExecutor(HANDS)
        self._changed = threading.Condition()
        self._plan: list[tuple[float, int, Callable[[], object]]] = []
        self._rest: dict[str, tuple[Task, ...]] = {}
        self._open = 0
        self._planned = 0
        self._tries = 0
        self._over = False
        self._shown = -1
        self._error: BaseException | None = None
        self._began = time.monotonic()

    def play(self, jobs: Sequence[Job]) -> Record:
        """Run all jobs, and return when their last machine is gone."""
        for path, take in ((PODS, self._pod), (CLAIMS, self._claim), (NODES, self._node)):
            threading.Thread(target=self._watch, args=(path, take), daemon=True).start()
        self._open = len(jobs)
        self._began = time.monotonic()
        for job in jobs:
            self._at(job.start, partial(self._make, job.start, job.tasks))
        while self._step():
            pass
        self._over = True
        self._hands.shutdown()
        return self.record

    def now(self) -> float:
        """Seconds of the night."""
        return (time.monotonic() - self._began) * self._scenario.speed

    def _step(self) -> bool:
        """Do what is due, and wait for what is due next, or for a change; whether the night goes on."""
        with self._changed:
            if self._error is not None:
                raise self._error
            while self._plan and self._plan[0][0] <= self.now():
                _due, _number, work = heapq.heappop(self._plan)
                self._submit(work)
            there = any(machine.gone is None for machine in self.record.machines.values())
            if int(self.now()) // 1800 != self._shown:
                self._shown = int(self.now()) // 1800
                done = sum(pod.ended is not None for pod in self.record.pods.values())
                print(f"{self.now() / 3600:.1f} h: {done} of {len(self.record.pods)} pods ended", flush=True)
            if self.now() > LONGEST:
                raise AssertionError(f"{self._open} jobs are open, and there are machines: {there}")
            if not self._open and not there:
                return False
            wait = (self._plan[0][0] - self.now()) / self._scenario.speed if self._plan else 1.0
            self._changed.wait(min(max(wait, 0.001), 1.0))
        return True

    def _at(self, due: float, work: Callable[[], object]) -> None:
        """Have a hand do this at a second of the night."""
        with self._changed:
            self._planned += 1
            heapq.heappush(self._plan, (due, self._planned, work))
            self._changed.notify()

    def _make(self, due: float, tasks: tuple[Task, ...]) -> None:
        task = tasks[0]
        with self._changed:
            self._tries += 1
            name = f"{task.name}-{self._tries}"
            self.record.pods[name] = Pod(task, due)
            self._rest[name] = tasks
        self._create(pod_of(task, name, self._scenario), _path_of_pods(task))
        self.record.pods[name].created = self.now()

    def _create(self, pod: Object, path: str) -> None:
        answer = self._ask("POST", path, pod)
        # Where the answer was lost, the pod is there already.
        if not answer.ok and answer.status_code != HTTPStatus.CONFLICT:
            raise NightError(f"pod {pod['metadata']['name']}: {answer.status_code} {answer.text}")

    def _end(self, name: str, task: Task) -> None:
        """Have the pod succeed, as its kubelet would; it may have been deleted with its machine."""
        answer = self._ask("PATCH", f"{_path_of_pods(task)}/{name}/status", {"status": {"phase": "Succeeded"}})
        if not answer.ok and answer.status_code != HTTPStatus.NOT_FOUND:
            raise NightError(f"pod {name}: {answer.status_code} {answer.text}")

    def _ask(self, method: str, path: str, body: Object | None = None) -> requests.Response:
        """Make a request, again where a connection that was idle is closed meanwhile."""
        headers = {"Content-Type": "application/merge-patch+json"} if method == "PATCH" else None
        for _ in range(TRIES):
            try:
                return self._session.request(method, f"{self._cluster.url}{path}", json=body, headers=headers)
            except requests.ConnectionError as error:
                last = error
        raise NightError(f"{method} {path}: no answer: {last}")

    def _submit(self, work: Callable[[], object]) -> None:
        """Have a hand do it; what it raises ends the night, which would wait for its pod for ever."""

        def done(future: Future[object]) -> None:
            if error := future.exception():
                self._error = error

        self._hands.submit(work).add_done_callback(done)

    def _pod(self, kind: str, pod: Object) -> None:
        name, spec, status = pod["metadata"]["name"], pod["spec"], pod.get("status", {})
        known = self.record.pods.get(name)
        if known is None or known.ended is not None:
            return
        now = self.now()
        if not spec.get("schedulingGates") and known.admitted is None:
            known.admitted = now
        if spec.get("nodeName") and known.bound is None:
            known.bound, known.node = now, spec["nodeName"]
        if status.get("phase") == "Running" and known.running is None:
            known.running = now
            self._at(now + known.task.seconds, partial(self._end, name, known.task))
        succeeded = status.get("phase") == "Succeeded"
        if succeeded or kind == "DELETED":
            known.ended, known.succeeded = now, succeeded
            self._ended(name, known)

    def _ended(self, name: str, pod: Pod) -> None:
        """Start the next task, or, if the pod was moved, the same again."""
        assert pod.ended is not None
        tasks = self._rest.pop(name)
        left = tasks[1:] if pod.succeeded else tasks
        if left:
            self._at(pod.ended, partial(self._make, pod.ended, left))
        else:
            with self._changed:
                self._open -= 1
                self._changed.notify()
        if pod.succeeded:
            self._submit(partial(self._ask, "DELETE", f"{_path_of_pods(pod.task)}/{name}?gracePeriodSeconds=0"))

    def _claim(self, kind: str, claim: Object) -> None:
        name, labels = claim["metadata"]["name"], claim["metadata"].get("labels", {})
        group = labels["jobyard.dev/node-group"]
        known = self.record.machines.setdefault(name, Machine(group, self.now()))
        known.instance_type = labels.get("node.kubernetes.io/instance-type", known.instance_type)
        known.capacity_type = labels.get("karpenter.sh/capacity-type", known.capacity_type)
        known.node = claim.get("status", {}).get("nodeName", known.node)
        if kind == "DELETED":
            known.gone = self.now()
            with self._changed:
                self._changed.notify()

    def _node(self, _kind: str, node: Object) -> None:
        if node["metadata"].get("labels", {}).get("karpenter.sh/initialized") != "true":
            return
        for machine in list(self.record.machines.values()):
            if machine.node == node["metadata"]["name"] and machine.ready is None:
                machine.ready = self.now()

    def _watch(self, path: str, take: Any) -> None:
        session, url = self._new_session(), f"{self._cluster.url}{path}"
        parameters = {"watch": "true", **(CREATED_BY_US if path == PODS else {})}
        try:
            while not self._over:
                with session.get(url, params=parameters, stream=True, timeout=(30, None)) as answer:
                    for kind, found in _events(answer):
                        take(kind, found)
        except (requests.RequestException, KeyError, ValueError) as error:
            # At the end the API server goes away.
            self._error = error

    def _new_session(self) -> requests.Session:
        session = requests.Session()
        # Else a bundle of the environment's would be trusted instead.
        session.trust_env = False
        session.cert, session.verify = self._cluster.certificate, self._cluster.authority
        session.mount("https://", requests.adapters.HTTPAdapter(pool_maxsize=2 * HANDS))
        return session


def _path_of_pods(task: Task) -> str:
    return f"/api/v1/namespaces/team-{task.team}/pods"


def _events(answer: requests.Response) -> Iterator[tuple[str, Object]]:
    for line in answer.iter_lines(chunk_size=None):
        if line:
            event = json.loads(line)
            yield event["type"], event["object"]


def pod_of(task: Task, name: str, scenario: Scenario) -> Object:
    """Return the pod of a task as the builder makes it, as far as it matters to where and how long it runs."""
    group: Mapping[str, Any] = scenario.groups[task.group]
    requests_of = {"cpu": f"{task.cpu}m", "memory": f"{task.memory}Mi", "ephemeral-storage": "1Gi"}
    limits = {"memory": f"{task.memory}Mi"} | ({"nvidia.com/gpu": str(task.gpu)} if task.gpu else {})
    container = {
        "name": "base",
        "image": "bench",
        "resources": {"requests": requests_of, "limits": limits},
        "securityContext": CONTAINER_SECURITY,
    }
    kept = DO_NOT_DISRUPT if task.timeout > LONG_SECONDS else {}
    metadata = {
        "name": name,
        "labels": {**labels(task.team, "job", "task"), QUEUE_LABEL: QUEUE},
        "annotations": kept,
    }
    spec = {
        **({"affinity": NEAR_OTHER_TASKS} if scenario.fills else {}),
        "automountServiceAccountToken": False,
        "containers": [container],
        "nodeSelector": {**group["labels"], "kubernetes.io/arch": group["architecture"]},
        "restartPolicy": "Never",
        "securityContext": POD_SECURITY,
        "terminationGracePeriodSeconds": 0,
        "tolerations": [{**taint, "operator": "Equal"} for taint in group["taints"]],
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
