"""Runs in Airflow's environment: a whole Airflow on PostgreSQL, on a cluster that is there, and what is measured of it.

run.py SETTINGS, which is JSON. Each result is printed as it comes, as a line of JSON.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from live.postgresql import postgresql  # type: ignore[import-not-found]
from live.running import LiveAirflow  # type: ignore[import-not-found]
from support import PLATFORM, Bucket, job, task  # type: ignore[import-not-found]

from . import usage
from .cluster import Kubelet, Place, Pods
from .rows import Pattern, Rows, places

TEAMS, JOBS, TASKS = 10, 10, 10
RUN = "bench"
LIVES = 60
"""Seconds that a pod runs in the chain from schedule to success."""
APART = 6
"""Seconds between two ends of pods there: what a start of a worker takes of both processors, so that none waits."""
SETTLE_SECONDS = 20
SCHEDULER = "scheduler"


@dataclass(frozen=True)
class Settings:
    """What is measured, and where."""

    kubeconfig: str  # the teams'
    admin: str
    audit: str
    certificate: str
    key: str
    port: int
    pods: int
    minutes: float
    ladders: Mapping[str, list[int]]  # numbers of pods, by the seconds between two polls
    parts: list[str]


class Airflow(LiveAirflow):  # type: ignore[misc]
    """One whose processes are known by their names."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.sessions: dict[str, int] = {}

    @property
    def rows(self) -> Rows:
        """Its database."""
        return Rows(self._database, self._environment["AIRFLOW__CORE__FERNET_KEY"])

    def command(self, arguments: list[str]) -> Any:
        """Start a command of Airflow's."""
        process = super().command(arguments)
        self.sessions[arguments[0]] = process.pid
        return process

    def once(self, *arguments: str) -> None:
        """Run a command of Airflow's to its end."""
        command = [sys.executable, "-m", "airflow", *arguments]
        subprocess.run(command, env=self._environment, check=True, capture_output=True)

    def stop(self, name: str) -> None:
        """End a command that goes on, and all that it has started."""
        session = self.sessions.pop(name)
        for pid, _ in usage.members(session):
            os.kill(pid, signal.SIGKILL)
        [process] = [process for process in self._processes if process.pid == session]
        process.wait()
        self._processes.remove(process)

    def cpu(self) -> dict[str, float]:
        """Return the processor seconds of each command so far; of the triggerer, those of its runner too."""
        found = {name: usage.cpu(session) for name, session in self.sessions.items()}
        found["trigger runner"] = found["triggerer"] - usage.cpu(self.sessions["triggerer"], alone=True)
        return found

    def memory(self) -> dict[str, tuple[float, float]]:
        """Return the MB of each command, PSS and RSS."""
        return {name: usage.memory(session) for name, session in self.sessions.items()}


def say(part: str, result: Mapping[str, Any]) -> None:
    """Print a result."""
    print(json.dumps({"part": part, **result}), flush=True)


def fill(folder: Path, kubeconfig: str) -> None:
    """Put the teams' releases into the dags folder, and the provider's DAGs."""
    bucket = Bucket(folder)
    teams = [f"team{number}" for number in range(TEAMS)]
    grant = {"assets": [], "pools": [], "priority_band": [1000, 9999]}
    bucket.write("jobyard/platform.json", {**PLATFORM, "cost_centers": {}, "teams": dict.fromkeys(teams, grant)})
    (folder / "jobyard" / "kubeconfig.yaml").write_text(Path(kubeconfig).read_text())
    for team in teams:
        jobs = {f"job{number}": _job(team, TASKS) for number in range(JOBS)}
        if team == "team0":
            jobs["sample"] = _job(team, 3)
            jobs["deferred"] = _job(team, TASKS)
            # With a limit its tasks are not deferred.
            jobs["held"] = _job(team, TASKS, max_active_tasks=TASKS)
        bucket.release(jobs, team=team)
    source = Path(__file__).with_name("provider_dags.py")
    (folder / source.name).write_text(source.read_text())


def _job(team: str, tasks: int, **changes: Any) -> dict[str, Any]:
    resources = {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"memory": "16Mi"}}
    entry = task(
        image="example.com/image@sha256:0123", resources=resources, priority_class=f"{team}.normal-2000", timeout=86_400
    )
    return dict(job(**{"schedule": None, "tasks": {f"t{number}": entry for number in range(tasks)}, **changes}))


class Bench:
    """What is measured."""

    def __init__(self, settings: Settings, airflow: Airflow, pods: Pods) -> None:
        self.settings = settings
        self.airflow = airflow
        self.pods = pods
        self.rows = airflow.rows
        self._mark = 0

    def samples(self) -> dict[str, Pattern]:
        """Let workers defer a few tasks; return what they left in the database, by side."""
        names = ("team0.sample", "team0.provider-sample")
        for name in names:
            self.airflow.once("dags", "trigger", name, "--run-id", RUN)
        query = "SELECT count(*) FROM task_instance WHERE state = 'deferred'"
        self.airflow.wait(lambda: self.airflow.ask(query)[0][0] == 4, "sample of each side")
        pattern, *others = self.rows.patterns("team0.sample")
        alike = sum(self.rows.is_like(pattern, other) for other in others)
        say("samples", {"alike": alike, "of": len(others)})
        [provider] = self.rows.patterns("team0.provider-sample")
        self.pods.keep_as_pattern(pattern.place)
        for name in names:
            self.rows.clear(name)
        return {"Jobyard": pattern, "provider": provider}

    def chain(self, name: str) -> None:
        """Measure tasks from their schedule to their success: held by workers, or deferred."""
        dag_id, begin = f"team0.{name}", time.time()
        idle = self._idle
        before, at_rest = self.airflow.cpu(), self.airflow.memory()
        started = time.time()
        self.airflow.once("dags", "trigger", dag_id, "--run-id", f"{RUN}-{begin:.0f}")
        seen: dict[tuple[str, str], float] = {}
        busy: dict[str, tuple[float, float]] = {}
        ends: dict[str, float] = {}
        while sum((task_id, "success") in seen for task_id in ends) < TASKS:
            for task_id, state in self.airflow.ask(
                "SELECT task_id, state FROM task_instance WHERE dag_id = %s", dag_id
            ):
                # The second time that it is queued or runs is after its deferral.
                again = "again " if (task_id, "deferred") in seen and state in ("queued", "running") else ""
                seen.setdefault((task_id, f"{again}{state}"), time.time())
            due = self._due(dag_id, ends)
            if due and not ends:
                busy = self.airflow.memory()
            for pod in due:
                self.pods.end(pod.metadata.name, pod.metadata.namespace)
                ends[pod.metadata.labels["jobyard.dev/task"]] = self.pods.ended[pod.metadata.name]
            if time.time() - started > 900:
                raise TimeoutError(f"{dag_id}: {seen}")
            time.sleep(0.25)
        seconds = time.time() - started
        time.sleep(5)
        after = self.airflow.cpu()
        used = _used_for_tasks(before, after) - idle * (seconds + 5)
        query = "SELECT task_id, end_date FROM task_instance WHERE dag_id = %s AND state = 'success'"
        # One task of a job has no pod: that which says that the job has finished.
        done = {task_id: moment.timestamp() for task_id, moment in self.airflow.ask(query, dag_id) if task_id in ends}
        asked = usage.requests(Path(self.settings.audit), started, time.time())
        say(
            "chain",
            {
                "name": name,
                "cpu": used / TASKS,
                "idle": idle,
                "latency": [done[key] - ends[key] for key in sorted(done)],
                "first": [_span(seen, key, "running", "deferred") for key in sorted(done)],
                "second": [_span(seen, key, "again queued", "success") for key in sorted(done)],
                "memory": {
                    key: [now - then for now, then in zip(busy[key], at_rest[key], strict=True)] for key in busy
                },
                "requests": sum(asked.values()) / TASKS,
                "verbs": asked,
            },
        )
        self.rows.clear(dag_id)

    @cached_property
    def _idle(self) -> float:
        """How many cores Airflow uses without a task."""
        before, begin = self.airflow.cpu(), time.time()
        time.sleep(12 * self.settings.minutes)
        return _used_for_tasks(before, self.airflow.cpu()) / (time.time() - begin)

    def _due(self, dag_id: str, ends: Mapping[str, float]) -> list[Any]:
        """Return the pod to end now: the one that has run longest, if that is long enough, and the last end is."""
        if ends and time.time() - max(ends.values()) < APART:
            return []
        found = self.pods.all(f"jobyard.dev/job={dag_id.partition('.')[2]}")
        running = [pod for pod in found if pod.status.phase == "Running" and _age(pod) >= LIVES]
        return sorted(running, key=_age, reverse=True)[:1]

    def _add(self, pattern: Pattern, have: list[Place], count: int) -> None:
        """Make pods, and deferred tasks that are theirs, until there are so many."""
        wanted = [*places(JOBS, TEAMS, count, f"{self._mark}-")][len(have) :]
        made = [*self.pods.make(wanted)]
        self.rows.copy(pattern, made)
        have += made
        query = "SELECT count(*) FROM trigger WHERE triggerer_id IS NOT NULL"
        self.airflow.wait(lambda: self.airflow.ask(query)[0][0] >= len(have), f"{len(have)} triggers")

    def _window(self, side: str, count: int, seconds: float, what: str = "") -> dict[str, Any]:
        before, begin, first = self.airflow.cpu(), time.time(), self.airflow.memory()
        time.sleep(seconds)
        after, end, last = self.airflow.cpu(), time.time(), self.airflow.memory()
        asked = usage.requests(Path(self.settings.audit), begin, end)
        result = {
            "side": side,
            "pods": count,
            "what": what,
            "seconds": end - begin,
            "streams": self.pods.kubelet.open,
            "cores": {name: (after[name] - before[name]) / (end - begin) for name in after},
            "memory": {"begin": first, "end": last},
            "requests": {name: number / (end - begin) for name, number in asked.items()},
            "slots": self.airflow.ask("SELECT count(*) FROM task_instance WHERE state IN ('running', 'queued')")[0][0],
        }
        say("window", result)
        return result

    def steady(self, pattern: Pattern) -> None:
        """Measure Jobyard's deferral: nothing, ten pods, all pods; lines in their logs; and their ends."""
        minutes = self.settings.minutes
        self._window("Jobyard", 0, 6 * minutes)
        have: list[Place] = []
        for count in (10, self.settings.pods):
            self._add(pattern, have, count)
            self.airflow.wait(lambda: self.pods.kubelet.open >= len(have), f"{len(have)} logs that are followed")
            time.sleep(SETTLE_SECONDS)
            self._window("Jobyard", count, 6 * minutes if count == 10 else 60 * minutes)
        with _lines(self.pods.kubelet, 10):
            self._window("Jobyard", count, 6 * minutes, "a line of each pod every 10 s")
        if "trickle" in self.settings.parts:
            self._trickle(have)
        self.airflow.stop(SCHEDULER)
        self._ends("Jobyard", have)

    def _trickle(self, have: list[Place]) -> None:
        """End a few pods, one by one, and wait until their tasks have succeeded."""
        chosen = have[:: max(1, len(have) // 20)][:20]
        for place in chosen:
            self.pods.end(place.pod, place.namespace)
            time.sleep(APART)
        query = (
            "SELECT dag_id, task_id, end_date FROM task_instance WHERE state = 'success' AND dag_id LIKE 'team%%.job%%'"
        )
        self.airflow.wait(lambda: len(self.airflow.ask(query)) >= len(chosen), "successes")
        self._latencies("trickle", "Jobyard", chosen, query)
        for place in chosen:
            have.remove(place)

    def _ends(self, side: str, have: list[Place]) -> None:
        """End all pods in a minute, and wait until Airflow knows of them all."""
        begin, query = time.time(), "SELECT dag_id, task_id, updated_at FROM task_instance WHERE state = 'scheduled'"
        with ThreadPoolExecutor(4) as pool:
            for number, place in enumerate(have):
                time.sleep(max(0.0, begin + number * 60 / len(have) - time.time()))
                pool.submit(self.pods.end, place.pod, place.namespace)
        self.airflow.wait(lambda: len(self.airflow.ask(query)) >= len(have), "events of all pods")
        self._latencies("ends", side, have, query)
        self._mark += 1
        self.rows.clear("team%.job%")
        for place in have:
            self.pods.delete(place.pod, place.namespace)

    def _latencies(self, part: str, side: str, of: list[Place], query: str) -> None:
        at: dict[tuple[str, str], datetime] = {(dag, name): moment for dag, name, moment in self.airflow.ask(query)}
        took = [at[place.dag_id, place.task].timestamp() - self.pods.ended[place.pod] for place in of]
        say(part, {"side": side, "pods": len(of), "seconds": sorted(took)})

    def ladder(self, pattern: Pattern, interval: str, counts: list[int]) -> None:
        """Measure the provider's deferral with more and more pods, until it does not look at each in time."""
        have: list[Place] = []
        pattern.trigger["kwargs"] = self.rows.with_argument(pattern.trigger, "poll_interval", float(interval))
        side = f"provider, {interval} s"
        for count in counts:
            self._add(pattern, have, count)
            time.sleep(SETTLE_SECONDS)
            result = self._window(side, count, 3 * self.settings.minutes)
            if result["requests"].get("get pods", 0) < 0.8 * count / float(interval):
                break
        self._ends(side, have)


def _used_for_tasks(before: Mapping[str, float], after: Mapping[str, float]) -> float:
    """Return the processor seconds of the processes that tasks need; the DAG processor reads files once a minute."""
    return sum(after[name] - before[name] for name in ("api-server", "scheduler", "triggerer"))


def _span(seen: Mapping[tuple[str, str], float], task_id: str, begin: str, end: str) -> float | None:
    """Return the seconds between two states of a task; None where it was not seen in one of them."""
    if (task_id, begin) in seen and (task_id, end) in seen:
        return seen[task_id, end] - seen[task_id, begin]
    return None


def _age(pod: Any) -> float:
    return time.time() - float(pod.status.container_statuses[0].state.running.started_at.timestamp())


@contextmanager
def _lines(kubelet: Kubelet, seconds: float) -> Iterator[None]:
    """Meanwhile each pod writes a line every so many seconds."""
    stop = False

    def work() -> None:
        while not stop:
            kubelet.say("epoch 12 of 40, loss 0.1234, learning rate 0.0003, 123 items a second")
            time.sleep(seconds)

    with ThreadPoolExecutor(1) as pool:
        pool.submit(work)
        try:
            yield
        finally:
            stop = True


def main(settings: Settings) -> None:
    """Measure what the settings say."""
    kubelet = Kubelet(settings.port, settings.certificate, settings.key)
    pods = Pods(settings.admin, kubelet)
    with tempfile.TemporaryDirectory(prefix="jobyard-bench-") as folder, postgresql() as database:
        home = Path(folder)
        fill(home / "dags", settings.kubeconfig)
        airflow = Airflow(home, database, {})
        try:
            airflow.create_tables()
            airflow.add_pools({f"team{number}": 400 for number in range(TEAMS)})
            airflow.start()
            query = "SELECT count(*) FROM dag JOIN serialized_dag USING (dag_id)"
            airflow.wait(lambda: airflow.ask(query)[0][0] >= TEAMS * JOBS + 6, "all DAGs")
            measure(Bench(settings, airflow, pods))
        finally:
            airflow.close()


def measure(bench: Bench) -> None:
    """Measure each part."""
    patterns = bench.samples()
    for name in ("deferred", "held", "provider-held", "provider-deferred"):
        if "chain" in bench.settings.parts:
            bench.chain(name)
    if "steady" in bench.settings.parts:
        bench.steady(patterns["Jobyard"])
    else:
        bench.airflow.stop(SCHEDULER)
    for interval, counts in bench.settings.ladders.items():
        if "provider" in bench.settings.parts:
            bench.ladder(patterns["provider"], interval, counts)


if __name__ == "__main__":
    main(Settings(**json.loads(sys.argv[1])))
